//! An upstream that lies: nothing of it is stored, no more of it is read than the limit, and nothing is judged by half.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use pullgate_policy::limits;
use pullgate_tests::asking::End;
use pullgate_tests::made::{INDEX, MANIFEST, Made, fresh};
use pullgate_tests::upstream::{Fault, RangeAnswer, When};
use pullgate_tests::waiting::{until_it_is, while_nothing_happens};

use crate::stage::{Stage, assert_denied, assert_serves, assert_undecided, codes, manifest};
use crate::store::state::count;

/// Every file with content under the state folder but the databases, and the rows of each table that remembers content.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    files: BTreeMap<String, u64>,
    pub(crate) rows: Vec<(&'static str, i64)>,
}

const TABLES: [&str; 3] = ["records", "grants", "tags"];

pub(crate) async fn stored(stage: &Stage) -> Stored {
    let root = stage.gate.path("state");
    let mut rows = Vec::new();
    for table in TABLES {
        rows.push((table, count(stage, table).await));
    }
    Stored { files: files(&root), rows }
}

fn files(root: &Path) -> BTreeMap<String, u64> {
    let (mut folders, mut found) = (vec![root.to_owned()], BTreeMap::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if path.is_dir() && name == "tmp" {
                // What came of a transfer lies there for who comes back, without a name that counts.
            } else if path.is_dir() {
                folders.push(path);
            } else if !name.contains(".db") {
                // A temporary file may go while it is looked at.
                let length = entry.metadata().map(|meta| meta.len()).unwrap_or_default();
                found.insert(path.strip_prefix(root).unwrap().display().to_string(), length);
            }
        }
    }
    found
}

/// The state is as it was before, once the gate has tidied up.
pub(crate) async fn assert_nothing_stored(stage: &Stage, before: &Stored, what: &str) {
    until_it_is(&format!("nothing is stored after {what}"), async || stored(stage).await == *before).await;
}

#[tokio::test]
async fn a101_a103_a108_a109_nothing_is_stored_of_a_manifest_that_is_wrong() {
    let stage = Stage::new().await;
    let (other, page) = (stage.signed("org/app", "other"), b"<html>please log in</html>".to_vec());
    assert_serves(&stage.manifest("org/app", "other").await, &other);
    let json = b"{\"errors\":[{\"code\":\"DENIED\"}]}".to_vec();
    for (fault, by_tag, by_digest) in [
        (Fault::Flip(0), "upstream-integrity", "upstream-integrity"),
        (Fault::Flip(-1), "upstream-integrity", "upstream-integrity"),
        (Fault::Header("docker-content-digest", other.digest()), "upstream-integrity", "upstream-integrity"),
        (Fault::Cut(0), "upstream-integrity", "upstream-integrity"),
        (Fault::Cut(1), "upstream-integrity", "upstream-integrity"),
        (Fault::Cut(usize::MAX), "", ""),
        (Fault::Short(1), "upstream-integrity", "upstream-integrity"),
        (Fault::Header("content-encoding", "gzip".to_owned()), "upstream-encoding", "upstream-encoding"),
        (Fault::Answer(200, "text/html", page.clone()), "upstream-protocol", "upstream-integrity"),
        (Fault::Answer(200, "application/json", json), "upstream-protocol", "upstream-integrity"),
        (Fault::Answer(200, MANIFEST, page.clone()), "manifest-invalid", "upstream-integrity"),
    ] {
        // A tag that is asked for again is remembered.
        let tag = fresh();
        let image = stage.signed("org/app", &tag);
        let fault = match fault {
            // All but the last byte.
            Fault::Cut(usize::MAX) => Fault::Cut(image.bytes.len() - 1),
            fault => fault,
        };
        let (by_tag, by_digest) = if by_tag.is_empty() {
            ("upstream-integrity", "upstream-integrity")
        } else {
            (by_tag, by_digest)
        };
        let before = settled(&stage).await;
        stage.upstream.fail(When::on(format!("GET /v2/org/app/manifests/{tag}$")), fault.clone());
        stage.upstream.fail(When::on(format!("{}$", image.digest())), fault.clone());
        // Its evidence, which is asked for beside it by digest, would be stored rightly.
        stage.upstream.fail(When::on(".sig$"), Fault::Status(404));
        for (reference, code) in [(tag.as_str(), by_tag), (image.digest().as_str(), by_digest)] {
            let answer = stage.manifest("org/app", reference).await;
            if code == "manifest-invalid" {
                assert_denied(&answer)
            } else {
                assert_undecided(&answer)
            }
            assert_eq!(codes(&stage.gate.record().await), [code], "{fault:?} {reference}");
            let head = stage.gate.head(&manifest("org/app", reference)).await;
            assert_eq!((head.status, head.body.len()), (answer.status, 0), "{fault:?} {reference}");
        }
        assert_nothing_stored(&stage, &before, &format!("{fault:?}")).await;
        stage.upstream.heal();
        assert_serves(&stage.manifest("org/app", &tag).await, &image);
    }
}

