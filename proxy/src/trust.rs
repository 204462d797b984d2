//! Trust roots that are refreshed: where their files come from, where the last good copy is kept, how each table is,
//! and when the next refresh is due.
//!
//! `pullgate_verify::refresh` verifies a refresh; `server::trust_refresh` starts it and puts it in force.

use std::sync::Arc;

use crate::limits;
use jiff::Timestamp;
use pullgate_config::{Policies, TrustLocation, TrustRefresh, TrustSource};
use pullgate_verify::TrustFault;
use pullgate_verify::refresh::{Refresh, RefreshFault, VerifiedRefresh, refresh};
use tokio::runtime::Handle;

use crate::health::Condition;

mod copies;
mod mirror;
mod roots;
mod schedule;
mod status;

pub use copies::{Copies, Keep};
pub(crate) use roots::News;
pub use roots::{KnownRoots, Roots};
pub use status::{Failed, Holds, Status, TableState};

use mirror::Mirror;
pub(crate) use roots::{Novelty, Taken};

/// Why a trust root was not brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The thread that did it died.
    #[error("a fault in the gate")]
    Internal,
    /// It took too long, all files together.
    #[error("it took longer than {} seconds", limits::TUF_REFRESH.as_secs())]
    Late,
    /// The address of the repository.
    #[error("{0}")]
    Location(&'static str),
    /// The repository's metadata was refused.
    #[error(transparent)]
    Refused(#[from] RefreshFault),
    /// Its metadata is valid, but its target is not a trusted root (A347).
    #[error(transparent)]
    Unusable(#[from] TrustFault),
}

impl Failure {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Late | Self::Location(_) => "trust-unreachable",
            Self::Refused(fault) => fault.code(),
            Self::Unusable(_) => "trust-root-invalid",
        }
    }
}

/// Brings one trust root up to date from `location`: the result is complete, and a trust table.
///
/// # Errors
/// [`Failure`]; then `kept` stays in force.
pub async fn fetch(
    source: &TrustSource,
    location: &TrustLocation,
    kept: Option<Arc<VerifiedRefresh>>,
    now: Timestamp,
) -> Result<VerifiedRefresh, Failure> {
    let (mirror, source) = (Mirror::at(location).map_err(Failure::Location)?, source.clone());
    // Megabytes of JSON and hundreds of signatures: off the threads that pulls are served by.
    let runtime = Handle::current();
    let work = move || {
        let Some(TrustRefresh { anchor, target, .. }) = &source.refresh else {
            return Err(Failure::Internal);
        };
        let target = target.clone();
        let order = Refresh { anchor, kept: kept.as_deref(), repository: &mirror, target, now };
        let fetched = runtime.block_on(in_time(refresh(&order)))?;
        // Before anything is replaced: valid metadata may hold an unusable target (A347).
        fetched.table(source.name.clone(), source.sct)?;
        Ok(fetched)
    };
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(Failure::Internal))
}

async fn in_time<T>(work: impl Future<Output = Result<T, RefreshFault>>) -> Result<T, Failure> {
    Ok(tokio::time::timeout(limits::TUF_REFRESH, work).await.map_err(|_late| Failure::Late)??)
}

/// The status of every table, without a running gate.
#[must_use]
pub fn survey(policies: &Policies, copies: &Copies, now: Timestamp) -> Vec<Status> {
    let mut known = KnownRoots::default();
    for source in &policies.sources {
        let Some(how) = &source.refresh else { continue };
        match copies.read(&source.name, how) {
            Ok(Some(copy)) => drop(known.recalled(&source.name, how, copy)),
            Ok(None) => {}
            Err(fault) => known.disbelieved(&source.name, how, (fault.code(), fault.to_string()), now),
        }
    }
    status::of(policies, &known.over(&policies.trust, &policies.sources), &known, now)
}

/// The tables that are refreshed and that an authority needs: an unused table causes no request.
#[must_use]
pub fn needed(policies: &Policies) -> Vec<&TrustSource> {
    let used = |source: &&TrustSource| {
        source.refresh.is_some() && status::used_by(policies, &source.name).next().is_some()
    };
    policies.sources.iter().filter(used).collect()
}

/// What `/readyz` says of the tables that authorities need.
#[must_use]
pub fn condition(statuses: &[Status]) -> Condition {
    let wrong: Vec<String> =
        statuses.iter().filter(|status| !status.used_by.is_empty()).filter_map(wrong).collect();
    if wrong.is_empty() { Condition::Good } else { Condition::Degraded(wrong.join("; ")) }
}

/// What `/readyz` says of each table, whether anything is wrong or not.
#[must_use]
pub fn facts(statuses: Vec<Status>) -> serde_json::Value {
    let one = |status: Status| {
        serde_json::json!({
            "name": status.name,
            "state": status.state.word(),
            "age_seconds": status.age_seconds,
            "expires": status.expires,
            "next_refresh": status.next_refresh,
        })
    };
    statuses.into_iter().map(one).collect()
}

fn wrong(status: &Status) -> Option<String> {
    let name = &status.name;
    let last = status.failed.as_ref().map(|failed| format!(", and its refresh failed ({})", failed.code));
    let last = last.unwrap_or_default();
    match status.state {
        TableState::Missing => Some(format!("trust root \"{name}\" was never fetched{last}")),
        TableState::Stale => Some(format!("trust root \"{name}\" is too old to be believed{last}")),
        TableState::Expired => Some(format!("trust root \"{name}\" has expired and still counts{last}")),
        TableState::Fresh | TableState::Pinned | TableState::Snapshot => status
            .failed
            .as_ref()
            .map(|failed| format!("the refresh of trust root \"{name}\" failed ({})", failed.code)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a345_a_refresh_has_its_time_and_not_a_millisecond_more() {
        let takes = |time| async move {
            tokio::time::sleep(time).await;
            Ok(())
        };
        let millisecond = Duration::from_millis(1);
        assert!(in_time(takes(limits::TUF_REFRESH - millisecond)).await.is_ok());
        let late = in_time(takes(limits::TUF_REFRESH + millisecond)).await.unwrap_err();
        assert_eq!(
            (late.code(), late.to_string().as_str()),
            ("trust-unreachable", "it took longer than 120 seconds")
        );
    }
}
