use std::collections::BTreeMap;

use bytes::Bytes;
use pullgate_policy::code::Code;
use pullgate_policy::content::Untrusted;
use pullgate_policy::decide;
use pullgate_policy::evidence::servable::{EvidenceOnly, ServableEvidence};
use pullgate_policy::identity::Name;
use pullgate_policy::limits::MANIFEST_BYTES;
use pullgate_policy::oci::media_type;
use pullgate_policy::policy::{
    EvidencePasses, ForeignLayers, IndexRule, Location, Mode, OnUndecided, Policy, PolicySet, Revision, Rule,
    Unmatched,
};
use pullgate_policy::scope::Scope;
use pullgate_policy::verdict::Verdict;

use super::*;

fn memory() -> Memory {
    Memory::new(Duration::from_secs(30), Duration::from_secs(60), Clock::system())
}

fn repository() -> Repository {
    "registry.example/app".parse().unwrap()
}

fn grant(n: usize) -> Sealed {
    Sealed { body: format!("grant {n}"), mac: Vec::new() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_grants_that_are_given_at_once_none_is_dropped() {
    for _ in 0..50 {
        let memory = Arc::new(memory());
        let given: Vec<_> = (0..16)
            .map(|n| {
                let memory = Arc::clone(&memory);
                tokio::spawn(async move {
                    memory
                        .keep_grant(&repository(), Digest::of(b"layer"), (&grant(n), GrantRank::Proven), 0)
                        .await
                })
            })
            .collect();
        for given in given {
            assert_eq!(given.await.unwrap(), GrantMemory::New);
        }
        let found = memory.grants(&repository(), Digest::of(b"layer")).await.unwrap();
        assert_eq!(found.len(), 16, "{found:?}");
    }
}

#[tokio::test]
async fn a_grant_is_written_once_and_again_when_the_store_has_lost_something() {
    let memory = memory();
    let digest = Digest::of(b"layer");
    for (lost, is) in
        [(0, GrantMemory::New), (0, GrantMemory::Known), (1, GrantMemory::New), (1, GrantMemory::Known)]
    {
        assert_eq!(
            memory.keep_grant(&repository(), digest, (&grant(1), GrantRank::Proven), lost).await,
            is,
            "{lost}"
        );
    }
    assert_eq!(memory.grants(&repository(), digest).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a059_of_more_denials_than_are_remembered_the_oldest_go_and_the_newest_stay() {
    const MORE: u64 = 1_000;
    let memory = memory();
    let revisions = Revisions { policy: Revision::of([]), trust: Revision::of([]) };
    let subject = |n: u64| Subject { repository: repository(), digest: Digest::of(&n.to_le_bytes()) };
    let denial = decide::shape_denial(Code::IndexTooLarge);
    for n in 0..limits::NEGATIVE_ENTRIES + MORE {
        memory.keep_denial(&subject(n), revisions, &denial).await;
    }
    memory.denials.run_pending_tasks().await;
    assert_eq!(memory.denials.entry_count(), limits::NEGATIVE_ENTRIES);
    for (n, stays) in
        [(0, false), (MORE - 1, false), (MORE, true), (limits::NEGATIVE_ENTRIES + MORE - 1, true)]
    {
        assert_eq!(memory.denial(&subject(n), revisions).await.is_some(), stays, "{n}");
    }
}

/// How many entries of so many bytes stay, and how many bytes they are.
async fn stays<K, V>(cache: &Cache<K, V>) -> (u64, u64)
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    cache.run_pending_tasks().await;
    (cache.entry_count(), cache.weighted_size())
}

#[tokio::test]
async fn a602_what_is_remembered_is_counted_in_bytes_and_not_one_more_stays() {
    let (most, each) =
        (limits::NAMES_BYTES, u64::from(weight::of_entry::<TagKey, Aging<Digest>>(&repository(), 8)));
    for (given, stay) in [(most / each, most / each), (most / each + 1, most / each)] {
        let memory = memory();
        for n in 0..given {
            let tag = format!("v{n:07}").parse().unwrap();
            memory.keep_tag(&repository(), &tag, Accept::default(), Digest::of(b"image")).await;
        }
        assert_eq!(stays(&memory.tags).await, (stay, stay * each));
    }
}

#[tokio::test]
async fn a602_grants_with_large_bodies_take_no_more_memory_than_all_grants_may() {
    const BODY: usize = 8 * 1024;
    let sealed = Sealed { body: "x".repeat(BODY), mac: vec![0; 32] };
    let one = Grants::with(None, &sealed, GrantRank::Proven, 0);
    let (most, each) =
        (limits::GRANTS_BYTES, u64::from(weight::of_grants::<ContentKey>(&repository(), &one)));
    assert!(each > BODY as u64 + 32);
    for (given, stay) in [(most / each, most / each), (most / each + 1, most / each)] {
        let memory = memory();
        for n in 0..given {
            let digest = Digest::of(&n.to_le_bytes());
            memory.keep_grant(&repository(), digest, (&sealed, GrantRank::Proven), 0).await;
        }
        assert_eq!(stays(&memory.grants).await, (stay, stay * each));
    }
    // One digest of many roots counts all of them.
    let memory = memory();
    for n in 0..GRANTS_PER_DIGEST {
        let sealed = Sealed { body: format!("{n:0BODY$}"), mac: vec![0; 32] };
        memory.keep_grant(&repository(), Digest::of(b"base layer"), (&sealed, GrantRank::Proven), 0).await;
    }
    let (entries, bytes) = stays(&memory.grants).await;
    assert!(entries == 1 && bytes > (GRANTS_PER_DIGEST * BODY) as u64, "{entries} {bytes}");
}

#[tokio::test]
async fn a602_of_denials_with_long_texts_fewer_are_remembered_and_the_newest_stay() {
    let memory = memory();
    let revisions = Revisions { policy: Revision::of([]), trust: Revision::of([]) };
    let path = "p".repeat(200);
    let subject = |n: u64| Subject {
        repository: format!("registry.example/{path}").parse().unwrap(),
        digest: Digest::of(&n.to_le_bytes()),
    };
    let mut told = serde_json::to_value(decide::shape_denial(Code::IndexTooLarge)).unwrap();
    let mut reason = told["first"].clone();
    reason["text"] = "why ".repeat(1024).into();
    told["skipped"] = vec![reason; 8].into();
    let denial: Denial = serde_json::from_value(told).unwrap();
    let each = u64::from(weight::of_denial(&(subject(0), revisions), &denial));
    let stay = weight::DENIALS / each;
    assert!(each > 8 * 4096 && stay < limits::NEGATIVE_ENTRIES / 8, "{each}");
    for n in 0..=stay {
        memory.keep_denial(&subject(n), revisions, &denial).await;
    }
    assert_eq!(stays(&memory.denials).await, (stay, stay * each));
    assert!(memory.denial(&subject(0), revisions).await.is_none());
    assert!(memory.denial(&subject(stay), revisions).await.is_some());
}

#[tokio::test]
async fn a602_permits_take_no_more_memory_than_all_permits_may() {
    let memory = memory();
    let set = PolicySet { unmatched: Unmatched::Permit, policies: Vec::new(), ..open() };
    let document = intact(
        serde_json::json!({
            "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "layers": [],
            "config": {"mediaType": media_type::OCI_CONFIG, "digest": Digest::of(b"{}"), "size": 2},
        })
        .to_string()
        .into_bytes(),
    );
    let document = document.parse(None).unwrap();
    let subject = |n: u64| Subject { repository: repository(), digest: Digest::of(&n.to_le_bytes()) };
    let permit =
        |n: u64| match decide::without_evidence(&set, &subject(n), document.value(), Timestamp::UNIX_EPOCH) {
            Some(Verdict::Permit(permit)) => permit,
            other => panic!("{other:?}"),
        };
    let each = u64::from(weight::of_permit(&(subject(0), set.revisions), &permit(0)));
    let stay = limits::PERMITS_BYTES / each;
    for n in 0..stay {
        memory.keep_permit(&permit(n)).await;
    }
    assert_eq!(stays(&memory.permits).await, (stay, stay * each));
    memory.keep_permit(&permit(stay)).await;
    assert_eq!(stays(&memory.permits).await, (stay, stay * each));
}

/// The process has 512 MiB: what is left is for itself, its connections and the database.
#[test]
fn a602_all_memories_together_leave_room_in_the_process() {
    const PROCESS: u64 = 512 << 20;
    const LEFT: u64 = 80 << 20;
    let work = limits::IN_FLIGHT_BYTES + limits::WORK_BYTES + limits::DOCUMENTS_BYTES + limits::PASSING_BYTES;
    let large = limits::PERMITS_BYTES + limits::DENIALS_BYTES + limits::GRANTS_BYTES + limits::PRESENCE_BYTES;
    assert!(work + large + 9 * limits::NAMES_BYTES + LEFT <= PROCESS);
}

#[tokio::test]
async fn the_newest_grants_stay() {
    let memory = memory();
    let digest = Digest::of(b"base layer");
    for n in 0..=GRANTS_PER_DIGEST {
        assert_eq!(
            memory.keep_grant(&repository(), digest, (&grant(n), GrantRank::Proven), 0).await,
            GrantMemory::New
        );
    }
    let found = memory.grants(&repository(), digest).await.unwrap();
    assert_eq!(found.len(), GRANTS_PER_DIGEST);
    assert_eq!(found[0], grant(GRANTS_PER_DIGEST));
    assert!(!found.contains(&grant(0)));
}

#[tokio::test]
async fn a616_no_number_of_roots_that_were_let_through_hides_one_that_was_proven() {
    let (memory, digest) = (memory(), Digest::of(b"base layer"));
    memory.keep_grant(&repository(), digest, (&grant(0), GrantRank::Proven), 0).await;
    for n in 1..=GRANTS_PER_DIGEST * 2 {
        memory.keep_grant(&repository(), digest, (&grant(n), GrantRank::LetThrough), 0).await;
    }
    let found = memory.grants(&repository(), digest).await.unwrap();
    assert_eq!(found.len(), GRANTS_PER_DIGEST);
    assert_eq!(found[..2], [grant(0), grant(GRANTS_PER_DIGEST * 2)]);
    // The other way round the newest is there all the same, and nothing is less than it was once.
    for n in 0..GRANTS_PER_DIGEST {
        memory.keep_grant(&repository(), digest, (&grant(1_000 + n), GrantRank::Proven), 0).await;
    }
    for (standing, is) in
        [(GrantRank::LetThrough, GrantMemory::Known), (GrantRank::Proven, GrantMemory::Known)]
    {
        assert_eq!(memory.keep_grant(&repository(), digest, (&grant(1_000), standing), 0).await, is);
    }
    memory.keep_grant(&repository(), digest, (&grant(2_000), GrantRank::LetThrough), 0).await;
    let found = memory.grants(&repository(), digest).await.unwrap();
    assert_eq!((found.len(), found.last()), (GRANTS_PER_DIGEST, Some(&grant(2_000))));
}

fn intact(bytes: Vec<u8>) -> Intact<Bytes> {
    Untrusted::new(bytes.into()).hash()
}

/// The text with blanks behind it.
fn padded(text: &str, len: usize) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    assert!(bytes.len() <= len);
    bytes.resize(len, b' ');
    bytes
}

/// A policy that takes evidence by its form.
fn open() -> PolicySet {
    let revisions = Revisions { policy: Revision::of([]), trust: Revision::of([]) };
    let policy = Policy {
        name: Name::new("open"),
        location: Location { file: "policy.toml".into(), line: 1 },
        scopes: vec![Scope::parse("**").unwrap()],
        mode: Mode::Enforce,
        on_undecided: OnUndecided::Deny,
        foreign_layers: ForeignLayers::Deny,
        evidence: EvidencePasses::WellFormed,
        index: IndexRule::Itself,
        rule: Rule::Requirements(Vec::new()),
    };
    PolicySet {
        revisions,
        unmatched: Unmatched::Deny,
        authorities: BTreeMap::new(),
        policies: vec![policy],
        blocks: Vec::new(),
        exemptions: Vec::new(),
        permit_ttl: Duration::from_secs(60),
    }
}

/// Evidence that passes, each another one, with the same config.
fn evidence(n: usize) -> Arc<ServableEvidence> {
    let payload = format!(
        r#"{{"critical":{{"image":{{"docker-manifest-digest":"{}"}},"type":"cosign container image signature"}}}}"#,
        Digest::of(&n.to_be_bytes())
    );
    let descriptor = |kind: &str, bytes: &[u8]| serde_json::json!({"mediaType": kind, "digest": Digest::of(bytes), "size": bytes.len()});
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
        "config": descriptor(media_type::OCI_CONFIG, b"{}"),
        "layers": [descriptor(media_type::SIMPLE_SIGNING, payload.as_bytes())],
    });
    let document = intact(manifest.to_string().into_bytes()).parse(None).unwrap();
    let blobs = vec![intact(b"{}".to_vec()), intact(payload.into_bytes())];
    let only = EvidenceOnly::check(document, blobs).unwrap();
    Arc::new(ServableEvidence::well_formed(&only, &open(), &repository()).unwrap())
}

