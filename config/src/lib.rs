//! The configuration and policy files: from TOML to checked values, with every fault named at once.
//!
//! [`load`] reads both files, the keys and the trust roots, each once. `README.md` beside this crate is the reference of
//! every key and every code.

mod code;
mod config_file;
mod diagnostic;
mod policy_file;
mod reader;
mod secret;
mod source;
mod trust;
mod value;
mod warnings;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pullgate_policy::oci::{Registry, Repository};
use pullgate_policy::policy::{Governing, PolicySet, Revision};
use pullgate_verify::{KeyRing, TrustSet};

pub use code::Code;
pub use diagnostic::{Diagnostic, Diagnostics, Severity, Style};
pub use secret::Secret;

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The data port.
    pub listen: Listen,
    /// The admin port.
    pub admin: Admin,
    /// The folder of everything that is remembered.
    pub state: PathBuf,
    /// The file with the secret of the seal; `state/seal.key` where none is named.
    pub seal_key_file: Option<PathBuf>,
    /// How long and how much is remembered.
    pub cache: Cache,
    /// The pull log.
    pub audit: Audit,
    /// The registries that may be asked; no other is ever dialled.
    pub upstreams: BTreeMap<Registry, Upstream>,
    /// The policy with its keys and trust roots.
    pub policy: Policies,
    /// The content hash of every file that was read.
    pub fingerprint: Revision,
    /// Every file that was read, to be watched.
    pub watched: Vec<PathBuf>,
}

/// The policy with what it names.
#[derive(Debug, Clone)]
pub struct Policies {
    /// The policies.
    pub set: PolicySet,
    /// The keys of their authorities.
    pub keys: Arc<KeyRing>,
    /// The trust tables of their authorities.
    pub trust: Arc<TrustSet>,
}

/// `[listen]`.
#[derive(Debug, Clone)]
pub struct Listen {
    /// The address of the data port.
    pub address: SocketAddr,
    /// The registry of requests that name none.
    pub default_registry: Option<Registry>,
    /// How a denied HEAD is answered.
    pub denied_head_status: DeniedHeadStatus,
}

/// `listen.denied_head_status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeniedHeadStatus {
    /// 403.
    Forbidden,
    /// 300: containerd then falls through to no other registry.
    MultipleChoices,
}

/// `[admin]`.
#[derive(Debug, Clone)]
pub struct Admin {
    /// The address of health and metrics.
    pub address: SocketAddr,
}

/// `[cache]`.
#[derive(Debug, Clone)]
pub struct Cache {
    /// Bytes of blobs that are kept.
    pub blobs_max: u64,
    /// How long a tag's digest is believed.
    pub tag_ttl: Duration,
    /// How long a permit counts.
    pub permit_ttl: Duration,
    /// How long a denial counts.
    pub deny_ttl: Duration,
}

/// `[audit]`.
#[derive(Debug, Clone)]
pub struct Audit {
    /// Where the lines go.
    pub log: AuditLog,
    /// How long records stay in the database.
    pub retain: Duration,
    /// What a log that cannot be written does to pulls.
    pub on_failure: OnFailure,
}

/// `audit.log`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditLog {
    /// A file, rotated.
    File(PathBuf),
    /// Standard output.
    Stdout,
}

/// `audit.on_failure`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Lost records are counted; pulls go on.
    Count,
    /// Pulls are undecided.
    Refuse,
}

/// `[upstream."…"]`.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// The endpoints, tried in order.
    pub urls: Vec<String>,
    /// Other names by which clients may ask for it.
    pub aliases: Vec<String>,
    /// The certificates that its own may chain to; the system's where none.
    pub ca_pem: Option<Vec<u8>>,
    /// Hosts it may redirect to, whatever their address.
    pub redirect_hosts: Vec<String>,
    /// Hosts of its token services, beside its own.
    pub token_hosts: Vec<String>,
    /// The only credentials that may go to it.
    pub credentials: Credentials,
    /// The separate evidence repository.
    pub evidence: Option<Repository>,
}

/// Credentials for one upstream.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// None.
    Anonymous,
    /// User name and password.
    Basic {
        /// The user name.
        username: String,
        /// The password, from its file.
        password: Secret,
    },
    /// A docker config.
    DockerConfig {
        /// Its text.
        text: Secret,
    },
}

/// A configuration, and what is weaker in it than it looks.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Warnings only.
    pub warnings: Diagnostics,
}

/// Reads the configuration at `path`, the policy, the keys and the trust roots.
///
/// # Errors
/// [`Diagnostics`]: every fault of every file, at once.
pub fn load(path: &Path, now: Timestamp) -> Result<Loaded, Diagnostics> {
    let mut sources = source::Sources::default();
    let config = config_file::read(&mut sources, path);
    let mut diagnostics = sources.take_diagnostics();
    match config {
        Some(config) if !diagnostics.has_faults() => {
            diagnostics.extend(warnings::of(&config, &sources, now));
            Ok(Loaded { config, warnings: diagnostics })
        }
        Some(_) | None => Err(diagnostics),
    }
}

/// What `serve` does with no configuration: loopback only, the well-known registries, warn mode.
#[must_use]
pub fn defaults(state: PathBuf) -> Config {
    config_file::defaults(state)
}

/// Which policy governs an image.
#[derive(Debug, Clone)]
pub struct Against {
    /// The canonical repository.
    pub repository: Repository,
    /// The policy and the scope that won, or none.
    pub policy: Option<(String, String)>,
    /// What is asked for, a line each, with its place.
    pub requirements: Vec<String>,
}

/// Says, without a network, which scope wins for a repository and what it asks for.
#[must_use]
pub fn against(config: &Config, repository: &Repository) -> Against {
    let (policy, requirements) = match config.policy.set.governing(repository) {
        Governing::Policy(policy, scope) => {
            (Some((policy.name.to_string(), scope.to_string())), warnings::requirements(policy))
        }
        Governing::Unmatched(unmatched) => (None, vec![format!("unmatched = {unmatched:?}").to_lowercase()]),
    };
    Against { repository: repository.clone(), policy, requirements }
}
