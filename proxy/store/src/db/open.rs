//! Opening `cache.db`.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sqlx::AnyPool;

use super::DatabaseError;
use crate::limits::READERS;
use crate::sqlite::{OpenFault, Prepared, Sqlite, Strange};
use crate::waits::Waits;

/// WAL lets readers go on under the writer; `normal` may lose the last transactions with the power, never the file. Each
/// connection keeps half a megabyte of pages, the kernel the others.
const PRAGMAS: &str = "pragma journal_mode = wal; pragma synchronous = normal; \
    pragma trusted_schema = off; pragma cache_size = -512;";

/// Never changed once released: later migrations are appended.
const SCHEMA: &[(&str, &str)] = &[
    ("cache", include_str!("../migrations/0001_cache.sql")),
    ("grants", include_str!("../migrations/0002_grants.sql")),
    ("tags", include_str!("../migrations/0003_tags.sql")),
    ("known", include_str!("../migrations/0004_known.sql")),
    ("evidence", include_str!("../migrations/0005_evidence.sql")),
    ("bounds", include_str!("../migrations/0006_bounds.sql")),
    ("worth", include_str!("../migrations/0007_worth.sql")),
];

/// An open database.
pub(super) struct Opened {
    pub(super) readers: AnyPool,
    pub(super) writer: AnyPool,
    pub(super) identity: Identity,
    pub(super) prepared: Prepared,
}

/// Which file it is: another one under the same name is another database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

/// How a file is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// As it is, with a check whether it is whole.
    AsItIs,
    /// It was read and is corrupt, whatever the check says.
    Corrupt,
    /// Kept in place: another process wrote into it.
    Overwritten,
}

/// Opens the file, where it can be used.
pub(super) async fn open(
    file: &Path,
    look: Look,
    waits: Waits,
) -> Result<Result<Opened, String>, DatabaseError> {
    let sqlite = Sqlite {
        file: file.to_owned(),
        pragmas: PRAGMAS,
        lock_wait: waits.read,
        schema: SCHEMA,
        strange: Strange::IsCorrupt,
    };
    match opened(&sqlite, look, waits).await {
        Ok(opened) => Ok(Ok(opened)),
        Err(OpenFault::Newer(version)) => Err(DatabaseError::Newer(version)),
        Err(OpenFault::Unusable(error)) => Ok(Err(error)),
    }
}

async fn opened(sqlite: &Sqlite, look: Look, waits: Waits) -> Result<Opened, OpenFault> {
    let prepared = match look {
        Look::AsItIs | Look::Overwritten => sqlite.prepare().await?,
        Look::Corrupt => sqlite.begin_anew("a read or a write met a corrupt page").await?,
    };
    let identity = Identity::of(&sqlite.file).ok_or(OpenFault::Unusable("it is gone again".to_owned()))?;
    let (readers, writer) = (sqlite.pool(READERS, waits.known)?, sqlite.pool(1, waits.write)?);
    Ok(Opened { readers, writer, identity, prepared })
}

impl Identity {
    /// That of the file under this name now.
    pub(super) fn of(file: &Path) -> Option<Self> {
        let meta = fs::symlink_metadata(file).ok()?;
        Some(Self { device: meta.dev(), inode: meta.ino() })
    }

    /// Whether it is still the file under this name, as far as can be seen. Off the async threads: a file system may hang.
    pub(super) async fn still_is(self, file: PathBuf) -> bool {
        let look = move || match fs::symlink_metadata(&file) {
            Ok(meta) => self == Self { device: meta.dev(), inode: meta.ino() },
            Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        };
        tokio::task::spawn_blocking(look).await.unwrap_or(true)
    }
}
