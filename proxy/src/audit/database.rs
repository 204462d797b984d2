//! The pull log as a table, for questions that come later. It is never dropped silently: a corrupt one is moved aside
//! and kept.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use sqlx::any::AnyPoolOptions;
use sqlx::{AnyPool, Executor as _};

/// How often rows that are too old are deleted, in batches of writes.
const PRUNE_EVERY: u64 = 1_000;

pub(super) struct Database {
    pool: Option<AnyPool>,
    retain: Duration,
    batches: u64,
}

impl Database {
    /// Opens or makes the file; without one the log goes on in lines alone, loudly.
    pub(super) async fn open(path: &Path, retain: Duration) -> Self {
        sqlx::any::install_default_drivers();
        let pool = match connect(path).await {
            Ok(pool) => Some(pool),
            Err(error) => {
                tracing::error!(%error, "audit.db cannot be used; it is moved aside and kept");
                match aside(path) {
                    Ok(()) => connect(path).await.ok(),
                    Err(_) => None,
                }
            }
        };
        if pool.is_none() {
            tracing::error!("there is no audit.db; the pull log goes on in lines alone");
        }
        Self { pool, retain, batches: 0 }
    }

    /// Keeps records: id, time and line each.
    pub(super) async fn keep(&mut self, rows: Vec<(String, String, String)>) {
        let Some(pool) = &self.pool else { return };
        if rows.is_empty() {
            return;
        }
        if let Err(error) = insert(pool, &rows).await {
            tracing::error!(%error, records = rows.len(), "audit.db cannot be written; the records are in the log");
        }
        self.batches += 1;
        if self.batches % PRUNE_EVERY == 1 {
            self.prune().await;
        }
    }

    async fn prune(&self) {
        let Some(pool) = &self.pool else { return };
        let now = Timestamp::now().as_millisecond();
        let oldest = now.saturating_sub(i64::try_from(self.retain.as_millis()).unwrap_or(i64::MAX));
        let query = sqlx::query("delete from audit where stored < $1").bind(oldest);
        if let Err(error) = query.execute(pool).await {
            tracing::warn!(%error, "old audit rows are not deleted");
        }
    }
}

async fn insert(pool: &AnyPool, rows: &[(String, String, String)]) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let stored = Timestamp::now().as_millisecond();
    for (id, time, record) in rows {
        sqlx::query("insert into audit (id, time, stored, record) values ($1, $2, $3, $4) on conflict (id) do nothing")
            .bind(id.clone())
            .bind(time.clone())
            .bind(stored)
            .bind(record.clone())
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await
}

async fn connect(path: &Path) -> Result<AnyPool, sqlx::Error> {
    let options = AnyPoolOptions::new().max_connections(1).after_connect(|connection, _| {
        Box::pin(async move {
            connection.execute("pragma journal_mode = wal").await?;
            connection.execute("pragma busy_timeout = 2000").await?;
            Ok(())
        })
    });
    let pool = options.connect(&format!("sqlite://{}?mode=rwc", path.display())).await?;
    pool.execute(include_str!("migrations/0001_audit.sql")).await?;
    Ok(pool)
}

fn aside(path: &Path) -> std::io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".corrupt-{}", Timestamp::now().as_millisecond()));
    std::fs::rename(path, PathBuf::from(name))
}