#[tokio::test]
async fn of_evidence_with_the_same_blob_the_last_few_are_remembered_the_last_one_first() {
    let (memory, config) = (memory(), Digest::of(b"{}"));
    let all: Vec<_> = (0..=pullgate_store::limits::EVIDENCE_OF_BLOB).map(evidence).collect();
    let named = |of: &[Arc<ServableEvidence>]| of.iter().rev().map(|one| one.manifest()).collect::<Vec<_>>();
    for count in [pullgate_store::limits::EVIDENCE_OF_BLOB, pullgate_store::limits::EVIDENCE_OF_BLOB + 1] {
        for passing in &all[..count] {
            memory.keep_passing(&repository(), passing).await;
        }
        let over = count - pullgate_store::limits::EVIDENCE_OF_BLOB;
        let found = memory.passing_with_blob(&repository(), config).await;
        assert_eq!(*found, named(&all[over..count]));
    }
    // Who is asked for again is the last one again.
    memory.keep_passing_blobs(&repository(), &all[2]).await;
    let found = memory.passing_with_blob(&repository(), config).await;
    assert_eq!((found[0], found.len()), (all[2].manifest(), pullgate_store::limits::EVIDENCE_OF_BLOB));
    assert!(memory.passing_with_blob(&"r.io/other".parse().unwrap(), config).await.is_empty());
}

