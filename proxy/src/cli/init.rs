//! `pullgate init`: a configuration and a policy for this machine, from what its runtimes name and have. It refuses nothing.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use self::found::Found;
use super::node::{Node, Runtime, present};
use super::paint::Paint;
use super::{Exit, check, complain, failed, print};

mod found;
mod written;

pub(super) const EXAMPLES: &str = "\
Looks at the runtimes of this machine, at the registries that their files name and at the images
that they have, and writes pullgate.toml and policy.toml for them. The policy refuses nothing; it
says with a warning what it would refuse. It is checked before it is kept, and nothing that is
there already is overwritten.

Examples:
  pullgate init                                        into /etc/pullgate
  pullgate init --folder gate                          into a folder of your own, to try it
  pullgate init --runtime containerd                   for this one alone

Exit codes: 0 written, 1 a file is there already or cannot be written, 2 usage, or no runtime is found.";

/// The names of the two files.
const FILES: [&str; 2] = ["pullgate.toml", "policy.toml"];
/// What the files of a package use.
const USUAL: &str = "/etc/pullgate";

/// The arguments of `init`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// For this runtime alone; without it, for all that are found
    #[arg(long, value_enum, value_name = "RUNTIME")]
    runtime: Option<Runtime>,
    /// Where the files go
    #[arg(long, value_name = "FOLDER", default_value = USUAL)]
    folder: PathBuf,
    /// Where the node's files are mounted
    #[arg(long, value_name = "FOLDER", default_value = "/")]
    root: PathBuf,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{} is there already, and is not overwritten; --folder names another place", .0.display())]
    There(PathBuf),
    #[error("{}", .0.display())]
    File(PathBuf, #[source] io::Error),
}

/// Looks, writes, checks, and says what comes next.
pub(super) fn run(arguments: &Arguments) -> Exit {
    let node = Node::at(&arguments.root);
    let runtimes = arguments.runtime.map_or_else(|| present(&node), |runtime| BTreeSet::from([runtime]));
    if runtimes.is_empty() {
        let root = pullgate_policy::text::escape(&arguments.root.display().to_string());
        complain(&format!(
            "error: no runtime is found under {root}; name one: pullgate init --runtime RUNTIME\n"
        ));
        return Exit::Usage;
    }
    let found = Found::on(&node, &runtimes);
    match written(&arguments.folder, &found) {
        Ok(()) => {}
        Err(fault) => return failed(&fault),
    }
    let paint = Paint::of(&io::stdout());
    let config = arguments.folder.join("pullgate.toml");
    print(&format!("{}\n", found.text(paint)));
    if check::file(&config) != Exit::Success {
        return Exit::Usage;
    }
    print(&next(&config, &node, arguments, &runtimes, paint));
    Exit::Success
}

/// Both files or none.
fn written(folder: &Path, found: &Found) -> Result<(), Fault> {
    let paths = FILES.map(|name| folder.join(name));
    if let Some(path) = paths.iter().find(|path| path.symlink_metadata().is_ok()) {
        return Err(Fault::There(path.clone()));
    }
    fs::create_dir_all(folder).map_err(|error| Fault::File(folder.to_owned(), error))?;
    let state = if folder == Path::new(USUAL) { "/var/lib/pullgate" } else { "state" };
    let texts = [written::configuration(found, state), written::policy(found)];
    for (at, (path, text)) in paths.iter().zip(&texts).enumerate() {
        if let Err(error) = new(path, text) {
            for before in paths.iter().take(at) {
                // It was made a moment ago.
                drop(fs::remove_file(before));
            }
            return Err(Fault::File(path.clone(), error));
        }
    }
    Ok(())
}

/// A file that was not there, even if it came a moment ago.
fn new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all())
}

/// The next three commands.
fn next(
    config: &Path,
    node: &Node,
    arguments: &Arguments,
    runtimes: &BTreeSet<Runtime>,
    paint: Paint,
) -> String {
    let shown = |path: &Path| pullgate_policy::text::escape(&path.display().to_string());
    let (root, probe) = if node.is_here() {
        (String::new(), " --probe")
    } else {
        (format!(" --root {}", shown(&arguments.root)), "")
    };
    // BuildKit alone has no files that hold: what it prints says what to do.
    let writes = runtimes.iter().find(|runtime| !runtime.files().is_empty());
    let asks =
        writes.map_or_else(|| "buildkit".to_owned(), |runtime| format!("{} --write{root}", runtime.as_str()));
    let commands = [
        (format!("pullgate serve --config {}", shown(config)), "the gate; nothing is refused yet"),
        (format!("pullgate node-config {asks}"), "this node asks the gate, and nobody else"),
        (format!("pullgate doctor{probe}{root}"), "is every way around the gate closed"),
    ];
    let lines = commands.map(|(command, says)| format!("  {command}\n      {says}\n"));
    format!("\n{}\n{}", paint.bold("next"), lines.concat())
}
