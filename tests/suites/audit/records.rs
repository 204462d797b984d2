//! Each answer about a manifest has one record, each refused blob too; nothing hostile breaks a line.

use pullgate_tests::asking::ask;
use pullgate_tests::made::Made;
use pullgate_tests::signing::{carrier, evidence_tag};
use pullgate_tests::upstream::{Fault, When};

use crate::stage::{KEYED, Stage, assert_denied, assert_serves, blob, codes, manifest};

#[tokio::test]
async fn a530_each_answer_about_a_manifest_has_exactly_one_record_with_its_ground() {
    let stage = Stage::new().await;
    let (good, bad) = (stage.signed("org/app", "good"), stage.unsigned("org/app", "bad"));
    stage.upstream.fail(When::on("manifests/down"), Fault::Status(500));
    let asks = [
        ("good".to_owned(), "permit", "satisfied"),
        (good.digest(), "permit", "satisfied"),
        ("bad".to_owned(), "deny", ""),
        (bad.digest(), "deny", ""),
        ("down".to_owned(), "undecided", ""),
    ];
    let mut count = 0;
    for (reference, verdict, ground) in &asks {
        for method in ["GET", "HEAD"] {
            ask(stage.gate.data, method, &manifest("org/app", reference), &[]).await;
            let records = stage.gate.records().await;
            count += 1;
            assert_eq!(records.len(), count, "{method} {reference}");
            let record = records.last().unwrap();
            assert_eq!(record["verdict"], *verdict, "{record}");
            assert_eq!(record["ground"].as_str().unwrap_or_default(), *ground, "{record}");
            assert_eq!(record["method"], method);
        }
    }
    let records = stage.gate.records().await;
    let mut ids: Vec<_> = records.iter().map(|record| record["id"].to_string()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "an id for each answer");
}

#[tokio::test]
async fn a_record_tells_who_asked_for_what_and_what_the_verdict_rests_on() {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    let headers = [("user-agent", "containerd/2.1")];
    assert_serves(&stage.gate.get_with(&manifest("org/app", "v1"), &headers).await, &image);
    let record = stage.gate.record().await;
    for (key, value) in [
        ("repository", "registry.test/org/app"),
        ("reference", "v1"),
        ("digest", &image.digest()),
        ("verdict", "permit"),
        ("ground", "satisfied"),
        ("policy", "production"),
        ("upstream", "registry.test"),
        ("cache", "miss"),
    ] {
        assert_eq!(record[key], value, "{key}: {record}");
    }
    let text = record.to_string();
    assert!(text.contains("containerd/2.1") && text.contains("127.0.0.1"), "{text}");
    assert!(text.contains("policy.toml:"), "the line of the requirement: {text}");
    assert!(text.contains("release"), "the authority that was met: {text}");
    assert!(record["time"].is_string() && record["id"].as_str().unwrap().len() == 32, "{text}");
    let again = stage.manifest("org/app", &image.digest()).await;
    assert_serves(&again, &image);
    let second = stage.gate.record().await;
    assert_eq!(second["cache"], "hit");
    assert_ne!(second["id"], record["id"]);
    assert_eq!(second["verdict_id"], record["id"], "the answer that it repeats");
    assert_eq!(
        (&record["status"], &record["verdict_id"]),
        (&serde_json::json!(200), &serde_json::Value::Null)
    );
}

#[tokio::test]
async fn a_refused_blob_has_a_record_and_a_served_one_has_none_of_its_own() {
    let stage = Stage::new().await;
    let (good, bad) = (stage.signed("org/app", "good"), stage.unsigned("org/app", "bad"));
    assert_serves(&stage.manifest("org/app", "good").await, &good);
    let before = stage.gate.records().await.len();
    assert_eq!(stage.blob("org/app", &good.layer()).await.status, 200);
    assert_eq!(stage.gate.records().await.len(), before);
    assert_eq!(stage.blob("org/app", &bad.layer()).await.status, 403);
    let record = stage.gate.record().await;
    assert_eq!(codes(&record), ["not-granted"]);
    assert_eq!(
        (record["verdict"].as_str(), record["repository"].as_str()),
        (Some("deny"), Some("registry.test/org/app"))
    );
    assert_eq!(stage.gate.records().await.len(), before + 1);
}

