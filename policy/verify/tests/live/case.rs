//! One case: its policy as checked values, and its way through verify and decide.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use pullgate_policy::decide::{self, Outcome};
use pullgate_policy::evidence::servable::ServableEvidence;
use pullgate_policy::expression::Condition;
use pullgate_policy::identity::{Authority, By, IdentityPattern, Name, Transparency, Uses, WholeRegex};
use pullgate_policy::oci::Digest;
use pullgate_policy::policy::{
    Asks, ClaimedReference, Every, EvidencePasses, ForeignLayers, IndexRule, Location, Mode, OnUndecided,
    Policy, PolicySet, PredicateType, Requirement, Revision, Revisions, Rule, Unmatched,
};
use pullgate_policy::verdict::{Subject, Verdict};
use pullgate_verify::{Artifact, Found, KeyRing, PublicKey, Request, Sct, TrustSet, TrustTable, verify_all};
use serde_json::Value;

use crate::layout::{Layout, root};

/// What is said of a pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Answer {
    Deny,
    Permit,
}

pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) group: String,
    pub(crate) expect: Answer,
    pub(crate) firm: bool,
    whole: Value,
}

pub(crate) fn all() -> Vec<Case> {
    let cases: Value = serde_json::from_slice(&std::fs::read(root().join("cases.json")).unwrap()).unwrap();
    let case = |whole: &Value| Case {
        id: whole["id"].as_str().unwrap().to_owned(),
        group: whole["group"].as_str().unwrap().to_owned(),
        expect: match whole["expect"].as_str().unwrap() {
            "permit" => Answer::Permit,
            _ => Answer::Deny,
        },
        firm: whole["firm"].as_bool().unwrap(),
        whole: whole.clone(),
    };
    cases.as_array().unwrap().iter().map(case).collect()
}

impl Case {
    /// Finds, verifies and decides; with the reasons.
    pub(crate) fn judge(&self) -> (Answer, String) {
        let layout = Layout::read(self.whole["layout"].as_str().unwrap());
        let digest: Digest = self.whole["digest"].as_str().unwrap().parse().unwrap();
        let mut found = layout.find(&digest);
        if let Some(apart) = self.whole["evidence_layout"].as_str() {
            found.extend(Layout::read(apart).find_apart(&digest));
        }
        let policy = &self.whole["policy"];
        let now: Timestamp = policy["now"].as_str().unwrap_or("2026-11-25T00:00:00Z").parse().unwrap();
        let (keys, set) = policy_set(policy);
        let trust = TrustSet::new(policy["trusted_root"].as_str().map(table).into_iter().collect());
        let subject =
            Subject { repository: format!("registry.example/live/{}", self.group).parse().unwrap(), digest };
        let document = layout.document(&digest).value();
        let verify = |digest: Digest, found: &[Found]| {
            verify_all(&Request {
                subject: digest,
                artifact: Artifact::Bytes(layout.document(&digest).value().bytes()),
                found,
                authorities: &set.authorities_for(&subject.repository),
                keys: &keys,
                trust: &trust,
                now,
                collected: now,
            })
        };
        let (only, named) = layout.evidence_only(&digest).unzip();
        for about in named.unwrap_or_default() {
            let verified = verify(about, &layout.carried(&digest));
            let about = Subject { digest: about, ..subject.clone() };
            if ServableEvidence::verified(only.as_ref().unwrap(), &set, &about, &verified).is_ok() {
                return (Answer::Permit, "it is evidence that was verified".to_owned());
            }
        }
        let evidence = verify(digest, &found);
        let rejected: Vec<_> =
            evidence.rejected.iter().map(|one| format!("{} {}", one.code, one.detail)).collect();
        match decide::judge(&set, &subject, document, &evidence, now) {
            Outcome::Decided(Verdict::Permit(_)) => (Answer::Permit, format!("{rejected:?}")),
            Outcome::Decided(Verdict::Deny(denial)) => (Answer::Deny, format!("{denial:?} {rejected:?}")),
            Outcome::Undecided(undecided) => panic!("{}: {undecided:?}", self.id),
        }
    }
}

