//! `verifyImages` of Kyverno, of our own making: one case for each kind and each trap.

use pullgate_config::{Accept, Weight};
use serde_json::json;

use crate::judge::{GITHUB, Gate, Says, Signed, WORKFLOW, indented, key, yaml};

/// A policy with one rule, whose entry is this.
fn policy(name: &str, entry: &str) -> String {
    format!(
        "apiVersion: kyverno.io/v1\nkind: ClusterPolicy\nmetadata:\n  name: {name}\nspec:\n  \
         validationFailureAction: Enforce\n  rules:\n  - name: {name}\n    match:\n      any: [{{resources: {{kinds: [Pod]}}}}]\n    \
         verifyImages:\n    - {}\n---\n",
        entry.trim_start().replace('\n', "\n      ").trim_end()
    )
}

/// An entry over patterns, with these sets.
fn entry(patterns: &str, sets: &str) -> String {
    format!("imageReferences: [{patterns}]\nattestors:\n{sets}")
}

fn set(count: &str, entries: &[String]) -> String {
    format!("- entries:\n{}{count}", entries.concat())
}

fn by_key(names: &[&str]) -> String {
    let keys: String = names.iter().map(|name| key(name)).collect();
    format!("  - keys:\n      publicKeys: |-\n{}", indented(&keys, 8))
}

fn keyless(subject: &str) -> String {
    format!("  - keyless:\n      issuer: {GITHUB}\n      subject: \"{subject}\"\n")
}

const ONE: &str = "  count: 1\n";

fn gate(entry: &str) -> Gate {
    yaml(&policy("p", entry)).gate()
}

#[test]
fn a_set_asks_for_all_of_its_entries_unless_it_says_how_many() {
    let of = |count: &str| {
        gate(&entry("'r.io/*'", &set(count, &["one", "two", "three"].map(|name| by_key(&[name])))))
    };
    let keys = |names: &[&str]| names.iter().map(|name| Signed::key(name)).collect::<Vec<_>>();
    // K4: an absent count is no "any".
    assert_eq!(of("").says("r.io/a:v1", &keys(&["one", "two", "three"])), Says::Permit);
    assert_eq!(of("").says("r.io/a:v1", &keys(&["one", "two"])), Says::Deny);
    assert_eq!(of(ONE).says("r.io/a/b:v1", &keys(&["two"])), Says::Permit);
    assert_eq!(of(ONE).says("r.io/a/b:v1", &[Signed::stranger()]), Says::Deny);
    assert_eq!(of("  count: 2\n").says("r.io/a:v1", &keys(&["one", "three"])), Says::Permit);
    assert_eq!(of("  count: 2\n").says("r.io/a:v1", &keys(&["one"])), Says::Deny);
    assert_eq!(of("").says("r.io/a:v1", &[Signed::key("one").unlogged()]), Says::Deny);
}

#[test]
fn several_keys_of_one_entry_are_entries_each() {
    // K1
    let gate = gate(&entry("'r.io/*'", &set("", &[by_key(&["one", "two"])])));
    assert_eq!(gate.says("r.io/a:v1", &[Signed::key("one"), Signed::key("two")]), Says::Permit);
    assert_eq!(gate.says("r.io/a:v1", &[Signed::key("one")]), Says::Deny);
}

#[test]
fn every_set_and_every_rule_that_matches_must_pass() {
    let sets = set("", &[by_key(&["one"])]) + &set("", &[by_key(&["two"])]);
    let both = gate(&entry("'r.io/a/*'", &sets));
    assert_eq!(both.says("r.io/a/x:v1", &[Signed::key("one"), Signed::key("two")]), Says::Permit);
    assert_eq!(both.says("r.io/a/x:v1", &[Signed::key("one")]), Says::Deny);
    let wide = policy("wide", &entry("'*'", &set("", &[by_key(&["one"])])));
    let narrow = policy("narrow", &entry("'r.io/a/*'", &set("", &[by_key(&["two"])])));
    let gate = yaml(&(wide + &narrow)).gate();
    assert_eq!(gate.says("r.io/a/x:v1", &[Signed::key("two")]), Says::Deny);
    assert_eq!(gate.says("r.io/a/x:v1", &[Signed::key("one"), Signed::key("two")]), Says::Permit);
    assert_eq!(gate.says("r.io/b:v1", &[Signed::key("one")]), Says::Permit);
}

