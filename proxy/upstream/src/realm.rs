//! Which token service may be asked, and for what.

use http::Uri;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::fault::Fault;
use crate::origin::{Listed, Origin, Scheme};

/// A token service that may be asked, with the words to ask it by.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Realm {
    /// Its URL, without a query.
    url: String,
    /// What its URL had for a query.
    query: Option<String>,
    /// Service and scope, encoded.
    words: String,
}

impl Realm {
    /// Accepts a realm on the host of the endpoint that named it, or on a host that the configuration lists; under TLS,
    /// unless that endpoint itself is plain HTTP (A164). A plain HTTP realm on the host of an endpoint with TLS is
    /// asked under TLS. The scope is ours, not the challenge's (A166).
    ///
    /// # Errors
    /// [`Fault::RealmRefused`]: then nothing is sent to it, not even an anonymous request.
    pub(super) fn check(
        text: &str,
        service: Option<&str>,
        path: &str,
        home: &Origin,
        listed: &[Listed],
    ) -> Result<Self, Fault> {
        let url: Uri = text.parse().map_err(|_| Fault::RealmRefused)?;
        let origin = Origin::of(&url).ok_or(Fault::RealmRefused)?;
        let origin = match (home.scheme, origin.scheme) {
            (Scheme::Https, Scheme::Http) if origin.host == home.host => secured(origin, home),
            (_, Scheme::Http | Scheme::Https) => origin,
        };
        let known = match (home.scheme, origin.scheme) {
            // The certificate proves the host, whatever the port.
            (_, Scheme::Https) => origin.host == home.host || listed.iter().any(|one| one.names(&origin)),
            (Scheme::Http, Scheme::Http) => origin == *home || listed.iter().any(|one| one.names(&origin)),
            (Scheme::Https, Scheme::Http) => false,
        };
        if !known {
            return Err(Fault::RealmRefused);
        }
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let service = service.map(|service| format!("service={}&", encode(service))).unwrap_or_default();
        let scope = encode(&format!("repository:{path}:pull"));
        let query = url.query().map(|query| query.split('&').filter(|pair| !pair.starts_with("scope=")));
        Ok(Self {
            url: format!("{origin}{}", url.path()),
            query: query.map(|pairs| pairs.collect::<Vec<_>>().join("&")).filter(|query| !query.is_empty()),
            words: format!("{service}scope={scope}"),
        })
    }

    /// Whether its host is one of those that the configuration lists.
    pub(super) fn is_listed(text: &str, listed: &[Listed]) -> bool {
        let origin = text.parse().ok().and_then(|url: Uri| Origin::of(&url));
        origin.is_some_and(|origin| listed.iter().any(|one| one.names(&origin)))
    }

    /// The URL of a GET (distribution, "Token authentication specification").
    ///
    /// # Errors
    /// [`Fault::RealmRefused`] when it is no URL.
    pub(super) fn for_get(&self) -> Result<Uri, Fault> {
        let own = self.query.as_ref().map(|query| format!("{query}&")).unwrap_or_default();
        format!("{}?{own}{}", self.url, self.words).parse().map_err(|_| Fault::RealmRefused)
    }

    /// The URL of a POST, and the form that trades an identity token for one (distribution, "OAuth2 token authentication").
    ///
    /// # Errors
    /// [`Fault::RealmRefused`] when it is no URL.
    pub(super) fn for_post(&self, identity_token: &str) -> Result<(Uri, String), Fault> {
        let query = self.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        let url = format!("{}{query}", self.url).parse().map_err(|_| Fault::RealmRefused)?;
        let token = utf8_percent_encode(identity_token, NON_ALPHANUMERIC);
        let form =
            format!("grant_type=refresh_token&client_id=pullgate&{}&refresh_token={token}", self.words);
        Ok((url, form))
    }
}

/// The same realm under TLS, for a registry behind a proxy that terminates TLS: at the endpoint's own port, unless the
/// realm names a port.
fn secured(origin: Origin, home: &Origin) -> Origin {
    let port = if origin.port == 80 { home.port } else { origin.port };
    Origin { scheme: Scheme::Https, port, ..origin }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(realm: &str, home: &str) -> Result<Realm, Fault> {
        let home = Origin::of(&home.parse().unwrap()).unwrap();
        let listed = ["auth.io", "tokens.io:8443"].map(|text| Listed::parse(text).unwrap());
        Realm::check(realm, Some("reg istry"), "org/app", &home, &listed)
    }

    #[test]
    fn a164_only_the_own_host_and_listed_ones_are_asked_for_a_token() {
        for (realm, home, asked) in [
            ("https://r.io/token", "https://r.io", true),
            ("https://R.io:8443/token", "https://r.io", true),
            ("https://auth.io/token", "https://r.io", true),
            ("https://auth.io:444/token", "https://r.io", true),
            ("https://tokens.io:8443/token", "https://r.io", true),
            ("https://tokens.io/token", "https://r.io", false),
            ("https://evil.example/token", "https://r.io", false),
            ("https://r.io.evil.example/token", "https://r.io", false),
            ("https://x.r.io/token", "https://r.io", false),
            ("https://r.io@evil.example/token", "https://r.io", false),
            ("https://a:b@r.io/token", "https://r.io", false),
            ("http://r.io/token", "https://r.io", true),
            ("http://auth.io/token", "https://r.io", false),
            ("http://evil.example/token", "https://r.io", false),
            ("http://r.io/token", "http://r.io", true),
            ("http://r.io:81/token", "http://r.io", false),
            ("http://auth.io/token", "http://r.io", true),
            ("https://r.io/token", "http://r.io", true),
            ("/token", "https://r.io", false),
            ("token", "https://r.io", false),
            ("", "https://r.io", false),
            ("ftp://r.io/token", "https://r.io", false),
            ("https://127.0.0.1/token", "https://r.io", false),
            ("http://169.254.169.254/token", "http://r.io", false),
        ] {
            assert_eq!(check(realm, home).is_ok(), asked, "{realm} from {home}");
        }
    }

    #[test]
    fn a166_the_scope_is_one_repository_and_pull_whatever_the_realm_says() {
        let words = "service=reg%20istry&scope=repository%3Aorg%2Fapp%3Apull";
        for (realm, asked) in [
            ("https://r.io/token", format!("https://r.io/token?{words}")),
            ("https://r.io", format!("https://r.io/?{words}")),
            ("http://r.io/t", format!("https://r.io/t?{words}")),
            ("http://r.io:8080/t", format!("https://r.io:8080/t?{words}")),
            ("https://r.io/t?account=a&scope=repository:*:push", format!("https://r.io/t?account=a&{words}")),
            ("https://r.io/t?scope=repository:*:push", format!("https://r.io/t?{words}")),
            ("https://r.io/t#fragment", format!("https://r.io/t?{words}")),
        ] {
            assert_eq!(check(realm, "https://r.io").unwrap().for_get().unwrap().to_string(), asked);
        }
        let (url, form) = check("https://r.io/t?a=b", "https://r.io").unwrap().for_post("x&y").unwrap();
        assert_eq!(url.to_string(), "https://r.io/t?a=b");
        assert_eq!(form, format!("grant_type=refresh_token&client_id=pullgate&{words}&refresh_token=x%26y"));
    }
}
