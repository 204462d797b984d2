//! `[trust.…]`: the built-in tables, and those of the file beside them or in their place.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use crate::limits;
use jiff::Timestamp;
use pullgate_policy::identity::Name;
use pullgate_policy::oci::Registry;
use pullgate_policy::time::later;
use pullgate_verify::refresh::{Anchor, TargetName};
use pullgate_verify::{SNAPSHOTS_EXPIRED, Sct, TrustSet, TrustTable};

use crate::code::Code;
use crate::context::{Context, quoted};
use crate::defaults;
use crate::reader::{At, Entries, Table};
use crate::value::Zero;

mod loose;
mod stores;

use loose::Loose;

/// Where the built-in tables are refreshed from.
const MIRRORS: [(&str, &str); 2] =
    [("github", "https://tuf-repo.github.com"), ("sigstore", "https://tuf-repo-cdn.sigstore.dev")];

/// Where a trust table comes from.
#[derive(Debug, Clone)]
pub struct TrustSource {
    /// Its name.
    pub name: Name,
    /// What counts until it is refreshed for the first time.
    pub origin: TrustOrigin,
    /// How it is refreshed; a pinned one is not.
    pub refresh: Option<TrustRefresh>,
    /// How long it counts after its TUF metadata has expired; `None` for ever.
    pub max_age: Option<Duration>,
    /// Whether its certificates must carry a signed certificate timestamp.
    pub sct: Sct,
}

/// What counts until a trust table is refreshed for the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustOrigin {
    /// The snapshot of this release.
    BuiltIn,
    /// A pinned file.
    File(PathBuf),
    /// Certificates and keys, pinned.
    Files(Vec<PathBuf>),
    /// Nothing.
    Tuf,
}

/// How a trust table is refreshed.
#[derive(Debug, Clone)]
pub struct TrustRefresh {
    /// Where the TUF repository is.
    pub location: TrustLocation,
    /// The root that the refresh starts from.
    pub anchor: Anchor,
    /// Which file of the repository it is.
    pub target: TargetName,
}

/// Where a TUF repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustLocation {
    /// `http` or `https`, a host, perhaps a port and a path; no trailing slash.
    Url(String),
    /// A folder of this machine.
    Folder(PathBuf),
}

impl TrustSource {
    fn built_in(table: &TrustTable) -> Self {
        let refresh = anchor_of(table.name().as_str()).zip(mirror_of(table.name().as_str()));
        Self {
            name: table.name().clone(),
            origin: TrustOrigin::BuiltIn,
            refresh: refresh.map(|(anchor, location)| TrustRefresh {
                location,
                anchor,
                target: TargetName::TRUSTED_ROOT,
            }),
            max_age: None,
            sct: table.sct(),
        }
    }

    /// From when on the table is too old to be believed, where its metadata runs out at `expires` (A342).
    #[must_use]
    pub fn stale_from(&self, expires: Timestamp) -> Option<Timestamp> {
        Some(later(expires, self.max_age?))
    }
}

impl std::fmt::Display for TrustLocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url(url) => f.write_str(url),
            Self::Folder(path) => write!(f, "file://{}", path.display()),
        }
    }
}

/// The sources of the built-in tables.
pub(crate) fn built_in_sources() -> Vec<TrustSource> {
    defaults::built_in().map(|table| TrustSource::built_in(&table)).collect()
}

fn mirror_of(name: &str) -> Option<TrustLocation> {
    let (_, url) = MIRRORS.iter().find(|(known, _)| *known == name)?;
    Some(TrustLocation::Url((*url).to_owned()))
}

fn anchor_of(name: &str) -> Option<Anchor> {
    match name {
        "github" => Anchor::github().ok(),
        "sigstore" => Anchor::sigstore().ok(),
        _ => None,
    }
}

/// The trust tables of a policy, and the names that are spoken for.
pub(crate) struct Trust {
    pub(crate) set: TrustSet,
    pub(crate) sources: Vec<TrustSource>,
    /// Also those that could not be read, so that an authority does not fault a second time.
    pub(crate) names: Vec<String>,
    /// Those among them that are of X.509 stores.
    pub(crate) x509: BTreeSet<String>,
    /// Whether `github` is the built-in table, the only table that is known to have no log.
    pub(crate) github: Github,
    /// For what has run out.
    pub(crate) now: Timestamp,
}

/// Which table the name `github` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Github {
    BuiltIn,
    Redefined,
}

