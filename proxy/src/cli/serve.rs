//! `pullgate serve`.

use std::path::PathBuf;

use super::{Exit, configuration, failed};
use crate::server::{self, ServeError};
use crate::store::{StoreError, folder::FolderError};
use crate::telemetry;

/// Serves until a signal ends it.
pub(super) async fn run(config: Option<PathBuf>) -> Exit {
    let _telemetry = telemetry::start();
    match server::serve(config, configuration::default_state()).await {
        Ok(()) => Exit::Success,
        Err(error) => report(&error),
    }
}

/// Prints why the gate does not run.
pub(super) fn report(error: &ServeError) -> Exit {
    match error {
        ServeError::Config(faults) => configuration::refused(faults),
        ServeError::Store(StoreError::Folder(FolderError::Held(_))) => {
            failed(error);
            Exit::Usage
        }
        ServeError::Audit(_)
        | ServeError::Handed(_)
        | ServeError::Bind { .. }
        | ServeError::Seal(_)
        | ServeError::Signals(_)
        | ServeError::Store(_)
        | ServeError::Setup(_) => failed(error),
    }
}
