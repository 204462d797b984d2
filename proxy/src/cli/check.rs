//! `pullgate check`: every fault of the files, and what would govern an image.

use std::io;
use std::path::{Path, PathBuf};

use pullgate_config::{Against, Config, Diagnostics, Loaded};
use pullgate_policy::oci::Reference;
use serde::Serialize;

use super::paint::Paint;
use super::{Exit, Format, Image, complain, configuration, print};
use crate::clock::Clock;

mod start;

/// The arguments of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration file; without it the built-in defaults
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Take warnings for faults
    #[arg(long)]
    strict: bool,
    /// Say which scope and requirements would govern this image; no network is used
    #[arg(long, value_name = "IMAGE", num_args = 1..)]
    against: Vec<Image>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// The shape of `check --format json`.
#[derive(Debug, Serialize)]
struct Report<'a> {
    version: u32,
    clean: bool,
    diagnostics: &'a Diagnostics,
    against: Vec<Governed>,
    /// Why `serve` would not start with these files.
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<String>,
}

#[derive(Debug, Serialize)]
struct Governed {
    repository: String,
    policy: Option<String>,
    scope: Option<String>,
    requirements: Vec<String>,
}

/// The same as `check --config PATH`.
pub(super) fn file(path: &Path) -> Exit {
    let config = Some(path.to_owned());
    run(&Arguments { config, strict: false, against: Vec::new(), format: Format::Text })
}

/// Reads the files and reports.
pub(super) fn run(arguments: &Arguments) -> Exit {
    let (diagnostics, config) = match configuration::load(arguments.config.as_deref()) {
        Ok(Loaded { config, warnings }) => (warnings, Some(config)),
        Err(faults) => (faults, None),
    };
    let against = config.as_ref().map(|config| governed(config, &arguments.against)).unwrap_or_default();
    let start = config.clone().and_then(start::fault);
    let clean = config.is_some() && start.is_none() && (!arguments.strict || diagnostics.is_empty());
    match arguments.format {
        Format::Json => {
            let report = Report { version: 1, clean, diagnostics: &diagnostics, against, start };
            print(&format!("{}\n", serde_json::to_string_pretty(&report).unwrap_or_default()));
        }
        Format::Text => {
            text(arguments, &diagnostics, config.as_ref(), &against);
            if let Some(why) = &start {
                complain(&format!("error: `serve` would not start: {why}\n"));
            }
        }
    }
    if clean { Exit::Success } else { Exit::Usage }
}

fn governed(config: &Config, images: &[Image]) -> Vec<Governed> {
    let now = Clock::system().now();
    let one = |image: &Image| {
        let digest = match &image.reference {
            Reference::Digest(digest) => Some(*digest),
            Reference::Tag(_) => None,
        };
        let Against { repository, policy, requirements } =
            pullgate_config::against(config, &image.repository, digest, now);
        let (policy, scope) = policy.unzip();
        Governed { repository: repository.to_string(), policy, scope, requirements }
    };
    images.iter().map(one).collect()
}

fn text(arguments: &Arguments, diagnostics: &Diagnostics, config: Option<&Config>, against: &[Governed]) {
    if !diagnostics.is_empty() {
        complain(&format!("{}\n\n", diagnostics.render(Paint::of(&io::stderr()).style())));
    }
    let paint = Paint::of(&io::stdout());
    let mut shown = String::new();
    for one in against {
        shown.push_str(&format!("{}\n", paint.bold(&one.repository)));
        match (&one.policy, &one.scope) {
            (Some(policy), Some(scope)) => {
                shown.push_str(&format!("  policy \"{policy}\" by scope {scope}\n"))
            }
            (_, _) => shown.push_str("  no scope matches\n"),
        }
        for requirement in &one.requirements {
            shown.push_str(&format!("  {requirement}\n"));
        }
    }
    let count = diagnostics.iter().count();
    let files = match (config, &arguments.config) {
        (None, _) => paint.bad(&format!("{count} to mend")),
        (Some(_), None) => "the built-in defaults: warn mode, nothing is refused".to_owned(),
        (Some(config), Some(path)) => {
            let set = &config.policy.set;
            format!(
                "{}: policies {}, authorities {}, upstreams {}, warnings {count}",
                path.display(),
                set.policies.len(),
                set.authorities.len(),
                config.upstreams.len()
            )
        }
    };
    let revisions = config.map(|config| config.policy.set.revisions);
    let revisions =
        revisions.map(|of| format!("policy revision {}\ntrust revision {}\n", of.policy, of.trust));
    print(&format!("{shown}{files}\n{}", revisions.unwrap_or_default()));
}
