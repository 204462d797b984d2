//! What came of an import, for programs and for people.

use std::path::Path;

use pullgate_config::{Diagnostics, Imported, ImportedPart, ImportedRemark, Weight};
use serde::Serialize;

use crate::cli::paint::Paint;

/// The shape of `policy import --format json`.
#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    version: u32,
    /// What was written; none where nothing was.
    written: Option<Written>,
    /// Why nothing was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
    parts: Vec<Part<'a>>,
    remarks: Vec<Remark<'a>>,
    /// What `check` warns of in the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings: Option<&'a Diagnostics>,
}

#[derive(Debug, Serialize)]
struct Written {
    policy: String,
    files: Vec<String>,
    policies: Vec<Policy>,
}

#[derive(Debug, Serialize)]
struct Policy {
    name: String,
    scope: Vec<String>,
    /// The parts that it says, by their place in the list.
    from: Vec<usize>,
}

#[derive(Debug, Serialize)]
struct Part<'a> {
    name: &'a str,
    file: &'a str,
    line: usize,
    outcome: &'static str,
    remarks: Vec<Remark<'a>>,
}

#[derive(Debug, Serialize)]
struct Remark<'a> {
    code: &'static str,
    weight: &'static str,
    file: &'a str,
    line: usize,
    text: &'a str,
}

impl<'a> Report<'a> {
    pub(super) fn of(imported: &'a Imported, out: &Path) -> Self {
        let policies = imported.policies.iter().map(|one| Policy {
            name: one.name.clone(),
            scope: one.scope.clone(),
            from: one.from.clone(),
        });
        let written = Written {
            policy: out.display().to_string(),
            files: imported.files.keys().cloned().collect(),
            policies: policies.collect(),
        };
        Self {
            version: 1,
            written: Some(written),
            fault: None,
            parts: imported.parts.iter().map(part).collect(),
            remarks: imported.remarks.iter().map(remark).collect(),
            warnings: Some(&imported.warnings),
        }
    }

    pub(super) fn nothing(why: &str) -> Self {
        let fault = Some(why.to_owned());
        Self { version: 1, written: None, fault, parts: Vec::new(), remarks: Vec::new(), warnings: None }
    }

    pub(super) fn render(&self, paint: Paint) -> String {
        let mut text = String::new();
        for remark in &self.remarks {
            text.push_str(&line(remark, paint, None));
        }
        for part in &self.parts {
            let outcome = coloured(part.outcome, paint, &format!("{:<8}", part.outcome));
            text.push_str(&format!("{outcome}  {}  ({}:{})\n", part.name, part.file, part.line));
            for remark in &part.remarks {
                text.push_str(&line(remark, paint, Some(part)));
            }
        }
        let count =
            |outcome: Weight| self.parts.iter().filter(|part| part.outcome == outcome.as_str()).count();
        let (said, stricter, refused) =
            (count(Weight::Said), count(Weight::Stricter), count(Weight::Refused));
        text.push_str(&format!("\nsaid {said}, stricter {stricter}, refused {refused}\n"));
        if let Some(written) = &self.written {
            let policies = written.policies.len();
            text.push_str(&format!("{}: policies {policies}", written.policy));
            if !written.files.is_empty() {
                text.push_str(&format!("; beside it {}", written.files.join(", ")));
            }
            text.push('\n');
        }
        let warnings = self.warnings.map(|warnings| warnings.iter().count()).unwrap_or_default();
        if warnings > 0 {
            text.push_str(&format!("`pullgate check` warns of {warnings} of its lines\n"));
        }
        text
    }
}

fn coloured(outcome: &str, paint: Paint, text: &str) -> String {
    if outcome == Weight::Refused.as_str() { paint.bad(text) } else { text.to_owned() }
}

fn line(remark: &Remark<'_>, paint: Paint, beside: Option<&Part<'_>>) -> String {
    let place = match beside {
        Some(part) if part.file == remark.file => format!("line {}", remark.line),
        Some(_) | None => format!("{}:{}", remark.file, remark.line),
    };
    let code = coloured(remark.weight, paint, remark.code);
    format!("          {code}  {}  ({place})\n", remark.text)
}

fn part(part: &ImportedPart) -> Part<'_> {
    Part {
        name: &part.name,
        file: &part.file,
        line: part.line,
        outcome: part.outcome.as_str(),
        remarks: part.remarks.iter().map(remark).collect(),
    }
}

fn remark(remark: &ImportedRemark) -> Remark<'_> {
    let ImportedRemark { code, file, line, text } = remark;
    Remark { code: code.as_str(), weight: code.weight().as_str(), file, line: *line, text }
}
