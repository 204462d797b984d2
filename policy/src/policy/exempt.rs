//! What exemptions open where no scope matches (A062).

use jiff::Timestamp;

use super::{Covers, PolicySet};
use crate::oci::{Digest, Repository};

impl PolicySet {
    /// Tells whether an exemption opens a repository that no scope matches: all of it, by its scope, or this digest in it.
    #[must_use]
    pub fn opens(&self, repository: &Repository, digest: Option<&Digest>, now: Timestamp) -> bool {
        self.exemptions.iter().filter(|one| now < one.until).any(|one| match (&one.covers, digest) {
            (Covers::Digest(exempt), Some(digest)) => exempt == digest,
            (Covers::Digest(_), None) => false,
            (Covers::Scopes(scopes), _) => scopes.iter().any(|scope| scope.matches(repository)),
        })
    }

    /// Tells whether any digest is exempt, in whatever repository it lies.
    #[must_use]
    pub fn exempts_a_digest(&self, now: Timestamp) -> bool {
        let digests = self.exemptions.iter().filter(|one| matches!(one.covers, Covers::Digest(_)));
        digests.into_iter().any(|one| now < one.until)
    }
}
