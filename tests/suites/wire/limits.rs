//! Limits of the wire, each crossed by one.

use std::sync::Arc;
use std::time::Duration;

use pullgate::clock::Clock;
use pullgate::memory::Memory;
use pullgate_policy::limits;
use pullgate_policy::oci::Digest;
use pullgate_policy::verdict::Subject;
use pullgate_tests::asking::ask;
use pullgate_tests::made::{LAYER, Layer, MANIFEST, Made, fresh};
use pullgate_tests::upstream::{Fault, When};
use pullgate_tests::waiting::{pause, still, until};
use tokio::sync::Semaphore;

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
    let (app, registry) = (Arc::clone(stage.gate.app()), "registry.test".parse().unwrap());
    let mut places = Vec::new();
    for _ in 0..pullgate::limits::VERDICTS_MAX {
        places.push(app.slots.take(&registry).await.unwrap());
    }
    let waiting: Vec<_> = (0..pullgate::limits::QUEUE_MAX)
        .map(|_| {
            let (app, registry) = (Arc::clone(&app), registry.clone());
            tokio::spawn(async move { drop(app.slots.take(&registry).await) })
        })
        .collect();
    while app.slots.taken(&registry) < pullgate::limits::VERDICTS_MAX + pullgate::limits::QUEUE_MAX {
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

#[tokio::test(start_paused = true)]
async fn a174_an_answer_that_begins_after_first_byte_is_not_waited_for() {
    let still = still();
    let stage = Stage::new().await;
    let (image, bit) = (stage.signed("org/app", "v1"), Duration::from_millis(10));
    stage.signed("org/app", "late");
    let (within, never) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    stage.upstream.fail(When::on("manifests/v1"), Fault::Hold(Arc::clone(&within)));
    stage.upstream.fail(When::on("manifests/late"), Fault::Hold(never));
    let address = stage.gate.data;
    let asked = ["v1", "late"]
        .map(|tag| tokio::spawn(async move { ask(address, "GET", &manifest("org/app", tag), &[]).await }));
    until("both are asked for", || stage.upstream.count("/manifests/v1") + stage.upstream.count("late") == 2)
        .await;
    tokio::time::advance(pullgate::upstream::limits::FIRST_BYTE_LAST - bit).await;
    pause(Duration::from_millis(100)).await;
    assert!(asked.iter().all(|one| !one.is_finished()));
    within.add_permits(1);
    let [served, over] = asked;
    assert_serves(&served.await.unwrap(), &image);
    tokio::time::advance(bit).await;
    crate::stage::assert_undecided(&over.await.unwrap());
    drop(still);
    tokio::time::resume();
    let records = stage.gate.records().await;
    assert!(records.iter().any(|record| codes(record) == ["upstream-timeout"]), "{records:?}");
}

#[tokio::test]
async fn of_an_error_body_so_many_bytes_are_read_and_one_more_is_none() {
    let stage = Stage::new().await;
    let most = usize::try_from(pullgate::upstream::limits::ERROR_BODY_BYTES).unwrap();
    for (length, status, code) in [(most, 404, "MANIFEST_UNKNOWN"), (most + 1, 403, "DENIED")] {
        let mut body = b"{\"errors\":[{\"code\":\"NAME_UNKNOWN\"}]}".to_vec();
        body.resize(length, b' ');
        stage.upstream.fail(When::on("manifests/"), Fault::Answer(403, "application/json", body));
        let answer = stage.manifest("org/app", &fresh()).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{length}");
        stage.upstream.heal();
    }
    assert_eq!(codes(&stage.gate.record().await), ["upstream-not-shown"]);
}

#[tokio::test]
async fn before_a_blob_is_refused_32_children_are_read_and_not_one_more() {
    for count in [pullgate::limits::CHILDREN_READ_FOR_BLOB, pullgate::limits::CHILDREN_READ_FOR_BLOB + 1] {
        let stage = Stage::new().await;
        let index = Made::index((0..count).map(|_| Made::image()).collect());
        index.tag(&stage.upstream, "org/app", "v1");
        stage.sign("org/app", &index);
        assert_serves(&stage.manifest("org/app", "v1").await, &index);
        let stray = stage.upstream.blob("org/app", b"stray");
        stage.upstream.forget();
        assert_denied(&stage.blob("org/app", &stray).await);
        let read = stage.upstream.count("GET /v2/org/app/manifests/sha256:");
        assert_eq!(read, pullgate::limits::CHILDREN_READ_FOR_BLOB, "of {count}");
    }
}

const CONFIGURED: &str = "policy = \"policy.toml\"\nstate = \"state\"\n[upstream.\"registry.test\"]\n";

/// A configuration with this at its end.
fn loaded(text: &str) -> Result<pullgate_config::Loaded, pullgate_config::Diagnostics> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("policy.toml"), "unmatched = \"warn\"\n").unwrap();
    let file = folder.path().join("pullgate.toml");
    std::fs::write(&file, format!("{CONFIGURED}{text}")).unwrap();
    pullgate_config::load(&file, Clock::system().now())
}

