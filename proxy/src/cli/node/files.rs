//! The files of a node, below a root, and what is found in them.
//!
//! What cannot be read or followed is told as such: nobody knows what it says.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use pullgate_config::foreign_toml;
use serde_json::Value;

use super::{Finding, Runtime, Way};
use crate::limits::{NODE_FILE_BYTES, NODE_FOLDER_ENTRIES};

/// A node's files.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Node {
    root: PathBuf,
    /// Files as if they stood there.
    written: BTreeMap<PathBuf, String>,
}

/// What is found about one runtime.
#[derive(Debug)]
pub(in crate::cli) struct Found {
    runtime: Runtime,
    list: Vec<Finding>,
}

impl Found {
    pub(in crate::cli) fn about(runtime: Runtime) -> Self {
        Self { runtime, list: Vec::new() }
    }

    pub(in crate::cli) fn add(&mut self, way: Way, path: &Path, says: impl Into<String>) {
        let (runtime, path, says) = (Some(self.runtime), Some(path.to_owned()), says.into());
        self.list.push(Finding { runtime, way, path, says });
    }

    /// Each once, in order.
    pub(in crate::cli) fn all(mut self) -> Vec<Finding> {
        self.list.sort();
        self.list.dedup();
        self.list
    }
}

impl Node {
    pub(in crate::cli) fn at(root: &Path) -> Self {
        Self { root: root.to_owned(), written: BTreeMap::new() }
    }

    /// The same node, as if these files had been written.
    pub(in crate::cli) fn with(&self, files: impl IntoIterator<Item = (PathBuf, String)>) -> Self {
        let mut node = self.clone();
        node.written.extend(files);
        node
    }

    /// Whether it is this machine, and not a node that is mounted somewhere.
    pub(in crate::cli) fn is_here(&self) -> bool {
        self.root == Path::new("/")
    }

    /// A path of the node, below the root.
    pub(in crate::cli) fn join(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    pub(in crate::cli) fn exists(&self, path: &Path) -> bool {
        self.written.contains_key(path) || path.symlink_metadata().is_ok()
    }

    /// Links on the way to a path. With an absolute target they lead out of a root that is not this machine's.
    pub(in crate::cli) fn links(&self, path: &Path) -> Vec<PathBuf> {
        let below = path.strip_prefix(&self.root).unwrap_or(path);
        let mut at = self.root.clone();
        let mut found = Vec::new();
        for part in below.components() {
            at.push(part);
            if at.symlink_metadata().is_ok_and(|is| is.file_type().is_symlink()) {
                found.push(at.clone());
            }
        }
        found
    }

    /// Whether a path can be followed; if not, it is told.
    fn followed(&self, path: &Path, found: &mut Found) -> bool {
        let links = if self.is_here() { Vec::new() } else { self.links(path) };
        for link in &links {
            found.add(Way::ConfigUnread, link, "is a link, and is not followed: put a folder or file there");
        }
        links.is_empty()
    }

    /// A file's text; none where there is no file, and where it cannot be read, which is told.
    pub(in crate::cli) fn text(&self, path: &Path, found: &mut Found) -> Option<String> {
        if let Some(text) = self.written.get(path) {
            return Some(text.clone());
        }
        if !self.followed(path, found) {
            return None;
        }
        let read = fs::File::open(path).and_then(|file| {
            let mut text = String::new();
            file.take(NODE_FILE_BYTES + 1).read_to_string(&mut text).map(|_| text)
        });
        match read {
            Ok(text) if text.len() as u64 > NODE_FILE_BYTES => {
                found.add(Way::ConfigUnread, path, format!("is larger than {NODE_FILE_BYTES} bytes"));
                None
            }
            Ok(text) => Some(text),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => None,
            Err(error) => {
                found.add(Way::ConfigUnread, path, format!("cannot be read: {error}"));
                None
            }
        }
    }

    /// A TOML file as plain data; an empty table where there is no file, and none where it is not understood, which is told.
    pub(super) fn toml(&self, path: &Path, found: &mut Found) -> Option<Value> {
        let told = found.list.len();
        let text = self.text(path, found).unwrap_or_default();
        if found.list.len() != told {
            return None;
        }
        let config = foreign_toml(&text);
        if config.is_none() {
            found.add(Way::ConfigUnread, path, "is no TOML that can be read");
        }
        config
    }

    /// What lies in a folder, in the order of names; a folder that cannot be listed is told.
    pub(in crate::cli) fn entries(&self, folder: &Path, found: &mut Found) -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> = self.written.keys().filter_map(|path| below(folder, path)).collect();
        if !self.followed(folder, found) {
            return paths;
        }
        let listed = match fs::read_dir(folder) {
            Ok(entries) => entries
                .take(NODE_FOLDER_ENTRIES + 1)
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<Result<Vec<_>, _>>(),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        };
        match listed {
            Ok(listed) if listed.len() > NODE_FOLDER_ENTRIES => {
                found.add(
                    Way::ConfigUnread,
                    folder,
                    format!("holds more than {NODE_FOLDER_ENTRIES} entries"),
                );
            }
            Ok(listed) => paths.extend(listed),
            Err(error) => found.add(Way::ConfigUnread, folder, format!("cannot be listed: {error}")),
        }
        paths.sort();
        paths.dedup();
        paths
    }
}

/// The entry of a folder that a path goes through.
fn below(folder: &Path, path: &Path) -> Option<PathBuf> {
    let first = path.strip_prefix(folder).ok()?.components().next()?;
    Some(folder.join(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(found: Found) -> Vec<&'static str> {
        found.all().iter().map(|finding| finding.way.as_str()).collect()
    }

    #[test]
    fn a_file_over_its_limit_is_not_half_read() {
        let root = tempfile::tempdir().unwrap();
        let (node, path) = (Node::at(root.path()), root.path().join("f"));
        for (bytes, told) in [(NODE_FILE_BYTES, &[][..]), (NODE_FILE_BYTES + 1, &["config-unread"])] {
            fs::write(&path, " ".repeat(usize::try_from(bytes).unwrap())).unwrap();
            let mut found = Found::about(Runtime::Podman);
            assert_eq!(node.text(&path, &mut found).is_some(), told.is_empty());
            assert_eq!(codes(found), told);
        }
    }

    #[test]
    fn a_folder_over_its_limit_is_told_of() {
        let root = tempfile::tempdir().unwrap();
        let node = Node::at(root.path());
        for (more, told) in [(NODE_FOLDER_ENTRIES, &[][..]), (1, &["config-unread"])] {
            let there = fs::read_dir(root.path()).unwrap().count();
            for name in there..there + more {
                fs::write(root.path().join(name.to_string()), "").unwrap();
            }
            let mut found = Found::about(Runtime::Podman);
            node.entries(root.path(), &mut found);
            assert_eq!(codes(found), told);
        }
    }
}
