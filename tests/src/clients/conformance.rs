//! The conformance suite of the OCI distribution specification
//! (`github.com/opencontainers/distribution-spec/conformance`), told that it may only read.

use std::{io, path::Path, process::Command};

use super::{process, tool};

/// What the suite is told to be there.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The repository, as the path of a request names it.
    pub repository: &'a str,
    /// A tag.
    pub tag: &'a str,
    /// Digests of manifests, of which the first is a subject with referrers, if there are any.
    pub manifests: &'a [String],
    /// Digests of blobs.
    pub blobs: &'a [String],
}

/// What the suite found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Everything it wrote.
    pub text: String,
    /// Checks that passed.
    pub passed: usize,
    /// The names of those that did not.
    pub failed: Vec<String>,
}

/// Runs the suite against the registry at `address`, in `folder`.
///
/// # Errors
/// The program is not there, or wrote no report.
pub fn run(address: &str, known: &Known<'_>, folder: &Path) -> io::Result<Found> {
    let mut command = Command::new(tool::built("conformance").map_err(io::Error::other)?);
    let (manifests, blobs) = (known.manifests.join(" "), known.blobs.join(" "));
    let subject = known.manifests.first().map_or("", String::as_str);
    // Nothing of the machine's own settings: the suite reads many variables.
    command.env_clear().current_dir(folder).envs([
        ("OCI_REGISTRY", address),
        ("OCI_TLS", "disabled"),
        ("OCI_VERSION", "1.1"),
        ("OCI_REPO1", known.repository),
        ("OCI_RESULTS_DIR", "results"),
        ("OCI_API_PUSH", "false"),
        ("OCI_API_BLOBS_DELETE", "false"),
        ("OCI_API_MANIFESTS_DELETE", "false"),
        ("OCI_API_TAGS_DELETE", "false"),
        ("OCI_RO_DATA_TAGS", known.tag),
        ("OCI_RO_DATA_MANIFESTS", &manifests),
        ("OCI_RO_DATA_BLOBS", &blobs),
        ("OCI_RO_DATA_REFERRERS", subject),
    ]);
    let outcome = process::run(&mut command)?;
    read(outcome.text)
}

/// Its report ends with counts, and above them has a line for each check (`NAME: Pass`). That text is what it writes in
/// every build; the files beside it want a build out of its own repository.
fn read(text: String) -> io::Result<Found> {
    let count = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.trim_start().strip_prefix(name)?.rsplit(' ').next()?.parse().ok());
        line.ok_or_else(|| io::Error::other(format!("no report: {text}")))
    };
    let (passed, failed, errors): (usize, usize, usize) =
        (count("Pass..")?, count("FAIL..")?, count("Error..")?);
    let named = |line: &&str| line.ends_with(": FAIL") || line.ends_with(": Error");
    let failures: Vec<String> = text.lines().filter(named).map(|line| line.trim().to_owned()).collect();
    if failures.is_empty() != (failed + errors == 0) {
        return Err(io::Error::other(format!("the report contradicts itself: {text}")));
    }
    Ok(Found { passed, failed: failures, text })
}
