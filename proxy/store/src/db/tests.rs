use super::*;
use std::path::PathBuf;
use std::time::Duration;

use pullgate_policy::grant::Role;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};

/// For tests that are about no wait: a busy machine is no reason to fail.
const PATIENT: Waits = Waits::all(Duration::from_secs(120));

mod bounds;
mod known;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn repository(name: &str) -> Repository {
    format!("registry.example/{name}").parse().unwrap()
}

fn sealed_as(body: &str) -> Sealed {
    Sealed { body: body.to_owned(), mac: vec![0, 1, 255] }
}

fn key(revisions: &str) -> RecordKey {
    RecordKey {
        kind: RecordKind::Permit,
        repository: repository("app"),
        key: Digest::of(b"subject"),
        revisions: revisions.to_owned(),
    }
}

async fn execute(folder: &Path, sql: &str) {
    let url = format!("sqlite://{}", folder.join("cache.db").display());
    let mut connection = AnyConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

fn corrupt_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("cache.db.corrupt-"))
        .filter(|path| !path.to_str().unwrap().ends_with("-wal") && !path.to_str().unwrap().ends_with("-shm"))
        .collect()
}

#[tokio::test]
async fn a_record_is_found_under_its_very_key_and_after_a_restart() {
    let root = tempfile::tempdir().unwrap();
    let database = Database::open(root.path(), PATIENT).await.unwrap();
    database.keep((key("one"), Worth::Proven), sealed_as("first"), at(1), at(2));
    assert_eq!(database.find(&key("one")).await.unwrap(), Some(sealed_as("first")));
    database.keep((key("one"), Worth::Proven), sealed_as("second"), at(1), at(3));
    assert_eq!(database.find(&key("one")).await.unwrap(), Some(sealed_as("second")));
    assert_eq!(database.find(&key("two")).await.unwrap(), None);
    assert_eq!(database.find(&RecordKey { kind: RecordKind::Evidence, ..key("one") }).await.unwrap(), None);
    assert_eq!(database.find(&RecordKey { repository: repository("b"), ..key("one") }).await.unwrap(), None);
    assert_eq!(database.find(&RecordKey { key: Digest::of(b"other"), ..key("one") }).await.unwrap(), None);
    database.close().await;
    let database = Database::open(root.path(), PATIENT).await.unwrap();
    assert_eq!(database.find(&key("one")).await.unwrap(), Some(sealed_as("second")));
    database.forget(key("one"));
    assert_eq!(database.find(&key("one")).await.unwrap(), None);
    assert_eq!((database.reads_failed(), database.writes_lost()), (0, 0));
}

#[tokio::test]
async fn a_grant_is_found_by_the_request_right_after_its_manifest() {
    let root = tempfile::tempdir().unwrap();
    let database = Database::open(root.path(), PATIENT).await.unwrap();
    let row = |n: u32| GrantRow {
        repository: repository("app"),
        child: Digest::of(&n.to_be_bytes()),
        root: Digest::of(b"root"),
        role: Role::Blob,
        standing: GrantRank::Proven,
        sealed: sealed_as(&n.to_string()),
    };
    database.keep_grants((0..250).map(row).collect(), at(1));
    for n in [0, 99, 100, 249] {
        let found = database.grants_for(&repository("app"), &row(n).child, "", 0).await.unwrap();
        assert_eq!(found, [sealed_as(&n.to_string())]);
    }
    assert!(database.grants_for(&repository("other"), &row(0).child, "", 0).await.unwrap().is_empty());
}

fn grant_of_base_layer(n: usize, standing: GrantRank) -> GrantRow {
    let root = Digest::of(&n.to_be_bytes());
    let (repository, child, sealed) =
        (repository("app"), Digest::of(b"base layer"), sealed_as(&n.to_string()));
    GrantRow { repository, child, root, role: Role::Blob, standing, sealed }
}

