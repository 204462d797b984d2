//! Rollback, freeze, and parts of different ages (A341, A342, A344).

use pullgate_verify::refresh::{FetchFault, RefreshFault, Repository};
use serde_json::json;

use super::files::{code, refreshed};
use super::forge::{Forge, Key, after, now, sha256, sign};

#[test]
fn a341_a_newer_version_of_everything_is_taken_and_the_one_that_is_known_stays_good() {
    let mut forge = Forge::published();
    let first = refreshed(&forge.anchor(), None, &forge.files, now()).unwrap();
    assert_eq!(first.target(), b"the first");
    assert_eq!(refreshed(&forge.anchor(), Some(&first), &forge.files, now()), Ok(first.clone()));
    forge.publish(b"the second");
    let second = refreshed(&forge.anchor(), Some(&first), &forge.files, now()).unwrap();
    assert_eq!((second.target(), second.versions().timestamp), (b"the second".as_slice(), 2));
}

#[test]
fn a341_an_older_timestamp_is_refused() {
    let mut forge = Forge::published();
    let old = forge.files.metadata["timestamp.json"].clone();
    forge.publish(b"the second");
    let kept = refreshed(&forge.anchor(), None, &forge.files, now()).unwrap();
    forge.files.metadata.insert("timestamp.json".to_owned(), old);
    assert_eq!(code(refreshed(&forge.anchor(), Some(&kept), &forge.files, now())), Some("trust-rollback"));
    // Even when what is known has expired meanwhile: it is still the floor.
    forge.expires = after(30);
    let fault = refreshed(&forge.anchor(), Some(&kept), &forge.files, after(8));
    assert_eq!(code(fault), Some("trust-rollback"));
}

#[test]
fn a341_a_new_timestamp_over_an_older_snapshot_is_refused() {
    let mut forge = Forge::published();
    let old = forge.pin(&forge.files.metadata["1.snapshot.json"].clone());
    forge.publish(b"the second");
    let kept = refreshed(&forge.anchor(), None, &forge.files, now()).unwrap();
    forge.version += 1;
    forge.publish_timestamp(&old);
    assert_eq!(code(refreshed(&forge.anchor(), Some(&kept), &forge.files, now())), Some("trust-rollback"));
}

#[test]
fn a341_a_new_snapshot_over_an_older_list_of_targets_or_without_it_is_refused() {
    let mut forge = Forge::published();
    let old = forge.pin(&forge.files.metadata["1.targets.json"].clone());
    forge.publish(b"the second");
    let kept = refreshed(&forge.anchor(), None, &forge.files, now()).unwrap();
    forge.version += 1;
    forge.publish_snapshot(&json!({ "targets.json": old }));
    assert_eq!(code(refreshed(&forge.anchor(), Some(&kept), &forge.files, now())), Some("trust-rollback"));
    forge.version += 1;
    forge.publish_snapshot(&json!({}));
    assert_eq!(code(refreshed(&forge.anchor(), Some(&kept), &forge.files, now())), Some("trust-mismatch"));
    assert_eq!(code(refreshed(&forge.anchor(), None, &forge.files, now())), Some("trust-missing"));
}

#[test]
fn a341_an_older_root_is_no_way_forward() {
    let mut forge = Forge::published();
    let keys = forge.root_keys.clone();
    forge.rotate(&keys, |_| {});
    let kept = refreshed(&forge.anchor(), None, &forge.files, now()).unwrap();
    assert_eq!(kept.versions().root, 2);
    let first = forge.files.metadata["1.root.json"].clone();
    forge.files.metadata.insert("3.root.json".to_owned(), first);
    assert_eq!(
        refreshed(&forge.anchor(), Some(&kept), &forge.files, now()),
        Err(RefreshFault::RootVersion { known: 2, offered: 1 })
    );
    // A mirror that hides the new root does not bring the old one back.
    forge.files.metadata.remove("3.root.json");
    forge.files.metadata.remove("2.root.json");
    let still = refreshed(&forge.anchor(), Some(&kept), &forge.files, now()).unwrap();
    assert_eq!(still.versions().root, 2);
}

