//! What leaves besides content: records, series, headers, texts.

use pullgate_tests::asking::{ask, raw};
use pullgate_tests::made::{Made, fresh};
use pullgate_tests::signing::evidence_tag;
use pullgate_tests::upstream::{Fault, When};

use crate::stage::{KEYED, Stage, assert_denied, assert_serves, blob, manifest};

#[tokio::test]
async fn a530_each_answer_of_a_mixed_run_has_one_record() {
    let stage = Stage::new().await;
    let index = Made::index(vec![Made::image()]);
    index.tag(&stage.upstream, "org/app", "v1");
    stage.sign("org/app", &index);
    let child = index.children[0].clone();
    let (bad, free, warned) = (
        stage.unsigned("org/app", "bad"),
        stage.unsigned("org/app", "free"),
        stage.unsigned("org/warned/app", "v1"),
    );
    let policy = format!(
        "{KEYED}[[policy]]\nname = \"warned\"\nscope = [\"registry.test/org/warned/**\"]\nmode = \"warn\"\n\
         [[policy.require]]\nsigned_by = {{ any_of = [\"release\"] }}\n\
         [[policy]]\nname = \"open\"\nscope = [\"registry.test/org/open/**\"]\ninsecure_permit_anything = true\n\
         [[exempt]]\ndigest = \"{}\"\nuntil = 2999-01-01\nowner = \"me\"\nreason = \"x\"\n",
        free.digest()
    );
    stage.reload(&policy).await;
    let open = stage.unsigned("org/open/app", "v1");
    stage.upstream.fail(When::on("manifests/down"), Fault::Status(500));
    let signature = evidence_tag(&index.digest(), ".sig");
    let asks = [
        ("org/app", "v1".to_owned(), "permit", "satisfied"),
        ("org/app", child.digest(), "permit", "satisfied"),
        ("org/app", signature, "permit", "evidence"),
        ("org/app", free.digest(), "permit", "exempt"),
        ("org/app", bad.digest(), "deny", ""),
        ("org/warned/app", warned.digest(), "permit", "warn-only"),
        ("org/open/app", open.digest(), "permit", "unchecked"),
        ("org/app", "down".to_owned(), "undecided", ""),
    ];
    // Once as they come, and once from memory.
    let mut count = stage.gate.records().await.len();
    for round in ["cold", "warm"] {
        for (repository, reference, verdict, ground) in &asks {
            for (method, headers) in [
                ("GET", &[][..]),
                ("HEAD", &[]),
                ("GET", &[("range", "bytes=0-0")]),
                ("GET", &[("if-none-match", "*")]),
            ] {
                ask(stage.gate.data, method, &manifest(repository, reference), headers).await;
                let records = stage.gate.records().await;
                count += 1;
                assert_eq!(records.len(), count, "{round} {method} {repository} {reference}");
                let record = records.last().unwrap();
                assert_eq!(record["verdict"], *verdict, "{record}");
                assert_eq!(record["ground"].as_str().unwrap_or_default(), *ground, "{record}");
                assert_eq!(record["method"], method);
            }
        }
    }
    for digest in [child.layer(), child.config()] {
        assert_eq!(stage.blob("org/app", &digest).await.status, 200);
    }
    assert_eq!(stage.gate.records().await.len(), count, "served blobs are their root's");
    assert_denied(&stage.blob("org/app", &bad.layer()).await);
    assert_eq!(stage.gate.records().await.len(), count + 1);
}

