//! `pullgate survey`: who signed images, without any policy, and the lines that would admit exactly them.
//!
//! It judges as `verify` does, by a policy of its own under which everybody counts whose signature can be checked: every
//! trust table and every key that is known.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use pullgate_policy::oci::{Digest, Reference, Repository};

use self::everybody::Keys;
use self::report::{Report, Reports};
use super::audit::{DATABASE, since};
use super::paint::Paint;
use super::verify::judge;
use super::{Exit, Format, Image, complain, configuration, print, progress, serve};
use crate::app::App;
use crate::audit::read::{Filter, ReadError, Reader};
use crate::limits::IMAGE_LIST_BYTES;
use crate::server;
use crate::signers::Names;

mod everybody;
mod lines;
mod report;
mod text;

pub(super) const EXAMPLES: &str = "\
Who signed, before there is a policy: every signature and attestation in every layout that holds
under a trust table or a key that is known, of an index and of each of its platforms; then the
[authority] and [[policy]] lines that admit exactly these signers. All but those lines is comment:
the output is a policy file. A signature by a key says nothing of the key: name those you know.

Examples:
  pullgate survey ghcr.io/myorg/app:v1                 who signed it, and the lines that admit them
  pullgate survey --key release.pub ghcr.io/myorg/app:v1
                                                       is it by this key?
  pullgate survey --images images.txt > policy.toml    begin a policy from what runs now
  pullgate survey --config pullgate.toml --from-log    the same from what the gate's clients pulled
  kubectl get pods -A -o jsonpath='{..image}' | tr ' ' '\\n' | sort -u | pullgate survey --images -

Exit codes: 0 somebody signed each image, 1 nobody signed one, 2 usage or configuration, 3 one could
not be looked at, or not everywhere; the worst counts: 2 before 3 before 1 before 0.";

/// The arguments of `survey`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The images
    #[arg(value_name = "IMAGE", required_unless_present_any = ["list", "from_log"])]
    images: Vec<Image>,
    /// Look at what the pull log says was pulled, beside the gate that writes it: each index and image once, by digest
    #[arg(long)]
    from_log: bool,
    /// Of that, pulls since then: an age (30d), a day or a moment
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = since)]
    since: Timestamp,
    /// Read more of them from this file, one a line, or from standard input where it is `-`
    #[arg(long = "images", value_name = "FILE")]
    list: Option<PathBuf>,
    /// Look for signatures by this public key too; those of the policy are looked for anyway
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// The configuration file; without it the built-in defaults
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Looks at the images, one after the other.
pub(super) async fn run(arguments: &Arguments) -> Exit {
    let loaded = match configuration::usable(arguments.config.as_deref()) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let log = loaded.config.state.join(DATABASE);
    let (images, keys) =
        match (images(arguments, &log).await, Keys::of(&loaded.config.policy, &arguments.keys)) {
            (Ok(images), Ok(keys)) => (images, keys),
            (Err(why), _) | (_, Err(why)) => {
                complain(&format!("error: {why}\n"));
                return Exit::Usage;
            }
        };
    let sources = loaded.config.policy.sources.clone();
    let mut config = loaded.config;
    config.policy = everybody::policies(&config.policy, &keys);
    // The folder lives as long as the look.
    let (app, _folder) = match server::ephemeral(config).await {
        Ok(made) => made,
        Err(error) => {
            serve::report(&error);
            return Exit::Usage;
        }
    };
    let (mut reports, mut names) = (Vec::new(), Names::default());
    for image in &images {
        let report = progress::during(&image.to_string(), surveyed(&app, image, (&keys, &mut names))).await;
        if arguments.format == Format::Text {
            print(&text::render(&report, Paint::of(&io::stdout())));
        }
        reports.push(report);
    }
    let lines = lines::admitting(&reports, &keys, &sources);
    match arguments.format {
        Format::Json => {
            let reports = Reports { version: report::VERSION, images: &reports, lines: &lines };
            print(&format!("{}\n", serde_json::to_string_pretty(&reports).unwrap_or_default()));
        }
        Format::Text => print(&lines),
    }
    reports.iter().fold(Exit::Success, |exit, report| exit.worse(exit_of(report)))
}

