//! Policies that other projects published: they are not in the tree, and are read where a copy lies.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::judge::{Asked, Gate, Says, Signed};
use crate::skip;

/// The folder of the published policies.
fn corpus() -> Option<PathBuf> {
    let named = std::env::var_os("PULLGATE_CORPUS").map(PathBuf::from);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = named.unwrap_or_else(|| root.join("../shared/corpus")).join("import");
    folder.join("cases.json").exists().then_some(folder)
}

/// What each probe of a case comes to that is not as it must be.
#[test]
fn what_a_published_policy_refuses_is_refused_by_its_import() {
    let Some(folder) = corpus() else {
        skip::report("corpus/import", "the test data of other projects is not here (PULLGATE_CORPUS)");
        return;
    };
    let cases: Vec<Value> =
        serde_json::from_slice(&std::fs::read(folder.join("cases.json")).unwrap()).unwrap();
    let (mut found, mut probes) = (Vec::new(), 0);
    for case in cases.iter().filter(|case| SYSTEMS.contains(&case["system"].as_str().unwrap())) {
        probes += try_case(&folder, case, Given::Keys, &mut found);
        if case["keys"].as_array().unwrap().iter().any(|key| key["reference"].is_string()) {
            try_case(&folder, case, Given::Nothing, &mut found);
        }
    }
    assert!(found.is_empty(), "{} of {probes}:\n{}", found.len(), found.join("\n"));
    assert!(probes >= 600, "{probes}");
}

/// Whose policies are read.
const SYSTEMS: [&str; 5] =
    ["clusterimagepolicy", "connaisseur", "containers-policy", "kyverno", "notation-trustpolicy"];

/// Of these less is said than could be: a certificate's key is asked for as a key.
const LESS: [&str; 1] = ["docs-certificate-chain"];

/// Whether keys that a policy refers to are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    Keys,
    Nothing,
}

const KEYS: [&str; 4] = ["one", "two", "three", "log"];

fn try_case(folder: &Path, case: &Value, given: Given, found: &mut Vec<String>) -> usize {
    let mut asked = Asked::default();
    let files = match &case["file"] {
        Value::Array(files) => files.iter().map(|file| file.as_str().unwrap()).collect(),
        file => vec![file.as_str().unwrap()],
    };
    for file in files {
        asked = asked.on_disk(folder.join(file));
    }
    for (at, key) in case["keys"].as_array().unwrap().iter().enumerate() {
        if let (Some(reference), Given::Keys) = (key["reference"].as_str(), given) {
            let reference = reference.strip_prefix("file:").unwrap_or(reference).trim();
            asked = asked.key(reference, &format!("{}.pub", KEYS[at]));
        }
    }
    let gate = asked.import().ok().map(Gate::of);
    let name = case["name"].as_str().unwrap();
    for probe in case["probes"].as_array().unwrap() {
        let image = probe["image"].as_str().unwrap();
        let signed = signed(case, probe);
        let says = gate.as_ref().map(|gate| gate.says(image, &signed));
        let [original, expected] = ["original", "pullgate"].map(|key| probe[key].as_str().unwrap());
        let faithful = case["expect"] == "faithful";
        let right = match (original, says) {
            ("fail", Some(says)) => says == Says::Deny,
            ("pass", says) if faithful => says == Some(Says::Permit),
            ("warn", says) if faithful => says == Some(Says::Warn),
            // What the rules come to is the least that is said, where the keys are known.
            ("pass" | "warn", says) if given == Given::Keys && !LESS.contains(&name) => match expected {
                "permit" => says == Some(Says::Permit),
                "warn" => matches!(says, Some(Says::Warn | Says::Permit)),
                _ => true,
            },
            (_, _) => true,
        };
        if !right {
            let state = probe["state"].as_str().unwrap();
            found.push(format!("{name} ({given:?}), {image}, {state}: {original}, {expected}, but {says:?}"));
        }
    }
    case["probes"].as_array().unwrap().len()
}

fn signed(case: &Value, probe: &Value) -> Vec<Signed> {
    let list = |key: &str| probe[key].as_array().cloned().unwrap_or_default();
    let signatures = list("signatures").into_iter().map(|facts| one(case, &facts));
    let attestations = list("attestations").into_iter().map(|facts| {
        let predicate = facts.get("predicate").cloned().unwrap_or_else(|| serde_json::json!({}));
        one(case, &facts).attesting(facts["predicate_type"].as_str().unwrap(), predicate)
    });
    signatures.chain(attestations).collect()
}

fn one(case: &Value, facts: &Value) -> Signed {
    let mut signed = match facts["key"].as_str() {
        None => Signed::identity(facts["issuer"].as_str().unwrap(), facts["subject"].as_str().unwrap()),
        Some("other") => Signed::stranger(),
        Some(name) => {
            let keys = case["keys"].as_array().unwrap();
            let at = keys.iter().position(|key| key["name"] == name).unwrap();
            match keys[at]["spki_sha256"].as_str() {
                Some(hex) => Signed::key_id(hex),
                None => Signed::key(KEYS[at]),
            }
        }
    };
    if let Some(trust) = facts["trust"].as_str() {
        signed = signed.under(trust);
    }
    if facts["log"] == false {
        signed = signed.unlogged();
    }
    if let Some(reference) = facts["reference"].as_str() {
        signed = signed.naming(reference);
    }
    if facts["bundle"] == true {
        signed = signed.in_bundle();
    }
    for (key, value) in facts["annotations"].as_object().into_iter().flatten() {
        signed = signed.annotated(key, value.as_str().unwrap());
    }
    signed
}
