//! The targets, and what must not be of each.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use jiff::Timestamp;
use pullgate::range::{self, Wanted};
use pullgate::route::{self, Registries, Route};
use pullgate_config::Memory;
use pullgate_policy::content::Untrusted;
use pullgate_policy::oci::{Digest, Manifest, Reference, Registry, Repository, media_type};
use pullgate_policy::scope::Scope;
use pullgate_policy::{limits, strict_json, text};
use pullgate_verify::{PublicKey, Sct, TrustTable};
use serde_json::Value;

use super::{Target, evidence};
use crate::made::Made;
use crate::signing::{SIGN_PREDICATE, Signer, carrier, referrer};

/// Every target, by name.
pub const TARGETS: &[Target] = &[
    Target { name: "annotations", seeds: evidence::annotations, words: EVIDENCE, check: evidence::annotated },
    Target { name: "bundle", seeds: evidence::bundles, words: EVIDENCE, check: evidence::bundle },
    Target { name: "configuration", seeds: configurations, words: KEYS, check: configuration },
    Target { name: "docker-config", seeds: docker_configs, words: KEYS, check: docker_config },
    Target { name: "dsse", seeds: evidence::envelopes, words: EVIDENCE, check: evidence::dsse },
    Target { name: "json", seeds: manifests, words: MANIFEST, check: json },
    Target { name: "key", seeds: keys, words: PEM, check: key },
    Target { name: "manifest", seeds: manifests, words: MANIFEST, check: manifest },
    Target { name: "payload", seeds: evidence::payloads, words: EVIDENCE, check: evidence::payload },
    Target { name: "policy", seeds: policies, words: KEYS, check: policy },
    Target { name: "range", seeds: ranges, words: &["bytes=", "-", ",", "0-0"], check: range_header },
    Target { name: "route", seeds: routes, words: ROUTE, check: route },
    Target { name: "scope", seeds: scopes, words: &["*", "**", "/", "docker.io", "library"], check: scope },
    Target { name: "text", seeds: texts, words: &["\u{1b}[31m", "\u{2028}", "é"], check: shown },
    Target { name: "trusted-root", seeds: trusted_roots, words: EVIDENCE, check: trusted_root },
];

const EVIDENCE: &[&str] = &[
    "\"payload\"",
    "\"payloadType\"",
    "\"signatures\"",
    "\"critical\"",
    "\"optional\"",
    "\"subject\"",
    "\"digest\"",
    "\"verificationMaterial\"",
    "\"certificate\"",
    "\"publicKey\"",
    "\"tlogEntries\"",
    "\"messageSignature\"",
    "\"dsseEnvelope\"",
    "\"mediaType\"",
    "\"logIndex\"",
    "\"inclusionProof\"",
    "application/vnd.in-toto+json",
];
const KEYS: &[&str] = &[
    "[[policy]]\n",
    "[[policy.require]]\n",
    "[[block]]\n",
    "[[exempt]]\n",
    "[authority.x]\n",
    "[upstream.\"a.io\"]\n",
    "scope = [\"a.io/**\"]\n",
    "signed_by = { any_of = [\"x\"] }\n",
    "until = 2027-01-31\n",
    "where = 'true'\n",
    "identity_regex = '.*'\n",
    "max_age = \"1d\"\n",
    "\"\"\"",
    "'''",
    "= [",
    "\"auths\":",
    "\"auth\":",
    "\"credHelpers\":",
];
const MANIFEST: &[&str] = &[
    "\"layers\":[]",
    "\"manifests\":[]",
    "\"Layers\":[]",
    "\"urls\":[\"http://x\"]",
    "\"data\":\"eA==\"",
    "\"size\":-1",
    "\"schemaVersion\":1",
    "\"mediaType\":\"\"",
    "\"annotations\":{}",
    "\"subject\":null",
    "\"platform\":{}",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];
