//! Sizes, counts, circles and names (A345, A346).

use pullgate_policy::limits;
use pullgate_verify::refresh::RefreshFault;
use serde_json::{Value, json};

use super::files::{Files, code, refreshed};
use super::forge::{Forge, Key, after, listed, now, sha256, sign};

fn outcome(forge: &Forge) -> Option<&'static str> {
    code(refreshed(&forge.anchor(), None, &forge.files, now()))
}

/// Lets a JSON text grow to `size` bytes without changing what it says.
fn grown(bytes: &[u8], size: u64) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.resize(usize::try_from(size).unwrap(), b' ');
    bytes
}

#[test]
fn a345_a_root_and_a_timestamp_may_have_so_many_bytes_and_not_one_more() {
    for (name, most) in
        [("2.root.json", limits::TUF_ROOT_BYTES), ("timestamp.json", limits::TUF_TIMESTAMP_BYTES)]
    {
        for (size, expected) in [(most, None), (most + 1, Some("trust-too-large"))] {
            for unbounded in [false, true] {
                let mut forge = Forge::published();
                let keys = forge.root_keys.clone();
                forge.rotate(&keys, |_| {});
                let bytes = grown(&forge.files.metadata[name], size);
                forge.files.metadata.insert(name.to_owned(), bytes);
                forge.files.unbounded = unbounded;
                assert_eq!(outcome(&forge), expected, "{name} with {size} bytes");
            }
        }
    }
}

#[test]
fn a345_a_snapshot_and_a_list_may_have_so_many_bytes_and_not_one_more() {
    for over in [0, 1] {
        let expected = (over == 1).then_some("trust-too-large");
        let mut forge = Forge::published();
        let snapshot = grown(&forge.files.metadata["1.snapshot.json"], limits::TUF_SNAPSHOT_BYTES + over);
        let pin = forge.pin(&snapshot);
        forge.files.metadata.insert("1.snapshot.json".to_owned(), snapshot);
        forge.publish_timestamp(&pin);
        assert_eq!(outcome(&forge), expected);
        let mut forge = Forge::published();
        let list = grown(&forge.files.metadata["1.targets.json"], limits::TUF_TARGETS_BYTES + over);
        let pin = forge.pin(&list);
        forge.files.metadata.insert("1.targets.json".to_owned(), list);
        forge.publish_snapshot(&json!({ "targets.json": pin }));
        assert_eq!(outcome(&forge), expected);
    }
}

#[test]
fn a345_a_trusted_root_may_have_so_many_bytes_and_not_one_more() {
    let most = usize::try_from(limits::TRUSTED_ROOT_BYTES).unwrap();
    for (size, expected) in [(most, None), (most + 1, Some("trust-too-large"))] {
        let mut forge = Forge::new();
        forge.publish(&vec![b'x'; size]);
        assert_eq!(outcome(&forge), expected);
    }
}

#[test]
fn a345_so_many_roots_and_not_one_more() {
    let mut forge = Forge::published();
    let keys = forge.root_keys.clone();
    for _ in 1..limits::TUF_ROTATIONS {
        forge.rotate(&keys, |_| {});
    }
    assert_eq!(outcome(&forge), None);
    forge.rotate(&keys, |_| {});
    assert_eq!(outcome(&forge), Some("trust-rotations"));
}

#[test]
fn a345_text_that_is_no_metadata_is_refused() {
    for text in
        ["", "{", "[]", "null", "{\"signed\":1,\"signatures\":[]}", "{\"signed\":{},\"signatures\":{}}"]
    {
        for name in ["2.root.json", "timestamp.json"] {
            let mut forge = Forge::published();
            forge.files.metadata.insert(name.to_owned(), text.as_bytes().to_vec());
            assert_eq!(outcome(&forge), Some("trust-malformed"), "{name}: {text}");
        }
    }
    let mut deep = Forge::published();
    deep.files.metadata.insert("timestamp.json".to_owned(), "[".repeat(16_000).into_bytes());
    assert_eq!(outcome(&deep), Some("trust-malformed"));
    for (field, value) in [("version", json!(-1)), ("version", json!(1.5)), ("spec_version", json!("2.0.0"))]
    {
        let mut forge = Forge::published();
        let keys = forge.root_keys.clone();
        forge.rotate(&keys, |_| {});
        let mut text = forge.root_text();
        text[field] = value;
        // It may not even have canonical bytes to sign.
        let bytes = json!({ "signed": text, "signatures": [] }).to_string().into_bytes();
        forge.files.metadata.insert("2.root.json".to_owned(), bytes);
        assert_eq!(outcome(&forge), Some("trust-malformed"), "{field}");
    }
}

