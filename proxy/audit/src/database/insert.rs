//! Rows into the table: each once, though a commit may be in doubt and some come by two ways.

use super::{Database, Row, rows};
use pullgate_store::sqlite;

impl Database {
    /// Inserts rows; into a new file when the old one turns out to be corrupt. Fails with the reason where it is news.
    pub(super) async fn insert(&mut self, pulls: &[Row], strangers: &[Row]) -> Result<(), Option<String>> {
        self.settle().await;
        let Some(opened) = &self.opened else { return Err(None) };
        let pulls = self.missing(pulls);
        let Err(error) = rows::insert(&opened.pool, pulls, strangers, &mut self.known).await else {
            return Ok(());
        };
        if !sqlite::is_corrupt(&error) {
            self.doubtful = pulls.last().map(|row| (row.sequence, row.id.clone()));
            return Err(Some(error.to_string()));
        }
        if let Some(opened) = self.opened.take() {
            opened.pool.close().await;
        }
        let connected = self.connect().await;
        self.go_on_from_lines();
        match (connected, &self.opened) {
            (Ok(()), Some(opened)) => {
                let inserted = rows::insert(&opened.pool, pulls, strangers, &mut self.known).await;
                inserted.map_err(|error| Some(error.to_string()))
            }
            (Ok(()) | Err(_), _) => Err(None),
        }
    }

    /// Those that are not in the file yet: some come by the queue, and from their lines as well.
    fn missing<'a>(&self, pulls: &'a [Row]) -> &'a [Row] {
        let there = pulls.partition_point(|row| row.sequence <= self.put && row.sequence > 0);
        pulls.get(there..).unwrap_or_default()
    }

    /// Whether a transaction that failed was committed all the same.
    async fn settle(&mut self) {
        let (Some(opened), Some((sequence, id))) = (&self.opened, &self.doubtful) else { return };
        let Ok(newest) = rows::newest(&opened.pool).await else { return };
        if newest.is_some_and(|row| row.id == *id) {
            self.put = self.put.max(*sequence);
            self.kept = self.kept.max(*sequence);
        }
        self.doubtful = None;
    }
}
