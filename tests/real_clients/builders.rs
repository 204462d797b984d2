//! What builders and update bots do, with the library that most of them are made of: a base image is exported as one file
//! system (kaniko), and a repository's tags, digests and labels are read (Renovate).

use std::io;

use pullgate_tests::clients::{oci_tools, tool::built};

use crate::stage::{INDEX, NOT_SIGNED, SIGNED, Stage, assert_pulled, assert_refused, have};

fn start() -> io::Result<Option<Stage>> {
    if have("builders", built("crane").map(|_| ())) { Stage::new().map(Some) } else { Ok(None) }
}

#[test]
fn a_builder_exports_a_signed_base_image_and_no_other() -> io::Result<()> {
    let Some(stage) = start()? else { return Ok(()) };
    let to = stage.home.path().join("base.tar").display().to_string();
    for image in [SIGNED, INDEX] {
        let from = stage.prefixed(image);
        assert_pulled(&oci_tools::crane(
            &["export", "--platform", "linux/amd64", &from, &to],
            stage.home.path(),
        )?);
    }
    assert_refused(&oci_tools::crane(&["export", &stage.prefixed(NOT_SIGNED), &to], stage.home.path())?);
    stage.assert_nobody_went_around();
    Ok(())
}

/// Tags are a list and are not judged; what one of them names is.
#[test]
fn an_update_bot_reads_tags_digests_and_labels_of_what_is_signed() -> io::Result<()> {
    let Some(stage) = start()? else { return Ok(()) };
    let (name, _) = SIGNED.split_once(':').unwrap();
    let tags = oci_tools::crane(&["ls", &stage.prefixed(name)], stage.home.path())?;
    assert_pulled(&tags);
    assert!(tags.says("p256") && tags.says("wrong-key"), "{}", tags.text);
    for command in ["digest", "config", "manifest"] {
        assert_pulled(&oci_tools::crane(&[command, &stage.prefixed(SIGNED)], stage.home.path())?);
        assert_refused(&oci_tools::crane(&[command, &stage.prefixed(NOT_SIGNED)], stage.home.path())?);
    }
    stage.assert_nobody_went_around();
    Ok(())
}
