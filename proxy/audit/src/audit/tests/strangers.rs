//! What strangers cause has room of its own (A606).

use super::*;
use crate::limits;

fn refusal(client: &str, code: &str, repository: &str) -> Record {
    let mut record = record();
    record.kind = Kind::Manifest;
    record.verdict = Word::Deny;
    record.client = Some(Client {
        address: client.to_owned(),
        forwarded: None,
        names: Vec::new(),
        user_agent: "a".repeat(900),
    });
    record.repository = repository.to_owned();
    record.reference = "v1".to_owned();
    record.reasons = vec![Reason { code: code.to_owned(), location: None, text: String::new() }];
    record
}

fn beside(log: &Path) -> PathBuf {
    PathBuf::from(format!("{}.refused", log.display()))
}

async fn refused_rows(folder: &Path) -> i64 {
    count(folder, "select count(*) from refused").await
}

#[tokio::test]
async fn a606_beside_a_flood_of_refused_requests_each_pull_has_its_line_and_its_row() {
    for on_failure in [OnFailure::Count, OnFailure::Refuse] {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("audit.log");
        let audit = start(AuditLog::File(log.clone()), on_failure, folder.path()).await;
        let flood = 20_000;
        for n in 0..flood {
            let stranger = refusal("192.0.2.1:1", "scope-unmatched", &format!("registry.test/other/app-{n}"));
            audit.write_refusal(Refused::Unasked, stranger).await.unwrap();
            if n % 26 == 0 && n / 26 < 744 {
                audit.write(record()).await.unwrap();
            }
        }
        audit.flush().await;
        let lines = lines(&log);
        assert_eq!((lines.len(), rows(folder.path()).await), (744, 744), "{on_failure:?}");
        assert!(lines.iter().all(|line| line["verdict"] == "permit"));
        let sequence = |line: &serde_json::Value| line["sequence"].as_u64().unwrap();
        assert!(lines.iter().map(sequence).eq(1..=744), "numbered through");
        let told = super::lines(&beside(&log));
        let count = |line: &serde_json::Value| line["count"].as_u64().unwrap_or(1);
        assert_eq!(told.iter().map(count).sum::<u64>(), flood, "each is told of, by itself or in a sum");
        let most = limits::AUDIT_REFUSALS_OF_A_CLIENT + limits::AUDIT_TALLY_SUMS as u64 + 1;
        assert!(told.len() as u64 <= most, "{}", told.len());
        assert_eq!(refused_rows(folder.path()).await, i64::try_from(told.len()).unwrap());
    }
}

#[tokio::test]
async fn a606_a_few_refusals_have_a_record_each_and_more_are_one_sum_with_their_count() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit.log");
    let audit = start(AuditLog::File(log.clone()), OnFailure::Count, folder.path()).await;
    for n in 0..limits::AUDIT_REFUSALS_OF_ONE + 7 {
        let stranger = refusal(&format!("192.0.2.1:{n}"), "scope-unmatched", "registry.test/other/app");
        audit.write_refusal(Refused::Unasked, stranger).await.unwrap();
    }
    audit.flush().await;
    let told = lines(&beside(&log));
    assert_eq!(told.len() as u64, limits::AUDIT_REFUSALS_OF_ONE + 1);
    let sum = told.last().unwrap();
    for (key, value) in [
        ("kind", "refusals".into()),
        ("count", 7.into()),
        ("repository", "registry.test/other/app".into()),
        ("verdict", "deny".into()),
        ("client", serde_json::json!({ "address": "192.0.2.1", "user_agent": "" })),
        ("since", told[0]["time"].clone()),
    ] {
        assert_eq!(sum[key], value, "{key}: {sum}");
    }
    assert_eq!(sum["reasons"][0]["code"], "scope-unmatched");
    assert!(!std::fs::exists(&log).unwrap() || lines(&log).is_empty(), "none of it in the log of pulls");
}

#[tokio::test]
async fn a606_refusals_under_a_policy_have_records_of_their_own_among_the_pulls() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit.log");
    let audit = start(AuditLog::File(log.clone()), OnFailure::Count, folder.path()).await;
    for n in 0..limits::AUDIT_DENIALS_OF_ONE + 2 {
        let denied = refusal("192.0.2.1:1", "no-signature", "registry.test/org/app");
        audit.write_refusal(Refused::Governed, denied).await.unwrap();
        if n % 500 == 0 {
            queues(&audit).pulls.flush().await;
        }
    }
    audit.flush().await;
    let told = lines(&log);
    assert_eq!(
        told.iter().filter(|line| line["kind"] == "manifest").count() as u64,
        limits::AUDIT_DENIALS_OF_ONE
    );
    assert_eq!(
        (&told.last().unwrap()["kind"], &told.last().unwrap()["count"]),
        (&"refusals".into(), &2.into())
    );
    assert_eq!(rows(folder.path()).await as usize, told.len());
}

#[test]
fn a606_records_of_what_does_not_exist_are_bounded_for_each_client() {
    let tally = Tally::new(Budget::MISSING);
    let made_up =
        |client: &str, n: u64| refusal(client, "manifest-unknown", &format!("registry.test/org/{n}"));
    let asked = limits::AUDIT_MISSING_OF_A_CLIENT * 3;
    let told = (0..asked).filter(|n| tally.take(made_up("192.0.2.1:1", *n)).is_some()).count() as u64;
    assert_eq!(told, limits::AUDIT_MISSING_OF_A_CLIENT);
    assert!(tally.take(made_up("192.0.2.2:1", 1)).is_some(), "another has its own");
    let counted: u64 = tally.drain(Timestamp::UNIX_EPOCH).iter().map(|sum| sum.count).sum();
    assert_eq!(told + counted, asked);
}

