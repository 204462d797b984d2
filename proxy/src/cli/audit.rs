//! `pullgate audit`: what the pull log says, beside the gate that writes it or from a copy of its database.

use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;

use super::{Exit, configuration, failed};
use crate::audit::read::{Progress, ReadError, Reader};
use crate::audit::{LogKey, PublicKey};

mod export;
mod fit;
mod import;
mod key;
mod policy;
mod search;
mod show;
mod verify;
mod vsa;

/// The file of the pull log's database, in the state folder.
pub(in crate::cli) const DATABASE: &str = "audit.db";

/// The arguments of `audit`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
    /// The configuration file, whose `state` has the log; without it the built-in defaults
    #[arg(long, short, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// A database in its place: a copy of `audit.db`, or what `audit import` made
    #[arg(long, value_name = "FILE", global = true, conflicts_with = "config")]
    file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print records as they were written, oldest first: for a SIEM, or for `audit import`
    #[command(after_help = export::EXAMPLES)]
    Export(export::Arguments),
    /// Make a database of other gates' exports, to be read by --file
    #[command(after_help = import::EXAMPLES)]
    Import(import::Arguments),
    /// Print the public key by which the gate signs its log
    #[command(after_help = key::EXAMPLES)]
    Key {
        /// How to print
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Print a policy that was in force, or the line of it that refused
    #[command(after_help = policy::EXAMPLES)]
    Policy(policy::Arguments),
    /// Find records, the newest first
    #[command(after_help = search::EXAMPLES)]
    Search(Box<search::Arguments>),
    /// Tell one answer as a page: what was asked, what was found, which line refused, what cures it
    #[command(after_help = show::EXAMPLES)]
    Show(show::Arguments),
    /// See whether anybody altered the log, from when to when it holds
    #[command(after_help = verify::EXAMPLES)]
    Verify(verify::Arguments),
    /// Print the verdict on a digest as a signed Verification Summary, for others to check
    #[command(after_help = vsa::EXAMPLES)]
    Vsa(vsa::Arguments),
}

/// How the key is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One line, as signed notes name it
    Note,
    /// For cosign and openssl
    Pem,
    /// Both
    Text,
}

/// Reads the log.
pub(super) async fn run(arguments: &Arguments) -> Exit {
    let (file, key) = match &arguments.file {
        Some(file) => (file.clone(), None),
        None => match configuration::usable(arguments.config.as_deref()) {
            Ok(loaded) => (loaded.config.state.join(DATABASE), loaded.config.audit.key_file),
            Err(exit) => return exit,
        },
    };
    let keys = PublicKey::read(&file);
    match &arguments.action {
        Action::Key { format } => return key::run(&keys, *format),
        Action::Import(arguments) => return import::run(arguments).await,
        Action::Policy(arguments) => return policy::run(&file, arguments),
        Action::Verify(arguments) if arguments.lines.is_some() => {
            return verify::of_lines(arguments, &keys);
        }
        Action::Export(_) | Action::Search(_) | Action::Show(_) | Action::Verify(_) | Action::Vsa(_) => {}
    }
    match asked(&file, &arguments.action, (&keys, key)).await {
        Ok(exit) => exit,
        Err(fault) => unreadable(&fault),
    }
}

async fn asked(
    file: &Path,
    action: &Action,
    (keys, key_file): (&[PublicKey], Option<PathBuf>),
) -> Result<Exit, ReadError> {
    let reader = Reader::open(file).await?;
    match action {
        Action::Export(arguments) => export::run(&reader, arguments).await,
        Action::Search(arguments) => search::run(&reader, arguments).await,
        Action::Show(arguments) => show::run(&reader, arguments).await,
        Action::Verify(arguments) => verify::of_rows(&reader, arguments, keys).await,
        Action::Vsa(arguments) => {
            let key_file = key_file.unwrap_or_else(|| file.with_file_name(LogKey::FILE));
            // Its name is in no envelope.
            match LogKey::load(&key_file, "") {
                Ok(key) => vsa::run(&reader, arguments, (&key, keys)).await,
                Err(fault) => {
                    failed(&fault);
                    Ok(Exit::Usage)
                }
            }
        }
        // Answered without a database.
        Action::Import(_) | Action::Key { .. } | Action::Policy(_) => Ok(Exit::Success),
    }
}

/// A log that is not there, or not to be read, answers no question.
fn unreadable(fault: &ReadError) -> Exit {
    failed(fault);
    Exit::Usage
}

/// From when to when.
#[derive(Debug, clap::Args)]
struct Between {
    /// Not before
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Timestamp>,
    /// Before
    #[arg(long, value_name = "TIME", value_parser = since)]
    until: Option<Timestamp>,
}

/// Parses a time of the command line, by the clock of now.
pub(in crate::cli) fn since(text: &str) -> Result<Timestamp, String> {
    crate::audit::read::moment(text, Timestamp::now())
}

/// How far a scan is, on a terminal's standard error.
struct Scan(ProgressBar);

impl Scan {
    fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(4));
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} {human_pos} of {human_len} records looked at ({elapsed})")
        {
            bar.set_style(style);
        }
        Self(bar)
    }

    fn at(&self, progress: Progress) {
        self.0.set_length(progress.all);
        self.0.set_position(progress.done);
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
