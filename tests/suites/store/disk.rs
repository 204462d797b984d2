//! A disk that is full or cannot be written, and a database that somebody locks: pulls that can be judged go on, what
//! cannot be kept is not, and health says so.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use pullgate_tests::asking::{Answer, End, ask};
use pullgate_tests::clients::content::sha256;
use pullgate_tests::clients::{Gate, Settings, tool};
use pullgate_tests::made::Made;
use pullgate_tests::signing::Signer;
use pullgate_tests::upstream::{Fault, Upstream, When};
use pullgate_tests::waiting::{until, until_it_is};
use sqlx::{AnyConnection, Connection as _};
use tempfile::TempDir;
use tokio::sync::Semaphore;

use crate::stage::{KEYED, RELEASE, assert_serves, manifest};

mod denied;
mod log;
mod owner;

/// A file system of its own, so many KiB large; gone when dropped.
struct Disk(TempDir);

impl Disk {
    fn new(kib: u32) -> Self {
        let folder = TempDir::with_prefix("pullgate-disk-").unwrap();
        let size = format!("size={kib}k");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).status();
        assert!(mount.unwrap().success());
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes every byte that is left.
    fn fill(&self) {
        let file = self.path().join("filler");
        let filled =
            Command::new("dd").args(["if=/dev/zero", "bs=4k"]).arg(format!("of={}", file.display())).output();
        assert!(!filled.unwrap().status.success(), "it ends for want of room");
    }

    fn clear(&self) {
        fs::remove_file(self.path().join("filler")).unwrap();
    }

