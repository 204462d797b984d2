//! Each example answer in the documents is one that a gate gives.

use std::path::Path;

use pullgate_tests::asking::Answer;
use pullgate_tests::signing::Signer;
use serde_json::Value;

use crate::stage::{Stage, assert_denied};

/// A second authority beside `release`, and a policy for each example.
const POLICY: &str = r#"
[authority.ci]
key = "ci.pub"
transparency = "optional"
[[policy]]
name = "production"
scope = ["registry.test/production/**"]
[[policy.require]]
signed_by = { any_of = ["ci"] }
[[policy]]
name = "shop"
scope = ["registry.test/shop/**"]
[[policy.require]]
signed_by = { any_of = ["release", "ci"] }
"#;

fn document(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

/// The text of an answer, with the decision id of the example in place of its own.
fn with_id(answer: &Answer, id: &str) -> String {
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let (before, rest) = text.split_once("; pullgate ").unwrap();
    format!("{before}; pullgate {id}{}", &rest[id.len()..])
}

async fn stage() -> Stage {
    Stage::with(POLICY, |setup| setup.file("ci.pub", Signer::new().public_pem())).await
}

#[tokio::test]
async fn the_error_of_the_contract_is_what_a_gate_answers() {
    let stage = stage().await;
    let image = stage.unsigned("production/app", "v1");
    Signer::new().sign_at(&stage.upstream, "production/app", &image.digest());
    let answer = stage.manifest("production/app", "v1").await;
    assert_denied(&answer);
    let page = document("proxy/README.md");
    let (_, example) = page.split_once("```json\n").unwrap();
    let (example, _) = example.split_once("\n```").unwrap();
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(parse(&with_id(&answer, "7f3c00d1e2a4")), parse(example));
}

#[tokio::test]
async fn the_refusal_of_the_first_page_is_what_a_client_reads() {
    let stage = stage().await;
    stage.unsigned("shop/unsigned", "v1");
    let answer = stage.manifest("shop/unsigned", "v1").await;
    assert_denied(&answer);
    let page = document("README.md");
    let line = page.lines().find_map(|line| line.strip_prefix("denied: ")).unwrap();
    let error: Value = serde_json::from_str(&with_id(&answer, "b59634547faa")).unwrap();
    assert_eq!(error["errors"][0]["message"].as_str().unwrap(), line);
}
