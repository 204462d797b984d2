//! `policy.json` and `registries.d`, of our own making: one case for each kind and each trap.

use pullgate_config::{Accept, Weight};

use crate::judge::{Asked, Gate, Says, Signed};

fn json(text: &str) -> Asked {
    // A key that this machine has.
    let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/import/keys");
    Asked::default().file("policy.json", text.replace("@keys@", keys))
}

/// Over one scope, beside a default that rejects.
fn over(scope: &str, requirements: &str) -> Asked {
    json(&format!(
        r#"{{"default": [{{"type": "reject"}}], "transports": {{"docker": {{"{scope}": [{requirements}]}}}}}}"#
    ))
}

fn signed(more: &str) -> String {
    format!(
        r#"{{"type": "sigstoreSigned", "keyPath": "@keys@/one.pub",
             "signedIdentity": {{"type": "matchRepository"}}{more}}}"#
    )
}

const ACCEPT: &str = r#"{"type": "insecureAcceptAnything"}"#;
const REJECT: &str = r#"{"type": "reject"}"#;

#[test]
fn a_namespace_is_the_repository_of_its_name_and_all_below() {
    let gate = over("r.io/acme", &signed("")).gate();
    for image in ["r.io/acme:v1", "r.io/acme/app:v1", "r.io/acme/deep/app:v1"] {
        assert_eq!(gate.says(image, &[Signed::key("one").unlogged()]), Says::Permit, "{image}");
        assert_eq!(gate.says(image, &[Signed::key("two").unlogged()]), Says::Deny, "{image}");
        assert_eq!(gate.says(image, &[]), Says::Deny, "{image}");
    }
    for image in ["r.io/acmes/app:v1", "s.io/acme:v1"] {
        assert_eq!(gate.says(image, &[Signed::key("one")]), Says::Deny, "{image}");
    }
    assert_eq!(gate.imported.worst(), Weight::Said);
}

#[test]
fn the_most_specific_scope_counts_and_the_empty_one_before_the_default() {
    let gate = json(&format!(
        r#"{{"default": [{ACCEPT}], "transports": {{"docker": {{
            "": [{REJECT}], "r.io": [{ACCEPT}], "r.io/a": [{}], "r.io/a/b": [{REJECT}], "docker.io/acme": [{ACCEPT}]
        }}}}}}"#,
        signed("")
    ))
    .gate();
    for (image, says) in [
        ("elsewhere.io/x:v1", Says::Deny),
        ("r.io/x:v1", Says::Permit),
        ("r.io/a/x:v1", Says::Deny),
        ("r.io/a/b:v1", Says::Deny),
        ("docker.io/acme/x:v1", Says::Permit),
        // A namespace on Docker Hub is no repository of the library (P5).
        ("docker.io/library/acme:v1", Says::Deny),
    ] {
        assert_eq!(gate.says(image, &[]), says, "{image}");
    }
    assert_eq!(gate.says("r.io/a/x:v1", &[Signed::key("one")]), Says::Permit);
    assert!(!gate.permits_what_is_unmatched());
}

#[test]
fn a_default_that_accepts_serves_what_no_scope_names() {
    let accepting = json(&format!(
        r#"{{"default": [{ACCEPT}], "transports": {{"docker": {{"r.io": [{{"type": "signedBy",
            "keyType": "GPGKeys", "keyPath": "/etc/key.gpg"}}]}}, "dir": {{"": [{ACCEPT}]}}}}}}"#
    ));
    let gate = accepting.gate();
    assert_eq!(gate.says("s.io/x:v1", &[]), Says::Permit);
    // P3: a scope that cannot be said is a denial under it.
    assert_eq!(gate.says("r.io/x:v1", &[Signed::key("one")]), Says::Deny);
    assert!(gate.codes().is_superset(&["gpg", "left-out", "attachments-assumed"].into()));
}

#[test]
fn every_requirement_of_a_list_counts() {
    let both = format!("{}, {}", signed(""), signed("").replace("one.pub", "two.pub"));
    let gate = over("r.io/a", &format!("{ACCEPT}, {both}")).gate();
    let (one, two) = (Signed::key("one"), Signed::key("two"));
    assert_eq!(gate.says("r.io/a:v1", &[one.clone(), two.clone()]), Says::Permit);
    assert_eq!(gate.says("r.io/a:v1", std::slice::from_ref(&one)), Says::Deny);
    let gate = over("r.io/a", &format!("{both}, {REJECT}")).gate();
    assert_eq!(gate.says("r.io/a:v1", &[one, two]), Says::Deny);
}

