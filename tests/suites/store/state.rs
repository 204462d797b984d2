//! State can lose a verdict and never invents one.

use std::os::unix::fs::{FileExt as _, PermissionsExt as _};

use pullgate::server::ServeError;
use pullgate::store::StoreError;
use pullgate::store::folder::FolderError;
use pullgate::waits::Waits;
use pullgate_tests::made::Made;
use pullgate_tests::signing::Signer;
use pullgate_tests::upstream::{Fault, When};
use pullgate_tests::waiting::until;
use sqlx::{AnyConnection, Connection as _};

use crate::stage::{KEYED, Stage, assert_denied, assert_serves, assert_undecided};

mod forged;

/// Runs a statement on the stopped gate's database, and tells how many rows it changed.
pub(crate) async fn edit(stage: &Stage, statement: &str) -> u64 {
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}?mode=rw", stage.gate.path("state/cache.db").display());
    let mut connection = AnyConnection::connect(&url).await.unwrap();
    let done = sqlx::query(sqlx::AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    done.rows_affected()
}

/// How many rows there are, of a table and perhaps a condition.
pub(crate) async fn count(stage: &Stage, of: &str) -> i64 {
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}?mode=rw", stage.gate.path("state/cache.db").display());
    let mut connection = AnyConnection::connect(&url).await.unwrap();
    let count = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select count(*) from {of}")));
    let count = count.fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    count
}

#[tokio::test]
async fn permits_survive_a_restart_and_cost_no_request() {
    let mut stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    stage.gate.restart().await;
    stage.upstream.forget();
    assert_serves(&stage.manifest("org/app", &image.digest()).await, &image);
    assert_eq!(stage.upstream.seen().len(), 0);
    assert_eq!(stage.gate.record().await["cache"], "hit");
}

#[tokio::test]
async fn denials_are_forgotten_by_a_restart() {
    let mut stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    assert_denied(&stage.manifest("org/app", "v1").await);
    stage.sign("org/app", &image);
    stage.gate.restart().await;
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
}

#[tokio::test]
async fn a504_a_permit_that_was_copied_or_altered_on_disk_is_as_if_absent() {
    let mut stage = Stage::new().await;
    let (good, bad) = (stage.signed("org/app", "good"), stage.unsigned("org/app", "bad"));
    assert_serves(&stage.manifest("org/app", "good").await, &good);
    assert_denied(&stage.manifest("org/app", "bad").await);
    stage.gate.stop().await;
    let (from, to) = (good.digest(), bad.digest());
    // Every record of the permitted image, under the other's key: as it is, and with the other's digest inside.
    for body in ["body".to_owned(), format!("replace(body, '{from}', '{to}')")] {
        let copy = format!(
            "insert or replace into records (kind, repository, key, revisions, body, mac, collected, stored) select kind, repository, '{to}', revisions, {body}, mac, collected, stored \
             from records where key = '{from}'"
        );
        assert!(edit(&stage, &copy).await > 0);
        stage.gate.start_again().await;
        assert_denied(&stage.manifest("org/app", "bad").await);
        assert_denied(&stage.manifest("org/app", &to).await);
        assert_serves(&stage.manifest("org/app", &from).await, &good);
        stage.gate.stop().await;
    }
}

#[tokio::test]
async fn a504_a_permit_whose_seal_or_age_was_altered_is_decided_again() {
    for change in
        ["mac = zeroblob(32)", "body = replace(body, '20', '21')", "repository = 'registry.test/org/else'"]
    {
        let mut stage = Stage::new().await;
        let image = stage.signed("org/app", "v1");
        assert_serves(&stage.manifest("org/app", "v1").await, &image);
        stage.gate.stop().await;
        assert!(edit(&stage, &format!("update records set {change}")).await > 0);
        // Whoever signed it, it is nobody that is trusted any more: only an altered record could speak for the image.
        stage.gate.start_again().await;
        stage.upstream.fail(When::on(".sig"), Fault::Status(404));
        assert_denied(&stage.manifest("org/app", &image.digest()).await);
        stage.upstream.heal();
    }
}

