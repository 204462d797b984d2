//! `pullgate audit import`: other gates' exports, to be read.

use std::path::PathBuf;

use super::super::{Exit, complain, failed, print};
use crate::audit;
use crate::cli::progress;

pub(super) const EXAMPLES: &str = "\
Makes a database of exports or log files, which the other commands read by --file. Each record names its gate. See first by
`audit verify FILE` whether somebody altered one: an import does not ask.

Examples:
  pullgate audit import gate-1.jsonl gate-2.jsonl --to november.db
  pullgate audit search --file november.db --gate gate-2 --verdict deny

Exit codes: 0 imported, 1 lines were left out that are no records, 2 usage, or it cannot be read or written.";

/// The arguments of `audit import`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Exports or log files, in the order of their time
    #[arg(required = true, value_name = "EXPORT")]
    exports: Vec<PathBuf>,
    /// The database that is made
    #[arg(long, value_name = "DATABASE")]
    to: PathBuf,
}

pub(super) async fn run(arguments: &Arguments) -> Exit {
    let work = audit::import(&arguments.exports, &arguments.to);
    match progress::during("importing", work).await {
        Ok(imported) => {
            print(&format!("{} records in {}\n", imported.records, arguments.to.display()));
            if imported.unread == 0 {
                return Exit::Success;
            }
            complain(&format!(
                "{} lines are no records of this release, and were left out\n",
                imported.unread
            ));
            Exit::No
        }
        Err(fault) => {
            failed(&fault);
            Exit::Usage
        }
    }
}
