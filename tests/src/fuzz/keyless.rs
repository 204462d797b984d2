//! Recorded bundles and signatures, changed, under the trust tables that they verify by: whoever is said to have signed,
//! and when, must be what one of the originals says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
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

/// Most recorded bundles are about these bytes.
const ARTIFACT: &str = "sigstore-conformance/happy-path-v0.3/artifact";
/// Two of them whose parts are changed alone: of a log that signs times, and of one that does not.
const TAKEN_APART: [&str; 2] =
    ["sigstore-conformance/happy-path-v0.3", "sigstore-conformance/rekor2-happy-path"];
/// A signature in the older layout, by a certificate.
const SIGNATURE: &str = "containers-image/dir-img-cosign-fulcio-rekor-valid";
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
    fn new(artifact: &str, tables: Vec<TrustTable>) -> Self {
        let by = || By::Identity {
            issuer: String::new(),
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
        let artifact = fs::read(root().join(artifact)).unwrap_or_default();
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

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bundles")
}

/// Bundles, and trusted roots.
type Recorded = (Vec<Vec<u8>>, BTreeSet<Vec<u8>>);

/// The recorded bundles of that artifact which are accepted by certificate, and the trusted roots of their own.
fn recorded() -> &'static Recorded {
    static RECORDED: OnceLock<Recorded> = OnceLock::new();
    RECORDED.get_or_init(|| {
        let cases: Value = serde_json::from_slice(&fs::read(root().join("cases.json")).unwrap_or_default())
            .unwrap_or_default();
        let artifact = fs::read(root().join(ARTIFACT)).ok();
        let (mut bundles, mut roots) = (Vec::new(), BTreeSet::new());
        for case in cases.as_array().into_iter().flatten() {
            let text = |key: &str| case.get(key).and_then(Value::as_str).unwrap_or_default();
            let folder = root().join(text("source")).join(text("case"));
            let known = matches!(text("trust"), "sigstore" | "staging" | "case");
            if text("expect") != "accept"
                || !known
                || fs::read(folder.join("artifact")).ok() != artifact
                || folder.join("key.pub").exists()
            {
                continue;
            }
            bundles.extend(fs::read(folder.join("bundle.json")));
            roots.extend(fs::read(folder.join("trusted_root.json")));
        }
        (bundles, roots)
    })
}

fn stand() -> &'static Stand {
    static STAND: OnceLock<Stand> = OnceLock::new();
    STAND.get_or_init(|| {
        let (bundles, roots) = recorded();
        let staging = fs::read(root().join("roots/staging.json")).unwrap_or_default();
        let own = roots.iter().chain([&staging]).enumerate().filter_map(|(at, bytes)| {
            TrustTable::from_json(Name::new(&format!("table-{at}")), bytes, Sct::Required).ok()
        });
        let mut stand = Stand::new(ARTIFACT, TrustTable::sigstore().into_iter().chain(own).collect());
        for bundle in bundles {
            stand.learn(Item::Bundle { json: Bytes::copy_from_slice(bundle) });
            // Without one of its clocks it may tell the time of the other.
            for without in ["timestampVerificationData", "tlogEntries"] {
                let mut value: Value = serde_json::from_slice(bundle).unwrap_or_default();
                if let Some(material) = value.get_mut("verificationMaterial").and_then(Value::as_object_mut) {
                    material.remove(without);
                }
                stand.learn(Item::Bundle { json: Bytes::from(value.to_string()) });
            }
        }
        stand
    })
}

pub(super) fn bundles() -> Vec<Vec<u8>> {
    let stand = stand();
    // Those that are accepted in another suite's sense only have no place here.
    let counts = |bundle: &&Vec<u8>| {
        let item = Item::Bundle { json: Bytes::copy_from_slice(bundle) };
        facts(&stand.ask(item)).iter().any(|(_, logged, _)| *logged)
    };
    recorded().0.iter().filter(counts).cloned().collect()
}

pub(super) fn bundle(input: &[u8]) -> Result<(), String> {
    stand().judge(Item::Bundle { json: Bytes::copy_from_slice(input) }, Original::No)
}

/// One part of the two, decoded.
fn parts(pointer: &str) -> Vec<Vec<u8>> {
    taken_apart().iter().filter_map(|bundle| part(bundle, pointer)).collect()
}

fn part(bundle: &Value, pointer: &str) -> Option<Vec<u8>> {
    let text = bundle.pointer(pointer)?.as_str()?;
    if pointer == CHECKPOINT { Some(text.as_bytes().to_vec()) } else { STANDARD.decode(text).ok() }
}

fn taken_apart() -> &'static [Value] {
    static TAKEN: OnceLock<Vec<Value>> = OnceLock::new();
    TAKEN.get_or_init(|| {
        let read =
            |name: &&str| serde_json::from_slice(&fs::read(root().join(name).join("bundle.json")).ok()?).ok();
        TAKEN_APART.iter().filter_map(read).collect()
    })
}

/// The input in the place of that part, in both.
fn with_part(pointer: &str, input: &[u8]) -> Result<(), String> {
    for bundle in taken_apart() {
        let original = part(bundle, pointer);
        let mut changed = bundle.clone();
        let Some(place) = changed.pointer_mut(pointer) else { continue };
        *place = if pointer == CHECKPOINT {
            Value::from(String::from_utf8_lossy(input))
        } else {
            Value::from(STANDARD.encode(input))
        };
        let item = Item::Bundle { json: Bytes::from(changed.to_string()) };
        stand().judge(item, Original::of(original.as_deref() == Some(input)))?;
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

fn signature() -> &'static (Stand, Bytes) {
    static SIGNATURE_STAND: OnceLock<(Stand, Bytes)> = OnceLock::new();
    SIGNATURE_STAND.get_or_init(|| {
        let mut stand =
            Stand::new(&format!("{SIGNATURE}/artifact"), TrustTable::sigstore().into_iter().collect());
        let payload = Bytes::from(fs::read(root().join(SIGNATURE).join("payload.json")).unwrap_or_default());
        let annotations = annotations_of(&annotations().concat());
        stand.learn(Item::SimpleSigning { payload: payload.clone(), annotations });
        (stand, payload)
    })
}

pub(super) fn annotations() -> Vec<Vec<u8>> {
    fs::read(root().join(SIGNATURE).join("annotations.json")).into_iter().collect()
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
