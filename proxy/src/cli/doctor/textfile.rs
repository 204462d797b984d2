//! What came of it as a file for the textfile collector of `node_exporter`. It is read at any moment, and so replaced whole.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::{collections::BTreeMap, fs};

use jiff::Timestamp;

use super::report::{Outcome, Report};
use crate::cli::node::Weight;

/// The collector reads no file of another name.
pub(super) fn name(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.extension().is_some_and(|ending| ending == "prom") {
        Ok(path)
    } else {
        Err("the collector reads files of the name NAME.prom only".to_owned())
    }
}

pub(super) fn write(path: &Path, report: &Report, now: Timestamp) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(named)?;
    file.write_all(text(report, now).as_bytes()).map_err(named)?;
    // The collector is another user.
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).map_err(named)?;
    file.persist(path).map(drop).map_err(|error| named(error.error))
}

fn text(report: &Report, now: Timestamp) -> String {
    let mut text = String::new();
    let mut family = |name: &str, help: &str, lines: &[String]| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for line in lines {
            let _ = writeln!(text, "{name}{line}");
        }
    };
    let closed = u8::from(report.result == Outcome::Closed);
    family(
        "pullgate_doctor_closed",
        "Whether no pull of this node can go around the gate, as far as was looked.",
        &[format!(" {closed}")],
    );
    let ways = [Weight::Open, Weight::Unknown]
        .map(|weight| format!("{{weight=\"{}\"}} {}", weight.as_str(), report.count(weight)));
    family(
        "pullgate_doctor_findings",
        "Ways around the gate (open), and what could not be found out (unknown).",
        &ways,
    );
    // Of codes and runtimes there are as many as the program knows.
    let mut codes: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for one in report.findings.iter().filter(|one| !one.accepted) {
        *codes.entry((one.runtime.unwrap_or("node"), one.code)).or_default() += 1;
    }
    let codes: Vec<_> = codes
        .iter()
        .map(|((runtime, code), count)| format!("{{runtime=\"{runtime}\",code=\"{code}\"}} {count}"))
        .collect();
    family("pullgate_doctor_codes", "Findings by runtime and code.", &codes);
    let mut probes: BTreeMap<&str, bool> = BTreeMap::new();
    for probe in &report.probes {
        *probes.entry(probe.runtime.as_str()).or_insert(true) &= probe.result == "refused";
    }
    let probes: Vec<_> = probes
        .iter()
        .map(|(runtime, refused)| format!("{{runtime=\"{runtime}\"}} {}", u8::from(*refused)))
        .collect();
    family(
        "pullgate_doctor_canary_refused",
        "Whether the runtime showed that the gate refused the canary.",
        &probes,
    );
    family(
        "pullgate_doctor_last_run_timestamp_seconds",
        "When doctor looked last.",
        &[format!(" {}", now.as_second())],
    );
    text
}
