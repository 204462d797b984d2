//! `clients.oidc`: what a token proves, to whom, and what it does not.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use pullgate::clock::Clock;
use pullgate_policy::limits;
use pullgate_tests::asking::Answer;
use pullgate_tests::clients::Settings;
use pullgate_tests::clients::process::wait_until;
use pullgate_tests::gate_in_process::{Gate, Setup};
use pullgate_tests::issuer::{Issuer, KEYS, TokenKey, encoded};
use pullgate_tests::signing::Signer;
use pullgate_tests::upstream::Upstream;
use serde_json::{Value, json};

use crate::process::signals;
use crate::stage::{KEYED, RELEASE, Stage, assert_denied, assert_serves, assert_undecided, blob, manifest};

/// A gate that takes the tokens of one issuer, by a clock that stands.
pub(crate) struct Scene {
    pub(crate) stage: Stage,
    pub(crate) issuer: Issuer,
    pub(crate) key: TokenKey,
    pub(crate) clock: Clock,
}

pub(crate) const NOW: i64 = 1_795_000_000;
pub(crate) const ALLOW: &str = "allow = [{ who = [\"oidc:ci:ci\"], read = [\"registry.test/org/**\"] }]\n";

/// `[clients]` with one issuer.
pub(crate) fn one(issuer: &Issuer) -> String {
    format!(
        "[clients]\noidc = [{{ issuer = \"{}\", audience = \"gate\", name = \"ci\" }}]\n{ALLOW}",
        issuer.url()
    )
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::with(|setup, issuer| setup.table(&one(issuer))).await
    }

    pub(crate) async fn with(change: impl FnOnce(Setup, &Issuer) -> Setup) -> Self {
        Self::at(Clock::fixed(Timestamp::from_second(NOW).unwrap()), change).await
    }

    pub(crate) async fn at(clock: Clock, change: impl FnOnce(Setup, &Issuer) -> Setup) -> Self {
        let (upstream, issuer) = (Upstream::start().await.unwrap(), Issuer::start().await);
        let (signer, key) = (Signer::new(), TokenKey::new("first"));
        issuer.publish(&[key.jwk()]);
        let policy = format!("{RELEASE}{KEYED}");
        let setup = Setup::before(&upstream.url()).policy(policy).file("release.pub", signer.public_pem());
        let gate = Gate::start_at(&change(setup, &issuer), clock.clone()).await;
        Self { stage: Stage { upstream, gate, signer }, issuer, key, clock }
    }

    /// The usual claims with others in their place.
    pub(crate) fn claims(&self, changed: &[(&str, Value)]) -> Value {
        let mut claims = self.issuer.claims(NOW);
        for (name, value) in changed {
            claims[*name] = value.clone();
        }
        claims
    }

    /// A token that counts.
    pub(crate) fn token(&self) -> String {
        self.key.token(&self.claims(&[]))
    }

    /// One that counts for two days.
    pub(crate) fn lasting(&self, key: &TokenKey) -> String {
        key.token(&self.claims(&[("exp", json!(NOW + 2 * 86_400))]))
    }

    pub(crate) async fn bearer(&self, token: &str, target: &str) -> Answer {
        self.stage.gate.get_with(target, &[("authorization", &format!("Bearer {token}"))]).await
    }

    pub(crate) async fn password(&self, user: &str, token: &str, target: &str) -> Answer {
        let header = format!("Basic {}", STANDARD.encode(format!("{user}:{token}")));
        self.stage.gate.get_with(target, &[("authorization", &header)]).await
    }

    /// The status of a token, which is the same in both places.
    pub(crate) async fn status(&self, token: &str) -> u16 {
        let bearer = self.bearer(token, "/v2/").await.status;
        assert_eq!(self.password("token", token, "/v2/").await.status, bearer);
        bearer
    }
}

#[tokio::test]
async fn a_token_opens_what_its_name_may_read_as_bearer_and_as_password_of_any_user() {
    let scene = Scene::new().await;
    let (image, token) = (scene.stage.signed("org/app", "v1"), scene.token());
    let challenged = scene.stage.gate.get("/v2/").await;
    assert_eq!(challenged.status, 401);
    assert!(challenged.header("www-authenticate").unwrap().starts_with("Basic realm="));
    let target = manifest("org/app", "v1");
    assert_serves(&scene.bearer(&token, &target).await, &image);
    for user in ["token", "<token>", "oauth2accesstoken", "x"] {
        assert_serves(&scene.password(user, &token, &target).await, &image);
        assert_eq!(scene.password(user, &token, "/v2/").await.status, 200);
    }
    let layer = blob("org/app", &image.layer());
    assert_eq!(scene.bearer(&token, &layer).await.status, 200);
    assert_eq!(scene.stage.gate.record().await["client"]["names"], json!(["oidc:ci:ci"]));
    assert_eq!(scene.issuer.count(KEYS), 1);
}