/// The images of the command line, then those of the list, then those of the pull log.
async fn images(arguments: &Arguments, log: &Path) -> Result<Vec<Image>, String> {
    let mut images = arguments.images.clone();
    if arguments.from_log {
        let pulled = pulled(log, arguments.since).await;
        images.extend(pulled.map_err(|error| format!("the pull log cannot be read: {error}"))?);
    }
    if let Some(path) = &arguments.list {
        images.extend(listed(path)?);
    }
    if images.is_empty() { Err("no image is named".to_owned()) } else { Ok(images) }
}

/// What was pulled, each once; what an index carried is looked at with it.
async fn pulled(log: &Path, since: Timestamp) -> Result<Vec<Image>, ReadError> {
    let reader = Reader::open(log).await?;
    let mut sums = reader.sums(Filter { since: Some(since), ..Filter::default() });
    let mut pulled = BTreeSet::new();
    while let Some(sum) = sums.next().await? {
        let facts = &sum.facts;
        if sum.last < since || facts.kind != "manifest" || facts.ground == "evidence" {
            continue;
        }
        let digest = if facts.root.is_empty() { &facts.digest } else { &facts.root };
        if let (Ok(repository), Ok(digest)) =
            (facts.repository.parse::<Repository>(), digest.parse::<Digest>())
        {
            pulled.insert((repository, digest));
        }
    }
    let image = |(repository, digest)| Image { repository, reference: Reference::Digest(digest) };
    Ok(pulled.into_iter().map(image).collect())
}

/// The images of a file, or of standard input; empty lines and those that begin with `#` are none.
pub(super) fn listed(path: &Path) -> Result<Vec<Image>, String> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().take(IMAGE_LIST_BYTES + 1).read_to_string(&mut text).map(|_| text)
    } else {
        fs::File::open(path).and_then(|file| {
            let mut text = String::new();
            file.take(IMAGE_LIST_BYTES + 1).read_to_string(&mut text).map(|_| text)
        })
    };
    let text = text.map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    if text.len() as u64 > IMAGE_LIST_BYTES {
        return Err(format!("{} is larger than {} bytes", path.display(), IMAGE_LIST_BYTES));
    }
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let image = |(at, line): (usize, &str)| {
        let shown = pullgate_policy::text::escape(line);
        line.parse().map_err(|error| format!("{}:{at}: {shown}: {error}", path.display()))
    };
    lines.map(image).collect()
}

/// One image, and the children of an index.
async fn surveyed(app: &Arc<App>, image: &Image, (keys, names): (&Keys, &mut Names)) -> Report {
    let judged = judge::image(&app.pull, image).await;
    let mut children = Vec::new();
    for child in judged.children.iter().filter(|child| !child.attests()) {
        let Some(digest) = child.digest else { continue };
        let one = Image { repository: image.repository.clone(), reference: Reference::Digest(digest) };
        let about = judge::image(&app.pull, &one).await;
        children.push(Report::of(about, child.platform.clone(), Vec::new(), (keys, &mut *names)));
    }
    Report::of(judged, None, children, (keys, names))
}

fn exit_of(report: &Report) -> Exit {
    match report.found() {
        report::Found::Admissible => Exit::Success,
        report::Found::Nobody => Exit::No,
        report::Found::NotLookedAt => Exit::Undecided,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_so_many_bytes_is_read_and_not_of_one_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images");
        let mut text = "r.io/app:v1\n#".to_owned();
        text.push_str(&"x".repeat(usize::try_from(IMAGE_LIST_BYTES).unwrap() - text.len()));
        fs::write(&path, &text).unwrap();
        assert_eq!(listed(&path).unwrap().len(), 1);
        fs::write(&path, text + "x").unwrap();
        assert!(listed(&path).unwrap_err().contains("is larger than"));
    }
}
