//! The files of one load: each is read once, however often it is named, and remembered for its revision and for watching.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pullgate_policy::policy::Revision;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::secret;
use crate::source::{Content, Source, Unreadable};

/// Every file that was read, and the diagnostics.
pub(crate) struct Files<'a> {
    source: &'a dyn Source,
    read: BTreeMap<PathBuf, Result<Arc<Content>, Unreadable>>,
    diagnostics: Diagnostics,
}

/// A text file with diagnostics to come.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) name: Arc<str>,
    pub(crate) text: Arc<str>,
    /// The same text, fit to be shown.
    pub(crate) shown: Arc<str>,
    folder: PathBuf,
}

impl Text {
    pub(crate) fn new(path: &Path, text: &str) -> Self {
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let name = Arc::from(path.display().to_string());
        Self { name, text: Arc::from(text), shown: Arc::from(secret::masked(text)), folder }
    }

    /// The file that `path`, written in this one, means: relative to this one's folder.
    pub(crate) fn beside(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// The file's name without its folder.
    pub(crate) fn short(&self) -> &str {
        Path::new(self.name.as_ref()).file_name().and_then(|name| name.to_str()).unwrap_or(&self.name)
    }

    /// The line of a byte, from 1.
    pub(crate) fn line(&self, at: usize) -> u32 {
        let before = self.text.get(..at).unwrap_or_default();
        u32::try_from(before.matches('\n').count() + 1).unwrap_or(u32::MAX)
    }
}

impl<'a> Files<'a> {
    pub(crate) fn new(source: &'a dyn Source) -> Self {
        Self { source, read: BTreeMap::new(), diagnostics: Diagnostics::default() }
    }

    /// The whole path that a name means, for people.
    pub(crate) fn whole(&self, path: &Path) -> PathBuf {
        self.source.whole(path)
    }

    /// Other files from the same place, whose faults are their own.
    pub(crate) fn apart(&self) -> Self {
        Self::new(self.source)
    }

    /// Takes over what others have read, to be watched and hashed with the rest; their diagnostics stay theirs.
    pub(crate) fn take_in(&mut self, others: Self) {
        for (path, content) in others.read {
            self.read.entry(path).or_insert(content);
        }
    }

    /// A file's content. The first reading counts: the bytes that are judged are those of the revision (A411).
    pub(crate) fn content(&mut self, path: &Path, most: u64) -> Result<Arc<Content>, Unreadable> {
        let source = self.source;
        let read = self.read.entry(path.to_owned()).or_insert_with(|| source.read(path, most).map(Arc::new));
        read.clone()
    }

    /// A text file, and why it could not be read. An unreadable one is empty, and still has its name for diagnostics.
    pub(crate) fn text(&mut self, path: &Path, most: u64) -> (Text, Option<Unreadable>) {
        let read = self.content(path, most);
        match read.as_deref().map(|content| std::str::from_utf8(&content.bytes)) {
            Ok(Ok(text)) => (Text::new(path, text), None),
            Ok(Err(_)) => (Text::new(path, ""), Some(Unreadable::NotText)),
            Err(fault) => (Text::new(path, ""), Some(fault.clone())),
        }
    }

    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        // An unreadable file has its fault already.
        if !self.diagnostics.has_syntax_fault_at(&diagnostic) {
            self.diagnostics.push(diagnostic);
        }
    }

    pub(crate) fn has_faults(&self) -> bool {
        self.diagnostics.has_faults()
    }

    /// All that was found, in the order of files and lines.
    pub(crate) fn take_diagnostics(&mut self) -> Diagnostics {
        let mut diagnostics = std::mem::take(&mut self.diagnostics);
        diagnostics.sort();
        diagnostics
    }

    /// The paths, for watching.
    pub(crate) fn watched(&self) -> Vec<PathBuf> {
        self.read.keys().cloned().collect()
    }

    /// The content hash of everything that was read.
    pub(crate) fn fingerprint(&self) -> Revision {
        Revision::of(self.read.iter().flat_map(|(path, read)| {
            let bytes = read.as_ref().map_or(&[][..], |content| content.bytes.as_slice());
            [path.as_os_str().as_encoded_bytes(), bytes]
        }))
    }
}
