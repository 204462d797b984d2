//! The files that people start from load without a fault, and so does the policy that `policy/README.md` explains.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test may fail as the test itself may")]

use std::path::{Path, PathBuf};

use pullgate_config::{Code, Loaded, Memory, Style, load, load_policy, load_policy_with, load_with};
use pullgate_policy::identity::Name;
use pullgate_policy::oci::Repository;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

fn example(name: &str) -> Loaded {
    let path = folder().join(name).join("pullgate.toml");
    match load(&path, "2026-11-25T00:00:00Z".parse().unwrap()) {
        Ok(loaded) => loaded,
        Err(faults) => panic!("{name}\n{}", faults.render(Style::Plain)),
    }
}

#[test]
fn every_example_loads_and_warns_of_nothing_but_its_purpose() {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["air-gapped", "keyed", "keyless-github", "minimal", "notation", "warn-first"]);
    for name in names {
        let loaded = example(&name);
        let warned: Vec<Code> = loaded.warnings.iter().map(|one| one.code).collect();
        let expected = if name == "warn-first" { vec![Code::NothingEnforced] } else { vec![] };
        assert_eq!(warned, expected, "{name}\n{}", loaded.warnings.render(Style::Plain));
    }
}

#[test]
fn the_example_for_github_pins_workflow_branch_and_provenance() {
    let loaded = example("keyless-github");
    let repository: Repository = "ghcr.io/myorg/myrepo".parse().unwrap();
    let lines = pullgate_config::against(&loaded.config, &repository, None, jiff::Timestamp::UNIX_EPOCH);
    assert_eq!(lines.policy.unwrap(), ("production".to_owned(), "ghcr.io/myorg/myrepo".to_owned()));
    assert_eq!(
        lines.requirements,
        [
            "policy.toml:15: signature by \"ci\"",
            "policy.toml:19: attestation https://slsa.dev/provenance/v0.2 or https://slsa.dev/provenance/v1 by \"ci\", slsa level 2, source https://github.com/myorg/myrepo, ref refs/heads/main, builder github",
        ]
    );
    assert!(loaded.config.policy.set.authorities.contains_key(&Name::new("ci")));
}

/// The examples of the page, one after another.
fn policy_page() -> String {
    let page = std::fs::read_to_string(folder().join("../../policy/README.md")).unwrap();
    let blocks = page.split("```toml\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap()).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_examples_of_the_policy_page_are_one_policy() {
    let root = std::fs::read(folder().join("air-gapped/corp/trusted_root.json")).unwrap();
    let key = |name: &str| std::fs::read(folder().join("keyed/keys").join(name)).unwrap();
    let of_notation = |name: &str| std::fs::read(folder().join("notation/corp").join(name)).unwrap();
    let upstreams = ["docker.io", "ghcr.io", "registry.corp.example"];
    let tables: String = upstreams.iter().map(|name| format!("[upstream.\"{name}\"]\n")).collect();
    let files = Memory::default()
        .with(
            "pullgate.toml",
            format!("policy = \"policy.toml\"\nstate = \"state\"\nseal_key_file = \"seal.key\"\n{tables}"),
        )
        .with("policy.toml", policy_page())
        .with("corp/trusted_root.json", root)
        .with("corp/roots.pem", include_bytes!("../../tests/fixtures/live/keys/notation-corp-ca.crt"))
        .with("acme/root.pem", of_notation("root.pem"))
        .with("acme/issuing.crl", of_notation("root.crl"))
        .with("tsa/root.pem", of_notation("tsa-root.pem"))
        .with("keys/release.pub", key("release.pub"))
        .with("keys/backup.pub", key("backup.pub"));
    let loaded = load_with(&files, Path::new("pullgate.toml"), "2026-11-25T00:00:00Z".parse().unwrap());
    let loaded = loaded.unwrap_or_else(|faults| panic!("{}", faults.render(Style::Plain)));
    let warned: Vec<Code> = loaded.warnings.iter().map(|one| one.code).collect();
    assert_eq!(warned, [Code::InsecurePermitAnything], "{}", loaded.warnings.render(Style::Plain));
    assert_eq!(loaded.config.policy.set.policies.len(), 5);
    let repository: Repository = "ghcr.io/myorg/myrepo".parse().unwrap();
    let lines = pullgate_config::against(&loaded.config, &repository, None, jiff::Timestamp::UNIX_EPOCH);
    assert_eq!(lines.policy.unwrap().0, "myrepo", "the most specific scope governs");
}

#[test]
fn a_policy_is_read_without_a_configuration_and_is_the_same() {
    let now = "2026-11-25T00:00:00Z".parse().unwrap();
    for name in ["air-gapped", "keyed", "keyless-github", "minimal", "notation", "warn-first"] {
        let with = example(name).config.policy;
        let alone = load_policy(with.file.as_deref().unwrap(), now).unwrap().policies;
        assert_eq!(alone.set.revisions, with.set.revisions, "{name}");
        assert_eq!(alone.set.policies.len(), with.set.policies.len(), "{name}");
    }
}

#[test]
fn a_policy_without_a_configuration_has_its_own_faults_and_no_other() {
    let now = "2026-11-25T00:00:00Z".parse().unwrap();
    let read = |text: &str| {
        load_policy_with(&Memory::default().with("policy.toml", text), Path::new("policy.toml"), now)
    };
    let policy = "[[policy]]\nname = \"a\"\nscope = [\"registry.example/**\"]\n";
    let faults = read(policy).unwrap_err();
    assert!(faults.iter().all(|one| one.code != Code::ScopeUnreachable && one.code != Code::FileUnreadable));
    let anything = format!("{policy}mode = \"warn\"\ninsecure_permit_anything = true\n");
    let warned: Vec<_> = read(&anything).unwrap().warnings.iter().map(|one| one.code).collect();
    assert!(!warned.contains(&Code::ScopeUnreachable), "nobody says which upstreams there are: {warned:?}");
    let missing = load_policy_with(&Memory::default(), Path::new("none.toml"), now).unwrap_err();
    assert_eq!(missing.iter().map(|one| one.code).collect::<Vec<_>>(), [Code::FileUnreadable]);
}
