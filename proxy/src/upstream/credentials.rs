//! The credentials of one upstream. They go to its own host and its token services, and nowhere else.

use base64::Engine as _;
use docker_credential::{CredentialRetrievalError, DockerCredential};
use http::HeaderValue;
use pullgate_config::{Credentials, Secret};
use pullgate_policy::oci::Registry;
use pullgate_policy::{limits, strict_json};
use serde_json::Value;

use super::Fault;

/// Who the gate is to an upstream.
pub(super) enum Login {
    /// Nobody.
    Anonymous,
    /// The holder of an identity token, which a token service trades for another.
    Identity(Secret),
    /// User name and password, as a header.
    Password(HeaderValue),
}

/// Where a login comes from.
pub(super) enum Source {
    Anonymous,
    Basic(HeaderValue),
    DockerConfig { text: Secret, names: Vec<String> },
}

impl Source {
    /// Checks what can be checked before the first pull.
    ///
    /// # Errors
    /// What is wrong with the credentials.
    pub(super) fn new(credentials: &Credentials, registry: &Registry) -> Result<Self, &'static str> {
        match credentials {
            Credentials::Anonymous => Ok(Self::Anonymous),
            Credentials::Basic { username, password } => {
                basic(username, password.reveal()).map(Self::Basic).ok_or("the credentials cannot be sent")
            }
            Credentials::DockerConfig { text } => {
                Ok(Self::DockerConfig { text: checked(text.reveal())?, names: names(registry) })
            }
        }
    }

    /// The login. A credential helper has its time, and no chance to hold up the others.
    ///
    /// # Errors
    /// [`Fault::Unauthorized`] when a login is configured and cannot be had: a pull without it would say "not found" of
    /// what is merely private.
    pub(super) async fn login(&self) -> Result<Login, Fault> {
        match self {
            Self::Anonymous => Ok(Login::Anonymous),
            Self::Basic(header) => Ok(Login::Password(header.clone())),
            Self::DockerConfig { text, names } => {
                let (text, names) = (text.clone(), names.clone());
                let work = tokio::task::spawn_blocking(move || look_up(text.reveal(), &names));
                let done = tokio::time::timeout(limits::CREDENTIAL_HELPER, work).await;
                done.map_err(|_| Fault::Unauthorized)?.map_err(|_| Fault::Internal)?
            }
        }
    }
}

fn basic(username: &str, password: &str) -> Option<HeaderValue> {
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    let mut header = HeaderValue::try_from(format!("Basic {encoded}")).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// A docker config whose helpers may be run: their name becomes that of a program in `PATH`, so it can be no path (A415).
fn checked(text: &str) -> Result<Secret, &'static str> {
    let fault = "`docker_config` is no docker config";
    let Ok(Value::Object(mut config)) = strict_json::parse(text.as_bytes()) else { return Err(fault) };
    // Docker reads an empty store as none.
    config.retain(|key, value| key != "credsStore" || *value != "");
    let store = config.get("credsStore").into_iter();
    let helpers =
        config.get("credHelpers").and_then(Value::as_object).into_iter().flat_map(|map| map.values());
    for name in store.chain(helpers) {
        let name = name.as_str().ok_or(fault)?;
        let plain = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if !plain || name.is_empty() {
            return Err("`docker_config` names a credential helper outside [a-z0-9-]+");
        }
    }
    Ok(Secret::new(Value::Object(config).to_string()))
}

/// The keys under which `docker login` keeps a registry.
fn names(registry: &Registry) -> Vec<String> {
    match registry.as_str() {
        // The one registry whose key is not its name.
        "docker.io" => {
            ["https://index.docker.io/v1/", "index.docker.io", "docker.io"].map(str::to_owned).to_vec()
        }
        name => vec![name.to_owned(), format!("https://{name}")],
    }
}

fn look_up(text: &str, names: &[String]) -> Result<Login, Fault> {
    for name in names {
        match docker_credential::get_credential_from_reader(text.as_bytes(), name) {
            Ok(DockerCredential::IdentityToken(token)) => return Ok(Login::Identity(Secret::new(token))),
            Ok(DockerCredential::UsernamePassword(username, password)) => {
                return basic(&username, &password).map(Login::Password).ok_or(Fault::Unauthorized);
            }
            Err(CredentialRetrievalError::NoCredentialConfigured) => {}
            // What every helper says where it has nothing (docker-credential-helpers, "credentials not found").
            Err(CredentialRetrievalError::HelperFailure { stdout, .. })
                if stdout.starts_with("credentials not found") => {}
            Err(_) => return Err(Fault::Unauthorized),
        }
    }
    Ok(Login::Anonymous)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(config: &str, registry: &str) -> Option<String> {
        let text = checked(config).unwrap();
        match look_up(text.reveal(), &names(&registry.parse().unwrap())).unwrap() {
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
            let text = checked(config).unwrap();
            let found = look_up(text.reveal(), &names(&"r.io".parse().unwrap()));
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
        for text in ["", "[]", "{", r#"{ "credsStore": 1 }"#, r#"{ "auths": {}, "auths": {} }"#] {
            assert!(checked(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a171_a_login_does_not_show_itself() {
        let header = basic("user", "canary").unwrap();
        assert!(header.is_sensitive() && format!("{header:?}") == "Sensitive");
    }
}