/// Reads the tables; the built-in ones are there unless redefined.
pub(crate) fn read(context: &mut Context<'_, '_>, file: &mut Table, now: Timestamp) -> Trust {
    let written: Entries = file.table(context, "trust").map(|mut table| table.take_all()).unwrap_or_default();
    let built_in =
        |table: TrustTable| (table.name().to_string(), (TrustSource::built_in(&table), Some(table)));
    let mut tables: BTreeMap<String, (TrustSource, Option<TrustTable>)> =
        defaults::built_in().map(built_in).collect();
    let mut names: Vec<String> = tables.keys().cloned().collect();
    let (mut x509, mut stores) = (BTreeSet::new(), Vec::new());
    let mut github = Github::BuiltIn;
    for (name, (span, value)) in written {
        context.is_name("a trust table", &name, &span);
        let given = tables.remove(&name);
        let table = context.table(&format!("trust.{name}"), value);
        if name == "github" && !table.as_ref().is_some_and(keeps_the_instance) {
            github = Github::Redefined;
        }
        match table {
            Some(table) if table.has("x509") => {
                stores.extend(stores::read(context, &name, table, now));
                x509.insert(name.clone());
            }
            table => {
                let read = table.and_then(|table| one(context, &name, table, given));
                tables.extend(read.map(|read| (name.clone(), read)));
            }
        }
        names.push(name);
    }
    let (sources, tables): (Vec<_>, Vec<_>) = tables.into_values().unzip();
    let set = TrustSet::new(tables.into_iter().flatten().collect()).with_stores(stores);
    Trust { set, sources, names, x509, github, now }
}

/// Whether a table of a built-in name only says more about the instance that is built in.
fn keeps_the_instance(table: &Table) -> bool {
    !table.has("trusted_root")
        && !table.has("sct")
        && !table.has("x509")
        && !loose::KEYS.iter().any(|key| table.has(key))
        && !["root", "target"].iter().any(|key| table.has_within("tuf", key))
}

type Read = (TrustSource, Option<TrustTable>);

/// What one table says.
struct Written {
    head: Range<usize>,
    file: Option<At<String>>,
    /// The loose files, where there are any.
    loose: Option<Loose>,
    sct: Sct,
    max_age: Option<Duration>,
    /// Where `max_age` stands.
    aged: Option<Range<usize>>,
    /// `tuf`, where it is there and can be used.
    tuf: Tuf,
}

/// `tuf`.
enum Tuf {
    Absent,
    /// It is there and has its fault.
    Faulty,
    Read(Box<TrustRefresh>),
}

fn one(context: &mut Context<'_, '_>, name: &str, mut table: Table, given: Option<Read>) -> Option<Read> {
    let given = given.filter(|_| keeps_the_instance(&table));
    let head = table.head.clone();
    let aged = table.place_of("max_age");
    let max_age = table.duration(context, "max_age", Zero::Refused, None);
    let words = [("required", Sct::Required), ("none", Sct::None)];
    let sct = table.word(context, "sct", &words, Sct::Required);
    let file = table.string(context, "trusted_root");
    let loose = loose::read(context, &mut table);
    table.take("x509");
    let anchor = given.as_ref().and_then(|(source, _)| Some(source.refresh.as_ref()?.anchor.clone()));
    let tuf = match (table.has("tuf"), table.table(context, "tuf")) {
        (false, _) => Tuf::Absent,
        (true, tuf) => tuf
            .and_then(|tuf| refreshed(context, tuf, anchor))
            .map_or(Tuf::Faulty, |read| Tuf::Read(Box::new(read))),
    };
    table.finish(context);
    let written = Written { head, file, loose, sct, max_age, aged, tuf };
    match given {
        Some((source, table)) => more(written, source, table),
        None => redefined(context, name, written),
    }
}

/// More about an instance that is built in.
fn more(written: Written, source: TrustSource, table: Option<TrustTable>) -> Option<Read> {
    let refresh = match written.tuf {
        Tuf::Absent => source.refresh,
        Tuf::Faulty => return None,
        Tuf::Read(refresh) => Some(*refresh),
    };
    let source = TrustSource { max_age: written.max_age, refresh, ..source };
    let stale_from = source.stale_from(SNAPSHOTS_EXPIRED);
    Some((source, table.map(|table| table.stale_from(stale_from))))
}

/// A table of the author's own.
fn redefined(context: &mut Context<'_, '_>, name: &str, written: Written) -> Option<Read> {
    let Written { head, file, loose, sct, max_age, aged, tuf } = written;
    if let Some(loose) = loose {
        return match (file, tuf) {
            (None, Tuf::Absent) => {
                pinned_for_ever(context, aged);
                loose::table(context, name, loose, sct)
            }
            (Some(_), _) | (None, Tuf::Read(_) | Tuf::Faulty) => {
                let message = "loose files, `trusted_root` or `tuf`: one of the three";
                context.report(&loose.place, Code::ValueInvalid, message);
                None
            }
        };
    }
    match (file, tuf) {
        (Some(file), Tuf::Absent) => {
            pinned_for_ever(context, aged);
            pinned(context, name, &file, sct)
        }
        (Some(file), Tuf::Read(_) | Tuf::Faulty) => {
            let hint = "a pinned file is not refreshed: leave one of them out";
            context.advise(&file.span, Code::ValueInvalid, "`trusted_root` or `tuf`, not both", hint);
            None
        }
        (None, Tuf::Read(refresh)) => {
            let max_age = Some(max_age.unwrap_or(limits::TRUST_MAX_AGE));
            let (name, origin) = (Name::new(name), TrustOrigin::Tuf);
            Some((TrustSource { name, origin, refresh: Some(*refresh), max_age, sct }, None))
        }
        (None, Tuf::Faulty) => None,
        (None, Tuf::Absent) => {
            let message = format!("`trust.{name}` has no key `trusted_root`, and no `tuf`");
            let hint = "trusted_root = \"corp/trusted_root.json\", or tuf = { url = \"…\", root = \"…\" }, or `rekor_keys` and its kin";
            context.advise(&head, Code::MissingKey, message, hint);
            None
        }
    }
}

