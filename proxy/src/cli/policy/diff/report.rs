//! What a replay came to. Its JSON form is documented in `proxy/README.md` and stable.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use pullgate_policy::oci::Digest;
use pullgate_policy::verdict::{Denial, Ground};
use serde::Serialize;

use super::super::pulled::{Pulled, Said};
use super::Both;
use crate::cli::verify::report::Reason;
use crate::pull::replay::{Content, Replayed};

/// The version of the JSON shape.
const VERSION: u32 = 1;

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    version: u32,
    /// The file that was tried.
    pub(super) policy: String,
    /// The revisions of the policy in force, and of the one that was tried.
    from: String,
    to: String,
    /// Answers with a verdict that were replayed.
    pub(super) pulls: u64,
    /// Manifests among them, each judged once.
    pub(super) manifests: u64,
    /// Manifests whose answer does not change.
    pub(super) same: u64,
    pub(super) changes: Vec<Change>,
    pub(super) unknown: Vec<Unknown>,
}

/// How the answer changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// It would be refused.
    Refused,
    /// It would be served, and was refused.
    Served,
    /// It would be served with a warning.
    Warned,
    /// It would be served without one.
    WarnedNoMore,
}

/// A manifest whose answer would change.
#[derive(Debug, Serialize)]
pub(super) struct Change {
    pub(super) would_be: Kind,
    pub(super) was: Said,
    pub(super) repository: String,
    pub(super) tags: BTreeSet<String>,
    pub(super) digest: Digest,
    pub(super) root: Option<Digest>,
    /// Manifests that were pulled under it and change in the same way, and are not listed.
    pub(super) children: u64,
    pub(super) reasons: Vec<Reason>,
    pub(super) pulls: u64,
    pub(super) clients: BTreeMap<String, u64>,
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
}

/// A manifest without a verdict.
#[derive(Debug, Serialize)]
pub(super) struct Unknown {
    pub(super) code: String,
    pub(super) text: String,
    pub(super) image: String,
    pub(super) digest: Option<Digest>,
    pub(super) tags: BTreeSet<String>,
    pub(super) pulls: u64,
}

impl Report {
    pub(super) fn of(policy: String, both: &Both) -> Self {
        Self {
            version: VERSION,
            policy,
            from: both.own.revisions().policy.to_string(),
            to: both.other.revisions().policy.to_string(),
            pulls: 0,
            manifests: 0,
            same: 0,
            changes: Vec::new(),
            unknown: Vec::new(),
        }
    }

    /// Whether something that was pulled would be refused.
    pub(super) fn refuses(&self) -> bool {
        self.changes.iter().any(|change| change.would_be == Kind::Refused)
    }

    /// Adds references without a digest.
    pub(super) fn unresolved(&mut self, unresolved: BTreeMap<String, u64>) {
        self.unknown.extend(unresolved.into_iter().map(|(image, pulls)| Unknown {
            code: "not-resolved".to_owned(),
            text: "it has no digest: it was refused before its tag was looked up, or never seen".to_owned(),
            image,
            digest: None,
            tags: BTreeSet::new(),
            pulls,
        }));
    }

    /// One manifest. `before` is the verdict of the policy in force, for a list of images, which has no past answers.
    pub(super) fn add(
        &mut self,
        content: &Content,
        pulled: Pulled,
        before: Option<&Replayed>,
        after: &Replayed,
    ) {
        self.manifests += 1;
        let was = pulled.said.map(|(_, said)| said).or_else(|| before.and_then(said));
        let unknown = match (after, before) {
            (Replayed::Unknown(unknown), _) | (_, Some(Replayed::Unknown(unknown))) => Some(*unknown),
            (Replayed::Deny(_) | Replayed::Permit(_), _) => None,
        };
        let (Some(was), Some(now), None) = (was, said(after), unknown) else {
            let (code, text) = unknown.map_or(("internal", ""), |unknown| (unknown.code(), unknown.text()));
            self.unknown.push(Unknown {
                code: code.to_owned(),
                text: text.to_owned(),
                image: content.repository.to_string(),
                digest: Some(content.digest),
                tags: pulled.tags,
                pulls: pulled.pulls,
            });
            return;
        };
        let would_be = match (was, now) {
            (Said::Refused, Said::Refused) | (Said::Served, Said::Served) | (Said::Warned, Said::Warned) => {
                self.same += 1;
                return;
            }
            (Said::Served | Said::Warned, Said::Refused) => Kind::Refused,
            (Said::Refused, Said::Served | Said::Warned) => Kind::Served,
            (Said::Served, Said::Warned) => Kind::Warned,
            (Said::Warned, Said::Served) => Kind::WarnedNoMore,
        };
        self.changes.push(Change {
            would_be,
            was,
            repository: content.repository.to_string(),
            tags: pulled.tags,
            digest: content.digest,
            root: content.root,
            children: 0,
            reasons: reasons(after),
            pulls: pulled.pulls,
            clients: pulled.clients,
            first: pulled.first,
            last: pulled.last,
        });
    }

    /// Sorts the changes, and counts a manifest under its root where both change in the same way.
    pub(super) fn finish(&mut self) {
        let changed: BTreeSet<(String, Digest, Kind)> =
            self.changes.iter().map(|one| (one.repository.clone(), one.digest, one.would_be)).collect();
        let mut under: BTreeMap<(String, Digest), u64> = BTreeMap::new();
        self.changes.retain(|one| {
            let Some(root) = one.root else { return true };
            let goes_with = changed.contains(&(one.repository.clone(), root, one.would_be));
            if goes_with {
                *under.entry((one.repository.clone(), root)).or_default() += 1;
            }
            !goes_with
        });
        for change in &mut self.changes {
            change.children = under.get(&(change.repository.clone(), change.digest)).copied().unwrap_or(0);
        }
        self.changes.sort_by(|a, b| {
            (a.would_be, &a.repository, &a.tags, a.digest).cmp(&(
                b.would_be,
                &b.repository,
                &b.tags,
                b.digest,
            ))
        });
        self.unknown.sort_by(|a, b| (&a.code, &a.image, a.digest).cmp(&(&b.code, &b.image, b.digest)));
    }
}

fn said(replayed: &Replayed) -> Option<Said> {
    match replayed {
        Replayed::Deny(_) => Some(Said::Refused),
        Replayed::Permit(permit) => Some(match permit.ground() {
            Ground::WarnOnly(_) => Said::Warned,
            Ground::EachChild | Ground::Exempt { .. } | Ground::Satisfied | Ground::Unchecked => Said::Served,
        }),
        Replayed::Unknown(_) => None,
    }
}

fn reasons(replayed: &Replayed) -> Vec<Reason> {
    let of = |denial: &Denial| denial.reasons().map(Reason::from).collect();
    match replayed {
        Replayed::Deny(denial) => of(denial),
        Replayed::Permit(permit) => match permit.ground() {
            Ground::WarnOnly(denial) => of(denial),
            Ground::EachChild | Ground::Exempt { .. } | Ground::Satisfied | Ground::Unchecked => Vec::new(),
        },
        Replayed::Unknown(_) => Vec::new(),
    }
}
