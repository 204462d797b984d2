//! `trustpolicy.json` of Notation, of our own making.

use pullgate_config::Weight;

use crate::judge::{Asked, Says, Signed};

fn policies(policies: &str) -> Asked {
    Asked::default()
        .file("trustpolicy.json", format!(r#"{{"version": "1.0", "trustPolicies": [{policies}]}}"#))
}

fn policy(name: &str, scopes: &str, level: &str) -> String {
    format!(
        r#"{{"name": "{name}", "registryScopes": [{scopes}], "signatureVerification": {{"level": "{level}"}},
            "trustStores": ["ca:acme"], "trustedIdentities": ["*"]}}"#
    )
}

#[test]
fn what_is_skipped_is_served_and_what_must_be_signed_is_a_denial() {
    let gate = policies(&format!(
        "{}, {}",
        policy("open", r#""r.io/open", "docker.io/a""#, "skip"),
        policy("all", r#""*""#, "strict")
    ))
    .gate();
    assert_eq!(gate.says("r.io/open:v1", &[]), Says::Permit);
    for image in ["r.io/open/below:v1", "r.io/a:v1", "docker.io/library/a:v1"] {
        assert_eq!(gate.says(image, &[Signed::key("one")]), Says::Deny, "{image}");
    }
    assert_eq!(gate.imported.worst(), Weight::Refused);
    let all = policies(&policy("all", r#""*""#, "skip")).gate();
    assert_eq!((all.says("r.io/a:v1", &[]), all.imported.worst()), (Says::Permit, Weight::Said));
    let gate = policies(&policy("one", r#""r.io/a""#, "permissive")).gate();
    assert_eq!(gate.says("r.io/b:v1", &[]), Says::Deny);
}

#[test]
fn what_notation_does_not_take_is_refused() {
    for text in [
        String::new(),
        policy("a", r#""*", "r.io/a""#, "skip"),
        policy("a", "", "skip"),
        policy("a", r#""r.io/a""#, "maybe"),
        format!("{}, {}", policy("a", r#""r.io/a""#, "skip"), policy("b", r#""r.io/a""#, "strict")),
    ] {
        assert!(policies(&text).import().is_err(), "{text}");
    }
}
