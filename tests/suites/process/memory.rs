//! How much memory a gate of its own takes at its peak, whatever an upstream sends.

use std::time::Duration;

use pullgate_policy::limits;
use pullgate_policy::limits::MIB;
use pullgate_tests::asking::{End, ask};
use pullgate_tests::clients::process::wait_until;
use pullgate_tests::made::{Layer, MANIFEST, Made, fresh, with};
use pullgate_tests::signing::{BUNDLE, DSSE, SIMPLE_SIGNING, carrier, evidence_tag};
use pullgate_tests::upstream::{Fault, When};
use pullgate_tests::waiting::{until, while_nothing_happens};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::blob::content::kept;
use crate::process::signals::Stage;
use crate::stage::{assert_serves, blob, codes, manifest};

/// What a body without end may cost above what the gate takes at rest (A106).
const ENDLESS_MOST: u64 = 16 * MIB;
/// What a document may cost, as so many times its own length (A127).
const DOCUMENT_TIMES: u64 = 10;
/// What a piece of evidence that is no JSON may cost, as so many times its own length (A108).
const BOMB_TIMES: u64 = 3;
/// What a reader that stops may cost (A052): some pieces of 64 KiB, in the gate and on their way to and from it.
const STOPPED_MOST: u64 = 512 * 1024;

/// Does something, and tells by how much the gate's resident memory at its peak was above what it was before.
pub(crate) async fn peak_above<T>(stage: &Stage, work: impl Future<Output = T>) -> (u64, T) {
    let pid = stage.gate.pid();
    // 5 sets the peak back to what is resident now (proc(5), `clear_refs`).
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
    let before = memory(pid, "VmRSS:");
    let done = work.await;
    (memory(pid, "VmHWM:").saturating_sub(before), done)
}

