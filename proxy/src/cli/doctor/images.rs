//! The images that are on the node already, judged now by the gate's own policy: they are started without a request.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use pullgate_policy::oci::Image;
use pullgate_policy::text::escape;

use super::report::{JudgedImage, Report};
use crate::cli::node::{Finding, Node, Runtime, Way, images};
use crate::cli::verify::judge;
use crate::cli::verify::report::Word;
use crate::cli::{Exit, configuration, serve};
use crate::limits::NODE_IMAGES;
use crate::server;

/// Judges each image that the runtimes have, by the configuration at `path`.
///
/// # Errors
/// The exit where the configuration cannot be used: told already.
pub(super) async fn judged(
    path: &Path,
    node: &Node,
    runtimes: &BTreeSet<Runtime>,
    report: &mut Report,
) -> Result<(), Exit> {
    let loaded = configuration::usable(Some(path))?;
    // The folder lives as long as the judging.
    let (app, _folder) = server::ephemeral(loaded.config).await.map_err(|error| {
        serve::report(&error);
        Exit::Usage
    })?;
    let mut all = BTreeMap::new();
    for runtime in runtimes {
        match images(*runtime, node) {
            Ok(names) => all.extend(names.into_iter().map(|name| (name, *runtime))),
            Err(says) => {
                report.add(Finding { runtime: Some(*runtime), way: Way::ImagesUnlisted, path: None, says })
            }
        }
    }
    for (name, runtime) in bounded(all, report) {
        let mut add = |way, says| report.add(Finding { runtime: Some(runtime), way, path: None, says });
        let Ok(image) = name.parse::<Image>() else {
            add(Way::ImageUnjudged, format!("{name} is no name of an image"));
            continue;
        };
        let judged = judge::image(&app.pull, &image).await;
        let code = judged.reasons.first().map(|reason| reason.code.clone());
        let why = code.as_deref().unwrap_or_default();
        let verdict = match judged.verdict {
            Word::Permit => "permit",
            Word::Deny => {
                add(
                    Way::ImageNotPermitted,
                    format!("{image} is on the node and would be refused now ({why})"),
                );
                "deny"
            }
            Word::Undecided => {
                add(Way::ImageUnjudged, format!("{image} is on the node, and there is no verdict ({why})"));
                "undecided"
            }
        };
        report.images.push(JudgedImage { image: escape(&name), verdict, code });
    }
    Ok(())
}

/// As many as are judged; that there are more is told.
fn bounded(
    all: BTreeMap<String, Runtime>,
    report: &mut Report,
) -> impl Iterator<Item = (String, Runtime)> + use<> {
    if all.len() > NODE_IMAGES {
        let says = format!("there are {} images, of which {NODE_IMAGES} are judged", all.len());
        report.add(Finding { runtime: None, way: Way::ImagesUnlisted, path: None, says });
    }
    all.into_iter().take(NODE_IMAGES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_over_the_limit_are_not_judged_and_told_of() {
        for (count, told) in [(NODE_IMAGES, 0), (NODE_IMAGES + 1, 1)] {
            let mut report = Report::of(&[], &BTreeSet::new());
            let all = (0..count).map(|n| (format!("a.example/{n}"), Runtime::Podman)).collect();
            assert_eq!(bounded(all, &mut report).count(), NODE_IMAGES);
            assert_eq!(report.findings.len(), told);
        }
    }
}
