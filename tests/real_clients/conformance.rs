//! The OCI distribution specification's own conformance suite, read-only, against the gate: before a registry without the
//! referrers API and one with it. No failure is expected.

use std::io;

use pullgate_tests::clients::{
    Content, ReferrersRegistry, Registry,
    conformance::{self, Known},
    http,
    registry::referrers_available,
    tool::{built, recorded},
};
use serde_json::Value;

use crate::stage::{ALIAS, Stage, Upstream, have};

const ALL: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json";

/// What a tag stands for: its digest, its children's, and the blobs of all of them.
fn content(stage: &Stage, repository: &str, tag: &str) -> io::Result<(Vec<String>, Vec<String>)> {
    let path = |reference: &str| format!("/v2/{repository}/manifests/{reference}");
    let (mut manifests, mut blobs, mut wanted) = (Vec::new(), Vec::new(), vec![tag.to_owned()]);
    while let Some(reference) = wanted.pop() {
        let answer = http::call(stage.upstream.address(), "GET", &path(&reference), &[("Accept", ALL)], &[])?;
        manifests.push(pullgate_tests::clients::content::sha256(&answer.body));
        let document: Value = serde_json::from_slice(&answer.body).map_err(io::Error::other)?;
        let digests = |of: &str| {
            let list = document.get(of).and_then(Value::as_array).cloned().unwrap_or_default();
            list.iter().filter_map(|one| Some(one.get("digest")?.as_str()?.to_owned())).collect::<Vec<_>>()
        };
        wanted.extend(digests("manifests"));
        blobs.extend(digests("layers"));
        blobs.extend(document.pointer("/config/digest").and_then(Value::as_str).map(str::to_owned));
    }
    blobs.sort();
    blobs.dedup();
    Ok((manifests, blobs))
}

fn assert_conforms(stage: &Stage, repository: &str, tag: &str) -> io::Result<()> {
    let (manifests, blobs) = content(stage, repository, tag)?;
    let known =
        Known { repository: &format!("{ALIAS}/{repository}"), tag, manifests: &manifests, blobs: &blobs };
    let found = conformance::run(stage.front.address(), &known, stage.home.path())?;
    assert_eq!(found.failed, Vec::<String>::new(), "{}", found.text);
    // Each manifest and blob by GET and HEAD, the tag, the lists and what does not exist: a suite that skipped them is
    // no proof.
    let least = 2 * (manifests.len() + blobs.len()) + 4;
    assert!(found.passed >= least, "{} of at least {least}: {}", found.passed, found.text);
    stage.assert_nobody_went_around();
    Ok(())
}

#[test]
fn the_gate_conforms_before_a_registry_without_the_referrers_api() -> io::Result<()> {
    if !have("conformance", built("conformance").map(|_| ())) {
        return Ok(());
    }
    let stage = Stage::before(Upstream::Plain(Registry::start()?))?;
    assert_conforms(&stage, "shop/multi", "index-only")?;
    assert_conforms(&stage, "shop/keyed", "p256")
}

#[test]
fn the_gate_conforms_before_a_registry_with_the_referrers_api() -> io::Result<()> {
    if !have("conformance-referrers", built("conformance").map(|_| ()).and(referrers_available())) {
        return Ok(());
    }
    let stage = Stage::before(Upstream::Referrers(ReferrersRegistry::start()?))?;
    Content::from_layout(&recorded("cosign3-keyed"))?.push(stage.upstream.address(), "shop/bundles")?;
    assert_conforms(&stage, "shop/bundles", "two-keys")
}

/// The control: what is refused does fail the suite, so that a suite that asks for nothing would be seen.
#[test]
fn the_suite_fails_where_the_gate_refuses() -> io::Result<()> {
    if !have("conformance", built("conformance").map(|_| ())) {
        return Ok(());
    }
    let stage = Stage::new()?;
    let (manifests, blobs) = content(&stage, "shop/keyed", "wrong-key")?;
    let known = Known {
        repository: &format!("{ALIAS}/shop/keyed"),
        tag: "wrong-key",
        manifests: &manifests,
        blobs: &blobs,
    };
    let found = conformance::run(stage.front.address(), &known, stage.home.path())?;
    assert!(found.failed.len() >= 2 * (manifests.len() + blobs.len()), "{}", found.text);
    Ok(())
}
