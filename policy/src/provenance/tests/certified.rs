//! A source that a certificate names.

use super::*;

#[test]
fn a620_a_certified_source_that_cannot_be_read_admits_no_other() {
    let by = |claims: &[(&str, &str)]| {
        let hosted = ("runner_environment", "github-hosted");
        github(WORKFLOW, &[claims, &[hosted]].concat())
    };
    let silent = json!({ "buildDefinition": {}, "runDetails": {} });
    for claims in [
        [("source_repository_uri", "https://github.com/myorg/app?x")],
        [("source_repository_uri", "file:///srv/app")],
        [("source_repository_uri", "")],
        [("github_workflow_repository", "myorg/../app")],
    ] {
        let signer = by(&claims);
        for (kind, predicate) in [(SLSA_V1, v1(APP, RESOLVED)), (SLSA_V02, v02(RESOLVED))] {
            let read = Provenance::read(kind, &predicate, &signer);
            assert_eq!(read, Err(Code::ProvenanceConflict), "{claims:?} {kind}");
        }
        let read = Provenance::read(SLSA_V1, &silent, &signer).unwrap().unwrap();
        assert_eq!((read.source, read.level), (None, Level::One), "{claims:?}");
    }
    // What is certified where nothing else is, or nothing at all, is as before.
    let older = by(&[("github_workflow_repository", "myorg/app")]);
    for (signer, level) in [(ci(), Level::Two), (older, Level::Two), (by(&[]), Level::Two)] {
        let read = Provenance::read(SLSA_V1, &v1(APP, RESOLVED), &signer).unwrap().unwrap();
        assert_eq!((read.source.unwrap().as_str(), read.level), (APP, level));
    }
    // An older claim of an issuer whose host nobody can tell.
    let Principal::Identity(identity) = by(&[("github_workflow_repository", "myorg/app")]) else {
        panic!("not an identity")
    };
    let san = "somebody@example.com".to_owned();
    let nowhere = Identity { issuer: "https://issuer.example".to_owned(), san, ..identity };
    let read = Provenance::read(SLSA_V1, &v1(APP, RESOLVED), &Principal::Identity(nowhere));
    assert_eq!(read, Err(Code::ProvenanceConflict));
}