#[tokio::test]
async fn small_blobs_of_evidence_are_remembered_up_to_their_limit_and_not_a_byte_more() {
    const SHARE: usize = 64 * 1024;
    let shares = usize::try_from(limits::PASSING_BYTES).unwrap() / SHARE;
    let beside = usize::try_from(weight::of_entry::<ContentKey, Intact<Bytes>>(&repository(), 0)).unwrap();
    let blob = |n: usize, weighs: usize| intact(padded(&n.to_string(), weighs - beside));
    for (last, held) in [(SHARE, shares), (SHARE + 1, shares - 1)] {
        let memory = memory();
        let all: Vec<_> = (0..shares).map(|n| blob(n, if n + 1 == shares { last } else { SHARE })).collect();
        for one in &all {
            memory.keep_evidence_blob(&repository(), one).await;
        }
        memory.evidence.settle().await;
        let mut found = 0;
        for one in &all {
            found += usize::from(memory.evidence_blob(&repository(), one.digest()).await.is_some());
        }
        assert_eq!(found, held);
    }
    let memory = memory();
    for (length, kept) in [
        (pullgate_store::limits::STREAM_CHUNK_BYTES, true),
        (pullgate_store::limits::STREAM_CHUNK_BYTES + 1, false),
    ] {
        let one = intact(padded("x", length));
        memory.keep_evidence_blob(&repository(), &one).await;
        assert_eq!(memory.evidence_blob(&repository(), one.digest()).await.is_some(), kept, "{length}");
    }
}

