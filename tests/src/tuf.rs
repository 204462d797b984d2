//! A TUF repository of the test's own, in a folder: one key for every role, and targets, `trusted_root.json` or several.
#![expect(clippy::expect_used, reason = "a test whose repository cannot be written has failed")]

use std::fs;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// How long timestamp and snapshot count after they are published.
pub const EXPIRES_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The file of the first root.
pub const ROOT: &str = "1.root.json";

/// The repository.
#[derive(Debug)]
pub struct Tuf {
    key: Ed25519KeyPair,
    version: u64,
}

impl Tuf {
    /// One whose first root lies in the folder, with nothing published.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        let tuf = Self { key: Ed25519KeyPair::generate().expect("random bytes"), version: 0 };
        let public = hex::encode(tuf.key.public_key().as_ref());
        let id = "a".repeat(64);
        let role = json!({ "keyids": [id], "threshold": 1 });
        let root = json!({
            "_type": "root", "spec_version": "1.0.31", "version": 1, "expires": "2036-01-01T00:00:00Z",
            "consistent_snapshot": true,
            "keys": { &id: { "keytype": "ed25519", "scheme": "ed25519", "keyval": { "public": public } } },
            "roles": { "root": role, "timestamp": role, "snapshot": role, "targets": role },
        });
        fs::create_dir_all(folder.join("targets")).expect("a folder");
        tuf.write(folder, ROOT, &root);
        tuf
    }

    /// Publishes a trusted root at this time: another version of everything below the root.
    pub fn publish(&mut self, folder: &Path, trusted_root: &[u8], now: Timestamp) {
        self.publish_files(folder, &[("trusted_root.json", trusted_root)], now);
    }

    /// Publishes several files at this time.
    pub fn publish_files(&mut self, folder: &Path, files: &[(&str, &[u8])], now: Timestamp) {
        self.version += 1;
        let version = self.version;
        let expires = now.checked_add(EXPIRES_AFTER).expect("a time").to_string();
        let text = |role: &str, expires: &str, (key, value): (&str, Value)| json!({ "_type": role, "spec_version": "1.0.31", "version": version, "expires": expires, key: value });
        let listed = files.iter().map(|(name, bytes)| {
            let hash = sha256(bytes);
            fs::write(folder.join(format!("targets/{hash}.{name}")), bytes).expect("a file");
            ((*name).to_owned(), json!({ "length": bytes.len(), "hashes": { "sha256": hash } }))
        });
        let listed = Value::Object(listed.collect());
        let targets = text("targets", "2036-01-01T00:00:00Z", ("targets", listed));
        let targets = self.write(folder, &format!("{version}.targets.json"), &targets);
        let listed = json!({ "targets.json": pinned(version, &targets) });
        let snapshot = text("snapshot", &expires, ("meta", listed));
        let snapshot = self.write(folder, &format!("{version}.snapshot.json"), &snapshot);
        let listed = json!({ "snapshot.json": pinned(version, &snapshot) });
        let timestamp = text("timestamp", &expires, ("meta", listed));
        self.write(folder, "timestamp.json", &timestamp);
    }

    /// Signs and writes; keys of JSON are sorted and nothing is escaped, so its text is canonical.
    fn write(&self, folder: &Path, name: &str, signed: &Value) -> Vec<u8> {
        let signature = hex::encode(self.key.sign(signed.to_string().as_bytes()).as_ref());
        let text = json!({ "signed": signed, "signatures": [{ "keyid": "a".repeat(64), "sig": signature }] });
        let bytes = text.to_string().into_bytes();
        fs::write(folder.join(name), &bytes).expect("a file");
        bytes
    }
}

fn pinned(version: u64, bytes: &[u8]) -> Value {
    json!({ "version": version, "length": bytes.len(), "hashes": { "sha256": sha256(bytes) } })
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}
