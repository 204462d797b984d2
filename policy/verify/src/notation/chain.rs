//! A chain of certificates as it was sent: in order, whole, each issued by the next (signature specification, "Certificate
//! Requirements"). No path is looked for, and nothing else of a certificate is evaluated (A673).

use pullgate_policy::code::Code;
use pullgate_policy::limits;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};

use super::issued::{Critical, Issued, invalid};
use crate::fault::PieceFault;

const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const PURPOSES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");

/// What a certificate that signs code must not be for: anything, servers, clients, mail, timestamps, answers of OCSP.
const FOREIGN: [ObjectIdentifier; 6] = [
    ObjectIdentifier::new_unwrap("2.5.29.37.0"),
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1"),
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2"),
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4"),
    TIME_STAMPING,
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9"),
];

/// What a chain is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    CodeSigning,
    TimeStamping,
}

/// Certificates, the leaf first.
pub(super) struct Chain<'a> {
    leaf: Held<'a>,
    above: Vec<Held<'a>>,
}

/// A certificate that was read for this chain, or stands in a store.
pub(super) enum Held<'a> {
    Here(Box<Issued>),
    There(&'a Issued),
}

impl AsRef<Issued> for Held<'_> {
    fn as_ref(&self) -> &Issued {
        match self {
            Self::Here(issued) => issued,
            Self::There(issued) => issued,
        }
    }
}

impl<'a> Chain<'a> {
    /// Reads the certificates that travel with a signature.
    pub(super) fn read(certificates: &[Vec<u8>]) -> Result<Self, PieceFault> {
        if certificates.len() > limits::CHAIN_LENGTH {
            return Err(invalid("the chain is longer than chains are read"));
        }
        let read = |der: &Vec<u8>| Ok::<_, PieceFault>(Held::Here(Box::new(Issued::read(der)?)));
        let (leaf, above) = certificates.split_first().ok_or_else(|| invalid("no certificate"))?;
        Ok(Self { leaf: read(leaf)?, above: above.iter().map(read).collect::<Result<_, _>>()? })
    }

    /// A path that was found.
    pub(super) fn of(leaf: &'a Issued, above: Vec<&'a Issued>) -> Self {
        Self { leaf: Held::There(leaf), above: above.into_iter().map(Held::There).collect() }
    }

    pub(super) fn leaf(&self) -> &Issued {
        self.leaf.as_ref()
    }

    pub(super) fn length(&self) -> usize {
        1 + self.above.len()
    }

    /// All certificates, the leaf first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Issued> {
        std::iter::once(&self.leaf).chain(&self.above).map(AsRef::as_ref)
    }

    /// Each certificate that has an issuer in the chain, with that.
    pub(super) fn links(&self) -> impl Iterator<Item = (&Issued, &Issued)> {
        self.iter().zip(self.iter().skip(1))
    }

    /// The subjects, for people.
    pub(super) fn subjects(&self) -> Vec<String> {
        self.iter().map(Issued::shown).collect()
    }

    /// Whether one of them is byte for byte in a store.
    pub(super) fn has_one_of(&self, store: &[Issued]) -> bool {
        self.iter().any(|one| store.iter().any(|known| known.der == one.der))
    }

    /// Checks what the certificates say of themselves and of each other; none of it by any store.
    pub(super) fn check(&self, purpose: Purpose) -> Result<(), PieceFault> {
        if self.iter().any(|one| !one.is_signed_soundly()) {
            return Err(invalid("signed in a form that does not count: SHA-1, MD5, or unknown"));
        }
        let root = self.iter().last().ok_or_else(|| invalid("no certificate"))?;
        if !root.is_self_signed() {
            return Err(invalid("the last of the chain is no root: it is not signed by itself"));
        }
        for (issued, issuer) in self.links() {
            if !issued.is_issued_by(issuer) {
                return Err(invalid("one of the chain is not issued by the next"));
            }
            if issued.is_self_signed() {
                return Err(invalid("one that is signed by itself is not the last of the chain"));
            }
        }
        match (purpose, self.above.is_empty()) {
            (Purpose::TimeStamping, true) => return Err(invalid("an authority of one certificate")),
            (Purpose::CodeSigning | Purpose::TimeStamping, _) => check_leaf(self.leaf(), purpose)?,
        }
        self.iter().skip(1).enumerate().try_for_each(|(below, one)| check_authority(one, below, purpose))
    }
}

/// What issues others. `below` of its kind stand between it and the leaf.
fn check_authority(one: &Issued, below: usize, purpose: Purpose) -> Result<(), PieceFault> {
    let constraints: Option<(BasicConstraints, Critical)> = one.extension(BASIC_CONSTRAINTS)?;
    let Some((constraints, Critical::Yes)) = constraints else {
        return Err(invalid("an issuer without critical basic constraints"));
    };
    if !constraints.ca {
        return Err(invalid("an issuer that is no certificate authority"));
    }
    if constraints.path_len_constraint.is_some_and(|length| usize::from(length) < below) {
        return Err(invalid("more certificates stand below an issuer than it allows"));
    }
    let usage: Option<(KeyUsage, Critical)> = one.extension(KEY_USAGE)?;
    match (usage, purpose) {
        (Some((usage, Critical::Yes)), _) | (Some((usage, Critical::No)), Purpose::TimeStamping)
            if usage.key_cert_sign() =>
        {
            Ok(())
        }
        _ => Err(invalid("an issuer whose key is not, critically, for signing certificates")),
    }
}

fn check_leaf(leaf: &Issued, purpose: Purpose) -> Result<(), PieceFault> {
    let constraints: Option<(BasicConstraints, Critical)> = leaf.extension(BASIC_CONSTRAINTS)?;
    if constraints.is_some_and(|(constraints, _)| constraints.ca) {
        return Err(invalid("a certificate authority's own certificate signs nothing else"));
    }
    let usage: Option<(KeyUsage, Critical)> = leaf.extension(KEY_USAGE)?;
    let usage = match (usage, purpose) {
        (Some((usage, Critical::Yes)), _) | (Some((usage, Critical::No)), Purpose::TimeStamping) => usage,
        _ => return Err(invalid("a signer without critical key usage")),
    };
    let foreign = usage.key_encipherment()
        || usage.data_encipherment()
        || usage.key_agreement()
        || usage.key_cert_sign()
        || usage.crl_sign()
        || usage.encipher_only()
        || usage.decipher_only();
    if !usage.digital_signature() || foreign {
        return Err(invalid("a signer's key that is for something else than signatures"));
    }
    super::algorithm::Algorithm::of_key(&leaf.key)?;
    let purposes: Option<(ExtendedKeyUsage, Critical)> = leaf.extension(PURPOSES)?;
    match (purposes, purpose) {
        (None, Purpose::CodeSigning) => Ok(()),
        (Some((purposes, _)), Purpose::CodeSigning)
            if !purposes.0.iter().any(|one| FOREIGN.contains(one)) =>
        {
            Ok(())
        }
        (Some((purposes, Critical::Yes)), Purpose::TimeStamping) if purposes.0 == [TIME_STAMPING] => Ok(()),
        (_, Purpose::CodeSigning) => Err(invalid("a signer's certificate that is for something else")),
        (_, Purpose::TimeStamping) => {
            Err(PieceFault::new(Code::CertificateInvalid, "not, critically, for timestamps alone"))
        }
    }
}
