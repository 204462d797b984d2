//! What people who sign report: each kind by its rule, in a layout of our own, beside what must still be refused.
//!
//! Inputs of others are read by `../shared/field/signing/run.py`, which asks a built gate.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use pullgate_tests::made::{Layer, Made};
use pullgate_tests::signing::{BUNDLE, DSSE, SIGN_PREDICATE, Signer, carrier, evidence_tag, referrer};
use pullgate_tests::upstream::{ReferrersApi, Upstream};
use serde_json::{Value, json};

use crate::stage::{KEYED, Stage, assert_denied, assert_serves, codes};

const SBOM: &str = "https://spdx.dev/Document/v2.3";
const SCAN: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";
/// More than are looked at.
const SCANS: usize = 140;

/// A policy that asks for this.
fn asks(requirement: &str) -> String {
    format!(
        "[[policy]]\nname = \"production\"\nscope = [\"registry.test/**\"]\n[[policy.require]]\nsigned_by = {{ any_of = [\"release\"] }}\n{requirement}\n"
    )
}

/// A stage whose evidence lies in another registry, too.
async fn apart() -> (Stage, Upstream) {
    let elsewhere = Upstream::start().await.unwrap();
    let stage = Stage::with(KEYED, |setup| {
        setup
            .its("evidence = \"evidence.test/signatures\"")
            .upstream("evidence.test", &format!("url = \"{}\"", elsewhere.url()))
    })
    .await;
    (stage, elsewhere)
}

/// Rule: a separate repository is asked by every layout, and what is found by a list there is held to its own subject.
#[tokio::test]
async fn a145_a152_an_evidence_repository_is_asked_for_referrers_which_name_their_subject() {
    for api in [ReferrersApi::Whole, ReferrersApi::Paged(1), ReferrersApi::Absent] {
        let (stage, elsewhere) = apart().await;
        elsewhere.set_referrers(api);
        let (signed, other) = (stage.unsigned("org/app", "v1"), stage.unsigned("org/app", "v2"));
        let bundle = referrer(&signed.descriptor(), stage.signer.bundle(&signed.digest(), SIGN_PREDICATE));
        let tag = |of: &Made, listed: &Made| {
            Made::index_of(&[listed.descriptor()], vec![listed.clone()]).tag(
                &elsewhere,
                "signatures",
                &evidence_tag(&of.digest(), ""),
            );
        };
        match api {
            ReferrersApi::Absent => tag(&signed, &bundle),
            ReferrersApi::Whole | ReferrersApi::Paged(_) => drop(bundle.put(&elsewhere, "signatures")),
        }
        // A list about another image leads to it, and it says itself what it is about.
        tag(&other, &bundle);
        assert_serves(&stage.manifest("org/app", "v1").await, &signed);
        assert_denied(&stage.manifest("org/app", "v2").await);
        assert!(stage.gate.record().await.to_string().contains("subject-mismatch"), "{api:?}");
    }
}

/// Rule: the fallback tag holds the list of referrers, and nothing else does.
#[tokio::test]
async fn a145_a_manifest_in_place_of_the_list_of_referrers_is_not_read_as_one() {
    let stage = Stage::new().await;
    for (tag, listed) in [("list", true), ("manifest", false)] {
        let image = stage.unsigned("org/app", tag);
        let bundle = referrer(&image.descriptor(), stage.signer.bundle(&image.digest(), SIGN_PREDICATE));
        let fallback = evidence_tag(&image.digest(), "");
        if listed {
            Made::index_of(&[bundle.descriptor()], vec![bundle]).tag(&stage.upstream, "org/app", &fallback);
            assert_serves(&stage.manifest("org/app", tag).await, &image);
        } else {
            bundle.tag(&stage.upstream, "org/app", &fallback);
            assert_denied(&stage.manifest("org/app", tag).await);
        }
    }
}

/// Rule: a descriptor that is wrong about its content describes none, of a manifest that a list names and of a layer.
#[tokio::test]
async fn a105_a142_evidence_whose_descriptor_has_another_size_is_none() {
    let stage = Stage::new().await;
    for (n, (list, layer)) in [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)].into_iter().enumerate() {
        let image = stage.unsigned("org/app", &format!("v{n}"));
        let bundle = referrer(&image.descriptor(), stage.signer.bundle(&image.digest(), SIGN_PREDICATE));
        let resized = |descriptor: &mut Value, by: i64| {
            descriptor["size"] = json!(descriptor["size"].as_i64().unwrap() + by);
        };
        let mut body: Value = serde_json::from_slice(&bundle.bytes).unwrap();
        resized(&mut body["layers"][0], layer);
        let bundle =
            Made::from_bytes(&bundle.media_type, body.to_string().into_bytes(), bundle.blobs.clone());
        let mut listed = bundle.descriptor();
        resized(&mut listed, list);
        Made::index_of(&[listed], vec![bundle]).tag(
            &stage.upstream,
            "org/app",
            &evidence_tag(&image.digest(), ""),
        );
        let answer = stage.manifest("org/app", &format!("v{n}")).await;
        assert_eq!(answer.status == 200, (list, layer) == (0, 0), "list {list}, layer {layer}");
    }
}

