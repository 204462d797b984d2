//! Exemptions of the policy: which end soon, and which nobody uses.

use jiff::{SignedDuration, Timestamp};
use pullgate_policy::oci::{Digest, Repository};
use pullgate_policy::policy::{Covers, PolicySet};
use serde::Serialize;

use super::images::Seen;
use super::told::Told;
use super::{About, fit};

/// The time before its end within which an exemption ends soon.
pub(crate) const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

/// An exemption.
#[derive(Debug, Serialize)]
pub struct Exemption {
    /// `FILE:LINE`.
    pub location: String,
    /// Its scopes, or its digest.
    pub covers: Vec<String>,
    /// The first moment at which it no longer counts.
    pub until: Timestamp,
    /// Its owner.
    pub owner: String,
    /// Why, in the owner's words.
    pub reason: String,
    /// Whether it ends soon, or has ended.
    pub ends: Ends,
    /// Whether anything was served by it.
    pub used: Use,
    /// Answers by it.
    pub pulls: u64,
    /// The last of them.
    pub last: Option<Timestamp>,
}

/// How near its end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ends {
    /// It is over.
    Ended,
    /// Not yet.
    Later,
    /// Within thirty days.
    Soon,
}

/// Whether anything was served by an exemption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Use {
    /// Nothing was.
    Unused,
    /// Something was.
    Used,
}

pub(super) fn of(told: &Told, about: &About<'_>) -> Vec<Exemption> {
    let Some(policies) = about.policies else { return Vec::new() };
    let set = &policies.set;
    let mut all: Vec<Exemption> = set.exemptions.iter().map(|one| exemption(one, about.now)).collect();
    for seen in told.each() {
        let Some((last, pulls)) = seen.exempt else { continue };
        let Some(location) = by(set, seen, last) else { continue };
        if let Some(one) = all.iter_mut().find(|one| one.location == location) {
            one.used = Use::Used;
            one.pulls = one.pulls.saturating_add(pulls);
            one.last = one.last.max(Some(last));
        }
    }
    all.sort_by(|a, b| (a.until, &a.location).cmp(&(b.until, &b.location)));
    all
}

fn exemption(one: &pullgate_policy::policy::Exemption, now: Timestamp) -> Exemption {
    let covers = match &one.covers {
        Covers::Digest(digest) => vec![digest.to_string()],
        Covers::Scopes(scopes) => scopes.iter().map(ToString::to_string).collect(),
    };
    let left = one.until.duration_since(now);
    let ends = if one.until <= now {
        Ends::Ended
    } else if left <= SOON {
        Ends::Soon
    } else {
        Ends::Later
    };
    Exemption {
        location: one.location.to_string(),
        covers,
        until: one.until,
        owner: fit(&one.owner),
        reason: fit(&one.reason),
        ends,
        used: Use::Unused,
        pulls: 0,
        last: None,
    }
}

/// The exemption by which it was served then: its own, or that of the index which carried it.
fn by(set: &PolicySet, seen: &Seen, at: Timestamp) -> Option<String> {
    let repository: Repository = seen.repository.parse().ok()?;
    let digests = [&seen.image.digest, &seen.image.root].map(|text| text.parse::<Digest>().ok());
    let covers = |digest: Digest| set.exemption(&repository, &digest, at);
    digests.into_iter().flatten().find_map(covers).map(|one| one.location.to_string())
}
