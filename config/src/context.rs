//! The context of every reader: its file, the other files, and the diagnostics.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use pullgate_policy::limits;
use pullgate_policy::policy::Location;
use pullgate_policy::text;

use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::files::{Files, Text};
use crate::reader::{At, Table};
use crate::source::{Content, Unreadable};

/// One file that is being read.
pub(crate) struct Context<'f, 's> {
    pub(crate) files: &'f mut Files<'s>,
    pub(crate) text: Text,
}

/// A value between quotes, fit for a message.
pub(crate) fn quoted(value: &str) -> String {
    format!("\"{}\"", text::escape(value))
}

impl<'f, 's> Context<'f, 's> {
    pub(crate) fn new(files: &'f mut Files<'s>, text: Text) -> Self {
        Self { files, text }
    }

    /// Says what is wrong at a place.
    pub(crate) fn report(&mut self, span: &Range<usize>, code: Code, message: impl Into<String>) {
        self.files.report(Diagnostic::new(&self.text, span.clone(), code, message.into(), None));
    }

    /// The same, and what to do about it.
    pub(crate) fn advise(
        &mut self,
        span: &Range<usize>,
        code: Code,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.files.report(Diagnostic::new(&self.text, span.clone(), code, message.into(), Some(hint.into())));
    }

    /// A reserved setting, for a later release. It is an error: ignoring it would mislead its reader.
    pub(crate) fn not_in_force(&mut self, span: &Range<usize>, what: &str) {
        let message = format!("`{what}` is not in force in this release");
        self.advise(span, Code::NotInForce, message, "remove it: a setting without effect would mislead");
    }

    /// The file that a value names.
    pub(crate) fn named_file(&mut self, name: &At<String>, most: u64) -> Result<Arc<Content>, Unreadable> {
        let path = self.text.beside(&name.value);
        self.files.content(&path, most)
    }

    /// The same, with a fault where it cannot be read.
    pub(crate) fn readable(&mut self, name: &At<String>, most: u64) -> Option<Arc<Content>> {
        match self.named_file(name, most) {
            Ok(content) => Some(content),
            Err(why) => {
                self.unreadable(name, Code::FileUnreadable, &why);
                None
            }
        }
    }

    pub(crate) fn unreadable(&mut self, name: &At<String>, code: Code, why: &Unreadable) {
        if name.value.contains("-----BEGIN") {
            // It may be a private one: it is not repeated.
            let hint = "write it to a file beside this one, and name that";
            self.advise(&name.span, code, "a key or certificate stands where a file is named", hint);
            return;
        }
        let message = format!("{} cannot be read: {why}", quoted(&name.value));
        let path = self.files.whole(&self.text.beside(&name.value));
        self.advise(&name.span, code, message, hint(&name.value, why, &path));
    }

    /// A name that its author chose and that people will read in one line: fit for that, or a fault.
    pub(crate) fn is_name(&mut self, what: &str, name: &str, span: &Range<usize>) -> bool {
        let fit = !name.trim().is_empty()
            && name.chars().count() <= limits::REASON_PHRASE_BYTES
            && !name.chars().any(text::is_unsafe);
        if !fit {
            let most = limits::REASON_PHRASE_BYTES;
            let message = format!("the name of {what} must be 1 to {most} printable characters");
            self.report(span, Code::ValueInvalid, message);
        }
        fit
    }

    /// The line on which a table begins.
    pub(crate) fn location(&self, table: &Table) -> Location {
        Location { file: Arc::from(self.text.short()), line: self.text.line(table.head.start) }
    }
}

/// Why a file may not be where its author has it.
fn hint(name: &str, why: &Unreadable, path: &Path) -> String {
    let looked = format!("looked for {}", path.display());
    match (name, why) {
        (_, Unreadable::NotText) => format!("{looked}; save it as UTF-8, not UTF-16"),
        (name, _) if name.starts_with('~') || name.contains('$') => {
            format!("{looked}: neither `~` nor variables of a shell are expanded")
        }
        (name, _) if name.contains("://") => {
            "keys are files: have the public key written to one, `cosign public-key --key URI > ci.pub`"
                .to_owned()
        }
        (_, _) => looked,
    }
}
