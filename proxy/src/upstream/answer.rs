//! What came back, and how much of it is believed: bounded, timed, and no header chosen from two.

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use pullgate_policy::{limits, strict_json};
use serde_json::Value;

use super::Fault;
use super::origin::Origin;

/// Who answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A host that a redirect led to, or a token service: its challenges are not met.
    Elsewhere,
    /// The upstream itself, at this endpoint.
    Home(Origin),
}

/// An answer whose body is still to be read.
pub(super) struct Answer {
    pub(super) response: Response<Incoming>,
    pub(super) place: Place,
}

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
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
            status @ (429 | 500..=599) => Err(Fault::Status(status)),
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
        Ok(name.map(|name| name.split(';').next().unwrap_or_default().trim().to_owned()))
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

    /// A header that may stand once: of two, none is chosen (A111).
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

    /// Nothing is ever decoded: what came encoded is not what its digest names (A108).
    fn plain(&self) -> Result<(), Fault> {
        let mut encodings = self.headers().get_all(CONTENT_ENCODING).iter();
        let identity = encodings.all(|value| value.as_bytes().eq_ignore_ascii_case(b"identity"));
        if identity { Ok(()) } else { Err(Fault::Encoding) }
    }

    /// The whole body, of at most `most` bytes. Over it there is none: nobody reads a part of it (A107).
    ///
    /// # Errors
    /// [`Fault`]: encoded, too large, cut or slow.
    pub(super) async fn read(self, most: u64) -> Result<Bytes, Fault> {
        self.plain()?;
        if self.length()?.is_some_and(|length| length > most) {
            return Err(Fault::TooLarge);
        }
        let mut body = self.response.into_body();
        let mut bytes = BytesMut::new();
        loop {
            let frame = tokio::time::timeout(limits::BETWEEN_BYTES, body.frame())
                .await
                .map_err(|_| Fault::Timeout)?;
            let Some(frame) = frame else { return Ok(bytes.freeze()) };
            let Ok(data) = frame.map_err(|_| Fault::Integrity)?.into_data() else { continue };
            if bytes.len().saturating_add(data.len()) as u64 > most {
                return Err(Fault::TooLarge);
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
        let pieces = stream::unfold(Some(self.response.into_body()), |body| async {
            let mut body = body?;
            loop {
                let Ok(frame) = tokio::time::timeout(limits::BETWEEN_BYTES_BLOB, body.frame()).await else {
                    return Some((Err(Fault::Timeout), None));
                };
                match frame?.map(hyper::body::Frame::into_data) {
                    Ok(Ok(data)) => return Some((Ok(data), Some(body))),
                    // Trailers say nothing that is asked for.
                    Ok(Err(_)) => {}
                    Err(_) => return Some((Err(Fault::Integrity), None)),
                }
            }
        });
        Ok(pieces.boxed())
    }
}
