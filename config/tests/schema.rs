//! The JSON schemas of both files, for editors. They are generated from the structs below, which exist for that only: the
//! gate reads files by its own reader, which finds every fault at once. Tests hold the two to the same keys.
//!
//! `UPDATE_SCHEMA=1 cargo test -p pullgate-config --test schema` writes them anew.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper of a test may fail as the test itself may"
)]

#[path = "schema/config.rs"]
mod config;
#[path = "schema/policy.rs"]
mod policy;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use pullgate_config::{Code, Memory, load_with};
use schemars::{JsonSchema, schema_for};
use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn schema<T: JsonSchema>() -> Value {
    schema_for!(T).to_value()
}

fn assert_written(name: &str, schema: &Value) {
    let path = root().join("schema").join(name);
    let text = format!("{}\n", serde_json::to_string_pretty(schema).unwrap());
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == text, "schema/{name} is not what the structs say: run with UPDATE_SCHEMA=1");
}

#[test]
fn the_schemas_in_the_tree_are_those_of_the_structs() {
    assert_written("pullgate.schema.json", &schema::<config::Configuration>());
    assert_written("policy.schema.json", &schema::<policy::PolicyFile>());
}

#[test]
fn the_schemas_accept_every_example() {
    for entry in std::fs::read_dir(root().join("examples")).unwrap() {
        let folder = entry.unwrap().path();
        if folder.is_dir() {
            let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
            toml::from_str::<config::Configuration>(&read("pullgate.toml")).unwrap();
            toml::from_str::<policy::PolicyFile>(&read("policy.toml")).unwrap();
        }
    }
    let page = std::fs::read_to_string(root().join("../policy/README.md")).unwrap();
    let blocks: Vec<&str> =
        page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    toml::from_str::<policy::PolicyFile>(&blocks.join("\n")).unwrap();
}

/// A key that exists nowhere, in every table: the reader answers with the keys that it knows there.
const CONFIG: &str = r#"
zzz = 1
policy = "policy.toml"
state = "state"
listen = { zzz = 1, tls = { zzz = 1 } }
admin = { zzz = 1 }
cache = { zzz = 1 }
audit = { zzz = 1 }
clients = { zzz = 1, allow = [{ zzz = 1 }], oidc = [{ zzz = 1 }] }
[upstream."ghcr.io"]
zzz = 1
credentials = { zzz = 1 }
logins = [{ zzz = 1 }]
"#;

const POLICY: &str = r#"
zzz = 1
trust.t = { zzz = 1, tuf = { zzz = 1 } }
trust.s = { x509 = { zzz = 1 } }
authority.a = { zzz = 1 }
[[block]]
zzz = 1
[[exempt]]
zzz = 1
[[policy]]
zzz = 1
on_undecided = { zzz = 1 }
[[policy.require]]
zzz = 1
signed_by = { zzz = 1 }
slsa = { zzz = 1 }
attestation = { zzz = 1 }
"#;

/// Keys of later releases, which the reader knows in order to refuse them, by table.
const LATER: [(&str, &[&str]); 1] = [("Admin", &["htpasswd"])];

/// The keys that the reader knows, by the name of a struct.
fn known() -> BTreeMap<&'static str, BTreeSet<String>> {
    let tables = [
        ("`admin`", "Admin"),
        ("`allow`", "Allow"),
        ("`attestation`", "ExactType"),
        ("`audit`", "Audit"),
        ("`authority.a`", "Authority"),
        ("`block`", "Block"),
        ("`cache`", "Cache"),
        ("`clients`", "Clients"),
        ("`credentials`", "Credentials"),
        ("`exempt`", "Exempt"),
        ("`listen`", "Listen"),
        ("`logins`", "Login"),
        ("`oidc`", "Issuer"),
        ("`on_undecided`", "LastPermit"),
        ("`policy`", "Policy"),
        ("`require`", "Require"),
        ("`signed_by`", "SignedBy"),
        ("`slsa`", "Slsa"),
        ("`tls`", "Tls"),
        ("`trust.t`", "Trust"),
        ("`tuf`", "Tuf"),
        ("`upstream.\"ghcr.io\"`", "Upstream"),
        ("`x509`", "Stores"),
    ];
    let files = Memory::default().with("pullgate.toml", CONFIG).with("policy.toml", POLICY);
    let faults = load_with(&files, Path::new("pullgate.toml"), jiff::Timestamp::UNIX_EPOCH).unwrap_err();
    let unknown = faults.iter().filter(|fault| fault.code == Code::UnknownKey);
    let mut known = BTreeMap::new();
    for fault in unknown {
        let called = fault.message.split_once(" has no key").unwrap().0;
        let of_file = if &*fault.file == "pullgate.toml" { "Configuration" } else { "PolicyFile" };
        let name = tables.iter().find(|(shown, _)| *shown == called).map_or(of_file, |(_, name)| *name);
        let listed = fault.hint.as_deref().unwrap().strip_prefix("keys here: ").unwrap();
        let later = LATER.iter().find(|(table, _)| *table == name).map_or(&[][..], |(_, keys)| keys);
        let keys = listed.split(", ").filter(|key| !later.contains(key)).map(str::to_owned);
        known.insert(name, keys.collect());
    }
    known
}

/// The keys of each struct in the schemas.
fn mirrored() -> BTreeMap<String, BTreeSet<String>> {
    let mut tables = BTreeMap::new();
    for schema in [schema::<config::Configuration>(), schema::<policy::PolicyFile>()] {
        let keys = |schema: &Value| -> Option<BTreeSet<String>> {
            Some(schema.get("properties")?.as_object()?.keys().cloned().collect())
        };
        tables.insert(schema["title"].as_str().unwrap().to_owned(), keys(&schema).unwrap());
        for (name, definition) in schema["$defs"].as_object().unwrap() {
            tables.extend(keys(definition).map(|keys| (name.clone(), keys)));
        }
    }
    tables
}

#[test]
fn reader_and_schema_know_the_same_keys() {
    let known: BTreeMap<String, BTreeSet<String>> =
        known().into_iter().map(|(name, keys)| (name.to_owned(), keys)).collect();
    assert_eq!(known, mirrored());
}

#[test]
fn the_reference_names_every_key() {
    let reference = std::fs::read_to_string(root().join("README.md")).unwrap();
    let later = LATER.iter().flat_map(|(_, keys)| keys.iter().map(|key| (*key).to_owned()));
    for key in mirrored().into_values().flatten().chain(later) {
        // In a table, or in an inline table of the text.
        let shown = [format!("`{key}`"), format!("[{key}"), format!("{key} = ")];
        assert!(shown.iter().any(|shown| reference.contains(shown)), "README.md does not explain `{key}`");
    }
}
