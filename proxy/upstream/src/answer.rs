//! Responses of upstreams: bounded in size and time, and a header that occurs twice is refused.

use std::time::Duration;

use crate::limits;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use pullgate_policy::limits::OFF_THREAD_BYTES;
use pullgate_policy::strict_json;
use serde_json::Value;
use tokio::time::Instant;

use crate::fault::Fault;
use crate::origin::Origin;

/// Asks for room for this many bytes in total.
pub type Room<'a> = &'a mut (dyn FnMut(u64) -> bool + Send);

/// Bytes of a body that need no room: most manifests have fewer.
const FREE_BYTES: usize = 8 * 1024;

/// Who answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Responder {
    /// A host that a redirect led to, or a token service: it is shown no credential.
    Elsewhere(Origin),
    /// The upstream itself, at this endpoint.
    Home(Origin),
}

/// An answer whose body is still to be read.
pub(super) struct Answer {
    pub(super) response: Response<Incoming>,
    pub(super) place: Responder,
}

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// Whether its status says nothing about the content, so that another endpoint may be asked: the upstream is limited,
    /// overloaded, away or broken.
    pub(super) fn says_nothing(&self) -> bool {
        matches!(self.status().as_u16(), 408 | 421 | 425 | 429 | 500..=599)
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Passes on a 200 and says what anything else means.
    ///
    /// # Errors
    /// [`Fault`] by the status.
    pub(super) async fn found(self) -> Result<Self, Fault> {
        match self.status().as_u16() {
            200 => Ok(self),
            404 => Err(Fault::NotFound),
            401 | 403 => Err(self.refused().await),
            status if self.says_nothing() => Err(Fault::Status(status)),
            _ => Err(Fault::Protocol),
        }
    }

    /// Some registries answer 401 or 403 for a name that does not exist, and say so in the body (A170).
    async fn refused(self) -> Fault {
        let Ok(body) = self.read(limits::ERROR_BODY_BYTES).await else { return Fault::Unauthorized };
        let value = strict_json::parse(&body).unwrap_or_default();
        let errors = value.get("errors").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let unknown = |error: &Value| error.get("code").and_then(Value::as_str) == Some("NAME_UNKNOWN");
        if errors.iter().any(unknown) { Fault::NotFound } else { Fault::Unauthorized }
    }

    /// The media type, without parameters.
    ///
    /// # Errors
    /// [`Fault::Protocol`].
    pub(super) fn content_type(&self) -> Result<Option<String>, Fault> {
        let name = self.single(&CONTENT_TYPE)?;
        let name = name.map(|name| name.split(';').next().unwrap_or_default().trim().to_owned());
        Ok(name.filter(|name| !name.is_empty()))
    }

    /// The announced length, bytes.
    ///
    /// # Errors
    /// [`Fault::Protocol`].
    pub(super) fn length(&self) -> Result<Option<u64>, Fault> {
        match self.single(&CONTENT_LENGTH)? {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| Fault::Protocol),
        }
    }

    /// A header that may occur once: a second one is a fault (A111).
    ///
    /// # Errors
    /// [`Fault::Protocol`].
    pub(super) fn single(&self, name: &HeaderName) -> Result<Option<&str>, Fault> {
        let mut values = self.headers().get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => value.to_str().map(Some).map_err(|_| Fault::Protocol),
            (Some(_), Some(_)) => Err(Fault::Protocol),
        }
    }

    /// Nothing is ever decoded: encoded bytes do not match their digest (A108). A word that names no coding is ignored,
    /// since object stores repeat what was uploaded with a file: the hash decides.
    fn plain(&self) -> Result<(), Fault> {
        let values = self.headers().get_all(CONTENT_ENCODING).iter();
        let coded = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).any(is_coding);
        if coded { Err(Fault::Encoding) } else { Ok(()) }
    }

    /// The whole body, of at most `most` bytes. A longer one is refused whole (A107).
    ///
    /// # Errors
    /// [`Fault`]: encoded, too large, cut or slow.
    pub(super) async fn read(self, most: u64) -> Result<Bytes, Fault> {
        self.read_into(most, &mut |_| true).await
    }

    /// As [`Self::read`], as long as `room` gives it room.
    ///
    /// # Errors
    /// [`Fault`]: as above, and [`Fault::Overload`].
    pub(super) async fn read_into(self, most: u64, room: Room<'_>) -> Result<Bytes, Fault> {
        self.plain()?;
        let length = self.length()?;
        if length.is_some_and(|length| length > most) {
            return Err(Fault::TooLarge);
        }
        let mut body = self.response.into_body();
        let begun = Instant::now();
        // Reserves the announced length, which is within the limit: a growing buffer is copied, and takes twice the
        // memory meanwhile.
        let announced = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
        let mut bytes = BytesMut::with_capacity(announced.min(OFF_THREAD_BYTES));
        loop {
            // A trickling upstream would hold this request, and all that join it, without end.
            let due = begun + limits::ANSWER_TIME + time_of(bytes.len());
            let until = due.min(Instant::now() + limits::BETWEEN_BYTES);
            let frame = tokio::time::timeout_at(until, body.frame()).await.map_err(|_| Fault::Timeout)?;
            let Some(frame) = frame else { return Ok(bytes.freeze()) };
            let Ok(data) = frame.map_err(|_| Fault::Integrity)?.into_data() else { continue };
            if bytes.len().saturating_add(data.len()) as u64 > most {
                return Err(Fault::TooLarge);
            }
            if bytes.len().saturating_add(data.len()) > bytes.capacity() {
                bytes.reserve(data.len().max(announced.saturating_sub(bytes.len()).min(bytes.len())));
            }
            if bytes.capacity() > FREE_BYTES && !room(bytes.capacity() as u64) {
                return Err(Fault::Overload);
            }
            bytes.extend_from_slice(&data);
        }
    }

    /// The body as it comes.
    ///
    /// # Errors
    /// [`Fault`], before the first byte.
    pub(super) fn stream(self) -> Result<BoxStream<'static, Result<Bytes, Fault>>, Fault> {
        self.plain()?;
        let flow = Flow { body: self.response.into_body(), waited: Duration::ZERO, came: 0 };
        let pieces = stream::unfold(Some(flow), |flow| async {
            let mut flow = flow?;
            match flow.next().await {
                Some(Ok(data)) => Some((Ok(data), Some(flow))),
                Some(Err(fault)) => Some((Err(fault), None)),
                None => None,
            }
        });
        Ok(pieces.boxed())
    }
}

