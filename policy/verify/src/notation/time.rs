//! When a signature was made, as far as its scheme and the terms of an authority ask, and until when it counts.

use jiff::Timestamp;
use pullgate_policy::code::Code;
use pullgate_policy::evidence::{Revocation, Scheme};
use pullgate_policy::identity::{RevocationAsked, Terms, TimestampAsked};

use super::chain::Chain;
use super::stores::Stores;
use super::{Envelope, past, revocation, stamp};
use crate::fault::PieceFault;

/// A signature that counts.
#[derive(Clone, Copy)]
pub(super) struct Timed {
    /// When it was made, by a clock of the trust table.
    pub(super) proven: Option<Timestamp>,
    /// The first moment at which it counts no longer, where there is one.
    pub(super) ends: Option<Timestamp>,
    pub(super) revocation: Revocation,
}

pub(super) fn check(
    envelope: &Envelope,
    chain: &Chain<'_>,
    (stores, terms): (&Stores, Terms),
    now: Timestamp,
) -> Result<Timed, PieceFault> {
    let (proven, ends) = match (envelope.attributes.scheme, envelope.attributes.authentic) {
        (Scheme::SigningAuthority, Some(authentic)) => (Some(within(chain, authentic, authentic)?), None),
        (Scheme::X509, None) if is_stamped(chain, terms.timestamp, now) => {
            let token = envelope.timestamp.as_deref();
            let token = token.ok_or_else(|| PieceFault::new(Code::NoTrustedTime, "it has no timestamp"))?;
            let seen = stamp::check(token, &envelope.signature, (stores, now))?;
            (Some(within(chain, seen.earliest, seen.latest)?), seen.ends)
        }
        (Scheme::X509, None) => (None, Some(current(chain, now)?)),
        // What was read has the one time of its scheme.
        (Scheme::SigningAuthority, None) | (Scheme::X509, Some(_)) => {
            return Err(Code::AttributeInvalid.into());
        }
    };
    let looked = match terms.revocation {
        RevocationAsked::No => None,
        RevocationAsked::Yes => {
            let authentic = envelope.attributes.authentic;
            Some(revocation::check(chain, stores.lists(), (authentic, now))?)
        }
    };
    let ends = ends.into_iter().chain(looked.as_ref().and_then(|looked| looked.ends)).min();
    let revocation = looked.map_or(Revocation::NotAsked, |looked| looked.seen);
    Ok(Timed { proven, ends, revocation })
}

/// Whether a countersignature is asked for.
fn is_stamped(chain: &Chain<'_>, asked: TimestampAsked, now: Timestamp) -> bool {
    match asked {
        TimestampAsked::Always => true,
        TimestampAsked::AfterExpiry => chain.iter().any(|one| one.until < now),
        TimestampAsked::Never => false,
    }
}

/// The beginning of a span, all of which lies within every certificate.
fn within(chain: &Chain<'_>, earliest: Timestamp, latest: Timestamp) -> Result<Timestamp, PieceFault> {
    let lies_within = chain.iter().all(|one| one.holds_at(earliest) && one.holds_at(latest));
    lies_within.then_some(earliest).ok_or_else(|| Code::TimeOutsideCertificate.into())
}

/// When the first certificate of those runs out, all of which hold now: without a trusted time nothing else counts.
fn current(chain: &Chain<'_>, now: Timestamp) -> Result<Timestamp, PieceFault> {
    if let Some(one) = chain.iter().find(|one| !one.holds_at(now)) {
        let detail = match now < one.from {
            true => format!("\"{}\" begins at {}", one.shown(), one.from),
            false => {
                format!("\"{}\" ran out at {}, and nothing proves an earlier time", one.shown(), one.until)
            }
        };
        return Err(PieceFault::new(Code::CertificateExpired, detail));
    }
    Ok(past(chain.iter().map(|one| one.until).min().unwrap_or(Timestamp::MIN)))
}
