//! The credentials of a client, in `Authorization`.

use crate::limits;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use pullgate_policy::limits::CLIENT_TOKEN_BYTES;

/// Base64 of a token and of a user name, in characters.
const BASIC_MAX: usize = CLIENT_TOKEN_BYTES.div_ceil(3) * 4 + limits::CREDENTIAL_TEXT_BYTES;

/// What a client offers.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Offered {
    /// HTTP Basic (RFC 7617).
    Basic { name: String, password: String },
    /// A bearer token (RFC 6750).
    Bearer(String),
}

impl Offered {
    /// Reads the value of the header; `None` where it is outside the grammar or too long.
    pub(super) fn read(header: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(header).ok()?;
        let (scheme, value) = text.split_once(' ')?;
        let value = value.trim();
        match scheme.to_ascii_lowercase().as_str() {
            "basic" => basic(value),
            "bearer" if value.len() <= CLIENT_TOKEN_BYTES => Some(Self::Bearer(value.to_owned())),
            _ => None,
        }
    }

    /// The token in it, whether it is called one or stands where a password does: three parts with dots between them.
    pub(super) fn token(&self) -> Option<&str> {
        match self {
            Self::Bearer(token) => Some(token),
            Self::Basic { password, .. } => {
                let part = |part: &str| !part.is_empty() && part.bytes().all(is_base64url);
                (password.split('.').count() == 3 && password.split('.').all(part)).then_some(password)
            }
        }
    }
}

/// The first colon parts name and password (RFC 7617 §2).
fn basic(encoded: &str) -> Option<Offered> {
    if encoded.len() > BASIC_MAX {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (name, password) = decoded.split_once(':')?;
    let (name, password) = (name.to_owned(), password.to_owned());
    let offered = Offered::Basic { name, password };
    // Only a token makes it longer than a name with a password may be.
    let fits = encoded.len() <= limits::CREDENTIAL_TEXT_BYTES || offered.token().is_some();
    match &offered {
        Offered::Basic { name, password } if name.is_empty() || password.contains('\0') => None,
        Offered::Basic { .. } | Offered::Bearer(_) => fits.then_some(offered),
    }
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Marks what proves a name, so that no dump of the headers shows it (A548).
pub fn hide(headers: &mut HeaderMap) {
    if let http::header::Entry::Occupied(mut offered) = headers.entry(AUTHORIZATION) {
        offered.iter_mut().for_each(|value| value.set_sensitive(true));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic_of(text: &str) -> Vec<u8> {
        format!("Basic {}", STANDARD.encode(text)).into_bytes()
    }

    fn read(header: &[u8]) -> Option<(String, String)> {
        match Offered::read(header)? {
            Offered::Basic { name, password } => Some((name, password)),
            Offered::Bearer(token) => Some(("bearer".to_owned(), token)),
        }
    }

    #[test]
    fn a_header_is_read_by_its_grammar_alone() {
        let pair = |name: &str, password: &str| Some((name.to_owned(), password.to_owned()));
        assert_eq!(read(&basic_of("ci:a:b")), pair("ci", "a:b"));
        assert_eq!(read(b"basic Y2k6cHc="), pair("ci", "pw"));
        assert_eq!(read(&basic_of("ci:")), pair("ci", ""));
        assert_eq!(read(b"bearer a.b.c"), pair("bearer", "a.b.c"));
        let long = format!("ci:{}", "x".repeat(limits::CREDENTIAL_TEXT_BYTES));
        let wrong = [&basic_of(":pw"), &basic_of("ci"), &basic_of("ci:\0"), &basic_of(&long)];
        for wrong in wrong.into_iter().map(Vec::as_slice).chain([
            &b"Negotiate Y2k6cHc="[..],
            b"Basic",
            b"Basic ???",
            b"Bearer",
            b"",
        ]) {
            assert_eq!(read(wrong), None, "{}", String::from_utf8_lossy(wrong));
        }
    }

    #[test]
    fn a_token_may_be_as_long_as_its_limit_and_no_longer() {
        let token = |length: usize| format!("a.b.{}", "c".repeat(length - 4));
        for (length, taken) in [(CLIENT_TOKEN_BYTES, true), (CLIENT_TOKEN_BYTES + 1, false)] {
            let bearer = format!("Bearer {}", token(length));
            assert_eq!(read(bearer.as_bytes()).is_some(), taken);
        }
        let within = basic_of(&format!("token:{}", token(CLIENT_TOKEN_BYTES)));
        assert!(Offered::read(&within).unwrap().token().is_some());
        let password = format!("ci:{}", "x.".repeat(limits::CREDENTIAL_TEXT_BYTES));
        assert_eq!(read(&basic_of(&password)), None);
    }

    #[test]
    fn a548_what_proves_a_name_is_in_no_dump_of_the_headers() {
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, "Bearer secret.secret.secret".parse().unwrap());
        headers.append(AUTHORIZATION, "Basic secret".parse().unwrap());
        hide(&mut headers);
        assert!(!format!("{headers:?}").contains("ecret."), "{headers:?}");
        assert!(!format!("{headers:?}").contains("secret"), "{headers:?}");
    }
}
