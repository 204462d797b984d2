//! The policy in force, with the count of what each line decided.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use jiff::SignedDuration;

use super::fault::Fault;
use super::frame::Frame;
use super::{Answer, Pages, WAIT, shown};
use crate::audit::Word;
use crate::audit::read::{Filter, ReadError, Reader};
use crate::report::fit;

/// Days that are counted.
const DAYS: i64 = 30;
/// Ways of deciding that are told apart. Over it: those that came first count.
const WAYS: usize = 20_000;

/// A line of the policy file.
struct Line {
    number: usize,
    text: String,
    met: u64,
    unmet: u64,
}

#[derive(askama::Template)]
#[template(path = "policy.html")]
struct Page {
    frame: Frame,
    revision: String,
    trust: String,
    file: String,
    lines: Vec<Line>,
    /// Answers of other revisions.
    others: u64,
    days: i64,
}

pub(super) async fn page(State(pages): State<Arc<Pages>>) -> Answer {
    let live = pages.app.live();
    let revisions = live.revisions();
    let (policies, revision) = (&live.config().policy, revisions.policy.to_string());
    let since = pages.app.clock.now().checked_sub(SignedDuration::from_hours(24 * DAYS)).ok();
    let reader = pages.log.reader().await?;
    let filter = Filter { since, ..Filter::default() };
    let counted = tokio::time::timeout(WAIT, count(&reader, filter, &revision));
    let counted = counted.await.map_err(|_| Fault::StillCounting)??;
    let path = policies.file.as_deref();
    let file = path.and_then(|file| file.file_name()).map(|name| name.to_string_lossy().into_owned());
    let file = file.unwrap_or_else(|| "built-in".to_owned());
    let of = |number: usize| counted.lines.get(&format!("{file}:{number}")).copied().unwrap_or_default();
    let text = policies.text.as_deref().unwrap_or_default();
    let lines = text.lines().enumerate().map(|(at, text)| {
        let (met, unmet) = of(at + 1);
        Line { number: at + 1, text: fit(text), met, unmet }
    });
    let lines = lines.collect();
    shown(&Page {
        frame: Frame::still("Policy", "/policy"),
        revision,
        trust: revisions.trust.to_string(),
        file: fit(&file),
        lines,
        others: counted.others,
        days: DAYS,
    })
}

/// Answers by the lines that decided them.
#[derive(Default)]
struct Counted {
    lines: BTreeMap<String, (u64, u64)>,
    others: u64,
}

/// Equal facts are decided by the same lines: one record tells for all of a kind.
async fn count(reader: &Reader, filter: Filter, revision: &str) -> Result<Counted, ReadError> {
    let mut ways: BTreeMap<[String; 5], (i64, u64)> = BTreeMap::new();
    let mut sums = reader.sums(filter);
    while let Some(sum) = sums.next().await? {
        let facts = sum.facts;
        if facts.kind != "manifest" || facts.policy.is_empty() {
            continue;
        }
        let way = [facts.policy, facts.verdict.into_owned(), facts.ground, facts.code, facts.signers];
        if ways.len() < WAYS || ways.contains_key(&way) {
            let (newest, count) = ways.entry(way).or_insert((sum.position, 0));
            (*newest, *count) = ((*newest).max(sum.position), count.saturating_add(sum.count));
        }
    }
    let counts: BTreeMap<i64, u64> = ways.into_values().collect();
    let places: Vec<i64> = counts.keys().copied().collect();
    let mut counted = Counted::default();
    for found in reader.at(&places).await? {
        let count = found.position.and_then(|position| counts.get(&position)).copied().unwrap_or(0);
        let record = found.record;
        if record.policy_revision != revision {
            counted.others = counted.others.saturating_add(count);
            continue;
        }
        let (mut met, mut unmet) = (record.requirements, record.unmet);
        let locations = record.reasons.into_iter().filter_map(|reason| reason.location);
        match (record.verdict, record.ground.as_str()) {
            // The line of an exemption, or of a policy that denies by name, stands in the reason alone.
            (Word::Permit, "exempt") => met.extend(locations),
            (Word::Permit, "warn-only") | (Word::Deny, _) => unmet.extend(locations),
            (Word::Permit | Word::Missing | Word::Refused | Word::Undecided, _) => {}
        }
        unmet.sort_unstable();
        unmet.dedup();
        for line in met {
            let (met, _) = counted.lines.entry(line).or_default();
            *met = met.saturating_add(count);
        }
        for line in unmet {
            let (_, unmet) = counted.lines.entry(line).or_default();
            *unmet = unmet.saturating_add(count);
        }
    }
    Ok(counted)
}
