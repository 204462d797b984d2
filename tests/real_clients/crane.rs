//! crane, by a reference that names the gate.

use std::io;

use pullgate_tests::clients::{oci_tools, tool::built};

use crate::stage::{
    BUILDKIT, INDEX, NOT_SIGNED, SIGNED, STRANGER, Stage, assert_pulled, assert_refused, have,
};

fn start() -> io::Result<Option<Stage>> {
    if have("crane", built("crane").map(|_| ())) { Stage::new().map(Some) } else { Ok(None) }
}

#[test]
fn crane_pulls_a_signed_image_by_tag_and_by_digest() -> io::Result<()> {
    let Some(stage) = start()? else { return Ok(()) };
    assert_pulled(&oci_tools::crane_pull(&stage.prefixed(SIGNED), stage.home.path())?);
    assert_pulled(&oci_tools::crane_pull(&stage.prefixed(&stage.by_digest(SIGNED)?), stage.home.path())?);
    stage.assert_nobody_went_around();
    Ok(())
}

#[test]
fn crane_pulls_every_child_of_a_signed_index() -> io::Result<()> {
    let Some(stage) = start()? else { return Ok(()) };
    for image in [INDEX, BUILDKIT] {
        assert_pulled(&oci_tools::crane_pull(&stage.prefixed(image), stage.home.path())?);
    }
    Ok(())
}

#[test]
fn crane_learns_a_digest_by_head() -> io::Result<()> {
    let Some(stage) = start()? else { return Ok(()) };
    let outcome = oci_tools::crane_digest(&stage.prefixed(SIGNED), stage.home.path())?;
    assert_pulled(&outcome);
    let (_, digest) =
        stage.by_digest(SIGNED)?.split_once('@').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert!(outcome.says(&digest), "{}", outcome.text);
    assert!(stage.front.take_requests().iter().all(|request| !request.starts_with("GET /v2/registry")));
    Ok(())
}

#[test]
fn crane_shows_why_an_image_is_refused() -> io::Result<()> {
    let Some(stage) = start()? else { return Ok(()) };
    for image in [NOT_SIGNED, STRANGER] {
        assert_refused(&oci_tools::crane_pull(&stage.prefixed(image), stage.home.path())?);
        assert_refused(&oci_tools::crane_digest(&stage.prefixed(image), stage.home.path())?);
    }
    stage.assert_nobody_went_around();
    Ok(())
}

/// The control of every other count here: a client that goes around does succeed, and is seen.
#[test]
fn the_way_around_works_and_is_counted() -> io::Result<()> {
    let Some(stage) = start()? else { return Ok(()) };
    assert_pulled(&oci_tools::crane_pull(&stage.image(NOT_SIGNED), stage.home.path())?);
    assert!(stage.around.connections() > 0);
    Ok(())
}
