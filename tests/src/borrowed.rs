//! Test data that other projects published. None of it is in the tree: `tests/fixtures/borrowed/table.txt` says which
//! file of a corpus each case comes from. The corpus is the folder that `PULLGATE_CORPUS` names, or `../shared/corpus`
//! beside the tree.
//!
//! The tests of `pullgate-verify` include this file and `skip.rs` by their paths: they cannot depend on this package.

use std::collections::hash_map::DefaultHasher;
use std::env;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::skip;

/// A case a line: its name here, its file in the corpus, and which part of that, if not all: behind `json` a pointer into it
/// (RFC 6901), behind `base64` one to a text that is decoded. A name that ends with `/` is a folder.
const TABLE: &str = include_str!("../fixtures/borrowed/table.txt");
/// What each bundle is expected to be worth: of our own making.
const BUNDLES: &str = include_str!("../fixtures/borrowed/bundles.json");

/// The folder in which all cases lie under their names. None without a corpus: the skip `corpus/NAME` is reported then, as
/// `tests/run` collects them.
///
/// # Panics
/// Where a corpus is named and lacks a case.
#[must_use]
pub fn folder(name: &str) -> Option<PathBuf> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| corpus().map(|corpus| laid_out(&corpus)));
    if folder.is_none() {
        report(name);
    }
    folder.clone()
}

fn corpus() -> Option<PathBuf> {
    if let Some(named) = env::var_os("PULLGATE_CORPUS") {
        return Some(PathBuf::from(named));
    }
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find(|path| path.join("deny.toml").exists())?;
    let beside = root.join("../shared/corpus");
    beside.join("cases.json").exists().then_some(beside)
}

/// Lays the cases out beside the test programs, once for each table and corpus.
fn laid_out(corpus: &Path) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    (TABLE, BUNDLES, corpus).hash(&mut hasher);
    let name = format!("borrowed-{:016x}", hasher.finish());
    let program = env::current_exe().unwrap();
    let ready = program.parent().unwrap().join(&name);
    if !ready.exists() {
        // Another process may do the same: the first that is ready wins.
        let making = program.parent().unwrap().join(format!("{name}.{}", std::process::id()));
        for line in TABLE.lines() {
            lay(corpus, &making, line)
                .unwrap_or_else(|error| panic!("{}: {line}: {error}", corpus.display()));
        }
        fs::write(making.join("bundles/cases.json"), BUNDLES).unwrap();
        // A signature over nothing but itself: its artifact is empty.
        fs::write(making.join("bundles/containers-image/dir-img-cosign-no-manifest/artifact"), "").unwrap();
        if fs::rename(&making, &ready).is_err() {
            fs::remove_dir_all(&making).unwrap();
        }
    }
    ready
}

fn lay(corpus: &Path, making: &Path, line: &str) -> io::Result<()> {
    let cells: Vec<&str> = line.split('\t').collect();
    let (name, file, part) = match cells.as_slice() {
        [name, file] => (*name, *file, None),
        [name, file, part] => (*name, *file, Some(*part)),
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    let (from, to) = (corpus.join(file), making.join(name));
    if name.ends_with('/') {
        return copy_folder(&from, &to);
    }
    fs::create_dir_all(to.parent().unwrap_or(making))?;
    let bytes = fs::read(from)?;
    fs::write(to, part.map_or(Ok(bytes.clone()), |part| part_of(&bytes, part))?)
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// The part of a JSON text that a pointer leads to. What stands before the text (the mark of a `signature-N` file) and
/// behind it (the next line of JSON lines) is left out.
fn part_of(bytes: &[u8], part: &str) -> io::Result<Vec<u8>> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let begins = bytes.iter().position(|byte| *byte == b'{').ok_or_else(invalid)?;
    let mut texts = serde_json::Deserializer::from_slice(bytes.get(begins..).unwrap_or_default()).into_iter();
    let whole: Value = texts.next().ok_or_else(invalid)?.map_err(io::Error::from)?;
    let (form, pointer) = part.split_once(' ').unwrap_or((part, ""));
    let found = whole.pointer(pointer).ok_or_else(invalid)?;
    match (form, found) {
        ("base64", Value::String(text)) => STANDARD.decode(text).map_err(|_| invalid()),
        ("json", found) => Ok(found.to_string().into_bytes()),
        _ => Err(invalid()),
    }
}

fn report(name: &str) {
    skip::report(&format!("corpus/{name}"), "the test data of other projects is not here (PULLGATE_CORPUS)");
}
