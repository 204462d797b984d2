//! The canary: what `pullgate doctor --probe` asks for, and the gate refuses under every policy.

use pullgate_tests::asking::ask;

use crate::stage::{KEYED, Stage, assert_denied, codes};

const LAX: &str = "unmatched = \"permit\"\n";
const WARNS: &str = "unmatched = \"warn\"\n";

#[tokio::test]
async fn a414_the_canary_is_refused_under_every_policy_and_asks_no_upstream() {
    for policy in [KEYED, LAX, WARNS] {
        let stage = Stage::on(policy).await;
        // It is there, and signed by whom the policy trusts.
        let image = stage.signed("pullgate/canary", "probe");
        stage.upstream.forget();
        for target in [
            "/v2/pullgate/canary/manifests/probe?ns=registry.test".to_owned(),
            "/v2/registry.test/pullgate/canary/manifests/probe".to_owned(),
            "/v2/pullgate/canary/manifests/probe?ns=127.0.0.1%3A1".to_owned(),
            format!("/v2/pullgate/canary/manifests/{}?ns=registry.test", image.digest()),
        ] {
            let answer = stage.gate.get(&target).await;
            assert_denied(&answer);
            assert!(
                String::from_utf8_lossy(&answer.body).contains("the canary is always refused; pullgate ")
            );
            let record = stage.gate.refusal().await;
            assert_eq!(
                (codes(&record), &record["kind"]),
                (vec!["canary".to_owned()], &"request-refused".into())
            );
            let head = ask(stage.gate.data, "HEAD", &target, &[]).await;
            assert_eq!(head.status, 403);
        }
        assert_eq!(stage.upstream.seen().len(), 0);
        let metrics = stage.gate.admin("/metrics").await;
        let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
        assert!(metrics.contains("pullgate_requests_refused_total{code=\"canary\"} 8"), "{metrics}");
    }
}

#[tokio::test]
async fn a_name_that_only_ends_like_the_canary_is_judged_as_any_other() {
    let stage = Stage::new().await;
    stage.signed("org/pullgate/canary", "v1");
    assert_eq!(stage.manifest("org/pullgate/canary", "v1").await.status, 200);
}
