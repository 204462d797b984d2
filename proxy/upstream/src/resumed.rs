//! A blob across broken connections: the rest is fetched by range, and the bytes continue where they ended. The range is not
//! trusted: the whole blob is hashed.

use std::sync::Arc;
use std::time::Duration;

use crate::limits;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use pullgate_policy::oci::{Digest, Repository};

use crate::fault::Fault;
use crate::registry::{BlobBody, Upstream};
use crate::rest_of_blob::{Form, NoRest, Pieces, Rest};

/// The wait before the first try; before each further one it is twice as long.
const PAUSE: Duration = Duration::from_millis(100);

struct Resumed {
    upstream: Arc<Upstream>,
    repository: Repository,
    digest: Digest,
    length: u64,
    got: u64,
    /// Bytes since the last break.
    since: u64,
    /// Breaks without progress.
    tries: u32,
    ranges: Ranges,
    now: Option<Rest>,
}

/// Whether the upstream gives ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ranges {
    /// It did, or was not asked yet.
    Given,
    /// It did not, and has sent the whole once.
    Refused,
}

/// The same blob, which goes on after a break: as long as each connection makes progress, and `blob_resumes` times
/// where it does not. `size` is the manifest's, for an upstream that announces no length.
pub fn resumed(
    upstream: &Arc<Upstream>,
    repository: &Repository,
    digest: &Digest,
    (body, size): (BlobBody, u64),
) -> BlobBody {
    let length = body.length.unwrap_or(size);
    let mut resumed = Resumed::new(upstream, repository, digest, (0, length));
    resumed.now = Some(Rest { pieces: body.stream, end: length, form: Form::Part });
    BlobBody { length: body.length, stream: resumed.pieces() }
}

/// The rest of a blob from this byte on, of which the others are here; it goes on in the same way.
///
/// # Errors
/// [`Fault`].
pub async fn blob_from(
    upstream: &Arc<Upstream>,
    repository: &Repository,
    digest: &Digest,
    (from, length): (u64, u64),
) -> Result<BlobBody, Fault> {
    let mut resumed = Resumed::new(upstream, repository, digest, (from, length));
    let rest = resumed.rest().await?;
    resumed.now = Some(rest);
    Ok(BlobBody { length: Some(length), stream: resumed.pieces() })
}

impl Resumed {
    fn new(
        upstream: &Arc<Upstream>,
        repository: &Repository,
        digest: &Digest,
        (got, length): (u64, u64),
    ) -> Self {
        Self {
            upstream: Arc::clone(upstream),
            repository: repository.clone(),
            digest: *digest,
            length,
            got,
            since: 0,
            tries: 0,
            ranges: Ranges::Given,
            now: None,
        }
    }

    fn pieces(self) -> Pieces {
        let next = |mut resumed: Self| async move {
            let piece = resumed.next().await?;
            Some((piece, resumed))
        };
        stream::unfold(self, next).boxed()
    }

    async fn next(&mut self) -> Option<Result<Bytes, Fault>> {
        loop {
            let now = self.now.as_mut()?;
            let broke = match now.pieces.next().await {
                Some(Ok(piece)) => {
                    self.got = self.got.saturating_add(piece.len() as u64);
                    self.since = self.since.saturating_add(piece.len() as u64);
                    return Some(Ok(piece));
                }
                None if self.got >= self.length => return None,
                None => Fault::Integrity,
                Some(Err(fault)) => fault,
            };
            // An upstream that sends the whole blob each time does not count as progress: the cost would grow without
            // end.
            let progress = self.since >= limits::BLOB_PROGRESS_BYTES && now.form == Form::Part;
            let came_to_its_end = progress && self.got >= now.end;
            (self.since, self.now) = (0, None);
            if progress {
                self.tries = 0;
            }
            // A part that ended at its announced end is not a break.
            let gone_on = if came_to_its_end { self.rest().await } else { Err(broke) };
            let gone_on = match gone_on {
                Err(fault) => self.go_on(fault).await,
                rest => rest,
            };
            match gone_on {
                Ok(rest) => self.now = Some(rest),
                Err(fault) => return Some(Err(fault)),
            }
        }
    }

    /// Asks for the rest, after a break that says nothing about the content.
    async fn go_on(&mut self, mut broke: Fault) -> Result<Rest, Fault> {
        let goes_on = |this: &Self, broke: &Fault| {
            is_a_break(broke) && this.ranges == Ranges::Given && this.tries < limits::BLOB_RESUMES
        };
        while self.got < self.length && goes_on(self, &broke) {
            tokio::time::sleep(PAUSE.saturating_mul(1 << self.tries)).await;
            self.tries += 1;
            tracing::debug!(digest = %self.digest, from = self.got, fault = %broke, "a blob's transfer broke and goes on");
            match self.rest().await {
                Ok(rest) => return Ok(rest),
                Err(fault) => broke = fault,
            }
        }
        Err(broke)
    }

    /// By a range; where it is refused, the whole once.
    async fn rest(&mut self) -> Result<Rest, Fault> {
        let missing = (self.got, self.length);
        match self.upstream.rest_of_blob(&self.repository, &self.digest, missing).await {
            Ok(rest) => Ok(rest),
            Err(NoRest::Failed(fault)) => Err(fault),
            Err(NoRest::RangeRefused(fault)) => {
                tracing::debug!(digest = %self.digest, %fault, "the upstream gives no range, and is asked for the whole once");
                self.ranges = Ranges::Refused;
                self.upstream.whole_blob(&self.repository, &self.digest, missing).await
            }
        }
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
