//! Through a proxy: `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, in either case, as curl and Go read them.
//!
//! A tunnel (`CONNECT`, RFC 9110 §9.3.6), so that TLS is with the upstream itself and the proxy sees a host and a port.
//! Upstreams in the clear and this machine are asked without one. Only hosts of the configuration are dialled by name
//! through a proxy, which may resolve it to any address; another target of a redirect is dialled at a public address
//! that the name resolves to here (A161).

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;

use crate::origin::{Origin, Scheme};

/// The proxies of the process.
static OF_THE_PROCESS: LazyLock<Proxies> = LazyLock::new(|| Proxies(Some(Arc::new(Matcher::from_env()))));

/// Which proxy leads where.
#[derive(Clone, Default)]
pub(super) struct Proxies(Option<Arc<Matcher>>);

/// A proxy, and how the gate shows itself to it.
pub(super) struct Via {
    pub(super) proxy: Uri,
    pub(super) authorization: Option<HeaderValue>,
}

impl Proxies {
    /// Those of the environment, read once.
    pub(super) fn of_the_process() -> Self {
        OF_THE_PROCESS.clone()
    }

    /// One proxy for all but the hosts in `no`, which is written as in `NO_PROXY`.
    #[cfg(test)]
    pub(super) fn one(proxy: &str, no: &str) -> Self {
        Self(Some(Arc::new(Matcher::builder().https(proxy).no(no).build())))
    }

    /// The proxy for this origin; `None` for a direct connection.
    pub(super) fn to(&self, origin: &Origin) -> Option<Via> {
        if origin.scheme == Scheme::Http || is_this_machine(&origin.host) {
            return None;
        }
        let intercept = self.0.as_ref()?.intercept(&origin.to_string().parse().ok()?)?;
        Some(Via { proxy: intercept.uri().clone(), authorization: intercept.basic_auth().cloned() })
    }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

impl std::fmt::Debug for Proxies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A proxy's address may hold a password.
        f.write_str("Proxies")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads(proxies: &Proxies, url: &str) -> Option<String> {
        let origin = Origin::of(&url.parse().unwrap()).unwrap();
        proxies.to(&origin).map(|via| via.proxy.to_string())
    }

    #[test]
    fn a_proxy_leads_to_https_beyond_this_machine_unless_no_proxy_names_the_host() {
        let proxies = Proxies::one("http://user:pw@proxy.example:3128", ".corp.example,10.0.0.0/8");
        let there = Some("http://proxy.example:3128/".to_owned());
        for (url, expected) in [
            ("https://ghcr.io", there.clone()),
            ("https://ghcr.io:8443", there.clone()),
            ("https://[2001:db8::1]", there),
            ("https://registry.corp.example", None),
            ("https://10.1.2.3", None),
            ("https://localhost:5000", None),
            ("https://127.0.0.2", None),
            ("https://[::1]:5000", None),
            ("http://ghcr.io", None),
        ] {
            assert_eq!(leads(&proxies, url), expected, "{url}");
        }
        let origin = Origin::of(&"https://ghcr.io".parse().unwrap()).unwrap();
        let authorization = proxies.to(&origin).unwrap().authorization.unwrap();
        assert_eq!(authorization, "Basic dXNlcjpwdw==");
        assert_eq!(leads(&Proxies::default(), "https://ghcr.io"), None);
        assert_eq!(format!("{proxies:?}"), "Proxies", "a password is not shown");
    }
}
