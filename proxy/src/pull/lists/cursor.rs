//! Cursors of lists, as text that fits a query.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pullgate_policy::oci::Repository;
use pullgate_policy::seal::{Cursor, Seal, Sealed};
use pullgate_upstream::limits;

/// The text of a cursor; `None` where it would be too long for a request.
#[must_use]
pub fn text(seal: &Seal, repository: &Repository, query: &str) -> Option<String> {
    let sealed = seal.seal(&Cursor::new(repository, query.to_owned()));
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(&sealed.body), URL_SAFE_NO_PAD.encode(&sealed.mac));
    (text.len() <= limits::TARGET_BYTES / 2).then_some(text)
}

/// The query of a cursor, if the gate made it for this repository.
#[must_use]
pub fn open(seal: &Seal, text: &str, repository: &Repository) -> Option<String> {
    let (body, mac) = text.split_once('.')?;
    let body = String::from_utf8(URL_SAFE_NO_PAD.decode(body).ok()?).ok()?;
    Cursor::open(seal, &Sealed { body, mac: URL_SAFE_NO_PAD.decode(mac).ok()? }, repository)
}
