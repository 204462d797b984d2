//! What hostile names make is bounded in rows and bytes, and pushes out no permit and no grant of others (A607, A608).

use super::*;
use crate::limits::{ROWS_PRUNED_AT_ONCE, UNPROVEN_ROWS_LEAST};

const MIB: u64 = 1024 * 1024;
/// Bounds that nothing here reaches.
const WIDE: Bounds = Bounds { rows: 1_000_000, unproven: 1_000_000, bytes: u64::MAX };

/// So many rows of each table that a denied request fills, younger than whatever else is there.
fn hostile(rows: u32) -> String {
    let from = |columns: &str| {
        format!(
            "with recursive n(x) as (select 1 union all select x + 1 from n where x < {rows}) select {columns} from n;"
        )
    };
    let name = "'registry.example/hostile-' || x";
    [
        "insert into presence (repository, digest, seen, granted) ".to_owned(),
        from(&format!("{name}, 'sha256:' || x, 9000 + x, 0")),
        "insert into records (kind, repository, key, revisions, body, mac, collected, stored, worth) "
            .to_owned(),
        from(&format!("'evidence', {name}, 'sha256:' || x, '', hex(zeroblob(200)), x'00', 1, 9000 + x, 0")),
        "insert into tags (repository, tag, accept, digest, seen) ".to_owned(),
        from(&format!("{name}, 'v' || x, '', 'sha256:' || x, 9000 + x")),
    ]
    .concat()
}

fn grant(name: u32, standing: GrantRank) -> GrantRow {
    GrantRow {
        repository: repository("app"),
        child: Digest::of(&name.to_be_bytes()),
        root: Digest::of(b"root"),
        role: Role::Blob,
        standing,
        sealed: sealed_as(&name.to_string()),
    }
}

/// A permit, its evidence, a hundred grants, and what lies there of them.
async fn keep_permitted(database: &Database) {
    database.keep((key("now"), Worth::Proven), sealed_as("permit"), at(1), at(1));
    let evidence = RecordKey { kind: RecordKind::Evidence, ..key("") };
    database.keep((evidence, Worth::Proven), sealed_as("evidence"), at(1), at(1));
    for n in 0..100 {
        // Before its grant and after it.
        if n < 50 {
            database.keep_presence(repository("app"), grant(n, GrantRank::Proven).child, None, at(1));
        }
        database.keep_grants(vec![grant(n, GrantRank::Proven)], at(1));
        if n >= 50 {
            database.keep_presence(repository("app"), grant(n, GrantRank::Proven).child, None, at(1));
        }
        database.flush().await;
    }
}

/// The same database with rows of hostile names. Nobody else writes there while it is open.
async fn with_hostile(database: Database, folder: &Path, rows: u32) -> Database {
    database.close().await;
    execute(folder, &hostile(rows)).await;
    Database::open(folder, PATIENT).await.unwrap()
}

async fn assert_permitted_is_there(database: &Database) {
    let evidence = RecordKey { kind: RecordKind::Evidence, ..key("") };
    assert!(database.find(&key("now")).await.unwrap().is_some());
    assert!(database.find(&evidence).await.unwrap().is_some());
    for n in 0..100 {
        let child = grant(n, GrantRank::Proven).child;
        assert_eq!(database.grants_for(&repository("app"), &child, "", 0).await.unwrap().len(), 1, "{n}");
        assert!(database.presence(&repository("app"), &child).await.unwrap().is_some(), "{n}");
    }
}

/// Prunes, and waits until that is written.
async fn prune(database: &Database, bounds: Bounds) {
    database.prune(bounds).await;
    database.flush().await;
}

async fn count(folder: &Path, table: &str) -> i64 {
    let url = format!("sqlite://{}", folder.join("cache.db").display());
    let mut connection = AnyConnection::connect(&url).await.unwrap();
    let sql = AssertSqlSafe(format!("select count(*) from {table}"));
    let count = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    count
}

#[tokio::test]
async fn a607_evidence_and_tags_of_a_permit_outlast_those_of_hostile_names() {
    let root = tempfile::tempdir().unwrap();
    let database = Database::open(root.path(), PATIENT).await.unwrap();
    let (signature, stray) = (Digest::of(b"signature"), Digest::of(b"stray"));
    let tag = |name: &str| TagKey {
        repository: repository("app"),
        tag: name.parse().unwrap(),
        accept: String::new(),
    };
    for digest in [key("now").key, signature, stray] {
        database.keep_presence(repository("app"), digest, None, at(1));
    }
    database.keep_tag(tag("before"), key("now").key, at(1)).await;
    database.keep_tag(tag("denied"), stray, at(1)).await;
    database.keep((key("now"), Worth::Proven), sealed_as("permit"), at(1), at(1));
    database.rest_on(repository("app"), vec![signature]);
    database.keep_tag(tag("after"), key("now").key, at(1)).await;
    database.flush().await;
    let database = with_hostile(database, root.path(), 3_000).await;
    for _ in 0..4 {
        prune(&database, Bounds { unproven: 100, ..WIDE }).await;
    }
    let there = async |digest| database.presence(&repository("app"), &digest).await.unwrap().is_some();
    assert!(there(signature).await && there(key("now").key).await && !there(stray).await);
    for (name, stays) in [("before", 1), ("after", 1), ("denied", 0)] {
        assert_eq!(count(root.path(), &format!("tags where tag = '{name}'")).await, stays, "{name}");
    }
    assert_eq!(count(root.path(), "tags where granted = 0").await, 100);
}

