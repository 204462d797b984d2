//! Written values arrive, each file is read once, and the revisions change with their content.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test may fail as the test itself may")]

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pullgate_config::{
    AuditLog, Config, Content, Credentials, DeniedHeadStatus, IssuerKeys, Memory, OnFailure, Source, Style,
    TrustOrigin, Unreadable, against, load_with,
};
use pullgate_policy::identity::{By, IdentityPattern, Name, Transparency, Uses};
use pullgate_policy::oci::{Digest, Registry};
use pullgate_policy::policy::{
    Asks, Covers, EvidencePasses, ForeignLayers, Mode, OnUndecided, Rule, Unmatched,
};
use pullgate_verify::Sct;

const CONFIG: &str = r#"policy = "policies/policy.toml"
state = "/var/lib/pullgate"
seal_key_file = "seal.key"
admin.address = "0.0.0.0:6001"
[listen]
address = "[::1]:6000"
default_registry = "docker.io"
denied_head_status = 300
trusted_proxies = ["10.0.0.0/8", "::1"]
[cache]
blobs_max = "512MiB"
tag_ttl = "0s"
permit_ttl = "24h"
deny_ttl = "10s"
[audit]
log = "audit.jsonl"
retain = "7d"
retain_max = "16MiB"
on_failure = "refuse"
gate = "gate-1"
key_file = "log.key"
[upstream."docker.io"]
[upstream."ghcr.io"]
credentials = { docker_config = "docker-config.json" }
[upstream."registry.corp.example"]
urls = ["https://10.1.2.3:5000/", "https://LOCAL.example"]
aliases = ["Registry.corp.example_5000"]
ca = "ca.pem"
prefix = "hub-proxy/cache"
redirect_hosts = ["cdn.corp.example", "http://minio.lan:9000"]
token_hosts = ["auth.corp.example"]
evidence = "registry.corp.example/signatures"
credentials = { username = "me", password_file = "password" }
logins = [{ prefix = "team-a", username = "a", password_file = "password" }, { prefix = "team-b/app", docker_config = "docker-config.json" }]
"#;

const POLICY: &str = r#"
unmatched = "permit"

[authority.release]
key = "release.pub"
transparency = "optional"
use = ["signature"]

[authority.hub]
trust = "github"
issuer = "https://issuer.example"
identity = "someone@corp.example"
claims = { runner_environment = "self-hosted" }

[[policy]]
name = "production"
scope = ["ghcr.io/myorg/**", "docker.io/myorg/*"]
mode = "warn"
on_undecided = { last_permit = "24h" }
foreign_layers = "permit"
evidence = "well-formed"

[[policy.require]]
signed_by = { any_of = ["release", "hub"], threshold = 2 }
annotations = { env = "prod" }

[[policy.require]]
attestation = "https://example.com/review/v1"
signed_by = { any_of = ["hub"] }
max_age = "90d"

[[policy]]
name = "open"
scope = ["ghcr.io/myorg/dev/**"]
insecure_permit_anything = true

[[exempt]]
scope = ["docker.io/myorg/old"]
until = 2027-01-31
owner = "platform@corp.example"
reason = "INC-1"
"#;

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/live").join(name)).unwrap()
}

fn files() -> Memory {
    Memory::default()
        .with("/etc/pullgate/pullgate.toml", CONFIG)
        .with("/etc/pullgate/policies/policy.toml", POLICY)
        .with("/etc/pullgate/policies/release.pub", fixture("keys/release.pub"))
        .with("/etc/pullgate/docker-config.json", "{}")
        .with("/etc/pullgate/password", "hunter2\r\n")
        .with("/etc/pullgate/ca.pem", fixture("keys/notation-corp-ca.crt"))
}

fn loaded(source: &dyn Source) -> Config {
    let now = "2026-11-25T00:00:00Z".parse().unwrap();
    match load_with(source, Path::new("/etc/pullgate/pullgate.toml"), now) {
        Ok(loaded) => loaded.config,
        Err(faults) => panic!("{}", faults.render(Style::Plain)),
    }
}

