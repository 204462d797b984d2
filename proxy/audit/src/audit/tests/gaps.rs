//! Rows that are missing are made good, and what is lost is counted (A606).

use std::fs;

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use super::*;
use crate::taken::Taken;

async fn put(audit: &Audit, records: usize) {
    for _ in 0..records {
        audit.write(record()).await.unwrap();
    }
    audit.flush().await;
}

fn remove(folder: &Path) {
    for file in ["audit.db", "audit.db-wal", "audit.db-shm"] {
        let _ = fs::remove_file(folder.join(file));
    }
}

fn metric(counters: &Counters, name: &str) -> u64 {
    let mut registry = Registry::with_prefix("pullgate");
    counters.register(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("pullgate_{name} ")));
    line.unwrap().parse().unwrap()
}

async fn start_counted(settings: Settings, folder: &Path) -> (Audit, Counters) {
    let counters = Counters::default();
    (settings.start_counted(&folder.join("audit.db"), counters.clone()).await.unwrap(), counters)
}

#[tokio::test]
async fn a606_a_database_that_vanished_is_noticed_and_made_good_from_the_lines() {
    for vanishes in
        ["removed", "moved", "older copy", "older copy in its place", "cut", "nonsense in its place"]
    {
        let folder = tempfile::tempdir().unwrap();
        let (path, log) = (folder.path(), folder.path().join("audit.log"));
        put(&start(AuditLog::File(log.clone()), OnFailure::Count, path).await, 40).await;
        let database = path.join("audit.db");
        wait_until(|| !path.join("audit.db-wal").exists()).await;
        fs::copy(&database, path.join("copy")).unwrap();
        let (audit, metrics) = start_counted(settings(AuditLog::File(log.clone())), path).await;
        put(&audit, 60).await;
        assert_eq!(rows(path).await, 100);
        match vanishes {
            "removed" => remove(path),
            "moved" => fs::rename(&database, path.join("elsewhere.db")).unwrap(),
            "older copy" => fs::rename(path.join("copy"), &database).unwrap(),
            // The same file, with other content: what `cp` does.
            "older copy in its place" => drop(fs::copy(path.join("copy"), &database).unwrap()),
            "nonsense in its place" => fs::write(&database, b"nonsense".repeat(10_000)).unwrap(),
            _ => fs::OpenOptions::new().write(true).open(&database).unwrap().set_len(4_096).unwrap(),
        }
        put(&audit, 30).await;
        assert_eq!((rows(path).await, lines(&log).len()), (130, 130), "{vanishes}");
        assert_eq!(metric(&metrics, "audit_files_lost_total{file=\"database\"}"), 1, "{vanishes}");
        assert_eq!(audit.health(), Condition::Good, "{vanishes}");
        if vanishes == "moved" {
            assert_eq!(
                count_in(&path.join("elsewhere.db"), "select count(*) from audit").await,
                100,
                "it is whole"
            );
        }
    }
}

#[tokio::test]
async fn a606_rows_of_another_gate_put_over_the_database_hide_none_that_is_missing() {
    let other = tempfile::tempdir().unwrap();
    put(&start(AuditLog::File(other.path().join("log")), OnFailure::Count, other.path()).await, 300).await;
    wait_until(|| !other.path().join("audit.db-wal").exists()).await;
    for renamed in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let (path, log) = (folder.path(), folder.path().join("audit.log"));
        let (audit, metrics) = start_counted(settings(AuditLog::File(log.clone())), path).await;
        put(&audit, 60).await;
        if renamed {
            fs::copy(other.path().join("audit.db"), path.join("other")).unwrap();
            fs::rename(path.join("other"), path.join("audit.db")).unwrap();
        } else {
            fs::copy(other.path().join("audit.db"), path.join("audit.db")).unwrap();
        }
        put(&audit, 30).await;
        assert_eq!((rows(path).await, lines(&log).len()), (300 + 90, 90), "{renamed}");
        assert_eq!(metric(&metrics, "audit_rows_lost_total"), 60, "{renamed}");
        assert_eq!(audit.health(), Condition::Good, "{renamed}");
        let whole =
            count(path, "select count(*) from pragma_integrity_check where integrity_check = 'ok'").await;
        assert_eq!(whole, 1, "{renamed}");
    }
}

#[tokio::test]
async fn a606_a_database_that_others_only_read_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit.log");
    let (audit, metrics) = start_counted(settings(AuditLog::File(log)), folder.path()).await;
    for n in 1..=5 {
        // Enough that SQLite brings its log into the file meanwhile.
        put(&audit, 2_000).await;
        assert_eq!(rows(folder.path()).await, n * 2_000, "by a connection that comes and goes");
    }
    assert_eq!(metric(&metrics, "audit_files_lost_total{file=\"database\"}"), 0);
    assert_eq!(metric(&metrics, "audit_rows_lost_total"), 0);
}

