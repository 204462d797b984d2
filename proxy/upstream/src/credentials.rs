//! The credentials of one upstream. They go to its own host and its token services, and nowhere else.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Instant;

use crate::limits;
use base64::Engine as _;
use docker_credential::{CredentialRetrievalError, DockerCredential};
use http::HeaderValue;
use pullgate_config::{Credentials, Secret};
use pullgate_policy::oci::{Registry, Repository};
use pullgate_policy::strict_json;
use serde_json::Value;
use zeroize::Zeroizing;

use self::helper::{Bounds, HelperAnswer};
use crate::fault::Fault;
use crate::settings::Settings;

mod helper;

/// The gate's identity at an upstream.
pub(super) enum Login {
    /// Nobody.
    Anonymous,
    /// The holder of an identity token, which a token service trades for another.
    Identity(Secret),
    /// User name and password, as a header.
    Password(HeaderValue),
}

/// Where the logins of one upstream come from.
pub(super) struct Sources {
    /// By the beginning of a repository's path, the longest first.
    by_prefix: Vec<(String, Source)>,
    otherwise: Source,
}

/// Where a login comes from.
enum Source {
    Anonymous,
    Basic(HeaderValue),
    DockerConfig(DockerConfig),
}

/// A docker config, its helpers taken out of it: they are asked under our own limits.
#[derive(Clone)]
pub(super) struct DockerConfig {
    /// Its own logins of registries.
    logins: Secret,
    /// `credHelpers`: names by registry.
    helpers: BTreeMap<String, String>,
    /// `credsStore`.
    store: Option<String>,
}

impl Sources {
    /// Checks the credentials, as far as possible before the first pull.
    ///
    /// # Errors
    /// What is wrong with the credentials.
    pub(super) fn new(settings: &Settings) -> Result<Self, &'static str> {
        let source = |(prefix, credentials): (&String, &Credentials)| {
            Source::new(credentials).map(|source| (prefix.clone(), source))
        };
        let mut by_prefix = settings.logins.iter().map(source).collect::<Result<Vec<_>, _>>()?;
        by_prefix.sort_by_key(|(prefix, _)| Reverse(prefix.len()));
        Ok(Self { by_prefix, otherwise: Source::new(&settings.credentials)? })
    }

    /// Whether no login is configured for a repository.
    pub(super) fn are_anonymous(&self, repository: &Repository) -> bool {
        matches!(self.of(repository), Source::Anonymous)
    }

    fn of(&self, repository: &Repository) -> &Source {
        let theirs = self.by_prefix.iter().find(|(prefix, _)| begins(repository.path(), prefix));
        theirs.map_or(&self.otherwise, |(_, source)| source)
    }

    /// The login for a repository. A credential helper runs with a time limit, and does not block other requests.
    ///
    /// # Errors
    /// [`Fault::Unauthorized`] when a configured login cannot be obtained: a pull without it would report a private
    /// repository as "not found".
    pub(super) async fn login(&self, repository: &Repository) -> Result<Login, Fault> {
        self.of(repository).login(repository).await
    }
}

/// Whether a path is the prefix, or goes on after it with another part.
fn begins(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Source {
    fn new(credentials: &Credentials) -> Result<Self, &'static str> {
        match credentials {
            Credentials::Anonymous => Ok(Self::Anonymous),
            Credentials::Basic { username, password } => {
                basic(username, password.reveal()).map(Self::Basic).ok_or("the credentials cannot be sent")
            }
            Credentials::DockerConfig { text } => Ok(Self::DockerConfig(checked(text.reveal())?)),
        }
    }

    async fn login(&self, repository: &Repository) -> Result<Login, Fault> {
        match self {
            Self::Anonymous => Ok(Login::Anonymous),
            Self::Basic(header) => Ok(Login::Password(header.clone())),
            Self::DockerConfig(config) => {
                let (config, repository) = (config.clone(), repository.clone());
                let bounds = Bounds {
                    until: Instant::now() + limits::CREDENTIAL_HELPER,
                    bytes: pullgate_config::limits::CREDENTIAL_BYTES,
                };
                let work = tokio::task::spawn_blocking(move || look_up(&config, &repository, bounds));
                work.await.map_err(|_| Fault::Internal)?
            }
        }
    }
}

fn basic(username: &str, password: &str) -> Option<HeaderValue> {
    // These are overwritten when dropped; the header belongs to `http`, which does not overwrite (A548).
    let plain = Zeroizing::new(format!("{username}:{password}"));
    let encoded = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(plain.as_bytes()));
    let value = Zeroizing::new(format!("Basic {}", encoded.as_str()));
    let mut header = HeaderValue::from_str(&value).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// A docker config whose helpers may be run: a helper's name becomes that of a program in `PATH`, so it must not be a
