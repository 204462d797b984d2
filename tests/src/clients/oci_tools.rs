//! crane and oras: they know no mirrors, and pull by a reference that names the gate.

use std::{io, path::Path, process::Command};

use super::{
    process::{Outcome, run},
    tool,
};

/// `crane pull` into an image layout below `folder`.
///
/// # Errors
/// The program is not there.
pub fn crane_pull(image: &str, folder: &Path) -> io::Result<Outcome> {
    run(built("crane", folder)?.args(["pull", "--insecure", "--format=oci", image]).arg(folder.join("crane")))
}

/// `crane auth login`: keeps the password, asks nobody.
///
/// # Errors
/// The program is not there.
pub fn crane_login(gate: &str, (user, password): (&str, &str), folder: &Path) -> io::Result<Outcome> {
    run(built("crane", folder)?.args(["auth", "login", gate, "--username", user, "--password", password]))
}

/// `crane pull` by TLS, trusting nothing but the certificates in `ca`.
///
/// # Errors
/// The program is not there.
pub fn crane_pull_secured(image: &str, ca: &Path, folder: &Path) -> io::Result<Outcome> {
    let mut command = built("crane", folder)?;
    command.env("SSL_CERT_FILE", ca).env("SSL_CERT_DIR", folder.join("none"));
    run(command.args(["pull", "--format=oci", image]).arg(folder.join("crane")))
}

/// `crane digest`: a HEAD.
///
/// # Errors
/// The program is not there.
pub fn crane_digest(image: &str, folder: &Path) -> io::Result<Outcome> {
    run(built("crane", folder)?.args(["digest", "--insecure", image]))
}

/// `oras copy` into an image layout below `folder`: every child with its blobs.
///
/// # Errors
/// The program is not there.
pub fn oras_copy(image: &str, folder: &Path) -> io::Result<Outcome> {
    let layout = format!("{}:copied", folder.join("oras").display());
    run(built("oras", folder)?.args(["copy", "--from-plain-http", "--to-oci-layout", image, &layout]))
}

/// With a home of its own: no credentials or settings of the user's.
fn built(name: &str, home: &Path) -> io::Result<Command> {
    let mut command = Command::new(tool::built(name).map_err(io::Error::other)?);
    command.env("HOME", home).env("DOCKER_CONFIG", home);
    Ok(command)
}
