//! Evidence by a key of the policy, changed: what still counts must be the very bytes that were signed.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use pullgate_policy::content::Untrusted;
use pullgate_policy::evidence::servable::EvidenceOnly;
use pullgate_policy::evidence::{Evidence, Layout, Source};
use pullgate_policy::identity::{Authority, By, Name, Transparency, Uses};
use pullgate_policy::oci::Digest;
use pullgate_verify::{Artifact, Found, Item, KeyRing, PublicKey, Request, TrustSet, verify_all};
use serde_json::{Value, json};

use crate::made::Made;
use crate::signing::{SIGN_PREDICATE, SIMPLE_SIGNING, Signer, carrier};

/// What is signed, by whom, and what is asked.
struct Stand {
    signer: Signer,
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
        let annotations = texts_of(&signature.annotations);
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
            signer,
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
        artifact: Artifact::Bytes(&stand.subject.bytes),
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

/// What may be said of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Worth {
    /// It is the original.
    Counts,
    /// The bytes that were signed are in it, and what stands around them is another.
    MayCount,
    /// Other bytes than those that were signed.
    Nothing,
}

impl Worth {
    fn of(is_original: bool, signed: bool) -> Self {
        match (is_original, signed) {
            (true, _) => Self::Counts,
            (false, true) => Self::MayCount,
            (false, false) => Self::Nothing,
        }
    }
}

