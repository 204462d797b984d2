//! How much is kept.

use std::time::Instant;

use pullgate_tests::made::Made;
use pullgate_tests::waiting::PATIENCE;

use super::content::{MIB, permitted};
use crate::stage::{KEYED, Stage, blob};

#[tokio::test]
async fn another_blobs_max_counts_from_its_reload_on() {
    let stage = Stage::with(KEYED, |setup| setup.cache("blobs_max = \"4MiB\"")).await;
    let mut images = Vec::new();
    for more in 0..3 {
        images.push(permitted(&stage, MIB + more).await);
    }
    let fetch = async |image: &Made| {
        let target = blob("org/app", &image.layer());
        assert_eq!(stage.gate.get(&target).await.status, 200);
        let digest = image.layer().parse().unwrap();
        let begun = Instant::now();
        while !stage.gate.app().store.blobs().is_kept(digest).await {
            assert!(begun.elapsed() < PATIENCE, "it is kept");
        }
        stage.upstream.count(&format!("GET {target}"))
    };
    for image in &images {
        assert_eq!(fetch(image).await, 1);
    }
    assert!(stage.gate.app().store.blobs().used() > 3 * MIB as u64);
    let text = std::fs::read_to_string(stage.gate.path("pullgate.toml")).unwrap();
    stage.gate.write("pullgate.toml", text.replace("4MiB", "2200KiB"));
    // What is being read goes later: a transfer can be joined for a moment after its end.
    let begun = Instant::now();
    while stage.gate.app().store.blobs().used() > 2200 << 10 {
        assert!(begun.elapsed() < PATIENCE, "what was used longest ago goes");
        stage.reload(KEYED).await;
    }
    assert_eq!(fetch(&images[2]).await, 1, "what was used last is here");
    assert_eq!(fetch(&images[0]).await, 2);
    stage.gate.write("pullgate.toml", &text);
    stage.reload(KEYED).await;
    assert_eq!((fetch(&images[1]).await, fetch(&images[1]).await), (2, 2), "there is room again");
    assert_eq!((fetch(&images[0]).await, fetch(&images[2]).await), (2, 1));
}
