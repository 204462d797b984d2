//! Trust tables under a running gate: what a refresh, a change or a removal of one does to pulls.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pullgate::clock::Clock;
use pullgate_tests::asking::{Answer, ask};
use pullgate_tests::clients::content::Content;
use pullgate_tests::clients::tool::recorded;
use pullgate_tests::gate_in_process::{Gate, Setup};
use pullgate_tests::made::Made;
use pullgate_tests::signing::{SIGN_PREDICATE, Signer, referrer};
use pullgate_tests::tuf::{EXPIRES_AFTER, ROOT, Tuf};
use pullgate_tests::upstream::{Fault, ReferrersApi, Upstream, When};
use pullgate_tests::waiting::until;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::stage::{codes, manifest};

const NOW: &str = "2026-11-25T00:00:00Z";
/// The signed image of the recorded registry, by its tag, and a child of it.
const TAG: &str = "rekor1";
const MAX_AGE: Duration = Duration::from_secs(2 * 24 * 3_600);

/// A policy that wants the recorded registry's workflow, under this trust table.
fn policy(trust: &str, table: &str) -> String {
    format!(
        "unmatched = \"deny\"\n{table}[authority.ci]\ntrust = \"{trust}\"\nissuer = \"https://token.actions.corp.example\"\n\
         identity = \"https://git.corp.example/corp/shop/.github/workflows/release.yml@refs/heads/main\"\n\
         [[policy]]\nname = \"shop\"\nscope = [\"registry.test/live/**\"]\n[[policy.require]]\nsigned_by = {{ any_of = [\"ci\"] }}\n"
    )
}

fn root(name: &str) -> Vec<u8> {
    std::fs::read(recorded(&format!("roots/{name}.json"))).unwrap()
}

/// A trusted root whose authorities are another instance's.
fn of_others() -> Vec<u8> {
    let mut one: Value = serde_json::from_slice(&root("trusted_root")).unwrap();
    let other: Value = serde_json::from_slice(&root("rogue-instance")).unwrap();
    one["certificateAuthorities"] = other["certificateAuthorities"].clone();
    one.to_string().into_bytes()
}

async fn registry() -> Upstream {
    let upstream = Upstream::start().await.unwrap();
    upstream.set_referrers(ReferrersApi::Whole);
    Content::from_layout(&recorded("keyless3-bundle")).unwrap().put(&upstream, "live/shop");
    upstream
}

async fn pull(gate: &Gate) -> Answer {
    gate.get(&manifest("live/shop", TAG)).await
}

/// A gate whose table comes from a TUF repository in a folder.
struct Refreshed {
    gate: Gate,
    clock: Clock,
    tuf: Tuf,
    folder: tempfile::TempDir,
    upstream: Upstream,
}

impl Refreshed {
    async fn new() -> Self {
        let upstream = registry().await;
        let folder = tempfile::tempdir().unwrap();
        let mut tuf = Tuf::new(folder.path());
        tuf.publish(folder.path(), &root("trusted_root"), NOW.parse().unwrap());
        let table = format!(
            "[trust.live]\ntuf = {{ url = \"file://{}\", root = \"root.json\" }}\nmax_age = \"2d\"\n",
            folder.path().display()
        );
        let clock = Clock::settable(NOW.parse().unwrap());
        let setup = Setup::before(&upstream.url())
            .policy(policy("live", &table))
            .file("root.json", std::fs::read(folder.path().join(ROOT)).unwrap());
        let gate = Gate::start_at(&setup, clock.clone()).await;
        Self { gate, clock, tuf, folder, upstream }
    }

    async fn look(&self) {
        pullgate::server::trust_refresh::look(self.gate.app()).await;
    }

    fn publish(&mut self, trusted_root: &[u8]) {
        self.tuf.publish(self.folder.path(), trusted_root, self.clock.now());
    }

    async fn ready(&self) -> String {
        String::from_utf8(self.gate.admin("/readyz").await.body.to_vec()).unwrap()
    }

