//! Wearing the gate down: slow work is one job, and a dead upstream delays no other.

use std::time::Duration;

use pullgate::limits;
use pullgate_tests::made::Made;
use pullgate_tests::signing::evidence_tag;
use pullgate_tests::upstream::{Fault, Upstream, When};
use pullgate_tests::waiting::{pause, still, until};

use crate::clients::slow::may_open_many_files;
use crate::stage::{KEYED, Stage, assert_serves, assert_undecided, blob, codes, manifest};

#[tokio::test]
async fn a064_a_slow_verdict_is_one_job_however_often_it_is_asked_for() {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    let hold = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    stage.upstream.fail(When::on(".sig"), Fault::Hold(std::sync::Arc::clone(&hold)));
    let (address, target) = (stage.gate.data, manifest("org/app", "v1"));
    let clients: Vec<_> = (0..100)
        .map(|_| {
            let target = target.clone();
            tokio::spawn(async move {
                // Each gives up long before the gate does.
                let asked = pullgate_tests::asking::ask(address, "GET", &target, &[]);
                tokio::time::timeout(Duration::from_secs(1), asked).await.is_err()
            })
        })
        .collect();
    until("the evidence is asked for", || stage.upstream.count(".sig") > 0).await;
    for client in clients {
        assert!(client.await.unwrap(), "nobody is answered yet");
    }
    let registry = "registry.test".parse().unwrap();
    assert_eq!(stage.gate.app().slots.taken(&registry), 1, "one job, whoever left");
    hold.add_permits(1);
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    assert_eq!(stage.upstream.count(&evidence_tag(&image.digest(), ".sig")), 1);
    assert_eq!(stage.upstream.count("GET /v2/org/app/manifests/v1"), 1);
}

#[tokio::test(start_paused = true)]
async fn a059_one_question_more_than_a_silent_upstream_may_hold_is_undecided() {
    const CLIENTS: usize = 20;
    // No time limit ends what is held.
    let still = still();
    let other = Upstream::start().await.unwrap();
    Made::image().tag(&other, "org/app", "v1");
    let url = other.url();
    let stage = Stage::with(&KEYED.replace("registry.test/**", "**"), |setup| {
        setup.upstream("other.test", &format!("url = \"{url}\""))
    })
    .await;
    let known = stage.signed("org/app", "known");
    assert_serves(&stage.manifest("org/app", "known").await, &known);
    assert_eq!(stage.blob("org/app", &known.layer()).await.status, 200);
    stage.kept(&known.layer()).await;
    // Its layer is in the cache, and whether this repository has it was not asked yet.
    known.tag(&stage.upstream, "org/copy", "v1");
    stage.sign("org/copy", &known);
    assert_serves(&stage.manifest("org/copy", "v1").await, &known);
    let hold = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    stage.upstream.fail(When::on("/slow/"), Fault::Hold(std::sync::Arc::clone(&hold)));
    let (app, address, registry) = (stage.gate.app(), stage.gate.data, "registry.test".parse().unwrap());
    let held: Vec<_> =
        (CLIENTS..limits::QUESTIONS_MAX).map(|_| app.slots.question(&registry).unwrap()).collect();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| {
            let target = manifest("org/slow", &format!("v{n}"));
            tokio::spawn(async move { pullgate_tests::asking::ask(address, "GET", &target, &[]).await })
        })
        .collect();
    while app.slots.asked(&registry) < limits::QUESTIONS_MAX {
        pause(Duration::from_millis(5)).await;
    }
    // They leave, and what they asked goes on.
    clients.iter().for_each(tokio::task::JoinHandle::abort);
    // Whoever waited for the upstream would hear of that, and not of places.
    for target in [
        manifest("org/slow", "over"),
        manifest("org/slow", &known.digest()),
        "/v2/org/slow/tags/list".to_owned(),
        format!("/v2/org/slow/referrers/{}", known.digest()),
        blob("org/slow", &known.layer()),
        blob("org/copy", &known.layer()),
    ] {
        assert_undecided(&stage.gate.get(&target).await);
    }
    assert_serves(&stage.manifest("org/app", "known").await, &known);
    assert_eq!(stage.gate.get("/v2/").await.status, 200);
    assert_eq!(stage.gate.get("/v2/other.test/org/app/tags/list").await.status, 200);
    assert_eq!(stage.upstream.count("/slow/"), CLIENTS);
    drop(still);
    tokio::time::resume();
    let records = stage.gate.records().await;
    assert!(records.iter().rev().take(4).any(|record| codes(record) == ["overload"]), "{records:?}");
    hold.add_permits(1);
    drop(held);
    while app.slots.asked(&registry) > 0 {
        pause(Duration::from_millis(5)).await;
    }
    assert_eq!(stage.manifest("org/slow", "over").await.status, 404);
    assert_eq!(stage.blob("org/copy", &known.layer()).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a175_a_dead_upstream_slows_nobody_elses() {
    let _still = still();
    let dead = Upstream::start().await.unwrap();
    let hold = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    // It gives manifests, and no evidence: every verdict about it waits to its end.
    dead.fail(When::on("sha256-"), Fault::Hold(std::sync::Arc::clone(&hold)));
    for n in 0..200 {
        Made::image().tag(&dead, "org/app", &format!("v{n}"));
    }
    let url = dead.url();
    let stage = Stage::with(&KEYED.replace("registry.test/**", "**"), |setup| {
        setup.upstream("dead.test", &format!("url = \"{url}\""))
    })
    .await;
    let images: Vec<Made> = (0..20).map(|n| stage.signed("org/app", &format!("v{n}"))).collect();
    let address = stage.gate.data;
    let stuck: Vec<_> = (0..200)
        .map(|n| {
            let target = format!("/v2/dead.test/org/app/manifests/v{n}");
            tokio::spawn(async move { pullgate_tests::asking::ask(address, "GET", &target, &[]).await })
        })
        .collect();
    while dead.count(".sig") < limits::VERDICTS_MAX {
        pause(Duration::from_millis(5)).await;
    }
    // All the while that it says nothing: whoever waited for it, or for a place that it holds, would wait with it.
    for (n, image) in images.iter().enumerate() {
        assert_serves(&stage.manifest("org/app", &format!("v{n}")).await, image);
        assert_eq!(stage.blob("org/app", &image.layer()).await.status, 200);
    }
    assert!(stuck.iter().any(|one| !one.is_finished()));
    hold.add_permits(10_000);
    for answer in stuck {
        let answer = answer.await.unwrap();
        assert!(answer.status == 403 || answer.status == 503, "{answer:?}");
    }
}

#[tokio::test]
async fn a058_permitted_images_are_served_while_every_worker_is_busy() {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "warm");
    assert_serves(&stage.manifest("org/app", "warm").await, &image);
    let cold = stage.signed("org/app", "cold");
    let (busy, release) = std::sync::mpsc::sync_channel::<()>(0);
    let release = std::sync::Arc::new(parking_lot::Mutex::new(release));
    let workers = std::thread::available_parallelism().unwrap().get();
    for _ in 0..workers {
        let (app, release) = (std::sync::Arc::clone(stage.gate.app()), std::sync::Arc::clone(&release));
        // Until the other end is dropped.
        tokio::spawn(async move {
            let repository = "registry.test/org/app".parse().unwrap();
            let work = pullgate::compute_pool::Work { repository: &repository, memory: 1 };
            app.compute_pool.run(work, move || release.lock().recv().is_err()).await
        });
    }
    let (address, target) = (stage.gate.data, manifest("org/app", "cold"));
    let asked = tokio::spawn(async move { pullgate_tests::asking::ask(address, "GET", &target, &[]).await });
    until("the upstream is asked", || stage.upstream.count(".sig") >= 2).await;
    for _ in 0..50 {
        assert_serves(&stage.manifest("org/app", "warm").await, &image);
        let layer = stage.gate.get(&blob("org/app", &image.layer())).await;
        assert_eq!(layer.status, 200);
    }
    assert!(!asked.is_finished(), "it was verified on a thread that serves");
    drop(busy);
    assert_serves(&asked.await.unwrap(), &cold);
}

