//! The status of each trust table: origin, age, and the time from which it is stale.

use std::fs;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pullgate_config::{Policies, TrustOrigin, TrustSource};
use pullgate_policy::identity::{By, Name, Transparency};
use pullgate_policy::text;
use pullgate_verify::{SNAPSHOTS_EXPIRED, TrustSet, TrustedKind};
use serde::Serialize;

use super::{KnownRoots, schedule};

/// One trust table.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// Where its content is from: `built-in`, `file` or `tuf`.
    pub origin: &'static str,
    /// The file that is pinned.
    pub file: Option<String>,
    /// Where it is refreshed from.
    pub url: Option<String>,
    /// The authorities that need it.
    pub used_by: Vec<String>,
    /// How it is.
    pub state: TableState,
    /// The hash of its content.
    pub revision: Option<String>,
    /// The versions of root, timestamp, snapshot and targets.
    pub versions: Option<[u64; 4]>,
    /// When it was last refreshed.
    pub refreshed: Option<Timestamp>,
    /// Seconds since it was last confirmed to be current.
    pub age_seconds: Option<i64>,
    /// When its TUF metadata expires.
    pub expires: Option<Timestamp>,
    /// From when on it is too old to be believed.
    pub stale_from: Option<Timestamp>,
    /// When it is refreshed next.
    pub next_refresh: Option<Timestamp>,
    /// Why the last refresh brought nothing.
    pub failed: Option<Failed>,
    /// What it holds.
    pub holds: Vec<Holds>,
    /// What of it counts for nothing, and why.
    pub spoilt: Vec<Spoilt>,
}

/// How a trust table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableState {
    /// Its TUF metadata has expired; it still counts.
    Expired,
    /// Its TUF metadata is current.
    Fresh,
    /// It was never fetched: signatures that only it could prove are undecided.
    Missing,
    /// A file, which does not expire.
    Pinned,
    /// The snapshot of this release, not refreshed yet.
    Snapshot,
    /// Too old to be believed: signatures that only it could prove are undecided.
    Stale,
}

impl TableState {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Fresh => "fresh",
            Self::Missing => "missing",
            Self::Pinned => "pinned",
            Self::Snapshot => "snapshot",
            Self::Stale => "stale",
        }
    }

    /// Whether signatures under it can be judged.
    #[must_use]
    pub fn counts(self) -> bool {
        match self {
            Self::Expired | Self::Fresh | Self::Pinned | Self::Snapshot => true,
            Self::Missing | Self::Stale => false,
        }
    }
}

/// A refresh that brought nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// When.
    pub at: Timestamp,
    /// The stable code.
    pub code: &'static str,
    /// For people.
    pub why: String,
    /// How many in a row.
    pub times: u32,
}

/// One authority or log of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Holds {
    /// What it is.
    pub kind: &'static str,
    /// Its address.
    pub name: String,
    /// From when it counts.
    pub from: Option<Timestamp>,
    /// Until when it counts.
    pub until: Option<Timestamp>,
}

/// A part of a table that counts for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Spoilt {
    /// What it is.
    pub kind: &'static str,
    /// Its address.
    pub name: String,
    /// For people.
    pub why: String,
}

/// Tells of every table.
pub(super) fn of(policies: &Policies, set: &TrustSet, known: &KnownRoots, now: Timestamp) -> Vec<Status> {
    policies.sources.iter().map(|source| one(policies, set, known, source, now)).collect()
}

/// The authorities that need a table: by identity, or by a key whose log entry is required.
pub(super) fn used_by<'a>(policies: &'a Policies, name: &Name) -> impl Iterator<Item = &'a Name> {
    policies.set.authorities.values().filter_map(move |authority| {
        let needed = match (&authority.by, authority.transparency) {
            (By::Certificate { .. } | By::Identity { .. }, _) | (By::Keys(_), Transparency::Required) => true,
            (By::Keys(_), Transparency::None | Transparency::Optional) | (By::Subjects { .. }, _) => false,
        };
        (needed && authority.trust == *name).then_some(&authority.name)
    })
}

