//! `pullgate node-config`: the mirror configuration of a runtime, in the form that has no other host to go to.
//!
//! The files are those of `deploy/`. What stood in a file's place is kept in `pullgate-before` beside it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::node::shipped::{ADDRESS, File};
use super::node::{BEFORE, Gate, Node, Runtime, Weight, ways_around};
use super::{Exit, failed, print};

/// The arguments of `node-config`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Whose configuration
    #[arg(value_enum)]
    runtime: Runtime,
    /// Write the files, and keep what stood in their place
    #[arg(long, conflicts_with_all = ["undo", "check"])]
    write: bool,
    /// Put back what stood in their place
    #[arg(long, conflicts_with = "check")]
    undo: bool,
    /// Say whether the files are there and nothing goes around them
    #[arg(long)]
    check: bool,
    /// Say what --write or --undo would do, and change nothing
    #[arg(long, conflicts_with = "check")]
    dry_run: bool,
    /// The gate, as the runtime reaches it
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:5000", value_parser = Gate::parse)]
    gate: Gate,
    /// Where the node's files are mounted
    #[arg(long, value_name = "FOLDER", default_value = "/")]
    root: PathBuf,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("a pull could go around the gate:\n  {}", .0.join("\n  "))]
    Around(Vec<String>),
    #[error("{}: is not what --write writes", .0.display())]
    Differs(PathBuf),
    #[error(
        "BuildKit asks the registry itself whenever its mirror says no, whatever its configuration: name the gate in FROM \
         (FROM {ADDRESS}/docker.io/library/alpine), and filter what the builder may reach (deploy/docker/egress.nft)"
    )]
    NoForm,
    #[error("{}", .0.display())]
    File(PathBuf, #[source] io::Error),
}

/// Prints, writes, checks or takes back.
pub(super) fn run(arguments: &Arguments) -> Exit {
    match done(arguments) {
        Ok(told) => {
            print(&told);
            Exit::Success
        }
        Err(fault) => failed(&fault),
    }
}

fn done(arguments: &Arguments) -> Result<String, Fault> {
    let Arguments { runtime, write, undo, check, gate, .. } = arguments;
    let files: Vec<_> = runtime.files().iter().map(|file| (file, arguments.root.join(file.path))).collect();
    if files.is_empty() {
        return Err(Fault::NoForm);
    }
    if *undo {
        let lines: Result<Vec<_>, _> =
            files.iter().map(|(_, path)| put_back(path, arguments.hand())).collect();
        return Ok(lines?.concat());
    }
    if !*write && !*check {
        let shown = files.iter().map(|(file, path)| format!("# {}\n{}\n", path.display(), file.text(gate)));
        return Ok(shown.collect());
    }
    let around = left_open(arguments, &files);
    if !around.is_empty() {
        return Err(Fault::Around(around));
    }
    if *check {
        for (file, path) in &files {
            if read(path)?.as_deref() != Some(file.text(gate).as_bytes()) {
                return Err(Fault::Differs(path.clone()));
            }
        }
        return Ok("as written, and nothing that was looked at goes around it\n".to_owned());
    }
    let mut told = String::new();
    for (file, path) in &files {
        told.push_str(&put(path, &file.text(gate), arguments.hand())?);
    }
    told.push_str(&format!("{}\n", runtime.afterwards()));
    Ok(told)
}

/// What would win over the files, or keep the runtime from reading them, once they are written.
fn left_open(arguments: &Arguments, files: &[(&File, PathBuf)]) -> Vec<String> {
    let node = Node::at(&arguments.root);
    let links = files.iter().flat_map(|(_, path)| node.links(path));
    let says = |link: PathBuf| format!("{}: is a link, and is not followed", link.display());
    let mut around: Vec<_> = links.map(says).collect();
    let gate = arguments.gate.clone();
    let written = node.with(files.iter().map(|(file, path)| (path.clone(), file.text(&gate))));
    let found = ways_around(arguments.runtime, &written, &[gate]);
    around.extend(found.iter().filter(|one| one.way.weight() != Weight::Told).map(ToString::to_string));
    around.sort();
    around.dedup();
    around
}

/// Whether anything is touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hand {
    Changes,
    OnlySays,
}

impl Arguments {
    fn hand(&self) -> Hand {
        if self.dry_run { Hand::OnlySays } else { Hand::Changes }
    }
}

/// The folder with what stood in a file's place, the copy in it, and the mark that nothing stood there.
fn before(path: &Path) -> (PathBuf, PathBuf, PathBuf) {
    let folder = path.with_file_name(BEFORE);
    let name = path.file_name().unwrap_or(OsStr::new("file")).to_os_string();
    let mut absent = name.clone();
    absent.push(".absent");
    (folder.clone(), folder.join(name), folder.join(absent))
}

/// Writes a file whole or not at all. What stood there first stays kept, however often this runs.
fn put(path: &Path, text: &str, hand: Hand) -> Result<String, Fault> {
    let (folder, kept, absent) = before(path);
    if hand == Hand::OnlySays {
        return Ok(format!("would write {}\n", path.display()));
    }
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| Fault::File(path, error)
    };
    fs::create_dir_all(&folder).map_err(at(&folder))?;
    if !kept.exists() && !absent.exists() {
        if path.exists() {
            fs::copy(path, &kept).map_err(at(path))?;
        } else {
            fs::write(&absent, "").map_err(at(&absent))?;
        }
    }
    let new = folder.join("new");
    fs::write(&new, text).map_err(at(&new))?;
    readable(&new).map_err(at(&new))?;
    fs::rename(&new, path).map_err(at(path))?;
    Ok(format!("wrote {}\n", path.display()))
}

/// The runtime's user need not be root.
fn readable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))
}

fn put_back(path: &Path, hand: Hand) -> Result<String, Fault> {
    let (folder, kept, absent) = before(path);
    let says = if kept.exists() {
        "put back"
    } else if absent.exists() {
        "removed"
    } else {
        return Ok(format!("nothing of ours: {}\n", path.display()));
    };
    if hand == Hand::OnlySays {
        return Ok(format!("would have {says} {}\n", path.display()));
    }
    let done = if kept.exists() {
        fs::rename(&kept, path)
    } else {
        removed(path).and_then(|()| fs::remove_file(&absent))
    };
    done.map_err(|error| Fault::File(path.to_owned(), error))?;
    // Other files may have theirs in it.
    drop(fs::remove_dir(folder));
    Ok(format!("{says} {}\n", path.display()))
}

/// Somebody may have removed it before.
fn removed(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Err(_) | Ok(()) => Ok(()),
    }
}

/// A file's bytes, or that it is not there.
fn read(path: &Path) -> Result<Option<Vec<u8>>, Fault> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Fault::File(path.to_owned(), error)),
    }
}