#[test]
fn what_the_configuration_says_arrives() {
    let config = loaded(&files());
    let listen = &config.listen;
    assert_eq!([listen.address, config.admin.address].map(|one| one.port()), [6000, 6001]);
    assert_eq!(listen.default_registry, Some(Registry::docker_hub()));
    assert_eq!(listen.trusted_proxies, ["10.0.0.0/8", "::1/128"].map(|net| net.parse().unwrap()));
    assert_eq!(listen.denied_head_status, DeniedHeadStatus::MultipleChoices);
    let files = [Some(&config.state), config.seal_key_file.as_ref(), config.audit.key_file.as_ref()];
    let paths = ["/var/lib/pullgate", "/etc/pullgate/seal.key", "/etc/pullgate/log.key"].map(PathBuf::from);
    assert_eq!(files, paths.each_ref().map(Some));
    let (seconds, cache) = (Duration::from_secs, &config.cache);
    assert_eq!([cache.tag_ttl, cache.permit_ttl, cache.deny_ttl], [0, 86_400, 10].map(seconds));
    let audit = &config.audit;
    assert_eq!((cache.blobs_max, audit.retain_max), (512 << 20, Some(16 << 20)));
    assert_eq!(audit.log, AuditLog::File(PathBuf::from("/etc/pullgate/audit.jsonl")));
    assert_eq!((audit.retain, audit.on_failure), (seconds(7 * 86_400), OnFailure::Refuse));
    assert_eq!(audit.gate.as_deref(), Some("gate-1"));
}

