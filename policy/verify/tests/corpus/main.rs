//! Parts of evidence that other projects test their readers with: trusted roots, proofs, checkpoints.
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test reads its fixtures, and its helpers may fail as the test itself may"
)]

#[expect(unreachable_pub, reason = "the crate of tests shows it to its suites")]
#[path = "../../../../tests/src/borrowed.rs"]
mod borrowed;
#[expect(unreachable_pub, reason = "the crate of tests shows it to its suites")]
#[path = "../../../../tests/src/skip.rs"]
mod skip;

mod notation;

use std::path::PathBuf;

use pullgate_policy::identity::Name;
use pullgate_verify::{Sct, TrustSummary, TrustTable, Trusted, TrustedKind};
use serde_json::{Value, json};
use sigstore_merkle::verify_inclusion_proof;
use sigstore_types::{Checkpoint, Sha256Hash};

fn folder(name: &str) -> PathBuf {
    borrowed::folder("parts").unwrap().join("corpus").join(name)
}

fn document(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder(name)).unwrap()).unwrap()
}

fn loads(root: &Value) -> Result<TrustTable, String> {
    let table = TrustTable::from_json(Name::new("root"), root.to_string().as_bytes(), Sct::Required);
    table.map_err(|fault| fault.to_string())
}

#[test]
fn a347_trusted_roots_that_others_refuse_are_refused_and_the_others_load() {
    if borrowed::folder("parts").is_none() {
        return;
    }
    for (name, right) in [
        ("trusted-root-badtype", false),
        ("trusted-root-ed25519", true),
        ("trusted-root-v1", true),
        ("trust-config-badtype", false),
        ("trustroot-staging_trusted_root_with_one_tsa", true),
        ("trustroot-staging_trusted_root_with_outdated_tsa", true),
        ("trustroot-trusted_root", true),
        ("trustroot-trusted_root_with_multiple_tsas", true),
        ("trust-roots-github", true),
        ("trust-roots-github-older", true),
        ("trust-roots-sigstore-public-good", true),
        ("trust-roots-sigstore-staging", true),
    ] {
        let loaded = loads(&document(&format!("roots/{name}.json")));
        assert_eq!(loaded.is_ok(), right, "{name}: {loaded:?}");
    }
}

#[test]
fn a622_a_window_that_the_root_has_closed_is_not_told_again() {
    if borrowed::folder("parts").is_none() {
        return;
    }
    let staging = loads(&document("roots/trust-roots-sigstore-staging.json")).unwrap();
    assert_eq!(staging.unusable("2026-11-24T00:00:00Z".parse().unwrap()).len(), 0);
}

#[test]
fn a347_an_authority_is_a_whole_chain_of_certificates() {
    if borrowed::folder("parts").is_none() {
        return;
    }
    for (name, right) in [("ca-valid", true), ("ca-empty", false), ("ca-missing-root", false)] {
        let mut root = document("roots/trusted-root-v1.json");
        root["certificateAuthorities"] = json!([document(&format!("roots/{name}.json"))]);
        let loaded = loads(&root);
        assert_eq!(loaded.is_ok(), right, "{name}: {loaded:?}");
    }
}

#[test]
fn what_a_trusted_root_holds_is_told_one_by_one_with_its_window_and_counted() {
    if borrowed::folder("parts").is_none() {
        return;
    }
    let table = loads(&document("roots/trustroot-trusted_root.json")).unwrap();
    let held = |kind, name: &str, from: &str, until: Option<&str>| Trusted {
        kind,
        name: name.to_owned(),
        from: Some(from.parse().unwrap()),
        until: until.map(|until| until.parse().unwrap()),
    };
    let (authority, listing) = (TrustedKind::CertificateAuthority, TrustedKind::CertificateLog);
    let fulcio = "https://fulcio.sigstore.dev";
    assert_eq!(
        table.contents(),
        [
            held(authority, fulcio, "2021-03-07T03:20:29Z", Some("2022-12-31T23:59:59.999Z")),
            held(authority, fulcio, "2022-04-13T20:06:15Z", None),
            held(
                listing,
                "https://ctfe.sigstore.dev/test",
                "2021-03-14T00:00:00Z",
                Some("2022-10-31T23:59:59.999Z")
            ),
            held(listing, "https://ctfe.sigstore.dev/2022", "2022-10-20T00:00:00Z", None),
            held(TrustedKind::Log, "https://rekor.sigstore.dev", "2021-01-12T11:53:27Z", None),
            held(
                TrustedKind::TimestampAuthority,
                "https://timestamp.sigstore.dev",
                "2025-04-08T06:59:43Z",
                Some("2035-04-08T06:59:43Z")
            ),
        ]
    );
    let counted = TrustSummary { authorities: 2, certificate_logs: 2, logs: 1, timestamp_authorities: 1 };
    assert_eq!(table.describe(), counted);
}

#[test]
fn a307_proofs_hold_or_not_as_the_vectors_say() {
    if borrowed::folder("parts").is_none() {
        return;
    }
    let mut seen = [0, 0];
    for group in std::fs::read_dir(folder("merkle")).unwrap() {
        for file in std::fs::read_dir(group.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let vector: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let holds = holds(&vector);
            assert_eq!(holds.is_none(), vector["wantErr"] == true, "{}", path.display());
            seen[usize::from(holds.is_some())] += 1;
        }
    }
    assert!(seen[0] > 40 && seen[1] >= 4, "{seen:?}");
}

/// What is no hash at all is no proof.
fn holds(vector: &Value) -> Option<()> {
    let hash = |value: &Value| Sha256Hash::from_base64(value.as_str().unwrap_or_default()).ok();
    let (leaf, root) = (hash(&vector["leafHash"])?, hash(&vector["root"])?);
    let path = vector["proof"].as_array().map(Vec::as_slice).unwrap_or_default();
    let path: Option<Vec<_>> = path.iter().map(hash).collect();
    let number = |key: &str| vector[key].as_u64();
    verify_inclusion_proof(&leaf, number("leafIdx")?, number("treeSize")?, &path?, &root).ok()
}

#[test]
fn a309_checkpoints_are_read_or_not_as_the_notes_say() {
    if borrowed::folder("parts").is_none() {
        return;
    }
    let mut read = Vec::new();
    for file in std::fs::read_dir(folder("checkpoints")).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let checkpoint = Checkpoint::from_text(&std::fs::read_to_string(&path).unwrap());
        // Read all the same, and refused where bundles are read.
        let lenient = name == "error_no_newline_after_signature";
        assert_eq!(checkpoint.is_ok(), lenient || name.starts_with("valid"), "{name}: {checkpoint:?}");
        read.push(name);
    }
    assert_eq!(read.len(), 8);
}
