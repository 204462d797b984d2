//! Recorded bundles and signatures, changed, under the trust tables that they verify by: whoever is said to have signed,
//! and when, must be what one of the originals says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use pullgate_policy::evidence::{Evidence, Layout, Logged, Source};
use pullgate_policy::identity::{Authority, By, IdentityPattern, Name, Transparency, Uses};
use pullgate_policy::oci::Digest;
use pullgate_verify::{Artifact, Found, Item, KeyRing, Request, Sct, TrustSet, TrustTable, verify_all};
use serde_json::Value;

/// Images with a bundle: by a log that signs times, by the same with a timestamp beside, and by one that signs none.
const BUNDLES: [&str; 3] = ["rekor1", "rekor1-tsa", "rekor2"];
/// An image with a signature in the older layout, by a certificate.
const SIGNATURE: &str = "good";
/// The gate's clock.
const NOW: &str = "2026-11-25T00:00:00Z";

const CERTIFICATE: &str = "/verificationMaterial/certificate/rawBytes";
const CHECKPOINT: &str = "/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint/envelope";
const ENTRY: &str = "/verificationMaterial/tlogEntries/0/canonicalizedBody";
const TIMESTAMP: &str = "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp";

/// What is said of one signature.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Said {
    who: String,
    what: String,
}

/// What the originals say.
#[derive(Default)]
struct Known {
    said: BTreeSet<Said>,
    logged: BTreeSet<Said>,
    times: BTreeSet<(Said, Timestamp)>,
}

/// A subject, and what verifies signatures of it.
struct Stand {
    artifact: Vec<u8>,
    authorities: Vec<Authority>,
    trust: TrustSet,
    known: Known,
}

impl Stand {
    fn new(artifact: Vec<u8>) -> Self {
        let table =
            TrustTable::from_json(Name::new("recorded"), &recorded("roots/trusted_root.json"), Sct::Required);
        let tables: Vec<TrustTable> = table.into_iter().collect();
        let by = || By::Identity {
            issuer: IdentityPattern::Exact(String::new()),
            pattern: IdentityPattern::Exact(String::new()),
            claims: BTreeMap::new(),
        };
        let authorities = tables.iter().enumerate().map(|(at, table)| Authority {
            name: Name::new(&format!("authority-{at}")),
            uses: Uses::Both,
            transparency: Transparency::Required,
            trust: table.name().clone(),
            by: by(),
        });
        let authorities = authorities.collect();
        Self { artifact, authorities, trust: TrustSet::new(tables), known: Known::default() }
    }

    fn ask(&self, item: Item) -> Evidence {
        let subject = Digest::of(&self.artifact);
        let source = Source { layout: Layout::Referrers, manifest: subject, blob: subject };
        let authorities: Vec<&Authority> = self.authorities.iter().collect();
        let now = NOW.parse().unwrap_or(Timestamp::UNIX_EPOCH);
        verify_all(&Request {
            subject,
            artifact: Artifact::Bytes(&self.artifact),
            found: &[Found { source, item }],
            authorities: &authorities,
            keys: &KeyRing::default(),
            trust: &self.trust,
            now,
            collected: now,
        })
    }

    /// Takes an original for right.
    fn learn(&mut self, item: Item) {
        for (said, logged, time) in facts(&self.ask(item)) {
            self.known.said.insert(said.clone());
            if logged {
                self.known.logged.insert(said.clone());
            }
            self.known.times.extend(time.map(|time| (said, time)));
        }
    }

    /// What counts must be what an original says; `whole` says that it is one.
    fn judge(&self, item: Item, original: Original) -> Result<(), String> {
        let evidence = self.ask(item);
        let facts = facts(&evidence);
        if facts.is_empty() && evidence.rejected.is_empty() {
            return Err("neither counts nor is named".to_owned());
        }
        if original == Original::Yes && !facts.iter().any(|(_, logged, _)| *logged) {
            return Err(format!("an original does not count: {:?}", evidence.rejected));
        }
        for (said, logged, time) in facts {
            if !self.known.said.contains(&said) || (logged && !self.known.logged.contains(&said)) {
                return Err(format!("it counts, and no original says so: {said:?}, logged: {logged}"));
            }
            if let Some(time) = time
                && !self.known.times.contains(&(said, time))
            {
                return Err(format!("signed at {time}, says no clock of an original"));
            }
        }
        Ok(())
    }
}

