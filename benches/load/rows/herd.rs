//! A thousand clients at once for an image that nobody has.

use std::net::SocketAddr;

use pullgate_tests::made::{Made, fresh};
use pullgate_tests::upstream::{Fault, When};
use tokio::task::block_in_place;

use super::{AWAY, Bench, blob_of, figures, manifest_of, push};
use crate::Failed;
use crate::client::{Asking, ask};
use crate::peers;
use crate::table::print;

/// The last of them, beside one alone.
pub(super) async fn measure(bench: &Bench) -> Result<(), Failed> {
    let peers = [block_in_place(|| peers::gate(&bench.upstream, &bench.signer, None))?];
    let columns = [
        "ms alone",
        "ms the last of 1,000",
        "of that the manifest",
        "config",
        "layer",
        "upstream requests alone",
        "of 1,000",
    ];
    let mut all = figures(&peers, &columns);
    let [peer] = &peers;
    for _ in 0..bench.rounds.count {
        let ([a, b, c], requests_alone) = pull(bench, peer.plain, 1).await?;
        let ([manifest, config, layer], requests) = pull(bench, peer.plain, 1_000).await?;
        if let Some(figures) = all.first_mut() {
            let last = manifest + config + layer;
            push(figures, [a + b + c, last, manifest, config, layer, requests_alone, requests]);
        }
    }
    print("1,000 clients at once: manifest, config, layer; upstream 20 ms away", &all, "nobody");
    Ok(())
}

/// Milliseconds until the last has each of manifest, config and layer, and how often the upstream was asked.
async fn pull(bench: &Bench, address: SocketAddr, connections: usize) -> Result<([f64; 3], f64), Failed> {
    let tag = fresh();
    let image = bench.signed(&tag, Made::image_of_bytes(64 * 1024));
    bench.upstream.forget();
    bench.upstream.fail(When::on(""), Fault::Delay(AWAY));
    let mut took = [0.0; 3];
    let paths = [manifest_of(&tag), blob_of(&image.config()), blob_of(&image.layer())];
    for (took, path) in took.iter_mut().zip(paths) {
        let asking = Asking { connections, ..Asking::once(address, format!("GET {path}")) };
        *took = ask(&asking).await?.took * 1e3;
    }
    bench.upstream.heal();
    Ok((took, bench.upstream.seen().len() as f64))
}
