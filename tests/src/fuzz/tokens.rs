//! Tokens of clients and the keys of their issuers.

use std::sync::OnceLock;

use jiff::Timestamp;
use pullgate_verify::JwkSet;
use pullgate_verify::token::{Token, Wanted};
use serde_json::json;

use crate::issuer::TokenKey;

const WANTED: Wanted<'_> = Wanted { issuer: "https://i.example", audience: "gate", claim: "sub" };
const NOW: i64 = 1_800_000_000;

/// One key, and all that it ever signed.
fn signed() -> &'static (TokenKey, Vec<String>) {
    static SIGNED: OnceLock<(TokenKey, Vec<String>)> = OnceLock::new();
    SIGNED.get_or_init(|| {
        let key = TokenKey::new("a");
        let claims =
            json!({ "iss": WANTED.issuer, "aud": ["gate"], "sub": "ci", "exp": NOW + 60, "nbf": NOW });
        let bare = key.token_under(&json!({ "alg": "ES256" }), &claims.to_string());
        let tokens = vec![key.token(&claims), bare];
        (key, tokens)
    })
}

pub(super) fn tokens() -> Vec<Vec<u8>> {
    signed().1.iter().map(|token| token.clone().into_bytes()).collect()
}

/// Whatever counts is what the key signed, byte for byte.
pub(super) fn token(input: &[u8]) -> Result<(), String> {
    let (key, tokens) = signed();
    let Ok(text) = std::str::from_utf8(input) else { return Ok(()) };
    let keys = JwkSet::parse(json!({ "keys": [key.jwk()] }).to_string().as_bytes())
        .map_err(|why| why.to_string())?;
    let now = Timestamp::from_second(NOW).map_err(|why| why.to_string())?;
    let Ok(proven) = Token::read(text).and_then(|token| token.verify(&keys, &WANTED, now)) else {
        return Ok(());
    };
    let body = |token: &str| token.rsplit_once('.').map(|(signed, _)| signed.to_owned());
    let ours = tokens.iter().any(|token| body(token) == body(text));
    if ours && proven.name == "ci" {
        Ok(())
    } else {
        Err(format!("{} by a token that nobody signed", proven.name))
    }
}

pub(super) fn key_sets() -> Vec<Vec<u8>> {
    let rsa = json!({ "kty": "RSA", "kid": "r", "alg": "RS256", "n": crate::issuer::encoded([0xff; 256]), "e": "AQAB" });
    let okp = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    let secret = json!({ "kty": "oct", "k": "AAAA", "alg": "HS256" });
    vec![json!({ "keys": [signed().0.jwk(), rsa, okp, secret] }).to_string().into_bytes()]
}

/// Keys that are not this one do not make its tokens those of anybody else.
pub(super) fn key_set(input: &[u8]) -> Result<(), String> {
    let Ok(keys) = JwkSet::parse(input) else { return Ok(()) };
    let now = Timestamp::from_second(NOW).map_err(|why| why.to_string())?;
    for token in &signed().1 {
        let proven = Token::read(token).and_then(|token| token.verify(&keys, &WANTED, now));
        if proven.is_ok() && keys.is_empty() {
            return Err("a token counts without a key".to_owned());
        }
    }
    Ok(())
}
