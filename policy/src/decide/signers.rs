//! The signers of a denied image: every piece whose cryptography holds, and why it did not count.

use std::collections::BTreeMap;

use super::unmet::Unmet;
use crate::code::Code;
use crate::evidence::{Evidence, Layout, Logged};
use crate::identity::{Name, Principal};
use crate::verdict::{Failed, Named, Signer};

/// Entries of one list in a denial.
const TOLD: usize = 64;

/// One piece as one requirement saw it.
pub(super) struct Seen {
    pub(super) by: Who,
    pub(super) layout: Layout,
    pub(super) attests: Option<String>,
    /// The authorities that it counted for, or why it counted for none.
    pub(super) counted: Result<Vec<Name>, Code>,
}

/// By whom a piece is.
#[derive(Clone)]
pub(super) struct Who {
    text: String,
    identity: Option<Named>,
    logged: bool,
}

impl Who {
    pub(super) fn of(principal: &Principal, logged: Logged) -> Self {
        let identity = match principal {
            Principal::Identity(identity) => Some(Named {
                trust: identity.trust.clone(),
                issuer: identity.issuer.clone(),
                name: identity.san.clone(),
                source: identity.claims.get("source_repository_uri").cloned(),
            }),
            Principal::Certificate(_) | Principal::Key(_) | Principal::Notation(_) => None,
        };
        Self { text: principal.to_string(), identity, logged: logged == Logged::Yes }
    }
}

/// The signers of all pieces, by their nearest way of counting.
pub(super) fn all(evidence: &Evidence, unmet: &[Unmet]) -> Vec<Signer> {
    let mut signers = BTreeMap::<(String, Layout, Option<String>), Signer>::new();
    for seen in unmet.iter().flat_map(|unmet| &unmet.seen) {
        let key = (seen.by.text.clone(), seen.layout, seen.attests.clone());
        let signer =
            signers.entry(key).or_insert_with(|| signer(&seen.by, seen.layout, seen.attests.clone()));
        match &seen.counted {
            Ok(names) => {
                signer.code = None;
                signer.authorities.extend(
                    names
                        .iter()
                        .filter(|name| !signer.authorities.contains(name))
                        .cloned()
                        .collect::<Vec<_>>(),
                );
            }
            Err(code) if signer.authorities.is_empty() => signer.code = Some(*code),
            Err(_) => {}
        }
    }
    // A piece that no requirement asks for counts for none.
    for (by, layout, attests, code) in facts(evidence) {
        let key = (by.text.clone(), layout, attests.clone());
        signers.entry(key).or_insert_with(|| Signer { code: Some(code), ..signer(&by, layout, attests) });
    }
    signers.into_values().take(TOLD).collect()
}

fn signer(by: &Who, layout: Layout, attests: Option<String>) -> Signer {
    Signer {
        by: by.text.clone(),
        layout: layout.as_str().to_owned(),
        attests,
        authorities: Vec::new(),
        code: None,
        identity: by.identity.clone(),
        logged: by.logged,
    }
}

fn facts(evidence: &Evidence) -> impl Iterator<Item = (Who, Layout, Option<String>, Code)> {
    let signatures = evidence.signatures.iter().map(|signature| {
        let facts = signature.facts();
        let by = Who::of(&facts.principal, facts.logged);
        (by, facts.source.layout, None, Code::AttestationMissing)
    });
    let attestations = evidence.attestations.iter().map(|attestation| {
        let facts = attestation.facts();
        let attests = Some(crate::text::escape(&facts.predicate_type));
        (Who::of(&facts.principal, facts.logged), facts.source.layout, attests, Code::PredicateType)
    });
    signatures.chain(attestations)
}

/// The pieces whose cryptography or form does not hold.
pub(super) fn failed(evidence: &Evidence) -> Vec<Failed> {
    let failed = |one: &crate::evidence::Rejected| Failed {
        digest: one.source.blob,
        layout: one.source.layout.as_str().to_owned(),
        code: one.code,
    };
    evidence.rejected.iter().take(TOLD).map(failed).collect()
}
