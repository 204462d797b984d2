//! The evidence by layout, and the worth of each piece.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pullgate_policy::code::Code;
use pullgate_policy::evidence::{Clock, Evidence, Layout, Logged, Sct, Source, Vouchers};
use pullgate_policy::identity::{Authority, Principal, Transparency, Uses};
use pullgate_policy::text;
use pullgate_policy::verdict::Subject;

use super::report::{Chain, Entry, Looked, Piece, Rejected, Report};
use crate::live::Live;
use crate::pull::collect::Collected;

/// Adds to the report what was collected and what came of verifying it.
pub(super) fn describe(
    report: &mut Report,
    live: &Live,
    subject: &Subject,
    (collected, evidence): (&Collected, &Evidence),
) {
    let authorities = live.policy().authorities_for(&subject.repository);
    report.looked = looked(collected, evidence);
    report.evidence = pieces(evidence).map(|facts| piece(&facts, &authorities)).collect();
    report.rejected = evidence
        .rejected
        .iter()
        .map(|one| Rejected {
            code: one.code.to_string(),
            detail: text::escape(&one.detail),
            cure: one.code.cure(),
            found: one.source.into(),
        })
        .collect();
}

fn looked(collected: &Collected, evidence: &Evidence) -> Vec<Looked> {
    let of = |layout: Layout| {
        let own = collected.manifests.iter().filter(|(found, _)| *found == layout);
        let unread = evidence.unread.iter().find(|one| one.layout == layout);
        Looked {
            layout,
            manifests: own.map(|(_, digest)| *digest).collect(),
            unread: unread.map(|one| one.code.to_string()),
        }
    };
    Layout::ALL.into_iter().map(of).collect()
}

/// What a signature and an attestation have in common.
struct Facts<'a> {
    predicate_type: Option<&'a str>,
    principal: &'a Principal,
    logged: Logged,
    time: Option<Timestamp>,
    ends: Option<Timestamp>,
    vouchers: &'a Vouchers,
    claimed: Option<&'a str>,
    annotations: &'a BTreeMap<String, String>,
    source: Source,
}

fn pieces(evidence: &Evidence) -> impl Iterator<Item = Facts<'_>> {
    let signatures = evidence.signatures.iter().map(|signature| {
        let facts = signature.facts();
        Facts {
            predicate_type: None,
            principal: &facts.principal,
            logged: facts.logged,
            time: facts.trusted_time,
            ends: facts.ends,
            vouchers: &facts.vouchers,
            claimed: facts.claimed_reference.as_deref(),
            annotations: &facts.annotations,
            source: facts.source,
        }
    });
    let attestations = evidence.attestations.iter().map(|attestation| {
        let facts = attestation.facts();
        Facts {
            predicate_type: Some(&facts.predicate_type),
            principal: &facts.principal,
            logged: facts.logged,
            time: facts.trusted_time,
            ends: None,
            vouchers: &facts.vouchers,
            claimed: None,
            annotations: &facts.annotations,
            source: facts.source,
        }
    });
    signatures.chain(attestations)
}

fn piece(facts: &Facts<'_>, authorities: &[&Authority]) -> Piece {
    let mut counts_as = Vec::new();
    let mut why_not = Code::UnknownAuthority;
    for authority in authorities {
        match counts_for(authority, facts) {
            Ok(()) => counts_as.push(authority.name.to_string()),
            Err(Code::UnknownAuthority) => {}
            Err(code) => why_not = code,
        }
    }
    Piece {
        predicate_type: facts.predicate_type.map(text::escape),
        signed_by: facts.principal.into(),
        logged: matches!(facts.logged, Logged::Yes),
        not_logged: match facts.logged {
            Logged::Yes => None,
            Logged::No(code) => Some(code.to_string()),
        },
        log_entries: facts.vouchers.entries.iter().map(Entry::from).collect(),
        time: facts.time,
        clock: facts.vouchers.clock.map(|clock| match clock {
            Clock::Log => "log",
            Clock::SigningAuthority => "signing-authority",
            Clock::TimestampAuthority => "timestamp-authority",
        }),
        sct: match facts.vouchers.sct {
            Sct::Verified => Some("verified"),
            Sct::NotAsked => None,
        },
        ends: facts.ends,
        chain: facts.vouchers.chained.as_deref().map(Chain::from),
        claimed_reference: facts.claimed.map(text::escape),
        annotations: facts.annotations.clone(),
        why_not: counts_as.is_empty().then(|| why_not.to_string()),
        cure: counts_as.is_empty().then(|| cure(facts.principal, authorities, why_not)),
        counts_as,
        found: facts.source.into(),
    }
}

/// What would make it count: what alone is wrong with its signer, else what the code says.
fn cure(principal: &Principal, authorities: &[&Authority], why_not: Code) -> String {
    let nearly = authorities.iter().find_map(|authority| authority.nearly(principal));
    nearly.map_or_else(|| why_not.cure().to_owned(), |nearly| nearly.to_string())
}

/// What `decide` asks of an authority, told for one piece alone. What a requirement asks besides is told there.
fn counts_for(authority: &Authority, facts: &Facts<'_>) -> Result<(), Code> {
    authority.recognises(facts.principal)?;
    match (authority.uses, facts.predicate_type) {
        (Uses::Both, _) | (Uses::Signatures, None) | (Uses::Attestations, Some(_)) => {}
        (Uses::Signatures, Some(_)) | (Uses::Attestations, None) => return Err(Code::AuthorityUse),
    }
    match (authority.transparency, facts.logged) {
        (Transparency::Required, Logged::No(code)) => Err(code),
        (Transparency::Required, Logged::Yes) | (Transparency::Optional | Transparency::None, _) => Ok(()),
    }
}
