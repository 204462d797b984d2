//! The operator's mistakes, as `pullgate check` reports them: code, line, exit status; beside each the nearest honest file.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use pullgate_tests::clients::tool;
use pullgate_tests::signing::Signer;
use serde_json::Value;

mod files;
mod start;

use files::{AUTHORITY, CONFIG, Files, POLICY, REQUIRE, run};

/// A requirement by a keyless authority with these lines.
fn keyless(lines: &str) -> String {
    format!("[authority.release]\n{lines}\n{POLICY}{REQUIRE}")
}

const ISSUER: &str = "issuer = \"https://token.actions.githubusercontent.com\"\n";

#[test]
fn a401_a_key_or_table_that_does_not_exist_is_a_fault_with_what_was_meant() {
    Files::new().is_sound();
    for (policy, code) in [
        (
            format!("{AUTHORITY}{POLICY}[[policy.requre]]\nsigned_by = {{ any_of = [\"release\"] }}\n"),
            "unknown-key",
        ),
        (
            format!("{AUTHORITY}{POLICY}[[policy.require]]\nsigned-by = {{ any_of = [\"release\"] }}\n"),
            "unknown-key",
        ),
        (format!("{AUTHORITY}{POLICY}{REQUIRE}mode = \"warn\"\n"), "unknown-key"),
        (format!("{AUTHORITY}{POLICY}mode = 1\n{REQUIRE}"), "wrong-type"),
        (format!("{AUTHORITY}{POLICY}name = \"again\"\n{REQUIRE}"), "duplicate-key"),
        (format!("{AUTHORITY}{POLICY}mode = \"enforced\"\n{REQUIRE}"), "value-invalid"),
    ] {
        let checked = Files::policy(&policy).check(&[]);
        assert_eq!(checked.status, 2, "{policy}");
        assert!(checked.codes().contains(&code), "{policy}\n{}", checked.text);
    }
    let meant =
        Files::policy(&format!("{AUTHORITY}{POLICY}mod = \"warn\"\n{REQUIRE}")).faults(&["unknown-key"]);
    assert!(meant.text.contains("did you mean `mode`?"), "{}", meant.text);
    assert_eq!(meant.line("unknown-key"), 6);
}

#[test]
fn a402_a_requirement_that_asks_for_nothing_is_a_fault() {
    for policy in [
        format!("{AUTHORITY}{POLICY}"),
        format!("{AUTHORITY}{POLICY}require = []\n"),
        format!("{AUTHORITY}{POLICY}[[policy.require]]\n"),
        format!("{AUTHORITY}{POLICY}[[policy.require]]\nsigned_by = {{ any_of = [] }}\n"),
        format!("{AUTHORITY}{POLICY}[[policy.require]]\nattestation = \"slsa-provenance\"\n"),
    ] {
        let checked = Files::policy(&policy).check(&[]);
        assert_eq!(checked.status, 2, "{policy}");
        assert!(checked.codes().contains(&"requirement-empty"), "{policy}\n{}", checked.text);
    }
    Files::policy(&format!(
        "{AUTHORITY}{POLICY}[[policy.require]]\nattestation = \"slsa-provenance\"\nsigned_by = {{ any_of = [\"release\"] }}\n"
    ))
    .is_sound();
}

