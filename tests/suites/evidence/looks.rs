//! The look at evidence that passes: once for all who ask, and not again for as long as what it rests on is the same
//! (A604); its blobs leave by the names that its manifest has for them, after a restart too (A603).

use std::sync::Arc;
use std::time::Duration;

use pullgate_policy::limits;
use pullgate_tests::asking::ask;
use pullgate_tests::clients::content::sha256;
use pullgate_tests::made::{CONFIG, Layer, MANIFEST, Made, descriptor, fresh};
use pullgate_tests::signing::{DSSE, SIMPLE_SIGNING, Signer, carrier, evidence_tag};
use pullgate_tests::upstream::{Fault, When};
use pullgate_tests::waiting::pause;
use serde_json::json;
use sqlx::{AnyConnection, Connection as _};
use tokio::sync::Semaphore;

use crate::stage::{KEYED, Stage, assert_denied, assert_serves, assert_undecided, blob, codes, manifest};

/// How often a manifest was looked at, and not only remembered.
fn looks(stage: &Stage) -> u64 {
    let text = stage.gate.app().metrics.encode();
    let line = "pullgate_stage_seconds_count{stage=\"look\"} ";
    text.lines().find_map(|one| one.strip_prefix(line)).map_or(0, |count| count.parse().unwrap())
}

