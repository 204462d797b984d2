//! `ClusterImagePolicy`, of our own making: one case for each kind and each trap.

use pullgate_config::Weight;
use serde_json::json;

use crate::judge::{Asked, GITHUB, Says, Signed, WORKFLOW, indented, key, yaml};

/// A policy over globs, with these authorities.
fn policy(name: &str, globs: &[&str], authorities: &str) -> String {
    let images: String = globs.iter().map(|glob| format!("  - glob: \"{glob}\"\n")).collect();
    format!(
        "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata:\n  name: {name}\n\
         spec:\n  images:\n{images}  authorities:\n{authorities}---\n"
    )
}

fn keyed(name: &str, more: &str) -> String {
    format!("  - name: {name}\n    key:\n      data: |\n{}{more}", indented(&key(name), 8))
}

fn keyless(more: &str) -> String {
    format!(
        "  - keyless:\n      url: https://fulcio.sigstore.dev\n      identities:\n      - issuer: {GITHUB}\n        \
         subject: {WORKFLOW}\n    ctlog: {{url: https://rekor.sigstore.dev}}\n{more}"
    )
}

const LOG: &str = "    ctlog: {url: https://rekor.sigstore.dev}\n";
const PASS: &str = "  - static: {action: pass}\n";
const SPDX: &str = "https://spdx.dev/Document";

fn workflow() -> Signed {
    Signed::identity(GITHUB, WORKFLOW)
}

#[test]
fn any_authority_of_a_policy_is_enough() {
    let both = format!("{}{}", keyed("one", ""), keyless(""));
    let gate = yaml(&policy("p", &["r.io/acme/**"], &both)).gate();
    for signed in [Signed::key("one").unlogged(), workflow()] {
        assert_eq!(gate.says("r.io/acme/app:v1", &[signed]), Says::Permit);
    }
    for signed in
        [Signed::key("two"), Signed::identity(GITHUB, "https://github.com/x/y/.github/workflows/z.yml@main")]
    {
        assert_eq!(gate.says("r.io/acme/app:v1", &[signed]), Says::Deny);
    }
    assert_eq!(gate.says("s.io/acme/app:v1", &[workflow()]), Says::Deny);
    assert_eq!(gate.imported.worst(), Weight::Said);
}

#[test]
fn all_policies_that_match_must_pass() {
    // C1: the more specific one does not stand in for the other.
    let wide = policy("wide", &["**"], &keyed("one", ""));
    let narrow = policy("narrow", &["r.io/acme/*"], &keyed("two", ""));
    let exempt = policy("exempt", &["r.io/open/**"], PASS);
    let gate = Asked::default().file("a.yaml", format!("{wide}{narrow}")).file("b.yaml", exempt).gate();
    let (one, two) = (Signed::key("one"), Signed::key("two"));
    assert_eq!(gate.says("r.io/acme/app:v1", &[one.clone(), two.clone()]), Says::Permit);
    for alone in [one.clone(), two.clone()] {
        assert_eq!(gate.says("r.io/acme/app:v1", &[alone]), Says::Deny);
    }
    assert_eq!(gate.says("r.io/other:v1", std::slice::from_ref(&one)), Says::Permit);
    // A `pass` beside a policy that asks exempts nothing.
    assert_eq!(gate.says("r.io/open/app:v1", &[]), Says::Deny);
    assert_eq!(gate.says("r.io/open/app:v1", &[one]), Says::Permit);
    let gate = yaml(&policy("exempt", &["r.io/open/**"], PASS)).gate();
    assert_eq!(gate.says("r.io/open/app:v1", &[]), Says::Permit);
}

#[test]
fn what_authorities_attest_is_asked_for_together() {
    let attesting = |types: [&str; 2]| {
        let each = types.map(|kind| format!("    - name: x\n      predicateType: {kind}\n"));
        format!("    attestations:\n{}", each.concat())
    };
    let both = format!(
        "{}{}",
        keyed("one", &attesting(["spdxjson", "vuln"])),
        keyed("two", &attesting(["spdxjson", "vuln"]))
    );
    let gate = yaml(&policy("p", &["**"], &both)).gate();
    let vuln = "https://cosign.sigstore.dev/attestation/vuln/v1";
    let by = |name: &str, kind: &str| Signed::key(name).attesting(kind, json!({}));
    assert_eq!(gate.says("r.io/a:v1", &[by("one", SPDX), by("one", vuln)]), Says::Permit);
    assert_eq!(gate.says("r.io/a:v1", &[by("two", SPDX), by("two", vuln)]), Says::Permit);
    // C2: one's first and the other's second are neither's both.
    assert_eq!(gate.says("r.io/a:v1", &[by("one", SPDX), by("two", vuln)]), Says::Deny);
    assert_eq!(gate.says("r.io/a:v1", &[Signed::key("one")]), Says::Deny);
}

