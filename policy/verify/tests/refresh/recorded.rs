//! What other projects recorded (`tests/fixtures/borrowed`): their verdicts, and the code of each refusal.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use pullgate_verify::refresh::{Anchor, RefreshFault, TargetName};

use super::borrowed;
use super::files::{Files, code, refreshed, target};

fn folder(name: &str) -> PathBuf {
    borrowed::folder("tuf").unwrap().join("tuf").join(name)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn anchor(path: &Path) -> Anchor {
    Anchor::new(&std::fs::read(path).unwrap()).unwrap()
}

/// The clock of the synthetic repositories.
fn synthetic() -> Timestamp {
    at("2022-09-09T13:37:00Z")
}

fn run(case: &str) -> (Result<pullgate_verify::refresh::VerifiedRefresh, RefreshFault>, Vec<String>) {
    let folder = folder(&format!("sigstore-java-{case}"));
    let files = Files::read(&folder);
    let wanted = TargetName::new("test.txt").unwrap();
    let result = target(&anchor(&folder.join("initial_root.json")), None, &files, synthetic(), wanted);
    (result, files.asked())
}

#[test]
fn a341_a343_a344_a345_every_bad_repository_is_refused_for_its_own_reason() {
    if borrowed::folder("tuf").is_none() {
        return;
    }
    for (case, expected, last) in [
        // Its root is no JSON, and within our limit: `bounds.rs` crosses that one.
        ("root-too-big", "trust-malformed", "2.root.json"),
        ("root-unsigned", "trust-threshold", "2.root.json"),
        ("snapshot-invalid-hash", "trust-mismatch", "3.snapshot.json"),
        // It lacks its list of targets, and is shorter than its timestamp says: `versions.rs` has one that only lacks it.
        ("snapshot-target-missing", "trust-mismatch", "4.snapshot.json"),
        ("snapshot-version-mismatch", "trust-mismatch", "3.snapshot.json"),
        ("targets-expired", "trust-expired", "3.targets.json"),
        ("targets-invalid-hash", "trust-mismatch", "3.targets.json"),
        ("targets-download-invalid-hash", "trust-mismatch", "test.txt"),
        ("targets-download-invalid-length", "trust-mismatch", "test.txt"),
    ] {
        let (result, asked) = run(case);
        if case == "targets-expired" {
            // It runs out two months after the clock that the suite names: refused from that second on.
            assert_ne!(code(result), Some("trust-expired"));
            let folder = folder("sigstore-java-targets-expired");
            let files = Files::read(&folder);
            let anchor = anchor(&folder.join("initial_root.json"));
            for (time, expired) in [("2022-11-19T18:07:26Z", false), ("2022-11-19T18:07:27Z", true)] {
                let result = refreshed(&anchor, None, &files, at(time));
                assert_eq!(code(result) == Some(expected), expired, "{time}");
            }
            continue;
        }
        assert_eq!(result.as_ref().err().map(RefreshFault::code), Some(expected), "{case}: {result:?}");
        assert!(asked.last().unwrap().ends_with(last), "{case}: {asked:?}");
    }
}

#[test]
fn a343_an_empty_signature_beside_enough_good_ones_is_passed_over() {
    if borrowed::folder("tuf").is_none() {
        return;
    }
    let (result, asked) = run("root-update-with-empty-signature");
    // The case ends with its root: the next thing that is asked for is not there.
    assert_eq!(result, Err(RefreshFault::Missing { file: "timestamp.json".to_owned() }));
    assert_eq!(asked, ["2.root.json", "3.root.json", "timestamp.json"]);
}

#[test]
fn a343_fields_that_nobody_knows_are_part_of_what_was_signed() {
    if borrowed::folder("tuf").is_none() {
        return;
    }
    let folder = folder("sigstore-java-root-update-with-unknown-fields");
    let files = Files::read(&folder);
    let result = refreshed(&anchor(&folder.join("4.root.json")), None, &files, synthetic());
    assert_eq!(result, Err(RefreshFault::Missing { file: "timestamp.json".to_owned() }));
    assert_eq!(files.asked(), ["5.root.json", "6.root.json", "timestamp.json"]);
}

#[test]
fn a344_lengths_and_hashes_of_metadata_may_be_left_out() {
    if borrowed::folder("tuf").is_none() {
        return;
    }
    let (result, asked) = run("no-size-no-hash-snapshot-timestamp");
    assert_eq!(
        result,
        Err(RefreshFault::Missing { file: "3.targets.json".to_owned() }),
        "its snapshot counts"
    );
    assert_eq!(asked.last().map(String::as_str), Some("3.targets.json"));
}

#[test]
fn a346_a_target_in_a_folder_is_found_under_its_hash() {
    if borrowed::folder("tuf").is_none() {
        return;
    }
    let folder = folder("sigstore-java-targets-with-subdirs");
    let files = Files::read(&folder);
    let wanted = TargetName::new("subdir/test.txt").unwrap();
    let kept = target(&anchor(&folder.join("root.json")), None, &files, synthetic(), wanted).unwrap();
    assert_eq!(kept.target(), files.targets.values().next().unwrap());
    let asked = files.asked();
    assert!(asked.last().unwrap().starts_with("subdir/860de8f9a858eea7"), "{asked:?}");
    let versions = kept.versions();
    assert_eq!((versions.root, versions.timestamp, versions.snapshot, versions.targets), (1, 1, 1, 1));
    assert_eq!(versions.expires, at("2024-12-20T18:36:58Z"), "the first of them that runs out");
}

#[test]
fn a344_a_delegated_list_answers_for_what_it_was_given() {
    if borrowed::folder("tuf").is_none() {
        return;
    }
    let folder = folder("tuf-conformance-tuf-on-ci-0.11");
    let mut files = Files::read(&folder.join("metadata"));
    files.targets = Files::read(&folder).targets;
    let anchor = anchor(&folder.join("initial_root.json"));
    let now = at("2025-02-09T09:17:23Z");
    let wanted = TargetName::new("delegatedrole/artifact").unwrap();
    let kept = target(&anchor, None, &files, now, wanted).unwrap();
    assert_eq!(kept.target(), files.targets.values().next().unwrap());
    let other = target(&anchor, None, &files, now, TargetName::new("artifact").unwrap());
    assert_eq!(code(other), Some("trust-missing"));
}

fn chain() -> Files {
    let folder = folder("sigstore-root-chain");
    let mut files = Files::read(&folder.join("root_history"));
    files.metadata.insert("timestamp.json".to_owned(), std::fs::read(folder.join("timestamp.json")).unwrap());
    files
}

fn oldest(files: &Files) -> Anchor {
    Anchor::new(&files.metadata["1.root.json"]).unwrap()
}

#[test]
fn a343_all_roots_of_the_public_good_instance_follow_from_the_first() {
    if borrowed::folder("tuf").is_none() {
        return;
    }
    let files = chain();
    let result = refreshed(&oldest(&files), None, &files, at("2026-08-27T00:00:00Z"));
    // Root 15 and its timestamp count; the snapshot was not recorded.
    let Err(RefreshFault::Missing { file }) = result else { panic!("{result:?}") };
    assert!(file.ends_with(".snapshot.json"), "{file}");
    let roots = files.asked().iter().filter(|name| name.ends_with("root.json")).count();
    assert_eq!(roots, 15, "2 to 15, and one that is not there yet");
}

#[test]
fn a342_a_repository_that_stands_still_runs_out() {
    if borrowed::folder("tuf").is_none() {
        return;
    }
    let files = chain();
    for (time, role) in [("2026-08-29T00:00:00Z", "timestamp"), ("2026-11-21T00:00:00Z", "root")] {
        let result = refreshed(&oldest(&files), None, &files, at(time));
        let Err(RefreshFault::Expired { role: found, .. }) = result else { panic!("{result:?}") };
        assert_eq!(found, role);
    }
}

#[test]
fn a343_a_root_is_not_passed_over_and_two_do_not_change_places() {
    if borrowed::folder("tuf").is_none() {
        return;
    }
    let now = at("2026-08-27T00:00:00Z");
    let mut skipped = chain();
    let ninth = skipped.metadata["9.root.json"].clone();
    skipped.metadata.insert("8.root.json".to_owned(), ninth);
    assert_eq!(
        refreshed(&oldest(&skipped), None, &skipped, now),
        Err(RefreshFault::RootVersion { known: 7, offered: 9 })
    );
    let mut swapped = chain();
    let (sixth, seventh) = (swapped.metadata["6.root.json"].clone(), swapped.metadata["7.root.json"].clone());
    swapped.metadata.insert("6.root.json".to_owned(), seventh);
    swapped.metadata.insert("7.root.json".to_owned(), sixth);
    assert_eq!(
        refreshed(&oldest(&swapped), None, &swapped, now),
        Err(RefreshFault::RootVersion { known: 5, offered: 7 })
    );
}

#[test]
fn the_built_in_anchors_are_roots() {
    if borrowed::folder("tuf").is_none() {
        return;
    }
    assert_eq!(Anchor::sigstore().unwrap().version(), 15);
    assert_eq!(Anchor::github().unwrap().version(), 9);
}