#[tokio::test]
async fn a063_what_one_token_has_brought_into_the_cache_is_nobody_elses() {
    let scene = Scene::new().await;
    let (org, other) = (scene.stage.signed("org/app", "v1"), scene.stage.signed("private/app", "v1"));
    let stranger = scene.key.token(&scene.claims(&[("sub", json!("ci2"))]));
    assert_serves(&scene.bearer(&scene.token(), &manifest("org/app", "v1")).await, &org);
    assert_eq!(scene.bearer(&scene.token(), &blob("org/app", &org.layer())).await.status, 200);
    scene.stage.upstream.forget();
    for target in
        [manifest("org/app", "v1"), manifest("org/app", &org.digest()), blob("org/app", &org.layer())]
    {
        assert_denied(&scene.bearer(&stranger, &target).await);
        assert_eq!(scene.stage.gate.get(&target).await.status, 401);
    }
    assert_denied(&scene.bearer(&scene.token(), &manifest("private/app", &other.digest())).await);
    assert_denied(&scene.bearer(&scene.token(), &manifest("private/none", "v1")).await);
    assert_eq!(scene.stage.upstream.count("/"), 0, "nobody was asked");
}

#[tokio::test]
async fn a061_a_token_goes_to_no_upstream() {
    let scene = Scene::new().await;
    let (image, token) = (scene.stage.signed("org/app", "v1"), scene.token());
    for answer in [
        scene.bearer(&token, &manifest("org/app", "v1")).await,
        scene.password("token", &token, &manifest("org/app", &image.digest())).await,
    ] {
        assert_serves(&answer, &image);
    }
    assert_eq!(scene.bearer(&token, &blob("org/app", &image.layer())).await.status, 200);
    let seen = scene.stage.upstream.seen();
    assert!(
        !seen.is_empty() && seen.iter().all(|one| !one.headers.contains_key("authorization")),
        "{seen:?}"
    );
}