#[test]
fn docker_hub_is_all_of_docker_hub() {
    // K5
    let gate = gate(&entry("'docker.io/*'", &set("", &[by_key(&["one"])])));
    for image in ["docker.io/library/a:v1", "docker.io/acme/a:v1"] {
        assert_eq!(gate.says(image, &[Signed::key("one")]), Says::Permit, "{image}");
        assert_eq!(gate.says(image, &[]), Says::Deny, "{image}");
    }
}

#[test]
fn wildcards_of_a_subject_stand_for_characters_and_absent_ones_for_nobody() {
    let of = |subject: &str| gate(&entry("'r.io/*'", &set("", &[keyless(subject)])));
    let gate = of("https://github.com/acme/app/.github/workflows/*@refs/heads/main");
    assert_eq!(gate.says("r.io/a:v1", &[Signed::identity(GITHUB, WORKFLOW)]), Says::Permit);
    let other = WORKFLOW.replace("acme/app", "acmeXapp");
    assert_eq!(gate.says("r.io/a:v1", &[Signed::identity(GITHUB, &other)]), Says::Deny);
    // K6
    for subject in ["", "*", "{{ request.x }}", "https://github.com/*"] {
        let gate = of(subject);
        assert_eq!(gate.says("r.io/a:v1", &[Signed::identity(GITHUB, WORKFLOW)]), Says::Deny, "{subject}");
        assert_eq!(gate.imported.worst(), Weight::Refused, "{subject}");
    }
}

#[test]
fn what_is_skipped_whole_is_served_and_tags_are_not() {
    let skipping = |pattern: &str| {
        let sets = set("", &[by_key(&["one"])]);
        gate(&format!("{}skipImageReferences: ['{pattern}']\n", entry("'r.io/*'", &sets)))
    };
    // A policy that asks is not gone where one that skips stands beside it.
    let gate = skipping("r.io/open/*");
    assert_eq!(gate.says("r.io/open/a:v1", &[]), Says::Permit);
    assert_eq!(gate.says("r.io/a:v1", &[]), Says::Deny);
    // K2
    let gate = skipping("r.io/open:*");
    assert_eq!(gate.says("r.io/open:v1", &[]), Says::Deny);
    assert!(gate.codes().contains("tags"));
    let wide = policy("wide", &entry("'*'", &set("", &[by_key(&["two"])])));
    let skips =
        format!("{}skipImageReferences: ['r.io/open/*']\n", entry("'r.io/*'", &set("", &[by_key(&["one"])])));
    let gate = yaml(&(wide + &policy("skips", &skips))).gate();
    assert_eq!(gate.says("r.io/open/a:v1", &[]), Says::Deny);
    assert_eq!(gate.says("r.io/open/a:v1", &[Signed::key("two")]), Says::Permit);
}

fn attesting(more: &str) -> String {
    format!(
        "imageReferences: ['r.io/*']\nattestations:\n- type: https://scan.example/v1\n  attestors:\n{}{more}",
        indented(&set("", &[by_key(&["one"])]), 2)
    )
}

#[test]
fn conditions_hold_for_every_statement_of_the_type() {
    let conditions = "  conditions:\n  - all:\n    - {key: '{{ result.state }}', operator: Equals, value: PASSED}\n    \
                      - {key: '{{ kind }}', operator: AnyIn, value: [full, quick]}\n";
    let scan = |state: &str| {
        Signed::key("one")
            .attesting("https://scan.example/v1", json!({"result": {"state": state}, "kind": "full"}))
    };
    let gate = gate(&attesting(conditions));
    assert_eq!(gate.says("r.io/a:v1", &[scan("PASSED")]), Says::Permit);
    assert_eq!(gate.says("r.io/a:v1", &[scan("FAILED")]), Says::Deny);
    assert_eq!(gate.says("r.io/a:v1", &[Signed::key("one")]), Says::Deny);
    // K3: a newer scan that fails is not outvoted by an old one.
    assert_eq!(gate.says("r.io/a:v1", &[scan("PASSED"), scan("FAILED")]), Says::Deny);
    let accepted = yaml(&policy("p", &attesting(conditions))).accept(Accept::OneStatement).gate();
    assert_eq!(accepted.says("r.io/a:v1", &[scan("PASSED"), scan("FAILED")]), Says::Permit);
    for other in [
        "{key: '{{ a || b }}', operator: Equals, value: x}",
        "{key: '{{ a }}', operator: Equals, value: 'x*'}",
        "{key: '{{ a }}', operator: Equals, value: 1h}",
        "{key: '{{ a }}', operator: GreaterThan, value: x}",
    ] {
        let gate =
            yaml(&policy("p", &attesting(&format!("  conditions:\n  - all:\n    - {other}\n")))).gate();
        assert_eq!(gate.says("r.io/a:v1", &[scan("PASSED")]), Says::Deny, "{other}");
        assert!(gate.codes().contains("code"), "{other}");
    }
}

