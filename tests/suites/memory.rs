//! How much memory a gate of its own takes at its peak, whatever an upstream sends.

use pullgate_policy::limits::{self, MIB};
use pullgate_tests::asking::{End, ask};
use pullgate_tests::made::{MANIFEST, Made, fresh, with};
use pullgate_tests::upstream::{Fault, When};
use serde_json::{Value, json};

use crate::process::Stage;
use crate::stage::{assert_serves, blob, manifest};

/// What a body without end may cost above what the gate takes at rest (A106).
const ENDLESS_MOST: u64 = 16 * MIB;
/// What a document may cost, as so many times its own length (A127).
const DOCUMENT_TIMES: u64 = 10;

/// Does something, and tells by how much the gate's resident memory at its peak was above what it was before.
async fn peak_above<T>(stage: &Stage, work: impl Future<Output = T>) -> (u64, T) {
    let pid = stage.gate.pid();
    // 5 sets the peak back to what is resident now (proc(5), `clear_refs`).
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
    let before = memory(pid, "VmRSS:");
    let done = work.await;
    (memory(pid, "VmHWM:").saturating_sub(before), done)
}

fn memory(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// A gate that has served before, so that what it takes once is taken.
async fn warm() -> Stage {
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
