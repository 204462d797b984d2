//! Limits of the wire, each crossed by one.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use pullgate::memory::Memory;
use pullgate_policy::limits;
use pullgate_policy::oci::{Digest, Tag};
use pullgate_policy::verdict::Subject;
use pullgate_tests::asking::raw;
use pullgate_tests::made::{LAYER, Layer, MANIFEST, Made, fresh};
use pullgate_tests::upstream::{Fault, When};

use crate::stage::{Stage, assert_denied, assert_serves, codes, manifest};

fn padded(length: usize) -> Made {
    let image = Made::image();
    let mut bytes = image.bytes.clone();
    bytes.resize(length, b' ');
    Made::from_bytes(MANIFEST, bytes, image.blobs)
}

#[tokio::test]
async fn a106_a107_a_manifest_of_4_mib_is_judged_and_one_byte_more_is_refused_whole() {
    let most = usize::try_from(limits::MANIFEST_BYTES).unwrap();
    let stage = Stage::new().await;
    let fits = padded(most);
    fits.tag(&stage.upstream, "org/app", "fits");
    stage.sign("org/app", &fits);
    assert_serves(&stage.manifest("org/app", "fits").await, &fits);
    let over = padded(most + 1);
    over.tag(&stage.upstream, "org/app", "over");
    stage.sign("org/app", &over);
    for reference in ["over", &over.digest()] {
        assert_denied(&stage.manifest("org/app", reference).await);
        assert_eq!(codes(&stage.gate.record().await), ["manifest-too-large"]);
    }
    stage.unsigned("org/app", "endless");
    stage.upstream.fail(When::on("manifests/endless"), Fault::Endless(b' '));
    assert_denied(&stage.manifest("org/app", "endless").await);
    assert_eq!(codes(&stage.gate.record().await), ["manifest-too-large"]);
}

#[tokio::test]
async fn a_manifest_has_at_most_1000_layers() {
    let stage = Stage::new().await;
    for (count, status) in [(limits::LAYERS_PER_MANIFEST, 200), (limits::LAYERS_PER_MANIFEST + 1, 403)] {
        let layer = Layer::new(LAYER, fresh().into_bytes());
        let image = Made::image_of(vec![layer; count]);
        image.tag(&stage.upstream, "org/app", "v1");
        stage.sign("org/app", &image);
        assert_eq!(stage.manifest("org/app", &image.digest()).await.status, status, "{count}");
    }
}

#[tokio::test]
async fn a053_a_head_that_is_too_large_is_refused() {
    let stage = Stage::new().await;
    let ask = |extra: String| {
        raw(stage.gate.data, format!("GET /v2/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{extra}\r\n"))
    };
    let headers = |count: usize| (0..count).map(|n| format!("x-{n}: 1\r\n")).collect::<String>();
    assert!(ask(headers(limits::REQUEST_HEADERS - 2)).await.starts_with("HTTP/1.1 200 "));
    assert!(ask(headers(limits::REQUEST_HEADERS - 1)).await.starts_with("HTTP/1.1 431 "));
    // The connection may be reset over the answer: what counts is that there is no other.
    let over = async |extra: String| {
        let answer = ask(extra).await;
        answer.is_empty() || answer.starts_with("HTTP/1.1 431 ")
    };
    assert!(ask(format!("x: {}\r\n", "a".repeat(32 * 1024))).await.starts_with("HTTP/1.1 200 "));
    assert!(over(format!("x: {}\r\n", "a".repeat(limits::REQUEST_HEAD_BYTES))).await);
}

#[tokio::test]
async fn a053_a_target_that_is_too_long_is_refused() {
    let stage = Stage::new().await;
    let ask = |length: usize| {
        let target = format!("/v2/?{}", "a".repeat(length - 5));
        raw(stage.gate.data, format!("GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"))
    };
    assert!(ask(limits::TARGET_BYTES).await.starts_with("HTTP/1.1 200 "));
    assert!(ask(limits::TARGET_BYTES + 1).await.starts_with("HTTP/1.1 414 "));
}

