//! The policy's share of a verdict, after verification.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use pullgate_policy::decide::{self, Outcome};
use pullgate_policy::expression::{About, Condition, Image};
use pullgate_policy::identity::{Authority, Name};
use pullgate_policy::policy::{
    Asks, ClaimedReference, Every, EvidencePasses, ForeignLayers, Governing, IndexRule, Location, Mode,
    OnUndecided, Policy, PolicySet, Requirement, Revision, Revisions, Rule, Unmatched,
};
use pullgate_policy::provenance::Provenance;
use pullgate_policy::scope::Scope;
use pullgate_policy::verdict::{Subject, Verdict};

use crate::evidence::{self, Question};

type Failed = Box<dyn std::error::Error>;
/// A name and one run.
type Row = (String, Box<dyn FnMut()>);

/// Every row.
///
/// # Errors
/// When a recording is not where it belongs.
pub fn all() -> Result<Vec<Row>, Failed> {
    let mut rows = Vec::new();
    for signatures in [1, 16, 256] {
        rows.push(decided(signatures)?);
    }
    rows.push(governed()?);
    if evidence::cases().is_err() {
        return Ok(rows); // a provenance of the public-good instance is asked about
    }
    rows.push(asked(
        "predicate",
        r#"predicate.buildDefinition.externalParameters.workflow.ref == "refs/heads/main""#,
    )?);
    rows.push(asked(
        "provenance",
        r#"provenance.source == "https://github.com/malancas/attest-demo" && provenance.ref == "refs/heads/main""#,
    )?);
    Ok(rows)
}

fn decided(signatures: usize) -> Result<Row, Failed> {
    let question = Question::keyed(signatures)?;
    let set = policy(question.authority(), &["r.example/**".to_owned()])?;
    let (document, evidence) = (question.document()?, question.ask());
    let subject = Subject { repository: "r.example/app".parse()?, digest: document.digest() };
    let now = question.now();
    let work = move || decide::judge(&set, &subject, document.value(), &evidence, now);
    if !matches!(work(), Outcome::Decided(Verdict::Permit(_))) {
        return Err("it is no permit".into());
    }
    let work = move || {
        black_box(work());
    };
    Ok((format!("decide, {signatures} signatures"), Box::new(work)))
}

fn governed() -> Result<Row, Failed> {
    let question = Question::keyed(1)?;
    let scopes: Vec<String> = (0..100).map(|n| format!("r.example/team{n}/**")).collect();
    let set = policy(question.authority(), &scopes)?;
    let repository = "r.example/team99/app".parse()?;
    let work = move || {
        black_box(matches!(set.governing(&repository), Governing::Policy(..)));
    };
    Ok(("policy of a repository, 100 scopes".to_owned(), Box::new(work)))
}

/// `where` over a recorded provenance.
fn asked(name: &str, text: &str) -> Result<Row, Failed> {
    let evidence = evidence::attested()?.ask();
    let facts = evidence.attestations.first().ok_or("it is no attestation")?.facts().clone();
    let condition = Condition::compile(text)?;
    let predicate = facts.statement.get("predicate").cloned().ok_or("it has no predicate")?;
    let provenance = Provenance::read(&facts.predicate_type, &predicate, &facts.principal)
        .map_err(|code| format!("its provenance: {code:?}"))?;
    let image = Image {
        registry: "ghcr.io".to_owned(),
        repository: "malancas/attest-demo".to_owned(),
        digest: evidence.subject.to_string(),
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        artifact_type: "application/vnd.oci.image.config.v1+json".to_owned(),
    };
    let work = move || {
        let about = About {
            statement: &facts.statement,
            predicate: &predicate,
            provenance: provenance.as_ref(),
            principal: &facts.principal,
            image: &image,
        };
        black_box(condition.holds(&about).is_ok())
    };
    if !work() {
        return Err(format!("{text} is false").into());
    }
    let row = move || {
        work();
    };
    Ok((format!("where over {name}"), Box::new(row)))
}

/// A policy that asks for a signature by `authority` in each of `scopes`.
fn policy(authority: &Authority, scopes: &[String]) -> Result<PolicySet, Failed> {
    let revision = Revision::of([b"bench".as_slice()]);
    let location = Location { file: Arc::from("policy.toml"), line: 1 };
    let scopes = scopes.iter().map(|text| Scope::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let requirement = Requirement {
        location: location.clone(),
        asks: Asks::Signature,
        any_of: vec![authority.name.clone()],
        threshold: 1,
        annotations: BTreeMap::new(),
        claimed_reference: ClaimedReference::Reported,
        max_age: None,
        min_age: None,
        every: Every::One,
        or: Vec::new(),
        condition: None,
        slsa: None,
    };
    let policy = Policy {
        name: Name::new("bench"),
        location,
        scopes,
        mode: Mode::Enforce,
        on_undecided: OnUndecided::Deny,
        foreign_layers: ForeignLayers::Deny,
        evidence: EvidencePasses::Verified,
        index: IndexRule::Itself,
        rule: Rule::Requirements(vec![requirement]),
    };
    Ok(PolicySet {
        revisions: Revisions { policy: revision, trust: revision },
        unmatched: Unmatched::Deny,
        authorities: BTreeMap::from([(authority.name.clone(), authority.clone())]),
        policies: vec![policy],
        blocks: Vec::new(),
        exemptions: Vec::new(),
        permit_ttl: Duration::from_secs(3600),
    })
}
