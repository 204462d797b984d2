//! A thousand clients at once for an image that no cache has.

use std::net::SocketAddr;
use std::time::Instant;

use pullgate_tests::made::{Made, fresh};
use pullgate_tests::upstream::{Fault, When};
use tokio::task::{JoinSet, block_in_place};

use super::{AWAY, Bench, blob_of, figures, manifest_of, push};
use crate::Failed;
use crate::client::ask_all;
use crate::peers;
use crate::table::print;

/// The last of them, beside one alone, and beside as many clients of what is there already: what their connections and the
/// transfer cost by themselves.
pub(super) async fn measure(bench: &Bench) -> Result<(), Failed> {
    let peers = [block_in_place(|| peers::gate(&bench.upstream, &bench.signer, None))?];
    let columns = [
        "ms alone",
        "ms the last of 1,000",
        "of 1,000 once it is there",
        "beyond that, of alone",
        "upstream requests alone",
        "of 1,000",
    ];
    let mut all = figures(&peers, &columns);
    let [peer] = &peers;
    for _ in 0..bench.rounds.count {
        let ([alone, _], requests_alone) = pull(bench, peer.plain, 1).await?;
        let ([last, warm], requests) = pull(bench, peer.plain, 1_000).await?;
        if let Some(figures) = all.first_mut() {
            push(figures, [alone, last, warm, (last - warm) / alone, requests_alone, requests]);
        }
    }
    print("1,000 clients at once: manifest, config, layer; upstream 20 ms away", &all, "nobody");
    Ok(())
}

/// Milliseconds until the last client has manifest, config and layer, each over one connection, and the same once more; and
/// how often the upstream was asked.
async fn pull(bench: &Bench, address: SocketAddr, clients: usize) -> Result<([f64; 2], f64), Failed> {
    let tag = fresh();
    let image = bench.signed(&tag, Made::image_of_bytes(64 * 1024));
    bench.upstream.forget();
    bench.upstream.fail(When::on(""), Fault::Delay(AWAY));
    let paths = [manifest_of(&tag), blob_of(&image.config()), blob_of(&image.layer())];
    let lines: Vec<_> = paths.iter().map(|path| format!("GET {path}")).collect();
    let mut took = [0.0; 2];
    for took in &mut took {
        let begun = Instant::now();
        let mut pulls = JoinSet::new();
        for _ in 0..clients {
            let lines = lines.clone();
            pulls.spawn(async move { ask_all(address, &lines).await });
        }
        while let Some(pulled) = pulls.join_next().await {
            pulled??;
        }
        *took = begun.elapsed().as_secs_f64() * 1e3;
    }
    bench.upstream.heal();
    Ok((took, bench.upstream.seen().len() as f64))
}