#[tokio::test]
async fn a054_a_request_with_a_body_is_refused_and_never_read_as_two() {
    let stage = Stage::new().await;
    stage.signed("org/app", "v1");
    let line = "GET /v2/org/app/manifests/v1 HTTP/1.1\r\nhost: a\r\n";
    let smuggled = "GET /v2/org/app/tags/list HTTP/1.1\r\nhost: a\r\n\r\n";
    for head in [
        format!("content-length: {}\r\n\r\n{smuggled}", smuggled.len()),
        format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len()),
        "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n".to_owned(),
        format!("content-length: 0\r\ncontent-length: {}\r\n\r\n{smuggled}", smuggled.len()),
        format!("content-length: 0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        "x: a\r\n b\r\n\r\n".to_owned(),
    ] {
        let answer = raw(stage.gate.data, format!("{line}{head}")).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{head}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    }
    assert_eq!(stage.upstream.seen().len(), 0);
    assert!(
        raw(stage.gate.data, format!("{line}connection: close\r\n\r\n")).await.starts_with("HTTP/1.1 200 ")
    );
}

#[tokio::test]
async fn a055_there_is_no_http_2() {
    let stage = Stage::new().await;
    for address in [stage.gate.data, stage.gate.admin] {
        let answer = raw(address, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    assert_eq!(stage.gate.get("/v2/").await.status, 200);
}

#[tokio::test]
async fn a_connection_gives_a_thousand_answers_and_the_last_says_so() {
    let stage = Stage::new().await;
    let mut connection = TcpStream::connect(stage.gate.data).await.unwrap();
    for n in 1..=1_000 {
        connection.write_all(b"HEAD /v2/ HTTP/1.1\r\nhost: gate\r\n\r\n").await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(connection.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        assert!(head.starts_with("http/1.1 200"), "{n}: {head}");
        assert_eq!(head.contains("connection: close"), n == 1_000, "{n}");
    }
    assert_eq!(connection.read(&mut [0; 1]).await.unwrap(), 0, "it is closed");
}

#[tokio::test]
async fn a051_a_head_that_does_not_end_is_closed_and_others_are_served_meanwhile() {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    let begun = Instant::now();
    let address = stage.gate.data;
    let slow = tokio::spawn(async move { raw(address, "GET /v2/ HTTP/1.1\r\nhost: a\r\n").await });
    assert_serves(&stage.gate.get(&manifest("org/app", "v1")).await, &image);
    assert!(begun.elapsed() < Duration::from_secs(5));
    let answer = slow.await.unwrap();
    assert!(!answer.contains("200"), "{answer}");
    let late = limits::HEADER_TIMEOUT + Duration::from_secs(5);
    assert!(begun.elapsed() < late, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a529_a_denial_does_not_grow_with_the_evidence() {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    let stranger = pullgate_tests::signing::Signer::new();
    let annotated =
        |n: usize| stranger.annotated(&image.digest(), &serde_json::json!({ "n": n.to_string() }));
    let layers = (0..50).map(annotated).collect();
    let tag = pullgate_tests::signing::evidence_tag(&image.digest(), ".sig");
    pullgate_tests::signing::carrier(layers).tag(&stage.upstream, "org/app", &tag);
    let answer = stage.manifest("org/app", "v1").await;
    assert_denied(&answer);
    assert!(
        answer.message().len() <= limits::MESSAGE_BYTES && answer.message().contains("50"),
        "{}",
        answer.message()
    );
    assert!(answer.reason.len() <= limits::REASON_PHRASE_BYTES);
}

#[tokio::test]
async fn a058_more_verdicts_than_places_are_undecided_at_once_and_the_base_still_answers() {
    let stage = Stage::new().await;
    let (app, registry) = (std::sync::Arc::clone(stage.gate.app()), "registry.test".parse().unwrap());
    let mut places = Vec::new();
    for _ in 0..limits::VERDICTS_MAX {
        places.push(app.places.take(&registry).await.unwrap());
    }
    let waiting: Vec<_> = (0..limits::QUEUE_MAX)
        .map(|_| {
            let (app, registry) = (std::sync::Arc::clone(&app), registry.clone());
            tokio::spawn(async move { drop(app.places.take(&registry).await) })
        })
        .collect();
    while app.places.taken(&registry) < limits::VERDICTS_MAX + limits::QUEUE_MAX {
        tokio::task::yield_now().await;
    }
    let known = stage.signed("org/app", "v1");
    let answer = stage.manifest("org/app", "v1").await;
    crate::stage::assert_undecided(&answer);
    assert_eq!(codes(&stage.gate.record().await), ["overload"]);
    assert_eq!(stage.gate.get("/v2/").await.status, 200);
    drop(places);
    for waiter in waiting {
        waiter.await.unwrap();
    }
    assert_serves(&stage.manifest("org/app", "v1").await, &known);
}

#[tokio::test]
async fn a174_an_answer_that_begins_after_first_byte_is_not_waited_for() {
    let stage = Stage::new().await;
    let (image, late) = (stage.signed("org/app", "v1"), Duration::from_secs(1));
    stage.signed("org/app", "late");
    stage.upstream.fail(When::on("manifests/late"), Fault::Delay(limits::FIRST_BYTE + late));
    stage.upstream.fail(When::on("manifests/v1"), Fault::Delay(limits::FIRST_BYTE - late));
    let begun = Instant::now();
    let (within, over) = tokio::join!(stage.manifest("org/app", "v1"), stage.manifest("org/app", "late"));
    assert!((limits::FIRST_BYTE..limits::FIRST_BYTE + 4 * late).contains(&begun.elapsed()));
    assert_serves(&within, &image);
    crate::stage::assert_undecided(&over);
    assert_eq!(codes(&stage.gate.record().await), ["upstream-timeout"]);
}

#[tokio::test]
async fn of_an_error_body_so_many_bytes_are_read_and_one_more_is_none() {
    let stage = Stage::new().await;
    let most = usize::try_from(limits::ERROR_BODY_BYTES).unwrap();
    for (length, status, code) in [(most, 404, "MANIFEST_UNKNOWN"), (most + 1, 503, "UNAVAILABLE")] {
        let mut body = b"{\"errors\":[{\"code\":\"NAME_UNKNOWN\"}]}".to_vec();
        body.resize(length, b' ');
        stage.upstream.fail(When::on("manifests/"), Fault::Answer(403, "application/json", body));
        let answer = stage.manifest("org/app", &fresh()).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{length}");
        stage.upstream.heal();
    }
    assert_eq!(codes(&stage.gate.record().await), ["upstream-unauthorized"]);
}

#[tokio::test]
async fn before_a_blob_is_refused_32_children_are_read_and_not_one_more() {
    for count in [limits::CHILDREN_READ_FOR_BLOB, limits::CHILDREN_READ_FOR_BLOB + 1] {
        let stage = Stage::new().await;
        let index = Made::index((0..count).map(|_| Made::image()).collect());
        index.tag(&stage.upstream, "org/app", "v1");
        stage.sign("org/app", &index);
        assert_serves(&stage.manifest("org/app", "v1").await, &index);
        let stray = stage.upstream.blob("org/app", b"stray");
        stage.upstream.forget();
        assert_denied(&stage.blob("org/app", &stray).await);
        let read = stage.upstream.count("GET /v2/org/app/manifests/sha256:");
        assert_eq!(read, limits::CHILDREN_READ_FOR_BLOB, "of {count}");
    }
}

const CONFIGURED: &str = "policy = \"policy.toml\"\nstate = \"state\"\n[upstream.\"registry.test\"]\n";

/// The diagnostics of a configuration with this at its end, none if it is taken.
fn faults(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("policy.toml"), "unmatched = \"deny\"\n").unwrap();
    let file = folder.path().join("pullgate.toml");
    std::fs::write(&file, format!("{CONFIGURED}{text}")).unwrap();
    let loaded = pullgate_config::load(&file, pullgate::clock::Clock::system().now());
    loaded.err().map(|faults| faults.render(pullgate_config::Style::Plain)).unwrap_or_default()
}

#[test]
fn no_time_to_live_is_longer_than_its_maximum_by_a_second() {
    for (key, most) in [
        ("tag_ttl", limits::TAG_TTL_MAX),
        ("permit_ttl", limits::PERMIT_TTL_MAX),
        ("deny_ttl", limits::DENY_TTL_MAX),
    ] {
        let set = |seconds: u64| faults(&format!("[cache]\n{key} = \"{seconds}s\"\n"));
        assert_eq!(set(most.as_secs()), "", "{key}");
        assert!(set(most.as_secs() + 1).contains("limit-exceeded"), "{key}");
    }
}

#[test]
fn a_configuration_file_has_at_most_4_mib() {
    let most = usize::try_from(limits::CONFIG_FILE_BYTES).unwrap() - CONFIGURED.len();
    assert_eq!(faults(&format!("#{}", " ".repeat(most - 1))), "");
    let over = faults(&format!("#{}", " ".repeat(most)));
    assert!(over.contains("file-unreadable"), "{over}");
}

/// How many of so many are still there, once the memory has tidied up behind the reads of a first look.
async fn kept<F: Future<Output = bool>>(count: u64, is_kept: impl Fn(u64) -> F) -> u64 {
    let mut kept = 0;
    for _look in 0..2 {
        kept = 0;
        for n in 0..count {
            kept += u64::from(is_kept(n).await);
        }
    }
    kept
}

#[tokio::test]
async fn so_many_denials_are_remembered_and_not_one_more() {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    assert_denied(&stage.manifest("org/app", "v1").await);
    let (app, revisions) = (stage.gate.app(), stage.gate.app().live().revisions());
    let subject = |digest| Subject { repository: "registry.test/org/app".parse().unwrap(), digest };
    let denial = app.memory.denial(&subject(Digest::of(&image.bytes)), revisions).await.unwrap();
    let memory = Memory::new(limits::TAG_TTL_MAX, limits::TAG_TTL_MAX);
    let numbered = |n: u64| subject(Digest::of(&n.to_le_bytes()));
    for n in 0..=limits::NEGATIVE_ENTRIES {
        memory.keep_denial(&numbered(n), revisions, &denial).await;
    }
    let known = |n| {
        let (memory, subject) = (&memory, numbered(n));
        async move { memory.denial(&subject, revisions).await.is_some() }
    };
    assert_eq!(kept(limits::NEGATIVE_ENTRIES + 1, known).await, limits::NEGATIVE_ENTRIES);
}

#[tokio::test]
async fn so_many_tags_are_remembered_and_not_one_more() {
    let memory = Memory::new(limits::TAG_TTL_MAX, limits::TAG_TTL_MAX);
    let (repository, digest) = ("registry.test/org/app".parse().unwrap(), Digest::of(b"one"));
    let tag = |n: u64| format!("v{n}").parse::<Tag>().unwrap();
    for n in 0..=limits::VERDICT_ENTRIES {
        memory.keep_tag(&repository, &tag(n), "", digest).await;
    }
    let known = |n| {
        let (memory, repository, tag) = (&memory, &repository, tag(n));
        async move { memory.tag(repository, &tag, "").await.is_some() }
    };
    assert_eq!(kept(limits::VERDICT_ENTRIES + 1, known).await, limits::VERDICT_ENTRIES);
}
