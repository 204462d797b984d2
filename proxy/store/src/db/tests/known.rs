//! What cannot be read is unknown, whatever befell the file, and is found again by itself.

use super::*;
use crate::limits::LOOK_EVERY;

/// A view whose rows come after many seconds, in place of a table: as slow as a disk can be.
pub(super) const ENDLESS: &str = "alter table grants rename to grants_there; create view grants as \
    select * from grants_there where (with recursive n(x) as (select 1 union all select x + 1 from n where x < 100000000) \
    select count(*) from n) > 0";

fn grant(child: &[u8], root: &[u8]) -> GrantRow {
    let (child, root) = (Digest::of(child), Digest::of(root));
    let (repository, standing, sealed) = (repository("app"), GrantRank::LetThrough, sealed_as("x"));
    GrantRow { repository, child, root, role: Role::Child, standing, sealed }
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let begun = std::time::Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A database in which one grant is written, in a folder where a gate has been.
async fn filled(root: &Path) -> Database {
    let database = Database::open(root, PATIENT).await.unwrap();
    std::fs::create_dir(root.join("documents")).unwrap();
    database.keep_grants(vec![grant(b"child", b"root")], at(1));
    database.written().await;
    assert_eq!(database.grants_for(&repository("app"), &Digest::of(b"child"), "", 0).await.unwrap().len(), 1);
    assert_eq!(database.grants(), Grants::AllThere);
    database
}

async fn nothing_is_known(database: &Database) -> bool {
    let child = Digest::of(b"child");
    database.grants_for(&repository("app"), &child, "", 0).await.is_err()
        && database.children_of(&repository("app"), 1).await.is_err()
        && database.find(&key("one")).await.is_err()
        && database.presence(&repository("app"), &child).await.is_err()
}

#[tokio::test]
async fn a603_a_read_that_does_not_come_is_unknown_and_the_next_one_that_does_is_not() {
    let root = tempfile::tempdir().unwrap();
    let database = filled(root.path()).await;
    execute(root.path(), "alter table grants rename to grants_there").await;
    let child = Digest::of(b"child");
    assert!(database.grants_for(&repository("app"), &child, "", 0).await.is_err());
    assert_eq!(database.availability(), Availability::Unreadable);
    assert_eq!(database.grants(), Grants::AllThere, "nothing is lost by a read");
    execute(root.path(), "alter table grants_there rename to grants").await;
    until("it is tried again", async || database.availability() == Availability::Ready).await;
    assert_eq!(database.grants_for(&repository("app"), &child, "", 0).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a603_a_read_that_is_too_slow_is_unknown_in_bounded_time_for_all_who_ask() {
    let root = tempfile::tempdir().unwrap();
    filled(root.path()).await.close().await;
    let wait = Duration::from_secs(1);
    let waits = Waits { read: wait, known: wait, ..PATIENT };
    let database = Arc::new(Database::open(root.path(), waits).await.unwrap());
    execute(root.path(), ENDLESS).await;
    let begun = std::time::Instant::now();
    let asks = (0..16).map(|_| {
        let database = Arc::clone(&database);
        tokio::spawn(
            async move { database.grants_for(&repository("app"), &Digest::of(b"child"), "", 0).await },
        )
    });
    for ask in asks.collect::<Vec<_>>() {
        assert_eq!(ask.await.unwrap(), Err(Unknown::read()));
    }
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a603_a_database_that_vanishes_is_begun_anew_and_its_grants_may_be_lost() {
    for what in ["removed", "moved", "replaced"] {
        let root = tempfile::tempdir().unwrap();
        let database = filled(root.path()).await;
        let (file, other) = (root.path().join("cache.db"), root.path().join("other"));
        match what {
            "removed" => std::fs::remove_file(&file).unwrap(),
            "moved" => std::fs::rename(&file, &other).unwrap(),
            _ => {
                std::fs::copy(&file, &other).unwrap();
                std::fs::rename(&other, &file).unwrap();
            }
        }
        until(what, async || database.grants() == Grants::MayBeLost).await;
        until(what, async || database.availability() == Availability::Ready).await;
        database.keep_grants(vec![grant(b"later", b"root")], at(2));
        database.close().await;
        let database = Database::open(root.path(), PATIENT).await.unwrap();
        let found = database.grants_for(&repository("app"), &Digest::of(b"later"), "", 0).await.unwrap();
        assert_eq!(found.len(), 1, "{what}: it is written where it is found again");
        assert_eq!(database.grants(), Grants::MayBeLost, "{what}");
    }
}

#[tokio::test]
async fn a603_a_database_that_is_written_over_in_its_place_is_noticed_and_counted() {
    // A lock on what is another's by now is not waited for longer than the product does.
    let waits = Waits { read: Waits::default().read, ..PATIENT };
    for what in ["older copy", "another", "nonsense"] {
        let root = tempfile::tempdir().unwrap();
        let copy = root.path().join("copy");
        filled(root.path()).await.close().await;
        let database = Database::open(root.path(), waits).await.unwrap();
        match what {
            "older copy" => drop(std::fs::copy(root.path().join("cache.db"), &copy).unwrap()),
            "another" => {
                std::fs::create_dir(root.path().join("away")).unwrap();
                Database::open(&root.path().join("away"), PATIENT).await.unwrap().close().await;
                std::fs::copy(root.path().join("away/cache.db"), &copy).unwrap();
            }
            _ => std::fs::write(&copy, b"nonsense".repeat(10_000)).unwrap(),
        }
        database.keep_grants(vec![grant(b"after", b"root")], at(1));
        database.written().await;
        assert_eq!((database.grants(), database.series().files_lost.get()), (Grants::AllThere, 0), "{what}");
        std::fs::copy(&copy, root.path().join("cache.db")).unwrap();
        let (repository, after) = (repository("app"), Digest::of(b"after"));
        // What was granted is there, or it is not known: it is never absent.
        until(what, async || {
            let found = database.grants_for(&repository, &after, "", 0).await;
            let known = database.grants() == Grants::AllThere;
            assert!(!known || found != Ok(Vec::new()), "{what}");
            !known
        })
        .await;
        until(what, async || database.availability() == Availability::Ready).await;
        assert_eq!(database.series().files_lost.get(), 1, "{what}");
        database.keep_grants(vec![grant(b"later", b"root")], at(2));
        database.close().await;
        let database = Database::open(root.path(), PATIENT).await.unwrap();
        let found = database.grants_for(&repository, &Digest::of(b"later"), "", 0).await.unwrap();
        assert_eq!(found.len(), 1, "{what}: it is written where it is found again");
        let older = database.grants_for(&repository, &Digest::of(b"child"), "", 0).await.unwrap();
        assert_eq!(older.len(), usize::from(what == "older copy"), "{what}");
    }
}

#[tokio::test]
async fn a603_a_database_that_its_own_gate_writes_does_not_count_as_overwritten() {
    let root = tempfile::tempdir().unwrap();
    let database = filled(root.path()).await;
    for n in 0..40_u32 {
        let rows = (0..500_u32).map(|m| grant(&[n.to_be_bytes(), m.to_be_bytes()].concat(), b"root"));
        database.keep_grants(rows.collect(), at(i64::from(n)));
        database.written().await;
    }
    tokio::time::sleep(LOOK_EVERY * 2).await;
    execute(root.path(), "select count(*) from grants").await;
    tokio::time::sleep(LOOK_EVERY * 2).await;
    assert_eq!((database.grants(), database.series().files_lost.get()), (Grants::AllThere, 0));
}

#[tokio::test]
async fn a603_a_database_that_rots_is_unknown_moved_aside_and_begun_anew() {
    let root = tempfile::tempdir().unwrap();
    filled(root.path()).await.close().await;
    // As long as the product waits: a patient one would try to write what is lost for as long.
    let database = Database::open(root.path(), Waits::default()).await.unwrap();
    database.keep_grants(vec![grant(b"other", b"root")], at(1));
    database.written().await;
    for name in ["cache.db", "cache.db-wal"] {
        let file = root.path().join(name);
        let length = std::fs::metadata(&file).unwrap().len();
        std::fs::write(&file, vec![0xa5; usize::try_from(length).unwrap()]).unwrap();
    }
    until("it is seen", async || {
        let _ = database.grants_for(&repository("app"), &Digest::of(b"child"), "", 0).await;
        database.keep_presence(repository("app"), Digest::of(b"x"), None, at(1));
        !corrupt_files(root.path()).is_empty()
    })
    .await;
    until("it is in use again", async || database.availability() == Availability::Ready).await;
    assert_eq!(database.grants(), Grants::MayBeLost);
    database.keep_grants(vec![grant(b"later", b"root")], at(2));
    assert_eq!(database.grants_for(&repository("app"), &Digest::of(b"later"), "", 0).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a603_a_database_that_cannot_be_used_at_the_start_is_unknown_and_tried_again() {
    let root = tempfile::tempdir().unwrap();
    filled(root.path()).await.close().await;
    let (file, aside) = (root.path().join("cache.db"), root.path().join("aside"));
    std::fs::rename(&file, &aside).unwrap();
    // A file that SQLite can make no lock on: its name is taken by a folder for the log beside it.
    std::fs::copy(&aside, &file).unwrap();
    std::fs::create_dir(root.path().join("cache.db-wal")).unwrap();
    let database = Database::open(root.path(), PATIENT).await.unwrap();
    assert_eq!(database.availability(), Availability::Unavailable);
    assert!(nothing_is_known(&database).await);
    std::fs::remove_dir(root.path().join("cache.db-wal")).unwrap();
    until("it is tried again", async || database.availability() == Availability::Ready).await;
    let found = database.grants_for(&repository("app"), &Digest::of(b"child"), "", 0).await.unwrap();
    assert_eq!((found.len(), database.grants()), (1, Grants::AllThere));
}

#[tokio::test]
async fn a603_what_is_new_is_no_loss_and_what_is_new_where_a_gate_was_before_is_one() {
    let root = tempfile::tempdir().unwrap();
    let database = Database::open(root.path(), PATIENT).await.unwrap();
    assert_eq!(database.grants(), Grants::AllThere, "the first start");
    database.close().await;
    std::fs::create_dir(root.path().join("blobs")).unwrap();
    let database = Database::open(root.path(), PATIENT).await.unwrap();
    assert_eq!(database.grants(), Grants::AllThere, "the next one");
    database.close().await;
    std::fs::remove_file(root.path().join("cache.db")).unwrap();
    assert_eq!(Database::open(root.path(), PATIENT).await.unwrap().grants(), Grants::MayBeLost);
}

#[tokio::test]
async fn a603_another_seal_key_is_a_loss_and_the_same_one_is_none() {
    let root = tempfile::tempdir().unwrap();
    for (key, grants) in [("one", Grants::AllThere), ("one", Grants::AllThere), ("two", Grants::MayBeLost)] {
        let database = Database::open(root.path(), PATIENT).await.unwrap();
        database.sealed_by(key).await;
        assert_eq!(database.grants(), grants, "{key}");
        database.close().await;
    }
}

#[tokio::test]
async fn a603_a_grant_that_could_not_be_written_may_be_lost() {
    let root = tempfile::tempdir().unwrap();
    let database = filled(root.path()).await;
    execute(root.path(), "drop table presence").await;
    database.keep_presence(repository("app"), Digest::of(b"x"), None, at(1));
    database.flush().await;
    assert_eq!((database.writes_lost(), database.grants()), (1, Grants::AllThere));
    execute(root.path(), "drop table grants").await;
    database.keep_grants(vec![grant(b"child", b"root")], at(1));
    database.flush().await;
    assert_eq!((database.writes_lost(), database.grants()), (2, Grants::MayBeLost));
}

#[tokio::test]
async fn a603_of_a_large_repository_children_and_grants_are_read_by_an_index() {
    let root = tempfile::tempdir().unwrap();
    let database = filled(root.path()).await;
    database.close().await;
    let url = format!("sqlite://{}", root.path().join("cache.db").display());
    let mut connection = AnyConnection::connect(&url).await.unwrap();
    for (query, index) in [
        (
            "select child from children where repository = 'a' order by tried, stored desc limit 32",
            "children_next",
        ),
        (
            "select body from grants where repository = 'a' and child = 'b' order by proven desc, stored desc limit 64",
            "grants_of_child",
        ),
    ] {
        let plan = sqlx::query(AssertSqlSafe(format!("explain query plan {query}")));
        let plan: Vec<String> =
            plan.fetch_all(&mut connection).await.unwrap().iter().map(|row| row.get("detail")).collect();
        let plan = plan.join("; ");
        assert!(plan.contains(index) && !plan.contains("TEMP B-TREE") && !plan.contains("SCAN"), "{plan}");
    }
}

#[tokio::test]
async fn a603_a_database_of_an_earlier_release_is_taken_over_with_its_children() {
    let root = tempfile::tempdir().unwrap();
    let earlier = include_str!("../../migrations/0001_cache.sql");
    let database = Database::open(root.path(), PATIENT).await.unwrap();
    database.close().await;
    // Back to how the earlier release left it.
    let digest = |name: &[u8]| Digest::of(name).to_string();
    let grants: String = [(b"old".as_slice(), 1), (b"new", 2), (b"read", 3)]
        .map(|(child, stored)| {
            format!(
                "insert into grants values ('registry.example/app', '{}', 'r', 'child', '', x'', {stored});",
                digest(child)
            )
        })
        .concat();
    execute(
        root.path(),
        &format!(
            "drop table records; drop table grants; drop table tags; drop table presence; drop table children; \
             drop table standing; drop table evidence_blobs; delete from _sqlx_migrations where version > 1; \
             {earlier} {grants} insert into presence values ('registry.example/app', '{}', 1);",
            digest(b"read")
        ),
    )
    .await;
    let database = Database::open(root.path(), PATIENT).await.unwrap();
    assert_eq!(database.availability(), Availability::Ready);
    let children = database.children_of(&repository("app"), 32).await.unwrap();
    assert_eq!(children, [Digest::of(b"new"), Digest::of(b"old"), Digest::of(b"read")]);
    assert!(corrupt_files(root.path()).is_empty());
}

const _: () = assert!(LOOK_EVERY.as_secs() <= 60, "what vanished is noticed within a minute");