/// Whether an input is as it was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Original {
    Yes,
    No,
}

impl Original {
    fn of(whether: bool) -> Self {
        if whether { Self::Yes } else { Self::No }
    }
}

fn facts(evidence: &Evidence) -> Vec<(Said, bool, Option<Timestamp>)> {
    let signatures = evidence.signatures.iter().map(|one| {
        let facts = one.facts();
        let what = format!("{:?}", facts.annotations);
        (
            Said { who: format!("{:?}", facts.principal), what },
            facts.logged == Logged::Yes,
            facts.trusted_time,
        )
    });
    let attestations = evidence.attestations.iter().map(|one| {
        let facts = one.facts();
        let what = format!("{} {}", facts.predicate_type, facts.statement);
        (
            Said { who: format!("{:?}", facts.principal), what },
            facts.logged == Logged::Yes,
            facts.trusted_time,
        )
    });
    signatures.chain(attestations).collect()
}

/// A file of the recorded registries.
fn recorded(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/live").join(name)).unwrap_or_default()
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&recorded(name)).unwrap_or_default()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A recorded repository.
struct Repository(&'static str);

impl Repository {
    fn blob(&self, digest: &str) -> String {
        format!("{}/blobs/{}", self.0, digest.replace(':', "/"))
    }

    /// The digest under a tag.
    fn digest(&self, tag: &str) -> String {
        let index = json(&format!("{}/index.json", self.0));
        let named = |one: &&Value| text(one, "/annotations/org.opencontainers.image.ref.name") == tag;
        let found = index.pointer("/manifests").and_then(Value::as_array).into_iter().flatten().find(named);
        found.map(|one| text(one, "/digest").to_owned()).unwrap_or_default()
    }

    /// The bundle of the manifest whose subject this is.
    fn bundle(&self, subject: &str) -> Vec<u8> {
        let index = json(&format!("{}/index.json", self.0));
        let listed = index.pointer("/manifests").and_then(Value::as_array).cloned().unwrap_or_default();
        let manifests = listed.iter().map(|one| json(&self.blob(text(one, "/digest"))));
        let found = manifests.into_iter().find(|one| text(one, "/subject/digest") == subject);
        recorded(&self.blob(text(&found.unwrap_or_default(), "/layers/0/digest")))
    }
}

/// Each recorded bundle, and what verifies it.
fn stands() -> &'static [(Stand, Vec<u8>)] {
    static STANDS: OnceLock<Vec<(Stand, Vec<u8>)>> = OnceLock::new();
    STANDS.get_or_init(|| BUNDLES.iter().map(|tag| stand(tag)).collect())
}

fn stand(tag: &str) -> (Stand, Vec<u8>) {
    let repository = Repository("keyless3-bundle");
    let digest = repository.digest(tag);
    let bundle = repository.bundle(&digest);
    let mut stand = Stand::new(recorded(&repository.blob(&digest)));
    stand.learn(Item::Bundle { json: Bytes::copy_from_slice(&bundle) });
    // Without one of its clocks it may tell the time of the other.
    for without in ["timestampVerificationData", "tlogEntries"] {
        let mut value: Value = serde_json::from_slice(&bundle).unwrap_or_default();
        if let Some(material) = value.get_mut("verificationMaterial").and_then(Value::as_object_mut) {
            material.remove(without);
        }
        stand.learn(Item::Bundle { json: Bytes::from(value.to_string()) });
    }
    (stand, bundle)
}

pub(super) fn bundles() -> Vec<Vec<u8>> {
    stands().iter().map(|(_, bundle)| bundle.clone()).collect()
}

