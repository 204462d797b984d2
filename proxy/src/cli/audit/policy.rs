//! `pullgate audit policy`: the text that was in force.

use std::path::Path;

use super::super::{Exit, complain, failed, print};
use crate::audit::texts;

pub(super) const EXAMPLES: &str = "\
Each policy that was in force is kept under its revision in `policies`, beside the database. REVISION is `policy_revision` of a
record, or its first digits.

Examples:
  pullgate audit policy --config pullgate.toml 3f8a91c0
  pullgate audit policy --config pullgate.toml 3f8a91c0 --at policy.toml:43
                                                       the line that refused, with what is around it

Exit codes: 0 found, 1 there is none, 2 usage, or it cannot be read.";

/// Lines that are shown before and after the chosen one.
const AROUND: usize = 5;

/// The arguments of `audit policy`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The revision, or its first digits
    revision: String,
    /// A place as records name it, FILE:LINE, or a line
    #[arg(long, value_name = "PLACE", value_parser = line)]
    at: Option<usize>,
}

fn line(text: &str) -> Result<usize, String> {
    let number = text.rsplit_once(':').map_or(text, |(_, number)| number);
    number.parse().ok().filter(|line| *line > 0).ok_or_else(|| "a place is FILE:LINE, or a line".to_owned())
}

pub(super) fn run(database: &Path, arguments: &Arguments) -> Exit {
    let folder = database.with_file_name(texts::FOLDER);
    match texts::find(&folder, &arguments.revision) {
        Ok(Some((revision, text))) => {
            print(&shown(&revision, &text, arguments.at));
            Exit::Success
        }
        Ok(None) => {
            complain(&format!("no one policy under {} has this revision\n", folder.display()));
            Exit::No
        }
        Err(fault) => {
            failed(&fault);
            Exit::Usage
        }
    }
}

fn shown(revision: &str, text: &str, at: Option<usize>) -> String {
    let Some(at) = at else { return text.to_owned() };
    let first = at.saturating_sub(AROUND).max(1);
    let lines = text.lines().enumerate().map(|(n, line)| (n + 1, line));
    let near = lines.skip_while(|(n, _)| *n < first).take_while(|(n, _)| *n <= at + AROUND);
    let mut shown = format!("revision {revision}\n");
    for (n, line) in near {
        let mark = if n == at { '>' } else { ' ' };
        shown.push_str(&format!("{mark} {n:>4} | {line}\n"));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_is_meant_is_marked_among_its_neighbours() {
        let text: String = (1..=20).map(|n| format!("line {n}\n")).collect();
        let shown = shown("aa", &text, Some(7));
        assert!(shown.contains(">    7 | line 7\n") && shown.contains("     2 | line 2\n"), "{shown}");
        assert!(!shown.contains("line 1\n") && !shown.contains("line 13"), "{shown}");
        assert_eq!((line("policy.toml:43"), line("7")), (Ok(43), Ok(7)));
        assert!(line("policy.toml").is_err() && line("0").is_err());
    }
}
