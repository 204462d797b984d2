//! The gate's own verifier, asked the same.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use pullgate_policy::code::Code;
use pullgate_policy::evidence::{Layout, Logged, Source};
use pullgate_policy::identity::{Authority, By, IdentityPattern, Name, Transparency, Uses};
use pullgate_policy::oci::Digest;
use pullgate_verify::{Artifact, Found, Item, KeyRing, Request, Sct, TrustSet, TrustTable, verify_all};

use super::Case;

/// What the gate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ours {
    /// It counts.
    Accepts,
    /// It does not.
    Refuses {
        /// Why; nothing where the trusted root does not load.
        code: Option<Code>,
        /// In more words.
        detail: String,
    },
}

pub(super) fn ours(case: &Case) -> Ours {
    let sct = if case.sct { Sct::Required } else { Sct::None };
    let transparency = if case.log { Transparency::Required } else { Transparency::None };
    let table = TrustTable::from_json(Name::new("root"), case.root.to_string().as_bytes(), sct);
    let table = match table {
        Ok(table) => table,
        Err(fault) => return Ours::Refuses { code: None, detail: fault.to_string() },
    };
    let subject = Digest::of(&case.artifact);
    let source = Source { layout: Layout::Referrers, manifest: subject, blob: subject };
    let pattern = IdentityPattern::Exact(String::new());
    let by = By::Identity { issuer: IdentityPattern::Exact(String::new()), pattern, claims: BTreeMap::new() };
    let trust = Name::new("root");
    let authority = Authority { name: Name::new("anybody"), uses: Uses::Both, transparency, trust, by };
    let evidence = verify_all(&Request {
        subject,
        artifact: Artifact::Bytes(&case.artifact),
        found: &[Found { source, item: Item::Bundle { json: Bytes::from(case.bundle.to_string()) } }],
        authorities: &[&authority],
        keys: &KeyRing::default(),
        trust: &TrustSet::new(vec![table]),
        now: Timestamp::now(),
        collected: Timestamp::now(),
    });
    let logged = evidence.signatures.iter().map(|one| one.facts().logged);
    let logged = logged.chain(evidence.attestations.iter().map(|one| one.facts().logged)).next();
    match (logged, evidence.rejected.into_iter().next()) {
        (Some(Logged::Yes), _) => Ours::Accepts,
        (Some(Logged::No(_)), _) if !case.log => Ours::Accepts,
        (Some(Logged::No(code)), _) => Ours::Refuses { code: Some(code), detail: String::new() },
        (None, Some(rejected)) => Ours::Refuses { code: Some(rejected.code), detail: rejected.detail },
        (None, None) => Ours::Refuses { code: None, detail: "nothing was found".to_owned() },
    }
}
