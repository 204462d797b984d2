//! Records of another policy, or of another release, do not count.

use pullgate::server::ServeError;
use pullgate::store::{DatabaseError, StoreError};

use crate::stage::{KEYED, RELEASE, Stage, assert_serves};
use crate::store::state::edit;

#[tokio::test]
async fn a420_a_gate_with_another_policy_reads_nothing_of_the_rows_that_it_finds() {
    let warn = KEYED.replace("[[policy.require]]", "mode = \"warn\"\n[[policy.require]]");
    let mut stage = Stage::on(&warn).await;
    let (good, bad) = (stage.signed("org/app", "good"), stage.unsigned("org/app", "bad"));
    for (tag, image) in [("good", &good), ("bad", &bad)] {
        assert_serves(&stage.manifest("org/app", tag).await, image);
        assert_eq!(stage.blob("org/app", &image.layer()).await.status, 200);
    }
    // A second process cannot have the folder at once; one after the other, each by its own policy.
    for (policy, status) in [(KEYED, 403), (&warn, 200), (KEYED, 403)] {
        stage.gate.stop().await;
        stage.gate.write("policy.toml", format!("{RELEASE}{policy}"));
        stage.gate.start_again().await;
        assert_serves(&stage.manifest("org/app", &good.digest()).await, &good);
        assert_eq!(stage.manifest("org/app", &bad.digest()).await.status, status);
        assert_eq!(stage.blob("org/app", &bad.layer()).await.status, status);
    }
}

#[tokio::test]
async fn a420_a_store_of_a_later_release_is_left_alone() {
    let mut stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    stage.gate.stop().await;
    let later = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
                 values (99, 'later', true, x'00', 1)";
    assert_eq!(edit(&stage, later).await, 1);
    let refused = stage.gate.start_second().await.map(drop).unwrap_err();
    assert!(
        matches!(refused, ServeError::Store(StoreError::Database(DatabaseError::Newer(99)))),
        "{refused:?}"
    );
    assert_eq!(edit(&stage, "delete from _sqlx_migrations where version = 99").await, 1);
    stage.gate.start_again().await;
    stage.upstream.forget();
    assert_serves(&stage.manifest("org/app", &image.digest()).await, &image);
    assert_eq!(stage.upstream.seen().len(), 0, "what this release wrote is there");
}
