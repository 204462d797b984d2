//! Signed attributes: what is not known and has to be is refused, whatever other implementations do (A671).

use pullgate_policy::code::Code;
use serde_json::{Value, json};

use super::{Asked, payload};
use crate::notary::{Authority, cbor, labels, protected_with};

const SCHEME: &str = "io.cncf.notary.signingScheme";
const SIGNED: &str = "io.cncf.notary.signingTime";
const AUTHENTIC: &str = "io.cncf.notary.authenticSigningTime";
const EXPIRY: &str = "io.cncf.notary.expiry";
const PLUGIN: &str = "io.cncf.notary.verificationPlugin";
const VERSION: &str = "io.cncf.notary.verificationPluginMinVersion";

const AHEAD: &str = "2026-12-24T00:00:00Z";

#[test]
fn a671_attributes_of_a_jws_are_complete_known_and_do_not_contradict() {
    let corp = Authority::new("corp root");
    let signer = corp.signer();
    let code = |more: Value| Asked::of(&corp).jws(&signer.jws_of(&protected_with(&more), &payload()));
    let (invalid, critical) = (Some(Code::AttributeInvalid), Some(Code::AttributeCritical));
    for (what, more, expected) in [
        ("as it should be", json!({}), None),
        ("another that is not critical", json!({ "org.corp.build": 7 }), None),
        ("the signing time is critical too", json!({ "crit": [SCHEME, SIGNED] }), None),
        ("an expiry", json!({ EXPIRY: AHEAD, "crit": [SCHEME, EXPIRY] }), None),
        ("no crit", json!({ "crit": null }), invalid),
        ("an empty crit", json!({ "crit": [] }), invalid),
        ("a name twice in crit", json!({ "crit": [SCHEME, SCHEME] }), invalid),
        ("a critical name that is absent", json!({ "crit": [SCHEME, EXPIRY] }), invalid),
        ("a registered name in crit", json!({ "crit": [SCHEME, "alg"] }), invalid),
        ("crit that is no list", json!({ "crit": SCHEME }), Some(Code::EnvelopeInvalid)),
        ("an unknown critical name", json!({ "org.corp.x": 1, "crit": [SCHEME, "org.corp.x"] }), critical),
        ("b64", json!({ "b64": true, "crit": [SCHEME, "b64"] }), critical),
        ("a scheme that there is not", json!({ SCHEME: "notary.pgp" }), invalid),
        ("no scheme", json!({ SCHEME: null, "crit": [SIGNED] }), invalid),
        ("a scheme that is no text", json!({ SCHEME: 1 }), invalid),
        ("a scheme that is not critical", json!({ "crit": [SIGNED] }), invalid),
        ("no signing time", json!({ SIGNED: null }), invalid),
        ("both times", json!({ AUTHENTIC: "2026-11-20T12:00:00Z", "crit": [SCHEME, AUTHENTIC] }), invalid),
        ("a time without its letter", json!({ SIGNED: "2026-11-20 12:00:00Z" }), invalid),
        ("a time that is a number", json!({ SIGNED: 1_795_000_000 }), invalid),
        ("an expiry that is not critical", json!({ EXPIRY: AHEAD }), invalid),
        (
            "an expiry before the signing",
            json!({ EXPIRY: "2026-11-20T12:00:00Z", "crit": [SCHEME, EXPIRY] }),
            invalid,
        ),
        ("a plugin", json!({ PLUGIN: "x", "crit": [SCHEME, PLUGIN] }), Some(Code::Unsupported)),
        ("a plugin that is not critical", json!({ PLUGIN: "x" }), Some(Code::Unsupported)),
        ("a plugin's version alone", json!({ VERSION: "1.0.0" }), Some(Code::Unsupported)),
    ] {
        assert_eq!(code(more), expected, "{what}");
    }
}

#[test]
fn a671_attributes_of_a_cose_envelope_too_whatever_their_labels() {
    let corp = Authority::new("corp root");
    let signer = corp.signer();
    let seconds = |text: &str| cbor::int(text.parse::<jiff::Timestamp>().unwrap().as_second());
    let code = |critical: &[Vec<u8>], more: &[(Vec<u8>, Vec<u8>)]| {
        let mut all = labels();
        all[1].1 = cbor::array(&[&[cbor::text(SCHEME)], critical].concat());
        all.extend_from_slice(more);
        Asked::of(&corp).cose(signer.cose_of(&all, payload().to_string().as_bytes()))
    };
    let (invalid, critical) = (Some(Code::AttributeInvalid), Some(Code::AttributeCritical));
    let text = cbor::text;
    let tagged = |number| cbor::tag(number, &seconds(AHEAD));
    let half = [0xfb].into_iter().chain(1_798_070_400.5_f64.to_be_bytes()).collect::<Vec<u8>>();
    for (what, named, more, expected) in [
        ("as it should be", vec![], vec![], None),
        ("another", vec![], vec![(text("org.corp.build"), cbor::int(7))], None),
        ("an expiry", vec![text(EXPIRY)], vec![(text(EXPIRY), tagged(1))], None),
        ("half a second", vec![text(EXPIRY)], vec![(text(EXPIRY), cbor::tag(1, &half))], None),
        ("an unknown text", vec![text("org.corp.x")], vec![(text("org.corp.x"), cbor::int(1))], critical),
        ("an unknown number", vec![cbor::int(-70_000)], vec![(cbor::int(-70_000), cbor::int(1))], critical),
        ("an absent number", vec![cbor::int(-70_000)], vec![], invalid),
        ("a registered number", vec![cbor::int(1)], vec![], invalid),
        ("a name twice", vec![text(SCHEME)], vec![], invalid),
        ("a time without its tag", vec![text(EXPIRY)], vec![(text(EXPIRY), seconds(AHEAD))], invalid),
        ("a date as text", vec![text(EXPIRY)], vec![(text(EXPIRY), cbor::tag(0, &text(AHEAD)))], invalid),
        ("both times", vec![text(AUTHENTIC)], vec![(text(AUTHENTIC), tagged(1))], invalid),
        ("an expiry that is not critical", vec![], vec![(text(EXPIRY), tagged(1))], invalid),
        ("a plugin", vec![], vec![(text(PLUGIN), text("x"))], Some(Code::Unsupported)),
        ("a plugin's version", vec![], vec![(text(VERSION), text("1"))], Some(Code::Unsupported)),
    ] {
        assert_eq!(code(&named, &more), expected, "{what}");
    }
}

#[test]
fn a679_what_has_expired_counts_no_longer_and_what_will_ends_then() {
    let corp = Authority::new("corp root");
    let header = protected_with(&json!({ EXPIRY: AHEAD, "crit": [SCHEME, EXPIRY] }));
    let envelope = corp.signer().jws_of(&header, &payload());
    let bytes = envelope.to_string().into_bytes();
    let facts = Asked::of(&corp).facts(pullgate_policy::evidence::notation::Form::Jws, bytes);
    assert_eq!(facts.ends, Some(AHEAD.parse().unwrap()));
    assert_eq!(Asked::of(&corp).at("2026-12-23T23:59:59Z").jws(&envelope), None);
    assert_eq!(Asked::of(&corp).at(AHEAD).jws(&envelope), Some(Code::SignatureExpired));
}
