//! Claims in their whole width: each of these rows had tests of its first case alone.

use std::time::Duration;

use pullgate_policy::limits;
use pullgate_tests::asking::{End, ask};
use pullgate_tests::made::{LAYER, Layer, Made};
use pullgate_tests::signing::{SIGN_PREDICATE, carrier, evidence_tag, referrer};
use pullgate_tests::upstream::{Fault, ReferrersApi, Upstream, When};
use pullgate_tests::waiting::{pause, still, until};
use serde_json::json;

use crate::stage::{KEYED, Stage, assert_denied, assert_serves, assert_undecided, blob, codes, manifest};

/// Every way to ask for a blob.
async fn statuses(stage: &Stage, target: &str) -> Vec<u16> {
    let mut statuses = Vec::new();
    for method in ["GET", "HEAD"] {
        for headers in [&[][..], &[("range", "bytes=0-0")]] {
            statuses.push(ask(stage.gate.data, method, target, headers).await.status);
        }
    }
    statuses
}

/// Large enough that it is not hashed before its first byte leaves, and with a size that is true or not.
#[tokio::test]
async fn a013_a_large_layer_listed_by_sha512_evades_no_block_whatever_size_it_says() {
    let sha512 = |bytes: &[u8]| {
        format!("sha512:{}", hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, bytes)))
    };
    for false_by in [0_i64, -1, 1] {
        let stage = Stage::new().await;
        let bytes = Made::image_of_bytes(3 << 20).blobs.pop().unwrap();
        let (name, honest) = (sha512(&bytes), Made::image());
        let mut body: serde_json::Value = serde_json::from_slice(&honest.bytes).unwrap();
        body["layers"][0]["digest"] = name.clone().into();
        body["layers"][0]["size"] = (i64::try_from(bytes.len()).unwrap() + false_by).into();
        let image = Made::from_bytes(&honest.media_type, body.to_string().into_bytes(), honest.blobs);
        image.tag(&stage.upstream, "org/app", "v1");
        stage.sign("org/app", &image);
        let block = format!(
            "{KEYED}[[block]]\ndigest = \"{}\"\nreason = \"CVE-2026-0001\"\n",
            stage.upstream.blob("org/app", &bytes)
        );
        let fault = Fault::Answer(200, "application/octet-stream", bytes.clone());
        stage.upstream.fail(When::on("blobs/sha512"), fault);
        assert_serves(&stage.manifest("org/app", "v1").await, &image);
        for policy in [block.as_str(), KEYED, block.as_str()] {
            stage.reload(policy).await;
            assert_serves(&stage.manifest("org/app", "v1").await, &image);
            let answer = stage.blob("org/app", &name).await;
            let whole = answer.status == 200 && answer.end == End::Whole && answer.body == bytes;
            assert_eq!(
                whole,
                policy == KEYED && false_by == 0,
                "{false_by}: {} {:?}",
                answer.status,
                answer.end
            );
        }
    }
}

