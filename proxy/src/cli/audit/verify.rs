//! `pullgate audit verify`: whether anybody altered the log.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::PathBuf;

use super::super::{Exit, complain, failed, print};
use crate::audit::note::Begins;
use crate::audit::read::{ReadError, Reader};
use crate::audit::verify::{Altered, Finding, Outcome, Piece, Verifier};
use crate::audit::{Exported, PublicKey};
use crate::cli::paint::Paint;

pub(super) const EXAMPLES: &str = "\
Each record holds the hash of the one before, and the gate signs the newest when it starts, every five minutes, and when it
stops. Without a file the database is followed, with one an export or a log file. A gate that finds another log than it
left begins anew, and signs that: what was before is told apart, and does not hold where no head covers it. Keep the public
key (`audit key`) and heads away from the gate's machine: who has its key can write a whole log anew, and who cuts its end
off leaves what is before whole.

Examples:
  pullgate audit verify --config pullgate.toml         the database
  pullgate audit verify november.jsonl --key 'pullgate/gate-1+1f0c2d3e+AX…'
                                                       an export, far from the gate

Exit codes: 0 whole, 1 not whole, 2 usage, or the log cannot be read.";

/// The arguments of `audit verify`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// An export or a log file in place of the database
    #[arg(value_name = "FILE")]
    pub(super) lines: Option<PathBuf>,
    /// A public key, as `audit key` prints it; without one those beside the database
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
}

/// The keys of the command line, or those of the gate.
fn keys(arguments: &Arguments, own: &[PublicKey]) -> Result<Vec<PublicKey>, Exit> {
    if arguments.key.is_empty() {
        return Ok(own.to_vec());
    }
    let parsed: Result<Vec<_>, _> = arguments.key.iter().map(|text| PublicKey::parse(text)).collect();
    parsed.map_err(|fault| {
        failed(&fault);
        Exit::Usage
    })
}

/// Follows a file of lines.
pub(super) fn of_lines(arguments: &Arguments, own: &[PublicKey]) -> Exit {
    let Some(file) = &arguments.lines else { return Exit::Usage };
    let keys = match keys(arguments, own) {
        Ok(keys) => keys,
        Err(exit) => return exit,
    };
    let opened = match File::open(file) {
        Ok(opened) => opened,
        Err(fault) => {
            failed(&fault);
            return Exit::Usage;
        }
    };
    let mut verifier = Verifier::new(&keys);
    for line in Exported::new(BufReader::new(opened)) {
        match line {
            // One that is none of ours is looked at as one that is empty: as no record.
            Ok(line) => verifier.look(&line.unwrap_or_default()),
            Err(fault) => {
                failed(&fault);
                return Exit::Usage;
            }
        }
    }
    tell(&verifier.end(), &keys)
}

/// Follows the database.
pub(super) async fn of_rows(
    reader: &Reader,
    arguments: &Arguments,
    own: &[PublicKey],
) -> Result<Exit, ReadError> {
    let keys = match keys(arguments, own) {
        Ok(keys) => keys,
        Err(exit) => return Ok(exit),
    };
    Ok(tell(&follow(reader, &keys).await?.outcome, &keys))
}

/// What came of following the rows.
pub(super) struct Followed {
    outcome: Outcome,
    /// Of each piece of the log the place of its first row, and that of its newest signed head that holds: rows between
    /// are as the gate wrote them.
    covered: Vec<(i64, i64)>,
}

impl Followed {
    /// Whether a signed head that holds covers the row in this place.
    pub(super) fn covers(&self, position: i64) -> bool {
        self.covered.iter().any(|(first, head)| (*first..*head).contains(&position))
    }
}