#[test]
fn a_predicate_type_is_the_one_that_its_name_means_there() {
    let gate = yaml(&policy(
        "p",
        &["**"],
        &keyed("one", "    attestations:\n    - predicateType: slsaprovenance\n"),
    ))
    .gate();
    let by = |kind: &str| [Signed::key("one").attesting(kind, json!({}))];
    assert_eq!(gate.says("r.io/a:v1", &by("https://slsa.dev/provenance/v0.2")), Says::Permit);
    // C5: the name here takes version 1 too.
    assert_eq!(gate.says("r.io/a:v1", &by("https://slsa.dev/provenance/v1")), Says::Deny);
    let signature = "    attestations:\n    - predicateType: https://sigstore.dev/cosign/sign/v1\n";
    assert!(yaml(&policy("p", &["**"], &keyed("one", signature))).gate().codes().contains("predicate-type"));
}

#[test]
fn values_of_cue_are_asked_for_and_other_programs_are_denials() {
    let cue = |data: &str| {
        let more = format!(
            "    attestations:\n    - predicateType: custom\n      policy:\n        type: cue\n        data: |\n{}",
            indented(data, 10)
        );
        yaml(&policy("p", &["**"], &keyed("one", &more))).gate()
    };
    let gate = cue("predicate: Data: \"good\"");
    let by = |data: &str| {
        [Signed::key("one").attesting("https://cosign.sigstore.dev/attestation/v1", json!({"Data": data}))]
    };
    assert_eq!(gate.says("r.io/a:v1", &by("good")), Says::Permit);
    assert_eq!(gate.says("r.io/a:v1", &by("bad")), Says::Deny);
    assert!(gate.codes().contains("absent-field"));
    let gate = cue("predicate: Data: !=\"bad\"");
    assert_eq!(gate.says("r.io/a:v1", &by("good")), Says::Deny);
    assert!(gate.codes().contains("code"));
}

#[test]
fn a_program_over_the_whole_and_a_field_that_is_not_known_deny() {
    let with = |more: &str| {
        let text = policy("p", &["**"], &keyed("one", ""));
        yaml(&format!("{}{more}", text.strip_suffix("---\n").unwrap())).gate()
    };
    let one = [Signed::key("one")];
    assert_eq!(with("").says("r.io/a:v1", &one), Says::Permit);
    let gate = with("  policy: {type: cue, data: \"a: 1\"}\n");
    assert_eq!(gate.says("r.io/a:v1", &one), Says::Deny);
    let gate = with("  onlyOn: fridays\n");
    assert_eq!(gate.says("r.io/a:v1", &one), Says::Deny);
    assert!(gate.codes().contains("unknown-field"));
    let gate = with("  match: [{resource: pods}]\n");
    assert_eq!(gate.says("r.io/a:v1", &one), Says::Permit);
    assert_eq!(gate.imported.worst(), Weight::Stricter);
}

#[test]
fn what_passes_for_some_objects_passes_for_none_here() {
    // C6: a pull does not say for which object it is.
    let text = policy("p", &["r.io/open/*"], PASS).replace("---\n", "  match: [{resource: jobs}]\n");
    let gate = yaml(&text).gate();
    assert_eq!(gate.says("r.io/open/a:v1", &[]), Says::Deny);
    assert!(gate.codes().contains("static-match"));
    let fail = yaml(&policy("p", &["**"], "  - static: {action: fail}\n")).gate();
    assert_eq!((fail.says("r.io/a:v1", &[]), fail.imported.worst()), (Says::Deny, Weight::Said));
}

#[test]
fn docker_hub_under_its_short_name_governs_nothing_there_and_here() {
    // C4: as a permit it would open what the other policy closes, and nothing there.
    let gate = yaml(&policy("p", &["docker.io/**"], PASS)).gate();
    assert_eq!(gate.says("docker.io/acme/app:v1", &[]), Says::Deny);
    assert!(gate.codes().contains("left-out"));
    let gate = yaml(&policy("p", &["index.docker.io/acme/*"], PASS)).gate();
    assert_eq!(gate.says("docker.io/acme/app:v1", &[]), Says::Permit);
    assert_eq!(gate.says("docker.io/library/app:v1", &[]), Says::Deny);
}

#[test]
fn one_key_is_one_authority_and_asked_for_the_log_wherever_it_is_once() {
    // C7
    let logged = policy("logged", &["r.io/a/*"], &keyed("one", LOG));
    let plain = policy("plain", &["r.io/b/*"], &keyed("one", ""));
    let gate = yaml(&format!("{logged}{plain}")).gate();
    for image in ["r.io/a/x:v1", "r.io/b/x:v1"] {
        assert_eq!(gate.says(image, &[Signed::key("one")]), Says::Permit, "{image}");
        assert_eq!(gate.says(image, &[Signed::key("one").unlogged()]), Says::Deny, "{image}");
    }
    assert!(gate.codes().contains("log-everywhere"));
}

