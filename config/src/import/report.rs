//! What came of an import, for whoever asked for it.

use std::collections::BTreeMap;

use pullgate_policy::text::escape;

use super::fault::Fault;
use super::model::{Originals, Part};
use super::remark::{Remark, RemarkCode, Weight};
use super::trusted::Trusted;
use super::write::Written;
use crate::diagnostic::Diagnostics;

/// What is to be written, and what it is worth.
#[derive(Debug)]
pub struct Imported {
    /// The policy file.
    pub policy: String,
    /// The files that it names, by their names beside it.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Its policies.
    pub policies: Vec<ImportedPolicy>,
    /// What each part of the originals came to.
    pub parts: Vec<ImportedPart>,
    /// Remarks about the whole.
    pub remarks: Vec<ImportedRemark>,
    /// What `check` warns of in the result.
    pub warnings: Diagnostics,
}

/// A policy that was written.
#[derive(Debug)]
pub struct ImportedPolicy {
    /// Its name.
    pub name: String,
    /// Its scopes.
    pub scope: Vec<String>,
    /// The parts that it says, by their place in the list.
    pub from: Vec<usize>,
}

/// A policy or a rule of an original.
#[derive(Debug)]
pub struct ImportedPart {
    /// Its name, fit to be shown.
    pub name: String,
    /// The file, fit to be shown.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// How much of it could be said.
    pub outcome: Weight,
    /// What came out otherwise.
    pub remarks: Vec<ImportedRemark>,
}

/// What came out otherwise.
#[derive(Debug)]
pub struct ImportedRemark {
    /// Why.
    pub code: RemarkCode,
    /// The file, fit to be shown.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// One line, fit to be shown.
    pub text: String,
}

/// Why nothing is to be written. The text is fit to be shown.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ImportFault(String);

impl From<Fault> for ImportFault {
    fn from(fault: Fault) -> Self {
        Self(fault.to_string())
    }
}

impl Imported {
    /// How much of the worst part could be said.
    #[must_use]
    pub fn worst(&self) -> Weight {
        let of_parts = self.parts.iter().map(|part| part.outcome);
        let of_remarks = self.remarks.iter().map(|remark| remark.code.weight());
        of_parts.chain(of_remarks).max().unwrap_or(Weight::Said)
    }
}

pub(super) fn report(
    originals: Originals,
    written: Written,
    mut trusted: Trusted,
    warnings: Diagnostics,
) -> Imported {
    let files = written.files.iter().filter_map(|name| trusted.files.remove_entry(name)).collect();
    let policies = written.policies.into_iter().map(|(name, one)| ImportedPolicy {
        name,
        scope: one.scopes.iter().map(super::area::Area::text).collect(),
        from: one.from,
    });
    let remarks = originals.remarks.into_iter().chain(trusted.remarks);
    Imported {
        policy: written.text,
        files,
        policies: policies.collect(),
        remarks: remarks.map(remark).collect(),
        parts: originals.parts.into_iter().map(part).collect(),
        warnings,
    }
}

fn part(part: Part) -> ImportedPart {
    ImportedPart {
        outcome: part.weight(),
        name: escape(&part.name),
        file: part.place.file.to_string(),
        line: part.place.line,
        remarks: part.remarks.into_iter().map(remark).collect(),
    }
}

fn remark(Remark { code, place, text }: Remark) -> ImportedRemark {
    ImportedRemark { code, file: place.file.to_string(), line: place.line, text: escape(&text) }
}
