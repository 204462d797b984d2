//! One load of the configuration: policy, keys, trust and upstreams together. A pull takes it once and keeps it to its
//! end, so it never sees half of two loads (A411, A412).

use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use pullgate_config::{Config, DeniedHeadStatus, Policies};
use pullgate_policy::oci::{Registry, Repository};
use pullgate_policy::policy::{PolicySet, Revisions};
use pullgate_verify::TrustSet;

use crate::clients::{self, Clients};
use crate::route::Registries;
use crate::tls::{self, Handshakes};
use crate::upstream::{self, Upstream};

/// One load of the configuration.
pub struct Live {
    config: Config,
    /// The trust tables of the files, before any refresh.
    loaded_trust: Arc<TrustSet>,
    handshakes: Option<Arc<Handshakes>>,
    clients: Option<Arc<Clients>>,
    upstreams: BTreeMap<Registry, Arc<Upstream>>,
    aliases: BTreeMap<String, Registry>,
}

/// Why a checked configuration cannot be put in force.
#[derive(Debug, thiserror::Error)]
pub enum SetupFault {
    /// An issuer of `clients.oidc` cannot be used.
    #[error(transparent)]
    Clients(#[from] clients::SetupFault),
    /// `listen.tls` cannot be used.
    #[error(transparent)]
    Tls(#[from] tls::SetupFault),
    /// An upstream's settings cannot be used.
    #[error(transparent)]
    Upstream(#[from] upstream::SetupFault),
}

impl Live {
    /// Builds the clients of every upstream, and what answers TLS handshakes.
    ///
    /// # Errors
    /// [`SetupFault`] names the setting that cannot be used.
    pub fn new(config: Config) -> Result<Self, SetupFault> {
        Self::after(None, config)
    }

    /// As [`Self::new`], after another load: fetched keys of token issuers stay.
    ///
    /// # Errors
    /// [`SetupFault`] names the setting that cannot be used.
    pub fn after(before: Option<&Self>, config: Config) -> Result<Self, SetupFault> {
        let handshakes = config.listen.tls.as_ref().map(Handshakes::new).transpose()?.map(Arc::new);
        let mut upstreams = BTreeMap::new();
        let mut aliases = BTreeMap::new();
        for (registry, settings) in &config.upstreams {
            let client = Upstream::new(upstream::Settings::of(registry, settings)?)?;
            upstreams.insert(registry.clone(), Arc::new(client));
            for alias in &settings.aliases {
                aliases.insert(alias.to_ascii_lowercase(), registry.clone());
            }
        }
        if upstreams.contains_key(&Registry::docker_hub()) {
            for alias in ["index.docker.io", "registry-1.docker.io"] {
                aliases.insert(alias.to_owned(), Registry::docker_hub());
            }
        }
        let before = before.and_then(Self::clients);
        let clients = config.clients.clone().map(|clients| Clients::new(clients, before)).transpose()?;
        let clients = clients.map(Arc::new);
        let loaded_trust = Arc::clone(&config.policy.trust);
        Ok(Self { config, loaded_trust, handshakes, clients, upstreams, aliases })
    }

    /// The same load under other trust tables: connections and all else stay. Every verdict is bound to the revision that
    /// this makes (A348, A350).
    #[must_use]
    pub fn under(&self, trust: TrustSet, now: Timestamp) -> Self {
        let mut config = self.config.clone();
        config.policy.set.revisions.trust = trust.revision_at(now);
        config.policy.trust = Arc::new(trust);
        Self {
            config,
            loaded_trust: Arc::clone(&self.loaded_trust),
            handshakes: self.handshakes.clone(),
            clients: self.clients.clone(),
            upstreams: self.upstreams.clone(),
            aliases: self.aliases.clone(),
        }
    }

    /// The same load under another policy, which is not in force: to judge past pulls again.
    #[must_use]
    pub fn judging_by(&self, policies: Policies) -> Self {
        let (loaded_trust, mut config) = (Arc::clone(&policies.trust), self.config.clone());
        config.policy = policies;
        Self {
            config,
            loaded_trust,
            handshakes: self.handshakes.clone(),
            clients: self.clients.clone(),
            upstreams: self.upstreams.clone(),
            aliases: self.aliases.clone(),
        }
    }

    /// The trust tables of the files, before any refresh.
    #[must_use]
    pub fn loaded_trust(&self) -> &Arc<TrustSet> {
        &self.loaded_trust
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The policies.
    #[must_use]
    pub fn policy(&self) -> &PolicySet {
        &self.config.policy.set
    }

    /// The revisions of policy and trust.
    #[must_use]
    pub fn revisions(&self) -> Revisions {
        self.config.policy.set.revisions
    }

    /// The client of a repository's upstream, if it has a table.
    #[must_use]
    pub fn upstream(&self, repository: &Repository) -> Option<&Arc<Upstream>> {
        self.upstreams.get(repository.registry())
    }

    /// The separate evidence repository of a repository's upstream.
    #[must_use]
    pub fn evidence_repository(&self, repository: &Repository) -> Option<&Repository> {
        self.config.upstreams.get(repository.registry())?.evidence.as_ref()
    }

    /// Whether a repository is the separate evidence repository of some upstream.
    #[must_use]
    pub fn keeps_evidence(&self, repository: &Repository) -> bool {
        self.config.upstreams.values().any(|upstream| upstream.evidence.as_ref() == Some(repository))
    }

    /// The TLS side of the data port; `None` where it speaks plain HTTP.
    #[must_use]
    pub fn handshakes(&self) -> Option<&Handshakes> {
        self.handshakes.as_deref()
    }

    /// Who may pull; `None` lets in everybody who reaches the data port.
    #[must_use]
    pub fn clients(&self) -> Option<&Clients> {
        self.clients.as_deref()
    }

    /// Proxies that are trusted to name the client's address, for the pull log.
    #[must_use]
    pub fn trusted_proxies(&self) -> &[IpNet] {
        &self.config.listen.trusted_proxies
    }

    /// How a denied HEAD is answered.
    #[must_use]
    pub fn denied_head(&self) -> DeniedHeadStatus {
        self.config.listen.denied_head_status
    }
}

impl Registries for Live {
    fn find(&self, name: &str) -> Option<Registry> {
        let name = name.to_ascii_lowercase();
        if let Some(registry) = self.aliases.get(&name) {
            return Some(registry.clone());
        }
        let registry = name.parse().ok()?;
        self.upstreams.contains_key(&registry).then_some(registry)
    }

    fn default(&self) -> Option<Registry> {
        self.config.listen.default_registry.clone()
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("revisions", &self.revisions()).finish_non_exhaustive()
    }
}
