//! Policies of other systems, as a policy of this one that permits nothing which they refuse.
//!
//! Originals are read into [`model`], joined to what governs each scope ([`join`]), written as a person would, and
//! loaded: what `check` would refuse is not written. `policy/README.md` says what becomes of what, and has the table of
//! remarks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use self::fault::Fault;
use self::model::{Joined, Originals, Unmatched};
use self::reader::{Object, Reader, text_of};
use self::remark::Remark;
use self::tree::{Node, Value};
use crate::diagnostic::Diagnostics;
use crate::files::Files;
use crate::limits;
use crate::policy_file;
use crate::source::Source;

mod area;
mod connaisseur;
mod containers;
mod expression;
mod fault;
mod join;
mod json;
mod kyverno;
mod model;
mod notation;
mod predicate;
mod reader;
mod remark;
mod report;
mod resolve;
mod sigstore;
mod text;
mod tree;
mod trusted;
mod write;
mod yaml;

pub use remark::{RemarkCode, Weight};
pub use report::{ImportFault, Imported, ImportedPart, ImportedPolicy, ImportedRemark};

/// What is imported, and what is known besides.
pub struct Import<'a> {
    /// Where files come from.
    pub source: &'a dyn Source,
    /// All that is in force together.
    pub files: Vec<PathBuf>,
    /// Keys that policies only refer to, by their references.
    pub keys: BTreeMap<String, PathBuf>,
    /// Trusted roots that policies only refer to, by their names.
    pub trusted_roots: BTreeMap<String, PathBuf>,
    /// The files of `registries.d`, in the order of their names; none where nobody has named the folder.
    pub registries_d: Option<Vec<PathBuf>>,
    /// Differences that may make the result wider.
    pub accept: BTreeSet<Accept>,
    /// For what has run out.
    pub now: Timestamp,
}

impl std::fmt::Debug for Import<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Import").field("files", &self.files).finish_non_exhaustive()
    }
}

/// A difference that is taken over where somebody says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Accept {
    /// Of several attestations of a type one that meets the conditions is enough.
    OneStatement,
    /// A payload that must name repository and tag may name any tag.
    TagIdentity,
    /// A pattern of tags stands for the whole repository.
    Tags,
}

impl Accept {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::OneStatement, Self::TagIdentity, Self::Tags];

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OneStatement => "one-statement",
            Self::TagIdentity => "tag-identity",
            Self::Tags => "tags",
        }
    }
}

/// Imports them.
///
/// # Errors
/// [`ImportFault`]: a file that cannot be read, a policy that was never in force, or one that can only be imported wider
/// than it is. Nothing is to be written then.
pub fn import(asked: &Import<'_>) -> Result<Imported, ImportFault> {
    Ok(imported(asked)?)
}

fn imported(asked: &Import<'_>) -> Result<Imported, Fault> {
    let mut reader = Reader::new(asked);
    let documents = documents(asked)?;
    let mut originals = originals(&mut reader, &documents)?;
    let refused = reader.trusted.refused(asked.now)?;
    resolve::resolve(&mut originals.parts, &reader.trusted, &refused);
    let governing = join::joined(&mut originals)?;
    let written = write::write(&originals, governing, &reader.trusted);
    let warnings = loaded(&written, &reader, asked.now)?;
    Ok(report::report(originals, written, reader.trusted, warnings))
}

/// A document, and what it is.
struct Document {
    kind: Kind,
    node: Node,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    ClusterImagePolicy,
    ContainersPolicy,
    Connaisseur,
    Notation,
    /// A policy of Kyverno's with `verifyImages`.
    Kyverno,
    /// An `ImageValidatingPolicy` of Kyverno's.
    KyvernoValidating,
    Object(Object),
    /// Something that no policy is.
    Other,
}

impl Kind {
    /// The system that reads it, for people; policies of one system count together.
    fn system(self) -> Option<&'static str> {
        match self {
            Self::ClusterImagePolicy | Self::Kyverno | Self::KyvernoValidating => {
                Some("policies of a cluster")
            }
            Self::ContainersPolicy => Some("policy.json"),
            Self::Connaisseur => Some("a configuration of Connaisseur"),
            Self::Notation => Some("trustpolicy.json"),
            Self::Object(_) | Self::Other => None,
        }
    }

    fn of(node: &Node) -> Self {
        let group = node.text_at(&["apiVersion"]).unwrap_or_default();
        let group = group.split_once('/').map_or("", |(group, _)| group);
        match (group, node.text_at(&["kind"]).unwrap_or_default()) {
            ("policy.sigstore.dev" | "cosigned.sigstore.dev", "ClusterImagePolicy") => {
                Self::ClusterImagePolicy
            }
            ("kyverno.io", "ClusterPolicy" | "Policy") => Self::Kyverno,
            ("policies.kyverno.io", "ImageValidatingPolicy" | "NamespacedImageValidatingPolicy") => {
                Self::KyvernoValidating
            }
            ("policy.sigstore.dev", "TrustRoot") => Self::Object(Object::TrustRoot),
            ("", "Secret") => Self::Object(Object::Secret),
            ("", "ConfigMap") => Self::Object(Object::ConfigMap),
            ("", "") if node.at(&["trustPolicies"]).is_some() => Self::Notation,
            ("", "") if node.at(&["application", "policy"]).is_some() => Self::Connaisseur,
            ("", "") if node.at(&["default"]).is_some() || node.at(&["transports"]).is_some() => {
                Self::ContainersPolicy
            }
            (_, _) => Self::Other,
        }
    }
}

