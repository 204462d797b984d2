//! Memory that is the gate's own: what it shares with files is the kernel's to take back.

use std::time::Duration;

use pullgate_tests::made::Made;
use tokio::task::block_in_place;

use super::{Bench, blob_of, manifest_of};
use crate::client::{Asking, ask};
use crate::peers;
use crate::table::{Figures, print};
use crate::{Failed, process};

/// Idle, and with 1,000 connections each in a blob.
pub(super) async fn measure(bench: &Bench) -> Result<(), Failed> {
    let peer = block_in_place(|| peers::gate(&bench.upstream, &bench.signer, None))?;
    let idle = process::memory(peer.pid) as f64 / 1024.0;
    let image = bench.signed("wide", Made::image_of_bytes(8 << 20));
    ask(&Asking::once(peer.plain, format!("GET {}", manifest_of("wide")))).await?;
    let once = Asking::once(peer.plain, format!("GET {}", blob_of(&image.layer())));
    ask(&once).await?;
    let asking = Asking { connections: 1_000, ..once };
    let task = tokio::spawn(async move { ask(&asking).await.map(|answers| answers.bytes) });
    let mut most = 0.0_f64;
    while !task.is_finished() {
        most = most.max(process::memory(peer.pid) as f64 / 1024.0);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    task.await??;
    let columns = vec![("MiB idle", vec![idle]), ("MiB with 1,000 in a blob of 8 MiB", vec![most])];
    let figures = [Figures { name: peer.name.clone(), columns }];
    print("memory that is the gate's own (RssAnon)", &figures, "nobody");
    Ok(())
}
