//! One image, three keys and one workflow, and policies about them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use crate::code::Code;
use crate::content::{Intact, Untrusted};
use crate::decide::{Outcome, judge};
use crate::evidence::{
    AttestationFacts, Evidence, Layout, Logged, Predicate, Rejected, SignatureFacts, Source, Unread,
    VerifiedAttestation, VerifiedSignature, Vouchers,
};
use crate::identity::{
    Authority, By, Identity, IdentityPattern, KeyId, Name, Principal, SanKind, Transparency, Uses,
};
use crate::oci::{Digest, Document, media_type};
use crate::policy::{
    Asks, Block, ClaimedReference, Covers, Every, EvidencePasses, Exemption, ForeignLayers, IndexRule,
    Location, Mode, OnUndecided, Policy, PolicySet, PredicateType, Requirement, Revision, Revisions, Rule,
    Unmatched,
};
use crate::scope::Scope;
use crate::verdict::{Denial, Permit, Subject, Verdict};

pub(crate) const PROVENANCE: &str = "https://slsa.dev/provenance/v1";
pub(crate) const VULN: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";
pub(crate) const WORKFLOW: &str =
    "https://github.com/myorg/myrepo/.github/workflows/build.yml@refs/heads/main";
const ISSUER: &str = "https://token.actions.githubusercontent.com";
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

pub(crate) fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

/// `seconds` after now, or before it.
pub(crate) fn at(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

pub(crate) fn hours(count: i64) -> Timestamp {
    at(count * 3600)
}

pub(crate) fn layer() -> Digest {
    Digest::of(b"layer")
}

/// The image that everything is about; `extra` goes into its layer's descriptor.
pub(crate) fn image_with(extra: &str) -> Intact<Document> {
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{{"mediaType":"{}","digest":"{}","size":2}},
            "layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{}","size":5{extra}}}]}}"#,
        media_type::OCI_MANIFEST,
        media_type::OCI_CONFIG,
        Digest::of(b"{}"),
        layer(),
    );
    Untrusted::new(Bytes::from(text)).hash().parse(None).unwrap()
}

pub(crate) fn image() -> Intact<Document> {
    image_with("")
}

pub(crate) fn foreign_image() -> Intact<Document> {
    image_with(r#","urls":["https://elsewhere.example/layer"]"#)
}

/// An index that lists the image.
pub(crate) fn index() -> Intact<Document> {
    index_of(media_type::OCI_MANIFEST)
}

/// An index that lists the image as a child of this type.
pub(crate) fn index_of(child_type: &str) -> Intact<Document> {
    let child = image();
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{{"mediaType":"{child_type}","digest":"{}","size":{}}}]}}"#,
        media_type::OCI_INDEX,
        child.digest(),
        child.value().bytes().len(),
    );
    Untrusted::new(Bytes::from(text)).hash().parse(None).unwrap()
}

pub(crate) fn subject_in(repository: &str, document: &Intact<Document>) -> Subject {
    Subject { repository: repository.parse().unwrap(), digest: document.digest() }
}

pub(crate) fn subject() -> Subject {
    subject_in("r.io/org/app", &image())
}

pub(crate) fn location(line: u32) -> Location {
    Location { file: "policy.toml".into(), line }
}

pub(crate) fn key(name: &str) -> KeyId {
    KeyId::of_spki(name.as_bytes())
}

pub(crate) fn by_key(name: &str) -> Principal {
    Principal::Key(key(name))
}

pub(crate) fn by_workflow() -> Principal {
    let repository = ("source_repository_uri".to_owned(), "https://github.com/myorg/myrepo".to_owned());
    Principal::Identity(Identity {
        trust: Name::new("sigstore"),
        issuer: ISSUER.into(),
        kind: SanKind::Uri,
        san: WORKFLOW.into(),
        held: None,
        claims: BTreeMap::from([repository]),
    })
}

pub(crate) fn authority(name: &str, by: By) -> Authority {
    Authority {
        name: Name::new(name),
        uses: Uses::Both,
        transparency: Transparency::Optional,
        trust: Name::new("sigstore"),
        by,
    }
}

/// A policy "production" over `r.io/org/**`, with authorities `a`, `b`, `c` by the keys of their names, `ab` by either of
/// two keys, and `ci` by the workflow.
pub(crate) fn policy_set(requirements: Vec<Requirement>) -> PolicySet {
    let workflow = By::Identity {
        issuer: IdentityPattern::Exact(ISSUER.into()),
        pattern: IdentityPattern::Exact(WORKFLOW.into()),
        claims: BTreeMap::new(),
    };
    let authorities = [
        authority("a", By::Keys(vec![key("a")])),
        authority("b", By::Keys(vec![key("b")])),
        authority("c", By::Keys(vec![key("c")])),
        authority("ab", By::Keys(vec![key("a"), key("b")])),
        authority("ci", workflow),
    ];
    PolicySet {
        revisions: revisions(1),
        unmatched: Unmatched::Deny,
        authorities: authorities.into_iter().map(|one| (one.name.clone(), one)).collect(),
        policies: vec![policy("production", "r.io/org/**", Rule::Requirements(requirements))],
        blocks: Vec::new(),
        exemptions: Vec::new(),
        permit_ttl: HOUR,
    }
}

