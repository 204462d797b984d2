//! `pullgate report`: who pulled what, signed by whom, and what would break.

use std::io;
use std::path::PathBuf;

use clap::ValueEnum;
use jiff::Timestamp;
use pullgate_config::Config;

use super::audit::{DATABASE, since};
use super::paint::Paint;
use super::{Exit, complain, configuration, failed, print, progress};
use crate::audit::read::{ReadError, Reader};
use crate::limits::REPORT_ENTRIES;
use crate::report::{self, About, Report, Section, Sections};

mod html;
mod text;
mod without;

pub(super) const EXAMPLES: &str = "\
Reads the pull log beside the running gate, or a copy of it by --file; nobody is asked and nothing is
written. With a configuration it knows the policy too: its exemptions, and whom it names already.
Without a switch it tells all of it.

Examples:
  pullgate report --config pullgate.toml               the last 30 days
  pullgate report --config pullgate.toml --would-deny  what breaks when \"warn\" becomes \"enforce\",
                                                       and whose pulls
  pullgate report --config pullgate.toml --signers     who signs what the nodes pull
  pullgate report --config pullgate.toml --authority release --only
                                                       what rests on a key that is withdrawn
  pullgate report --config pullgate.toml --exemptions  which end soon, which nobody uses
  pullgate report --file copy-of-audit.db --by client --since 7d
  pullgate report --config pullgate.toml --format html > report.html

Exit codes: 0 told; with --would-deny 1 where something would be refused; 2 usage, or the log cannot be
read.";

/// The arguments of `report`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration file; without it the built-in defaults, or the log of --file alone
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A database in place of the gate's own: a copy of `audit.db`, or what `audit import` made
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Pulls since then: an age (30d), a day or a moment; the days at both ends count as the log has them
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = since)]
    since: Timestamp,
    /// Pulls before then
    #[arg(long, value_name = "TIME", value_parser = since)]
    until: Option<Timestamp>,
    /// Images served with a warning that would be refused, by image and client
    #[arg(long)]
    would_deny: bool,
    /// Signers of pulled images, and the policy lines for those that none names
    #[arg(long)]
    signers: bool,
    /// Images that rest on this authority, or on this key or identity as the log names it
    #[arg(long, value_name = "NAME")]
    authority: Option<String>,
    /// Of those, images that nobody else carries
    #[arg(long, requires = "authority")]
    only: bool,
    /// Exemptions: which end soon, which nobody uses
    #[arg(long)]
    exemptions: bool,
    /// Registries that were asked for and are not served
    #[arg(long)]
    unserved: bool,
    /// The sums of each client, repository or gate
    #[arg(long, value_enum)]
    by: Option<By>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// The key of sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    Client,
    Gate,
    Repository,
}

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One page that needs nothing else, for a browser or a mail
    Html,
    /// For programs; proxy/README.md describes it
    Json,
    /// For people
    Text,
}

impl Arguments {
    /// The named sections; all of them where none is named.
    fn sections(&self) -> Sections {
        let named = [
            (self.would_deny, Section::WouldDeny),
            (self.signers, Section::Signers),
            (self.authority.is_some(), Section::Rests),
            (self.exemptions, Section::Exemptions),
            (self.unserved, Section::Unserved),
        ];
        let by = self.by.map(|by| match by {
            By::Client => Section::Clients,
            By::Gate => Section::Gates,
            By::Repository => Section::Repositories,
        });
        let named = named.into_iter().filter(|(is_named, _)| *is_named).map(|(_, section)| section);
        Sections::of(named.chain(by))
    }
}

/// Reads, and prints.
pub(super) async fn run(arguments: &Arguments) -> Exit {
    // A log by itself needs no configuration; who names neither means that of the gate.
    let config = match (&arguments.config, &arguments.file) {
        (None, Some(_)) => None,
        (path, _) => match configuration::usable(path.as_deref()) {
            Ok(loaded) => Some(loaded.config),
            Err(exit) => return exit,
        },
    };
    let mut report = match progress::during("the pull log is read", read(arguments, config.as_ref())).await {
        Ok(report) => report,
        Err(fault) => {
            failed(&fault);
            return Exit::Usage;
        }
    };
    if let (Some(name), Some(config), None) = (&arguments.authority, config, &arguments.file) {
        without::judge(config, name, &mut report.rests).await;
    }
    if arguments.only {
        report.rests.retain(|one| without::rests_alone(one.without));
    }
    let sections = arguments.sections();
    match arguments.format {
        Format::Html => print(&html::page(&report, &sections)),
        Format::Json => print(&format!("{}\n", sections.json(&report))),
        Format::Text => print(&text::render(&report, &sections, Paint::of(&io::stdout()))),
    }
    if arguments.would_deny && report.would_deny() { Exit::No } else { Exit::Success }
}

async fn read(arguments: &Arguments, config: Option<&Config>) -> Result<Report, ReadError> {
    let own = config.map(|config| config.state.join(DATABASE));
    let file = arguments.file.clone().or(own).unwrap_or_else(|| PathBuf::from(DATABASE));
    let now = Timestamp::now();
    let about = About {
        since: arguments.since,
        until: arguments.until.unwrap_or(Timestamp::MAX),
        now,
        policies: config.map(|config| &config.policy),
        authority: arguments.authority.as_deref(),
        most: REPORT_ENTRIES,
    };
    let reader = Reader::open(&file).await?;
    let left = reader.not_carried_over().await?;
    if left > 0 {
        complain(&format!(
            "{left} records of an earlier release are not carried over yet: ask again for them\n"
        ));
    }
    let report = report::make(&reader, &about).await?;
    Ok(Report { until: arguments.until.unwrap_or(now), ..report })
}
