//! Opening `cache.db`.

use std::path::Path;

use sqlx::AnyPool;

use super::DatabaseError;
use crate::store::limits::{READ_WAIT, READERS, WRITE_WAIT};
use crate::store::sqlite::{OpenFault, Sqlite, Strange};

/// WAL lets readers go on under the writer; `normal` may lose the last transactions with the power, never the file. Each
/// connection keeps half a megabyte of pages, the kernel the others.
const PRAGMAS: &str = "pragma busy_timeout = 250; pragma journal_mode = wal; pragma synchronous = normal; \
    pragma trusted_schema = off; pragma cache_size = -512;";

pub(super) enum Opening {
    Ready { readers: AnyPool, writer: AnyPool },
    Unavailable,
}

pub(super) async fn open(file: &Path) -> Result<Opening, DatabaseError> {
    let sqlite = Sqlite {
        file: file.to_owned(),
        pragmas: PRAGMAS,
        schema: ("cache", include_str!("../migrations/0001_cache.sql")),
        strange: Strange::IsCorrupt,
    };
    match pools(&sqlite).await {
        Ok(pools) => Ok(pools),
        Err(OpenFault::Newer(version)) => Err(DatabaseError::Newer(version)),
        Err(OpenFault::Unusable(error)) => {
            tracing::warn!(file = %file.display(), error, "the database cannot be used: nothing will be remembered");
            Ok(Opening::Unavailable)
        }
    }
}

async fn pools(sqlite: &Sqlite) -> Result<Opening, OpenFault> {
    sqlite.prepare().await?;
    Ok(Opening::Ready { readers: sqlite.pool(READERS, READ_WAIT)?, writer: sqlite.pool(1, WRITE_WAIT)? })
}
