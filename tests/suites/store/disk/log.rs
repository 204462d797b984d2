//! A pull log or its database that cannot be written (A512).

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use pullgate_tests::clients::{have, tool};
use pullgate_tests::waiting::{PATIENCE, pause, until_it_is};
use sqlx::{AnyConnection, Connection as _};
use tempfile::TempDir;

use super::{Disk, Stage, can_mount};
use crate::stage::{assert_serves, assert_undecided, manifest};

#[tokio::test(flavor = "multi_thread")]
async fn a512_a_pull_log_on_a_full_disk_refuses_or_counts_and_tells_of_the_gap_later() {
    if !can_mount() {
        return;
    }
    for (on_failure, refuses) in [("refuse", true), ("count", false)] {
        let disk = Disk::new(512);
        let log = disk.path().join("audit.jsonl").display().to_string();
        let lines = format!("log = \"{log}\"\non_failure = \"{on_failure}\"");
        let stage = Stage::with(|settings| settings.audit(&lines)).await;
        let image = stage.signed("v1");
        assert_serves(&stage.get(&manifest("org/app", "v1")).await, &image);
        disk.fill();
        let mut last = stage.get(&manifest("org/app", "v1")).await;
        // What is left of the last block of the file takes a few records yet.
        for _ in 0..30 {
            last = stage.get(&manifest("org/app", "v1")).await;
        }
        if refuses {
            assert_undecided(&last);
            assert!(last.message().contains("audit-unwritable"), "{}", last.message());
        } else {
            assert_serves(&last, &image);
            let metrics = stage.admin("/metrics").await;
            let lost = metrics.lines().find(|line| line.starts_with("pullgate_audit_lost_total")).unwrap();
            assert!(!lost.ends_with(" 0"), "{lost}");
        }
        stage.until_ready_says("\"audit\"", true).await;
        disk.clear();
        let begun = Instant::now();
        while {
            assert!(begun.elapsed() < PATIENCE, "{on_failure}: {}", fs::read_to_string(&log).unwrap());
            let answer = stage.get(&manifest("org/app", "v1")).await;
            pause(Duration::from_millis(100)).await;
            answer.status != 200
                || !fs::read_to_string(&log).unwrap().lines().last().unwrap_or_default().contains("permit")
        } {}
        let text = fs::read_to_string(&log).unwrap();
        for line in text.lines() {
            assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{on_failure}: {line}");
        }
        if !refuses {
            assert!(text.contains("\"lost\":"), "the gap is told: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a512_a_pull_log_whose_reader_has_gone_refuses_or_counts_until_there_is_one_again() {
    if !have("suites/disk", &[tool::require_installed(&["mkfifo"])]) {
        return;
    }
    for (on_failure, refuses) in [("refuse", true), ("count", false)] {
        let folder = TempDir::with_prefix("pullgate-pipe-").unwrap();
        let pipe = folder.path().join("log");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reader = || fs::File::options().read(true).write(true).open(&pipe).unwrap();
        let reads = reader();
        let lines = format!("log = \"{}\"\non_failure = \"{on_failure}\"", pipe.display());
        let stage = Stage::with(|settings| settings.audit(&lines)).await;
        let image = stage.signed("v1");
        assert_serves(&stage.get(&manifest("org/app", "v1")).await, &image);
        drop(reads);
        let answer = stage.get(&manifest("org/app", "v1")).await;
        if refuses {
            assert_undecided(&answer);
            assert!(answer.message().contains("audit-unwritable"), "{}", answer.message());
        } else {
            assert_serves(&answer, &image);
        }
        stage.until_ready_says("\"audit\"", true).await;
        assert_eq!(stage.admin("/readyz").await.contains("\"ready\":false"), refuses, "counting is a mark");
        let _reads = reader();
        // The first record that is written again makes it good.
        let _ = stage.get(&manifest("org/app", "v1")).await;
        stage.until_ready_says("\"audit\"", false).await;
        assert_serves(&stage.get(&manifest("org/app", "v1")).await, &image);
    }
}

#[tokio::test]
async fn a512_no_on_undecided_softens_a_pull_log_that_cannot_be_written() {
    for on_undecided in ["\"insecure_permit\"", "{ last_permit = \"24h\" }"] {
        let policy = crate::stage::KEYED
            .replace("[[policy.require]]", &format!("on_undecided = {on_undecided}\n[[policy.require]]"));
        let audit = "log = \"/dev/full\"\non_failure = \"refuse\"";
        let stage = crate::stage::Stage::with(&policy, |setup| setup.audit(audit)).await;
        stage.signed("org/app", "v1");
        for _ in 0..2 {
            let answer = stage.manifest("org/app", "v1").await;
            assert_undecided(&answer);
            assert!(answer.message().contains("audit-unwritable"), "{}", answer.message());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a503_an_audit_database_that_somebody_locks_holds_up_no_pull_and_is_told() {
    for on_failure in ["refuse", "count"] {
        let folder = TempDir::with_prefix("pullgate-state-").unwrap();
        let lines = format!("log = \"audit.jsonl\"\non_failure = \"{on_failure}\"");
        let stage = Stage::with(|settings| settings.state(folder.path()).audit(&lines)).await;
        stage.assert_judges("before").await;
        sqlx::any::install_default_drivers();
        let url = format!("sqlite://{}?mode=rw", folder.path().join("audit.db").display());
        let mut lock = AnyConnection::connect(&url).await.unwrap();
        sqlx::raw_sql("pragma busy_timeout = 5000; begin exclusive").execute(&mut lock).await.unwrap();
        // Whoever waited for the lock would wait for ever.
        for n in 0..3 {
            stage.assert_judges(&format!("locked-{n}")).await;
        }
        stage.until_ready_says("\"audit\"", true).await;
        let metrics = stage.admin("/metrics").await;
        let lost = metrics.lines().find(|line| line.starts_with("pullgate_audit_lost_total")).unwrap();
        assert!(lost.ends_with(" 0"), "the log itself has them all: {lost}");
        sqlx::raw_sql("rollback").execute(&mut lock).await.unwrap();
        stage.assert_judges("after").await;
        stage.until_ready_says("\"audit\"", false).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a606_after_a_full_disk_every_line_has_its_row_again_without_a_restart() {
    if !can_mount() {
        return;
    }
    let (disk, folder) = (Disk::new(4_096), TempDir::with_prefix("pullgate-lines-").unwrap());
    let log = folder.path().join("audit.jsonl");
    let audit = format!("log = \"{}\"", log.display());
    let stage = Stage::with(|settings| settings.state(disk.path()).audit(&audit)).await;
    let image = stage.signed("v1");
    assert_serves(&stage.get(&manifest("org/app", "v1")).await, &image);
    disk.fill();
    let begun = Instant::now();
    while !stage.admin("/readyz").await.contains("audit.db cannot be written") {
        assert!(begun.elapsed() < Duration::from_secs(120), "{}", stage.admin("/readyz").await);
        assert_serves(&stage.get(&manifest("org/app", "v1")).await, &image);
    }
    let metrics = stage.admin("/metrics").await;
    let lost = metrics.lines().find(|line| line.starts_with("pullgate_audit_rows_lost_total")).unwrap();
    assert!(!lost.ends_with(" 0"), "{lost}");
    disk.clear();
    // Nobody pulls meanwhile.
    stage.until_ready_says("audit", false).await;
    for _ in 0..20 {
        assert_serves(&stage.get(&manifest("org/app", "v1")).await, &image);
    }
    let lines = || fs::read_to_string(&log).unwrap().lines().count();
    until_it_is("each line has its row", async || rows(disk.path()).await == lines()).await;
}

/// As another process sees them.
async fn rows(state: &std::path::Path) -> usize {
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}?mode=ro", state.join("audit.db").display());
    let mut connection = AnyConnection::connect(&url).await.unwrap();
    let rows: i64 =
        sqlx::query_scalar("select count(*) from audit").fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    usize::try_from(rows).unwrap()
}