/// The diagnostics of a configuration with this at its end, none if it is taken.
fn faults(text: &str) -> String {
    loaded(text).err().map(|faults| faults.render(pullgate_config::Style::Plain)).unwrap_or_default()
}

/// In seconds, as they are promised: a constant that changes shows here.
#[test]
fn what_a_configuration_does_not_say_is_as_long_as_is_promised() {
    for (text, [tag, permit, deny]) in
        [("", [60, 3_600, 30]), ("[cache]\ntag_ttl = \"59s\"\n", [59, 3_600, 30])]
    {
        let cache = loaded(text).unwrap().config.cache;
        let told = [cache.tag_ttl, cache.permit_ttl, cache.deny_ttl].map(|time| time.as_secs());
        assert_eq!(told, [tag, permit, deny], "{text}");
    }
}

#[test]
fn no_time_to_live_is_longer_than_its_maximum_by_a_second() {
    for (key, most) in [
        ("tag_ttl", pullgate_config::limits::TAG_TTL_MAX),
        ("permit_ttl", pullgate_config::limits::PERMIT_TTL_MAX),
        ("deny_ttl", pullgate_config::limits::DENY_TTL_MAX),
    ] {
        let set = |seconds: u64| faults(&format!("[cache]\n{key} = \"{seconds}s\"\n"));
        assert_eq!(set(most.as_secs()), "", "{key}");
        assert!(set(most.as_secs() + 1).contains("limit-exceeded"), "{key}");
    }
}

#[test]
fn a_configuration_file_has_at_most_4_mib() {
    let most = usize::try_from(pullgate_config::limits::CONFIG_FILE_BYTES).unwrap() - CONFIGURED.len();
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
    let memory = Memory::new(
        pullgate_config::limits::TAG_TTL_MAX,
        pullgate_config::limits::TAG_TTL_MAX,
        Clock::system(),
    );
    let numbered = |n: u64| subject(Digest::of(&n.to_le_bytes()));
    for n in 0..=pullgate::limits::NEGATIVE_ENTRIES {
        memory.keep_denial(&numbered(n), revisions, &denial).await;
    }
    let known = |n| {
        let (memory, subject) = (&memory, numbered(n));
        async move { memory.denial(&subject, revisions).await.is_some() }
    };
    assert_eq!(kept(pullgate::limits::NEGATIVE_ENTRIES + 1, known).await, pullgate::limits::NEGATIVE_ENTRIES);
}

/// A flood of refused names, however often each is asked for, does not make the next one cost its upstream twice.
#[tokio::test]
async fn a059_a_denial_is_remembered_though_memory_is_full_of_busier_ones() {
    let stage = Stage::new().await;
    let (first, image) = (stage.unsigned("org/app", "first"), stage.unsigned("org/app", "v1"));
    assert_denied(&stage.manifest("org/app", "first").await);
    let (app, revisions) = (stage.gate.app(), stage.gate.app().live().revisions());
    let subject = |digest| Subject { repository: "registry.test/org/app".parse().unwrap(), digest };
    let denial = app.memory.denial(&subject(Digest::of(&first.bytes)), revisions).await.unwrap();
    for n in 0..pullgate::limits::NEGATIVE_ENTRIES {
        let subject = subject(Digest::of(&n.to_le_bytes()));
        app.memory.keep_denial(&subject, revisions, &denial).await;
    }
    // It tidies up behind reads.
    let asked_for = async |times: u64| {
        for n in (0..pullgate::limits::NEGATIVE_ENTRIES).rev().flat_map(|n| (0..times).map(move |_| n)) {
            app.memory.denial(&subject(Digest::of(&n.to_le_bytes())), revisions).await;
        }
    };
    asked_for(10).await;
    assert_denied(&stage.manifest("org/app", &image.digest()).await);
    asked_for(1).await;
    stage.upstream.forget();
    assert_denied(&stage.manifest("org/app", &image.digest()).await);
    assert_eq!(stage.upstream.seen().len(), 0, "what was refused a moment ago is known");
    let oldest = app.memory.denial(&subject(Digest::of(&first.bytes)), revisions).await;
    assert!(oldest.is_none(), "it went for another");
}