#[tokio::test]
async fn documents_are_remembered_up_to_their_limit_and_not_a_byte_more() {
    const FULL: usize = 3;
    let repository: Repository = "registry.test/app".parse().unwrap();
    let text = |n: usize| {
        let config =
            serde_json::json!({"mediaType": media_type::OCI_CONFIG, "digest": Digest::of(b"{}"), "size": n});
        serde_json::json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config, "layers": []}).to_string()
    };
    let document = |n: usize, len: usize| intact(padded(&text(n), len)).parse(None).unwrap();
    let whole = usize::try_from(MANIFEST_BYTES).unwrap() / 2;
    let full: Vec<_> = (0..FULL).map(|n| document(n, whole)).collect();
    // Three times its own size each.
    let rest = usize::try_from(limits::DOCUMENTS_BYTES).unwrap() / 3 - FULL * whole;
    for (len, held) in [(rest, FULL + 1), (rest + 1, FULL)] {
        let memory = memory();
        let all: Vec<_> = full.iter().cloned().chain([document(FULL, len)]).collect();
        for document in &all {
            memory.keep_document(&repository, document).await;
        }
        memory.documents.run_pending_tasks().await;
        let mut found = 0;
        for document in &all {
            found += usize::from(memory.document(&repository, &document.digest()).await.is_some());
        }
        assert_eq!(found, held, "{len}");
    }
}
