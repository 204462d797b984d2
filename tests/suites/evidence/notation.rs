//! Signatures of the Notary Project's, pulled through the gate.

use std::time::Duration;

use pullgate::clock::Clock;
use pullgate_tests::clients::content::{Content, sha256};
use pullgate_tests::clients::tool::recorded;
use pullgate_tests::gate_in_process::{Gate, Setup};
use pullgate_tests::made::{CONFIG, LAYER, Layer, Made, with};
use pullgate_tests::notation::{Authority, COSE, JWS, NOTARY, Signer, payload, protected_with};
use pullgate_tests::signing::{EMPTY, evidence_tag};
use pullgate_tests::upstream::{ReferrersApi, Upstream};
use serde_json::{Value, json};

use crate::stage::{assert_denied, assert_serves, blob, codes, manifest};

const POLICY: &str = r#"
[trust.corp]
x509 = { ca = ["root.pem"] }
[authority.release]
trust = "corp"
subjects = ["C=DE, ST=Berlin, O=Granary, CN=signer"]
[[policy]]
name = "production"
scope = ["registry.test/**"]
[[policy.require]]
signed_by = { any_of = ["release"] }
"#;

const NOW: &str = "2026-11-24T12:00:00Z";

struct Notary {
    upstream: Upstream,
    gate: Gate,
    corp: Authority,
}

impl Notary {
    async fn new() -> Self {
        Self::on(POLICY).await
    }

    async fn on(policy: &str) -> Self {
        let (upstream, corp) = (Upstream::start().await.unwrap(), Authority::new("corp root"));
        upstream.set_referrers(ReferrersApi::Whole);
        let setup = Setup::before(&upstream.url()).policy(policy).file("root.pem", corp.pem());
        let gate = Gate::start_at(&setup, Clock::settable(NOW.parse().unwrap())).await;
        Self { upstream, gate, corp }
    }

    fn image(&self, tag: &str) -> Made {
        let image = Made::image();
        image.tag(&self.upstream, "org/app", tag);
        image
    }

    /// Signs an image, in the newer form of the carrier.
    fn sign(&self, signer: &Signer, image: &Made) -> Made {
        let carrier = carrier(image, &[jws(signer, image)], Says::ArtifactType);
        carrier.put(&self.upstream, "org/app");
        carrier
    }

    async fn pull(&self, reference: &str) -> pullgate_tests::asking::Answer {
        self.gate.get(&manifest("org/app", reference)).await
    }

    async fn code(&self) -> String {
        codes(&self.gate.record().await).first().cloned().unwrap_or_default()
    }
}

/// How a carrier says what it is.
#[derive(Clone, Copy)]
enum Says {
    ArtifactType,
    Config,
}

fn jws(signer: &Signer, image: &Made) -> Layer {
    Layer::new(JWS, signer.jws(&image.bytes, &image.media_type))
}

fn carrier(image: &Made, layers: &[Layer], says: Says) -> Made {
    let subject = json!({ "subject": image.descriptor() });
    let (config, more) = match says {
        Says::ArtifactType => (EMPTY, with(subject, json!({ "artifactType": NOTARY }))),
        Says::Config => (NOTARY, subject),
    };
    Made::manifest((config, b"{}".to_vec()), layers.to_vec(), more)
}

#[tokio::test]
async fn a678_a_signature_counts_in_both_envelopes_and_carriers_wherever_listed() {
    let stage = Notary::new().await;
    let signer = stage.corp.signer();
    for (at, says) in [Says::ArtifactType, Says::Config].into_iter().enumerate() {
        for form in [JWS, COSE] {
            for api in [ReferrersApi::Whole, ReferrersApi::Absent] {
                stage.upstream.set_referrers(api);
                let tag = format!("v-{at}-{}-{api:?}", form.len());
                let image = stage.image(&tag);
                let layer = match form {
                    JWS => jws(&signer, &image),
                    _ => Layer::new(COSE, signer.cose(&image.bytes, &image.media_type)),
                };
                let carrier = carrier(&image, &[layer], says);
                let listed = vec![carrier.descriptor()];
                match api {
                    ReferrersApi::Absent => {
                        let index = Made::index_of(&listed, vec![carrier]);
                        index.tag(&stage.upstream, "org/app", &evidence_tag(&image.digest(), ""));
                    }
                    ReferrersApi::Whole | ReferrersApi::Paged(_) => {
                        carrier.put(&stage.upstream, "org/app");
                    }
                }
                assert_serves(&stage.pull(&tag).await, &image);
            }
        }
    }
    let unsigned = stage.image("unsigned");
    assert_denied(&stage.pull("unsigned").await);
    assert_eq!(stage.code().await, "no-evidence", "{}", unsigned.digest());
}

