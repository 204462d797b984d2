//! A manifest by tag and digest, by GET and HEAD: permitted, denied, undecided.

use pullgate_tests::asking::ask;
use pullgate_tests::clients::process::wait_until;
use pullgate_tests::made::{MANIFEST, Made};
use pullgate_tests::signing::Signer;
use pullgate_tests::upstream::{Fault, When};

use crate::process::signals;
use crate::stage::{
    KEYED, Stage, assert_denied, assert_serves, assert_undecided, but_for_the_id, codes, manifest,
};

#[tokio::test]
async fn what_is_permitted_is_served_by_tag_and_digest_with_get_and_head() {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    let length = image.bytes.len().to_string();
    for reference in ["v1", &image.digest()] {
        let target = manifest("org/app", reference);
        assert_serves(&stage.gate.get(&target).await, &image);
        let head = stage.gate.head(&target).await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        for (name, value) in [
            ("content-type", MANIFEST),
            ("content-length", &length),
            ("docker-content-digest", &image.digest()),
            ("oci-namespace", "registry.test"),
            ("docker-distribution-api-version", "registry/2.0"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(head.header(name), Some(value), "{name}");
        }
        assert_eq!(head.header("warning"), None);
    }
}

#[tokio::test]
async fn a021_what_is_unsigned_is_refused_by_tag_and_digest_with_get_and_head_alike() {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    for reference in ["v1", &image.digest()] {
        let target = manifest("org/app", reference);
        let head = stage.gate.head(&target).await;
        assert_eq!((head.status, head.body.len()), (403, 0));
        assert!(head.reason.starts_with("Forbidden: no "), "{}", head.reason);
        assert!(head.reason.len() <= 100 && head.reason.is_ascii());
        for name in ["content-length", "docker-content-digest"] {
            let told = head
                .header(name)
                .filter(|value| *value == image.digest() || *value == image.bytes.len().to_string());
            assert_eq!(told, None);
        }
        let get = stage.gate.get(&target).await;
        assert_denied(&get);
        assert_eq!(get.header("content-type"), Some("application/json"));
        let without_id = |text: &str| text.split("pullgate").next().unwrap().to_owned();
        assert_eq!(without_id(&get.reason), without_id(&head.reason));
    }
    assert_eq!(codes(&stage.gate.record().await), ["no-evidence"]);
}

#[tokio::test]
async fn a_denial_is_one_line_with_the_reason_first_and_the_id_of_its_record_last() {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    Signer::new().sign_at(&stage.upstream, "org/app", &image.digest());
    let answer = stage.manifest("org/app", "v1").await;
    assert_denied(&answer);
    assert_eq!(answer.json()["errors"].as_array().unwrap().len(), 1);
    assert!(answer.json()["errors"][0]["detail"].is_string());
    let message = answer.message();
    assert!(message.len() <= 200 && message.bytes().all(|byte| (32..127).contains(&byte)), "{message}");
    assert!(message.starts_with("no signature by \"release\""), "{message}");
    assert!(message.contains("policy \"production\""), "{message}");
    let id = message.rsplit("pullgate ").next().unwrap();
    let record = stage.gate.record().await;
    assert_eq!(id.len(), 12);
    assert!(record["id"].as_str().unwrap().starts_with(id), "{record}");
    assert_eq!(codes(&record), ["unknown-authority"]);
}

#[tokio::test]
async fn what_could_not_be_asked_for_is_undecided_and_never_reads_like_unsigned() {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    stage.upstream.fail(When::on("/v2/org/app/"), Fault::Status(500));
    for reference in ["v1", &image.digest()] {
        let target = manifest("org/app", reference);
        let answer = stage.gate.get(&target).await;
        assert_undecided(&answer);
        assert!(!answer.message().contains("signature"), "{}", answer.message());
        let head = stage.gate.head(&target).await;
        assert_eq!((head.status, head.body.len()), (503, 0));
        assert!(head.header("retry-after").is_some());
    }
    stage.upstream.heal();
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
}

#[tokio::test]
async fn what_does_not_exist_upstream_is_404() {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    for reference in ["v2", &Made::image().digest()] {
        let answer = stage.manifest("org/app", reference).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "MANIFEST_UNKNOWN"));
        assert!(!String::from_utf8_lossy(&answer.body).contains("text-of-the-upstream"));
    }
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
}

