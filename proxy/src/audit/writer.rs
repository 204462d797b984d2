//! The one task that writes the log and its database.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use super::database::Database;
use super::{Job, LogTarget, Record, StartError};
use crate::metrics::Metrics;

/// Bytes after which a log file is moved aside.
const ROTATE_BYTES: u64 = 100 * 1024 * 1024;
/// Files that were moved aside and are kept.
const ROTATED: u32 = 5;
/// Jobs that are taken together.
const BATCH: usize = 128;

pub(super) struct Writer {
    target: LogTarget,
    output: Output,
    database: Database,
    lost: Arc<AtomicU64>,
    metrics: Metrics,
}

enum Output {
    File(File, u64),
    Stdout,
}

impl Writer {
    pub(super) fn open(
        target: LogTarget,
        database: Database,
        lost: Arc<AtomicU64>,
        metrics: Metrics,
    ) -> Result<Self, StartError> {
        let output = open(&target).map_err(|source| StartError { path: path_of(&target), source })?;
        Ok(Self { target, output, database, lost, metrics })
    }

    /// Writes until every handle is gone.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut jobs = Vec::with_capacity(BATCH);
        while queue.recv_many(&mut jobs, BATCH).await > 0 {
            let mut rows = Vec::new();
            let mut waiting = Vec::new();
            for job in jobs.drain(..) {
                match job {
                    Job::Flush(done) => waiting.push(done),
                    Job::Reopen => self.reopen(),
                    Job::Write(record, done) => {
                        let written = self.line(*record, &mut rows);
                        if let Some(done) = done {
                            let _ = done.send(written);
                        }
                    }
                }
            }
            self.database.keep(rows).await;
            for done in waiting {
                let _ = done.send(());
            }
        }
    }

    fn line(&mut self, mut record: Record, rows: &mut Vec<(String, String, String)>) -> bool {
        record.lost = self.lost.load(Ordering::Relaxed);
        let line = record.line();
        match self.write(&line) {
            Ok(()) => {
                self.lost.fetch_sub(record.lost, Ordering::Relaxed);
                rows.push((record.id, record.time, line));
                true
            }
            Err(error) => {
                if record.lost == 0 {
                    tracing::error!(%error, "the audit log cannot be written");
                }
                self.lost.fetch_add(1, Ordering::Relaxed);
                self.metrics.audit_lost(1);
                false
            }
        }
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        let whole = format!("{line}\n");
        match &mut self.output {
            Output::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(whole.as_bytes())?;
                stdout.flush()
            }
            Output::File(file, size) => {
                file.write_all(whole.as_bytes())?;
                *size += whole.len() as u64;
                if *size > ROTATE_BYTES {
                    self.rotate();
                }
                Ok(())
            }
        }
    }

    fn rotate(&mut self) {
        let LogTarget::File(path) = &self.target else { return };
        let numbered = |n: u32| {
            let mut name = path.as_os_str().to_owned();
            name.push(format!(".{n}"));
            PathBuf::from(name)
        };
        for n in (1..ROTATED).rev() {
            let _ = std::fs::rename(numbered(n), numbered(n + 1));
        }
        let _ = std::fs::rename(path, numbered(1));
        self.reopen();
    }

    fn reopen(&mut self) {
        match open(&self.target) {
            Ok(output) => self.output = output,
            Err(error) => tracing::error!(%error, "the audit log cannot be opened anew; the old file is written on"),
        }
    }
}

fn path_of(target: &LogTarget) -> PathBuf {
    match target {
        LogTarget::File(path) => path.clone(),
        LogTarget::Stdout => PathBuf::from("stdout"),
    }
}

fn open(target: &LogTarget) -> io::Result<Output> {
    match target {
        LogTarget::Stdout => Ok(Output::Stdout),
        LogTarget::File(path) => {
            let file = open_file(path)?;
            let size = file.metadata().map(|metadata| metadata.len()).unwrap_or(0);
            Ok(Output::File(file, size))
        }
    }
}

fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}
