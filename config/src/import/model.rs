//! What originals ask for, in the words of the policy language, before it is written.

use std::collections::BTreeMap;

use super::area::Area;
use super::remark::{Remark, RemarkCode, Weight};
use super::tree::Place;
use super::trusted::Who;

/// Every original of one import.
#[derive(Debug)]
pub(super) struct Originals {
    pub(super) parts: Vec<Part>,
    pub(super) joined: Joined,
    pub(super) unmatched: Unmatched,
    /// What is to be said of the whole.
    pub(super) remarks: Vec<Remark>,
}

/// Which of several policies over one image counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Joined {
    /// All of them.
    All,
    /// The one with the most specific scope, as here.
    MostSpecific,
}

/// What an image gets that no policy names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unmatched {
    Deny,
    Permit,
}

/// One policy, or one rule of it.
#[derive(Debug)]
pub(super) struct Part {
    /// As its author calls it.
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) areas: Vec<Area>,
    /// Scopes within these that it does not govern.
    pub(super) except: Vec<Area>,
    /// Patterns that no scope says.
    pub(super) lost: Vec<Lost>,
    pub(super) mode: Mode,
    pub(super) asks: Asks,
    pub(super) remarks: Vec<Remark>,
}

/// A pattern that no scope says.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) place: Place,
    pub(super) pattern: String,
    /// At least what it matches: `*` stands for any characters, also `/`, `?` for one.
    pub(super) glob: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mode {
    Enforce,
    Warn,
}

/// What is asked of an image.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Asks {
    /// Nothing can meet it.
    Denial(String),
    /// Nothing is asked.
    Nothing,
    /// Each of these.
    Each(Vec<Need>),
}

/// One of these will do.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Need(pub(super) Vec<Alternative>);

/// One requirement.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Alternative {
    pub(super) any_of: Vec<Who>,
    pub(super) threshold: usize,
    /// The predicate type, byte for byte; none asks for a signature.
    pub(super) attestation: Option<String>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) claimed: Claimed,
    pub(super) condition: Option<Condition>,
}

/// Whether a payload must name the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claimed {
    Anything,
    Repository,
}

/// What must be true of an attestation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    /// Of each by the signers.
    OfEach(String),
    /// Of one.
    OfOne(String),
}

impl Alternative {
    /// A signature by one of these.
    pub(super) fn signature(any_of: Vec<Who>) -> Self {
        Self {
            any_of,
            threshold: 1,
            attestation: None,
            annotations: BTreeMap::new(),
            claimed: Claimed::Anything,
            condition: None,
        }
    }

    /// Whether it is the same but for who signs, so that one requirement can name them all.
    pub(super) fn asks_as(&self, other: &Self) -> bool {
        let Self { any_of: _, threshold, attestation, annotations, claimed, condition } = self;
        // Each attestation by either of two is more than each by one of them.
        let each = matches!(condition, Some(Condition::OfEach(_)));
        *threshold == 1
            && other.threshold == 1
            && *attestation == other.attestation
            && *annotations == other.annotations
            && *claimed == other.claimed
            && *condition == other.condition
            && !each
    }
}

impl Need {
    /// One of these, as few requirements as say it.
    pub(super) fn of(alternatives: Vec<Alternative>) -> Self {
        let mut needed: Vec<Alternative> = Vec::new();
        for alternative in alternatives {
            match needed.iter_mut().find(|other| other.asks_as(&alternative)) {
                Some(other) => {
                    for who in alternative.any_of {
                        if !other.any_of.contains(&who) {
                            other.any_of.push(who);
                        }
                    }
                }
                None => needed.push(alternative),
            }
        }
        Self(needed)
    }
}

impl Part {
    /// A part that governs nothing yet, and asks for nothing.
    pub(super) fn new(name: impl Into<String>, place: &Place, mode: Mode) -> Self {
        Self {
            name: name.into(),
            place: place.clone(),
            areas: Vec::new(),
            except: Vec::new(),
            lost: Vec::new(),
            mode,
            asks: Asks::Nothing,
            remarks: Vec::new(),
        }
    }

    /// How much of it could be said.
    pub(super) fn weight(&self) -> Weight {
        self.remarks.iter().map(|remark| remark.code.weight()).max().unwrap_or(Weight::Said)
    }

    pub(super) fn remark(&mut self, code: RemarkCode, place: &Place, text: impl Into<String>) {
        let remark = Remark::new(code, place, text);
        if !self.remarks.contains(&remark) {
            self.remarks.push(remark);
        }
    }
}
