//! The first page: is the gate well, what is pulled, what is refused now.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use serde_json::Value;

use super::frame::Frame;
use super::picture::Picture;
use super::reports::Window;
use super::search::{Row, rows};
use super::series::Series;
use super::{Answer, Pages, shown};
use crate::audit::Word;
use crate::audit::read::Filter;
use crate::report::{Counts, fit};

/// Refusals that are shown.
const REFUSALS: usize = 10;

#[derive(askama::Template)]
#[template(path = "overview.html")]
struct Page {
    frame: Frame,
    gate: String,
    wrong: Vec<Wrong>,
    today: Counts,
    total: Counts,
    picture: Picture,
    would_deny: usize,
    refused: Vec<Row>,
    upstreams: Vec<Upstream>,
    trusts: Vec<Trust>,
    caches: Vec<Cache>,
    kept: String,
    /// Whether any policy refuses anything.
    enforcing: usize,
}

struct Wrong {
    component: String,
    state: String,
    why: String,
}

struct Upstream {
    name: String,
    answered: u64,
    failed: u64,
    resting: usize,
    quota: String,
}

struct Trust {
    name: String,
    state: String,
    age: String,
    expires: String,
}

struct Cache {
    name: String,
    hits: u64,
    misses: u64,
}

pub(super) async fn page(State(pages): State<Arc<Pages>>) -> Answer {
    let (app, live) = (&pages.app, pages.app.live());
    let now = app.clock.now();
    let report = pages.reports.on(Window::Month, &live, now).await?;
    let filter = Filter { verdict: Some(Word::Deny), ..Filter::default() };
    let refused = rows(&pages.log.reader().await?, filter, REFUSALS).await?;
    let series = Series::read(&app.metrics.encode());
    let (_, health) = app.health.report();
    let today = now.strftime("%Y-%m-%d").to_string();
    let today = report.days.iter().find(|day| day.day == today).map(|day| day.counts).unwrap_or_default();
    let gate = report.gates.first().map(|gate| gate.name.clone()).unwrap_or_default();
    shown(&Page {
        frame: Frame::live("Overview", "/"),
        gate,
        wrong: wrong(&health),
        today,
        total: report.total,
        picture: Picture::of(&report.days, now),
        would_deny: report.would_deny.len(),
        refused: refused.rows,
        upstreams: upstreams(&live, &series),
        trusts: trusts(&health),
        caches: caches(&series),
        kept: size(series.one("pullgate_blobs_kept_bytes").unwrap_or(0.0)),
        enforcing: live.policy().enforcing_scopes(),
    })
}

fn text(value: &Value) -> String {
    value.as_str().map(fit).unwrap_or_default()
}

fn wrong(health: &Value) -> Vec<Wrong> {
    let parts = health["wrong"].as_array().cloned().unwrap_or_default();
    parts
        .iter()
        .map(|part| Wrong {
            component: text(&part["component"]),
            state: text(&part["state"]),
            why: text(&part["why"]),
        })
        .collect()
}

fn trusts(health: &Value) -> Vec<Trust> {
    let tables = health["trust"].as_array().cloned().unwrap_or_default();
    tables
        .iter()
        .map(|table| Trust {
            name: text(&table["name"]),
            state: text(&table["state"]),
            age: table["age_seconds"].as_i64().map(age).unwrap_or_default(),
            expires: text(&table["expires"]),
        })
        .collect()
}

fn upstreams(live: &crate::live::Live, series: &Series) -> Vec<Upstream> {
    let names: BTreeSet<String> = live.config().upstreams.keys().map(ToString::to_string).collect();
    let count = |name: &str, failed: Failed| {
        let of = |(labels, value): (&std::collections::BTreeMap<String, String>, f64)| {
            let is_it = labels.get("upstream").is_some_and(|upstream| upstream == name);
            let status = labels.get("status").map(String::as_str).unwrap_or_default();
            (is_it && Failed::of(status) == failed).then_some(value)
        };
        whole(series.each("pullgate_upstream_requests_total").filter_map(of).sum())
    };
    let one = |name: String| {
        let label = ("upstream", name.as_str());
        let left = series.sum("pullgate_upstream_quota_remaining", label);
        let limit = series.sum("pullgate_upstream_quota_limit", label);
        Upstream {
            answered: count(&name, Failed::No),
            failed: count(&name, Failed::Yes),
            resting: usize::try_from(whole(series.sum("pullgate_upstream_endpoints_resting", label)))
                .unwrap_or(0),
            quota: if limit > 0.0 { format!("{left} of {limit} left") } else { String::new() },
            name,
        }
    };
    names.into_iter().map(one).collect()
}

/// Whether an upstream answered: what does not exist is an answer too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failed {
    No,
    Yes,
}

impl Failed {
    fn of(status: &str) -> Self {
        match status {
            "ok" | "manifest-unknown" | "upstream-not-shown" => Self::No,
            _ => Self::Yes,
        }
    }
}

fn caches(series: &Series) -> Vec<Cache> {
    let all = || series.each("pullgate_cache_total");
    let names: BTreeSet<&String> = all().filter_map(|(labels, _)| labels.get("cache")).collect();
    let count = |name: &str, result: &str| {
        let is_it = |labels: &std::collections::BTreeMap<String, String>| {
            labels.get("cache").is_some_and(|cache| cache == name)
                && labels.get("result").is_some_and(|is| is == result)
        };
        whole(all().filter(|(labels, _)| is_it(labels)).map(|(_, value)| value).sum())
    };
    let one =
        |name: &String| Cache { name: name.clone(), hits: count(name, "hit"), misses: count(name, "miss") };
    names.into_iter().map(one).collect()
}

/// A counter's value.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a counter is whole, and no less than nought"
)]
fn whole(value: f64) -> u64 {
    value as u64
}

/// Seconds in the largest unit that fits.
fn age(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Bytes in the largest unit that fits.
fn size(bytes: f64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut at) = (bytes, 0);
    while value >= 1_024.0 && at + 1 < units.len() {
        (value, at) = (value / 1_024.0, at + 1);
    }
    format!("{value:.0} {}", units.get(at).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_told_in_a_unit_that_fits() {
        assert_eq!([5, 600, 10_000, 1_000_000].map(age), ["5 s", "10 min", "2 h", "11 days"]);
        assert_eq!([0.0, 2_048.0, 5_368_709_120.0].map(size), ["0 bytes", "2 KiB", "5 GiB"]);
    }

    #[test]
    fn a_registry_that_says_no_has_answered_and_one_that_is_busy_or_away_has_not() {
        assert!(
            ["ok", "manifest-unknown", "upstream-not-shown"]
                .iter()
                .all(|status| Failed::of(status) == Failed::No)
        );
        assert!(
            ["upstream-status", "upstream-timeout", ""]
                .iter()
                .all(|status| Failed::of(status) == Failed::Yes)
        );
    }
}