/// A role that a list delegates to.
fn delegation(name: &str, key: &Key, paths: &[&str]) -> Value {
    let by = std::slice::from_ref(key);
    json!({ "name": name, "keyids": listed(by).0, "threshold": 1, "terminating": false, "paths": paths })
}

fn delegations(key: &Key, roles: &[Value]) -> Value {
    json!({ "keys": listed(std::slice::from_ref(key)).1, "roles": roles })
}

/// A delegated list of the next version.
fn list(forge: &Forge, targets: Value, delegations: &Value, by: &[Key]) -> Vec<u8> {
    let mut text = forge.text("targets", after(90));
    text["version"] = json!(forge.version + 1);
    text["targets"] = targets;
    if !delegations.is_null() {
        text["delegations"] = delegations.clone();
    }
    sign(&text, by)
}

#[test]
fn a344_a_delegated_list_counts_for_its_paths_its_keys_and_its_snapshot_only() {
    let key = Key::new(30);
    let run = |paths: &[&str], by: &Key, listed_as: &str| {
        let mut forge = Forge::new();
        let targets = json!({ "trusted_root.json": forge.target(b"delegated") });
        let bytes = list(&forge, targets, &json!(null), std::slice::from_ref(by));
        let given = delegations(&key, &[delegation("role", &key, paths)]);
        forge.publish_list(json!({}), &given, &[(listed_as, bytes)]);
        outcome(&forge)
    };
    assert_eq!(run(&["*.json"], &key, "role"), None);
    assert_eq!(run(&["trusted_root.json"], &key, "role"), None);
    assert_eq!(run(&["other/*", "*.txt"], &key, "role"), Some("trust-missing"), "not its path");
    assert_eq!(run(&[], &key, "role"), Some("trust-missing"), "no path at all");
    assert_eq!(run(&["*.json"], &Key::new(31), "role"), Some("trust-threshold"), "not its key");
    assert_eq!(run(&["*.json"], &key, "another"), Some("trust-missing"), "not in the snapshot");
}

#[test]
fn a_delegation_by_hashes_of_paths_counts_for_those_alone() {
    let key = Key::new(30);
    let run = |change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
        let mut forge = Forge::new();
        let targets = json!({ "trusted_root.json": forge.target(b"delegated") });
        let bytes = list(&forge, targets, &json!(null), std::slice::from_ref(&key));
        let mut role = delegation("role", &key, &["*"]);
        change(role.as_object_mut().unwrap());
        forge.publish_list(json!({}), &delegations(&key, &[role]), &[("role", bytes)]);
        outcome(&forge)
    };
    let prefixes = |prefix: &str| json!([prefix]);
    let mut ours = sha256(b"trusted_root.json");
    ours.truncate(4);
    let theirs = if ours.starts_with('0') { "1" } else { "0" };
    assert_eq!(run(&|_| {}), None);
    let by_hash = |prefix: &str| {
        run(&|role| {
            role.remove("paths");
            role.insert("path_hash_prefixes".to_owned(), prefixes(prefix));
        })
    };
    assert_eq!(by_hash(&ours), None);
    assert_eq!(by_hash(theirs), Some("trust-missing"));
    let both = run(&|role| drop(role.insert("path_hash_prefixes".to_owned(), prefixes(&ours))));
    assert_eq!(both, Some("trust-malformed"));
}

#[test]
fn a344_the_first_list_that_answers_counts_and_one_that_ends_the_search_ends_it() {
    for (terminating, found) in [(false, true), (true, false)] {
        let key = Key::new(30);
        let mut forge = Forge::new();
        let targets = json!({ "trusted_root.json": forge.target(b"by the second") });
        let empty = list(&forge, json!({}), &json!(null), std::slice::from_ref(&key));
        let full = list(&forge, targets, &json!(null), std::slice::from_ref(&key));
        let mut first = delegation("first", &key, &["*"]);
        first["terminating"] = json!(terminating);
        let given = delegations(&key, &[first, delegation("second", &key, &["*"])]);
        forge.publish_list(json!({}), &given, &[("first", empty), ("second", full)]);
        assert_eq!(outcome(&forge).is_none(), found);
    }
}

#[test]
fn a344_one_delegated_key_under_two_names_is_one() {
    let key = Key::new(30);
    let twin = key.called(&"b".repeat(64));
    let mut forge = Forge::new();
    let targets = json!({ "trusted_root.json": forge.target(b"delegated") });
    let by = [key, twin];
    let bytes = list(&forge, targets, &json!(null), &by);
    let role = json!({ "name": "role", "keyids": listed(&by).0, "threshold": 2, "paths": ["*"] });
    let given = json!({ "keys": listed(&by).1, "roles": [role] });
    forge.publish_list(json!({}), &given, &[("role", bytes)]);
    assert_eq!(outcome(&forge), Some("trust-threshold"));
}

