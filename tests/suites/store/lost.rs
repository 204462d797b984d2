//! Lost grants: a pull under way gets "unknown", and the next manifest mends it (A603). Where nothing
//! was lost a blob without a grant is denied as ever.

use std::time::Duration;

use pullgate::clock::Clock;
use pullgate::store::limits::LOST_FOR;
use pullgate_tests::asking::{Answer, ask};
use pullgate_tests::clients::{Gate, Settings};
use pullgate_tests::made::Made;
use pullgate_tests::signing::Signer;
use pullgate_tests::upstream::Upstream;
use tempfile::TempDir;

use crate::stage::{
    KEYED, RELEASE, Stage, assert_denied, assert_serves, assert_undecided, blob, codes, manifest,
};

/// What takes the grants of a gate that has stopped.
#[derive(Debug, Clone, Copy)]
enum Taken {
    Corruption,
    Removal,
    SealKey,
}

impl Taken {
    fn take(self, stage: &Stage) {
        match self {
            Self::Corruption => stage.gate.write("state/cache.db", b"garbage".repeat(2_000)),
            Self::Removal => std::fs::remove_file(stage.gate.path("state/cache.db")).unwrap(),
            Self::SealKey => stage.gate.write("state/seal.key", [7; 32]),
        }
    }
}

const WAYS: [Taken; 3] = [Taken::Corruption, Taken::Removal, Taken::SealKey];

#[tokio::test]
async fn a603_lost_grants_are_unknown_and_mended_by_the_next_manifest() {
    for way in WAYS {
        let mut stage = Stage::new().await;
        let index = Made::index(vec![Made::image()]);
        index.tag(&stage.upstream, "org/app", "v1");
        stage.sign("org/app", &index);
        let (child, bad) = (&index.children[0], stage.unsigned("org/app", "bad"));
        child.tag(&stage.upstream, "org/app", "v1-amd64");
        assert_serves(&stage.manifest("org/app", "v1").await, &index);
        assert_serves(&stage.manifest("org/app", "v1-amd64").await, child);
        assert_serves(&stage.manifest("org/app", &child.digest()).await, child);
        stage.gate.stop().await;
        way.take(&stage);
        stage.gate.start_again().await;
        for answer in [
            stage.blob("org/app", &child.layer()).await,
            stage.manifest("org/app", &child.digest()).await,
            stage.manifest("org/app", "v1-amd64").await,
            stage.gate.head(&manifest("org/app", &child.digest())).await,
        ] {
            assert_eq!(answer.status, 503, "{way:?}");
            assert_eq!(codes(&stage.gate.record().await), ["storage"], "{way:?}");
        }
        assert!(
            stage.gate.admin("/readyz").await.body.windows(8).any(|word| word == b"\"grants\""),
            "{way:?}"
        );
        // Nothing else is served for it, and absent is absent.
        assert_undecided(&stage.blob("org/app", &bad.layer()).await);
        assert_undecided(&stage.manifest("org/app", "bad").await);
        assert_eq!(stage.manifest("org/app", "none").await.status, 404);
        assert_eq!(stage.blob("org/app", &format!("sha256:{:064x}", 1)).await.status, 404);
        assert_eq!(stage.gate.head(&manifest("org/app", "v1")).await.status, 200, "{way:?}");
        assert_serves(&stage.manifest("org/app", &child.digest()).await, child);
        assert_serves(&stage.manifest("org/app", "v1-amd64").await, child);
        assert_eq!(stage.blob("org/app", &child.layer()).await.status, 200, "{way:?}");
    }
}

#[tokio::test]
async fn a603_after_a_while_what_was_lost_is_denied_again() {
    // Under a key that is not the one of the rows each process loses what the one before has given (A618).
    for way in [Taken::Corruption, Taken::Removal] {
        let mut stage = Stage::new().await;
        let image = stage.signed("org/app", "v1");
        stage.unsigned("org/app", "bad");
        assert_serves(&stage.manifest("org/app", "v1").await, &image);
        stage.gate.stop().await;
        way.take(&stage);
        stage.gate.start_again().await;
        assert_undecided(&stage.blob("org/app", &image.layer()).await);
        // It is noted when that was, for the processes after this one.
        stage.gate.stop().await;
        let noted = stage.gate.path("state/cache.lost");
        let at: i64 = std::fs::read_to_string(&noted).unwrap().parse().unwrap();
        let whole = i64::try_from(LOST_FOR.as_millis()).unwrap();
        for (age, denied) in [(0, false), (whole, true)] {
            std::fs::write(&noted, (at - age).to_string()).unwrap();
            stage.gate.start_again().await;
            for answer in
                [stage.blob("org/app", &image.layer()).await, stage.manifest("org/app", "bad").await]
            {
                if denied { assert_denied(&answer) } else { assert_undecided(&answer) }
            }
            stage.gate.stop().await;
        }
        stage.gate.start_again().await;
        assert_serves(&stage.manifest("org/app", "v1").await, &image);
        assert_eq!(stage.blob("org/app", &image.layer()).await.status, 200);
    }
}

#[tokio::test]
async fn a603_where_nothing_was_lost_a_blob_without_a_grant_is_denied() {
    let mut stage = Stage::at(&Clock::system(), KEYED).await;
    let bad = stage.unsigned("org/app", "bad");
    for _ in 0..2 {
        assert_denied(&stage.blob("org/app", &bad.layer()).await);
        assert_denied(&stage.manifest("org/app", &bad.digest()).await);
        assert_eq!(stage.gate.admin("/readyz").await.status, 200);
        stage.gate.restart().await;
    }
}

/// A gate of its own process, on this folder.
async fn gate(folder: &TempDir, upstream: &Upstream, signer: &Signer) -> Gate {
    let settings = Settings::new(&format!("{RELEASE}{KEYED}"))
        .listen("default_registry = \"registry.test\"")
        .upstream("registry.test", "alias.test", &upstream.address().to_string())
        .text("release.pub", &signer.public_pem())
        .state(folder.path());
    tokio::task::spawn_blocking(move || Gate::start(&settings)).await.unwrap().unwrap()
}

async fn get(gate: &Gate, target: &str) -> Answer {
    ask(gate.address().parse().unwrap(), "GET", target, &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a603_a_gate_killed_right_after_a_manifest_knows_its_grants_and_evidence() {
    let (upstream, signer) = (Upstream::start().await.unwrap(), Signer::new());
    let folder = TempDir::with_prefix("pullgate-state-").unwrap();
    for n in 0..5 {
        let image = Made::image();
        image.tag(&upstream, "org/app", &format!("v{n}"));
        let evidence = signer.sign_at(&upstream, "org/app", &image.digest());
        let bad = Made::image();
        bad.put(&upstream, "org/app");
        let mut running = gate(&folder, &upstream, &signer).await;
        assert_serves(&get(&running, &manifest("org/app", &image.digest())).await, &image);
        assert_serves(&get(&running, &manifest("org/app", &evidence.digest())).await, &evidence);
        running.signal("KILL").unwrap();
        running.wait_end(Duration::from_secs(60)).unwrap();
        let running = gate(&folder, &upstream, &signer).await;
        assert_eq!(get(&running, &blob("org/app", &image.layer())).await.status, 200, "{n}");
        assert_eq!(get(&running, &blob("org/app", &evidence.layer())).await.status, 200, "{n}");
        assert_denied(&get(&running, &blob("org/app", &bad.layer())).await);
    }
}
