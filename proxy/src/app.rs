//! The composition root: a running gate, its handles built once.

use std::ops::Deref;
use std::sync::Arc;

use jiff::Timestamp;
use pullgate_config::Config;

use crate::audit::Audit;
use crate::health::Health;
use crate::live::Live;
use crate::pull::handles::{self, Handles};
use crate::shadow::Shadow;
use crate::stories::Stories;
use crate::trust::{KnownRoots, News, Roots};

/// A running gate: the handles of pulls, and what stands around them. What pulls use can be named on the gate itself.
#[derive(Debug)]
pub struct App {
    /// The handles of pulls.
    pub pull: Arc<Handles>,
    /// The pull log.
    pub audit: Audit,
    /// The conditions that `/readyz` reports.
    pub health: Health,
    /// Trust roots that are refreshed.
    pub roots: Roots,
    /// The requests of one client under one root, counted together.
    pub stories: Stories,
    /// Pulls that wait to be judged by another policy as well.
    pub shadow: Shadow,
    /// The configuration that the process started with.
    pub started: Config,
}

impl App {
    /// Puts the handles together.
    #[must_use]
    pub fn new(pull: handles::Parts, audit: Audit, health: Health, roots: Roots) -> Arc<Self> {
        let started = pull.live.config().clone();
        Arc::new(Self {
            pull: Handles::new(pull),
            audit,
            health,
            roots,
            stories: Stories::default(),
            shadow: Shadow::default(),
            started,
        })
    }

    /// Puts another load of the configuration in force, whole.
    pub fn replace(&self, live: &Live) {
        // One lock with `restamp`: a concurrent reload and refresh must not undo each other.
        let roots = self.roots.lock();
        self.pull.put_in_force(over(&roots, live, self.clock.now()));
        drop(roots);
        // Denials are keyed by revision, so this only drops those that can no longer be found.
        self.memory.forget_denials();
    }

    /// Another load of the configuration under the trust roots of this moment: it is not put in force.
    #[must_use]
    pub fn apart(&self, live: &Live) -> Live {
        over(&self.roots.lock(), live, self.clock.now())
    }

    /// Puts the trust roots of this moment under the configuration that is in force.
    pub fn restamp(&self) {
        let (mut roots, now) = (self.roots.lock(), self.clock.now());
        let before = self.live();
        // A table that became stale changes the revision, though nothing was fetched (A342).
        let same = before.config().policy.trust.revision_at(now) == before.revisions().trust;
        if roots.take_news() == News::None && same {
            return;
        }
        let after = over(&roots, &before, now);
        let changed = before.revisions() != after.revisions();
        self.pull.put_in_force(after);
        drop(roots);
        if changed {
            self.memory.forget_denials();
        }
    }
}

impl Deref for App {
    type Target = Handles;

    fn deref(&self) -> &Handles {
        &self.pull
    }
}

/// The same load of the configuration, under the roots of this moment.
fn over(roots: &KnownRoots, live: &Live, now: Timestamp) -> Live {
    live.under(roots.over(live.loaded_trust(), &live.config().policy.sources), now)
}
