//! Where programs are found.

use std::{
    env, io,
    path::{Path, PathBuf},
    process::Command,
};

/// Daemons of distributions stand here, and a user's `PATH` often lacks it.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// The installed program of that name.
#[must_use]
pub fn installed(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(SYSTEM_FOLDERS.iter().map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// `Ok` if every one of these programs is installed.
///
/// # Errors
/// The reason for a skip.
pub fn require_installed(names: &[&str]) -> Result<(), String> {
    names.iter().try_for_each(|name| installed(name).map(|_| ()).ok_or(format!("{name} is not installed")))
}

/// `Ok` for root: daemons that mount, and storage that keeps owners, need it.
///
/// # Errors
/// The reason for a skip.
pub fn require_root(what: &str) -> Result<(), String> {
    let answer = Command::new("id").arg("-u").output().map_err(|error| format!("id: {error}"))?;
    if answer.stdout.trim_ascii() == b"0" { Ok(()) } else { Err(format!("{what} wants root")) }
}

/// A program that `tests/run tools` built: in `PULLGATE_TOOLS`, else in `tools/bin` of cargo's target folder.
///
/// # Errors
/// The reason for a skip.
pub fn built(name: &str) -> Result<PathBuf, String> {
    let folder = match env::var_os("PULLGATE_TOOLS") {
        Some(folder) => PathBuf::from(folder),
        None => target_folder().map_err(|error| error.to_string())?.join("../tools/bin"),
    };
    let file = folder.join(name);
    if file.is_file() { Ok(file) } else { Err(format!("{name} was not built: run tests/run tools")) }
}

/// The gate: `PULLGATE_BIN`, else the program that cargo put beside this test. Cargo does not build it for a test of another
/// package: `cargo build -p pullgate` comes first, and `tests/run` does so.
///
/// # Errors
/// There is none. This is a failure and never a skip.
pub fn gate() -> io::Result<PathBuf> {
    let file = match env::var_os("PULLGATE_BIN") {
        Some(file) => PathBuf::from(file),
        None => target_folder()?.join("pullgate"),
    };
    if file.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other(format!("{}: build it with cargo build -p pullgate", file.display())))
    }
}

/// A file below `tests/fixtures/live`.
#[must_use]
pub fn recorded(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/live").join(path)
}

/// `target/debug`, from `target/debug/deps/TEST` or `target/debug/PROGRAM`.
fn target_folder() -> io::Result<PathBuf> {
    let program = env::current_exe()?;
    let folder = match program.parent() {
        Some(deps) if deps.ends_with("deps") => deps.parent(),
        folder => folder,
    };
    folder
        .map(Path::to_path_buf)
        .ok_or_else(|| io::Error::other(format!("{}: not in a target folder", program.display())))
}
