//! Lists of tags and referrers: scoped, and not judged.

use std::collections::BTreeMap;

use pullgate_policy::code::Code;
use pullgate_policy::oci::name::DigestTagSuffix;
use pullgate_policy::oci::{Descriptor, Digest, Manifest, Reference, Repository, Tag, media_type};
use serde_json::{Value, json};

pub mod cursor;

use super::{resolve, scope};
use crate::accept::Accept;
use crate::live::Live;
use crate::pull::handles::Handles;
use crate::refusal::{Missing, Refusal};
use crate::route::Page;
use crate::upstream::{Fault, PageStart, Referrers, TagPage};

/// One page of a repository's tags, as its upstream lists them.
///
/// # Errors
/// [`Refusal`].
pub async fn tags(
    app: &Handles,
    live: &Live,
    repository: &Repository,
    page: &Page,
) -> Result<TagPage, Refusal> {
    scope::governed(live, repository)?;
    let upstream = live.upstream(repository).ok_or(Refusal::undecided(Code::Internal))?;
    let _place = app.question(repository)?;
    let cursor = page.cursor.as_deref().and_then(|text| cursor::open(&app.seal, text, repository));
    // A foreign cursor is ignored: a client with `last` still gets the rest.
    let from = match (&cursor, &page.last) {
        (Some(query), _) => PageStart::Cursor(query),
        (None, Some(last)) => PageStart::After(last),
        (None, None) => PageStart::Beginning,
    };
    let listed = upstream.tags(repository, page.n, from).await;
    app.counted(upstream, "tags", listed).map_err(|fault| Refusal::upstream(&fault, Missing::Name))
}

/// What refers to `subject`: the upstream's list merged with its fallback tag's, of one artifact type where that is
/// asked for.
///
/// # Errors
/// [`Refusal`].
pub async fn referrers(
    app: &Handles,
    live: &Live,
    repository: &Repository,
    (subject, artifact_type): (&Digest, Option<&str>),
) -> Result<Vec<Value>, Refusal> {
    scope::governed(live, repository)?;
    scope::not_blocked(live, subject)?;
    let upstream = live.upstream(repository).ok_or(Refusal::undecided(Code::Internal))?;
    let _place = app.question(repository)?;
    let mut listed: BTreeMap<Digest, Value> = BTreeMap::new();
    let mut held = app.evidence_budget.nothing(repository);
    let mut room = |bytes| held.grow(bytes).is_ok();
    let asked = upstream.referrers(repository, subject, &mut room).await;
    match app.counted(upstream, "referrers", asked) {
        Ok(Referrers::Api { descriptors, .. }) => {
            for one in descriptors {
                listed.insert(one.digest, one.to_json());
            }
        }
        Ok(Referrers::NoApi) | Err(Fault::NotFound) => {}
        Err(fault) => return Err(Refusal::upstream(&fault, Missing::Manifest)),
    }
    let tag = Reference::Tag(Tag::for_digest(subject, DigestTagSuffix::None));
    match resolve::fetch(app, live, repository, &tag, Accept::only(media_type::OCI_INDEX)).await {
        Ok(document) => {
            if let Manifest::Index(index) = document.value().manifest() {
                for child in &index.manifests {
                    let Some(digest) = child.digest else { continue };
                    listed.entry(digest).or_insert_with(|| descriptor(child));
                }
            }
        }
        Err(Refusal::Missing(_) | Refusal::Denied(_)) => {}
        Err(refusal) => return Err(refusal),
    }
    let wanted = |value: &Value| artifact_type.is_none_or(|wanted| value["artifactType"] == *wanted);
    Ok(listed.into_values().filter(wanted).collect())
}

/// A descriptor from its parsed parts: no `urls`, no `data` (A037).
fn descriptor(child: &Descriptor) -> Value {
    let mut value = serde_json::Map::new();
    value.insert("mediaType".to_owned(), json!(child.media_type));
    value.insert("digest".to_owned(), json!(child.digest));
    value.insert("size".to_owned(), json!(child.size));
    if let Some(artifact_type) = &child.artifact_type {
        value.insert("artifactType".to_owned(), json!(artifact_type));
    }
    if !child.annotations.is_empty() {
        value.insert("annotations".to_owned(), json!(child.annotations));
    }
    Value::Object(value)
}
