//! CRI-O's own files: what they say elsewhere of signatures, for `policy.json` refuses the registries that are not listed.

use serde_json::Value;

use super::Way;
use super::containers::policy_path;
use super::files::{Found, Node};
use super::gate::{Gate, is_gate};
use super::table::words;

/// Of a key the last file counts.
const KEYS: [&str; 2] = ["signature_policy", "signature_policy_dir"];

pub(super) fn read(node: &Node, found: &mut Found, gates: &[Gate]) {
    let mut files = vec![node.join("etc/crio/crio.conf")];
    files.extend(node.entries(&node.join("etc/crio/crio.conf.d"), found));
    let mut last = KEYS.map(|key| (key, None));
    let mut policies = vec![node.join("etc/crio/policies")];
    for path in files {
        let Some(config) = node.toml(&path, found) else { continue };
        let image = config.pointer("/crio/image").unwrap_or(&Value::Null);
        for (key, says) in &mut last {
            if let Some(text) = image.get(*key).and_then(Value::as_str) {
                *says = Some((path.clone(), text.to_owned()));
            }
        }
        for registry in words(image, "insecure_registries").filter(|one| !is_gate(gates, one)) {
            let says = format!("insecure_registries names {registry:?}");
            found.add(Way::InsecureRegistries, &path, says);
        }
    }
    for (key, says) in last {
        let Some((path, says)) = says.filter(|(_, says)| !says.is_empty()) else { continue };
        if key == "signature_policy_dir" {
            policies = vec![node.join(says)];
        } else if std::path::Path::new(&says) != policy_path() {
            found.add(Way::SignaturePolicy, &path, format!("{key} = {says:?} replaces policy.json"));
        }
    }
    for folder in policies {
        for path in node.entries(&folder, found) {
            let json = path.extension().is_some_and(|ending| ending == "json");
            if json {
                found.add(Way::SignaturePolicy, &path, "replaces policy.json for a namespace");
            }
        }
    }
}