#[test]
fn a345_delegations_in_a_circle_end() {
    let key = Key::new(30);
    let mut forge = Forge::new();
    let by = std::slice::from_ref(&key);
    let to = |name: &str| delegations(&key, &[delegation(name, &key, &["*"])]);
    let (first, second) = (list(&forge, json!({}), &to("b"), by), list(&forge, json!({}), &to("a"), by));
    forge.publish_list(json!({}), &to("a"), &[("a", first), ("b", second)]);
    assert_eq!(outcome(&forge), Some("trust-missing"));
    assert_eq!(forge.files.asked().iter().filter(|name| name.ends_with(".a.json")).count(), 1);
}

#[test]
fn a345_so_many_delegated_lists_and_not_one_more() {
    // The first list is one of them.
    let most = limits::TUF_DELEGATIONS - 1;
    for (count, expected) in [(most, None), (most + 1, Some("trust-delegations"))] {
        let key = Key::new(30);
        let mut forge = Forge::new();
        let by = std::slice::from_ref(&key);
        let targets = json!({ "trusted_root.json": forge.target(b"by the last") });
        let names: Vec<String> = (0..count).map(|number| format!("role{number}")).collect();
        let roles: Vec<Value> = names.iter().map(|name| delegation(name, &key, &["*"])).collect();
        let (empty, full) =
            (list(&forge, json!({}), &json!(null), by), list(&forge, targets, &json!(null), by));
        let lists: Vec<(&str, Vec<u8>)> = names
            .iter()
            .map(|name| (name.as_str(), if *name == names[count - 1] { full.clone() } else { empty.clone() }))
            .collect();
        forge.publish_list(json!({}), &delegations(&key, &roles), &lists);
        assert_eq!(outcome(&forge), expected, "{count}");
    }
}

#[test]
fn a346_a_role_with_the_name_of_a_path_is_asked_for_under_one_name() {
    let key = Key::new(30);
    let mut forge = Forge::new();
    let role = "../../etc/\\\0passwd";
    let bytes = list(&forge, json!({}), &json!(null), std::slice::from_ref(&key));
    forge.publish_list(json!({}), &delegations(&key, &[delegation(role, &key, &["*"])]), &[(role, bytes)]);
    assert_eq!(outcome(&forge), Some("trust-missing"));
    let asked = forge.files.asked();
    assert!(asked.iter().all(|name| !name.contains(['/', '\\', '\0'])), "{asked:?}");
}

#[test]
fn a346_a_target_that_is_listed_under_the_name_of_a_path_is_never_asked_for() {
    let mut forge = Forge::new();
    let listed = forge.target(b"x");
    forge.publish_list(
        json!({ "../trusted_root.json": listed, "/trusted_root.json": listed, "x\\trusted_root.json": listed }),
        &json!(null),
        &[],
    );
    let result = refreshed(&forge.anchor(), None, &forge.files, now());
    assert_eq!(result, Err(RefreshFault::Unlisted { file: "trusted_root.json".to_owned() }));
    let Files { targets, .. } = &forge.files;
    assert!(forge.files.asked().iter().all(|name| !targets.contains_key(name)));
}

#[test]
fn a_whole_refresh_may_have_so_many_bytes_and_not_one_more() {
    let made = |last: u64| {
        let key = Key::new(30);
        let by = std::slice::from_ref(&key);
        let mut forge = Forge::new();
        let targets = json!({ "trusted_root.json": forge.target(b"by the last") });
        let names = ["a", "b", "c", "d", "e", "f", "last"];
        let roles = names.map(|name| delegation(name, &key, &["*"]));
        let empty = grown(&list(&forge, json!({}), &json!(null), by), 5_000_000);
        let full = grown(&list(&forge, targets, &json!(null), by), last);
        let lists = names.map(|name| (name, if name == "last" { full.clone() } else { empty.clone() }));
        forge.publish_list(json!({}), &delegations(&key, &roles), &lists);
        // The pinned root is the operator's and not kept.
        let metadata = forge.files.metadata.iter().filter(|(name, _)| *name != "1.root.json");
        let bytes: usize = metadata.chain(&forge.files.targets).map(|(_, bytes)| bytes.len()).sum();
        (u64::try_from(bytes).unwrap(), forge)
    };
    let most = 33_554_432;
    let room = 3_000_000 + most - made(3_000_000).0;
    for (over, expected) in [(0, None), (1, Some("trust-too-large"))] {
        let (bytes, forge) = made(room + over);
        assert_eq!((bytes, outcome(&forge)), (most + over, expected));
    }
}
