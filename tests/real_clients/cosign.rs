//! Real cosign v3 signs fresh images, keyed and offline, in a registry with the referrers API and in one without it
//! (where it writes the fallback tag); the gate permits them, and cosign verifies them through the gate.

use std::io;

use pullgate_tests::clients::{
    Content, ReferrersRegistry, Registry, cosign, image, oci_tools, registry::referrers_available,
    tool::built,
};

use crate::stage::{NOT_SIGNED, Stage, Upstream, assert_pulled, assert_refused, have};

/// Makes an image that has never been, pushes it, and lets `key` sign it; answers `shop/NAME@DIGEST`.
pub(crate) fn sign(stage: &Stage, key: &str, content: &Content, tag: &str) -> io::Result<String> {
    let repository = format!("shop/{tag}");
    content.push(stage.upstream.address(), &repository)?;
    let name = format!("{repository}@{}", content.digest(tag)?);
    assert_pulled(&cosign::sign(key, &format!("{}/{name}", stage.upstream.address()), stage.home.path())?);
    Ok(name)
}

pub(crate) fn needs() -> Result<(), String> {
    built("cosign").and(built("crane")).map(|_| ())
}

fn stages() -> io::Result<Vec<Stage>> {
    let mut stages = Vec::new();
    if have("cosign", needs()) {
        stages.push(Stage::before(Upstream::Plain(Registry::start()?))?);
    }
    if have("cosign-referrers", needs().and(referrers_available())) {
        stages.push(Stage::before(Upstream::Referrers(ReferrersRegistry::start()?))?);
    }
    Ok(stages)
}

#[test]
fn an_image_that_cosign_signs_is_permitted_and_cosign_verifies_it_through_the_gate() -> io::Result<()> {
    for stage in stages()? {
        for content in [image::single("signed", "one platform"), image::multi("signed", "two platforms")] {
            let name = sign(&stage, "release", &content, "signed")?;
            assert_pulled(&oci_tools::crane_pull(&stage.prefixed(&name), stage.home.path())?);
            let verified = cosign::verify("release", &stage.prefixed(&name), stage.home.path())?;
            assert_pulled(&verified);
            assert!(verified.says("verified against the specified public key"), "{}", verified.text);
        }
        stage.assert_nobody_went_around();
    }
    Ok(())
}

#[test]
fn an_image_that_cosign_signs_with_an_unknown_key_is_refused() -> io::Result<()> {
    for stage in stages()? {
        let name = sign(&stage, "stranger", &image::single("foreign", "a stranger's"), "foreign")?;
        assert_refused(&oci_tools::crane_pull(&stage.prefixed(&name), stage.home.path())?);
    }
    Ok(())
}

#[test]
fn an_image_without_a_signature_is_refused_to_cosign_too() -> io::Result<()> {
    for stage in stages()? {
        let outcome = cosign::verify("release", &stage.prefixed(NOT_SIGNED), stage.home.path())?;
        assert!(!outcome.succeeded(), "{}", outcome.text);
        stage.assert_nobody_went_around();
    }
    Ok(())
}