#[tokio::test]
async fn a102_a103_a104_of_a_blob_that_is_not_what_it_should_be_nothing_is_stored() {
    let stage = Stage::new().await;
    let length = 512 * 1024;
    for fault in [
        Fault::Flip(0),
        Fault::Flip(-1),
        Fault::Cut(0),
        Fault::Cut(length / 8),
        Fault::Short(length - 1),
        Fault::Surplus(1),
        Fault::Header("content-length", "1".to_owned()),
        Fault::Header("content-encoding", "zstd".to_owned()),
        Fault::Endless(0),
    ] {
        let image = Made::image_of_bytes(length);
        image.tag(&stage.upstream, "org/app", "v1");
        stage.sign("org/app", &image);
        assert_serves(&stage.manifest("org/app", &image.digest()).await, &image);
        // The permit's rows are written behind the answer.
        let before = settled(&stage).await;
        stage.upstream.fail(When::on("GET /v2/org/app/blobs/"), fault.clone());
        // There is no way on.
        let refused = Fault::OfRange(RangeAnswer::Status(416));
        stage.upstream.fail(When::on("GET /v2/org/app/blobs/"), refused);
        let target = crate::stage::blob("org/app", &image.layer());
        for headers in [&[][..], &[("range", "bytes=0-9")]] {
            let answer = stage.gate.get_with(&target, headers).await;
            assert!(answer.status == 503 || answer.end == End::Cut, "{fault:?}");
            assert!(answer.status == 503 || answer.body.len() < length, "{fault:?}");
        }
        assert_nothing_stored(&stage, &before, &format!("{fault:?}")).await;
        stage.upstream.heal();
        let answer = stage.gate.get(&target).await;
        assert_eq!((answer.status, answer.end), (200, End::Whole));
        assert!(answer.body == image.blobs[1]);
    }
}

/// What is stored once nothing more is being written.
async fn settled(stage: &Stage) -> Stored {
    let mut last = stored(stage).await;
    loop {
        while_nothing_happens(Duration::from_millis(150)).await;
        let now = stored(stage).await;
        if now == last {
            return now;
        }
        last = now;
    }
}

#[tokio::test]
async fn a106_of_a_body_without_end_no_more_is_read_than_its_limit() {
    let stage = Stage::new().await;
    let image = Made::image_of_bytes(512 * 1024);
    image.tag(&stage.upstream, "org/app", "v1");
    stage.sign("org/app", &image);
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    // What lies in buffers of sockets and of the server is sent and never read.
    let in_buffers = 8 * limits::MIB;
    for (part, most, target) in [
        ("manifests/endless", limits::MANIFEST_BYTES, manifest("org/app", "endless")),
        ("blobs/", 512 * 1024, crate::stage::blob("org/app", &image.layer())),
    ] {
        stage.unsigned("org/app", "endless");
        stage.upstream.fail(When::on(part), Fault::Endless(b' '));
        let before = stage.upstream.sent();
        let answer = stage.gate.get(&target).await;
        assert!(answer.status == 403 || answer.status == 503 || answer.end == End::Cut, "{part}");
        // Whoever is not read any more has stopped.
        while_nothing_happens(Duration::from_millis(200)).await;
        let read = stage.upstream.sent() - before;
        assert!(read < most + in_buffers, "{part}: {read} bytes");
        while_nothing_happens(Duration::from_millis(200)).await;
        assert_eq!(stage.upstream.sent() - before, read, "{part}: the connection is closed");
        stage.upstream.heal();
    }
    assert_eq!(stage.blob("org/app", &image.layer()).await.end, End::Whole);
}

