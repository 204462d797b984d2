//! A tag is resolved once for each answer, and what is served is what was judged.

use std::time::Duration;

use pullgate::limits;
use pullgate_tests::clients::content::sha256;
use pullgate_tests::made::MANIFEST;
use pullgate_tests::upstream::{Fault, When};

use crate::stage::{KEYED, Stage, assert_denied, assert_serves, manifest};
use crate::store::state::count;

const PULLS: usize = 1_000;

#[tokio::test]
async fn a040_a_tag_that_alternates_at_every_request_never_gives_an_unsigned_byte() {
    let stage = Stage::new().await;
    let (good, bad) = (stage.signed("org/app", "v1"), stage.unsigned("org/app", "bad"));
    let turns = vec![good.digest(), bad.digest()];
    stage.upstream.fail(When::on("org/app/manifests/v1"), Fault::Alternate(turns));
    let (mut served, mut refused) = (0, 0);
    for n in 0..PULLS {
        // Another name for it each time, so that no tag is remembered.
        let before = stage.upstream.count("org/app/manifests/v1");
        let answer = stage.manifest("org/app", &format!("v1-{n}")).await;
        assert_eq!(stage.upstream.count("org/app/manifests/v1"), before + 1, "resolved once");
        match answer.status {
            200 => {
                assert_serves(&answer, &good);
                assert_eq!(answer.header("docker-content-digest").unwrap(), sha256(&answer.body));
                served += 1;
            }
            _ => {
                assert_denied(&answer);
                assert!(!answer.body.windows(bad.bytes.len()).any(|part| part == bad.bytes));
                refused += 1;
            }
        }
    }
    assert_eq!((served, refused), (PULLS / 2, PULLS / 2));
}

#[tokio::test]
async fn a040_a_head_and_the_get_after_it_each_have_their_own_permit() {
    let stage = Stage::new().await;
    let (good, bad) = (stage.signed("org/app", "v1"), stage.unsigned("org/app", "bad"));
    let head = stage.gate.head(&manifest("org/app", "v1")).await;
    assert_eq!(head.header("docker-content-digest"), Some(good.digest().as_str()));
    stage.upstream.tag("org/app", "v1", &bad.digest());
    // The digest of the HEAD is what a client then asks for.
    assert_serves(&stage.manifest("org/app", &good.digest()).await, &good);
    let other = [("accept", "application/vnd.oci.image.manifest.v1+json, application/json")];
    assert_denied(&stage.gate.get_with(&manifest("org/app", "v1"), &other).await);
}

#[tokio::test]
async fn a_tag_is_believed_for_tag_ttl_and_not_longer() {
    let stage = Stage::with(KEYED, |setup| setup.cache("tag_ttl = \"1s\"")).await;
    let (first, second) = (stage.signed("org/app", "v1"), stage.signed("org/app", "other"));
    assert_serves(&stage.manifest("org/app", "v1").await, &first);
    stage.upstream.tag("org/app", "v1", &second.digest());
    assert_serves(&stage.manifest("org/app", "v1").await, &first);
    assert_eq!(stage.upstream.count("org/app/manifests/v1"), 1);
    stage.later(Duration::from_secs(1));
    assert_serves(&stage.manifest("org/app", "v1").await, &second);
}

#[tokio::test]
async fn a_tag_that_has_not_changed_costs_one_head_and_what_is_cached_whole_nothing() {
    let stage = Stage::with(KEYED, |setup| setup.cache("tag_ttl = \"1s\"")).await;
    let image = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    assert_eq!(stage.blob("org/app", &image.layer()).await.status, 200);
    stage.kept(&image.layer()).await;
    stage.upstream.forget();
    // Within tag_ttl: nothing at all.
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    assert_serves(&stage.manifest("org/app", &image.digest()).await, &image);
    assert_eq!(stage.blob("org/app", &image.layer()).await.status, 200);
    assert_eq!(stage.upstream.seen().len(), 0, "{:?}", stage.upstream.seen());
    // After it: a HEAD, which registries do not count.
    for _ in 0..2 {
        stage.later(Duration::from_secs(1));
        stage.upstream.forget();
        for _ in 0..3 {
            assert_serves(&stage.manifest("org/app", "v1").await, &image);
        }
        let seen = stage.upstream.seen();
        assert_eq!(seen.iter().map(|one| one.method.as_str()).collect::<Vec<_>>(), ["HEAD"], "{seen:?}");
    }
}

