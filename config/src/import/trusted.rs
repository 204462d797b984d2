//! Whom the originals trust: keys, identities and trust tables, each under one name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;
use pullgate_policy::identity::KeyId;
use pullgate_verify::PublicKey;

use super::fault::Fault;
use super::remark::{Remark, RemarkCode};
use super::text;
use super::tree::Place;
use crate::code::Severity;
use crate::files::Files;
use crate::limits;
use crate::policy_file;
use crate::source::Memory;

/// An authority, by its place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Who(usize);

/// One `[authority]`.
#[derive(Debug, Clone)]
pub(super) struct Authority {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) by: By,
    pub(super) transparency: Transparency,
    /// The trust table.
    pub(super) trust: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum By {
    Key { file: String, id: KeyId },
    Identity { issuer: Pattern, identity: Pattern, claims: BTreeMap<String, String> },
}

/// A text, or an expression over the whole of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pattern {
    Exact(String),
    Regex(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transparency {
    None,
    Optional,
    Required,
}

/// One `[trust]`.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) place: Place,
    /// Its keys, each as it is written.
    pub(super) lines: Vec<String>,
}

/// Everybody, under names that are told apart, with the files that are written beside the policy.
#[derive(Debug, Default)]
pub(super) struct Trusted {
    authorities: Vec<Authority>,
    tables: Vec<Table>,
    names: BTreeSet<String>,
    pub(super) files: BTreeMap<String, Vec<u8>>,
    pub(super) remarks: Vec<Remark>,
}

/// Why somebody cannot be named.
pub(super) type Unnamed = (RemarkCode, String);

impl Trusted {
    pub(super) fn get(&self, who: Who) -> Option<&Authority> {
        self.authorities.get(who.0)
    }

    pub(super) fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// The holder of a key. One key is one authority: where a log entry is asked for once, it is always.
    pub(super) fn key(
        &mut self,
        (name, place): (&str, &Place),
        bytes: &[u8],
        (transparency, trust): (Transparency, &str),
    ) -> Result<Who, Unnamed> {
        let mut keys =
            PublicKey::from_file(bytes).map_err(|fault| (RemarkCode::Authority, fault.to_string()))?;
        let (Some(key), true) = (keys.pop(), keys.is_empty()) else {
            return Err((RemarkCode::Authority, "several keys where one is read".to_owned()));
        };
        let id = key.id();
        let known = self.authorities.iter_mut().enumerate().find(|(_, other)| match &other.by {
            By::Key { id: other, .. } => *other == id,
            By::Identity { .. } => false,
        });
        if let Some((at, known)) = known {
            match (known.transparency, transparency) {
                (Transparency::Required, Transparency::Required) if known.trust != trust => {
                    let why = format!("log entries under \"{}\" and under \"{trust}\"", known.trust);
                    return Err((RemarkCode::KeyTwice, why));
                }
                (Transparency::Optional | Transparency::None, Transparency::Required) => {
                    let why =
                        format!("\"{}\" is asked for a log entry here, so it is everywhere", known.name);
                    self.remarks.push(Remark::new(RemarkCode::LogEverywhere, place, why));
                    known.transparency = transparency;
                    trust.clone_into(&mut known.trust);
                }
                (Transparency::Required, Transparency::Optional | Transparency::None) => {
                    let why = format!("\"{}\" is asked for a log entry elsewhere, so it is here", known.name);
                    self.remarks.push(Remark::new(RemarkCode::LogEverywhere, place, why));
                }
                (_, _) => {}
            }
            return Ok(Who(at));
        }
        let name = self.named(name, "key");
        let file = format!("{name}.pub");
        let mut bytes = bytes.trim_ascii().to_vec();
        bytes.push(b'\n');
        // What is no text is kept byte for byte.
        let bytes = if std::str::from_utf8(&bytes).is_ok() { bytes } else { bytes_of(bytes) };
        self.files.insert(file.clone(), bytes);
        self.add(Authority {
            name,
            place: place.clone(),
            by: By::Key { file, id },
            transparency,
            trust: trust.to_owned(),
        })
    }

    /// The holder of an identity.
    pub(super) fn identity(
        &mut self,
        (name, place): (&str, &Place),
        by: By,
        (transparency, trust): (Transparency, &str),
    ) -> Result<Who, Unnamed> {
        let known = self
            .authorities
            .iter()
            .position(|other| other.by == by && other.transparency == transparency && other.trust == trust);
        if let Some(at) = known {
            return Ok(Who(at));
        }
        let (name, place, trust) = (self.named(name, "signer"), place.clone(), trust.to_owned());
        self.add(Authority { name, place, by, transparency, trust })
    }

