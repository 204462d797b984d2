//! A state folder of another user (A503).

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::process::Command;

use pullgate_tests::asking::ask;
use pullgate_tests::clients::process::{Process, free_address};
use pullgate_tests::clients::{have, http, tool};
use pullgate_tests::made::Made;
use pullgate_tests::signing::Signer;
use pullgate_tests::upstream::Upstream;
use tempfile::TempDir;

use crate::stage::{KEYED, RELEASE, assert_serves, assert_undecided, blob, manifest};

/// Root that may not pass over owners and modes, as the gate's own user may not.
const NO_OVERRIDE: &str = "--bounding-set=-dac_override,-dac_read_search";

#[tokio::test(flavor = "multi_thread")]
async fn a503_over_a_state_folder_of_another_owner_the_gate_judges_and_is_not_ready() {
    if !have("suites/disk", &[tool::require_root("setpriv"), tool::require_installed(&["setpriv"])]) {
        return;
    }
    let (upstream, signer) = (Upstream::start().await.unwrap(), Signer::new());
    let folder = TempDir::with_prefix("pullgate-owner-").unwrap();
    let state = folder.path().join("state");
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, Permissions::from_mode(0o700)).unwrap();
    chown(&state, Some(65_534), Some(65_534)).unwrap();
    let (data, admin) = (free_address().unwrap(), free_address().unwrap());
    let configuration = format!(
        "policy = \"policy.toml\"\nstate = \"state\"\n\
         [listen]\naddress = \"{data}\"\ndefault_registry = \"registry.test\"\n\
         [admin]\naddress = \"{admin}\"\n[audit]\nlog = \"audit.jsonl\"\n\
         [upstream.\"registry.test\"]\nurl = \"{}\"\n",
        upstream.url()
    );
    fs::write(folder.path().join("pullgate.toml"), configuration).unwrap();
    fs::write(folder.path().join("policy.toml"), format!("{RELEASE}{KEYED}")).unwrap();
    fs::write(folder.path().join("release.pub"), signer.public_pem()).unwrap();
    let mut command = Command::new("setpriv");
    command.arg(NO_OVERRIDE).arg(tool::gate().unwrap()).args(["serve", "--config"]);
    command.arg(folder.path().join("pullgate.toml")).current_dir(folder.path());
    let mut gate = Process::start(&mut command, &folder.path().join("log")).unwrap();
    let alive = admin.clone();
    let gate = tokio::task::spawn_blocking(move || {
        gate.wait_ready(|| http::get(&alive, "/livez").is_ok_and(|answer| answer.status == 200)).unwrap();
        gate
    });
    let _gate = gate.await.unwrap();
    let get = async |target: String| ask(data.parse().unwrap(), "GET", &target, &[]).await;
    let (good, bad) = (Made::image(), Made::image());
    good.tag(&upstream, "org/app", "good");
    bad.tag(&upstream, "org/app", "bad");
    signer.sign_at(&upstream, "org/app", &good.digest());
    assert_serves(&get(manifest("org/app", "good")).await, &good);
    assert_eq!(get(blob("org/app", &good.layer())).await.status, 200);
    assert_undecided(&get(manifest("org/app", "bad")).await);
    // What lies in the folder cannot be known: no grant is not the same as none that can be read (A603).
    assert_undecided(&get(blob("org/app", &bad.layer())).await);
    let ready = ask(admin.parse().unwrap(), "GET", "/readyz", &[]).await;
    let text = String::from_utf8_lossy(&ready.body).into_owned();
    assert_eq!(ready.status, 503, "{text}");
    assert!(text.contains("\"store\"") && text.contains("\"audit\""), "{text}");
    assert_eq!(fs::read_dir(&state).unwrap().count(), 0, "nothing was put there");
}
