//! The Notary Project's signatures (Notation): a chain of certificates that travels whole, one of which lies in a store of
//! the scheme's kind, and a descriptor that was signed.
//!
//! The specification decides, not its implementation, which takes more (A670 to A677). Nothing of it goes through the
//! library, which knows nothing of these.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use pullgate_policy::code::Code;
use pullgate_policy::evidence::notation::Form;
use pullgate_policy::evidence::{Chained, Clock, Logged, Scheme, Vouchers};
use pullgate_policy::identity::{Authority, By, Name, NotationSigner, Principal, Terms};
use pullgate_policy::limits;
use pullgate_policy::oci::Digest;

use crate::artifact::SharedArtifact;
use crate::budget::{Budget, Cost};
use crate::engine::Proof;
use crate::fault::{PieceFault, most_telling};
use crate::found::Request;

mod algorithm;
mod attributes;
mod chain;
mod cose;
mod issued;
mod jws;
mod payload;
mod revocation;
mod stamp;
pub(crate) mod stores;
mod time;

use algorithm::Algorithm;
use attributes::Attributes;
use chain::{Chain, Purpose};
use time::Timed;

/// An envelope as it was read; nothing of it is checked.
struct Envelope {
    algorithm: Option<Algorithm>,
    content_type: Option<String>,
    attributes: Attributes,
    /// The bytes that the signature covers, as they were received.
    signed: Vec<u8>,
    signature: Vec<u8>,
    payload: Vec<u8>,
    /// In DER, the leaf first.
    certificates: Vec<Vec<u8>>,
    timestamp: Option<Vec<u8>>,
}

/// Who proves to have signed, each on the terms of an authority, and what is signed besides.
pub(crate) type Proven = (Vec<Proof>, BTreeMap<String, String>);

/// What a signature of Notation's is worth; none where it is by nobody whom the policy names, and `strangers` have their
/// turn later (A624).
///
/// # Errors
/// Why it does not count.
pub(crate) fn worth(
    request: &Request<'_>,
    artifact: &SharedArtifact,
    (form, bytes): (Form, &[u8]),
    (budget, strangers): (&mut Budget, Strangers),
) -> Result<Option<Proven>, PieceFault> {
    let envelope = read(form, bytes)?;
    let chain = Chain::read(&envelope.certificates)?;
    let (shown, subject) = chain.leaf().subject()?;
    let ways = ways(request);
    // It costs a policy of other kinds no more than this (A604).
    if ways.is_empty() {
        let detail = "signed by Notation; no authority that is asked for is known by such a certificate";
        return Err(PieceFault::new(Code::UnknownAuthority, detail));
    }
    let named = |authority: &&Authority| match &authority.by {
        By::Subjects { subjects, .. } => subjects.include(subject.as_ref()),
        By::Certificate { .. } | By::Identity { .. } | By::Keys(_) => false,
    };
    if strangers == Strangers::Later && !request.authorities.iter().any(named) {
        return Ok(None);
    }
    budget.take(cost(&envelope, &chain, ways.len()))?;
    chain.check(Purpose::CodeSigning)?;
    check_signature(&envelope, &chain)?;
    let annotations = payload::about(&envelope, &request.subject, artifact)?;
    if let Some(expiry) = envelope.attributes.expiry
        && request.now >= expiry
    {
        return Err(PieceFault::new(Code::SignatureExpired, format!("it expired at {expiry}")));
    }
    let signer = |trust: &Name, terms: Terms| NotationSigner {
        trust: trust.clone(),
        terms,
        shown: shown.clone(),
        subject: subject.clone(),
        held: chain.leaf().key.id(),
    };
    let (mut proofs, mut faults) = (Vec::new(), Vec::new());
    for (trust, terms) in ways {
        match trusted(request, &envelope, &chain, (trust, terms)) {
            Ok(timed) => proofs.push(proof(&envelope, &chain, signer(trust, terms), timed)),
            Err(fault) => faults.push(fault),
        }
    }
    match proofs.is_empty() {
        true => Err(most_telling(faults).unwrap_or_else(|| Code::CertificateUntrusted.into())),
        false => Ok(Some((proofs, annotations))),
    }
}

/// When what is by nobody whom the policy names is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strangers {
    /// Now.
    Now,
    /// When all else was.
    Later,
}