#[test]
fn a403_a_key_file_that_is_no_public_key_is_a_fault_and_a_private_one_is_not_shown() {
    let one = |name: &str, bytes: &[u8], code: &str| {
        let files = Files::new();
        files.write(name, bytes);
        files.write("policy.toml", format!("[authority.release]\nkey = \"{name}\"\n{POLICY}{REQUIRE}"));
        files.faults(&[code])
    };
    let pem = Signer::new().public_pem();
    let secret = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0IGNhbmFyeQ==\n-----END PRIVATE KEY-----\n";
    one("empty.pub", b"", "key-empty");
    let shown = one("private.pub", secret.as_bytes(), "key-private");
    assert!(!shown.text.contains("c2VjcmV0"), "{}", shown.text);
    let certificate = rcgen::generate_simple_self_signed(vec!["a".to_owned()]).unwrap().cert.pem();
    one("certificate.pub", certificate.as_bytes(), "key-certificate");
    one("two.pub", format!("{pem}{}", Signer::new().public_pem()).as_bytes(), "key-several");
    one("garbage.pub", b"ssh-ed25519 AAAA somebody\n", "key-invalid");
    one("broken.pub", pem.replace('M', "!").as_bytes(), "key-invalid");
    let at = |name: &str| Files::policy(&format!("[authority.release]\nkey = \"{name}\"\n{POLICY}{REQUIRE}"));
    at("none.pub").faults(&["key-unreadable"]);
    let folder = at("folder");
    fs::create_dir(folder.path().join("folder")).unwrap();
    folder.faults(&["key-unreadable"]);
    let pipe = at("pipe");
    assert!(Command::new("mkfifo").arg(pipe.path().join("pipe")).status().unwrap().success());
    // Whoever opened it would wait for a writer that never comes.
    pipe.faults(&["key-unreadable"]);
    at("second.pub").is_sound();
}

#[test]
fn a404_an_identity_that_is_empty_or_anybodys_is_a_fault() {
    for (lines, code) in [
        ("identity = \"\"", "identity-empty"),
        ("identity_regex = ''", "identity-empty"),
        ("identity_regex = '.*'", "identity-matches-anything"),
        ("identity_regex = '.+'", "identity-matches-anything"),
        ("identity_regex = '^.*$'", "identity-matches-anything"),
        ("identity_regex = '(?s).*'", "identity-matches-anything"),
        ("identity_regex = '[^x]*|x.*'", "identity-matches-anything"),
        ("identity_regex = 'https://.*'", "identity-matches-anything"),
        (r"identity_regex = 'https://github\.com/.*@refs/heads/main'", "identity-matches-anything"),
        ("identity = \"*\"", "identity-matches-anything"),
    ] {
        let checked = Files::policy(&keyless(&format!("{ISSUER}{lines}"))).check(&[]);
        assert_eq!(checked.status, 2, "{lines}\n{}", checked.text);
        assert!(checked.codes().contains(&code), "{lines}\n{}", checked.text);
    }
    Files::policy(&keyless("issuer = \".*\"\nidentity = \"someone@example.com\""))
        .faults(&["identity-matches-anything"]);
    Files::policy(&keyless(&format!(
        "{ISSUER}identity = \"https://github.com/myorg/app/.github/workflows/ci.yml@refs/heads/main\""
    )))
    .is_sound();
}

#[test]
fn a240_an_identity_without_its_issuer_is_a_fault() {
    let identity = "identity = \"someone@example.com\"";
    Files::policy(&keyless(identity)).faults(&["issuer-missing"]);
    Files::policy(&keyless(&format!("issuer = \"https://accounts.example.com\"\n{identity}"))).is_sound();
}

#[test]
fn a234_a_threshold_that_cannot_be_met_and_one_key_under_two_names_are_faults() {
    let second = "[authority.second]\nkey = \"second.pub\"\n";
    let signed = |threshold: i64| {
        format!(
            "[[policy.require]]\nsigned_by = {{ any_of = [\"release\", \"second\"], threshold = {threshold} }}\n"
        )
    };
    for threshold in [0, -1, 3] {
        let policy = format!("{AUTHORITY}{second}{POLICY}{}", signed(threshold));
        Files::policy(&policy).faults(&["threshold-impossible"]);
    }
    Files::policy(&format!("{AUTHORITY}{second}{POLICY}{}", signed(2))).is_sound();
    let same = second.replace("second.pub", "release.pub");
    Files::policy(&format!("{AUTHORITY}{same}{POLICY}{}", signed(1))).faults(&["authority-duplicate-key"]);
}

#[test]
fn a234_a_threshold_over_one_identity_under_two_names_can_never_be_met() {
    let identity = |name: &str, branch: &str| {
        format!(
            "[authority.{name}]\n{ISSUER}identity = \"https://github.com/myorg/app/.github/workflows/ci.yml@refs/heads/{branch}\"\n"
        )
    };
    let both = |one: &str, other: &str, threshold: i64| {
        let (one, other) = (identity("one", one), identity("other", other));
        let require = "[[policy.require]]\nsigned_by = { any_of = [\"one\", \"other\"], threshold = ";
        Files::policy(&format!("{one}{other}{POLICY}{require}{threshold} }}\n"))
    };
    both("main", "main", 2).faults(&["threshold-impossible"]);
    both("main", "main", 1).is_sound();
    both("main", "release", 2).is_sound();
}