/// path (A415).
fn checked(text: &str) -> Result<DockerConfig, &'static str> {
    let fault = "`docker_config` is no docker config";
    let Ok(Value::Object(mut config)) = strict_json::parse(text.as_bytes()) else { return Err(fault) };
    // Docker takes an empty name for an absent one.
    let store = match config.remove("credsStore") {
        None => None,
        Some(name) => Some(name.as_str().ok_or(fault)?.to_owned()).filter(|name| !name.is_empty()),
    };
    let mut helpers = BTreeMap::new();
    match config.remove("credHelpers") {
        None => {}
        Some(Value::Object(written)) => {
            for (registry, name) in written {
                helpers.insert(registry, name.as_str().ok_or(fault)?.to_owned());
            }
        }
        Some(_) => return Err(fault),
    }
    for name in helpers.values().chain(&store) {
        let plain = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if !plain || name.is_empty() {
            return Err("`docker_config` names a credential helper outside [a-z0-9-]+");
        }
    }
    Ok(DockerConfig { logins: Secret::new(Value::Object(config).to_string()), helpers, store })
}

/// The keys under which a login for a repository may stand: its own and those of its namespaces, the longest first, as
/// `podman login` writes them (containers-auth.json(5)).
fn names_of_namespaces(repository: &Repository) -> Vec<String> {
    let (mut names, mut path) = (Vec::new(), Some(repository.path()));
    while let Some(part) = path {
        names.push(format!("{}/{part}", repository.registry()));
        path = part.rsplit_once('/').map(|(above, _)| above);
    }
    names
}

/// The keys under which `docker login` keeps a registry.
fn names(registry: &Registry) -> Vec<String> {
    match registry.as_str() {
        // Docker Hub is the only registry whose key is not its name.
        "docker.io" => {
            ["https://index.docker.io/v1/", "index.docker.io", "docker.io"].map(str::to_owned).to_vec()
        }
        name => vec![name.to_owned(), format!("https://{name}")],
    }
}

/// The file's login for a namespace; else, for each key of the registry in docker's order: the registry's own helper,
/// the file's login, the store.
fn look_up(config: &DockerConfig, repository: &Repository, bounds: Bounds) -> Result<Login, Fault> {
    for name in names_of_namespaces(repository) {
        if let Some(login) = written(config, &name)? {
            return Ok(login);
        }
    }
    for name in &names(repository.registry()) {
        if let Some(helper) = config.helpers.get(name) {
            match helped(helper, name, bounds)? {
                Login::Anonymous => continue,
                login @ (Login::Identity(_) | Login::Password(_)) => return Ok(login),
            }
        }
        if let Some(login) = written(config, name)? {
            return Ok(login);
        }
        if let Some(store) = &config.store {
            match helped(store, name, bounds)? {
                Login::Anonymous => {}
                login @ (Login::Identity(_) | Login::Password(_)) => return Ok(login),
            }
        }
    }
    Ok(Login::Anonymous)
}

/// The login that the file itself holds under a key.
fn written(config: &DockerConfig, name: &str) -> Result<Option<Login>, Fault> {
    match docker_credential::get_credential_from_reader(config.logins.reveal().as_bytes(), name) {
        Ok(DockerCredential::IdentityToken(token)) => Ok(Some(Login::Identity(Secret::new(token)))),
        Ok(DockerCredential::UsernamePassword(username, password)) => {
            let password = Secret::new(password);
            let header = basic(&username, password.reveal()).ok_or(Fault::Unauthorized)?;
            Ok(Some(Login::Password(header)))
        }
        Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(None),
        Err(_) => Err(Fault::Unauthorized),
    }
}

