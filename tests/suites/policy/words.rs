//! Words of the policy that say no by name, offer a choice, or ask of each.

use pullgate_tests::made::{Layer, Made};
use pullgate_tests::signing::{DSSE, Signer, carrier, evidence_tag};
use serde_json::json;

use crate::stage::{KEYED, Stage, assert_denied, assert_serves, codes, manifest};

const RETIRED: &str = r#"
[[policy]]
name = "retired"
scope = ["registry.test/org/old-*"]
deny = true
reason = "moved to registry.test/org/new"
"#;

#[tokio::test]
async fn a661_a_policy_that_denies_by_name_asks_no_upstream_and_an_exemption_opens_it() {
    let stage = Stage::on(&format!("{KEYED}{RETIRED}")).await;
    let (old, new) = (stage.signed("org/old-app", "v1"), stage.signed("org/new", "v1"));
    assert_serves(&stage.gate.get(&manifest("org/new", "v1")).await, &new);
    let before = stage.upstream.seen().len();
    for target in [manifest("org/old-app", "v1"), manifest("org/old-app", &old.digest())] {
        let answer = stage.gate.get(&target).await;
        assert_denied(&answer);
        assert!(answer.message().contains("moved to registry.test/org/new"), "{}", answer.message());
        assert_eq!(codes(&stage.gate.record().await), ["policy-denies"]);
    }
    let blob = stage.blob("org/old-app", &old.layer()).await;
    assert_eq!(blob.status, 403);
    assert_eq!(stage.gate.get("/v2/registry.test/org/old-app/tags/list").await.status, 403);
    assert_eq!(stage.upstream.seen().len(), before, "no request went upstream");
    let hole = format!(
        "[[exempt]]\ndigest = \"{}\"\nuntil = 2999-01-01\nowner = \"me\"\nreason = \"x\"\n",
        old.digest()
    );
    stage.reload(&format!("{KEYED}{RETIRED}{hole}")).await;
    assert_serves(&stage.gate.get(&manifest("org/old-app", &old.digest())).await, &old);
    assert_denied(&stage.gate.get(&manifest("org/old-app", "v1")).await);
}

const SCAN: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";

/// A statement about an image, of which `result` is all that it says.
fn scan(by: &Signer, image: &Made, result: &str) -> Layer {
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1", "predicateType": SCAN,
        "subject": [{ "name": "x", "digest": { "sha256": image.hex() } }], "predicate": { "result": result },
    });
    Layer::new(DSSE, by.envelope_of(statement.to_string().as_bytes()).to_string().into_bytes())
}

/// An image, and what is said of it.
fn scanned(stage: &Stage, tag: &str, scans: &[(&Signer, &str)]) -> Made {
    let image = stage.unsigned("org/app", tag);
    let layers = scans.iter().map(|(by, result)| scan(by, &image, result)).collect();
    carrier(layers).tag(&stage.upstream, "org/app", &evidence_tag(&image.digest(), ".att"));
    image
}

#[tokio::test]
async fn a662_one_scan_that_failed_is_not_outvoted_where_each_must_have_passed() {
    let asks = |every: &str| {
        format!(
            "[[policy]]\nname = \"production\"\nscope = [\"registry.test/**\"]\n[[policy.require]]\n\
             signed_by = {{ any_of = [\"release\"] }}\nattestation = \"vuln\"\nwhere = 'predicate.result == \"passed\"'\n{every}"
        )
    };
    let stage = Stage::on(&asks("every = true\n")).await;
    let (ours, stranger) = (&stage.signer, Signer::new());
    let good = scanned(&stage, "good", &[(ours, "passed"), (ours, "passed"), (&stranger, "failed")]);
    let bad = scanned(&stage, "bad", &[(ours, "passed"), (ours, "failed")]);
    assert_serves(&stage.manifest("org/app", "good").await, &good);
    assert_denied(&stage.manifest("org/app", "bad").await);
    assert!(codes(&stage.gate.record().await).contains(&"where-false".to_owned()));
    // As everywhere else, one is enough.
    stage.reload(&asks("")).await;
    assert_serves(&stage.manifest("org/app", "bad").await, &bad);
    // What was kept under the other policy does not stand for all of it.
    stage.reload(&asks("every = true\n")).await;
    assert_denied(&stage.manifest("org/app", "bad").await);
}

#[tokio::test]
async fn one_of_several_requirements_is_enough_and_another_signer_is_none() {
    let either = "[[policy]]\nname = \"production\"\nscope = [\"registry.test/**\"]\n[[policy.require]]\n\
        any = [{ signed_by = { any_of = [\"release\"] } }, { attestation = \"vuln\", signed_by = { any_of = [\"release\"] } }]\n";
    let stage = Stage::on(either).await;
    let signed = stage.signed("org/app", "signed");
    let attested = scanned(&stage, "attested", &[(&stage.signer, "passed")]);
    let stranger = Signer::new();
    scanned(&stage, "theirs", &[(&stranger, "passed")]);
    assert_serves(&stage.manifest("org/app", "signed").await, &signed);
    assert_serves(&stage.manifest("org/app", "attested").await, &attested);
    assert_denied(&stage.manifest("org/app", "theirs").await);
}

#[tokio::test]
async fn a661_without_a_proven_time_nothing_is_old_enough() {
    let stage = Stage::on(&format!("{KEYED}min_age = \"72h\"\n")).await;
    stage.signed("org/app", "v1");
    assert_denied(&stage.manifest("org/app", "v1").await);
    let record = stage.gate.record().await;
    assert!(codes(&record).contains(&"age-unknown".to_owned()), "{record}");
    assert_eq!(record["ripe_at"], serde_json::Value::Null);
}
