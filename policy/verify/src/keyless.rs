//! Signatures by holders of certificates, under each trust table that an authority names.

use std::collections::BTreeMap;

use pullgate_policy::code::Code;
use pullgate_policy::evidence::Logged;
use pullgate_policy::identity::{By, Name, Principal, Transparency};

use crate::backend::{Log, Vouched};
use crate::certificate;
use crate::engine::Proof;
use crate::fault::{Fault, most_telling};
use crate::found::Request;
use crate::material::Signed;
use crate::trust::TrustTable;

/// The proofs of one signature by the certificate `leaf`.
pub(crate) fn proofs(request: &Request<'_>, signed: &Signed, leaf: &[u8]) -> Result<Vec<Proof>, Fault> {
    certificate::key(leaf)?;
    let tables = tables(request);
    if tables.is_empty() {
        let detail = "signed with a certificate; no authority that is asked for is known by one";
        return Err(Fault::new(Code::UnknownAuthority, detail));
    }
    let mut proofs = Vec::new();
    let mut faults = Vec::new();
    for (name, demand) in tables {
        // Never fetched, or too old to be believed: it may hold, and nobody can say (A342).
        let Some(table) = request.trust.get(&name).filter(|table| !table.is_stale(request.now)) else {
            faults.push(Fault::new(
                Code::TrustStale,
                format!("the trust table \"{name}\" is too old, or was never had"),
            ));
            continue;
        };
        match proof(table, demand, signed, leaf) {
            Ok(proof) => proofs.push(proof),
            Err(fault) => faults.push(fault),
        }
    }
    if proofs.is_empty() {
        Err(most_telling(faults).unwrap_or_else(|| Code::CertificateUntrusted.into()))
    } else {
        Ok(proofs)
    }
}

/// Whether every authority of a table demands a log entry. Where one does not, a signature without is worth a fact of
/// its own, which counts for that authority only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Demand {
    LogEntry,
    Time,
}

fn tables(request: &Request<'_>) -> BTreeMap<Name, Demand> {
    let mut tables = BTreeMap::new();
    for authority in request.authorities {
        match (&authority.by, authority.transparency) {
            (By::Keys(_), _) => {}
            (By::Identity { .. }, Transparency::Required) => {
                tables.entry(authority.trust.clone()).or_insert(Demand::LogEntry);
            }
            (By::Identity { .. }, Transparency::None | Transparency::Optional) => {
                tables.insert(authority.trust.clone(), Demand::Time);
            }
        }
    }
    tables
}

fn proof(table: &TrustTable, demand: Demand, signed: &Signed, leaf: &[u8]) -> Result<Proof, Fault> {
    let (logged, vouched) = match (with_log(table, signed, leaf), demand) {
        (Ok(vouched), _) => (Logged::Yes, vouched),
        (Err(fault), Demand::LogEntry) => return Err(fault),
        (Err(fault), Demand::Time) => {
            let check = check(table, signed, leaf, &signed.bundle.without_entries(), Log::Left);
            (Logged::No(fault.code), check?)
        }
    };
    let time = Some(vouched.time.ok_or(Code::NoTrustedTime)?);
    let identity = certificate::identity(leaf, table.name())?;
    Ok(Proof { principal: Principal::Identity(identity), logged, time, vouchers: vouched.vouchers })
}

fn with_log(table: &TrustTable, signed: &Signed, leaf: &[u8]) -> Result<Vouched, Fault> {
    match check(table, signed, leaf, &signed.bundle.whole()?, Log::Checked) {
        // A timestamp that does not count is no evidence: what the log itself signed stands without it.
        Err(fault) if fault.is_a_timestamps() => {
            check(table, signed, leaf, &signed.bundle.without_timestamps()?, Log::Checked).map_err(|_| fault)
        }
        Err(fault) if fault.code == Code::Unsupported => older(table, signed, leaf),
        other => other,
    }
}

/// With a log entry that the library does not read; what a timestamp says is added, and none spoils the entry.
fn older(table: &TrustTable, signed: &Signed, leaf: &[u8]) -> Result<Vouched, Fault> {
    let alone = || check(table, signed, leaf, &signed.bundle.without_entries(), Log::Left);
    let (stamped, fault) = match signed.bundle.timestamps.is_empty() {
        true => (Vouched::default(), None),
        false => match alone() {
            Ok(stamped) => (stamped, None),
            Err(fault) if fault.is_a_timestamps() => (Vouched::default(), Some(fault)),
            Err(fault) => return Err(fault),
        },
    };
    // Where the log signs no time, the timestamp's fault is why there is none.
    table
        .backend
        .older_by_certificate(signed, leaf, table.sct(), &stamped)
        .map_err(|other| fault.filter(|_| other.code == Code::NoTrustedTime).unwrap_or(other))
}

fn check(table: &TrustTable, signed: &Signed, leaf: &[u8], bundle: &str, log: Log) -> Result<Vouched, Fault> {
    table.backend.certificate(bundle, &signed.artifact.artifact(), leaf, log, table.sct())
}