/// Each piece must be accounted for, and counts as far as it may.
fn judged(evidence: &Evidence, worth: Worth) -> Result<(), String> {
    let named = evidence.rejected.len() + evidence.signatures.len() + evidence.attestations.len();
    match (counts(evidence), worth) {
        (true, Worth::Nothing) => Err("it counts, and other bytes were signed".to_owned()),
        (false, Worth::Counts) => Err(format!("an original does not count: {:?}", evidence.rejected)),
        _ if named == 0 => Err("neither counts nor is named".to_owned()),
        (true, Worth::Counts | Worth::MayCount) | (false, Worth::MayCount | Worth::Nothing) => Ok(()),
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
    judged(&evidence, Worth::of(input == stand.payload, false))
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
    let payload = Bytes::from(stand.payload.clone());
    let original = stand.annotations.iter().all(|(key, value)| annotations.get(key) == Some(value));
    let signature = Item::SimpleSigning { payload, annotations: annotations.clone() };
    // A log entry beside the signature may be none, and spoils nothing where none is asked for.
    judged(&ask(signature), Worth::of(original && annotations.len() == 1, true))?;
    let envelope = Bytes::from(stand.envelope.clone());
    judged(&ask(Item::Dsse { envelope, annotations }), Worth::MayCount)
}

pub(super) fn envelopes() -> Vec<Vec<u8>> {
    vec![stand().envelope.clone()]
}

pub(super) fn dsse(input: &[u8]) -> Result<(), String> {
    let item = Item::Dsse { envelope: Bytes::copy_from_slice(input), annotations: BTreeMap::new() };
    let signed = same_statement(input, "/payload", &stand().envelope);
    judged(&ask(item), Worth::of(input == stand().envelope, signed))
}

/// By a key. Those by certificates are fed under their trust tables (`keyless`).
pub(super) fn bundles() -> Vec<Vec<u8>> {
    vec![stand().bundle.clone()]
}

pub(super) fn bundle(input: &[u8]) -> Result<(), String> {
    let item = Item::Bundle { json: Bytes::copy_from_slice(input) };
    let signed = same_statement(input, "/dsseEnvelope/payload", &stand().bundle);
    judged(&ask(item), Worth::of(input == stand().bundle, signed))
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

/// The input itself is what is signed: what counts must be about the subject to any reader of JSON.
pub(super) fn signed_payload(input: &[u8]) -> Result<(), String> {
    let layer = stand().signer.signed(SIMPLE_SIGNING, input.to_vec());
    let annotations = texts_of(&layer.annotations);
    let evidence = ask(Item::SimpleSigning { payload: Bytes::from(layer.bytes), annotations });
    let value: Option<Value> = serde_json::from_slice(input).ok();
    let text = |path: &str| value.as_ref().and_then(|value| value.pointer(path)?.as_str());
    let about = text("/critical/image/docker-manifest-digest") == Some(&stand().subject.digest())
        && text("/critical/type") == Some("cosign container image signature");
    judged(&evidence, Worth::of(input == stand().payload, about))?;
    for signature in &evidence.signatures {
        let optional = value.as_ref().and_then(|value| value.get("optional"));
        let said = |(key, text): (&String, &String)| {
            optional.and_then(|optional| optional.get(key)?.as_str()) == Some(text)
        };
        if !signature.facts().annotations.iter().all(said) {
            return Err("an annotation that nobody signed".to_owned());
        }
    }
    Ok(())
}

pub(super) fn statements() -> Vec<Vec<u8>> {
    let hex = stand().subject.hex();
    let subject = json!([{ "name": "app", "digest": { "sha256": hex }, "annotations": { "env": "prod" } }]);
    let statement = |kind: &str, predicate_type: &str| json!({ "_type": kind, "subject": subject, "predicateType": predicate_type, "predicate": { "n": 1 } });
    [
        statement("https://in-toto.io/Statement/v1", SIGN_PREDICATE),
        statement("https://in-toto.io/Statement/v0.1", "https://slsa.dev/provenance/v0.2"),
    ]
    .map(|statement| statement.to_string().into_bytes())
    .to_vec()
}

/// The same of a statement: its subject, its predicate type and whether it is a signature.
pub(super) fn signed_statement(input: &[u8]) -> Result<(), String> {
    let stand = stand();
    let envelope = Bytes::from(stand.signer.envelope_of(input).to_string());
    let evidence = ask(Item::Dsse { envelope, annotations: BTreeMap::new() });
    let value: Option<Value> = serde_json::from_slice(input).ok();
    let text = |path: &str| value.as_ref().and_then(|value| value.pointer(path)?.as_str());
    let (hex, subjects) =
        (stand.subject.hex(), value.as_ref().and_then(|value| value.get("subject")?.as_array()));
    // A subject may be named by another algorithm alone; those of the seeds are not.
    let about = subjects
        .into_iter()
        .flatten()
        .any(|subject| subject.pointer("/digest/sha256").and_then(Value::as_str) == Some(&hex));
    judged(&evidence, Worth::of(statements().iter().any(|seed| seed == input), about))?;
    let kinds = evidence.attestations.iter().map(|one| one.facts().predicate_type.as_str());
    let kinds = kinds.chain(evidence.signatures.iter().map(|_| SIGN_PREDICATE));
    match kinds.into_iter().find(|kind| text("/predicateType") != Some(kind)) {
        Some(kind) => Err(format!("{kind} is not the predicate type that stands there")),
        None if evidence.attestations.iter().any(|one| one.facts().predicate_type == SIGN_PREDICATE) => {
            Err("a signature that counts as an attestation".to_owned())
        }
        None => Ok(()),
    }
}

fn texts_of(value: &Value) -> BTreeMap<String, String> {
    let members = value.as_object().cloned().unwrap_or_default();
    members.into_iter().map(|(key, value)| (key, value.as_str().unwrap_or_default().to_owned())).collect()
}

/// A manifest whose one layer, of evidence's type, has these bytes.
fn carried(bytes: &[u8]) -> Made {
    let layer = crate::made::Layer::new(SIMPLE_SIGNING, bytes.to_vec());
    carrier(vec![layer])
}

/// What passes as evidence is evidence to any reader of JSON.
fn passes(made: &Made) -> Result<(), String> {
    let intact = |bytes: &[u8]| Untrusted::new(Bytes::copy_from_slice(bytes)).hash();
    let Ok(document) = intact(&made.bytes).parse(None) else { return Ok(()) };
    let blobs = made.blobs.iter().map(|blob| intact(blob)).collect();
    let Ok(_only) = EvidenceOnly::check(document, blobs) else { return Ok(()) };
    let layer = made.blobs.last().map(Vec::as_slice).unwrap_or_default();
    let value: Value =
        serde_json::from_slice(layer).map_err(|error| format!("it passes, and is no JSON: {error}"))?;
    let named = value.pointer("/critical/image/docker-manifest-digest").is_some_and(Value::is_string);
    if named { Ok(()) } else { Err("it passes, and names nothing".to_owned()) }
}
