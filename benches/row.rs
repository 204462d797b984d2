//! What the record of a warm pull costs on the processor: its line, and its row beside that. All threads are counted.
//!
//! `cargo bench -p pullgate-audit --bench row [-- ROUNDS]`

#![expect(clippy::print_stdout, reason = "it prints a table")]

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use pullgate_audit::{Around, Audit, Client, Counters, DecisionId, Kind, Record, Waits, Word};
use pullgate_config::{AuditLog, OnFailure};
use pullgate_store::clock::Clock;

/// Rounds, where the command line names no number.
const ROUNDS: usize = 5;
/// Records of one measurement.
const RECORDS: u32 = 100_000;
/// Records between two waits, so that none is lost for want of room.
const TOGETHER: u32 = 1_000;
/// Microseconds of one tick of the kernel's account of processor time.
const TICK: f64 = 10_000.0;

type Failed = Box<dyn std::error::Error>;

fn main() -> Result<(), Failed> {
    let rounds = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(ROUNDS).max(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (mut lines, mut images, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        // Where no database can be made, a record is its line alone.
        lines.push(runtime.block_on(cost(Rows::None, 1))?);
        rows.push(runtime.block_on(cost(Rows::Kept, 1))?);
        images.push(runtime.block_on(cost(Rows::Kept, 500))?);
    }
    println!("µs of processor time for each of {RECORDS} records, {rounds} rounds: median (least, most)");
    println!("line alone                               {}", spread(&mut lines));
    println!("line and row, one image by one client    {}", spread(&mut rows));
    println!("line and row, 50 images by 10 clients    {}", spread(&mut images));
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    Kept,
    None,
}

async fn cost(rows: Rows, kinds: u32) -> Result<f64, Failed> {
    let folder = tempfile::tempdir_in(Path::new(env!("CARGO_MANIFEST_DIR")))?;
    let clock = Clock::fixed(Timestamp::from_second(1_800_000_000)?);
    let waits = Waits::all(Duration::from_secs(120));
    let around = Around { waits, clock: clock.clone(), counters: Counters::default() };
    let database = match rows {
        Rows::Kept => folder.path().join("audit.db"),
        Rows::None => folder.path().join("none").join("audit.db"),
    };
    let log = AuditLog::File(folder.path().join("audit.log"));
    let settings = pullgate_config::Audit {
        log,
        retain: Duration::from_secs(86_400),
        retain_max: None,
        on_failure: OnFailure::Count,
        gate: None,
        key_file: None,
    };
    let audit = Audit::start(settings, &database, around).await?;
    let records: Vec<Record> = (0..kinds).map(|kind| record(kind, clock.now())).collect();
    let before = ticks()?;
    for n in 0..RECORDS {
        let mut record = match records.get((n % kinds) as usize) {
            Some(record) => record.clone(),
            None => continue,
        };
        DecisionId::random().as_str().clone_into(&mut record.id);
        audit.write(record).await?;
        if n % TOGETHER == 0 {
            audit.flush().await;
        }
    }
    audit.flush().await;
    Ok((ticks()? - before) * TICK / f64::from(RECORDS))
}

/// The record of a warm pull under a policy by one authority.
fn record(kind: u32, now: Timestamp) -> Record {
    let mut record = Record::new(Kind::Manifest, &DecisionId::random(), now, Word::Permit);
    let hex = |n: u32| format!("sha256:{n:064x}");
    record.client = Some(Client {
        address: format!("10.0.0.{}:50000", kind % 10),
        forwarded: None,
        names: Vec::new(),
        user_agent: "containerd/2.1.0".to_owned(),
    });
    record.method = "GET".to_owned();
    record.repository = format!("registry.corp.example/org/app-{}", kind / 10);
    record.upstream = "registry.corp.example".to_owned();
    record.reference = "v1".to_owned();
    record.digest = Some(hex(kind / 10));
    record.media_type = Some("application/vnd.oci.image.index.v1+json".to_owned());
    record.ground = "satisfied".to_owned();
    record.policy = Some("production".to_owned());
    (record.policy_revision, record.trust_revision) = (hex(1), hex(2));
    record.verdict_id = Some(DecisionId::random().as_str().to_owned());
    record.requirements = vec!["/etc/pullgate/policy.toml:21".to_owned()];
    record.authorities = vec!["ci".to_owned()];
    let identity = "https://github.com/myorg/myrepo/.github/workflows/build-sign.yml@refs/heads/main \
        (https://token.actions.githubusercontent.com)";
    record.identities = vec![identity.to_owned()];
    record.evidence = vec![hex(kind)];
    record.cache = "hit".to_owned();
    record
}

/// Processor time of this process, all threads, in the kernel's ticks.
fn ticks() -> Result<f64, Failed> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no stat")?;
    let numbers: Vec<&str> = fields.split_whitespace().collect();
    let field = |n: usize| numbers.get(n).and_then(|text| text.parse::<f64>().ok()).ok_or("no time");
    Ok(field(11)? + field(12)?)
}

fn spread(values: &mut [f64]) -> String {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    format!("{:.1} ({:.1}, {:.1})", at(values.len() / 2), at(0), at(values.len().saturating_sub(1)))
}
