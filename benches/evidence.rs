//! Recorded evidence, ready to be verified: one piece of each kind that registries hold today.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use jiff::Timestamp;
use pullgate_policy::content::{Intact, Untrusted};
use pullgate_policy::evidence::{Evidence, Layout, Source};
use pullgate_policy::identity::{Authority, By, IdentityPattern, Name, Transparency, Uses};
use pullgate_policy::oci::{Digest, Document, Manifest};
use pullgate_tests::borrowed;
use pullgate_verify::{
    Artifact, Found, Item, KeyRing, PublicKey, Request, Sct, TrustSet, TrustTable, verify_all,
};
use serde_json::Value;

use crate::bare::Bare;

type Failed = Box<dyn std::error::Error>;

/// What is asked about one subject.
#[derive(Debug)]
pub struct Question {
    subject: Digest,
    artifact: Vec<u8>,
    found: Vec<Found>,
    authority: Authority,
    keys: KeyRing,
    trust: TrustSet,
    now: Timestamp,
}

/// A name, the checks that cannot be avoided, and what is asked.
pub type Kind = (&'static str, Vec<(Bare, usize)>, Question);

/// Each kind with the checks that it contains and its question. Keyless kinds are the bundles of other verifiers' suites, by
/// certificates of the public-good instance: without those they are left out.
///
/// # Errors
/// When a recording is not where it belongs.
pub fn all() -> Result<Vec<Kind>, Failed> {
    // A certificate of Fulcio's: its chain has two signatures by P-384, its SCT one by P-256; and what was signed.
    let keyless = |p256: usize| vec![(Bare::P256, 2 + p256), (Bare::P384, 2)];
    // The log's checkpoint, the signed time, and the chain behind that.
    let second = || vec![(Bare::P256, 2), (Bare::Ed25519, 1), (Bare::P384, 4)];
    let mut kinds = vec![
        ("keyed .sig, no log", vec![(Bare::P256, 1)], Question::keyed(1)?),
        ("250 keyed .sig layers", vec![(Bare::P256, 250)], Question::keyed(250)?),
    ];
    if cases().is_err() {
        return Ok(kinds);
    }
    kinds.extend([
        (
            "keyless .sig, Rekor SET",
            keyless(1),
            Question::legacy("containers-image/dir-img-cosign-fulcio-rekor-valid")?,
        ),
        (
            "keyless bundle, Rekor v1",
            keyless(2),
            Question::bundle("sigstore-conformance/happy-path-v0.3", TrustTable::sigstore()?)?,
        ),
        ("attestation bundle, Rekor v1", keyless(2), attested()?),
        (
            "keyless bundle, Rekor v2 and TSA",
            second(),
            Question::with_its_root("sigstore-conformance/rekor2-happy-path")?,
        ),
        (
            "attestation bundle, Rekor v2 and TSA",
            second(),
            Question::with_its_root("sigstore-conformance/rekor2-dsse-happy-path")?,
        ),
    ]);
    Ok(kinds)
}

/// A provenance attestation of the public-good instance.
///
/// # Errors
/// As [`all`].
pub fn attested() -> Result<Question, Failed> {
    Question::bundle("github-cli/reusable-workflow", TrustTable::sigstore()?)
}

impl Question {
    /// Verifies.
    #[must_use]
    pub fn ask(&self) -> Evidence {
        verify_all(&Request {
            subject: self.subject,
            artifact: Artifact::Bytes(&self.artifact),
            found: &self.found,
            authorities: &[&self.authority],
            keys: &self.keys,
            trust: &self.trust,
            now: self.now,
            collected: self.now,
        })
    }

    /// How many pieces there are.
    #[must_use]
    pub fn pieces(&self) -> usize {
        self.found.len()
    }

    /// How many of them are good.
    #[must_use]
    pub fn counting(&self) -> usize {
        let evidence = self.ask();
        evidence.signatures.len() + evidence.attestations.len()
    }

    /// The manifest that is asked about.
    ///
    /// # Errors
    /// When it is none.
    pub fn document(&self) -> Result<Intact<Document>, Failed> {
        Ok(Untrusted::new(Bytes::from(self.artifact.clone())).check(&self.subject)?.parse(None)?)
    }

    /// The time at which it is asked.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Who is asked for.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Signatures by one key in cosign's own layout, without a log.
    ///
    /// # Errors
    /// As [`all`].
    pub fn keyed(count: usize) -> Result<Self, Failed> {
        let (artifact, found, key) = recorded()?;
        let mut keys = KeyRing::default();
        let by = By::Keys(vec![keys.insert(key)]);
        let piece = |n: usize| {
            let mut one = found.clone();
            one.source.blob = Digest::of(&n.to_be_bytes());
            one
        };
        Ok(Self {
            subject: Digest::of(&artifact),
            artifact,
            found: (0..count).map(piece).collect(),
            authority: authority(by, Transparency::Optional, Name::new("sigstore")),
            keys,
            trust: TrustSet::new(vec![TrustTable::sigstore()?]),
            now: now()?,
        })
    }

    fn bundle(name: &str, table: TrustTable) -> Result<Self, Failed> {
        let folder = cases()?.join(name);
        let json = Bytes::from(read(&folder.join("bundle.json"))?);
        Self::keyless(&folder, Item::Bundle { json }, table)
    }

    fn with_its_root(name: &str) -> Result<Self, Failed> {
        let root = read(&cases()?.join(name).join("trusted_root.json"))?;
        Self::bundle(name, TrustTable::from_json(Name::new("recorded"), &root, Sct::Required)?)
    }

    fn legacy(name: &str) -> Result<Self, Failed> {
        let folder = cases()?.join(name);
        let annotations = serde_json::from_slice(&read(&folder.join("annotations.json"))?)?;
        let payload = Bytes::from(read(&folder.join("payload.json"))?);
        Self::keyless(&folder, Item::SimpleSigning { payload, annotations }, TrustTable::sigstore()?)
    }

    fn keyless(folder: &Path, item: Item, table: TrustTable) -> Result<Self, Failed> {
        let artifact = read(&folder.join("artifact"))?;
        let subject = Digest::of(&artifact);
        let source = Source { layout: Layout::Referrers, manifest: subject, blob: subject };
        // Whom the certificate names is the policy's to compare.
        let pattern = IdentityPattern::Exact(String::new());
        let by =
            By::Identity { issuer: IdentityPattern::Exact(String::new()), pattern, claims: BTreeMap::new() };
        Ok(Self {
            subject,
            artifact,
            found: vec![Found { source, item }],
            authority: authority(by, Transparency::Required, table.name().clone()),
            keys: KeyRing::default(),
            trust: TrustSet::new(vec![table]),
            now: now()?,
        })
    }
}

fn authority(by: By, transparency: Transparency, trust: Name) -> Authority {
    Authority { name: Name::new("signer"), uses: Uses::Both, transparency, trust, by }
}

/// A moment after all recordings.
fn now() -> Result<Timestamp, Failed> {
    Ok("2026-11-25T00:00:00Z".parse()?)
}

/// The bundles of other verifiers' suites.
///
/// # Errors
/// Where they are not here.
pub fn cases() -> Result<PathBuf, Failed> {
    let folder =
        borrowed::folder("cost").ok_or("the bundles of other suites are not here (PULLGATE_CORPUS)")?;
    Ok(folder.join("bundles"))
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures")
}

fn read(file: &Path) -> Result<Vec<u8>, Failed> {
    std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()).into())
}

