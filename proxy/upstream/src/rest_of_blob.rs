//! The rest of a blob, from a byte on: every honest form of an answer to a range (RFC 9110 §14). The answer says where
//! its bytes lie; whether they are right is left to the hash of the whole blob.

use crate::limits;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::header::{CONTENT_RANGE, HeaderValue, RANGE};
use http::{HeaderMap, Method, StatusCode};
use pullgate_policy::oci::{Digest, Repository};

use crate::answer::{Answer, without_first};
use crate::fault::Fault;
use crate::patience::For;
use crate::registry::Upstream;

pub(super) type Pieces = BoxStream<'static, Result<Bytes, Fault>>;

/// What came of it.
pub(super) struct Rest {
    pub(super) pieces: Pieces,
    /// Where they end, if all that was announced comes.
    pub(super) end: u64,
    pub(super) form: Form,
}

/// Whether the upstream began where it was asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// It did, or a little before.
    Part,
    /// It sent all of it again; the bytes that are here are skipped.
    Whole,
}

/// Why there is no rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRest {
    /// It gives no range, or one that does not fit: the whole blob may still be fetched.
    RangeRefused(Fault),
    /// As of any other request.
    Failed(Fault),
}

impl NoRest {
    /// A blob that is missing with a range is missing without one too; but an upstream without ranges may answer 501.
    fn of(fault: Fault) -> Self {
        if fault == Fault::Status(501) { Self::RangeRefused(fault) } else { Self::Failed(fault) }
    }
}

impl Upstream {
    /// From this byte on, of a blob of this length. The range is closed: some do not know an open one.
    pub(super) async fn rest_of_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        (from, length): (u64, u64),
    ) -> Result<Rest, NoRest> {
        let range = HeaderValue::try_from(format!("bytes={from}-{}", length.saturating_sub(1)));
        let headers = HeaderMap::from_iter([(RANGE, range.map_err(|_| NoRest::Failed(Fault::Internal))?)]);
        let asked = self.ask_blob((Method::GET, For::Blob), repository, digest, headers).await;
        let answer = asked.map_err(NoRest::of)?;
        match answer.status() {
            StatusCode::PARTIAL_CONTENT => part(answer, (from, length)).map_err(NoRest::RangeRefused),
            StatusCode::OK => whole(answer, (from, length)).map_err(NoRest::Failed),
            _ => match answer.found().await {
                Err(Fault::NotFound) => Err(NoRest::Failed(Fault::NotFound)),
                Err(fault @ Fault::Status(_)) => Err(NoRest::of(fault)),
                Err(fault) => Err(NoRest::RangeRefused(fault)),
                Ok(_) => Err(NoRest::RangeRefused(Fault::Protocol)),
            },
        }
    }

    /// The same without asking for a range: once all of it.
    pub(super) async fn whole_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        (from, length): (u64, u64),
    ) -> Result<Rest, Fault> {
        let body = self.blob(repository, digest).await?;
        if body.length.is_some_and(|said| said != length) {
            return Err(Fault::Protocol);
        }
        Ok(Rest { pieces: without_first(body.stream, from), end: length, form: Form::Whole })
    }
}

fn whole(answer: Answer, (from, length): (u64, u64)) -> Result<Rest, Fault> {
    if answer.length()?.is_some_and(|said| said != length) {
        return Err(Fault::Protocol);
    }
    Ok(Rest { pieces: without_first(answer.stream()?, from), end: length, form: Form::Whole })
}

fn part(answer: Answer, (from, length): (u64, u64)) -> Result<Rest, Fault> {
    let (first, end) = match answer.single(&CONTENT_RANGE)? {
        Some(text) => placed(text, (from, length)).ok_or(Fault::Protocol)?,
        // It does not say where: as many bytes as are missing can only lie in one place.
        None if answer.length()? == Some(length.saturating_sub(from)) => (from, length),
        None => return Err(Fault::Protocol),
    };
    // One that begins much earlier than it was asked to costs like the whole, again and again.
    let again = from.saturating_sub(first);
    let form = if again > limits::BLOB_PROGRESS_BYTES { Form::Whole } else { Form::Part };
    Ok(Rest { pieces: without_first(answer.stream()?, again), end, form })
}

/// Where a part lies that can go on from there: `bytes FIRST-LAST/LENGTH`, of which the length may be `*`.
fn placed(text: &str, (from, length): (u64, u64)) -> Option<(u64, u64)> {
    let (range, all) = text.trim().strip_prefix("bytes ")?.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let same = all == "*" || all.parse() == Ok(length);
    (same && first <= from && from <= last && last < length).then(|| (first, last.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_placed_by_its_content_range_and_refused_elsewhere() {
        for (text, expected) in [
            ("bytes 40-99/100", Some((40, 100))),
            ("bytes 40-99/*", Some((40, 100))),
            ("bytes 40-59/100", Some((40, 60))),
            ("bytes 40-40/*", Some((40, 41))),
            ("bytes 0-99/100", Some((0, 100))),
            ("bytes 39-40/100", Some((39, 41))),
            ("bytes 41-99/100", None),
            ("bytes 0-39/100", None),
            ("bytes 40-100/100", None),
            ("bytes 40-100/*", None),
            ("bytes 40-99/101", None),
            ("bytes 99-40/100", None),
            ("bytes */100", None),
            ("bytes 40-/100", None),
            ("bytes 40-99", None),
            ("items 40-99/100", None),
            ("bytes 40-18446744073709551616/*", None),
        ] {
            assert_eq!(placed(text, (40, 100)), expected, "{text}");
        }
    }
}
