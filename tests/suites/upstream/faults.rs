//! An upstream that lies, stalls or breaks gets nothing wrong served and nothing kept.

use pullgate::upstream::limits;
use pullgate_tests::gate_in_process::{Gate, Setup};
use pullgate_tests::made::{MANIFEST, Made};
use pullgate_tests::upstream::{Fault, Raw, Upstream, When};

use crate::stage::{KEYED, Stage, assert_denied, assert_serves, assert_undecided, codes, manifest};

/// The upstream does this to a signed manifest: undecided by that code, and healed at once when the upstream is.
async fn assert_undecided_while(fault: Fault, code: &str, references: &[&str]) {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    stage.upstream.fail(When::on("GET /v2/org/app/manifests/"), fault.clone());
    for reference in references {
        let reference = reference.replace("DIGEST", &image.digest());
        assert_undecided(&stage.manifest("org/app", &reference).await);
        assert_eq!(codes(&stage.gate.record().await), [code], "{fault:?} {reference}");
    }
    stage.upstream.heal();
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
}

/// A request of that kind ended so, by the metrics: what is asked for beside a manifest has no record of its own.
pub(crate) async fn assert_counted(stage: &Stage, kind: &str, code: &str) {
    let page = stage.gate.admin("/metrics").await;
    let page = String::from_utf8_lossy(&page.body);
    let labels = format!("kind=\"{kind}\",status=\"{code}\"");
    assert!(page.lines().any(|line| line.contains(&labels)), "{labels} in {page}");
}

const BOTH: [&str; 2] = ["v1", "DIGEST"];

#[tokio::test]
async fn a101_a_body_that_is_not_its_digest_is_not_served() {
    assert_undecided_while(Fault::Flip(-1), "upstream-integrity", &BOTH).await;
    let other = Made::image().digest();
    assert_undecided_while(Fault::Header("docker-content-digest", other), "upstream-integrity", &BOTH).await;
}

#[tokio::test]
async fn a101_without_an_announced_digest_the_bytes_alone_are_judged() {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    stage.upstream.fail(When::on("manifests"), Fault::WithoutHeader("docker-content-digest"));
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    let (good, bad) = (stage.signed("org/app", "v2"), stage.unsigned("org/app", "bad"));
    // Asked for the good one, it gives the bad one.
    stage.upstream.fail(When::on(good.digest()), Fault::Alternate(vec![bad.digest()]));
    stage.upstream.fail(When::on(good.digest()), Fault::WithoutHeader("docker-content-digest"));
    assert_undecided(&stage.manifest("org/app", &good.digest()).await);
    assert_eq!(codes(&stage.gate.record().await), ["upstream-integrity"]);
}

#[tokio::test]
async fn a103_a_manifest_that_ends_early_is_not_served() {
    for fault in [Fault::Cut(0), Fault::Cut(1), Fault::Cut(100)] {
        assert_undecided_while(fault, "upstream-integrity", &BOTH).await;
    }
    for fault in [Fault::Short(0), Fault::Short(100)] {
        assert_undecided_while(fault, "upstream-integrity", &BOTH).await;
    }
}

#[tokio::test]
async fn a108_an_encoded_manifest_is_not_decoded() {
    for encoding in ["gzip", "zstd", "br", "identity, gzip"] {
        assert_undecided_while(
            Fault::Header("content-encoding", encoding.to_owned()),
            "upstream-encoding",
            &BOTH,
        )
        .await;
    }
}

#[tokio::test]
async fn a109_a_login_page_is_no_manifest() {
    let page = || b"<html>please log in</html>".to_vec();
    assert_undecided_while(Fault::Answer(200, "text/html", page()), "upstream-protocol", &["v1"]).await;
    assert_undecided_while(Fault::Answer(200, "application/json", page()), "upstream-protocol", &["v1"])
        .await;
    assert_undecided_while(Fault::Answer(200, "text/html", page()), "upstream-integrity", &["DIGEST"]).await;
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    stage.upstream.fail(When::on("manifests/v1"), Fault::Answer(200, MANIFEST, page()));
    assert_denied(&stage.manifest("org/app", "v1").await);
    assert_eq!(codes(&stage.gate.record().await), ["manifest-invalid"]);
    assert_serves(&stage.manifest("org/app", &image.digest()).await, &image);
}

#[tokio::test]
async fn a111_a_header_that_stands_twice_is_not_chosen_from() {
    for name in ["content-type", "docker-content-digest"] {
        assert_undecided_while(Fault::AlsoHeader(name, MANIFEST.to_owned()), "upstream-protocol", &BOTH)
            .await;
    }
}

#[tokio::test]
async fn a110_an_upstream_is_never_asked_by_head_about_a_manifest() {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    assert_eq!(stage.gate.head(&manifest("org/app", "v1")).await.status, 200);
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    assert_eq!(stage.upstream.count("HEAD"), 0);
}

