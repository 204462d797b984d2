//! The log as it is read: beside the gate that writes it, the roll-up, and what an earlier release left.

use sqlx::Row as _;

use super::*;
use crate::read::{Filter, Found, Glob, ReadError, Reader, Search, Total};
use crate::record::Signer;

/// A pull of an image by a client, on a day.
fn pull(day: i64, image: &str, client: &str, verdict: Word) -> Record {
    let mut record = record();
    record.time = Timestamp::from_second(1_800_000_000 + day * 86_400).unwrap();
    record.verdict = verdict;
    record.repository = format!("registry.test/org/{image}");
    record.reference = "v1".to_owned();
    record.digest = Some(format!("sha256:{image}"));
    record.client = Some(Client {
        address: format!("{client}:50000"),
        forwarded: None,
        names: vec!["node".to_owned()],
        user_agent: "containerd".to_owned(),
    });
    match verdict {
        Word::Permit => record.identities.push("release@corp.example".to_owned()),
        Word::Deny | Word::Missing | Word::Refused | Word::Undecided => {
            let code = "no-signature".to_owned();
            record.reasons.push(Reason { code, location: None, text: String::new() });
            let by = "mallory@corp.example".to_owned();
            record.signers.push(Signer {
                by,
                layout: String::new(),
                attests: None,
                authorities: vec![],
                code: None,
                identity: None,
                logged: false,
            });
        }
    }
    record
}

async fn filled(folder: &Path) -> Audit {
    let audit = settings(AuditLog::File(folder.join("log"))).start(&folder.join("audit.db")).await.unwrap();
    for day in 0..3 {
        for n in 0..100 {
            let client = format!("10.0.0.{}", n % 4);
            audit.write(pull(day, if n % 10 == 0 { "b" } else { "a" }, &client, Word::Permit)).await.unwrap();
        }
        audit.write(pull(day, "c", "10.0.0.9", Word::Deny)).await.unwrap();
    }
    audit.flush().await;
    audit
}

async fn reader(folder: &Path) -> Reader {
    Reader::open(&folder.join("audit.db")).await.unwrap()
}

async fn all(mut search: Search) -> Vec<Found> {
    let mut found = Vec::new();
    while let Some(one) = search.next().await.unwrap() {
        found.push(one);
    }
    found
}

#[tokio::test]
async fn the_roll_up_counts_what_the_rows_say() {
    let folder = tempfile::tempdir().unwrap();
    let audit = filled(folder.path()).await;
    let reader = reader(folder.path()).await;
    let mut sums = reader.sums(Filter::default());
    let (mut requests, mut of_c) = (0, Vec::new());
    while let Some(sum) = sums.next().await.unwrap() {
        requests += sum.count;
        if sum.facts.repository.ends_with("/c") {
            of_c.push((sum.count, sum.facts.client, sum.facts.code, sum.facts.signers, sum.facts.agent));
        }
    }
    assert_eq!(requests, 303);
    let one = ["10.0.0.9", "no-signature", "mallory@corp.example", "containerd"].map(str::to_owned);
    let [client, code, signers, agent] = one;
    assert_eq!(of_c, vec![(1, client, code, signers, agent); 3]);
    // Two images by four clients, and the third by one, on each of three days: not a row for each pull.
    assert!(count(folder.path(), "select count(*) from days").await <= 3 * (4 + 4 + 1));
    let hot = "select count(*) from pragma_index_list('audit')";
    assert_eq!(count(folder.path(), hot).await, 0, "the hot table has no secondary index");
    assert_eq!(count(folder.path(), "select sum(count) from rollup where repository like '%/b'").await, 30);
    assert_eq!(count(folder.path(), "select count(*) from pulls where client = '10.0.0.9'").await, 3);
    drop(audit);
}

#[tokio::test]
async fn a_search_finds_each_record_by_what_is_asked_newest_first() {
    let folder = tempfile::tempdir().unwrap();
    let audit = filled(folder.path()).await;
    let reader = reader(folder.path()).await;
    let day = |day: i64| Timestamp::from_second(1_800_000_000 + day * 86_400).unwrap();
    let text = |text: &str| Some(text.to_owned());
    let cases = [
        (Filter::default(), 303),
        (Filter { repository: Some(Glob::new("registry.test/org/b")), ..Filter::default() }, 30),
        (Filter { repository: Some(Glob::new("*/org/*")), ..Filter::default() }, 303),
        (Filter { digest: text("sha256:c"), ..Filter::default() }, 3),
        (Filter { tag: text("v2"), ..Filter::default() }, 0),
        (Filter { client: text("10.0.0.1"), ..Filter::default() }, 75),
        (Filter { client: text("node"), ..Filter::default() }, 303),
        (Filter { identity: Some(Glob::new("mall*@corp.example")), ..Filter::default() }, 3),
        (Filter { identity: Some(Glob::new("corp.example")), ..Filter::default() }, 0),
        (Filter { verdict: Some(Word::Deny), ..Filter::default() }, 3),
        (Filter { code: text("no-signature"), since: Some(day(1)), ..Filter::default() }, 2),
        (Filter { since: Some(day(1)), until: Some(day(2)), ..Filter::default() }, 101),
    ];
    for (filter, expected) in cases {
        let found = all(reader.search(filter.clone()).await.unwrap()).await;
        assert_eq!(found.len(), expected, "{filter:?}");
        assert!(found.is_sorted_by_key(|found| std::cmp::Reverse(found.position)), "{filter:?}");
        let (Total::Exactly(total) | Total::AtMost(total)) = reader.total(&filter).await.unwrap();
        assert!(total >= expected as u64, "{filter:?}");
    }
    assert_eq!(reader.total(&Filter::default()).await.unwrap(), Total::Exactly(303));
    let denied =
        all(reader.search(Filter { verdict: Some(Word::Deny), ..Filter::default() }).await.unwrap()).await;
    let short: String = denied[0].record.id.chars().take(12).collect();
    assert_eq!(reader.shown(&short).await.unwrap().len(), 1, "by what a developer was shown");
    assert!(reader.shown("000000000000").await.unwrap().is_empty());
    drop(audit);
}

