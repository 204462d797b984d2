//! A timestamp authority's countersignature over the signature (RFC 3161; Notary Project, "Validate Authentic Timestamp").

use std::collections::BTreeSet;

use jiff::Timestamp;
use pullgate_policy::code::Code;
use pullgate_policy::limits;
use pullgate_policy::time::later;

use super::chain::{Chain, Purpose};
use super::issued::Issued;
use super::revocation;
use super::stores::Stores;
use crate::backend::clocks::token::Token;
use crate::fault::PieceFault;

/// When an authority saw a signature.
pub(super) struct Seen {
    /// No earlier than this.
    pub(super) earliest: Timestamp,
    /// No later than this.
    pub(super) latest: Timestamp,
    /// When the lists run out that say that the authority is not revoked.
    pub(super) ends: Option<Timestamp>,
}

fn invalid(detail: &str) -> PieceFault {
    PieceFault::new(Code::TimestampInvalid, detail)
}

fn untrusted(detail: &str) -> PieceFault {
    PieceFault::new(Code::TimestampUntrusted, detail)
}

/// Reads a token over `signature`, and leads its signer to a root of the store.
pub(super) fn check(
    token: &[u8],
    signature: &[u8],
    (stores, now): (&Stores, Timestamp),
) -> Result<Seen, PieceFault> {
    let token = Token::read_bare(token).ok_or_else(|| invalid("the timestamp cannot be read"))?;
    let strict = token.strict().map_err(invalid)?;
    if !token.is_about(signature) {
        return Err(PieceFault::new(Code::TimestampMismatch, "a timestamp of something else"));
    }
    if token.certificates.len() > limits::TIMESTAMP_CERTIFICATES {
        return Err(invalid("more certificates travel in it than are read"));
    }
    let leaf = token.certificates.iter().find(|der| token.is_by(der));
    let leaf = leaf.ok_or_else(|| invalid("its signer's certificate is not in it"))?;
    token.verify(leaf).map_err(|fault| invalid(&fault.detail))?;
    let of_clock = |fault: PieceFault| invalid(&format!("its authority: {}", fault.detail));
    let leaf = Issued::read(leaf).map_err(of_clock)?;
    // Whoever may not be looked at stands on no path.
    let others: Vec<Issued> = token.certificates.iter().filter_map(|der| Issued::read(der).ok()).collect();
    let chain = path(&leaf, &others, stores.stamping())
        .ok_or_else(|| untrusted("it leads to no timestamp authority of the trust table"))?;
    chain.check(Purpose::TimeStamping).map_err(of_clock)?;
    if !chain.iter().all(|one| one.holds_at(token.time)) {
        return Err(invalid("its authority's certificates were not valid then"));
    }
    if strict.signed.is_some_and(|signed| !chain.iter().all(|one| one.holds_at(signed))) {
        return Err(invalid("its authority's certificates were not valid when it signed"));
    }
    let looked = revocation::check(&chain, stores.lists(), (None, now))?;
    let earliest = token.time.saturating_sub(strict.accuracy).unwrap_or(Timestamp::MIN);
    Ok(Seen { earliest, latest: later(token.time, strict.accuracy), ends: looked.ends })
}

/// A way from a certificate to a root, by what travels in the token; none where there is none within so many steps.
fn path<'a>(leaf: &'a Issued, others: &'a [Issued], roots: &'a [Issued]) -> Option<Chain<'a>> {
    let (mut steps, mut open) = (0, vec![vec![leaf]]);
    while let Some(way) = open.pop() {
        let top = *way.last()?;
        let seen: BTreeSet<&[u8]> = way.iter().map(|one| one.der.as_slice()).collect();
        for issuer in roots.iter().chain(others).filter(|issuer| top.names(issuer)) {
            if seen.contains(issuer.der.as_slice()) {
                continue;
            }
            steps += 1;
            if steps > limits::TIMESTAMP_STEPS {
                return None;
            }
            if !top.is_issued_by(issuer) {
                continue;
            }
            let longer: Vec<&Issued> = way.iter().copied().chain([issuer]).collect();
            if roots.iter().any(|root| root.der == issuer.der) {
                return Some(Chain::of(leaf, longer.into_iter().skip(1).collect()));
            }
            if longer.len() < limits::CHAIN_LENGTH {
                open.push(longer);
            }
        }
    }
    None
}
