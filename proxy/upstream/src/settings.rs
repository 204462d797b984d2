//! The configuration of one upstream, in the terms of this module.

use std::collections::BTreeMap;

use http::Uri;
use pullgate_config::{Credentials, Secret};
use pullgate_policy::oci::Registry;

use crate::fault::SetupFault;
use crate::origin::{Listed, Origin};
use crate::patience::Patience;
use crate::tunnel::Proxies;

/// The settings of one upstream.
#[derive(Clone)]
pub struct Settings {
    pub(super) registry: Registry,
    /// Its endpoints, tried in order.
    pub(super) urls: Vec<Origin>,
    /// What stands before every repository's name there.
    pub(super) prefix: Option<String>,
    /// The certificates that its own may chain to; the system's where none.
    pub(super) ca_pem: Option<Vec<u8>>,
    /// The gate's own certificate with its key.
    pub(super) client_cert_pem: Option<Secret>,
    /// The only credentials that may go to it.
    pub(super) credentials: Credentials,
    /// Those of repositories whose path begins so.
    pub(super) logins: BTreeMap<String, Credentials>,
    /// How long its answers may take to begin.
    pub(super) patience: Patience,
    /// The proxies that lead out of here.
    pub(super) proxies: Proxies,
    /// Hosts of its token services, beside its own.
    pub(super) token_hosts: Vec<Listed>,
    /// Hosts that a redirect may lead to, whatever their address.
    pub(super) redirect_hosts: Vec<Listed>,
    /// Hosts that are dialled whatever their address: those that the configuration names.
    pub(super) trusted: Vec<Listed>,
}

impl Settings {
    /// Takes them from the checked configuration.
    ///
    /// # Errors
    /// [`SetupFault`] for a URL or a host outside the grammar.
    pub fn of(registry: &Registry, upstream: &pullgate_config::Upstream) -> Result<Self, SetupFault> {
        let fault = |why| SetupFault { registry: registry.clone(), why };
        let origin = |url: &String| url.parse::<Uri>().ok().and_then(|url| Origin::of(&url));
        let urls: Option<Vec<_>> = upstream.urls.iter().map(origin).collect();
        let urls = urls.filter(|urls| !urls.is_empty()).ok_or_else(|| fault("`url` is malformed"))?;
        let hosts = |list: &[String], why| {
            list.iter().map(|text| Listed::parse(text)).collect::<Option<Vec<_>>>().ok_or_else(|| fault(why))
        };
        let mut token_hosts = hosts(&upstream.token_hosts, "`token_hosts` is malformed")?;
        token_hosts.extend(well_known(registry).and_then(Listed::parse));
        let redirect_hosts = hosts(&upstream.redirect_hosts, "`redirect_hosts` is malformed")?;
        let mut trusted = redirect_hosts.clone();
        trusted.extend(token_hosts.iter().cloned());
        // Another port of the same host is another service (A161).
        trusted.extend(urls.iter().map(Listed::place_of));
        Ok(Self {
            registry: registry.clone(),
            urls,
            prefix: upstream.prefix.clone(),
            ca_pem: upstream.ca_pem.clone(),
            client_cert_pem: upstream.client_cert_pem.clone(),
            credentials: upstream.credentials.clone(),
            logins: upstream.logins.clone(),
            patience: Patience { question: upstream.first_byte, blob: upstream.first_byte_blob },
            proxies: Proxies::of_the_process(),
            token_hosts,
            redirect_hosts,
            trusted,
        })
    }
}

/// The token service of a registry that everybody knows. Another registrable domain is never guessed (A164).
fn well_known(registry: &Registry) -> Option<&'static str> {
    match registry.as_str() {
        "docker.io" => Some("auth.docker.io"),
        "registry.gitlab.com" => Some("gitlab.com"),
        _ => None,
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("registry", &self.registry).finish_non_exhaustive()
    }
}