#[tokio::test]
async fn a_head_only_ever_says_that_nothing_has_changed() {
    let stage = Stage::with(KEYED, |setup| setup.cache("tag_ttl = \"0s\"")).await;
    let (good, bad) = (stage.signed("org/app", "v1"), stage.unsigned("org/app", "bad"));
    assert_serves(&stage.manifest("org/app", "v1").await, &good);
    stage.upstream.tag("org/app", "v1", &bad.digest());
    assert_denied(&stage.manifest("org/app", "v1").await);
    // Without a digest, or with one that is none, it says nothing: the GET has the last word.
    let head = || When::on("HEAD /v2/org/app/manifests/v1");
    for fault in [
        Fault::WithoutHeader("docker-content-digest"),
        Fault::Header("docker-content-digest", "sha256:beef".to_owned()),
        Fault::AlsoHeader("docker-content-digest", good.digest()),
        Fault::Status(404),
        Fault::Status(405),
    ] {
        stage.upstream.heal();
        stage.upstream.fail(head(), fault);
        assert_denied(&stage.manifest("org/app", "v1").await);
    }
    // It names what was permitted once: that is not what the tag had last, so the GET has the last word here too.
    stage.upstream.heal();
    stage.upstream.fail(head(), Fault::Header("docker-content-digest", good.digest()));
    assert_denied(&stage.manifest("org/app", "v1").await);
    // Where it names what the tag had last, that is the answer, as if the tag had not moved: its own verdict, never
    // another's.
    let bad = bad.digest();
    stage.upstream.fail(head(), Fault::Header("docker-content-digest", bad.clone()));
    stage.upstream.tag("org/app", "v1", &good.digest());
    let answer = stage.manifest("org/app", "v1").await;
    assert_denied(&answer);
    assert_eq!(stage.gate.record().await["digest"], bad);
}

#[tokio::test]
async fn a121_a_tag_that_moved_is_told_with_both_digests() {
    let stage = Stage::with(KEYED, |setup| setup.cache("tag_ttl = \"1s\"")).await;
    let (old, new) = (stage.signed("org/app", "v1"), stage.signed("org/app", "other"));
    assert_serves(&stage.manifest("org/app", "v1").await, &old);
    let still = stage.gate.records().await;
    assert!(still.iter().all(|record| !record.to_string().contains("tag-moved")));
    stage.upstream.tag("org/app", "v1", &new.digest());
    stage.later(Duration::from_secs(1));
    assert_serves(&stage.manifest("org/app", "v1").await, &new);
    let record = stage.gate.record().await;
    assert_eq!(record["moved_from"], old.digest(), "{record}");
    assert_eq!(record["digest"], new.digest());
}

#[tokio::test]
async fn a113_a_tag_that_is_gone_is_404_though_it_had_a_permit() {
    let policy =
        KEYED.replace("[[policy.require]]", "on_undecided = { last_permit = \"24h\" }\n[[policy.require]]");
    let stage = Stage::with(&policy, |setup| setup.cache("tag_ttl = \"1s\"")).await;
    let image = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    stage.upstream.untag("org/app", "v1");
    stage.later(Duration::from_secs(1));
    let answer = stage.manifest("org/app", "v1").await;
    assert_eq!((answer.status, answer.code().as_str()), (404, "MANIFEST_UNKNOWN"));
    // A digest that is held is still the judged bytes; one that is not is gone like the tag.
    assert_serves(&stage.manifest("org/app", &image.digest()).await, &image);
    let gone = stage.signed("org/app", "gone");
    stage.upstream.remove("org/app", &gone.digest());
    assert_eq!(stage.manifest("org/app", &gone.digest()).await.status, 404);
}