#[test]
fn a_policy_that_warns_warns_and_not_where_another_enforces() {
    let warns = policy("warns", &["**"], &keyed("one", "")).replace("spec:\n", "spec:\n  mode: warn\n");
    let enforces = policy("enforces", &["r.io/acme/**"], &keyed("two", ""));
    let gate = yaml(&format!("{warns}{enforces}")).gate();
    assert_eq!(gate.says("r.io/a:v1", &[]), Says::Warn);
    assert_eq!(gate.says("r.io/a:v1", &[Signed::key("one")]), Says::Permit);
    assert_eq!(gate.says("r.io/acme/a:v1", &[Signed::key("one")]), Says::Deny);
    assert_eq!(gate.says("r.io/acme/a:v1", &[Signed::key("two")]), Says::Permit);
    assert!(gate.codes().contains("warn-dropped"));
    // What cannot be said stays a warning.
    let gate = yaml(&warns.replace("key:\n", "key:\n      hashAlgorithm: sha512\n")).gate();
    assert_eq!(gate.says("r.io/a:v1", &[Signed::key("one")]), Says::Warn);
}

#[test]
fn a_pattern_that_no_scope_says_is_a_denial_or_ends_the_import() {
    let lost = policy("lost", &["r.io/**/app*"], &keyed("one", ""));
    assert_eq!(yaml(&lost).gate().says("r.io/a/app:v1", &[Signed::key("one")]), Says::Deny);
    let beside = policy("beside", &["r.io/a/**"], &keyed("two", ""));
    assert!(yaml(&format!("{lost}{beside}")).fault().contains("r.io/a/**"));
    // Its own scope asks for the same.
    let own = policy("own", &["r.io/**/app*", "r.io/a/**"], &keyed("one", ""));
    assert_eq!(yaml(&own).gate().says("r.io/a/x:v1", &[Signed::key("one")]), Says::Permit);
    let tie = policy("x", &["r.io/a-*"], &keyed("one", "")) + &policy("y", &["r.io/*-x*"], &keyed("two", ""));
    assert!(yaml(&tie).fault().contains("both match"));
}

#[test]
fn identities_are_searched_for_and_those_of_anybody_are_refused() {
    let identity = |identity: &str| {
        let authority = format!("  - keyless:\n      identities:\n      - {identity}\n{LOG}");
        yaml(&policy("p", &["**"], &authority)).gate()
    };
    let gate = identity(&format!(r"{{issuer: {GITHUB}, subjectRegExp: 'https://github\.com/acme/app/'}}"));
    assert_eq!(gate.says("r.io/a:v1", &[workflow()]), Says::Permit);
    assert_eq!(
        gate.says("r.io/a:v1", &[Signed::identity(GITHUB, "https://github.com/acme/apps/x@y")]),
        Says::Deny
    );
    let gate = identity(
        r"{issuerRegExp: '^https://token\.actions\.githubusercontent\.com$', subjectRegExp: 'https://github\.com/acme/app/.*@refs/heads/main$'}",
    );
    assert_eq!(gate.says("r.io/a:v1", &[workflow()]), Says::Permit);
    for open in [
        format!("{{issuer: {GITHUB}, subjectRegExp: '.*'}}"),
        // C8: whoever has a repository of that name.
        format!(r"{{issuer: {GITHUB}, subjectRegExp: 'https://github\.com/.*/app/\.github/workflows/.*'}}"),
        format!("{{issuer: {GITHUB}, subjectRegExp: '(?x)a'}}"),
        // A branch can be called so.
        format!(r"{{issuer: {GITHUB}, subjectRegExp: 'github\.com/acme/app/'}}"),
    ] {
        let gate = identity(&open);
        assert_eq!(gate.says("r.io/a:v1", &[workflow()]), Says::Deny, "{open}");
        assert_eq!(gate.imported.worst(), Weight::Refused);
    }
}

#[test]
fn several_identities_of_one_authority_are_several_ways() {
    let two = keyless("").replace(
        "      - issuer",
        &format!("      - issuer: {GITHUB}\n        subject: https://github.com/acme/other/.github/workflows/x.yml@refs/heads/main\n      - issuer"),
    );
    let gate = yaml(&policy("p", &["**"], &two)).gate();
    for san in [WORKFLOW, "https://github.com/acme/other/.github/workflows/x.yml@refs/heads/main"] {
        assert_eq!(gate.says("r.io/a:v1", &[Signed::identity(GITHUB, san)]), Says::Permit, "{san}");
    }
}

