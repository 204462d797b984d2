//! Warm blobs: the whole blob is in the cache and has been verified.

use pullgate_tests::made::Made;
use tokio::task::block_in_place;

use super::{Bench, blob_of, figures, manifest_of, push};
use crate::client::{Asking, ask};
use crate::peers;
use crate::table::print;
use crate::{Failed, process};

const BYTES: usize = 256 << 20;

/// 1 and 8 clients, in the clear and under TLS.
pub(super) async fn measure(bench: &Bench) -> Result<(), Failed> {
    let image = bench.signed("large", Made::image_of_bytes(BYTES));
    for (under, tls) in [("in the clear", None), ("under TLS 1.3", Some(&bench.tls))] {
        let mut peers = block_in_place(|| {
            Ok::<_, Failed>(vec![
                peers::gate(&bench.upstream, &bench.signer, tls)?,
                peers::nginx(&[("large", &image)], &bench.tls)?,
            ])
        })?;
        if tls.is_none() {
            peers.push(block_in_place(|| peers::nginx_proxy(&bench.upstream))?);
        }
        for connections in [1, 8] {
            let mut all = figures(&peers, &["GiB/s", "CPU s/GiB"]);
            // The first round fills the cache.
            for round in 0..=bench.rounds.count {
                for (peer, figures) in peers.iter().zip(&mut all) {
                    let address = if tls.is_some() { peer.tls.ok_or("no TLS")? } else { peer.plain };
                    let head = format!("GET {}", manifest_of("large"));
                    let once =
                        Asking { tls: tls.map(|tls| tls.client.clone()), ..Asking::once(address, head) };
                    ask(&once).await?;
                    let before = process::cpu(peer.pid);
                    let line = format!("GET {}", blob_of(&image.layer()));
                    let answers = ask(&Asking { line, connections, ..once }).await?;
                    let gib = answers.bytes as f64 / (1_u64 << 30) as f64;
                    let cpu = process::cpu(peer.pid) - before;
                    if round > 0 {
                        push(figures, [gib / answers.took, cpu / gib]);
                    }
                }
            }
            print(&format!("warm blob of 256 MiB {under}, {connections} clients"), &all, "nginx");
        }
    }
    Ok(())
}