#[test]
fn a237_a_dot_that_matches_any_character_is_told_of() {
    let workflow = |host: &str| {
        keyless(&format!(
            "{ISSUER}identity_regex = 'https://{host}/myorg/app/\\.github/workflows/ci\\.yml@refs/heads/main'"
        ))
    };
    Files::policy(&workflow("github.com")).warns(&["regex-unescaped-dot"]);
    Files::policy(&workflow("github\\.com")).is_sound();
}

#[test]
fn a243_a_pattern_that_leaves_the_ref_open_is_told_of() {
    let workflow = |end: &str| {
        keyless(&format!(
            "{ISSUER}identity_regex = 'https://github\\.com/myorg/app/\\.github/workflows/ci\\.yml@{end}'"
        ))
    };
    for open in [".*", "refs/heads/.*", "refs/.+"] {
        Files::policy(&workflow(open)).warns(&["ref-unpinned"]);
    }
    Files::policy(&workflow("refs/heads/main")).is_sound();
}

#[test]
fn a405_scopes_that_tie_catch_look_alikes_or_match_nothing_here() {
    let scope = |scopes: &str| {
        Files::policy(&format!(
            "{AUTHORITY}{POLICY}{REQUIRE}[[policy]]\nname = \"b\"\nscope = [{scopes}]\n{REQUIRE}"
        ))
    };
    scope("\"ghcr.io/myorg/**\"").faults(&["scope-tie"]);
    for wildcard in ["\"*.io/**\"", "\"*/myorg/**\"", "\"ghcr.*/x/**\""] {
        scope(wildcard).faults(&["scope-registry-wildcard"]);
    }
    scope("\"quay.io/myorg/**\"").warns(&["scope-unreachable"]);
    scope("\"**\"").is_sound();
    scope("\"ghcr.io/myorg/app\"").is_sound();
}

#[test]
fn a406_a_star_that_ends_a_half_written_owner_is_told_of() {
    let scope = |scope: &str| {
        Files::policy(&format!("{AUTHORITY}[[policy]]\nname = \"p\"\nscope = [\"{scope}\"]\n{REQUIRE}"))
    };
    scope("ghcr.io/myorg*").warns(&["scope-open-segment"]);
    scope("ghcr.io/myorg*/app").warns(&["scope-open-segment"]);
    scope("ghcr.io/myorg/app-*").is_sound();
}

#[test]
fn a407_a_weaker_scope_inside_a_stronger_one_is_shown() {
    let policy = format!(
        "{AUTHORITY}{POLICY}{REQUIRE}[[policy]]\nname = \"dev\"\nscope = [\"ghcr.io/myorg/dev/**\"]\nmode = \"warn\"\n{REQUIRE}"
    );
    let files = Files::policy(&policy);
    files.is_sound();
    let shown = files.check(&["--against", "ghcr.io/myorg/dev/app", "ghcr.io/myorg/app"]);
    let report: Value = serde_json::from_str(&shown.text).unwrap();
    assert_eq!(report["against"][0]["policy"], "dev");
    assert!(report["against"][0]["requirements"].to_string().contains("mode \\\"warn\\\""), "{report}");
    assert_eq!(report["against"][1]["policy"], "production");
}

