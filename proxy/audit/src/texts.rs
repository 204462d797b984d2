//! The text of each policy that was in force, by its revision: so that a line number has its file a year later.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::limits::POLICY_TEXTS;

/// The suffix of a text's file name.
const SUFFIX: &str = ".toml";
/// The folder of the texts, beside the database.
pub const FOLDER: &str = "policies";

/// Keeps a text under its revision; one that is there already stays as it is.
///
/// # Errors
/// It cannot be written.
pub fn keep(folder: &Path, revision: &str, text: &str) -> io::Result<()> {
    let path = folder.join(file_name(revision)?);
    if path.exists() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let unfinished = path.with_extension("new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all())?;
    fs::rename(&unfinished, &path)?;
    forget_oldest(folder)
}

/// The text of the only revision that begins with `begins`; `None` where there is none, or several.
///
/// # Errors
/// It cannot be read.
pub fn find(folder: &Path, begins: &str) -> io::Result<Option<(String, String)>> {
    let begins = begins.trim_start_matches("sha256:");
    let mut found = None;
    for (_, path) in texts(folder)? {
        let Some(revision) = path.file_stem().and_then(|name| name.to_str()) else { continue };
        if revision.starts_with(begins) {
            if found.is_some() {
                return Ok(None);
            }
            found = Some((revision.to_owned(), path.clone()));
        }
    }
    found.map(|(revision, path)| Ok((revision, fs::read_to_string(path)?))).transpose()
}

/// A revision is hexadecimal digits: nothing else gets into the name of a file.
fn file_name(revision: &str) -> io::Result<String> {
    let digits = revision.trim_start_matches("sha256:");
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no revision"));
    }
    Ok(format!("{digits}{SUFFIX}"))
}

/// The texts, the newest first.
fn texts(folder: &Path) -> io::Result<Vec<(SystemTime, PathBuf)>> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| name.ends_with(SUFFIX)) {
            texts.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    texts.sort_unstable_by(|a, b| b.cmp(a));
    Ok(texts)
}

fn forget_oldest(folder: &Path) -> io::Result<()> {
    for (_, path) in texts(folder)?.into_iter().skip(POLICY_TEXTS) {
        fs::remove_file(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_once_and_found_by_the_beginning_of_its_revision() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FOLDER);
        keep(&path, "sha256:aa01", "one").unwrap();
        keep(&path, "sha256:aa01", "another").unwrap();
        keep(&path, "ab02", "two").unwrap();
        let found = |begins: &str| find(&path, begins).unwrap().map(|(_, text)| text);
        assert_eq!((found("aa").as_deref(), found("sha256:ab02").as_deref()), (Some("one"), Some("two")));
        assert_eq!((found("a"), found("b")), (None, None), "several, and none");
        assert!(keep(&path, "../evil", "x").is_err());
    }

    #[test]
    fn over_the_limit_the_oldest_texts_go() {
        let folder = tempfile::tempdir().unwrap();
        for n in 0..=POLICY_TEXTS {
            keep(folder.path(), &format!("{n:08x}"), "text").unwrap();
        }
        assert_eq!(texts(folder.path()).unwrap().len(), POLICY_TEXTS);
    }
}
