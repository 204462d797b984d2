//! `pullgate policy test`: a policy is held to what is expected of it, on kept or recorded evidence.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;
use pullgate_config::{Config, Expect, Expectations};
use pullgate_policy::oci::Reference;

use self::report::{Report, Tried};
use super::{diff, pulled};
use crate::app::App;
use crate::cli::paint::Paint;
use crate::cli::verify::judge;
use crate::cli::{Exit, configuration, print, progress, serve};
use crate::clock::Clock;
use crate::pull::replay::{self, Content, Replayed, Unknown};
use crate::server;

mod junit;
mod report;

pub(super) const EXAMPLES: &str = "\
FILE says what must come of images:

  policy = \"policy.toml\"      # optional: else that of the configuration
  recorded = \"evidence\"       # optional: a folder that --record has made; else what the gate has kept
  at = 2026-12-01T00:00:00Z   # optional: judged by this time, so that no `max_age` ends in between
  [[expect]]
  image = \"ghcr.io/myorg/app:v1\"
  verdict = \"deny\"            # \"permit\", \"warn\", \"deny\"
  code = \"unknown-authority\"  # optional: a reason that must be among them

Only --record asks the registries. Missing content makes an outcome unknown, which does not pass.

Examples:
  pullgate policy test --config pullgate.toml expected.toml
  pullgate policy test --config pullgate.toml expected.toml --record evidence
                                                       ask the registries once, and keep the answers
  pullgate policy test --config pullgate.toml expected.toml --recorded evidence --format junit > policy.xml
                                                       in CI, without a network

Exit codes: 0 all is as expected, 1 something is not, 2 usage or files, 3 something is unknown; the
worst counts: 2 before 3 before 1 before 0.";

/// The arguments of `policy test`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The expectations
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The configuration of the gate; without it the built-in defaults
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Ask the registries now, and keep their answers in this folder
    #[arg(long, value_name = "FOLDER")]
    record: Option<PathBuf>,
    /// Judge by what --record has kept in this folder
    #[arg(long, value_name = "FOLDER", conflicts_with = "record")]
    recorded: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For programs; proxy/README.md describes it
    Json,
    /// For CI
    Junit,
    /// For people
    Text,
}

/// Tries each expectation.
pub(super) async fn run(arguments: &Arguments) -> Exit {
    let (config, expectations) = match read(arguments) {
        Ok(read) => read,
        Err(faults) => return configuration::refused(&faults),
    };
    let clock = expectations.at.map_or_else(Clock::system, Clock::fixed);
    let (app, _folder) = match server::beside(config, arguments.record.as_deref(), clock).await {
        Ok(made) => made,
        Err(error) => {
            serve::report(&error);
            return Exit::Usage;
        }
    };
    let mut tried = Vec::new();
    for expect in &expectations.expect {
        let one = tried_one(&app, arguments, expect);
        tried.push(progress::during(&expect.image.to_string(), one).await);
    }
    app.store.store().close().await;
    let report = Report::of(tried);
    match arguments.format {
        Format::Json => print(&format!("{}\n", serde_json::to_string_pretty(&report).unwrap_or_default())),
        Format::Junit => print(&junit::render(&report, &arguments.file.display().to_string())),
        Format::Text => print(&report.render(Paint::of(&io::stdout()))),
    }
    report.exit()
}

/// The configuration with the policy under test and the folder of kept content.
fn read(arguments: &Arguments) -> Result<(Config, Expectations), pullgate_config::Diagnostics> {
    let mut config = configuration::load(arguments.config.as_deref())?.config;
    let expectations = pullgate_config::load_expectations(&arguments.file)?;
    if let Some(path) = &expectations.policy {
        config.policy = diff::policies(path, &config)?;
    }
    let recorded = arguments.recorded.as_ref().or(expectations.recorded.as_ref());
    // A recording is a state folder of its own, with its own seal.
    if let Some(folder) = arguments.record.as_ref().or(recorded) {
        folder.clone_into(&mut config.state);
        config.seal_key_file = None;
    }
    Ok((config, expectations))
}

async fn tried_one(app: &Arc<App>, arguments: &Arguments, expect: &Expect) -> Tried {
    let live = app.live();
    let repository = judge::canonical(&live, &expect.image.repository);
    if arguments.record.is_some() {
        replay::fetch(&app.pull, &live, &repository, &expect.image.reference).await;
    }
    let digest = match &expect.image.reference {
        Reference::Digest(digest) => Some(*digest),
        Reference::Tag(tag) => pulled::seen(&app.pull, &repository, tag).await,
    };
    let verdict = match digest {
        Some(digest) => replay::judge(&app.pull, &live, &Content { repository, digest, root: None }).await,
        // The scope may say it all.
        None => match replay::unresolved(&app.pull, &live, &repository).await {
            Some(denial) => Replayed::Deny(denial),
            None => Replayed::Unknown(Unknown::Document),
        },
    };
    Tried::of(expect, digest, &verdict)
}
