//! Evidence by a key of the policy, changed: what still counts must be the very bytes that were signed.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use pullgate_policy::content::Untrusted;
use pullgate_policy::evidence::passing::Passing;
use pullgate_policy::evidence::{Evidence, Layout, Source};
use pullgate_policy::identity::{Authority, By, Name, Transparency, Uses};
use pullgate_policy::oci::Digest;
use pullgate_verify::{Found, Item, KeyRing, PublicKey, Request, TrustSet, verify_all};
use serde_json::Value;

use crate::made::Made;
use crate::signing::{SIGN_PREDICATE, Signer, carrier};

/// What is signed, by whom, and what is asked.
struct Stand {
    subject: Made,
    payload: Vec<u8>,
    annotations: BTreeMap<String, String>,
    envelope: Vec<u8>,
    bundle: Vec<u8>,
    keys: KeyRing,
    authority: Option<Authority>,
}

fn stand() -> &'static Stand {
    static STAND: OnceLock<Stand> = OnceLock::new();
    STAND.get_or_init(|| {
        let (signer, subject) = (Signer::new(), Made::image());
        let signature = signer.signature(&subject.digest());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let annotations = signature.annotations.as_object().cloned().unwrap_or_default();
        let annotations = annotations.iter().map(|(key, value)| (key.clone(), text(value))).collect();
        let mut keys = KeyRing::default();
        let key = PublicKey::from_file(signer.public_pem().as_bytes())
            .ok()
            .and_then(|keys| keys.into_iter().next());
        let authority = key.map(|key| Authority {
            name: Name::new("release"),
            uses: Uses::Both,
            transparency: Transparency::Optional,
            trust: Name::new("none"),
            by: By::Keys(vec![keys.insert(key)]),
        });
        Stand {
            payload: signature.bytes,
            annotations,
            envelope: signer.attestation(&subject.digest(), SIGN_PREDICATE).bytes,
            bundle: signer.bundle(&subject.digest(), SIGN_PREDICATE).bytes,
            subject,
            keys,
            authority,
        }
    })
}

fn ask(item: Item) -> Evidence {
    let stand = stand();
    let subject = Digest::of(&stand.subject.bytes);
    let source = Source { layout: Layout::Referrers, manifest: subject, blob: subject };
    let authorities: Vec<&Authority> = stand.authority.iter().collect();
    verify_all(&Request {
        subject,
        manifest: &stand.subject.bytes,
        found: &[Found { source, item }],
        authorities: &authorities,
        keys: &stand.keys,
        trust: &TrustSet::new(Vec::new()),
        now: Timestamp::UNIX_EPOCH,
        collected: Timestamp::UNIX_EPOCH,
    })
}

fn counts(evidence: &Evidence) -> bool {
    !evidence.signatures.is_empty() || !evidence.attestations.is_empty()
}

/// Each piece must be accounted for, and counts only when `signed` says that its signed bytes are the original ones.
fn judged(evidence: &Evidence, signed: bool) -> Result<(), String> {
    let named = evidence.rejected.len() + evidence.signatures.len() + evidence.attestations.len();
    match (counts(evidence), signed) {
        (true, false) => Err("it counts, and other bytes were signed".to_owned()),
        _ if named == 0 => Err("neither counts nor is named".to_owned()),
        (true, true) | (false, _) => Ok(()),
    }
}

pub(super) fn payloads() -> Vec<Vec<u8>> {
    vec![stand().payload.clone()]
}

pub(super) fn payload(input: &[u8]) -> Result<(), String> {
    let stand = stand();
    passes(&carried(input))?;
    let payload = Bytes::copy_from_slice(input);
    let evidence = ask(Item::SimpleSigning { payload, annotations: stand.annotations.clone() });
    judged(&evidence, input == stand.payload)
}

