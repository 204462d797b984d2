//! TLS with a private certificate authority, and a login: who has none is refused, who has one pulls what is signed.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use pullgate_tests::clients::{
    Containerd, Containers, Content, Dockerd, Forwarder, Gate, Outcome, Registry, Settings, Trust,
    containerd, containers, dockerd, image, oci_tools, tool,
};
use pullgate_tests::issuer::TokenKey;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use tempfile::TempDir;

use crate::stage::{ALIAS, NOT_SIGNED, SIGNED, assert_pulled, assert_refused, have, policy};

pub(crate) const LOGIN: (&str, &str) = ("node-1", "correct horse");
/// The gate where it has a name.
const NAMED: &str = "gate.internal";
const ISSUER: &str = "https://issuer.example";
/// The discard port: nobody listens there.
pub(crate) const NOWHERE: &str = "127.0.0.1:9";

/// How a client proves its name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Proof {
    /// By `htpasswd`.
    Password,
    /// By a token where a password stands.
    Token,
}

const PROOFS: [Proof; 2] = [Proof::Password, Proof::Token];

/// Fields are dropped in this order.
pub(crate) struct Stage {
    pub(crate) gate: Gate,
    pub(crate) around: Forwarder,
    _upstream: Registry,
    /// `ca.crt` stands here.
    pub(crate) home: TempDir,
    /// User and password.
    login: (String, String),
    /// What they prove.
    name: &'static str,
}

impl Stage {
    pub(crate) fn new(proof: Proof) -> io::Result<Self> {
        Self::with(proof, |settings| settings)
    }

    fn with(proof: Proof, change: impl FnOnce(Settings) -> Settings) -> io::Result<Self> {
        let upstream = Registry::start()?;
        Content::from_layout(&tool::recorded("cosign2-keyed"))?.push(upstream.address(), "shop/keyed")?;
        image::multi("unsigned", "nobody signed this").push(upstream.address(), "shop/fresh")?;
        let around = Forwarder::start(upstream.address())?;
        let (ca, cert, key) = certificates().map_err(io::Error::other)?;
        let hash = bcrypt::hash(LOGIN.1, 4).map_err(io::Error::other)?;
        let issuer = TokenKey::new("a");
        let now = jiff::Timestamp::now().as_second();
        let claims = json!({ "iss": ISSUER, "aud": "gate", "sub": "node-1", "iat": now, "exp": now + 3_600 });
        let (login, name) = match proof {
            Proof::Password => ((LOGIN.0.to_owned(), LOGIN.1.to_owned()), LOGIN.0),
            Proof::Token => (("token".to_owned(), issuer.token(&claims)), "oidc:ci:node-1"),
        };
        let settings = Settings::new(&policy(&around, "release"))
            .listen("tls = { cert = \"cert.pem\", key = \"key.pem\" }")
            .upstream(around.address(), ALIAS, upstream.address())
            .configuration(&format!(
                "[clients]\nhtpasswd = \"users\"\n\
                 oidc = [{{ issuer = \"{ISSUER}\", audience = \"gate\", name = \"ci\", jwks = \"keys.json\" }}]\n\
                 allow = [{{ who = [\"node-*\", \"oidc:ci:node-*\"], read = [\"**\"] }}]\n"
            ))
            .text("keys.json", &json!({ "keys": [issuer.jwk()] }).to_string())
            .file("keys/release.pub", &tool::recorded("keys/release.pub"))?
            .text("cert.pem", &cert)
            .text("key.pem", &key)
            .text("users", &format!("{}:{hash}\n", LOGIN.0));
        let gate = Gate::start(&change(settings))?;
        let home = TempDir::with_prefix("pullgate-home-")?;
        fs::write(home.path().join("ca.crt"), ca)?;
        Ok(Self { gate, around, _upstream: upstream, home, login, name })
    }

    fn login(&self) -> (&str, &str) {
        (&self.login.0, &self.login.1)
    }

    /// The same user, with what proves nothing.
    fn wrong(&self) -> (&str, &str) {
        (&self.login.0, "wrong")
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.home.path().join("ca.crt")
    }

    /// By the registry's own name, for clients that know mirrors.
    fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.around.address())
    }

    /// By the gate's name.
    pub(crate) fn prefixed(&self, name: &str) -> String {
        format!("{}/{ALIAS}/{name}", self.gate.address())
    }

    /// The pull log names who pulled, and nobody went around.
    pub(crate) fn assert_names_the_client(&self) -> io::Result<()> {
        let records = self.gate.audit()?;
        // The gate's own start and the heads that it signs are records too.
        let of_pulls =
            |record: &&serde_json::Value| record["verdict"] == "permit" && record["kind"] == "manifest";
        let permits = records.iter().filter(of_pulls).collect::<Vec<_>>();
        assert!(!permits.is_empty());
        for record in permits {
            assert_eq!(record.pointer("/client/names"), Some(&json!([self.name])), "{record}");
        }
        assert_eq!(self.around.connections(), 0, "{:?}", self.around.take_requests());
        Ok(())
    }
}

/// The authority's certificate, the gate's, and its key.
fn certificates() -> Result<(String, String, String), rcgen::Error> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), NAMED.to_owned()];
    let cert = CertificateParams::new(names)?.signed_by(&key, &authority)?;
    Ok((authority.pem(), cert.pem(), key.serialize_pem()))
}

/// Not for want of a signature: nobody asked for a manifest under a name.
pub(crate) fn assert_not_let_in(outcome: &Outcome) {
    assert!(!outcome.succeeded(), "it was pulled: {}", outcome.text);
    let said = [
        "unauthorized",
        "Unauthorized",
        "UNAUTHORIZED",
        "401",
        "no basic auth credentials",
        "basic credential not found",
    ];
    assert!(said.iter().any(|word| outcome.says(word)), "{}", outcome.text);
}