const PEM: &[&str] =
    &["-----BEGIN PUBLIC KEY-----\n", "-----END PUBLIC KEY-----\n", "-----BEGIN PRIVATE KEY-----\n", "AAAA"];
const ROUTE: &[&str] = &[
    "/manifests/",
    "/blobs/",
    "/tags/list",
    "/referrers/",
    "/uploads/",
    "?ns=",
    "&ns=",
    "docker.io",
    "library",
    "sha512:",
    "%2e%2e",
    "//",
];

/// Two registries, and a default.
struct Known;

impl Registries for Known {
    fn find(&self, name: &str) -> Option<Registry> {
        matches!(name, "docker.io" | "ghcr.io").then(|| name.parse().ok()).flatten()
    }

    fn default(&self) -> Option<Registry> {
        "docker.io".parse().ok()
    }
}

fn routes() -> Vec<Vec<u8>> {
    let digest = Digest::of(b"x");
    [
        "/v2/".to_owned(),
        "/v2/library/alpine/manifests/latest?ns=docker.io".to_owned(),
        format!("/v2/ghcr.io/a/b/blobs/{digest}"),
        "/v2/a/tags/list?n=10&last=v1".to_owned(),
        format!("/v2/a/b/referrers/{digest}?artifactType=application/x"),
        "/v2/a/manifests/b/manifests/v1".to_owned(),
    ]
    .map(String::into_bytes)
    .to_vec()
}

fn route(input: &[u8]) -> Result<(), String> {
    let Ok(uri) = std::str::from_utf8(input).unwrap_or_default().parse::<Uri>() else { return Ok(()) };
    for method in [Method::GET, Method::HEAD, Method::PUT] {
        let Ok(route) = route::parse(&method, &uri, &Known) else { continue };
        if method == Method::PUT {
            return Err("a write was taken".to_owned());
        }
        let Some(target) = route.target() else { continue };
        let repository = &target.repository;
        // What is asked of an upstream is made from these: they must say themselves again.
        let (registry, path) = (repository.registry(), repository.path());
        if Repository::new(registry.clone(), path).as_ref() != Ok(repository) {
            return Err(format!("{repository} does not read as itself"));
        }
        if path.split('/').any(|part| part.is_empty() || part.starts_with('.'))
            || path.contains(['%', '\\', '?', '#'])
        {
            return Err(format!("{path} is no path that may go upstream"));
        }
        if let Route::Manifest(_, reference) = &route
            && reference.to_string().parse::<Reference>().as_ref() != Ok(reference)
        {
            return Err(format!("{reference} does not read as itself"));
        }
    }
    Ok(())
}

fn manifests() -> Vec<Vec<u8>> {
    let signer = Signer::new();
    let image = Made::image();
    vec![
        image.bytes.clone(),
        Made::buildkit_index().bytes,
        carrier(vec![signer.signature(&image.digest())]).bytes,
        referrer(&image.descriptor(), signer.bundle(&image.digest(), SIGN_PREDICATE)).bytes,
        br#"{"schemaVersion":1,"name":"a","tag":"b","fsLayers":[]}"#.to_vec(),
    ]
}

