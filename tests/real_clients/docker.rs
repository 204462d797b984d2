//! The Docker engine 20.10, by a reference that names the gate.

use std::io;

use pullgate_tests::clients::{Dockerd, Forwarder, dockerd::available};

use crate::stage::{
    BUILDKIT, INDEX, NOT_SIGNED, SIGNED, STRANGER, Stage, assert_pulled, assert_refused, have,
};

/// The discard port: nobody listens there.
const NOWHERE: &str = "127.0.0.1:9";

struct Engine {
    docker: Dockerd,
    stage: Stage,
    outside: Forwarder,
}

fn start() -> io::Result<Option<Engine>> {
    if !have("docker", available()) {
        return Ok(None);
    }
    let stage = Stage::new()?;
    let outside = Forwarder::start(NOWHERE)?;
    let docker = Dockerd::start(stage.front.address(), outside.address())?;
    Ok(Some(Engine { docker, stage, outside }))
}

impl Engine {
    fn assert_nobody_went_around(&self) {
        self.stage.assert_nobody_went_around();
        assert_eq!(self.outside.connections(), 0, "{:?}", self.outside.take_requests());
    }
}

#[test]
fn docker_pulls_a_signed_image_by_tag_and_by_digest() -> io::Result<()> {
    let Some(engine) = start()? else { return Ok(()) };
    let Engine { docker, stage, .. } = &engine;
    assert_pulled(&docker.pull(&stage.prefixed(SIGNED))?);
    assert_pulled(&docker.pull(&stage.prefixed(&stage.by_digest(SIGNED)?))?);
    engine.assert_nobody_went_around();
    Ok(())
}

#[test]
fn docker_shows_why_an_image_is_refused() -> io::Result<()> {
    let Some(engine) = start()? else { return Ok(()) };
    let Engine { docker, stage, .. } = &engine;
    for image in [NOT_SIGNED, STRANGER] {
        assert_refused(&docker.pull(&stage.prefixed(image))?);
    }
    assert_refused(&docker.pull(&stage.prefixed(&stage.by_digest(NOT_SIGNED)?))?);
    engine.assert_nobody_went_around();
    Ok(())
}

#[test]
fn docker_takes_its_platform_of_a_signed_index() -> io::Result<()> {
    let Some(engine) = start()? else { return Ok(()) };
    for image in [INDEX, BUILDKIT] {
        assert_pulled(&engine.docker.pull(&engine.stage.prefixed(image))?);
    }
    engine.assert_nobody_went_around();
    Ok(())
}

#[test]
fn docker_that_has_the_image_asks_by_head_first_and_for_no_layer() -> io::Result<()> {
    let Some(engine) = start()? else { return Ok(()) };
    let Engine { docker, stage, .. } = &engine;
    assert_pulled(&docker.pull(&stage.prefixed(SIGNED))?);
    stage.front.take_requests();
    assert_pulled(&docker.pull(&stage.prefixed(SIGNED))?);
    let requests = stage.front.take_requests();
    let first = requests.iter().find(|request| request.contains("/manifests/"));
    assert!(first.is_some_and(|request| request.starts_with("HEAD ")), "{requests:?}");
    assert!(!requests.iter().any(|request| request.contains("/blobs/")), "{requests:?}");
    Ok(())
}

#[test]
fn docker_that_has_the_image_is_refused_once_the_policy_says_no() -> io::Result<()> {
    let Some(engine) = start()? else { return Ok(()) };
    let Engine { docker, stage, .. } = &engine;
    assert_pulled(&docker.pull(&stage.prefixed(SIGNED))?);
    stage.distrust_release()?;
    assert_refused(&docker.pull(&stage.prefixed(SIGNED))?);
    engine.assert_nobody_went_around();
    Ok(())
}
