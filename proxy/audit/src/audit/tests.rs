use jiff::Timestamp;
use pullgate_policy::limits::{LOG_FIELD_BYTES, MIB};
use pullgate_policy::text;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};

use super::*;
use crate::id::DecisionId;
use crate::record::{Client, Kind, Reason, Word};

mod bounds;
mod chained;
mod files;
mod gaps;
mod reading;
mod strangers;

/// For tests that are about no wait: a busy machine is no reason to fail.
const PATIENT: Waits = Waits::all(Duration::from_secs(120));

pub(super) fn record() -> Record {
    let time = Timestamp::from_second(1_800_000_000).unwrap();
    Record::new(Kind::Manifest, &DecisionId::random(), time, Word::Permit)
}

pub(super) async fn start(log: AuditLog, on_failure: OnFailure, folder: &Path) -> Audit {
    start_with(log, on_failure, folder, PATIENT).await
}

/// How a log is kept, and what of the gate around it a test chooses.
struct Settings {
    log: AuditLog,
    retain: Duration,
    retain_max: Option<u64>,
    on_failure: OnFailure,
    waits: Waits,
    clock: Clock,
}

impl Settings {
    async fn start(self, database: &Path) -> Result<Audit, StartError> {
        self.start_counted(database, Counters::default()).await
    }

    async fn start_counted(self, database: &Path, counters: Counters) -> Result<Audit, StartError> {
        let Self { log, retain, retain_max, on_failure, waits, clock } = self;
        let settings =
            pullgate_config::Audit { log, retain, retain_max, on_failure, gate: None, key_file: None };
        Audit::start(settings, database, Around { waits, clock, counters }).await
    }
}

/// Sixty seconds of rows, by a clock that stands.
fn settings(log: AuditLog) -> Settings {
    let clock = Clock::fixed(Timestamp::from_second(1_800_000_000).unwrap());
    let (retain, on_failure) = (Duration::from_secs(60), OnFailure::Count);
    Settings { log, retain, retain_max: None, on_failure, waits: PATIENT, clock }
}

async fn start_with(log: AuditLog, on_failure: OnFailure, folder: &Path, waits: Waits) -> Audit {
    let settings = Settings { on_failure, waits, ..settings(log) };
    settings.start(&folder.join("audit.db")).await.unwrap()
}

pub(super) fn lines(log: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(log).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(super) async fn rows(folder: &Path) -> i64 {
    count(folder, "select count(*) from audit").await
}

async fn count(folder: &Path, question: &str) -> i64 {
    count_in(&folder.join("audit.db"), question).await
}

async fn count_in(file: &Path, question: &str) -> i64 {
    let mut connection = connect(file).await;
    let question = AssertSqlSafe(question.to_owned());
    let count = sqlx::query_scalar(question).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    count
}

async fn execute(folder: &Path, sql: &str) {
    let mut connection = connect(&folder.join("audit.db")).await;
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn connect(file: &Path) -> AnyConnection {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap();
    sqlx::raw_sql("pragma busy_timeout = 60000").execute(&mut connection).await.unwrap();
    connection
}

/// What comes of itself, on a machine that may be busy.
async fn wait_until(mut holds: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(120), "it does not come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn queues(audit: &Audit) -> &Queues {
    match &audit.0 {
        Mode::Written(written) => &written.queues,
        Mode::Kept(_) => panic!("a log that is written"),
    }
}

#[tokio::test]
async fn a_record_is_a_line_and_a_row() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit.log");
    for on_failure in [OnFailure::Count, OnFailure::Refuse] {
        let audit = start(AuditLog::File(log.clone()), on_failure, folder.path()).await;
        for _ in 0..300 {
            audit.write(record()).await.unwrap();
        }
        audit.flush().await;
        assert_eq!(audit.health(), Condition::Good);
    }
    assert_eq!((lines(&log).len(), rows(folder.path()).await), (600, 600));
}

/// A small generator of our own: the same texts at each run.
fn hostile(seed: u64) -> String {
    const PIECES: [&str; 16] = [
        "\r\n",
        "\u{0}",
        "\u{1b}[31m",
        "\u{85}",
        "\u{202e}",
        "\u{2028}",
        "\u{feff}",
        "\"",
        "\\",
        "{\"kind\":\"x\"}",
        "é",
        "\u{10ffff}",
        "\u{fffd}",
        "\t",
        "plain",
        "\u{7f}",
    ];
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = String::new();
    for _ in 0..seed % 400 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push_str(PIECES[usize::try_from(state % 16).unwrap()]);
    }
    text
}

fn hostile_record(seed: u64) -> Record {
    let mut n = seed;
    let mut text = || {
        n += 1;
        hostile(n)
    };
    let mut record = record();
    record.client =
        Some(Client { address: text(), forwarded: Some(text()), names: vec![text()], user_agent: text() });
    (record.method, record.repository, record.upstream) = (text(), text(), text());
    (record.reference, record.ground, record.cache) = (text(), text(), text());
    (record.policy_revision, record.trust_revision) = (text(), text());
    (record.digest, record.media_type, record.moved_from) = (Some(text()), Some(text()), Some(text()));
    (record.root, record.warning, record.policy) = (Some(text()), Some(text()), Some(text()));
    record.verdict_id = Some(text());
    record.requirements = vec![text(); 3];
    record.unmet = vec![text()];
    record.authorities = vec![text()];
    record.identities = vec![text(); 100];
    record.evidence = vec![text()];
    record.reasons = vec![Reason { code: text(), location: Some(text()), text: text() }];
    record
}

