//! TLS with a private certificate authority, and a login, for the clients that are no engine: each is told the authority
//! in its own way, and trusts no other.

use std::io;

use pullgate_tests::clients::{Containers, Outcome, Trust, containers, cosign, oci_tools, tool};

use crate::secured::{LOGIN, NOWHERE, Proof, Stage, assert_not_let_in};
use crate::stage::{ALIAS, NOT_SIGNED, SIGNED, assert_pulled, assert_refused, have};

/// Not without the authority, not without a login, and then as the policy says.
fn assert_secured(
    program: &str,
    trusting: &str,
    pull: impl Fn(&Containers, &[&str], &str) -> io::Result<Outcome>,
) -> io::Result<()> {
    if !have(&format!("{program}-secured"), containers::available(program)) {
        return Ok(());
    }
    let stage = Stage::new(Proof::Password)?;
    let containers = Containers::new(stage.around.address(), ALIAS, NOWHERE, Trust::Anything)?;
    let folder = stage.home.path().display().to_string();
    let with_ca = [trusting, folder.as_str()];
    let without = pull(&containers, &[], &stage.prefixed(SIGNED))?;
    assert!(!without.succeeded() && without.says("certificate"), "{}", without.text);
    assert_not_let_in(&pull(&containers, &with_ca, &stage.prefixed(SIGNED))?);
    let login =
        |password| containers.login(program, stage.gate.address(), stage.home.path(), (LOGIN.0, password));
    assert!(!login("wrong")?.succeeded());
    assert_pulled(&login(LOGIN.1)?);
    assert_pulled(&pull(&containers, &with_ca, &stage.prefixed(SIGNED))?);
    assert_refused(&pull(&containers, &with_ca, &stage.prefixed(NOT_SIGNED))?);
    stage.assert_names_the_client()
}

#[test]
fn skopeo_pulls_by_tls_once_it_has_logged_in() -> io::Result<()> {
    assert_secured("skopeo", "--src-cert-dir", Containers::skopeo_copy)
}

#[test]
fn buildah_pulls_by_tls_once_it_has_logged_in() -> io::Result<()> {
    assert_secured("buildah", "--cert-dir", Containers::buildah_pull)
}

/// As an operator sets it up: a file, and no option.
#[test]
fn the_authority_in_certs_d_is_enough_for_podman_skopeo_and_buildah() -> io::Result<()> {
    type Pull = fn(&Containers, &[&str], &str) -> io::Result<Outcome>;
    let programs: [(&str, Pull); 3] = [
        ("podman", Containers::podman_pull),
        ("skopeo", Containers::skopeo_copy),
        ("buildah", Containers::buildah_pull),
    ];
    for (program, pull) in programs {
        if !have(&format!("{program}-private-ca"), containers::available(program)) {
            continue;
        }
        let stage = Stage::new(Proof::Password)?;
        let containers = Containers::new(stage.around.address(), ALIAS, NOWHERE, Trust::Anything)?;
        let without = pull(&containers, &[], &stage.prefixed(SIGNED))?;
        assert!(!without.succeeded() && without.says("certificate"), "{}", without.text);
        containers.trust_authority(stage.gate.address(), &stage.ca())?;
        assert_not_let_in(&pull(&containers, &[], &stage.prefixed(SIGNED))?);
        assert_pulled(&containers.login(program, stage.gate.address(), stage.home.path(), LOGIN)?);
        assert_pulled(&pull(&containers, &[], &stage.prefixed(SIGNED))?);
        assert_refused(&pull(&containers, &[], &stage.prefixed(NOT_SIGNED))?);
        stage.assert_names_the_client()?;
    }
    Ok(())
}

#[test]
fn oras_copies_by_tls_once_it_has_logged_in() -> io::Result<()> {
    if !have("oras-secured", tool::built("oras").map(|_| ())) {
        return Ok(());
    }
    let stage = Stage::new(Proof::Password)?;
    let (home, ca) = (stage.home.path(), stage.ca());
    let stranger = oci_tools::oras_copy_secured(&stage.prefixed(SIGNED), &home.join("none"), home)?;
    assert!(!stranger.succeeded() && stranger.says("certificate"), "{}", stranger.text);
    let copy = |name: &str| oci_tools::oras_copy_secured(&stage.prefixed(name), &ca, home);
    assert_not_let_in(&copy(SIGNED)?);
    let login = |password| oci_tools::oras_login(stage.gate.address(), (LOGIN.0, password), &ca, home);
    assert!(!login("wrong")?.succeeded());
    assert_pulled(&login(LOGIN.1)?);
    assert_pulled(&copy(SIGNED)?);
    assert_refused(&copy(NOT_SIGNED)?);
    stage.assert_names_the_client()
}

#[test]
fn cosign_verifies_by_tls_once_it_has_logged_in() -> io::Result<()> {
    if !have("cosign-secured", tool::built("cosign").and(tool::built("crane")).map(|_| ())) {
        return Ok(());
    }
    let stage = Stage::new(Proof::Password)?;
    let (home, ca) = (stage.home.path(), stage.ca());
    let stranger = cosign::verify_secured("release", &stage.prefixed(SIGNED), &home.join("none"), home)?;
    assert!(!stranger.succeeded() && stranger.says("certificate"), "{}", stranger.text);
    let verify = |name: &str| cosign::verify_secured("release", &stage.prefixed(name), &ca, home);
    assert_not_let_in(&verify(SIGNED)?);
    assert_pulled(&oci_tools::crane_login(stage.gate.address(), LOGIN, home)?);
    assert_pulled(&verify(SIGNED)?);
    assert_refused(&verify(NOT_SIGNED)?);
    stage.assert_names_the_client()
}
