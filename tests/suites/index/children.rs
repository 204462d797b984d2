//! A permit for an index grants its children, a permit for a manifest its config and layers.

use pullgate_tests::made::{INDEX, MANIFEST, Made, with};
use pullgate_tests::signing::evidence_tag;
use serde_json::json;

use crate::stage::{Stage, assert_denied, assert_serves, codes, manifest};

/// A signed index under a tag.
fn signed(stage: &Stage, index: &Made) {
    index.tag(&stage.upstream, "org/app", "v1");
    stage.sign("org/app", index);
}

#[tokio::test]
async fn a022_children_of_a_permitted_index_are_served_without_a_look_for_evidence() {
    let stage = Stage::new().await;
    let index = Made::buildkit_index();
    signed(&stage, &index);
    assert_serves(&stage.manifest("org/app", "v1").await, &index);
    stage.upstream.forget();
    for child in &index.children {
        assert_serves(&stage.manifest("org/app", &child.digest()).await, child);
        assert_eq!(stage.upstream.count(&evidence_tag(&child.digest(), "")), 0, "no evidence is looked for");
        assert_eq!(stage.blob("org/app", &child.config()).await.status, 200);
        assert_eq!(stage.blob("org/app", &child.layer()).await.status, 200);
    }
    assert_eq!(stage.upstream.count("referrers"), 0);
}

#[tokio::test]
async fn a022_children_of_a_denied_index_are_denied_whichever_is_asked_first() {
    for child_first in [true, false] {
        let stage = Stage::new().await;
        let index = Made::index(vec![Made::image(), Made::image()]);
        index.tag(&stage.upstream, "org/app", "v1");
        let child = &index.children[0];
        if child_first {
            assert_denied(&stage.manifest("org/app", &child.digest()).await);
        }
        assert_denied(&stage.manifest("org/app", "v1").await);
        assert_denied(&stage.manifest("org/app", &child.digest()).await);
        assert_eq!(codes(&stage.gate.record().await), ["no-evidence"]);
        assert_denied(&stage.blob("org/app", &child.layer()).await);
        assert_eq!(stage.gate.head(&manifest("org/app", &child.digest())).await.status, 403);
    }
}

#[tokio::test]
async fn a022_a_child_with_a_signature_of_its_own_needs_no_index() {
    let stage = Stage::new().await;
    let index = Made::index(vec![Made::image(), Made::image()]);
    index.tag(&stage.upstream, "org/app", "v1");
    stage.sign("org/app", &index.children[0]);
    assert_denied(&stage.manifest("org/app", "v1").await);
    assert_serves(&stage.manifest("org/app", &index.children[0].digest()).await, &index.children[0]);
    assert_denied(&stage.manifest("org/app", &index.children[1].digest()).await);
}

#[tokio::test]
async fn a_head_of_an_index_is_enough_to_learn_its_children() {
    let stage = Stage::new().await;
    let index = Made::index(vec![Made::image(), Made::image()]);
    signed(&stage, &index);
    assert_eq!(stage.gate.head(&manifest("org/app", "v1")).await.status, 200);
    let child = &index.children[0];
    assert_eq!(stage.gate.head(&manifest("org/app", &child.digest())).await.status, 200);
    assert_eq!(stage.blob("org/app", &child.layer()).await.status, 200);
    assert_eq!(stage.upstream.count(&evidence_tag(&child.digest(), "")), 0);
}

#[tokio::test]
async fn a_node_that_has_the_manifests_gets_blobs_though_no_child_was_asked_for() {
    let mut stage = Stage::new().await;
    let index = Made::index(vec![Made::image(), Made::image()]);
    signed(&stage, &index);
    assert_serves(&stage.manifest("org/app", "v1").await, &index);
    stage.gate.restart().await;
    let child = &index.children[1];
    assert_eq!(stage.blob("org/app", &child.layer()).await.body, child.blobs[1]);
    // What no child lists is still refused.
    let stray = stage.upstream.blob("org/app", b"a stray blob");
    assert_denied(&stage.blob("org/app", &stray).await);
}

#[tokio::test]
async fn grants_survive_a_restart_and_cost_no_request_for_evidence() {
    let mut stage = Stage::new().await;
    let index = Made::index(vec![Made::image(), Made::image()]);
    signed(&stage, &index);
    let child = &index.children[0];
    assert_serves(&stage.manifest("org/app", "v1").await, &index);
    assert_serves(&stage.manifest("org/app", &child.digest()).await, child);
    stage.gate.restart().await;
    stage.upstream.forget();
    assert_serves(&stage.manifest("org/app", &child.digest()).await, child);
    assert_serves(&stage.manifest("org/app", &index.digest()).await, &index);
    assert_eq!(stage.upstream.seen().len(), 0);
    assert_eq!(stage.blob("org/app", &child.layer()).await.status, 200);
    assert_denied(&stage.manifest("org/app", &stage.unsigned("org/app", "x").digest()).await);
}

