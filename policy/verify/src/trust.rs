//! Trust tables: whose certificates, logs and timestamps count.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use pullgate_policy::identity::Name;
use pullgate_policy::policy::Revision;
use pullgate_policy::strict_json::{self, JsonFault};
use serde_json::Value;

use crate::backend::Backend;
use crate::encoding;
use crate::notation::stores::Stores;
use crate::proto;

/// Part of every trust revision: a release whose verification is stricter gets another number here, and permits that
/// rest on the laxer one are worth nothing.
pub const VERIFIER_VERSION: &str = "3";

const SIGSTORE: &[u8] = include_bytes!("../roots/sigstore/trusted_root.json");
const GITHUB: &[u8] = include_bytes!("../roots/github/trusted_root.json");

/// When the TUF metadata that vouched for both snapshots ran out. They count for longer than that, unless a table has a
/// `max_age` (A342).
pub const SNAPSHOTS_EXPIRED: Timestamp = Timestamp::constant(1_787_945_156, 0);

/// Protobuf's JSON leaves out what is empty, an address too; the library wants one.
fn name_all(root: &mut Value) {
    for (list, key) in [("certificateAuthorities", "uri"), ("tlogs", "baseUrl"), ("ctlogs", "baseUrl")] {
        let listed = root.get_mut(list).and_then(Value::as_array_mut);
        for one in listed.into_iter().flatten().filter_map(Value::as_object_mut) {
            one.entry(key).or_insert_with(|| Value::from(""));
        }
    }
}

/// Whether certificates of a trust table must carry a signed certificate timestamp. Said by the operator, never
/// inferred from a root without certificate logs (A327).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sct {
    /// They need none.
    None,
    /// They must.
    Required,
}

/// One `trusted_root.json` under the name that the policy gives it.
pub struct TrustTable {
    name: Name,
    sct: Sct,
    bytes: Vec<u8>,
    stale_from: Option<Timestamp>,
    pub(crate) backend: Backend,
}

/// How much a trust table holds, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustSummary {
    /// Certificate authorities.
    pub authorities: usize,
    /// Certificate logs.
    pub certificate_logs: usize,
    /// Transparency logs.
    pub logs: usize,
    /// Timestamp authorities.
    pub timestamp_authorities: usize,
}

/// What is trusted within a window of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    /// What it is.
    pub kind: TrustedKind,
    /// Its address, as the trusted root has it: a text from outside.
    pub name: String,
    /// From when; always where none.
    pub from: Option<Timestamp>,
    /// Until when; for ever where none.
    pub until: Option<Timestamp>,
}

/// What a trusted root speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustedKind {
    /// Issues certificates.
    CertificateAuthority,
    /// Lists certificates.
    CertificateLog,
    /// Lists signatures.
    Log,
    /// Says when a signature was made.
    TimestampAuthority,
}

/// A part of a trusted root that cannot be used, and why. It spoils itself and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// What it is.
    pub kind: TrustedKind,
    /// Its address, as the trusted root has it: a text from outside.
    pub name: String,
    /// For people.
    pub why: String,
}

impl fmt::Display for TrustedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CertificateAuthority => "certificate authority",
            Self::CertificateLog => "certificate log",
            Self::Log => "transparency log",
            Self::TimestampAuthority => "timestamp authority",
        })
    }
}

/// Why bytes are no trust table (A347).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustFault {
    /// Not JSON that all readers read alike.
    #[error("not a trusted root: {0}")]
    Json(#[from] JsonFault),
    /// Another document.
    #[error("not a trusted root: its mediaType is not one of Sigstore's trusted root")]
    MediaType,
    /// A trusted root with something in it that cannot be used.
    #[error("the trusted root cannot be used: {0}")]
    Unusable(String),
}

/// Of version 0.1 or 0.2, in either spelling.
fn is_trusted_root(media_type: &str) -> bool {
    let rest = media_type.strip_prefix("application/vnd.dev.sigstore.trustedroot").unwrap_or_default();
    let older = rest.strip_prefix("+json;version=");
    let version = older.or_else(|| rest.strip_prefix(".v")?.strip_suffix("+json"));
    version.is_some_and(|version| {
        let numbers: Vec<_> = version.split('.').collect();
        let patch = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match numbers.as_slice() {
            ["0", "1" | "2"] => true,
            ["0", "1" | "2", last] => patch(last),
            _ => false,
        }
    })
}

impl TrustTable {
    /// Reads a `trusted_root.json`.
    ///
    /// # Errors
    /// [`TrustFault`] when any part of it cannot be used.
    pub fn from_json(name: Name, bytes: &[u8], sct: Sct) -> Result<Self, TrustFault> {
        let value = encoding::without_nulls(strict_json::parse(bytes)?);
        let value = proto::normal(value, &proto::TRUSTED_ROOT);
        let mut value = value.map_err(|twice| TrustFault::Unusable(twice.to_string()))?;
        let media_type = value.get("mediaType").and_then(Value::as_str);
        if !media_type.is_some_and(is_trusted_root) {
            return Err(TrustFault::MediaType);
        }
        name_all(&mut value);
        let backend = Backend::new(value).map_err(TrustFault::Unusable)?;
        Ok(Self { name, sct, bytes: bytes.to_vec(), stale_from: None, backend })
    }

