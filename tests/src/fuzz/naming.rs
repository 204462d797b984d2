//! Request lines, ranges and scopes.

use std::collections::BTreeSet;

use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, Method, Uri};
use pullgate::accept::Accept;
use pullgate::http::range::{self, Wanted};
use pullgate::route::{self, Registries, Route};
use pullgate_policy::oci::{Digest, Reference, Registry, Repository};
use pullgate_policy::scope::Scope;

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

pub(super) fn routes() -> Vec<Vec<u8>> {
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

pub(super) fn route(input: &[u8]) -> Result<(), String> {
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
        // It goes back to the client in a header of the gate's own.
        if target.as_asked.bytes().any(|byte| !byte.is_ascii_graphic() || b"<>\"%?#".contains(&byte)) {
            return Err("the name as it was asked for cannot be said again".to_owned());
        }
        said_again(&method, &route)?;
    }
    Ok(())
}

/// What was read, written out in both ways in which a registry can be named, is read as the same.
fn said_again(method: &Method, route: &Route) -> Result<(), String> {
    let (target, end) = match route {
        Route::Base => return Ok(()),
        Route::Blob(target, digest) => (target, format!("blobs/{digest}")),
        Route::Manifest(target, reference) => (target, format!("manifests/{reference}")),
        Route::Referrers(target, digest, _) => (target, format!("referrers/{digest}")),
        Route::Tags(target, _) => (target, "tags/list".to_owned()),
    };
    let (registry, path) = (target.repository.registry(), target.repository.path());
    for said in [format!("/v2/{registry}/{path}/{end}"), format!("/v2/{path}/{end}?ns={registry}")] {
        let uri = said.parse::<Uri>().map_err(|error| format!("{said}: {error}"))?;
        let again = route::parse(method, &uri, &Known).map_err(|fault| format!("{said}: {fault}"))?;
        let same = match (route, &again) {
            (Route::Blob(one, digest), Route::Blob(other, also)) => {
                one.repository == other.repository && digest == also
            }
            (Route::Manifest(one, name), Route::Manifest(other, also)) => {
                one.repository == other.repository && name == also
            }
            (Route::Referrers(one, digest, _), Route::Referrers(other, also, _)) => {
                one.repository == other.repository && digest == also
            }
            (Route::Tags(one, _), Route::Tags(other, _)) => one.repository == other.repository,
            (
                Route::Base | Route::Blob(..) | Route::Manifest(..) | Route::Referrers(..) | Route::Tags(..),
                _,
            ) => false,
        };
        if !same {
            return Err(format!("{said} is read as another request"));
        }
    }
    Ok(())
}

pub(super) fn accepts() -> Vec<Vec<u8>> {
    [
        "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.index.v1+json;q=0.5,*/*;q=0",
        "text/html",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// A list is a small set, whatever stands in it and in whatever order, and says itself again.
pub(super) fn accept(input: &[u8]) -> Result<(), String> {
    let Ok(value) = HeaderValue::from_bytes(input) else { return Ok(()) };
    let read = |value: HeaderValue| Accept::of(&HeaderMap::from_iter([(ACCEPT, value)]));
    let Ok(set) = read(value.clone()) else { return Ok(()) };
    let key = set.key();
    if key.len() > 1024 || set.types().is_empty() {
        return Err(format!("a key of {} bytes for {} types", key.len(), set.types().len()));
    }
    let again = HeaderValue::from_str(&key).map_err(|error| error.to_string())?;
    if read(again) != Ok(set) {
        return Err(format!("{key} is read as another set"));
    }
    let Ok(text) = value.to_str() else { return Ok(()) };
    let turned = text.split(',').rev().collect::<Vec<_>>().join(",");
    let turned = HeaderValue::from_str(&turned).map_err(|error| error.to_string())?;
    if read(turned) == Ok(set) { Ok(()) } else { Err("the order makes a difference".to_owned()) }
}

pub(super) fn ranges() -> Vec<Vec<u8>> {
    ["bytes=0-9", "bytes=-5", "bytes=5-", "bytes=0-0,2-3", "bytes=9-1"]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
}

pub(super) fn range_header(input: &[u8]) -> Result<(), String> {
    let Ok(value) = HeaderValue::from_bytes(input) else { return Ok(()) };
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

pub(super) fn scopes() -> Vec<Vec<u8>> {
    ["ghcr.io/myorg/**", "docker.io/library/*", "**", "a.io/b*/c"]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
}

pub(super) fn scope(input: &[u8]) -> Result<(), String> {
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
