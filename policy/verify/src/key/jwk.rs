//! Keys of the issuer of tokens: a JSON Web Key Set (RFC 7517, RFC 7518 §6, RFC 8037).

use std::fmt;

use aws_lc_rs::signature as lc;
use aws_lc_rs::signature::{UnparsedPublicKey, VerificationAlgorithm};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pullgate_policy::limits;
use pullgate_policy::strict_json::{self, JsonFault};
use serde_json::{Map, Value};

use super::algorithm::{Algorithm, UNCOMPRESSED, pkcs1};

/// The keys of one issuer that may sign tokens. Keys of other kinds are left out.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct JwkSet(Vec<Jwk>);

/// One of them: it makes signatures of one form only, whatever a token says of itself.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Jwk {
    id: Option<String>,
    form: Form,
    /// What the verifier takes: the curve point, the 32 bytes, or PKCS#1.
    raw: Vec<u8>,
}

/// A form of signature (RFC 7518 §3.1, RFC 8037 §3.1). No algorithm with a shared secret, and not `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    EdDsa,
    Es256,
    Es384,
    Ps256,
    Rs256,
    Rs384,
    Rs512,
}

/// Why a text is no set of keys. It never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwkFault {
    /// Not the JSON that is read.
    #[error("it is no set of keys: {0}")]
    Json(#[from] JsonFault),
    /// JSON, and no JSON Web Key Set.
    #[error("it is no set of keys: no JSON object with a list `keys`")]
    NoSet,
    /// Over `issuer_keys`.
    #[error("it has more than {} keys", limits::ISSUER_KEYS)]
    TooMany,
}

impl JwkSet {
    /// Reads a set. Keys that cannot be used are left out, since issuers list those for encryption beside the others.
    ///
    /// # Errors
    /// [`JwkFault`].
    pub fn parse(bytes: &[u8]) -> Result<Self, JwkFault> {
        let read = strict_json::parse(bytes)?;
        let keys = read.get("keys").and_then(Value::as_array).ok_or(JwkFault::NoSet)?;
        if keys.len() > limits::ISSUER_KEYS {
            return Err(JwkFault::TooMany);
        }
        Ok(Self(keys.iter().filter_map(Value::as_object).filter_map(Jwk::read).collect()))
    }

    /// Whether no key can be used.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Jwk> {
        self.0.iter()
    }
}

impl Jwk {
    fn read(members: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
        // A key whose private half was published, or that is for another use, is left out.
        let signs = !members.contains_key("d")
            && members.get("use").is_none_or(|purpose| purpose == "sig")
            && members.get("key_ops").is_none_or(verifies);
        let id = match members.get("kid") {
            None => None,
            Some(id) => Some(id.as_str()?.to_owned()),
        };
        let (kind, curve) = (text("kty")?, text("crv"));
        let (algorithm, form, raw) = match (kind, curve) {
            ("RSA", _) => (Algorithm::Rsa, Form::Rs256, pkcs1(&bytes("n")?, &bytes("e")?)?),
            ("EC", Some("P-256")) => {
                (Algorithm::EcdsaP256, Form::Es256, point::<32>(&bytes("x")?, &bytes("y")?)?)
            }
            ("EC", Some("P-384")) => {
                (Algorithm::EcdsaP384, Form::Es384, point::<48>(&bytes("x")?, &bytes("y")?)?)
            }
            ("OKP", Some("Ed25519")) => (Algorithm::Ed25519, Form::EdDsa, bytes("x")?),
            _ => return None,
        };
        let form = match members.get("alg") {
            None => form,
            Some(word) => Form::of(word.as_str()?).filter(|named| named.is_of(algorithm))?,
        };
        if algorithm == Algorithm::Rsa {
            Algorithm::rsa(&raw).ok()?;
        }
        algorithm.check(&raw).ok()?;
        signs.then_some(Self { id, form, raw })
    }

    pub(crate) fn is_called(&self, id: &str) -> bool {
        self.id.as_deref() == Some(id)
    }

    pub(crate) fn form(&self) -> Form {
        self.form
    }

    pub(crate) fn made(&self, signature: &[u8], message: &[u8]) -> bool {
        UnparsedPublicKey::new(self.form.scheme(), &self.raw).verify(message, signature).is_ok()
    }
}

impl Form {
    /// Finds the form that a header or key names.
    pub(crate) fn of(word: &str) -> Option<Self> {
        Some(match word {
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" => Self::EdDsa,
            "PS256" => Self::Ps256,
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            _ => return None,
        })
    }