#[tokio::test]
async fn a107_what_is_over_the_limit_is_not_judged_by_how_it_begins() {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    let most = usize::try_from(limits::MANIFEST_BYTES).unwrap();
    // A whole, signed manifest, blanks up to the limit, and another reading behind it.
    let mut bytes = image.bytes.clone();
    bytes.resize(most, b' ');
    bytes.extend_from_slice(b",\"layers\":[]}");
    let over = Made::from_bytes(MANIFEST, bytes, image.blobs.clone());
    over.tag(&stage.upstream, "org/app", "over");
    for made in [&image, &over] {
        stage.sign("org/app", made);
    }
    for reference in ["over", &over.digest()] {
        assert_denied(&stage.manifest("org/app", reference).await);
        assert_eq!(codes(&stage.gate.record().await), ["manifest-too-large"]);
    }
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
}

#[tokio::test]
async fn a108_encoded_evidence_is_no_evidence_and_is_not_decoded() {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    for encoding in ["gzip", "zstd", "br", "identity, gzip"] {
        stage.upstream.fail(When::on(".sig"), Fault::Header("content-encoding", encoding.to_owned()));
        let answer = stage.manifest("org/app", "v1").await;
        assert!([403, 503].contains(&answer.status), "{encoding}: {answer:?}");
        stage.upstream.heal();
        stage.gate.app().memory.forget_denials();
    }
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
}

#[tokio::test]
async fn a110_what_an_upstream_says_to_head_of_a_blob_changes_no_byte_of_it() {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    for (name, value) in [
        ("docker-content-digest", Made::image().digest()),
        ("content-type", "text/html".to_owned()),
        ("x-evil", "1".to_owned()),
    ] {
        stage.upstream.fail(When::on("HEAD "), Fault::Header(name, value));
    }
    for _ in 0..2 {
        let target = crate::stage::blob("org/app", &image.layer());
        let head = stage.gate.head(&target).await;
        let get = stage.gate.get(&target).await;
        for answer in [head, get] {
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header("docker-content-digest"), Some(image.layer().as_str()));
            assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
            assert_eq!(answer.header("content-length"), Some(image.blobs[1].len().to_string().as_str()));
            assert_eq!(answer.header("x-evil"), None);
        }
    }
}

#[tokio::test]
async fn a127_a_million_keys_and_a_string_of_4_mib_are_answered_in_time() {
    let stage = Stage::new().await;
    let begins = "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",";
    let keys = (0..300_000).map(|n| format!("\"{n}\":1")).collect::<Vec<_>>().join(",");
    let deep =
        format!("{begins}\"a\":{}{}}}", "{\"a\":".repeat(10_000), "1".to_owned() + &"}".repeat(10_000));
    let long = format!("{begins}\"a\":\"{}\"}}", "x".repeat(4_000_000));
    for (tag, text, code) in [
        ("keys", format!("{begins}{keys}}}"), ["manifest-unsupported", "manifest-invalid"]),
        ("deep", deep, ["manifest-invalid", "manifest-invalid"]),
        ("long", long, ["manifest-unsupported", "manifest-invalid"]),
    ] {
        Made::from_bytes(MANIFEST, text.into_bytes(), Vec::new()).tag(&stage.upstream, "org/app", tag);
        assert_denied(&stage.manifest("org/app", tag).await);
        let record = stage.gate.record().await;
        assert!(code.contains(&codes(&record)[0].as_str()), "{tag}: {record}");
    }
    let image = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
}

#[tokio::test]
async fn a128_an_index_of_ninety_thousand_children_is_refused_whole() {
    let stage = Stage::new().await;
    let child = "{\"mediaType\":\"a\",\"digest\":\"b\",\"size\":1}";
    let text = format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"{INDEX}\",\"manifests\":[{}]}}",
        vec![child; 90_000].join(",")
    );
    let index = Made::from_bytes(INDEX, text.into_bytes(), Vec::new());
    index.tag(&stage.upstream, "org/app", "v1");
    stage.sign("org/app", &index);
    assert_denied(&stage.manifest("org/app", "v1").await);
    assert_eq!(codes(&stage.gate.record().await), ["index-too-large"]);
}
