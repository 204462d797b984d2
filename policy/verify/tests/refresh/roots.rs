//! Who may sign the next root, and how keys are counted (A343).

use pullgate_verify::refresh::{Anchor, RefreshFault};
use serde_json::json;

use super::files::{code, refreshed};
use super::forge::{Forge, Key, after, listed, now, sign};

fn outcome(forge: &Forge) -> Option<&'static str> {
    code(refreshed(&forge.anchor(), None, &forge.files, now()))
}

#[test]
fn a343_a_root_by_enough_of_the_old_keys_and_of_the_new_is_followed() {
    let mut forge = Forge::published();
    let (old, new) = (forge.root_keys.clone(), vec![Key::new(4), Key::new(5), Key::new(6)]);
    forge.root_keys.clone_from(&new);
    let both: Vec<Key> = old[..2].iter().chain(&new[..2]).cloned().collect();
    forge.rotate(&both, |_| {});
    assert_eq!(outcome(&forge), None);
    // And from there on by the new ones alone.
    forge.rotate(&new[1..], |_| {});
    assert_eq!(outcome(&forge), None);
    forge.rotate(&old, |_| {});
    assert_eq!(outcome(&forge), Some("trust-threshold"));
}

#[test]
fn a343_new_keys_alone_old_keys_alone_and_one_too_few_are_refused() {
    let (old, new) = (Forge::new().root_keys, vec![Key::new(4), Key::new(5), Key::new(6)]);
    let signers = |of_old: usize, of_new: usize| -> Vec<Key> {
        old[..of_old].iter().chain(&new[..of_new]).cloned().collect()
    };
    for (by, expected) in [
        (signers(0, 3), Some("trust-threshold")),
        (signers(3, 0), Some("trust-threshold")),
        (signers(1, 3), Some("trust-threshold")),
        (signers(3, 1), Some("trust-threshold")),
        (signers(0, 0), Some("trust-threshold")),
        (signers(2, 2), None),
    ] {
        let mut forge = Forge::published();
        forge.root_keys.clone_from(&new);
        forge.rotate(&by, |_| {});
        assert_eq!(outcome(&forge), expected, "{} signatures", by.len());
    }
}

#[test]
fn a343_one_key_under_two_names_is_one() {
    let mut forge = Forge::published();
    let (first, second) = (Key::new(4), Key::new(5));
    let twin = first.called(&"a".repeat(64));
    let old = forge.root_keys.clone();
    forge.root_keys = vec![first.clone(), twin.clone(), second.clone()];
    forge.rotate(&[old.as_slice(), &[first.clone(), twin.clone()]].concat(), |_| {});
    assert_eq!(outcome(&forge), Some("trust-threshold"));
    // The same root, with a second key: such a root exists, and is signed well enough.
    forge.root -= 1;
    forge.rotate(&[old.as_slice(), &[twin.clone(), second.clone()]].concat(), |_| {});
    assert_eq!(outcome(&forge), None);
    // For the roles below it counts alike.
    let mut forge = Forge::new();
    let old = forge.root_keys.clone();
    forge.target_keys = vec![first.clone(), twin];
    forge.rotate(&old, |root| root["roles"]["targets"]["threshold"] = json!(2));
    forge.publish(b"by one");
    assert_eq!(outcome(&forge), Some("trust-threshold"));
    let mut forge = Forge::new();
    forge.target_keys = vec![first, second];
    forge.rotate(&old, |root| root["roles"]["targets"]["threshold"] = json!(2));
    forge.publish(b"by two");
    assert_eq!(outcome(&forge), None);
}

