//! The bundles of other verifiers' suites through the conformance command: the same verdicts, file or digest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pullgate_policy::oci::Digest;
use pullgate_tests::borrowed;
use pullgate_tests::conformance::{Asked, Signer, Trust, verify};
use serde_json::Value;

/// Cases that the command answers otherwise than the suite, and why.
const OTHERWISE: [(&str, &str); 2] = [
    ("github-cli/github-instance-whl-other-root", "GitHub's instance is built in too"),
    ("sigstore-java/bundle-no-digest", "v0.3 with a chain, which the format forbids; the suite is lenient"),
];

fn root() -> PathBuf {
    borrowed::folder("conformance").unwrap().join("bundles")
}

/// Asks about a case as whoever its own refusal names, or as nobody in particular.
fn asked(folder: &Path, trust: &str, signer: Signer, artifact: String) -> Asked {
    let trust = match trust {
        "sigstore" | "github" => Trust::BuiltIn,
        "staging" => Trust::Staging,
        _ => Trust::File(folder.join("trusted_root.json")),
    };
    Asked { bundle: folder.join("bundle.json"), signer, trust, artifact }
}

fn stranger() -> Signer {
    Signer::Identity {
        identity: "stranger@example.com".to_owned(),
        issuer: "https://issuer.example".to_owned(),
    }
}

/// Who signed, as the command says when it is asked for somebody else: then everything but the name held.
fn named(said: &str) -> Option<Signer> {
    let (_, said) = said.split_once("signed by ")?;
    let (identity, rest) = said.split_once(" (issuer ")?;
    let (issuer, _) = rest.split_once("), who is somebody else")?;
    Some(Signer::Identity { identity: identity.to_owned(), issuer: issuer.to_owned() })
}

#[test]
fn each_bundle_of_the_suites_is_answered_as_they_say_by_file_and_by_digest() {
    if borrowed::folder("conformance").is_none() {
        return;
    }
    let cases: Vec<Value> =
        serde_json::from_slice(&std::fs::read(root().join("cases.json")).unwrap()).unwrap();
    let (mut wrong, mut verified) = (BTreeMap::new(), 0);
    for case in cases.iter().filter(|case| case["kind"].is_null()) {
        let name = format!("{}/{}", case["source"].as_str().unwrap(), case["case"].as_str().unwrap());
        let (folder, trust) = (root().join(&name), case["trust"].as_str().unwrap());
        let file = folder.join("artifact");
        if !file.is_file() {
            continue; // nothing but the bundle was kept: `subject-mismatch` is all that can be said
        }
        let digest = Digest::of(&std::fs::read(&file).unwrap()).to_string();
        let key = folder.join("key.pub");
        for artifact in [file.display().to_string(), digest] {
            let ask = |signer| verify(&asked(&folder, trust, signer, artifact.clone()));
            let said = if key.is_file() {
                ask(Signer::Key(key.clone()))
            } else {
                match ask(stranger()) {
                    Ok(by) => panic!("{name}: {by} is no stranger"),
                    Err(why) => named(&why).map_or(Err(why), ask),
                }
            };
            let accepted = case["expect"] == "accept";
            match (accepted, &said) {
                // A SHA-256 says nothing of what was signed by its SHA-384.
                (true, Err(why))
                    if why.contains("the hash of the message digest") && !Path::new(&artifact).is_file() => {}
                (true, Ok(_)) => verified += 1,
                (false, Err(why)) => {
                    // Under one root the reason is the case's own.
                    let code = case["expect"].as_str().unwrap();
                    assert!(why.contains(code) || artifact.starts_with("sha256:"), "{name}: {why}");
                }
                (_, said) => drop(wrong.insert(name.clone(), format!("{said:?}"))),
            }
        }
    }
    let found: Vec<&str> = wrong.keys().map(String::as_str).collect();
    let known: Vec<&str> = OTHERWISE.iter().map(|(name, _)| *name).collect();
    assert_eq!(found, known, "{wrong:#?}");
    assert!(verified > 50, "{verified}");
}

#[test]
fn the_command_exits_0_when_it_verifies_and_else_1_with_the_reason() {
    if borrowed::folder("conformance").is_none() {
        return;
    }
    let folder = root().join("sigstore-conformance/happy-path-v0.3");
    let run = |identity: &str, artifact: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sigstore-conformance"));
        command.args(["verify-bundle", "--bundle"]).arg(folder.join("bundle.json"));
        command.args(["--certificate-identity", identity]);
        command.args(["--certificate-oidc-issuer", "https://token.actions.githubusercontent.com"]);
        let output = command.arg(artifact).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let file = folder.join("artifact").display().to_string();
    let beacon = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
    assert_eq!(run(beacon, &file), (Some(0), String::new()));
    let (status, why) = run("somebody@example.com", &file);
    assert!(status == Some(1) && why.contains("somebody else"), "{status:?} {why}");
    let (status, why) = run(beacon, &folder.join("bundle.json").display().to_string());
    assert!(status == Some(1) && why.contains("digest-mismatch"), "{status:?} {why}");
    let (status, why) = run(beacon, "sha256:00");
    assert!(status == Some(1) && why.contains("No such file"), "{status:?} {why}");
}
