//! A trusted root, part by part: the usable parts, and those of them that the library can use.
//!
//! The library refuses a whole root for an unknown kind of key, or for a log that is listed twice (a log with two validity
//! windows is). Here an unusable part makes only itself unusable, and is reported by name.

use jiff::Timestamp;
use serde_json::Value;
use sigstore_crypto::{SigningScheme, VerificationKey};
use sigstore_trust_root::{TimeRange, TrustedRoot};
use sigstore_types::DerPublicKey;

use super::clocks::Clock;
use super::path::Path;
use crate::certificate;
use crate::encoding;
use crate::key::PublicKey;
use crate::trust::{Trusted, TrustedKind, Unusable};

/// Bytes of a log's id.
const ID_BYTES: usize = 32;

/// What can be used of a trusted root.
pub(super) struct Root {
    /// The root that the library gets.
    pub(super) library: TrustedRoot,
    pub(super) logs: Vec<Key>,
    pub(super) certificate_logs: Vec<Key>,
    pub(super) authorities: Vec<Path>,
    pub(super) clocks: Vec<Clock>,
    pub(super) contents: Vec<Trusted>,
    pub(super) unusable: Vec<Unusable>,
    pub(super) ends: Vec<End>,
}

/// When the first certificate of an authority runs out, and when the root closes the authority's window.
pub(super) struct End {
    pub(super) kind: TrustedKind,
    pub(super) name: String,
    pub(super) at: Timestamp,
    pub(super) closes: Option<Timestamp>,
}

/// The key of a log, within one window.
pub(super) struct Key {
    /// The log's address, as the root has it.
    pub(super) name: String,
    pub(super) id: Vec<u8>,
    pub(super) key: PublicKey,
    pub(super) window: TimeRange,
    /// Whether the library knows the kind of key.
    pub(super) known: bool,
}

impl Root {
    /// Reads a trusted root; the error is for people.
    pub(super) fn read(mut root: Value) -> Result<Self, String> {
        let mut unusable = Vec::new();
        let logs = keys(&mut root, "tlogs", TrustedKind::Log, &mut unusable);
        let certificate_logs = keys(&mut root, "ctlogs", TrustedKind::CertificateLog, &mut unusable);
        let authorities = authorities(&mut root, &mut unusable)?;
        let clocks = clocks(&mut root, &mut unusable);
        let ends = ends(&root, &authorities, &clocks);
        let whole: TrustedRoot = read(&root)?;
        let contents = contents(&whole);
        reduce(&mut root, "tlogs", &logs);
        reduce(&mut root, "ctlogs", &certificate_logs);
        let library = read(&root)?;
        Ok(Self { library, logs, certificate_logs, authorities, clocks, contents, unusable, ends })
    }
}

