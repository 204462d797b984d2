//! The keys of `clients.oidc`: when an issuer is asked, and what counts while it does not answer.

use std::time::Duration;

use pullgate_policy::limits;
use pullgate_tests::asking::ask;
use pullgate_tests::issuer::{Answering, DISCOVERY, Issuer, KEYS, TokenKey};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::clients::tokens::{ALLOW, NOW, Scene, one};
use crate::stage::{KEYED, RELEASE, assert_denied, assert_serves, assert_undecided, codes, manifest};

const SECOND: Duration = Duration::from_secs(1);

impl Scene {
    fn unknown(&self, n: usize) -> String {
        self.key
            .token_under(&json!({ "alg": "ES256", "kid": format!("k{n}") }), &self.claims(&[]).to_string())
    }

    /// Statuses of many tokens at once.
    async fn statuses(&self, tokens: &[String]) -> Vec<u16> {
        let mut asking = JoinSet::new();
        for token in tokens {
            let (address, header) = (self.stage.gate.data, format!("Bearer {token}"));
            asking.spawn(
                async move { ask(address, "GET", "/v2/", &[("authorization", &header)]).await.status },
            );
        }
        asking.join_all().await
    }

    async fn ready(&self) -> String {
        let answer = ask(self.stage.gate.admin, "GET", "/readyz", &[]).await;
        String::from_utf8_lossy(&answer.body).into_owned()
    }
}

#[tokio::test]
async fn a_flood_of_tokens_by_unknown_keys_costs_the_issuer_one_request_a_minute() {
    let scene = Scene::new().await;
    let flood: Vec<String> = (0..50).map(|n| scene.unknown(n)).collect();
    assert!(scene.statuses(&flood).await.iter().all(|status| *status == 401));
    assert_eq!((scene.issuer.count(DISCOVERY), scene.issuer.count(KEYS)), (1, 1));
    scene.clock.advance(pullgate::limits::ISSUER_PAUSE - SECOND);
    assert!(scene.statuses(&flood).await.iter().all(|status| *status == 401));
    assert_eq!(scene.issuer.count(KEYS), 1);
    scene.clock.advance(SECOND);
    assert!(scene.statuses(&flood).await.iter().all(|status| *status == 401));
    assert_eq!(scene.issuer.count(KEYS), 2);
    assert_eq!(scene.status(&scene.token()).await, 200);
}

#[tokio::test]
async fn a_new_key_is_fetched_when_a_token_names_it_and_one_that_is_gone_ends_at_once() {
    let scene = Scene::new().await;
    let second = TokenKey::new("second");
    let (old, new) = (scene.lasting(&scene.key), scene.lasting(&second));
    assert_eq!(scene.status(&old).await, 200);
    scene.issuer.publish(&[second.jwk()]);
    scene.clock.advance(pullgate::limits::ISSUER_PAUSE);
    assert_eq!(scene.status(&old).await, 200, "nothing is known of the new key yet");
    assert_eq!(scene.status(&new).await, 200);
    assert_eq!(scene.issuer.count(KEYS), 2);
    assert_eq!(scene.status(&old).await, 401, "remembered or not");
}

#[tokio::test]
async fn keys_are_fetched_by_the_hour_though_no_token_asks_for_it() {
    let scene = Scene::new().await;
    let refresh = || pullgate::server::issuer_refresh::refresh(scene.stage.gate.app());
    refresh().await;
    assert_eq!(scene.issuer.count(KEYS), 1, "before the first token");
    assert_eq!(scene.status(&scene.token()).await, 200);
    scene.clock.advance(pullgate::limits::ISSUER_REFRESH - SECOND);
    refresh().await;
    assert_eq!(scene.issuer.count(KEYS), 1);
    scene.clock.advance(SECOND);
    refresh().await;
    assert_eq!(scene.issuer.count(KEYS), 2);
    scene.issuer.answers(Answering::Badly);
    scene.clock.advance(pullgate::limits::ISSUER_REFRESH);
    refresh().await;
    let asked = scene.issuer.count(DISCOVERY);
    refresh().await;
    assert_eq!(scene.issuer.count(DISCOVERY), asked);
    scene.clock.advance(pullgate::limits::ISSUER_PAUSE);
    refresh().await;
    assert!(scene.issuer.count(DISCOVERY) > asked, "after a failure sooner");
}