#[tokio::test]
async fn a607_rows_of_hostile_names_make_room_and_permits_and_grants_of_others_stay() {
    let root = tempfile::tempdir().unwrap();
    let database = Database::open(root.path(), PATIENT).await.unwrap();
    keep_permitted(&database).await;
    let database = with_hostile(database, root.path(), 20_000).await;
    prune(&database, WIDE).await;
    let before = database.fill().used;
    assert!(before > 12 * MIB, "{before}");
    prune(&database, Bounds { bytes: 8 * MIB, ..WIDE }).await;
    let fill = database.fill();
    assert!(fill.used <= 8 * MIB && fill.most == 8 * MIB, "{fill:?}");
    assert_permitted_is_there(&database).await;
    assert_eq!(database.grants(), Grants::AllThere);
    // Of what nothing rests on the youngest stay.
    for table in ["presence where seen > 28990", "records where stored > 28990", "tags where seen > 28990"] {
        assert_eq!(count(root.path(), table).await, 10, "{table}");
    }
}

#[tokio::test]
async fn a607_what_fits_stays_whoever_made_it() {
    let root = tempfile::tempdir().unwrap();
    let database = Database::open(root.path(), PATIENT).await.unwrap();
    keep_permitted(&database).await;
    let database = with_hostile(database, root.path(), 3_000).await;
    prune(&database, WIDE).await;
    let used = database.fill().used;
    prune(&database, Bounds { rows: 6_200, unproven: 3_000, bytes: used + used / 4 }).await;
    assert_permitted_is_there(&database).await;
    for (table, rows) in [("presence", 3_100), ("records", 3_002), ("tags", 3_000), ("grants", 100)] {
        assert_eq!(count(root.path(), table).await, rows, "{table}");
    }
}

#[tokio::test]
async fn a608_rows_that_nothing_rests_on_have_a_share_of_their_own() {
    let root = tempfile::tempdir().unwrap();
    let database = Database::open(root.path(), PATIENT).await.unwrap();
    keep_permitted(&database).await;
    let database = with_hostile(database, root.path(), 5_000).await;
    for (unproven, stay) in [(5_000, 5_000), (4_999, 4_999), (100, 100)] {
        prune(&database, Bounds { unproven, ..WIDE }).await;
        assert_eq!(count(root.path(), "presence where granted = 0").await, stay);
        assert_eq!(count(root.path(), "records where worth = 0").await, stay);
        assert_eq!(count(root.path(), "tags").await, stay);
    }
    assert_permitted_is_there(&database).await;
}

#[tokio::test]
async fn a607_what_was_let_through_goes_first_and_a_fresh_grant_is_reported() {
    for (stored, grants) in [(at(1), Grants::AllThere), (Timestamp::now(), Grants::MayBeLost)] {
        let root = tempfile::tempdir().unwrap();
        let database = Database::open(root.path(), PATIENT).await.unwrap();
        keep_permitted(&database).await;
        for n in 1_000..1_200 {
            database.keep_grants(vec![grant(n, GrantRank::LetThrough)], stored);
        }
        database.flush().await;
        prune(&database, Bounds { rows: 300, ..WIDE }).await;
        assert_eq!((count(root.path(), "grants").await, database.grants()), (300, Grants::AllThere));
        prune(&database, Bounds { rows: 150, ..WIDE }).await;
        assert_eq!((count(root.path(), "grants").await, database.grants()), (150, grants));
        assert_permitted_is_there(&database).await;
    }
}

#[tokio::test]
async fn a607_a_database_is_shrunk_in_steps_between_which_others_write() {
    let root = tempfile::tempdir().unwrap();
    let database = Database::open(root.path(), PATIENT).await.unwrap();
    let database = Arc::new(with_hostile(database, root.path(), 20_000).await);
    let pruning = {
        let database = Arc::clone(&database);
        tokio::spawn(async move { prune(&database, Bounds { unproven: 0, ..WIDE }).await })
    };
    let mut left = Vec::new();
    while !pruning.is_finished() {
        database.keep_presence(repository("between"), Digest::of(b"x"), None, at(1));
        database.flush().await;
        left.push(count(root.path(), "tags").await);
    }
    pruning.await.unwrap();
    assert_eq!(count(root.path(), "tags").await, 0);
    assert!(left.windows(2).any(|pair| pair[0] != pair[1] && pair[1] > 0), "{left:?}");
    const { assert!(ROWS_PRUNED_AT_ONCE * 4 < 20_000 && UNPROVEN_ROWS_LEAST < 20_000) };
}
