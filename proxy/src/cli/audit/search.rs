//! `pullgate audit search`.

use std::time::Duration;

use clap::ValueEnum;

use super::super::{Exit, complain, put};
use super::fit::fit;
use super::{Between, Scan, export};
use crate::audit::Word;
use crate::audit::read::{Filter, Found, Glob, ReadError, Reader, Step, Total};
use crate::cli::paint::Paint;

pub(super) const EXAMPLES: &str = "\
The newest first, from a running gate's database or a copy of it; nothing is written. Conditions are joined by and. In a
GLOB `*` is any text and `?` one character. Times: an age (30m, 24h, 30d), a day in UTC (2026-11-30), or a date-time.

Examples:
  pullgate audit search --config pullgate.toml --since 24h --verdict deny
                                                       what was refused since yesterday
  pullgate audit search -c pullgate.toml --digest sha256:… --since 2026-11-01 --until 2026-12-01
                                                       who ran this image in November, and who signed it
  pullgate audit search -c pullgate.toml --repository 'ghcr.io/myorg/*' --identity '*mallory*'
  pullgate audit search -c pullgate.toml --client 10.0.0.7 --follow
                                                       what a node pulls, as it comes
  pullgate audit search --file copy-of-audit.db --format csv --limit 0 > pulls.csv

Exit codes: 0 something was found, 1 nothing, 2 usage, or the log cannot be read.";

/// Between two looks of `--follow`.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// The arguments of `audit search`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    between: Between,
    /// The repository: docker.io/library/alpine, 'ghcr.io/myorg/*'
    #[arg(long, value_name = "GLOB")]
    repository: Option<String>,
    /// The digest that was served or judged, or a root
    #[arg(long)]
    digest: Option<String>,
    /// The tag as asked
    #[arg(long)]
    tag: Option<String>,
    /// The client: its address, or a name that it proved
    #[arg(long)]
    client: Option<String>,
    /// Who signed: an identity with its issuer, or a key's fingerprint
    #[arg(long, value_name = "GLOB")]
    identity: Option<String>,
    /// The policy that governed
    #[arg(long)]
    policy: Option<String>,
    /// What was answered
    #[arg(long, value_enum)]
    verdict: Option<Verdict>,
    /// The code of the first reason
    #[arg(long)]
    code: Option<String>,
    /// All requests of one client for one image
    #[arg(long, value_name = "ID")]
    story: Option<String>,
    /// The gate that wrote it
    #[arg(long)]
    gate: Option<String>,
    /// How many at most; 0 is all
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// Go on with what comes
    #[arg(long)]
    follow: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How records are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A table with a heading, for spreadsheets
    Csv,
    /// The records as they were written, one a line
    Json,
    /// For people
    Text,
}

/// What was answered, as it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Verdict {
    Deny,
    Missing,
    Permit,
    Refused,
    Undecided,
}

impl Verdict {
    fn word(self) -> Word {
        match self {
            Self::Deny => Word::Deny,
            Self::Missing => Word::Missing,
            Self::Permit => Word::Permit,
            Self::Refused => Word::Refused,
            Self::Undecided => Word::Undecided,
        }
    }
}

impl Arguments {
    fn filter(&self) -> Filter {
        Filter {
            since: self.between.since,
            until: self.between.until,
            gate: self.gate.clone(),
            repository: self.repository.as_deref().map(Glob::new),
            digest: self.digest.clone(),
            tag: self.tag.clone(),
            client: self.client.clone(),
            identity: self.identity.as_deref().map(Glob::new),
            policy: self.policy.clone(),
            verdict: self.verdict.map(Verdict::word),
            code: self.code.clone(),
            story: self.story.clone(),
            id: None,
            before: None,
        }
    }
}