#[tokio::test]
async fn a041_a_tag_of_64_hexadecimal_digits_is_a_tag() {
    let stage = Stage::new().await;
    let (signed, unsigned) = (stage.signed("org/app", "v1"), stage.unsigned("org/app", "v2"));
    stage.upstream.tag("org/app", &signed.hex(), &unsigned.digest());
    assert_denied(&stage.manifest("org/app", &signed.hex()).await);
    stage.upstream.tag("org/app", &unsigned.hex(), &signed.digest());
    assert_serves(&stage.manifest("org/app", &unsigned.hex()).await, &signed);
    stage.upstream.tag("org/app", "sha256", &signed.digest());
    assert_serves(&stage.manifest("org/app", "sha256").await, &signed);
}

#[tokio::test]
async fn a608_whatever_types_a_client_invents_are_one_key_and_one_request() {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    stage.gate.app().store.store().database().flush().await;
    let (file, rows) = (stage.gate.path("state/cache.db-wal"), count(&stage, "tags").await);
    let before = std::fs::metadata(&file).unwrap().len();
    stage.upstream.forget();
    for n in 0..300 {
        let invented = format!("x{n:07}{}", "y".repeat(46_000));
        let named = format!("{invented}, {MANIFEST};q=0.{n}, application/{n}");
        for (accept, method) in [(&invented, "HEAD"), (&named, "GET")] {
            let headers = [("accept", accept.as_str()), ("user-agent", &invented[..9_000])];
            let target = manifest("org/app", "v1");
            let answer = pullgate_tests::asking::ask(stage.gate.data, method, &target, &headers).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }
    assert_eq!(stage.upstream.count("org/app/manifests/v1"), 1, "the second set of types");
    assert!(stage.upstream.seen().iter().all(|seen| !format!("{seen:?}").contains("yyy")));
    stage.gate.app().store.store().database().flush().await;
    assert_eq!(count(&stage, "tags").await, rows + 1);
    assert!(std::fs::metadata(&file).unwrap().len() < before + 512 * 1024);
}

#[tokio::test]
async fn a608_a_list_of_types_over_its_limit_is_refused_without_a_request() {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    let types = |more: usize| vec!["a/b"; limits::ACCEPT_TYPES + more].join(",");
    let bytes = |more: usize| "a".repeat(limits::ACCEPT_BYTES + more);
    for over in [types(1), bytes(1)] {
        let answer = stage.gate.get_with(&manifest("org/app", "v1"), &[("accept", &over)]).await;
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    assert_eq!(stage.upstream.seen().len(), 0);
    for most in [types(0), bytes(0)] {
        assert_serves(&stage.gate.get_with(&manifest("org/app", "v1"), &[("accept", &most)]).await, &image);
    }
}

#[tokio::test]
async fn a038_what_another_accept_chose_is_judged_on_its_own() {
    let stage = Stage::new().await;
    let (good, bad) = (stage.signed("org/app", "v1"), stage.unsigned("org/app", "bad"));
    assert_serves(&stage.gate.get_with(&manifest("org/app", "v1"), &[("accept", MANIFEST)]).await, &good);
    stage.upstream.fail(When::on("org/app/manifests/v1"), Fault::Alternate(vec![bad.digest()]));
    let both = format!("{MANIFEST}, application/vnd.oci.image.index.v1+json");
    for method in ["GET", "HEAD"] {
        let headers = [("accept", both.as_str())];
        let answer =
            pullgate_tests::asking::ask(stage.gate.data, method, &manifest("org/app", "v1"), &headers).await;
        assert_eq!(answer.status, 403, "{method}");
    }
    // The order of the list is no other list, and HEAD and GET agree.
    let turned = format!("application/vnd.oci.image.index.v1+json,{MANIFEST}");
    let before = stage.upstream.count("org/app/manifests/v1");
    assert_denied(&stage.gate.get_with(&manifest("org/app", "v1"), &[("accept", &turned)]).await);
    assert_eq!(stage.upstream.count("org/app/manifests/v1"), before);
}