/// The content codings of HTTP (IANA, "HTTP Content Coding Registry"), except `identity`, which encodes nothing.
const CODINGS: [&str; 12] = [
    "aes128gcm",
    "br",
    "compress",
    "dcb",
    "dcz",
    "deflate",
    "exi",
    "gzip",
    "pack200-gzip",
    "x-compress",
    "x-gzip",
    "zstd",
];

fn is_coding(word: &[u8]) -> bool {
    let word = word.trim_ascii();
    CODINGS.iter().any(|one| word.eq_ignore_ascii_case(one.as_bytes()))
}

/// How long this many bytes may take.
fn time_of(bytes: usize) -> Duration {
    Duration::from_secs((bytes / limits::ANSWER_BYTES_PER_SECOND) as u64)
}

/// A body as it comes, and how fast. Only the time counts in which it was waited for: a reader may be slow.
struct Flow {
    body: Incoming,
    waited: Duration,
    came: usize,
}

impl Flow {
    async fn next(&mut self) -> Option<Result<Bytes, Fault>> {
        if self.waited >= limits::BLOB_WINDOW {
            // Below the least rate it is a break like any other, and the rest is asked for anew.
            if self.came < limits::BLOB_WINDOW_BYTES && !self.body.is_end_stream() {
                return Some(Err(Fault::Timeout));
            }
            (self.waited, self.came) = (Duration::ZERO, 0);
        }
        let begun = Instant::now();
        loop {
            let Ok(frame) = tokio::time::timeout(limits::BETWEEN_BYTES_BLOB, self.body.frame()).await else {
                return Some(Err(Fault::Timeout));
            };
            match frame?.map(hyper::body::Frame::into_data) {
                Ok(Ok(data)) => {
                    self.waited += begun.elapsed();
                    self.came = self.came.saturating_add(data.len());
                    return Some(Ok(data));
                }
                // Trailers say nothing that is asked for.
                Ok(Err(_)) => {}
                Err(_) => return Some(Err(Fault::Integrity)),
            }
        }
    }
}

/// The same stream without its first bytes, from an upstream that repeated bytes which are here already. A skipped
/// piece becomes an empty one, as a sign of progress.
pub(super) fn without_first(
    pieces: BoxStream<'static, Result<Bytes, Fault>>,
    first: u64,
) -> BoxStream<'static, Result<Bytes, Fault>> {
    let rest = pieces.scan(first, |left, piece| {
        let piece = piece.map(|mut piece| {
            let skipped = usize::try_from(*left).unwrap_or(usize::MAX).min(piece.len());
            *left = left.saturating_sub(skipped as u64);
            piece.split_off(skipped)
        });
        std::future::ready(Some(piece))
    });
    rest.boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_bytes_of_a_blob_that_is_sent_again_are_left_out() {
        for (first, left) in [(0, "abcdefgh"), (2, "cdefgh"), (3, "defgh"), (7, "h"), (8, ""), (9, "")] {
            let pieces = ["abc", "def", "gh"].map(|piece| Ok(Bytes::from_static(piece.as_bytes())));
            let rest = without_first(stream::iter(pieces).boxed(), first);
            let rest: Vec<Bytes> = rest.map(|piece| piece.unwrap()).collect().await;
            assert_eq!(rest.concat(), left.as_bytes(), "{first}");
        }
    }
}