/// The login from a helper; anonymous where it has no login.
fn helped(helper: &str, server: &str, bounds: Bounds) -> Result<Login, Fault> {
    match helper::ask(helper, server, bounds) {
        Ok(HelperAnswer::Nothing) => Ok(Login::Anonymous),
        Ok(HelperAnswer::Login { username, secret }) if username == "<token>" => Ok(Login::Identity(secret)),
        Ok(HelperAnswer::Login { username, secret }) => {
            basic(&username, secret.reveal()).map(Login::Password).ok_or(Fault::Unauthorized)
        }
        Err(fault) => {
            tracing::warn!(helper, %fault, "a login cannot be had");
            Err(Fault::Unauthorized)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn bounds(time: Duration) -> Bounds {
        Bounds { until: Instant::now() + time, bytes: pullgate_config::limits::CREDENTIAL_BYTES }
    }

    fn login(config: &str, registry: &str) -> Option<String> {
        login_for(config, &format!("{registry}/org/app"))
    }

    fn login_for(config: &str, repository: &str) -> Option<String> {
        let config = checked(config).unwrap();
        match look_up(&config, &repository.parse().unwrap(), bounds(Duration::from_secs(120))).unwrap() {
            Login::Anonymous => None,
            Login::Identity(token) => Some(format!("token {}", token.reveal())),
            Login::Password(header) => {
                let encoded = header.to_str().unwrap().strip_prefix("Basic ").unwrap().to_owned();
                Some(
                    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(encoded).unwrap())
                        .unwrap(),
                )
            }
        }
    }

    #[test]
    fn the_login_of_the_nearest_namespace_counts() {
        let config = r#"{ "auths": {
            "r.example": { "auth": "cjpwdw==" },
            "r.example/org": { "auth": "b3JnOnB3" },
            "r.example/org/app": { "auth": "YXBwOnB3" },
            "docker.io/org": { "auth": "aHViOnB3" }
        } }"#;
        for (repository, expected) in [
            ("r.example/org/app", Some("app:pw")),
            ("r.example/org/app/part", Some("app:pw")),
            ("r.example/org/application", Some("org:pw")),
            ("r.example/organisation/app", Some("r:pw")),
            ("docker.io/org/app", Some("hub:pw")),
            ("docker.io/other/app", None),
            ("other.example/org/app", None),
        ] {
            assert_eq!(login_for(config, repository).as_deref(), expected, "{repository}");
        }
    }

    #[test]
    fn a_prefix_is_of_whole_parts() {
        for (path, expected) in
            [("team-a", true), ("team-a/app", true), ("team-abc/app", false), ("org/team-a", false)]
        {
            assert_eq!(begins(path, "team-a"), expected, "{path}");
        }
    }

    #[test]
    fn a_docker_config_is_looked_up_by_the_keys_that_docker_writes() {
        let config = r#"{ "auths": {
            "https://index.docker.io/v1/": { "auth": "aHViOnB3" },
            "ghcr.io": { "auth": "Z2g6cDp3" },
            "https://quay.io": { "username": "q", "password": "p" },
            "https://old.example/v1/": { "auth": "b2xkOnB3" },
            "r.example:5000": { "auth": "cjpwdw==" },
            "acr.example": { "identitytoken": "t" },
            "none.example": {}
        } }"#;
        for (registry, expected) in [
            ("docker.io", Some("hub:pw")),
            ("ghcr.io", Some("gh:p:w")),
            ("quay.io", Some("q:p")),
            ("old.example", Some("old:pw")),
            ("r.example:5000", Some("r:pw")),
            ("r.example", None),
            ("acr.example", Some("token t")),
            ("none.example", None),
            ("gcr.io", None),
            ("x.ghcr.io", None),
        ] {
            assert_eq!(login(config, registry).as_deref(), expected, "{registry}");
        }
        assert_eq!(
            login(r#"{ "auths": { "docker.io": { "auth": "aDpw" } }, "credsStore": "" }"#, "docker.io")
                .as_deref(),
            Some("h:p")
        );
    }

    #[test]
    fn a_login_that_cannot_be_read_is_not_an_anonymous_one() {
        for config in [
            r#"{ "auths": { "r.io": { "auth": "***" } } }"#,
            r#"{ "auths": { "r.io": { "auth": "bm9jb2xvbg==" } } }"#,
            r#"{ "auths": { "r.io": { "auth": "YTpi", "username": "x", "password": "y" } } }"#,
            r#"{ "credHelpers": { "r.io": "no-such-helper-of-anybody" } }"#,
        ] {
            let known = checked(config).unwrap();
            let found = look_up(&known, &"r.io/app".parse().unwrap(), bounds(Duration::from_secs(120)));
            assert!(matches!(found, Err(Fault::Unauthorized)), "{config}");
        }
    }

    #[test]
    fn a415_a_helper_is_a_plain_name_and_never_a_path() {
        for name in ["../evil", "/bin/sh", "a b", "a;b", "A", "", "ü"] {
            let helper = format!(r#"{{ "credHelpers": {{ "r.io": "{name}" }} }}"#);
            assert!(checked(&helper).is_err(), "{name}");
            let store = format!(r#"{{ "credsStore": "{name}" }}"#);
            assert_eq!(checked(&store).is_err(), !name.is_empty(), "{name}");
        }
        assert!(
            checked(r#"{ "credHelpers": { "r.io": "ecr-login" }, "credsStore": "secretservice" }"#).is_ok()
        );
        for text in [
            "",
            "[]",
            "{",
            r#"{ "credsStore": 1 }"#,
            r#"{ "credHelpers": [] }"#,
            r#"{ "auths": {}, "auths": {} }"#,
        ] {
            assert!(checked(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a171_a_login_does_not_show_itself() {
        let header = basic("user", "canary").unwrap();
        assert!(header.is_sensitive() && format!("{header:?}") == "Sensitive");
    }
}
