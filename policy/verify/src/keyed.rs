//! Signatures by keys that the policy lists. The signature is checked here; log entries and timestamps, where there
//! are any, by the trust table of the authority.

use std::collections::{BTreeMap, BTreeSet};

use pullgate_policy::code::Code;
use pullgate_policy::evidence::Logged;
use pullgate_policy::identity::{By, KeyId, Name, Principal, Transparency};

use crate::backend::Vouched;
use crate::engine::Proof;
use crate::fault::PieceFault;
use crate::found::Request;
use crate::key::{NO_ENCODING, PublicKey};
use crate::material::Signed;

/// The detail for a signature that no asked key made.
const NO_KEY: &str = "not a signature by a key that is asked for";

/// The proofs of one signature by keys of the request's authorities.
pub(crate) fn proofs(request: &Request<'_>, signed: &Signed) -> Result<Vec<Proof>, PieceFault> {
    let tables = tables_by_key(request);
    if tables.is_empty() {
        return Err(PieceFault::new(
            Code::UnknownAuthority,
            "signed by a key; no authority that is asked for has one",
        ));
    }
    let mut proofs = Vec::new();
    for (id, tables) in &tables {
        let Some(key) = request.keys.get(id) else { continue };
        if key.signed(&signed.message, &signed.signature) {
            let (logged, Vouched { time, vouchers }) =
                vouched_by_all(request, tables, signed, Asked { key, leaf: None });
            proofs.push(Proof { principal: Principal::Key(*id), logged, time, ends: None, vouchers });
        }
    }
    if proofs.is_empty() && !PublicKey::is_encoded(&signed.signature) {
        return Err(PieceFault::new(Code::SignatureInvalid, NO_ENCODING));
    }
    if proofs.is_empty() {
        return Err(PieceFault::new(Code::UnknownAuthority, NO_KEY));
    }
    Ok(proofs)
}

/// The proof of a signature by the key in a certificate, where an authority that is asked for has that very key. The
/// certificate is only a wrapper then: its name and validity do not apply to the key (A232).
pub(crate) fn proof_within(
    request: &Request<'_>,
    signed: &Signed,
    (leaf, key): (&[u8], &PublicKey),
) -> Option<Result<Proof, PieceFault>> {
    let tables = tables_by_key(request).remove(&key.id())?;
    if !key.signed(&signed.message, &signed.signature) {
        return Some(Err(Code::SignatureInvalid.into()));
    }
    let (logged, Vouched { time, vouchers }) =
        vouched_by_all(request, &tables, signed, Asked { key, leaf: Some(leaf) });
    Some(Ok(Proof { principal: Principal::Key(key.id()), logged, time, ends: None, vouchers }))
}

/// A key, and the certificate by which entries name it, where it came in one.
#[derive(Clone, Copy)]
struct Asked<'a> {
    key: &'a PublicKey,
    leaf: Option<&'a [u8]>,
}

/// Where a log entry of a key's signature may be looked for.
type Tables = BTreeSet<(Name, Look)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Look {
    AtLog,
    AtTimestampsOnly,
}

fn tables_by_key(request: &Request<'_>) -> BTreeMap<KeyId, Tables> {
    let mut tables: BTreeMap<KeyId, Tables> = BTreeMap::new();
    for authority in request.authorities {
        let look = match authority.transparency {
            Transparency::None => Look::AtTimestampsOnly,
            Transparency::Optional | Transparency::Required => Look::AtLog,
        };
        match &authority.by {
            By::Keys(keys) => {
                for key in keys {
                    tables.entry(*key).or_default().insert((authority.trust.clone(), look));
                }
            }
            By::Certificate { .. } | By::Identity { .. } | By::Subjects { .. } => {}
        }
    }
    tables
}

/// What all trust tables that a key is used with say: a fact about a key does not name a table, so it must hold under
/// each. A policy in which a key stands under two names does not load, so there is one.
fn vouched_by_all(
    request: &Request<'_>,
    tables: &Tables,
    signed: &Signed,
    asked: Asked<'_>,
) -> (Logged, Vouched) {
    let mut all = tables.iter().map(|(name, look)| vouched(request, name, *look, signed, asked));
    let first = all.next().unwrap_or((Logged::No(Code::LogUnknown), Vouched::default()));
    all.fold(first, |(logged, vouched), (other, others)| {
        let logged = match logged {
            Logged::No(code) => Logged::No(code),
            Logged::Yes => other,
        };
        let time = vouched.time.zip(others.time).map(|(time, other)| time.min(other));
        (logged, Vouched { time, ..vouched })
    })
}

fn vouched(
    request: &Request<'_>,
    table: &Name,
    look: Look,
    signed: &Signed,
    asked: Asked<'_>,
) -> (Logged, Vouched) {
    let Some(table) = request.trust.get(table) else {
        return (Logged::No(absent(request, asked.key)), Vouched::default());
    };
    let at_log = || match asked.leaf {
        None => table.backend.key(signed, asked.key),
        Some(leaf) => table.backend.key_within(signed, leaf),
    };
    let code = match look {
        Look::AtTimestampsOnly => Code::LogEntryMissing,
        Look::AtLog => match at_log() {
            Ok(vouched) => return (Logged::Yes, vouched),
            Err(fault) => fault.code,
        },
    };
    (Logged::No(code), table.backend.stamped(signed))
}

/// The code for a log whose table was never fetched: a demanded entry cannot be verified, so `trust-stale`.
/// A stale table counts here: a key does not change with the trust root (A342).
fn absent(request: &Request<'_>, key: &PublicKey) -> Code {
    let demanded =
        request.authorities.iter().any(|authority| match (&authority.by, authority.transparency) {
            (By::Keys(keys), Transparency::Required) => keys.contains(&key.id()),
            (By::Keys(_), Transparency::None | Transparency::Optional)
            | (By::Certificate { .. } | By::Identity { .. } | By::Subjects { .. }, _) => false,
        });
    if demanded { Code::TrustStale } else { Code::LogUnknown }
}
