//! Signed attributes (signature specification, "Signed Attributes"), as both envelopes have them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use pullgate_policy::code::Code;
use pullgate_policy::evidence::Scheme;

use crate::fault::PieceFault;

pub(super) const SCHEME: &str = "io.cncf.notary.signingScheme";
pub(super) const SIGNING_TIME: &str = "io.cncf.notary.signingTime";
pub(super) const AUTHENTIC_TIME: &str = "io.cncf.notary.authenticSigningTime";
pub(super) const EXPIRY: &str = "io.cncf.notary.expiry";
/// The attributes that are times.
pub(super) const TIMES: [&str; 3] = [SIGNING_TIME, AUTHENTIC_TIME, EXPIRY];
/// What another program is to verify; that it is not marked as critical opens nothing (A671).
const PLUGIN: [&str; 2] =
    ["io.cncf.notary.verificationPlugin", "io.cncf.notary.verificationPluginMinVersion"];

/// The name of an attribute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Label {
    Int(i128),
    Text(String),
}

/// The value of an attribute, as far as it is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field {
    Text(String),
    Time(Timestamp),
    Other,
}

/// The protected header.
pub(super) struct Header {
    /// What it names as critical; none where it names nothing.
    pub(super) critical: Option<Vec<Label>>,
    /// All that stands in it.
    pub(super) fields: BTreeMap<Label, Field>,
    /// Headers of the envelope's own format, which are never critical.
    pub(super) registered: BTreeSet<Label>,
}

/// What is signed of the signature itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) scheme: Scheme,
    /// When it was signed by the signer's own words: under the one scheme they prove nothing.
    pub(super) claimed: Option<Timestamp>,
    /// The same by a signing authority's, under the other.
    pub(super) authentic: Option<Timestamp>,
    pub(super) expiry: Option<Timestamp>,
}

pub(super) fn invalid(detail: &str) -> PieceFault {
    PieceFault::new(Code::AttributeInvalid, detail)
}

impl Label {
    pub(super) fn text(name: &str) -> Self {
        Self::Text(name.to_owned())
    }
}

impl Attributes {
    /// Reads what is there, and refuses what is not known and has to be (A671).
    pub(super) fn of(header: &Header) -> Result<Self, PieceFault> {
        let Header { critical, fields, registered } = header;
        if PLUGIN.iter().any(|name| fields.contains_key(&Label::text(name))) {
            return Err(PieceFault::new(Code::Unsupported, "it asks for a plugin to verify it"));
        }
        let critical = critical.as_ref().filter(|listed| !listed.is_empty());
        let critical = critical.ok_or_else(|| invalid("it names no critical attribute"))?;
        let known: BTreeSet<&Label> = critical.iter().collect();
        if known.len() != critical.len() {
            return Err(invalid("it names a critical attribute twice"));
        }
        if critical.iter().any(|label| registered.contains(label) || !fields.contains_key(label)) {
            return Err(invalid("it names as critical what is not there, or never is"));
        }
        let is_ours = |label: &Label| [SCHEME].iter().chain(&TIMES).any(|name| *label == Label::text(name));
        if critical.iter().any(|label| !is_ours(label)) {
            return Err(Code::AttributeCritical.into());
        }
        let is_critical = |name: &str| known.contains(&Label::text(name));
        let time = |name: &str| match fields.get(&Label::text(name)) {
            None => Ok(None),
            Some(Field::Time(time)) => Ok(Some(*time)),
            Some(Field::Text(_) | Field::Other) => Err(invalid("a time that is none")),
        };
        let scheme = match fields.get(&Label::text(SCHEME)) {
            Some(Field::Text(text)) => scheme(text).ok_or_else(|| invalid("a scheme that there is not")),
            Some(Field::Time(_) | Field::Other) | None => Err(invalid("it has no scheme")),
        }?;
        if !is_critical(SCHEME) {
            return Err(invalid("its scheme is not critical"));
        }
        let (claimed, authentic, expiry) = (time(SIGNING_TIME)?, time(AUTHENTIC_TIME)?, time(EXPIRY)?);
        let signed = match (scheme, claimed, authentic) {
            (Scheme::X509, Some(claimed), None) => claimed,
            (Scheme::SigningAuthority, None, Some(authentic)) if is_critical(AUTHENTIC_TIME) => authentic,
            (Scheme::X509 | Scheme::SigningAuthority, _, _) => {
                return Err(invalid("not the one signing time of its scheme, or not as it has to be"));
            }
        };
        if expiry.is_some_and(|expiry| !is_critical(EXPIRY) || expiry <= signed) {
            return Err(invalid("an expiry that is not critical, or not after the signing time"));
        }
        Ok(Self { scheme, claimed, authentic, expiry })
    }
}

fn scheme(text: &str) -> Option<Scheme> {
    [Scheme::X509, Scheme::SigningAuthority].into_iter().find(|scheme| scheme.as_str() == text)
}
