use super::*;
use jiff::Timestamp;

fn record() -> Record {
    Record::new(Kind::Manifest, &DecisionId::random(), Timestamp::UNIX_EPOCH, Word::Permit)
}

async fn start(log: LogTarget, on_failure: OnFailure, folder: &Path) -> Audit {
    let settings = Settings { log, retain: Duration::from_secs(60), on_failure };
    Audit::start(settings, &folder.join("audit.db"), Metrics::new()).await.unwrap()
}

#[tokio::test]
async fn a_record_is_a_line_and_a_row() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit.log");
    let audit = start(LogTarget::File(log.clone()), OnFailure::Count, folder.path()).await;
    for _ in 0..3 {
        audit.write(record()).await.unwrap();
    }
    audit.flush().await;
    assert_eq!(std::fs::read_to_string(&log).unwrap().lines().count(), 3);
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}", folder.path().join("audit.db").display());
    let pool = sqlx::AnyPool::connect(&url).await.unwrap();
    let rows: i64 = sqlx::query_scalar("select count(*) from audit").fetch_one(&pool).await.unwrap();
    assert_eq!(rows, 3);
}

#[test]
fn a521_nothing_hostile_breaks_a_line() {
    let mut hostile = record();
    hostile.reference = "a\r\n{\"kind\":\"x\"}\u{1b}[31m\u{202e}".to_owned();
    let long = "é\u{0}".repeat(100_000);
    hostile.client = Some(Client { address: "127.0.0.1:1".to_owned(), user_agent: long });
    let line = hostile.line();
    assert!(line.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{line}");
    assert!(line.len() < 4 * pullgate_policy::limits::LOG_FIELD_BYTES);
    serde_json::from_str::<serde_json::Value>(&line).unwrap();
}

#[tokio::test]
async fn a512_a_log_that_cannot_be_written_is_counted_or_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let full = || LogTarget::File("/dev/full".into());
    let counting = start(full(), OnFailure::Count, folder.path()).await;
    assert_eq!(counting.write(record()).await, Ok(()));
    counting.flush().await;
    assert_eq!(counting.lost.load(Ordering::Relaxed), 1);
    let other = tempfile::tempdir().unwrap();
    let refusing = start(full(), OnFailure::Refuse, other.path()).await;
    assert_eq!(refusing.write(record()).await, Err(Unwritable));
}

#[tokio::test]
async fn a503_a_corrupt_database_is_kept_aside_and_the_log_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("audit.db"), vec![7; 8192]).unwrap();
    let log = folder.path().join("audit.log");
    let audit = start(LogTarget::File(log.clone()), OnFailure::Count, folder.path()).await;
    audit.write(record()).await.unwrap();
    audit.flush().await;
    assert_eq!(std::fs::read_to_string(&log).unwrap().lines().count(), 1);
    let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().any(|name| name.to_string_lossy().contains("corrupt")));
}

#[test]
fn the_schema_beside_the_documentation_is_that_of_the_record() {
    let schema = serde_json::to_string_pretty(&schemars::schema_for!(Record)).unwrap() + "\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/audit.schema.json");
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, &schema).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), schema, "UPDATE_SCHEMA=1 writes it anew");
}
