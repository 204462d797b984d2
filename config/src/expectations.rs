//! The verdicts that a site expects of its policy, image by image: the file of `pullgate policy test`.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use pullgate_policy::code;
use pullgate_policy::oci::Image;
use pullgate_policy::policy::Location;

use crate::code::Code;
use crate::context::{Context, quoted};
use crate::files::Files;
use crate::limits;
use crate::reader::Table;
use crate::suggest::nearest;

/// A file of expectations.
#[derive(Debug, Clone)]
pub struct Expectations {
    /// The policy under test; `None` for the configuration's.
    pub policy: Option<PathBuf>,
    /// The folder of a recording; `None` for the gate's own store.
    pub recorded: Option<PathBuf>,
    /// The time of judgement; `None` for now.
    pub at: Option<Timestamp>,
    /// Each of them; never empty.
    pub expect: Vec<Expect>,
}

/// One `[[expect]]`.
#[derive(Debug, Clone)]
pub struct Expect {
    /// The image.
    pub image: Image,
    /// What must be said of it.
    pub verdict: ExpectedVerdict,
    /// A code that must be among the reasons, of a denial or of a warning.
    pub code: Option<code::Code>,
    /// Where it stands.
    pub location: Location,
}

/// The expected verdict on an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedVerdict {
    /// It is refused.
    Deny,
    /// It is served, and nothing would refuse it.
    Permit,
    /// It is served with a warning: in mode "warn" it would be refused.
    Warn,
}

impl ExpectedVerdict {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Permit => "permit",
            Self::Warn => "warn",
        }
    }
}

/// Reads the file; faults are reported where it is read from.
pub(crate) fn read(files: &mut Files<'_>, path: &Path) -> Option<Expectations> {
    let (text, unreadable) = files.text(path, limits::CONFIG_FILE_BYTES);
    let mut context = Context::new(files, text);
    if let Some(why) = unreadable {
        let message = format!("the expectations cannot be read: {why}");
        context.report(&(0..0), Code::FileUnreadable, message);
        return None;
    }
    let mut file = context.parse();
    let policy = file.filled(&mut context, "policy").map(|name| context.text.beside(&name.value));
    let recorded = file.filled(&mut context, "recorded").map(|name| context.text.beside(&name.value));
    let at = if file.has("at") { file.end(&mut context, "at") } else { None };
    let tables = file.tables(&mut context, "expect").unwrap_or_default();
    if tables.is_empty() {
        let hint = "[[expect]] with `image` and `verdict`";
        context.advise(&(0..0), Code::MissingKey, "nothing is expected: the test would always pass", hint);
    }
    let expect: Vec<Expect> = tables.into_iter().filter_map(|table| one(&mut context, table)).collect();
    file.finish(&mut context);
    Some(Expectations { policy, recorded, at: at.map(|at| at.value), expect })
}

fn one(context: &mut Context<'_, '_>, mut table: Table) -> Option<Expect> {
    let location = context.location(&table);
    let written = table.required(context, "image");
    let image = written.and_then(|text| match text.value.parse() {
        Ok(image) => Some(image),
        Err(error) => {
            let message = format!("{} is no image: {error}", quoted(&text.value));
            context.report(&text.span, Code::ValueInvalid, message);
            None
        }
    });
    let words = [ExpectedVerdict::Deny, ExpectedVerdict::Permit, ExpectedVerdict::Warn]
        .map(|one| (one.as_str(), one));
    let verdict = table.required(context, "verdict").and_then(|text| context.word("verdict", &text, &words));
    let code = table.filled(context, "code").map(|text| {
        let code = code::Code::find(&text.value);
        if code.is_none() {
            let near = nearest(&text.value, code::Code::ALL.iter().map(|code| code.as_str()));
            let hint = near.map_or_else(
                || "policy/CODES.md has every code".to_owned(),
                |near| format!("did you mean \"{near}\"?"),
            );
            let message = format!("no reason has the code {}", quoted(&text.value));
            context.advise(&text.span, Code::ValueInvalid, message, hint);
        }
        (code, text.span)
    });
    if let (Some(ExpectedVerdict::Permit), Some((_, span))) = (verdict, &code) {
        let hint = "a permit in mode \"warn\" that has reasons is the verdict \"warn\"";
        context.advise(span, Code::ValueInvalid, "a permit has no reason, and no `code`", hint);
    }
    table.finish(context);
    Some(Expect { image: image?, verdict: verdict?, code: code.and_then(|(code, _)| code), location })
}
