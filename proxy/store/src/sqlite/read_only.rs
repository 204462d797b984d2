//! Read-only connections, beside a process that writes.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use percent_encoding::percent_encode;
use sqlx::AnyPool;
use sqlx::any::AnyPoolOptions;

use super::{PATH, with_suffix};

/// What each begins with.
const READING: &str = "pragma busy_timeout = 2000; pragma query_only = on; pragma trusted_schema = off;";

/// Read-only connections to the file and its write-ahead log, beside a process that writes. Where nothing can be made
/// beside the file, it is read as it stands.
///
/// # Errors
/// It cannot be read.
pub async fn read_only(file: &Path, connections: u32, wait: Duration) -> Result<AnyPool, sqlx::Error> {
    sqlx::any::install_default_drivers();
    let path = percent_encode(file.as_os_str().as_bytes(), PATH).to_string();
    let open = async |mode: &str| {
        let options = AnyPoolOptions::new().max_connections(connections).acquire_timeout(wait);
        let options = options.after_connect(|connection, _| {
            Box::pin(async move { sqlx::raw_sql(READING).execute(connection).await.map(drop) })
        });
        let pool = options.connect_lazy(&format!("sqlite://{path}?mode=ro{mode}"))?;
        let looked =
            sqlx::query_scalar::<_, i64>("select count(*) from sqlite_master").fetch_one(&pool).await;
        looked.map(|_| pool)
    };
    match open("").await {
        Ok(pool) => Ok(pool),
        Err(error) if with_suffix(file, "-wal").exists() => Err(error),
        Err(_) => open("&immutable=true").await,
    }
}