#[test]
fn a408_an_exemption_without_end_or_owner_or_of_everything_is_a_fault() {
    let exempt = |lines: &str| {
        Files::policy(&format!("{AUTHORITY}{POLICY}{REQUIRE}[[exempt]]\nreason = \"INC-1\"\n{lines}"))
    };
    let (scope, owner) = ("scope = [\"ghcr.io/myorg/app\"]\n", "owner = \"platform@corp.example\"\n");
    // More than a year away is told of.
    let month = jiff::Timestamp::now() + std::time::Duration::from_secs(30 * 24 * 3_600);
    let until = format!("until = {}\n", month.to_string().split('T').next().unwrap());
    exempt(&format!("{scope}until = 2999-01-31\n{owner}")).warns(&["exempt-far"]);
    exempt(&format!("{scope}{owner}")).faults(&["exempt-no-end"]);
    exempt(&format!("{scope}{until}")).faults(&["exempt-no-owner"]);
    exempt(&format!("{scope}{until}owner = \" \"\n")).faults(&["exempt-no-owner"]);
    exempt(&format!("scope = [\"**\"]\n{until}{owner}")).faults(&["exempt-everything"]);
    exempt(&format!("{scope}until = 2020-01-31\n{owner}")).warns(&["exempt-expired"]);
    exempt(&format!("{scope}{until}{owner}")).is_sound();
    // Two that overlap are no fault: the record names the one that counted.
    exempt(&format!("{scope}{until}{owner}[[exempt]]\nreason = \"INC-2\"\n{scope}{until}{owner}")).is_sound();
}

#[test]
fn a410_what_gates_nothing_is_told_of() {
    let of = |policy: &str| Files::policy(policy);
    of(&format!("{AUTHORITY}{POLICY}mode = \"warn\"\n{REQUIRE}")).warns(&["nothing-enforced"]);
    of(&format!("{POLICY}insecure_permit_anything = true\n"))
        .warns(&["insecure-permit-anything", "nothing-enforced"]);
    of(&format!("{AUTHORITY}{POLICY}on_undecided = \"insecure_permit\"\n{REQUIRE}"))
        .warns(&["on-undecided-insecure"]);
    of(&format!("{AUTHORITY}{POLICY}mode = \"enforce\"\n{REQUIRE}")).is_sound();
}

#[test]
fn a413_one_address_for_both_ports_is_a_fault() {
    for addresses in [
        "[listen]\naddress = \"127.0.0.1:5000\"\n[admin]\naddress = \"127.0.0.1:5000\"\n",
        "[listen]\naddress = \"0.0.0.0:5000\"\n[admin]\naddress = \"127.0.0.1:5000\"\n",
        "[listen]\naddress = \"127.0.0.1:5000\"\n[admin]\naddress = \"[::]:5000\"\n",
    ] {
        let config = CONFIG.replace("[upstream", &format!("{addresses}[upstream"));
        Files::config(&config).faults(&["address-same"]);
    }
    // Health and metrics may be reached from anywhere; there are no pages yet that could be exposed.
    let apart = "[listen]\naddress = \"0.0.0.0:5000\"\n[admin]\naddress = \"0.0.0.0:5001\"\n";
    Files::config(&CONFIG.replace("[upstream", &format!("{apart}[upstream"))).is_sound();
}

