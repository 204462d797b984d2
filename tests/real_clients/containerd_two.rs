//! containerd 2.x, which pulls through its transfer service: other code, another `hosts.toml` reader, layers in pieces.

use std::io;

use pullgate_tests::clients::{Containerd, containerd::Release, containerd::available_two, image, tool};

use crate::cosign::sign;
use crate::stage::{
    BUILDKIT, INDEX, NOT_SIGNED, SIGNED, STRANGER, Stage, assert_pulled, assert_refused, have,
};

const LAYER: usize = 40 << 20;
const PIECE: usize = 4 << 20;

fn start() -> io::Result<Option<(Stage, Containerd)>> {
    if !have("containerd-2", available_two()) {
        return Ok(None);
    }
    let stage = Stage::new()?;
    let containerd = Containerd::start_release(Release::Two, stage.front.address())?;
    Ok(Some((stage, containerd)))
}

#[test]
fn containerd_2_pulls_what_is_signed_by_tag_and_by_digest() -> io::Result<()> {
    let Some((stage, containerd)) = start()? else { return Ok(()) };
    for image in [SIGNED, INDEX, BUILDKIT, &stage.by_digest(SIGNED)?] {
        assert_pulled(&containerd.cri_pull(&stage.image(image))?);
    }
    assert_pulled(&containerd.ctr_pull(&["--all-platforms"], &stage.image(INDEX))?);
    stage.assert_nobody_went_around();
    Ok(())
}

#[test]
fn containerd_2_shows_why_an_image_is_refused() -> io::Result<()> {
    let Some((stage, containerd)) = start()? else { return Ok(()) };
    for image in [NOT_SIGNED, STRANGER, &stage.by_digest(NOT_SIGNED)?] {
        assert_refused(&containerd.cri_pull(&stage.image(image))?);
        assert_refused(&containerd.ctr_pull(&[], &stage.image(image))?);
    }
    stage.assert_nobody_went_around();
    Ok(())
}

#[test]
fn containerd_2_pulls_nothing_when_the_gate_is_down() -> io::Result<()> {
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

/// The pieces are ranges side by side: the gate fetches the layer once, and each piece leaves as soon as it may.
#[test]
fn containerd_2_fetches_a_layer_in_pieces_side_by_side_and_upstream_gives_it_once() -> io::Result<()> {
    if !have("containerd-2-pieces", available_two().and(tool::built("cosign").map(|_| ()))) {
        return Ok(());
    }
    let stage = Stage::new()?;
    let content = image::large("pieces", "pieces", LAYER);
    sign(&stage, "release", &content, "pieces")?;
    let containerd = Containerd::start_in_pieces(stage.front.address(), PIECE)?;
    stage.link.take_requests();
    assert_pulled(&containerd.cri_pull(&stage.image("shop/pieces:pieces"))?);
    let ranges = stage.front.take_ranges();
    assert!(ranges.len() >= LAYER / PIECE, "in pieces: {ranges:?}");
    let blobs = |line: &&String| line.starts_with("GET ") && line.contains("/blobs/");
    let fetched = stage.link.take_requests();
    // The layer, its config, and the payload of its signature.
    assert!(fetched.iter().filter(blobs).count() <= 4, "{fetched:?}");
    stage.assert_nobody_went_around();
    Ok(())
}

#[test]
fn containerd_2_goes_on_with_a_layer_whose_transfer_broke() -> io::Result<()> {
    if !have("containerd-2-resumed", available_two().and(tool::built("cosign").map(|_| ()))) {
        return Ok(());
    }
    let stage = Stage::new()?;
    sign(&stage, "release", &image::large("broken-two", "broken", LAYER), "broken-two")?;
    let containerd = Containerd::start_release(Release::Two, stage.front.address())?;
    stage.front.cut_next_after(LAYER as u64 / 2);
    assert_pulled(&containerd.cri_pull(&stage.image("shop/broken-two:broken-two"))?);
    stage.assert_nobody_went_around();
    Ok(())
}