/// What the gate reads of a document is what any reader of JSON reads of it.
fn manifest(input: &[u8]) -> Result<(), String> {
    for content_type in [None, Some(media_type::OCI_MANIFEST), Some(media_type::OCI_INDEX)] {
        let intact = Untrusted::new(Bytes::copy_from_slice(input)).hash();
        let Ok(document) = intact.parse(content_type) else { continue };
        let generic: Value = serde_json::from_slice(input).map_err(|error| format!("no JSON: {error}"))?;
        let listed = |key: &str| generic.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        let (seen, expected): (Vec<String>, Vec<Value>) = match document.value().manifest() {
            Manifest::Image(image) => (
                image
                    .layers
                    .iter()
                    .map(|layer| layer.digest.map(|one| one.to_string()).unwrap_or_default())
                    .collect(),
                listed("layers"),
            ),
            Manifest::Index(index) => (
                index
                    .manifests
                    .iter()
                    .map(|child| child.digest.map(|one| one.to_string()).unwrap_or_default())
                    .collect(),
                listed("manifests"),
            ),
        };
        if seen.len() != expected.len() {
            return Err(format!("{} listed, {} seen", expected.len(), seen.len()));
        }
        for (seen, expected) in seen.iter().zip(&expected) {
            // A digest of an algorithm that is not computed is none (A132).
            if !seen.is_empty() && expected.get("digest").and_then(Value::as_str) != Some(seen) {
                return Err(format!("{seen} is not what stands there"));
            }
        }
        let both = generic.get("layers").is_some() && generic.get("manifests").is_some();
        if both || seen.len() > limits::LAYERS_PER_MANIFEST {
            return Err("two kinds at once, or too many".to_owned());
        }
    }
    Ok(())
}

/// What the one reader takes, another takes too, and reads alike.
fn json(input: &[u8]) -> Result<(), String> {
    let Ok(ours) = strict_json::parse(input) else { return Ok(()) };
    let theirs: Value = serde_json::from_slice(input).map_err(|error| format!("only we take it: {error}"))?;
    if ours == theirs { Ok(()) } else { Err("read differently".to_owned()) }
}

fn keys() -> Vec<Vec<u8>> {
    vec![
        Signer::new().public_pem().into_bytes(),
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n".to_vec(),
    ]
}