#[test]
fn a415_secrets_stand_in_files_that_others_cannot_read() {
    let with = |lines: &str| Files::config(&format!("{CONFIG}{lines}\n"));
    for inline in [
        "credentials = { username = \"u\", password = \"canary\" }",
        "credentials = { token = \"canary\" }",
        "url = \"https://user:canary@ghcr.io\"",
    ] {
        let checked = with(inline).faults(&["secret-inline"]);
        assert!(!checked.text.contains("canary"), "{}", checked.text);
    }
    let files = with("credentials = { username = \"u\", password_file = \"password\" }");
    files.write("password", "canary\n");
    let mode =
        |mode| fs::set_permissions(files.path().join("password"), fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    files.warns(&["secret-permissions"]);
    mode(0o600);
    files.is_sound();
}

#[test]
fn a416_values_that_cannot_be_meant_are_faults() {
    let cache =
        |line: &str| Files::config(&CONFIG.replace("[upstream", &format!("[cache]\n{line}\n[upstream")));
    for (line, code) in [
        ("permit_ttl = \"10y\"", "duration-invalid"),
        ("permit_ttl = \"25h\"", "limit-exceeded"),
        ("permit_ttl = \"0s\"", "duration-invalid"),
        ("permit_ttl = \"-1h\"", "duration-invalid"),
        ("permit_ttl = \"60\"", "duration-invalid"),
        ("permit_ttl = 60", "wrong-type"),
        ("deny_ttl = \"31s\"", "limit-exceeded"),
        ("tag_ttl = \"2h\"", "limit-exceeded"),
        ("blobs_max = \"20GB\"", "size-invalid"),
    ] {
        cache(line).faults(&[code]);
    }
    cache("permit_ttl = \"24h\"").is_sound();
    let age = |age: &str| Files::policy(&format!("{AUTHORITY}{POLICY}{REQUIRE}max_age = \"{age}\"\n"));
    age("0s").faults(&["duration-invalid"]);
    age("90d").is_sound();
    let excluded = AUTHORITY.to_owned() + "use = [\"attestation\"]\n";
    Files::policy(&format!("{excluded}{POLICY}{REQUIRE}")).faults(&["authority-unusable"]);
}

#[test]
fn a419_without_a_configuration_check_says_that_nothing_is_enforced() {
    let check = |more: &[&str]| run(Command::new(tool::gate().unwrap()).arg("check").args(more));
    let plain = check(&[]);
    assert_eq!(plain.status, 0);
    assert!(plain.text.contains("nothing is refused"), "{}", plain.text);
    let listed = check(&["--format", "json"]);
    assert_eq!(listed.status, 0);
    assert!(listed.text.contains("\"nothing-enforced\""), "{}", listed.text);
    assert_eq!(check(&["--strict"]).status, 2);
}

#[test]
fn all_faults_of_both_files_come_at_once() {
    let files = Files::new().with(
        "policy = \"policy.toml\"\nstate = \"state\"\nseal_key_file = \"seal.key\"\n[listen]\nadress = \"x\"\n[cache]\npermit_ttl = \"2d\"\n[upstream.\"ghcr.io\"]\nurl = \"ftp://x\"\n",
        &format!("{AUTHORITY}uses = 1\n{POLICY}mode = \"off\"\n[[policy.require]]\nsigned_by = {{ any_of = [\"nobody\"] }}\n[[exempt]]\nreason = \"x\"\nscope = [\"ghcr.io/a/b\"]\n"),
    );
    files.faults(&[
        "authority-unknown",
        "exempt-no-end",
        "exempt-no-owner",
        "limit-exceeded",
        "unknown-key",
        "url-invalid",
        "value-invalid",
    ]);
}

#[test]
fn check_against_answers_for_every_spelling_of_an_image_without_a_network() {
    let config = "policy = \"policy.toml\"\nstate = \"state\"\nseal_key_file = \"seal.key\"\n[upstream.\"docker.io\"]\n[upstream.\"ghcr.io\"]\n";
    let policy = format!(
        "unmatched = \"warn\"\n{AUTHORITY}[[policy]]\nname = \"hub\"\nscope = [\"docker.io/library/*\"]\n{REQUIRE}"
    );
    let files = Files::new().with(config, &policy);
    let images =
        ["alpine", "docker.io/alpine:3", "index.docker.io/library/alpine", "ghcr.io/x/y", "quay.io/x/y"];
    let checked = files.check(&[&["--against"][..], &images].concat());
    let report: Value = serde_json::from_str(&checked.text).unwrap();
    for (at, image) in images.iter().enumerate().take(3) {
        assert_eq!(report["against"][at]["repository"], "docker.io/library/alpine", "{image}");
        assert_eq!(report["against"][at]["scope"], "docker.io/library/*");
        assert!(
            report["against"][at]["requirements"][0].as_str().unwrap().starts_with("policy.toml:7"),
            "{report}"
        );
    }
    let aliased = config.replace("[upstream.\"ghcr.io\"]", "aliases = [\"mirror.corp.example:5000\"]");
    let aliased = Files::new().with(&aliased, &policy);
    let by_alias = aliased.check(&["--against", "mirror.corp.example:5000/library/alpine:3"]);
    let by_alias: Value = serde_json::from_str(&by_alias.text).unwrap();
    assert_eq!(by_alias["against"][0]["repository"], "docker.io/library/alpine");
    assert_eq!(by_alias["against"][0]["policy"], "hub");
    assert_eq!(report["against"][3]["policy"], Value::Null);
    assert!(report["against"][4]["requirements"].to_string().contains("refused: there is no"), "{report}");
}
