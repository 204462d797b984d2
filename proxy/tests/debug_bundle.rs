//! `pullgate debug-bundle`: a canary in every place where a secret can stand is looked for in the whole bundle (A171).

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panic")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// Every secret begins with it.
const CANARY: &str = "c4nary";

fn put(at: &Path, name: &str, text: &str) {
    let path = at.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// base64 of `robot:c4nary-docker-auth`.
const AUTH: &str = "cm9ib3Q6YzRuYXJ5LWRvY2tlci1hdXRo";

fn site() -> TempDir {
    let site = TempDir::new().unwrap();
    let at = site.path();
    let config = "policy = \"policy.toml\"\nstate = \"state\"\nseal_key_file = \"seal.key\"\n\
        [admin]\naddress = \"127.0.0.1:9\"\n\
        [clients]\nhtpasswd = \"htpasswd\"\nallow = [{ who = [\"*\"], read = [\"**\"] }]\n\
        [upstream.\"ghcr.io\"]\ncredentials = { docker_config = \"docker-config.json\" }\n\
        [upstream.\"corp.example\"]\nurl = \"https://corp.example\"\n\
        credentials = { username = \"me\", password_file = \"password\" }\n";
    put(at, "pullgate.toml", config);
    put(at, "policy.toml", "unmatched = \"warn\" # mine\n");
    put(at, "docker-config.json", &format!("{{\"auths\":{{\"ghcr.io\":{{\"auth\":\"{AUTH}\"}}}}}}"));
    put(at, "password", "c4nary-password\n");
    put(at, "htpasswd", "node:$2y$05$c4naryhashc4naryhashcOeUSOzmvZMjYjWyGpRj0cCC1xPa7hXgW\n");
    put(at, "seal.key", "c4nary-seal-key-of-thirty-2-byte");
    for name in ["docker-config.json", "password", "htpasswd", "seal.key"] {
        fs::set_permissions(at.join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let log = format!(
        "the first line\nauthorization: Bearer c4nary-bearer\n{{\"headers\":{{\"authorization\":\"Basic c4narybasic\"}}}}\n\
         GET https://u:c4nary-url@host/v2/?access_token=c4nary-query\ntoken=c4nary-token password: c4nary-colon\n\
         jwt eyJhbGciOiJub25lIn0.YzRuYXJ5.c4narysig\nsaid {AUTH} and c4nary-password\n\
         -----BEGIN PRIVATE KEY-----\nc4narykey\n-----END PRIVATE KEY-----\nthe last line\n"
    );
    put(at, "log", &log);
    put(at, "node/etc/containerd/config.toml", "version = 3\n");
    put(
        at,
        "node/etc/containerd/certs.d/_default/hosts.toml",
        "server = \"https://u:c4nary-hosts@mirror.example\"\n[host]\n",
    );
    site
}

fn bundle(site: &TempDir, more: &[&str]) -> (i32, String) {
    let at = site.path();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pullgate"));
    command
        .arg("debug-bundle")
        .arg("--config")
        .arg(at.join("pullgate.toml"))
        .arg("--log")
        .arg(at.join("log"));
    command.arg("--root").arg(at.join("node")).arg("--folder").arg(at.join("bundle")).args(more);
    command
        .env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=c4nary-otel")
        .env("HTTPS_PROXY", "http://u:c4nary-proxy@127.0.0.1:9")
        .env("REGISTRY_TOKEN", "c4nary-env");
    let output = command.output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(told).unwrap())
}

fn pages(site: &TempDir) -> BTreeMap<String, String> {
    let entries = fs::read_dir(site.path().join("bundle")).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
        })
        .collect()
}

#[test]
fn a171_no_secret_of_any_place_is_in_the_bundle_and_what_helps_is() {
    let site = site();
    let (code, told) = bundle(&site, &[]);
    assert_eq!(code, 0, "{told}");
    let pages = pages(&site);
    for (name, text) in &pages {
        assert!(!text.contains(CANARY) && !text.contains(AUTH), "{name}: {text}");
    }
    assert!(!told.contains(CANARY), "{told}");
    for (page, says) in [
        ("versions.txt", "pullgate 0.1.0"),
        ("versions.txt", "OTEL_EXPORTER_OTLP_HEADERS"),
        ("configuration.txt", "[upstream.\"ghcr.io\"]"),
        ("configuration.txt", "unmatched = \"warn\" # mine"),
        ("configuration.txt", "docker-config.json: "),
        ("check.txt", "nothing-enforced"),
        ("health.json", "does not answer"),
        ("metrics.txt", "does not answer"),
        ("refusals.jsonl", "cannot be read"),
        ("doctor.txt", "open no-config-path"),
        ("log.txt", "the first line\n"),
        ("log.txt", "the last line\n"),
    ] {
        assert!(pages[page].contains(says), "{page}: {says}: {}", pages[page]);
    }
}

#[test]
fn a_bundle_is_its_owners_alone_and_writes_over_nothing() {
    let site = site();
    assert_eq!(bundle(&site, &[]).0, 0);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&site.path().join("bundle")), 0o700);
    assert_eq!(mode(&site.path().join("bundle/log.txt")), 0o600);
    let before = pages(&site);
    let (code, told) = bundle(&site, &[]);
    assert!(code == 1 && told.contains("bundle"), "{told}");
    assert_eq!(pages(&site), before);
}

#[test]
fn a171_a_configuration_with_faults_is_bundled_without_what_may_be_a_secret() {
    let site = site();
    let config = fs::read_to_string(site.path().join("pullgate.toml")).unwrap();
    let inline = config.replace("username = \"me\",", "username = \"me\", password = \"c4nary-inline\",");
    put(site.path(), "pullgate.toml", &inline.replace("url = \"https://", "url = \"https://u:c4nary-user@"));
    let (code, told) = bundle(&site, &[]);
    assert_eq!(code, 0, "{told}");
    for (name, text) in &pages(&site) {
        assert!(!text.contains(CANARY), "{name}: {text}");
    }
    assert!(pages(&site)["check.txt"].contains("error["));
}
