//! Files of the operator: policy, configuration, keys, trusted roots.

use std::path::Path;
use std::sync::OnceLock;

use jiff::Timestamp;
use pullgate_config::{Diagnostic, Memory};
use pullgate_policy::identity::Name;
use pullgate_verify::{PublicKey, Sct, TrustTable};

use crate::signing::Signer;

pub(super) fn keys() -> Vec<Vec<u8>> {
    vec![
        Signer::new().public_pem().into_bytes(),
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n".to_vec(),
    ]
}

pub(super) fn key(input: &[u8]) -> Result<(), String> {
    match PublicKey::from_file(input) {
        Ok(keys) if keys.is_empty() => Err("no key, and no fault".to_owned()),
        Ok(_) | Err(_) => Ok(()),
    }
}

pub(super) fn trusted_roots() -> Vec<Vec<u8>> {
    let root = crate::clients::tool::recorded("roots/trusted_root.json");
    std::fs::read(root).into_iter().collect()
}

pub(super) fn trusted_root(input: &[u8]) -> Result<(), String> {
    let _ = TrustTable::from_json(Name::new("fuzz"), input, Sct::Required);
    Ok(())
}

const POLICY: &str = "unmatched = \"deny\"\n[authority.release]\nkey = \"release.pub\"\n[authority.ci]\n\
    issuer = \"https://issuer.example\"\nidentity_regex = 'https://github\\.com/myorg/app/.*@refs/heads/main'\n\
    claims = { runner_environment = \"github-hosted\" }\n[[policy]]\nname = \"production\"\nscope = [\"ghcr.io/myorg/**\"]\n\
    on_undecided = { last_permit = \"24h\" }\n[[policy.require]]\nsigned_by = { any_of = [\"ci\", \"release\"], threshold = 2 }\n\
    annotations = { env = \"prod\" }\n[[policy.require]]\nattestation = \"slsa-provenance\"\nsigned_by = { any_of = [\"ci\"] }\n\
    max_age = \"90d\"\n[[exempt]]\nscope = [\"ghcr.io/myorg/app\"]\nuntil = 2027-01-31\nowner = \"o\"\nreason = \"r\"\n";
const CONFIG: &str = "policy = \"policy.toml\"\nstate = \"state\"\n[listen]\naddress = \"127.0.0.1:5000\"\ndefault_registry = \"ghcr.io\"\n\
    [cache]\nblobs_max = \"1GiB\"\npermit_ttl = \"1h\"\n[audit]\nlog = \"audit.jsonl\"\nretain = \"90d\"\n[clients]\nhtpasswd = \"users\"\n\
    allow = [{ who = [\"a*\"], read = [\"**\"] }]\n[upstream.\"ghcr.io\"]\nurl = \"https://ghcr.io\"\naliases = [\"x.io\"]\n\
    credentials = { username = \"u\", password_file = \"password\" }\n";

pub(super) fn policies() -> Vec<Vec<u8>> {
    vec![POLICY.as_bytes().to_vec()]
}

pub(super) fn configurations() -> Vec<Vec<u8>> {
    vec![CONFIG.as_bytes().to_vec()]
}

pub(super) fn policy(input: &[u8]) -> Result<(), String> {
    loaded(CONFIG.as_bytes(), input)
}

pub(super) fn configuration(input: &[u8]) -> Result<(), String> {
    loaded(input, POLICY.as_bytes())
}

/// What loads, loads again as the same revision; what does not is told with places that stand in the text, and no secret.
fn loaded(config: &[u8], policy: &[u8]) -> Result<(), String> {
    static KEY: OnceLock<String> = OnceLock::new();
    let key = KEY.get_or_init(|| Signer::new().public_pem());
    let load = || {
        let files = Memory::default()
            .with("pullgate.toml", config)
            .with("policy.toml", policy)
            .with("release.pub", key.as_bytes())
            .with("password", "canary\n")
            .with("users", "a:$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy\n");
        pullgate_config::load_with(&files, Path::new("pullgate.toml"), Timestamp::UNIX_EPOCH)
    };
    match (load(), load()) {
        (Ok(one), Ok(other)) => {
            let (one, other) = (one.config.policy.set.revisions, other.config.policy.set.revisions);
            if one == other { Ok(()) } else { Err("two revisions of one text".to_owned()) }
        }
        (Err(faults), Err(_)) => {
            let shown = faults.to_string();
            faults.iter().try_for_each(|fault| {
                placed(fault, if &*fault.file == "policy.toml" { policy } else { config })
            })?;
            if shown.contains("canary") { Err("a secret is shown".to_owned()) } else { Ok(()) }
        }
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => Err("it loads once of two times".to_owned()),
    }
}

/// A fault lies in its file, at the line and column that it says.
fn placed(fault: &Diagnostic, text: &[u8]) -> Result<(), String> {
    let Ok(text) = std::str::from_utf8(text) else { return Ok(()) };
    let (Some(_), Some(before)) = (text.get(fault.span.clone()), text.get(..fault.span.start)) else {
        return Err(format!("{:?} of {} is no place in it", fault.span, fault.file));
    };
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    if (fault.line, fault.column) == (line, column) {
        Ok(())
    } else {
        Err(format!("{}:{} is {line}:{column}", fault.line, fault.column))
    }
}

pub(super) fn docker_configs() -> Vec<Vec<u8>> {
    vec![
        br#"{"auths":{"ghcr.io":{"auth":"dTpjYW5hcnk="},"https://index.docker.io/v1/":{"identitytoken":"canary"}}}"#.to_vec(),
        br#"{"auths":{"r.example":{"auth":"dTpjYW5hcnk="},"other.example":{"auth":"b3RoZXI6Y2FuYXJ5"},"https://r.example":{"username":"u","password":"canary"}}}"#.to_vec(),
        br#"{"credsStore":"pass","credHelpers":{"ghcr.io":"x"}}"#.to_vec(),
    ]
}

/// Whatever it is, no helper with a path in its name is run, and nothing of it is shown.
pub(super) fn docker_config(input: &[u8]) -> Result<(), String> {
    let Ok(text) = std::str::from_utf8(input) else { return Ok(()) };
    let config = "policy = \"policy.toml\"\nstate = \"state\"\n[upstream.\"ghcr.io\"]\ncredentials = { docker_config = \"docker.json\" }\n";
    let files = Memory::default()
        .with("pullgate.toml", config)
        .with("policy.toml", "unmatched = \"warn\"\n")
        .with("docker.json", text);
    let loaded = pullgate_config::load_with(&files, Path::new("pullgate.toml"), Timestamp::UNIX_EPOCH);
    match loaded {
        Ok(loaded) => match pullgate::live::Live::new(loaded.config) {
            Err(fault) if fault.to_string().contains("canary") => Err("a secret is shown".to_owned()),
            Ok(_) | Err(_) => Ok(()),
        },
        Err(faults) if faults.to_string().contains("canary") => Err("a secret is shown".to_owned()),
        Err(_) => Ok(()),
    }
}
