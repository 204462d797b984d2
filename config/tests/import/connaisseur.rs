//! Connaisseur's rules and validators, of our own making: one case for each kind and each trap.

use pullgate_config::{Accept, Weight};

use crate::judge::{Asked, Says, Signed, indented, key, yaml};

/// Two roots and two static validators, with these rules.
fn rules(rules: &[(&str, &str)]) -> Asked {
    let roots: String = ["one", "two"]
        .map(|name| format!("    - name: {name}\n      key: |\n{}", indented(&key(name), 8)))
        .concat();
    let rules: String =
        rules.iter().map(|(pattern, rest)| format!("  - pattern: \"{pattern}\"\n    {rest}\n")).collect();
    yaml(&format!(
        "application:\n  validators:\n  - {{name: allow, type: static, approve: true}}\n  \
         - {{name: deny, type: static, approve: false}}\n  - {{name: trust, type: notaryv1}}\n  \
         - name: cosign\n    type: cosign\n    trustRoots:\n{roots}  policy:\n{rules}"
    ))
}

/// By one of the roots.
const ONE: &str = "validator: cosign\n    with: {trustRoot: one}";

#[test]
fn the_most_specific_rule_counts() {
    let gate =
        rules(&[("*:*", "validator: deny"), ("r.io/*:*", "validator: allow"), ("r.io/a/*:*", ONE)]).gate();
    assert_eq!(gate.says("s.io/x:v1", &[]), Says::Deny);
    assert_eq!(gate.says("r.io/x:v1", &[]), Says::Permit);
    assert_eq!(gate.says("r.io/a/x:v1", &[]), Says::Deny);
    assert_eq!(gate.says("r.io/a/x:v1", &[Signed::key("one")]), Says::Permit);
    assert_eq!(gate.says("r.io/a/x:v1", &[Signed::key("one").unlogged()]), Says::Deny);
}

#[test]
fn all_roots_must_be_met_unless_less_is_said() {
    let of = |more: &str| {
        let rule = format!("validator: cosign\n    with: {{trustRoot: '*'{more}}}");
        rules(&[("r.io/*:*", &rule)]).gate()
    };
    let (one, two) = (Signed::key("one"), Signed::key("two"));
    // N4: `*` is no "any".
    assert_eq!(of("").says("r.io/a:v1", std::slice::from_ref(&one)), Says::Deny);
    assert_eq!(of("").says("r.io/a:v1", &[one.clone(), two.clone()]), Says::Permit);
    assert_eq!(of(", threshold: 1").says("r.io/a:v1", std::slice::from_ref(&two)), Says::Permit);
    assert_eq!(of(", required: [one]").says("r.io/a:v1", &[two]), Says::Deny);
    assert_eq!(of(", required: [one]").says("r.io/a:v1", &[one]), Says::Permit);
}

#[test]
fn a_catch_all_that_serves_beside_a_rule_that_asks_ends_the_import() {
    // N1: the pattern of the rule stands in the middle of other names, too.
    let fault = rules(&[("*:*", "validator: allow"), ("r.io/a/*:*", ONE)]).fault();
    assert!(fault.contains("in the middle"), "{fault}");
    assert_eq!(rules(&[("*:*", "validator: allow")]).gate().says("r.io/a:v1", &[]), Says::Permit);
}

#[test]
fn a_rule_about_tags_is_asked_together_with_the_next() {
    // N2: a pull by digest is the other rule's.
    let both = [("r.io/*:*", ONE), ("r.io/b:*", "validator: allow")];
    let gate = rules(&both).gate();
    assert_eq!(gate.says("r.io/b:v1", &[]), Says::Deny);
    assert_eq!(gate.says("r.io/b:v1", &[Signed::key("one")]), Says::Permit);
    assert!(gate.codes().contains("tags"));
    assert_eq!(rules(&both).accept(Accept::Tags).gate().says("r.io/b:v1", &[]), Says::Permit);
    let deny = rules(&[("r.io/*:*", "validator: allow"), ("r.io/b:*", "validator: deny")]).gate();
    assert_eq!((deny.says("r.io/b:v1", &[]), deny.says("r.io/c:v1", &[])), (Says::Deny, Says::Permit));
}

#[test]
fn a_pattern_without_a_registry_and_one_with_a_star_inside_are_refused() {
    for pattern in ["acme/app:*", "redis", "r.io/*/app:*"] {
        let gate = rules(&[(pattern, ONE)]).gate();
        assert_eq!(gate.says("docker.io/acme/app:v1", &[Signed::key("one")]), Says::Deny, "{pattern}");
        assert!(gate.codes().contains("pattern"));
        // N3: what else would govern such an image must deny it.
        assert!(rules(&[("r.io/*:*", "validator: allow"), (pattern, ONE)]).import().is_err(), "{pattern}");
    }
}

#[test]
fn other_validators_deny_and_what_has_no_effect_is_told() {
    let gate =
        rules(&[("r.io/*:*", "validator: trust"), ("s.io/*:*", "validator: cosign\n    with: {key: one}")])
            .gate();
    assert_eq!(gate.says("r.io/a:v1", &[Signed::key("one")]), Says::Deny);
    assert_eq!(gate.says("s.io/a:v1", &[Signed::key("one")]), Says::Deny);
    assert!(gate.codes().is_superset(&["content-trust", "no-effect", "identity-open"].into()));
    assert_eq!(gate.imported.worst(), Weight::Refused);
    assert!(rules(&[("r.io/*:*", "validator: missing")]).import().is_err());
}
