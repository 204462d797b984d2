//! regctl, by a reference that names the gate: it copies an image with its signatures.

use std::io;

use pullgate_tests::clients::{oci_tools, tool::built};

use crate::stage::{
    BUILDKIT, INDEX, NOT_SIGNED, SIGNED, STRANGER, Stage, assert_pulled, assert_refused, have,
};

fn start() -> io::Result<Option<Stage>> {
    if have("regctl", built("regctl").map(|_| ())) { Stage::new().map(Some) } else { Ok(None) }
}

#[test]
fn regctl_copies_a_signed_image_with_its_signatures() -> io::Result<()> {
    let Some(stage) = start()? else { return Ok(()) };
    for (at, image) in [SIGNED, INDEX, BUILDKIT].iter().enumerate() {
        let to = format!("ocidir://{}/regctl-{at}:copied", stage.home.path().display());
        let from = stage.prefixed(image);
        let copy = ["image", "copy", "--referrers", "--digest-tags", &from, &to];
        assert_pulled(&oci_tools::regctl(&copy, stage.front.address(), stage.home.path())?);
        let listed = oci_tools::regctl(&["tag", "ls", &to], stage.front.address(), stage.home.path())?;
        assert!(listed.says(".sig"), "the signature came along: {}", listed.text);
    }
    stage.assert_nobody_went_around();
    Ok(())
}

#[test]
fn regctl_shows_why_an_image_is_refused() -> io::Result<()> {
    let Some(stage) = start()? else { return Ok(()) };
    for image in [NOT_SIGNED, STRANGER] {
        let from = stage.prefixed(image);
        for command in ["get", "head"] {
            let asked = ["manifest", command, &from];
            let outcome = oci_tools::regctl(&asked, stage.front.address(), stage.home.path())?;
            assert!(!outcome.succeeded(), "{}", outcome.text);
        }
        let to = format!("ocidir://{}/refused:copied", stage.home.path().display());
        let copy = ["image", "copy", &from, &to];
        assert_refused(&oci_tools::regctl(&copy, stage.front.address(), stage.home.path())?);
    }
    stage.assert_nobody_went_around();
    Ok(())
}
