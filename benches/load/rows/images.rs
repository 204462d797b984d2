//! Many distinct images whose verdicts are warm: the whole answer as its client sees it, one after the other.

use pullgate_tests::made::Made;
use tokio::task::block_in_place;

use super::Bench;
use crate::client::ask_all;
use crate::peers;
use crate::table::{Figures, print};
use crate::{Failed, process};

/// The whole answer's p99, and the memory for each image.
pub(super) async fn measure(bench: &Bench) -> Result<(), Failed> {
    let mut counts = vec![1, 100, 10_000];
    counts.retain(|count| *count <= bench.rounds.images);
    if counts.last() != Some(&bench.rounds.images) {
        counts.push(bench.rounds.images);
    }
    let mut all = Vec::new();
    for count in counts {
        let lines: Vec<String> = (0..count)
            .map(|n| {
                // The upstream in this process looks through all of a repository for what refers to an image.
                let (image, repository) = (Made::image(), format!("org/app{}", n / 50));
                image.tag(&bench.upstream, &repository, &format!("n{n}"));
                bench.signer.sign_at(&bench.upstream, &repository, &image.digest());
                format!("GET /v2/{repository}/manifests/{}", image.digest())
            })
            .collect();
        let peer = block_in_place(|| peers::gate(&bench.upstream, &bench.signer, None))?;
        let empty = process::memory(peer.pid);
        let cold = ask_all(peer.plain, &lines).await?;
        let full = process::memory(peer.pid);
        let (mut p50, mut p99) = (Vec::new(), Vec::new());
        for _ in 0..bench.rounds.count {
            let warm = ask_all(peer.plain, &lines).await?;
            p50.push(warm.percentile(50) * 1e6);
            p99.push(warm.percentile(99) * 1e6);
        }
        let each = full.saturating_sub(empty) as f64 / count as f64;
        let columns = vec![
            ("ms cold", vec![cold.percentile(50) * 1e3]),
            ("µs warm p50", p50),
            ("µs warm p99", p99),
            ("KiB/image", vec![each]),
        ];
        all.push(Figures { name: format!("{count} images"), columns });
    }
    print("distinct images by digest, one connection: the answer to its end", &all, "nobody");
    Ok(())
}
