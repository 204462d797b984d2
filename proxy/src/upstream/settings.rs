//! What the configuration says of one upstream, in the terms of this module.

use std::sync::Arc;

use http::Uri;
use pullgate_config::Credentials;
use pullgate_policy::oci::Registry;

use super::SetupFault;

/// The settings of one upstream.
#[derive(Clone)]
pub struct Settings {
    /// The registry.
    pub registry: Registry,
    /// Its endpoints, tried in order, without a trailing slash.
    pub urls: Vec<String>,
    /// The certificates that its own may chain to; the system's where none.
    pub ca_pem: Option<Vec<u8>>,
    /// The only credentials that may go to it.
    pub credentials: Credentials,
    /// Hosts of its token services, beside its own.
    pub token_hosts: Vec<String>,
    trusted: Arc<[String]>,
}

impl Settings {
    /// Takes them from the checked configuration.
    ///
    /// # Errors
    /// [`SetupFault`] for a URL without a host.
    pub fn of(registry: &Registry, upstream: &pullgate_config::Upstream) -> Result<Self, SetupFault> {
        let fault = |why| SetupFault { registry: registry.clone(), why };
        let mut trusted = upstream.redirect_hosts.clone();
        let mut urls = Vec::new();
        for url in &upstream.urls {
            let uri: Uri = url.parse().map_err(|_| fault("`url` is malformed"))?;
            let host = uri.host().ok_or_else(|| fault("`url` has no host"))?;
            trusted.push(host.trim_matches(['[', ']']).to_owned());
            urls.push(url.trim_end_matches('/').to_owned());
        }
        let mut token_hosts = upstream.token_hosts.clone();
        // What everybody knows of the large ones; another registrable domain is never guessed (A164).
        match registry.as_str() {
            "docker.io" => token_hosts.push("auth.docker.io".to_owned()),
            "registry.gitlab.com" => token_hosts.push("gitlab.com".to_owned()),
            _ => {}
        }
        trusted.extend(token_hosts.iter().cloned());
        Ok(Self {
            registry: registry.clone(),
            urls,
            ca_pem: upstream.ca_pem.clone(),
            credentials: upstream.credentials.clone(),
            token_hosts,
            trusted: trusted.into(),
        })
    }

    /// Hosts whose addresses are not asked to be public: the configuration names them.
    #[must_use]
    pub fn trusted_hosts(&self) -> Arc<[String]> {
        Arc::clone(&self.trusted)
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("registry", &self.registry).finish_non_exhaustive()
    }
}
