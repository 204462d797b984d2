//! Warm manifests: the gate has the verdict, the grant and the bytes, and writes an audit record for each answer.

use pullgate_tests::made::Made;
use tokio::task::block_in_place;

use super::{Bench, figures, manifest_of, push};
use crate::client::{Asking, Until, ask};
use crate::peers::{self, Peer};
use crate::table::{Figures, print};
use crate::{Failed, process};

const COLUMNS: [&str; 3] = ["requests/s", "µs CPU/request", "p99 ms"];

/// By tag, by digest and HEAD, 64 connections.
pub(super) async fn measure(bench: &Bench) -> Result<(), Failed> {
    let image = bench.signed("v1", Made::image());
    let peers = peers(bench, &image)?;
    for (title, line) in [
        ("warm manifest by tag, 64 connections", format!("GET {}", manifest_of("v1"))),
        ("warm manifest by digest, 64 connections", format!("GET {}", manifest_of(&image.digest()))),
        ("warm manifest, HEAD by tag, 64 connections", format!("HEAD {}", manifest_of("v1"))),
    ] {
        print(title, &rounds(bench, &peers, &line, 64).await?, "nginx");
    }
    Ok(())
}

/// By digest, with more and more connections.
pub(super) async fn growth(bench: &Bench) -> Result<(), Failed> {
    let image = bench.signed("v1", Made::image());
    let mut peers = peers(bench, &image)?;
    peers.truncate(3);
    for connections in [1, 10, 100, 1_000] {
        let line = format!("GET {}", manifest_of(&image.digest()));
        let all = rounds(bench, &peers, &line, connections).await?;
        print(&format!("warm manifest by digest, {connections} connections"), &all, "nginx");
    }
    Ok(())
}

fn peers(bench: &Bench, image: &Made) -> Result<Vec<Peer>, Failed> {
    block_in_place(|| {
        Ok(vec![
            peers::gate(&bench.upstream, &bench.signer, None)?,
            peers::nginx(&[("v1", image)], &bench.tls)?,
            peers::bare(image)?,
            peers::nginx_proxy(&bench.upstream)?,
            peers::mirror(&bench.upstream)?,
        ])
    })
}

async fn rounds(
    bench: &Bench,
    peers: &[Peer],
    line: &str,
    connections: usize,
) -> Result<Vec<Figures>, Failed> {
    let mut all = figures(peers, &COLUMNS);
    for _ in 0..bench.rounds.count {
        for (peer, figures) in peers.iter().zip(&mut all) {
            let once = Asking::once(peer.plain, line.to_owned());
            ask(&once).await?;
            let before = process::cpu(peer.pid);
            let answers = ask(&Asking { connections, until: Until::Time(bench.rounds.span), ..once }).await?;
            let cpu = process::cpu(peer.pid) - before;
            let each = cpu * 1e6 / answers.seconds.len() as f64;
            push(figures, [answers.rate(), each, answers.percentile(99) * 1e3]);
        }
    }
    Ok(all)
}
