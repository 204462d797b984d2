//! Rows that are missing, from the lines: after a kill, a full queue, and a database that could not be written or vanished.

use std::io;
use std::mem;
use std::path::Path;

use super::retention::Done;
use super::{Database, PAUSE, ROWS, Row};
use crate::lines::Lines;

/// Where the next rows come from.
#[derive(Debug)]
pub(super) enum Source {
    /// From the queue.
    Queue,
    /// From lines, after the newest row: rows are missing, and those of the queue come after them.
    Lines(Option<Lines>),
}

/// The record with this number, where its line is in the log.
pub(super) fn line_of(path: &Path, number: u64) -> Option<Row> {
    let mut lines = Lines::after(path, number.saturating_sub(1)).ok()?;
    let (found, line) = lines.next(1).ok()?.pop()?;
    Row::from_line(line).filter(|_| found == number)
}

impl Database {
    /// Makes some lines rows, where rows are missing.
    pub(super) async fn make_good(&mut self) -> Done {
        if !self.pulls.is_behind() || self.failed.is_some_and(|last| last.elapsed() < PAUSE) {
            return Done::All;
        }
        match self.next_lines().await {
            Ok(Some(found)) if found.is_empty() => self.read_to_the_end().await,
            Ok(Some(found)) => self.keep_lines(found).await,
            Ok(None) => Done::All,
            Err(error) => {
                tracing::error!(%error, "the pull log cannot be read: rows that are missing are not made good");
                self.pulls.is_up_again();
                self.source = Source::Queue;
                Done::All
            }
        }
    }

    /// The next lines after the newest row; `None` where no file has them.
    async fn next_lines(&mut self) -> io::Result<Option<Vec<(u64, String)>>> {
        let Some(path) = self.lines.clone() else { return Ok(None) };
        let reading = match mem::replace(&mut self.source, Source::Lines(None)) {
            Source::Lines(reading) => reading,
            Source::Queue => None,
        };
        let after = self.kept;
        let read = tokio::task::spawn_blocking(move || {
            let mut reading = reading.map_or_else(|| Lines::after(&path, after), Ok)?;
            reading.next(ROWS).map(|found| (reading, found))
        });
        let (reading, found) = read.await.map_err(io::Error::other)??;
        self.source = Source::Lines(Some(reading));
        Ok(Some(found))
    }

    async fn keep_lines(&mut self, found: Vec<(u64, String)>) -> Done {
        let mut before = self.kept;
        let mut gone = 0_u64;
        for (number, _) in &found {
            gone = gone.saturating_add(number.saturating_sub(before).saturating_sub(1));
            before = *number;
        }
        let rows: Vec<Row> = found.into_iter().filter_map(|(_, line)| Row::from_line(line)).collect();
        match self.insert(&rows, &[]).await {
            Ok(()) => {
                self.works(&rows);
                self.pulls.lose_rows(gone);
                self.pulls.made_good(rows.len() as u64);
                Done::Part
            }
            Err(why) => {
                self.fails(why);
                Done::All
            }
        }
    }

    /// The lines are read to their end. From now on rows are handed on again, and the lines until now are read once
    /// more.
    async fn read_to_the_end(&mut self) -> Done {
        if self.pulls.database_is_failing() {
            self.probe().await;
            if self.pulls.database_is_failing() {
                return Done::All;
            }
        }
        self.pulls.is_up_again();
        self.source = Source::Lines(None);
        loop {
            match self.next_lines().await {
                Ok(Some(found)) if !found.is_empty() => {
                    if self.keep_lines(found).await == Done::All {
                        return Done::All;
                    }
                }
                Ok(_) | Err(_) => break,
            }
        }
        self.source = Source::Queue;
        Done::All
    }
}