#[tokio::test]
async fn a616_grants_come_permitted_first_then_proven_then_newest_page_by_page() {
    let root = tempfile::tempdir().unwrap();
    let database = Database::open(root.path(), PATIENT).await.unwrap();
    let most = GRANTS_READ + 10;
    for n in 0..most {
        let standing = if n == 3 { GrantRank::Proven } else { GrantRank::LetThrough };
        database.keep_grants(vec![grant_of_base_layer(n, standing)], at(i64::try_from(n).unwrap()));
    }
    // What was proven stays so, and is not newer than it is.
    database.keep_grants(vec![grant_of_base_layer(3, GrantRank::LetThrough)], at(3));
    let permit = RecordKey { key: Digest::of(&7_usize.to_be_bytes()), ..key("now") };
    database.keep((permit, Worth::Proven), sealed_as("permit"), at(1), at(1));
    let (repository, child) = (repository("app"), Digest::of(b"base layer"));
    let mut found = database.grants_for(&repository, &child, "now", 0).await.unwrap();
    assert_eq!(found.len(), GRANTS_READ);
    found.extend(database.grants_for(&repository, &child, "now", GRANTS_READ).await.unwrap());
    let mut expected = vec![7, 3];
    expected.extend((0..most).rev().filter(|n| ![7, 3].contains(n)));
    let expected: Vec<_> = expected.into_iter().map(|n| sealed_as(&n.to_string())).collect();
    assert_eq!(found, expected);
    assert_eq!(
        database.grants_for(&repository, &child, "then", 0).await.unwrap().first(),
        Some(&sealed_as("3"))
    );
}

#[tokio::test]
async fn a616_a_database_of_an_earlier_release_keeps_its_grants() {
    let root = tempfile::tempdir().unwrap();
    let database = Database::open(root.path(), PATIENT).await.unwrap();
    database.keep_grants(vec![grant_of_base_layer(1, GrantRank::LetThrough)], at(1));
    database.close().await;
    let earlier = "drop index grants_of_child; drop index grants_next; alter table grants drop column proven; \
                   delete from _sqlx_migrations where version = 2";
    execute(root.path(), earlier).await;
    let database = Database::open(root.path(), PATIENT).await.unwrap();
    let found = database.grants_for(&repository("app"), &Digest::of(b"base layer"), "", 0).await.unwrap();
    assert_eq!(found, [sealed_as("1")]);
    assert!(corrupt_files(root.path()).is_empty());
}

#[tokio::test]
async fn of_too_many_rows_the_oldest_go() {
    let root = tempfile::tempdir().unwrap();
    let database = Database::open(root.path(), PATIENT).await.unwrap();
    let blob = |n: i64| Digest::of(&n.to_be_bytes());
    // The newest were written first: age is what counts.
    for n in (0..10).rev() {
        database.keep_presence(repository("app"), blob(n), None, at(n));
    }
    for (unproven, oldest) in [(10, 0), (4, 6), (4, 6)] {
        database.prune(Bounds { rows: 100, unproven, bytes: u64::MAX }).await;
        database.flush().await;
        for n in 0..10 {
            let known = database.presence(&repository("app"), &blob(n)).await.unwrap().is_some();
            assert_eq!(known, n >= oldest, "{n} of {unproven}");
        }
    }
}

#[tokio::test]
async fn a_tag_tells_what_it_was_before() {
    let root = tempfile::tempdir().unwrap();
    let database = Database::open(root.path(), PATIENT).await.unwrap();
    let tag = TagKey { repository: repository("app"), tag: "v1".parse().unwrap(), accept: "a".to_owned() };
    let (one, two) = (Digest::of(b"one"), Digest::of(b"two"));
    assert_eq!(database.keep_tag(tag.clone(), one, at(1)).await, None);
    assert_eq!(database.keep_tag(tag.clone(), two, at(2)).await, Some(one));
    assert_eq!(database.tag(&tag).await.unwrap(), Some(TagSeen { digest: two, seen: at(2) }));
    assert_eq!(database.tag(&TagKey { accept: "b".to_owned(), ..tag }).await.unwrap(), None);
}