    fn remount(&self, how: &str) {
        let options = format!("remount,{how}");
        assert!(Command::new("mount").args(["-o", &options]).arg(self.path()).status().unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a gate that is still ending has files there.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// Mounting wants root, and a kernel that allows it here.
fn can_mount() -> bool {
    let tried = || {
        let folder = TempDir::with_prefix("pullgate-disk-").map_err(|error| error.to_string())?;
        let mount = Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(folder.path()).output();
        let mounted = mount.is_ok_and(|output| output.status.success());
        if mounted {
            let _ = Command::new("umount").arg(folder.path()).status();
        }
        if mounted { Ok(()) } else { Err("a small file system cannot be mounted".to_owned()) }
    };
    pullgate_tests::clients::have("suites/disk", &[tool::require_root("mount"), tried()])
}

struct Stage {
    gate: Gate,
    upstream: Upstream,
    signer: Signer,
}

impl Stage {
    async fn with(change: impl FnOnce(Settings) -> Settings) -> Self {
        Self::started(change, Gate::start).await
    }

    /// Whether it is ready or not.
    async fn alive(change: impl FnOnce(Settings) -> Settings) -> Self {
        Self::started(change, Gate::start_alive).await
    }

    async fn started(
        change: impl FnOnce(Settings) -> Settings,
        start: fn(&Settings) -> std::io::Result<Gate>,
    ) -> Self {
        let upstream = Upstream::start().await.unwrap();
        let signer = Signer::new();
        let settings = Settings::new(&format!("{RELEASE}{KEYED}"))
            .listen("default_registry = \"registry.test\"")
            .upstream("registry.test", "alias.test", &upstream.address().to_string())
            .text("release.pub", &signer.public_pem());
        let settings = change(settings);
        let gate = tokio::task::spawn_blocking(move || start(&settings)).await.unwrap().unwrap();
        Self { gate, upstream, signer }
    }

    fn signed(&self, tag: &str) -> Made {
        let image = Made::image_of_bytes(300 * 1024);
        image.tag(&self.upstream, "org/app", tag);
        self.signer.sign_at(&self.upstream, "org/app", &image.digest());
        image
    }

    /// Asks for a blob beside what else happens.
    fn begin(&self, digest: &str) -> tokio::task::JoinHandle<Answer> {
        let (address, target) = (self.gate.address().parse().unwrap(), format!("/v2/org/app/blobs/{digest}"));
        tokio::spawn(async move { ask(address, "GET", &target, &[]).await })
    }

    async fn get(&self, target: &str) -> Answer {
        ask(self.gate.address().parse().unwrap(), "GET", target, &[]).await
    }

    /// The whole image, and one that nobody signed: each gets what it should.
    async fn assert_judges(&self, tag: &str) {
        let image = self.signed(tag);
        assert_serves(&self.get(&manifest("org/app", tag)).await, &image);
        for digest in [image.config(), image.layer()] {
            let blob = self.get(&format!("/v2/org/app/blobs/{digest}")).await;
            assert_eq!((blob.status, blob.end), (200, End::Whole), "{blob:?}");
            assert_eq!(sha256(&blob.body), digest);
        }
        let unsigned = format!("{tag}-unsigned");
        Made::image().tag(&self.upstream, "org/app", &unsigned);
        // Where the store cannot say whether it is a child of what is permitted, it is undecided (A603).
        let answer = self.get(&manifest("org/app", &unsigned)).await;
        assert!([403, 503].contains(&answer.status), "{answer:?}");
    }

    async fn admin(&self, target: &str) -> String {
        let answer = ask(self.gate.admin().parse().unwrap(), "GET", target, &[]).await;
        String::from_utf8_lossy(&answer.body).into_owned()
    }

    async fn until_ready_says(&self, what: &str, says: bool) {
        let is_said = async || self.admin("/readyz").await.contains(what) == says;
        until_it_is(&format!("/readyz says {what}: {says}"), is_said).await;
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a501_a_disk_that_fills_up_stops_no_pull_and_is_used_again_when_there_is_room() {
    if !can_mount() {
        return;
    }
    let disk = Disk::new(2_048);
    let stage = Stage::with(|settings| settings.state(disk.path())).await;
    stage.assert_judges("before").await;
    disk.fill();
    // What the database's files hold already takes a few yet.
    for n in 0..200 {
        stage.assert_judges(&format!("full-{n}")).await;
        if n > 5 && stage.admin("/readyz").await.contains("\"store\"") {
            break;
        }
    }
    stage.until_ready_says("\"store\"", true).await;
    stage.until_ready_says("\"blobs\"", true).await;
    let metrics = stage.admin("/metrics").await;
    let lost = metrics.lines().find(|line| line.starts_with("pullgate_store_writes_lost_total")).unwrap();
    assert!(!lost.ends_with(" 0"), "{lost}");
    for blob in files_below(&disk.path().join("blobs")) {
        let name = format!("sha256:{}", blob.file_name().unwrap().to_string_lossy());
        assert_eq!(sha256(&fs::read(&blob).unwrap()), name, "no half file");
    }
    disk.clear();
    // Nobody pulls meanwhile: the gate finds out by itself.
    stage.until_ready_says("\"store\"", false).await;
    stage.assert_judges("after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a501_a_disk_that_cannot_be_written_any_more_stops_no_pull() {
    if !can_mount() {
        return;
    }
    let disk = Disk::new(64 * 1024);
    let stage = Stage::with(|settings| settings.state(disk.path())).await;
    let before = stage.signed("kept");
    assert_serves(&stage.get(&manifest("org/app", "kept")).await, &before);
    // With files open for writing the kernel refuses to make it read-only; full by inodes and bytes comes to the same.
    disk.fill();
    stage.upstream.forget();
    assert_serves(&stage.get(&manifest("org/app", &before.digest())).await, &before);
    assert_eq!(stage.upstream.seen().len(), 0, "what was kept is still read");
    stage.assert_judges("new").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a501_a_disk_that_fills_up_while_a_blob_is_under_way_cuts_no_pull() {
    if !can_mount() {
        return;
    }
    // Blobs leave 64 MiB to the others: there is room at the beginning.
    let disk = Disk::new(80 * 1024);
    let stage = Stage::with(|settings| settings.state(disk.path())).await;
    let image = Made::image_of_bytes(4 << 20);
    image.tag(&stage.upstream, "org/app", "v1");
    stage.signer.sign_at(&stage.upstream, "org/app", &image.digest());
    assert_serves(&stage.get(&manifest("org/app", "v1")).await, &image);
    let gate = Arc::new(Semaphore::new(0));
    stage
        .upstream
        .fail(When::on(format!("GET /v2/org/app/blobs/{}", image.layer())), Fault::Hold(gate.clone()));
    let under_way = stage.begin(&image.layer());
    let asked = format!("GET /v2/org/app/blobs/{}", image.layer());
    until("the blob is asked for", || stage.upstream.count(&asked) > 0).await;
    disk.fill();
    gate.add_permits(1);
    let blob = under_way.await.unwrap();
    assert_eq!((blob.status, blob.end, blob.body.len()), (200, End::Whole, 4 << 20));
    // What comes next finds no room, and passes.
    stage.upstream.heal();
    stage.assert_judges("next").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a501_a_gate_that_starts_on_a_full_disk_judges_and_is_not_ready() {
    if !can_mount() {
        return;
    }
    for before in ["nothing", "a gate"] {
        let disk = Disk::new(2_048);
        if before == "a gate" {
            drop(Stage::with(|settings| settings.state(disk.path())).await);
        }
        disk.fill();
        let stage = Stage::alive(|settings| settings.state(disk.path())).await;
        for n in 0..3 {
            stage.assert_judges(&format!("v{n}")).await;
        }
        stage.until_ready_says("\"ready\":false", true).await;
        drop(stage);
        disk.clear();
        Stage::with(|settings| settings.state(disk.path())).await.assert_judges("again").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a503_a_first_start_over_a_read_only_state_folder_judges_and_is_not_ready() {
    if !can_mount() {
        return;
    }
    let disk = Disk::new(2_048);
    disk.remount("ro");
    let stage = Stage::alive(|settings| settings.state(disk.path())).await;
    stage.assert_judges("v1").await;
    stage.until_ready_says("\"store\"", true).await;
    assert!(stage.admin("/readyz").await.contains("\"ready\":false"));
    drop(stage);
    disk.remount("rw");
    Stage::with(|settings| settings.state(disk.path())).await.assert_judges("again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a503_over_a_read_only_state_folder_the_gate_judges_and_is_not_ready() {
    if !can_mount() {
        return;
    }
    let disk = Disk::new(2_048);
    // As it would be after a start: the secret of the seal is there.
    drop(Stage::with(|settings| settings.state(disk.path())).await);
    disk.remount("ro");
    let stage = Stage::alive(|settings| settings.state(disk.path())).await;
    for n in 0..3 {
        stage.assert_judges(&format!("v{n}")).await;
    }
    stage.until_ready_says("\"store\"", true).await;
    assert!(stage.admin("/readyz").await.contains("\"ready\":false"));
    drop(stage);
    disk.remount("rw");
    Stage::with(|settings| settings.state(disk.path())).await.assert_judges("again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a503_a_database_that_somebody_locks_costs_what_is_remembered_and_no_pull() {
    let folder = TempDir::with_prefix("pullgate-state-").unwrap();
    let stage = Stage::with(|settings| settings.state(folder.path())).await;
    stage.assert_judges("before").await;
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}?mode=rw", folder.path().join("cache.db").display());
    let mut lock = AnyConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("begin exclusive").execute(&mut lock).await.unwrap();
    // Whoever waited for the lock would wait for ever.
    for n in 0..3 {
        stage.assert_judges(&format!("locked-{n}")).await;
    }
    stage.until_ready_says("\"store\"", true).await;
    sqlx::raw_sql("rollback").execute(&mut lock).await.unwrap();
    stage.until_ready_says("\"store\"", false).await;
    stage.assert_judges("after").await;
}
