//! The rendering of each diagnostic: at least one case for every code, as a snapshot.
#![expect(clippy::unwrap_used, reason = "a helper of a test may fail as the test itself may")]

use std::collections::BTreeSet;
use std::path::Path;

use pullgate_config::{Code, Diagnostics, Loaded, Memory, Severity, Style, load_with};

#[macro_use]
#[path = "diagnostics/case.rs"]
mod case;
#[path = "diagnostics/cases.rs"]
mod cases;
#[path = "diagnostics/notation.rs"]
mod notation;
#[path = "diagnostics/words.rs"]
mod words;

use case::{Case, Part};
use cases::CASES;
use notation::{NOTATION, STALE};
use words::WORDS;

const CONFIG: &str = "policy = \"policy.toml\"\nstate = \"state\"\nseal_key_file = \"seal.key\"\n";
const UPSTREAM: &str = "[upstream.\"ghcr.io\"]\n";
const KEY: &str = "[authority.release]\nkey = \"release.pub\"\ntransparency = \"optional\"\n";
const POLICY: &str = "[[policy]]\nname = \"production\"\nscope = [\"ghcr.io/myorg/**\"]\n";
const REQUIRE: &str = "[[policy.require]]\nsigned_by = { any_of = [\"release\"] }\n";

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/live").join(name)).unwrap()
}

/// A sound pair of files with the case's text in its place.
fn files(part: &Part) -> Memory {
    let (config, policy) = match part {
        Part::Config(top, text) => {
            (format!("{top}{CONFIG}{text}{UPSTREAM}"), format!("{KEY}{POLICY}{REQUIRE}"))
        }
        Part::Upstream(text) => (format!("{CONFIG}{UPSTREAM}{text}"), format!("{KEY}{POLICY}{REQUIRE}")),
        Part::Whole(config) => ((*config).to_owned(), format!("{KEY}{POLICY}{REQUIRE}")),
        Part::Authority(text) => (format!("{CONFIG}{UPSTREAM}"), format!("{KEY}{text}{POLICY}{REQUIRE}")),
        Part::InPolicy(text) => (format!("{CONFIG}{UPSTREAM}"), format!("{KEY}{POLICY}{text}{REQUIRE}")),
        Part::Require(text) => {
            (format!("{CONFIG}{UPSTREAM}"), format!("{KEY}{POLICY}[[policy.require]]\n{text}"))
        }
        Part::After(text) => (format!("{CONFIG}{UPSTREAM}"), format!("{KEY}{POLICY}{REQUIRE}{text}")),
        Part::Policy(text) => (format!("{CONFIG}{UPSTREAM}"), format!("{KEY}{text}")),
    };
    Memory::default()
        .with("pullgate.toml", config)
        .with("policy.toml", policy)
        .with("release.pub", fixture("keys/release.pub"))
        .with("second.pub", fixture("keys/second.pub"))
        .with("two.pub", [fixture("keys/release.pub"), fixture("keys/second.pub")].concat())
        .with(
            "several.toml",
            format!("[authority.both]\nkey = \"two.pub\"\n{KEY}{POLICY}{REQUIRE}")
                .replace("release.pub", "third.pub"),
        )
        .with("third.pub", fixture("keys/p384.pub"))
        .with("empty.pub", "")
        .with("users", "ci:$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy\n")
        .with("users-oidc", "oidc:ci:x:$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy\n")
        .with("keys.json", KEYS)
        .with("shared-keys.json", "{ \"keys\": [{ \"kty\": \"oct\", \"k\": \"AAAA\" }] }")
        .with("users-sha1", "# everybody\nci:{SHA}c2VjcmV0\nci\n")
        .with("garbage.pub", "not a key\n")
        .with("private.pub", "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n")
        .with("certificate.pub", fixture("keys/notation-corp-ca.crt"))
        .with("stale.crl", STALE)
        .with("other.pub", "-----BEGIN DSA PUBLIC KEY-----\nAAAA\n-----END DSA PUBLIC KEY-----\n")
        .with("root.json", fixture("roots/trusted_root.json"))
        .with("tuf-root.json", include_bytes!("../../policy/verify/roots/github/root.json"))
        .with("no-tlog.json", fixture("roots/no-tlog.json"))
        .with("no-ctlog.json", fixture("roots/no-ctlog.json"))
        .with("spoilt.json", spoilt())
        .with("garbage.json", "{}")
        .with("password", "hunter2\n")
        .with("other-login.json", "{ \"auths\": { \"other.example\": { \"auth\": \"YTpi\" } } }")
        .with("helper.json", "{ \"credHelpers\": { \"ghcr.io\": \"../bin/evil\" } }")
        .with_open("open-password", "hunter2\n")
}

