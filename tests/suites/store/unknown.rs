//! A store that cannot be read: not knowing is never a no, a fresh verdict is still reached, and what works again is
//! used again by itself (A603).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pullgate::store;
use pullgate::store::{Availability, GrantRank, GrantRow};
use pullgate::waits::Waits;
use pullgate_policy::grant::Role;
use pullgate_policy::limits::EVIDENCE_SUBJECTS;
use pullgate_policy::oci::Digest;
use pullgate_policy::seal::Sealed;
use pullgate_tests::asking::{Answer, ask};
use pullgate_tests::made::Made;
use pullgate_tests::signing::{SIGN_PREDICATE, carrier};
use pullgate_tests::waiting::{pause, until_it_is};
use sqlx::{AnyConnection, Connection as _};
use tokio::task::JoinHandle;

use crate::stage::{KEYED, Stage, assert_denied, assert_serves, assert_undecided, blob, codes, manifest};

/// How long a read is waited for here.
const SLOW: Duration = Duration::from_secs(1);
/// For what these tests are not about.
const PATIENT: Duration = Duration::from_secs(60);

/// What befalls the database, and what mends it again where the gate cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Corrupt,
    Fails,
    Locked,
    Slow,
    Vanished,
}

const FAULTS: [Fault; 5] = [Fault::Corrupt, Fault::Fails, Fault::Locked, Fault::Slow, Fault::Vanished];

/// A database that a fault has befallen.
struct Hurt(Option<AnyConnection>, Fault);

impl Fault {
    async fn befalls(self, stage: &Stage) -> Hurt {
        let file = stage.gate.path("state/cache.db");
        let held = match self {
            Self::Corrupt => {
                for suffix in ["", "-wal"] {
                    let file = stage.gate.path(&format!("state/cache.db{suffix}"));
                    let length = std::fs::metadata(&file).map_or(0, |meta| meta.len());
                    let _ = std::fs::write(&file, vec![0xa5; usize::try_from(length).unwrap()]);
                }
                None
            }
            Self::Fails => Some(run(stage, "alter table grants rename to grants_there").await),
            Self::Locked => Some(run(stage, "begin exclusive").await),
            // Each read counts for many seconds first.
            Self::Slow => Some(
                run(
                    stage,
                    "alter table grants rename to grants_there; create view grants as select * from grants_there \
                     where (with recursive n(x) as (select 1 union all select x + 1 from n where x < 10000000) \
                     select count(*) from n) > 0",
                )
                .await,
            ),
            Self::Vanished => {
                std::fs::remove_file(file).unwrap();
                None
            }
        };
        Hurt(held, self)
    }
}

impl Hurt {
    /// Ends what was done, where it does not end by itself.
    async fn ends(self) {
        let Self(held, fault) = self;
        let end = match fault {
            Fault::Corrupt | Fault::Vanished => return,
            Fault::Fails => "alter table grants_there rename to grants",
            Fault::Locked => "rollback",
            Fault::Slow => "drop view grants; alter table grants_there rename to grants",
        };
        let mut held = held.unwrap();
        let begun = Instant::now();
        while let Err(error) = sqlx::raw_sql(end).execute(&mut held).await {
            assert!(begun.elapsed() < Duration::from_secs(120), "{error}");
            pause(Duration::from_millis(100)).await;
        }
        held.close().await.unwrap();
    }
}

async fn run(stage: &Stage, sql: &str) -> AnyConnection {
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}?mode=rw", stage.gate.path("state/cache.db").display());
    let mut connection = AnyConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("pragma busy_timeout = 60000").execute(&mut connection).await.unwrap();
    // Safe: the text is the test's own.
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    connection
}

/// A gate, and an index whose child and blobs were pulled once and are permitted by grants alone.
async fn pulled() -> (Stage, Made) {
    pulled_under(KEYED).await
}

async fn pulled_under(policy: &str) -> (Stage, Made) {
    let store = store::Waits { known: SLOW, write: SLOW, grants_written: PATIENT, ..Default::default() };
    let waits = Waits { store, ..Waits::default() };
    pulled_with(policy, waits).await
}

async fn pulled_with(policy: &str, waits: Waits) -> (Stage, Made) {
    let stage = Stage::with(policy, |setup| setup.waits(waits)).await;
    let index = Made::index(vec![Made::image()]);
    index.tag(&stage.upstream, "org/app", "v1");
    stage.sign("org/app", &index);
    assert_serves(&stage.manifest("org/app", "v1").await, &index);
    let child = &index.children[0];
    assert_serves(&stage.manifest("org/app", &child.digest()).await, child);
    for digest in [child.config(), child.layer()] {
        assert_eq!(stage.blob("org/app", &digest).await.status, 200);
    }
    (stage, index)
}

