//! Rows of the schema before this one: they become rows of this one in steps between the writes, newest first, so that no
//! start waits for a table of years.

use sqlx::AnyPool;

use super::retention::Done;
use super::rows::{self, Known};
use super::{Database, Row};
use pullgate_store::sqlite;

/// Rows of one step.
const ROWS: i64 = 500;

impl Database {
    pub(super) async fn carry_over(&mut self) -> Done {
        match &self.opened {
            Some(opened) if !self.pulls.database_is_failing() => match step(&opened.pool).await {
                Ok(done) => done,
                Err(error) => {
                    tracing::warn!(%error, "rows of a release before cannot be carried over now");
                    Done::All
                }
            },
            Some(_) | None => Done::All,
        }
    }
}

/// Carries some rows over; the old table goes with its last row.
pub(super) async fn step(pool: &AnyPool) -> Result<Done, sqlx::Error> {
    let is_there = "select count(*) from sqlite_master where type = 'table' and name = 'audit_before'";
    if sqlx::query_scalar::<_, i64>(is_there).fetch_one(pool).await? == 0 {
        return Ok(Done::All);
    }
    let found = rows::before(pool, ROWS).await?;
    let Some((oldest, _)) = found.last() else {
        sqlx::query("drop table audit_before").execute(pool).await?;
        return Ok(Done::All);
    };
    let placed: Vec<(i64, &Row)> = found.iter().map(|(position, row)| (*position, row)).collect();
    sqlite::transact(pool, async |open| {
        rows::put(open, &placed, &mut Known::default()).await?;
        let gone = "delete from audit_before where rowid >= $1";
        sqlx::query(gone).bind(*oldest).execute(&mut **open).await.map(drop)
    })
    .await?;
    Ok(Done::Part)
}
