//! A panic at any place of a pull costs that one answer and no other (A545).
//!
//! The gate has no door for it. What panics here is a double of the log, which hears of each request and each stage on the
//! way; and a verdict, begun in the gate's stead by the handle that merges those who ask.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use pullgate_policy::verdict::Subject;
use pullgate_tests::asking::{ask, raw};
use serde_json::json;
use tokio::sync::Semaphore;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Event, Metadata, Subscriber};

use crate::stage::{Stage, assert_serves, assert_undecided, blob, codes, manifest};

/// A log whose writer panics, once, where a span of this name begins.
#[derive(Clone, Default)]
struct Panicking(Arc<Mutex<Option<&'static str>>>);

/// What makes it the log of this thread, where the whole gate is.
struct Heard {
    _here: DefaultGuard,
    _second: Dispatch,
}

impl Panicking {
    fn listen(&self) -> Heard {
        let here = tracing::subscriber::set_default(self.clone());
        // While there is but one, a span that another thread begins first is taken to be nobody's for good: `tracing`
        // asks that thread alone.
        Heard { _here: here, _second: Dispatch::new(Self::default()) }
    }

    fn at(&self, place: &'static str) {
        *self.0.lock() = Some(place);
    }

    fn has_panicked(&self) -> bool {
        self.0.lock().is_none()
    }
}

impl Subscriber for Panicking {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span()
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut names = Names(vec![span.metadata().name().to_owned()]);
        span.record(&mut names);
        let mut place = self.0.lock();
        let meant = place.is_some_and(|place| names.0.iter().any(|name| name == place));
        let taken = if meant { place.take() } else { None };
        drop(place);
        assert!(taken.is_none(), "injected");
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// The names of a span: its own, and the one that is shown.
struct Names(Vec<String>);

impl Visit for Names {
    fn record_str(&mut self, _: &Field, value: &str) {
        self.0.push(value.to_owned());
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

#[tokio::test]
async fn a545_a_panic_in_a_handler_is_undecided_for_its_client_alone_and_the_gate_goes_on() {
    let log = Panicking::default();
    let _heard = log.listen();
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    let target = manifest("org/app", "v1");
    let layer = blob("org/app", &image.layer());
    for (n, (method, target, reference)) in
        [("GET", &target, "v1"), ("HEAD", &target, "v1"), ("GET", &layer, image.layer().as_str())]
            .into_iter()
            .enumerate()
    {
        log.at("request");
        let answer = stage.gate.send(method, target).await;
        assert!(log.has_panicked());
        match method {
            "HEAD" => assert_eq!((answer.status, answer.body.len()), (503, 0)),
            _ => assert_undecided(&answer),
        }
        assert!(answer.header("retry-after").is_some());
        assert_eq!(answer.header("docker-distribution-api-version"), Some("registry/2.0"));
        let records = stage.gate.records().await;
        assert_eq!(records.len(), n + 1);
        let record = &records[n];
        assert_eq!(codes(record), ["internal"]);
        assert_eq!(
            (&record["verdict"], &record["repository"], &record["reference"], &record["method"]),
            (&json!("undecided"), &json!("registry.test/org/app"), &json!(reference), &json!(method))
        );
    }
    log.at("request");
    // The connection, too, goes on.
    let two = "GET /v2/ HTTP/1.1\r\nhost: a\r\n\r\nGET /v2/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let answers = raw(stage.gate.data, two).await;
    assert!(answers.starts_with("HTTP/1.1 503") && answers.contains("HTTP/1.1 200"), "{answers}");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
}

#[tokio::test]
async fn a545_a_panic_in_any_stage_is_undecided_and_the_next_pull_is_served() {
    let log = Panicking::default();
    let _heard = log.listen();
    let stage = Stage::new().await;
    let (known, address) = (stage.signed("org/app", "known"), stage.gate.data);
    assert_serves(&stage.manifest("org/app", "known").await, &known);
    for place in ["resolve", "collect", "verify", "decide"] {
        let image = stage.signed("org/app", place);
        log.at(place);
        let answer = stage.manifest("org/app", place).await;
        assert!(log.has_panicked(), "{place}");
        assert_undecided(&answer);
        assert_eq!(codes(&stage.gate.record().await), ["internal"], "{place}");
        assert_serves(&ask(address, "GET", &manifest("org/app", "known"), &[]).await, &known);
        assert_serves(&stage.manifest("org/app", place).await, &image);
        let registry = "registry.test".parse().unwrap();
        assert_eq!(
            (stage.gate.app().slots.taken(&registry), stage.gate.app().slots.asked(&registry)),
            (0, 0)
        );
    }
}

#[tokio::test]
async fn a545_a057_who_waits_for_a_verdict_that_panics_gets_the_next_one() {
    let stage = Stage::new().await;
    let (image, other) = (stage.signed("org/app", "v1"), stage.signed("org/app", "other"));
    let app = stage.gate.app();
    let repository = "registry.test/org/app".parse().unwrap();
    let key = (Subject { repository, digest: image.digest().parse().unwrap() }, app.live().revisions());
    let (hold, began) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicBool::new(false)));
    let leader = {
        let (app, hold, began) = (Arc::clone(app), Arc::clone(&hold), Arc::clone(&began));
        tokio::spawn(async move {
            let work = || async move {
                began.store(true, Ordering::SeqCst);
                let _released = hold.acquire().await;
                panic!("injected")
            };
            app.verdicts.join(key, work).await.is_err()
        })
    };
    while !began.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    let (address, target) = (stage.gate.data, manifest("org/app", "v1"));
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let target = target.clone();
            tokio::spawn(async move { ask(address, "GET", &target, &[]).await })
        })
        .collect();
    while stage.upstream.count("GET /v2/org/app/manifests/v1") == 0 {
        tokio::task::yield_now().await;
    }
    assert_serves(&stage.manifest("org/app", "other").await, &other);
    assert!(waiting.iter().all(|one| !one.is_finished()), "they wait for the verdict that is under way");
    hold.add_permits(1);
    assert!(leader.await.unwrap());
    for one in waiting {
        assert_serves(&one.await.unwrap(), &image);
    }
    assert_eq!(stage.upstream.count("referrers"), 2, "this one's verdict, once, and the other's");
}
