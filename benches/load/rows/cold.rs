//! A cold pull, as a client does it: manifest, config and layer, one after the other, each server new in each round.

use std::net::SocketAddr;

use pullgate_tests::clients::Settings;
use pullgate_tests::clients::content::Content;
use pullgate_tests::clients::tool::recorded;
use pullgate_tests::upstream::{Fault, ReferrersApi, Upstream, When};
use serde_json::Value;
use tokio::task::block_in_place;

use super::{AWAY, Bench, blob_of, figures, manifest_of, push};
use crate::Failed;
use crate::client::{Asking, ask};
use crate::peers::{self, REPOSITORY};
use crate::table::print;

/// Evidence that real cosign made with a private Sigstore: what it is, its recording, its tag.
const KINDS: [(&str, &str, &str); 3] = [
    ("keyless .sig", "keyless2-sig", "good"),
    ("keyless bundle, Rekor v1", "keyless3-bundle", "rekor1"),
    ("keyless bundle, Rekor v2 and TSA", "keyless3-bundle", "rekor2"),
];
const POLICY: &str = "[trust.live]\ntrusted_root = \"root.json\"\n\
    [authority.release]\ntrust = \"live\"\nissuer = \"https://token.actions.corp.example\"\n\
    identity = \"https://git.corp.example/corp/shop/.github/workflows/release.yml@refs/heads/main\"\n\
    [[policy]]\nname = \"production\"\nscope = [\"registry.test/**\"]\n\
    [[policy.require]]\nsigned_by = { any_of = [\"release\"] }\n";

/// By tag and by digest, each kind of evidence.
pub(super) async fn measure(bench: &Bench) -> Result<(), Failed> {
    for (kind, layout, tag) in KINDS {
        let upstream = Upstream::start().await?;
        upstream.set_referrers(ReferrersApi::Whole);
        let content = Content::from_layout(&recorded(layout))?;
        content.put(&upstream, REPOSITORY);
        let settings = Settings::new(POLICY).file("root.json", &recorded("roots/trusted_root.json"))?;
        let settings = peers::before(settings, &upstream, peers::LASTS);
        let digest = content.digest(tag)?;
        for (by, reference) in [("tag", tag), ("digest", &digest)] {
            let mut all = Vec::new();
            for _ in 0..bench.rounds.count.max(5) {
                let peers = block_in_place(|| {
                    Ok::<_, Failed>([
                        peers::gate_with(settings.clone(), None)?,
                        peers::mirror(&upstream)?,
                        peers::nginx_proxy(&upstream)?,
                    ])
                })?;
                if all.is_empty() {
                    all = figures(&peers, &["ms to the manifest", "ms for all", "upstream requests"]);
                }
                for (peer, figures) in peers.iter().zip(&mut all) {
                    upstream.forget();
                    upstream.fail(When::on(""), Fault::Delay(AWAY));
                    let [manifest, whole] = pull(&content, peer.plain, reference, &digest).await?;
                    upstream.heal();
                    push(figures, [manifest, whole, upstream.seen().len() as f64]);
                }
            }
            print(&format!("cold pull by {by}, {kind}, upstream 20 ms away"), &all, "docker-registry");
        }
    }
    Ok(())
}

/// Milliseconds to the manifest's end and to the end of all.
async fn pull(
    content: &Content,
    address: SocketAddr,
    reference: &str,
    digest: &str,
) -> Result<[f64; 2], Failed> {
    let bytes =
        content.manifests.iter().find(|one| pullgate_tests::clients::content::sha256(&one.bytes) == digest);
    let parsed: Value = serde_json::from_slice(&bytes.ok_or("no such manifest")?.bytes)?;
    let layers = parsed.get("layers").and_then(Value::as_array).into_iter().flatten();
    let blobs = parsed.get("config").into_iter().chain(layers);
    let manifest = ask(&Asking::once(address, format!("GET {}", manifest_of(reference)))).await?.took;
    let mut whole = manifest;
    for blob in blobs.filter_map(|blob| blob.get("digest")?.as_str()) {
        whole += ask(&Asking::once(address, format!("GET {}", blob_of(blob)))).await?.took;
    }
    Ok([manifest * 1e3, whole * 1e3])
}
