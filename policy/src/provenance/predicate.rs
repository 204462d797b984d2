//! What predicates say, field by field.

use serde_json::Value;

use super::Source;

/// What a predicate says of itself; nobody has vouched for it yet.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) builder: Option<String>,
    pub(super) source: Option<Source>,
    pub(super) reference: Option<String>,
    pub(super) commit: Option<String>,
    pub(super) build_type: Option<String>,
}

/// SLSA v0.2: `builder`, `buildType`, `invocation.configSource`. BuildKit writes the same.
pub(super) fn v02(predicate: &Value) -> Said {
    let config = predicate.pointer("/invocation/configSource");
    let read = config.and_then(|config| config.get("uri")).and_then(Value::as_str).and_then(from_uri);
    let (source, reference) = read.unzip();
    Said {
        builder: text(predicate, "/builder/id"),
        source,
        reference: reference.flatten(),
        commit: config.and_then(commit),
        build_type: text(predicate, "/buildType"),
    }
}

/// SLSA v1: `buildDefinition` and `runDetails`. Sources stand in the external parameters, in the shapes of GitHub, of
/// slsa-github-generator and of BuildKit, and in the dependency that was resolved from them.
pub(super) fn v1(predicate: &Value) -> Said {
    let definition = predicate.get("buildDefinition").unwrap_or(&Value::Null);
    let outer = definition.get("externalParameters").unwrap_or(&Value::Null);
    let mut sources = Vec::new();
    let mut references = Vec::new();
    let mut commits = Vec::new();
    if let Some(repository) = text(outer, "/workflow/repository") {
        sources.extend(Source::parse(&repository));
        references.extend(text(outer, "/workflow/ref"));
    }
    for place in ["/source", "/configSource"] {
        let Some(found) = outer.pointer(place) else { continue };
        let uri = found.as_str().or_else(|| found.get("uri").and_then(Value::as_str));
        if let Some((source, reference)) = uri.and_then(from_uri) {
            sources.push(source);
            references.extend(reference);
        }
        commits.extend(commit(found));
    }
    let resolved = definition.get("resolvedDependencies").and_then(Value::as_array);
    let resolved = resolved.and_then(|list| list.iter().find(|one| is_git(one)));
    if let Some(resolved) = resolved {
        if let Some((source, reference)) = resolved.get("uri").and_then(Value::as_str).and_then(from_uri) {
            sources.push(source);
            references.extend(reference);
        }
        commits.extend(commit(resolved));
    }
    Said {
        builder: text(predicate, "/runDetails/builder/id"),
        source: one(sources),
        reference: one(references),
        commit: one(commits),
        build_type: text(definition, "/buildType"),
    }
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

fn is_git(dependency: &Value) -> bool {
    dependency
        .get("uri")
        .and_then(Value::as_str)
        .is_some_and(|uri| uri.starts_with("git+") || uri.starts_with("git:"))
}

/// Source, and the ref behind `@`, or before `:` in BuildKit's fragment.
fn from_uri(uri: &str) -> Option<(Source, Option<String>)> {
    let (source, reference) = Source::with_reference(uri)?;
    let fragment =
        uri.split_once('#').map(|(_, fragment)| fragment.split(':').next().unwrap_or_default().to_owned());
    Some((source, reference.or(fragment.filter(|fragment| !fragment.is_empty()))))
}

fn commit(found: &Value) -> Option<String> {
    let digest = found.get("digest")?;
    let commits = ["gitCommit", "sha1"].iter().filter_map(|name| digest.get(name)?.as_str());
    one(commits.map(str::to_owned).collect())
}