/// Rule: where there is more than is looked at, what is asked for comes first, and of it the newest and the oldest.
#[tokio::test]
async fn a141_a143_a_daily_scan_hides_neither_the_first_signature_nor_the_last() {
    for (tag, place, good) in [("first", 0, true), ("last", SCANS, true), ("stranger", SCANS, false)] {
        let stage = Stage::new().await;
        let image = stage.unsigned("org/app", tag);
        let digest = image.digest();
        let stranger = Signer::new();
        let signer = if good { &stage.signer } else { &stranger };
        let mut all: Vec<Made> =
            (0..SCANS).map(|_| referrer(&image.descriptor(), stage.signer.bundle(&digest, SCAN))).collect();
        all.insert(place, referrer(&image.descriptor(), signer.bundle(&digest, SIGN_PREDICATE)));
        let listed: Vec<Value> = all.iter().map(Made::descriptor).collect();
        Made::index_of(&listed, all).tag(&stage.upstream, "org/app", &evidence_tag(&digest, ""));
        let answer = stage.manifest("org/app", tag).await;
        if good {
            assert_serves(&answer, &image);
        } else {
            assert_denied(&answer);
            assert_eq!(codes(&stage.gate.record().await).first().unwrap(), "evidence-limit");
        }
    }
}

/// Rule: under `index = "each-child"` an index is asked for nothing and grants nothing; each child stands for itself.
#[tokio::test]
async fn a023_a_child_of_an_index_that_grants_nothing_stands_for_itself() {
    let each_child = KEYED.replace("[[policy.require]]", "index = \"each-child\"\n[[policy.require]]");
    let stage = Stage::on(KEYED).await;
    let (signed, unsigned) = (Made::image(), Made::image());
    let index = Made::index(vec![signed.clone(), unsigned.clone()]);
    index.tag(&stage.upstream, "org/app", "v1");
    stage.sign("org/app", &signed);
    assert_denied(&stage.manifest("org/app", "v1").await);
    // Signed as a whole it carries its children, which is remembered.
    stage.sign("org/app", &index);
    stage.later(std::time::Duration::from_secs(60));
    assert_serves(&stage.manifest("org/app", "v1").await, &index);
    assert_serves(&stage.manifest("org/app", &unsigned.digest()).await, &unsigned);
    stage.reload(&each_child).await;
    assert_serves(&stage.manifest("org/app", "v1").await, &index);
    assert_eq!(stage.gate.record().await["ground"], "each-child");
    assert_denied(&stage.manifest("org/app", &unsigned.digest()).await);
    assert_eq!(stage.blob("org/app", &unsigned.layer()).await.status, 403);
    assert_serves(&stage.manifest("org/app", &signed.digest()).await, &signed);
    assert_eq!(stage.blob("org/app", &signed.layer()).await.status, 200);
}

/// Rule: a short name stands for what tools write for it, a list for any of its types; the signed statement says which
/// it is.
#[tokio::test]
async fn a212_a_short_name_and_a_list_take_every_form_of_their_types_and_no_other() {
    for (requirement, written, served) in [
        ("attestation = \"spdx\"", SBOM, true),
        ("attestation = \"spdx\"", "https://spdx.dev/Document", true),
        ("attestation = \"spdx\"", "https://spdx.dev/Documents", false),
        ("attestation = \"https://spdx.dev/Document\"", SBOM, false),
        ("attestation = [\"cyclonedx\", \"spdx\"]", SBOM, true),
        ("attestation = [\"cyclonedx\", \"vuln\"]", SBOM, false),
        ("attestation = \"vuln\"", "https://in-toto.io/attestation/vulns/v0.2", true),
        ("attestation = \"cyclonedx\"", "https://cyclonedx.org/schema", true),
    ] {
        let stage = Stage::on(&asks(requirement)).await;
        let image = stage.unsigned("org/app", "v1");
        carrier(vec![stage.signer.attestation(&image.digest(), written)]).tag(
            &stage.upstream,
            "org/app",
            &evidence_tag(&image.digest(), ".att"),
        );
        assert_eq!(stage.manifest("org/app", "v1").await.status == 200, served, "{requirement} {written}");
    }
}

/// A statement about a digest, under a signature of the stage's.
fn attested(stage: &Stage, image: &Made, rest: &str) -> Layer {
    let digits = image.digest().trim_start_matches("sha256:").to_owned();
    let statement = rest.replace("DIGITS", &digits).replace("UPPER", &digits.to_uppercase());
    Layer::new(DSSE, stage.signer.envelope_of(statement.as_bytes()).to_string().into_bytes())
}