    fn is_of(self, algorithm: Algorithm) -> bool {
        match self {
            Self::EdDsa => algorithm == Algorithm::Ed25519,
            Self::Es256 => algorithm == Algorithm::EcdsaP256,
            Self::Es384 => algorithm == Algorithm::EcdsaP384,
            Self::Ps256 | Self::Rs256 | Self::Rs384 | Self::Rs512 => algorithm == Algorithm::Rsa,
        }
    }

    fn scheme(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::EdDsa => &lc::ED25519,
            Self::Es256 => &lc::ECDSA_P256_SHA256_FIXED,
            Self::Es384 => &lc::ECDSA_P384_SHA384_FIXED,
            Self::Ps256 => &lc::RSA_PSS_2048_8192_SHA256,
            Self::Rs256 => &lc::RSA_PKCS1_2048_8192_SHA256,
            Self::Rs384 => &lc::RSA_PKCS1_2048_8192_SHA384,
            Self::Rs512 => &lc::RSA_PKCS1_2048_8192_SHA512,
        }
    }
}

fn verifies(allowed: &Value) -> bool {
    allowed.as_array().is_some_and(|allowed| allowed.iter().any(|word| word == "verify"))
}

/// Both coordinates are as long as the curve's field (RFC 7518 §6.2.1.2).
fn point<const FIELD: usize>(x: &[u8], y: &[u8]) -> Option<Vec<u8>> {
    (x.len() == FIELD && y.len() == FIELD).then(|| [&[UNCOMPRESSED], x, y].concat())
}

impl fmt::Debug for JwkSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JwkSet({} keys)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{KeyPair, PublicKeyData as _};
    use serde_json::json;

    use super::*;

    fn p256() -> Value {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let (x, y) = key.der_bytes()[1..].split_at(32);
        let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({ "kty": "EC", "crv": "P-256", "kid": "a", "x": encoded(x), "y": encoded(y) })
    }

    fn with(changed: &[(&str, Value)]) -> Value {
        let mut key = p256();
        for (name, value) in changed {
            key[*name] = value.clone();
        }
        key
    }

    fn usable(keys: &[Value]) -> usize {
        JwkSet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap().0.len()
    }

    #[test]
    fn a_key_that_may_not_sign_tokens_is_left_out_and_harms_no_other() {
        for (why, key) in [
            ("a shared secret", json!({ "kty": "oct", "kid": "a", "k": "AAAA", "alg": "HS256" })),
            ("for encryption", with(&[("use", json!("enc"))])),
            ("for something else", with(&[("key_ops", json!(["encrypt"]))])),
            ("private", with(&[("d", json!("AAAA"))])),
            ("another form", with(&[("alg", json!("ES384"))])),
            ("a shared secret by form", with(&[("alg", json!("HS256"))])),
            ("no form", with(&[("alg", json!("none"))])),
            ("not on the curve", with(&[("x", json!(URL_SAFE_NO_PAD.encode([1; 32])))])),
            ("a short coordinate", with(&[("x", json!(URL_SAFE_NO_PAD.encode([1; 31])))])),
            ("another curve", with(&[("crv", json!("secp256k1"))])),
            ("an id that is none", with(&[("kid", json!(1))])),
            (
                "of small order",
                json!({ "kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode([0; 32]) }),
            ),
            ("small", json!({ "kty": "RSA", "n": URL_SAFE_NO_PAD.encode([0xff; 128]), "e": "AQAB" })),
            ("no key", json!("x")),
        ] {
            assert_eq!(usable(&[key, p256()]), 1, "{why}");
        }
        for good in [
            with(&[("use", json!("sig"))]),
            with(&[("key_ops", json!(["verify"]))]),
            with(&[("alg", json!("ES256"))]),
        ] {
            assert_eq!(usable(&[good]), 1);
        }
    }

    #[test]
    fn what_is_no_set_is_a_fault_and_the_number_of_keys_has_a_limit() {
        for text in ["", "[]", "{}", r#"{"keys":{}}"#] {
            assert!(JwkSet::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(JwkSet::parse(br#"{"keys":[],"keys":[]}"#), Err(JwkFault::Json(JsonFault::Ambiguous)));
        let several = |number: usize| json!({ "keys": vec![p256(); number] }).to_string();
        assert!(JwkSet::parse(several(limits::ISSUER_KEYS).as_bytes()).is_ok());
        assert_eq!(JwkSet::parse(several(limits::ISSUER_KEYS + 1).as_bytes()), Err(JwkFault::TooMany));
    }

    #[test]
    fn a_set_is_empty_where_none_of_its_keys_can_be_used() {
        let of = |keys: Value| JwkSet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
        assert!(!of(json!([p256()])).is_empty());
        assert!(of(json!([])).is_empty());
        assert!(of(json!([{ "kty": "unknown" }])).is_empty());
    }
}
