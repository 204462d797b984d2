use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self as lc, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaEncoding, RsaKeyPair,
};
use serde_json::json;

use super::*;

const NOW: i64 = 1_800_000_000;
const WANTED: Wanted<'_> = Wanted { issuer: "https://i.example", audience: "gate", claim: "sub" };

enum Key {
    Ecdsa(EcdsaKeyPair, &'static str),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding, &'static str),
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn p256() -> Key {
    ecdsa(&lc::ECDSA_P256_SHA256_FIXED_SIGNING, "P-256")
}

fn ecdsa(kind: &'static EcdsaSigningAlgorithm, curve: &'static str) -> Key {
    Key::Ecdsa(EcdsaKeyPair::generate(kind).unwrap(), curve)
}

fn rsa(encoding: &'static dyn RsaEncoding, form: &'static str) -> Key {
    Key::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap(), encoding, form)
}

impl Key {
    fn form(&self) -> &'static str {
        match self {
            Self::Ecdsa(_, "P-256") => "ES256",
            Self::Ecdsa(..) => "ES384",
            Self::Ed25519(_) => "EdDSA",
            Self::Rsa(_, _, form) => form,
        }
    }

    fn jwk(&self, id: &str) -> Value {
        match self {
            Self::Ecdsa(pair, curve) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                json!({ "kty": "EC", "crv": curve, "kid": id, "x": encoded(x), "y": encoded(y) })
            }
            Self::Ed25519(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": id, "x": encoded(pair.public_key()) })
            }
            // PKCS#1 of 2048 bits and 65537: the modulus stands behind nine bytes.
            Self::Rsa(pair, _, form) => {
                let modulus = &pair.public_key().as_ref()[9..265];
                json!({ "kty": "RSA", "alg": form, "kid": id, "n": encoded(modulus), "e": "AQAB" })
            }
        }
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        self.signed(&header.to_string(), &claims.to_string())
    }

    fn signed(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encoded(header), encoded(claims));
        let signature = match self {
            Self::Ecdsa(pair, _) => {
                pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap().as_ref().to_vec()
            }
            Self::Ed25519(pair) => pair.sign(signed.as_bytes()).as_ref().to_vec(),
            Self::Rsa(pair, encoding, _) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
                signature
            }
        };
        format!("{signed}.{}", encoded(signature))
    }
}

fn claims() -> Value {
    json!({ "iss": WANTED.issuer, "aud": "gate", "sub": "ci", "exp": NOW + 300, "iat": NOW, "nbf": NOW })
}

fn with(changed: &[(&str, Value)]) -> Value {
    let mut claims = claims();
    for (name, value) in changed {
        claims[*name] = value.clone();
    }
    claims
}

