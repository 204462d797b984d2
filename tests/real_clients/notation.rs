//! Real notation signs fresh images, in a registry with the referrers API and in one without it (where it writes the
//! fallback tag); the gate permits them under their root and under no other, and notation verifies them through the gate.

use std::io;

use pullgate_tests::clients::notation::{Envelope, Notation};
use pullgate_tests::clients::process::wait_until;
use pullgate_tests::clients::{
    Containerd, Content, ReferrersRegistry, Registry, containerd, http, image, oci_tools,
    registry::referrers_available, tool::built,
};
use pullgate_tests::notation::{Authority, SUBJECT};

use crate::stage::{ALIAS, NOT_SIGNED, SIGNED, Stage, Upstream, assert_pulled, assert_refused, have};

fn needs() -> Result<(), String> {
    built("notation").and(built("crane")).map(|_| ())
}

fn stages() -> io::Result<Vec<Stage>> {
    let mut stages = Vec::new();
    if have("notation", needs()) {
        stages.push(Stage::before(Upstream::Plain(Registry::start()?))?);
    }
    if have("notation-referrers", needs().and(referrers_available())) {
        stages.push(Stage::before(Upstream::Referrers(ReferrersRegistry::start()?))?);
    }
    Ok(stages)
}

/// The gate trusts this root and no other, from now on.
fn trust(stage: &Stage, root: &Authority, refused: &str) -> io::Result<()> {
    let file = stage.home.path().join("root.pem");
    std::fs::write(&file, root.pem())?;
    stage.gate.set_policy(&format!(
        r#"[trust.corp]
x509 = {{ ca = ["{}"] }}
[authority.release]
trust = "corp"
subjects = ["{SUBJECT}"]
[[policy]]
name = "production"
scope = ["{}/**"]
[[policy.require]]
signed_by = {{ any_of = ["release"] }}
"#,
        file.display(),
        stage.around.address(),
    ))?;
    let path = format!("/v2/{ALIAS}/{}", refused.replacen([':', '@'], "/manifests/", 1));
    wait_until("the policy is in force", || {
        http::call(stage.gate.address(), "HEAD", &path, &[], &[]).is_ok_and(|answer| answer.status == 403)
    })
}

/// Pushes an image, and lets notation sign it; answers `shop/TAG@DIGEST`.
fn sign(
    stage: &Stage,
    notation: &Notation,
    content: &Content,
    tag: &str,
    envelope: Envelope,
) -> io::Result<String> {
    let repository = format!("shop/{tag}");
    content.push(stage.upstream.address(), &repository)?;
    let name = format!("{repository}@{}", content.digest(tag)?);
    assert_pulled(&notation.sign(&format!("{}/{name}", stage.upstream.address()), envelope)?);
    Ok(name)
}

#[test]
fn what_notation_signs_is_permitted_and_notation_verifies_it_through_the_gate() -> io::Result<()> {
    for stage in stages()? {
        let (corp, other) = (Authority::new("corp root"), Authority::new("corp root"));
        let notation = Notation::new(stage.home.path(), &corp.signer(), &corp)?;
        trust(&stage, &corp, SIGNED)?;
        let mut last = String::new();
        for (tag, envelope) in [("jws", Envelope::Jws), ("cose", Envelope::Cose)] {
            for content in [image::single(tag, "one platform"), image::multi(tag, "two platforms")] {
                last = sign(&stage, &notation, &content, tag, envelope)?;
                assert_pulled(&oci_tools::crane_pull(&stage.prefixed(&last), stage.home.path())?);
                assert_pulled(&notation.verify(&stage.prefixed(&last))?);
            }
        }
        assert_refused(&oci_tools::crane_pull(&stage.prefixed(NOT_SIGNED), stage.home.path())?);
        // Under another root of the same name neither the image leaves nor its signature.
        trust(&stage, &other, &last)?;
        assert_refused(&oci_tools::crane_pull(&stage.prefixed(&last), stage.home.path())?);
        assert!(!notation.verify(&stage.prefixed(&last))?.succeeded());
        stage.assert_nobody_went_around();
    }
    Ok(())
}

#[test]
fn containerd_pulls_what_notation_signed_and_is_refused_under_another_root() -> io::Result<()> {
    if !have("notation-containerd", needs().and(containerd::available())) {
        return Ok(());
    }
    let stage = Stage::new()?;
    let containerd = Containerd::start(stage.front.address())?;
    let (corp, other) = (Authority::new("corp root"), Authority::new("corp root"));
    let notation = Notation::new(stage.home.path(), &corp.signer(), &corp)?;
    trust(&stage, &corp, SIGNED)?;
    let name = sign(&stage, &notation, &image::multi("signed", "by notation"), "signed", Envelope::Jws)?;
    assert_pulled(&containerd.cri_pull(&stage.image(&name))?);
    trust(&stage, &other, &name)?;
    assert_refused(&containerd.cri_pull(&stage.image(&name))?);
    stage.assert_nobody_went_around();
    Ok(())
}