#[tokio::test]
async fn denied_head_status_300_changes_a_denied_head_and_nothing_else() {
    let stage = Stage::with(KEYED, |setup| setup.listen_also("denied_head_status = 300")).await;
    stage.signed("org/app", "good");
    stage.unsigned("org/app", "bad");
    stage.upstream.fail(When::on("manifests/down"), Fault::Status(500));
    for (tag, head, get) in [("good", 200, 200), ("bad", 300, 403), ("down", 503, 503), ("none", 404, 404)] {
        let answer = stage.gate.head(&manifest("org/app", tag)).await;
        assert_eq!(answer.status, head, "{tag}");
        assert_eq!(answer.header("location"), None);
        assert_eq!(stage.manifest("org/app", tag).await.status, get, "{tag}");
    }
}

#[tokio::test]
async fn warn_mode_serves_with_a_warning_and_records_the_denial() {
    let warn = KEYED.replace("[[policy.require]]", "mode = \"warn\"\n[[policy.require]]");
    let stage = Stage::on(&warn).await;
    let (good, bad) = (stage.signed("org/app", "good"), stage.unsigned("org/app", "bad"));
    let answer = stage.manifest("org/app", "bad").await;
    assert_serves(&answer, &bad);
    let warning = answer.header("warning").unwrap();
    assert!(
        warning.starts_with("299 - \"pullgate would refuse this: no ") && warning.ends_with('"'),
        "{warning}"
    );
    assert!(warning.len() <= 220 && warning.is_ascii());
    let record = stage.gate.record().await;
    assert_eq!(record["ground"], "warn-only", "{record}");
    assert_eq!(codes(&record), ["no-evidence"]);
    let answer = stage.manifest("org/app", "good").await;
    assert_serves(&answer, &good);
    assert_eq!(answer.header("warning"), None);
    assert_eq!(stage.gate.record().await["ground"], "satisfied");
}

#[tokio::test]
async fn a062_what_no_scope_matches_costs_no_request_and_tells_nothing() {
    let stage = Stage::on(&KEYED.replace("registry.test/**", "registry.test/org/**")).await;
    let hidden = stage.signed("private/app", "v1");
    for method in ["GET", "HEAD"] {
        let mut answers = Vec::new();
        for (repository, reference) in [
            ("private/app", "v1"),
            ("private/app", "v2"),
            ("private/app", &hidden.digest()),
            ("private/app", &Made::image().digest()),
            ("private/none", "v1"),
        ] {
            let answer = stage.gate.send(method, &manifest(repository, reference)).await;
            assert_eq!(answer.status, 403);
            answers.push(but_for_the_id(&answer));
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "one answer, whether it exists or not: {answers:?}");
    }
    assert_denied(&stage.blob("private/app", &hidden.layer()).await);
    assert_denied(&stage.gate.get("/v2/private/app/tags/list").await);
    assert_denied(&stage.gate.get(&format!("/v2/private/app/referrers/{}", hidden.digest())).await);
    assert_eq!(stage.upstream.seen().len(), 0);
    stage.signed("org/app", "v1");
    assert_eq!(stage.manifest("org/app", "v1").await.status, 200);
}

#[tokio::test]
async fn what_no_scope_matches_is_served_where_the_policy_says_so() {
    for (unmatched, warned) in [("warn", true), ("permit", false)] {
        let policy = format!(
            "unmatched = \"{unmatched}\"\n{}",
            KEYED.replace("registry.test/**", "registry.test/org/**")
        );
        let stage = Stage::on(&policy).await;
        let image = stage.unsigned("other/app", "v1");
        let answer = stage.manifest("other/app", "v1").await;
        assert_serves(&answer, &image);
        assert_eq!(answer.header("warning").is_some(), warned, "{unmatched}");
        assert_eq!(stage.blob("other/app", &image.layer()).await.status, 200);
        stage.unsigned("org/app", "v1");
        assert_denied(&stage.manifest("org/app", "v1").await);
    }
}

