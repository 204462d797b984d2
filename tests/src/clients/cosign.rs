//! Real cosign v3, keyed and offline: without services it asks only the registry.

use std::{io, path::Path, process::Command};

use super::{
    process::{Outcome, run},
    tool::{built, recorded},
};

/// A proxy that nobody is: whatever cosign wants from the public mirror or log ends here.
const DEAD_PROXY: &str = "http://127.0.0.1:9";

/// Signs `image` (by digest) with a recorded private key, such as `release`.
///
/// # Errors
/// The program is not there.
pub fn sign(key: &str, image: &str, home: &Path) -> io::Result<Outcome> {
    let key = recorded("keys/test-only-private").join(key).with_extension("key");
    let mut command = cosign("sign", home)?;
    command.arg("--key").arg(key);
    command.arg("--signing-config").arg(recorded("roots/no-services-signing-config.json"));
    run(command.arg(image))
}

/// Verifies `image` with a recorded public key.
///
/// # Errors
/// The program is not there.
pub fn verify(key: &str, image: &str, home: &Path) -> io::Result<Outcome> {
    let key = recorded("keys").join(key).with_extension("pub");
    let mut command = cosign("verify", home)?;
    command.arg("--key").arg(key).args(["--offline=true", "--insecure-ignore-tlog=true"]);
    run(command.arg(image))
}

/// Verifies `image` with a recorded public key in a registry that is asked by TLS, trusting nothing but the
/// certificates in `ca`; the login is the one that `home` holds.
///
/// # Errors
/// The program is not there.
pub fn verify_secured(key: &str, image: &str, ca: &Path, home: &Path) -> io::Result<Outcome> {
    let key = recorded("keys").join(key).with_extension("pub");
    let mut command = alone("verify", home)?;
    command.env("SSL_CERT_FILE", ca).env("SSL_CERT_DIR", home.join("none"));
    command.arg("--key").arg(key).args(["--offline=true", "--insecure-ignore-tlog=true"]);
    run(command.arg(image))
}

fn cosign(command: &str, home: &Path) -> io::Result<Command> {
    let mut cosign = alone(command, home)?;
    cosign.args(["--allow-insecure-registry", "--allow-http-registry"]);
    Ok(cosign)
}

fn alone(command: &str, home: &Path) -> io::Result<Command> {
    let mut cosign = Command::new(built("cosign").map_err(io::Error::other)?);
    cosign.arg(command).arg("--trusted-root").arg(recorded("roots/empty-trusted_root.json"));
    cosign.env("HOME", home).env("DOCKER_CONFIG", home).env("COSIGN_PASSWORD", "").env("COSIGN_YES", "true");
    cosign.env("HTTPS_PROXY", DEAD_PROXY).env("HTTP_PROXY", DEAD_PROXY).env("NO_PROXY", "127.0.0.1");
    Ok(cosign)
}
