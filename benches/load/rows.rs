//! The measurements.

mod blob;
mod cold;
mod herd;
mod images;
mod manifest;
mod memory;
mod start;

use std::time::Duration;

use pullgate_tests::made::Made;
use pullgate_tests::signing::Signer;
use pullgate_tests::upstream::Upstream;

use crate::Failed;
use crate::peers::{Peer, REPOSITORY, Tls};
use crate::table::Figures;

/// Every row and what it is.
pub(crate) const ROWS: [(&str, &str); 8] = [
    ("manifest", "a warm manifest by tag, by digest and HEAD, 64 connections"),
    ("growth", "a warm manifest by digest, 1 to 1,000 connections"),
    ("blob", "a warm blob of 256 MiB, 1 and 8 clients, in the clear and under TLS"),
    ("cold", "a small image with keyless evidence that nobody has, its upstream 20 ms away"),
    ("herd", "1,000 clients at once for an image that nobody has"),
    ("images", "1 to 10,000 distinct images, their verdicts warm (--images for more)"),
    ("memory", "memory of the gate: idle, and with 1,000 connections each in a blob"),
    ("start", "from start to ready with a cache of 100,000 blobs"),
];

/// How far away an upstream is that is not here: each of its answers waits so long.
const AWAY: Duration = Duration::from_millis(20);

/// How often and how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rounds {
    pub(crate) count: usize,
    pub(crate) span: Duration,
    pub(crate) images: usize,
}

/// What every row needs.
struct Bench {
    upstream: Upstream,
    signer: Signer,
    tls: Tls,
    rounds: Rounds,
}

/// Measures the rows that are wanted.
pub(crate) async fn measure(wanted: impl Fn(&str) -> bool, rounds: Rounds) -> Result<(), Failed> {
    let bench = Bench { upstream: Upstream::start().await?, signer: Signer::new(), tls: Tls::new()?, rounds };
    for (name, _) in ROWS {
        if !wanted(name) {
            continue;
        }
        match name {
            "manifest" => manifest::measure(&bench).await?,
            "growth" => manifest::growth(&bench).await?,
            "blob" => blob::measure(&bench).await?,
            "cold" => cold::measure(&bench).await?,
            "herd" => herd::measure(&bench).await?,
            "images" => images::measure(&bench).await?,
            "memory" => memory::measure(&bench).await?,
            _ => start::measure(&bench).await?,
        }
    }
    Ok(())
}

impl Bench {
    /// The image under a tag of the upstream, signed.
    fn signed(&self, tag: &str, image: Made) -> Made {
        image.tag(&self.upstream, REPOSITORY, tag);
        self.signer.sign_at(&self.upstream, REPOSITORY, &image.digest());
        image
    }
}

fn figures(peers: &[Peer], columns: &[&'static str]) -> Vec<Figures> {
    let columns: Vec<_> = columns.iter().map(|name| (*name, Vec::new())).collect();
    peers.iter().map(|peer| Figures { name: peer.name.clone(), columns: columns.clone() }).collect()
}

fn push<const N: usize>(figures: &mut Figures, values: [f64; N]) {
    for ((_, column), value) in figures.columns.iter_mut().zip(values) {
        column.push(value);
    }
}

pub(crate) fn manifest_of(reference: &str) -> String {
    format!("/v2/{REPOSITORY}/manifests/{reference}")
}

fn blob_of(digest: &str) -> String {
    format!("/v2/{REPOSITORY}/blobs/{digest}")
}