fn pinned_for_ever(context: &mut Context<'_, '_>, aged: Option<Range<usize>>) {
    if let Some(span) = aged {
        let message = "a pinned file does not expire, so `max_age` says nothing";
        let hint = "leave it out; `pullgate trust` shows how old the file is";
        context.advise(&span, Code::ValueInvalid, message, hint);
    }
}

fn pinned(context: &mut Context<'_, '_>, name: &str, file: &At<String>, sct: Sct) -> Option<Read> {
    let content = context.readable(file, limits::CONFIG_FILE_BYTES)?;
    match TrustTable::from_json(Name::new(name), &content.bytes, sct) {
        Ok(table) => {
            let origin = TrustOrigin::File(context.text.beside(&file.value));
            let source = TrustSource { name: Name::new(name), origin, refresh: None, max_age: None, sct };
            Some((source, Some(table)))
        }
        Err(fault) => {
            let hint = "a trusted_root.json of Sigstore: `cosign trusted-root create` makes one";
            invalid(context, file, &fault.to_string(), hint);
            None
        }
    }
}

fn invalid(context: &mut Context<'_, '_>, file: &At<String>, why: &str, hint: &str) {
    context.advise(&file.span, Code::TrustRootInvalid, format!("{}: {why}", quoted(&file.value)), hint);
}

/// `tuf = { url = …, root = …, target = … }`; an instance that is built in has a root.
fn refreshed(context: &mut Context<'_, '_>, mut tuf: Table, given: Option<Anchor>) -> Option<TrustRefresh> {
    let url = tuf.required(context, "url");
    let root = if given.is_some() { None } else { tuf.required(context, "root") };
    let target = match tuf.string(context, "target") {
        Some(written) => target(context, &written),
        None => Some(TargetName::TRUSTED_ROOT),
    };
    tuf.finish(context);
    let location = url.and_then(|url| location(context, &url));
    let pinned = root.and_then(|file| {
        let content = context.readable(&file, limits::CONFIG_FILE_BYTES)?;
        let hint = "the root.json of the TUF repository, had from its owner and not from the mirror";
        let read = Anchor::new(&content.bytes);
        read.map_err(|fault| invalid(context, &file, &fault.to_string(), hint)).ok()
    });
    Some(TrustRefresh { location: location?, anchor: given.or(pinned)?, target: target? })
}

/// The name of a target, which becomes part of an address or of a path (A346).
fn target(context: &mut Context<'_, '_>, written: &At<String>) -> Option<TargetName> {
    let name = TargetName::new(&written.value);
    if name.is_none() {
        let message = format!("{} is no name of a target of a TUF repository", quoted(&written.value));
        let hint = "letters, digits, `.`, `-` and `_`, in folders perhaps: \"acme.trusted_root.json\"";
        context.advise(&written.span, Code::ValueInvalid, message, hint);
    }
    name
}

/// An address that can be printed anywhere: no credentials, no query, and a path that is one.
fn location(context: &mut Context<'_, '_>, url: &At<String>) -> Option<TrustLocation> {
    if let Some(path) = url.value.strip_prefix("file://")
        && path.starts_with('/')
    {
        return Some(TrustLocation::Folder(PathBuf::from(path)));
    }
    let split = url.value.split_once("://").map(|(scheme, rest)| (scheme, rest.trim_end_matches('/')));
    let found = split.and_then(|(scheme, rest)| {
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host_is_one = matches!(scheme, "https" | "http") && host.parse::<Registry>().is_ok();
        (host_is_one && (path.is_empty() || path.split('/').all(is_component)))
            .then(|| format!("{scheme}://{}", rest.replacen(host, &host.to_ascii_lowercase(), 1)))
    });
    match found {
        Some(url) => Some(TrustLocation::Url(url)),
        None => {
            let message = "the URL of a TUF repository is https:// or http://, a host, perhaps a port and a path; or file:/// and a folder";
            let hint = "without credentials and query: \"https://tuf.corp.example/metadata\"";
            context.advise(&url.span, Code::UrlInvalid, message, hint);
            None
        }
    }
}

fn is_component(part: &str) -> bool {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'~');
    !part.is_empty() && part.bytes().all(harmless) && !part.bytes().all(|byte| byte == b'.')
}
