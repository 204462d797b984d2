//! Where a URL leads: scheme, host and port, compared as one.

use std::fmt;

use http::Uri;
use http::uri::Authority;

/// How the bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Scheme {
    /// In the clear.
    Http,
    /// Under TLS.
    Https,
}

impl Scheme {
    fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Scheme, host and port of a URL. The host is in lower case and, of an IPv6 address, without brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) scheme: Scheme,
    pub(super) host: String,
    pub(super) port: u16,
}

impl Origin {
    /// Reads it off a URL. There is none where the scheme is another, or where the URL has no host or user information:
    /// such a URL is never dialled (A162, A165).
    pub(super) fn of(url: &Uri) -> Option<Self> {
        let scheme = match url.scheme_str()? {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return None,
        };
        let authority = url.authority().filter(|authority| !authority.as_str().contains('@'))?;
        let host = bare(authority.host());
        let port = authority.port_u16().unwrap_or(scheme.port());
        (!host.is_empty()).then_some(Self { scheme, host, port })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{scheme}://{open}{}{close}", self.host)?;
        if self.port == self.scheme.port() { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// A host that the configuration names, perhaps with the one port that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    host: String,
    port: Option<u16>,
    scheme: Scheme,
}

impl Listed {
    /// Reads `host` or `host:port`; with `http://` before it, it is one without TLS.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, text) = match text.strip_prefix("http://") {
            Some(rest) => (Scheme::Http, rest),
            None => (Scheme::Https, text),
        };
        let authority: Authority = text.parse().ok()?;
        Some(Self { host: bare(authority.host()), port: authority.port_u16(), scheme })
    }

    /// A host with whatever port.
    pub(super) fn host_of(origin: &Origin) -> Self {
        Self { host: origin.host.clone(), port: None, scheme: Scheme::Https }
    }

    /// A host with the one port.
    pub(super) fn place_of(origin: &Origin) -> Self {
        Self { port: Some(origin.port), ..Self::host_of(origin) }
    }

    /// Tells whether this names where the URL leads, and says that it has no TLS.
    pub(super) fn names_in_clear(&self, origin: &Origin) -> bool {
        self.scheme == Scheme::Http && self.names(origin)
    }

    /// Tells whether this names where the URL leads.
    pub(super) fn names(&self, origin: &Origin) -> bool {
        self.host == origin.host && self.port.is_none_or(|port| port == origin.port)
    }
}

fn bare(host: &str) -> String {
    host.trim_matches(['[', ']']).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Option<Origin> {
        Origin::of(&text.parse().unwrap())
    }

    #[test]
    fn spellings_of_one_place_are_one_origin() {
        for (spelling, canonical) in [
            ("https://R.io/v2/", "https://r.io"),
            ("https://r.io:443", "https://r.io"),
            ("http://r.io:80/x?y", "http://r.io"),
            ("http://r.io:443", "http://r.io:443"),
            ("https://[::1]:5000/", "https://[::1]:5000"),
            ("https://10.1.2.3:5000", "https://10.1.2.3:5000"),
        ] {
            assert_eq!(origin(spelling).unwrap().to_string(), canonical);
            assert_eq!(origin(spelling), origin(canonical));
        }
        assert_ne!(origin("https://r.io"), origin("http://r.io"));
        assert_ne!(origin("https://r.io"), origin("https://r.io:5000"));
        assert_ne!(origin("https://r.io"), origin("https://r.io."));
    }

    #[test]
    fn a162_other_schemes_and_user_information_have_no_origin() {
        for text in
            ["ftp://r.io/", "file:///etc/passwd", "https://a@r.io/", "https://a:b@r.io/", "/v2/", "r.io"]
        {
            assert!(text.parse::<Uri>().map_or(true, |url| Origin::of(&url).is_none()), "{text}");
        }
    }

    #[test]
    fn a_listed_port_is_the_only_one_and_no_port_is_any() {
        for (listed, url, named) in [
            ("cdn.io", "https://cdn.io/", true),
            ("cdn.io", "https://CDN.io:8443/", true),
            ("cdn.io:8443", "https://cdn.io:8443/", true),
            ("cdn.io:8443", "https://cdn.io/", false),
            ("cdn.io", "https://x.cdn.io/", false),
            ("cdn.io", "https://cdn.io.evil.example/", false),
            ("[::1]:5000", "http://[::1]:5000/", true),
            ("http://minio.lan:9000", "http://minio.lan:9000/", true),
        ] {
            assert_eq!(Listed::parse(listed).unwrap().names(&origin(url).unwrap()), named, "{listed} {url}");
        }
    }
}