#[tokio::test(start_paused = true)]
async fn a058_one_image_more_than_places_and_queue_hold_is_undecided() {
    if !may_open_many_files() {
        return;
    }
    // No time limit ends what is held.
    let still = still();
    let (stage, most) = (Stage::new().await, limits::VERDICTS_MAX + limits::QUEUE_MAX);
    let known = stage.signed("org/app", "known");
    assert_serves(&stage.manifest("org/app", "known").await, &known);
    let hold = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    stage.upstream.fail(When::on(".sig"), Fault::Hold(std::sync::Arc::clone(&hold)));
    let (address, registry) = (stage.gate.data, "registry.test".parse().unwrap());
    let ask_for = |n: usize| {
        stage.unsigned("org/app", &format!("v{n}"));
        let target = manifest("org/app", &format!("v{n}"));
        tokio::spawn(async move { pullgate_tests::asking::ask(address, "GET", &target, &[]).await })
    };
    let crowd: Vec<_> = (0..most).map(ask_for).collect();
    while stage.gate.app().slots.taken(&registry) < most {
        pause(Duration::from_millis(5)).await;
    }
    let over = ask_for(most).await.unwrap();
    assert_eq!((over.status, over.code().as_str()), (503, "UNAVAILABLE"));
    assert_serves(&stage.manifest("org/app", "known").await, &known);
    assert_eq!(stage.gate.get("/v2/").await.status, 200);
    drop(still);
    tokio::time::resume();
    let records = stage.gate.records().await;
    assert!(records.iter().any(|record| codes(record) == ["overload"]), "{records:?}");
    hold.add_permits(1);
    for one in crowd {
        let answer = one.await.unwrap();
        // Those that a busy machine did not come to within their time are undecided.
        assert!([403, 503].contains(&answer.status), "{answer:?}");
    }
}
