//! Rows and files that another hand wrote: nothing of it becomes a permit (A504).

use std::os::unix::fs::PermissionsExt as _;

use pullgate_tests::gate_in_process::{Gate, Setup};
use pullgate_tests::made::Made;
use pullgate_tests::signing::evidence_tag;
use pullgate_tests::upstream::{Fault, When};

use super::edit;
use crate::stage::{KEYED, RELEASE, Stage, assert_denied, assert_serves, assert_undecided, manifest};

const LAST_PERMIT: &str = r#"
[[policy]]
name = "production"
scope = ["registry.test/**"]
on_undecided = { last_permit = "24h" }
[[policy.require]]
signed_by = { any_of = ["release"] }
"#;

#[tokio::test]
async fn a504_whatever_row_of_whatever_table_is_forged_nothing_unsigned_is_served() {
    let mut stage = Stage::on(LAST_PERMIT).await;
    let (good, bad) = (stage.signed("org/app", "good"), stage.unsigned("org/app", "bad"));
    // The same image where nobody has signed it.
    good.tag(&stage.upstream, "org/other", "good");
    assert_serves(&stage.manifest("org/app", "good").await, &good);
    assert_eq!(stage.blob("org/app", &good.layer()).await.status, 200);
    assert_denied(&stage.manifest("org/app", "bad").await);
    let (from, to, layer) = (good.digest(), bad.digest(), bad.layer());
    for (what, statement) in forgeries(&good, &bad) {
        stage.gate.stop().await;
        assert!(edit(&stage, &statement).await > 0, "{what}");
        stage.gate.start_again().await;
        // Without the upstream first: then only what is stored could speak for it.
        stage.upstream.fail(When::on(""), Fault::Status(500));
        for target in ["bad", to.as_str(), "good"] {
            let answer = stage.manifest("org/app", target).await;
            assert!(answer.status != 200 || answer.body == good.bytes, "{what}: {target}");
        }
        assert_ne!(stage.blob("org/app", &layer).await.status, 200, "{what}");
        assert_serves(&stage.manifest("org/app", &from).await, &good);
        stage.upstream.heal();
        assert_denied(&stage.manifest("org/app", "bad").await);
        assert_denied(&stage.blob("org/app", &layer).await);
        assert_denied(&stage.manifest("org/other", "good").await);
        assert_denied(&stage.blob("org/other", &good.layer()).await);
        assert_serves(&stage.manifest("org/app", "good").await, &good);
        assert_eq!(stage.blob("org/app", &good.layer()).await.status, 200, "{what}");
    }
}

/// Statements that would have the gate serve `bad`, or `good` where nobody has signed it.
fn forgeries(good: &Made, bad: &Made) -> Vec<(&'static str, String)> {
    let (from, to, layer) = (good.digest(), bad.digest(), bad.layer());
    let records = "insert or replace into records (kind, repository, key, revisions, body, mac, collected, stored) select";
    let grants = "insert or replace into grants (repository, child, root, role, body, mac, stored) select";
    let moved = "replace(body, 'registry.test/org/app', 'registry.test/org/other')";
    vec![
        (
            "another kind",
            format!(
                "{records} 'permit', repository, '{to}', (select max(revisions) from records), body, mac, collected, stored from records where kind = 'evidence' and key = '{from}'"
            ),
        ),
        (
            "the seal of another row",
            format!(
                "{records} kind, repository, '{to}', revisions, replace(body, '{from}', '{to}'), (select mac from records where kind = 'evidence' and key = '{from}'), collected, stored from records where kind = 'permit' and key = '{from}'"
            ),
        ),
        (
            "another outcome",
            format!(
                "update records set body = replace(body, 'not-permitted', 'permitted') where key = '{to}'"
            ),
        ),
        (
            "another repository",
            format!(
                "{records} kind, 'registry.test/org/other', key, revisions, {moved}, mac, collected, stored from records where key = '{from}' and repository = 'registry.test/org/app'"
            ),
        ),
        (
            "a grant in another repository",
            format!(
                "{grants} 'registry.test/org/other', child, root, role, {moved}, mac, stored from grants where repository = 'registry.test/org/app'"
            ),
        ),
        (
            "a grant of another role",
            format!(
                "{grants} repository, '{to}', root, 'child', replace(body, 'blob', 'child'), mac, stored from grants where child = '{}'",
                good.layer()
            ),
        ),
        (
            "a grant under the seal of another",
            format!(
                "{grants} repository, '{layer}', root, role, replace(body, '{}', '{layer}'), (select mac from grants where child = '{}'), stored from grants where child = '{}'",
                good.layer(),
                good.config(),
                good.layer()
            ),
        ),
        ("a tag", format!("update tags set digest = '{to}'")),
        (
            "presence",
            format!(
                "insert or replace into presence (repository, digest, seen, media_type) select repository, '{layer}', seen, media_type from presence where digest = '{}'",
                good.layer()
            ),
        ),
    ]
}