#[tokio::test]
async fn a674_under_another_root_or_by_another_subject_nothing_is_served() {
    let stage = Notary::new().await;
    let (twin, image) = (Authority::new("corp root"), stage.image("v1"));
    stage.sign(&twin.signer(), &image);
    assert_denied(&stage.pull("v1").await);
    assert_eq!(stage.code().await, "no-signature");
    // The honest one beside it: one bad signature spoils no good one.
    let image = stage.image("v2");
    stage.sign(&twin.signer(), &image);
    stage.sign(&stage.corp.signer(), &image);
    assert_serves(&stage.pull("v2").await, &image);
    // The same authority, another of its people.
    let other = POLICY.replace("CN=signer", "CN=somebody");
    stage.gate.reload(&other).await;
    assert_denied(&stage.pull("v2").await);
    assert_eq!(stage.code().await, "unknown-authority");
    stage.gate.write("root.pem", twin.pem());
    stage.gate.reload(&format!("{POLICY}\n# under the other root\n")).await;
    let image = stage.image("v3");
    stage.sign(&stage.corp.signer(), &image);
    assert_denied(&stage.pull("v3").await);
}

#[tokio::test]
async fn a678_a_carrier_of_another_form_or_about_another_image_carries_nothing() {
    let stage = Notary::new().await;
    let signer = stage.corp.signer();
    let image = stage.image("two");
    carrier(&image, &[jws(&signer, &image), jws(&signer, &image)], Says::ArtifactType)
        .put(&stage.upstream, "org/app");
    assert_denied(&stage.pull("two").await);
    let image = stage.image("config");
    let more = json!({ "subject": image.descriptor(), "artifactType": NOTARY });
    Made::manifest((CONFIG, b"{}".to_vec()), vec![jws(&signer, &image)], more)
        .put(&stage.upstream, "org/app");
    assert_denied(&stage.pull("config").await);
    // One of another image, dressed as one of this.
    let (image, other) = (stage.image("borrowed"), stage.image("other"));
    carrier(&image, &[jws(&signer, &other)], Says::ArtifactType).put(&stage.upstream, "org/app");
    assert_denied(&stage.pull("borrowed").await);
    // A JWS that says it is COSE.
    let image = stage.image("lies");
    let lies = Layer::new(COSE, signer.jws(&image.bytes, &image.media_type));
    carrier(&image, &[lies], Says::ArtifactType).put(&stage.upstream, "org/app");
    assert_denied(&stage.pull("lies").await);
    // Junk before a good one.
    let image = stage.image("honest");
    carrier(&image, &[], Says::ArtifactType).put(&stage.upstream, "org/app");
    stage.sign(&signer, &image);
    assert_serves(&stage.pull("honest").await, &image);
}

