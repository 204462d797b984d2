//! Signatures of the Notary Project's with the verdict of the reference implementation, minted beside this tree: every
//! envelope under every set of stores.

use std::path::PathBuf;

use bytes::Bytes;
use pullgate_policy::code::Code;
use pullgate_policy::evidence::notation::Form;
use pullgate_policy::evidence::{Layout, Source};
use pullgate_policy::identity::{
    Authority, By, Name, RevocationAsked, Subject, Subjects, Terms, TimestampAsked, Transparency, Uses,
};
use pullgate_policy::oci::Digest;
use pullgate_verify::{Artifact, Found, Item, KeyRing, Request, Store, Stores, TrustSet, verify_all};
use serde_json::Value;

use crate::borrowed;

fn folder() -> Option<PathBuf> {
    Some(borrowed::folder("notation")?.join("notation"))
}

fn read(name: &Value) -> Vec<u8> {
    std::fs::read(folder().unwrap().join(name.as_str().unwrap())).unwrap()
}

fn texts(value: &Value) -> Vec<&Value> {
    value.as_array().map(|listed| listed.iter().collect()).unwrap_or_default()
}

fn stores(trust: &Value) -> Stores {
    let mut stores = Stores::new(Name::new("minted"));
    for store in [Store::Ca, Store::SigningAuthority, Store::Tsa] {
        for file in texts(&trust[store.as_str()]) {
            stores.add(store, &read(file)).unwrap();
        }
    }
    for file in texts(&trust["crls"]) {
        stores.add_list(&read(file)).unwrap();
    }
    stores
}

fn authority(trust: &Value) -> Authority {
    let listed = texts(&trust["identities"]);
    let subject = |text: &&Value| {
        let text = text.as_str().unwrap().strip_prefix("x509.subject:").unwrap().trim();
        Subject::asked(text).unwrap()
    };
    let subjects = match listed.as_slice() {
        [any] if *any == "*" => Subjects::Any,
        listed => Subjects::AnyOf(listed.iter().map(subject).collect()),
    };
    let timestamp = match (trust["verify_timestamp"].as_str(), trust.get("tsa")) {
        (Some("afterCertExpiry"), Some(_)) => TimestampAsked::AfterExpiry,
        (None, Some(_)) => TimestampAsked::Always,
        (None, None) => TimestampAsked::Never,
        other => panic!("{other:?}"),
    };
    let revocation = match trust["revocation"].as_str() {
        Some("enforce") => RevocationAsked::Yes,
        Some("skip") => RevocationAsked::No,
        other => panic!("{other:?}"),
    };
    Authority {
        name: Name::new("release"),
        uses: Uses::Signatures,
        transparency: Transparency::None,
        trust: Name::new("minted"),
        by: By::Subjects { subjects, terms: Terms { timestamp, revocation } },
    }
}

/// What an envelope is worth: nothing more to say where it counts, else why not.
fn worth(case: &Value) -> Result<(), Code> {
    let (trust, target) = (&case["trust"], read(&case["target"]["file"]));
    let subject: Digest = case["target"]["digest"].as_str().unwrap().parse().unwrap();
    let authority = authority(trust);
    let item = Item::Envelope {
        form: Form::of(case["media_type"].as_str().unwrap()).unwrap(),
        bytes: Bytes::from(read(&case["envelope"])),
    };
    let source = Source { layout: Layout::Referrers, manifest: subject, blob: subject };
    let now = case["now"].as_str().unwrap().parse().unwrap();
    let evidence = verify_all(&Request {
        subject,
        artifact: Artifact::Bytes(&target),
        found: &[Found { source, item }],
        authorities: &[&authority],
        keys: &KeyRing::default(),
        trust: &TrustSet::new(vec![]).with_stores(vec![stores(trust)]),
        now,
        collected: now,
    });
    if let Some(rejected) = evidence.rejected.first() {
        return Err(rejected.code);
    }
    let facts = evidence.signatures.first().unwrap().facts();
    assert!(facts.ends.is_none_or(|ends| ends > now), "what has ended does not count");
    authority.recognises(&facts.principal)?;
    let asked = trust["user_metadata"].as_object().cloned().unwrap_or_default();
    let said =
        |(key, value): (&String, &Value)| facts.annotations.get(key).map(String::as_str) == value.as_str();
    if asked.iter().all(said) { Ok(()) } else { Err(Code::AnnotationMissing) }
}

#[test]
fn a670_to_a677_every_minted_envelope_has_the_verdict_of_the_specification() {
    let Some(folder) = folder() else { return };
    let cases: Value = serde_json::from_slice(&std::fs::read(folder.join("cases.json")).unwrap()).unwrap();
    let (mut wrong, mut seen) = (Vec::new(), [0, 0, 0]);
    for case in cases.as_array().unwrap().iter().filter(|case| case["kind"] == "envelope") {
        let worth = worth(case);
        let (at, said) = match worth {
            Ok(()) => (0, "accept"),
            Err(Code::Unsupported) => (1, "unsupported"),
            Err(_) => (2, "reject"),
        };
        seen[at] += 1;
        let told = format!("{}: {:?}, {}", case["name"], worth, case["reason"]);
        if said != case["expect"] || worth == Err(Code::Internal) {
            wrong.push(told);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(seen, [30, 3, 71]);
}