#[tokio::test]
async fn an_exemption_asks_for_no_evidence_and_a_block_wins_over_it() {
    let exempt = |digest: &str| {
        format!(
            "[[exempt]]\ndigest = \"{digest}\"\nuntil = 2999-01-01\nowner = \"me\"\nreason = \"because\"\n"
        )
    };
    let stage = Stage::new().await;
    let (free, blocked) = (stage.unsigned("org/app", "free"), stage.signed("org/app", "blocked"));
    let policy = format!("{KEYED}{}{}", exempt(&free.digest()), exempt(&blocked.digest()));
    let block = format!("[[block]]\ndigest = \"{}\"\nreason = \"CVE-2026-0001\"\n", blocked.digest());
    stage.reload(&format!("{policy}{block}")).await;
    assert_serves(&stage.manifest("org/app", "free").await, &free);
    assert_eq!(stage.gate.record().await["ground"], "exempt");
    assert_eq!(stage.upstream.seen().len(), 1, "the manifest and no evidence");
    assert_denied(&stage.manifest("org/app", "blocked").await);
    assert_eq!(codes(&stage.gate.record().await), ["blocked"]);
    stage.upstream.forget();
    assert_denied(&stage.manifest("org/app", &blocked.digest()).await);
    assert_eq!(stage.upstream.seen().len(), 0, "a block is known without asking");
}

#[tokio::test]
async fn a013_a_blocked_manifest_stays_blocked_under_its_sha512() {
    let stage = Stage::new().await;
    let (good, bad) = (stage.signed("org/app", "good"), stage.signed("org/app", "bad"));
    let sha512 = |image: &Made| {
        format!("sha512:{}", hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, &image.bytes)))
    };
    for image in [&good, &bad] {
        stage.upstream.tag("org/app", &sha512(image), &image.digest());
    }
    stage.reload(&format!("{KEYED}[[block]]\ndigest = \"{}\"\nreason = \"x\"\n", bad.digest())).await;
    assert_denied(&stage.manifest("org/app", &sha512(&bad)).await);
    assert_eq!(codes(&stage.gate.record().await), ["blocked"]);
    let answer = stage.manifest("org/app", &sha512(&good)).await;
    assert_eq!((answer.status, answer.header("docker-content-digest")), (200, Some(sha512(&good).as_str())));
}

#[tokio::test]
async fn a029_a_condition_is_no_way_round_a_verdict() {
    let stage = Stage::new().await;
    let (good, bad) = (stage.signed("org/app", "good"), stage.unsigned("org/app", "bad"));
    for name in ["if-none-match", "if-match", "if-range", "if-modified-since"] {
        for (image, status) in [(&good, 200), (&bad, 403)] {
            let condition = if name == "if-modified-since" {
                "Thu, 01 Jan 2099 00:00:00 GMT".to_owned()
            } else {
                format!("\"{}\"", image.digest())
            };
            let target = manifest("org/app", &image.digest());
            let answer = stage.gate.get_with(&target, &[(name, &condition)]).await;
            assert_eq!(answer.status, status, "{name}");
        }
    }
    // What it had a permit for is no longer its to compare with.
    stage.reload(&format!("{KEYED}[[block]]\ndigest = \"{}\"\nreason = \"x\"\n", good.digest())).await;
    for name in ["if-none-match", "if-match"] {
        let condition = [(name, format!("\"{}\"", good.digest()))];
        let headers: Vec<_> = condition.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = stage.gate.get_with(&manifest("org/app", &good.digest()), &headers).await;
        assert_eq!((answer.status, answer.header("etag")), (403, None), "{name}");
        assert_eq!(
            stage.gate.get_with(&crate::stage::blob("org/app", &good.layer()), &headers).await.status,
            403
        );
    }
}

#[tokio::test]
async fn a036_who_a_client_says_it_is_changes_nothing() {
    let stage = Stage::new().await;
    stage.unsigned("org/app", "v1");
    for agent in [
        "cosign/v2.4.0",
        "containerd/2.1",
        "docker/27.1 go/go1.22",
        "containers/5.31 (github.com/containers/image)",
        "cri-o/1.31",
        "Go-http-client/1.1",
        "Harbor-Scanner",
        "policy-controller/1",
        "pullgate/0.1.0",
        "",
    ] {
        let headers = [("user-agent", agent), ("accept", "application/vnd.dev.cosign.simplesigning.v1+json")];
        let answer = stage.gate.get_with(&manifest("org/app", "v1"), &headers).await;
        assert_denied(&answer);
    }
}