/// The manifest, its config and layer, a signature and an attestation, with what carries them.
#[tokio::test]
async fn a026_no_kind_of_copy_serves_a_repository_whose_upstream_does_not_have_it() {
    let weak = "[[policy]]\nname = \"own\"\nscope = [\"registry.test/org/own/**\"]\ninsecure_permit_anything = true\n";
    let stage = Stage::on(&format!("{KEYED}{weak}")).await;
    stage.upstream.set_referrers(ReferrersApi::Whole);
    let private = stage.unsigned("org/app", "v1");
    let signature = stage.sign("org/app", &private);
    let attestation =
        carrier(vec![stage.signer.attestation(&private.digest(), "https://slsa.dev/provenance/v1")]);
    attestation.tag(&stage.upstream, "org/app", &evidence_tag(&private.digest(), ".att"));
    let bundle = referrer(&private.descriptor(), stage.signer.bundle(&private.digest(), SIGN_PREDICATE));
    bundle.put(&stage.upstream, "org/app");
    assert_serves(&stage.manifest("org/app", "v1").await, &private);
    let all = [&private, &signature, &attestation, &bundle];
    for made in all {
        assert_serves(&stage.manifest("org/app", &made.digest()).await, made);
        for digest in [made.config(), made.layer()] {
            assert_eq!(stage.blob("org/app", &digest).await.status, 200);
        }
    }
    // Manifests of one's own that name what is private: as a layer, as a config, as a child, as a subject.
    let named: Vec<Layer> = all.iter().map(|made| Layer::new(LAYER, made.blobs[1].clone())).collect();
    let configs: Vec<Layer> = all.iter().map(|made| Layer::new(LAYER, made.blobs[0].clone())).collect();
    let own = [
        Made::image_of(named),
        Made::image_of(configs),
        Made::index_of(&all.map(Made::descriptor), Vec::new()),
        referrer(
            &private.descriptor(),
            Layer::new(&attestation_type(&attestation), attestation.blobs[1].clone()),
        ),
    ];
    for made in &own {
        let digest = stage.upstream.manifest("org/own/app", &made.media_type, &made.bytes);
        assert_eq!(stage.manifest("org/own/app", &digest).await.status, 200);
    }
    for made in all {
        let target = manifest("org/own/app", &made.digest());
        assert_eq!(statuses(&stage, &target).await, [404; 4], "{}", String::from_utf8_lossy(&made.bytes));
        for digest in [made.config(), made.layer()] {
            let found = statuses(&stage, &blob("org/own/app", &digest)).await;
            assert!(found.iter().all(|status| [403, 404].contains(status)), "{found:?}");
        }
    }
    // The neighbour: once its own upstream has them, they are served.
    for made in all {
        made.put(&stage.upstream, "org/own/app");
    }
    stage.later(Duration::from_secs(60));
    assert_eq!(stage.manifest("org/own/app", &private.digest()).await.status, 200);
    assert_eq!(stage.blob("org/own/app", &private.layer()).await.status, 200);
}

