//! Bearer tokens of clients: JSON Web Tokens (RFC 7519) in the compact form of RFC 7515, by an issuer of the
//! configuration. A key decides how a signature is checked; a token only says which key it means.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use pullgate_policy::limits;
use pullgate_policy::{strict_json, text};
use serde_json::{Map, Value};

use crate::key::{Form, Jwk, JwkSet};

/// A token that was read. Nothing in it is believed yet.
pub struct Token<'a> {
    /// What the signature is over.
    signed: &'a str,
    signature: Vec<u8>,
    form: Form,
    key_id: Option<String>,
    claims: Map<String, Value>,
}

/// What a token must say.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Who issued it, byte for byte.
    pub issuer: &'a str,
    /// Whom it is for.
    pub audience: &'a str,
    /// The claim that names the client.
    pub claim: &'a str,
}

/// What a token proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The text of the claim that names the client.
    pub name: String,
    /// The last moment of it.
    pub until: Timestamp,
}

/// Why a token proves nothing. It never repeats the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// For somebody else.
    #[error("it is for another audience")]
    Audience,
    /// The claim that names the client.
    #[error("the claim that names the client is absent, or no name")]
    Claim,
    /// It asks for something that must be understood.
    #[error("its header has `crit`")]
    Critical,
    /// Its end.
    #[error("it has expired, or never does")]
    Expired,
    /// How it is signed.
    #[error("it is signed in a form that is not accepted from this key")]
    Form,
    /// By somebody else.
    #[error("it is by another issuer")]
    Issuer,
    /// No JSON Web Token.
    #[error("it is no signed token")]
    Malformed,
    /// It begins later.
    #[error("it is not valid yet")]
    NotYet,
    /// The signature.
    #[error("its signature is not by the key that it names")]
    Signature,
    /// Over `client_token_bytes`.
    #[error("it is larger than {} bytes", limits::CLIENT_TOKEN_BYTES)]
    TooLarge,
    /// The issuer's keys, as last fetched, have no such key.
    #[error("no known key of the issuer is the one that signed it")]
    UnknownKey,
}

impl<'a> Token<'a> {
    /// Reads a token: three parts of unpadded base64url, the first two JSON objects without a key twice.
    ///
    /// # Errors
    /// [`TokenFault`]
    pub fn read(text: &'a str) -> Result<Self, TokenFault> {
        if text.len() > limits::CLIENT_TOKEN_BYTES {
            return Err(TokenFault::TooLarge);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(TokenFault::Malformed)?;
        // A fourth part leaves a dot in the second, which base64url refuses.
        let (header, claims) = signed.split_once('.').ok_or(TokenFault::Malformed)?;
        let (header, claims) = (object(header)?, object(claims)?);
        let signature = decoded(signature)?;
        if header.contains_key("crit") {
            return Err(TokenFault::Critical);
        }
        let form = header.get("alg").and_then(Value::as_str).and_then(Form::of).ok_or(TokenFault::Form)?;
        // `jku`, `jwk`, `x5u` and `x5c` would have a token bring the key that it is checked by: nothing reads them.
        let key_id = match header.get("kid") {
            None => None,
            Some(id) => Some(id.as_str().ok_or(TokenFault::Malformed)?.to_owned()),
        };
        Ok(Self { signed, signature, form, key_id, claims })
    }

    /// The issuer that it names, to choose the keys for its signature.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_str)
    }

    /// Checks all of it by these keys, at this time.
    ///
    /// # Errors
    /// [`TokenFault`]. [`TokenFault::UnknownKey`] is the only one that newer keys could change.
    pub fn verify(&self, keys: &JwkSet, wanted: &Wanted<'_>, now: Timestamp) -> Result<Proven, TokenFault> {
        // The claims come first: a token that they refuse must not cause a request for newer keys.
        if self.issuer() != Some(wanted.issuer) {
            return Err(TokenFault::Issuer);
        }
        if !self.is_for(wanted.audience) {
            return Err(TokenFault::Audience);
        }
        let until = self.times(now)?;
        let name = self.claims.get(wanted.claim).and_then(Value::as_str).filter(|name| is_name(name));
        let name = name.ok_or(TokenFault::Claim)?.to_owned();
        self.signature(keys)?;
        Ok(Proven { name, until })
    }

    /// `aud` is one text, or a list of them (RFC 7519 §4.1.3).
    fn is_for(&self, audience: &str) -> bool {
        match self.claims.get("aud") {
            Some(Value::String(one)) => one == audience,
            Some(Value::Array(several)) => several.iter().any(|one| one == audience),
            Some(_) | None => false,
        }
    }

    fn times(&self, now: Timestamp) -> Result<Timestamp, TokenFault> {
        let (now, skew) = (now.as_second() as f64, limits::CLIENT_TOKEN_SKEW.as_secs_f64());
        let until = self.claims.get("exp").and_then(Value::as_f64).ok_or(TokenFault::Expired)?;
        if now >= until + skew {
            return Err(TokenFault::Expired);
        }
        for begin in ["nbf", "iat"].into_iter().filter_map(|claim| self.claims.get(claim)) {
            if begin.as_f64().is_none_or(|begin| begin > now + skew) {
                return Err(TokenFault::NotYet);
            }
        }
        // A conversion stops at the ends of what an i64 holds.
        Ok(Timestamp::from_second(until as i64).unwrap_or(Timestamp::MAX))
    }

    fn signature(&self, keys: &JwkSet) -> Result<(), TokenFault> {
        let made = |key: &Jwk| key.made(&self.signature, self.signed.as_bytes());
        let fits = |key: &&Jwk| key.form() == self.form;
        let Some(id) = &self.key_id else {
            let mut tried = keys.iter().filter(fits).take(limits::ISSUER_KEYS_TRIED);
            return if tried.any(made) { Ok(()) } else { Err(TokenFault::UnknownKey) };
        };
        let mut named = keys.iter().filter(|key| key.is_called(id)).peekable();
        if named.peek().is_none() {
            return Err(TokenFault::UnknownKey);
        }
        let mut fitting = named.filter(fits).take(limits::ISSUER_KEYS_TRIED).peekable();
        if fitting.peek().is_none() {
            return Err(TokenFault::Form);
        }
        if fitting.any(made) { Ok(()) } else { Err(TokenFault::Signature) }
    }
}

fn decoded(part: &str) -> Result<Vec<u8>, TokenFault> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenFault::Malformed)
}

fn object(part: &str) -> Result<Map<String, Value>, TokenFault> {
    match strict_json::parse(&decoded(part)?) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) | Err(_) => Err(TokenFault::Malformed),
    }
}

/// Fit for a rule, and for a record as it stands.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= limits::CLIENT_CLAIM_BYTES && !name.chars().any(text::is_unsafe)
}

impl fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests;
