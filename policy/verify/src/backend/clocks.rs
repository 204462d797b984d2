//! Timestamps (RFC 3161), each checked against one authority of the trust table: signer, validity at that time, signed
//! bytes. The library reads those by ECDSA on whole seconds, and leaves open what sections 2.3 and 2.4.2 ask (A627).

use jiff::Timestamp;
use pullgate_policy::code::Code;
use serde_json::Value;
use sigstore_trust_root::TimeRange;

use super::path::Path;
use crate::certificate::profile::{self, Purpose};
use crate::encoding;
use crate::fault::PieceFault;

pub(crate) mod token;

use token::Token;

/// The timestamp authorities of one trusted root.
pub(super) struct Clocks(pub(super) Vec<Clock>);

/// One authority.
pub(super) struct Clock {
    /// The certificate that signs, where the root lists it; else one that travels in the token.
    leaf: Option<Vec<u8>>,
    /// The path to its root; `None` where the trusted root lists the leaf alone.
    path: Option<Path>,
    window: Option<TimeRange>,
}

/// The result of checking the timestamps of one signature.
#[derive(Debug, Clone, Default)]
pub(super) struct Stamps {
    /// Those that count, as the bundle has them.
    pub(super) tokens: Vec<Value>,
    /// Their times.
    pub(super) times: Vec<Timestamp>,
    /// Why the last of the others does not count.
    pub(super) fault: Option<PieceFault>,
}

impl Stamps {
    pub(super) fn earliest(&self) -> Option<Timestamp> {
        self.times.iter().min().copied()
    }
}

impl Clock {
    /// Reads a chain as a root lists it: the leaf first, unless that is an issuer, and the root last.
    pub(super) fn of(chain: &[Vec<u8>], window: Option<TimeRange>) -> Result<Self, String> {
        for der in chain {
            profile::read(der).map_err(|fault| fault.detail)?;
        }
        let (first, others) = chain.split_first().ok_or("a chain without a certificate")?;
        if profile::is_authority(first) {
            let path = Path::of(chain.iter().map(Vec::as_slice), window)?;
            return Ok(Self { leaf: None, path: Some(path), window });
        }
        let path = match others {
            [] => None,
            others => Some(Path::of(others.iter().map(Vec::as_slice), window)?),
        };
        Ok(Self { leaf: Some(first.clone()), path, window })
    }

    /// When the first of its certificates runs out.
    pub(super) fn ends(&self) -> Timestamp {
        let leaf = self.leaf.as_ref().and_then(|leaf| profile::until(leaf).ok());
        let path = self.path.as_ref().map(Path::ends);
        leaf.into_iter().chain(path).min().unwrap_or(Timestamp::MAX)
    }

    /// The end of its window in the table; `None` where that has no end.
    pub(super) fn closes(&self) -> Option<Timestamp> {
        self.window.and_then(|window| window.end)
    }

    /// When it says that `signed` was there.
    fn said(&self, token: &Token) -> Result<Timestamp, PieceFault> {
        let untrusted = |detail: &str| PieceFault::new(Code::TimestampUntrusted, detail);
        let carried = token.certificates.iter().find(|der| token.is_by(der) && !profile::is_authority(der));
        let leaf = self.leaf.as_ref().filter(|leaf| token.is_by(leaf));
        let leaf = leaf.or(carried.filter(|_| self.leaf.is_none()));
        let leaf =
            leaf.ok_or_else(|| untrusted("a timestamp by an authority that is not in the trust table"))?;
        token.verify(leaf)?;
        profile::check_clock(leaf)?;
        let outside = || untrusted("a timestamp from outside the window of its authority");
        let window = self.window.is_none_or(|window| window.contains(token.time));
        if !window || !profile::holds_at(leaf, token.time)? {
            return Err(outside());
        }
        if let Some(path) = &self.path {
            if !path.holds_at(token.time) {
                return Err(outside());
            }
            path.leads(leaf, &token.certificates, token.time, Purpose::TimeStamping)
                .map_err(|fault| untrusted(&fault.detail))?;
        }
        Ok(token.time)
    }
}

impl Clocks {
    /// Looks at each token by itself: one that does not count spoils no other.
    pub(super) fn read(&self, tokens: &[Value], signed: &[u8]) -> Stamps {
        let mut stamps = Stamps::default();
        for listed in tokens {
            match self.time(listed, signed) {
                Ok(time) => {
                    stamps.tokens.push(listed.clone());
                    stamps.times.push(time);
                }
                Err(fault) => stamps.fault = Some(fault),
            }
        }
        stamps
    }

    fn time(&self, listed: &Value, signed: &[u8]) -> Result<Timestamp, PieceFault> {
        let invalid = || PieceFault::new(Code::TimestampInvalid, "the timestamp cannot be read");
        let der = listed.get("signedTimestamp").and_then(Value::as_str).and_then(encoding::standard);
        let token = Token::read(&der.ok_or_else(invalid)?).ok_or_else(invalid)?;
        if !token.is_about(signed) {
            return Err(PieceFault::new(Code::TimestampMismatch, "a timestamp of something else"));
        }
        let mut fault =
            PieceFault::new(Code::TimestampUntrusted, "the trust table holds no timestamp authority");
        for clock in &self.0 {
            match clock.said(&token) {
                Ok(time) => return Ok(time),
                // What is wrong with the token itself tells more than that other authorities did not make it.
                Err(other) if fault.code == Code::TimestampInvalid => drop(other),
                Err(other) => fault = other,
            }
        }
        Err(fault)
    }
}
