//! From start to ready when the cache is full.

use std::time::Instant;

use pullgate_tests::made::{LAYER, Layer, Made, fresh};
use tempfile::TempDir;
use tokio::task::block_in_place;

use super::{Bench, blob_of, manifest_of};
use crate::Failed;
use crate::client::ask_all;
use crate::peers;
use crate::table::{Figures, print};

const IMAGES: usize = 200;
const LAYERS: usize = 499;

/// Empty, and with 100,000 blobs that were pulled through the gate before.
pub(super) async fn measure(bench: &Bench) -> Result<(), Failed> {
    let state = TempDir::with_prefix("pullgate-bench-")?;
    let settings = peers::settings(&bench.upstream, &bench.signer).state(state.path());
    let mut columns = vec![("ms empty", Vec::new()), ("ms with 100,000 blobs", Vec::new())];
    for (_, values) in &mut columns {
        for _ in 0..bench.rounds.count {
            let begun = Instant::now();
            block_in_place(|| peers::gate_with(settings.clone(), None))?;
            values.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        let filled = state.path().join("filled");
        if !filled.exists() {
            fill(bench, &settings).await?;
            std::fs::write(filled, "")?;
        }
    }
    print("start to ready, to the next 20 ms", &[Figures { name: "pullgate".to_owned(), columns }], "nobody");
    Ok(())
}

async fn fill(bench: &Bench, settings: &pullgate_tests::clients::Settings) -> Result<(), Failed> {
    let peer = block_in_place(|| peers::gate_with(settings.clone(), None))?;
    let mut lines = Vec::new();
    for n in 0..IMAGES {
        let layers = (0..LAYERS).map(|_| Layer::new(LAYER, fresh().into_bytes())).collect();
        let image = bench.signed(&format!("full{n}"), Made::image_of(layers));
        lines.push(format!("GET {}", manifest_of(&image.digest())));
        for blob in &image.blobs {
            lines.push(format!("GET {}", blob_of(&pullgate_tests::clients::content::sha256(blob))));
        }
    }
    ask_all(peer.plain, &lines).await?;
    Ok(())
}
