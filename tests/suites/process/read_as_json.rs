//! What is read as JSON beside a manifest, at its dearest.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pullgate_policy::limits::MIB;
use pullgate_tests::asking::ask;
use pullgate_tests::made::{Layer, MANIFEST, Made};
use pullgate_tests::signing::{BUNDLE, DSSE, SIMPLE_SIGNING, carrier, evidence_tag, referrer};
use pullgate_tests::upstream::{Fault, ReferrersApi, When};
use serde_json::json;

use crate::process::memory::{peak_above, warm};
use crate::stage::{assert_serves, manifest};

/// Documents of so many bytes, each expensive in its way to who reads all of it, which begin with these members.
fn expensive(begins: &str, length: usize) -> [String; 3] {
    let deep = format!("{}{}", "[".repeat(length / 2), "]".repeat(length / 2));
    let list = format!("[0{}]", ",0".repeat(length / 2));
    let keys = (0..length / 11).map(|n| format!(",\"{n:07}\":1")).collect::<String>();
    [
        format!("{{{begins}\"a\":{deep}}}"),
        format!("{{{begins}\"a\":{list}}}"),
        format!("{{{begins}\"a\":1{keys}}}"),
    ]
}

/// Whatever is read as JSON beside a manifest: payloads, envelopes, statements, bundles, carriers, lists.
#[tokio::test(flavor = "multi_thread")]
async fn a127_no_document_crashes_the_gate_or_takes_more_than_its_multiple() {
    const LENGTH: usize = 4_000_000;
    /// What a verdict about a small image takes.
    const BESIDE: u64 = 24 * MIB;
    let stage = warm().await;
    stage.upstream.set_referrers(ReferrersApi::Whole);
    let envelope = |statement: &str| {
        json!({ "payloadType": "application/vnd.in-toto+json", "payload": STANDARD.encode(statement), "signatures": [{ "sig": "AAAA" }] })
            .to_string()
    };
    for format in ["payload", "envelope", "statement", "bundle", "carrier", "referrers"] {
        let begins = match format {
            "payload" => "\"critical\":{},",
            "envelope" => {
                "\"payloadType\":\"application/vnd.in-toto+json\",\"payload\":\"e30=\",\"signatures\":[],"
            }
            "statement" => "\"_type\":\"https://in-toto.io/Statement/v1\",",
            "bundle" => "\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\",",
            "carrier" => "\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",",
            _ => "\"schemaVersion\":2,\"manifests\":[],",
        };
        let length = if format == "payload" { LENGTH / 4 } else { LENGTH };
        for (n, text) in expensive(begins, length).into_iter().enumerate() {
            let tag = format!("{format}-{n}");
            // Its signature is one tag, what is expensive beside it another.
            let image = stage.signed(&tag, Made::image());
            let beside = evidence_tag(&image.digest(), ".att");
            match format {
                "payload" => {
                    let layer = Layer::new(SIMPLE_SIGNING, text.into_bytes());
                    carrier(vec![layer]).tag(&stage.upstream, "org/app", &beside);
                }
                "envelope" => {
                    carrier(vec![Layer::new(DSSE, text.into_bytes())]).tag(
                        &stage.upstream,
                        "org/app",
                        &beside,
                    );
                }
                "statement" => {
                    let layer = Layer::new(DSSE, envelope(&text).into_bytes());
                    carrier(vec![layer]).tag(&stage.upstream, "org/app", &beside);
                }
                "bundle" => {
                    let layer = Layer::new(BUNDLE, text.into_bytes());
                    referrer(&image.descriptor(), layer).put(&stage.upstream, "org/app");
                }
                "carrier" => {
                    Made::from_bytes(MANIFEST, text.into_bytes(), Vec::new()).tag(
                        &stage.upstream,
                        "org/app",
                        &beside,
                    );
                }
                _ => {
                    let index = "application/vnd.oci.image.index.v1+json";
                    stage
                        .upstream
                        .fail(When::on("/referrers/"), Fault::Answer(200, index, text.into_bytes()));
                }
            }
            let target = manifest("org/app", &tag);
            let (peak, answer) = peak_above(&stage, ask(stage.data(), "GET", &target, &[])).await;
            // It says nothing, and spoils nothing; or it is not known what else there is.
            assert!([200, 503].contains(&answer.status), "{tag}: {} {}", answer.status, answer.message());
            assert!(peak < 10 * length as u64 + BESIDE, "{tag}: {peak} bytes for {length}");
            stage.upstream.heal();
        }
    }
    let image = stage.signed("after", Made::image());
    assert_serves(&ask(stage.data(), "GET", &manifest("org/app", "after"), &[]).await, &image);
}
