//! A blob across broken connections: the rest is fetched by range, and the bytes continue where they ended. The range is not
//! trusted: the whole blob is hashed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use pullgate_policy::limits;
use pullgate_policy::oci::{Digest, Repository};

use crate::fault::Fault;
use crate::registry::{BlobBody, Upstream};

/// The wait before the first try; before each further one it is twice as long.
const PAUSE: Duration = Duration::from_millis(100);

type Pieces = BoxStream<'static, Result<Bytes, Fault>>;

struct Resumed {
    upstream: Arc<Upstream>,
    repository: Repository,
    digest: Digest,
    length: u64,
    got: u64,
    tries: u32,
    pieces: Option<Pieces>,
}

/// The same blob, which goes on after a break: where its length is known, and at most `blob_resumes` times.
pub fn resumed(
    upstream: &Arc<Upstream>,
    repository: &Repository,
    digest: &Digest,
    body: BlobBody,
) -> BlobBody {
    let Some(length) = body.length else { return body };
    let resumed = Resumed {
        upstream: Arc::clone(upstream),
        repository: repository.clone(),
        digest: *digest,
        length,
        got: 0,
        tries: 0,
        pieces: Some(body.stream),
    };
    let stream = stream::unfold(resumed, |mut resumed| async move {
        let piece = resumed.next().await?;
        Some((piece, resumed))
    });
    BlobBody { length: Some(length), stream: stream.boxed() }
}

impl Resumed {
    async fn next(&mut self) -> Option<Result<Bytes, Fault>> {
        loop {
            let broke = match self.pieces.as_mut()?.next().await {
                Some(Ok(piece)) => {
                    self.got = self.got.saturating_add(piece.len() as u64);
                    return Some(Ok(piece));
                }
                None if self.got >= self.length => return None,
                None => Fault::Integrity,
                Some(Err(fault)) => fault,
            };
            self.pieces = None;
            match self.go_on(broke).await {
                Ok(pieces) => self.pieces = Some(pieces),
                Err(fault) => return Some(Err(fault)),
            }
        }
    }

    /// Asks for the rest, after a break that says nothing about the content.
    async fn go_on(&mut self, mut broke: Fault) -> Result<Pieces, Fault> {
        while is_a_break(&broke) && self.got < self.length && self.tries < limits::BLOB_RESUMES {
            tokio::time::sleep(PAUSE.saturating_mul(1 << self.tries)).await;
            self.tries += 1;
            tracing::debug!(digest = %self.digest, from = self.got, fault = %broke, "a blob's transfer broke and goes on");
            match self.upstream.blob_from(&self.repository, &self.digest, (self.got, self.length)).await {
                Ok(pieces) => return Ok(pieces),
                Err(fault) => broke = fault,
            }
        }
        Err(broke)
    }
}

fn is_a_break(fault: &Fault) -> bool {
    match fault {
        Fault::Integrity | Fault::Status(_) | Fault::Timeout | Fault::Unreachable => true,
        Fault::Encoding
        | Fault::Internal
        | Fault::NotFound
        | Fault::NotShown
        | Fault::Protocol
        | Fault::RealmRefused
        | Fault::RedirectRefused
        | Fault::Tls
        | Fault::Overload
        | Fault::TooLarge
        | Fault::Unauthorized => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_something_about_the_content_is_no_break() {
        assert!(
            [Fault::Integrity, Fault::Timeout, Fault::Unreachable, Fault::Status(503)].iter().all(is_a_break)
        );
        assert!(
            ![Fault::NotFound, Fault::Unauthorized, Fault::Encoding, Fault::Protocol].iter().any(is_a_break)
        );
    }
}