#[tokio::test]
async fn a504_a_grant_that_was_copied_on_disk_opens_no_blob_and_no_child() {
    let mut stage = Stage::new().await;
    let index = Made::index(vec![Made::image(), Made::image()]);
    index.tag(&stage.upstream, "org/app", "v1");
    stage.sign("org/app", &index);
    let (child, bad) = (&index.children[0], stage.unsigned("org/app", "bad"));
    assert_serves(&stage.manifest("org/app", "v1").await, &index);
    assert_serves(&stage.manifest("org/app", &child.digest()).await, child);
    assert_eq!(stage.blob("org/app", &child.layer()).await.status, 200);
    stage.gate.stop().await;
    for (from, to) in [(child.digest(), bad.digest()), (child.layer(), bad.layer())] {
        for body in ["body".to_owned(), format!("replace(body, '{from}', '{to}')")] {
            let copy = format!(
                "insert or replace into grants (repository, child, root, role, body, mac, stored) select repository, '{to}', root, role, {body}, mac, stored from grants where child = '{from}'"
            );
            assert!(edit(&stage, &copy).await > 0);
            stage.gate.start_again().await;
            assert_denied(&stage.manifest("org/app", &bad.digest()).await);
            assert_denied(&stage.blob("org/app", &bad.layer()).await);
            assert_eq!(stage.blob("org/app", &child.layer()).await.status, 200);
            stage.gate.stop().await;
        }
    }
}

#[tokio::test]
async fn a503_a_database_that_rots_under_the_gate_costs_no_pull_and_permits_nothing() {
    // A file whose log has rotted is busy for as long as it is waited for: as long as by a running gate.
    let mut stage = Stage::with(KEYED, |setup| setup.waits(Waits::default())).await;
    let image = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    stage.gate.app().store.store().database().flush().await;
    for name in ["state/cache.db", "state/cache.db-wal"] {
        let file = std::fs::File::options().write(true).open(stage.gate.path(name)).unwrap();
        let length = file.metadata().unwrap().len();
        file.write_all_at(&vec![0xa5; usize::try_from(length).unwrap()], 0).unwrap();
    }
    for n in 0..3 {
        let (tag, unsigned) = (format!("v{n}"), format!("bad{n}"));
        let (good, bad) = (stage.signed("org/app", &tag), stage.unsigned("org/app", &unsigned));
        assert_serves(&stage.manifest("org/app", &good.digest()).await, &good);
        assert_eq!(stage.blob("org/app", &good.layer()).await.status, 200);
        // What cannot be read says no more than that (A603): until it is begun anew, whatever lacks a grant is undecided.
        assert!([403, 503].contains(&stage.manifest("org/app", &unsigned).await.status));
        assert_undecided(&stage.blob("org/app", &bad.layer()).await);
    }
    assert_serves(&stage.manifest("org/app", &image.digest()).await, &image);
    stage.gate.restart().await;
    let names = std::fs::read_dir(stage.gate.path("state")).unwrap().map(|entry| entry.unwrap().file_name());
    let aside = names.filter(|name| name.to_string_lossy().starts_with("cache.db.corrupt-")).count();
    assert!(aside > 0, "it is kept aside");
    assert_serves(&stage.manifest("org/app", &image.digest()).await, &image);
    stage.gate.app().store.store().database().flush().await;
    // The new file is read on a machine that may be busy.
    stage.gate.wait_patiently();
    stage.gate.restart().await;
    stage.upstream.forget();
    assert_serves(&stage.manifest("org/app", &image.digest()).await, &image);
    assert_eq!(stage.upstream.seen().len(), 0, "the new database remembers");
}

