//! The configuration file.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// The configuration of the gate.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape counts")]
pub(crate) struct Configuration {
    /// The policy file, relative to this one.
    policy: String,
    /// The folder where everything is remembered.
    state: String,
    /// The file with the secret under which verdicts are stored: 32 bytes, mode 0600. Default: `seal.key` in `state`.
    seal_key_file: Option<String>,
    listen: Option<Listen>,
    admin: Option<Admin>,
    cache: Option<Cache>,
    audit: Option<Audit>,
    clients: Option<Clients>,
    /// The registries that may be asked, by name; no other ever is.
    upstream: BTreeMap<String, Upstream>,
}

/// The data port.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape counts")]
pub(crate) struct Listen {
    /// IP address and port. Default: "127.0.0.1:5000".
    address: Option<String>,
    /// The registry of requests without a registry.
    default_registry: Option<String>,
    /// What a denied HEAD gets: 403 (default) or 300.
    #[schemars(extend("enum" = [300, 403]))]
    denied_head_status: Option<u16>,
    /// Addresses and networks of proxies that are trusted to name the client's address, for the pull log. Default: none.
    trusted_proxies: Option<Vec<String>>,
    tls: Option<Tls>,
}

/// TLS on the data port: files in PEM.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape counts")]
pub(crate) struct Tls {
    /// The certificate with its intermediates.
    cert: String,
    /// Its private key, mode 0600.
    key: String,
    /// Certificates that those of clients must chain to. Default: no certificate is asked for.
    client_ca: Option<String>,
}

/// Who may pull. Default: every client that reaches the data port.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape counts")]
pub(crate) struct Clients {
    /// A file of names with bcrypt hashes.
    htpasswd: Option<String>,
    /// Issuers whose tokens prove a name.
    oidc: Option<Vec<Issuer>>,
    /// Rules, of which one match suffices. Default: a client that proved a name reads everything.
    allow: Option<Vec<Allow>>,
}

/// An issuer of tokens (OpenID Connect).
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape counts")]
pub(crate) struct Issuer {
    /// `iss` of its tokens, byte for byte; its keys are found below this address.
    #[schemars(extend("pattern" = "^https?://"))]
    issuer: String,
    /// What must stand in `aud`.
    audience: String,
    /// Stands in the names of its clients: `oidc:NAME:…`. Default: the host of `issuer`.
    name: Option<String>,
    /// The claim that names the client. Default: "sub".
    claim: Option<String>,
    /// Certificates that those of the issuer must chain to. Default: the system's.
    ca: Option<String>,
    /// A file with its keys, a JSON Web Key Set: then they are not fetched.
    jwks: Option<String>,
}

/// Clients and what they may read.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape counts")]
pub(crate) struct Allow {
    /// Globs over names.
    who: Vec<String>,
    /// Globs over repositories.
    read: Vec<String>,
}

/// The port of health and metrics.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape counts")]
pub(crate) struct Admin {
    /// IP address and port. Default: "127.0.0.1:5001".
    address: Option<String>,
}

/// How much and how long is remembered.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape counts")]
pub(crate) struct Cache {
    /// Blobs that are kept. Default: "20GiB".
    #[schemars(extend("pattern" = "^[0-9]+(KiB|MiB|GiB|TiB)$"))]
    blobs_max: Option<String>,
    /// How long the digest of a tag is believed, at most "1h". Default: "60s".
    #[schemars(extend("pattern" = "^[0-9]+[smhd]$"))]
    tag_ttl: Option<String>,
    /// How long a permit counts, at most "24h". Default: "1h".
    #[schemars(extend("pattern" = "^[0-9]+[smhd]$"))]
    permit_ttl: Option<String>,
    /// How long a denial counts, at most "30s". Default: "30s".
    #[schemars(extend("pattern" = "^[0-9]+[smhd]$"))]
    deny_ttl: Option<String>,
}

/// The pull log.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape counts")]
pub(crate) struct Audit {
    /// "stdout" (default) or a file.
    log: Option<String>,
    /// How long records stay in the database. Default: "90d".
    #[schemars(extend("pattern" = "^[0-9]+[smhd]$"))]
    retain: Option<String>,
    /// Bytes that these records may take, at least "16MiB". Over it: the oldest go before their time. Default: no bound.
    #[schemars(extend("pattern" = "^[0-9]+(KiB|MiB|GiB|TiB)$"))]
    retain_max: Option<String>,
    /// What a log that cannot be written does to pulls.
    on_failure: Option<OnFailure>,
    /// A policy file by which every pull is judged as well; it changes no answer.
    shadow: Option<String>,
    /// Names the gate in its records. Default: the host's name.
    gate: Option<String>,
    /// The Ed25519 key (PEM) that signs heads of the log. Default: `log.key` in `state`, made at the first start.
    key_file: Option<String>,
}

/// What a log that cannot be written does to pulls: "count" (default) counts what is lost, "refuse" stops them.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnFailure {
    Count,
    Refuse,
}

/// One registry that may be asked.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape counts")]
pub(crate) struct Upstream {
    /// The endpoint. Default: https:// and the registry's name.
    #[schemars(extend("pattern" = "^https?://[^/@?#]+/?$"))]
    url: Option<String>,
    /// Several endpoints, tried in order, in place of `url`.
    urls: Option<Vec<String>>,
    /// Other names by which clients ask for it.
    aliases: Option<Vec<String>>,
    /// A file with the certificates that its own may chain to. Default: the system's.
    ca: Option<String>,
    /// Hosts it may redirect to, whatever their address.
    prefix: Option<String>,
    redirect_hosts: Option<Vec<String>>,
    /// Hosts of its token services, beside its own.
    token_hosts: Option<Vec<String>>,
    credentials: Option<Credentials>,
    /// Other credentials for some repositories; of several prefixes the longest counts.
    logins: Option<Vec<Login>>,
    /// The gate's own certificate with its private key, for an upstream that asks for one.
    client_cert: Option<String>,
    /// A repository that is asked for signatures beside the image's own.
    evidence: Option<String>,
    /// How long its answer to a question may take to begin; at most "2m".
    /// Default: "25s", or "8s" where another endpoint can be asked.
    #[schemars(extend("pattern" = "^[0-9]+[smhd]$"))]
    first_byte: Option<String>,
    /// The same of a blob; at most "2m". Default: "60s", or "25s" where another endpoint can be asked.
    #[schemars(extend("pattern" = "^[0-9]+[smhd]$"))]
    first_byte_blob: Option<String>,
}

/// The credentials of the repositories whose path begins like this: `docker_config`, or `username` with `password_file`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape counts")]
pub(crate) struct Login {
    /// Whole parts of the path, without the registry: `team-a` is for `team-a/app` and not for `team-abc/app`.
    prefix: String,
    /// A docker config file; its credential helpers work.
    docker_config: Option<String>,
    username: Option<String>,
    /// A file of mode 0600 with the password.
    password_file: Option<String>,
}

/// The only credentials that go to this upstream: `docker_config`, or `username` with `password_file`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape counts")]
pub(crate) struct Credentials {
    /// A docker config file; its credential helpers work.
    docker_config: Option<String>,
    username: Option<String>,
    /// A file of mode 0600 with the password.
    password_file: Option<String>,
}
