//! Trust stores (Notary Project, "Trust Store"): certificates of one kind each, and lists of revocations.

use std::fmt;

use jiff::Timestamp;
use pullgate_policy::evidence::Scheme;
use pullgate_policy::identity::Name;
use pullgate_policy::limits;
use pullgate_policy::policy::Revision;

use super::issued::Issued;
use super::revocation::RevocationList;
use crate::certificate::profile;
use crate::encoding;

/// The stores of one trust table of kind `x509`.
pub struct Stores {
    name: Name,
    authorities: Vec<Issued>,
    signing: Vec<Issued>,
    stamping: Vec<Issued>,
    lists: Vec<RevocationList>,
    /// Every file as it was read, behind what it is for: part of the revision.
    files: Vec<(&'static str, Vec<u8>)>,
}

/// For what a store vouches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// For signers (`notary.x509`).
    Ca,
    /// For signing authorities, which tell the time too (`notary.x509.signingAuthority`).
    SigningAuthority,
    /// For timestamp authorities.
    Tsa,
}

/// Why a file is no part of a store. It never repeats the file's content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreFault {
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
    /// Something in it that is not what is wanted.
    #[error("the file holds something else than certificates in PEM or DER")]
    Garbage,
    /// No list of revocations.
    #[error("{0}")]
    List(String),
    /// A certificate of which no chain can be made.
    #[error("\"{0}\" is neither a certificate authority nor signed by itself")]
    NoAnchor(String),
    /// A timestamp authority that is no root.
    #[error("\"{0}\" is not signed by itself: of timestamp authorities the root is wanted")]
    NoRoot(String),
    /// A private key. It should not be on the gate's host at all.
    #[error("the file holds a private key; certificates are wanted")]
    PrivateKey,
    /// Over `store_certificates` or `revocation_lists`.
    #[error("more than {} certificates or {} lists", limits::STORE_CERTIFICATES, limits::REVOCATION_LISTS)]
    TooMany,
    /// In the store of the other scheme too: whoever is in both chooses its own clock.
    #[error("\"{0}\" is in `ca` and in `signing_authority`")]
    Twice(String),
    /// A certificate that cannot be used.
    #[error("a certificate cannot be used: {0}")]
    Unusable(String),
}

impl Store {
    /// The key of a trust table under which it stands.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ca => "ca",
            Self::SigningAuthority => "signing_authority",
            Self::Tsa => "tsa",
        }
    }
}

impl Stores {
    /// Stores with nothing in them.
    #[must_use]
    pub fn new(name: Name) -> Self {
        let (authorities, signing, stamping) = (Vec::new(), Vec::new(), Vec::new());
        Self { name, authorities, signing, stamping, lists: Vec::new(), files: Vec::new() }
    }

    /// Adds the certificates of a file, PEM or DER.
    ///
    /// # Errors
    /// [`StoreFault`] when any part of it cannot be used.
    pub fn add(&mut self, store: Store, file: &[u8]) -> Result<(), StoreFault> {
        let mut read = Vec::new();
        for der in blocks(file, "CERTIFICATE")? {
            read.push(self.checked(store, &der)?);
        }
        let count = self.authorities.len() + self.signing.len() + self.stamping.len() + read.len();
        if count > limits::STORE_CERTIFICATES {
            return Err(StoreFault::TooMany);
        }
        let known = match store {
            Store::Ca => &mut self.authorities,
            Store::SigningAuthority => &mut self.signing,
            Store::Tsa => &mut self.stamping,
        };
        known.extend(read);
        self.files.push((store.as_str(), file.to_vec()));
        Ok(())
    }

    fn checked(&self, store: Store, der: &[u8]) -> Result<Issued, StoreFault> {
        profile::read(der).map_err(|_| StoreFault::Garbage)?;
        let read = Issued::read(der).map_err(|fault| StoreFault::Unusable(fault.detail))?;
        let other = match store {
            Store::Ca => &self.signing[..],
            Store::SigningAuthority => &self.authorities,
            Store::Tsa => &[],
        };
        if other.iter().any(|known| known.der == read.der) {
            return Err(StoreFault::Twice(read.shown()));
        }
        match store {
            Store::Tsa if !read.is_self_signed() => Err(StoreFault::NoRoot(read.shown())),
            Store::Ca | Store::SigningAuthority if !profile::is_authority(der) && !read.is_self_signed() => {
                Err(StoreFault::NoAnchor(read.shown()))
            }
            Store::Ca | Store::SigningAuthority | Store::Tsa => Ok(read),
        }
    }

    /// Adds a list of revocations, PEM or DER.
    ///
    /// # Errors
    /// [`StoreFault`] when any part of it cannot be used.
    pub fn add_list(&mut self, file: &[u8]) -> Result<(), StoreFault> {
        for der in blocks(file, "X509 CRL")? {
            self.lists.push(RevocationList::read(&der).map_err(StoreFault::List)?);
        }
        if self.lists.len() > limits::REVOCATION_LISTS {
            return Err(StoreFault::TooMany);
        }
        self.files.push(("crls", file.to_vec()));
        Ok(())
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The certificates of one store: their subjects, and when each runs out.
    pub fn contents(&self, store: Store) -> impl Iterator<Item = (String, Timestamp)> {
        let known = match store {
            Store::Ca => &self.authorities,
            Store::SigningAuthority => &self.signing,
            Store::Tsa => &self.stamping,
        };
        known.iter().map(|one| (one.shown(), one.until))
    }

    /// The lists of revocations: their issuers, and until when each is current; never, where it does not say.
    pub fn revocation_lists(&self) -> impl Iterator<Item = (&str, Option<Timestamp>)> {
        self.lists.iter().map(|list| (list.shown.as_str(), list.until))
    }

    /// The hash of its files.
    #[must_use]
    pub fn digest(&self) -> Revision {
        Revision::of(self.parts())
    }

    /// What makes its revision.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let files = self.files.iter().flat_map(|(kind, file)| [kind.as_bytes(), file.as_slice()]);
        [self.name.as_str().as_bytes(), b"x509"].into_iter().chain(files)
    }

    /// The store that vouches for a scheme: never the other (A674).
    pub(super) fn of_scheme(&self, scheme: Scheme) -> &[Issued] {
        match scheme {
            Scheme::X509 => &self.authorities,
            Scheme::SigningAuthority => &self.signing,
        }
    }

    pub(super) fn stamping(&self) -> &[Issued] {
        &self.stamping
    }

    pub(super) fn lists(&self) -> &[RevocationList] {
        &self.lists
    }
}

/// The blocks of a file in PEM, all of this kind, or the one that it is in DER.
fn blocks(file: &[u8], label: &str) -> Result<Vec<Vec<u8>>, StoreFault> {
    if file.iter().all(u8::is_ascii_whitespace) {
        return Err(StoreFault::Empty);
    }
    let Some(text) = std::str::from_utf8(file).ok().filter(|text| text.contains("-----BEGIN ")) else {
        return Ok(vec![file.to_vec()]);
    };
    if text.contains("PRIVATE KEY-----") {
        return Err(StoreFault::PrivateKey);
    }
    let blocks = encoding::pem(text).filter(|blocks| !blocks.is_empty()).ok_or(StoreFault::Garbage)?;
    let der = |block: encoding::Block| (block.label == label).then_some(block.der);
    blocks.into_iter().map(der).collect::<Option<_>>().ok_or(StoreFault::Garbage)
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stores").field("name", &self.name).finish_non_exhaustive()
    }
}