    /// How many roots of its certificate authorities have one name.
    pub(crate) fn namesakes(&self) -> usize {
        self.backend.namesakes()
    }

    /// The built-in table `sigstore`: the public-good instance, as of this release.
    ///
    /// # Errors
    /// None in a release: a test reads the snapshot.
    pub fn sigstore() -> Result<Self, TrustFault> {
        Self::from_json(Name::new("sigstore"), SIGSTORE, Sct::Required)
    }

    /// The built-in table `github`: GitHub's instance, which has neither log nor certificate log.
    ///
    /// # Errors
    /// None in a release: a test reads the snapshot.
    pub fn github() -> Result<Self, TrustFault> {
        Self::from_json(Name::new("github"), GITHUB, Sct::None)
    }

    /// The same table, from this time on too old to be believed: its keyless signatures are then undecided (A342).
    #[must_use]
    pub fn stale_from(self, time: Option<Timestamp>) -> Self {
        Self { stale_from: time, ..self }
    }

    /// Whether it is too old to be believed.
    #[must_use]
    pub fn is_stale(&self, now: Timestamp) -> bool {
        self.stale_from.is_some_and(|from| now >= from)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Whether its certificates must carry a signed certificate timestamp.
    #[must_use]
    pub fn sct(&self) -> Sct {
        self.sct
    }

    /// What it holds, one by one.
    #[must_use]
    pub fn contents(&self) -> &[Trusted] {
        self.backend.contents()
    }

    /// What its trusted root has that cannot be used, or at this time not any more (A622, A628).
    #[must_use]
    pub fn unusable(&self, now: Timestamp) -> Vec<Unusable> {
        self.backend.unusable(now)
    }

    /// The hash of its bytes.
    #[must_use]
    pub fn digest(&self) -> Revision {
        Revision::of([self.bytes.as_slice()])
    }

    /// What it holds.
    #[must_use]
    pub fn describe(&self) -> TrustSummary {
        self.backend.summary()
    }
}

impl fmt::Debug for TrustTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustTable")
            .field("name", &self.name)
            .field("holds", &self.describe())
            .finish_non_exhaustive()
    }
}

/// The trust tables of a policy. A table that is refreshed and has never been is not among them.
#[derive(Debug, Clone)]
pub struct TrustSet {
    tables: Vec<Arc<TrustTable>>,
    /// The tables of kind `x509`, which share no name with another.
    stores: Vec<Arc<Stores>>,
}

impl TrustSet {
    /// Takes the tables; of two with one name the first counts.
    #[must_use]
    pub fn new(tables: Vec<TrustTable>) -> Self {
        let mut tables: Vec<_> = tables.into_iter().map(Arc::new).collect();
        tables.sort_by(|a, b| a.name.cmp(&b.name));
        tables.dedup_by(|a, b| a.name == b.name);
        Self { tables, stores: Vec::new() }
    }

    /// The same, with these tables of kind `x509`.
    #[must_use]
    pub fn with_stores(self, stores: Vec<Stores>) -> Self {
        let mut stores: Vec<_> = stores.into_iter().map(Arc::new).collect();
        stores.sort_by(|a, b| a.name().cmp(b.name()));
        Self { stores, ..self }
    }

    /// The table of kind `x509` with this name.
    #[must_use]
    pub fn stores(&self, name: &Name) -> Option<&Stores> {
        self.stores.iter().find(|stores| stores.name() == name).map(AsRef::as_ref)
    }

    /// The same tables, this one in the place of its name.
    #[must_use]
    pub fn with(&self, table: TrustTable) -> Self {
        let others = self.tables.iter().filter(|other| other.name != table.name).cloned();
        let mut tables: Vec<_> = others.collect();
        tables.push(Arc::new(table));
        tables.sort_by(|a, b| a.name.cmp(&b.name));
        Self { tables, stores: self.stores.clone() }
    }

    /// The table with this name.
    #[must_use]
    pub fn get(&self, name: &Name) -> Option<&TrustTable> {
        self.tables.iter().find(|table| table.name == *name).map(AsRef::as_ref)
    }

    /// The revision of all tables and of the verifier itself, all of them fresh.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision_at(Timestamp::MIN)
    }

    /// The same, at this time: a table that has become stale makes another revision, so that permits that rest on it lapse.
    #[must_use]
    pub fn revision_at(&self, now: Timestamp) -> Revision {
        let tables = self.tables.iter().flat_map(|table| {
            let how: &[u8] = match (table.sct, table.is_stale(now)) {
                (Sct::None, false) => b"sct none",
                (Sct::Required, false) => b"sct required",
                (Sct::None, true) => b"sct none, stale",
                (Sct::Required, true) => b"sct required, stale",
            };
            [table.name.as_str().as_bytes(), how, table.bytes.as_slice()]
        });
        let stores = self.stores.iter().flat_map(|stores| stores.parts());
        Revision::of(std::iter::once(VERIFIER_VERSION.as_bytes()).chain(tables).chain(stores))
    }
}

#[cfg(test)]
mod tests;
