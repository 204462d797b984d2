//! containerd, through the CRI as a kubelet asks and through `ctr`. Its `hosts.toml` is the shipped one.

use std::io;

use pullgate_tests::clients::{Containerd, containerd::available, cosign, image, tool::built};

use crate::stage::{
    BUILDKIT, INDEX, NOT_SIGNED, SIGNED, STRANGER, Stage, assert_pulled, assert_refused, have,
};

fn start() -> io::Result<Option<(Stage, Containerd)>> {
    if !have("containerd", available()) {
        return Ok(None);
    }
    let stage = Stage::new()?;
    let containerd = Containerd::start(stage.front.address())?;
    Ok(Some((stage, containerd)))
}

#[test]
fn containerd_pulls_a_signed_image_by_tag_and_by_digest() -> io::Result<()> {
    let Some((stage, containerd)) = start()? else { return Ok(()) };
    assert_pulled(&containerd.cri_pull(&stage.image(SIGNED))?);
    assert_pulled(&containerd.cri_pull(&stage.image(&stage.by_digest(SIGNED)?))?);
    stage.assert_nobody_went_around();
    Ok(())
}

#[test]
fn containerd_shows_why_an_image_is_refused() -> io::Result<()> {
    let Some((stage, containerd)) = start()? else { return Ok(()) };
    for image in [NOT_SIGNED, STRANGER] {
        assert_refused(&containerd.cri_pull(&stage.image(image))?);
        assert_refused(&containerd.ctr_pull(&[], &stage.image(image))?);
    }
    assert_refused(&containerd.cri_pull(&stage.image(&stage.by_digest(NOT_SIGNED)?))?);
    stage.assert_nobody_went_around();
    Ok(())
}

#[test]
fn containerd_takes_its_platform_of_a_signed_index() -> io::Result<()> {
    let Some((stage, containerd)) = start()? else { return Ok(()) };
    for image in [INDEX, BUILDKIT] {
        assert_pulled(&containerd.cri_pull(&stage.image(image))?);
    }
    stage.assert_nobody_went_around();
    Ok(())
}

#[test]
fn ctr_takes_every_child_of_a_signed_index() -> io::Result<()> {
    let Some((stage, containerd)) = start()? else { return Ok(()) };
    assert_pulled(&containerd.ctr_pull(&["--all-platforms"], &stage.image(INDEX))?);
    stage.assert_nobody_went_around();
    Ok(())
}

#[test]
fn containerd_that_has_the_content_gets_its_answer_by_head_alone() -> io::Result<()> {
    let Some((stage, containerd)) = start()? else { return Ok(()) };
    assert_pulled(&containerd.cri_pull(&stage.image(SIGNED))?);
    stage.front.take_requests();
    assert_pulled(&containerd.cri_pull(&stage.image(SIGNED))?);
    assert_head_alone(&stage.front.take_requests());
    Ok(())
}

#[test]
fn containerd_that_has_the_content_is_refused_by_head_alone_once_the_policy_says_no() -> io::Result<()> {
    let Some((stage, containerd)) = start()? else { return Ok(()) };
    assert_pulled(&containerd.cri_pull(&stage.image(SIGNED))?);
    stage.distrust_release()?;
    stage.front.take_requests();
    assert_refused(&containerd.cri_pull(&stage.image(SIGNED))?);
    assert_head_alone(&stage.front.take_requests());
    stage.assert_nobody_went_around();
    Ok(())
}

#[test]
fn containerd_pulls_nothing_when_the_gate_is_down() -> io::Result<()> {
    let Some((stage, containerd)) = start()? else { return Ok(()) };
    let image = stage.image(SIGNED);
    let Stage { around, gate, upstream, .. } = stage;
    drop(gate);
    let outcome = containerd.cri_pull(&image)?;
    assert!(!outcome.succeeded(), "{}", outcome.text);
    assert_eq!(around.connections(), 0);
    drop(upstream);
    Ok(())
}

#[test]
fn a_container_starts_from_a_signed_image() -> io::Result<()> {
    if !have("containerd-run", available().and(image::startable()).and(built("cosign").map(|_| ()))) {
        return Ok(());
    }
    let stage = Stage::new()?;
    let containerd = Containerd::start(stage.front.address())?;
    let content = image::multi("started", "a container starts");
    content.push(stage.upstream.address(), "shop/started")?;
    let signed = format!("{}/shop/started@{}", stage.upstream.address(), content.digest("started")?);
    assert_pulled(&cosign::sign("release", &signed, stage.home.path())?);
    let image = stage.image("shop/started:started");
    assert_pulled(&containerd.ctr_pull(&[], &image)?);
    let outcome = containerd.ctr_run(&image, &["/bin/busybox", "cat", "/seed"])?;
    assert_pulled(&outcome);
    assert!(outcome.says("a container starts amd64"), "{}", outcome.text);
    stage.assert_nobody_went_around();
    Ok(())
}

/// At least one request, each a HEAD of a manifest. A refused digest is also looked for under `/blobs/` by old releases.
fn assert_head_alone(requests: &[String]) {
    assert!(requests.iter().any(|request| request.contains("/manifests/")), "{requests:?}");
    assert!(requests.iter().all(|request| request.starts_with("HEAD ")), "{requests:?}");
}
