//! Signatures by holders of certificates: under each trust table that an authority names, under each of the policy's own
//! certificate authorities, and by the certificate's key, where the policy lists that.

use std::collections::BTreeMap;

use pullgate_policy::code::Code;
use pullgate_policy::evidence::Logged;
use pullgate_policy::identity::{By, Identity, KeyId, Name, Principal, RootsId, Transparency};
use pullgate_policy::limits;

use crate::backend::{CertificateChecks, Log, Vouched};
use crate::certificate::{self, holder};
use crate::engine::{Proof, latest};
use crate::fault::{PieceFault, most_telling};
use crate::found::Request;
use crate::key::{NO_ENCODING, PublicKey};
use crate::keyed;
use crate::material::Signed;
use crate::trust::TrustTable;

/// The proofs of one signature by the certificate `leaf`.
pub(crate) fn proofs(request: &Request<'_>, signed: &Signed, leaf: &[u8]) -> Result<Vec<Proof>, PieceFault> {
    let key = certificate::key(leaf)?;
    // The library parses the signed bytes before it checks the signature. So the signature's form, and for large bytes
    // the signature itself, are checked first (A602).
    if !PublicKey::is_encoded(&signed.signature) {
        return Err(PieceFault::new(Code::SignatureInvalid, NO_ENCODING));
    }
    if signed.message.length() > limits::OFF_THREAD_BYTES as u64
        && !key.signed(&signed.message, &signed.signature)
    {
        return Err(Code::SignatureInvalid.into());
    }
    let held = Some(key.id());
    let mut attempts: Vec<_> = tables(request)
        .into_iter()
        .map(|((table, under), demand)| proof((request, &table), (under, demand), (signed, leaf), held))
        .collect();
    attempts.extend(keyed::proof_within(request, signed, (leaf, &key)));
    if attempts.is_empty() {
        let detail = "signed with a certificate; no authority that is asked for is known by one";
        return Err(PieceFault::new(Code::UnknownAuthority, detail));
    }
    let mut proofs = Vec::new();
    let mut faults = Vec::new();
    for attempt in attempts {
        match attempt {
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

/// To whom a certificate must lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Under {
    /// The certificate authorities of the trust table.
    Table,
    /// The policy's own.
    Own(RootsId),
}

fn tables(request: &Request<'_>) -> BTreeMap<(Name, Under), Demand> {
    let mut tables = BTreeMap::new();
    for authority in request.authorities {
        let under = match &authority.by {
            By::Keys(_) | By::Subjects { .. } => continue,
            By::Identity { .. } => Under::Table,
            By::Certificate { roots, .. } => Under::Own(*roots),
        };
        let asked = (authority.trust.clone(), under);
        match authority.transparency {
            Transparency::Required => {
                tables.entry(asked).or_insert(Demand::LogEntry);
            }
            Transparency::None | Transparency::Optional => {
                tables.insert(asked, Demand::Time);
            }
        }
    }
    tables
}

fn proof(
    (request, name): (&Request<'_>, &Name),
    (under, demand): (Under, Demand),
    (signed, leaf): (&Signed, &[u8]),
    held: Option<KeyId>,
) -> Result<Proof, PieceFault> {
    // A table that was never fetched or is stale: the signature may hold, and cannot be verified (A342).
    let table = request.trust.get(name).filter(|table| !table.is_stale(request.now));
    let Some(table) = table else {
        let detail = format!("the trust table \"{name}\" is too old, or was never had");
        return Err(PieceFault::new(Code::TrustStale, detail));
    };
    let verified = |log| verified((request, table), under, (signed, leaf), log);
    let (logged, vouched) = match (verified(Log::Checked), demand) {
        (Ok(vouched), _) => (Logged::Yes, vouched),
        (Err(fault), Demand::LogEntry) => return Err(fault),
        (Err(fault), Demand::Time) => {
            let code = fault.code;
            (Logged::No(code), verified(Log::Left).map_err(|other| first(fault, other))?)
        }
    };
    let time = Some(vouched.time.ok_or(Code::NoTrustedTime)?);
    let principal = match under {
        Under::Table => Principal::Identity(Identity { held, ..certificate::identity(leaf, table.name())? }),
        Under::Own(roots) => Principal::Certificate(holder::certified(leaf, (table.name(), roots), held)?),
    };
    Ok(Proof { principal, logged, time, ends: None, vouchers: vouched.vouchers })
}

fn verified(
    (request, table): (&Request<'_>, &TrustTable),
    under: Under,
    (signed, leaf): (&Signed, &[u8]),
    log: Log,
) -> Result<Vouched, PieceFault> {
    match under {
        Under::Table => {
            let asked = CertificateChecks { log, sct: table.sct(), latest: latest(request.now) };
            table.backend.certificate(signed, leaf, asked)
        }
        Under::Own(id) => {
            let roots = request.keys.roots(&id).ok_or(Code::CertificateUntrusted)?;
            table.backend.own_certificate(signed, leaf, (roots, log))
        }
    }
}

/// The cause to report, of the faults with and without log entries (A629): `no-trusted-time` follows from leaving the
/// entries out, and the fault of an entry that no authority demands is not the cause.
fn first(with: PieceFault, without: PieceFault) -> PieceFault {
    match (with.code, without.code) {
        (Code::LogEntryMissing, _) => without,
        (_, Code::NoTrustedTime) => with,
        (_, _) if with.is_a_logs() => without,
        (_, _) => with,
    }
}
