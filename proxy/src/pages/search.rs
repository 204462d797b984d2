//! Records by what is asked of them, a page at a time, the newest first.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tokio::time::Instant;

use super::fault::Fault;
use super::frame::Frame;
use super::{Answer, Pages, shown};
use crate::audit::read::{Filter, Found, Glob, ReadError, Reader, Step, moment};
use crate::audit::{Record, Word};
use crate::report::fit;

/// Rows of a page.
const ROWS: usize = 100;
/// Time after which a page shows the rows that it has.
const LOOK: Duration = Duration::from_secs(5);
/// Bytes of one field of the form.
const FIELD: usize = 1_024;

/// The question as the form sends it: an empty field asks nothing.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    since: String,
    until: String,
    repository: String,
    digest: String,
    tag: String,
    client: String,
    identity: String,
    policy: String,
    verdict: String,
    code: String,
    story: String,
    /// The end of the page before: its place, and its time in milliseconds.
    before: String,
}

/// A record in a table.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) short: String,
    pub(super) time: String,
    pub(super) verdict: &'static str,
    pub(super) word: &'static str,
    pub(super) why: String,
    pub(super) what: String,
    pub(super) digest: String,
    pub(super) client: String,
    pub(super) by: String,
    /// The number of requests that it sums up; 0 where it is one.
    pub(super) count: u64,
}

/// Records, and where they end.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
    /// The beginning of the next page; empty on the last one.
    next: String,
    /// Whether not all of it was looked at.
    is_cut: bool,
}

#[derive(askama::Template)]
#[template(path = "search.html")]
struct Page {
    frame: Frame,
    asked: Asked,
    found: Rows,
    next: String,
    verdicts: [&'static str; 5],
}

pub(super) async fn page(
    State(pages): State<Arc<Pages>>,
    asked: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
) -> Answer {
    let Query(asked) = asked.map_err(|error| Fault::Asked(error.body_text()))?;
    let filter = asked.filter(pages.app.clock.now())?;
    let found = rows(&pages.log.reader().await?, filter, ROWS).await?;
    let next = if found.next.is_empty() { String::new() } else { asked.at(&found.next) };
    shown(&Page {
        frame: Frame::still("Search", "/search"),
        verdicts: ["permit", "deny", "undecided", "missing", "refused"],
        asked,
        found,
        next,
    })
}

impl Asked {
    /// Whether this verdict is asked for.
    fn has_verdict(&self, verdict: &str) -> bool {
        self.verdict == verdict
    }

    fn filter(&self, now: Timestamp) -> Result<Filter, Fault> {
        for field in self.fields().map(|(_, value)| value) {
            if field.len() > FIELD {
                return Err(Fault::Asked(format!("a field is over {FIELD} bytes")));
            }
        }
        let text = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let time = |field: &str| text(field).map(|text| moment(&text, now)).transpose().map_err(Fault::Asked);
        let verdict = match self.verdict.as_str() {
            "" => None,
            "deny" => Some(Word::Deny),
            "missing" => Some(Word::Missing),
            "permit" => Some(Word::Permit),
            "refused" => Some(Word::Refused),
            "undecided" => Some(Word::Undecided),
            _ => return Err(Fault::Asked("`verdict` is none of those that there are".to_owned())),
        };
        let mut filter = Filter {
            since: time(&self.since)?,
            until: time(&self.until)?,
            repository: text(&self.repository).map(|glob| Glob::new(&glob)),
            digest: text(&self.digest),
            tag: text(&self.tag),
            client: text(&self.client),
            identity: text(&self.identity).map(|glob| Glob::new(&glob)),
            policy: text(&self.policy),
            verdict,
            code: text(&self.code),
            story: text(&self.story),
            ..Filter::default()
        };
        if let Some(before) = text(&self.before) {
            let wrong = || Fault::Asked("`before` is no place of a page".to_owned());
            let (place, time) = before.split_once('-').ok_or_else(wrong)?;
            filter.before = Some(place.parse().map_err(|_| wrong())?);
            // Records of strangers have no place: the time keeps those that were shown from a second page.
            let ended = time
                .parse()
                .ok()
                .and_then(|time| Timestamp::from_millisecond(time).ok())
                .ok_or_else(wrong)?;
            let just_after = ended.checked_add(SignedDuration::from_millis(1)).unwrap_or(ended);
            filter.until = Some(filter.until.map_or(just_after, |until| until.min(just_after)));
        }
        Ok(filter)
    }

