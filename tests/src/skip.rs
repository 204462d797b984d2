//! How a test says that it could not be run here.
//!
//! It appends one line, `SKIPPED: name: reason`, to the file that `PULLGATE_SKIPS` names, and passes. `tests/run` lists
//! these lines at its end; under `CI=true` one that `tests/skips.toml` does not list is a failure there.

use std::env;
use std::fs::OpenOptions;
use std::io::{self, Write as _};

/// Reports one skip. Without `PULLGATE_SKIPS` it is shown on standard error only.
pub fn report(name: &str, reason: &str) {
    let line = line(name, reason);
    let written = match env::var_os("PULLGATE_SKIPS") {
        // One write of one short line: lines of concurrent tests do not mix.
        Some(path) => OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .and_then(|mut file| file.write_all(line.as_bytes())),
        None => io::stderr().write_all(line.as_bytes()),
    };
    assert!(written.is_ok(), "a skip that cannot be reported would read as a pass: {line}");
}

fn line(name: &str, reason: &str) -> String {
    format!("SKIPPED: {name}: {}\n", reason.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_of_many_lines_is_one_line() {
        assert_eq!(line("clients/podman", "not\n installed"), "SKIPPED: clients/podman: not installed\n");
    }
}