#[tokio::test]
async fn a606_without_a_file_of_lines_a_database_that_vanished_is_begun_anew_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let target = AuditLog::File("/dev/null".into());
    let (audit, metrics) = start_counted(settings(target), folder.path()).await;
    put(&audit, 25).await;
    remove(folder.path());
    put(&audit, 5).await;
    assert_eq!((rows(folder.path()).await, metric(&metrics, "audit_rows_lost_total")), (5, 25));
}

#[tokio::test]
async fn a606_a_log_file_that_vanished_is_noticed_and_a_new_one_begun() {
    for removed in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("audit.log");
        let (audit, metrics) = start_counted(settings(AuditLog::File(log.clone())), folder.path()).await;
        put(&audit, 3).await;
        let moved = folder.path().join("moved");
        fs::rename(&log, &moved).unwrap();
        if removed {
            fs::remove_file(&moved).unwrap();
        }
        put(&audit, 2).await;
        assert_eq!((lines(&log).len(), rows(folder.path()).await), (2, 5));
        let counted = metric(&metrics, "audit_files_lost_total{file=\"log\"}");
        assert_eq!(counted, u64::from(removed), "who rotates it has what was in it");
        fs::write(&log, "").unwrap();
        put(&audit, 1).await;
        assert_eq!(lines(&log).len(), 1, "one that was cut is written from its beginning");
    }
}

#[tokio::test]
async fn a606_a_log_whose_folder_is_gone_is_unwritable_until_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let (here, away) = (folder.path().join("logs"), folder.path().join("away"));
    fs::create_dir(&here).unwrap();
    let target = AuditLog::File(here.join("audit.log"));
    let refusing = Settings { on_failure: OnFailure::Refuse, ..settings(target) };
    let (audit, _) = start_counted(refusing, folder.path()).await;
    audit.write(record()).await.unwrap();
    fs::rename(&here, &away).unwrap();
    assert_eq!(audit.write(record()).await, Err(Unwritable));
    assert!(matches!(audit.health(), Condition::Unready(_)));
    fs::rename(&away, &here).unwrap();
    audit.write(record()).await.unwrap();
    assert_eq!((audit.health(), lines(&here.join("audit.log")).len()), (Condition::Good, 2));
}

#[tokio::test]
async fn a606_lines_without_a_row_are_made_good_by_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit.log");
    let target = || AuditLog::File(log.clone());
    put(&start(target(), OnFailure::Count, folder.path()).await, 50).await;
    wait_until(|| !folder.path().join("audit.db-wal").exists()).await;
    execute(folder.path(), "delete from audit where rowid > 20").await;
    let (audit, metrics) = start_counted(settings(target()), folder.path()).await;
    wait_until(|| audit.health() == Condition::Good).await;
    put(&audit, 1).await;
    assert_eq!((rows(folder.path()).await, lines(&log).len()), (51, 51));
    assert_eq!(metric(&metrics, "audit_rows_made_good_total"), 30);
    assert_eq!(metric(&metrics, "audit_lost_total"), 0, "nothing is lost of it");
}

#[tokio::test]
async fn a606_records_that_a_kill_left_in_the_queue_are_counted_by_the_next_start() {
    for torn in [0, 10] {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("audit.log");
        put(&start(AuditLog::File(log.clone()), OnFailure::Count, folder.path()).await, 9).await;
        wait_until(|| !folder.path().join("audit.db-wal").exists()).await;
        // Four were taken after them, of which nothing or the beginning of a line reached the log.
        let (taken, before) = Taken::open(&folder.path().join("audit.taken"));
        assert_eq!(before, 9);
        (0..4).for_each(|_| taken.one());
        let text = fs::read(&log).unwrap();
        fs::write(&log, [&text[..], &text[..torn]].concat()).unwrap();
        for (lost, lines) in [(4, 10), (0, 11)] {
            let (audit, metrics) = start_counted(settings(AuditLog::File(log.clone())), folder.path()).await;
            put(&audit, 1).await;
            assert_eq!(metric(&metrics, "audit_lost_total"), lost);
            let told = super::lines(&log);
            let last = told.last().unwrap();
            assert_eq!((told.len(), last["lost"].as_u64().unwrap_or_default()), (lines, lost));
            assert_eq!(last["sequence"].as_u64(), Some(lines as u64 + 4), "what is lost has its numbers");
            assert_eq!(rows(folder.path()).await as usize, lines);
            drop(audit);
            wait_until(|| !folder.path().join("audit.db-wal").exists()).await;
        }
    }
}

