//! What counts where nothing is written.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::limits;
use pullgate_policy::oci::Registry;
use pullgate_policy::policy::{PolicySet, Revision, Revisions, Unmatched};
use pullgate_verify::{KeyRing, TrustSet, TrustTable};

use crate::code::Code;
use crate::config::{
    Admin, Audit, AuditLog, Cache, Config, Credentials, DeniedHeadStatus, Listen, OnFailure, Policies,
    Upstream,
};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::files::Text;
use crate::trust;

/// The data port: loopback only, unless told otherwise (A419).
pub(crate) const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5000);
/// The admin port.
pub(crate) const ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5001);
/// How long audit records are kept: 90 days.
pub(crate) const RETAIN: Duration = Duration::from_secs(90 * 86_400);

/// The registries that `serve` knows without a configuration.
const WELL_KNOWN: [&str; 8] = [
    "docker.io",
    "gcr.io",
    "ghcr.io",
    "mcr.microsoft.com",
    "public.ecr.aws",
    "quay.io",
    "registry.gitlab.com",
    "registry.k8s.io",
];

/// What `serve` does with no configuration: loopback only, the well-known public registries, the built-in trust roots, and
/// nothing enforced: what is pulled is served with a warning. `state` is the folder to remember in.
#[must_use]
pub fn defaults(state: PathBuf) -> Config {
    let registries = WELL_KNOWN.iter().filter_map(|name| name.parse::<Registry>().ok());
    let tables = TrustSet::new(built_in().collect());
    let revisions = Revisions { policy: Revision::of([]), trust: tables.revision() };
    Config {
        listen: Listen { default_registry: Some(Registry::docker_hub()), ..listen() },
        clients: None,
        admin: Admin { address: ADMIN },
        state,
        seal_key_file: None,
        cache: cache(),
        audit: audit(),
        upstreams: registries.map(|name| (name.clone(), upstream(&name))).collect(),
        policy: Policies {
            set: PolicySet {
                revisions,
                unmatched: Unmatched::Warn,
                authorities: BTreeMap::new(),
                policies: Vec::new(),
                blocks: Vec::new(),
                exemptions: Vec::new(),
                permit_ttl: limits::PERMIT_TTL,
            },
            keys: Arc::new(KeyRing::default()),
            key_files: BTreeMap::new(),
            trust: Arc::new(tables),
            sources: trust::built_in_sources(),
            file: None,
            text: None,
        },
        shadow: None,
        fingerprint: Revision::of([]),
        watched: Vec::new(),
    }
}

/// The warnings about [`defaults`]: a gate without a configuration file enforces nothing (A419).
#[must_use]
pub fn warnings_without_a_file() -> Diagnostics {
    let message = "there is no configuration: nothing is enforced, and everything is served with a warning";
    let hint = "--config FILE; `examples/` has folders to start from".to_owned();
    let text = Text::new(Path::new("built-in"), "");
    let mut warnings = Diagnostics::default();
    warnings.push(Diagnostic::new(&text, 0..0, Code::NothingEnforced, message.to_owned(), Some(hint)));
    warnings
}

/// The trust tables that need no file. A test of theirs reads both snapshots, so the filter drops neither.
pub(crate) fn built_in() -> impl Iterator<Item = TrustTable> {
    [TrustTable::sigstore(), TrustTable::github()].into_iter().flatten()
}

pub(crate) fn listen() -> Listen {
    Listen {
        address: LISTEN,
        default_registry: None,
        denied_head_status: DeniedHeadStatus::Forbidden,
        tls: None,
        trusted_proxies: Vec::new(),
    }
}

pub(crate) fn cache() -> Cache {
    Cache {
        blobs_max: limits::BLOBS_MAX,
        tag_ttl: limits::TAG_TTL,
        permit_ttl: limits::PERMIT_TTL,
        deny_ttl: limits::DENY_TTL,
    }
}

pub(crate) fn audit() -> Audit {
    Audit {
        log: AuditLog::Stdout,
        retain: RETAIN,
        retain_max: None,
        on_failure: OnFailure::Count,
        gate: None,
        key_file: None,
    }
}

/// A registry that answers under its own name, as all do but Docker Hub.
pub(crate) fn upstream(registry: &Registry) -> Upstream {
    let host = if *registry == Registry::docker_hub() { "registry-1.docker.io" } else { registry.as_str() };
    Upstream {
        urls: vec![format!("https://{host}")],
        prefix: None,
        aliases: Vec::new(),
        ca_pem: None,
        client_cert_pem: None,
        redirect_hosts: Vec::new(),
        token_hosts: Vec::new(),
        credentials: Credentials::Anonymous,
        logins: BTreeMap::new(),
        evidence: None,
        first_byte: None,
        first_byte_blob: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a419_without_a_configuration_the_gate_is_on_loopback_and_enforces_nothing() {
        let config = defaults(PathBuf::from("state"));
        assert!(config.listen.address.ip().is_loopback() && config.admin.address.ip().is_loopback());
        assert_eq!(config.upstreams.len(), WELL_KNOWN.len());
        assert_eq!(config.policy.set.unmatched, Unmatched::Warn);
        assert_eq!(config.policy.set.enforcing_scopes(), 0);
        assert_eq!(built_in().count(), 2);
    }

    #[test]
    fn docker_hub_answers_under_another_name_than_its_own() {
        let url = |name: &str| upstream(&name.parse().unwrap()).urls;
        assert_eq!(url("docker.io"), ["https://registry-1.docker.io"]);
        assert_eq!(url("ghcr.io"), ["https://ghcr.io"]);
    }
}
