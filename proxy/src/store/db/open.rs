//! Opening `cache.db`.

use std::path::Path;

use sqlx::AnyPool;

use super::DatabaseError;
use crate::store::limits::READERS;
use crate::store::sqlite::{OpenFault, Sqlite, Strange};
use crate::waits::Waits;

/// WAL lets readers go on under the writer; `normal` may lose the last transactions with the power, never the file. Each
/// connection keeps half a megabyte of pages, the kernel the others.
const PRAGMAS: &str = "pragma journal_mode = wal; pragma synchronous = normal; \
    pragma trusted_schema = off; pragma cache_size = -512;";

/// Never changed once released: what comes later is added behind.
const SCHEMA: &[(&str, &str)] = &[
    ("cache", include_str!("../migrations/0001_cache.sql")),
    ("grants", include_str!("../migrations/0002_grants.sql")),
    ("tags", include_str!("../migrations/0003_tags.sql")),
];

pub(super) enum Opening {
    Ready { readers: AnyPool, writer: AnyPool },
    Unavailable,
}

pub(super) async fn open(file: &Path, waits: Waits) -> Result<Opening, DatabaseError> {
    let sqlite = Sqlite {
        file: file.to_owned(),
        pragmas: PRAGMAS,
        lock_wait: waits.store_read,
        schema: SCHEMA,
        strange: Strange::IsCorrupt,
    };
    match pools(&sqlite, waits).await {
        Ok(pools) => Ok(pools),
        Err(OpenFault::Newer(version)) => Err(DatabaseError::Newer(version)),
        Err(OpenFault::Unusable(error)) => {
            tracing::warn!(file = %file.display(), error, "the database cannot be used: nothing will be remembered");
            Ok(Opening::Unavailable)
        }
    }
}

async fn pools(sqlite: &Sqlite, waits: Waits) -> Result<Opening, OpenFault> {
    sqlite.prepare().await?;
    let (readers, writer) = (sqlite.pool(READERS, waits.store_read)?, sqlite.pool(1, waits.store_write)?);
    Ok(Opening::Ready { readers, writer })
}