/// Whoever follows the numbers finds each that is left out told by the record behind it.
fn gaps_are_told(log: &Path) {
    let mut last = 0;
    for record in lines(log) {
        let number = |key: &str| record[key].as_u64().unwrap_or_default();
        assert_eq!(number("sequence"), last + number("lost") + 1, "after {last}: {record}");
        last = number("sequence");
    }
}

#[tokio::test]
async fn a606_a_line_that_was_cut_off_is_told_as_lost_whether_it_is_a_row_or_not() {
    for (kept, cut, lost) in [(7, 0, 2), (7, 40, 2), (8, 40, 1), (8, 0, 1), (9, 0, 0)] {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("audit.log");
        let target = || AuditLog::File(log.clone());
        for on_failure in [OnFailure::Count, OnFailure::Refuse] {
            put(&start(target(), OnFailure::Count, folder.path()).await, 9).await;
            wait_until(|| !folder.path().join("audit.db-wal").exists()).await;
            let text = fs::read_to_string(&log).unwrap();
            let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at + 1).collect();
            let before = ends.len() - 9;
            fs::write(&log, &text.as_bytes()[..ends[before + kept - 1] + cut]).unwrap();
            let settings = Settings { on_failure, ..settings(target()) };
            let (audit, metrics) = start_counted(settings, folder.path()).await;
            put(&audit, 1).await;
            drop(audit);
            wait_until(|| !folder.path().join("audit.db-wal").exists()).await;
            gaps_are_told(&log);
            assert_eq!(metric(&metrics, "audit_lost_total"), lost, "{kept} {cut} {on_failure:?}");
        }
    }
}

#[tokio::test]
async fn a606_a_log_that_was_rotated_by_another_hand_between_two_starts_has_lost_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit.log");
    for n in 0..3_u64 {
        let (audit, metrics) = start_counted(settings(AuditLog::File(log.clone())), folder.path()).await;
        put(&audit, 4).await;
        drop(audit);
        wait_until(|| !folder.path().join("audit.db-wal").exists()).await;
        assert_eq!(metric(&metrics, "audit_lost_total"), 0, "{n}");
        assert_eq!(lines(&log).first().unwrap()["sequence"].as_u64(), Some(n * 4 + 1), "numbers go on");
        fs::rename(&log, folder.path().join(format!("audit.log-{n}"))).unwrap();
    }
}

#[tokio::test]
async fn a606_without_a_file_of_lines_rows_that_a_kill_cost_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let target = || AuditLog::File("/dev/null".into());
    put(&start(target(), OnFailure::Count, folder.path()).await, 9).await;
    let taken = Taken::open(&folder.path().join("audit.taken")).0;
    (0..4).for_each(|_| taken.one());
    let (audit, metrics) = start_counted(settings(target()), folder.path()).await;
    put(&audit, 1).await;
    assert_eq!(metric(&metrics, "audit_rows_lost_total"), 4);
    let (_, metrics) = start_counted(settings(target()), folder.path()).await;
    assert_eq!(metric(&metrics, "audit_rows_lost_total"), 0, "once");
}

#[tokio::test]
async fn a606_rows_that_found_no_room_in_the_queue_come_from_their_lines() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit.log");
    let (audit, metrics) = start_counted(settings(AuditLog::File(log.clone())), folder.path()).await;
    put(&audit, 3).await;
    // As the writer does when the queue of rows is full.
    queues(&audit).pulls.standing.fall_behind();
    for _ in 0..20 {
        audit.write(record()).await.unwrap();
    }
    put(&audit, 3).await;
    assert_eq!((rows(folder.path()).await, lines(&log).len()), (26, 26));
    assert_eq!(metric(&metrics, "audit_rows_lost_total"), 0);
    assert_eq!(audit.health(), Condition::Good);
}

#[tokio::test]
async fn a606_a_database_that_cannot_be_written_is_told_and_gets_every_row_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit.log");
    let (audit, metrics) = start_counted(settings(AuditLog::File(log.clone())), folder.path()).await;
    put(&audit, 5).await;
    execute(
        folder.path(),
        "create trigger full before insert on audit begin select raise(abort, 'full'); end",
    )
    .await;
    put(&audit, 7).await;
    assert!(matches!(audit.health(), Condition::Unready(_)));
    assert_eq!((rows(folder.path()).await, metric(&metrics, "audit_rows_lost_total")), (5, 7));
    execute(folder.path(), "drop trigger full").await;
    // Nobody pulls meanwhile.
    wait_until(|| audit.health() == Condition::Good).await;
    assert_eq!((rows(folder.path()).await, metric(&metrics, "audit_rows_made_good_total")), (12, 7));
}