/// Requests that go on until they are told to end: for blobs that nobody granted, and for what is permitted. Each
/// answer that should not be is told.
fn load(stage: &Stage, child: &Made, bad: &Made) -> (Arc<AtomicBool>, Vec<JoinHandle<Vec<String>>>) {
    let ended = Arc::new(AtomicBool::new(false));
    let targets = [
        (manifest("org/app", &child.digest()), [200, 503]),
        (blob("org/app", &child.layer()), [200, 503]),
        (blob("org/app", &bad.layer()), [403, 503]),
        (manifest("org/app", &bad.digest()), [403, 503]),
    ];
    let asking = targets.into_iter().cycle().take(8).map(|(target, right)| {
        let (data, ended) = (stage.gate.data, Arc::clone(&ended));
        tokio::spawn(async move {
            let mut wrong = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                let status = ask(data, "GET", &target, &[]).await.status;
                if !right.contains(&status) {
                    wrong.push(format!("{target}: {status}"));
                }
                pause(Duration::from_millis(20)).await;
            }
            wrong
        })
    });
    let asking = asking.collect();
    (ended, asking)
}

fn is_ready(stage: &Stage) -> bool {
    stage.gate.app().store.store().database().availability() == Availability::Ready
}

fn assert_no_no(what: &str, answer: &Answer) {
    assert!([200, 503].contains(&answer.status), "{what}: {answer:?}");
}

