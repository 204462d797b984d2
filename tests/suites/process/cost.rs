//! What evidence may cost: memory, processors, the time of others (A602, A604, A611, A612).

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pullgate::compute_pool::Work;
use pullgate_policy::limits;
use pullgate_tests::asking::ask;
use pullgate_tests::hostile::{Hostile, World};
use pullgate_tests::made::{Layer, Made};
use pullgate_tests::signing::{DSSE, carrier, evidence_tag};

use crate::stage::{KEYED, Stage, assert_denied, assert_serves, assert_undecided, blob, codes, manifest};

/// The memory of the whole process, address space and all.
const MEMORY: u64 = 512 * limits::MIB;
/// How long a machine that does other things may take to answer.
const PATIENCE: Duration = Duration::from_secs(12);

#[tokio::test(flavor = "multi_thread")]
async fn a602_a604_a611_hostile_evidence_of_every_format_in_512_mib_leaves_others_served() {
    let world = World::start(MEMORY).await.unwrap();
    let seen = world.watch(Duration::from_secs(20), Hostile::Many).await;
    assert!(seen.alive, "{seen:?}");
    assert_eq!(seen.refused, [""; 0], "images of another upstream, and the probe");
    assert!(seen.hostile > 0 && !seen.cold.is_empty());
    for times in [&seen.livez, &seen.warm, &seen.cold] {
        assert!(times.iter().all(|time| *time < PATIENCE), "{seen:?}");
    }
}

/// An attestation by `release`, its statement as large as can be, of as many values as there can be.
fn large_attestation(stage: &Stage, image: &Made) -> Layer {
    let digest = image.digest();
    let begins = format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"digest":{{"sha256":"{}"}}}}],"predicateType":"https://spdx.dev/Document","predicate":{{"packages":["#,
        digest.trim_start_matches("sha256:")
    );
    let most = usize::try_from(limits::LIBRARY_BYTES).unwrap() - 1024;
    let package = r#"{"name":"p","version":"1"}"#;
    let packages = vec![package; (most - begins.len()) / (package.len() + 1)].join(",");
    let envelope = stage.signer.envelope_of(format!("{begins}{packages}]}}}}").as_bytes()).to_string();
    assert!(envelope.len() as u64 > 15 * limits::MIB);
    Layer::new(DSSE, envelope.into_bytes())
}

const ATTESTED: &str = r#"
[[policy]]
name = "production"
scope = ["registry.test/**"]
[[policy.require]]
attestation = "https://spdx.dev/Document"
signed_by = { any_of = ["release"] }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a602_an_attestation_of_16_mib_is_judged_whatever_its_values_would_take_in_memory() {
    let stage = Stage::on(ATTESTED).await;
    let image = stage.unsigned("org/app", "v1");
    let layer = large_attestation(&stage, &image);
    carrier(vec![layer]).tag(&stage.upstream, "org/app", &evidence_tag(&image.digest(), ".att"));
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    assert_denied(&stage.manifest("org/app", &stage.unsigned("org/app", "v2").digest()).await);
}

/// How often a stage was gone through.
fn times(stage: &Stage, name: &str) -> u64 {
    let text = stage.gate.app().metrics.encode();
    let line = format!("pullgate_stage_seconds_count{{stage=\"{name}\"}} ");
    text.lines().find_map(|one| one.strip_prefix(line.as_str())).map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn a604_what_was_denied_is_not_verified_again_until_its_evidence_is_another() {
    let stage = Stage::with(KEYED, |setup| setup.cache("deny_ttl = \"1s\"")).await;
    let image = stage.unsigned("org/app", "v1");
    let stranger = pullgate_tests::signing::Signer::new();
    stranger.sign_at(&stage.upstream, "org/app", &image.digest());
    assert_denied(&stage.manifest("org/app", "v1").await);
    let (first, told) = (times(&stage, "verify"), codes(&stage.gate.record().await));
    stage.gate.app().memory.forget_denials();
    assert_denied(&stage.manifest("org/app", "v1").await);
    assert_eq!((times(&stage, "collect"), times(&stage, "verify")), (2, first));
    assert_eq!(codes(&stage.gate.record().await), told);
    stage.sign("org/app", &image);
    stage.gate.app().memory.forget_denials();
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
}

#[tokio::test]
async fn a611_whether_a_blob_is_a_manifest_is_remembered() {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    assert_denied(&stage.manifest("org/app", "v1").await);
    let (digest, app) = (image.digest().parse().unwrap(), stage.gate.app());
    for _ in 0..2 {
        assert_eq!(stage.gate.get(&blob("org/app", &image.digest())).await.status, 404);
        assert_eq!(app.memory.is_manifest(digest).await, Some(true));
    }
}

#[tokio::test]
async fn a612_a_deadline_that_computing_brought_about_is_not_softened() {
    let policy = KEYED.replace("scope", "on_undecided = \"insecure_permit\"\nscope");
    let stage = Stage::with(&policy, |setup| setup.verdict_wait(Duration::from_secs(30))).await;
    let (image, signed) = (Made::image(), Made::image());
    let stranger = pullgate_tests::signing::Signer::new();
    let dressed = carrier(vec![stranger.signature(&image.digest())]);
    let mut long = stranger.signature(&signed.digest());
    long.annotations["long"] = "x".repeat(limits::OFF_THREAD_BYTES).into();
    carrier(vec![long]).tag(&stage.upstream, "org/app", &evidence_tag(&signed.digest(), ".sig"));
    let all = [&image, &dressed, &signed];
    for made in all {
        made.put(&stage.upstream, "org/app");
    }
    let (busy, release) = std::sync::mpsc::sync_channel::<()>(0);
    let release = Arc::new(Mutex::new(release));
    for _ in 0..std::thread::available_parallelism().unwrap().get() {
        let (app, release) = (Arc::clone(stage.gate.app()), Arc::clone(&release));
        tokio::spawn(async move {
            let work = Work { repository: &"registry.test/org/other".parse().unwrap(), memory: 1 };
            app.compute_pool.run(work, move || release.lock().recv().is_err()).await
        });
    }
    // An image, what wears evidence, and an image whose evidence is long to read.
    let targets = all.map(|made| manifest("org/app", &made.digest()));
    let asking = targets.clone().map(|target| {
        let data = stage.gate.data;
        tokio::spawn(async move { ask(data, "GET", &target, &[]).await })
    });
    for one in asking {
        assert_undecided(&one.await.unwrap());
        assert_eq!(codes(&stage.gate.record().await), ["deadline"]);
    }
    drop(busy);
    for target in &targets {
        assert_denied(&stage.gate.get(target).await);
    }
}
