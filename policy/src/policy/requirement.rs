//! What one requirement of a policy asks for.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Location, PredicateType};
use crate::expression::Condition;
use crate::identity::Name;
use crate::provenance::Slsa;

/// One `[[policy.require]]`.
#[derive(Debug, Clone)]
pub struct Requirement {
    /// Where it stands.
    pub location: Location,
    /// What kind of evidence it asks for.
    pub asks: Asks,
    /// The authorities of whom `threshold` must have signed.
    pub any_of: Vec<Name>,
    /// How many distinct authorities, each met by another key or identity. Zero is never met.
    pub threshold: usize,
    /// What the signed bytes must also say.
    pub annotations: BTreeMap<String, String>,
    /// What follows from the repository that a payload names.
    pub claimed_reference: ClaimedReference,
    /// How long ago it may have been signed, by a trusted clock.
    pub max_age: Option<Duration>,
    /// How long ago it must have been signed, by a trusted clock.
    pub min_age: Option<Duration>,
    /// What must be true of the attestation.
    pub condition: Option<Condition>,
    /// What must be true of the attestation as provenance.
    pub slsa: Option<Slsa>,
    /// Of how many of the attestations the two must be true.
    pub every: Every,
    /// Alternatives, each of which also meets it; an alternative has no alternatives of its own.
    pub or: Vec<Self>,
}

/// How many of the authorities' attestations of the type must say what is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    /// Of one that counts.
    One,
    /// Of each that is there. This is the only rule under which more evidence can deny: an attacker who hides an
    /// attestation from the gate hides its denial.
    Each,
}

impl Requirement {
    /// It, and what will do in its place.
    pub fn alternatives(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.or)
    }
}

/// What follows from the repository that a simple-signing payload names, its `docker-reference` (A204).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimedReference {
    /// A different repository is reported.
    Reported,
    /// It must be the repository that is judged.
    Required,
}

/// What kind of evidence a requirement asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asks {
    /// An attestation of any of these predicate types.
    Attestation(Vec<PredicateType>),
    /// A signature.
    Signature,
}
