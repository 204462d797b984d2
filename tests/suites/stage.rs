//! What nearly every test begins with: an upstream, a key, and a gate whose policy asks for a signature by that key.

use std::time::Duration;

use pullgate::clock::Clock;
use pullgate_tests::asking::Answer;
use pullgate_tests::gate_in_process::{Gate, Setup};
use pullgate_tests::made::Made;
use pullgate_tests::signing::Signer;
use pullgate_tests::upstream::Upstream;
use serde_json::Value;

/// Whom the policies here trust.
pub(crate) const RELEASE: &str = "[authority.release]\nkey = \"release.pub\"\ntransparency = \"optional\"\n";

/// The policy of most tests.
pub(crate) const KEYED: &str = r#"
[[policy]]
name = "production"
scope = ["registry.test/**"]
[[policy.require]]
signed_by = { any_of = ["release"] }
"#;

/// The same, and evidence leaves whoever signed it.
pub(crate) const WELL_FORMED: &str = r#"
[[policy]]
name = "production"
scope = ["registry.test/**"]
evidence = "well-formed"
[[policy.require]]
signed_by = { any_of = ["release"] }
"#;

pub(crate) struct Stage {
    pub(crate) upstream: Upstream,
    pub(crate) gate: Gate,
    pub(crate) signer: Signer,
}

impl Stage {
    /// The usual policy.
    pub(crate) async fn new() -> Self {
        Self::on(KEYED).await
    }

    /// This policy, after the authority `release`.
    pub(crate) async fn on(policy: &str) -> Self {
        Self::with(policy, |setup| setup).await
    }

    /// This policy, and more of the configuration.
    pub(crate) async fn with(policy: &str, change: impl FnOnce(Setup) -> Setup) -> Self {
        // It stands still until the test says that time has passed: no lifetime ends because a machine is slow.
        Self::by(&Clock::settable(jiff::Timestamp::now()), policy, change).await
    }

    /// This policy, by a clock of the test's own.
    pub(crate) async fn at(clock: &Clock, policy: &str) -> Self {
        Self::by(clock, policy, |setup| setup).await
    }

    async fn by(clock: &Clock, policy: &str, change: impl FnOnce(Setup) -> Setup) -> Self {
        let upstream = Upstream::start().await.unwrap();
        let signer = Signer::new();
        let setup =
            Setup::before(&upstream.url()).policy(keyed(policy)).file("release.pub", signer.public_pem());
        let gate = Gate::start_at(&change(setup), clock.clone()).await;
        Self { upstream, gate, signer }
    }

    /// Waits until a blob that was served is in the cache: it is kept behind the answer.
    pub(crate) async fn kept(&self, digest: &str) {
        while !self.gate.app().store.blobs().is_kept(digest.parse().unwrap()).await {
            pullgate_tests::waiting::pause(Duration::from_millis(5)).await;
        }
    }

    /// Time passes for the gate.
    pub(crate) fn later(&self, by: Duration) {
        self.gate.app().clock.advance(by);
    }

    /// An image in a repository, signed by `release`, under a tag.
    pub(crate) fn signed(&self, repository: &str, tag: &str) -> Made {
        let image = self.unsigned(repository, tag);
        self.sign(repository, &image);
        image
    }

    /// An image in a repository, under a tag.
    pub(crate) fn unsigned(&self, repository: &str, tag: &str) -> Made {
        let image = Made::image();
        image.tag(&self.upstream, repository, tag);
        image
    }

    /// Signs as `release`.
    pub(crate) fn sign(&self, repository: &str, image: &Made) -> Made {
        self.signer.sign_at(&self.upstream, repository, &image.digest())
    }

    /// A stage with a permitted image whose layer has `length` bytes, the image, and the layer's path.
    pub(crate) async fn with_layer_of(length: usize) -> (Self, Made, String) {
        let stage = Self::new().await;
        let image = Made::image_of_bytes(length);
        image.tag(&stage.upstream, "org/app", "v1");
        stage.sign("org/app", &image);
        assert_serves(&stage.manifest("org/app", "v1").await, &image);
        let layer = blob("org/app", &image.layer());
        (stage, image, layer)
    }

    /// Another policy, in force from now on.
    pub(crate) async fn reload(&self, policy: &str) {
        self.gate.reload(&keyed(policy)).await;
    }

    pub(crate) async fn manifest(&self, repository: &str, reference: &str) -> Answer {
        self.gate.get(&manifest(repository, reference)).await
    }

    pub(crate) async fn blob(&self, repository: &str, digest: &str) -> Answer {
        self.gate.get(&blob(repository, digest)).await
    }
}

fn keyed(policy: &str) -> String {
    // Top-level keys come before the first table.
    match policy.strip_prefix("unmatched") {
        Some(rest) => {
            let (line, rest) = rest.split_once('\n').unwrap_or((rest, ""));
            format!("unmatched{line}\n{RELEASE}{rest}")
        }
        None => format!("{RELEASE}{policy}"),
    }
}

pub(crate) fn manifest(repository: &str, reference: &str) -> String {
    format!("/v2/{repository}/manifests/{reference}")
}

pub(crate) fn blob(repository: &str, digest: &str) -> String {
    format!("/v2/{repository}/blobs/{digest}")
}

/// The reason codes of a record.
pub(crate) fn codes(record: &Value) -> Vec<String> {
    let reasons = record["reasons"].as_array().cloned().unwrap_or_default();
    reasons.iter().filter_map(|reason| reason["code"].as_str().map(str::to_owned)).collect()
}

/// A refused GET is a 403 with one error, and gives nothing of the content away.
#[track_caller]
pub(crate) fn assert_denied(answer: &Answer) {
    assert_eq!((answer.status, answer.code().as_str()), (403, "DENIED"), "{answer:?}");
    assert_eq!(answer.header("docker-content-digest"), None);
}

/// All of a refusal but for the id of its record and the second: what two refusals that tell nothing have in common.
#[track_caller]
pub(crate) fn but_for_the_id(answer: &Answer) -> String {
    let from = [answer.message(), answer.reason.clone()].join(" ");
    let id: String = from.rsplit("pullgate ").next().unwrap().chars().take(12).collect();
    assert!(id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{answer:?}");
    let mut headers = answer.headers.clone();
    headers.remove("date");
    let body = String::from_utf8(answer.body.to_vec()).unwrap();
    format!("{} {} {headers:?} {body}", answer.status, answer.reason).replace(&id, "the id")
}

/// A 503 that says when to come again.
#[track_caller]
pub(crate) fn assert_undecided(answer: &Answer) {
    assert_eq!((answer.status, answer.code().as_str()), (503, "UNAVAILABLE"), "{answer:?}");
    assert!(answer.header("retry-after").is_some());
}

/// A 200 with these bytes, under their digest.
#[track_caller]
pub(crate) fn assert_serves(answer: &Answer, made: &Made) {
    assert_eq!(answer.status, 200, "{} {}", answer.reason, String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.body, made.bytes);
    assert_eq!(answer.header("docker-content-digest"), Some(made.digest().as_str()));
}