#[tokio::test]
async fn malformed_names_leave_no_record() {
    let stage = Stage::new().await;
    for target in
        ["/v2/Org/app/manifests/v1", "/v2/org/app/manifests/-", "/v2/org/app/blobs/sha1:x", "/nothing"]
    {
        assert!(stage.gate.get(target).await.status >= 400);
    }
    assert_eq!(stage.gate.records().await.len(), 0);
}

#[tokio::test]
async fn a521_hostile_text_breaks_no_line() {
    let stage = Stage::new().await;
    stage.signed("org/app", "v1");
    let agents: [&[u8]; 4] =
        [b"a\x1b[31mred", "\u{202e}right to left \u{2028}".as_bytes(), b"\xff\xfe", b"a\tb"];
    let mut asked = 0;
    for agent in agents {
        let head = [
            b"GET /v2/org/app/manifests/v1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\nuser-agent: ",
            agent,
            b"\r\n\r\n",
        ]
        .concat();
        let answer = pullgate_tests::asking::raw(stage.gate.data, head).await;
        asked += usize::from(answer.starts_with("HTTP/1.1 200 "));
    }
    let long = "x".repeat(30_000);
    stage.gate.get_with(&manifest("org/app", "v1"), &[("user-agent", &long)]).await;
    assert_eq!(stage.gate.records().await.len(), asked + 1);
    let text = std::fs::read_to_string(stage.gate.path("audit.jsonl")).unwrap();
    let hostile = |c: char| {
        (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{2029}')
    };
    assert!(!text.contains(hostile), "{text}");
    assert!(text.lines().all(|line| line.len() < 8 * 1024), "each field has its limit");
}

#[tokio::test]
async fn a512_a_pull_log_that_cannot_be_written_refuses_only_where_that_was_asked_for() {
    for (on_failure, status) in [("refuse", 503), ("count", 200)] {
        let stage = Stage::with(KEYED, |setup| {
            setup.audit(&format!("log = \"/dev/full\"\non_failure = \"{on_failure}\""))
        })
        .await;
        stage.signed("org/app", "v1");
        let mut last = 0;
        for _ in 0..3 {
            last = stage.manifest("org/app", "v1").await.status;
        }
        assert_eq!(last, status, "{on_failure}");
    }
}

#[tokio::test]
async fn a_blob_of_an_unknown_repository_is_refused_with_a_record_too() {
    let stage = Stage::on(&KEYED.replace("registry.test/**", "registry.test/org/**")).await;
    let answer = stage.gate.get(&blob("private/app", &Made::image().layer())).await;
    assert_eq!(answer.status, 403);
    assert_eq!(codes(&stage.gate.refusal().await), ["scope-unmatched"]);
    assert!(stage.gate.records().await.is_empty(), "it takes no room of a pull");
}

#[tokio::test]
async fn a_denial_tells_what_was_judged_and_the_code_of_each_piece_that_did_not_count() {
    let stage = Stage::new().await;
    let (other, image) = (stage.signed("org/app", "other"), stage.unsigned("org/app", "v1"));
    let elsewhere = carrier(vec![stage.signer.signature(&other.digest())]);
    elsewhere.tag(&stage.upstream, "org/app", &evidence_tag(&image.digest(), ".sig"));
    for memory in ["miss", "remembered"] {
        assert_eq!(stage.manifest("org/app", "v1").await.status, 403);
        let record = stage.gate.record().await;
        assert_eq!(codes(&record), ["no-signature", "digest-mismatch"], "{memory}: {record}");
        assert_eq!(record["digest"], image.digest(), "{memory}: asked by tag, judged by digest");
        assert_eq!(record["media_type"], "application/vnd.oci.image.manifest.v1+json");
        assert_eq!(record["unmet"].as_array().unwrap().len(), 1, "a line for each requirement: {record}");
    }
}

/// What is in a table of the pull log's database.
async fn rows(stage: &Stage, table: &str) -> usize {
    use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}", stage.gate.path("state/audit.db").display());
    let mut connection = AnyConnection::connect(&url).await.unwrap();
    // What is about the gate itself stands among the pulls.
    let table = match table {
        "audit" => "pulls where kind not in ('blobs', 'checkpoint', 'start', 'stop')",
        other => other,
    };
    let question = AssertSqlSafe(format!("select count(*) from {table}"));
    let rows: i64 = sqlx::query_scalar(question).fetch_one(&mut connection).await.unwrap();
    usize::try_from(rows).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a606_a_flood_of_refused_requests_costs_no_line_and_no_row_of_a_pull() {
    const PULLS: usize = 744;
    for on_failure in ["count", "refuse"] {
        let policy = KEYED.replace("registry.test/**", "registry.test/org/**");
        let audit = format!("on_failure = \"{on_failure}\"");
        let stage = Stage::with(&policy, |setup| setup.audit(&audit)).await;
        let image = stage.signed("org/app", "v1");
        let (data, over) = (stage.gate.data, std::sync::atomic::AtomicBool::new(false));
        let flood = async {
            let mut asked = 0;
            while !over.load(std::sync::atomic::Ordering::Acquire) {
                let target = format!("/v2/other/app-{asked}/manifests/v1");
                assert_eq!(ask(data, "HEAD", &target, &[]).await.status, 403);
                asked += 1;
            }
            asked
        };
        let pulls = async {
            for _ in 0..PULLS {
                assert_serves(&stage.manifest("org/app", "v1").await, &image);
            }
            over.store(true, std::sync::atomic::Ordering::Release);
        };
        let (asked, ()): (u64, ()) = tokio::join!(flood, pulls);
        let records = stage.gate.records().await;
        assert_eq!((records.len(), rows(&stage, "audit").await), (PULLS, PULLS), "{on_failure}");
        assert_told(&stage, asked).await;
    }
}

/// Each of so many requests that were refused is told of, by itself or in a sum.
async fn assert_told(stage: &Stage, asked: u64) {
    let refused = stage.gate.refusals().await;
    let told = |record: &serde_json::Value| record["count"].as_u64().unwrap_or(1);
    assert_eq!(refused.iter().map(told).sum::<u64>(), asked);
    assert_eq!(rows(stage, "refused").await, refused.len());
}

#[tokio::test]
async fn a606_requests_without_a_name_that_was_proven_are_a_strangers_too() {
    let clients = "[clients]\nhtpasswd = \"users\"\n";
    let user = "ci:$2b$04$fQydMULlZK0WeI7mSSqRqua4vyZmNcQl9StBZn9USy0Ea9I2r3Joi\n";
    let stage = Stage::with(KEYED, |setup| setup.table(clients).file("users", user)).await;
    for _ in 0..30 {
        assert_eq!(stage.manifest("org/app", "v1").await.status, 401);
    }
    assert!(stage.gate.records().await.is_empty());
    assert_told(&stage, 30).await;
    assert!(stage.gate.refusals().await.len() < 30, "beyond a rate they are summed up");
}

#[tokio::test]
async fn a606_a_denial_of_a_governed_repository_is_a_record_among_the_pulls() {
    let stage = Stage::new().await;
    stage.unsigned("org/app", "v1");
    for _ in 0..50 {
        assert_denied(&stage.manifest("org/app", "v1").await);
    }
    assert_eq!((stage.gate.records().await.len(), rows(&stage, "audit").await), (50, 50));
    assert!(stage.gate.refusals().await.is_empty());
}

#[tokio::test]
async fn a606_a_request_that_is_malformed_or_for_an_unknown_registry_has_a_record() {
    let stage = Stage::new().await;
    let digest = format!("sha256:{:064x}", 1);
    let mut asked = 0;
    for (target, status, code, upstream) in [
        ("/v2/org/UPPER/manifests/v1".to_owned(), 400, "name-invalid", ""),
        ("/v2/org/app/manifests/-v1".to_owned(), 404, "tag-invalid", ""),
        ("/v2/org/app/blobs/sha256:zz".to_owned(), 400, "digest-invalid", ""),
        ("/v2/org/app/tags/list?last=a&last=b".to_owned(), 400, "query-invalid", ""),
        ("/elsewhere?secret=hunter2".to_owned(), 404, "not-found", ""),
        ("/v2/unserved.example/a/b/manifests/v1".to_owned(), 403, "registry-unknown", "unserved.example"),
        ("/v2/a/b/manifests/v1?ns=other.example".to_owned(), 403, "registry-unknown", "other.example"),
        (format!("/v2/unserved.example/a/b/blobs/{digest}"), 403, "registry-unknown", "unserved.example"),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = ask(stage.gate.data, method, &target, &[]).await;
            asked += 1;
            let record = stage.gate.refusal().await;
            assert_eq!((answer.status, record["verdict"].as_str()), (status, Some("refused")), "{target}");
            assert_eq!(codes(&record), [code], "{target}");
            assert_eq!(record["kind"], "request-refused", "{target}");
            assert_eq!(record["reference"].as_str(), target.split('?').next(), "the path and no query");
            assert_eq!(record["upstream"].as_str().unwrap_or_default(), upstream, "{target}");
            let id = record["id"].as_str().unwrap().get(..12).unwrap();
            if method == "GET" {
                assert!(
                    String::from_utf8_lossy(&answer.body).contains(id),
                    "{target}: who asked is told the id"
                );
            }
        }
    }
    assert_eq!(rows(&stage, "refused").await, asked);
    assert_eq!((stage.upstream.seen().len(), rows(&stage, "audit").await), (0, 0));
    let metrics = String::from_utf8_lossy(&stage.gate.admin("/metrics").await.body).into_owned();
    assert!(metrics.contains("pullgate_requests_refused_total{code=\"registry-unknown\"} 6"), "{metrics}");
    assert!(!metrics.contains("unserved.example"), "no name of a client's choice");
}

