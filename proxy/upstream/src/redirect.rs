//! Where an answer may send the gate on to.

use http::header::LOCATION;
use http::{HeaderMap, StatusCode, Uri};

use crate::fault::Fault;
use crate::origin::{Origin, Scheme};

/// Tells whether a status sends elsewhere (RFC 9110 §15.4).
pub(super) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// The host that a redirect names, for the report of a refusal; empty where it names none.
pub(super) fn host(headers: &HeaderMap) -> String {
    let text = headers.get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let url: Option<Uri> = text.parse().ok();
    match url.as_ref().and_then(Origin::of) {
        Some(origin) => origin.to_string(),
        None => url.as_ref().and_then(Uri::host).unwrap_or_default().to_owned(),
    }
}

/// The target of a redirect from `from`: absolute, or a path on the same host; from TLS to plain HTTP only where
/// `in_clear` allows it, and never with user information (A162). Its address is checked where it is dialled.
///
/// # Errors
/// [`Fault::RedirectRefused`].
pub(super) fn target(
    from: &Uri,
    home: Scheme,
    headers: &HeaderMap,
    in_clear: impl Fn(&Origin) -> bool,
) -> Result<Uri, Fault> {
    let mut values = headers.get_all(LOCATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(Fault::RedirectRefused) };
    let text = value.to_str().map_err(|_| Fault::RedirectRefused)?;
    let own = Origin::of(from).ok_or(Fault::RedirectRefused)?;
    let absolute = if text.starts_with('/') { format!("{own}{text}") } else { text.to_owned() };
    // `//host/` is refused: parsers of URLs differ on it, and registries do not use it.
    let url: Uri = Some(absolute)
        .filter(|_| !text.starts_with("//"))
        .and_then(|absolute| absolute.parse().ok())
        .ok_or(Fault::RedirectRefused)?;
    let to = Origin::of(&url).ok_or(Fault::RedirectRefused)?;
    // Behind an upstream under TLS a hop in the clear leads to no other one that is not listed so.
    let is_secure = own.scheme == Scheme::Https || home == Scheme::Https;
    match to.scheme {
        Scheme::Http if is_secure && !in_clear(&to) => Err(Fault::RedirectRefused),
        Scheme::Http | Scheme::Https => Ok(url),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn to(from: &str, locations: &[&[u8]]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for location in locations {
            headers.append(LOCATION, HeaderValue::from_bytes(location).unwrap());
        }
        target(&from.parse().unwrap(), Scheme::Http, &headers, |_| false).ok().map(|url| url.to_string())
    }

    #[test]
    fn a162_redirects_that_lead_nowhere_safe_are_refused() {
        for location in [
            "http://r.io/x",
            "ftp://r.io/x",
            "file:///etc/passwd",
            "https://user@cdn.io/x",
            "https://a:b@cdn.io/x",
            "//cdn.io/x",
            "",
            "x",
            "?x",
            "javascript:1",
            "https://",
            "https:///x",
            "gopher://r.io",
            "https://cdn.io/\u{e9}",
        ] {
            assert_eq!(to("https://r.io/v2/", &[location.as_bytes()]), None, "{location}");
        }
        assert_eq!(to("https://r.io/", &[]), None);
        assert_eq!(to("https://r.io/", &[b"https://a.io/", b"https://a.io/"]), None);
    }

    #[test]
    fn redirects_to_a_path_or_a_host_under_tls_are_followed() {
        for (from, location, expected) in [
            ("https://r.io/v2/", "https://cdn.io/x?sig=1", "https://cdn.io/x?sig=1"),
            ("https://r.io:5000/v2/", "/y?z", "https://r.io:5000/y?z"),
            ("http://r.io/v2/", "http://cdn.io:81/x", "http://cdn.io:81/x"),
            ("http://r.io/v2/", "https://r.io/x", "https://r.io/x"),
        ] {
            assert_eq!(to(from, &[location.as_bytes()]).as_deref(), Some(expected));
        }
    }

    #[test]
    fn only_five_statuses_redirect() {
        let redirecting = (300..400).filter(|status| is_redirect(StatusCode::from_u16(*status).unwrap()));
        assert_eq!(redirecting.collect::<Vec<_>>(), [301, 302, 303, 307, 308]);
    }
}