#[tokio::test]
async fn a039_an_accept_that_excludes_what_was_judged_converts_nothing() {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    for accept in ["text/html", "application/vnd.docker.distribution.manifest.v1+json", "*/*", ""] {
        let answer = stage.gate.get_with(&manifest("org/app", "v1"), &[("accept", accept)]).await;
        assert_serves(&answer, &image);
        assert_eq!(answer.header("content-type"), Some(MANIFEST));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a061_what_a_client_says_of_itself_and_of_others_goes_nowhere() {
    const ADDRESS: &str = "203.0.113.77";
    const CANARY: &str = "canary-3f9a";
    let stage = signals::Stage::with(|settings| settings.environment("PULLGATE_LOG", "trace")).await;
    let image = stage.signed("v1", Made::image());
    let headers = [
        ("authorization", "Bearer canary-3f9a"),
        ("cookie", "session=canary-3f9a"),
        ("proxy-authorization", "Basic canary-3f9a"),
        ("proxy-connection", "canary-3f9a"),
        ("x-forwarded-for", ADDRESS),
        ("x-real-ip", ADDRESS),
        ("forwarded", "for=203.0.113.77;host=canary-3f9a.test;proto=https"),
        ("x-forwarded-host", "canary-3f9a.test"),
        ("x-forwarded-prefix", "/v2/canary-3f9a"),
    ];
    let answer = ask(stage.data(), "GET", &manifest("org/app", "v1"), &headers).await;
    assert_serves(&answer, &image);
    let seen = stage.upstream.seen();
    assert!(!seen.is_empty());
    let pulls = || {
        let records = stage.gate.audit().unwrap_or_default();
        records.into_iter().filter(|record| record["kind"] == "manifest").collect::<Vec<_>>()
    };
    tokio::task::block_in_place(|| wait_until("it is recorded", || !pulls().is_empty())).unwrap();
    let records = pulls();
    let client = records[0]["client"]["address"].as_str().unwrap();
    assert!(client.starts_with("127.0.0.1:"), "the address of the connection: {client}");
    assert_eq!(records[0]["repository"], "registry.test/org/app");
    let log = stage.gate.output();
    assert!(log.contains("TRACE"), "everything is logged");
    let said = format!("{seen:?} {:?} {log} {answer:?}", stage.gate.audit());
    for secret in [CANARY, ADDRESS] {
        assert!(!said.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a111_a523_no_header_of_the_upstream_reaches_a_client() {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    for (name, value) in [
        ("set-cookie", "a=b"),
        ("www-authenticate", "Basic realm=\"evil\""),
        ("location", "http://evil.example/"),
        ("x-evil", "1"),
        ("cache-control", "public, max-age=31536000"),
    ] {
        stage.upstream.fail(When::on("GET"), Fault::Header(name, value.to_owned()));
    }
    let answer = stage.manifest("org/app", "v1").await;
    assert_serves(&answer, &image);
    let layer = stage.blob("org/app", &image.layer()).await;
    assert_eq!(layer.status, 200);
    for headers in [&answer.headers, &layer.headers] {
        for name in ["set-cookie", "www-authenticate", "location", "x-evil", "cache-control"] {
            assert!(!headers.contains_key(name), "{name}");
        }
    }
    assert_eq!(layer.header("content-type"), Some("application/octet-stream"));
}

#[tokio::test]
async fn the_base_is_answered_at_once_without_the_upstream() {
    let stage = Stage::new().await;
    for target in ["/v2/", "/v2"] {
        let answer = stage.gate.get(target).await;
        assert_eq!(
            (answer.status, answer.header("docker-distribution-api-version")),
            (200, Some("registry/2.0"))
        );
    }
    assert_eq!(stage.gate.head("/v2/").await.status, 200);
    assert_eq!(stage.gate.get("/").await.status, 404);
    assert_eq!(stage.upstream.seen().len(), 0);
}