#[tokio::test]
async fn a606_refusals_leave_half_the_queue_to_what_is_served() {
    let folder = tempfile::tempdir().unwrap();
    // A pipe that nobody reads: the writer stands still.
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = std::fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let audit = start(AuditLog::File(pipe), OnFailure::Count, folder.path()).await;
    // Another repository each time: no sum takes them.
    for n in 0..AUDIT_QUEUE * 2 {
        let denied =
            refusal(&format!("192.0.2.{}:1", n % 250), "no-signature", &format!("registry.test/org/{n}"));
        audit.write_refusal(Refused::Governed, denied).await.unwrap();
    }
    let lost = queues(&audit).pulls.standing.lost();
    assert!(lost > 0, "they are more than they may be");
    for _ in 0..AUDIT_QUEUE / 2 {
        audit.write(record()).await.unwrap();
    }
    assert_eq!(queues(&audit).pulls.standing.lost(), lost, "none of what is served is lost for them");
    drop(reader);
}

#[test]
fn a606_the_table_of_sums_is_bounded_with_one_sum_for_each_code_beyond() {
    let tally = Tally::new(Budget::STRANGERS);
    let clients = limits::AUDIT_TALLY_SUMS * 4;
    let mut told = 0;
    for n in 0..clients {
        for _ in 0..3 {
            let address = format!("[2001:db8:0:{n:x}::1]:5");
            let stranger = refusal(&address, "unauthenticated", &format!("registry.test/{n}"));
            told += u64::from(tally.take(stranger).is_some());
        }
    }
    assert!(told <= limits::AUDIT_REFUSALS, "{told}");
    let sums = tally.drain(Timestamp::UNIX_EPOCH);
    assert!(sums.len() <= limits::AUDIT_TALLY_SUMS + 1, "{}", sums.len());
    let counted: u64 = sums.iter().map(|sum| sum.count).sum();
    assert_eq!(told + counted, clients as u64 * 3, "nothing is lost");
    let others: Vec<_> = sums.iter().filter(|sum| sum.client.is_none()).collect();
    assert_eq!((others.len(), others[0].repository.as_str()), (1, ""));
    assert!(tally.drain(Timestamp::UNIX_EPOCH).is_empty(), "a new minute");
}

#[test]
fn a606_addresses_of_one_ipv6_network_are_one_client_and_others_keep_their_room() {
    let tally = Tally::new(Budget::STRANGERS);
    let mut told = 0;
    for n in 0..limits::AUDIT_REFUSALS_OF_A_CLIENT * 2 {
        let stranger =
            refusal(&format!("[2001:db8::{n:x}]:5"), "unauthenticated", &format!("registry.test/{}", n % 50));
        told += u64::from(tally.take(stranger).is_some());
    }
    assert_eq!(told, limits::AUDIT_REFUSALS_OF_A_CLIENT);
    assert!(tally.take(refusal("192.0.2.1:7", "unauthenticated", "registry.test/app")).is_some());
}

#[tokio::test]
async fn a606_what_strangers_cause_is_rotated_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log.refused");
    let mut log = Log::open(AuditLog::File(path.clone()), Rotation::STRANGERS).unwrap().0.with_file_bytes(10);
    for n in 0..9 {
        log.append(&format!("{n:010}\n")).unwrap();
    }
    let left = |n: u32| std::fs::read_to_string(format!("{}.{n}", path.display()));
    assert_eq!((left(1).unwrap().as_str(), left(3).unwrap().as_str()), ("0000000008\n", "0000000006\n"));
    assert!(left(4).is_err());
}

#[tokio::test]
async fn a606_so_many_rows_of_refusals_are_kept_and_over_it_the_oldest_go() {
    let folder = tempfile::tempdir().unwrap();
    start(AuditLog::File("/dev/null".into()), OnFailure::Count, folder.path()).await.flush().await;
    let fill = format!(
        "with recursive n(i) as (select 1 union all select i + 1 from n where i <= {}) \
         insert into refused (id, time, repository, record) select i, 1800000000000, 'x', '{{}}' from n",
        limits::AUDIT_REFUSALS_ROWS
    );
    wait_until(|| !folder.path().join("audit.db-wal").exists()).await;
    execute(folder.path(), &fill).await;
    assert_eq!(refused_rows(folder.path()).await, limits::AUDIT_REFUSALS_ROWS + 1);
    let audit = start(AuditLog::File("/dev/null".into()), OnFailure::Count, folder.path()).await;
    audit.flush().await;
    let oldest = "select count(*) from refused where id = '1'";
    let begun = std::time::Instant::now();
    while refused_rows(folder.path()).await > limits::AUDIT_REFUSALS_ROWS {
        assert!(begun.elapsed() < Duration::from_secs(120), "they stay");
        audit.flush().await;
    }
    assert_eq!(
        (refused_rows(folder.path()).await, count(folder.path(), oldest).await),
        (limits::AUDIT_REFUSALS_ROWS, 0)
    );
}
