//! skopeo, with the shipped configuration: the registry is blocked, the gate is its mirror.

use std::io;

use pullgate_tests::clients::{Containers, Trust, containers::available};

use crate::stage::{
    ALIAS, BUILDKIT, INDEX, NOT_SIGNED, SIGNED, STRANGER, Stage, assert_pulled, assert_refused, have,
};

fn start(trust: Trust) -> io::Result<Option<(Stage, Containers)>> {
    if !have("skopeo", available("skopeo")) {
        return Ok(None);
    }
    let stage = Stage::new()?;
    let containers = Containers::new(stage.around.address(), ALIAS, stage.front.address(), trust)?;
    Ok(Some((stage, containers)))
}

#[test]
fn skopeo_pulls_a_signed_image_by_tag_and_by_digest() -> io::Result<()> {
    let Some((stage, containers)) = start(Trust::Shipped)? else { return Ok(()) };
    assert_pulled(&containers.skopeo_copy(&[], &stage.image(SIGNED))?);
    assert_pulled(&containers.skopeo_copy(&[], &stage.image(&stage.by_digest(SIGNED)?))?);
    stage.assert_nobody_went_around();
    Ok(())
}

#[test]
fn skopeo_shows_why_an_image_is_refused() -> io::Result<()> {
    let Some((stage, containers)) = start(Trust::Anything)? else { return Ok(()) };
    for image in [NOT_SIGNED, STRANGER] {
        assert_refused(&containers.skopeo_copy(&[], &stage.image(image))?);
    }
    assert_refused(&containers.skopeo_copy(&[], &stage.image(&stage.by_digest(NOT_SIGNED)?))?);
    stage.assert_nobody_went_around();
    Ok(())
}

#[test]
fn skopeo_takes_its_platform_of_a_signed_index() -> io::Result<()> {
    let Some((stage, containers)) = start(Trust::Shipped)? else { return Ok(()) };
    assert_pulled(&containers.skopeo_copy(&[], &stage.image(INDEX))?);
    stage.assert_nobody_went_around();
    Ok(())
}

#[test]
fn skopeo_copies_every_child_of_a_signed_index_with_its_attestation_manifest() -> io::Result<()> {
    let Some((stage, containers)) = start(Trust::Shipped)? else { return Ok(()) };
    for image in [INDEX, BUILDKIT] {
        assert_pulled(&containers.skopeo_copy(&["--all"], &stage.image(image))?);
    }
    stage.assert_nobody_went_around();
    Ok(())
}
