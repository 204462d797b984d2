//! Real notation, which signs and verifies images by keys and certificates in a folder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::{io, process::Command};

use serde_json::json;

use super::{
    process::{Outcome, run},
    tool::built,
};
use crate::notation::{Authority, Signer, pem};

/// A folder of notation's with one key, called `release`, and the root that it trusts.
#[derive(Debug)]
pub struct Notation(PathBuf);

/// An envelope, as notation calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Envelope {
    /// `cose`.
    Cose,
    /// `jws`.
    Jws,
}

impl Notation {
    /// Writes its files below `home`: who signs, and whose signatures it believes.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn new(home: &Path, signer: &Signer, believed: &Authority) -> io::Result<Self> {
        let folder = home.join("notation");
        let store = folder.join("truststore/x509/ca/corp");
        fs::create_dir_all(&store)?;
        let (key, chain) = (folder.join("release.key"), folder.join("release.pem"));
        let certificates: String = signer.certificates.iter().map(|der| pem("CERTIFICATE", der)).collect();
        fs::write(&key, signer.key_pem())?;
        fs::write(&chain, certificates)?;
        fs::write(store.join("root.pem"), believed.pem())?;
        let keys = json!({ "default": "release", "keys": [{ "name": "release", "keyPath": key, "certPath": chain }] });
        fs::write(folder.join("signingkeys.json"), keys.to_string())?;
        let policy = json!({ "version": "1.0", "trustPolicies": [{
            "name": "all", "registryScopes": ["*"], "signatureVerification": { "level": "strict" },
            "trustStores": ["ca:corp"], "trustedIdentities": ["*"],
        }] });
        fs::write(folder.join("trustpolicy.json"), policy.to_string())?;
        Ok(Self(home.to_owned()))
    }

    /// Signs an image, which is named by its digest.
    ///
    /// # Errors
    /// The program is not there.
    pub fn sign(&self, image: &str, envelope: Envelope) -> io::Result<Outcome> {
        let format = match envelope {
            Envelope::Cose => "cose",
            Envelope::Jws => "jws",
        };
        let mut command = self.command("sign")?;
        run(command.args(["--key", "release", "--signature-format", format]).arg(image))
    }

    /// Verifies an image, which is named by its digest.
    ///
    /// # Errors
    /// The program is not there.
    pub fn verify(&self, image: &str) -> io::Result<Outcome> {
        run(self.command("verify")?.arg(image))
    }

    fn command(&self, name: &str) -> io::Result<Command> {
        let mut command = Command::new(built("notation").map_err(io::Error::other)?);
        command.arg(name).arg("--insecure-registry");
        command.env("HOME", &self.0).env("XDG_CONFIG_HOME", &self.0).env("DOCKER_CONFIG", &self.0);
        Ok(command)
    }
}
