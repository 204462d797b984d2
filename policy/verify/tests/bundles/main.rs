//! Bundles of other verifiers' test suites (`tests/fixtures/borrowed`): the same verdicts, and the code of each refusal.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test reads its fixtures, and its helpers may fail as the test itself may"
)]

mod attacks;
#[expect(unreachable_pub, reason = "the crate of tests shows it to its suites")]
#[path = "../../../../tests/src/borrowed.rs"]
mod borrowed;
mod logs;
#[expect(unreachable_pub, reason = "the crate of tests shows it to its suites")]
#[path = "../../../../tests/src/skip.rs"]
mod skip;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use pullgate_policy::code::Code;
use pullgate_policy::evidence::{Evidence, Layout, Logged, Source};
use pullgate_policy::identity::{Authority, By, IdentityPattern, Name, Transparency, Uses};
use pullgate_policy::oci::Digest;
use pullgate_verify::{
    Artifact, Found, Item, KeyRing, PublicKey, Request, Sct, TrustSet, TrustTable, verify_all,
};
use serde_json::Value;

/// Cases whose verdict is another one than the suite's, and why.
const OTHERWISE: [(&str, &str); 3] = [
    ("sigstore-java/bundle-no-digest", "v0.3 with a chain, which the format forbids; the suite is lenient"),
    ("sigstore-rust/github-private-attestation", "its certificate names no issuer, which is said first"),
    ("sigstore-rust/jdx-communique", "its certificate names no issuer, which is said first"),
];

#[derive(Debug, PartialEq, Eq)]
enum Worth {
    /// It is a signature or an attestation of the artifact, and logged where its trust table has a log.
    Counts,
    /// It is not, for this reason.
    Rejected(Code),
}

#[test]
fn every_bundle_is_worth_what_the_suites_say() {
    let Some(()) = here() else { return };
    let cases: Value = serde_json::from_slice(&std::fs::read(root().join("cases.json")).unwrap()).unwrap();
    let mut wrong = BTreeMap::new();
    for case in cases.as_array().unwrap() {
        let name = format!("{}/{}", case["source"].as_str().unwrap(), case["case"].as_str().unwrap());
        let expected = match case["expect"].as_str().unwrap() {
            "accept" => Worth::Counts,
            code => Worth::Rejected(Code::find(code).unwrap_or(Code::Internal)),
        };
        let (worth, detail) = judge(
            &root().join(&name),
            case["kind"].as_str().unwrap_or("bundle"),
            case["trust"].as_str().unwrap(),
        );
        if worth != expected {
            wrong.insert(name, format!("expected {expected:?}, got {worth:?}: {detail}"));
        }
    }
    let found: Vec<&str> = wrong.keys().map(String::as_str).collect();
    let known: Vec<&str> = OTHERWISE.iter().map(|(name, _)| *name).collect();
    assert_eq!(found, known, "{wrong:#?}");
}

#[test]
fn a_bundle_that_is_cut_counts_for_nothing_and_harms_nothing() {
    let Some(()) = here() else { return };
    let folder = root().join("sigstore-conformance/happy-path-v0.3");
    let whole = std::fs::read(folder.join("bundle.json")).unwrap();
    let end = whole.trim_ascii_end().len();
    for length in (0..end).step_by(97) {
        let json = Bytes::copy_from_slice(&whole[..length]);
        let (worth, _) = judge_item(&folder, Item::Bundle { json }, "bundle", "sigstore");
        assert_eq!(worth, Worth::Rejected(Code::BundleInvalid), "{length}");
    }
}

#[test]
fn no_changed_letter_of_a_signed_part_goes_unnoticed() {
    let Some(()) = here() else { return };
    let folder = root().join("sigstore-conformance/happy-path-v0.3");
    let whole = std::fs::read_to_string(folder.join("bundle.json")).unwrap();
    let parts: Value = serde_json::from_str(&whole).unwrap();
    let entry = &parts["verificationMaterial"]["tlogEntries"][0];
    let signed = [
        &parts["messageSignature"]["signature"],
        &parts["messageSignature"]["messageDigest"]["digest"],
        &entry["inclusionPromise"]["signedEntryTimestamp"],
        &entry["canonicalizedBody"],
        &entry["integratedTime"],
        &entry["logId"]["keyId"],
    ];
    for text in signed.map(|value| value.as_str().unwrap()) {
        for position in (0..text.len()).step_by(13) {
            let letter = if text.as_bytes()[position] == b'1' { "2" } else { "1" };
            let mut changed = text.to_owned();
            changed.replace_range(position..=position, letter);
            let json = Bytes::from(whole.replacen(text, &changed, 1));
            let (worth, _) = judge_item(&folder, Item::Bundle { json }, "bundle", "sigstore");
            assert_ne!(worth, Worth::Counts, "{text} at {position}");
        }
    }
}

/// Judges the bundle of a folder. Where the artifact was not kept, it is judged against other bytes: all that can be
/// said of it then is `subject-mismatch`, which is said of a statement only when everything else holds.
fn judge(folder: &Path, kind: &str, trust: &str) -> (Worth, String) {
    judge_item(folder, item(folder, kind), kind, trust)
}