pub(crate) fn revisions(policy: u8) -> Revisions {
    Revisions { policy: Revision::of([&[policy][..]]), trust: Revision::of([&b"trust"[..]]) }
}

pub(crate) fn policy(name: &str, scope: &str, rule: Rule) -> Policy {
    Policy {
        name: Name::new(name),
        location: location(1),
        scopes: vec![Scope::parse(scope).unwrap()],
        mode: Mode::Enforce,
        on_undecided: OnUndecided::Deny,
        foreign_layers: ForeignLayers::Deny,
        evidence: EvidencePasses::Verified,
        index: IndexRule::Itself,
        rule,
    }
}

pub(crate) fn block(digest: Digest) -> Block {
    Block { digest, reason: "CVE-2026-0001".to_owned(), location: location(90) }
}

pub(crate) fn exemption(covers: Covers, until: Timestamp) -> Exemption {
    let (owner, reason) = ("platform@corp.example".to_owned(), "INC-1".to_owned());
    Exemption { covers, until, owner, reason, location: location(95) }
}

pub(crate) fn requires(asks: Asks, any_of: &[&str]) -> Requirement {
    Requirement {
        location: location(10),
        asks,
        any_of: any_of.iter().copied().map(Name::new).collect(),
        threshold: 1,
        annotations: BTreeMap::new(),
        claimed_reference: ClaimedReference::Reported,
        max_age: None,
        min_age: None,
        condition: None,
        slsa: None,
        every: Every::One,
        or: Vec::new(),
    }
}

pub(crate) fn signed_by(any_of: &[&str], threshold: usize) -> Requirement {
    Requirement { threshold, ..requires(Asks::Signature, any_of) }
}

pub(crate) fn attested(predicate_type: &str, any_of: &[&str]) -> Requirement {
    requires(Asks::Attestation(vec![PredicateType::Exact(predicate_type.to_owned())]), any_of)
}

/// A place of evidence, another for each `tag`.
pub(crate) fn source(tag: &str) -> Source {
    let digest = Digest::of(tag.as_bytes());
    Source { layout: Layout::SigTag, manifest: digest, blob: digest }
}

pub(crate) fn signature(principal: Principal) -> SignatureFacts {
    let source = source(&format!("signature {principal}"));
    SignatureFacts {
        subject: image().digest(),
        principal,
        logged: Logged::Yes,
        trusted_time: Some(hours(-1)),
        ends: None,
        vouchers: Vouchers::default(),
        annotations: BTreeMap::new(),
        claimed_reference: None,
        source,
    }
}

pub(crate) fn attestation(principal: Principal, predicate_type: &str) -> AttestationFacts {
    let source = source(&format!("attestation {principal} {predicate_type}"));
    AttestationFacts {
        subject: image().digest(),
        principal,
        logged: Logged::Yes,
        trusted_time: Some(hours(-1)),
        vouchers: Vouchers::default(),
        predicate_type: predicate_type.to_owned(),
        statement: Arc::new(serde_json::json!({"predicateType": predicate_type, "predicate": {}})),
        predicate: Predicate::Kept,
        annotations: BTreeMap::new(),
        source,
    }
}

/// Evidence about the image, collected now.
#[expect(clippy::disallowed_methods, reason = "tests state facts that nobody verified")]
pub(crate) fn evidence(signatures: Vec<SignatureFacts>, attestations: Vec<AttestationFacts>) -> Evidence {
    Evidence {
        signatures: signatures.into_iter().map(VerifiedSignature::assert_verified).collect(),
        attestations: attestations.into_iter().map(VerifiedAttestation::assert_verified).collect(),
        ..Evidence::none(image().digest(), now())
    }
}

pub(crate) fn rejected(tag: &str, code: Code) -> Rejected {
    Rejected { source: source(tag), code, detail: String::new() }
}

pub(crate) fn unread(code: Code) -> Unread {
    Unread { layout: Layout::Referrers, code }
}

/// What `set` says of the image by `evidence`, now.
pub(crate) fn decided(set: &PolicySet, evidence: &Evidence) -> Outcome {
    judge(set, &subject(), image().value(), evidence, now())
}

pub(crate) fn permit(outcome: Outcome) -> Permit {
    let Outcome::Decided(Verdict::Permit(permit)) = outcome else { panic!("no permit: {outcome:?}") };
    permit
}

pub(crate) fn denial(outcome: Outcome) -> Denial {
    let Outcome::Decided(Verdict::Deny(denial)) = outcome else { panic!("no denial: {outcome:?}") };
    denial
}

/// A permit, or the codes of the denial.
pub(crate) fn codes(outcome: Outcome) -> Result<Permit, Vec<Code>> {
    match outcome {
        Outcome::Decided(Verdict::Permit(permit)) => Ok(permit),
        Outcome::Decided(Verdict::Deny(denial)) => Err(denial.reasons().map(|reason| reason.code).collect()),
        Outcome::Undecided(undecided) => panic!("undecided: {undecided:?}"),
    }
}
