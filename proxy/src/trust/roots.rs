//! The refreshed trust roots, and how they enter the configuration in force.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use pullgate_config::{Policies, TrustRefresh, TrustSource};
use pullgate_policy::identity::Name;
use pullgate_policy::text;
use pullgate_verify::TrustSet;
use pullgate_verify::refresh::{TargetName, VerifiedRefresh};

use super::copies::{Copies, Stamp};
use super::status::Failed;
use super::{schedule, status};

/// The trust roots of a gate.
#[derive(Debug)]
pub struct Roots {
    /// The copies on disk.
    pub copies: Copies,
    known: Mutex<KnownRoots>,
}

/// The state of each root, by the name of its table.
#[derive(Debug, Default)]
pub struct KnownRoots {
    roots: BTreeMap<Name, Root>,
    /// Whether there is something that is not in force yet.
    news: News,
}

/// Whether something is not in force yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum News {
    #[default]
    None,
    Some,
}

/// One root that is refreshed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Root {
    /// The pinned root that the kept table was verified from, and its target in the repository.
    of: Option<(Vec<u8>, TargetName)>,
    pub(crate) kept: Option<Arc<VerifiedRefresh>>,
    pub(super) refreshed: Option<Timestamp>,
    pub(super) failed: Option<Failed>,
    /// When it is refreshed next; `None` for at once.
    pub(crate) due: Option<Timestamp>,
    /// The copy that was last looked at.
    pub(crate) seen: Option<Stamp>,
}

impl Roots {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(copies: Copies) -> Self {
        Self { copies, known: Mutex::default() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, KnownRoots> {
        self.known.lock()
    }

    /// The status of each table of the configuration in force.
    #[must_use]
    pub fn statuses(&self, policies: &Policies, now: Timestamp) -> Vec<status::Status> {
        status::of(policies, &policies.trust, &self.lock(), now)
    }
}

impl Root {
    fn is_of(&self, refresh: &TrustRefresh) -> bool {
        self.of
            .as_ref()
            .is_some_and(|(anchor, target)| anchor == refresh.anchor.bytes() && *target == refresh.target)
    }
}

impl KnownRoots {
    /// The state of a table; `None` where it followed from another pinned root, or is another target.
    pub(crate) fn get(&self, source: &TrustSource) -> Option<&Root> {
        let refresh = source.refresh.as_ref()?;
        self.roots.get(&source.name).filter(|root| root.is_of(refresh))
    }

    /// The same, to be changed.
    pub(crate) fn entry(&mut self, name: &Name, refresh: &TrustRefresh) -> &mut Root {
        let root = self.roots.entry(name.clone()).or_default();
        if !root.is_of(refresh) {
            let of = Some((refresh.anchor.bytes().to_vec(), refresh.target.clone()));
            *root = Root { of, ..Root::default() };
        }
        root
    }

    /// These tables, each replaced by its refreshed state.
    pub(crate) fn over(&self, loaded: &TrustSet, sources: &[TrustSource]) -> TrustSet {
        let mut set = loaded.clone();
        for source in sources {
            let Some(kept) = self.get(source).and_then(|root| root.kept.as_ref()) else { continue };
            // The kept file was a valid table when it was taken; another `sct` does not change that.
            if let Ok(table) = kept.table(source.name.clone(), source.sct) {
                set = set.with(table.stale_from(source.stale_from(kept.versions().expires)));
            }
        }
        set
    }

    /// Takes note of a copy that does not follow from its root.
    pub(super) fn disbelieved(
        &mut self,
        name: &Name,
        refresh: &TrustRefresh,
        (code, why): (&'static str, String),
        at: Timestamp,
    ) {
        let why = format!("the kept copy is not believed: {}", text::escape(&why));
        self.entry(name, refresh).failed = Some(Failed { at, code, why, times: 1 });
    }

    /// Tells whether there is something new, once.
    pub(crate) fn take_news(&mut self) -> News {
        std::mem::take(&mut self.news)
    }

    /// Takes a refresh that succeeded, with the copy that was written of it.
    pub(crate) fn succeeded(
        &mut self,
        name: &Name,
        refresh: &TrustRefresh,
        (kept, seen): (VerifiedRefresh, Option<Stamp>),
        now: Timestamp,
    ) {
        self.news = News::Some;
        let root = self.entry(name, refresh);
        root.seen = seen;
        root.due = Some(schedule::after_success(now, kept.versions().expires));
        root.kept = Some(Arc::new(kept));
        root.refreshed = Some(now);
        root.failed = None;
    }

    /// Notes a failed refresh: the present state stays. Tells whether it failed otherwise before.
    pub(crate) fn failed(
        &mut self,
        name: &Name,
        refresh: &TrustRefresh,
        (code, why): (&'static str, String),
        now: Timestamp,
    ) -> Novelty {
        let root = self.entry(name, refresh);
        let before = root.failed.as_ref();
        let told =
            if before.is_some_and(|before| before.code == code) { Novelty::Before } else { Novelty::Not };
        let times = before.map_or(0, |before| before.times).saturating_add(1);
        root.due = Some(schedule::after_failure(now, times));
        root.failed = Some(Failed { at: now, code, why, times });
        told
    }

    /// Takes a copy from the disk, unless the present state is newer: an old copy must not roll it back (A341).
    pub(crate) fn recalled(
        &mut self,
        name: &Name,
        refresh: &TrustRefresh,
        (kept, refreshed): (VerifiedRefresh, Timestamp),
    ) -> Taken {
        let root = self.entry(name, refresh);
        let version = |kept: &VerifiedRefresh| (kept.versions().root, kept.versions().timestamp);
        if root.kept.as_ref().is_some_and(|known| version(known) >= version(&kept)) {
            return Taken::No;
        }
        root.kept = Some(Arc::new(kept));
        root.refreshed = Some(refreshed);
        root.failed = None;
        self.news = News::Some;
        Taken::Yes
    }
}

/// Whether a failure is a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Novelty {
    Before,
    Not,
}

/// Whether a copy was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    No,
    Yes,
}
