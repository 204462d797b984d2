//! The checked values that the gate runs by.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use pullgate_policy::identity::Name;
use pullgate_policy::oci::{Registry, Repository};
use pullgate_policy::policy::{PolicySet, Revision};
use pullgate_policy::readers::Readers;
use pullgate_verify::{JwkSet, KeyRing, TrustSet};

use crate::secret::Secret;
use crate::trust::TrustSource;

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The data port.
    pub listen: Listen,
    /// Who may pull; `None` lets in everybody who reaches the data port.
    pub clients: Option<Clients>,
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
    /// The policy of `audit.shadow`, by which pulls are judged as well.
    pub shadow: Option<Shadow>,
    /// The content hash of every file that was read.
    pub fingerprint: Revision,
    /// Every file that was read, to be watched.
    pub watched: Vec<PathBuf>,
}

/// A policy by which pulls are judged as well, and that changes no answer.
#[derive(Debug, Clone)]
pub enum Shadow {
    /// The file has faults: nothing is judged by it. The first of them, and how many more.
    Broken(String),
    /// The policy.
    Policies(Box<Policies>),
}

/// The policy with the keys and trust tables that it names.
#[derive(Debug, Clone)]
pub struct Policies {
    /// The policies.
    pub set: PolicySet,
    /// The keys of their authorities.
    pub keys: Arc<KeyRing>,
    /// The key file of each authority with a key.
    pub key_files: BTreeMap<Name, PathBuf>,
    /// The trust tables of their authorities, as far as they need no refresh.
    pub trust: Arc<TrustSet>,
    /// Where each trust table comes from, by name.
    pub sources: Vec<TrustSource>,
    /// The file it was read from; `None` for the built-in policy.
    pub file: Option<PathBuf>,
    /// Its text; `None` for the built-in policy.
    pub text: Option<Arc<str>>,
}

/// `[listen]`.
#[derive(Debug, Clone)]
pub struct Listen {
    /// The address of the data port.
    pub address: SocketAddr,
    /// The registry of requests without a registry.
    pub default_registry: Option<Registry>,
    /// How a denied HEAD is answered.
    pub denied_head_status: DeniedHeadStatus,
    /// TLS; plain HTTP where none.
    pub tls: Option<Tls>,
    /// Networks of proxies that are trusted to name the client's address, for the pull log.
    pub trusted_proxies: Vec<IpNet>,
}

/// `listen.tls`.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The certificate with its intermediates, the leaf first.
    pub cert_pem: Vec<u8>,
    /// Its private key.
    pub key_pem: Secret,
    /// The authorities of clients' certificates; `None` asks for no certificate.
    pub client_ca_pem: Option<Vec<u8>>,
}

/// `listen.denied_head_status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeniedHeadStatus {
    /// 403.
    Forbidden,
    /// 300: containerd then falls through to no other registry.
    MultipleChoices,
}

/// `[clients]`.
#[derive(Debug, Clone)]
pub struct Clients {
    /// bcrypt hashes of passwords, by user name.
    pub passwords: BTreeMap<String, Secret>,
    /// The issuers whose tokens prove a client's name.
    pub issuers: Vec<Issuer>,
    /// Who may read what.
    pub readers: Readers,
}

/// An entry of `clients.oidc`.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// What stands before the names of its clients: `oidc:NAME:…`.
    pub name: String,
    /// `iss` of its tokens, byte for byte, and where its keys are found.
    pub issuer: String,
    /// What must stand in `aud`.
    pub audience: String,
    /// The claim that names the client.
    pub claim: String,
    /// Its keys.
    pub keys: IssuerKeys,
}

/// Where the keys of an issuer come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IssuerKeys {
    /// From the issuer itself.
    Discovered {
        /// The certificates that its own may chain to; the system's where none.
        ca_pem: Option<Vec<u8>>,
    },
    /// From a file: the issuer is not asked.
    Pinned(Arc<JwkSet>),
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
    /// Bytes that the database may take; `None` for no limit.
    pub retain_max: Option<u64>,
    /// Whether pulls go on while the log cannot be written.
    pub on_failure: OnFailure,
    /// The name of the gate in its records; that of the host where none.
    pub gate: Option<String>,
    /// The Ed25519 key that signs the log's head, in PEM; `log.key` in the state folder where none.
    pub key_file: Option<PathBuf>,
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
    /// The endpoints, tried in order: `http` or `https`, a host, perhaps a port, no trailing slash. Never empty.
    pub urls: Vec<String>,
    /// What stands before the name of every repository there: path components, without slashes around them.
    pub prefix: Option<String>,
    /// Other names by which clients may ask for it, in lower case.
    pub aliases: Vec<String>,
    /// The certificates that its own may chain to; the system's where none.
    pub ca_pem: Option<Vec<u8>>,
    /// Hosts it may redirect to, whatever their address; in lower case. One with `http://` before it gives blobs without
    /// TLS.
    pub redirect_hosts: Vec<String>,
    /// Hosts of its token services, beside its own; in lower case.
    pub token_hosts: Vec<String>,
    /// The gate's own certificate with its intermediates and private key, for an upstream that asks for one.
    pub client_cert_pem: Option<Secret>,
    /// The only credentials that may go to it, but for the repositories in `logins`.
    pub credentials: Credentials,
    /// Credentials of repositories whose path is this prefix or begins with it and a slash; the longest counts.
    pub logins: BTreeMap<String, Credentials>,
    /// The separate evidence repository.
    pub evidence: Option<Repository>,
    /// How long the first byte of an answer, except a blob, is waited for; `None` for the default of the limits.
    pub first_byte: Option<Duration>,
    /// The same of its answer to a request for a blob.
    pub first_byte_blob: Option<Duration>,
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
