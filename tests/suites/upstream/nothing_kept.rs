//! Faults of an upstream on the way to content and evidence leave nothing in the store: neither a permit nor a
//! denial comes out of not knowing.

use pullgate_tests::gate_in_process::Setup;
use pullgate_tests::signing::Signer;
use pullgate_tests::upstream::{Fault, ReferrersApi, When};

use crate::stage::{KEYED, Stage, assert_denied, assert_serves, assert_undecided, blob};
use crate::upstream::lying::{assert_nothing_stored, stored};

/// Everything that a registry, or whoever stands before it, does wrong with redirects, challenges, quotas and statuses.
fn on_the_way() -> Vec<Vec<Fault>> {
    let redirects = [
        "http://169.254.169.254/",
        "http://127.0.0.2:1/",
        "http://[::ffff:127.0.0.1]/",
        "http://0.0.0.0/",
        "http://2130706433/",
        "ftp://127.0.0.1/",
        "http://user@127.0.0.1/",
        "//127.0.0.1/",
        "",
    ];
    let challenges = [
        "Bearer realm=\"http://127.0.0.2:1/token\"",
        "Bearer realm=\"http://169.254.169.254/token\"",
        "Bearer realm=\"/token\"",
        "Bearer realm=\"http",
        "Basic realm=\"r\"",
        "Digest realm=\"r\"",
    ];
    let redirects = redirects.map(|to| vec![Fault::Redirect(to.to_owned())]);
    let challenges =
        challenges.map(|asks| vec![Fault::Status(401), Fault::Header("www-authenticate", asks.to_owned())]);
    let statuses = [401, 403, 429, 500].map(|status| vec![Fault::Status(status)]);
    redirects.into_iter().chain(challenges).chain(statuses).collect()
}

fn with_a_login(setup: Setup) -> Setup {
    setup
        .its("credentials = { username = \"gate\", password_file = \"password\" }")
        .file("password", "canary")
}

#[tokio::test]
async fn a544_what_goes_wrong_on_the_way_to_content_leaves_the_store_as_it_was() {
    let mut stage = Stage::with(KEYED, with_a_login).await;
    let known = stage.signed("org/app", "known");
    assert_serves(&stage.manifest("org/app", "known").await, &known);
    let (image, layer) = (stage.signed("org/app", "v1"), blob("org/app", &known.layer()));
    // What is written behind an answer is there once the gate has stopped in good order.
    stage.gate.restart().await;
    let before = stored(&stage).await;
    for faults in on_the_way() {
        for fault in &faults {
            stage.upstream.fail(When::on("/org/app/manifests/"), fault.clone());
            stage.upstream.fail(When::on(&layer), fault.clone());
        }
        for reference in ["v1", &image.digest()] {
            assert_undecided(&stage.manifest("org/app", reference).await);
        }
        assert_undecided(&stage.gate.get(&layer).await);
        assert_nothing_stored(&stage, &before, &format!("{faults:?}")).await;
        stage.upstream.heal();
    }
    stage.gate.restart().await;
    assert_eq!(stored(&stage).await, before);
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    assert_eq!(stage.gate.get(&layer).await.status, 200);
}

#[tokio::test]
async fn a544_what_goes_wrong_on_the_way_to_evidence_leaves_neither_permit_nor_denial() {
    let mut stage = Stage::with(KEYED, with_a_login).await;
    stage.upstream.set_referrers(ReferrersApi::Whole);
    // A signature that is read and does not count: without the fault it would be a denial.
    let image = stage.unsigned("org/app", "v1");
    Signer::new().sign_at(&stage.upstream, "org/app", &image.digest());
    for part in [".sig", ".att", "/referrers/"] {
        for faults in on_the_way() {
            // A list of referrers that is somewhere else is none (A146).
            if part == "/referrers/" && matches!(faults[0], Fault::Redirect(_)) {
                continue;
            }
            for fault in &faults {
                stage.upstream.fail(When::on(part), fault.clone());
            }
            let answer = stage.manifest("org/app", "v1").await;
            assert_eq!(answer.status, 503, "{part} {faults:?} {}", answer.message());
            stage.upstream.heal();
        }
    }
    assert_eq!(verdicts(&mut stage).await, 0);
    assert_denied(&stage.manifest("org/app", "v1").await);
    let signed = stage.signed("org/app", "v2");
    assert_serves(&stage.manifest("org/app", "v2").await, &signed);
    assert!(verdicts(&mut stage).await > 0, "they are where they are looked for");
}

/// Rows of verdicts and grants, once all is written: what was fetched to be judged may be kept, what was not decided
/// may not.
async fn verdicts(stage: &mut Stage) -> i64 {
    stage.gate.restart().await;
    stored(stage).await.rows.iter().filter(|(table, _)| *table != "tags").map(|(_, rows)| rows).sum()
}