/// The digest that an envelope names, for whoever looks what it is about; nothing of it is verified.
pub(crate) fn named(form: Form, bytes: &[u8]) -> Option<Digest> {
    payload::digest(&read(form, bytes).ok()?.payload)
}

fn read(form: Form, bytes: &[u8]) -> Result<Envelope, PieceFault> {
    if bytes.len() as u64 > limits::EVIDENCE_SIGNATURE_BYTES {
        return Err(Code::EvidenceTooLarge.into());
    }
    match form {
        Form::Cose => cose::read(bytes),
        Form::Jws => jws::read(bytes),
    }
}

fn invalid(detail: impl Into<String>) -> PieceFault {
    PieceFault::new(Code::EnvelopeInvalid, detail)
}

/// The tables and terms of the authorities that are known by such certificates.
fn ways<'a>(request: &Request<'a>) -> BTreeSet<(&'a Name, Terms)> {
    let way = |authority: &&'a Authority| match &authority.by {
        By::Subjects { terms, .. } => Some((&authority.trust, *terms)),
        By::Certificate { .. } | By::Identity { .. } | By::Keys(_) => None,
    };
    request.authorities.iter().filter_map(way).collect()
}

/// Its own signature, its chain, and in each table the lists of revocations and a timestamp's way to a root.
fn cost(envelope: &Envelope, chain: &Chain<'_>, ways: usize) -> Cost {
    let certificates = chain.length() as u64;
    let stamp = match envelope.timestamp {
        Some(_) => (limits::TIMESTAMP_STEPS + limits::CHAIN_LENGTH) as u64,
        None => 0,
    };
    let each = certificates.saturating_add(stamp).saturating_mul(ways as u64);
    Cost {
        hashed: envelope.signed.len() as u64,
        parsed: envelope.payload.len() as u64,
        // Each is held against its own key too, so that none but the last is self-signed.
        checks: (1 + 2 * certificates).saturating_add(each),
    }
}

fn check_signature(envelope: &Envelope, chain: &Chain<'_>) -> Result<(), PieceFault> {
    let wanted = Algorithm::of_key(&chain.leaf().key)?;
    if envelope.algorithm != Some(wanted) {
        let detail = "its algorithm is not the one of its certificate's key";
        return Err(PieceFault::new(Code::SignatureInvalid, detail));
    }
    let message = SharedArtifact::of(envelope.signed.clone().into());
    let made = chain.leaf().key.made(wanted.way(), &message, &envelope.signature);
    made.then_some(()).ok_or_else(|| Code::SignatureInvalid.into())
}

/// Whether a store of the table vouches for the chain on these terms, and until when.
fn trusted(
    request: &Request<'_>,
    envelope: &Envelope,
    chain: &Chain<'_>,
    (trust, terms): (&Name, Terms),
) -> Result<Timed, PieceFault> {
    let stores = request.trust.stores(trust).ok_or(Code::CertificateUntrusted)?;
    let scheme = envelope.attributes.scheme;
    // Each scheme has a store of its own: whoever holds a CA's certificate must not be its own clock.
    if !chain.has_one_of(stores.of_scheme(scheme)) {
        let detail = format!("no certificate of the chain is in the store for {}", scheme.as_str());
        return Err(PieceFault::new(Code::CertificateUntrusted, detail));
    }
    time::check(envelope, chain, (stores, terms), request.now)
}

fn proof(envelope: &Envelope, chain: &Chain<'_>, signer: NotationSigner, timed: Timed) -> Proof {
    let attributes = &envelope.attributes;
    let clock = timed.proven.map(|_| match attributes.scheme {
        Scheme::SigningAuthority => Clock::SigningAuthority,
        Scheme::X509 => Clock::TimestampAuthority,
    });
    let chained = Chained {
        scheme: attributes.scheme,
        subjects: chain.subjects(),
        claimed: attributes.claimed,
        revocation: timed.revocation,
    };
    let ends = [attributes.expiry, timed.ends].into_iter().flatten().min();
    Proof {
        principal: Principal::Notation(signer),
        logged: Logged::No(Code::LogEntryMissing),
        time: timed.proven,
        ends,
        vouchers: Vouchers { clock, chained: Some(Box::new(chained)), ..Vouchers::default() },
    }
}

/// The first moment at which what holds up to and at `last` holds no longer.
fn past(last: Timestamp) -> Timestamp {
    pullgate_policy::time::later(last, std::time::Duration::from_nanos(1))
}