fn attestation_type(made: &Made) -> String {
    let body: serde_json::Value = serde_json::from_slice(&made.bytes).unwrap();
    body["layers"][0]["mediaType"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a058_what_only_the_store_knows_is_answered_while_there_is_no_place() {
    let clock = still();
    let mut stage = Stage::new().await;
    let known = stage.signed("org/app", "known");
    assert_serves(&stage.manifest("org/app", "known").await, &known);
    assert_eq!(stage.blob("org/app", &known.layer()).await.status, 200);
    drop(clock);
    tokio::time::resume();
    stage.gate.restart().await;
    tokio::time::pause();
    let _still = still();
    let (app, registry) = (std::sync::Arc::clone(stage.gate.app()), "registry.test".parse().unwrap());
    let mut places = Vec::new();
    for _ in 0..pullgate::limits::VERDICTS_MAX {
        places.push(app.slots.take(&registry).await.unwrap());
    }
    for _ in 0..pullgate::limits::QUEUE_MAX {
        let (app, registry) = (std::sync::Arc::clone(&app), registry.clone());
        tokio::spawn(async move { drop(app.slots.take(&registry).await) });
    }
    until("there is no place", || {
        app.slots.taken(&registry) == pullgate::limits::VERDICTS_MAX + pullgate::limits::QUEUE_MAX
    })
    .await;
    stage.signed("org/app", "new");
    for _ in 0..2 {
        for reference in ["known", &known.digest()] {
            assert_serves(&stage.manifest("org/app", reference).await, &known);
            assert_eq!(stage.gate.head(&manifest("org/app", reference)).await.status, 200);
        }
        assert_eq!(stage.blob("org/app", &known.layer()).await.status, 200);
        assert_undecided(&stage.manifest("org/app", "new").await);
        assert_eq!(stage.gate.get("/v2/").await.status, 200);
    }
    drop(places);
}

/// A small piece that says it is larger than is read, and one that is: of each format.
#[tokio::test]
async fn a142_no_format_of_evidence_is_fetched_over_its_limit_or_read_over_what_it_says() {
    let most = limits::EVIDENCE_ITEM_BYTES;
    for format in ["sig", "att", "bundle"] {
        let stage = Stage::new().await;
        stage.upstream.set_referrers(ReferrersApi::Whole);
        let put = |image: &Made, size: Option<u64>| {
            let layer = match format {
                "sig" => stage.signer.signature(&image.digest()),
                "att" => stage.signer.attestation(&image.digest(), SIGN_PREDICATE),
                _ => stage.signer.bundle(&image.digest(), SIGN_PREDICATE),
            };
            let bytes = layer.bytes.clone();
            let made =
                if format == "bundle" { referrer(&image.descriptor(), layer) } else { carrier(vec![layer]) };
            let mut body: serde_json::Value = serde_json::from_slice(&made.bytes).unwrap();
            if let Some(size) = size {
                body["layers"][0]["size"] = json!(size);
            }
            let made = Made::from_bytes(&made.media_type, body.to_string().into_bytes(), made.blobs.clone());
            match format {
                "bundle" => made.put(&stage.upstream, "org/app"),
                suffix => made.tag(
                    &stage.upstream,
                    "org/app",
                    &evidence_tag(&image.digest(), &format!(".{suffix}")),
                ),
            };
            pullgate_tests::clients::content::sha256(&bytes)
        };
        for size in [most + 1, 1 << 30, 1 << 40] {
            let image = stage.unsigned("org/app", "huge");
            let digest = put(&image, Some(size));
            assert_denied(&stage.manifest("org/app", &image.digest()).await);
            let record = stage.gate.record().await;
            assert!(codes(&record).contains(&"evidence-too-large".to_owned()), "{format} {size}: {record}");
            assert_eq!(stage.upstream.count(&format!("blobs/{digest}")), 0, "{format} {size}");
        }
        // It says what it has, and does not end.
        let image = stage.unsigned("org/app", "endless");
        let digest = put(&image, None);
        stage.upstream.fail(When::on(format!("blobs/{digest}")), Fault::Endless(b' '));
        let before = stage.upstream.sent();
        assert_ne!(stage.manifest("org/app", &image.digest()).await.status, 200, "{format}");
        pause(Duration::from_millis(200)).await;
        // What lies in buffers of sockets is sent and never read.
        assert!(stage.upstream.sent() - before < 8 * limits::MIB, "{format}");
        // The neighbour: the same, as it is.
        stage.upstream.heal();
        let image = stage.signed("org/app", "v1");
        put(&image, None);
        assert_serves(&stage.manifest("org/app", "v1").await, &image);
    }
}

/// Wherever it is dead: all the while others are served, by clocks that stand still, so that whoever waited for it
/// would wait for ever.
#[tokio::test(start_paused = true)]
async fn a175_wherever_an_upstream_is_dead_another_one_is_asked_and_served() {
    const STUCK: usize = 300;
    let _still = still();
    for part in ["/manifests/v", "sha256-", "/referrers/", "/blobs/", "/tags/list"] {
        let dead = Upstream::start().await.unwrap();
        dead.set_referrers(ReferrersApi::Whole);
        let url = dead.url();
        let stage = Stage::with(&KEYED.replace("registry.test/**", "**"), |setup| {
            setup.upstream("dead.test", &format!("url = \"{url}\""))
        })
        .await;
        stage.upstream.set_referrers(ReferrersApi::Whole);
        let layers = (0..STUCK)
            .map(|n| Layer::new(LAYER, format!("{n} {}", pullgate_tests::made::fresh()).into_bytes()));
        let large = Made::image_of(layers.collect());
        large.tag(&dead, "org/app", "large");
        stage.signer.sign_at(&dead, "org/app", &large.digest());
        assert_serves(&stage.manifest("dead.test/org/app", "large").await, &large);
        let hold = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
        dead.fail(When::on(part), Fault::Hold(std::sync::Arc::clone(&hold)));
        dead.forget();
        let address = stage.gate.data;
        for n in 0..STUCK {
            let target = match part {
                "/blobs/" => {
                    blob("dead.test/org/app", &pullgate_tests::clients::content::sha256(&large.blobs[n + 1]))
                }
                "/tags/list" => format!("/v2/dead.test/org/app{n}/tags/list"),
                _ => {
                    Made::image().tag(&dead, "org/app", &format!("v{n}"));
                    manifest("dead.test/org/app", &format!("v{n}"))
                }
            };
            tokio::spawn(async move { ask(address, "GET", &target, &[]).await });
        }
        until("it is asked, and says nothing", || dead.count(part) >= pullgate::limits::VERDICTS_MAX).await;
        for n in 0..5 {
            let tag = format!("v{n}");
            let image = stage.signed("org/app", &tag);
            assert_serves(&stage.manifest("org/app", &tag).await, &image);
            assert_eq!(stage.blob("org/app", &image.layer()).await.status, 200, "{part}");
            assert_eq!(stage.gate.get("/v2/org/app/tags/list").await.status, 200, "{part}");
            let referrers = format!("/v2/org/app/referrers/{}", image.digest());
            assert_eq!(stage.gate.get(&referrers).await.status, 200, "{part}");
        }
        hold.add_permits(100_000);
    }
}
