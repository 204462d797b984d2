//! oras, by a reference that names the gate. It asks for every child and blob at once.

use std::io;

use pullgate_tests::clients::{oci_tools, tool::built};

use crate::stage::{
    BUILDKIT, INDEX, NOT_SIGNED, SIGNED, STRANGER, Stage, assert_pulled, assert_refused, have,
};

fn start() -> io::Result<Option<Stage>> {
    if have("oras", built("oras").map(|_| ())) { Stage::new().map(Some) } else { Ok(None) }
}

#[test]
fn oras_copies_a_signed_image_and_every_child_of_a_signed_index() -> io::Result<()> {
    let Some(stage) = start()? else { return Ok(()) };
    for image in [SIGNED, INDEX, BUILDKIT] {
        assert_pulled(&oci_tools::oras_copy(&stage.prefixed(image), stage.home.path())?);
    }
    assert_pulled(&oci_tools::oras_copy(&stage.prefixed(&stage.by_digest(SIGNED)?), stage.home.path())?);
    stage.assert_nobody_went_around();
    Ok(())
}

#[test]
fn oras_shows_why_an_image_is_refused() -> io::Result<()> {
    let Some(stage) = start()? else { return Ok(()) };
    for image in [NOT_SIGNED, STRANGER] {
        assert_refused(&oci_tools::oras_copy(&stage.prefixed(image), stage.home.path())?);
    }
    stage.assert_nobody_went_around();
    Ok(())
}
