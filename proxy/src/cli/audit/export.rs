//! `pullgate audit export`, and records as a table.

use clap::ValueEnum;

use super::super::{Exit, put};
use super::Between;
use super::fit::fit;
use crate::audit::Record;
use crate::audit::read::{Filter, ReadError, Reader};

pub(super) const EXAMPLES: &str = "\
Every record of a pull, a refused blob, a start, a stop and a reload, in the order in which they were written. JSON lines are
the lines of the log, byte for byte, so that `audit verify` holds for them too; requests that were refused before any upstream
was asked are in `audit search` only.

Examples:
  pullgate audit export --config pullgate.toml --since 2026-11-01 --until 2026-12-01 > november.jsonl
  pullgate audit export --config pullgate.toml --format csv > pulls.csv
  pullgate audit export --config pullgate.toml | curl --data-binary @- https://siem.corp.example/ingest

Exit codes: 0 printed, 1 there is none, 2 usage, or the log cannot be read.";

/// The heading of a table.
pub(super) const HEAD: &str = "time,gate,id,story,kind,verdict,status,repository,reference,digest,root,client,names,user_agent,policy,\
    policy_revision,ground,code,location,identities,requests,milliseconds\n";

/// The arguments of `audit export`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    between: Between,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table with a heading
    Csv,
    /// The records as they were written, one a line
    Json,
}

pub(super) async fn run(reader: &Reader, arguments: &Arguments) -> Result<Exit, ReadError> {
    let filter =
        Filter { since: arguments.between.since, until: arguments.between.until, ..Filter::default() };
    let mut last = reader.before_first(&filter).await?;
    let mut printed = false;
    if arguments.format == Format::Csv && put(HEAD).is_err() {
        return Ok(Exit::Success);
    }
    loop {
        let page = reader.after(last).await?;
        let Some(end) = page.last().and_then(|found| found.position) else { break };
        last = end;
        let mut text = String::new();
        for found in page.iter().filter(|found| filter.passes(found)) {
            match arguments.format {
                Format::Csv => text.push_str(&csv(&found.record)),
                Format::Json => {
                    text.push_str(&found.line);
                    text.push('\n');
                }
            }
        }
        printed |= !text.is_empty();
        if put(&text).is_err() {
            break;
        }
    }
    Ok(if printed { Exit::Success } else { Exit::No })
}

/// A record as a line of the table (RFC 4180), without characters that steer a screen. A field that a spreadsheet would
/// take for a formula gets an apostrophe before it, wherever the spreadsheet splits cells.
pub(super) fn csv(record: &Record) -> String {
    let record = &fit(record);
    let client = record.client.as_ref();
    let reason = record.reasons.first();
    let text = |text: Option<&String>| text.cloned().unwrap_or_default();
    let fields = [
        format!("{:.3}", record.time),
        record.gate.clone(),
        record.id.clone(),
        record.story.clone(),
        record.kind.as_str().to_owned(),
        record.verdict.as_str().to_owned(),
        record.status.to_string(),
        record.repository.clone(),
        record.reference.clone(),
        text(record.digest.as_ref()),
        text(record.root.as_ref()),
        client.map(|client| client.forwarded.as_ref().unwrap_or(&client.address).clone()).unwrap_or_default(),
        client.map(|client| client.names.join(" ")).unwrap_or_default(),
        client.map(|client| client.user_agent.clone()).unwrap_or_default(),
        text(record.policy.as_ref()),
        record.policy_revision.clone(),
        record.ground.clone(),
        reason.map(|reason| reason.code.clone()).unwrap_or_default(),
        text(reason.and_then(|reason| reason.location.as_ref())),
        record.identities.join(" "),
        record.count.max(1).to_string(),
        record.milliseconds.to_string(),
    ];
    let quoted: Vec<String> = fields.iter().map(|field| quoted(field)).collect();
    format!("{}\n", quoted.join(","))
}

/// What parts the fields of a table, in one country or another.
const PARTS: [char; 6] = [',', ';', '|', '\t', '\n', '\r'];

fn quoted(field: &str) -> String {
    let guarded = guarded(field);
    if guarded.contains([',', ';', '"', '\n', '\r']) {
        format!("\"{}\"", guarded.replace('"', "\"\""))
    } else {
        guarded
    }
}

fn guarded(field: &str) -> String {
    let mut guarded = String::with_capacity(field.len());
    let mut begins = true;
    for c in field.chars() {
        if begins && matches!(c, '=' | '+' | '-' | '@' | '\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}' | '\u{ff20}') {
            guarded.push('\'');
        }
        // Blanks and quotes before it are stripped by some.
        begins = PARTS.contains(&c) || (begins && (c.is_whitespace() || c == '"'));
        guarded.push(c);
    }
    guarded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_ends_no_line_and_is_no_formula() {
        for (field, expected) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"no\"", "\"say \"\"no\"\"\""),
            ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
            ("-1", "'-1"),
            ("x;=1+1", "\"x;'=1+1\""),
            ("a, =1", "\"a, '=1\""),
            (" =1+1", " '=1+1"),
            ("\t@a", "\t'@a"),
            ("\u{ff1d}1", "'\u{ff1d}1"),
            ("\"=1", "\"\"\"'=1\""),
            ("app@sha256:0a-b", "app@sha256:0a-b"),
        ] {
            assert_eq!(quoted(field), expected);
        }
    }
}
