//! Upstreams as they are: what an answer says of the content, and what it says of the upstream alone.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use pullgate_tests::asking::Answer;
use pullgate_tests::made::MANIFEST;
use pullgate_tests::upstream::{Fault, When};
use serde_json::json;

use crate::stage::{KEYED, Stage, assert_denied, assert_serves, assert_undecided, blob, manifest};

fn html(status: u16) -> Fault {
    Fault::Answer(status, "text/html", b"<html>back soon</html>".to_vec())
}

/// Every answer that says nothing about the content.
fn outages() -> Vec<(&'static str, Fault)> {
    let statuses =
        [408, 421, 425, 429, 500, 501, 503, 520, 599].map(|status| ("a status", Fault::Status(status)));
    let pages = [
        ("a page of HTML", html(200)),
        ("a page of HTML, 503", html(503)),
        ("nothing at all", Fault::Answer(200, MANIFEST, Vec::new())),
        ("nothing at all, without a type", Fault::Answer(200, "", Vec::new())),
        (
            "an error in JSON",
            Fault::Answer(200, "application/json", b"{\"status\":\"maintenance\"}".to_vec()),
        ),
        ("a redirect to a login", Fault::Redirect("http://10.1.2.3/login".to_owned())),
    ];
    statuses.into_iter().chain(pages).collect()
}

fn policy(on_undecided: &str) -> String {
    KEYED.replace("[[policy.require]]", &format!("on_undecided = {on_undecided}\n[[policy.require]]"))
}

#[tokio::test]
async fn a109_what_says_nothing_of_the_content_is_undecided_and_last_permit_bridges_it() {
    for (what, fault) in outages() {
        let stage = Stage::with(&policy("{ last_permit = \"24h\" }"), |setup| {
            setup.cache("tag_ttl = \"1s\"\npermit_ttl = \"1s\"")
        })
        .await;
        let image = stage.signed("org/app", "v1");
        assert_serves(&stage.manifest("org/app", "v1").await, &image);
        stage.later(Duration::from_secs(1));
        stage.upstream.fail(When::on(""), fault);
        assert_serves(&stage.manifest("org/app", "v1").await, &image);
        // The same tag, as another client asks for it.
        let accept = [("accept", MANIFEST)];
        let other = stage.gate.get_with(&manifest("org/app", "v1"), &accept).await;
        assert_serves(&other, &image);
        // What was never permitted is undecided, and neither denied nor absent.
        let answer = stage.manifest("org/app", "never").await;
        assert_eq!(answer.status, 503, "{what}: {answer:?}");
    }
}

#[tokio::test]
async fn a148_insecure_permit_is_softened_by_no_page_and_no_redirect() {
    let softened = |fault: &Fault| matches!(fault, Fault::Status(_));
    for (what, fault) in outages() {
        let stage = Stage::on(&policy("\"insecure_permit\"")).await;
        stage.unsigned("org/app", "v1");
        let expected = if softened(&fault) || matches!(fault, Fault::Answer(503, ..)) { 200 } else { 503 };
        stage.upstream.fail(When::on("/referrers/"), fault.clone());
        stage.upstream.fail(When::on("/manifests/sha256-"), fault);
        let answer = stage.manifest("org/app", "v1").await;
        // A registry without the referrers API answers in many ways: then the tags decide.
        assert!(answer.status == expected || answer.status == 403, "{what}: {answer:?}");
        assert!(expected == 200 || answer.status != 200, "{what}");
    }
}

#[tokio::test]
async fn what_does_not_exist_is_not_shown_or_cannot_be_asked_has_three_statuses() {
    let stage = Stage::new().await;
    for (status, expected) in [(404, 404), (401, 403), (403, 403), (500, 503)] {
        stage.upstream.heal();
        stage.upstream.fail(When::on("org/none"), Fault::Status(status));
        for target in [manifest("org/none", "v1"), "/v2/org/none/tags/list".to_owned()] {
            let answer = stage.gate.get(&target).await;
            assert_eq!(answer.status, expected, "{status} {target}");
            assert_eq!(answer.header("retry-after").is_some(), expected == 503, "{status}");
        }
    }
    let codes: Vec<_> =
        stage.gate.records().await.iter().map(|one| one["reasons"][0]["code"].clone()).collect();
    let expected = ["manifest-unknown", "upstream-not-shown", "upstream-not-shown", "upstream-status"];
    assert_eq!(codes, expected.map(serde_json::Value::from));
}

#[tokio::test]
async fn a146_evidence_that_is_not_shown_may_be_there_and_denies_nothing() {
    let stage = Stage::new().await;
    stage.unsigned("org/app", "v1");
    for status in [401, 403] {
        stage.upstream.heal();
        stage.upstream.fail(When::on("/manifests/sha256-"), Fault::Status(status));
        assert_undecided(&stage.manifest("org/app", "v1").await);
    }
}