fn read(root: &Value) -> Result<TrustedRoot, String> {
    TrustedRoot::from_json(&root.to_string()).map_err(|error| error.to_string())
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// Takes a list out of a root, part by part: what `usable` takes stays.
fn sift(root: &mut Value, list: &str, mut usable: impl FnMut(&Value) -> bool) {
    if let Some(listed) = root.get_mut(list).and_then(Value::as_array_mut) {
        listed.retain(|one| usable(one));
    }
}

fn keys(root: &mut Value, list: &str, kind: TrustedKind, unusable: &mut Vec<Unusable>) -> Vec<Key> {
    let mut keys = Vec::new();
    sift(root, list, |listed| match key(listed) {
        Ok(key) => {
            keys.push(key);
            true
        }
        Err(why) => {
            unusable.push(Unusable { kind, name: text(listed, "/baseUrl").to_owned(), why });
            false
        }
    });
    keys
}

fn key(listed: &Value) -> Result<Key, String> {
    let der = encoding::standard(text(listed, "/publicKey/rawBytes"));
    let der = der.filter(|der| !der.is_empty()).ok_or("its key is not base64")?;
    let key = PublicKey::of_log(&der).map_err(|fault| fault.to_string())?;
    let id = encoding::standard(text(listed, "/logId/keyId")).filter(|id| id.len() == ID_BYTES);
    let id = id.ok_or("its id is not 32 bytes in base64")?;
    // A key without a start of validity is refused (A628): the reference refuses the whole root.
    let window = listed.pointer("/publicKey/validFor").ok_or("its key has no validFor.start")?;
    let window = window.get("start").map(|_| window.clone()).ok_or("its key has no validFor.start")?;
    let window: TimeRange = serde_json::from_value(window).map_err(|_| "its key's validFor is no window")?;
    ordered(Some(window))?;
    let der = DerPublicKey::new(der);
    let known = VerificationKey::from_spki(&der).is_ok()
        || VerificationKey::from_der(&der, SigningScheme::RsaPkcs1Sha256).is_ok();
    Ok(Key { name: text(listed, "/baseUrl").to_owned(), id, key, window, known })
}

/// Leaves each log to the library once, over all of its windows, except logs with a kind of key that it does not know.
/// Which window counts is checked after it.
fn reduce(root: &mut Value, list: &str, keys: &[Key]) {
    let mut position = 0;
    sift(root, list, |_| {
        let (before, rest) = keys.split_at_checked(position).unwrap_or((keys, &[]));
        position += 1;
        let first = |key: &Key| !before.iter().any(|other| other.known && other.id == key.id);
        rest.first().is_some_and(|key| key.known && first(key))
    });
    for listed in root.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
        let id = encoding::standard(text(listed, "/logId/keyId"));
        let windows = keys.iter().filter(|key| Some(&key.id) == id.as_ref()).map(|key| key.window);
        let window = windows.reduce(|all, one| TimeRange {
            start: all.start.min(one.start),
            end: all.end.zip(one.end).map(|(all, one)| all.max(one)),
        });
        let window = window.and_then(|window| serde_json::to_value(window).ok());
        if let (Some(key), Some(window)) =
            (listed.get_mut("publicKey").and_then(Value::as_object_mut), window)
        {
            key.insert("validFor".to_owned(), window);
        }
    }
}

/// The certificates of an authority, the root last.
fn chain(listed: &Value) -> Result<Vec<Vec<u8>>, String> {
    let certificates = listed.pointer("/certChain/certificates").and_then(Value::as_array);
    let der = |one: &Value| encoding::standard(text(one, "/rawBytes"));
    let chain: Option<Vec<_>> = certificates.into_iter().flatten().map(der).collect();
    chain.ok_or_else(|| "a certificate is not base64".to_owned())
}

fn window(listed: &Value) -> Result<Option<TimeRange>, String> {
    let window = listed.get("validFor").map(|window| serde_json::from_value(window.clone())).transpose();
    window.map_err(|_| "a validFor that is no window".to_owned())
}

/// The library refuses the whole root for a window that ends before it begins; no time is in it.
fn ordered(window: Option<TimeRange>) -> Result<(), String> {
    let ends_first = window.is_some_and(|window| window.end.is_some_and(|end| end < window.start));
    if ends_first { Err("its validFor ends before it begins".to_owned()) } else { Ok(()) }
}

/// An authority without a start of validity has always counted.
fn begin(listed: &mut Value) {
    let window = listed.get_mut("validFor").and_then(Value::as_object_mut);
    if let Some(window) = window {
        window.entry("start").or_insert_with(|| Value::from("0001-01-01T00:00:00Z"));
    }
}