#[tokio::test]
async fn a026_presence_is_remembered_per_repository() {
    let root = tempfile::tempdir().unwrap();
    let database = Database::open(root.path(), PATIENT).await.unwrap();
    let blob = Digest::of(b"blob");
    database.keep_presence(repository("a"), blob, None, at(5));
    assert_eq!(database.presence(&repository("a"), &blob).await.unwrap(), Some(at(5)));
    assert_eq!(database.presence(&repository("b"), &blob).await.unwrap(), None);
}

#[tokio::test]
async fn a503_a_corrupt_file_is_moved_aside_and_a_new_one_begun() {
    for damage in ["garbage", "truncated", "page"] {
        let root = tempfile::tempdir().unwrap();
        let database = Database::open(root.path(), PATIENT).await.unwrap();
        for n in 0..200 {
            database.keep((key(&n.to_string()), Worth::Proven), sealed_as(&"x".repeat(200)), at(1), at(1));
        }
        database.close().await;
        let file = root.path().join("cache.db");
        let mut bytes = std::fs::read(&file).unwrap();
        match damage {
            "garbage" => bytes = vec![7; 8192],
            "truncated" => bytes.truncate(9_000),
            _ => bytes[8192..12_288].fill(0xee),
        }
        std::fs::write(&file, bytes).unwrap();
        let database = Database::open(root.path(), PATIENT).await.unwrap();
        assert_eq!(database.availability(), Availability::Ready, "{damage}");
        assert_eq!(database.find(&key("1")).await.unwrap(), None, "{damage}");
        assert_eq!(corrupt_files(root.path()).len(), 1, "{damage}");
        database.keep((key("1"), Worth::Proven), sealed_as("new"), at(1), at(1));
        assert_eq!(database.find(&key("1")).await.unwrap(), Some(sealed_as("new")), "{damage}");
    }
}

#[tokio::test]
async fn a503_an_empty_file_is_a_new_one_and_a_link_is_moved_aside() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("cache.db");
    std::fs::write(&file, b"").unwrap();
    let database = Database::open(root.path(), PATIENT).await.unwrap();
    assert_eq!(database.availability(), Availability::Ready);
    database.close().await;
    let elsewhere = root.path().join("elsewhere");
    std::fs::rename(&file, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
    let database = Database::open(root.path(), PATIENT).await.unwrap();
    assert_eq!(database.availability(), Availability::Ready);
    assert!(std::fs::symlink_metadata(&file).unwrap().is_file());
}

#[tokio::test]
async fn a503_a_newer_schema_is_refused_and_left_alone() {
    let root = tempfile::tempdir().unwrap();
    Database::open(root.path(), PATIENT).await.unwrap().close().await;
    let newer = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
                 values (99, 'later', true, x'00', 1)";
    execute(root.path(), newer).await;
    assert!(matches!(Database::open(root.path(), PATIENT).await, Err(DatabaseError::Newer(99))));
    assert!(corrupt_files(root.path()).is_empty());
}

#[tokio::test]
async fn a501_without_a_file_reads_find_nothing_and_writes_are_counted() {
    let root = tempfile::tempdir().unwrap();
    let database = Database::open(&root.path().join("missing"), PATIENT).await.unwrap();
    assert_eq!(database.availability(), Availability::Unavailable);
    database.keep((key("one"), Worth::Proven), sealed_as("x"), at(1), at(1));
    let tag = TagKey { repository: repository("app"), tag: "v1".parse().unwrap(), accept: String::new() };
    assert_eq!(database.keep_tag(tag.clone(), Digest::of(b"one"), at(1)).await, None);
    assert_eq!(database.find(&key("one")).await.unwrap(), None);
    assert_eq!(database.tag(&tag).await.unwrap(), None);
    assert!(database.grants_for(&repository("app"), &Digest::of(b"x"), "", 0).await.unwrap().is_empty());
    assert_eq!(database.writes_lost(), 2);
    database.close().await;
}

