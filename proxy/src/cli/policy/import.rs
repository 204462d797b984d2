//! `pullgate policy import`: policies of other systems become one of this, which permits nothing that they refuse.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use pullgate_config::{Accept, Disk, Import, Imported, Weight};

use self::report::Report;
use crate::cli::paint::Paint;
use crate::cli::{Exit, Format, complain, print};
use crate::clock::Clock;

mod report;

pub(super) const EXAMPLES: &str = "\
FILE is a policy of another system. Name all that are in force together, with the TrustRoots, Secrets and ConfigMaps to
which they refer: here one policy governs an image, and one that was imported alone knows nothing of the others.

  containers            policy.json, with --registries-d /etc/containers/registries.d
  policy-controller     ClusterImagePolicy, TrustRoot
  Kyverno               ClusterPolicy and Policy with verifyImages, ImageValidatingPolicy
  Connaisseur           the values of its chart
  Notation              trustpolicy.json

Nothing is permitted that an original refuses. What cannot be said is denied, or made stricter; each remark has a code, and
the line of the original. policy/README.md says what the codes mean.

Examples:
  pullgate policy import /etc/containers/policy.json --registries-d /etc/containers/registries.d
  kubectl get clusterimagepolicies,trustroots -o yaml > cluster.yaml
  pullgate policy import cluster.yaml --out imported/policy.toml
  pullgate policy import cluster.yaml --key awskms:///alias/release=release.pub
                                                       a key that the policy only refers to

Exit codes: 0 all of it is said, 1 something is refused and therefore denied, 2 nothing was written. With --strict 1 also
where something became stricter.";

/// The arguments of `policy import`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Policies of another system, all that are in force together
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The policy file to write, with the keys beside it; no file is written over
    #[arg(long, value_name = "FILE", default_value = "policy.toml")]
    out: PathBuf,
    /// Take over a difference that makes the result wider: one-statement, tag-identity, tags
    #[arg(long, value_name = "CODE", value_parser = accept)]
    accept: Vec<Accept>,
    /// A key that a policy only refers to, by what it calls it
    #[arg(long, value_name = "REFERENCE=FILE", value_parser = assigned)]
    key: Vec<(String, PathBuf)>,
    /// A trusted_root.json that a policy only refers to, by what it calls it
    #[arg(long, value_name = "NAME=FILE", value_parser = assigned)]
    trusted_root: Vec<(String, PathBuf)>,
    /// The folder that says where containers/image looks for signatures
    #[arg(long, value_name = "DIR")]
    registries_d: Option<PathBuf>,
    /// Exit with 1 also where something became stricter
    #[arg(long)]
    strict: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

fn accept(text: &str) -> Result<Accept, String> {
    let known = Accept::ALL.into_iter().find(|accept| accept.as_str() == text);
    known.ok_or_else(|| Accept::ALL.map(Accept::as_str).join(", "))
}

/// A name and a file; the name may hold a `=`, the file behind the last one does not.
fn assigned(text: &str) -> Result<(String, PathBuf), String> {
    let split = text.rsplit_once('=').filter(|(name, file)| !name.is_empty() && !file.is_empty());
    split.map(|(name, file)| (name.to_owned(), file.into())).ok_or_else(|| "NAME=FILE is expected".to_owned())
}

/// Imports, writes and reports.
pub(super) fn run(arguments: &Arguments) -> Exit {
    let imported = match imported(arguments) {
        Ok(imported) => imported,
        Err(why) => return nothing(arguments, &why),
    };
    if let Err(why) = written(&arguments.out, &imported) {
        return nothing(arguments, &why);
    }
    let report = Report::of(&imported, &arguments.out);
    match arguments.format {
        Format::Json => print(&format!("{}\n", serde_json::to_string_pretty(&report).unwrap_or_default())),
        Format::Text => print(&report.render(Paint::of(&io::stdout()))),
    }
    match (imported.worst(), arguments.strict) {
        (Weight::Refused, _) | (Weight::Stricter, true) => Exit::No,
        (Weight::Said | Weight::Stricter, _) => Exit::Success,
    }
}

fn nothing(arguments: &Arguments, why: &str) -> Exit {
    match arguments.format {
        Format::Json => {
            let report = Report::nothing(why);
            print(&format!("{}\n", serde_json::to_string_pretty(&report).unwrap_or_default()));
        }
        Format::Text => {
            complain(&format!("{}: {why}\nnothing was written\n", Paint::of(&io::stderr()).bad("error")));
        }
    }
    Exit::Usage
}

fn imported(arguments: &Arguments) -> Result<Imported, String> {
    let registries_d = arguments.registries_d.as_deref().map(yaml_files).transpose()?;
    let asked = Import {
        source: &Disk,
        files: arguments.files.clone(),
        keys: arguments.key.iter().cloned().collect::<BTreeMap<_, _>>(),
        trusted_roots: arguments.trusted_root.iter().cloned().collect(),
        registries_d,
        accept: arguments.accept.iter().copied().collect::<BTreeSet<_>>(),
        now: Clock::system().now(),
    };
    pullgate_config::import(&asked).map_err(|fault| fault.to_string())
}

/// The files of a folder that containers/image reads, in its order.
fn yaml_files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error: io::Error| format!("{}: {error}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Writes all files, or none: what was written before one that could not be is removed.
fn written(out: &Path, imported: &Imported) -> Result<(), String> {
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty());
    let beside = |name: &String| folder.map_or_else(|| PathBuf::from(name), |folder| folder.join(name));
    let keys = imported.files.iter().map(|(name, bytes)| (beside(name), bytes.as_slice()));
    let policy = [(out.to_owned(), imported.policy.as_bytes())];
    if let Some(folder) = folder {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let mut done: Vec<PathBuf> = Vec::new();
    for (path, bytes) in keys.chain(policy) {
        // A key that is there already is as good as written.
        if path != out && fs::read(&path).is_ok_and(|there| there == bytes) {
            continue;
        }
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let put = file.and_then(|mut file| {
            done.push(path.clone());
            file.write_all(bytes).and_then(|()| file.sync_all())
        });
        if let Err(error) = put {
            for path in &done {
                let _ = fs::remove_file(path);
            }
            let why = match error.kind() {
                io::ErrorKind::AlreadyExists => "there is such a file already".to_owned(),
                _ => error.to_string(),
            };
            return Err(format!("{}: {why}", path.display()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_ends_at_the_last_equals_sign() {
        assert_eq!(assigned("a=b=c"), Ok(("a=b".to_owned(), PathBuf::from("c"))));
        for text in ["a", "=b", "a="] {
            assert!(assigned(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_difference_that_nobody_knows_is_not_accepted() {
        assert_eq!(accept("tags"), Ok(Accept::Tags));
        assert!(accept("everything").is_err());
    }
}