#[tokio::test]
async fn a_nested_index_grants_down_to_its_blobs() {
    let stage = Stage::new().await;
    let inner = Made::index(vec![Made::image()]);
    let leaf = inner.children[0].clone();
    let outer = Made::index(vec![inner.clone()]);
    signed(&stage, &outer);
    assert_serves(&stage.manifest("org/app", "v1").await, &outer);
    assert_serves(&stage.manifest("org/app", &inner.digest()).await, &inner);
    assert_serves(&stage.manifest("org/app", &leaf.digest()).await, &leaf);
    assert_eq!(stage.blob("org/app", &leaf.layer()).await.status, 200);
}

#[tokio::test]
async fn a_child_is_granted_in_the_repository_of_its_index_only() {
    let stage = Stage::new().await;
    let index = Made::index(vec![Made::image()]);
    signed(&stage, &index);
    let child = &index.children[0];
    child.put(&stage.upstream, "org/other");
    assert_serves(&stage.manifest("org/app", "v1").await, &index);
    assert_serves(&stage.manifest("org/app", &child.digest()).await, child);
    assert_denied(&stage.manifest("org/other", &child.digest()).await);
    assert_denied(&stage.blob("org/other", &child.layer()).await);
}

#[tokio::test]
async fn an_index_with_an_empty_list_needs_a_signature_like_any_other_and_grants_nothing() {
    let stage = Stage::new().await;
    let empty = Made::index(Vec::new());
    empty.tag(&stage.upstream, "org/app", "v1");
    let image = stage.unsigned("org/app", "v2");
    assert_denied(&stage.manifest("org/app", "v1").await);
    let other = Made::index(Vec::new());
    signed(&stage, &other);
    assert_serves(&stage.manifest("org/app", &other.digest()).await, &other);
    assert_denied(&stage.manifest("org/app", &image.digest()).await);
}

#[tokio::test]
async fn a128_a_child_listed_twice_as_two_things_is_refused() {
    let stage = Stage::new().await;
    let child = Made::image();
    let (one, other) = (child.descriptor(), with(child.descriptor(), json!({ "mediaType": INDEX })));
    let ambiguous = Made::index_of(&[one.clone(), other], vec![child.clone()]);
    signed(&stage, &ambiguous);
    assert_denied(&stage.manifest("org/app", "v1").await);
    assert_eq!(codes(&stage.gate.record().await), ["manifest-ambiguous"]);
    let twice = Made::index_of(&[one.clone(), one], vec![child]);
    twice.tag(&stage.upstream, "org/app", "v2");
    stage.sign("org/app", &twice);
    assert_serves(&stage.manifest("org/app", "v2").await, &twice);
}

#[tokio::test]
async fn a128_a_grant_is_for_the_size_and_type_that_the_index_says() {
    let stage = Stage::new().await;
    let (small, typed) = (Made::image(), Made::image());
    let listed = vec![
        with(small.descriptor(), json!({ "size": small.bytes.len() - 1 })),
        with(
            typed.descriptor(),
            json!({ "mediaType": "application/vnd.docker.distribution.manifest.v2+json" }),
        ),
    ];
    let index = Made::index_of(&listed, vec![small.clone(), typed.clone()]);
    signed(&stage, &index);
    assert_serves(&stage.manifest("org/app", "v1").await, &index);
    for child in [&small, &typed] {
        assert_ne!(stage.manifest("org/app", &child.digest()).await.status, 200);
    }
    assert_eq!(small.media_type, MANIFEST);
}

#[tokio::test]
async fn a128_an_index_nested_over_the_limit_is_refused_with_all_below_it() {
    let stage = Stage::new().await;
    let image = Made::image();
    let mut chain = vec![Made::index(vec![image.clone()])];
    for _ in 0..3 {
        let inner = chain.last().unwrap().clone();
        chain.push(Made::index(vec![inner]));
    }
    let outermost = chain.last().unwrap();
    signed(&stage, outermost);
    for index in chain.iter().skip(1).rev() {
        assert_serves(&stage.manifest("org/app", &index.digest()).await, index);
    }
    let too_deep = &chain[0];
    assert_denied(&stage.manifest("org/app", &too_deep.digest()).await);
    assert_eq!(codes(&stage.gate.record().await), ["index-too-large"]);
    assert_denied(&stage.manifest("org/app", &image.digest()).await);
    // The nearest honest case: the inner index is signed too.
    stage.sign("org/app", too_deep);
    stage.gate.app().memory.forget_denials();
    assert_serves(&stage.manifest("org/app", &too_deep.digest()).await, too_deep);
    assert_serves(&stage.manifest("org/app", &image.digest()).await, &image);
}