#[test]
fn of_several_keys_one_is_enough_and_one_that_is_not_here_is_left_out() {
    let paths = |paths: &str| {
        let key = signed("").replace(r#""keyPath": "@keys@/one.pub""#, &format!(r#""keyPaths": [{paths}]"#));
        over("r.io/a", &key)
    };
    let gate = paths(r#""@keys@/one.pub", "@keys@/two.pub""#).gate();
    for key in ["one", "two"] {
        assert_eq!(gate.says("r.io/a:v1", &[Signed::key(key)]), Says::Permit, "{key}");
    }
    assert_eq!(gate.says("r.io/a:v1", &[Signed::key("three")]), Says::Deny);
    let gate = paths(r#""@keys@/one.pub", "/nowhere/two.pub""#).gate();
    assert_eq!(gate.says("r.io/a:v1", &[Signed::key("one")]), Says::Permit);
    assert!(gate.codes().contains("alternative-dropped"));
    let given = paths(r#""/nowhere/two.pub""#);
    assert!(given.gate().codes().contains("key-by-reference"));
    let gate = given.key("/nowhere/two.pub", "two.pub").gate();
    assert_eq!(gate.says("r.io/a:v1", &[Signed::key("two")]), Says::Permit);
}

#[test]
fn a_payload_that_must_name_the_tag_is_a_denial_unless_accepted() {
    for identity in ["", r#", "signedIdentity": {"type": "matchRepoDigestOrExact"}"#] {
        let list = format!(r#"{{"type": "sigstoreSigned", "keyPath": "@keys@/one.pub"{identity}}}"#);
        let gate = over("r.io/a", &list).gate();
        // P1: the signature of the key alone is not enough there.
        assert_eq!(gate.says("r.io/a:v1", &[Signed::key("one")]), Says::Deny);
        assert!(gate.codes().contains("signed-identity"));
        let gate = over("r.io/a", &list).accept(Accept::TagIdentity).gate();
        assert_eq!(gate.says("r.io/a:v1", &[Signed::key("one").naming("r.io/a:v2")]), Says::Permit);
        assert_eq!(gate.says("r.io/a:v1", &[Signed::key("one").naming("r.io/b:v1")]), Says::Deny);
        assert!(gate.codes().contains("accepted"));
    }
}

#[test]
fn a_payload_that_must_name_another_repository_is_a_denial() {
    let named = |kind: &str| {
        let list =
            format!(r#"{{"type": "sigstoreSigned", "keyPath": "@keys@/one.pub", "signedIdentity": {kind}}}"#);
        over("r.io/a", &list).gate()
    };
    // P6: that of a mirror is the name of its source.
    for kind in [
        r#"{"type": "exactRepository", "dockerRepository": "s.io/a"}"#,
        r#"{"type": "exactReference", "dockerReference": "r.io/a:v1"}"#,
        r#"{"type": "matchExact"}"#,
        r#"{"type": "remapIdentity", "prefix": "r.io", "signedPrefix": "s.io"}"#,
    ] {
        assert_eq!(named(kind).says("r.io/a:v1", &[Signed::key("one")]), Says::Deny, "{kind}");
    }
    let gate = named(r#"{"type": "exactRepository", "dockerRepository": "r.io/a"}"#);
    assert_eq!(gate.says("r.io/a:v1", &[Signed::key("one")]), Says::Permit);
    assert_eq!(gate.says("r.io/a/b:v1", &[Signed::key("one")]), Says::Deny);
    assert_eq!(gate.says("r.io/a/b:v1", &[Signed::key("one").naming("r.io/a")]), Says::Deny);
}

#[test]
fn what_is_said_of_one_tag_is_asked_of_the_whole_repository() {
    let gate = json(&format!(
        r#"{{"default": [{ACCEPT}], "transports": {{"docker": {{
            "r.io/a:v1": [{}], "r.io/b:bad": [{REJECT}], "r.io/b": [{ACCEPT}], "docker.io/c:v1": [{ACCEPT}]
        }}}}}}"#,
        signed("")
    ))
    .gate();
    for tag in ["v1", "v2"] {
        assert_eq!(gate.says(&format!("r.io/a:{tag}"), &[]), Says::Deny);
        assert_eq!(gate.says(&format!("r.io/a:{tag}"), &[Signed::key("one")]), Says::Permit);
    }
    // P4: a tag's `reject` is not lost.
    assert_eq!(gate.says("r.io/b:good", &[]), Says::Deny);
    assert_eq!(gate.says("r.io/b/below:good", &[]), Says::Permit);
    assert!(gate.codes().contains("tags"));
}

#[test]
fn a_domain_is_left_out_where_that_denies_and_ends_the_import_where_not() {
    let domain = |default: &str, of_domain: &str| {
        json(&format!(
            r#"{{"default": [{default}], "transports": {{"docker": {{"*.example.com": [{of_domain}]}}}}}}"#
        ))
    };
    let gate = domain(REJECT, ACCEPT).gate();
    assert_eq!(gate.says("a.example.com/x:v1", &[]), Says::Deny);
    assert!(gate.codes().contains("left-out"));
    assert!(domain(ACCEPT, REJECT).fault().contains("every host of a domain"));
    assert!(domain(ACCEPT, ACCEPT).gate().permits_what_is_unmatched());
}

#[test]
fn a_log_of_its_own_is_a_trust_table() {
    let key = r#", "rekorPublicKeyPath": "@keys@/log.pub""#;
    let gate = over("r.io/a", &signed(key)).gate();
    assert_eq!(gate.says("r.io/a:v1", &[Signed::key("one")]), Says::Permit);
    assert_eq!(gate.says("r.io/a:v1", &[Signed::key("one").unlogged()]), Says::Deny);
    assert!(gate.imported.policy.contains("rekor_keys = \"rekor-log.pub\""), "{}", gate.imported.policy);
    assert_eq!(gate.imported.files.len(), 2);
}

#[test]
fn an_address_certified_by_an_authority_of_its_own_is_an_identity() {
    let fulcio = r#"{"type": "sigstoreSigned", "fulcio": {"caPath": "@keys@/ca.pem",
        "oidcIssuer": "https://oidc.example", "subjectEmail": "dev@example.com"},
        "rekorPublicKeyPath": "@keys@/log.pub", "signedIdentity": {"type": "matchRepository"}}"#;
    let gate = over("r.io/a", fulcio).gate();
    let by = |issuer: &str, email: &str| Signed::identity(issuer, email).under("fulcio");
    let dev = by("https://oidc.example", "dev@example.com");
    assert_eq!(gate.says("r.io/a:v1", std::slice::from_ref(&dev)), Says::Permit);
    for other in [
        by("https://oidc.example", "ops@example.com"),
        by("https://other.example", "dev@example.com"),
        dev.clone().under("sigstore"),
        dev.naming("r.io/b"),
    ] {
        assert_eq!(gate.says("r.io/a:v1", &[other]), Says::Deny);
    }
    assert!(gate.imported.policy.contains("sct = \"none\""));
    let pki = r#"{"type": "sigstoreSigned", "pki": {"caRootsPath": "/x", "subjectEmail": "a@b"}}"#;
    assert!(over("r.io/a", pki).gate().codes().contains("pki"));
}

