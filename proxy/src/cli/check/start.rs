//! What else `serve` would fail of: a path, a certificate without its key. Nothing is made, bound or asked.

use std::error::Error as _;
use std::fs;
use std::path::Path;

use pullgate_config::{AuditLog, Config};

use crate::live::Live;

/// Why a gate would not start; `None` where no fault can be found beforehand.
pub(super) fn fault(config: Config) -> Option<String> {
    let state = match fs::metadata(&config.state) {
        Ok(found) if !found.is_dir() => Some(format!("`state`: {} is no folder", config.state.display())),
        Ok(_) | Err(_) => None,
    };
    state.or_else(|| log(&config.audit.log)).or_else(|| parts(config))
}

fn log(log: &AuditLog) -> Option<String> {
    let AuditLog::File(path) = log else { return None };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Some(format!("`audit.log`: there is no folder {}", folder.display()));
    }
    path.is_dir().then(|| format!("`audit.log`: {} is a folder", path.display()))
}

/// TLS, the clients of upstreams, and who may pull, put together as `serve` does it.
fn parts(config: Config) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let _within = runtime.enter();
    let fault = Live::new(config).err()?;
    let cause = fault.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    Some(format!("{fault}{cause}"))
}
