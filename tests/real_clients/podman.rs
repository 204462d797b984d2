//! podman, with the shipped configuration: the registry is blocked, the gate is its mirror.

use std::io;

use pullgate_tests::clients::content::{Manifest, sha256};
use pullgate_tests::clients::{Containers, Content, Trust, containers::available, cosign, image};
use pullgate_tests::made::{CONFIG, MANIFEST, descriptor};
use pullgate_tests::polyglot;
use pullgate_tests::signing::SIMPLE_SIGNING;
use serde_json::json;

use crate::cosign::{needs as cosign_needs, sign};
use crate::stage::{
    ALIAS, BUILDKIT, INDEX, NOT_SIGNED, SIGNED, STRANGER, Stage, assert_pulled, assert_refused, have,
};

fn start(trust: Trust) -> io::Result<Option<(Stage, Containers)>> {
    if !have("podman", available("podman")) {
        return Ok(None);
    }
    let stage = Stage::new()?;
    let containers = Containers::new(stage.around.address(), ALIAS, stage.front.address(), trust)?;
    Ok(Some((stage, containers)))
}

#[test]
fn podman_pulls_a_signed_image_by_tag_and_by_digest() -> io::Result<()> {
    let Some((stage, containers)) = start(Trust::Shipped)? else { return Ok(()) };
    assert_pulled(&containers.podman_pull(&[], &stage.image(SIGNED))?);
    assert_pulled(&containers.podman_pull(&[], &stage.image(&stage.by_digest(SIGNED)?))?);
    stage.assert_nobody_went_around();
    Ok(())
}

#[test]
fn podman_shows_why_an_image_is_refused() -> io::Result<()> {
    let Some((stage, containers)) = start(Trust::Anything)? else { return Ok(()) };
    for image in [NOT_SIGNED, STRANGER] {
        assert_refused(&containers.podman_pull(&[], &stage.image(image))?);
    }
    assert_refused(&containers.podman_pull(&[], &stage.image(&stage.by_digest(NOT_SIGNED)?))?);
    stage.assert_nobody_went_around();
    Ok(())
}

#[test]
fn podman_takes_the_platform_that_it_wants_of_a_signed_index() -> io::Result<()> {
    let Some((stage, containers)) = start(Trust::Shipped)? else { return Ok(()) };
    assert_pulled(&containers.podman_pull(&[], &stage.image(BUILDKIT))?);
    for platform in ["linux/amd64", "linux/arm64"] {
        assert_pulled(&containers.podman_pull(&["--platform", platform], &stage.image(INDEX))?);
    }
    stage.assert_nobody_went_around();
    Ok(())
}

/// An image that nobody signed, whose only layer is a signature's payload and an archive at once.
fn two_faced() -> Content {
    let layer = polyglot::runnable();
    let config = json!({
        "architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [sha256(&layer)]},
        "config": {"Entrypoint": ["/bin/run"]},
    });
    let config = config.to_string().into_bytes();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(CONFIG, &config),
        "layers": [descriptor(SIMPLE_SIGNING, &layer)],
    });
    let (media_type, bytes) = (MANIFEST.to_owned(), manifest.to_string().into_bytes());
    let manifests = vec![Manifest { media_type, bytes, tag: Some("v1".to_owned()) }];
    Content { blobs: vec![config, layer], manifests }
}

#[test]
fn a601_an_unsigned_image_of_json_and_tar_at_once_is_refused_by_the_gate() -> io::Result<()> {
    let Some((stage, containers)) = start(Trust::Anything)? else { return Ok(()) };
    let address = stage.upstream.address();
    two_faced().push(address, "shop/two-faced")?;
    two_faced().push(address, "shop/the-same")?;
    // Without the gate it is an image like any other.
    let without = format!("{address}/shop/the-same:v1");
    assert_pulled(&containers.podman_pull(&["--tls-verify=false"], &without)?);
    assert_refused(&containers.podman_pull(&[], &stage.image("shop/two-faced:v1"))?);
    stage.assert_nobody_went_around();
    Ok(())
}

#[test]
fn a601_podman_pulls_what_cosign_signed_and_cosign_verifies_it_behind_the_gate() -> io::Result<()> {
    if !have("podman-cosign", available("podman").and(cosign_needs())) {
        return Ok(());
    }
    let stage = Stage::new()?;
    let trust = Trust::Shipped;
    let containers = Containers::new(stage.around.address(), ALIAS, stage.front.address(), trust)?;
    let name = sign(&stage, "release", &image::single("both", "pulled and verified"), "both")?;
    assert_pulled(&containers.podman_pull(&[], &stage.image(&name))?);
    let verified = cosign::verify("release", &stage.prefixed(&name), stage.home.path())?;
    assert_pulled(&verified);
    assert!(verified.says("verified against the specified public key"), "{}", verified.text);
    stage.assert_nobody_went_around();
    Ok(())
}
