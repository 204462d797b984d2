//! Faults of the file and of the database (A501, A502, A503).

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn log_in(folder: &Path) -> (PathBuf, AuditLog) {
    let log = folder.join("audit.log");
    (log.clone(), AuditLog::File(log))
}

async fn write_one(folder: &Path) {
    let audit = start(log_in(folder).1, OnFailure::Count, folder).await;
    audit.write(record()).await.unwrap();
    audit.flush().await;
}

fn aside(folder: &Path) -> Vec<String> {
    let names =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.contains(".corrupt-")).collect()
}

#[tokio::test]
async fn a502_a_line_that_was_cut_off_is_gone_after_a_restart_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = log_in(folder.path());
    write_one(folder.path()).await;
    let whole = fs::read(&log).unwrap();
    fs::write(&log, [&whole[..], &whole[..whole.len() / 2]].concat()).unwrap();
    write_one(folder.path()).await;
    let lines = lines(&log);
    assert_eq!((lines.len(), &lines[1]["lost"]), (2, &1.into()));
}

#[tokio::test]
async fn text_of_others_at_the_end_of_the_file_is_ended_and_not_cut() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = log_in(folder.path());
    fs::write(&log, "something else").unwrap();
    write_one(folder.path()).await;
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.starts_with("something else\n{\"time\":"), "{text}");
}

#[tokio::test]
async fn what_was_lost_is_told_by_the_next_record_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let (log, target) = log_in(folder.path());
    let audit = start(target, OnFailure::Count, folder.path()).await;
    queues(&audit).pulls.standing.lose(7);
    for _ in 0..2 {
        audit.write(record()).await.unwrap();
    }
    audit.flush().await;
    let lines = lines(&log);
    assert_eq!(lines[0]["lost"], 7);
    assert_eq!(lines[1].get("lost"), None);
}

#[tokio::test]
async fn a_file_that_was_moved_is_opened_anew_on_demand() {
    let folder = tempfile::tempdir().unwrap();
    let (log, target) = log_in(folder.path());
    let audit = start(target, OnFailure::Count, folder.path()).await;
    audit.write(record()).await.unwrap();
    audit.flush().await;
    let moved = folder.path().join("moved");
    fs::rename(&log, &moved).unwrap();
    audit.reopen();
    audit.write(record()).await.unwrap();
    audit.flush().await;
    assert_eq!((lines(&moved).len(), lines(&log).len()), (1, 1));
    assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_full_file_is_moved_aside_and_the_oldest_goes() {
    let folder = tempfile::tempdir().unwrap();
    let (path, target) = log_in(folder.path());
    let mut log = Log::open(target, Rotation::PULLS).unwrap().0.with_file_bytes(10);
    for n in 0..15 {
        log.append(&format!("{n:010}\n")).unwrap();
    }
    let numbered = |n: u32| fs::read_to_string(format!("{}.{n}", path.display()));
    assert_eq!(fs::read_to_string(&path).unwrap(), "");
    assert_eq!(numbered(1).unwrap(), "0000000014\n");
    assert_eq!(numbered(10).unwrap(), "0000000005\n");
    assert!(numbered(11).is_err());
}

#[tokio::test]
async fn a503_a_corrupt_database_is_kept_aside_and_a_new_one_begun() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("audit.db"), vec![7; 8192]).unwrap();
    write_one(folder.path()).await;
    let aside = aside(folder.path());
    assert_eq!(aside.len(), 1, "{aside:?}");
    assert_eq!(fs::read(folder.path().join(&aside[0])).unwrap(), vec![7; 8192]);
    assert_eq!(rows(folder.path()).await, 1);
}

#[tokio::test]
async fn a503_a_database_that_was_cut_or_has_a_bad_page_is_kept_aside() {
    for damage in ["cut", "page", "zeros"] {
        let folder = tempfile::tempdir().unwrap();
        write_one(folder.path()).await;
        let file = folder.path().join("audit.db");
        // The last connection closes behind the test, and takes the write-ahead log with it.
        while folder.path().join("audit.db-wal").exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut bytes = fs::read(&file).unwrap();
        match damage {
            "cut" => bytes.truncate(6_000),
            "page" => bytes[4_096..8_192].fill(0xee),
            _ => bytes.fill(0),
        }
        fs::write(&file, &bytes).unwrap();
        write_one(folder.path()).await;
        let aside = aside(folder.path());
        assert_eq!(aside.len(), 1, "{damage}: {aside:?}");
        assert_eq!(
            fs::read(folder.path().join(&aside[0])).unwrap(),
            bytes,
            "{damage}: nothing of it is changed"
        );
        let lines = lines(&log_in(folder.path()).0).len();
        assert_eq!((rows(folder.path()).await, lines), (2, 2), "{damage}: made good from the lines");
    }
}

#[tokio::test]
async fn a503_a_database_that_is_not_corrupt_is_never_moved() {
    let folder = tempfile::tempdir().unwrap();
    write_one(folder.path()).await;
    // Empty is as new; whole is whole.
    write_one(folder.path()).await;
    assert_eq!((aside(folder.path()), rows(folder.path()).await), (Vec::new(), 2));
}

#[tokio::test]
async fn a503_a_database_of_a_later_release_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    write_one(folder.path()).await;
    let file = folder.path().join("audit.db");
    let pool = sqlx::AnyPool::connect(&format!("sqlite://{}", file.display())).await.unwrap();
    let later = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
                 values (99, 'later', true, x'00', 0)";
    sqlx::query(later).execute(&pool).await.unwrap();
    pool.close().await;
    let settings = settings(log_in(folder.path()).1);
    let started = settings.start(&file).await;
    assert!(matches!(started, Err(StartError::Newer { version: 99, .. })), "{started:?}");
    assert_eq!(aside(folder.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a503_without_a_database_the_log_goes_on_and_readiness_is_red() {
    let folder = tempfile::tempdir().unwrap();
    let (log, target) = log_in(folder.path());
    let settings = Settings { on_failure: OnFailure::Refuse, ..settings(target) };
    let nowhere = folder.path().join("none").join("audit.db");
    let audit = settings.start(&nowhere).await.unwrap();
    audit.write(record()).await.unwrap();
    audit.flush().await;
    assert_eq!(lines(&log).len(), 1);
    assert!(matches!(audit.health(), Condition::Unready(_)));
}

#[tokio::test]
async fn a_log_that_cannot_be_opened_is_an_error_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let log = AuditLog::File(folder.path().join("none").join("audit.log"));
    let settings = settings(log);
    let started = settings.start(&folder.path().join("audit.db")).await;
    assert!(matches!(started, Err(StartError::Log { .. })), "{started:?}");
}
