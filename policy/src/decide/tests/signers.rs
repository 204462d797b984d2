//! Thresholds count signers, not what one of them may be called (A233).

use super::fixture::*;
use crate::code::Code;
use crate::identity::{
    AltName, Authority, By, Certified, Holder, Identity, IdentityPattern, KeyId, Name, Principal, RootsId,
    SanKind, Transparency, Uses,
};
use crate::policy::{Every, PolicySet, Requirement, Rule};

const EMAIL: &str = "ci@corp.example";

fn roots() -> RootsId {
    RootsId::of_certificates(b"corp")
}

fn key(name: &str) -> Option<KeyId> {
    Some(KeyId::of_spki(name.as_bytes()))
}

/// A holder of a certificate of the company's.
fn holder(subject: &str, names: &[&str], of: &str) -> Principal {
    Principal::Certificate(Certified {
        trust: Name::new("corp"),
        roots: roots(),
        subject: subject.to_owned(),
        names: names.iter().map(|name| AltName::Email((*name).to_owned())).collect(),
        held: key(of),
    })
}

fn identity(san: &str, of: &str) -> Principal {
    Principal::Identity(Identity {
        trust: Name::new("corp"),
        issuer: "https://oidc.corp.example".to_owned(),
        kind: SanKind::Email,
        san: san.to_owned(),
        claims: std::collections::BTreeMap::new(),
        held: key(of),
    })
}

/// A policy that asks for two: of a holder of either address, an identity, and another one.
fn two() -> PolicySet {
    let mut set = policy_set(vec![signed_by(&["own", "second", "oidc", "other"], 2)]);
    let asked = |name: &str| Holder { subject: None, names: [AltName::Email(name.to_owned())].into() };
    let of_issuer = |san: &str| By::Identity {
        issuer: IdentityPattern::Exact("https://oidc.corp.example".to_owned()),
        pattern: IdentityPattern::Exact(san.to_owned()),
        claims: std::collections::BTreeMap::new(),
    };
    for (name, by) in [
        ("own", By::Certificate { roots: roots(), holder: asked(EMAIL) }),
        ("second", By::Certificate { roots: roots(), holder: asked("b@corp.example") }),
        ("oidc", of_issuer(EMAIL)),
        ("other", of_issuer("other@corp.example")),
    ] {
        let (uses, transparency, trust) = (Uses::Both, Transparency::Required, Name::new("corp"));
        let name = Name::new(name);
        set.authorities.insert(name.clone(), Authority { name, uses, transparency, trust, by });
    }
    set
}

fn judged(principals: &[Principal]) -> Result<(), Vec<Code>> {
    let signed = principals.iter().cloned().map(signature).collect();
    codes(decided(&two(), &evidence(signed, vec![]))).map(|_| ())
}

#[test]
fn a233_one_certificate_is_one_signer_under_whatever_it_leads_to() {
    let both = |of: &str| [holder("CN=ci", &[EMAIL], of), identity(EMAIL, "k")];
    assert_eq!(judged(&both("k")), Err(vec![Code::Threshold]), "one signature");
    assert_eq!(judged(&both("l")), Err(vec![Code::Threshold]), "one name");
    let listed = [holder("CN=ci", &[EMAIL], "a"), by_key("a")];
    assert_eq!(judged(&listed), Err(vec![Code::Threshold]), "one key");
}

#[test]
fn a233_one_key_or_one_subject_in_two_certificates_is_one_signer() {
    for (one, other) in [
        (holder("CN=ci", &[EMAIL], "k"), holder("CN=CI", &["b@corp.example"], "l")),
        (holder("CN=ci", &[EMAIL], "k"), holder("CN=ci,SERIALNUMBER=2", &["b@corp.example"], "k")),
        (holder("", &[EMAIL], "k"), holder("", &["b@corp.example"], "k")),
        (holder("", &[EMAIL, "x@corp.example"], "k"), holder("", &["b@corp.example", "x@corp.example"], "l")),
    ] {
        assert_eq!(judged(&[one.clone(), other.clone()]), Err(vec![Code::Threshold]), "{one} {other}");
        assert_eq!(judged(&[other, one]), Err(vec![Code::Threshold]));
    }
}

#[test]
fn two_signers_with_nothing_in_common_are_two() {
    for pair in [
        [holder("CN=ci", &[EMAIL], "k"), holder("CN=b", &["b@corp.example"], "l")],
        [holder("", &[EMAIL], "k"), holder("", &["b@corp.example"], "l")],
        [identity(EMAIL, "k"), identity("other@corp.example", "l")],
        [holder("CN=ci", &[EMAIL], "k"), identity("other@corp.example", "l")],
    ] {
        assert_eq!(judged(&pair), Ok(()), "{pair:?}");
    }
    let again = [holder("CN=ci", &[EMAIL], "k"), holder("CN=ci", &[EMAIL], "l")];
    assert_eq!(judged(&again), Err(vec![Code::Threshold]), "one signs twice");
}

#[test]
fn a233_one_signer_is_one_in_an_alternative_and_where_each_must_say_so() {
    let names = ["own", "second", "oidc", "other"];
    let mut set = two();
    let asked = Requirement { or: vec![signed_by(&names, 2)], ..signed_by(&["a"], 2) };
    let each = Requirement { threshold: 2, every: Every::Each, ..attested(VULN, &names) };
    let mut judged = |asked: Requirement, by: [Principal; 2]| {
        set.policies[0].rule = Rule::Requirements(vec![asked]);
        let signed = by.iter().cloned().map(signature).collect();
        let attested = by.into_iter().map(|by| attestation(by, VULN)).collect();
        codes(decided(&set, &evidence(signed, attested))).is_ok()
    };
    let one = || [holder("CN=ci", &[EMAIL], "k"), identity("other@corp.example", "k")];
    let two = || [holder("CN=ci", &[EMAIL], "k"), identity("other@corp.example", "l")];
    assert!(!judged(asked.clone(), one()));
    assert!(judged(asked, two()));
    assert!(!judged(each.clone(), one()));
    assert!(judged(each, two()));
}
