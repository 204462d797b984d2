//! A kept copy is verified again from the pinned root, or it does not count.

use pullgate_policy::identity::Name;
use pullgate_policy::limits;
use pullgate_verify::Sct;
use pullgate_verify::refresh::{RefreshFault, TargetName, VerifiedRefresh};
use serde_json::{Value, json};

use super::files::refreshed;
use super::forge::{Forge, Key, after, now, sign};

fn read(forge: &Forge, text: &str) -> Result<VerifiedRefresh, RefreshFault> {
    let read = VerifiedRefresh::from_json(&forge.anchor(), TargetName::TRUSTED_ROOT, text.as_bytes());
    read.map(|(kept, refreshed)| {
        assert_eq!(refreshed, now());
        kept
    })
}

fn forge() -> (Forge, VerifiedRefresh) {
    let mut forge = Forge::published();
    let keys = forge.root_keys.clone();
    forge.rotate(&keys, |_| {});
    let kept = refreshed(&forge.anchor(), None, &forge.files, now()).unwrap();
    (forge, kept)
}

#[test]
fn what_was_kept_is_read_again_whole_even_when_it_has_expired() {
    let (forge, kept) = forge();
    let text = kept.to_json(now());
    assert_eq!(read(&forge, &text), Ok(kept.clone()));
    // Expiry is told, not judged: how long it counts is the table's `max_age`.
    assert_eq!(kept.versions().expires, after(7));
}

#[test]
fn a345_a_kept_copy_may_have_so_many_bytes_and_not_one_more() {
    let (forge, kept) = forge();
    // Twice, for the base64 that files are kept in.
    let most = usize::try_from(limits::TUF_KEPT_BYTES * 2).unwrap();
    let mut text = kept.to_json(now());
    text.push_str(&" ".repeat(most - text.len()));
    assert_eq!(read(&forge, &text), Ok(kept));
    text.push(' ');
    assert_eq!(read(&forge, &text).unwrap_err().code(), "trust-too-large");
}

#[test]
fn a341_a_floor_survives_a_restart() {
    let (mut forge, _) = forge();
    let old = forge.files.metadata["timestamp.json"].clone();
    forge.publish(b"the second");
    let kept = refreshed(&forge.anchor(), None, &forge.files, now()).unwrap();
    let kept = read(&forge, &kept.to_json(now())).unwrap();
    forge.files.metadata.insert("timestamp.json".to_owned(), old);
    let fault = refreshed(&forge.anchor(), Some(&kept), &forge.files, now()).unwrap_err();
    assert_eq!(fault.code(), "trust-rollback");
}

#[test]
fn a504_a_copy_that_somebody_changed_is_no_trust_root() {
    let (forge, kept) = forge();
    let text: Value = serde_json::from_str(&kept.to_json(now())).unwrap();
    let files = text["metadata"].as_array().unwrap().len();
    assert_eq!(files, 4, "root 2, timestamp, snapshot, targets");
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut text = text.clone();
        change(&mut text);
        read(&forge, &text.to_string())
    };
    assert!(changed(&|_| {}).is_ok());
    assert!(
        changed(&|text| text["target"] = json!("dGhlIGZpcnMh")).is_err(),
        "other bytes of the same length"
    );
    for file in 0..files {
        assert!(changed(&|text| text["metadata"][file]["bytes"] = json!("e30=")).is_err());
    }
    // Without root 2 the rest still follows from root 1, whose keys are the same: nothing is invented.
    assert!(changed(&|text| drop(text["metadata"].as_array_mut().unwrap().remove(0))).is_ok());
    for file in 1..files {
        let without = changed(&|text| drop(text["metadata"].as_array_mut().unwrap().remove(file)));
        assert!(without.is_err());
    }
    for text in ["", "{}", "null", "{\"form\":2}"] {
        assert!(read(&forge, text).is_err(), "{text}");
    }
}

#[test]
fn a504_a_copy_of_another_repository_is_no_trust_root() {
    let (forge, kept) = forge();
    let mut other = Forge::new();
    other.root_keys = vec![Key::new(7), Key::new(8), Key::new(9)];
    let root = sign(&other.root_text(), &other.root_keys);
    other.files.metadata.insert("1.root.json".to_owned(), root);
    other.online = Key::new(12);
    other.rotate(&other.root_keys.clone(), |_| {});
    other.publish(b"elsewhere");
    let theirs = refreshed(&other.anchor(), None, &other.files, now()).unwrap();
    assert!(read(&forge, &theirs.to_json(now())).is_err());
    assert!(read(&forge, &kept.to_json(now())).is_ok());
}

#[test]
fn a347_a_repository_that_holds_something_else_gives_no_table() {
    let (_, kept) = forge();
    assert!(kept.table(Name::new("corp"), Sct::Required).is_err());
    let mut forge = Forge::new();
    forge.publish(include_bytes!("../../roots/sigstore/trusted_root.json"));
    let kept = refreshed(&forge.anchor(), None, &forge.files, now()).unwrap();
    let table = kept.table(Name::new("corp"), Sct::Required).unwrap();
    assert!(table.describe().authorities > 0);
}

#[test]
fn a_newer_pinned_root_takes_the_place_of_the_roots_before_it() {
    let (mut forge, kept) = forge();
    let second = pullgate_verify::refresh::Anchor::new(&forge.files.metadata["2.root.json"]).unwrap();
    let again = refreshed(&second, Some(&kept), &forge.files, now()).unwrap();
    assert_eq!(again.versions(), kept.versions());
    let keys = forge.root_keys.clone();
    forge.rotate(&keys, |_| {});
    let third = refreshed(&second, Some(&again), &forge.files, now()).unwrap();
    assert_eq!(third.versions().root, 3);
    // And an older one finds its way through both.
    let from_first = refreshed(&forge.anchor(), Some(&kept), &forge.files, now()).unwrap();
    assert_eq!(from_first.versions().root, 3);
}

#[test]
fn a_copy_may_have_so_many_bytes_and_not_one_more() {
    let (forge, kept) = forge();
    let text = kept.to_json(now());
    for (size, expected) in [(67_108_864, None), (67_108_865, Some("trust-too-large"))] {
        let grown = format!("{text}{}", " ".repeat(size - text.len()));
        assert_eq!(read(&forge, &grown).err().map(|fault| fault.code()), expected, "{size}");
    }
}

#[test]
fn a_mirror_that_hides_roots_hides_none_that_was_kept() {
    let (mut forge, _) = forge();
    let keys = forge.root_keys.clone();
    forge.rotate(&keys, |_| {});
    let kept = refreshed(&forge.anchor(), None, &forge.files, now()).unwrap();
    let second = pullgate_verify::refresh::Anchor::new(&forge.files.metadata["2.root.json"]).unwrap();
    assert_eq!((kept.versions().root, second.version()), (3, 2));
    forge.files.metadata.remove("3.root.json");
    // Whether all of what was kept is after the pinned root, or only a part of it.
    for anchor in [forge.anchor(), second] {
        let still = refreshed(&anchor, Some(&kept), &forge.files, now()).unwrap();
        assert_eq!(still.versions().root, 3);
    }
    forge.files.metadata.remove("2.root.json");
    let still = refreshed(&forge.anchor(), Some(&kept), &forge.files, now()).unwrap();
    assert_eq!(still.versions().root, 3);
}
