//! Helm: a chart in a registry is a manifest like another one, and is signed like one.

use std::fs;
use std::io;

use pullgate_tests::clients::{cosign, http, oci_tools, tool::built};

use crate::stage::{Stage, assert_pulled, assert_refused, have};

const CHART: &str = "apiVersion: v2\nname: seed\ndescription: A chart of the tests\nversion: 1.2.3\n";
const TEMPLATE: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: seed\n";

fn start() -> io::Result<Option<Stage>> {
    let needs = built("helm").and(built("cosign")).map(|_| ());
    if have("helm", needs) { Stage::new().map(Some) } else { Ok(None) }
}

/// Packages a chart and pushes it to the registry itself: `shop/FOLDER/seed`.
fn pushed(stage: &Stage, folder: &str) -> io::Result<()> {
    let home = stage.home.path();
    let chart = home.join("seed");
    fs::create_dir_all(chart.join("templates"))?;
    fs::write(chart.join("Chart.yaml"), CHART)?;
    fs::write(chart.join("templates/seed.yaml"), TEMPLATE)?;
    assert_pulled(&oci_tools::helm(&["package", &chart.display().to_string()], home)?);
    let to = format!("oci://{}/shop/{folder}", stage.upstream.address());
    assert_pulled(&oci_tools::helm(&["push", "seed-1.2.3.tgz", &to, "--plain-http"], home)?);
    Ok(())
}

fn pull(stage: &Stage, folder: &str) -> io::Result<pullgate_tests::clients::Outcome> {
    let from = format!("oci://{}", stage.prefixed(&format!("shop/{folder}/seed")));
    oci_tools::helm(&["pull", &from, "--version", "1.2.3", "--plain-http"], stage.home.path())
}

#[test]
fn helm_pulls_a_signed_chart() -> io::Result<()> {
    let Some(stage) = start()? else { return Ok(()) };
    pushed(&stage, "charts")?;
    let path = "/v2/shop/charts/seed/manifests/1.2.3";
    let accept = [("Accept", "application/vnd.oci.image.manifest.v1+json")];
    let manifest = http::call(stage.upstream.address(), "GET", path, &accept, &[])?;
    let digest = pullgate_tests::clients::content::sha256(&manifest.body);
    let name = format!("{}/shop/charts/seed@{digest}", stage.upstream.address());
    assert_pulled(&cosign::sign("release", &name, stage.home.path())?);
    fs::remove_file(stage.home.path().join("seed-1.2.3.tgz"))?;
    assert_pulled(&pull(&stage, "charts")?);
    assert!(stage.home.path().join("seed-1.2.3.tgz").exists(), "the chart is here");
    stage.assert_nobody_went_around();
    Ok(())
}

#[test]
fn helm_shows_why_a_chart_is_refused() -> io::Result<()> {
    let Some(stage) = start()? else { return Ok(()) };
    pushed(&stage, "others")?;
    fs::remove_file(stage.home.path().join("seed-1.2.3.tgz"))?;
    assert_refused(&pull(&stage, "others")?);
    assert!(!stage.home.path().join("seed-1.2.3.tgz").exists(), "nothing is here");
    stage.assert_nobody_went_around();
    Ok(())
}
