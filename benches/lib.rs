//! What the benches share: a small policy, and evidence for it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use pullgate_policy::content::{Intact, Untrusted};
use pullgate_policy::evidence::{Evidence, Layout, Source};
use pullgate_policy::identity::{Authority, By, KeyId, Name, Transparency, Uses};
use pullgate_policy::oci::{Digest, Document, Manifest, ManifestFault};
use pullgate_policy::policy::{
    Asks, ClaimedReference, ForeignLayers, Location, Mode, OnUndecided, Policy, PolicySet, Requirement,
    Revision, Revisions, Rule, Unmatched,
};
use pullgate_policy::scope::{Scope, ScopeInvalid};
use pullgate_verify::{Artifact, Found, Item, KeyRing, PublicKey, Request, TrustSet, TrustTable};
use serde_json::Value;

/// An image manifest without layers.
///
/// # Errors
/// Never, as long as the text below is a manifest.
pub fn document() -> Result<Intact<Document>, ManifestFault> {
    let empty = Digest::of(b"{}");
    let text = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{empty}","size":2}},"layers":[]}}"#
    );
    Untrusted::new(Bytes::from(text)).hash().parse(None)
}

/// An authority known by one key.
#[must_use]
pub fn authority(name: &str, key: KeyId) -> Authority {
    Authority {
        name: Name::new(name),
        uses: Uses::Both,
        transparency: Transparency::Optional,
        trust: Name::new("sigstore"),
        by: By::Keys(vec![key]),
    }
}

/// A policy that asks for a signature by `authority` in each of `scopes`.
///
/// # Errors
/// [`ScopeInvalid`] for a text that is no scope.
pub fn policy(authority: &Authority, scopes: &[String]) -> Result<PolicySet, ScopeInvalid> {
    let revision = Revision::of([b"bench".as_slice()]);
    let location = Location { file: Arc::from("policy.toml"), line: 1 };
    let scopes = scopes.iter().map(|text| Scope::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let requirement = Requirement {
        location: location.clone(),
        asks: Asks::Signature,
        any_of: vec![authority.name.clone()],
        threshold: 1,
        annotations: BTreeMap::new(),
        claimed_reference: ClaimedReference::Reported,
        max_age: None,
        condition: None,
        slsa: None,
    };
    let policy = Policy {
        name: Name::new("bench"),
        location,
        scopes,
        mode: Mode::Enforce,
        on_undecided: OnUndecided::Deny,
        foreign_layers: ForeignLayers::Deny,
        rule: Rule::Requirements(vec![requirement]),
    };
    Ok(PolicySet {
        revisions: Revisions { policy: revision, trust: revision },
        unmatched: Unmatched::Deny,
        authorities: BTreeMap::from([(authority.name.clone(), authority.clone())]),
        policies: vec![policy],
        blocks: Vec::new(),
        exemptions: Vec::new(),
        permit_ttl: Duration::from_secs(3600),
    })
}

/// A moment for every clock of the benches.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

/// The subject of the recorded keyed signature, and the signature as it was found.
///
/// # Errors
/// When the recording is not where it belongs.
pub fn recorded() -> Result<(Digest, Found, PublicKey), Box<dyn std::error::Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/live");
    let layout = folder.join("cosign2-keyed");
    let blob = |digest: &Digest| std::fs::read(layout.join("blobs/sha256").join(digest.hex()));
    let subject: Digest =
        "sha256:a62833e7ea316f93fd21eb81ecbe64759c3830386e48f3c6fe344ca3147183f5".parse()?;
    let tag = format!("sha256-{}.sig", subject.hex());
    let index: Value = serde_json::from_slice(&std::fs::read(layout.join("index.json"))?)?;
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
    let keys = PublicKey::from_file(&std::fs::read(folder.join("keys/release.pub"))?)?;
    let key = keys.into_iter().next().ok_or("no key")?;
    Ok((subject, Found { source: Source { layout: Layout::SigTag, manifest, blob: digest }, item }, key))
}

/// Evidence of this many signatures by one key.
///
/// # Errors
/// As [`recorded`].
pub fn evidence(count: usize) -> Result<(Digest, Evidence, Authority), Box<dyn std::error::Error>> {
    let (subject, found, key) = recorded()?;
    let authority = authority("release", key.id());
    let mut keys = KeyRing::default();
    keys.insert(key);
    let found: Vec<Found> = (0..count)
        .map(|n| {
            let mut one = found.clone();
            one.source.blob = Digest::of(&n.to_be_bytes());
            one
        })
        .collect();
    let trust = TrustSet::new(vec![TrustTable::sigstore()?]);
    let evidence = pullgate_verify::verify_all(&Request {
        subject,
        artifact: Artifact::Bytes(b""),
        found: &found,
        authorities: &[&authority],
        keys: &keys,
        trust: &trust,
        now: now(),
        collected: now(),
    });
    Ok((subject, evidence, authority))
}