/// A recorded manifest, and its signature by a key as it was found.
fn recorded() -> Result<(Vec<u8>, Found, PublicKey), Failed> {
    let folder = fixtures().join("live");
    let layout = folder.join("cosign2-keyed");
    let blob = |digest: &Digest| read(&layout.join("blobs/sha256").join(digest.hex()));
    let subject: Digest =
        "sha256:a62833e7ea316f93fd21eb81ecbe64759c3830386e48f3c6fe344ca3147183f5".parse()?;
    let tag = format!("sha256-{}.sig", subject.hex());
    let index: Value = serde_json::from_slice(&read(&layout.join("index.json"))?)?;
    let listed = index.get("manifests").and_then(Value::as_array).ok_or("no manifests")?;
    let named = |entry: &&Value| {
        entry.pointer("/annotations/org.opencontainers.image.ref.name").and_then(Value::as_str) == Some(&tag)
    };
    let entry = listed.iter().find(named).ok_or("no signature")?;
    let manifest: Digest = entry.get("digest").and_then(Value::as_str).ok_or("no digest")?.parse()?;
    let document = Untrusted::new(Bytes::from(blob(&manifest)?)).hash().parse(None)?;
    let Manifest::Image(image) = document.value().manifest() else { return Err("an index".into()) };
    let layer = image.layers.first().ok_or("no layer")?;
    let digest = layer.digest.ok_or("no digest")?;
    let item =
        Item::SimpleSigning { payload: Bytes::from(blob(&digest)?), annotations: layer.annotations.clone() };
    let keys = PublicKey::from_file(&read(&folder.join("keys/release.pub"))?)?;
    let key = keys.into_iter().next().ok_or("no key")?;
    let source = Source { layout: Layout::SigTag, manifest, blob: digest };
    Ok((blob(&subject)?, Found { source, item }, key))
}