#[test]
fn what_it_says_of_upstreams_arrives() {
    let config = loaded(&files());
    let upstream = |name: &str| config.upstreams.get(&name.parse().unwrap()).unwrap();
    assert_eq!(upstream("docker.io").urls, ["https://registry-1.docker.io"]);
    assert!(matches!(upstream("docker.io").credentials, Credentials::Anonymous));
    assert_eq!(upstream("ghcr.io").urls, ["https://ghcr.io"]);
    assert!(
        matches!(&upstream("ghcr.io").credentials, Credentials::DockerConfig { text } if text.reveal() == "{}")
    );
    let corp = upstream("registry.corp.example");
    assert_eq!(corp.urls, ["https://10.1.2.3:5000", "https://local.example"]);
    assert_eq!(corp.aliases, ["registry.corp.example_5000"]);
    assert_eq!(corp.ca_pem, Some(fixture("keys/notation-corp-ca.crt")));
    assert_eq!(corp.redirect_hosts, ["cdn.corp.example", "http://minio.lan:9000"]);
    assert_eq!(corp.token_hosts, ["auth.corp.example"]);
    assert_eq!(corp.prefix.as_deref(), Some("hub-proxy/cache"));
    assert_eq!(corp.evidence.as_ref().unwrap().to_string(), "registry.corp.example/signatures");
    let Credentials::Basic { username, password } = &corp.credentials else {
        panic!("{:?}", corp.credentials)
    };
    assert_eq!((username.as_str(), password.reveal()), ("me", "hunter2"));
    let prefixes: Vec<_> = corp.logins.keys().map(String::as_str).collect();
    assert_eq!(prefixes, ["team-a", "team-b/app"]);
    assert!(matches!(&corp.logins["team-a"], Credentials::Basic { username, .. } if username == "a"));
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn what_it_says_of_issuers_arrives() {
    let clients = r#"[clients]
oidc = [
    { issuer = "https://Token.example:8443/a/", audience = "gate" },
    { issuer = "http://127.0.0.1:9000", audience = "gate", name = "local", claim = "email", ca = "ca.pem" },
    { issuer = "http://cluster.local", audience = "gate", jwks = "keys.json" },
]
"#;
    let key = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    let files = files()
        .with("/etc/pullgate/pullgate.toml", format!("{CONFIG}{clients}"))
        .with("/etc/pullgate/keys.json", key);
    let issuers = loaded(&files).clients.unwrap().issuers;
    let said: Vec<_> = issuers
        .iter()
        .map(|one| (one.name.as_str(), one.issuer.as_str(), one.audience.as_str(), one.claim.as_str()))
        .collect();
    assert_eq!(
        said,
        [
            ("token.example", "https://Token.example:8443/a/", "gate", "sub"),
            ("local", "http://127.0.0.1:9000", "gate", "email"),
            ("cluster.local", "http://cluster.local", "gate", "sub"),
        ]
    );
    assert_eq!(issuers[0].keys, IssuerKeys::Discovered { ca_pem: None });
    let ca_pem = Some(fixture("keys/notation-corp-ca.crt"));
    assert_eq!(issuers[1].keys, IssuerKeys::Discovered { ca_pem });
    assert!(matches!(&issuers[2].keys, IssuerKeys::Pinned(keys) if !keys.is_empty()));
}

#[test]
fn what_the_policy_says_arrives() {
    let set = loaded(&files()).policy.set;
    assert_eq!((set.unmatched, set.permit_ttl), (Unmatched::Permit, Duration::from_secs(86_400)));
    let release = set.authorities.get(&Name::new("release")).unwrap();
    assert_eq!((release.uses, release.transparency), (Uses::Signatures, Transparency::Optional));
    assert!(matches!(&release.by, By::Keys(keys) if keys.len() == 1));
    let hub = set.authorities.get(&Name::new("hub")).unwrap();
    let By::Identity { issuer, pattern, claims } = &hub.by else { panic!("{hub:?}") };
    assert_eq!(issuer.as_str(), "https://issuer.example");
    assert!(matches!(pattern, IdentityPattern::Exact(text) if text == "someone@corp.example"));
    assert_eq!(claims.get("runner_environment").unwrap(), "self-hosted");
    let [production, open] = set.policies.as_slice() else { panic!("{:?}", set.policies) };
    assert_eq!(production.location.to_string(), "policy.toml:15");
    assert_eq!((production.mode, production.foreign_layers), (Mode::Warn, ForeignLayers::Permit));
    assert_eq!((production.evidence, open.evidence), (EvidencePasses::WellFormed, EvidencePasses::Verified));
    assert_eq!(production.on_undecided, OnUndecided::LastPermit(Duration::from_secs(86_400)));
    assert!(matches!(open.rule, Rule::InsecurePermitAnything));
    let Rule::Requirements(requirements) = &production.rule else { panic!("{production:?}") };
    let [signature, review] = requirements.as_slice() else { panic!("{requirements:?}") };
    assert_eq!((&signature.asks, signature.threshold), (&Asks::Signature, 2));
    assert_eq!(signature.annotations.get("env").unwrap(), "prod");
    assert!(matches!(&review.asks, Asks::Attestation(types) if types[0].is("https://example.com/review/v1")));
    assert_eq!(review.max_age, Some(Duration::from_secs(90 * 86_400)));
    let [exemption] = set.exemptions.as_slice() else { panic!("{:?}", set.exemptions) };
    assert_eq!(exemption.until.to_string(), "2027-02-01T00:00:00Z");
    assert!(matches!(&exemption.covers, Covers::Scopes(scopes) if scopes.len() == 1));
}

#[test]
fn the_built_in_github_has_no_log_and_one_that_is_redefined_says_so_itself() {
    let hub =
        |files: &Memory| loaded(files).policy.set.authorities.get(&Name::new("hub")).unwrap().transparency;
    assert_eq!(hub(&files()), Transparency::None);
    let policy = format!("{POLICY}\n[trust.github]\ntrusted_root = \"root.json\"\n");
    let redefined = files()
        .with("/etc/pullgate/policies/policy.toml", policy)
        .with("/etc/pullgate/policies/root.json", fixture("roots/trusted_root.json"));
    assert_eq!(hub(&redefined), Transparency::Required);
}

#[test]
fn revisions_tell_policy_trust_and_everything_else_apart() {
    let of = |files: &Memory| {
        let config = loaded(files);
        let revisions = config.policy.set.revisions;
        (revisions.policy, revisions.trust, config.fingerprint)
    };
    let (policy, trust, all) = of(&files());
    assert_eq!((policy, trust, all), of(&files()));
    let changed = of(&files().with("/etc/pullgate/pullgate.toml", format!("{CONFIG}\n# a comment\n")));
    assert!(changed.0 == policy && changed.1 == trust && changed.2 != all);
    let changed = of(&files().with("/etc/pullgate/policies/policy.toml", format!("{POLICY}\n# a comment\n")));
    assert!(changed.0 != policy && changed.1 == trust && changed.2 != all);
    let changed = of(&files().with("/etc/pullgate/policies/release.pub", fixture("keys/second.pub")));
    assert!(changed.0 != policy && changed.1 == trust && changed.2 != all);
    let root = |name: &str| {
        let policy = format!("{POLICY}\n[trust.corp]\ntrusted_root = \"root.json\"\n");
        of(&files()
            .with("/etc/pullgate/policies/policy.toml", policy)
            .with("/etc/pullgate/policies/root.json", fixture(name)))
    };
    let (one, other) = (root("roots/trusted_root.json"), root("roots/no-tsa.json"));
    assert!(one.0 == other.0 && one.1 != other.1 && one.2 != other.2);
}

#[test]
fn where_each_trust_table_comes_from_is_told() {
    let written = format!(
        "{POLICY}\n[trust.corp]\ntuf = {{ url = \"https://TUF.corp:8443/a/b/\", root = \"tuf-root.json\", target = \"x\" }}\n\
         [trust.folder]\ntuf = {{ url = \"file:///tuf\", root = \"tuf-root.json\" }}\nmax_age = \"30d\"\n\
         [trust.pinned]\ntrusted_root = \"root.json\"\nsct = \"none\"\n\
         [trust.github]\ntuf = {{ url = \"http://127.0.0.1:1\" }}\n\
         [trust.sigstore]\nmax_age = \"14d\"\n"
    );
    let policies = loaded(
        &files()
            .with("/etc/pullgate/policies/policy.toml", written)
            .with("/etc/pullgate/policies/root.json", fixture("roots/trusted_root.json"))
            .with(
                "/etc/pullgate/policies/tuf-root.json",
                include_bytes!("../../policy/verify/roots/github/root.json"),
            ),
    )
    .policy;
    let day = 86_400;
    let pinned = TrustOrigin::File("/etc/pullgate/policies/root.json".into());
    for (name, origin, location, max_age, sct) in [
        ("corp", TrustOrigin::Tuf, Some("https://tuf.corp:8443/a/b x"), Some(7 * day), Sct::Required),
        ("folder", TrustOrigin::Tuf, Some("file:///tuf trusted_root.json"), Some(30 * day), Sct::Required),
        ("github", TrustOrigin::BuiltIn, Some("http://127.0.0.1:1 trusted_root.json"), None, Sct::None),
        ("pinned", pinned, None, None, Sct::None),
        (
            "sigstore",
            TrustOrigin::BuiltIn,
            Some("https://tuf-repo-cdn.sigstore.dev trusted_root.json"),
            Some(14 * day),
            Sct::Required,
        ),
    ] {
        let source = policies.sources.iter().find(|source| source.name == Name::new(name)).unwrap();
        let refresh = source.refresh.as_ref().map(|how| format!("{} {}", how.location, how.target));
        assert_eq!((&source.origin, refresh.as_deref()), (&origin, location), "{name}");
        assert_eq!((source.max_age, source.sct), (max_age.map(Duration::from_secs), sct), "{name}");
        // What was never fetched is no table: an authority that names it is undecided, not denied (A342).
        assert_eq!(policies.trust.get(&source.name).is_some(), origin != TrustOrigin::Tuf, "{name}");
    }
    assert_eq!(policies.sources.len(), 5);
    let (github, sigstore) = (Name::new("github"), Name::new("sigstore"));
    assert!(!policies.trust.get(&github).unwrap().is_stale(jiff::Timestamp::MAX), "never, unless it is said");
    let stale = |time: &str| policies.trust.get(&sigstore).unwrap().is_stale(time.parse().unwrap());
    assert!(!stale("2026-09-11T19:25:55Z") && stale("2026-09-11T19:25:56Z"), "14 days after it ran out");
}

/// Counts how often each file is read.
struct Counting(Memory, RefCell<Vec<PathBuf>>);

impl Source for Counting {
    fn read(&self, path: &Path, most: u64) -> Result<Content, Unreadable> {
        self.1.borrow_mut().push(path.to_owned());
        self.0.read(path, most)
    }
}

#[test]
fn a411_each_file_is_read_once_and_all_are_watched() {
    let twice = CONFIG.replace("password_file = \"password\"", "password_file = \"docker-config.json\"");
    let source = Counting(files().with("/etc/pullgate/pullgate.toml", twice), RefCell::default());
    let config = loaded(&source);
    let mut read = source.1.into_inner();
    read.sort();
    assert_eq!(config.watched, read);
    let names =
        ["ca.pem", "docker-config.json", "policies/policy.toml", "policies/release.pub", "pullgate.toml"];
    assert_eq!(read, names.map(|name| Path::new("/etc/pullgate").join(name)));
}

#[test]
fn what_is_said_of_a_digest_is_said_and_what_ran_out_is_told_as_such() {
    let (digest, other) = (Digest::of(b"one"), Digest::of(b"other"));
    let until = "until = 2027-01-31\nowner = \"ops\"\nreason = \"migration\"\n";
    let more = format!(
        "[[block]]\ndigest = \"{digest}\"\nreason = \"CVE-2026-0001\"\n[[exempt]]\ndigest = \"{other}\"\n{until}"
    );
    let files = files().with("/etc/pullgate/policies/policy.toml", format!("{POLICY}\n{more}"));
    let config = loaded(&files);
    let repository = "ghcr.io/myorg/app".parse().unwrap();
    let said = |digest, now: &str| against(&config, &repository, digest, now.parse().unwrap()).requirements;
    let before = "2026-12-01T00:00:00Z";
    assert!(said(Some(digest), before)[0].ends_with(": refused: blocked: CVE-2026-0001"));
    let last = |lines: Vec<String>| lines.last().unwrap().clone();
    assert!(last(said(Some(other), before)).contains(": exempt until 2027-"));
    assert!(last(said(Some(other), "2027-03-01T00:00:00Z")).contains(": exempt no more: it ended 2027-"));
    assert_eq!(said(None, before), said(Some(Digest::of(b"third")), before));
    assert_eq!(said(None, before).len() + 1, said(Some(digest), before).len());
}

#[test]
fn what_governs_a_repository_is_said_with_its_lines() {
    let config = loaded(&files());
    let say = |repository: &str| {
        let against = against(&config, &repository.parse().unwrap(), None, jiff::Timestamp::UNIX_EPOCH);
        let policy = against.policy.map(|(name, scope)| format!("{name} by {scope}"));
        format!(
            "{}: {}\n{}\n",
            against.repository,
            policy.unwrap_or_default(),
            against.requirements.join("\n")
        )
    };
    let said: Vec<String> =
        ["ghcr.io/myorg/app", "ghcr.io/myorg/dev/app", "docker.io/myorg/old", "quay.io/a/b"].map(say).into();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn what_is_nested_without_end_is_a_fault_and_no_crash() {
    for text in [
        format!("x = {}", "[".repeat(100_000)),
        format!("x = {}", "{a=".repeat(100_000)),
        format!("{}x = 1", "a.".repeat(100_000)),
    ] {
        let files = files().with("/etc/pullgate/pullgate.toml", text);
        let now = jiff::Timestamp::UNIX_EPOCH;
        assert!(load_with(&files, Path::new("/etc/pullgate/pullgate.toml"), now).is_err());
    }
}

#[test]
fn a_file_that_was_cut_anywhere_is_judged_and_shown_without_a_crash() {
    let path = Path::new("/etc/pullgate/pullgate.toml");
    for (file, text) in [("pullgate.toml", CONFIG), ("policies/policy.toml", POLICY)] {
        // As a half-written file is (A411), with the character that people paste most behind the cut.
        for cut in (0..text.len()).step_by(23) {
            let half = format!("{}\u{201c}", text.get(..cut).unwrap());
            let files = files().with(Path::new("/etc/pullgate").join(file), half);
            let faults = load_with(&files, path, jiff::Timestamp::UNIX_EPOCH).unwrap_err();
            assert!(faults.has_faults() && !faults.render(Style::Plain).is_empty());
        }
    }
}
