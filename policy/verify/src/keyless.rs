//! Signatures by holders of certificates, under each trust table that an authority names.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pullgate_policy::code::Code;
use pullgate_policy::evidence::Logged;
use pullgate_policy::identity::{By, Name, Principal, Transparency};
use pullgate_policy::limits;

use crate::backend::{CertificateChecks, Log};
use crate::certificate;
use crate::engine::{Proof, latest};
use crate::fault::{PieceFault, most_telling};
use crate::found::Request;
use crate::key::PublicKey;
use crate::material::Signed;
use crate::trust::TrustTable;

/// What is said of bytes that are no signature of any kind, whoever is to have made them.
pub(crate) const NO_ENCODING: &str =
    "the signature's encoding is none that is read: ECDSA in DER or as two numbers, Ed25519, RSA";

/// The proofs of one signature by the certificate `leaf`.
pub(crate) fn proofs(request: &Request<'_>, signed: &Signed, leaf: &[u8]) -> Result<Vec<Proof>, PieceFault> {
    let key = certificate::key(leaf)?;
    // The library reads what is signed before it looks at the signature: of what is large that comes first (A602).
    if !PublicKey::is_encoded(&signed.signature) {
        return Err(PieceFault::new(Code::SignatureInvalid, NO_ENCODING));
    }
    if signed.message.length() > limits::OFF_THREAD_BYTES as u64
        && !key.signed(&signed.message, &signed.signature)
    {
        return Err(Code::SignatureInvalid.into());
    }
    let tables = tables(request);
    if tables.is_empty() {
        let detail = "signed with a certificate; no authority that is asked for is known by one";
        return Err(PieceFault::new(Code::UnknownAuthority, detail));
    }
    let mut proofs = Vec::new();
    let mut faults = Vec::new();
    for (name, demand) in tables {
        // Never fetched, or too old to be believed: it may hold, and nobody can say (A342).
        let Some(table) = request.trust.get(&name).filter(|table| !table.is_stale(request.now)) else {
            faults.push(PieceFault::new(
                Code::TrustStale,
                format!("the trust table \"{name}\" is too old, or was never had"),
            ));
            continue;
        };
        match proof(table, demand, signed, leaf, request.now) {
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

/// Whether every authority of a table demands a log entry. If one does not, a signature without an entry counts, for that
/// authority only.
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

fn proof(
    table: &TrustTable,
    demand: Demand,
    signed: &Signed,
    leaf: &[u8],
    now: Timestamp,
) -> Result<Proof, PieceFault> {
    let asked = |log| CertificateChecks { log, sct: table.sct(), latest: latest(now) };
    let with_log = table.backend.certificate(signed, leaf, asked(Log::Checked));
    let (logged, vouched) = match (with_log, demand) {
        (Ok(vouched), _) => (Logged::Yes, vouched),
        (Err(fault), Demand::LogEntry) => return Err(fault),
        (Err(fault), Demand::Time) => {
            let without = table.backend.certificate(signed, leaf, asked(Log::Left));
            let code = fault.code;
            (Logged::No(code), without.map_err(|other| first(fault, other))?)
        }
    };
    let time = Some(vouched.time.ok_or(Code::NoTrustedTime)?);
    let identity = certificate::identity(leaf, table.name())?;
    Ok(Proof { principal: Principal::Identity(identity), logged, time, vouchers: vouched.vouchers })
}

/// Of what is wrong with a signature with its entries and what is wrong without them, the real one (A629): that nothing
/// tells a time without an entry is nothing new, and what is wrong with an entry that nobody demands is not why.
fn first(with: PieceFault, without: PieceFault) -> PieceFault {
    match (with.code, without.code) {
        (Code::LogEntryMissing, _) => without,
        (_, Code::NoTrustedTime) => with,
        (_, _) if with.is_a_logs() => without,
        (_, _) => with,
    }
}