#[tokio::test]
async fn a507_in_a_state_folder_that_everybody_can_enter_everything_is_ours_alone() {
    let mut stage = Stage::new().await;
    stage.gate.stop().await;
    let state = stage.gate.path("state");
    std::fs::remove_dir_all(&state).unwrap();
    std::fs::create_dir(&state).unwrap();
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o755)).unwrap();
    stage.gate.start_again().await;
    let image = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    assert_eq!(stage.blob("org/app", &image.layer()).await.status, 200);
    stage.gate.app().store.store().database().flush().await;
    let kept = state.join("blobs/sha256").join(&image.layer()[7..9]).join(&image.layer()[7..]);
    until("the blob is kept", || kept.exists()).await;
    let mut seen = Vec::new();
    let mut folders = vec![state.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = std::fs::symlink_metadata(&path).unwrap();
            let mode = if meta.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(meta.permissions().mode() & 0o7777, mode, "{}", path.display());
            if meta.is_dir() {
                folders.push(path.clone());
            }
            seen.push(path.strip_prefix(&state).unwrap().display().to_string());
        }
    }
    for name in ["seal.key", "cache.db", "cache.db-wal", "audit.db", "lock", "tmp", "blobs", "unproven"] {
        assert!(seen.iter().any(|path| path == name), "{name}: {seen:?}");
    }
    let log = std::fs::metadata(stage.gate.path("audit.jsonl")).unwrap();
    assert_eq!(log.permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a504_records_under_another_seal_key_are_as_if_absent() {
    let mut stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    stage.gate.stop().await;
    stage.gate.write("state/seal.key", [7; 32]);
    stage.gate.start_again().await;
    stage.upstream.fail(When::on(".sig"), Fault::Status(404));
    // It may be the child of an index whose grant was under that key (A603).
    assert_undecided(&stage.manifest("org/app", "v1").await);
    assert_undecided(&stage.manifest("org/app", &image.digest()).await);
}

#[tokio::test]
async fn a506_a_manifest_that_was_altered_on_disk_is_fetched_again() {
    let mut stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    stage.gate.stop().await;
    let mut altered = 0;
    let mut folders = vec![stage.gate.path("state")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if std::fs::read(&path).unwrap() == image.bytes {
                std::fs::write(
                    &path,
                    String::from_utf8(image.bytes.clone())
                        .unwrap()
                        .replace("amd64", "arm64")
                        .replace("size\":", "size\": "),
                )
                .unwrap();
                altered += 1;
            }
        }
    }
    assert_eq!(altered, 1);
    stage.gate.start_again().await;
    assert_serves(&stage.manifest("org/app", &image.digest()).await, &image);
    assert_eq!(stage.upstream.count(&format!("GET /v2/org/app/manifests/{}", image.digest())), 1);
}

#[tokio::test]
async fn a503_a_corrupt_database_is_begun_anew_and_pulls_go_on() {
    for content in [b"garbage".repeat(1000), Vec::new()] {
        let mut stage = Stage::new().await;
        let (image, bad) = (stage.signed("org/app", "v1"), stage.unsigned("org/app", "bad"));
        assert_serves(&stage.manifest("org/app", "v1").await, &image);
        stage.gate.stop().await;
        for suffix in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(stage.gate.path(&format!("state/cache.db{suffix}")));
        }
        stage.gate.write("state/cache.db", content);
        stage.gate.start_again().await;
        assert_serves(&stage.manifest("org/app", "v1").await, &image);
        // It may be the child of an index whose grant was lost, by whatever name it is asked for (A603).
        assert_undecided(&stage.manifest("org/app", "bad").await);
        assert_undecided(&stage.manifest("org/app", &bad.digest()).await);
        stage.gate.restart().await;
        assert_serves(&stage.manifest("org/app", "v1").await, &image);
    }
}

#[tokio::test]
async fn a503_a_second_gate_on_one_state_folder_does_not_start() {
    let mut stage = Stage::new().await;
    let second = stage.gate.start_second().await;
    assert!(matches!(second, Err(ServeError::Store(StoreError::Folder(FolderError::Held(_))))), "{second:?}");
    let image = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    stage.gate.stop().await;
    let second = stage.gate.start_second().await.unwrap();
    second.shutdown().await;
}

#[tokio::test]
async fn a543_a_permit_ends_with_permit_ttl_however_often_it_is_asked_for() {
    let mut stage = Stage::with(KEYED, |setup| setup.cache("permit_ttl = \"2s\"")).await;
    let image = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    // The signature is withdrawn: only what is remembered speaks for the image.
    stage.upstream.fail(When::on(".sig"), Fault::Status(404));
    stage.gate.restart().await;
    for _ in 0..9 {
        stage.later(std::time::Duration::from_millis(200));
        assert_serves(&stage.manifest("org/app", &image.digest()).await, &image);
    }
    stage.later(std::time::Duration::from_millis(200));
    assert_denied(&stage.manifest("org/app", &image.digest()).await);
    assert_denied(&stage.blob("org/app", &image.layer()).await);
}

#[tokio::test]
async fn a_policy_that_came_while_the_gate_was_down_rules_from_its_first_request() {
    let mut stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    stage.gate.stop().await;
    stage.gate.write("release.pub", Signer::new().public_pem());
    stage.gate.start_again().await;
    assert_denied(&stage.manifest("org/app", &image.digest()).await);
    assert_denied(&stage.blob("org/app", &image.layer()).await);
}
