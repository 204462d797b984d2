//! crane, oras, regctl and Helm: they know no mirrors, and pull by a reference that names the gate.

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
    let mut command = secured("crane", ca, folder)?;
    run(command.args(["pull", "--format=oci", image]).arg(folder.join("crane")))
}

/// `crane digest`: a HEAD.
///
/// # Errors
/// The program is not there.
pub fn crane_digest(image: &str, folder: &Path) -> io::Result<Outcome> {
    run(built("crane", folder)?.args(["digest", "--insecure", image]))
}

/// Any command of crane.
///
/// # Errors
/// The program is not there.
pub fn crane(arguments: &[&str], folder: &Path) -> io::Result<Outcome> {
    run(built("crane", folder)?.arg("--insecure").args(arguments))
}

/// Any command of Helm, in `folder`.
///
/// # Errors
/// The program is not there.
pub fn helm(arguments: &[&str], folder: &Path) -> io::Result<Outcome> {
    run(built("helm", folder)?.current_dir(folder).args(arguments))
}

/// Any command of regctl, which is told that `gate` speaks no TLS.
///
/// # Errors
/// The program is not there.
pub fn regctl(arguments: &[&str], gate: &str, folder: &Path) -> io::Result<Outcome> {
    run(built("regctl", folder)?.arg(format!("--host=reg={gate},tls=disabled")).args(arguments))
}

/// `oras copy` into an image layout below `folder`: every child with its blobs.
///
/// # Errors
/// The program is not there.
pub fn oras_copy(image: &str, folder: &Path) -> io::Result<Outcome> {
    let layout = format!("{}:copied", folder.join("oras").display());
    run(built("oras", folder)?.args(["copy", "--from-plain-http", "--to-oci-layout", image, &layout]))
}

/// `oras login`: asks the gate by TLS, trusting nothing but the certificates in `ca`.
///
/// # Errors
/// The program is not there.
pub fn oras_login(
    gate: &str,
    (user, password): (&str, &str),
    ca: &Path,
    folder: &Path,
) -> io::Result<Outcome> {
    run(secured("oras", ca, folder)?.args(["login", gate, "--username", user, "--password", password]))
}

/// `oras copy` by TLS, trusting nothing but the certificates in `ca`.
///
/// # Errors
/// The program is not there.
pub fn oras_copy_secured(image: &str, ca: &Path, folder: &Path) -> io::Result<Outcome> {
    let layout = format!("{}:copied", folder.join("oras").display());
    run(secured("oras", ca, folder)?.args(["copy", "--to-oci-layout", image, &layout]))
}

/// Every program of Go reads these two variables.
fn secured(name: &str, ca: &Path, folder: &Path) -> io::Result<Command> {
    let mut command = built(name, folder)?;
    command.env("SSL_CERT_FILE", ca).env("SSL_CERT_DIR", folder.join("none"));
    Ok(command)
}

/// With a home of its own: no credentials or settings of the user's.
fn built(name: &str, home: &Path) -> io::Result<Command> {
    let mut command = Command::new(tool::built(name).map_err(io::Error::other)?);
    command.env("HOME", home).env("DOCKER_CONFIG", home);
    Ok(command)
}
