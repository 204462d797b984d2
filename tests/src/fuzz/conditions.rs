//! `where`, and the provenance that it speaks of.

use std::sync::OnceLock;

use pullgate_policy::expression::{About, Condition, Image};
use pullgate_policy::identity::{Identity, KeyId, Name, Principal, SanKind};
use pullgate_policy::provenance::{Provenance, SLSA_V1, SLSA_V02, Source};
use pullgate_policy::strict_json;
use serde_json::{Value, json};

/// What is asked about.
struct Stand {
    statement: Value,
    predicate: Value,
    principals: [Principal; 2],
    image: Image,
}

fn stand() -> &'static Stand {
    static STAND: OnceLock<Stand> = OnceLock::new();
    STAND.get_or_init(|| {
        let predicate = v1();
        let identity = Identity {
            trust: Name::new("sigstore"),
            issuer: "https://token.actions.githubusercontent.com".to_owned(),
            kind: SanKind::Uri,
            san: "https://github.com/myorg/app/.github/workflows/build.yml@refs/heads/main".to_owned(),
            held: None,
            claims: [("source_repository_uri", "https://github.com/myorg/app"), ("runner_environment", "github-hosted")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
        };
        Stand {
            statement: json!({ "predicateType": SLSA_V1, "predicate": predicate, "list": [1, "a", null, 1.5] }),
            predicate,
            principals: [Principal::Key(KeyId::of_spki(b"key")), Principal::Identity(identity)],
            image: Image {
                registry: "ghcr.io".to_owned(),
                repository: "myorg/app".to_owned(),
                digest: format!("sha256:{}", "0".repeat(64)),
                media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
                artifact_type: String::new(),
            },
        }
    })
}

fn v1() -> Value {
    let workflow = json!({ "repository": "https://github.com/myorg/app", "ref": "refs/heads/main", "path": "build.yml" });
    json!({
        "buildDefinition": {
            "buildType": "https://actions.github.io/buildtypes/workflow/v1",
            "externalParameters": { "workflow": workflow },
            "resolvedDependencies": [{ "uri": "git+https://github.com/myorg/app@refs/heads/main", "digest": { "gitCommit": "ab" } }],
        },
        "runDetails": { "builder": { "id": "https://github.com/myorg/app/.github/workflows/build.yml@refs/heads/main" } },
    })
}

fn v02() -> Value {
    json!({
        "builder": { "id": "https://builder.example" }, "buildType": "https://mobyproject.org/buildkit@v1",
        "invocation": { "configSource": { "uri": "git+https://github.com/myorg/app@refs/heads/main", "digest": { "sha1": "ab" }, "entryPoint": "x" } },
        "materials": [{ "uri": "git+https://github.com/myorg/app", "digest": { "sha1": "ab" } }],
        "metadata": { "https://mobyproject.org/buildkit@v1#metadata": { "vcs": { "source": "git@github.com:myorg/app.git", "revision": "ab" } } },
    })
}

pub(super) fn conditions() -> Vec<Vec<u8>> {
    [
        "provenance.source == \"https://github.com/myorg/app\" && provenance.ref == \"refs/heads/main\"",
        "predicate.buildDefinition.buildType.startsWith('https://') || has(predicate.x)",
        "statement.list.exists(x, x == 1) && !(image.digest in ['a', 'b'])",
        "identity.issuer.matches('^https://.*$') ? size(statement.list) > 2 : false",
        "timestamp('2026-01-01T00:00:00Z') < timestamp('2027-01-01T00:00:00Z') && duration('1h') > duration('1m')",
        "{'a': 1, 'b': [1, 2.5, 3u]}.a == 1",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// Compiles alike and answers alike each time; a fault lies in the text.
pub(super) fn condition(input: &[u8]) -> Result<(), String> {
    let Ok(text) = std::str::from_utf8(input) else { return Ok(()) };
    let condition = match Condition::compile(text) {
        Ok(condition) => condition,
        Err(fault) if text.is_char_boundary(fault.at) => return Ok(()),
        Err(fault) => return Err(format!("a fault at {}, which is no place in the text", fault.at)),
    };
    let stand = stand();
    for principal in &stand.principals {
        let read = Provenance::read(SLSA_V1, &stand.predicate, principal).ok().flatten();
        let about = About {
            statement: &stand.statement,
            predicate: &stand.predicate,
            provenance: read.as_ref(),
            principal,
            image: &stand.image,
        };
        if condition.holds(&about) != condition.holds(&about) {
            return Err("two answers to one question".to_owned());
        }
    }
    Ok(())
}

pub(super) fn predicates() -> Vec<Vec<u8>> {
    vec![v1().to_string().into_bytes(), v02().to_string().into_bytes()]
}

/// One form of a source is read as itself; a key that signs lends its predicate no level.
pub(super) fn provenance(input: &[u8]) -> Result<(), String> {
    let Ok(predicate) = strict_json::parse(input) else { return Ok(()) };
    for kind in [SLSA_V1, SLSA_V02] {
        for principal in &stand().principals {
            let Ok(Some(read)) = Provenance::read(kind, &predicate, principal) else { continue };
            if let Some(source) = &read.source
                && Source::parse(source.as_str()).as_ref() != Some(source)
            {
                return Err(format!("{source} is not read as itself"));
            }
            if matches!(principal, Principal::Key(_)) && read.level.number() > 1 {
                return Err("a predicate raises its own level".to_owned());
            }
            let theirs = |source: &Source| source.as_str() == "https://github.com/myorg/app";
            if matches!(principal, Principal::Identity(_)) && !read.source.as_ref().is_some_and(theirs) {
                return Err(format!("{:?} stands before what the certificate says", read.source));
            }
        }
    }
    Ok(())
}