#[tokio::test]
async fn a601_a678_a_signature_leaves_when_it_was_verified_and_a_strangers_does_not() {
    let stage = Notary::new().await;
    let image = stage.image("v1");
    let signature = stage.sign(&stage.corp.signer(), &image);
    let foreign = stage.sign(&Authority::new("corp root").signer(), &image);
    assert_serves(&stage.pull(&signature.digest()).await, &signature);
    for part in &signature.blobs {
        let answer = stage.gate.get(&blob("org/app", &sha256(part))).await;
        assert_eq!((answer.status, answer.body.to_vec()), (200, part.clone()));
    }
    assert_denied(&stage.pull(&foreign.digest()).await);
    assert_denied(&stage.gate.get(&blob("org/app", &foreign.layer())).await);
    // In COSE, which is no text, too; and with a layer beside it, or another label in it, none leaves.
    let signer = stage.corp.signer();
    let in_cose = Layer::new(COSE, signer.cose(&image.bytes, &image.media_type));
    let good = carrier(&image, std::slice::from_ref(&in_cose), Says::Config);
    good.put(&stage.upstream, "org/app");
    assert_serves(&stage.pull(&good.digest()).await, &good);
    let beside = carrier(&image, &[in_cose, Layer::new(LAYER, b"payload".to_vec())], Says::Config);
    beside.put(&stage.upstream, "org/app");
    assert_denied(&stage.pull(&beside.digest()).await);
    let config = json!({ "subject": image.descriptor() });
    let runs = Made::manifest(
        (NOTARY, br#"{"config":{"Cmd":["sh"]}}"#.to_vec()),
        vec![jws(&signer, &image)],
        config,
    );
    runs.put(&stage.upstream, "org/app");
    assert_denied(&stage.pull(&runs.digest()).await);
}

#[tokio::test]
async fn a679_a_permit_ends_with_the_signature_that_it_rests_on_and_so_does_what_passed() {
    let stage = Notary::new().await;
    let (image, expiry) = (stage.image("v1"), "io.cncf.notary.expiry");
    let header = protected_with(&json!({
        expiry: "2026-11-24T12:30:00Z", "crit": ["io.cncf.notary.signingScheme", expiry],
    }));
    let envelope = stage.corp.signer().jws_of(&header, &payload(&image.bytes, &image.media_type));
    let layer = Layer::new(JWS, envelope.to_string().into_bytes());
    let signature = carrier(&image, &[layer], Says::ArtifactType);
    signature.put(&stage.upstream, "org/app");
    assert_serves(&stage.pull("v1").await, &image);
    assert_serves(&stage.pull(&signature.digest()).await, &signature);
    let clock = &stage.gate.app().clock;
    clock.advance(Duration::from_secs(29 * 60));
    assert_serves(&stage.pull("v1").await, &image);
    assert_serves(&stage.pull(&signature.digest()).await, &signature);
    clock.advance(Duration::from_secs(60));
    assert_denied(&stage.pull("v1").await);
    assert_eq!(stage.code().await, "no-signature");
    assert_denied(&stage.pull(&signature.digest()).await);
    assert_denied(&stage.gate.get(&blob("org/app", &image.layer())).await);
    // Signed anew it is served anew.
    stage.sign(&stage.corp.signer(), &image);
    clock.advance(Duration::from_secs(60));
    assert_serves(&stage.pull("v1").await, &image);
}

#[tokio::test]
async fn a671_a677_a_plugin_is_unsupported_by_name_and_user_metadata_is_what_was_signed() {
    let stage = Notary::on(&format!("{POLICY}annotations = {{ env = \"prod\" }}\n")).await;
    let signer = stage.corp.signer();
    let put = |image: &Made, header: &Value, said: &Value| {
        let layer = Layer::new(JWS, signer.jws_of(header, said).to_string().into_bytes());
        carrier(image, &[layer], Says::ArtifactType).put(&stage.upstream, "org/app");
    };
    let said = |image: &Made, env: &str| {
        let mut said = payload(&image.bytes, &image.media_type);
        said["targetArtifact"]["annotations"] = json!({ "env": env });
        said
    };
    let honest = protected_with(&json!({}));
    let image = stage.image("v1");
    put(&image, &honest, &said(&image, "prod"));
    assert_serves(&stage.pull("v1").await, &image);
    let image = stage.image("v2");
    put(&image, &honest, &said(&image, "dev"));
    assert_denied(&stage.pull("v2").await);
    assert_eq!(stage.code().await, "annotation-missing");
    let image = stage.image("v3");
    let plugin = protected_with(&json!({ "io.cncf.notary.verificationPlugin": "com.amazonaws.signer" }));
    put(&image, &plugin, &said(&image, "prod"));
    let answer = stage.pull("v3").await;
    assert_denied(&answer);
    assert!(answer.message().contains("1 unsupported"), "{}", answer.message());
}

#[tokio::test]
async fn an_index_is_signed_as_itself_and_a_child_comes_by_grant() {
    let stage = Notary::new().await;
    let children = vec![Made::image(), Made::image()];
    let index = Made::index(children.clone());
    index.tag(&stage.upstream, "org/app", "v1");
    stage.sign(&stage.corp.signer(), &index);
    assert_denied(&stage.pull(&children[0].digest()).await);
    assert_serves(&stage.pull("v1").await, &index);
    stage.gate.app().clock.advance(Duration::from_secs(60));
    assert_serves(&stage.pull(&children[0].digest()).await, &children[0]);
    // A signed child is no signed index.
    let children = vec![Made::image(), Made::image()];
    let index = Made::index(children.clone());
    index.tag(&stage.upstream, "org/app", "v2");
    stage.sign(&stage.corp.signer(), &children[0]);
    assert_denied(&stage.pull("v2").await);
    assert_serves(&stage.pull(&children[0].digest()).await, &children[0]);
}

/// What real notation 1.3.2 signed, by the root that the policy names and by a stranger's.
#[tokio::test]
async fn what_notation_signed_is_served_under_its_root_and_refused_under_another() {
    let cases: Vec<Value> = serde_json::from_slice(&std::fs::read(recorded("cases.json")).unwrap()).unwrap();
    let root = |name: &str| std::fs::read(recorded("keys").join(name)).unwrap();
    for (roots, now, served) in [
        ("notation-corp-ca.crt", "2026-11-25T00:00:00Z", &["notation-jws", "notation-cose"][..]),
        (
            "notation-corp-ca.crt",
            "2026-11-23T20:00:00Z",
            &["notation-jws", "notation-cose", "notation-expiring"],
        ),
        ("notation-stranger-ca.crt", "2026-11-25T00:00:00Z", &["notation-stranger", "notation-and-bundle"]),
    ] {
        let upstream = Upstream::start().await.unwrap();
        upstream.set_referrers(ReferrersApi::Whole);
        Content::from_layout(&recorded("notation")).unwrap().put(&upstream, "org/app");
        let subject = "subjects = [\"C=DE, ST=Berlin, O=Granary, CN=signer\"]";
        let policy = POLICY.replace(subject, "any_subject = true");
        let setup = Setup::before(&upstream.url()).policy(policy).file("root.pem", root(roots));
        let gate = Gate::start_at(&setup, Clock::fixed(now.parse().unwrap())).await;
        for case in cases.iter().filter(|case| case["group"] == "notation") {
            let (id, reference) = (case["id"].as_str().unwrap(), case["reference"].as_str().unwrap());
            // The same image under a policy of another kind.
            if id.ends_with("-policy") {
                continue;
            }
            let answer = gate.get(&manifest("org/app", reference.trim_start_matches('@'))).await;
            let expected = if served.contains(&id) { 200 } else { 403 };
            assert_eq!(answer.status, expected, "{roots} {now} {id} {}", answer.message());
        }
    }
}
