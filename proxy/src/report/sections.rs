//! Which parts of a report are told.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Report;

/// A part of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Sums of each repository.
    Repositories,
    /// Sums of each client.
    Clients,
    /// Sums of each gate.
    Gates,
    /// Images that would be refused, if warnings became refusals.
    WouldDeny,
    /// Refused images.
    Refused,
    /// Served images without a known signer.
    Unsigned,
    /// Signers, and those that no requirement names.
    Signers,
    /// Images that rest on an authority.
    Rests,
    /// Exemptions.
    Exemptions,
    /// Tags that moved.
    Moved,
    /// Registries that are not served.
    Unserved,
    /// Verdicts of `audit.shadow`.
    Shadow,
}

impl Section {
    const ALL: [Self; 12] = [
        Self::Repositories,
        Self::Clients,
        Self::Gates,
        Self::WouldDeny,
        Self::Refused,
        Self::Unsigned,
        Self::Signers,
        Self::Rests,
        Self::Exemptions,
        Self::Moved,
        Self::Unserved,
        Self::Shadow,
    ];

    /// Its keys in JSON.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Repositories => &["repositories"],
            Self::Clients => &["clients"],
            Self::Gates => &["gates"],
            Self::WouldDeny => &["would_deny"],
            Self::Refused => &["refused"],
            Self::Unsigned => &["unsigned"],
            Self::Signers => &["signers", "strangers", "lines"],
            Self::Rests => &["rests"],
            Self::Exemptions => &["exemptions"],
            Self::Moved => &["moved"],
            Self::Unserved => &["unserved"],
            Self::Shadow => &["shadow"],
        }
    }
}

/// The parts that are told.
#[derive(Debug)]
pub struct Sections(BTreeSet<Section>);

impl Sections {
    /// Those that are named; all of them where none is.
    #[must_use]
    pub fn of(named: impl Iterator<Item = Section>) -> Self {
        let named: BTreeSet<Section> = named.collect();
        Self(if named.is_empty() { Section::ALL.into_iter().collect() } else { named })
    }

    /// Whether a part is told.
    #[must_use]
    pub fn has(&self, section: Section) -> bool {
        self.0.contains(&section)
    }

    /// The report with these parts, as JSON.
    #[must_use]
    pub fn json(&self, report: &Report) -> String {
        let mut value = serde_json::to_value(report).unwrap_or_default();
        if let Value::Object(fields) = &mut value {
            for section in Section::ALL.into_iter().filter(|section| !self.has(*section)) {
                for key in section.keys() {
                    fields.remove(*key);
                }
            }
        }
        serde_json::to_string_pretty(&value).unwrap_or_default()
    }
}
