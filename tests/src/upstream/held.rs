//! What one repository holds.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::clients::content::sha256;

#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    pub(super) blobs: BTreeMap<String, Bytes>,
    pub(super) manifests: BTreeMap<String, (String, Bytes)>,
    pub(super) tags: BTreeMap<String, String>,
}

impl Held {
    pub(super) fn keep_blob(&mut self, bytes: &[u8]) -> String {
        let digest = sha256(bytes);
        self.blobs.insert(digest.clone(), Bytes::copy_from_slice(bytes));
        digest
    }

    pub(super) fn keep_manifest(&mut self, media_type: &str, bytes: &[u8]) -> String {
        let digest = sha256(bytes);
        self.manifests.insert(digest.clone(), (media_type.to_owned(), Bytes::copy_from_slice(bytes)));
        digest
    }

    /// The digest that a reference stands for.
    pub(super) fn resolve(&self, reference: &str) -> Option<&str> {
        match self.tags.get(reference) {
            Some(digest) => Some(digest),
            None => self.manifests.get_key_value(reference).map(|(digest, _)| digest.as_str()),
        }
    }

    /// The descriptors of the manifests whose subject this is.
    pub(super) fn referrers(&self, subject: &str) -> Vec<Value> {
        let referrer = |(digest, (media_type, bytes)): (&String, &(String, Bytes))| {
            let manifest: Value = serde_json::from_slice(bytes).ok()?;
            (manifest.pointer("/subject/digest")? == subject).then(|| {
                let derived = manifest.get("artifactType").or_else(|| manifest.pointer("/config/mediaType"));
                json!({
                    "mediaType": media_type, "digest": digest, "size": bytes.len(),
                    "artifactType": derived.cloned().unwrap_or(Value::Null),
                    "annotations": manifest.get("annotations").cloned().unwrap_or_else(|| json!({})),
                })
            })
        };
        self.manifests.iter().filter_map(referrer).collect()
    }
}