#[tokio::test]
async fn a603_a_row_that_cannot_be_read_is_unknown_and_counted() {
    let root = tempfile::tempdir().unwrap();
    let database = Database::open(root.path(), PATIENT).await.unwrap();
    database.keep((key("one"), Worth::Proven), sealed_as("x"), at(1), at(1));
    database.flush().await;
    execute(root.path(), "update records set body = 1.5, mac = 'text'").await;
    assert_eq!(database.find(&key("one")).await, Err(Unknown::read()));
    assert_eq!(database.availability(), Availability::Unreadable);
    assert_eq!(database.reads_failed(), 1);
}

#[tokio::test]
async fn a503_a_file_locked_by_another_process_costs_the_write_not_the_pull() {
    let root = tempfile::tempdir().unwrap();
    let database = Database::open(root.path(), PATIENT).await.unwrap();
    database.keep((key("one"), Worth::Proven), sealed_as("x"), at(1), at(1));
    database.flush().await;
    // It waits for no lock. Nobody gives this one back before its answers are here.
    let hasty = Database::open(root.path(), Waits { read: Duration::ZERO, ..PATIENT }).await.unwrap();
    assert_eq!(hasty.availability(), Availability::Ready);
    let url = format!("sqlite://{}", root.path().join("cache.db").display());
    let mut other = AnyConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("begin exclusive").execute(&mut other).await.unwrap();
    hasty.keep((key("two"), Worth::Proven), sealed_as("x"), at(1), at(1));
    let _ = hasty.find(&key("one")).await;
    hasty.flush().await;
    assert_eq!(hasty.writes_lost(), 1);
    sqlx::raw_sql("rollback").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    assert_eq!(database.find(&key("one")).await.unwrap(), Some(sealed_as("x")));
}

#[tokio::test]
async fn a_full_queue_loses_writes_and_counts_them() {
    let root = tempfile::tempdir().unwrap();
    let database = Database::open(root.path(), PATIENT).await.unwrap();
    // The writer's task does not run while this one does not wait.
    for n in 0..=crate::limits::WRITE_QUEUE {
        database.keep((key(&n.to_string()), Worth::Proven), sealed_as("x"), at(1), at(1));
    }
    assert_eq!(database.writes_lost(), 1);
    database.flush().await;
    assert_eq!(database.find(&key("1023")).await.unwrap(), Some(sealed_as("x")));
    assert_eq!(database.find(&key("1024")).await.unwrap(), None);
}

#[tokio::test]
async fn a507_the_files_are_ours_alone() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let database = Database::open(root.path(), PATIENT).await.unwrap();
    database.keep((key("one"), Worth::Proven), sealed_as("x"), at(1), at(1));
    database.flush().await;
    for name in ["cache.db", "cache.db-wal", "cache.db-shm"] {
        let mode = std::fs::metadata(root.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn children_of_a_repository_are_found_the_unread_first() {
    let root = tempfile::tempdir().unwrap();
    let database = Database::open(root.path(), PATIENT).await.unwrap();
    let row = |name: &[u8], role| GrantRow {
        repository: repository("app"),
        child: Digest::of(name),
        root: Digest::of(b"root"),
        role,
        standing: GrantRank::Proven,
        sealed: sealed_as("x"),
    };
    database.keep_grants(
        vec![row(b"read", Role::Child), row(b"unread", Role::Child), row(b"layer", Role::Blob)],
        at(1),
    );
    database.keep_presence(repository("app"), Digest::of(b"read"), None, at(1));
    let found = database.children_of(&repository("app"), 32).await.unwrap();
    assert_eq!(found, [Digest::of(b"unread"), Digest::of(b"read")]);
    assert_eq!(database.children_of(&repository("app"), 1).await.unwrap(), [Digest::of(b"unread")]);
    assert!(database.children_of(&repository("other"), 32).await.unwrap().is_empty());
}