/// Rule: a statement is read as the specification and its protobuf message have it: digits in either case, a predicate
/// that is absent or null for an empty one, fields by either name but not by both.
#[tokio::test]
async fn a210_a215_a_statement_in_any_allowed_form_counts_and_a_false_one_does_not() {
    const KIND: &str = r#""_type":"https://in-toto.io/Statement/v1","predicateType":"urn:x""#;
    const ABOUT: &str = r#""subject":[{"name":"app","digest":{"sha256":"DIGITS"}}]"#;
    for (statement, served) in [
        (format!("{{{KIND},{ABOUT},\"predicate\":{{}}}}"), true),
        (format!("{{{KIND},{ABOUT},\"predicate\":null}}"), true),
        (format!("{{{KIND},{ABOUT}}}"), true),
        (format!("{{{KIND},{},\"predicate\":{{}}}}", ABOUT.replace("DIGITS", "UPPER")), true),
        (format!("{{{},{ABOUT}}}", KIND.replace("predicateType", "predicate_type")), true),
        (format!("{{{KIND},\"predicate_type\":\"urn:x\",{ABOUT}}}"), false),
        (format!("{{{KIND},{ABOUT},\"predicate\":[]}}"), false),
        (format!("{{{KIND},{ABOUT},\"predicate\":\"null\"}}"), false),
        (format!("{{{KIND},{}}}", ABOUT.replace("DIGITS", &"0".repeat(64))), false),
    ] {
        let stage = Stage::on(&asks("attestation = \"urn:x\"")).await;
        let image = stage.unsigned("org/app", "v1");
        carrier(vec![attested(&stage, &image, &statement)]).tag(
            &stage.upstream,
            "org/app",
            &evidence_tag(&image.digest(), ".att"),
        );
        assert_eq!(stage.manifest("org/app", "v1").await.status == 200, served, "{statement}");
    }
}

/// Rule: a bundle is the JSON of a protobuf message: fields by their original names, bytes in the other alphabet and
/// without padding, a patch of its version.
#[tokio::test]
async fn a209_a254_a_bundle_in_any_allowed_form_counts_and_an_ambiguous_one_does_not() {
    let original = |text: &str| {
        ["verificationMaterial", "dsseEnvelope", "publicKey", "tlogEntries", "mediaType"]
            .iter()
            .zip(["verification_material", "dsse_envelope", "public_key", "tlog_entries", "media_type"])
            .fold(text.to_owned(), |text, (name, original)| {
                text.replace(&format!("\"{name}\""), &format!("\"{original}\""))
            })
    };
    let url_safe = |text: &str| {
        let mut bundle: Value = serde_json::from_str(text).unwrap();
        for path in ["/dsseEnvelope/payload", "/dsseEnvelope/signatures/0/sig"] {
            let bytes = STANDARD.decode(bundle.pointer(path).unwrap().as_str().unwrap()).unwrap();
            *bundle.pointer_mut(path).unwrap() = json!(URL_SAFE_NO_PAD.encode(bytes));
        }
        bundle.to_string()
    };
    let version = |text: &str, other: &str| text.replace("bundle.v0.3+json", other);
    for (what, served) in [
        ("as it is", true),
        ("original names", true),
        ("the other alphabet", true),
        ("a patch", true),
        ("another version", false),
        ("both names", false),
    ] {
        let change = |text: &str| match what {
            "original names" => original(text),
            "the other alphabet" => url_safe(text),
            "a patch" => version(text, "bundle.v0.3.2+json"),
            "another version" => version(text, "bundle.v0.4+json"),
            "both names" => text.replacen('{', "{\"dsse_envelope\":{},", 1),
            _ => text.to_owned(),
        };
        let stage = Stage::new().await;
        stage.upstream.set_referrers(ReferrersApi::Whole);
        let image = stage.unsigned("org/app", "v1");
        let bundle = stage.signer.bundle(&image.digest(), SIGN_PREDICATE);
        let bytes = change(std::str::from_utf8(&bundle.bytes).unwrap()).into_bytes();
        referrer(&image.descriptor(), Layer::new(BUNDLE, bytes)).put(&stage.upstream, "org/app");
        assert_eq!(stage.manifest("org/app", "v1").await.status == 200, served, "{what}");
    }
}

/// Rule: an SBOM as large as GitHub and cosign attest counts, an expression asks one field of it; and a false one is as
/// false.
#[tokio::test(flavor = "multi_thread")]
async fn a142_a255_an_sbom_of_17_mib_counts_and_one_field_of_it_can_be_asked() {
    let stage =
        Stage::on(&asks("attestation = \"urn:sbom\"\nwhere = 'predicate.bomFormat == \"CycloneDX\"'")).await;
    let filler = "x".repeat(17 * 1024 * 1024);
    for (tag, format, served) in [("good", "CycloneDX", true), ("bad", "CycloneDY", false)] {
        let image = stage.unsigned("org/app", tag);
        let statement = format!(
            r#"{{"_type":"https://in-toto.io/Statement/v1","predicateType":"urn:sbom","subject":[{{"digest":{{"sha256":"DIGITS"}}}}],"predicate":{{"bomFormat":"{format}","filler":"{filler}"}}}}"#
        );
        carrier(vec![attested(&stage, &image, &statement)]).tag(
            &stage.upstream,
            "org/app",
            &evidence_tag(&image.digest(), ".att"),
        );
        let answer = stage.manifest("org/app", tag).await;
        assert_eq!(answer.status == 200, served, "{tag}: {}", answer.message());
    }
}
