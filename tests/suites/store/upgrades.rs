//! The state folder of an earlier release, as it was recorded, is read by this one.
//!
//! `RECORD_STATE=1 cargo test -p pullgate-tests --test suites upgrades` records that of this release anew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use pullgate::audit::read::{Filter, ReadError, Reader};
use pullgate::clock::Clock;
use pullgate_tests::gate_in_process::{Gate, Setup};
use pullgate_tests::made::Made;
use pullgate_tests::signing::Signer;
use pullgate_tests::upstream::Upstream;
use pullgate_tests::waiting::until_it_is;

use crate::stage::{RELEASE, assert_serves, blob, manifest};

const POLICY: &str = r#"
[[policy]]
name = "production"
scope = ["registry.test/**"]
on_undecided = { last_permit = "24h" }
[[policy.require]]
signed_by = { any_of = ["release"] }
"#;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/state/0.1.0")
}

/// Every file below a folder, by its path from there.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
        } else {
            found.insert(name, fs::read(&path).unwrap());
        }
    }
    found
}

/// One signed image, pulled with its layer; one that nobody signed, refused.
async fn record() {
    let (upstream, signer) = (Upstream::start().await.unwrap(), Signer::new());
    let now = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).unwrap();
    let setup = Setup::before(&upstream.url())
        .policy(format!("{RELEASE}{POLICY}"))
        .file("release.pub", signer.public_pem())
        .audit("gate = \"recorded\"");
    let mut gate = Gate::start_at(&setup, Clock::settable(now)).await;
    let (image, unsigned) = (Made::image(), Made::image());
    image.tag(&upstream, "org/app", "v1");
    unsigned.tag(&upstream, "org/unsigned", "v1");
    signer.sign_at(&upstream, "org/app", &image.digest());
    assert_serves(&gate.get(&manifest("org/app", "v1")).await, &image);
    assert_eq!(gate.get(&blob("org/app", &image.layer())).await.status, 200);
    assert_eq!(gate.get(&manifest("org/unsigned", "v1")).await.status, 403);
    let layer = image.layer().parse().unwrap();
    until_it_is("the layer is kept", async || gate.app().store.blobs().is_kept(layer).await).await;
    gate.stop().await;
    let to = folder();
    drop(fs::remove_dir_all(&to));
    let mut kept = files(&gate.path("state"));
    // What belongs to a process, and not to what it left.
    kept.retain(|name, _| name != "lock" && !name.ends_with("-shm"));
    kept = kept.into_iter().map(|(name, bytes)| (format!("state/{name}"), bytes)).collect();
    kept.insert("release.pub".to_owned(), signer.public_pem().into());
    kept.insert("at".to_owned(), now.to_string().into());
    kept.insert("image".to_owned(), image.bytes.clone());
    for (name, bytes) in kept {
        let path = to.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

#[tokio::test]
async fn a_state_folder_of_release_0_1_0_is_read_and_serves_without_an_upstream() {
    if env::var_os("RECORD_STATE").is_some() {
        record().await;
    }
    let mut recorded = files(&folder());
    let mut text = |name: &str| String::from_utf8(recorded.remove(name).unwrap()).unwrap();
    let (at, key) = (text("at").parse::<jiff::Timestamp>().unwrap(), text("release.pub"));
    let image = recorded.remove("image").unwrap();
    // The discard port: nobody is there.
    let mut setup =
        Setup::before("http://127.0.0.1:9").policy(format!("{RELEASE}{POLICY}")).file("release.pub", key);
    for (name, bytes) in &recorded {
        setup = setup.file(name, bytes.clone());
    }
    let gate = Gate::start_at(&setup, Clock::settable(at + Duration::from_secs(600))).await;
    let digest = pullgate_policy::oci::Digest::of(&image).to_string();
    let answer = gate.get(&manifest("org/app", &digest)).await;
    assert_eq!((answer.status, answer.body.to_vec()), (200, image), "{answer:?}");
    // A permit of its own, or decided anew from the evidence that was kept; never by a guess.
    assert_eq!(gate.record().await["ground"], "satisfied");
    // What was refused before, and was never permitted, is not let out for want of an upstream.
    let refused = gate.get(&manifest("org/unsigned", "v1")).await;
    assert_eq!(refused.status, 503);
    // The gate may be writing its first rows beside them.
    let file = gate.path("state/audit.db");
    until_it_is("the record of the refusal is found", async || {
        refusal_in(&file).await.is_ok_and(|found| found)
    })
    .await;
}

async fn refusal_in(file: &Path) -> Result<bool, ReadError> {
    let filter = Filter { code: Some("no-evidence".to_owned()), ..Filter::default() };
    let mut found = Reader::open(file).await?.search(filter).await?;
    let record = found.next().await?.map(|found| found.record);
    Ok(record
        .is_some_and(|record| record.repository == "registry.test/org/unsigned" && record.reference == "v1"))
}