#[test]
fn keys_that_are_elsewhere_are_asked_for_by_their_reference() {
    let kms = "  - key: {kms: 'awskms:///alias/release'}\n";
    let asked = yaml(&policy("p", &["**"], kms));
    assert!(asked.gate().codes().contains("key-by-reference"));
    let gate = asked.key("awskms:///alias/release", "one.pub").gate();
    assert_eq!(gate.says("r.io/a:v1", &[Signed::key("one")]), Says::Permit);
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: release}\nstringData:\n  cosign.pub: |\n";
    let text =
        policy("p", &["**"], "  - key: {secretRef: {name: release}}\n") + secret + &indented(&key("two"), 4);
    assert_eq!(yaml(&text).gate().says("r.io/a:v1", &[Signed::key("two")]), Says::Permit);
}

#[test]
fn what_can_never_be_met_there_is_a_denial_here() {
    for (authority, code) in [
        (keyed("one", "").replace("key:\n", "key:\n      hashAlgorithm: sha512\n"), "hash-algorithm"),
        (
            keyless("").replace(
                "      url: https://fulcio.sigstore.dev\n",
                "      ca-cert: {secretRef: {name: x}}\n",
            ),
            "trust-root",
        ),
        (keyed("one", "    source: [{tagPrefix: x}]\n"), "tag-prefix"),
        (
            keyless("").replace("      url: https://fulcio.sigstore.dev\n", "      trustRootRef: corp\n"),
            "trust-root",
        ),
    ] {
        let gate = yaml(&policy("p", &["**"], &authority)).gate();
        assert_eq!(gate.says("r.io/a:v1", &[Signed::key("one"), workflow()]), Says::Deny, "{code}");
        assert!(gate.codes().contains(code), "{code}: {:?}", gate.codes());
        // One of several ways is left out.
        let gate = yaml(&policy("p", &["**"], &(authority + &keyed("two", "")))).gate();
        assert_eq!(gate.says("r.io/a:v1", &[Signed::key("two")]), Says::Permit, "{code}");
        assert_eq!(gate.imported.worst(), Weight::Stricter);
    }
}

#[test]
fn a_trust_root_among_the_files_is_a_trust_table() {
    use base64::Engine as _;
    let encoded = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let ca =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/import/keys/ca.pem")).unwrap();
    let root = format!(
        "apiVersion: policy.sigstore.dev/v1alpha1\nkind: TrustRoot\nmetadata: {{name: corp}}\nspec:\n  sigstoreKeys:\n    \
         certificateAuthorities: [{{certChain: {}}}]\n    tLogs: [{{baseURL: https://x, publicKey: {}}}]\n",
        encoded(&ca),
        encoded(&key("log"))
    );
    let authority = keyless("")
        .replace(
            "      url: https://fulcio.sigstore.dev\n",
            "      trustRootRef: corp\n      insecureIgnoreSCT: true\n",
        )
        .replace("ctlog: {url: https://rekor.sigstore.dev}", "ctlog: {trustRootRef: corp}");
    let gate = yaml(&(policy("p", &["**"], &authority) + &root)).gate();
    assert_eq!(gate.says("r.io/a:v1", &[workflow().under("corp")]), Says::Permit);
    assert_eq!(gate.says("r.io/a:v1", &[workflow()]), Says::Deny);
    assert!(gate.imported.policy.contains("fulcio_ca = [\"corp-ca.pem\"]"), "{}", gate.imported.policy);
}

#[test]
fn the_github_root_is_the_built_in_one_and_evidence_elsewhere_is_told() {
    let authority = keyless("    source: [{oci: r.io/signatures}]\n")
        .replace(
            "      url: https://fulcio.sigstore.dev\n",
            "      trustRootRef: github\n      insecureIgnoreSCT: true\n",
        )
        .replace("ctlog: {url: https://rekor.sigstore.dev}", "rfc3161timestamp: {trustRootRef: github}");
    let gate = yaml(&policy("p", &["**"], &authority)).gate();
    assert_eq!(gate.says("r.io/a:v1", &[workflow().under("github")]), Says::Permit);
    assert_eq!(gate.says("r.io/a:v1", &[workflow()]), Says::Deny);
    assert!(gate.codes().is_superset(&["trust-assumed", "evidence-elsewhere"].into()));
}

#[test]
fn what_the_controller_does_not_take_is_refused() {
    let good = policy("p", &["**"], &keyless(""));
    for (from, to) in [
        (format!("issuer: {GITHUB}"), "x: y".to_owned()),
        (format!("subject: {WORKFLOW}"), "subjectRegExp: ''".to_owned()),
        ("glob: \"**\"".to_owned(), "glob: \"[\"".to_owned()),
        ("  images:\n  - glob: \"**\"\n".to_owned(), String::new()),
        ("spec:\n".to_owned(), "spec:\n  mode: maybe\n".to_owned()),
    ] {
        assert!(good.contains(&from));
        assert!(yaml(&good.replace(&from, &to)).import().is_err(), "{from}");
    }
}