    fn fields(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let Self {
            since,
            until,
            repository,
            digest,
            tag,
            client,
            identity,
            policy,
            verdict,
            code,
            story,
            before,
        } = self;
        [
            ("since", since),
            ("until", until),
            ("repository", repository),
            ("digest", digest),
            ("tag", tag),
            ("client", client),
            ("identity", identity),
            ("policy", policy),
            ("verdict", verdict),
            ("code", code),
            ("story", story),
            ("before", before),
        ]
        .into_iter()
    }

    /// The same question, from this place on.
    fn at(&self, next: &str) -> String {
        let asked = self.fields().filter(|(name, value)| *name != "before" && !value.is_empty());
        let encoded = |text: &str| {
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
        };
        let mut query: String = asked.map(|(name, value)| format!("{name}={}&", encoded(value))).collect();
        query.push_str("before=");
        query.push_str(next);
        query
    }
}

/// As many as fit, the newest first.
pub(super) async fn rows(reader: &Reader, filter: Filter, most: usize) -> Result<Rows, ReadError> {
    let mut search = reader.search(filter).await?;
    let (mut rows, mut next, mut is_cut) = (Vec::new(), String::new(), false);
    let (mut place, begun) = (None, Instant::now());
    loop {
        if begun.elapsed() > LOOK {
            is_cut = true;
            break;
        }
        match search.step().await? {
            Step::Nothing => {}
            Step::End => break,
            Step::Found(found) => {
                if rows.len() == most {
                    if let Some(place) = place {
                        next = place;
                    }
                    break;
                }
                place = ended(&found).or(place);
                rows.push(row(&found));
            }
        }
    }
    Ok(Rows { rows, next, is_cut })
}

fn ended(found: &Found) -> Option<String> {
    Some(format!("{}-{}", found.position?, found.time.as_millisecond()))
}

/// A record as a row of a table.
pub(super) fn row(found: &Found) -> Row {
    let record = &found.record;
    let (verdict, word) = verdict(record);
    let why = record.reasons.first().map_or_else(|| record.ground.clone(), |reason| reason.code.clone());
    let name = if record.repository.is_empty() { &record.upstream } else { &record.repository };
    let of = if record.reference.contains(':') { "@" } else { ":" };
    let what = match (name.is_empty(), record.reference.is_empty()) {
        (true, true) => record.kind.as_str().to_owned(),
        (false, true) => name.clone(),
        (true, false) => record.reference.clone(),
        (false, false) => format!("{name}{of}{}", record.reference),
    };
    Row {
        id: fit(&record.id),
        short: fit(&record.id).chars().take(12).collect(),
        time: crate::report::shown::time(&found.time),
        verdict,
        word,
        why: fit(&why),
        what: fit(&what),
        digest: fit(record.digest.as_deref().unwrap_or_default()),
        client: fit(&client(record)),
        by: fit(&signers(record)),
        count: record.count,
    }
}

/// The class of a record's verdict, and the word for it.
pub(super) fn verdict(record: &Record) -> (&'static str, &'static str) {
    match (record.verdict, record.ground.as_str()) {
        (Word::Permit, "warn-only") => ("warn", "warn"),
        (Word::Permit, _) => ("permit", "permit"),
        (Word::Deny, _) => ("deny", "deny"),
        (Word::Missing, _) => ("missing", "missing"),
        (Word::Refused, _) => ("refused", "refused"),
        (Word::Undecided, _) => ("undecided", "undecided"),
    }
}

/// The client: its proven names, else its address.
pub(super) fn client(record: &Record) -> String {
    let Some(client) = &record.client else { return String::new() };
    if !client.names.is_empty() {
        return client.names.join(", ");
    }
    client.forwarded.clone().unwrap_or_else(|| client.address.clone())
}

fn signers(record: &Record) -> String {
    if record.identities.is_empty() {
        let by: std::collections::BTreeSet<&str> = record.signers.iter().map(|one| one.by.as_str()).collect();
        return by.into_iter().collect::<Vec<_>>().join(", ");
    }
    record.identities.join(", ")
}
