//! The files of the repository, but for what is built and what is recorded.

use std::fs;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A file, by its path below the root.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Every text file with one of these endings.
pub(crate) fn files(endings: &[&str]) -> Vec<File> {
    let (root, mut folders, mut found) = (root(), vec![root()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                let left_out = matches!(name.as_str(), "target" | ".git" | "tests/fixtures/live");
                // Recorded by tools, not written by us.
                if !left_out && !name.contains("/fixtures/") {
                    folders.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending))
                && let Ok(text) = fs::read_to_string(&path)
            {
                found.push(File { path: name, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Compares a file that is made from the code, or writes it where `UPDATE` is set.
pub(crate) fn assert_made(path: &str, expected: &str) {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(root().join(path), expected).unwrap();
    }
    let found = fs::read_to_string(root().join(path)).unwrap_or_default();
    assert!(
        found == expected,
        "{path} is not what the code says: UPDATE=1 cargo test -p pullgate-tests --test tidy"
    );
}

/// Fails with every finding at once.
#[track_caller]
pub(crate) fn assert_none(what: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{what}:\n  {}", findings.join("\n  "));
}
