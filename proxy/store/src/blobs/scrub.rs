//! A slow look at everything that is kept.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use pullgate_policy::oci::{Digest, Hasher};

use super::kept::{BlobFiles, unchanged};
use crate::limits::SCRUB_BYTES;

/// Hashes each kept blob once, with a pause after each piece; a blob that does not match its name is removed.
pub(super) async fn pass(kept: &Arc<BlobFiles>, pause: Duration) {
    for digest in kept.digests() {
        if let Err(error) = one(kept, digest, pause).await {
            tracing::warn!(%digest, %error, "a kept blob cannot be read");
        }
    }
}

async fn one(kept: &Arc<BlobFiles>, digest: Digest, pause: Duration) -> io::Result<()> {
    let opening = Arc::clone(kept);
    let opened = tokio::task::spawn_blocking(move || opening.look(&digest)).await;
    let Some((file, stamp, _reading)) = opened.map_err(io::Error::other)? else { return Ok(()) };
    let (file, mut hasher, mut at) = (Arc::new(file), Hasher::like(&digest), 0);
    loop {
        let (reading, read) = (Arc::clone(&file), at);
        let piece = tokio::task::spawn_blocking(move || piece(&reading, hasher, read)).await;
        let (next, length) = piece.map_err(io::Error::other)??;
        hasher = next;
        if length == 0 {
            break;
        }
        at += length;
        tokio::time::sleep(pause).await;
    }
    // A file that was changed meanwhile is looked at in the next pass.
    if hasher.finish() == digest || !unchanged(&file, &stamp) {
        return Ok(());
    }
    tracing::warn!(%digest, "a kept blob is rotten and is removed");
    kept.discard(&digest, &stamp);
    Ok(())
}

fn piece(file: &File, mut hasher: Hasher, at: u64) -> io::Result<(Hasher, u64)> {
    let mut chunk = vec![0; SCRUB_BYTES];
    let read = file.read_at(&mut chunk, at)?;
    hasher.update(chunk.get(..read).unwrap_or_default());
    Ok((hasher, read as u64))
}
