//! Denied content fills no disk.

use serde_json::json;

use super::*;
use crate::stage::assert_denied;
use pullgate_tests::made::{CONFIG, LAYER, Layer};

/// An unsigned manifest of about so many bytes.
fn unsigned(length: usize) -> Made {
    let more = json!({ "annotations": { "x": "y".repeat(length), "n": pullgate_tests::made::fresh() } });
    Made::manifest((CONFIG, b"{}".to_vec()), vec![Layer::new(LAYER, b"l".to_vec())], more)
}

fn bytes_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => bytes_below(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a607_manifests_that_are_denied_fill_no_disk_and_cost_no_good_pull() {
    if !can_mount() {
        return;
    }
    const MIB: u64 = 1024 * 1024;
    let disk = Disk::new(60 * 1024);
    let stage = Stage::with(|settings| settings.state(disk.path())).await;
    let good = stage.signed("good");
    assert_serves(&stage.get(&manifest("org/app", "good")).await, &good);
    for (length, count) in [(4_000_000, 14), (200_000, 10), (3_000, 50)] {
        for n in 0..count {
            let tag = format!("evil-{length}-{n}");
            unsigned(length).tag(&stage.upstream, "org/app", &tag);
            assert_denied(&stage.get(&manifest("org/app", &tag)).await);
            // A quarter of a small disk is left to databases and log.
            assert!(bytes_below(disk.path()) < 52 * MIB, "{tag}: {}", bytes_below(disk.path()));
        }
    }
    assert!(bytes_below(&disk.path().join("unproven")) > MIB, "what fits is kept");
    stage.assert_judges("after").await;
    assert!(!stage.admin("/readyz").await.contains("\"store\""));
    let metrics = stage.admin("/metrics").await;
    assert!(metrics.contains("pullgate_store_writes_lost_total 0"), "{metrics}");
    // What was permitted before is still there.
    let kept = disk.path().join("documents/sha256").join(&good.hex()[..2]).join(good.hex());
    assert_eq!(fs::read(kept).unwrap(), good.bytes);
}
