//! `pullgate verify`: judges images now, by the stages of a pull, and reports every finding.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use self::report::{Report, Reports, Word};
use super::paint::Paint;
use super::{Exit, Format, Image, configuration, explain, print, progress, serve};
use crate::app::App;
use crate::server;

mod advice;
mod evidence;
pub(super) mod judge;
pub(super) mod report;
mod requirement;
mod text;

/// The arguments of `verify`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The images
    #[arg(value_name = "IMAGE", required_unless_present = "explain")]
    images: Vec<Image>,
    /// The configuration file; without it the built-in defaults
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Tell cause and cure of a reason code, and judge nothing
    #[arg(long, value_name = "CODE", conflicts_with = "images", value_parser = explain::Codes, hide_possible_values = true)]
    pub(super) explain: Option<String>,
}

/// Judges the images, one after the other.
pub(super) async fn run(arguments: &Arguments) -> Exit {
    let loaded = match configuration::usable(arguments.config.as_deref()) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    // The folder lives as long as the judging.
    let (app, _folder) = match server::ephemeral(loaded.config).await {
        Ok(made) => made,
        Err(error) => {
            serve::report(&error);
            return Exit::Usage;
        }
    };
    let reports = judged(&app, arguments).await;
    let exit = reports.iter().fold(Exit::Success, |exit, report| exit.worse(exit_of(report)));
    let revisions = app.live().revisions();
    let (policy, trust) = (revisions.policy.to_string(), revisions.trust.to_string());
    match arguments.format {
        Format::Json => {
            let reports = Reports {
                version: report::VERSION,
                policy_revision: policy,
                trust_revision: trust,
                images: reports,
            };
            print(&format!("{}\n", serde_json::to_string_pretty(&reports).unwrap_or_default()));
        }
        Format::Text => print(&format!("\npolicy revision {policy}\ntrust revision {trust}\n")),
    }
    exit
}

/// In text, each image is shown as soon as it is judged.
async fn judged(app: &Arc<App>, arguments: &Arguments) -> Vec<Report> {
    let mut reports: Vec<Report> = Vec::new();
    for image in &arguments.images {
        let report = progress::during(&image.to_string(), judge::image(&app.pull, image)).await;
        if arguments.format == Format::Text {
            let gap = if reports.is_empty() { "" } else { "\n" };
            print(&format!("{gap}{}", text::render(&report, Paint::of(&io::stdout()))));
        }
        reports.push(report);
    }
    reports
}

fn exit_of(report: &Report) -> Exit {
    match report.verdict {
        Word::Deny => Exit::No,
        Word::Permit => Exit::Success,
        Word::Undecided => Exit::Undecided,
    }
}