fn one(
    policies: &Policies,
    set: &TrustSet,
    known: &KnownRoots,
    source: &TrustSource,
    now: Timestamp,
) -> Status {
    let (root, table) = (known.get(source), set.get(&source.name));
    let versions = root.and_then(|root| Some(root.kept.as_ref()?.versions()));
    let refreshed = root.and_then(|root| root.refreshed);
    let expires = match (&source.origin, versions) {
        (_, Some(versions)) => Some(versions.expires),
        (TrustOrigin::BuiltIn, None) => Some(SNAPSHOTS_EXPIRED),
        (TrustOrigin::File(_) | TrustOrigin::Files(_) | TrustOrigin::Tuf, None) => None,
    };
    let stale_from = expires.and_then(|expires| source.stale_from(expires));
    let state = match (&source.origin, expires) {
        _ if stale_from.is_some_and(|from| now >= from) => TableState::Stale,
        (TrustOrigin::File(_) | TrustOrigin::Files(_), _) => TableState::Pinned,
        (TrustOrigin::BuiltIn, _) if versions.is_none() => TableState::Snapshot,
        (TrustOrigin::BuiltIn | TrustOrigin::Tuf, Some(expires)) if now < expires => TableState::Fresh,
        (TrustOrigin::BuiltIn | TrustOrigin::Tuf, Some(_)) => TableState::Expired,
        (TrustOrigin::BuiltIn | TrustOrigin::Tuf, None) => TableState::Missing,
    };
    let current = match &source.origin {
        TrustOrigin::File(path) => modified(path),
        // The oldest of them.
        TrustOrigin::Files(paths) => paths.iter().filter_map(|path| modified(path)).min(),
        TrustOrigin::BuiltIn => refreshed.or(Some(SNAPSHOTS_EXPIRED)),
        TrustOrigin::Tuf => refreshed,
    };
    let next = root.and_then(|root| root.due);
    Status {
        name: text::escape(source.name.as_str()),
        origin: match (&source.origin, versions) {
            (TrustOrigin::File(_) | TrustOrigin::Files(_), _) => "file",
            (TrustOrigin::Tuf, _) | (TrustOrigin::BuiltIn, Some(_)) => "tuf",
            (TrustOrigin::BuiltIn, None) => "built-in",
        },
        file: match &source.origin {
            TrustOrigin::File(path) => Some(text::escape(&path.display().to_string())),
            TrustOrigin::Files(paths) => {
                let shown: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
                Some(text::escape(&shown.join(", ")))
            }
            TrustOrigin::BuiltIn | TrustOrigin::Tuf => None,
        },
        url: source.refresh.as_ref().map(|refresh| text::escape(&refresh.location.to_string())),
        used_by: used_by(policies, &source.name).map(|name| text::escape(name.as_str())).collect(),
        state,
        revision: table.map(|table| table.digest().to_string()),
        versions: versions.map(|all| [all.root, all.timestamp, all.snapshot, all.targets]),
        refreshed,
        age_seconds: current.map(|current| now.duration_since(current).as_secs().max(0)),
        expires,
        stale_from,
        next_refresh: next.or_else(|| Some(schedule::planned(refreshed?, expires?))),
        failed: root.and_then(|root| root.failed.clone()),
        spoilt: table.map(|table| table.unusable(now).iter().map(spoilt).collect()).unwrap_or_default(),
        holds: table.map(|table| table.contents().iter().map(holds).collect()).unwrap_or_default(),
    }
}

fn spoilt(part: &pullgate_verify::Unusable) -> Spoilt {
    Spoilt { kind: kind(part.kind), name: text::escape(&part.name), why: text::escape(&part.why) }
}

fn kind(kind: TrustedKind) -> &'static str {
    match kind {
        TrustedKind::CertificateAuthority => "certificate authority",
        TrustedKind::CertificateLog => "certificate log",
        TrustedKind::Log => "transparency log",
        TrustedKind::TimestampAuthority => "timestamp authority",
    }
}

fn holds(trusted: &pullgate_verify::Trusted) -> Holds {
    Holds {
        kind: kind(trusted.kind),
        name: text::escape(&trusted.name),
        from: trusted.from,
        until: trusted.until,
    }
}

/// When a pinned file was last written, the only sign of its age.
fn modified(path: &std::path::Path) -> Option<Timestamp> {
    fs::metadata(path).ok()?.modified().ok()?.try_into().ok()
}

impl Status {
    /// Seconds until its metadata expires; `None` where it does not.
    #[must_use]
    pub fn expires_in(&self, now: Timestamp) -> Option<SignedDuration> {
        Some(self.expires?.duration_since(now))
    }

    /// How long ago it was last confirmed to be current.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        Some(Duration::from_secs(u64::try_from(self.age_seconds?).unwrap_or_default()))
    }
}
