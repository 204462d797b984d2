//! An exemption where no scope matches, which is where people write the first ones: it opens what it names, and
//! nothing beside it.

use pullgate_tests::made::Made;

use crate::stage::{KEYED, Stage, assert_denied, assert_serves, but_for_the_id, manifest};

/// A policy for `org/**` alone, and an exemption.
fn exempt(what: &str) -> String {
    format!(
        "{}\n[[exempt]]\n{what}\nuntil = 2999-01-01\nowner = \"platform@corp.example\"\nreason = \"INC-1\"\n",
        KEYED.replace("registry.test/**", "registry.test/org/**")
    )
}

/// Rule: an exempt repository is served whole, by tag and by digest, with its layers; another one is as it was.
#[tokio::test]
async fn a062_an_exempt_repository_without_a_scope_is_served_and_its_neighbour_is_not() {
    let stage = Stage::on(&exempt("scope = [\"registry.test/other/app\"]")).await;
    let image = Made::image();
    let index = Made::index(vec![image.clone()]);
    index.tag(&stage.upstream, "other/app", "v1");
    index.tag(&stage.upstream, "other/next", "v1");
    assert_serves(&stage.manifest("other/app", "v1").await, &index);
    assert_eq!(stage.gate.record().await["ground"], "exempt");
    assert_serves(&stage.manifest("other/app", &image.digest()).await, &image);
    assert_eq!(stage.blob("other/app", &image.layer()).await.status, 200);
    stage.upstream.forget();
    assert_denied(&stage.manifest("other/next", "v1").await);
    assert_denied(&stage.manifest("other/next", &image.digest()).await);
    assert_denied(&stage.blob("other/next", &image.layer()).await);
    assert_denied(&stage.gate.get("/v2/other/app/tags/list").await);
    assert_eq!(stage.upstream.seen().len(), 0, "nothing beyond it is asked for");
}

/// Rule: an exempt digest is served by that digest, with what it lists; nothing else is asked for in its repository,
/// and what is there and what is not are answered alike.
#[tokio::test]
async fn a062_an_exempt_digest_is_served_with_what_it_lists_and_opens_nothing_else() {
    let (image, other) = (Made::image(), Made::image());
    let index = Made::index(vec![image.clone()]);
    let stage = Stage::on(&exempt(&format!("digest = \"{}\"", index.digest()))).await;
    other.tag(&stage.upstream, "other/app", "v2");
    index.tag(&stage.upstream, "other/app", "v1");
    let mut answers = Vec::new();
    for reference in ["v1", "v2", "v3", &other.digest(), &image.digest(), &Made::image().digest()] {
        let answer = stage.gate.send("GET", &manifest("other/app", reference)).await;
        assert_denied(&answer);
        answers.push(but_for_the_id(&answer));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_denied(&stage.blob("other/app", &image.layer()).await);
    assert_eq!(stage.upstream.seen().len(), 0);
    assert_serves(&stage.manifest("other/app", &index.digest()).await, &index);
    assert_serves(&stage.manifest("other/app", &image.digest()).await, &image);
    assert_eq!(stage.blob("other/app", &image.layer()).await.status, 200);
    assert_denied(&stage.manifest("other/app", &other.digest()).await);
    assert_denied(&stage.blob("other/app", &other.layer()).await);
    // With the exemption what it brought is gone, and a block is stronger.
    let blocked = format!("\n[[block]]\ndigest = \"{}\"\nreason = \"CVE\"\n", image.digest());
    stage.reload(&(exempt(&format!("digest = \"{}\"", index.digest())) + &blocked)).await;
    assert_serves(&stage.manifest("other/app", &index.digest()).await, &index);
    assert_denied(&stage.manifest("other/app", &image.digest()).await);
    stage.reload(&exempt(&format!("digest = \"{}\"", other.digest()))).await;
    assert_denied(&stage.manifest("other/app", &index.digest()).await);
    assert_denied(&stage.manifest("other/app", &image.digest()).await);
    assert_denied(&stage.blob("other/app", &image.layer()).await);
}