#[tokio::test]
async fn in_warn_mode_what_cannot_be_judged_for_want_of_evidence_is_served_with_a_warning() {
    let warn = KEYED.replace("[[policy.require]]", "mode = \"warn\"\n[[policy.require]]");
    for status in [401, 403, 429, 500] {
        let stage = Stage::on(&warn).await;
        let image = stage.unsigned("org/app", "v1");
        stage.upstream.fail(When::on("/referrers/"), Fault::Status(status));
        let answer = stage.manifest("org/app", "v1").await;
        assert_serves(&answer, &image);
        let warning = answer.header("warning").unwrap();
        assert!(warning.contains("could not decide") && warning.contains("mode = "), "{warning}");
        assert_eq!(stage.blob("org/app", &image.layer()).await.status, 200, "{status}");
        // A block is known without evidence.
        stage.reload(&format!("{warn}[[block]]\ndigest = \"{}\"\nreason = \"x\"\n", image.digest())).await;
        assert_denied(&stage.manifest("org/app", "v1").await);
    }
    // Where it is enforced, it is not.
    let stage = Stage::new().await;
    stage.unsigned("org/app", "v1");
    stage.upstream.fail(When::on("/referrers/"), Fault::Status(500));
    assert_undecided(&stage.manifest("org/app", "v1").await);
}

#[tokio::test]
async fn a112_a_type_that_is_not_served_is_one_answer_by_tag_and_digest_and_is_named() {
    const ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";
    let stage = Stage::new().await;
    let body = json!({ "mediaType": ARTIFACT, "artifactType": "a/b", "blobs": [] }).to_string();
    let digest = stage.upstream.manifest("org/app", ARTIFACT, body.as_bytes());
    stage.upstream.tag("org/app", "v1", &digest);
    let texts =
        [stage.manifest("org/app", "v1").await, stage.manifest("org/app", &digest).await].map(|answer| {
            assert_denied(&answer);
            assert!(answer.message().contains(ARTIFACT), "{answer:?}");
            answer.message().split("; pullgate").next().unwrap().to_owned()
        });
    assert_eq!(texts[0], texts[1]);
}

#[tokio::test]
async fn a_type_that_says_nothing_leaves_the_word_to_the_document() {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    for said in ["", "application/json", "application/octet-stream"] {
        stage.upstream.heal();
        stage.upstream.fail(When::on("/manifests/v1"), Fault::Header("content-type", said.to_owned()));
        let answer = stage.gate.get_with(&manifest("org/app", "v1"), &[("accept", "*/*")]).await;
        assert_serves(&answer, &image);
        stage.later(Duration::from_secs(120));
    }
}

/// What comes of a request by a client that closes its sending half right behind it.
fn half_closed(address: std::net::SocketAddr, target: &str) -> usize {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut read = Vec::new();
    stream.read_to_end(&mut read).unwrap();
    let head = read.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(read.len());
    read.len().saturating_sub(head + 4)
}

#[tokio::test]
async fn a_client_that_closes_its_half_gets_the_whole_answer() {
    let (stage, image, layer) = Stage::with_layer_of(3 << 20).await;
    let whole: Answer = stage.gate.get(&layer).await;
    assert_eq!(whole.body.len(), 3 << 20);
    let address = stage.gate.data;
    for (target, length) in [
        (manifest("org/app", "v1"), image.bytes.len()),
        (manifest("org/app", &image.digest()), image.bytes.len()),
        (layer.clone(), 3 << 20),
        (blob("org/app", &image.layer()), 3 << 20),
    ] {
        let asked = target.clone();
        let got = tokio::task::spawn_blocking(move || half_closed(address, &asked)).await.unwrap();
        assert_eq!(got, length, "{target}");
    }
}

#[tokio::test]
async fn a011_a_list_goes_on_by_the_upstreams_cursor_sealed_in_the_gates_link() {
    let stage = Stage::new().await;
    let page = |tags: &[&str]| {
        Fault::Answer(200, "application/json", json!({ "tags": tags }).to_string().into_bytes())
    };
    let list = "/v2/org/app/tags/list";
    stage.upstream.fail(When::on("tags/list?n=2$"), page(&["z", "y"]));
    stage
        .upstream
        .fail(When::on("tags/list?n=2$"), Fault::Header("link", format!("<{list}?n=2&at=%2B1>; rel=next")));
    stage.upstream.fail(When::on("at=%2B1$"), page(&["b", "a"]));
    let first = stage.gate.get(&format!("{list}?n=2")).await;
    assert_eq!(first.json()["tags"], json!(["z", "y"]));
    let next = first.header("link").unwrap().split(['<', '>']).nth(1).unwrap().to_owned();
    let second = stage.gate.get(&next).await;
    assert_eq!((second.json()["tags"].clone(), second.header("link")), (json!(["b", "a"]), None));
    // Nobody but the gate makes one: a cursor that was altered is none, and `last` counts.
    stage.upstream.forget();
    let forged = next.replace("cursor=", "cursor=x");
    stage.gate.get(&forged).await;
    assert_eq!((stage.upstream.count("at="), stage.upstream.count("last=y")), (0, 1), "{forged}");
}