#[test]
fn containerd_pulls_by_tls_as_the_user_of_its_configuration_and_as_nobody_else() -> io::Result<()> {
    if !have("containerd-secured", containerd::available()) {
        return Ok(());
    }
    for proof in PROOFS {
        let stage = Stage::new(proof)?;
        let wrong = Containerd::start_secured(stage.gate.address(), &stage.ca(), stage.wrong())?;
        assert_not_let_in(&wrong.cri_pull(&stage.image(SIGNED))?);
        drop(wrong);
        let containerd = Containerd::start_secured(stage.gate.address(), &stage.ca(), stage.login())?;
        assert_pulled(&containerd.cri_pull(&stage.image(SIGNED))?);
        assert_refused(&containerd.cri_pull(&stage.image(NOT_SIGNED))?);
        stage.assert_names_the_client()?;
    }
    Ok(())
}

#[test]
fn podman_pulls_by_tls_once_it_has_logged_in() -> io::Result<()> {
    if !have("podman-secured", containers::available("podman")) {
        return Ok(());
    }
    for proof in PROOFS {
        let stage = Stage::new(proof)?;
        let containers = Containers::new(stage.around.address(), ALIAS, NOWHERE, Trust::Anything)?;
        let folder = stage.home.path().display().to_string();
        let with_ca = ["--cert-dir", folder.as_str()];
        let without = containers.podman_pull(&[], &stage.prefixed(SIGNED))?;
        assert!(!without.succeeded() && without.says("certificate"), "{}", without.text);
        assert_not_let_in(&containers.podman_pull(&with_ca, &stage.prefixed(SIGNED))?);
        let wrong = containers.login("podman", stage.gate.address(), stage.home.path(), stage.wrong())?;
        assert!(!wrong.succeeded(), "{}", wrong.text);
        assert_pulled(&containers.login("podman", stage.gate.address(), stage.home.path(), stage.login())?);
        assert_pulled(&containers.podman_pull(&with_ca, &stage.prefixed(SIGNED))?);
        assert_refused(&containers.podman_pull(&with_ca, &stage.prefixed(NOT_SIGNED))?);
        stage.assert_names_the_client()?;
    }
    Ok(())
}

#[test]
fn docker_pulls_by_tls_once_it_has_logged_in() -> io::Result<()> {
    if !have("docker-secured", dockerd::available()) {
        return Ok(());
    }
    for proof in PROOFS {
        let stage = Stage::new(proof)?;
        let outside = Forwarder::start(NOWHERE)?;
        let docker = Dockerd::start(stage.gate.address(), outside.address())?;
        // The engine tries plain HTTP after its 401, as it does for every address of the loopback, and shows that error.
        let without = docker.pull(&stage.prefixed(SIGNED))?;
        assert!(!without.succeeded(), "{}", without.text);
        let wrong = docker.login(stage.gate.address(), stage.wrong())?;
        assert!(!wrong.succeeded(), "{}", wrong.text);
        assert_pulled(&docker.login(stage.gate.address(), stage.login())?);
        assert_pulled(&docker.pull(&stage.prefixed(SIGNED))?);
        assert_refused(&docker.pull(&stage.prefixed(NOT_SIGNED))?);
        assert_eq!(outside.connections(), 0, "{:?}", outside.take_requests());
        stage.assert_names_the_client()?;
    }
    Ok(())
}

#[test]
fn docker_trusts_the_authority_in_its_certs_d_and_no_other() -> io::Result<()> {
    if !have("docker-private-ca", dockerd::available_apart()) {
        return Ok(());
    }
    let socket = Arc::new(TcpListener::bind("[::1]:0")?);
    let stage = Stage::with(Proof::Password, |settings| settings.socket(&socket))?;
    let gate = format!("{NAMED}:{}", socket.local_addr()?.port());
    let image = |name: &str| format!("{gate}/{ALIAS}/{name}");
    let outside = Forwarder::start(NOWHERE)?;
    let stranger = Dockerd::start_trusting(&gate, None, outside.address())?;
    let without = stranger.pull(&image(SIGNED))?;
    assert!(!without.succeeded() && without.says("certificate"), "{}", without.text);
    drop(stranger);
    let docker = Dockerd::start_trusting(&gate, Some(&stage.ca()), outside.address())?;
    assert_not_let_in(&docker.pull(&image(SIGNED))?);
    assert_pulled(&docker.login(&gate, stage.login())?);
    assert_pulled(&docker.pull(&image(SIGNED))?);
    assert_refused(&docker.pull(&image(NOT_SIGNED))?);
    assert_eq!(outside.connections(), 0, "{:?}", outside.take_requests());
    stage.assert_names_the_client()
}

#[test]
fn crane_pulls_by_tls_once_it_has_logged_in() -> io::Result<()> {
    if !have("crane-secured", tool::built("crane").map(|_| ())) {
        return Ok(());
    }
    for proof in PROOFS {
        let stage = Stage::new(proof)?;
        let home = stage.home.path();
        let pull = |name: &str| oci_tools::crane_pull_secured(&stage.prefixed(name), &stage.ca(), home);
        assert_not_let_in(&pull(SIGNED)?);
        assert_pulled(&oci_tools::crane_login(stage.gate.address(), stage.login(), home)?);
        assert_pulled(&pull(SIGNED)?);
        assert_refused(&pull(NOT_SIGNED)?);
        stage.assert_names_the_client()?;
    }
    Ok(())
}