#[tokio::test]
async fn without_keys_a_token_is_undecided_and_what_could_never_count_is_refused() {
    let scene = Scene::new().await;
    scene.issuer.answers(Answering::Badly);
    let (image, target) = (scene.stage.signed("org/app", "v1"), manifest("org/app", "v1"));
    for target in ["/v2/", &target] {
        assert_undecided(&scene.bearer(&scene.token(), target).await);
        assert_undecided(&scene.password("token", &scene.token(), target).await);
    }
    let record = scene.stage.gate.refusal().await;
    assert_eq!(
        (record["verdict"].as_str(), codes(&record)),
        (Some("undecided"), vec!["issuer-unreachable".to_owned()])
    );
    let expired = scene.key.token(&scene.claims(&[("exp", json!(NOW - 100))]));
    assert_eq!(scene.status(&expired).await, 401);
    assert_eq!(scene.stage.gate.get("/v2/").await.status, 401);
    assert!(scene.ready().await.contains("no token of issuer"), "{}", scene.ready().await);
    assert_eq!(scene.stage.upstream.count("/"), 0);
    scene.issuer.answers(Answering::Well);
    assert_undecided(&scene.bearer(&scene.token(), "/v2/").await);
    scene.clock.advance(pullgate::limits::ISSUER_PAUSE);
    assert_serves(&scene.bearer(&scene.token(), &target).await, &image);
    assert!(!scene.ready().await.contains("issuer"), "{}", scene.ready().await);
}