/// The certificate authorities. An authority with an unusable chain is left out; a root without a usable one is refused
/// (A347).
fn authorities(root: &mut Value, unusable: &mut Vec<Unusable>) -> Result<Vec<Path>, String> {
    let list = "certificateAuthorities";
    root.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten().for_each(begin);
    let (mut authorities, mut fault) = (Vec::new(), None);
    sift(root, list, |listed| {
        if let Err(why) = window(listed).and_then(ordered) {
            let (kind, name) = (TrustedKind::CertificateAuthority, text(listed, "/uri").to_owned());
            unusable.push(Unusable { kind, name, why });
            return false;
        }
        match authority(listed) {
            Ok(authority) => {
                authorities.push(authority);
                true
            }
            Err(why) => {
                let (kind, name) = (TrustedKind::CertificateAuthority, text(listed, "/uri").to_owned());
                unusable.push(Unusable { kind, name, why: why.clone() });
                fault = Some(why);
                false
            }
        }
    });
    match fault {
        Some(why) if authorities.is_empty() => Err(why),
        Some(_) | None => Ok(authorities),
    }
}

fn authority(listed: &Value) -> Result<Path, String> {
    let chain = chain(listed)?;
    // An anchor must be a root: a certificate by another issuer must be checked against that issuer, which is missing
    // here (A622).
    if !chain.last().is_some_and(|last| certificate::is_self_issued(last)) {
        return Err("a certificate authority's chain does not end in its root".to_owned());
    }
    Path::of(chain.iter().map(Vec::as_slice), window(listed)?)
}

fn clocks(root: &mut Value, unusable: &mut Vec<Unusable>) -> Vec<Clock> {
    let mut clocks = Vec::new();
    let listed = root.get_mut("timestampAuthorities").and_then(Value::as_array_mut);
    listed.into_iter().flatten().for_each(begin);
    sift(root, "timestampAuthorities", |listed| {
        let clock = chain(listed).and_then(|chain| {
            ordered(window(listed)?)?;
            Clock::of(&chain, window(listed)?)
        });
        match clock {
            Ok(clock) => {
                clocks.push(clock);
                true
            }
            Err(why) => {
                let (kind, name) = (TrustedKind::TimestampAuthority, text(listed, "/uri").to_owned());
                unusable.push(Unusable { kind, name, why });
                false
            }
        }
    });
    clocks
}

/// Every part that can be used is still in the lists, in their order.
fn ends(root: &Value, authorities: &[Path], clocks: &[Clock]) -> Vec<End> {
    let named = |list: &str, at: usize| text(root, &format!("/{list}/{at}/uri")).to_owned();
    let of_authorities = authorities.iter().enumerate().map(|(at, path)| End {
        kind: TrustedKind::CertificateAuthority,
        name: named("certificateAuthorities", at),
        at: path.ends(),
        closes: path.closes(),
    });
    let of_clocks = clocks.iter().enumerate().map(|(at, clock)| End {
        kind: TrustedKind::TimestampAuthority,
        name: named("timestampAuthorities", at),
        at: clock.ends(),
        closes: clock.closes(),
    });
    of_authorities.chain(of_clocks).collect()
}

fn contents(root: &TrustedRoot) -> Vec<Trusted> {
    let one = |kind, name: &str, window: &Option<TimeRange>| Trusted {
        kind,
        name: name.to_owned(),
        from: window.as_ref().map(|window| window.start),
        until: window.as_ref().and_then(|window| window.end),
    };
    let authorities = root.certificate_authorities.iter();
    let authorities = authorities.map(|ca| one(TrustedKind::CertificateAuthority, &ca.uri, &ca.valid_for));
    let certificate_logs = root.ctlogs.iter();
    let certificate_logs = certificate_logs
        .map(|log| one(TrustedKind::CertificateLog, &log.base_url, &log.public_key.valid_for));
    let logs = root.tlogs.iter();
    let logs = logs.map(|log| one(TrustedKind::Log, &log.base_url, &log.public_key.valid_for));
    let timestamps = root.timestamp_authorities.iter();
    let timestamps = timestamps.map(|tsa| {
        one(TrustedKind::TimestampAuthority, tsa.uri.as_deref().unwrap_or_default(), &tsa.valid_for)
    });
    authorities.chain(certificate_logs).chain(logs).chain(timestamps).collect()
}
