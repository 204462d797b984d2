//! `tags/list` and `referrers`: passed through from parsed values, paged, merged and filtered.

use pullgate_tests::made::{INDEX, Layer, Made, with};
use pullgate_tests::signing::{BUNDLE, SIGN_PREDICATE, evidence_tag, referrer};
use pullgate_tests::upstream::{Fault, ReferrersApi, When};
use serde_json::{Value, json};

use crate::stage::{Stage, assert_undecided};

fn listed(answer: &Value) -> Vec<String> {
    let manifests = answer["manifests"].as_array().unwrap();
    manifests.iter().map(|one| one["digest"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn tags_are_paged_under_the_clients_own_form_of_the_path() {
    let stage = Stage::new().await;
    for tag in ["a", "b", "c", "d", "e"] {
        stage.unsigned("org/app", tag);
    }
    for (prefix, suffix) in
        [("/v2/org/app", ""), ("/v2/registry.test/org/app", ""), ("/v2/org/app", "&ns=registry.test")]
    {
        let mut target = format!("{prefix}/tags/list?n=2{suffix}");
        let mut tags = Vec::new();
        loop {
            let answer = stage.gate.get(&target).await;
            assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
            tags.extend(
                answer.json()["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap().to_owned()),
            );
            let Some(link) = answer.header("link") else { break };
            let (next, rel) = link.split_once(';').unwrap();
            assert_eq!(rel.trim(), "rel=\"next\"");
            target = next.trim_matches(['<', '>']).to_owned();
            assert!(target.starts_with(&format!("{prefix}/tags/list?")), "{target}");
            assert_eq!(target.contains("ns="), !suffix.is_empty());
        }
        assert_eq!(tags, ["a", "b", "c", "d", "e"]);
    }
    let head = stage.gate.head("/v2/org/app/tags/list").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[tokio::test]
async fn tags_of_an_absent_repository_are_404_and_of_an_unreachable_one_503() {
    let stage = Stage::new().await;
    let answer = stage.gate.get("/v2/org/none/tags/list").await;
    assert_eq!((answer.status, answer.code().as_str()), (404, "NAME_UNKNOWN"));
    stage.upstream.fail(When::on("tags/list"), Fault::Status(500));
    assert_undecided(&stage.gate.get("/v2/org/app/tags/list").await);
}

#[tokio::test]
async fn a037_tags_outside_the_grammar_and_other_members_are_not_passed_on() {
    let stage = Stage::new().await;
    let body =
        json!({ "name": "evil", "tags": ["v1", "<script>", "a b", "-x", "v2"], "more": "x".repeat(1000) });
    stage
        .upstream
        .fail(When::on("tags/list"), Fault::Answer(200, "text/html", body.to_string().into_bytes()));
    let answer = stage.gate.get("/v2/org/app/tags/list").await;
    assert_eq!(answer.json(), json!({ "name": "org/app", "tags": ["v1", "v2"] }));
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn referrers_are_an_index_always_and_empty_where_there_is_none() {
    for api in [ReferrersApi::Absent, ReferrersApi::Whole] {
        let stage = Stage::new().await;
        stage.upstream.set_referrers(api);
        let image = stage.unsigned("org/app", "v1");
        let answer = stage.gate.get(&format!("/v2/org/app/referrers/{}", image.digest())).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(INDEX)));
        assert_eq!(answer.json(), json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] }));
        let unknown = stage.gate.get(&format!("/v2/org/app/referrers/{}", Made::image().digest())).await;
        assert_eq!((unknown.status, listed(&unknown.json()).len()), (200, 0));
    }
}

#[tokio::test]
async fn referrers_of_the_api_and_of_the_fallback_tag_are_one_list_that_the_gate_filters() {
    let stage = Stage::new().await;
    stage.upstream.set_referrers(ReferrersApi::Paged(1));
    let image = stage.unsigned("org/app", "v1");
    let bundle = referrer(&image.descriptor(), stage.signer.bundle(&image.digest(), SIGN_PREDICATE));
    let other = referrer(&image.descriptor(), Layer::new("application/x", b"x".to_vec()));
    let fallback = referrer(&image.descriptor(), Layer::new("application/x", b"y".to_vec()));
    for made in [&bundle, &other] {
        made.put(&stage.upstream, "org/app");
    }
    let typed = |made: &Made, name: &str| with(made.descriptor(), json!({ "artifactType": name }));
    // The fallback tag repeats one of them.
    let index =
        Made::index_of(&[typed(&other, "application/x"), typed(&fallback, "application/x")], Vec::new());
    index.tag(&stage.upstream, "org/app", &evidence_tag(&image.digest(), ""));
    let target = format!("/v2/org/app/referrers/{}", image.digest());
    let all = stage.gate.get(&target).await;
    let mut expected = [bundle.digest(), other.digest(), fallback.digest()];
    expected.sort();
    let mut found = listed(&all.json());
    found.sort();
    assert_eq!(found, expected);
    assert_eq!(all.header("oci-filters-applied"), None);
    let escaped = BUNDLE.replace('+', "%2B");
    for (wanted, count) in [(escaped.as_str(), 1), ("application/x", 2), ("application/y", 0)] {
        let answer = stage.gate.get(&format!("{target}?artifactType={wanted}")).await;
        assert_eq!(listed(&answer.json()).len(), count, "{wanted}");
        assert_eq!(answer.header("oci-filters-applied"), Some("artifactType"));
    }
}

#[tokio::test]
async fn referrers_that_cannot_be_asked_for_are_503() {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    let target = format!("/v2/org/app/referrers/{}", image.digest());
    for part in ["referrers", "manifests/sha256-"] {
        stage.upstream.fail(When::on(part), Fault::Status(500));
        assert_undecided(&stage.gate.get(&target).await);
        stage.upstream.heal();
        assert_eq!(stage.gate.get(&target).await.status, 200);
    }
}

#[tokio::test]
async fn a037_referrers_carry_no_content_and_no_addresses() {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    let referrer = referrer(&image.descriptor(), Layer::new("application/x", b"x".to_vec()));
    let more = json!({
        "data": "QUFB".repeat(10_000), "urls": ["http://evil.example/"], "artifactType": "application/x",
        "annotations": { "small": "a" }, "surprise": true,
    });
    let list =
        json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [with(referrer.descriptor(), more)] });
    stage.upstream.fail(When::on("referrers"), Fault::Answer(200, INDEX, list.to_string().into_bytes()));
    let answer = stage.gate.get(&format!("/v2/org/app/referrers/{}", image.digest())).await;
    let expected = with(
        referrer.descriptor(),
        json!({ "artifactType": "application/x", "annotations": { "small": "a" } }),
    );
    assert_eq!(answer.json()["manifests"], json!([expected]));
}