pub(super) async fn run(reader: &Reader, arguments: &Arguments) -> Result<Exit, ReadError> {
    let (filter, format) = (arguments.filter(), arguments.format);
    let left = reader.not_carried_over().await?;
    if left > 0 {
        complain(&format!(
            "{left} records of an earlier release are not carried over yet: ask again for them\n"
        ));
    }
    let newest = reader.newest().await?;
    if put(head(format)).is_err() {
        return Ok(Exit::Success);
    }
    if arguments.follow {
        return follow(reader, &filter, arguments, newest).await;
    }
    let (mut search, scan) = (reader.search(filter.clone()).await?, Scan::new());
    let mut printed = 0_usize;
    loop {
        match search.step().await? {
            Step::Nothing => scan.at(search.progress()),
            Step::End => break,
            Step::Found(_) if arguments.limit > 0 && printed == arguments.limit => {
                tell_the_rest(reader, &filter, printed).await?;
                break;
            }
            Step::Found(found) => {
                printed += 1;
                // Who reads has enough: nothing is left to be looked for.
                if put(&line(&found, format)).is_err() {
                    break;
                }
            }
        }
    }
    Ok(if printed > 0 { Exit::Success } else { Exit::No })
}

/// Says how many there are beyond the limit, on standard error: what is printed stays what was found.
async fn tell_the_rest(reader: &Reader, filter: &Filter, printed: usize) -> Result<(), ReadError> {
    let rest = |total: u64| total.saturating_sub(printed as u64).max(1);
    let more = match reader.total(filter).await? {
        Total::Exactly(total) => format!("{} more", rest(total)),
        Total::AtMost(total) => format!("at most {} more", rest(total)),
    };
    complain(&format!("{more}: --limit 0 prints all, --since and --until narrow\n"));
    Ok(())
}

async fn follow(
    reader: &Reader,
    filter: &Filter,
    arguments: &Arguments,
    newest: i64,
) -> Result<Exit, ReadError> {
    let mut search = reader.search(filter.clone()).await?;
    let mut before = Vec::new();
    while (arguments.limit == 0 || before.len() < arguments.limit)
        && let Some(found) = search.next().await?
    {
        before.push(found);
    }
    for found in before.iter().rev() {
        if put(&line(found, arguments.format)).is_err() {
            return Ok(Exit::Success);
        }
    }
    let mut last = newest;
    loop {
        let coming = reader.after(last).await?;
        for found in &coming {
            last = found.position.unwrap_or(last);
            if filter.passes(found) && put(&line(found, arguments.format)).is_err() {
                return Ok(Exit::Success);
            }
        }
        if coming.is_empty() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

fn head(format: Format) -> &'static str {
    match format {
        Format::Csv => export::HEAD,
        Format::Json | Format::Text => "",
    }
}

fn line(found: &Found, format: Format) -> String {
    match format {
        Format::Csv => export::csv(&found.record),
        Format::Json => format!("{}\n", found.line),
        Format::Text => people(found, Paint::of(&std::io::stdout())),
    }
}

/// `2026-11-30 12:00:00  deny  ghcr.io/myorg/app:v1  10.0.0.7  no-signature  7f3c00d1e2a4`
fn people(found: &Found, paint: Paint) -> String {
    let record = &fit(&found.record);
    let word = format!("{:<9}", record.verdict.as_str());
    let word = match (record.verdict, record.ground.as_str()) {
        (Word::Permit, "warn-only") => paint.odd("warned   "),
        (Word::Permit, _) => paint.good(&word),
        (Word::Deny, _) => paint.bad(&word),
        (Word::Missing | Word::Refused | Word::Undecided, _) => paint.odd(&word),
    };
    let what = match (record.repository.as_str(), record.reference.as_str()) {
        ("", "") => record.kind.as_str().to_owned(),
        ("", reference) => format!("{}{reference}", record.upstream),
        (repository, "") => repository.to_owned(),
        (repository, digest) if digest.contains(':') => format!("{repository}@{digest}"),
        (repository, tag) => format!("{repository}:{tag}"),
    };
    let client =
        record.client.as_ref().map_or("-", |client| client.forwarded.as_deref().unwrap_or(&client.address));
    let why = record.reasons.first().map_or(record.ground.as_str(), |reason| reason.code.as_str());
    let times = if record.count > 0 { format!(" x{}", record.count) } else { String::new() };
    let signers = if record.identities.is_empty() {
        String::new()
    } else {
        format!("  {}", record.identities.join(", "))
    };
    let (time, id) = (found.time.strftime("%Y-%m-%d %H:%M:%S"), record.id.get(..12).unwrap_or(&record.id));
    format!("{time}  {word}  {}{times}  {client}  {why}  {}{signers}\n", what, paint.dim(id))
}