#[test]
fn without_attachments_nothing_that_must_be_signed_is_accepted() {
    let list = signed("");
    let on = "docker:\n  r.io:\n    use-sigstore-attachments: true\n  r.io/a/off:\n    use-sigstore-attachments: false\n";
    let gate = over("r.io", &list).registries_d(on).gate();
    let one = [Signed::key("one")];
    assert_eq!(gate.says("r.io/a:v1", &one), Says::Permit);
    assert_eq!(gate.says("r.io/a/off/x:v1", &one), Says::Deny);
    assert!(!gate.codes().contains("attachments-assumed"));
    let gate = over("r.io", &list).registries_d("default-docker: {lookaside: https://x.example}\n").gate();
    assert_eq!(gate.says("r.io/a:v1", &one), Says::Deny);
    assert!(gate.codes().contains("attachments"));
}

#[test]
fn one_key_under_two_logs_is_no_authority_twice() {
    let under = |log: &str| signed(&format!(r#", "rekorPublicKeyPath": "@keys@/{log}.pub""#));
    let text = format!(
        r#"{{"default": [{REJECT}], "transports": {{"docker": {{"r.io/a": [{}], "r.io/b": [{}]}}}}}}"#,
        under("log"),
        under("three")
    );
    let gate = json(&text).gate();
    assert_eq!(gate.says("r.io/a:v1", &[Signed::key("one")]), Says::Permit);
    assert_eq!(gate.says("r.io/b:v1", &[Signed::key("one")]), Says::Deny);
    assert!(gate.codes().contains("key-twice"));
}

#[test]
fn a_file_that_its_own_system_refuses_is_refused() {
    for text in [
        "{}",
        r#"{"default": []}"#,
        r#"{"default": [{"type": "reject"}], "more": 1}"#,
        r#"{"default": [{"type": "reject", "more": 1}]}"#,
        r#"{"default": [{"type": "unknown"}]}"#,
        r#"{"default": [{"type": "reject"}], "default": [{"type": "insecureAcceptAnything"}]}"#,
        r#"{"default": [{"type": "sigstoreSigned"}]}"#,
        r#"{"default": [{"type": "sigstoreSigned", "keyPath": "/a", "keyData": "YQ=="}]}"#,
        r#"{"default": [{"type": "sigstoreSigned", "keyPath": "/a", "signedIdentity": {"type": "x"}}]}"#,
    ] {
        assert!(json(text).import().is_err(), "{text}");
    }
}

#[test]
fn two_policy_files_are_never_in_force_together() {
    let asked = json(r#"{"default": [{"type": "reject"}]}"#)
        .file("other.json", r#"{"default": [{"type": "reject"}]}"#);
    assert!(asked.fault().contains("import each by itself"));
}

#[test]
fn a_host_in_another_case_is_no_way_to_serve_more() {
    assert_eq!(over("R.io/a", ACCEPT).gate().says("r.io/a:v1", &[]), Says::Deny);
    assert!(over("R.io/a", REJECT).fault().contains("by case"));
}

#[test]
fn what_is_written_has_the_original_line_beside_it() {
    let gate: Gate = over("r.io/a", &signed("")).gate();
    let policy = &gate.imported.policy;
    assert!(policy.contains("# policy.json:1: r.io/a\n[[policy]]\nname = \"r.io/a\"\n"), "{policy}");
    assert!(policy.contains("scope = [\"r.io/a\", \"r.io/a/**\"]"), "{policy}");
    assert!(policy.contains("claimed_reference = true"), "{policy}");
}
