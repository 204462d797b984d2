//! Whether the end of the log is what a gate with this key left: who rewrites a log while its gate stands is not signed for.

use std::io;
use std::path::Path;

use sqlx::AnyPool;

use super::{Database, ROWS};
use crate::key::PublicKey;
use crate::lines::{self, Lines};
use crate::note::Head;
use crate::read::lines_after;
use crate::verify::Verifier;

impl Database {
    /// Whether the newest head that one of these keys signed leads to a record: by the rows and the lines behind them, or
    /// by the lines alone.
    pub(crate) async fn lead_to(&self, head: &Head, keys: &[PublicKey]) -> bool {
        if keys.is_empty() {
            return false;
        }
        let mut by_rows = Verifier::new(keys);
        let read = match &self.opened {
            Some(opened) => follow(&opened.pool, &mut by_rows).await.unwrap_or_default(),
            None => Read::Nothing,
        };
        let behind = self.lines.as_deref().filter(|_| read == Read::Rows && head.sequence > self.kept);
        if let Some(path) = behind
            && let Err(error) = follow_lines(path, self.kept, &mut by_rows)
        {
            tracing::warn!(%error, "lines of the pull log cannot be read");
        }
        leads(by_rows, head) || self.lines.as_deref().is_some_and(|path| by_lines(path, head, keys))
    }
}

/// What was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Read {
    #[default]
    Nothing,
    Rows,
}

/// Follows the rows from the newest checkpoint on, as the roll-up has it: one that lies leads nowhere. The newest row may be
/// the only one of its day that is left, and in no roll-up any more.
async fn follow(pool: &AnyPool, verifier: &mut Verifier<'_>) -> Result<Read, sqlx::Error> {
    let newest = "select coalesce(max(d.last_position), 0) from days d join what w on w.what = d.what \
        where w.kind = 'checkpoint'";
    let mut newest: i64 = sqlx::query_scalar(newest).fetch_one(pool).await?;
    let row = "select position, record from audit order by position desc limit 1";
    let row = sqlx::query_as::<_, (i64, String)>(row).fetch_optional(pool).await?;
    if let Some((position, line)) = row
        && lines::is_checkpoint(line.as_bytes())
    {
        newest = position;
    }
    if newest == 0 {
        return Ok(Read::Nothing);
    }
    let mut last = newest.saturating_sub(1);
    loop {
        let page = lines_after(pool, last).await?;
        let Some((position, _)) = page.last() else { return Ok(Read::Rows) };
        last = *position;
        page.iter().for_each(|(_, line)| verifier.look(line));
    }
}

fn by_lines(path: &Path, head: &Head, keys: &[PublicKey]) -> bool {
    let mut verifier = Verifier::new(keys);
    let followed = lines::newest_checkpoint(path).and_then(|number| match number {
        Some(number) => follow_lines(path, number.saturating_sub(1), &mut verifier),
        None => Ok(()),
    });
    match followed {
        Ok(()) => leads(verifier, head),
        Err(error) => {
            tracing::warn!(%error, "lines of the pull log cannot be read");
            false
        }
    }
}

fn follow_lines(path: &Path, after: u64, verifier: &mut Verifier<'_>) -> io::Result<()> {
    let mut lines = Lines::after(path, after)?;
    loop {
        let found = lines.next(ROWS)?;
        if found.is_empty() {
            return Ok(());
        }
        found.iter().for_each(|(_, line)| verifier.look(line));
    }
}

/// Whether what was followed ends with this record, and holds from a signed head on.
fn leads(verifier: Verifier<'_>, head: &Head) -> bool {
    let end = verifier.end_so_far();
    let outcome = verifier.end();
    let holds = outcome.pieces.last().is_some_and(|piece| piece.finding.is_none() && piece.signed.is_some());
    holds && end.as_ref() == Some(head)
}