pub(crate) fn memory(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// A gate that has served before, so that what it takes once is taken.
pub(crate) async fn warm() -> Stage {
    let stage = Stage::with(|settings| settings).await;
    for _ in 0..20 {
        let tag = fresh();
        let image = stage.signed(&tag, Made::image_of_bytes(256 * 1024));
        assert_serves(&ask(stage.data(), "GET", &manifest("org/app", &tag), &[]).await, &image);
        let answer = ask(stage.data(), "GET", &blob("org/app", &image.layer()), &[]).await;
        assert_eq!((answer.status, answer.end), (200, End::Whole));
    }
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn a106_a_body_without_end_takes_a_bounded_part_of_memory() {
    let stage = warm().await;
    stage.signed("endless", Made::image());
    stage.upstream.fail(When::on("manifests/endless"), Fault::Endless(b' '));
    let target = manifest("org/app", "endless");
    let (peak, answer) = peak_above(&stage, ask(stage.data(), "GET", &target, &[])).await;
    assert_eq!((answer.status, answer.code().as_str()), (403, "DENIED"));
    assert!(peak < ENDLESS_MOST, "{peak} bytes for a manifest without end");
    // A blob that is said to be large, and comes for ever.
    let small = Made::image();
    let mut body: Value = serde_json::from_slice(&small.bytes).unwrap();
    let layer = with(body["layers"][0].clone(), json!({ "size": 64 * MIB }));
    body["layers"] = json!([layer]);
    let large = stage.signed("large", Made::from_bytes(MANIFEST, body.to_string().into_bytes(), small.blobs));
    assert_serves(&ask(stage.data(), "GET", &manifest("org/app", "large"), &[]).await, &large);
    stage.upstream.fail(When::on("GET /v2/org/app/blobs/"), Fault::Endless(0));
    let before = stage.upstream.sent();
    let target = blob("org/app", &large.layer());
    let (peak, answer) = peak_above(&stage, ask(stage.data(), "GET", &target, &[])).await;
    assert_eq!((answer.status, answer.end), (200, End::Cut));
    assert!(peak < ENDLESS_MOST, "{peak} bytes for a blob without end");
    assert!(
        stage.upstream.sent() - before < 64 * MIB + ENDLESS_MOST,
        "cut at the size that the manifest says"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a102_a_wrong_last_byte_of_100_mib_ends_the_answer_before_its_last_piece() {
    const LENGTH: usize = 100 << 20;
    let state = tempfile::tempdir().unwrap();
    let stage = Stage::with(|settings| settings.state(state.path())).await;
    let image = stage.signed("v1", Made::image_of_bytes(LENGTH));
    assert_serves(&ask(stage.data(), "GET", &manifest("org/app", "v1"), &[]).await, &image);
    let (target, digest) = (blob("org/app", &image.layer()), image.layer());
    stage.upstream.fail(When::on("GET /v2/org/app/blobs/"), Fault::Flip(-1));
    for round in 1..=2 {
        let (peak, answer) = peak_above(&stage, ask(stage.data(), "GET", &target, &[])).await;
        assert_eq!((answer.status, answer.end), (200, End::Cut));
        assert!(answer.body.len() < LENGTH && image.blobs[1].starts_with(&answer.body), "{round}");
        assert!(peak < ENDLESS_MOST, "{peak} bytes");
        assert_eq!(stage.upstream.count(&format!("GET {target}")), round, "asked again");
        let hex = digest.trim_start_matches("sha256:").to_owned();
        tokio::task::block_in_place(|| wait_until("nothing is kept", || kept(state.path(), &hex).is_empty()))
            .unwrap();
    }
    stage.upstream.heal();
    let answer = ask(stage.data(), "GET", &target, &[]).await;
    assert_eq!((answer.status, answer.end), (200, End::Whole));
    assert!(answer.body == image.blobs[1]);
}

/// 10 GiB of zeros in 10 MiB: 160 members of 64 MiB each, one after the other (RFC 1952, section 2.2).
fn bomb() -> Vec<u8> {
    let zeros = "head -c 67108864 /dev/zero | gzip -9n";
    let member = std::process::Command::new("sh").args(["-c", zeros]).output().unwrap().stdout;
    assert!((60_000..70_000).contains(&member.len()), "{} bytes", member.len());
    member.repeat(160)
}

/// The reasons of the record about a tag, once it is written.
async fn reasons(stage: &Stage, tag: &str) -> Vec<String> {
    let found = || {
        let records = stage.gate.audit().unwrap_or_default();
        records.iter().find(|record| record["reference"] == tag).map(codes)
    };
    until("the record is written", || found().is_some()).await;
    found().unwrap()
}

/// Never decoded: what is not known is undecided, what is known without it stands, and no signature counts for it.
#[tokio::test(flavor = "multi_thread")]
async fn a108_a_bomb_called_encoded_evidence_is_not_decoded() {
    let (stage, bomb) = (warm().await, bomb());
    for (n, part, signed, unsigned) in
        [(0, "/referrers/", 200, 503), (1, ".sig", 503, 503), (2, ".att", 200, 503), (3, "/blobs/", 503, 403)]
    {
        let tags = [format!("signed-{n}"), format!("unsigned-{n}")];
        stage.signed(&tags[0], Made::image());
        Made::image().tag(&stage.upstream, "org/app", &tags[1]);
        stage.upstream.fail(When::on(part), Fault::Answer(200, MANIFEST, bomb.clone()));
        stage.upstream.fail(When::on(part), Fault::Header("content-encoding", "gzip".to_owned()));
        for (tag, status) in tags.iter().zip([signed, unsigned]) {
            let target = manifest("org/app", tag);
            let (peak, answer) = peak_above(&stage, ask(stage.data(), "GET", &target, &[])).await;
            assert_eq!(answer.status, status, "{tag} {part}");
            assert!(peak < ENDLESS_MOST, "{tag} {part}: {peak} bytes");
            if status == 503 {
                assert_eq!(reasons(&stage, tag).await, ["upstream-encoding"], "{tag} {part}");
            }
        }
        stage.upstream.heal();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a108_a_bomb_that_is_evidence_by_its_digest_is_not_decoded() {
    let (stage, bomb) = (warm().await, bomb());
    for (tag, suffix, media_type, code) in [
        ("simple", ".sig", SIMPLE_SIGNING, "evidence-too-large"),
        ("envelope", ".att", DSSE, "payload-invalid"),
        ("bundle", ".sig", BUNDLE, "bundle-invalid"),
    ] {
        let image = Made::image();
        image.tag(&stage.upstream, "org/app", tag);
        let made = carrier(vec![Layer::new(media_type, bomb.clone())]);
        made.tag(&stage.upstream, "org/app", &evidence_tag(&image.digest(), suffix));
        let target = manifest("org/app", tag);
        let (peak, answer) = peak_above(&stage, ask(stage.data(), "GET", &target, &[])).await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "DENIED"), "{tag}");
        assert_eq!(reasons(&stage, tag).await, ["no-signature", code], "{tag}");
        assert!(peak < BOMB_TIMES * bomb.len() as u64, "{tag}: {peak} bytes");
    }
}

/// Begins to read a blob, takes a little of it, and stops.
async fn stopped(stage: &Stage, image: &Made) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let mut reader = socket.connect(stage.data()).await.unwrap();
    let request = format!("GET {} HTTP/1.1\r\nhost: a\r\n\r\n", blob("org/app", &image.layer()));
    reader.write_all(request.as_bytes()).await.unwrap();
    let mut begins = [0; 1024];
    reader.read_exact(&mut begins).await.unwrap();
    assert!(begins.starts_with(b"HTTP/1.1 200"));
    reader
}

/// Cold, warm, and of a blob that is too large to be kept: whoever stops reading takes no more than some pieces of it.
#[tokio::test(flavor = "multi_thread")]
async fn a052_readers_that_stop_take_some_pieces_of_memory_and_not_the_blob() {
    const READERS: u64 = 50;
    let cached = Stage::with(|settings| settings).await;
    let uncached = Stage::with(|settings| settings.configuration("[cache]\nblobs_max = \"1MiB\"\n")).await;
    for stage in [&cached, &uncached] {
        let image = stage.signed("v1", Made::image_of_bytes(32 << 20));
        assert_serves(&ask(stage.data(), "GET", &manifest("org/app", "v1"), &[]).await, &image);
        let before = stage.upstream.sent();
        let crowd = async {
            let mut readers = Vec::new();
            for _ in 0..READERS {
                readers.push(stopped(stage, &image).await);
            }
            while_nothing_happens(Duration::from_secs(2)).await;
            readers
        };
        let (peak, readers) = peak_above(stage, crowd).await;
        let each = peak / READERS;
        assert!(each < STOPPED_MOST, "{each} bytes for each of {} readers", readers.len());
        let sent = (stage.upstream.sent() - before) / READERS;
        assert!(sent < 16 * MIB, "{sent} bytes from upstream for each: it is not read ahead of its reader");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a127_a_document_at_its_limit_takes_a_bounded_multiple_of_its_length() {
    let stage = warm().await;
    let begins = format!("{{\"schemaVersion\":2,\"mediaType\":\"{MANIFEST}\"");
    let most = usize::try_from(limits::MANIFEST_BYTES).unwrap();
    let keys = (0..300_000).map(|n| format!(",\"{n}\":1")).collect::<String>();
    let deep = format!(",\"a\":{}", "[".repeat(most - 200));
    let long = format!(",\"a\":\"{}\"", "x".repeat(most - 200));
    let list = format!(",\"a\":[0{}]", ",0".repeat(most / 2 - 100));
    // What one piece leaves to the allocator the next one has: the dearest comes last.
    for (tag, middle) in [("deep", deep), ("long", long), ("list", list), ("keys", keys)] {
        let bytes = format!("{begins}{middle}}}").into_bytes();
        let length = bytes.len() as u64;
        stage.signed(tag, Made::from_bytes(MANIFEST, bytes, Vec::new()));
        let target = manifest("org/app", tag);
        let (peak, answer) = peak_above(&stage, ask(stage.data(), "GET", &target, &[])).await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "DENIED"), "{tag}");
        assert!(peak < DOCUMENT_TIMES * length, "{tag}: {peak} bytes for {length}");
    }
    // A document of that length that is what it should be costs no more.
    let image = Made::image();
    let mut bytes = image.bytes.clone();
    bytes.resize(most, b' ');
    let fits = stage.signed("fits", Made::from_bytes(MANIFEST, bytes, image.blobs));
    let target = manifest("org/app", "fits");
    let (peak, answer) = peak_above(&stage, ask(stage.data(), "GET", &target, &[])).await;
    assert_serves(&answer, &fits);
    assert!(peak < DOCUMENT_TIMES * limits::MANIFEST_BYTES, "{peak}");
}
