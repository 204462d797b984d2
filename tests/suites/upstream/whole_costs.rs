//! Claims about cost in their whole width: whatever else than a name a client can vary.

use std::path::Path;

use pullgate_tests::asking::ask;
use pullgate_tests::made::{MANIFEST, Made};

use crate::process::memory::memory;
use crate::process::signals::Stage;
use crate::stage::{assert_serves, manifest};

/// Bytes of what a database keeps.
fn kept(state: &Path) -> u64 {
    let files = std::fs::read_dir(state).unwrap().flatten();
    let of_the_store = files.filter(|file| file.file_name().to_string_lossy().starts_with("cache.db"));
    of_the_store.map(|file| file.metadata().map_or(0, |meta| meta.len())).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a059_lists_of_types_that_nobody_else_accepts_fill_neither_memory_nor_disk() {
    const LISTS: usize = 400;
    const LENGTH: usize = 30_000;
    let state = tempfile::tempdir().unwrap();
    let stage = Stage::with(|settings| settings.state(state.path())).await;
    let image = stage.signed("v1", Made::image());
    let ask_with = |n: usize| {
        let (address, image) = (stage.data(), &image);
        async move {
            let accept = format!("{MANIFEST}, application/x{}-{n}", "a".repeat(LENGTH));
            let answer = ask(address, "GET", &manifest("org/app", "v1"), &[("accept", &accept)]).await;
            assert_serves(&answer, image);
        }
    };
    for n in 0..50 {
        ask_with(n).await;
    }
    let (before, on_disk) = (memory(stage.gate.pid(), "VmRSS:"), kept(state.path()));
    for n in 50..50 + LISTS {
        ask_with(n).await;
    }
    let most = (LISTS * LENGTH / 2) as u64;
    let grown = memory(stage.gate.pid(), "VmRSS:").saturating_sub(before);
    assert!(grown < most, "{grown} bytes of memory");
    let grown = kept(state.path()).saturating_sub(on_disk);
    assert!(grown < most, "{grown} bytes on the disk");
}