#[tokio::test]
async fn a526_a_hundred_thousand_names_add_no_series() {
    let stage = Stage::on(&KEYED.replace("registry.test/**", "registry.test/org/**")).await;
    let image = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    let series = || stage.gate.app().metrics.encode().lines().count();
    let ask = async |names: std::ops::Range<u32>| {
        // Many on one connection, so that ports and time suffice.
        let mut requests = String::new();
        for n in names {
            let name = format!("{:08x}{}", n.wrapping_mul(2_654_435_761), fresh());
            let target = match n % 4 {
                0 => format!("/v2/{name}.example/x/manifests/{name}"),
                1 => format!("/v2/{name}/manifests/{name}"),
                2 => format!("/v2/org/app/manifests/v1?ns={name}.example"),
                _ => format!("/v2/{name}/blobs/sha256:{}", "a".repeat(64)),
            };
            requests.push_str(&format!("GET {target} HTTP/1.1\r\nhost: a\r\nuser-agent: {name}\r\n\r\n"));
        }
        let last = "GET /v2/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        piped(stage.gate.data, requests + last).await.matches("HTTP/1.1 403 ").count()
    };
    assert_eq!(ask(0..100).await, 100);
    let before = series();
    for round in 0..100 {
        assert_eq!(ask(round * 1_000..(round + 1) * 1_000).await, 1_000);
    }
    assert_eq!(series(), before);
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
}

/// Sends and reads at once, so that neither side waits for the other to read.
async fn piped(address: std::net::SocketAddr, requests: String) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (mut from, mut to) = tokio::net::TcpStream::connect(address).await.unwrap().into_split();
    let sending = tokio::spawn(async move { to.write_all(requests.as_bytes()).await.map(|()| to) });
    let mut answers = Vec::new();
    from.read_to_end(&mut answers).await.unwrap();
    sending.await.unwrap().unwrap();
    String::from_utf8_lossy(&answers).into_owned()
}

#[tokio::test]
async fn a522_names_that_no_header_can_carry_are_left_out_and_the_answer_stays_one() {
    for name in ["é è", "a \\\"quote\\\"", "a \\\\ b", "名前"] {
        for mode in ["enforce", "warn"] {
            let policy = KEYED
                .replace("name = \"production\"", &format!("name = \"{name}\""))
                .replace("[[policy.require]]", &format!("mode = \"{mode}\"\n[[policy.require]]"));
            let stage = Stage::on(&policy).await;
            stage.unsigned("org/app", "v1");
            for method in ["GET", "HEAD"] {
                let request = format!(
                    "{method} /v2/org/app/manifests/v1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
                );
                let text = raw(stage.gate.data, request).await;
                let (head, _) = text.split_once("\r\n\r\n").unwrap();
                assert!(head.starts_with("HTTP/1.1 403 ") || head.starts_with("HTTP/1.1 200 "), "{head}");
                assert!(
                    head.lines().all(|line| line.bytes().all(|byte| (32..127).contains(&byte))),
                    "{head}"
                );
                assert!(!head.to_lowercase().contains("\r\nset-cookie"), "{head}");
                let warning = head.lines().find(|line| line.starts_with("warning: "));
                assert!(warning.is_none_or(|line| line.matches('"').count() == 2), "{warning:?}");
            }
        }
    }
    // A name with a line end in it does not even load.
    let stage = Stage::new().await;
    for name in ["a\\r\\nSet-Cookie: evil=1", "a\\tb", "a\\u0000"] {
        let policy = std::fs::read_to_string(stage.gate.path("policy.toml")).unwrap();
        stage
            .gate
            .write("policy.toml", policy.replace("name = \"production\"", &format!("name = \"{name}\"")));
        let loaded = pullgate_config::load(&stage.gate.path("pullgate.toml"), jiff::Timestamp::now());
        assert!(loaded.is_err(), "{name}");
        stage.gate.write("policy.toml", policy);
    }
}

#[tokio::test]
async fn a523_of_types_only_those_of_manifests_are_reflected_and_none_is_sniffed() {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    stage.upstream.fail(When::on("blobs"), Fault::Header("content-type", "text/html".to_owned()));
    let denied = stage.unsigned("org/app", "bad");
    for (target, status, media_type) in [
        (manifest("org/app", "v1"), 200, "application/vnd.oci.image.manifest.v1+json"),
        (blob("org/app", &image.layer()), 200, "application/octet-stream"),
        (manifest("org/app", &denied.digest()), 403, "application/json"),
        (manifest("org/app", "none"), 404, "application/json"),
        ("/v2/org/app/tags/list".to_owned(), 200, "application/json"),
    ] {
        let answer = stage.gate.get(&target).await;
        assert_eq!((answer.status, answer.header("content-type")), (status, Some(media_type)), "{target}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{target}");
    }
}

