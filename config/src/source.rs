//! The only reader of configuration files: each is read once, bounded, and remembered for its revision and for watching.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::ops::Range;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pullgate_policy::policy::Revision;

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};

/// Every file that was read, and what was wrong.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    files: BTreeMap<PathBuf, Result<Arc<Vec<u8>>, String>>,
    diagnostics: Diagnostics,
}

/// A text file with faults to report about it.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) name: String,
    pub(crate) text: Arc<str>,
    folder: PathBuf,
}

impl Text {
    /// A path in this file is relative to its folder.
    pub(crate) fn beside(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// The file's name without its folder.
    pub(crate) fn short(&self) -> &str {
        Path::new(&self.name).file_name().and_then(|name| name.to_str()).unwrap_or(&self.name)
    }

    /// The line of a byte, from 1.
    pub(crate) fn line(&self, at: usize) -> u32 {
        let lines = self.text.get(..at).unwrap_or_default().matches('\n').count() + 1;
        u32::try_from(lines).unwrap_or(u32::MAX)
    }
}

impl Sources {
    /// A file's bytes, read once however often it is named (A411).
    pub(crate) fn bytes(&mut self, path: &Path, most: u64) -> Result<Arc<Vec<u8>>, String> {
        self.files
            .entry(path.to_owned())
            .or_insert_with(|| read(path, most).map(Arc::new))
            .clone()
    }

    /// A text file; a fault where it cannot be read.
    pub(crate) fn text(&mut self, path: &Path, most: u64) -> Option<Text> {
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let name = path.display().to_string();
        let read = self.bytes(path, most).and_then(|bytes| {
            String::from_utf8(bytes.as_ref().clone()).map_err(|_| "it is not UTF-8".to_owned())
        });
        match read {
            Ok(text) => Some(Text { name, text: Arc::from(text), folder }),
            Err(why) => {
                let text = Text { name, text: Arc::from(""), folder };
                self.fault(&text, 0..0, Code::FileUnreadable, format!("`{}` cannot be read: {why}", text.name), None);
                None
            }
        }
    }

    pub(crate) fn fault(&mut self, text: &Text, span: Range<usize>, code: Code, message: String, hint: Option<String>) {
        let place = (text.name.as_str(), &text.text);
        self.diagnostics.push(Diagnostic::new(place, span, (code, Severity::Error), message, hint));
    }

    pub(crate) fn warn(&mut self, text: &Text, span: Range<usize>, code: Code, message: String, hint: Option<String>) {
        let place = (text.name.as_str(), &text.text);
        self.diagnostics.push(Diagnostic::new(place, span, (code, Severity::Warning), message, hint));
    }

    pub(crate) fn take_diagnostics(&mut self) -> Diagnostics {
        let mut diagnostics = std::mem::take(&mut self.diagnostics);
        diagnostics.sort();
        diagnostics
    }

    /// A text that was read, by its short name; an empty one where it is not known.
    pub(crate) fn named(&self, short: &str) -> (String, Arc<str>) {
        let found = self.files.iter().find(|(path, _)| path.file_name().is_some_and(|name| name == short));
        match found {
            Some((path, Ok(bytes))) => {
                (path.display().to_string(), Arc::from(String::from_utf8_lossy(bytes).as_ref()))
            }
            Some((path, Err(_))) => (path.display().to_string(), Arc::from("")),
            None => (short.to_owned(), Arc::from("")),
        }
    }

    /// The files, for watching.
    pub(crate) fn watched(&self) -> Vec<PathBuf> {
        self.files.keys().cloned().collect()
    }

    /// The content hash of everything that was read.
    pub(crate) fn fingerprint(&self) -> Revision {
        Revision::of(self.files.iter().flat_map(|(path, read)| {
            let bytes = read.as_ref().map_or(&[][..], |bytes| bytes.as_slice());
            [path.as_os_str().as_encoded_bytes(), bytes]
        }))
    }
}

/// Whether everybody may read the file.
pub(crate) fn is_open_to_all(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    // A FIFO must not hang a start or a reload (A403).
    const NONBLOCK: i32 = 0o4000;
    let open = || fs::OpenOptions::new().read(true).custom_flags(NONBLOCK).open(path);
    let file: File = open().map_err(|error| error.to_string())?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is not a file".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > most { Err(format!("it is larger than {most} bytes")) } else { Ok(bytes) }
}
