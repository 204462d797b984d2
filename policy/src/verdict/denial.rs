//! A denial, and everything that is reported of it.

use serde::{Deserialize, Serialize};

use crate::code::Code;
use crate::content::Intact;
use crate::identity::Name;
use crate::oci::{Digest, Document};
use crate::policy::Location;

/// A no, with at least one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    policy: Option<Name>,
    first: Reason,
    rest: Vec<Reason>,
    #[serde(default)]
    skipped: Vec<Reason>,
    #[serde(default)]
    judged: Option<Judged>,
}

/// What a denial is about, where its bytes were seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// The SHA-256 digest.
    pub digest: Digest,
    /// The media type.
    pub media_type: String,
}

/// One reason of a denial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The stable code.
    pub code: Code,
    /// The line of the policy file that asks for what is missing, or that forbids.
    pub location: Option<Location>,
    /// One line for people, escaped.
    pub text: String,
}

impl Denial {
    pub(crate) fn new(policy: Option<Name>, first: Reason, rest: Vec<Reason>) -> Self {
        Self { policy, first, rest, skipped: Vec::new(), judged: None }
    }

    /// The same denial, with the codes of the evidence that did not count.
    pub(crate) fn with_skipped(self, skipped: Vec<Reason>) -> Self {
        Self { skipped, ..self }
    }

    /// The same denial, told of the document that was judged.
    #[must_use]
    pub fn about(self, document: &Intact<Document>) -> Self {
        let media_type = document.value().media_type().to_owned();
        Self { judged: Some(Judged { digest: document.digest(), media_type }), ..self }
    }

    /// What was judged; none when it was refused by its name alone, or before its bytes were read.
    #[must_use]
    pub fn judged(&self) -> Option<&Judged> {
        self.judged.as_ref()
    }

    /// Why evidence did not count, a code at a time for each requirement that was not met. People are told the first of
    /// them in the text of the reasons.
    #[must_use]
    pub fn skipped(&self) -> &[Reason] {
        &self.skipped
    }

    /// The policy that says no, if one governs.
    #[must_use]
    pub fn policy(&self) -> Option<&Name> {
        self.policy.as_ref()
    }

    /// The first reason.
    #[must_use]
    pub fn first(&self) -> &Reason {
        &self.first
    }

    /// All reasons.
    pub fn reasons(&self) -> impl Iterator<Item = &Reason> {
        std::iter::once(&self.first).chain(&self.rest)
    }
}

#[cfg(test)]
mod tests {
    use crate::decide::tests::fixture::{decided, denial, evidence, image, policy_set, signed_by};

    #[test]
    fn a_denial_tells_what_was_judged_where_its_bytes_were_seen() {
        let set = policy_set(vec![signed_by(&["a"], 1)]);
        let unseen = denial(decided(&set, &evidence(vec![], vec![])));
        assert_eq!(unseen.judged(), None);
        let seen = unseen.about(&image());
        let judged = seen.judged().unwrap();
        assert_eq!(judged.digest, image().digest());
        assert_eq!(judged.media_type, "application/vnd.oci.image.manifest.v1+json");
    }
}