fn texts(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text) => found.push(text.clone()),
        serde_json::Value::Array(list) => list.iter().for_each(|value| texts(value, found)),
        serde_json::Value::Object(map) => map.values().for_each(|value| texts(value, found)),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
    }
}

#[test]
fn a521_whatever_is_in_a_record_it_is_one_line_of_bounded_fields_without_controls() {
    for seed in 0..400 {
        let line = hostile_record(seed).into_line();
        assert!(!line.chars().any(text::is_unsafe), "{seed}: {line}");
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        let mut found = Vec::new();
        texts(&read, &mut found);
        assert!(found.iter().all(|text| text.len() <= LOG_FIELD_BYTES), "{seed}: {line}");
        assert_eq!(read["identities"].as_array().unwrap().len(), 64);
        assert_eq!(read["left_out"], 36, "what is left out is counted");
    }
}

#[tokio::test]
async fn a521_there_are_as_many_lines_as_records() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit.log");
    let audit = start(AuditLog::File(log.clone()), OnFailure::Count, folder.path()).await;
    for seed in 0..100 {
        audit.write(hostile_record(seed)).await.unwrap();
    }
    audit.flush().await;
    let bytes = std::fs::read(&log).unwrap();
    assert_eq!(bytes.iter().filter(|byte| **byte < 0x20).count(), 100, "their ends and no other control");
    assert_eq!(lines(&log).len(), 100);
}

#[tokio::test]
async fn a512_a_log_that_cannot_be_written_is_counted_or_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let full = || AuditLog::File("/dev/full".into());
    let counting = start(full(), OnFailure::Count, folder.path()).await;
    for _ in 0..3 {
        assert_eq!(counting.write(record()).await, Ok(()));
    }
    counting.flush().await;
    assert_eq!(queues(&counting).pulls.standing.lost(), 3);
    assert!(matches!(counting.health(), Condition::Degraded(_)));
    assert_eq!(rows(folder.path()).await, 3, "the database still has them");
    let other = tempfile::tempdir().unwrap();
    let refusing = start(full(), OnFailure::Refuse, other.path()).await;
    assert_eq!(refusing.write(record()).await, Err(Unwritable));
    assert!(matches!(refusing.health(), Condition::Unready(_)));
    refusing.flush().await;
    assert_eq!(rows(other.path()).await, 0, "a pull that was refused for it is in neither");
}

#[tokio::test]
async fn a512_a_queue_that_is_full_never_holds_up_a_pull_that_only_counts() {
    let folder = tempfile::tempdir().unwrap();
    // A pipe that nobody reads: the writer stands still.
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = std::fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let audit = start(AuditLog::File(pipe.clone()), OnFailure::Count, folder.path()).await;
    let many = AUDIT_QUEUE * 2;
    for _ in 0..many {
        assert_eq!(audit.write(record()).await, Ok(()));
    }
    assert!(queues(&audit).pulls.standing.lost() > 0, "what the queue does not take is counted");
    drop(reader);
    let refusing = tempfile::tempdir().unwrap();
    let reader = std::fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let waits = Waits { record: Duration::from_millis(50), ..PATIENT };
    let audit = start_with(AuditLog::File(pipe), OnFailure::Refuse, refusing.path(), waits).await;
    let mut long = record();
    long.identities = vec!["x".repeat(1_000); 64];
    assert_eq!(audit.write(long).await, Err(Unwritable), "a wait that has an end");
    drop(reader);
}

#[tokio::test]
async fn the_log_of_tests_keeps_its_records() {
    let audit = Audit::null();
    let record = record();
    audit.write(record.clone()).await.unwrap();
    audit.flush().await;
    audit.reopen();
    assert_eq!((audit.kept(), audit.health()), (vec![record], Condition::Good));
}

#[test]
fn the_schema_beside_the_documentation_is_that_of_the_record() {
    let schema = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../schema/audit.schema.json");
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, &schema).unwrap();
    }
    assert!(std::fs::read_to_string(path).unwrap() == schema, "UPDATE_SCHEMA=1 writes it anew");
}

/// As lines are written: what is empty is left out of them.
fn schema() -> schemars::Schema {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    settings.into_generator().into_root_schema_for::<Record>()
}

#[test]
fn each_field_that_the_schema_asks_for_is_in_the_shortest_record() {
    let line: serde_json::Value = serde_json::from_str(&record().into_line()).unwrap();
    let schema = serde_json::to_value(schema()).unwrap();
    for field in schema["required"].as_array().unwrap() {
        assert!(line.get(field.as_str().unwrap()).is_some(), "{field}: {line}");
    }
}

#[test]
fn each_field_has_its_line_in_the_documentation() {
    let readme = include_str!("../../../README.md");
    let schema = serde_json::to_value(schema()).unwrap();
    for field in schema["properties"].as_object().unwrap().keys() {
        assert!(readme.lines().any(|line| line.starts_with(&format!("| `{field}`"))), "{field}");
    }
}