pub(super) fn bundle(input: &[u8]) -> Result<(), String> {
    stands().iter().try_for_each(|(stand, bundle)| {
        stand.judge(Item::Bundle { json: Bytes::copy_from_slice(input) }, Original::of(bundle == input))
    })
}

/// One part of each bundle, decoded.
fn parts(pointer: &str) -> Vec<Vec<u8>> {
    taken_apart().filter_map(|(_, bundle)| part(&bundle, pointer)).collect()
}

fn part(bundle: &Value, pointer: &str) -> Option<Vec<u8>> {
    let text = bundle.pointer(pointer)?.as_str()?;
    if pointer == CHECKPOINT { Some(text.as_bytes().to_vec()) } else { STANDARD.decode(text).ok() }
}

fn taken_apart() -> impl Iterator<Item = (&'static Stand, Value)> {
    stands().iter().map(|(stand, bundle)| (stand, serde_json::from_slice(bundle).unwrap_or_default()))
}

/// The input in the place of that part, in each.
fn with_part(pointer: &str, input: &[u8]) -> Result<(), String> {
    for (stand, mut changed) in taken_apart() {
        let original = part(&changed, pointer);
        let Some(place) = changed.pointer_mut(pointer) else { continue };
        *place = if pointer == CHECKPOINT {
            Value::from(String::from_utf8_lossy(input))
        } else {
            Value::from(STANDARD.encode(input))
        };
        let item = Item::Bundle { json: Bytes::from(changed.to_string()) };
        stand.judge(item, Original::of(original.as_deref() == Some(input)))?;
    }
    Ok(())
}

pub(super) fn certificates() -> Vec<Vec<u8>> {
    parts(CERTIFICATE)
}

pub(super) fn certificate(input: &[u8]) -> Result<(), String> {
    with_part(CERTIFICATE, input)
}

pub(super) fn checkpoints() -> Vec<Vec<u8>> {
    parts(CHECKPOINT)
}

pub(super) fn checkpoint(input: &[u8]) -> Result<(), String> {
    with_part(CHECKPOINT, input)
}

pub(super) fn entries() -> Vec<Vec<u8>> {
    parts(ENTRY)
}

pub(super) fn entry(input: &[u8]) -> Result<(), String> {
    with_part(ENTRY, input)
}

pub(super) fn timestamps() -> Vec<Vec<u8>> {
    parts(TIMESTAMP)
}

pub(super) fn timestamp(input: &[u8]) -> Result<(), String> {
    with_part(TIMESTAMP, input)
}

/// The layer of the signature, with its annotations.
fn layer() -> (Vec<u8>, Value) {
    let repository = Repository("keyless2-sig");
    let tag = format!("{}.sig", repository.digest(SIGNATURE).replace(':', "-"));
    let manifest = json(&repository.blob(&repository.digest(&tag)));
    let payload = recorded(&repository.blob(text(&manifest, "/layers/0/digest")));
    (payload, manifest.pointer("/layers/0/annotations").cloned().unwrap_or_default())
}

fn signature() -> &'static (Stand, Bytes) {
    static SIGNATURE_STAND: OnceLock<(Stand, Bytes)> = OnceLock::new();
    SIGNATURE_STAND.get_or_init(|| {
        let repository = Repository("keyless2-sig");
        let mut stand = Stand::new(recorded(&repository.blob(&repository.digest(SIGNATURE))));
        let payload = Bytes::from(layer().0);
        let annotations = annotations_of(&annotations().concat());
        stand.learn(Item::SimpleSigning { payload: payload.clone(), annotations });
        (stand, payload)
    })
}

pub(super) fn annotations() -> Vec<Vec<u8>> {
    vec![layer().1.to_string().into_bytes()]
}

fn annotations_of(input: &[u8]) -> BTreeMap<String, String> {
    serde_json::from_slice(input).unwrap_or_default()
}

pub(super) fn annotated(input: &[u8]) -> Result<(), String> {
    let (stand, payload) = signature();
    let original = annotations().iter().any(|one| one == input);
    let item = Item::SimpleSigning { payload: payload.clone(), annotations: annotations_of(input) };
    stand.judge(item, Original::of(original))
}