fn judge_item(folder: &Path, item: Item, kind: &str, trust: &str) -> (Worth, String) {
    judge_under(folder, item, kind, table(folder, trust))
}

fn judge_under(
    folder: &Path,
    item: Item,
    kind: &str,
    (table, transparency): (TrustTable, Transparency),
) -> (Worth, String) {
    let keyed = folder.join("key.pub").exists();
    let evidence = evidence(folder, item, (table, transparency));
    let signatures = evidence.signatures.iter().map(|signature| signature.facts().logged);
    let attestations = evidence.attestations.iter().map(|attestation| attestation.facts().logged);
    let logged: Vec<Logged> = signatures.chain(attestations).collect();
    match (logged.as_slice(), evidence.rejected.as_slice()) {
        ([Logged::Yes], []) => (Worth::Counts, String::new()),
        // A keyed signature may lack an entry; what the log says then is not asked for in these cases.
        ([Logged::No(Code::LogEntryMissing)], []) if keyed && kind == "sig" => (Worth::Counts, String::new()),
        ([Logged::No(_)], []) if transparency == Transparency::None => (Worth::Counts, String::new()),
        ([Logged::No(code)], []) => (Worth::Rejected(*code), "of the log".to_owned()),
        ([], [rejected]) => (Worth::Rejected(rejected.code), rejected.detail.clone()),
        (logged, rejected) => panic!("one piece is worth one thing: {logged:?} {rejected:?}"),
    }
}

fn evidence(folder: &Path, item: Item, (table, transparency): (TrustTable, Transparency)) -> Evidence {
    let artifact = std::fs::read(folder.join("artifact")).unwrap_or_default();
    let mut keys = KeyRing::default();
    let by = match std::fs::read(folder.join("key.pub")) {
        Ok(key) => {
            By::Keys(PublicKey::from_file(&key).unwrap().into_iter().map(|key| keys.insert(key)).collect())
        }
        Err(_) => {
            let pattern = IdentityPattern::Exact(String::new());
            By::Identity { issuer: IdentityPattern::Exact(String::new()), pattern, claims: BTreeMap::new() }
        }
    };
    let name = Name::new("signer");
    let trust = table.name().clone();
    let authority = Authority { name, uses: Uses::Both, transparency, trust, by };
    let subject = Digest::of(&artifact);
    let source = Source { layout: Layout::Referrers, manifest: subject, blob: subject };
    let now = "2026-11-25T00:00:00Z".parse().unwrap();
    verify_all(&Request {
        subject,
        artifact: Artifact::Bytes(&artifact),
        found: &[Found { source, item }],
        authorities: &[&authority],
        keys: &keys,
        trust: &TrustSet::new(vec![table]),
        now,
        collected: now,
    })
}

fn item(folder: &Path, kind: &str) -> Item {
    let read = |file: &str| Bytes::from(std::fs::read(folder.join(file)).unwrap());
    let annotations = || serde_json::from_slice(&read("annotations.json")).unwrap();
    match kind {
        "sig" => Item::SimpleSigning { payload: read("payload.json"), annotations: annotations() },
        "att" => Item::Dsse { envelope: read("payload.json"), annotations: annotations() },
        _ => Item::Bundle { json: read("bundle.json") },
    }
}

fn table(folder: &Path, trust: &str) -> (TrustTable, Transparency) {
    let file = |path: PathBuf, sct| {
        TrustTable::from_json(Name::new("file"), &std::fs::read(path).unwrap(), sct).unwrap()
    };
    match trust {
        "sigstore" => (TrustTable::sigstore().unwrap(), Transparency::Required),
        "github" => (TrustTable::github().unwrap(), Transparency::None),
        "case-without-log" => (file(folder.join("trusted_root.json"), Sct::None), Transparency::None),
        "staging" => (file(root().join("roots/staging.json"), Sct::Required), Transparency::Required),
        _ => (file(folder.join("trusted_root.json"), Sct::Required), Transparency::Required),
    }
}

/// The folder, kind and trust of a case.
fn named(name: &str) -> (PathBuf, String, String) {
    let cases: Value = serde_json::from_slice(&std::fs::read(root().join("cases.json")).unwrap()).unwrap();
    let (source, case) = name.split_once('/').unwrap();
    let found = cases.as_array().unwrap().iter().find(|one| one["source"] == source && one["case"] == case);
    let found = found.unwrap_or_else(|| panic!("no case is called {name}"));
    let text = |key: &str| found[key].as_str().map(str::to_owned);
    (root().join(name), text("kind").unwrap_or_else(|| "bundle".to_owned()), text("trust").unwrap())
}

/// Whether the cases are here; a skip is reported otherwise.
fn here() -> Option<()> {
    borrowed::folder("bundles").map(drop)
}

fn root() -> PathBuf {
    borrowed::folder("bundles").unwrap().join("bundles")
}