/// So many envelopes, each another one, in which nobody has signed anything.
fn envelopes(count: usize) -> Vec<Layer> {
    let one =
        |_| json!({ "payload": "e30=", "payloadType": fresh(), "signatures": [] }).to_string().into_bytes();
    (0..count).map(one).map(|bytes| Layer::new(DSSE, bytes)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a604_evidence_is_looked_at_once_for_all_who_ask_for_it_by_whatever_name() {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    let made = carrier(vec![Signer::new().signature(&image.digest())]);
    let tags = ["a", "b", "c", "d"];
    for tag in tags {
        made.tag(&stage.upstream, "org/app", tag);
    }
    let hold = Arc::new(Semaphore::new(0));
    stage.upstream.fail(When::on("/blobs/"), Fault::Hold(Arc::clone(&hold)));
    let asking = tags.map(|tag| {
        let (data, target) = (stage.gate.data, manifest("org/app", tag));
        tokio::spawn(async move { ask(data, "GET", &target, &[]).await.status })
    });
    // The layer and the config, once each, and all the others wait for them.
    let has_come = |tag| stage.upstream.count(&manifest("org/app", tag)) > 0;
    while stage.upstream.count("/blobs/") < 2 || !tags.into_iter().all(has_come) {
        pause(Duration::from_millis(5)).await;
    }
    hold.add_permits(1);
    for one in asking {
        assert_eq!(one.await.unwrap(), 403);
    }
    assert_eq!(stage.upstream.count("/blobs/"), 2);
    assert_eq!(looks(&stage), 1);
}

#[tokio::test]
async fn a604_what_did_not_pass_is_not_read_again_until_one_of_its_subjects_is_another() {
    let stage = Stage::new().await;
    let (stranger, absent) = (Signer::new(), Made::image());
    let by_stranger = carrier(vec![stranger.signature(&stage.unsigned("org/app", "v1").digest())]);
    let of_absent = carrier(vec![stage.signer.signature(&absent.digest())]);
    let dressed = Made::manifest(
        (CONFIG, json!({ "config": { "Cmd": ["x"] } }).to_string().into_bytes()),
        vec![stage.signer.signature(&absent.digest())],
        json!({}),
    );
    let all = [&by_stranger, &of_absent, &dressed];
    for made in all {
        made.put(&stage.upstream, "org/app");
        assert_denied(&stage.manifest("org/app", &made.digest()).await);
    }
    assert_eq!(looks(&stage), 3);
    for _ in 0..2 {
        stage.later(pullgate_config::limits::DENY_TTL + Duration::from_secs(1));
        stage.gate.app().memory.forget_denials();
        for made in all {
            assert_denied(&stage.manifest("org/app", &made.digest()).await);
        }
    }
    assert_eq!(looks(&stage), 3);
    absent.put(&stage.upstream, "org/app");
    stage.later(pullgate_config::limits::DENY_TTL + Duration::from_secs(1));
    stage.gate.app().memory.forget_denials();
    assert_serves(&stage.manifest("org/app", &of_absent.digest()).await, &of_absent);
    assert_eq!(looks(&stage), 4);
}

#[tokio::test]
async fn a604_what_could_not_be_looked_at_is_no_no_that_is_remembered() {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    let made = carrier(vec![stage.signer.signature(&image.digest())]);
    made.put(&stage.upstream, "org/app");
    for part in [blob("org/app", &made.layer()), manifest("org/app", &image.digest())] {
        stage.upstream.fail(When::on(part), Fault::Status(500));
        assert_undecided(&stage.manifest("org/app", &made.digest()).await);
        stage.upstream.heal();
    }
    assert_serves(&stage.manifest("org/app", &made.digest()).await, &made);
}

#[tokio::test(flavor = "multi_thread")]
async fn a604_blobs_of_evidence_however_large_cost_no_look_each() {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    // Together more than is remembered of blobs.
    let large = || {
        let text = "x".repeat(usize::try_from(pullgate::limits::PASSING_BYTES / 2).unwrap());
        let text = json!({ "payload": "e30=", "payloadType": text, "signatures": [] });
        Layer::new(DSSE, text.to_string().into_bytes())
    };
    let mut layers = vec![stage.signer.signature(&image.digest())];
    layers.extend([large(), Layer { bytes: [b" ".to_vec(), large().bytes].concat(), ..large() }]);
    let made = carrier(layers);
    made.put(&stage.upstream, "org/app");
    assert_serves(&stage.manifest("org/app", &made.digest()).await, &made);
    let read = stage.upstream.count("/blobs/");
    for _ in 0..2 {
        for bytes in &made.blobs {
            let answer = stage.blob("org/app", &sha256(bytes)).await;
            assert_eq!((answer.status, answer.body.len()), (200, bytes.len()));
        }
    }
    assert_eq!((looks(&stage), stage.upstream.count("/blobs/")), (1, read));
    // What was sent gives its room back.
    while stage.gate.app().evidence_budget.held() > 0 {
        pause(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a141_the_look_and_the_verdict_after_it_fetch_as_much_as_one_verdict_may() {
    // One for the config, and one for the signature that holds.
    let most = limits::EVIDENCE_FETCHES - limits::EVIDENCE_SUBJECTS - 2;
    for (junk, passes) in [(most, true), (most + 1, false), (limits::SIGNATURES_MAX - 1, false)] {
        let stage = Stage::new().await;
        let image = stage.unsigned("org/app", "v1");
        let mut layers = vec![stage.signer.signature(&image.digest())];
        layers.extend(envelopes(junk));
        let made = carrier(layers);
        made.put(&stage.upstream, "org/app");
        let answer = stage.manifest("org/app", &made.digest()).await;
        if passes {
            assert_serves(&answer, &made);
        } else {
            assert_denied(&answer);
            assert_eq!(codes(&stage.gate.record().await)[0], "evidence-limit", "{junk}");
        }
        // With the questions where its own evidence lies.
        assert!(
            stage.upstream.seen().len() <= limits::EVIDENCE_FETCHES + 8,
            "{}",
            stage.upstream.seen().len()
        );
    }
}

#[tokio::test]
async fn a604_evidence_that_passed_counts_no_longer_than_a_permit_of_the_configuration() {
    let stage = Stage::with(KEYED, |setup| setup.cache("permit_ttl = \"60s\"")).await;
    let image = stage.unsigned("org/app", "v1");
    let made = stage.sign("org/app", &image);
    for (later, looked) in [(0, 1), (59, 1), (2, 2)] {
        stage.later(Duration::from_secs(later));
        assert_serves(&stage.manifest("org/app", &made.digest()).await, &made);
        assert_eq!(stage.blob("org/app", &made.layer()).await.status, 200);
        assert_eq!(looks(&stage), looked, "{later}");
    }
}

fn sha512(bytes: &[u8]) -> String {
    format!("sha512:{}", hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, bytes)))
}

/// The same evidence, its blobs named by SHA-512.
fn by_sha512(stage: &Stage, made: &Made) -> Made {
    let mut text = String::from_utf8(made.bytes.clone()).unwrap();
    for bytes in &made.blobs {
        text = text.replace(&sha256(bytes), &sha512(bytes));
        let answer = Fault::Answer(200, "application/octet-stream", bytes.clone());
        stage.upstream.fail(When::on(blob("org/app", &sha512(bytes))), answer);
    }
    let made = Made::from_bytes(MANIFEST, text.into_bytes(), made.blobs.clone());
    stage.upstream.manifest("org/app", MANIFEST, &made.bytes);
    made
}

#[tokio::test]
async fn a013_evidence_leaves_with_its_sha512_blobs_by_that_name_alone() {
    let mut stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    let made = by_sha512(&stage, &carrier(vec![stage.signer.signature(&image.digest())]));
    for _ in 0..2 {
        assert_serves(&stage.manifest("org/app", &made.digest()).await, &made);
        for bytes in &made.blobs {
            let answer = stage.blob("org/app", &sha512(bytes)).await;
            assert_eq!((answer.status, answer.body.to_vec()), (200, bytes.clone()), "{answer:?}");
            assert_eq!(answer.header("docker-content-digest"), Some(sha512(bytes).as_str()));
            stage.upstream.blob("org/app", bytes);
            assert_denied(&stage.blob("org/app", &sha256(bytes)).await);
        }
        stage.gate.restart().await;
    }
    // A block names bytes, and not a name of theirs (A609).
    let block = format!("{KEYED}[[block]]\ndigest = \"{}\"\nreason = \"x\"\n", made.layer());
    stage.reload(&block).await;
    assert_denied(&stage.blob("org/app", &sha512(&made.blobs[1])).await);
    assert_denied(&stage.manifest("org/app", &made.digest()).await);
    assert_eq!(codes(&stage.gate.record().await), ["blocked"]);
}

#[tokio::test]
async fn a134_evidence_that_is_a_manifest_too_leaves_by_no_name_as_a_blob() {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    // A payload that is a manifest besides.
    let signature = stage.signer.signature(&image.digest());
    let mut both: serde_json::Value = serde_json::from_slice(&signature.bytes).unwrap();
    both["schemaVersion"] = json!(2);
    both["mediaType"] = json!(MANIFEST);
    both["config"] = descriptor(CONFIG, b"{}");
    both["layers"] = json!([descriptor(SIMPLE_SIGNING, b"{}")]);
    let both = stage.signer.signed(SIMPLE_SIGNING, both.to_string().into_bytes());
    let made = by_sha512(&stage, &carrier(vec![both, signature]));
    assert_serves(&stage.manifest("org/app", &made.digest()).await, &made);
    assert_eq!(stage.blob("org/app", &sha512(&made.blobs[1])).await.status, 404);
    assert_eq!(stage.blob("org/app", &sha512(&made.blobs[2])).await.status, 200);
}

#[tokio::test]
async fn a603_blobs_of_evidence_that_passed_are_found_after_a_restart_and_looked_at_again() {
    let mut stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    let made = stage.sign("org/app", &image);
    let other = stage.unsigned("org/app", "v2");
    let stranger = carrier(vec![Signer::new().signature(&other.digest())]);
    stranger.put(&stage.upstream, "org/app");
    assert_denied(&stage.manifest("org/app", &stranger.digest()).await);
    assert_serves(&stage.manifest("org/app", &evidence_tag(&image.digest(), ".sig")).await, &made);
    for _ in 0..2 {
        stage.gate.restart().await;
        for bytes in made.blobs.iter().rev() {
            let answer = stage.blob("org/app", &sha256(bytes)).await;
            assert_eq!((answer.status, answer.body.to_vec()), (200, bytes.clone()), "{answer:?}");
        }
        assert_eq!(looks(&stage), 1, "for both");
        assert_denied(&stage.blob("org/app", &stranger.layer()).await);
        assert_denied(&stage.blob("org/app", &image.layer()).await);
        stage.upstream.blob("org/other", &made.blobs[1]);
        assert_denied(&stage.blob("org/other", &made.layer()).await);
    }
    // The row is a hint and no yes: nobody whom the policy knows now has signed it.
    stage.gate.write("release.pub", Signer::new().public_pem());
    stage.gate.restart().await;
    assert_denied(&stage.blob("org/app", &made.layer()).await);
    assert_denied(&stage.manifest("org/app", &made.digest()).await);
}

#[tokio::test]
async fn a603_whose_a_blob_is_that_the_store_cannot_say_is_undecided_and_found_again() {
    let mut stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    let made = stage.sign("org/app", &image);
    assert_serves(&stage.manifest("org/app", &made.digest()).await, &made);
    stage.gate.restart().await;
    run(&stage, "alter table evidence_blobs rename to there").await;
    assert_undecided(&stage.blob("org/app", &made.layer()).await);
    assert_eq!(codes(&stage.gate.record().await), ["storage"]);
    // The manifest is looked at without it, and mends it.
    run(&stage, "alter table there rename to evidence_blobs").await;
    assert_eq!(stage.blob("org/app", &made.layer()).await.status, 200);
    // A hint that leads nowhere is none.
    run(&stage, "update evidence_blobs set manifest = 'sha256:x'").await;
    stage.gate.restart().await;
    assert_denied(&stage.blob("org/app", &made.layer()).await);
    assert_serves(&stage.manifest("org/app", &made.digest()).await, &made);
    assert_eq!(stage.blob("org/app", &made.layer()).await.status, 200);
}

async fn run(stage: &Stage, sql: &'static str) {
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}?mode=rw", stage.gate.path("state/cache.db").display());
    let mut connection = AnyConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("pragma busy_timeout = 60000").execute(&mut connection).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
