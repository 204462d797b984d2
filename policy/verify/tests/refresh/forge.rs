//! A TUF repository of the test's own. It can be made to say anything; what it says is signed by whom the test likes.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use jiff::{SignedDuration, Timestamp};
use pullgate_verify::refresh::Anchor;
use serde_json::{Value, json};
use sigstore_tuf::canonical_json::to_canonical_bytes;

use super::files::Files;

/// When everything happens.
pub(crate) fn now() -> Timestamp {
    "2026-09-01T12:00:00Z".parse().unwrap()
}

pub(crate) fn after(days: i64) -> Timestamp {
    now().checked_add(SignedDuration::from_hours(24 * days)).unwrap()
}

/// A key under a name. The name is the repository's choice: TUF does not derive it.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    seed: [u8; 32],
}

impl Key {
    pub(crate) fn new(number: u8) -> Self {
        Self { id: format!("{number:064x}"), seed: [number; 32] }
    }

    /// The same key under another name.
    pub(crate) fn called(&self, id: &str) -> Self {
        Self { id: id.to_owned(), seed: self.seed }
    }

    fn pair(&self) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&self.seed).unwrap()
    }

    pub(crate) fn public(&self) -> Value {
        let public = hex::encode(self.pair().public_key().as_ref());
        json!({ "keytype": "ed25519", "scheme": "ed25519", "keyval": { "public": public } })
    }
}

pub(crate) fn sign(signed: &Value, keys: &[Key]) -> Vec<u8> {
    let bytes = to_canonical_bytes(signed).unwrap();
    let signature =
        |key: &Key| json!({ "keyid": key.id, "sig": hex::encode(key.pair().sign(&bytes).as_ref()) });
    let signatures: Vec<Value> = keys.iter().map(signature).collect();
    serde_json::to_vec(&json!({ "signed": signed, "signatures": signatures })).unwrap()
}

/// Names and keys of a role, as roots and delegations list them.
pub(crate) fn listed(keys: &[Key]) -> (Vec<&str>, BTreeMap<&str, Value>) {
    (
        keys.iter().map(|key| key.id.as_str()).collect(),
        keys.iter().map(|key| (key.id.as_str(), key.public())).collect(),
    )
}

/// The repository, with the keys of its roles.
pub(crate) struct Forge {
    pub(crate) files: Files,
    pub(crate) root_keys: Vec<Key>,
    pub(crate) threshold: usize,
    pub(crate) online: Key,
    pub(crate) target_keys: Vec<Key>,
    pub(crate) version: u64,
    pub(crate) root: u64,
    /// When timestamp and snapshot run out.
    pub(crate) expires: Timestamp,
}

impl Forge {
    /// Root 1 by two of three keys; one key for timestamp and snapshot; one for targets; nothing published.
    pub(crate) fn new() -> Self {
        let mut forge = Self {
            files: Files::default(),
            root_keys: vec![Key::new(1), Key::new(2), Key::new(3)],
            threshold: 2,
            online: Key::new(10),
            target_keys: vec![Key::new(20)],
            version: 0,
            root: 1,
            expires: after(7),
        };
        let root = sign(&forge.root_text(), &forge.root_keys);
        forge.files.metadata.insert("1.root.json".to_owned(), root);
        forge
    }

    /// One that has published.
    pub(crate) fn published() -> Self {
        let mut forge = Self::new();
        forge.publish(b"the first");
        forge
    }

    pub(crate) fn anchor(&self) -> Anchor {
        Anchor::new(&self.files.metadata["1.root.json"]).unwrap()
    }

    /// What the next root says: to be changed and signed by the test.
    pub(crate) fn root_text(&self) -> Value {
        let all: Vec<Key> =
            self.root_keys.iter().chain([&self.online]).chain(&self.target_keys).cloned().collect();
        let online = [self.online.clone()];
        let role = |keys: &[Key], threshold| json!({ "keyids": listed(keys).0, "threshold": threshold });
        json!({
            "_type": "root", "spec_version": "1.0.31", "version": self.root, "expires": after(365).to_string(),
            "consistent_snapshot": true, "keys": listed(&all).1,
            "roles": {
                "root": role(&self.root_keys, self.threshold),
                "timestamp": role(&online, 1),
                "snapshot": role(&online, 1),
                "targets": role(&self.target_keys, 1),
            },
        })
    }

    /// The next root by these keys; what `change` does to it is signed.
    pub(crate) fn rotate(&mut self, by: &[Key], change: impl FnOnce(&mut Value)) {
        self.root += 1;
        let mut root = self.root_text();
        change(&mut root);
        self.files.metadata.insert(format!("{}.root.json", self.root), sign(&root, by));
    }

    /// A new version of everything below the root.
    pub(crate) fn publish(&mut self, target: &[u8]) {
        let target = self.target(target);
        self.publish_list(json!({ "trusted_root.json": target }), &Value::Null, &[]);
    }

    /// The same, with other targets, delegations, and delegated lists by their names.
    pub(crate) fn publish_list(&mut self, targets: Value, delegations: &Value, lists: &[(&str, Vec<u8>)]) {
        self.version += 1;
        let mut text = self.text("targets", after(90));
        text["targets"] = targets;
        if !delegations.is_null() {
            text["delegations"] = delegations.clone();
        }
        let list = sign(&text, &self.target_keys);
        let mut meta = serde_json::Map::new();
        meta.insert("targets.json".to_owned(), self.pin(&list));
        for (name, bytes) in lists {
            meta.insert(format!("{name}.json"), self.pin(bytes));
            self.files.metadata.insert(format!("{}.{name}.json", self.version), bytes.clone());
        }
        self.files.metadata.insert(format!("{}.targets.json", self.version), list);
        self.publish_snapshot(&Value::Object(meta));
    }

    /// A snapshot that says this, and the timestamp above it.
    pub(crate) fn publish_snapshot(&mut self, meta: &Value) {
        let mut text = self.text("snapshot", self.expires);
        text["meta"] = meta.clone();
        let snapshot = sign(&text, std::slice::from_ref(&self.online));
        let pin = self.pin(&snapshot);
        self.files.metadata.insert(format!("{}.snapshot.json", self.version), snapshot);
        self.publish_timestamp(&pin);
    }

    /// A timestamp that lists this snapshot.
    pub(crate) fn publish_timestamp(&mut self, snapshot: &Value) {
        let mut text = self.text("timestamp", self.expires);
        text["meta"] = json!({ "snapshot.json": snapshot });
        let timestamp = sign(&text, std::slice::from_ref(&self.online));
        self.files.metadata.insert("timestamp.json".to_owned(), timestamp);
    }

    /// Stores a target and says what lists say of it.
    pub(crate) fn target(&mut self, bytes: &[u8]) -> Value {
        let hash = sha256(bytes);
        self.files.targets.insert(format!("{hash}.trusted_root.json"), bytes.to_vec());
        json!({ "length": bytes.len(), "hashes": { "sha256": hash } })
    }

    /// What is in every file of this version.
    pub(crate) fn text(&self, role: &str, expires: Timestamp) -> Value {
        json!({
            "_type": role, "spec_version": "1.0.31", "version": self.version, "expires": expires.to_string(),
        })
    }

    /// What a file above says of one of this version.
    pub(crate) fn pin(&self, bytes: &[u8]) -> Value {
        json!({ "version": self.version, "length": bytes.len(), "hashes": { "sha256": sha256(bytes) } })
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}