    /// Lets so much time pass that the next look refreshes.
    async fn later(&self, by: Duration) {
        self.clock.advance(by);
        self.look().await;
    }
}

const HOURS: Duration = Duration::from_secs(25 * 3_600);

#[tokio::test(flavor = "multi_thread")]
async fn a342_a350_a_refreshed_root_counts_from_the_next_pull() {
    let mut stage = Refreshed::new().await;
    let answer = pull(&stage.gate).await;
    assert_eq!(answer.status, 503, "never fetched: nobody knows");
    assert_eq!(codes(&stage.gate.record().await).first().map(String::as_str), Some("trust-stale"));
    stage.look().await;
    let answer = pull(&stage.gate).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let document: Value = serde_json::from_slice(&answer.body).unwrap();
    let layer = document["layers"][0]["digest"].as_str().unwrap().to_owned();
    let blob = || async { stage.gate.get(&crate::stage::blob("live/shop", &layer)).await.status };
    assert_eq!(blob().await, 200);
    stage.publish(&of_others());
    stage.later(HOURS).await;
    let answer = pull(&stage.gate).await;
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(codes(&stage.gate.record().await).contains(&"certificate-untrusted".to_owned()));
    let gone = stage.gate.get(&crate::stage::blob("live/shop", &layer)).await.status;
    assert_eq!(gone, 403, "what was granted under the old root went with it");
    stage.publish(&root("trusted_root"));
    stage.later(HOURS).await;
    assert_eq!(pull(&stage.gate).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a341_a_mirror_that_goes_back_is_refused_and_the_gate_says_so() {
    let mut stage = Refreshed::new().await;
    stage.look().await;
    assert_eq!(pull(&stage.gate).await.status, 200);
    let old = std::fs::read(stage.folder.path().join("timestamp.json")).unwrap();
    stage.publish(&of_others());
    stage.later(HOURS).await;
    assert_eq!(pull(&stage.gate).await.status, 403);
    std::fs::write(stage.folder.path().join("timestamp.json"), old).unwrap();
    stage.later(HOURS).await;
    assert_eq!(pull(&stage.gate).await.status, 403, "the old trust is not had back");
    let ready = stage.ready().await;
    assert!(ready.contains("trust-rollback") || ready.contains("refresh of trust root"), "{ready}");
    let metrics = String::from_utf8(stage.gate.admin("/metrics").await.body.to_vec()).unwrap();
    assert!(metrics.contains("trust-rollback"), "the metric tells it");
    // What a mirror says that is signed and newer is taken again.
    stage.publish(&root("trusted_root"));
    stage.later(HOURS).await;
    assert_eq!(pull(&stage.gate).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a342_a_mirror_that_stands_still_counts_to_max_age_and_then_nothing_is_known() {
    let stage = Refreshed::new().await;
    stage.look().await;
    assert_eq!(pull(&stage.gate).await.status, 200);
    let expires = Duration::try_from(EXPIRES_AFTER).unwrap();
    stage.later(expires + Duration::from_secs(3_600)).await;
    assert_eq!(pull(&stage.gate).await.status, 200, "expired, and within max_age");
    assert!(stage.ready().await.contains("live"), "and said");
    stage.later(MAX_AGE).await;
    let answer = pull(&stage.gate).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(codes(&stage.gate.record().await).first().map(String::as_str), Some("trust-stale"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a349_the_last_good_copy_survives_a_restart_without_a_mirror() {
    let mut stage = Refreshed::new().await;
    stage.look().await;
    assert_eq!(pull(&stage.gate).await.status, 200);
    std::fs::remove_dir_all(stage.folder.path()).unwrap();
    stage.gate.restart().await;
    assert_eq!(pull(&stage.gate).await.status, 200);
    // A copy into which somebody put a root of his own is not believed.
    let kept = stage.gate.path("state/trust");
    let file = std::fs::read_dir(&kept).unwrap().next().unwrap().unwrap().path();
    let mut copy: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    copy["target"] = json!(STANDARD.encode(of_others()));
    std::fs::write(&file, copy.to_string()).unwrap();
    stage.gate.restart().await;
    assert_eq!(pull(&stage.gate).await.status, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn a349_a_mirror_that_never_answers_holds_up_no_pull() {
    let mirror = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = mirror.local_addr().unwrap();
    let asked = Arc::new(Semaphore::new(0));
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = mirror.accept().await {
            held.push(stream);
            seen.add_permits(1);
        }
    });
    let upstream = Upstream::start().await.unwrap();
    let (signer, image) = (Signer::new(), Made::image());
    image.tag(&upstream, "org/app", "v1");
    signer.sign_at(&upstream, "org/app", &image.digest());
    let folder = tempfile::tempdir().unwrap();
    drop(Tuf::new(folder.path()));
    let table = format!(
        "[trust.live]\ntuf = {{ url = \"http://{address}\", root = \"root.json\" }}\n[authority.release]\nkey = \"release.pub\"\n\
         transparency = \"optional\"\n[[policy]]\nname = \"org\"\nscope = [\"registry.test/org/**\"]\n[[policy.require]]\n\
         signed_by = {{ any_of = [\"release\"] }}\n"
    );
    let setup = Setup::before(&upstream.url())
        .policy(policy("live", &table))
        .file("root.json", std::fs::read(folder.path().join(ROOT)).unwrap())
        .file("release.pub", signer.public_pem());
    let gate = Gate::start(&setup).await;
    let app = Arc::clone(gate.app());
    let looking = tokio::spawn(async move { pullgate::server::trust_refresh::look(&app).await });
    // The mirror is being asked, and says nothing.
    asked.acquire().await.unwrap().forget();
    assert_eq!(gate.get(&manifest("org/app", "v1")).await.status, 200);
    assert!(!looking.is_finished());
    looking.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a348_a_verdict_begun_under_one_trust_root_is_reached_again_under_the_next() {
    let mut stage = Refreshed::new().await;
    stage.look().await;
    let hold = Arc::new(Semaphore::new(0));
    let upstream = &stage.upstream;
    upstream.fail(When::on("referrers").times(1), Fault::Hold(Arc::clone(&hold)));
    let (address, target) = (stage.gate.data, manifest("live/shop", TAG));
    let client = tokio::spawn(async move { ask(address, "GET", &target, &[]).await });
    until("the upstream is asked", || upstream.count("referrers") > 0).await;
    stage.publish(&of_others());
    stage.later(HOURS).await;
    hold.add_permits(1);
    assert_eq!(client.await.unwrap().status, 403);
    // Nothing of the first one was kept for the time when the old root comes back.
    let image = pull(&stage.gate).await;
    assert_eq!(image.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a346_a350_a_tenants_file_of_a_repository_is_its_table_and_another_files_is_not() {
    let upstream = registry().await;
    let folder = tempfile::tempdir().unwrap();
    let mut tuf = Tuf::new(folder.path());
    let files: [(&str, &[u8]); 2] =
        [("trusted_root.json", &of_others()), ("acme.trusted_root.json", &root("trusted_root"))];
    tuf.publish_files(folder.path(), &files, NOW.parse().unwrap());
    let with = |target: &str| {
        let url = folder.path().display();
        let table =
            format!("[trust.live]\ntuf = {{ url = \"file://{url}\", root = \"root.json\"{target} }}\n");
        policy("live", &table)
    };
    let setup = Setup::before(&upstream.url())
        .policy(with(", target = \"acme.trusted_root.json\""))
        .file("root.json", std::fs::read(folder.path().join(ROOT)).unwrap());
    let gate = Gate::start_at(&setup, Clock::fixed(NOW.parse().unwrap())).await;
    let look = || pullgate::server::trust_refresh::look(gate.app());
    look().await;
    assert_eq!(pull(&gate).await.status, 200);
    // Another file of the same repository is another table, from the reload on and not from the next refresh on.
    gate.reload(&with("")).await;
    assert_eq!(pull(&gate).await.status, 503, "never fetched: nobody knows");
    look().await;
    assert_eq!(pull(&gate).await.status, 403);
    gate.reload(&with(", target = \"other.trusted_root.json\"")).await;
    look().await;
    assert_eq!(pull(&gate).await.status, 503, "the repository has no such file");
    gate.reload(&with(", target = \"acme.trusted_root.json\"")).await;
    look().await;
    assert_eq!(pull(&gate).await.status, 200);
}

#[tokio::test]
async fn a350_a_table_that_the_policy_names_no_more_speaks_for_nobody() {
    let upstream = registry().await;
    let file = |name: &str| {
        format!("[trust.{name}]\ntrusted_root = \"{}\"\n", recorded("roots/trusted_root.json").display())
    };
    let setup = Setup::before(&upstream.url()).policy(policy("live", &file("live")));
    let gate = Gate::start_at(&setup, Clock::fixed(NOW.parse().unwrap())).await;
    let answer = pull(&gate).await;
    assert_eq!(answer.status, 200);
    let document: Value = serde_json::from_slice(&answer.body).unwrap();
    let layer = crate::stage::blob("live/shop", document["layers"][0]["digest"].as_str().unwrap());
    assert_eq!(gate.get(&layer).await.status, 200);
    gate.reload(&policy("github", "")).await;
    assert_eq!(pull(&gate).await.status, 403);
    assert_eq!(gate.get(&layer).await.status, 403);
    // The same instance under another name is another table, and counts for whoever names it.
    gate.reload(&policy("other", &file("other"))).await;
    assert_eq!(pull(&gate).await.status, 200);
}

#[tokio::test]
async fn a314_nothing_is_asked_of_a_log_that_evidence_or_a_trusted_root_names() {
    let log = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", log.local_addr().unwrap());
    let upstream = Upstream::start().await.unwrap();
    upstream.set_referrers(ReferrersApi::Whole);
    let (signer, image) = (Signer::new(), Made::image());
    image.tag(&upstream, "live/shop", "v1");
    // A bundle that says no more of its entry than where it is.
    let mut bundle = signer.bundle(&image.digest(), SIGN_PREDICATE);
    let mut json: Value = serde_json::from_slice(&bundle.bytes).unwrap();
    let mut trusted: Value = serde_json::from_slice(&root("trusted_root")).unwrap();
    let id = trusted["tlogs"][0]["logId"].clone();
    json["verificationMaterial"]["tlogEntries"] = json!([{ "logIndex": "7", "logId": id }]);
    bundle.bytes = json.to_string().into_bytes();
    referrer(&image.descriptor(), bundle).put(&upstream, "live/shop");
    for logs in ["tlogs", "ctlogs"] {
        for one in trusted[logs].as_array_mut().unwrap() {
            one["baseUrl"] = json!(address);
        }
    }
    let policy = "unmatched = \"deny\"\n[trust.live]\ntrusted_root = \"root.json\"\n[authority.release]\nkey = \"release.pub\"\n\
         trust = \"live\"\ntransparency = \"required\"\n[[policy]]\nname = \"shop\"\nscope = [\"registry.test/live/**\"]\n\
         [[policy.require]]\nsigned_by = { any_of = [\"release\"] }\n";
    let setup = Setup::before(&upstream.url())
        .policy(policy)
        .file("root.json", trusted.to_string())
        .file("release.pub", signer.public_pem());
    let gate = Gate::start(&setup).await;
    assert_eq!(gate.get(&manifest("live/shop", "v1")).await.status, 403);
    let nobody = tokio::time::timeout(Duration::from_millis(50), log.accept()).await;
    assert!(nobody.is_err(), "the log was asked");
}