#[test]
fn a_type_without_a_scheme_is_not_its_namesake() {
    // K7
    let vuln = "cosign.sigstore.dev/attestation/vuln/v1";
    let gate = gate(&attesting("").replace("https://scan.example/v1", vuln));
    let by = |kind: &str| [Signed::key("one").attesting(kind, json!({}))];
    assert_eq!(gate.says("r.io/a:v1", &by(vuln)), Says::Permit);
    assert_eq!(gate.says("r.io/a:v1", &by(&format!("https://{vuln}"))), Says::Deny);
}

#[test]
fn an_attestation_by_anybody_is_a_denial() {
    let gate = gate("imageReferences: ['r.io/*']\nattestations:\n- type: https://scan.example/v1\n");
    assert_eq!(
        gate.says("r.io/a:v1", &[Signed::key("one").attesting("https://scan.example/v1", json!({}))]),
        Says::Deny
    );
    assert!(gate.codes().contains("unsigned-attestation"));
}

#[test]
fn an_audit_warns_and_an_override_of_one_namespace_enforces() {
    let text = policy("p", &entry("'r.io/*'", &set("", &[by_key(&["one"])])));
    let audit = yaml(&text.replace("Enforce", "Audit")).gate();
    assert_eq!(audit.says("r.io/a:v1", &[]), Says::Warn);
    assert_eq!(audit.says("r.io/a:v1", &[Signed::key("one")]), Says::Permit);
    let stricter = text.replace(
        "validationFailureAction: Enforce\n",
        "validationFailureAction: Audit\n  validationFailureActionOverrides: [{action: Enforce, namespaces: [prod]}]\n",
    );
    assert_eq!(yaml(&stricter).gate().says("r.io/a:v1", &[]), Says::Deny);
    // What cannot be said stays a warning.
    let notary =
        yaml(&policy("p", "type: Notary\nimageReferences: ['r.io/*']\n").replace("Enforce", "Audit")).gate();
    assert_eq!(notary.says("r.io/a:v1", &[]), Says::Warn);
    assert!(notary.codes().contains("notation"));
}

#[test]
fn what_asks_for_nothing_governs_nothing() {
    let gate = gate("imageReferences: ['*']\nrequired: true\n");
    assert_eq!(gate.says("r.io/a:v1", &[]), Says::Deny);
    assert!(gate.codes().is_superset(&["no-effect", "unmatched-denied"].into()));
}

#[test]
fn a_field_that_is_not_known_is_a_denial_and_a_lost_pattern_too() {
    let good = entry("'r.io/*'", &set("", &[by_key(&["one"])]));
    // The second pins the caller where an entry is keyless.
    for unknown in ["onlyOn: fridays", "additionalExtensions: {githubWorkflowName: release}"] {
        let with = gate(&format!("{good}{unknown}\n"));
        assert_eq!(with.says("r.io/a:v1", &[Signed::key("one")]), Says::Deny, "{unknown}");
    }
    let lost = entry("'ghcr.*'", &set("", &[by_key(&["two"])]));
    assert_eq!(gate(&lost).says("ghcr.io/a:v1", &[Signed::key("two")]), Says::Deny);
    let both = policy("good", &good.replace("r.io/*", "ghcr.io/*")) + &policy("lost", &lost);
    assert!(yaml(&both).fault().contains("ghcr.io/**"));
    let nested = entry("'r.io/*'", "- entries:\n  - attestor: {entries: []}\n");
    assert!(gate(&nested).codes().contains("attestors-nested"));
}

