//! `pullgate debug-bundle`: what somebody who helps wants to see, in a folder, without secrets.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use self::scrubbed::Scrub;
use super::{Exit, failed, print};

mod gathered;
mod scrubbed;

pub(super) const EXAMPLES: &str = "\
Gathers, in a new folder: the configuration and the policy, what `check` says of them, health and
metrics of the running gate, its newest refusals, versions, what `doctor` says of this node, and the
last lines of its log. Clients, their names and agents are left out; what may be a secret is struck
out, and so is every text of a file with secrets that the configuration names. Look at it before you
send it: names of your registries, repositories and policies are in it.

Examples:
  pullgate debug-bundle --config /etc/pullgate/pullgate.toml
  journalctl -u pullgate -n 500 -o cat > log && pullgate debug-bundle -c pullgate.toml --log log
                                                       with lines of a log of your own choice

Exit codes: 0 written, 1 it cannot be written, 2 usage.";

/// The arguments of `debug-bundle`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration file; without it the built-in defaults
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder to make
    #[arg(long, value_name = "FOLDER", default_value = "pullgate-debug")]
    folder: PathBuf,
    /// Lines of the gate's log; without it those of the unit `pullgate`, where there is a journal
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Where the node's files are mounted
    #[arg(long, value_name = "FOLDER", default_value = "/")]
    root: PathBuf,
}

/// Gathers, strikes out, writes.
pub(super) async fn run(arguments: &Arguments) -> Exit {
    let (pages, scrub) = gathered::all(arguments).await;
    match written(&arguments.folder, &pages, &scrub) {
        Ok(()) => {
            let folder = pullgate_policy::text::escape(&arguments.folder.display().to_string());
            let names: Vec<_> = pages.iter().map(|page| format!("  {folder}/{}\n", page.name)).collect();
            print(&format!("{}look at it, then: tar czf {folder}.tar.gz {folder}\n", names.concat()));
            Exit::Success
        }
        Err(error) => failed(&error),
    }
}

/// A file of the bundle, before anything is struck out.
#[derive(Debug)]
struct Page {
    name: &'static str,
    text: String,
}

/// A new folder, for its owner alone: what is there already stays as it is.
fn written(folder: &Path, pages: &[Page], scrub: &Scrub) -> io::Result<()> {
    let named = |path: &Path| {
        let path = path.display().to_string();
        move |error: io::Error| io::Error::new(error.kind(), format!("{path}: {error}"))
    };
    fs::DirBuilder::new().mode(0o700).create(folder).map_err(named(folder))?;
    for page in pages {
        let path = folder.join(page.name);
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(named(&path))?;
        file.write_all(scrub.text(&page.text).as_bytes()).map_err(named(&path))?;
    }
    Ok(())
}
