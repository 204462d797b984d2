//! Reports for pages: each is counted once at a time, however many look at it, and stays a moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::WAIT;
use super::fault::Fault;
use super::log::Log;
use crate::audit::read::ReadError;
use crate::limits::REPORT_ENTRIES;
use crate::live::Live;
use crate::report::{self, About, Report};

/// Time for which a report is shown before it is counted anew.
const KEEP: Duration = Duration::from_secs(5);

/// The period of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Window {
    Day,
    Week,
    Month,
    Quarter,
}

impl Window {
    pub(super) const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Month, Self::Quarter];

    /// As it is asked for.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Day => "1d",
            Self::Week => "7d",
            Self::Month => "30d",
            Self::Quarter => "90d",
        }
    }

    /// Whether it is this one.
    pub(super) fn is(self, other: &Self) -> bool {
        self == *other
    }

    /// The one that is asked for; thirty days where none is.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        if text.is_empty() {
            return Ok(Self::Month);
        }
        let found = Self::ALL.into_iter().find(|window| window.as_str() == text);
        found.ok_or_else(|| Fault::Asked("`since` is 1d, 7d, 30d or 90d".to_owned()))
    }

    fn since(self, now: Timestamp) -> Timestamp {
        let days = match self {
            Self::Day => 1,
            Self::Week => 7,
            Self::Month => 30,
            Self::Quarter => 90,
        };
        now.checked_sub(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MIN)
    }
}

type Work = Shared<BoxFuture<'static, Result<Arc<Report>, Stopped>>>;

/// Why there is no report.
#[derive(Debug, Clone)]
enum Stopped {
    Ended,
    Log(Arc<ReadError>),
}

impl From<ReadError> for Stopped {
    fn from(error: ReadError) -> Self {
        Self::Log(Arc::new(error))
    }
}

#[derive(Debug)]
struct Kept {
    begun: Instant,
    work: Work,
}

/// The reports of this moment.
#[derive(Debug)]
pub(super) struct Reports {
    log: Log,
    kept: Mutex<BTreeMap<Window, Kept>>,
}

impl Reports {
    pub(super) fn new(log: Log) -> Self {
        Self { log, kept: Mutex::default() }
    }

    /// The report on this window, at most `KEEP` old.
    pub(super) async fn on(
        &self,
        window: Window,
        live: &Arc<Live>,
        now: Timestamp,
    ) -> Result<Arc<Report>, Fault> {
        let work = self.begun(window, live, now);
        match tokio::time::timeout(WAIT, work).await {
            Ok(Ok(report)) => Ok(report),
            Ok(Err(Stopped::Log(error))) => Err(Fault::Log(error)),
            Ok(Err(Stopped::Ended)) => Err(Fault::Unshown),
            Err(_) => Err(Fault::StillCounting),
        }
    }

    fn begun(&self, window: Window, live: &Arc<Live>, now: Timestamp) -> Work {
        let mut kept = self.kept.lock();
        if let Some(one) = kept.get(&window)
            && (one.work.peek().is_none() || one.begun.elapsed() < KEEP)
        {
            return one.work.clone();
        }
        // It goes on though nobody waits any longer.
        let counting = tokio::spawn(counted(self.log.clone(), window, Arc::clone(live), now));
        let work = async move { counting.await.unwrap_or(Err(Stopped::Ended)) };
        let work = work.boxed().shared();
        kept.insert(window, Kept { begun: Instant::now(), work: work.clone() });
        work
    }
}

async fn counted(log: Log, window: Window, live: Arc<Live>, now: Timestamp) -> Result<Arc<Report>, Stopped> {
    let about = About {
        since: window.since(now),
        until: Timestamp::MAX,
        now,
        policies: Some(&live.config().policy),
        authority: None,
        most: REPORT_ENTRIES,
    };
    let reader = log.reader().await?;
    let report = report::make(&reader, &about).await?;
    Ok(Arc::new(Report { until: now, ..report }))
}
