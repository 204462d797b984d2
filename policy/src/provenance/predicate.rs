//! What predicates say, field by field.

use serde_json::{Map, Value};

use super::Source;

/// A predicate's own claims, before anything vouches for them.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) builder: Option<String>,
    pub(super) source: Option<Source>,
    pub(super) reference: Option<String>,
    pub(super) commit: Option<String>,
    pub(super) build_type: Option<String>,
    pub(super) dependencies: Option<Value>,
}

/// SLSA v0.2: `builder`, `buildType`, `invocation.configSource`. BuildKit writes the same.
pub(super) fn v02(predicate: &Value) -> Said {
    let config = predicate.pointer("/invocation/configSource");
    let read = config.and_then(|config| config.get("uri")).and_then(Value::as_str).and_then(Origin::read);
    let (source, revision) = read.map(|read| (read.source, read.revision)).unzip();
    let (reference, named) = parts(revision.flatten());
    Said {
        builder: text(predicate, "/builder/id"),
        source,
        reference,
        commit: one(named.into_iter().chain(config.and_then(commit)).collect()),
        build_type: text(predicate, "/buildType"),
        dependencies: dependencies(predicate.get("materials")),
    }
}

/// SLSA v1: `buildDefinition` and `runDetails`. Sources stand in the external parameters, in the shapes of GitHub,
/// Google Cloud Build, slsa-github-generator and BuildKit, and in the dependency that was resolved from them.
pub(super) fn v1(predicate: &Value) -> Said {
    let definition = predicate.get("buildDefinition").unwrap_or(&Value::Null);
    let outer = definition.get("externalParameters").unwrap_or(&Value::Null);
    let mut sources = Vec::new();
    let mut references = Vec::new();
    let mut commits = Vec::new();
    for place in ["/workflow", "/buildConfigSource"] {
        let Some(found) = outer.pointer(place) else { continue };
        sources.extend(text(found, "/repository").as_deref().and_then(Source::parse));
        references.extend(text(found, "/ref"));
    }
    for place in ["/source", "/configSource"] {
        let Some(found) = outer.pointer(place) else { continue };
        let uri = found.as_str().or_else(|| found.get("uri").and_then(Value::as_str));
        if let Some(origin) = uri.and_then(Origin::read) {
            sources.push(origin.source);
            let (reference, commit) = parts(origin.revision);
            references.extend(reference);
            commits.extend(commit);
        }
        commits.extend(commit(found));
    }
    for resolved in resolved(definition, outer, sources.first()) {
        if let Some(origin) = origin(resolved) {
            sources.push(origin.source);
            let (reference, commit) = parts(origin.revision);
            references.extend(reference);
            commits.extend(commit);
        }
        commits.extend(commit(resolved));
    }
    Said {
        builder: text(predicate, "/runDetails/builder/id"),
        source: one(sources),
        reference: one(references),
        commit: one(commits),
        build_type: text(definition, "/buildType"),
        dependencies: dependencies(definition.get("resolvedDependencies")),
    }
}

/// A list of resources in one form; `None` where it is absent, or one of them is malformed.
fn dependencies(listed: Option<&Value>) -> Option<Value> {
    listed?.as_array()?.iter().map(dependency).collect::<Option<Vec<_>>>().map(Value::Array)
}

fn dependency(listed: &Value) -> Option<Value> {
    let listed = listed.as_object()?;
    let mut read = Map::new();
    for (key, value) in listed.iter().filter(|(_, value)| !value.is_null()) {
        let fits = match key.as_str() {
            "uri" | "name" => value.is_string(),
            "digest" => value.as_object().is_some_and(|digests| digests.values().all(Value::is_string)),
            _ => continue,
        };
        fits.then_some(())?;
        read.insert(key.clone(), value.clone());
    }
    Some(Value::Object(read))
}

/// The value that all agree on (A216).
fn one<T: PartialEq>(values: Vec<T>) -> Option<T> {
    let mut values = values.into_iter();
    let first = values.next()?;
    values.all(|value| value == first).then_some(first)
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The resolved dependencies that are the source. The list has no order, and a build of one repository may depend on
/// others.
fn resolved<'a>(definition: &'a Value, outer: &Value, named: Option<&Source>) -> Vec<&'a Value> {
    let listed = definition.get("resolvedDependencies").and_then(Value::as_array);
    let git: Vec<_> = listed.into_iter().flatten().filter(|one| is_git(one)).collect();
    if let Some(named) = named {
        let same = |one: &&&Value| origin(one).is_some_and(|origin| origin.source == *named);
        // If no dependency is the named source, the first one is returned as the contradiction. BuildKit is exempt: it
        // lists in Git's form only what a Dockerfile adds to its context.
        let other = if outer.get("configSource").is_some() { None } else { git.first() };
        return git.iter().find(same).or(other).copied().into_iter().collect();
    }
    // The parameters for a source are there and name none that is readable: a dependency is not taken for the source
    // then.
    if SOURCES.iter().any(|place| outer.get(place).is_some_and(|found| !found.is_null())) {
        return Vec::new();
    }
    // Tekton Chains lists the repositories of the pipeline and its tasks too; it marks the pipeline's inputs.
    let given: Vec<_> = git.iter().filter(|one| named_by(one) == Some("inputs/result")).copied().collect();
    if given.is_empty() { git } else { given }
}

/// External parameters that say what was built.
const SOURCES: [&str; 4] = ["buildConfigSource", "configSource", "source", "workflow"];

fn named_by(dependency: &Value) -> Option<&str> {
    dependency.get("name").and_then(Value::as_str)
}

fn origin(dependency: &Value) -> Option<Origin> {
    dependency.get("uri").and_then(Value::as_str).and_then(Origin::read)
}

fn is_git(dependency: &Value) -> bool {
    dependency
        .get("uri")
        .and_then(Value::as_str)
        .is_some_and(|uri| uri.starts_with("git+") || uri.starts_with("git:"))
}

/// What a repository's address says.
struct Origin {
    source: Source,
    revision: Option<Revision>,
}

/// What of a repository was built.
enum Revision {
    Commit(String),
    Reference(String),
}

impl Origin {
    /// Source, and what stands behind `@`, or before `:` in BuildKit's fragment: a ref, or a commit as Docker's actions
    /// write it.
    fn read(uri: &str) -> Option<Self> {
        let (source, reference) = Source::with_reference(uri)?;
        let fragment = uri.split_once('#').and_then(|(_, fragment)| fragment.split(':').next());
        let fragment = fragment.filter(|fragment| !fragment.is_empty()).map(str::to_owned);
        let revision = reference.or(fragment).map(|text| match is_commit(&text) {
            true => Revision::Commit(text),
            false => Revision::Reference(text),
        });
        Some(Self { source, revision })
    }
}

/// The whole name of a commit under either of Git's hashes.
fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The ref, and the commit, of which there is one at most.
fn parts(revision: Option<Revision>) -> (Option<String>, Option<String>) {
    match revision {
        Some(Revision::Commit(commit)) => (None, Some(commit)),
        Some(Revision::Reference(reference)) => (Some(reference), None),
        None => (None, None),
    }
}

fn commit(found: &Value) -> Option<String> {
    let digest = found.get("digest")?;
    let commits = ["gitCommit", "sha1"].iter().filter_map(|name| digest.get(name)?.as_str());
    one(commits.map(str::to_owned).collect())
}