#[tokio::test]
async fn a606_what_is_asked_for_in_good_order_has_no_record_of_a_refused_request() {
    let stage = Stage::new().await;
    stage.signed("org/app", "v1");
    for target in ["/v2/".to_owned(), manifest("org/app", "v1"), "/v2/org/app/tags/list?n=1".to_owned()] {
        assert_eq!(stage.gate.get(&target).await.status, 200, "{target}");
    }
    assert_eq!(stage.gate.refusals().await.len(), 0);
}

#[tokio::test]
async fn a_denials_record_says_who_did_sign_and_which_pieces_do_not_hold() {
    let stage = Stage::on(&format!("{KEYED}annotations = {{ env = \"prod\" }}\n")).await;
    stage.signed("org/app", "v1");
    assert_denied(&stage.manifest("org/app", "v1").await);
    let record = stage.gate.record().await;
    let signers = record["signers"].as_array().unwrap();
    assert_eq!(signers.len(), 1, "{record}");
    assert!(signers[0]["by"].as_str().unwrap().starts_with("key sha256:"), "{record}");
    assert_eq!(
        (&signers[0]["layout"], &signers[0]["code"]),
        (&"sig-tag".into(), &"annotation-missing".into())
    );
    assert_eq!((record["status"].as_u64(), record.get("failed")), (Some(403), None), "{record}");
    // What is no signature has no signer, and is named.
    let broken = stage.unsigned("org/app", "v2");
    let other = stage.unsigned("org/app", "v3");
    let carried = stage.sign("org/app", &other);
    carried.tag(&stage.upstream, "org/app", &evidence_tag(&broken.digest(), ".sig"));
    assert_denied(&stage.manifest("org/app", "v2").await);
    let record = stage.gate.record().await;
    assert_eq!(record.get("signers"), None, "{record}");
    assert_eq!(record["failed"][0]["layout"], "sig-tag", "{record}");
}