/// A trusted root whose first certificate log has a key without a beginning.
fn spoilt() -> String {
    let root = String::from_utf8(fixture("roots/trusted_root.json")).unwrap();
    let (before, behind) = root.split_once("\"ctlogs\"").unwrap();
    format!("{before}\"ctlogs\"{}", behind.replacen("\"start\"", "\"begin\"", 1))
}

/// RFC 8037, appendix A.2.
const KEYS: &str =
    r#"{ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] }"#;

fn run(part: &Part) -> Result<Loaded, Diagnostics> {
    load_with(&files(part), Path::new("pullgate.toml"), "2026-11-25T00:00:00Z".parse().unwrap())
}

fn found(part: &Part) -> Diagnostics {
    match run(part) {
        Ok(loaded) => loaded.warnings,
        Err(faults) => faults,
    }
}

#[test]
fn the_pair_that_the_cases_change_is_sound() {
    let loaded = run(&Part::After("")).unwrap_or_else(|faults| panic!("{faults}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
}

#[test]
fn a618_a_seal_key_outside_of_state_is_no_reason_for_a_warning() {
    for (key, warnings) in [
        ("seal.key", 0),
        ("state-key/seal.key", 0),
        ("state/../seal.key", 0),
        ("/etc/pullgate/seal.key", 0),
        ("../seal.key", 0),
        ("state/seal.key", 1),
        ("./state/../state/seal.key", 1),
    ] {
        let whole =
            format!("policy = \"policy.toml\"\nstate = \"state\"\nseal_key_file = \"{key}\"\n{UPSTREAM}");
        let files = files(&Part::After("")).with("pullgate.toml", whole);
        let loaded = load_with(&files, Path::new("pullgate.toml"), "2026-11-25T00:00:00Z".parse().unwrap());
        assert_eq!(loaded.unwrap().warnings.len(), warnings, "{key}");
    }
}

#[test]
fn each_case_is_found_for_what_it_is_and_nothing_else() {
    for Case { code, part } in CASES.iter().chain(NOTATION).chain(WORDS) {
        let found = found(part);
        let codes: BTreeSet<Code> = found.iter().map(|one| one.code).collect();
        assert_eq!(codes, BTreeSet::from([*code]), "{part:?}\n{found}");
    }
}

#[test]
fn a_fault_refuses_the_file_and_a_warning_does_not() {
    for Case { code, part } in CASES.iter().chain(NOTATION).chain(WORDS) {
        assert_eq!(run(part).is_err(), code.severity() == Severity::Error, "{part:?}");
    }
}

#[test]
fn each_code_is_shown_with_its_place_and_what_to_do() {
    let covered: BTreeSet<Code> = CASES.iter().chain(NOTATION).chain(WORDS).map(|case| case.code).collect();
    let all: BTreeSet<Code> = Code::ALL.iter().copied().collect();
    assert_eq!(covered, all, "a code without a case");
    for code in all {
        let own = CASES.iter().chain(NOTATION).chain(WORDS).filter(|case| case.code == code);
        let shown: Vec<String> = own.map(|case| found(&case.part).render(Style::Plain)).collect();
        insta::assert_snapshot!(code.as_str(), shown.join("\n\n"));
    }
}

#[test]
fn a401_all_faults_of_both_files_come_at_once_in_their_order() {
    let part = Part::Config("polcy = 1\n", "[listen]\naddress = \"here\"\n[cache]\ntag_ttl = \"2h\"\n");
    let files = files(&part).with(
        "policy.toml",
        "unmatched = \"no\"\n[authority.a]\nkey = \"none\"\n[[policy]]\nnam = \"x\"\n[[block]]\n",
    );
    let faults =
        load_with(&files, Path::new("pullgate.toml"), "2026-11-25T00:00:00Z".parse().unwrap()).unwrap_err();
    let codes: Vec<&str> = faults.iter().map(|one| one.code.as_str()).collect();
    assert_eq!(
        codes,
        [
            "value-invalid",
            "key-unreadable",
            "missing-key",
            "missing-key",
            "requirement-empty",
            "unknown-key",
            "missing-key",
            "missing-key",
            "unknown-key",
            "value-invalid",
            "limit-exceeded",
        ],
        "{faults}"
    );
}

#[test]
fn a415_no_secret_is_shown_in_any_form() {
    let whole = format!(
        "{CONFIG}[upstream.\"ghcr.io\"]\ncredentials = {{ password = \"hunter2\", usrname = \"me\" }}\n[upstream.\"quay.io\"]\nurl = \"https://me:hunter2@quay.io\"\n[upstream.\"gcr.io\".credentials]\npassword = hunter2\n"
    );
    for text in [whole.as_str(), "password = \"hunter2\" x\n"] {
        let files = Memory::default().with("pullgate.toml", text).with("policy.toml", "");
        let faults = load_with(&files, Path::new("pullgate.toml"), "2026-11-25T00:00:00Z".parse().unwrap())
            .unwrap_err();
        let shown = [
            faults.render(Style::Plain),
            faults.to_json().to_string(),
            format!("{faults:?}"),
            faults.summary(),
        ];
        for shown in shown {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}

#[test]
fn a_diagnostic_as_json_has_the_documented_members() {
    let json = found(&Part::Upstream("[upstream.\"ghcr.io\".credentials]\ntoken = \"x\"\n")).to_json();
    insta::assert_snapshot!("json", serde_json::to_string_pretty(&json).unwrap());
}

#[test]
fn colours_are_for_terminals_only() {
    let found = found(&Part::After("surprise = 1\n"));
    assert!(found.render(Style::Colour).contains('\u{1b}'));
    assert!(!found.render(Style::Plain).contains('\u{1b}'));
}

#[test]
fn a_missing_configuration_is_said_with_its_name() {
    let faults =
        load_with(&Memory::default(), Path::new("etc/none.toml"), "2026-11-25T00:00:00Z".parse().unwrap())
            .unwrap_err();
    assert_eq!(
        faults.summary(),
        "etc/none.toml:1:1: file-unreadable: the configuration cannot be read: there is no such file"
    );
}

#[test]
fn rules_that_tell_the_clients_of_a_public_issuer_apart_are_no_reason_for_a_warning() {
    let clients = |who: &str| {
        let issuer = "https://token.actions.githubusercontent.com";
        let allow = format!("allow = [{{ who = [\"{who}\"], read = [\"**\"] }}]");
        let text = format!(
            "policy = \"policy.toml\"\nstate = \"state\"\nseal_key_file = \"seal.key\"\n[clients]\noidc = [{{ issuer = \"{issuer}\", audience = \"a\", name = \"gh\" }}]\n{allow}\n[upstream.\"ghcr.io\"]\n"
        );
        let files = files(&Part::After("")).with("pullgate.toml", text);
        let now = "2026-11-25T00:00:00Z".parse().unwrap();
        load_with(&files, Path::new("pullgate.toml"), now).unwrap().warnings
    };
    for who in ["oidc:gh:repo:myorg/*", "oidc:gh:repo:myorg/app:ref:refs/heads/main", "oidc:other:*", "ci"] {
        assert!(clients(who).is_empty(), "{who}: {}", clients(who));
    }
    for who in ["oidc:gh:*", "oidc:*", "*", "oidc:gh:repo:*", "oidc:gh:*:ref:refs/heads/*"] {
        assert_eq!(clients(who).iter().next().unwrap().code, Code::ClientsAnybody, "{who}");
    }
}