#[tokio::test]
async fn while_an_issuer_is_down_its_last_good_keys_count_for_a_day() {
    let scene = Scene::new().await;
    let (token, second) = (scene.lasting(&scene.key), TokenKey::new("second"));
    assert_eq!(scene.status(&token).await, 200);
    scene.issuer.answers(Answering::Badly);
    scene.clock.advance(pullgate::limits::ISSUER_MAX_AGE);
    pullgate::server::issuer_refresh::refresh(scene.stage.gate.app()).await;
    assert_eq!(scene.status(&token).await, 200, "at the last moment");
    assert!(scene.ready().await.contains("are not the newest"), "{}", scene.ready().await);
    assert_undecided(&scene.bearer(&scene.lasting(&second), "/v2/").await);
    scene.clock.advance(SECOND);
    assert_undecided(&scene.bearer(&token, "/v2/").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_hangs_keeps_nobody_waiting_whose_key_is_known() {
    let scene = Scene::new().await;
    let (image, target) = (scene.stage.signed("org/app", "v1"), manifest("org/app", "v1"));
    assert_serves(&scene.bearer(&scene.token(), &target).await, &image);
    scene.issuer.answers(Answering::Never);
    scene.clock.advance(pullgate::limits::ISSUER_PAUSE);
    let unknown = scene.unknown(1);
    let answered = std::cell::Cell::new(false);
    let waiting = async {
        let waited = scene.bearer(&unknown, &target).await;
        answered.set(true);
        waited
    };
    let others = async {
        let fresh = scene.key.token(&scene.claims(&[("jti", json!("another"))]));
        for token in [scene.token(), fresh] {
            assert_serves(&scene.bearer(&token, &target).await, &image);
        }
        assert!(!answered.get(), "they were served before");
    };
    let (waited, ()) = tokio::join!(waiting, others);
    assert_undecided(&waited);
}

#[tokio::test]
async fn a_discovery_document_that_leads_elsewhere_gives_no_keys() {
    let elsewhere = Issuer::start().await;
    for (why, issuer, keys) in [
        ("another issuer", Some("https://elsewhere.example".to_owned()), None),
        ("another origin in clear", None, Some(format!("{}{KEYS}", elsewhere.url()))),
        (
            "an address that is not public",
            None,
            Some(format!(
                "{}{KEYS}",
                elsewhere.url().replace("http:", "https:").replace("127.0.0.1", "10.0.0.1")
            )),
        ),
        ("a file", None, Some("file:///etc/passwd".to_owned())),
        ("user information", None, Some(format!("{}{KEYS}", elsewhere.url().replace("//", "//a@")))),
        ("nowhere", None, Some(String::new())),
    ] {
        let scene = Scene::new().await;
        elsewhere.publish(&[scene.key.jwk()]);
        let (issuer, keys) = (
            issuer.unwrap_or_else(|| scene.issuer.url()),
            keys.unwrap_or_else(|| format!("{}{KEYS}", scene.issuer.url())),
        );
        scene.issuer.discovery(&json!({ "issuer": issuer, "jwks_uri": keys }));
        assert_undecided(&scene.bearer(&scene.token(), "/v2/").await);
        assert_eq!((scene.issuer.count(KEYS), elsewhere.count(KEYS)), (0, 0), "{why}");
    }
    let scene = Scene::new().await;
    scene.issuer.answers(Answering::Elsewhere);
    assert_undecided(&scene.bearer(&scene.token(), "/v2/").await);
    assert_eq!(scene.issuer.count(KEYS), 0, "no redirect is followed");
}

#[tokio::test]
async fn keys_of_an_issuer_have_limits_and_too_much_takes_nothing_back() {
    let scene = Scene::new().await;
    let token = scene.lasting(&scene.key);
    assert_eq!(scene.status(&token).await, 200);
    let refresh = || async {
        scene.clock.advance(pullgate::limits::ISSUER_REFRESH);
        pullgate::server::issuer_refresh::refresh(scene.stage.gate.app()).await;
        scene.ready().await.contains("are not the newest")
    };
    let mut keys = vec![json!({ "kty": "oct" }); limits::ISSUER_KEYS - 1];
    keys.push(scene.key.jwk());
    scene.issuer.publish(&keys);
    assert!(!refresh().await, "as many as may be");
    keys.push(json!({ "kty": "oct" }));
    scene.issuer.publish(&keys);
    assert!(refresh().await);
    let sized = |length: u64| {
        let text = json!({ "keys": [scene.key.jwk()] }).to_string();
        format!("{text}{}", " ".repeat(usize::try_from(length).unwrap() - text.len()))
    };
    scene.issuer.publish_text(&sized(pullgate_config::limits::ISSUER_BYTES));
    assert!(!refresh().await, "as large as may be");
    for wrong in [
        sized(pullgate_config::limits::ISSUER_BYTES + 1),
        String::new(),
        "{}".to_owned(),
        "<html>".to_owned(),
    ] {
        scene.issuer.publish_text(&wrong);
        assert!(refresh().await);
        assert_eq!(scene.status(&token).await, 200);
    }
}

#[tokio::test]
async fn keys_in_a_file_need_no_network() {
    let key = TokenKey::new("pinned");
    let keys = json!({ "keys": [key.jwk()] }).to_string();
    let scene = Scene::with(|setup, issuer| {
        let table = one(issuer).replace("name =", "jwks = \"keys.json\", name =");
        setup.file("keys.json", keys).table(&table)
    })
    .await;
    pullgate::server::issuer_refresh::refresh(scene.stage.gate.app()).await;
    assert_eq!(scene.status(&scene.lasting(&key)).await, 200);
    assert_eq!(scene.status(&scene.token()).await, 401, "by a key that the file does not have");
    scene.clock.advance(pullgate::limits::ISSUER_MAX_AGE + SECOND);
    assert_eq!(scene.status(&scene.lasting(&key)).await, 200, "they do not age");
    assert_eq!(scene.issuer.count("/"), 0);
    assert_eq!((scene.issuer.count(DISCOVERY), scene.issuer.count(KEYS)), (0, 0));
    // Another file is in force from the reload on, also for what was remembered.
    scene.stage.gate.write("keys.json", json!({ "keys": [scene.key.jwk()] }).to_string());
    scene.stage.gate.reload(&format!("{RELEASE}{KEYED}")).await;
    assert_eq!(scene.status(&scene.lasting(&key)).await, 401);
    assert_eq!(scene.status(&scene.lasting(&scene.key)).await, 200);
}

#[tokio::test]
async fn a_reload_keeps_the_keys_that_were_fetched_and_takes_new_rules() {
    let scene = Scene::new().await;
    let image = scene.stage.signed("org/app", "v1");
    assert_serves(&scene.bearer(&scene.token(), &manifest("org/app", "v1")).await, &image);
    scene.issuer.answers(Answering::Badly);
    let path = scene.stage.gate.path("pullgate.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("oidc:ci:ci", "oidc:ci:other")).unwrap();
    scene.stage.gate.reload(&format!("{RELEASE}{KEYED}")).await;
    assert_denied(&scene.bearer(&scene.token(), &manifest("org/app", "v1")).await);
    let other = scene.key.token(&scene.claims(&[("sub", json!("other"))]));
    assert_serves(&scene.bearer(&other, &manifest("org/app", "v1")).await, &image);
    assert_eq!(scene.issuer.count(KEYS), 1);
}

#[tokio::test]
async fn two_entries_of_one_issuer_have_names_of_their_own_and_one_set_of_keys() {
    let scene = Scene::with(|setup, issuer| {
        let url = issuer.url();
        setup.table(&format!(
            "[clients]\noidc = [\n    {{ issuer = \"{url}\", audience = \"gate\", name = \"ci\" }},\n    {{ issuer = \"{url}\", audience = \"gate\", name = \"mail\", claim = \"email\" }},\n    {{ issuer = \"{url}\", audience = \"other\", name = \"other\" }},\n]\n{ALLOW}"
        ))
    })
    .await;
    scene.stage.signed("org/app", "v1");
    let names = |changed: &[(&'static str, Value)]| {
        let token = scene.key.token(&scene.claims(changed));
        let scene = &scene;
        async move {
            scene.bearer(&token, &manifest("org/app", "v1")).await;
            scene.stage.gate.record().await["client"]["names"].clone()
        }
    };
    assert_eq!(names(&[]).await, json!(["oidc:ci:ci"]));
    let both = [("email", json!("a@example.com"))];
    assert_eq!(names(&both).await, json!(["oidc:ci:ci", "oidc:mail:a@example.com"]));
    let other = [("aud", json!(["other"])), ("email", json!("a@example.com"))];
    names(&other).await;
    let refused = scene.stage.gate.refusal().await;
    assert_eq!(refused["client"]["names"], json!(["oidc:other:ci"]), "whom ALLOW does not name");
    assert_eq!(scene.issuer.count(KEYS), 1);
}
