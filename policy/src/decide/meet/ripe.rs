//! Which of several requirements is met, and when one will be.

use jiff::Timestamp;

use super::{When, attempt, children, every, one, pieces};
use crate::decide::unmet::{self, Unmet};
use crate::evidence::Evidence;
use crate::oci::{Digest, Document};
use crate::policy::{PolicySet, Requirement};
use crate::time::later;
use crate::verdict::Met;

/// How a requirement or one of its alternatives is met: by the one that is met for longest.
pub(super) fn any(
    set: &PolicySet,
    requirement: &Requirement,
    (evidence, document): (&Evidence, &Document),
    when: When<'_>,
) -> Result<(Met, Timestamp), Unmet> {
    let about = (evidence, &evidence.subject);
    let each = requirement.alternatives().map(|alternative| {
        every::of_all(set, alternative, (evidence, document), when.0)?;
        one(set, alternative, about, when)
            .or_else(|why| children::all(set, alternative, (evidence, document), when).ok_or(why))
    });
    let (met, unmet): (Vec<_>, Vec<_>) = each.partition(Result::is_ok);
    let longest = met.into_iter().filter_map(Result::ok).reduce(|one, other| match other.1 > one.1 {
        true => other,
        false => one,
    });
    let mut unmet = unmet.into_iter().filter_map(Result::err);
    match (longest, unmet.next()) {
        (Some(met), _) => Ok(met),
        (None, Some(first)) => Err(first.of_any(unmet.collect())),
        // There is always one: the requirement itself.
        (None, None) => Err(unmet::unmet(requirement, evidence, 0, &[])),
    }
}

/// How many times are tried at which a requirement may be met.
const RIPE: usize = 16;

/// The first moment at which the present evidence is old enough to meet a requirement, if only age is missing.
pub(super) fn ripe_at(
    set: &PolicySet,
    requirement: &Requirement,
    about: (&Evidence, &Digest),
    (image, now): When<'_>,
) -> Option<Timestamp> {
    let age = requirement.min_age?;
    let (pieces, _) = pieces(requirement, about.0, about.1);
    let mut times: Vec<_> = pieces.iter().filter_map(|piece| Some(later(piece.time?, age))).collect();
    times.retain(|time| *time > now);
    times.sort_unstable();
    times.dedup();
    times.into_iter().take(RIPE).find(|time| attempt(set, requirement, about, (image, *time)).is_ok())
}