#[test]
fn what_becomes_stricter_or_is_refused_has_its_code() {
    let one = |count: &str| set(count, &[by_key(&["one"])]);
    let sct = keyless(WORKFLOW).replace("      issuer", "      ctlog: {ignoreSCT: true}\n      issuer");
    for (entry, code) in [
        (entry("'docker.io/library/x*'", &one("")), "hub-library"),
        (entry("'r.io/*/b:*'", &one("")), "pattern-widened"),
        (entry("'r.io/b:v1'", &one("")), "tags"),
        (entry("'{{ request.x }}'", &one("")), "variable"),
        (entry("'r.io/*'", &set("", &[sct])), "sct-required"),
        (format!("type: SigstoreBundle\n{}", entry("'r.io/*'", &one(""))), "signature-only"),
        (
            entry("'r.io/*'", &set("  count: 2\n", &["one", "two", "three"].map(|name| by_key(&[name])))),
            "threshold-signers",
        ),
        (entry("'r.io/*'", "- entries:\n  - certificates: {certChain: x}\n"), "certificate-authority"),
        (entry("'r.io/*'", &format!("- entries:\n  - keyless: {{issuer: {GITHUB}}}\n")), "identity-open"),
        (
            entry("'r.io/*'", &set("", &[by_key(&["one"]) + "    annotations: {env: prod}\n"])),
            "annotations-together",
        ),
    ] {
        assert!(gate(&entry).codes().contains(code), "{code}: {:?}", gate(&entry).codes());
    }
    let text = policy("p", &entry("'r.io/*'", &one("")))
        .replace("    verifyImages", "    exclude: {}\n    verifyImages");
    assert!(yaml(&text).gate().codes().contains("every-object"));
    let annotated =
        gate(&entry("'r.io/*'", &set("", &[by_key(&["one"]) + "    annotations: {env: prod}\n"])));
    assert_eq!(annotated.says("r.io/a:v1", &[Signed::key("one")]), Says::Deny);
    assert_eq!(annotated.says("r.io/a:v1", &[Signed::key("one").annotated("env", "prod")]), Says::Permit);
}

/// An `ImageValidatingPolicy` of two attestors with these expressions.
fn validating(expressions: &[&str]) -> Gate {
    let validations: String =
        expressions.iter().map(|expression| format!("  - expression: >-\n      {expression}\n")).collect();
    let attestors: String = ["one", "two"]
        .map(|name| {
            format!(
                "  - name: {name}\n    cosign:\n      key:\n        data: |\n{}",
                indented(&key(name), 10)
            )
        })
        .concat();
    yaml(&format!(
        "apiVersion: policies.kyverno.io/v1\nkind: ImageValidatingPolicy\nmetadata: {{name: p}}\nspec:\n  \
         validationActions: [Deny]\n  matchImageReferences: [{{glob: 'r.io/*'}}]\n  attestors:\n{attestors}  attestations:\n  \
         - {{name: scan, intoto: {{type: 'https://scan.example/v1'}}}}\n  validations:\n{validations}"
    ))
    .gate()
}

#[test]
fn known_expressions_count_attestors_and_others_are_denials() {
    let (one, two) = (Signed::key("one"), Signed::key("two"));
    let both = "images.containers.map(image, verifyImageSignatures(image, [attestors.one, attestors.two]))";
    let any = validating(&[&format!("{both}.all(e, e > 0)")]);
    assert_eq!(any.says("r.io/a:v1", std::slice::from_ref(&two)), Says::Permit);
    assert_eq!(any.says("r.io/a:v1", &[Signed::stranger()]), Says::Deny);
    let each = validating(&[&format!("{both}.all(e, e == 2)")]);
    assert_eq!(each.says("r.io/a:v1", &[one.clone(), two]), Says::Permit);
    assert_eq!(each.says("r.io/a:v1", std::slice::from_ref(&one)), Says::Deny);
    let attested = "images.containers.map(image, verifyAttestationSignatures(image, attestations.scan, [attestors.one])).all(e, e > 0)";
    let gate = validating(&[attested]);
    let scan = one.clone().attesting("https://scan.example/v1", json!({}));
    assert_eq!(gate.says("r.io/a:v1", &[scan]), Says::Permit);
    assert_eq!(gate.says("r.io/a:v1", std::slice::from_ref(&one)), Says::Deny);
    for other in
        ["true", "images.containers.map(image, extractPayload(image, attestations.scan).x).all(e, e)"]
    {
        let gate = validating(&[&format!("{both}.all(e, e > 0)"), other]);
        assert_eq!(gate.says("r.io/a:v1", std::slice::from_ref(&one)), Says::Deny, "{other}");
        assert!(gate.codes().contains("code"));
    }
    assert_eq!(validating(&[]).says("r.io/a:v1", &[one]), Says::Deny);
}
