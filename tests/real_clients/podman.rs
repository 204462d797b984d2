//! podman, with the shipped configuration: the registry is blocked, the gate is its mirror.

use std::io;

use pullgate_tests::clients::{Containers, Trust, containers::available};

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