#[test]
fn a341_keys_of_the_timestamp_that_were_stolen_and_replaced_leave_no_floor_behind() {
    let mut forge = Forge::published();
    forge.version = 1_000_000;
    forge.publish(b"by a thief");
    let kept = refreshed(&forge.anchor(), None, &forge.files, now()).unwrap();
    forge.online = Key::new(11);
    let keys = forge.root_keys.clone();
    forge.rotate(&keys, |_| {});
    forge.version = 2;
    forge.publish(b"by the owner");
    let healed = refreshed(&forge.anchor(), Some(&kept), &forge.files, now()).unwrap();
    assert_eq!(healed.target(), b"by the owner");
}

#[test]
fn a342_metadata_counts_to_the_second_before_it_expires() {
    let forge = Forge::published();
    let kept = refreshed(&forge.anchor(), None, &forge.files, now()).unwrap();
    assert_eq!(kept.versions().expires, after(7));
    let second = jiff::SignedDuration::from_secs(1);
    let last = after(7).checked_sub(second).unwrap();
    assert!(refreshed(&forge.anchor(), Some(&kept), &forge.files, last).is_ok());
    assert!(refreshed(&forge.anchor(), None, &forge.files, last).is_ok());
    for kept in [None, Some(&kept)] {
        assert_eq!(code(refreshed(&forge.anchor(), kept, &forge.files, after(7))), Some("trust-expired"));
    }
}

#[test]
fn a344_parts_of_two_versions_are_not_put_together() {
    let mut forge = Forge::published();
    let (snapshot, targets) =
        (forge.files.metadata["1.snapshot.json"].clone(), forge.files.metadata["1.targets.json"].clone());
    forge.publish(b"the second");
    for (name, old) in [("2.snapshot.json", snapshot), ("2.targets.json", targets)] {
        let good = forge.files.metadata.insert(name.to_owned(), old).unwrap();
        assert_eq!(
            code(refreshed(&forge.anchor(), None, &forge.files, now())),
            Some("trust-mismatch"),
            "{name}"
        );
        forge.files.metadata.insert(name.to_owned(), good);
    }
    assert!(refreshed(&forge.anchor(), None, &forge.files, now()).is_ok());
}

#[test]
fn a344_a_version_that_its_list_does_not_name_is_refused_though_no_hash_is_listed() {
    let mut forge = Forge::published();
    let snapshot = forge.files.metadata["1.snapshot.json"].clone();
    forge.version = 2;
    forge.publish_timestamp(&json!({ "version": 2 }));
    forge.files.metadata.insert("2.snapshot.json".to_owned(), snapshot);
    assert_eq!(code(refreshed(&forge.anchor(), None, &forge.files, now())), Some("trust-mismatch"));
}

#[test]
fn a344_a_target_is_what_is_listed_or_nothing() {
    for change in [
        |bytes: &mut Vec<u8>| bytes.push(b'x'),
        |bytes: &mut Vec<u8>| {
            bytes.pop();
        },
        |bytes: &mut Vec<u8>| bytes[0] ^= 1,
    ] {
        let mut forge = Forge::published();
        change(forge.files.targets.values_mut().next().unwrap());
        assert_eq!(code(refreshed(&forge.anchor(), None, &forge.files, now())), Some("trust-mismatch"));
    }
    let mut gone = Forge::published();
    gone.files.targets.clear();
    assert_eq!(code(refreshed(&gone.anchor(), None, &gone.files, now())), Some("trust-missing"));
    for hashes in [json!({}), json!({ "md5": "00" }), json!({ "sha256": "../../etc/passwd" })] {
        let mut forge = Forge::published();
        forge.publish_list(
            json!({ "trusted_root.json": { "length": 9, "hashes": hashes } }),
            &json!(null),
            &[],
        );
        assert_eq!(code(refreshed(&forge.anchor(), None, &forge.files, now())), Some("trust-mismatch"));
        assert!(!forge.files.asked().iter().any(|name| name.contains("..")), "a346: no path is made of it");
    }
}

