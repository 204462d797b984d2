//! Where a command's configuration comes from.

use std::io;
use std::path::{Path, PathBuf};

use pullgate_config::{Diagnostics, Loaded};

use super::paint::Paint;
use super::{Exit, complain};
use crate::clock::Clock;

/// Reads the file, or takes the defaults where none is named.
pub(super) fn load(path: Option<&Path>) -> Result<Loaded, Diagnostics> {
    match path {
        Some(path) => pullgate_config::load(path, Clock::system().now()),
        None => {
            let config = pullgate_config::defaults(default_state());
            Ok(Loaded { config, warnings: pullgate_config::warnings_without_a_file() })
        }
    }
}

/// The same for a command that cannot go on without: faults are shown, and the command exits.
pub(super) fn usable(path: Option<&Path>) -> Result<Loaded, Exit> {
    load(path).map_err(|faults| refused(&faults))
}

/// Shows the faults of a file of the user.
pub(super) fn refused(faults: &Diagnostics) -> Exit {
    complain(&format!("{}\n", faults.render(Paint::of(&io::stderr()).style())));
    Exit::Usage
}

/// The user's data folder (XDG base directory specification), or the system's where there is no user.
pub(super) fn default_state() -> PathBuf {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local").join("share")))
        .unwrap_or_else(|| PathBuf::from("/var/lib"))
        .join("pullgate")
}
