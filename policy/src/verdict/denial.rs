//! A denial, and everything that is reported of it.

use jiff::Timestamp;
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
    #[serde(default)]
    pieces: Box<Pieces>,
}

/// The evidence about what was denied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Pieces {
    signers: Vec<Signer>,
    failed: Vec<Failed>,
    #[serde(default)]
    met: Vec<Location>,
    #[serde(default)]
    ripe_at: Option<Timestamp>,
}

/// Who signed something about what was denied, by a signature that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signer {
    /// The identity with its issuer, or the key by its fingerprint; escaped.
    pub by: String,
    /// Where it was found.
    pub layout: String,
    /// The predicate type of an attestation, escaped; `None` for a signature.
    pub attests: Option<String>,
    /// The authorities that it counted for.
    pub authorities: Vec<Name>,
    /// Why it counted for none.
    pub code: Option<Code>,
    /// Whom its certificate names; none of a key, and of a certificate of the policy's own authorities.
    #[serde(default)]
    pub identity: Option<Named>,
    /// Whether a log vouches for it.
    #[serde(default)]
    pub logged: bool,
}

/// Whom a certificate of a trust table names: what a policy must say to mean exactly that one. As it is, not escaped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// The trust table.
    pub trust: Name,
    /// The OIDC issuer.
    pub issuer: String,
    /// The subject alternative name.
    pub name: String,
    /// The repository for which a workflow ran, where the certificate says so (A242).
    pub source: Option<String>,
}

/// A piece of evidence whose cryptography or form does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// The blob, or the manifest where that is meant.
    pub digest: Digest,
    /// Where it was found.
    pub layout: String,
    /// Why.
    pub code: Code,
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
        Self { policy, first, rest, skipped: Vec::new(), judged: None, pieces: Box::default() }
    }

    /// The same denial, with the codes of the evidence that did not count.
    pub(crate) fn with_skipped(self, skipped: Vec<Reason>) -> Self {
        Self { skipped, ..self }
    }

    /// The same denial, with who did sign, and which pieces do not hold.
    pub(crate) fn with_signers(self, signers: Vec<Signer>, failed: Vec<Failed>) -> Self {
        Self { pieces: Box::new(Pieces { signers, failed, ..*self.pieces }), ..self }
    }

    /// The same denial, with the requirements that were met all the same.
    pub(crate) fn with_met(mut self, met: Vec<Location>) -> Self {
        self.pieces.met = met;
        self
    }

    /// Where the requirements stand that were met.
    #[must_use]
    pub fn met(&self) -> &[Location] {
        &self.pieces.met
    }

    /// The same denial, of what would be permitted from a time on if nothing else changed.
    pub(crate) fn with_ripe_at(mut self, ripe_at: Option<Timestamp>) -> Self {
        self.pieces.ripe_at = ripe_at;
        self
    }

    /// When it would be permitted, where its age is all that is missing.
    #[must_use]
    pub fn ripe_at(&self) -> Option<Timestamp> {
        self.pieces.ripe_at
    }

    /// Who signed something about it by a signature that holds, and why that did not count.
    #[must_use]
    pub fn signers(&self) -> &[Signer] {
        &self.pieces.signers
    }

    /// Pieces of evidence that do not hold.
    #[must_use]
    pub fn failed(&self) -> &[Failed] {
        &self.pieces.failed
    }

    /// The same denial, with the document that was judged.
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

    /// Why evidence did not count, a code at a time for each requirement that was not met. The text of the reasons
    /// names the first of them.
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
