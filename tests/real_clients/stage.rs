//! One registry, the gate before it, and a way around the gate that works and is watched.

use std::io;

use pullgate_tests::clients::{
    Content, Forwarder, Gate, Outcome, ReferrersRegistry, Registry, Settings, http, image,
    process::wait_until, registry, tool::recorded,
};
use tempfile::TempDir;

/// What the gate's refusal says first, in the message and in the reason phrase.
pub(crate) const UNSIGNED: &str = "no signature by \"release\"";
/// How clients name the registry that cannot put a port into a path.
pub(crate) const ALIAS: &str = "registry.test";

/// Recorded: signed by `release`, an image of one platform.
pub(crate) const SIGNED: &str = "shop/keyed:p256";
/// Recorded: signed by a key that the policy does not know.
pub(crate) const STRANGER: &str = "shop/keyed:wrong-key";
/// Recorded: an index of amd64 and arm64; only the index is signed.
pub(crate) const INDEX: &str = "shop/multi:index-only";
/// Recorded: an index of one platform and its attestation manifest, as BuildKit makes them; only the index is signed.
pub(crate) const BUILDKIT: &str = "shop/multi:buildkit";
/// Made here: an index of two platforms with attestation manifests, signed by nobody.
pub(crate) const NOT_SIGNED: &str = "shop/fresh:unsigned";

/// Two kinds of registry; a gate must find evidence in both.
#[derive(Debug)]
pub(crate) enum Upstream {
    Plain(Registry),
    Referrers(ReferrersRegistry),
}

impl Upstream {
    pub(crate) fn address(&self) -> &str {
        match self {
            Self::Plain(registry) => registry.address(),
            Self::Referrers(registry) => registry.address(),
        }
    }
}

/// Fields are dropped in this order.
#[derive(Debug)]
pub(crate) struct Stage {
    /// Stands before the gate and tells what a client asked for.
    pub(crate) front: Forwarder,
    pub(crate) gate: Gate,
    /// The address that image references name: the registry, without the gate.
    pub(crate) around: Forwarder,
    /// Stands between the gate and the registry, and does nothing unless told to.
    pub(crate) link: Forwarder,
    pub(crate) upstream: Upstream,
    /// A home for tools.
    pub(crate) home: TempDir,
}

/// What every test here needs, with what the client needs.
pub(crate) fn have(client: &str, needs: Result<(), String>) -> bool {
    pullgate_tests::clients::have(&format!("real_clients/{client}"), &[registry::available(), needs])
}

impl Stage {
    /// A registry without the referrers API, with the images named above.
    pub(crate) fn new() -> io::Result<Self> {
        Self::before(Upstream::Plain(Registry::start()?))
    }

    pub(crate) fn before(upstream: Upstream) -> io::Result<Self> {
        let address = upstream.address();
        Content::from_layout(&recorded("cosign2-keyed"))?.push(address, "shop/keyed")?;
        Content::from_layout(&recorded("cosign2-index"))?.push(address, "shop/multi")?;
        image::multi("unsigned", "nobody signed this").push(address, "shop/fresh")?;
        let (around, link) = (Forwarder::start(address)?, Forwarder::start(address)?);
        let settings = Settings::new(&policy(&around, "release"))
            .upstream(around.address(), ALIAS, link.address())
            .file("keys/release.pub", &recorded("keys/release.pub"))?
            .file("keys/second.pub", &recorded("keys/second.pub"))?;
        let gate = Gate::start(&settings)?;
        let front = Forwarder::start(gate.address())?;
        Ok(Self { front, gate, around, link, upstream, home: TempDir::with_prefix("pullgate-home-")? })
    }

    /// For clients that know mirrors: the registry's own name.
    pub(crate) fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.around.address())
    }

    /// For clients that know none: the gate's name, then the registry's.
    pub(crate) fn prefixed(&self, name: &str) -> String {
        format!("{}/{ALIAS}/{name}", self.front.address())
    }

    /// The digest of a recorded image, such as `shop/keyed@sha256:…` for `shop/keyed:p256`.
    pub(crate) fn by_digest(&self, name: &str) -> io::Result<String> {
        let (repository, tag) = name.split_once(':').ok_or_else(|| io::Error::other("no tag"))?;
        let path = format!("/v2/{repository}/manifests/{tag}");
        let all = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json";
        let answer = http::call(self.upstream.address(), "GET", &path, &[("Accept", all)], &[])?;
        Ok(format!("{repository}@{}", pullgate_tests::clients::content::sha256(&answer.body)))
    }

    /// Trusts another key from now on: what was permitted by `release` is not any more.
    pub(crate) fn distrust_release(&self) -> io::Result<()> {
        self.gate.set_policy(&policy(&self.around, "second"))?;
        let path = format!("/v2/{ALIAS}/{}", SIGNED.replace(':', "/manifests/"));
        wait_until("the new policy is in force", || {
            http::call(self.gate.address(), "HEAD", &path, &[], &[]).is_ok_and(|answer| answer.status == 403)
        })
    }

    /// No connection was made around the gate.
    pub(crate) fn assert_nobody_went_around(&self) {
        assert_eq!(
            self.around.connections(),
            0,
            "requests around the gate: {:?}",
            self.around.take_requests()
        );
    }
}

/// One requirement for the whole registry: a signature by the authority `release`, which holds the named key.
pub(crate) fn policy(registry: &Forwarder, key: &str) -> String {
    format!(
        r#"unmatched = "deny"

[authority.release]
key = "keys/{key}.pub"
transparency = "optional"

[[policy]]
name = "production"
scope = ["{}/**"]

[[policy.require]]
signed_by = {{ any_of = ["release"] }}
"#,
        registry.address()
    )
}

pub(crate) fn assert_pulled(outcome: &Outcome) {
    assert!(outcome.succeeded(), "{}", outcome.text);
}

/// Refused, and the client's own output says why and by whom. A reason phrase has no `"`: there the name stands in `'`.
pub(crate) fn assert_refused(outcome: &Outcome) {
    assert!(!outcome.succeeded(), "it was pulled: {}", outcome.text);
    let said = outcome.says(UNSIGNED) || outcome.says(&UNSIGNED.replace('"', "'"));
    assert!(said, "the reason is not shown: {}", outcome.text);
}