#[tokio::test]
async fn a_copy_in_a_folder_that_cannot_be_written_is_read_and_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path()).await);
    wait_until(|| !folder.path().join("audit.db-wal").exists()).await;
    let copy = folder.path().join("copy.db");
    std::fs::copy(folder.path().join("audit.db"), &copy).unwrap();
    let reader = Reader::open(&copy).await.unwrap();
    assert_eq!(all(reader.search(Filter::default()).await.unwrap()).await.len(), 303);
    assert!(matches!(Reader::open(&folder.path().join("none")).await, Err(ReadError::Missing(_))));
    std::fs::write(folder.path().join("log.db"), b"no database, but a file").unwrap();
    assert!(matches!(Reader::open(&folder.path().join("log.db")).await, Err(ReadError::Unreadable(_))));
}

/// A file as the release before this one left it: by its migrations, with rows by its columns.
async fn old(file: &Path, lines: &[String]) {
    let sqlite = pullgate_store::sqlite::Sqlite {
        file: file.to_owned(),
        pragmas: "pragma journal_mode = wal;",
        lock_wait: Duration::from_secs(60),
        schema: &[
            ("audit", include_str!("../../migrations/0001_audit.sql")),
            ("refused", include_str!("../../migrations/0002_refused.sql")),
        ],
        strange: pullgate_store::sqlite::Strange::StaysThere,
    };
    sqlite.prepare().await.unwrap();
    let mut connection = connect(file).await;
    for line in lines {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
        let time: Timestamp = text("time").parse().unwrap();
        sqlx::query("insert into audit (id, time, kind, verdict, repository, digest, record) values ($1, $2, $3, $4, $5, $6, $7)")
            .bind(text("id"))
            .bind(time.as_millisecond())
            .bind(text("kind"))
            .bind(text("verdict"))
            .bind(text("repository"))
            .bind(text("digest"))
            .bind(line.clone())
            .execute(&mut connection)
            .await
            .unwrap();
    }
    connection.close().await.unwrap();
}

#[tokio::test]
async fn rows_of_an_earlier_release_are_carried_over_in_their_order_and_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.db");
    let mut lines: Vec<String> = Vec::new();
    for n in 0..1_800_u64 {
        let mut record = pull(i64::try_from(n / 600).unwrap(), "a", "10.0.0.1", Word::Permit);
        record.sequence = n + 1;
        lines.push(record.into_line());
    }
    // A line as that release wrote it: without what is new in this one.
    assert!(lines.iter().all(|line| !line.contains("\"gate\"") && !line.contains("\"story\"")));
    old(&file, &lines).await;
    assert!(matches!(Reader::open(&file).await, Err(ReadError::Older(_))), "nothing has read it yet");
    let keeping = Settings {
        retain: Duration::from_secs(365 * 86_400),
        ..settings(AuditLog::File("/dev/null".into()))
    };
    let audit = keeping.start(&file).await.unwrap();
    audit.write(pull(3, "b", "10.0.0.1", Word::Permit)).await.unwrap();
    audit.flush().await;
    let reader = Reader::open(&file).await.unwrap();
    let begun = std::time::Instant::now();
    while reader.not_carried_over().await.unwrap() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(120), "it is not carried over");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let found = all(reader.search(Filter::default()).await.unwrap()).await;
    let numbers: Vec<u64> = found.iter().map(|found| found.record.sequence).collect();
    assert_eq!(numbers, (1..=1_801).rev().collect::<Vec<_>>(), "the numbers go on");
    assert!(found.iter().rev().zip(&lines).all(|(found, line)| found.line == *line));
    assert_eq!(reader.total(&Filter::default()).await.unwrap(), Total::Exactly(1_801));
    let mut connection = connect(&file).await;
    let tables = sqlx::query("select name from sqlite_master where type = 'table'")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    let names: Vec<String> = tables.iter().map(|row| row.try_get(0).unwrap()).collect();
    assert!(!names.iter().any(|name| name == "audit_before"), "{names:?}");
    drop(audit);
}

#[tokio::test]
async fn a606_a_row_whose_commit_is_in_doubt_is_there_once() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit.log");
    let audit = settings(AuditLog::File(log.clone())).start(&folder.path().join("audit.db")).await.unwrap();
    // What is read from its line comes by the queue as well.
    for n in 0..50 {
        if n % 5 == 0 {
            queues(&audit).pulls.standing.fall_behind();
        }
        audit.write(record()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    audit.flush().await;
    assert_eq!((rows(folder.path()).await, lines(&log).len()), (50, 50));
    assert_eq!(count(folder.path(), "select count(distinct id) from audit").await, 50);
}
