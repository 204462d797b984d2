//! `pullgate policy diff`: judges past pulls again by another policy.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use pullgate_config::{Config, Policies};
use pullgate_policy::oci::Reference;

use self::report::Report;
use super::pulled::All;
use crate::app::App;
use crate::cli::audit::since;
use crate::cli::paint::Paint;
use crate::cli::{Exit, Format, complain, configuration, failed, print, progress, serve, survey};
use crate::clock::Clock;
use crate::live::Live;
use crate::pull::replay::{self, Content, Replayed, Unknown};
use crate::server;

mod report;
mod text;

pub(super) const EXAMPLES: &str = "\
NEW.toml is a policy file with its keys beside it. Each manifest of the pull log is judged once, by
the function that judges pulls, from the evidence that the gate has kept; the registries are not
asked, and neither a running gate nor its state is touched. What was not kept is unknown, never
guessed; --fetch asks the registries for it.

Examples:
  pullgate policy diff --config pullgate.toml next.toml
  pullgate policy diff --config pullgate.toml next.toml --since 7d
  pullgate policy diff --config pullgate.toml next.toml --images images.txt --fetch
  pullgate policy diff --config pullgate.toml next.toml --format json | jq '.changes[].clients'

Exit codes: 0 nothing that was pulled would be refused, 1 something would, 2 it could not be found
out: usage, files, no pull log.";

/// How many manifests are judged side by side: while one is computed, others are read.
const AT_ONCE: usize = 16;

/// The arguments of `policy diff`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The policy that is tried
    #[arg(value_name = "NEW.toml")]
    new: PathBuf,
    /// The configuration of the gate; without it the built-in defaults
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Pulls since then: an age (30d), a day or a moment
    #[arg(long, value_name = "WHEN", default_value = "30d", value_parser = since)]
    since: Timestamp,
    /// Judge these images in place of the pull log: one a line, `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "since")]
    images: Option<PathBuf>,
    /// Ask the registries for content that was not kept
    #[arg(long)]
    fetch: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Both policies.
pub(super) struct Both {
    pub(super) app: Arc<App>,
    /// The one of the configuration.
    pub(super) own: Arc<Live>,
    /// The one that is tried.
    pub(super) other: Arc<Live>,
}

/// Replays and reports.
pub(super) async fn run(arguments: &Arguments) -> Exit {
    let (config, policies) = match read(arguments) {
        Ok(read) => read,
        Err(exit) => return exit,
    };
    let clock = Clock::system();
    let (since, log) = (arguments.since, config.state.join("audit.db"));
    let (app, _folder) = match server::beside(config, None, clock).await {
        Ok(made) => made,
        Err(error) => {
            serve::report(&error);
            return Exit::Usage;
        }
    };
    let own = app.live();
    let other = Arc::new(app.apart(&own.judging_by(policies)));
    let both = Both { app, own, other };
    let all = match &arguments.images {
        Some(list) => match survey::listed(list) {
            Ok(images) => All::of_list(&both.app.pull, &images).await,
            Err(why) => {
                complain(&format!("error: {why}\n"));
                return Exit::Usage;
            }
        },
        None => match All::of_log(&log, since).await {
            Ok(all) => all,
            Err(error) => return refused(&error),
        },
    };
    let report = progress::during("what was pulled is judged again", replayed(&both, arguments, all)).await;
    match arguments.format {
        Format::Json => print(&format!("{}\n", serde_json::to_string_pretty(&report).unwrap_or_default())),
        Format::Text => print(&text::render(&report, Paint::of(&io::stdout()))),
    }
    if report.refuses() { Exit::No } else { Exit::Success }
}

fn refused(error: &(dyn std::error::Error + 'static)) -> Exit {
    failed(error);
    Exit::Usage
}

fn read(arguments: &Arguments) -> Result<(Config, Policies), Exit> {
    let config = configuration::usable(arguments.config.as_deref())?.config;
    let policies = policies(&arguments.new, &config).map_err(|faults| configuration::refused(&faults))?;
    Ok((config, policies))
}

/// A policy file for this configuration.
pub(super) fn policies(path: &Path, config: &Config) -> Result<Policies, pullgate_config::Diagnostics> {
    let mut policies = pullgate_config::load_policy(path, Clock::system().now())?.policies;
    policies.set.permit_ttl = config.policy.set.permit_ttl;
    Ok(policies)
}

async fn replayed(both: &Both, arguments: &Arguments, all: All) -> Report {
    let (compared, fetch) = (arguments.images.is_some(), arguments.fetch);
    let verdicts = stream::iter(all.manifests)
        .map(|(content, pulled)| async move {
            let after = judged(both, &both.other, &content, fetch).await;
            // A list has no past answers.
            let before = match compared {
                true => Some(judged(both, &both.own, &content, fetch).await),
                false => None,
            };
            (content, pulled, before, after)
        })
        .buffer_unordered(AT_ONCE);
    let mut report = Report::of(arguments.new.display().to_string(), both);
    report.pulls = all.pulls;
    report.unresolved(all.unresolved);
    let mut verdicts = std::pin::pin!(verdicts);
    while let Some((content, pulled, before, after)) = verdicts.next().await {
        report.add(&content, pulled, before.as_ref(), &after);
    }
    report.finish();
    report
}

/// The verdict of a policy on it; missing content is fetched once, with `--fetch`.
async fn judged(both: &Both, live: &Arc<Live>, content: &Content, fetch: bool) -> Replayed {
    let verdict = replay::judge(&both.app.pull, live, content).await;
    let lacking = match &verdict {
        Replayed::Unknown(Unknown::Document | Unknown::Evidence | Unknown::EvidenceOfChild) => fetch,
        Replayed::Unknown(Unknown::DressedAsEvidence | Unknown::Undecided(_)) => false,
        Replayed::Deny(_) | Replayed::Permit(_) => false,
    };
    if !lacking {
        return verdict;
    }
    for digest in [Some(content.digest), content.root].into_iter().flatten() {
        replay::fetch(&both.app.pull, live, &content.repository, &Reference::Digest(digest)).await;
    }
    replay::judge(&both.app.pull, live, content).await
}
