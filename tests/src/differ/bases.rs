//! Recordings: bundles by holders of certificates, of other verifiers' suites; none where those are not here.

use std::io;
use std::path::Path;

use serde_json::Value;

use super::Case;
use crate::borrowed;

/// The recordings that both can be asked about: those with a certificate and with the artifact.
pub(super) fn recorded() -> io::Result<Vec<Case>> {
    let Some(folder) = borrowed::folder("differ") else { return Ok(Vec::new()) };
    let folder = folder.join("bundles");
    let read = |path: &Path| -> io::Result<Value> { Ok(serde_json::from_slice(&std::fs::read(path)?)?) };
    let roots = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policy/verify/roots");
    let listed = read(&folder.join("cases.json"))?;
    let mut cases = Vec::new();
    for listed in listed.as_array().into_iter().flatten() {
        let text = |key: &str| listed.get(key).and_then(Value::as_str).unwrap_or_default();
        let name = format!("{}/{}", text("source"), text("case"));
        let case = folder.join(&name);
        let artifact = std::fs::read(case.join("artifact"));
        let (Ok(artifact), Ok(bundle)) = (artifact, read(&case.join("bundle.json"))) else { continue };
        let material = bundle.get("verificationMaterial");
        if material.is_none_or(|material| material.get("publicKey").is_some())
            || case.join("key.pub").exists()
        {
            continue;
        }
        let root = match text("trust") {
            "sigstore" => read(&roots.join("sigstore/trusted_root.json"))?,
            "github" => read(&roots.join("github/trusted_root.json"))?,
            "staging" => read(&folder.join("roots/staging.json"))?,
            _ => read(&case.join("trusted_root.json"))?,
        };
        let holds =
            |list: &str| root.get(list).and_then(Value::as_array).is_some_and(|list| !list.is_empty());
        let (log, sct) = (holds("tlogs"), holds("ctlogs"));
        cases.push(Case { what: vec![name], bundle, root, artifact, log, sct });
    }
    Ok(cases)
}