/// Under a load, on a gate that remembers or has just begun: nothing permitted is denied, nothing else served, and what
/// has its own evidence is served in any case.
async fn is_never_a_no(fault: Fault, begins: bool) {
    let (mut stage, index) = pulled().await;
    let (child, bad) = (&index.children[0], stage.unsigned("org/app", "bad"));
    if begins {
        stage.gate.restart().await;
    }
    let (ended, asking) = load(&stage, child, &bad);
    let hurt = fault.befalls(&stage).await;
    for n in 0..2 {
        let what = format!("{fault:?}, begins: {begins}, {n}");
        let signed = stage.signed("org/app", &format!("signed-{n}"));
        assert_serves(&stage.manifest("org/app", &signed.digest()).await, &signed);
        assert_serves(&stage.manifest("org/app", "v1").await, &index);
        assert_no_no(&what, &stage.manifest("org/app", &child.digest()).await);
        assert_no_no(&what, &stage.blob("org/app", &child.layer()).await);
        assert!([403, 503].contains(&stage.manifest("org/app", "bad").await.status), "{what}");
    }
    hurt.ends().await;
    until_it_is("it is used again", async || is_ready(&stage)).await;
    ended.store(true, Ordering::Relaxed);
    for one in asking {
        assert_eq!(one.await.unwrap(), Vec::<String>::new(), "{fault:?}, begins: {begins}");
    }
    assert_serves(&stage.manifest("org/app", "v1").await, &index);
    assert_serves(&stage.manifest("org/app", &child.digest()).await, child);
    assert_eq!(stage.blob("org/app", &child.layer()).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a603_a_store_that_fails_under_load_denies_nothing_and_is_used_again() {
    for fault in FAULTS {
        is_never_a_no(fault, false).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a603_a_store_that_fails_right_after_a_start_denies_nothing_and_is_used_again() {
    for fault in FAULTS {
        is_never_a_no(fault, true).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a603_a_grant_that_cannot_be_read_is_undecided_and_readyz_says_so() {
    for fault in [Fault::Fails, Fault::Slow] {
        let (mut stage, index) = pulled().await;
        let child = &index.children[0];
        stage.gate.restart().await;
        let hurt = fault.befalls(&stage).await;
        for answer in
            [stage.blob("org/app", &child.layer()).await, stage.manifest("org/app", &child.digest()).await]
        {
            assert_undecided(&answer);
            assert_eq!(codes(&stage.gate.record().await), ["storage"], "{fault:?}");
        }
        let page = stage.gate.admin("/readyz").await;
        let said = String::from_utf8_lossy(&page.body).into_owned();
        assert!(
            page.status == 503 && said.contains("\"store\"") && said.contains("read"),
            "{fault:?}: {said}"
        );
        hurt.ends().await;
        until_it_is("it is read again", async || is_ready(&stage)).await;
        assert_eq!(stage.gate.admin("/readyz").await.status, 200);
        assert_eq!(stage.blob("org/app", &child.layer()).await.status, 200, "{fault:?}");
        assert_serves(&stage.manifest("org/app", &child.digest()).await, child);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a603_a148_what_the_store_cannot_say_is_never_softened_by_on_undecided() {
    use pullgate_tests::upstream::{Fault as Broken, When};
    let policy =
        |on: &str| KEYED.replace("[[policy.require]]", &format!("on_undecided = {on}\n[[policy.require]]"));
    for on in ["\"insecure_permit\"", "{ last_permit = \"24h\" }"] {
        let (mut stage, index) = pulled_under(&policy(on)).await;
        let child = &index.children[0];
        stage.gate.restart().await;
        let hurt = Fault::Fails.befalls(&stage).await;
        // Its own evidence cannot be asked for either: that alone would be softened.
        stage.upstream.fail(When::on(".sig"), Broken::Status(500));
        assert_undecided(&stage.manifest("org/app", &child.digest()).await);
        assert_eq!(codes(&stage.gate.record().await), ["storage"], "{on}");
        stage.upstream.heal();
        hurt.ends().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a603_a_denial_that_rests_on_an_unknown_is_not_remembered() {
    let (mut stage, index) = pulled().await;
    let child = &index.children[0];
    stage.gate.restart().await;
    let hurt = Fault::Fails.befalls(&stage).await;
    assert_undecided(&stage.manifest("org/app", &child.digest()).await);
    hurt.ends().await;
    until_it_is("it is read again", async || is_ready(&stage)).await;
    assert_serves(&stage.manifest("org/app", &child.digest()).await, child);
}

#[tokio::test(flavor = "multi_thread")]
async fn a603_a_database_that_cannot_be_used_at_the_start_is_tried_again_and_found() {
    let (mut stage, index) = pulled().await;
    let child = &index.children[0];
    stage.gate.stop().await;
    // Where the log beside it should be lies a folder: the file cannot be opened.
    let log = stage.gate.path("state/cache.db-wal");
    let _ = std::fs::remove_file(&log);
    std::fs::create_dir(&log).unwrap();
    stage.gate.start_again().await;
    let said = String::from_utf8_lossy(&stage.gate.admin("/readyz").await.body).into_owned();
    assert!(said.contains("nothing can be remembered"), "{said}");
    assert_undecided(&stage.blob("org/app", &child.layer()).await);
    assert_undecided(&stage.manifest("org/app", &child.digest()).await);
    let signed = stage.signed("org/app", "signed");
    assert_serves(&stage.manifest("org/app", "signed").await, &signed);
    assert_eq!(stage.blob("org/app", &signed.layer()).await.status, 200);
    std::fs::remove_dir(&log).unwrap();
    until_it_is("it is tried again", async || is_ready(&stage)).await;
    assert_eq!(stage.blob("org/app", &child.layer()).await.status, 200);
    assert_serves(&stage.manifest("org/app", &child.digest()).await, child);
}

#[tokio::test(flavor = "multi_thread")]
async fn a603_sixty_thousand_grants_are_read_in_bounded_time_after_a_restart() {
    const MOST: Duration = Duration::from_secs(20);
    let (mut stage, index) = pulled_with(KEYED, Waits::all(PATIENT)).await;
    let child = &index.children[0];
    let repository: pullgate_policy::oci::Repository = "registry.test/org/app".parse().unwrap();
    for of in 0_u32..60 {
        let row = |n: u32| GrantRow {
            repository: repository.clone(),
            child: Digest::of(&(of * 1_000 + n).to_be_bytes()),
            root: Digest::of(b"root"),
            role: Role::Child,
            standing: GrantRank::LetThrough,
            sealed: Sealed { body: "x".repeat(300), mac: vec![0; 32] },
        };
        stage.gate.app().store.keep_grants((0..1_000).map(row).collect()).await;
    }
    stage.gate.app().store.store().database().flush().await;
    stage.gate.restart().await;
    let clients = (0..16_usize).map(|client| {
        let data = stage.gate.data;
        tokio::spawn(async move {
            for n in 0..8_usize {
                let unknown = format!("sha256:{:064x}", client * 1_000 + n);
                let answer = ask(data, "GET", &blob("org/app", &unknown), &[]).await;
                assert!([404, 503].contains(&answer.status), "not there is not there: {answer:?}");
            }
        })
    });
    let clients: Vec<_> = clients.collect();
    let begun = Instant::now();
    assert_eq!(stage.blob("org/app", &child.layer()).await.status, 200);
    assert_serves(&stage.manifest("org/app", &child.digest()).await, child);
    assert!(begun.elapsed() < MOST, "{:?}", begun.elapsed());
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(stage.gate.app().store.store().database().reads_failed(), 0);
    let bad = stage.unsigned("org/app", "bad");
    assert_denied(&stage.blob("org/app", &bad.layer()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a603_a_subject_whose_row_cannot_be_read_is_tried_before_an_absent_one() {
    let mut stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    // As many others as are tried are not here, and come first.
    let mut digests: Vec<_> = (0..EVIDENCE_SUBJECTS).map(|_| Made::image().digest()).collect();
    digests.push(image.digest());
    let evidence = carrier(vec![stage.signer.attestation_of(&digests, SIGN_PREDICATE)]);
    evidence.tag(&stage.upstream, "org/app", "evidence");
    stage.gate.app().store.store().database().flush().await;
    stage.gate.restart().await;
    let broken = format!("update presence set seen = 'x' where digest = '{}'", image.digest());
    run(&stage, &broken).await.close().await.unwrap();
    assert_serves(&stage.manifest("org/app", "evidence").await, &evidence);
}