/// Follows the rows, the oldest first.
pub(super) async fn follow(reader: &Reader, keys: &[PublicKey]) -> Result<Followed, ReadError> {
    let (mut verifier, mut covered) = (Verifier::new(keys), BTreeMap::<usize, (i64, i64)>::new());
    let (mut heads, mut last) = ((0, 0), 0);
    loop {
        let page = reader.lines_after(last).await?;
        if page.is_empty() {
            break;
        }
        for (position, line) in page {
            verifier.look(&line);
            last = position;
            let (piece, _) = verifier.heads();
            let (_, head) = covered.entry(piece).or_insert((position, i64::MIN));
            if verifier.heads() > heads {
                (heads, *head) = (verifier.heads(), position);
            }
        }
    }
    Ok(Followed { outcome: verifier.end(), covered: covered.into_values().collect() })
}

fn tell(outcome: &Outcome, keys: &[PublicKey]) -> Exit {
    let paint = Paint::of(&io::stdout());
    let Outcome { records, unchained, lost, pieces } = outcome;
    if *records == 0 {
        complain("there is no record\n");
        return Exit::No;
    }
    let mut text: String = pieces.iter().map(|piece| told(piece, keys, paint)).collect();
    if keys.is_empty() {
        text.push_str("without a key only the chain was followed: `--key`\n");
    }
    if *unchained > 0 {
        text.push_str(&format!("{unchained} records of an earlier release are in no chain\n"));
    }
    if *lost > 0 {
        text.push_str(&format!("{lost} records were lost, as the gate itself tells\n"));
    }
    print(&text);
    if outcome.finding().is_some() { Exit::No } else { Exit::Success }
}

/// A piece of the log, from when to when it holds, and what is wrong with it.
fn told(piece: &Piece, keys: &[PublicKey], paint: Paint) -> String {
    let Piece { begins, first, last, signed, heads, finding } = piece;
    let mut text = String::new();
    if let (Some((from, since)), Some((to, until))) = (first, last) {
        let begins = match begins {
            Some(Begins::First) => "where the log begins, ",
            Some(Begins::Anew) => "where the log begins anew, ",
            None => "",
        };
        text.push_str(&format!(
            "{} from record {from} ({begins}{since:.3}) to record {to} ({until:.3})\n",
            paint.good("holds")
        ));
    }
    match (keys.last(), signed) {
        // Its beginning alone: the next head comes within five minutes.
        (Some(key), Some((number, at))) if begins.is_some() && *heads == 1 => text.push_str(&format!(
            "its beginning, record {number} ({at:.3}), is signed by {}; the next head comes within five minutes\n",
            key.name()
        )),
        (Some(key), Some((number, at))) => text
            .push_str(&format!("signed up to record {number} ({at:.3}), {heads} heads, by {}\n", key.name())),
        (Some(key), None) if first.is_some() => {
            text.push_str(&format!("no head by {} is in it: only the chain was followed\n", key.name()));
        }
        (Some(_) | None, _) => {}
    }
    if let Some(finding) = finding {
        text.push_str(&format!("{} {}\n", paint.bad("not whole:"), said(finding)));
    }
    text
}

fn said(finding: &Finding) -> String {
    let Finding { sequence, time, what } = finding;
    let at = time.map_or(String::new(), |time| format!(" ({time:.3})"));
    match what {
        Altered::Changed => format!("record {sequence}{at} was changed"),
        Altered::Dropped => format!("records before record {sequence}{at} were dropped"),
        Altered::Head => format!(
            "the signed head in record {sequence}{at} is not that of these records, or not by this key"
        ),
        Altered::Missing => format!(
            "the log begins anew with record {sequence}{at}, as its gate signed: what was before is not here, or is not \
             what this gate wrote"
        ),
        Altered::PutIn => format!("record {sequence}{at} was put in"),
        Altered::TooManyPieces => format!("with record {sequence}{at} the log begins anew once too often"),
        Altered::Unsigned => format!(
            "from record {sequence}{at} on no head is signed by this key, though the gate signs one when it starts and \
             every five minutes: anybody could have written those records"
        ),
        Altered::Unreadable => format!("what stands where record {sequence}{at} should is no record"),
    }
}