pub(super) fn annotations() -> Vec<Vec<u8>> {
    let (key, value) = stand()
        .annotations
        .iter()
        .next()
        .map(|(key, value)| (key.clone(), value.clone()))
        .unwrap_or_default();
    let more = "dev.sigstore.cosign/bundle={\"SignedEntryTimestamp\":\"AAAA\",\"Payload\":{\"body\":\"e30=\",\"integratedTime\":1,\"logIndex\":1,\"logID\":\"00\"}}";
    vec![
        format!("{key}={value}\n{more}\ndev.sigstore.cosign/certificate=-----BEGIN CERTIFICATE-----\n")
            .into_bytes(),
    ]
}

/// Lines of `key=value`.
pub(super) fn annotated(input: &[u8]) -> Result<(), String> {
    let stand = stand();
    let text = String::from_utf8_lossy(input);
    let annotations: BTreeMap<String, String> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    for (item, signed) in [
        (
            Item::SimpleSigning {
                payload: Bytes::from(stand.payload.clone()),
                annotations: annotations.clone(),
            },
            true,
        ),
        (Item::Dsse { envelope: Bytes::from(stand.envelope.clone()), annotations }, true),
    ] {
        judged(&ask(item), signed)?;
    }
    Ok(())
}

pub(super) fn envelopes() -> Vec<Vec<u8>> {
    vec![stand().envelope.clone()]
}

pub(super) fn dsse(input: &[u8]) -> Result<(), String> {
    let item = Item::Dsse { envelope: Bytes::copy_from_slice(input), annotations: BTreeMap::new() };
    judged(&ask(item), same_statement(input, "/payload", &stand().envelope))
}

pub(super) fn bundles() -> Vec<Vec<u8>> {
    let mut seeds = vec![stand().bundle.clone()];
    let recorded = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bundles");
    // A few of other makers: certificates, log entries, timestamps.
    for folder in ["sigstore-python", "sigstore-java", "sigstore-go", "github-cli"] {
        let entries = std::fs::read_dir(recorded.join(folder)).into_iter().flatten().flatten();
        let mut files: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
        files.sort();
        seeds.extend(
            files
                .iter()
                .take(3)
                .filter_map(|file| std::fs::read(file).ok())
                .filter(|bytes| bytes.len() < 32 * 1024),
        );
    }
    seeds
}

pub(super) fn bundle(input: &[u8]) -> Result<(), String> {
    let item = Item::Bundle { json: Bytes::copy_from_slice(input) };
    judged(&ask(item), same_statement(input, "/dsseEnvelope/payload", &stand().bundle))
}

/// Whether the statement inside is the one that was signed: outside of it much may be written anew.
fn same_statement(input: &[u8], path: &str, original: &[u8]) -> bool {
    let payload = |bytes: &[u8]| {
        let value: Value = serde_json::from_slice(bytes).ok()?;
        let text = value.pointer(path)?.as_str()?.replace('-', "+").replace('_', "/");
        STANDARD.decode(text.trim()).ok()
    };
    payload(input).is_some_and(|found| payload(original) == Some(found))
}

/// A manifest whose one layer, of evidence's type, has these bytes.
fn carried(bytes: &[u8]) -> Made {
    let layer = crate::made::Layer::new(crate::signing::SIMPLE_SIGNING, bytes.to_vec());
    carrier(vec![layer])
}

/// What passes as evidence is evidence to any reader of JSON.
fn passes(made: &Made) -> Result<(), String> {
    let intact = |bytes: &[u8]| Untrusted::new(Bytes::copy_from_slice(bytes)).hash();
    let Ok(document) = intact(&made.bytes).parse(None) else { return Ok(()) };
    let blobs = made.blobs.iter().map(|blob| intact(blob)).collect();
    let Ok(_passing) = Passing::check(document, blobs) else { return Ok(()) };
    let layer = made.blobs.last().map(Vec::as_slice).unwrap_or_default();
    let value: Value =
        serde_json::from_slice(layer).map_err(|error| format!("it passes, and is no JSON: {error}"))?;
    let named = value.pointer("/critical/image/docker-manifest-digest").is_some_and(Value::is_string);
    if named { Ok(()) } else { Err("it passes, and names nothing".to_owned()) }
}
