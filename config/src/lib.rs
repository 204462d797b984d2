//! The configuration and policy files: from TOML to checked values, with every fault named at once.
//!
//! [`load`] reads both files, the keys and the trust roots, each once; [`load_with`] reads them from somewhere else.
//! `README.md` beside this crate is the reference of every key and every code, `examples/` has files to start from.
//!
//! An id such as (A040) in a comment names an attack, the claim that holds against it and its tests;
//! `tests/ATTACKS.md` has the rows.

mod against;
mod code;
mod config;
mod config_file;
mod context;
mod defaults;
mod diagnostic;
mod expectations;
mod files;
mod foreign;
mod import;
pub mod limits;
mod policy_file;
mod reader;
mod scope;
mod secret;
mod source;
mod suggest;
mod trust;
mod upstreams;
mod value;

use std::path::Path;

use jiff::Timestamp;

pub use against::{Against, against};
pub use code::{Code, Severity};
pub use config::{
    Admin, Audit, AuditLog, Cache, Clients, Config, Credentials, DeniedHeadStatus, Issuer, IssuerKeys,
    Listen, OnFailure, Policies, Shadow, Tls, Upstream,
};
pub use defaults::{defaults, warnings_without_a_file};
pub use diagnostic::{Diagnostic, Diagnostics, Style};
pub use expectations::{Expect, Expectations, ExpectedVerdict};
pub use foreign::foreign_toml;
pub use import::{
    Accept, Import, ImportFault, Imported, ImportedPart, ImportedPolicy, ImportedRemark, RemarkCode, Weight,
    import,
};
pub use secret::{Secret, without_secrets};
pub use source::{Content, Disk, Memory, Readers, Source, Unreadable};
pub use trust::{TrustLocation, TrustOrigin, TrustRefresh, TrustSource};

/// A configuration, and warnings about what is weaker in it than it looks.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Warnings only.
    pub warnings: Diagnostics,
}

/// Reads the configuration at `path`, the policy, the keys and the trust roots from the disk. `now` decides what has
/// expired.
///
/// # Errors
/// [`Diagnostics`]: every fault of every file at once, and the warnings.
pub fn load(path: &Path, now: Timestamp) -> Result<Loaded, Diagnostics> {
    load_with(&Disk, path, now)
}

/// The same, with files from `source`.
///
/// # Errors
/// [`Diagnostics`]: every fault of every file at once, and the warnings.
pub fn load_with(source: &dyn Source, path: &Path, now: Timestamp) -> Result<Loaded, Diagnostics> {
    let mut files = files::Files::new(source);
    let config = config_file::read(&mut files, path, now);
    let warnings = files.take_diagnostics();
    match config {
        Some(config) if !warnings.has_faults() => Ok(Loaded { config, warnings }),
        Some(_) | None => Err(warnings),
    }
}

/// A policy, and warnings about what is weaker in it than it looks.
#[derive(Debug)]
pub struct LoadedPolicy {
    /// The policy, with its keys and trust roots.
    pub policies: Policies,
    /// Warnings only.
    pub warnings: Diagnostics,
}

/// Reads the policy at `path`, its keys and its trust roots from the disk, without a configuration: scopes are not
/// compared with upstreams, and permits have the default lifetime.
///
/// # Errors
/// [`Diagnostics`]: every fault of every file at once, and the warnings.
pub fn load_policy(path: &Path, now: Timestamp) -> Result<LoadedPolicy, Diagnostics> {
    load_policy_with(&Disk, path, now)
}

/// The same, with files from `source`.
///
/// # Errors
/// [`Diagnostics`]: every fault of every file at once, and the warnings.
pub fn load_policy_with(
    source: &dyn Source,
    path: &Path,
    now: Timestamp,
) -> Result<LoadedPolicy, Diagnostics> {
    let mut files = files::Files::new(source);
    let policies = policy_file::alone(&mut files, path, now);
    let warnings = files.take_diagnostics();
    match policies {
        Some(policies) if !warnings.has_faults() => Ok(LoadedPolicy { policies, warnings }),
        Some(_) | None => Err(warnings),
    }
}

/// Reads the expectations at `path` from the disk.
///
/// # Errors
/// [`Diagnostics`]: every fault at once.
pub fn load_expectations(path: &Path) -> Result<Expectations, Diagnostics> {
    let mut files = files::Files::new(&Disk);
    let read = expectations::read(&mut files, path);
    let found = files.take_diagnostics();
    match read {
        Some(expectations) if !found.has_faults() => Ok(expectations),
        Some(_) | None => Err(found),
    }
}