fn key(input: &[u8]) -> Result<(), String> {
    match PublicKey::from_file(input) {
        Ok(keys) if keys.is_empty() => Err("no key, and no fault".to_owned()),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn trusted_roots() -> Vec<Vec<u8>> {
    let root = crate::clients::tool::recorded("roots/trusted_root.json");
    std::fs::read(root).into_iter().collect()
}

fn trusted_root(input: &[u8]) -> Result<(), String> {
    let _ = TrustTable::from_json(pullgate_policy::identity::Name::new("fuzz"), input, Sct::Required);
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

fn policies() -> Vec<Vec<u8>> {
    vec![POLICY.as_bytes().to_vec()]
}

fn configurations() -> Vec<Vec<u8>> {
    vec![CONFIG.as_bytes().to_vec()]
}

fn policy(input: &[u8]) -> Result<(), String> {
    loaded(CONFIG.as_bytes(), input)
}

fn configuration(input: &[u8]) -> Result<(), String> {
    loaded(input, POLICY.as_bytes())
}

/// What loads, loads again as the same revision; what does not is told with places that stand in the text, and no secret.
fn loaded(config: &[u8], policy: &[u8]) -> Result<(), String> {
    static KEY: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let key = KEY.get_or_init(|| Signer::new().public_pem());
    let load = || {
        let files = Memory::default()
            .with("pullgate.toml", config)
            .with("policy.toml", policy)
            .with("release.pub", key.as_bytes())
            .with("password", "canary\n")
            .with("users", "a:$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy\n");
        pullgate_config::load_with(&files, std::path::Path::new("pullgate.toml"), Timestamp::UNIX_EPOCH)
    };
    match (load(), load()) {
        (Ok(one), Ok(other)) => {
            let (one, other) = (one.config.policy.set.revisions, other.config.policy.set.revisions);
            if one == other { Ok(()) } else { Err("two revisions of one text".to_owned()) }
        }
        (Err(faults), Err(_)) => {
            let shown = faults.to_string();
            let lines = [config, policy].map(|text| text.iter().filter(|byte| **byte == b'\n').count() + 1);
            if faults.iter().any(|fault| fault.line > lines[0].max(lines[1])) {
                return Err("a place beyond the text".to_owned());
            }
            if shown.contains("canary") { Err("a secret is shown".to_owned()) } else { Ok(()) }
        }
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => Err("it loads once of two times".to_owned()),
    }
}

fn docker_configs() -> Vec<Vec<u8>> {
    vec![
        br#"{"auths":{"ghcr.io":{"auth":"dTpjYW5hcnk="},"https://index.docker.io/v1/":{"identitytoken":"canary"}}}"#.to_vec(),
        br#"{"credsStore":"pass","credHelpers":{"ghcr.io":"x"}}"#.to_vec(),
    ]
}

/// Whatever it is, no helper with a path in its name is run, and nothing of it is shown.
fn docker_config(input: &[u8]) -> Result<(), String> {
    let Ok(text) = std::str::from_utf8(input) else { return Ok(()) };
    let config = "policy = \"policy.toml\"\nstate = \"state\"\n[upstream.\"ghcr.io\"]\ncredentials = { docker_config = \"docker.json\" }\n";
    let files = Memory::default()
        .with("pullgate.toml", config)
        .with("policy.toml", "unmatched = \"warn\"\n")
        .with("docker.json", text);
    let loaded =
        pullgate_config::load_with(&files, std::path::Path::new("pullgate.toml"), Timestamp::UNIX_EPOCH);
    match loaded {
        Ok(loaded) => match pullgate::live::Live::new(loaded.config) {
            Err(fault) if fault.to_string().contains("canary") => Err("a secret is shown".to_owned()),
            Ok(_) | Err(_) => Ok(()),
        },
        Err(faults) if faults.to_string().contains("canary") => Err("a secret is shown".to_owned()),
        Err(_) => Ok(()),
    }
}

fn ranges() -> Vec<Vec<u8>> {
    ["bytes=0-9", "bytes=-5", "bytes=5-", "bytes=0-0,2-3", "bytes=9-1"]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
}

fn range_header(input: &[u8]) -> Result<(), String> {
    let Ok(value) = http::HeaderValue::from_bytes(input) else { return Ok(()) };
    let headers = HeaderMap::from_iter([(http::header::RANGE, value)]);
    for length in [0, 1, 10, u64::MAX] {
        if let Wanted::Part(first, last) = range::wanted(&headers, length)
            && (first > last || last >= length)
        {
            return Err(format!("{first}-{last} of {length}"));
        }
    }
    Ok(())
}

fn scopes() -> Vec<Vec<u8>> {
    ["ghcr.io/myorg/**", "docker.io/library/*", "**", "a.io/b*/c"]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
}

fn scope(input: &[u8]) -> Result<(), String> {
    let Ok(scope) = Scope::parse(std::str::from_utf8(input).unwrap_or_default()) else { return Ok(()) };
    let seen = BTreeSet::from(["ghcr.io/myorg/app", "ghcr.io/myorg-evil/app", "docker.io/library/alpine"]);
    for name in seen {
        let Some((registry, path)) = name.split_once('/') else { continue };
        let Ok(registry) = registry.parse::<Registry>() else { continue };
        let Ok(repository) = Repository::new(registry.clone(), path) else { continue };
        let another = scope.registry().is_some_and(|one| one != registry.as_str());
        if scope.matches(&repository) && another {
            return Err(format!("{name} is of another registry"));
        }
    }
    Ok(())
}

fn texts() -> Vec<Vec<u8>> {
    vec!["a \"quoted\" reason\r\n\u{202e}\u{1b}[0m".as_bytes().to_vec(), b"plain".to_vec()]
}

fn shown(input: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(input);
    let (escaped, header) = (text::escape(&text), text::header(&text, limits::WARNING_BYTES));
    if escaped.chars().any(text::is_unsafe) || escaped.len() > limits::LOG_FIELD_BYTES * 2 {
        return Err("escaped, and not fit for a log".to_owned());
    }
    let fits =
        header.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) && !header.contains(['"', '\\']);
    if fits && header.len() <= limits::WARNING_BYTES {
        Ok(())
    } else {
        Err("not fit for a header".to_owned())
    }
}