/// Tokens that prove nothing, each with its reason.
fn worthless(scene: &Scene) -> Vec<(&'static str, String)> {
    let key = &scene.key;
    let with = |name: &str, value: Value| key.token(&scene.claims(&[(name, value)]));
    let under = |header: Value| key.token_under(&header, &scene.claims(&[]).to_string());
    let stranger = TokenKey::new("first");
    let unsigned = format!("{}.{}", encoded(r#"{"alg":"none"}"#), encoded(scene.claims(&[]).to_string()));
    let jwk = key.jwk().to_string();
    let shared =
        format!("{}.{}", encoded(r#"{"alg":"HS256","kid":"first"}"#), encoded(scene.claims(&[]).to_string()));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, jwk.as_bytes()), shared.as_bytes());
    let twice = format!("{{\"sub\":\"other\",{}", scene.claims(&[]).to_string().strip_prefix('{').unwrap());
    let good = key.token(&scene.claims(&[]));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    vec![
        ("another issuer", with("iss", json!("https://elsewhere.example"))),
        ("an issuer that begins like it", with("iss", json!(format!("{}/", scene.issuer.url())))),
        ("another audience", with("aud", json!("other"))),
        ("expired", with("exp", json!(NOW - 60))),
        ("endless", with("exp", Value::Null)),
        ("not yet valid", with("nbf", json!(NOW + 61))),
        ("issued in future", with("iat", json!(NOW + 61))),
        ("no name", with("sub", json!(""))),
        ("a name with a control character", with("sub", json!("ci\u{7}"))),
        ("the signature of another key", stranger.token(&scene.claims(&[]))),
        ("no signature", format!("{signed}.")),
        ("a signature in the wrong alphabet", format!("{signed}.{signature}=")),
        ("alg none", format!("{unsigned}.")),
        ("alg none with a signature", under(json!({ "alg": "none", "kid": "first" }))),
        ("alg HS256 with the public key as secret", format!("{shared}.{}", encoded(tag))),
        ("alg of another kind of key", under(json!({ "alg": "RS256", "kid": "first" }))),
        ("alg of another curve", under(json!({ "alg": "ES384", "kid": "first" }))),
        ("no alg", under(json!({ "kid": "first" }))),
        ("crit", under(json!({ "alg": "ES256", "kid": "first", "crit": ["exp"] }))),
        ("a key twice", key.token_under(&json!({ "alg": "ES256", "kid": "first" }), &twice)),
        ("an unknown key", under(json!({ "alg": "ES256", "kid": "second" }))),
        ("four parts", format!("{good}.e30")),
    ]
}

#[tokio::test]
async fn a_token_that_is_not_right_in_every_part_proves_nothing() {
    let scene = Scene::new().await;
    assert_eq!(scene.status(&scene.token()).await, 200);
    for (why, token) in worthless(&scene) {
        assert_eq!(scene.status(&token).await, 401, "{why}");
    }
    assert_eq!(scene.issuer.count(KEYS), 1, "none of them had the issuer asked again");
    assert_eq!(scene.status(&scene.token()).await, 200);
    for (why, token) in [
        ("an audience among others", scene.key.token(&scene.claims(&[("aud", json!(["other", "gate"]))]))),
        ("without an id", scene.key.token_under(&json!({ "alg": "ES256" }), &scene.claims(&[]).to_string())),
        ("within the skew", scene.key.token(&scene.claims(&[("exp", json!(NOW - 59))]))),
    ] {
        assert_eq!(scene.status(&token).await, 200, "{why}");
    }
}

#[tokio::test]
async fn a_key_that_a_token_brings_along_is_not_looked_at() {
    let scene = Scene::new().await;
    let (own, elsewhere) = (TokenKey::new("own"), Issuer::start().await);
    elsewhere.publish(&[own.jwk()]);
    let url = format!("{}{KEYS}", elsewhere.url());
    for (name, value) in
        [("jwk", own.jwk()), ("jku", json!(url)), ("x5u", json!(url)), ("x5c", json!(["AAAA"]))]
    {
        let mut header = json!({ "alg": "ES256", "kid": "own" });
        header[name] = value;
        let token = own.token_under(&header, &scene.claims(&[]).to_string());
        assert_eq!(scene.status(&token).await, 401, "{name}");
        // Beside a key that is known it does no harm either.
        header["kid"] = json!("first");
        let good = scene.key.token_under(&header, &scene.claims(&[]).to_string());
        assert_eq!(scene.status(&good).await, 200, "{name}");
    }
    assert_eq!(elsewhere.count(KEYS), 0);
}

#[tokio::test]
async fn a_shared_secret_among_the_keys_of_an_issuer_signs_nothing() {
    let scene = Scene::new().await;
    let secret = json!({ "kty": "oct", "kid": "shared", "alg": "HS256", "k": encoded([7; 32]) });
    scene.issuer.publish(&[secret]);
    let signed = format!(
        "{}.{}",
        encoded(r#"{"alg":"HS256","kid":"shared"}"#),
        encoded(scene.claims(&[]).to_string())
    );
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]), signed.as_bytes());
    assert_eq!(scene.status(&format!("{signed}.{}", encoded(tag))).await, 401);
    assert_eq!(scene.status(&scene.token()).await, 401, "its only key is none");
}

/// A token that counts, of exactly this length.
fn of_length(scene: &Scene, length: usize) -> String {
    let sized = |header: usize, claims: usize| {
        let header = json!({ "alg": "ES256", "kid": "first", "pad": "x".repeat(header) });
        scene.key.token_under(&header, &scene.claims(&[("pad", json!("x".repeat(claims)))]).to_string())
    };
    let room = (length - sized(0, 0).len()) * 3 / 4;
    let tried = (0..4).flat_map(|header| (room.saturating_sub(8)..=room).map(move |claims| (header, claims)));
    tried.map(|(header, claims)| sized(header, claims)).find(|token| token.len() == length).unwrap()
}

#[tokio::test]
async fn a_token_of_16_kib_counts_and_one_byte_more_does_not() {
    let scene = Scene::new().await;
    assert_eq!(scene.status(&of_length(&scene, limits::CLIENT_TOKEN_BYTES)).await, 200);
    assert_eq!(scene.status(&of_length(&scene, limits::CLIENT_TOKEN_BYTES + 1)).await, 401);
    let long = json!("x".repeat(limits::CLIENT_CLAIM_BYTES));
    assert_eq!(scene.status(&scene.key.token(&scene.claims(&[("sub", long)]))).await, 200);
    let longer = json!("x".repeat(limits::CLIENT_CLAIM_BYTES + 1));
    assert_eq!(scene.status(&scene.key.token(&scene.claims(&[("sub", longer)]))).await, 401);
}

#[tokio::test]
async fn a_token_that_was_verified_does_not_outlive_its_end() {
    let scene = Scene::new().await;
    let token = scene.token();
    assert_eq!(scene.status(&token).await, 200);
    scene.clock.advance(Duration::from_secs(659));
    assert_eq!(scene.status(&token).await, 200, "within the skew of its end");
    scene.clock.advance(Duration::from_secs(1));
    assert_eq!(scene.status(&token).await, 401);
}

#[tokio::test]
async fn a418_by_a_clock_that_cannot_be_believed_no_token_is_judged() {
    let clock = Clock::settable(Timestamp::UNIX_EPOCH);
    let scene = Scene::at(clock, |setup, issuer| setup.table(&one(issuer))).await;
    assert_undecided(&scene.bearer(&scene.token(), "/v2/").await);
    scene.clock.set(Timestamp::from_second(NOW).unwrap());
    assert_eq!(scene.status(&scene.token()).await, 200);
}

#[tokio::test]
async fn passwords_count_beside_tokens_even_one_that_looks_like_a_token() {
    let scene = Scene::with(|setup, issuer| {
        let users = [("node-1", "secret"), ("node-2", "e30.e30.e30")]
            .map(|(name, password)| format!("{name}:{}\n", bcrypt::hash(password, 4).unwrap()));
        let table = one(issuer).replace("[clients]\n", "[clients]\nhtpasswd = \"users\"\n");
        setup.file("users", users.concat()).table(&table)
    })
    .await;
    for (user, password, status) in [
        ("node-1", "secret", 200),
        ("node-2", "e30.e30.e30", 200),
        ("node-1", "e30.e30.e30", 401),
        ("nobody", "e30.e30.e30", 401),
        ("nobody", "secret", 401),
    ] {
        assert_eq!(scene.password(user, password, "/v2/").await.status, status, "{user} {password}");
    }
    // A token is its own name, whatever user it is sent with.
    let target = manifest("org/app", "v1");
    scene.stage.signed("org/app", "v1");
    assert_eq!(scene.password("node-1", &scene.token(), &target).await.status, 200);
    assert_eq!(scene.stage.gate.record().await["client"]["names"], json!(["oidc:ci:ci"]));
    assert_denied(&scene.password("node-1", "secret", &target).await);
    // What names the user's name has nothing to do with tokens.
    assert_eq!(scene.password("oidc:ci:ci", "secret", &target).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a548_a_token_is_in_no_log_line_no_record_and_no_answer() {
    let (issuer, key) = (Issuer::start().await, TokenKey::new("first"));
    issuer.publish(&[key.jwk()]);
    let table = one(&issuer);
    let stage = signals::Stage::with(|settings: Settings| {
        settings.configuration(&table).environment("PULLGATE_LOG", "trace")
    })
    .await;
    let image = stage.signed("v1", pullgate_tests::made::Made::image());
    let claims = issuer.claims(Timestamp::now().as_second());
    let (good, bad) = (key.token(&claims), TokenKey::new("first").token(&claims));
    let target = manifest("org/app", "v1");
    let mut said = String::new();
    for token in [&good, &bad] {
        for header in [format!("Bearer {token}"), format!("Basic {}", STANDARD.encode(format!("t:{token}")))]
        {
            let headers = [("authorization", header.as_str())];
            let answer = pullgate_tests::asking::ask(stage.data(), "GET", &target, &headers).await;
            assert_eq!(answer.status, if token == &good { 200 } else { 401 });
            said.push_str(&format!("{answer:?}"));
        }
    }
    // A record is written after its answer: those of the two that were served are waited for.
    let written = || stage.gate.audit().is_ok_and(|records| records.len() >= 2);
    tokio::task::block_in_place(|| wait_until("both are recorded", written)).unwrap();
    said.push_str(&stage.gate.output());
    said.push_str(&format!("{:?}", stage.gate.audit().unwrap()));
    assert!(said.contains("a token proves nothing"), "it was logged that one was refused");
    assert!(said.contains("oidc:ci:ci") && said.contains(&image.digest()));
    for token in [good, bad] {
        let basic = STANDARD.encode(format!("t:{token}"));
        for secret in token.split('.').skip(1).chain([token.as_str(), basic.as_str()]) {
            assert!(!said.contains(secret), "{secret}");
        }
    }
}