fn set(keys: &[Value]) -> JwkSet {
    JwkSet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn verify(token: &str, keys: &JwkSet) -> Result<Proven, TokenFault> {
    Token::read(token)?.verify(keys, &WANTED, Timestamp::from_second(NOW).unwrap())
}

#[test]
fn each_form_is_verified_by_its_own_key_and_by_no_other_form() {
    let keys = [
        p256(),
        ecdsa(&lc::ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
        Key::Ed25519(Ed25519KeyPair::generate().unwrap()),
        rsa(&lc::RSA_PKCS1_SHA256, "RS256"),
        rsa(&lc::RSA_PKCS1_SHA384, "RS384"),
        rsa(&lc::RSA_PKCS1_SHA512, "RS512"),
        rsa(&lc::RSA_PSS_SHA256, "PS256"),
    ];
    for key in &keys {
        let known = set(&[key.jwk("a")]);
        for named in ["ES256", "ES384", "EdDSA", "RS256", "RS384", "RS512", "PS256", "HS256", "none"] {
            let token = key.token(&json!({ "alg": named, "kid": "a" }), &claims());
            if named == key.form() {
                let proven = verify(&token, &known).unwrap();
                let until = Timestamp::from_second(NOW + 300).unwrap();
                assert_eq!(proven, Proven { name: "ci".to_owned(), until });
            } else {
                assert_eq!(verify(&token, &known), Err(TokenFault::Form), "{named} by {}", key.form());
            }
        }
    }
    // Without `alg` an RSA key is for RS256 alone.
    let pss = keys.last().unwrap();
    let mut jwk = pss.jwk("a");
    jwk.as_object_mut().unwrap().remove("alg");
    let token = pss.token(&json!({ "alg": "PS256", "kid": "a" }), &claims());
    assert_eq!(verify(&token, &set(&[jwk])), Err(TokenFault::Form));
}

#[test]
fn times_count_to_the_second_of_the_skew() {
    let key = p256();
    let known = set(&[key.jwk("a")]);
    let skew = limits::CLIENT_TOKEN_SKEW.as_secs() as i64;
    for (name, value, expected) in [
        ("exp", json!(NOW - skew + 1), None),
        ("exp", json!(NOW - skew), Some(TokenFault::Expired)),
        ("exp", json!((NOW + 1).to_string()), Some(TokenFault::Expired)),
        ("exp", Value::Null, Some(TokenFault::Expired)),
        ("nbf", json!(NOW + skew), None),
        ("nbf", json!(NOW + skew + 1), Some(TokenFault::NotYet)),
        ("nbf", json!("now"), Some(TokenFault::NotYet)),
        ("iat", json!(NOW + skew), None),
        ("iat", json!(NOW + skew + 1), Some(TokenFault::NotYet)),
        ("iat", json!(NOW as f64 + 0.5), None),
        ("exp", json!(1e15), None),
    ] {
        let token = key.token(&json!({ "alg": "ES256", "kid": "a" }), &with(&[(name, value.clone())]));
        assert_eq!(verify(&token, &known).err(), expected, "{name} {value}");
    }
}

#[test]
fn the_claims_must_be_those_that_are_wanted() {
    let key = p256();
    let known = set(&[key.jwk("a")]);
    let long = |length: usize| json!("x".repeat(length));
    for (name, value, expected) in [
        ("aud", json!(["other", "gate"]), None),
        ("aud", json!(["other"]), Some(TokenFault::Audience)),
        ("aud", json!("gate2"), Some(TokenFault::Audience)),
        ("aud", json!({ "gate": 1 }), Some(TokenFault::Audience)),
        ("aud", Value::Null, Some(TokenFault::Audience)),
        ("iss", json!("https://i.example/"), Some(TokenFault::Issuer)),
        ("iss", json!(["https://i.example"]), Some(TokenFault::Issuer)),
        ("sub", json!(""), Some(TokenFault::Claim)),
        ("sub", json!(7), Some(TokenFault::Claim)),
        ("sub", json!("a\u{7}"), Some(TokenFault::Claim)),
        ("sub", json!("a\u{202e}b"), Some(TokenFault::Claim)),
        ("sub", long(limits::CLIENT_CLAIM_BYTES), None),
        ("sub", long(limits::CLIENT_CLAIM_BYTES + 1), Some(TokenFault::Claim)),
    ] {
        let token = key.token(&json!({ "alg": "ES256", "kid": "a" }), &with(&[(name, value.clone())]));
        assert_eq!(verify(&token, &known).err(), expected, "{name} {value}");
    }
}

#[test]
fn without_an_id_so_many_fitting_keys_are_tried_and_no_more() {
    let (key, other) = (p256(), p256());
    let token = key.token(&json!({ "alg": "ES256" }), &claims());
    let among = |before: usize| {
        let mut keys = vec![other.jwk("b"); before];
        keys.push(key.jwk("a"));
        verify(&token, &set(&keys))
    };
    assert!(among(limits::ISSUER_KEYS_TRIED - 1).is_ok());
    assert_eq!(among(limits::ISSUER_KEYS_TRIED), Err(TokenFault::UnknownKey));
    let named = key.token(&json!({ "alg": "ES256", "kid": "b" }), &claims());
    assert_eq!(verify(&named, &set(&[other.jwk("b"), key.jwk("a")])), Err(TokenFault::Signature));
    let unknown = key.token(&json!({ "alg": "ES256", "kid": "c" }), &claims());
    assert_eq!(verify(&unknown, &set(&[key.jwk("a")])), Err(TokenFault::UnknownKey));
}

#[test]
fn what_is_no_token_is_none_and_its_length_has_a_limit() {
    let key = p256();
    let known = set(&[key.jwk("a")]);
    let header = r#"{"alg":"ES256","kid":"a"}"#;
    let good = key.signed(header, &claims().to_string());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let malformed = [
        String::new(),
        "a.b".to_owned(),
        format!("{good}.e30"),
        format!("{good}="),
        format!("{signed}. {signature}"),
        format!("{signed}.{signature}\n"),
        key.signed("[]", "{}"),
        key.signed(header, "[]"),
        key.signed(header, r#"{"sub":"a","sub":"b"}"#),
        key.signed(r#"{"alg":"ES256","kid":"a","kid":"a"}"#, "{}"),
        key.signed(r#"{"alg":"ES256","kid":1}"#, "{}"),
    ];
    for text in malformed {
        assert_eq!(verify(&text, &known), Err(TokenFault::Malformed), "{text}");
    }
    let critical = key.signed(r#"{"alg":"ES256","kid":"a","crit":["exp"]}"#, &claims().to_string());
    assert_eq!(verify(&critical, &known), Err(TokenFault::Critical));
    assert_eq!(verify(&format!("{signed}."), &known), Err(TokenFault::Signature));
    for (over, fault) in [(0, TokenFault::Malformed), (1, TokenFault::TooLarge)] {
        let text = "a".repeat(limits::CLIENT_TOKEN_BYTES + over);
        assert_eq!(Token::read(&text).err(), Some(fault));
    }
}

#[test]
fn a548_a_token_shows_nothing_of_itself() {
    let key = p256();
    let token = key.token(&json!({ "alg": "ES256", "kid": "a" }), &with(&[("sub", json!("private"))]));
    let read = Token::read(&token).unwrap();
    assert_eq!(format!("{read:?}"), "Token(…)");
    let keys = set(&[key.jwk("a")]);
    assert_eq!(format!("{keys:?}"), "JwkSet(1 keys)");
}
