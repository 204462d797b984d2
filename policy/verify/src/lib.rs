//! Which signatures and attestations about a subject hold, by whom, and when.
//!
//! [`verify_all`] takes the evidence that was found in a registry and gives, for each piece, a verified fact or the
//! reason why it does not count. No network, no file, no clock of its own. Nothing here decides whether the signer is
//! the right one: `pullgate_policy` does.
//!
//! The Sigstore library is named in two modules only: `backend`, which checks certificates, logs and timestamps with it, and
//! `refresh`, which checks TUF metadata with it.
//!
//! An id such as (A040) in a comment names an attack, the claim that holds against it and its tests;
//! `tests/ATTACKS.md` has the rows.

mod artifact;
mod asn1;
mod backend;
mod budget;
mod bundle;
mod certificate;
mod claim;
mod dsse;
mod encoding;
mod engine;
mod fault;
mod found;
mod key;
mod keyed;
mod keyless;
mod legacy;
mod loose;
mod material;
mod notation;
mod proto;
mod reading;
pub mod refresh;
mod ring;
mod subjects;
pub mod token;
mod trust;

pub use artifact::Artifact;
pub use backend::{Roots, RootsFault};
pub use budget::Cost;
pub use certificate::holder::subject;
pub use engine::{Progress, Rest, Verification, verify_all};
pub use found::{Attesting, Carried, Found, Item, Request, Statement};
pub use key::{JwkFault, JwkSet, KeyFault, PublicKey};
pub use loose::{LooseFault, LooseRoot};
pub use notation::stores::{Store, StoreFault, Stores};
pub use ring::KeyRing;
pub use subjects::named_subjects;
pub use trust::{
    SNAPSHOTS_EXPIRED, Sct, TrustFault, TrustSet, TrustSummary, TrustTable, Trusted, TrustedKind, Unusable,
    VERIFIER_VERSION,
};