    fn add(&mut self, authority: Authority) -> Result<Who, Unnamed> {
        self.authorities.push(authority);
        Ok(Who(self.authorities.len() - 1))
    }

    /// A trust table with these keys; the files that they name are written beside the policy.
    pub(super) fn trust(
        &mut self,
        (name, place): (&str, &Place),
        make: impl FnOnce(&str) -> (Vec<String>, Vec<(String, Vec<u8>)>),
    ) -> String {
        let name = self.named(name, "trust");
        let (lines, files) = make(&name);
        // The same table under another name is that one.
        let same = |table: &&Table| {
            let lines_of: Vec<_> = lines.iter().map(|line| line.replace(&name, &table.name)).collect();
            table.lines == lines_of
                && files
                    .iter()
                    .all(|(file, bytes)| self.files.get(&file.replace(&name, &table.name)) == Some(bytes))
        };
        if let Some(table) = self.tables.iter().find(same) {
            let found = table.name.clone();
            self.names.remove(&name);
            return found;
        }
        self.files.extend(files);
        self.tables.push(Table { name: name.clone(), place: place.clone(), lines });
        name
    }

    /// A name that nobody has yet, and that needs no quotes.
    fn named(&mut self, wanted: &str, otherwise: &str) -> String {
        let slug = text::slug(wanted, otherwise);
        let built_in = |name: &str| matches!(name, "sigstore" | "github");
        let mut name = slug.clone();
        let mut count = 1;
        while built_in(&name) || self.names.contains(&name) {
            count += 1;
            name = format!("{slug}-{count}");
        }
        self.names.insert(name.clone());
        name
    }

    /// Whom a policy file would not take, and why, in the words of `check`.
    pub(super) fn refused(&self, now: Timestamp) -> Result<BTreeMap<Who, String>, Fault> {
        if self.authorities.len() > limits::IMPORT_PARTS {
            return Err(Fault::Parts);
        }
        let mut written = "unmatched = \"deny\"\n".to_owned();
        let mut begins = Vec::new();
        for table in &self.tables {
            begins.push((line_after(&written), Block::Trust(table.name.as_str())));
            written.push_str(&text::table(table));
        }
        for (at, authority) in self.authorities.iter().enumerate() {
            begins.push((line_after(&written), Block::Authority(Who(at))));
            written.push_str(&text::authority(authority));
        }
        begins.push((line_after(&written), Block::Rest));
        written.push_str("[[policy]]\nname = \"x\"\nscope = [\"**\"]\ninsecure_permit_anything = true\n");
        let mut found = BTreeMap::new();
        for diagnostic in self.load(&written, now) {
            let block = begins.iter().rev().find(|(line, _)| *line <= diagnostic.0).map(|(_, block)| *block);
            match block {
                Some(Block::Authority(who)) => {
                    found.entry(who).or_insert(diagnostic.1);
                }
                Some(Block::Trust(name)) => {
                    let by = self.authorities.iter().enumerate().filter(|(_, one)| one.trust == name);
                    found.extend(by.map(|(at, _)| (Who(at), diagnostic.1.clone())));
                }
                Some(Block::Rest) | None => return Err(Fault::Unloadable(diagnostic.1)),
            }
        }
        Ok(found)
    }

    fn load(&self, written: &str, now: Timestamp) -> Vec<(usize, String)> {
        let source = self.beside(written);
        let mut files = Files::new(&source);
        let _policies = policy_file::alone(&mut files, Path::new("policy.toml"), now);
        let faults = files.take_diagnostics();
        let faults = faults.iter().filter(|one| one.severity == Severity::Error);
        faults.map(|one| (one.line, format!("{}: {}", one.code, one.message))).collect()
    }

    /// A policy with the files beside it.
    pub(super) fn beside(&self, policy: &str) -> Memory {
        let memory = Memory::default().with("policy.toml", policy);
        self.files.iter().fold(memory, |memory, (name, bytes)| memory.with(name, bytes.as_slice()))
    }
}

#[derive(Debug, Clone, Copy)]
enum Block<'a> {
    Authority(Who),
    Rest,
    Trust(&'a str),
}

fn line_after(written: &str) -> usize {
    written.matches('\n').count() + 1
}

/// Without the line break that a text ends with.
fn bytes_of(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.pop();
    bytes
}