#[test]
fn a343_an_encoding_makes_no_second_key() {
    // The same Ed25519 key, bare and as SubjectPublicKeyInfo.
    let mut forge = Forge::published();
    let first = Key::new(4);
    let twin = first.called(&"a".repeat(64));
    let old = forge.root_keys.clone();
    forge.root_keys = vec![first.clone(), twin.clone()];
    let bare = hex::decode(first.public()["keyval"]["public"].as_str().unwrap()).unwrap();
    let spki = [hex::decode("302a300506032b6570032100").unwrap(), bare].concat();
    let body = base64(&spki);
    forge.rotate(&[old.as_slice(), &[first, twin.clone()]].concat(), |root| {
        root["keys"][&twin.id]["keyval"]["public"] =
            json!(format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n"));
    });
    assert_eq!(outcome(&forge), Some("trust-threshold"));
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn a343_a_threshold_of_nobody_is_no_threshold() {
    for role in ["root", "timestamp", "snapshot", "targets"] {
        let mut forge = Forge::published();
        let keys = forge.root_keys.clone();
        forge.rotate(&keys, |root| root["roles"][role]["threshold"] = json!(0));
        assert_eq!(outcome(&forge), Some("trust-malformed"), "{role}");
        forge.root -= 1;
        forge.rotate(&keys, |root| {
            root["roles"].as_object_mut().unwrap().remove(role);
        });
        assert_eq!(outcome(&forge), Some("trust-malformed"), "no {role}");
    }
}

#[test]
fn a343_versions_follow_by_one() {
    for offered in [0, 1, 3, u64::MAX] {
        let mut forge = Forge::published();
        let keys = forge.root_keys.clone();
        forge.rotate(&keys, |root| root["version"] = json!(offered));
        let result = refreshed(&forge.anchor(), None, &forge.files, now());
        assert_eq!(result, Err(RefreshFault::RootVersion { known: 1, offered }));
    }
}

#[test]
fn a343_signatures_that_are_empty_garbage_or_of_strangers_neither_help_nor_spoil() {
    let mut forge = Forge::published();
    let keys = forge.root_keys.clone();
    forge.rotate(&keys[..2], |_| {});
    let mut root: serde_json::Value = serde_json::from_slice(&forge.files.metadata["2.root.json"]).unwrap();
    let signatures = root["signatures"].as_array_mut().unwrap();
    signatures.push(json!({ "keyid": keys[2].id, "sig": "" }));
    signatures.push(json!({ "keyid": "e".repeat(64), "sig": "00" }));
    signatures.insert(0, json!({ "keyid": "f".repeat(64), "sig": "not hex" }));
    let bytes = serde_json::to_vec(&root).unwrap();
    forge.files.metadata.insert("2.root.json".to_owned(), bytes);
    assert_eq!(outcome(&forge), None);
    // One good, one garbage, one empty: one too few.
    let signatures = root["signatures"].as_array_mut().unwrap();
    signatures[1]["sig"] = json!("00");
    let bytes = serde_json::to_vec(&root).unwrap();
    forge.files.metadata.insert("2.root.json".to_owned(), bytes);
    assert_eq!(outcome(&forge), Some("trust-threshold"));
}

#[test]
fn a343_one_name_does_not_sign_twice() {
    let mut forge = Forge::published();
    let keys = forge.root_keys.clone();
    forge.rotate(&[keys[0].clone(), keys[0].clone()], |_| {});
    assert_eq!(outcome(&forge), Some("trust-threshold"));
}

#[test]
fn a343_only_the_newest_root_must_be_fresh() {
    let mut forge = Forge::published();
    let keys = forge.root_keys.clone();
    forge.rotate(&keys, |root| root["expires"] = json!(after(-30).to_string()));
    assert_eq!(outcome(&forge), Some("trust-expired"));
    forge.rotate(&keys, |_| {});
    assert_eq!(outcome(&forge), None, "an old one is a stepping stone");
}

#[test]
fn a343_half_a_root_is_no_anchor() {
    let forge = Forge::new();
    let text = forge.root_text();
    for bytes in [
        b"{}".to_vec(),
        b"not json".to_vec(),
        sign(&text, &[]),
        sign(&text, &forge.root_keys[..1]),
        forge.files.metadata["1.root.json"][1..].to_vec(),
        vec![b' '; 512_001],
    ] {
        assert!(Anchor::new(&bytes).is_err());
    }
    assert_eq!(listed(&forge.root_keys).0.len(), 3);
    assert_eq!(Anchor::new(&sign(&text, &forge.root_keys[..2])).unwrap().version(), 1);
}

#[test]
fn an_anchor_is_the_very_bytes_that_were_pinned() {
    let mut forge = Forge::new();
    let keys = forge.root_keys.clone();
    forge.rotate(&keys, |_| {});
    let bytes = &forge.files.metadata["2.root.json"];
    let anchor = Anchor::new(bytes).unwrap();
    assert_eq!((anchor.bytes(), anchor.version()), (bytes.as_slice(), 2));
}

#[test]
fn keys_of_other_roles_do_not_sign_a_root() {
    let by = |forge: &Forge, of_root: usize| {
        [&forge.root_keys[..of_root], std::slice::from_ref(&forge.online), &forge.target_keys].concat()
    };
    for (of_root, expected) in [(0, Some("trust-threshold")), (1, Some("trust-threshold")), (2, None)] {
        let mut forge = Forge::published();
        let signers = by(&forge, of_root);
        forge.rotate(&signers, |_| {});
        assert_eq!(outcome(&forge), expected, "{of_root} of its own");
    }
}

#[test]
fn whoever_has_the_keys_of_all_other_roles_gets_no_root_of_his_own_in_between() {
    let mut forge = Forge::published();
    let others = [std::slice::from_ref(&forge.online), &forge.target_keys].concat();
    let thieves = [Key::new(4), Key::new(5), Key::new(6)];
    forge.root_keys = thieves.to_vec();
    forge.rotate(&[others.as_slice(), &thieves].concat(), |_| {});
    // The newest root is signed well enough by its own keys and by those before it.
    forge.rotate(&thieves, |_| {});
    assert_eq!(outcome(&forge), Some("trust-threshold"));
}
