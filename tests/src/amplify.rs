//! What one request can cost at most, by whose it is: measured at a gate in this process, before an upstream that
//! counts. The command `amplify` prints it, `SECURITY.md` holds the table, and a suite measures it again.
#![expect(clippy::expect_used, reason = "a gate that cannot be measured is a failure")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

mod bounds;
mod stage;
mod table;

pub use bounds::bounds;
pub use table::{TABLE, table};

use stage::{Asked, Stage};

/// Bytes of the layers here.
const LAYER: usize = 4 << 20;

/// One request, and what it costs at most.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Whose request or content it is.
    pub party: &'static str,
    /// What is asked, in words.
    pub what: &'static str,
    /// Requests to the upstream, or to whom it is about, exactly.
    pub requests: usize,
    /// Bytes of bodies from there at most.
    pub bytes: u64,
    /// Bytes that are on the disk afterwards and were not before, at most.
    pub disk: u64,
    /// What verifying takes of its budgets, at most.
    pub work: Work,
    /// Milliseconds of a processor, measured by hand.
    pub processor: u64,
    /// Bytes of memory at its peak, measured by hand.
    pub memory: u64,
    ask: Ask,
}

/// What verifying takes, in units that every machine shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Bytes that are hashed.
    pub hashed: u64,
    /// Bytes that are read as JSON.
    pub parsed: u64,
    /// Signatures that are checked.
    pub checks: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    Base,
    Unmatched,
    UnknownTag,
    UnknownDigest,
    UnknownBlob,
    UnknownBlobAgain,
    Unsigned,
    UnsignedAgain,
    Layer,
    LayerAgain,
    SlowReader,
    Tags,
    Referrers,
    WrongPassword,
    Token,
    TokenAgain,
    Broken,
    BrokenChildren,
    Bundles,
    Attestations,
    Timestamps,
}

/// What a request cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// The status of the answer.
    pub status: u16,
    /// Requests to the upstream and to the issuer.
    pub requests: usize,
    /// Bytes of bodies from the upstream.
    pub bytes: u64,
    /// Bytes that came to the disk.
    pub disk: u64,
    /// What was taken of the budgets of verifying.
    pub work: Work,
    /// Processor time of the gate and its upstream together: it depends on the machine, and no limit rests on it.
    pub processor: Duration,
    /// Bytes by which the memory of both was larger at its peak than before.
    pub memory: u64,
}

/// By so much a machine may be slower than the one that the table was measured on, and memory larger.
const TOLERANCE: u64 = 4;

impl Row {
    /// Asks it at a gate of its own.
    pub async fn measure(&self) -> Cost {
        let stage = Stage::new(self.ask).await;
        let asked = stage.prepare(self.ask).await;
        stage.gate.app().audit.flush().await;
        stage.upstream.forget();
        let _ = fs::write("/proc/self/clear_refs", "5");
        let (requests, work) = (stage.requests(), Work::of(&stage));
        let before = (stage.upstream.sent(), size(&stage.gate.path("state")), processor(), memory("VmRSS:"));
        let status = match self.ask {
            Ask::SlowReader => reads_nothing(&stage, &asked).await,
            _ => status(&stage, &asked).await,
        };
        stage.gate.app().audit.flush().await;
        let after = Work::of(&stage);
        Cost {
            status,
            requests: stage.requests() - requests,
            bytes: stage.upstream.sent() - before.0,
            disk: size(&stage.gate.path("state")).saturating_sub(before.1),
            work: Work {
                hashed: after.hashed - work.hashed,
                parsed: after.parsed - work.parsed,
                checks: after.checks - work.checks,
            },
            processor: processor().saturating_sub(before.2),
            memory: memory("VmHWM:").saturating_sub(before.3),
        }
    }

    /// What of a cost is over the table, of what depends on no machine.
    #[must_use]
    pub fn over(&self, cost: &Cost) -> Vec<&'static str> {
        let over = [
            ("requests", cost.requests > self.requests),
            ("bytes", cost.bytes > self.bytes),
            ("disk", cost.disk > self.disk),
            ("hashed", cost.work.hashed > self.work.hashed),
            ("read as JSON", cost.work.parsed > self.work.parsed),
            ("signatures", cost.work.checks > self.work.checks),
        ];
        over.into_iter().filter_map(|(what, over)| over.then_some(what)).collect()
    }

    /// What of it is far over the table, of what was measured by hand.
    #[must_use]
    pub fn far_over(&self, cost: &Cost) -> Vec<&'static str> {
        let over = [
            ("processor", cost.processor > Duration::from_millis(self.processor * TOLERANCE)),
            ("memory", cost.memory > self.memory * TOLERANCE),
        ];
        over.into_iter().filter_map(|(what, over)| over.then_some(what)).collect()
    }
}

impl Work {
    /// What all verdicts of a gate took so far, as its counters say.
    fn of(stage: &Stage) -> Self {
        let text = stage.gate.app().metrics.encode();
        let sum = |name: &str| {
            let line = format!("pullgate_verify_{name}_sum ");
            let sum = text.lines().find_map(|one| one.strip_prefix(line.as_str())?.parse::<f64>().ok());
            format!("{:.0}", sum.expect("a counter of the gate")).parse().expect("a whole number")
        };
        Self { hashed: sum("hashed_bytes"), parsed: sum("parsed_bytes"), checks: sum("signature_checks") }
    }
}

async fn status(stage: &Stage, (target, headers): &Asked) -> u16 {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    stage.gate.get_with(target, &headers).await.status
}

/// Asks for the whole, and takes no more of the answer than its status.
async fn reads_nothing(stage: &Stage, (target, _): &Asked) -> u16 {
    let mut stream = TcpStream::connect(stage.gate.data).await.expect("a connection");
    let head = format!("GET {target} HTTP/1.1\r\nhost: gate\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("a request");
    let mut first = vec![0; 12];
    stream.read_exact(&mut first).await.expect("an answer");
    String::from_utf8_lossy(&first).rsplit(' ').next().and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// Bytes of the files below a folder, as long as they are.
fn size(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let of_one = |entry: fs::DirEntry| match entry.metadata() {
        Ok(of) if of.is_dir() => size(&entry.path()),
        // The pages of a log that is written over again are no growth; what is checkpointed from it is.
        Ok(of) if !entry.path().to_string_lossy().ends_with("-shm") => of.len(),
        Ok(_) | Err(_) => 0,
    };
    entries.flatten().map(of_one).sum()
}

fn memory(line: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|one| one.strip_prefix(line)?.trim().strip_suffix(" kB")?.parse().ok());
    kib.unwrap_or(0_u64) * 1024
}

fn processor() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    Duration::from_millis(ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10)
}