fn documents(asked: &Import<'_>) -> Result<Vec<Document>, Fault> {
    if asked.files.len() > limits::IMPORT_FILES {
        return Err(Fault::Files);
    }
    let mut documents = Vec::new();
    for path in &asked.files {
        let found = documents_of(asked, path)?;
        if found.iter().all(|document| document.kind == Kind::Other) {
            return Err(Fault::Nothing { file: pullgate_policy::text::escape(&path.display().to_string()) });
        }
        documents.extend(found);
    }
    Ok(documents)
}

fn documents_of(asked: &Import<'_>, path: &Path) -> Result<Vec<Document>, Fault> {
    let (name, text) = text_of(asked, path)?;
    let nodes = match text.trim_start().starts_with('{') {
        true => vec![json::document(&name, &text)?],
        false => yaml::documents(&name, &text)?,
    };
    // What `kubectl get` prints is one list of them.
    let nodes = nodes.into_iter().flat_map(|node| match (node.text_at(&["kind"]), node.at(&["items"])) {
        (Some(kind), Some(Node { value: Value::List(items), .. })) if kind.ends_with("List") => items.clone(),
        (_, _) => vec![node],
    });
    Ok(nodes.map(|node| Document { kind: Kind::of(&node), node }).collect())
}

fn originals(reader: &mut Reader<'_>, documents: &[Document]) -> Result<Originals, Fault> {
    for document in documents {
        if let Kind::Object(object) = document.kind {
            reader.keep(object, &document.node);
        }
    }
    let policies = || documents.iter().filter_map(|one| Some((one.kind.system()?, one)));
    let Some((system, first)) = policies().next() else {
        return Err(Fault::Nothing { file: "these files".to_owned() });
    };
    // A file of a system whose policy is one file counts alone.
    let alone = matches!(first.kind, Kind::ContainersPolicy | Kind::Connaisseur | Kind::Notation);
    let strange = policies().skip(1).find(|(other, _)| *other != system || alone);
    if let Some((other, document)) = strange {
        return Err(Fault::Mixed { place: document.node.place.clone(), one: system, other });
    }
    match first.kind {
        Kind::ContainersPolicy => containers::read(reader, &first.node),
        Kind::Connaisseur => connaisseur::read(reader, &first.node),
        Kind::Notation => notation::read(&first.node),
        Kind::ClusterImagePolicy
        | Kind::Kyverno
        | Kind::KyvernoValidating
        | Kind::Object(_)
        | Kind::Other => cluster(reader, documents),
    }
}

/// Policies of a cluster's admission: each that matches must pass.
fn cluster(reader: &mut Reader<'_>, documents: &[Document]) -> Result<Originals, Fault> {
    let (mut parts, mut remarks) = (Vec::new(), Vec::new());
    for document in documents {
        match document.kind {
            Kind::Kyverno => {
                admitted(&mut remarks, &document.node);
                parts.extend(kyverno::read(reader, &document.node)?);
            }
            Kind::KyvernoValidating => {
                admitted(&mut remarks, &document.node);
                parts.push(kyverno::validating::read(reader, &document.node)?);
            }
            Kind::ClusterImagePolicy => parts.push(sigstore::read(reader, &document.node)?),
            Kind::Connaisseur | Kind::ContainersPolicy | Kind::Notation | Kind::Object(_) | Kind::Other => {}
        }
    }
    Ok(Originals { parts, joined: Joined::All, unmatched: Unmatched::Deny, remarks })
}

/// What no pattern matches is admitted by Kyverno.
fn admitted(remarks: &mut Vec<Remark>, node: &Node) {
    if remarks.is_empty() {
        let text = "what no pattern matches is admitted there, and denied here";
        remarks.push(Remark::new(RemarkCode::UnmatchedDenied, &node.place, text));
    }
}

/// What `check` says of the result: no fault may be left.
fn loaded(written: &write::Written, reader: &Reader<'_>, now: Timestamp) -> Result<Diagnostics, Fault> {
    let source = reader.trusted.beside(&written.text);
    let mut files = Files::new(&source);
    let _policies = policy_file::alone(&mut files, Path::new("policy.toml"), now);
    let diagnostics = files.take_diagnostics();
    match diagnostics.has_faults() {
        true => Err(Fault::Unloadable(diagnostics.render(crate::diagnostic::Style::Plain))),
        false => Ok(diagnostics),
    }
}