#[test]
fn each_hash_that_is_listed_must_be_the_targets() {
    let bytes = b"the target";
    let sha512 = hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, bytes));
    let sha256 = sha256(bytes);
    let run = |hashes: serde_json::Value, name: &str| {
        let mut forge = Forge::new();
        forge.files.targets.insert(format!("{name}.trusted_root.json"), bytes.to_vec());
        forge.publish_list(
            json!({ "trusted_root.json": { "length": 10, "hashes": hashes } }),
            &json!(null),
            &[],
        );
        code(refreshed(&forge.anchor(), None, &forge.files, now()))
    };
    let mismatch = Some("trust-mismatch");
    assert_eq!(run(json!({ "sha256": sha256 }), &sha256), None);
    assert_eq!(run(json!({ "sha512": sha512 }), &sha512), None);
    assert_eq!(run(json!({ "sha256": sha256, "sha512": sha512 }), &sha256), None);
    let other = "0".repeat(128);
    assert_eq!(run(json!({ "sha512": other }), &other), mismatch);
    assert_eq!(run(json!({ "sha256": sha256, "sha512": other }), &sha256), mismatch, "one of two");
}

#[test]
fn a_repository_that_keeps_one_version_names_its_files_without_it() {
    let mut forge = Forge::new();
    let mut root = forge.root_text();
    root["consistent_snapshot"] = json!(false);
    forge.files.metadata.insert("1.root.json".to_owned(), sign(&root, &forge.root_keys));
    forge.publish(b"the only");
    assert_eq!(code(refreshed(&forge.anchor(), None, &forge.files, now())), Some("trust-missing"));
    for role in ["snapshot.json", "targets.json"] {
        let bytes = forge.files.metadata.remove(&format!("1.{role}")).unwrap();
        forge.files.metadata.insert(role.to_owned(), bytes);
    }
    let (_, target) = forge.files.targets.pop_first().unwrap();
    forge.files.targets.insert("trusted_root.json".to_owned(), target);
    let kept = refreshed(&forge.anchor(), None, &forge.files, now()).unwrap();
    assert_eq!(kept.target(), b"the only");
}

#[test]
fn a344_one_role_does_not_speak_for_another() {
    let mut forge = Forge::published();
    forge.version = 2;
    let mut text = forge.text("timestamp", after(7));
    text["meta"] = json!({ "snapshot.json": { "version": 1 } });
    let by_targets = sign(&text, &forge.target_keys);
    forge.files.metadata.insert("timestamp.json".to_owned(), by_targets);
    assert_eq!(code(refreshed(&forge.anchor(), None, &forge.files, now())), Some("trust-threshold"));
    // The right key, another document.
    let snapshot = forge.files.metadata["1.snapshot.json"].clone();
    forge.files.metadata.insert("timestamp.json".to_owned(), snapshot);
    assert_eq!(code(refreshed(&forge.anchor(), None, &forge.files, now())), Some("trust-malformed"));
}

/// A mirror of which one file cannot be had.
struct Broken<'a>(&'a Forge, &'static str);

impl Repository for Broken<'_> {
    async fn metadata(&self, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, FetchFault> {
        if name.ends_with(self.1) {
            Err(FetchFault::Unreachable("down"))
        } else {
            self.0.files.metadata(name, bytes_max).await
        }
    }

    async fn target(&self, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, FetchFault> {
        if name.ends_with(self.1) {
            Err(FetchFault::Unreachable("down"))
        } else {
            self.0.files.target(name, bytes_max).await
        }
    }
}

#[test]
fn a341_whatever_breaks_nothing_of_a_refresh_is_left() {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use pullgate_verify::refresh::{Refresh, TargetName, refresh};
    let mut forge = Forge::published();
    let kept = refreshed(&forge.anchor(), None, &forge.files, now()).unwrap();
    forge.publish(b"the second");
    for file in ["root.json", "timestamp.json", "snapshot.json", "targets.json", "trusted_root.json"] {
        let (anchor, repository) = (forge.anchor(), Broken(&forge, file));
        let target = TargetName::TRUSTED_ROOT;
        let order =
            Refresh { anchor: &anchor, kept: Some(&kept), repository: &repository, target, now: now() };
        let Poll::Ready(result) = pin!(refresh(&order)).poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("nothing waits")
        };
        assert_eq!(code(result), Some("trust-unreachable"), "{file}");
    }
    assert_eq!(kept.target(), b"the first");
}