#[tokio::test]
async fn a527_no_refusal_names_the_upstream_the_state_or_another_repository() {
    let stage = Stage::new().await;
    let secret = stage.signed("org/canary-5d1e", "v1");
    assert_serves(&stage.manifest("org/canary-5d1e", "v1").await, &secret);
    stage.unsigned("org/app", "bad");
    stage.upstream.fail(When::on("manifests/down"), Fault::Status(500));
    let away = "http://canary-5d1e.example/?token=canary-5d1e";
    stage.upstream.fail(When::on("manifests/away"), Fault::Redirect(away.to_owned()));
    let state = stage.gate.path("state").display().to_string();
    for reference in ["bad", "down", "away", "none", "-", &secret.digest()] {
        for target in [manifest("org/app", reference), blob("org/app", &secret.layer())] {
            let answer = stage.gate.get(&target).await;
            let text =
                format!("{:?} {} {}", answer.headers, answer.reason, String::from_utf8_lossy(&answer.body));
            assert!(answer.status >= 400);
            let port = stage.upstream.address().to_string();
            for told in
                [state.as_str(), port.as_str(), "http://", "canary-5d1e", "text-of-the-upstream", "/tmp"]
            {
                assert!(!text.contains(told), "{told} in {text}");
            }
        }
    }
}

#[tokio::test]
async fn a528_an_id_is_no_key_to_anything_on_the_data_port() {
    let stage = Stage::new().await;
    stage.unsigned("org/app", "v1");
    assert_denied(&stage.manifest("org/app", "v1").await);
    let record = stage.gate.record().await;
    let id = record["id"].as_str().unwrap();
    for target in [
        format!("/{id}"),
        format!("/audit/{id}"),
        format!("/v2/{id}"),
        format!("/v2/_audit/{id}"),
        "/metrics".to_owned(),
        "/audit".to_owned(),
    ] {
        let answer = stage.gate.get(&target).await;
        assert_eq!(answer.status, 404, "{target}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("org/app"));
    }
    assert_denied(&stage.manifest("org/app", "v1").await);
    assert_ne!(stage.gate.record().await["id"], record["id"]);
}

#[tokio::test]
async fn a521_whatever_text_comes_from_outside_there_are_as_many_lines_as_records() {
    let stage = Stage::new().await;
    stage.unsigned("org/app", "v1");
    let mut generator = proptest::test_runner::TestRunner::deterministic();
    let texts = proptest::collection::vec(proptest::num::u8::ANY, 1..2_000);
    let mut answered = 0;
    for _ in 0..64 {
        use proptest::strategy::{Strategy as _, ValueTree as _};
        let text = texts.new_tree(&mut generator).unwrap().current();
        // What ends a header's value would only end it; everything else may stand in one.
        let agent: Vec<u8> = text.into_iter().filter(|byte| !matches!(byte, b'\r' | b'\n' | 0)).collect();
        let head = [
            b"GET /v2/org/app/manifests/v1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\nuser-agent: ",
            agent.as_slice(),
            b"\r\n\r\n",
        ]
        .concat();
        answered += usize::from(raw(stage.gate.data, head).await.starts_with("HTTP/1.1 403 "));
    }
    assert_eq!(stage.gate.records().await.len(), answered);
    let bytes = std::fs::read(stage.gate.path("audit.jsonl")).unwrap();
    // The gate's start has two more: the head and the start.
    assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), answered + 2);
    assert!(bytes.iter().all(|byte| *byte >= 0x20 || *byte == b'\n'));
    let text = String::from_utf8(bytes).unwrap();
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "C1 too");
    assert!(text.lines().all(|line| line.len() < 8 * 1024));
}