#[tokio::test]
async fn a504_the_database_of_another_gate_is_worth_nothing_under_this_ones_secret() {
    let mut stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    // Another gate in everything but its secret.
    let setup = Setup::before(&stage.upstream.url())
        .policy(format!("{RELEASE}{KEYED}"))
        .file("release.pub", stage.signer.public_pem());
    let mut other = Gate::start(&setup).await;
    let target = manifest("org/app", &image.digest());
    assert_serves(&other.get(&target).await, &image);
    stage.upstream.untag("org/app", &evidence_tag(&image.digest(), ".sig"));
    other.stop().await;
    stage.gate.stop().await;
    std::fs::copy(other.path("state/cache.db"), stage.gate.path("state/cache.db")).unwrap();
    stage.gate.start_again().await;
    // What was under the other secret is lost, and so unknown for a while (A603).
    assert_undecided(&stage.manifest("org/app", "v1").await);
    assert_undecided(&stage.manifest("org/app", &image.digest()).await);
    assert_undecided(&stage.blob("org/app", &image.layer()).await);
    // With its secret, its own database counts.
    other.start_again().await;
    assert_serves(&other.get(&target).await, &image);
}

#[tokio::test]
async fn a504_without_its_secret_a_gate_makes_another_and_believes_nothing_of_before() {
    let mut stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    stage.upstream.untag("org/app", &evidence_tag(&image.digest(), ".sig"));
    stage.gate.restart().await;
    assert_serves(&stage.manifest("org/app", &image.digest()).await, &image);
    stage.gate.stop().await;
    std::fs::remove_file(stage.gate.path("state/seal.key")).unwrap();
    stage.gate.start_again().await;
    assert_undecided(&stage.manifest("org/app", "v1").await);
    assert_undecided(&stage.manifest("org/app", &image.digest()).await);
    let other = stage.signed("org/app", "v2");
    assert_serves(&stage.manifest("org/app", "v2").await, &other);
    assert_eq!(
        std::fs::metadata(stage.gate.path("state/seal.key")).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[tokio::test]
async fn a618_a_seal_key_that_is_not_the_one_of_the_rows_is_said_and_not_used() {
    let mut stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    let ready = async |stage: &Stage| {
        String::from_utf8_lossy(&stage.gate.admin("/readyz").await.body).contains("seal-key")
    };
    assert!(!ready(&stage).await);
    let own = std::fs::read(stage.gate.path("state/seal.key")).unwrap();
    // Under the running gate.
    stage.gate.write("state/seal.key", [7; 32]);
    assert!(ready(&stage).await);
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    for _ in 0..2 {
        stage.gate.restart().await;
        assert!(ready(&stage).await, "and it stays so");
        assert_serves(&stage.manifest("org/app", "v1").await, &image);
        // By digest it may be a child of an index whose grants are lost: that is unknown, and no yes.
        let bad = stage.unsigned("org/app", "bad").digest();
        assert_ne!(stage.manifest("org/app", &bad).await.status, 200);
    }
    // The right one is put back: what was remembered before counts again.
    stage.gate.stop().await;
    stage.gate.write("state/seal.key", own);
    stage.gate.start_again().await;
    assert!(!ready(&stage).await);
    // The operator's own change: the database goes with the key, and the state may be new altogether.
    for files in [&["cache.db", "cache.db-wal", "cache.db-shm"][..], &["cache.db", "seal.key"]] {
        stage.gate.stop().await;
        stage.gate.write("state/seal.key", [9; 32]);
        for file in files {
            let _ = std::fs::remove_file(stage.gate.path(&format!("state/{file}")));
        }
        stage.gate.start_again().await;
        assert!(!ready(&stage).await, "{files:?}");
        assert_serves(&stage.manifest("org/app", "v1").await, &image);
    }
}
