//! One answer: what was asked, what was found, which line refused, how to cure it; and the story that it is a part of.

use std::sync::Arc;

use axum::extract::{Path, State};
use jiff::SignedDuration;
use pullgate_policy::code::Code;

use super::fault::Fault;
use super::frame::Frame;
use super::search::{Row, row, rows, verdict};
use super::{Answer, Pages, shown};
use crate::audit::Record;
use crate::audit::read::{Filter, Found, Reader};
use crate::report::fit;

/// Digits of an id that say which answer is meant.
const DIGITS: std::ops::RangeInclusive<usize> = 4..=32;
/// Other answers of its story.
const OF_STORY: usize = 100;
/// The time around an answer in which its story is looked for.
const AROUND: SignedDuration = SignedDuration::from_hours(1);

/// A signature, and what it was worth.
pub(super) struct Signed {
    pub(super) by: String,
    pub(super) found: String,
    pub(super) attests: String,
    pub(super) worth: String,
    pub(super) class: &'static str,
}

/// A reason, with the line that it is about.
pub(super) struct Reason {
    pub(super) code: String,
    pub(super) location: String,
    pub(super) text: String,
}

#[derive(askama::Template)]
#[template(path = "answer.html")]
struct Page {
    frame: Frame,
    class: &'static str,
    word: &'static str,
    facts: Vec<(&'static str, String)>,
    digest: String,
    root: String,
    reasons: Vec<Reason>,
    signed: Vec<Signed>,
    failed: Vec<(String, String)>,
    met: Vec<String>,
    unmet: Vec<String>,
    cure: String,
    id: String,
    story: Vec<Row>,
}

pub(super) async fn page(State(pages): State<Arc<Pages>>, Path(id): Path<String>) -> Answer {
    let id = id.to_ascii_lowercase();
    if !DIGITS.contains(&id.len()) || !id.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(Fault::Asked("an id is hexadecimal digits, from 4 to 32".to_owned()));
    }
    let reader = pages.log.reader().await?;
    let found = find(&reader, &id).await?;
    let story = story(&reader, &found).await?;
    shown(&Page::of(&found.record, &found, story))
}

async fn find(reader: &Reader, id: &str) -> Result<Found, Fault> {
    if let Some(found) = reader.shown(id).await?.into_iter().next() {
        return Ok(found);
    }
    // The id of a permit is shown to nobody: it is looked for.
    let filter = Filter { id: Some(id.to_owned()), ..Filter::default() };
    let looked = async { reader.search(filter).await?.next().await };
    match tokio::time::timeout(super::WAIT, looked).await {
        Ok(found) => {
            found?.ok_or(Fault::NotFound("no record has this id; it may be older than `audit.retain`"))
        }
        Err(_) => Err(Fault::NotFound(
            "not among the newest records: `pullgate audit show` looks through all of them",
        )),
    }
}

async fn story(reader: &Reader, found: &Found) -> Result<Vec<Row>, Fault> {
    if found.record.story.is_empty() {
        return Ok(Vec::new());
    }
    let filter = Filter {
        story: Some(found.record.story.clone()),
        since: found.time.checked_sub(AROUND).ok(),
        until: found.time.checked_add(AROUND).ok(),
        ..Filter::default()
    };
    Ok(rows(reader, filter, OF_STORY).await?.rows)
}

impl Page {
    fn of(record: &Record, found: &Found, story: Vec<Row>) -> Self {
        let (class, word) = verdict(record);
        let reason = |reason: &crate::audit::Reason| Reason {
            code: fit(&reason.code),
            location: fit(reason.location.as_deref().unwrap_or_default()),
            text: fit(&reason.text),
        };
        let cure = record.reasons.first().and_then(|reason| Code::find(&reason.code)).map(Code::cure);
        Self {
            frame: Frame::still(row(found).what, ""),
            class,
            word,
            facts: facts(record),
            digest: fit(record.digest.as_deref().unwrap_or_default()),
            root: fit(record.root.as_deref().unwrap_or_default()),
            reasons: record.reasons.iter().map(reason).collect(),
            signed: signed(record),
            failed: failed(record),
            met: record.requirements.iter().map(|line| fit(line)).collect(),
            unmet: record.unmet.iter().map(|line| fit(line)).collect(),
            cure: cure.unwrap_or_default().to_owned(),
            id: fit(&record.id),
            story,
        }
    }
}

/// Each signature that holds, and what it was worth.
pub(super) fn signed(record: &Record) -> Vec<Signed> {
    let counted = record.identities.iter().map(|by| Signed {
        by: fit(by),
        found: String::new(),
        attests: String::new(),
        worth: format!("counted as {}", fit(&record.authorities.join(", "))),
        class: "permit",
    });
    let told = record.signers.iter().map(|signer| {
        let (worth, class) = match &signer.code {
            Some(code) => (format!("does not count: {code}"), "deny"),
            None => (format!("counts as {}", signer.authorities.join(", ")), "permit"),
        };
        Signed {
            by: fit(&signer.by),
            found: fit(&signer.layout),
            attests: fit(signer.attests.as_deref().unwrap_or_default()),
            worth: fit(&worth),
            class,
        }
    });
    counted.chain(told).collect()
}

/// Each piece that does not hold: its digest, and where it was found with the code.
pub(super) fn failed(record: &Record) -> Vec<(String, String)> {
    let one = |failed: &crate::audit::Failed| {
        (fit(&failed.digest), format!("{}: {}", fit(&failed.layout), fit(&failed.code)))
    };
    record.failed.iter().map(one).collect()
}

fn facts(record: &Record) -> Vec<(&'static str, String)> {
    let perhaps = |said: &Option<String>| said.clone().unwrap_or_default();
    let client = record.client.as_ref().map(|client| {
        let behind = client.forwarded.as_deref().map_or(String::new(), |address| format!(", for {address}"));
        format!("{}{behind}", client.address)
    });
    let names = record.client.as_ref().map(|client| client.names.join(", "));
    let agent = record.client.as_ref().map(|client| client.user_agent.clone());
    let all = [
        ("time", format!("{:.3}", record.time)),
        ("gate", record.gate.clone()),
        ("client", client.unwrap_or_default()),
        ("proven names", names.unwrap_or_default()),
        ("user agent", agent.unwrap_or_default()),
        ("asked", format!("{} {} {}", record.method, record.repository, record.reference)),
        ("status", record.status.to_string()),
        ("ground", record.ground.clone()),
        ("type", perhaps(&record.media_type)),
        ("tag was", perhaps(&record.moved_from)),
        ("policy", perhaps(&record.policy)),
        ("policy revision", record.policy_revision.clone()),
        ("trust revision", record.trust_revision.clone()),
        ("memory", record.cache.clone()),
        ("warned", perhaps(&record.warning)),
        ("took", format!("{} ms", record.milliseconds)),
    ];
    all.into_iter()
        .map(|(name, said)| (name, fit(said.trim())))
        .filter(|(_, said)| !said.is_empty())
        .collect()
}
