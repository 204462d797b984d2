//! `pullgate audit show`: one answer as a page.

use std::fmt::Write as _;
use std::io;

use pullgate_policy::code::Code;

use super::super::{Exit, complain, print};
use super::Scan;
use super::fit::fit;
use crate::audit::read::{Filter, Found, ReadError, Reader, Step};
use crate::audit::{Record, Word};
use crate::cli::paint::Paint;

pub(super) const EXAMPLES: &str = "\
ID is what a refused developer was shown, `pullgate 7f3c00d1e2a4`, or more or less of its digits.

Examples:
  pullgate audit show --config pullgate.toml 7f3c00d1e2a4
  pullgate audit show --file copy-of-audit.db 7f3c00d1e2a4

Exit codes: 0 found, 1 there is none, 2 usage, or the log cannot be read.";

/// Digits of an id that say which answer is meant.
const DIGITS_LEAST: usize = 4;
/// Other records of its story that are listed.
const OF_STORY: usize = 20;

/// The arguments of `audit show`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The decision id, or its first digits
    #[arg(value_parser = digits)]
    id: String,
}

fn digits(text: &str) -> Result<String, String> {
    let text = text.trim().to_ascii_lowercase();
    if text.len() >= DIGITS_LEAST && text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(text);
    }
    Err("an id is hexadecimal digits, at least the first four".to_owned())
}

pub(super) async fn run(reader: &Reader, arguments: &Arguments) -> Result<Exit, ReadError> {
    let mut found = reader.shown(&arguments.id).await?;
    if found.is_empty() {
        // The id of a served answer is in no column: it needs a scan.
        let filter = Filter { id: Some(arguments.id.clone()), ..Filter::default() };
        let (mut search, scan) = (reader.search(filter).await?, Scan::new());
        loop {
            match search.step().await? {
                Step::Nothing => scan.at(search.progress()),
                Step::Found(one) => {
                    found.push(*one);
                    break;
                }
                Step::End => break,
            }
        }
    }
    let paint = Paint::of(&io::stdout());
    match found.as_slice() {
        [] => {
            complain("no record has this id; it may be older than `audit.retain`, or of another gate\n");
            Ok(Exit::No)
        }
        [one] => {
            print(&page(&one.record, paint));
            print(&story(reader, one).await?);
            Ok(Exit::Success)
        }
        several => {
            for one in several {
                print(&page(&one.record, paint));
                print("\n");
            }
            Ok(Exit::Success)
        }
    }
}

/// The other requests of its story.
async fn story(reader: &Reader, one: &Found) -> Result<String, ReadError> {
    let story = &one.record.story;
    if story.is_empty() {
        return Ok(String::new());
    }
    let near = jiff::SignedDuration::from_hours(1);
    let filter = Filter {
        story: Some(story.clone()),
        since: one.time.checked_sub(near).ok(),
        until: one.time.checked_add(near).ok(),
        ..Filter::default()
    };
    let mut search = reader.search(filter).await?;
    let mut text = format!("\nstory {}, an hour around it\n", fit(&one.record).story);
    let mut listed = 0;
    while listed < OF_STORY
        && let Some(found) = search.next().await?
    {
        let Record { method, reference, verdict, .. } = &fit(&found.record);
        let this = if found.record.id == one.record.id { "  (this one)" } else { "" };
        line(
            &mut text,
            &format!("{:.3}  {method:<4}  {:<9}  {reference}{this}", found.time, verdict.as_str()),
        );
        listed += 1;
    }
    Ok(text)
}

fn line(text: &mut String, said: &str) {
    // To write into a string never fails.
    let _ = writeln!(text, "  {said}");
}

/// A record as a page.
fn page(record: &Record, paint: Paint) -> String {
    let record = &fit(record);
    let mut text = String::new();
    let word = match record.verdict {
        Word::Permit => paint.good("permit"),
        Word::Deny => paint.bad("deny"),
        Word::Missing | Word::Refused | Word::Undecided => paint.odd(record.verdict.as_str()),
    };
    let ground = if record.ground.is_empty() { String::new() } else { format!(" ({})", record.ground) };
    let _ = writeln!(
        text,
        "{} {}  {word}{ground}, status {}",
        paint.bold(record.kind.as_str()),
        record.id,
        record.status
    );
    for (name, said) in asked(record) {
        line(&mut text, &format!("{name:<10} {said}"));
    }
    list(&mut text, paint, "requirements met", &record.requirements);
    list(&mut text, paint, "requirements not met", &record.unmet);
    list(&mut text, paint, "signed by, and it counted", &record.identities);
    if !record.signers.is_empty() {
        let _ = writeln!(text, "{}", paint.bold("valid signatures"));
        for signer in &record.signers {
            let what = signer.attests.as_deref().map_or(String::new(), |what| format!(", attests {what}"));
            let worth = match &signer.code {
                Some(code) => paint.bad(&format!("does not count: {code}")),
                None => paint.good(&format!("counts as {}", signer.authorities.join(", "))),
            };
            line(&mut text, &format!("{} ({}{what}): {worth}", signer.by, signer.layout));
        }
    }
    if !record.failed.is_empty() {
        let _ = writeln!(text, "{}", paint.bold("evidence that does not hold"));
        for failed in &record.failed {
            line(&mut text, &format!("{} ({}): {}", failed.digest, failed.layout, failed.code));
        }
    }
    if !record.reasons.is_empty() {
        let _ = writeln!(text, "{}", paint.bold("reasons"));
        for reason in &record.reasons {
            let place = reason.location.as_deref().map_or(String::new(), |place| format!(" at {place}"));
            line(&mut text, &format!("{}{place}: {}", reason.code, reason.text));
        }
    }
    if let Some(code) = record.reasons.first().and_then(|reason| Code::find(&reason.code)) {
        let _ = writeln!(text, "{}", paint.bold("cure"));
        line(&mut text, code.cure());
    }
    text
}

fn list(text: &mut String, paint: Paint, name: &str, entries: &[String]) {
    if entries.is_empty() {
        return;
    }
    let _ = writeln!(text, "{}", paint.bold(name));
    for entry in entries {
        line(text, entry);
    }
}

/// The request and its outcome, as far as the record has them.
fn asked(record: &Record) -> Vec<(&'static str, String)> {
    let of = |name, said: &str| (name, said.to_owned());
    let perhaps = |name, said: &Option<String>| (name, said.clone().unwrap_or_default());
    let client = record.client.as_ref().map(|client| {
        let behind = client.forwarded.as_deref().map_or(String::new(), |address| format!(", for {address}"));
        let names =
            if client.names.is_empty() { String::new() } else { format!(", {}", client.names.join(", ")) };
        format!("{}{behind}{names}, {}", client.address, client.user_agent)
    });
    let what = [
        ("time", format!("{:.3}", record.time)),
        of("gate", &record.gate),
        ("client", client.unwrap_or_default()),
        ("asked", format!("{} {} {}", record.method, record.repository, record.reference).trim().to_owned()),
        perhaps("digest", &record.digest),
        perhaps("type", &record.media_type),
        perhaps("root", &record.root),
        perhaps("tag was", &record.moved_from),
        perhaps("policy", &record.policy),
        of("revision", &record.policy_revision),
        of("trust", &record.trust_revision),
        of("memory", &record.cache),
        perhaps("repeats", &record.verdict_id),
        perhaps("warned", &record.warning),
        ("took", format!("{} ms", record.milliseconds)),
    ];
    what.into_iter().filter(|(_, said)| !said.is_empty()).collect()
}