fn table(path: &str) -> TrustTable {
    let bytes = std::fs::read(root().join(path)).unwrap();
    TrustTable::from_json(Name::new("live"), &bytes, Sct::Required).unwrap()
}

/// One policy with one requirement, which any of the case's keys and identities may meet.
fn policy_set(policy: &Value) -> (KeyRing, PolicySet) {
    let mut keys = KeyRing::default();
    let mut authorities = BTreeMap::new();
    let transparency = |default| match policy["transparency"].as_str() {
        Some("required") => Transparency::Required,
        Some("none") => Transparency::None,
        Some("optional") => Transparency::Optional,
        _ => default,
    };
    let mut add = |transparency, by| {
        let name = Name::new(&format!("authority-{}", authorities.len()));
        let trust = Name::new("live");
        authorities.insert(name.clone(), Authority { name, uses: Uses::Both, transparency, trust, by });
    };
    for path in strings(&policy["keys"]) {
        let read = PublicKey::from_file(&std::fs::read(root().join(path)).unwrap()).unwrap();
        let ids = read.into_iter().map(|key| keys.insert(key)).collect();
        add(transparency(Transparency::Optional), By::Keys(ids));
    }
    for identity in policy["identities"].as_array().into_iter().flatten() {
        let pattern = match identity["identity"].as_str() {
            Some(exact) => IdentityPattern::Exact(exact.to_owned()),
            None => {
                IdentityPattern::Regex(WholeRegex::new(identity["identity_regex"].as_str().unwrap()).unwrap())
            }
        };
        let by = By::Identity {
            issuer: IdentityPattern::Exact(identity["issuer"].as_str().unwrap().to_owned()),
            pattern,
            claims: texts(&identity["claims"]),
        };
        add(transparency(Transparency::Required), by);
    }
    let location = Location { file: "policy.toml".into(), line: 1 };
    let asks = policy["attestation"]["type"].as_str();
    let requirement = Requirement {
        location: location.clone(),
        asks: asks
            .map_or(Asks::Signature, |uri| Asks::Attestation(vec![PredicateType::Exact(uri.to_owned())])),
        any_of: authorities.keys().cloned().collect(),
        threshold: policy["threshold"].as_u64().map_or(1, |threshold| usize::try_from(threshold).unwrap()),
        annotations: texts(&policy["annotations"]),
        claimed_reference: ClaimedReference::Reported,
        max_age: policy["attestation"]["max_age"].as_str().map(days),
        condition: policy["attestation"]["where"].as_str().map(|text| Condition::compile(text).unwrap()),
        min_age: None,
        slsa: None,
        every: Every::One,
        or: Vec::new(),
    };
    let one = Policy {
        name: Name::new("case"),
        location,
        scopes: vec![pullgate_policy::scope::Scope::parse("registry.example/live/**").unwrap()],
        mode: Mode::Enforce,
        on_undecided: OnUndecided::Deny,
        foreign_layers: ForeignLayers::Permit,
        evidence: EvidencePasses::Verified,
        index: IndexRule::Itself,
        rule: Rule::Requirements(vec![requirement]),
    };
    let revision = Revision::of([]);
    let set = PolicySet {
        revisions: Revisions { policy: revision, trust: revision },
        unmatched: Unmatched::Deny,
        authorities,
        policies: vec![one],
        blocks: Vec::new(),
        exemptions: Vec::new(),
        permit_ttl: Duration::from_secs(3600),
    };
    (keys, set)
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().map(|value| value.as_str().unwrap())
}

fn texts(value: &Value) -> BTreeMap<String, String> {
    let object = value.as_object().into_iter().flatten();
    object.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect()
}

fn days(text: &str) -> Duration {
    Duration::from_secs(text.strip_suffix('d').unwrap().parse::<u64>().unwrap() * 24 * 3600)
}
