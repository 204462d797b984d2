//! What an upstream asks for with a 401: whom the gate then asks for a token, what it makes of the answer, and what of it a
//! client hears.

use pullgate::upstream::limits;
use pullgate_tests::gate_in_process::{Gate, Setup};
use pullgate_tests::made::Made;
use pullgate_tests::upstream::{Fault, Raw, Upstream, When};

use crate::stage::{KEYED, Stage, assert_serves, assert_undecided, blob, codes, manifest};
use crate::upstream::faults::assert_counted;

/// What is asked so is answered by 401 and this challenge.
pub(crate) fn challenge(upstream: &Upstream, when: When, challenge: &str) {
    upstream.fail(when.clone(), Fault::Status(401));
    upstream.fail(when, Fault::Header("www-authenticate", challenge.to_owned()));
}

fn token_answer() -> Fault {
    Fault::Answer(200, "application/json", br#"{"token":"t0ken"}"#.to_vec())
}

fn bearer(realm: &str) -> String {
    format!("Bearer realm=\"{realm}\",service=\"s\"")
}

/// A gate that has a login for its upstream.
async fn stage_with(change: impl FnOnce(Setup) -> Setup) -> Stage {
    Stage::with(KEYED, |setup| {
        let login = "credentials = { username = \"gate\", password_file = \"password\" }";
        change(setup.its(login).file("password", "canary"))
    })
    .await
}

#[tokio::test]
async fn a164_a_token_service_that_is_not_listed_leaves_all_undecided_and_hears_nothing() {
    let token = "HTTP/1.1 200 OK\r\ncontent-length: 13\r\nconnection: close\r\n\r\n{\"token\":\"t\"}";
    let thief = Raw::start("127.0.0.2", token).await.unwrap();
    // Content may come from there: that makes it no token service.
    let stage = stage_with(|setup| setup.its("redirect_hosts = [\"127.0.0.2\"]")).await;
    let image = stage.signed("org/app", "v1");
    let asks = bearer(&format!("http://{}/token", thief.address()));
    challenge(&stage.upstream, When::on("/org/app/manifests/v1"), &asks);
    assert_undecided(&stage.manifest("org/app", "v1").await);
    assert_eq!(codes(&stage.gate.record().await), ["realm-refused"]);
    stage.upstream.heal();
    // Of the evidence, too.
    challenge(&stage.upstream, When::on("manifests/sha256-"), &asks);
    assert_undecided(&stage.manifest("org/app", "v1").await);
    assert_eq!(codes(&stage.gate.record().await), ["realm-refused"]);
    stage.upstream.heal();
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    challenge(&stage.upstream, When::on("/"), &asks);
    assert_undecided(&stage.blob("org/app", &image.layer()).await);
    assert_undecided(&stage.gate.get("/v2/org/app/tags/list").await);
    assert_eq!(thief.connections(), 0);
    for kind in ["manifest", "blob", "tags"] {
        assert_counted(&stage, kind, "realm-refused").await;
    }
}

#[tokio::test]
async fn a165_a_realm_inward_or_that_is_no_url_is_refused_and_costs_no_request() {
    let stage = stage_with(|setup| setup).await;
    let image = stage.signed("org/app", "v1");
    let own = stage.upstream.address();
    for realm in [
        "http://169.254.169.254/token".to_owned(),
        "http://127.0.0.1:1/token".to_owned(),
        "http://[::1]/token".to_owned(),
        format!("http://localhost:{}/token", own.port()),
        format!("http://user:pw@{own}/token"),
        format!("//{own}/token"),
        format!("{own}/token"),
        "/token".to_owned(),
        "token".to_owned(),
        String::new(),
    ] {
        challenge(&stage.upstream, When::on("manifests/v1"), &bearer(&realm));
        assert_undecided(&stage.manifest("org/app", "v1").await);
        assert_eq!(codes(&stage.gate.record().await), ["realm-refused"], "{realm}");
        stage.upstream.heal();
    }
    assert_eq!(stage.upstream.count("token"), 0);
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
}

#[tokio::test]
async fn a165_a_malformed_or_long_challenge_costs_no_request_to_a_token_service() {
    let stage = stage_with(|setup| setup).await;
    let realm = format!("{}/token", stage.upstream.url());
    let padded = |bytes: usize| {
        let frame = bearer(&format!("{realm}?x=")).len();
        bearer(&format!("{realm}?x={}", "a".repeat(bytes - frame)))
    };
    let cases = [
        (bearer(&realm), 1),
        (padded(limits::CHALLENGE_BYTES), 1),
        (padded(limits::CHALLENGE_BYTES + 1), 0),
        (padded(60 * 1024), 0),
        (format!("Bearer realm=\"{realm}"), 0),
        (format!("Bearer realm=\"{realm}\" service=\"s\""), 0),
        (format!("Bearer realm=\"{realm}\", realm=\"{realm}\""), 0),
        (format!("Bearer;realm=\"{realm}\""), 0),
        (format!("Digest realm=\"{realm}\""), 0),
        (format!("realm=\"{realm}\""), 0),
    ];
    for (n, (asks, trips)) in cases.into_iter().enumerate() {
        let tag = format!("v{n}");
        let image = stage.signed("org/app", &tag);
        let times = if trips > 0 { 1 } else { usize::MAX };
        challenge(&stage.upstream, When::on(format!("/manifests/{tag}$")).times(times), &asks);
        stage.upstream.fail(When::on("GET /token"), token_answer());
        stage.upstream.forget();
        let answer = stage.manifest("org/app", &tag).await;
        assert_eq!(stage.upstream.count("GET /token"), trips, "{asks:.200}");
        if trips > 0 {
            assert_serves(&answer, &image);
        } else {
            assert_undecided(&answer);
            assert_eq!(codes(&stage.gate.record().await), ["upstream-unauthorized"], "{asks:.200}");
        }
        stage.upstream.heal();
    }
}

#[tokio::test]
async fn a172_where_tls_fails_it_is_undecided_by_that_code_and_nothing_is_asked_in_clear() {
    let plain = Upstream::start().await.unwrap();
    let setup = Setup::before(&format!("https://{}", plain.address())).policy("unmatched = \"permit\"\n");
    let gate = Gate::start(&setup).await;
    let image = Made::image();
    image.tag(&plain, "org/app", "v1");
    assert_undecided(&gate.get(&manifest("org/app", "v1")).await);
    assert_eq!(codes(&gate.record().await), ["upstream-tls"]);
    assert_undecided(&gate.get(&blob("org/app", &image.layer())).await);
    assert_eq!(plain.seen().len(), 0);
}

/// An upstream answers this status to everything, and tells of itself wherever it can.
async fn telling(status: u16) -> (Stage, Made) {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    stage.upstream.fail(When::on("/"), Fault::Status(status));
    for (name, value) in [
        ("www-authenticate", "Basic realm=\"secret-of-the-upstream\""),
        ("docker-distribution-api-version", "secret-of-the-upstream"),
        ("location", "http://secret-of-the-upstream/"),
        ("server", "secret-of-the-upstream"),
        ("set-cookie", "secret-of-the-upstream"),
        ("warning", "299 - \"secret-of-the-upstream\""),
        ("x-request-id", "secret-of-the-upstream"),
    ] {
        stage.upstream.fail(When::on("/"), Fault::Header(name, value.to_owned()));
    }
    (stage, image)
}

#[tokio::test]
async fn a170_a527_what_the_upstream_says_of_itself_reaches_nobody() {
    for (status, code) in [
        (500, "upstream-status"),
        (429, "upstream-status"),
        (401, "upstream-not-shown"),
        (403, "upstream-not-shown"),
        (404, ""),
    ] {
        let (stage, image) = telling(status).await;
        let mut said = String::new();
        for target in [
            manifest("org/app", "other"),
            manifest("org/app", &Made::image().digest()),
            blob("org/app", &image.layer()),
            "/v2/org/app/tags/list".to_owned(),
        ] {
            for answer in [stage.gate.get(&target).await, stage.gate.head(&target).await] {
                let expected = match status {
                    401 | 403 => 403,
                    404 => 404,
                    _ => 503,
                };
                assert_eq!(answer.status, expected, "{status} {target}");
                assert_eq!(answer.header("www-authenticate"), None);
                said.push_str(&format!("{answer:?} {}", String::from_utf8_lossy(&answer.body)));
            }
        }
        assert_undecided_or_missing(&stage, code).await;
        let state = stage.gate.path("state").display().to_string();
        for secret in ["of-the-upstream", "UPSTREAM_SAYS", "127.0.0.1", "http://", &state] {
            assert!(!said.contains(secret), "{secret} in {said}");
        }
    }
}

/// The last record of a manifest has this code, or says that there is none of that name.
async fn assert_undecided_or_missing(stage: &Stage, code: &str) {
    let answer = stage.manifest("org/app", "other").await;
    if code.is_empty() {
        assert_eq!((answer.status, answer.code().as_str()), (404, "MANIFEST_UNKNOWN"));
    } else {
        assert_eq!(answer.status, if code == "upstream-not-shown" { 403 } else { 503 });
        assert_eq!(codes(&stage.gate.record().await), [code]);
    }
}