#[tokio::test]
async fn a161_a_redirect_to_a_host_that_is_not_listed_is_not_followed() {
    let elsewhere = Upstream::start_on("127.0.0.2").await.unwrap();
    for listed in [false, true] {
        let stage =
            Stage::with(
                KEYED,
                |setup| if listed { setup.its("redirect_hosts = [\"127.0.0.2\"]") } else { setup },
            )
            .await;
        let image = stage.signed("org/app", "v1");
        image.put(&elsewhere, "org/app");
        let layer = crate::stage::blob("org/app", &image.layer());
        stage.upstream.fail(When::on(layer.clone()), Fault::Redirect(format!("{}{layer}", elsewhere.url())));
        assert_serves(&stage.manifest("org/app", "v1").await, &image);
        let answer = stage.gate.get(&layer).await;
        if listed {
            assert_eq!(answer.status, 200);
            assert!(elsewhere.count("GET") > 0);
        } else {
            assert_undecided(&answer);
            assert_counted(&stage, "blob", "redirect-refused").await;
            assert_eq!(elsewhere.seen().len(), 0);
        }
    }
}

#[tokio::test]
async fn a161_a162_redirects_that_lead_nowhere_safe_are_refused() {
    for to in [
        "http://169.254.169.254/",
        "http://[::1]:1/",
        "http://0.0.0.0/",
        "ftp://127.0.0.1/",
        "http://user@127.0.0.1/",
        "//127.0.0.1/",
        "",
    ] {
        assert_undecided_while(Fault::Redirect(to.to_owned()), "redirect-refused", &["v1"]).await;
    }
    let around = Fault::Redirect("/v2/org/app/manifests/v1".to_owned());
    assert_undecided_while(around, "redirect-refused", &["v1"]).await;
}

/// A gate before an upstream that answers everything with these bytes.
async fn before(answer: String) -> (Raw, Gate) {
    let upstream = Raw::start("127.0.0.1", answer).await.unwrap();
    let setup = Setup::before(&format!("http://{}", upstream.address())).policy("unmatched = \"permit\"\n");
    (upstream, Gate::start(&setup).await)
}

#[tokio::test]
async fn a177_a_head_over_its_limits_is_no_answer_and_one_within_them_is() {
    let image = Made::image();
    let body = String::from_utf8(image.bytes.clone()).unwrap();
    let head = |headers: usize, bytes: usize| {
        let more = (4..headers).map(|n| format!("x-{n}: 1\r\n")).collect::<String>();
        let long = format!("x: {}\r\nconnection: close\r\n", "a".repeat(bytes));
        let own = format!("content-type: {MANIFEST}\r\ncontent-length: {}\r\n", body.len());
        format!("HTTP/1.1 200 OK\r\n{own}{more}{long}\r\n{body}")
    };
    let interim =
        |count: usize| format!("{}{}", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(count), head(4, 1));
    for within in [
        head(limits::UPSTREAM_HEADERS, 1),
        head(4, limits::UPSTREAM_HEADER_BYTES - 1024),
        interim(limits::UPSTREAM_INTERIM),
    ] {
        let (_upstream, gate) = before(within).await;
        assert_serves(&gate.get(&manifest("org/app", "v1")).await, &image);
    }
    for over in [
        head(limits::UPSTREAM_HEADERS + 1, 1),
        head(10_000, 1),
        head(4, limits::UPSTREAM_HEADER_BYTES),
        head(4, 1 << 20),
        interim(limits::UPSTREAM_INTERIM + 1),
        interim(100),
    ] {
        let (upstream, gate) = before(over).await;
        assert_undecided(&gate.get(&manifest("org/app", "v1")).await);
        assert_eq!(codes(&gate.record().await), ["upstream-protocol"]);
        assert_eq!(upstream.connections(), 1, "it is not asked again");
    }
}

#[tokio::test]
async fn a111_two_lengths_in_one_answer_are_no_answer() {
    let body = Made::image().bytes;
    let text = String::from_utf8(body).unwrap();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {MANIFEST}\r\ncontent-length: {}\r\ncontent-length: {}\r\n\r\n{text}",
        text.len(),
        text.len() - 1
    );
    let (_upstream, gate) = before(answer).await;
    assert_undecided(&gate.get(&manifest("org/app", "v1")).await);
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_undecided() {
    let setup = Setup::before("http://127.0.0.1:1").policy("unmatched = \"permit\"\n");
    let gate = Gate::start(&setup).await;
    assert_undecided(&gate.get(&manifest("org/app", "v1")).await);
    assert_eq!(codes(&gate.record().await), ["upstream-unreachable"]);
    assert_undecided(&gate.get("/v2/org/app/tags/list").await);
    assert_eq!(gate.get("/v2/").await.status, 200);
}

#[tokio::test]
async fn a544_nothing_undecided_is_remembered() {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    for (fault, status) in
        [(Fault::Status(500), 503), (Fault::Status(401), 403), (Fault::Flip(0), 503), (Fault::Cut(0), 503)]
    {
        stage.upstream.fail(When::on(""), fault);
        assert_eq!(stage.manifest("org/app", "v1").await.status, status);
        stage.upstream.heal();
    }
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    let bad = stage.unsigned("org/app", "bad");
    stage.upstream.fail(When::on(".sig"), Fault::Status(500));
    assert_undecided(&stage.manifest("org/app", "bad").await);
    stage.upstream.heal();
    assert_denied(&stage.manifest("org/app", "bad").await);
    assert_denied(&stage.manifest("org/app", &bad.digest()).await);
}
