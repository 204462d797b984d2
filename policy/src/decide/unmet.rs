//! Why a requirement is not met, in one line for people and one code for machines.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::signers::Seen;
use crate::code::Code;
use crate::evidence::Evidence;
use crate::identity::Name;
use crate::policy::{Asks, PredicateType, Requirement};
use crate::text;
use crate::verdict::Reason;

/// How near a piece of evidence came to counting; the nearest tells a person most, and junk cannot hide it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Near {
    /// By a named authority, and it fails another condition of the requirement.
    Requirement,
    /// By the holder of a named authority, and it fails a condition of that authority.
    Authority,
    /// Valid, by another signer.
    Stranger,
    /// Valid, of another kind.
    Kind,
    /// Its cryptography or its form does not hold.
    Broken,
}

/// Why a piece of evidence did not count for a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Skipped {
    pub(super) near: Near,
    pub(super) code: Code,
}

/// A requirement that is not met.
pub(super) struct Unmet {
    /// Why.
    pub(super) reason: Box<Reason>,
    /// The codes of the evidence that did not count for it.
    pub(super) skipped: Vec<Reason>,
    /// Each piece of the kind that is asked for.
    pub(super) seen: Vec<Seen>,
    /// When it will be met, where age is all that is missing.
    pub(super) ripe_at: Option<Timestamp>,
}

/// Names what is missing, most useful words first; `signed` is how many distinct authorities did sign.
pub(super) fn unmet(
    requirement: &Requirement,
    evidence: &Evidence,
    signed: usize,
    skipped: &[Skipped],
) -> Unmet {
    let who = who(&requirement.any_of);
    let (missing, what) = match &requirement.asks {
        Asks::Signature => (Code::NoSignature, "signature".to_owned()),
        Asks::Attestation(types) => {
            let first = types.first().map(PredicateType::uri).unwrap_or_default();
            (Code::AttestationMissing, format!("attestation {}", text::escape(first)))
        }
    };
    let counted = count(skipped, evidence);
    let code = match counted.first() {
        _ if too_much(evidence) => Code::EvidenceLimit,
        _ if signed > 0 => Code::Threshold,
        Some((nearest, _)) if nearest.near != Near::Broken => nearest.code,
        Some(_) => missing,
        None if evidence.signatures.is_empty() && evidence.attestations.is_empty() => Code::NoEvidence,
        None => missing,
    };
    let lacking = match signed {
        0 => format!("no {what} by {who}"),
        _ => format!("only {signed} of {} signed by {who}", requirement.threshold),
    };
    let found =
        counted.iter().take(CODES_SHOWN).map(|(one, n)| format!("{n} {}", one.code)).collect::<Vec<_>>();
    let text = if found.is_empty() { lacking } else { format!("{lacking} ({})", found.join(", ")) };
    let skipped = counted
        .iter()
        .filter(|(one, _)| one.code != code) // the requirement's own reason says it
        .map(|(one, n)| Reason {
            code: one.code,
            location: Some(requirement.location.clone()),
            text: match n {
                1 => "1 piece of evidence did not count".to_owned(),
                n => format!("{n} pieces of evidence did not count"),
            },
        })
        .collect();
    Unmet {
        reason: Box::new(Reason { code, location: Some(requirement.location.clone()), text }),
        skipped,
        seen: Vec::new(),
        ripe_at: None,
    }
}

impl Unmet {
    /// The same, with the time at which age alone will meet it.
    pub(super) fn ripe(mut self, at: Option<Timestamp>) -> Self {
        if let Some(at) = at {
            self.reason.text.push_str(&format!("; old enough at {at}"));
        }
        Self { ripe_at: at, ..self }
    }

    /// The unmet alternatives of one requirement, as one: the first, with the reasons of the others beside it.
    pub(super) fn of_any(self, others: Vec<Self>) -> Self {
        others.into_iter().fold(self, |mut first, other| {
            first.ripe_at = first.ripe_at.into_iter().chain(other.ripe_at).min();
            first.skipped.push(*other.reason);
            first.skipped.extend(other.skipped);
            first.seen.extend(other.seen);
            first
        })
    }
}

/// How many codes, and how many authorities, one reason spells out: a line stays a line (A529).
const CODES_SHOWN: usize = 3;
const NAMES_SHOWN: usize = 2;

fn who(any_of: &[Name]) -> String {
    let mut shown: Vec<_> =
        any_of.iter().take(NAMES_SHOWN).map(|name| format!("\"{}\"", text::escape(name.as_str()))).collect();
    match any_of.len().saturating_sub(NAMES_SHOWN) {
        0 => {}
        more => shown.push(format!("{more} more")),
    }
    shown.join(" or ")
}

/// What did not count, the nearest first, then the most frequent; in the order of the table where equal.
fn count(skipped: &[Skipped], evidence: &Evidence) -> Vec<(Skipped, usize)> {
    // One piece may have been rejected once for each authority that was tried.
    let rejected: BTreeSet<_> = evidence.rejected.iter().map(|one| (one.source, one.code)).collect();
    let rejected = rejected.into_iter().map(|(_, code)| Skipped {
        near: if code == Code::UnknownAuthority { Near::Stranger } else { Near::Broken },
        code,
    });
    let mut counts: BTreeMap<Skipped, usize> = BTreeMap::new();
    for one in skipped.iter().copied().chain(rejected) {
        *counts.entry(one).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(one, n)| (one.near, Reverse(*n), one.code));
    counts
}

/// Tells whether there was more evidence than the limits let the gate read (A141).
pub(super) fn too_much(evidence: &Evidence) -> bool {
    evidence.rejected.iter().any(|one| one.code == Code::EvidenceLimit)
}
