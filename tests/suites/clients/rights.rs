//! `[clients]`: who may pull what. A password or certificate proves a name; a name without the right gets the same answer
//! whether a repository exists or not.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pullgate_tests::asking::Answer;

use crate::stage::{KEYED, Stage, assert_denied, assert_serves, blob, but_for_the_id, codes, manifest};

/// `node-1:secret` and `ci:other`, of the lowest cost.
fn users() -> String {
    ["node-1:secret", "ci:other"]
        .map(|user| {
            let (name, password) = user.split_once(':').unwrap();
            format!("{name}:{}\n", bcrypt::hash(password, 4).unwrap())
        })
        .concat()
}

const ALLOW: &str = "[clients]\nhtpasswd = \"users\"\nallow = [\n    { who = [\"node-*\"], read = [\"**\"] },\n    { who = [\"ci\"], read = [\"registry.test/org/**\"] },\n]\n";

async fn stage(clients: &str) -> Stage {
    Stage::with(KEYED, |setup| setup.file("users", users()).table(clients)).await
}

async fn get(stage: &Stage, user: &str, target: &str) -> Answer {
    let header = format!("Basic {}", STANDARD.encode(user));
    stage.gate.get_with(target, &[("authorization", &header)]).await
}

#[tokio::test]
async fn without_a_proof_every_route_asks_for_one_and_nothing_else_happens() {
    let stage = stage(ALLOW).await;
    let image = stage.signed("org/app", "v1");
    let targets = [
        "/v2/".to_owned(),
        manifest("org/app", "v1"),
        manifest("org/app", &image.digest()),
        blob("org/app", &image.layer()),
        "/v2/org/app/tags/list".to_owned(),
        format!("/v2/org/app/referrers/{}", image.digest()),
        "/v2/Not-A-Name/manifests/v1".to_owned(),
    ];
    for target in &targets {
        for method in ["GET", "HEAD"] {
            let answer = stage.gate.send(method, target).await;
            assert_eq!(answer.status, 401, "{method} {target}");
            let challenge = answer.header("www-authenticate").unwrap();
            assert!(challenge.starts_with("Basic realm="), "{challenge}");
        }
        for user in ["node-1:wrong", "nobody:secret", "node-1:", ":secret"] {
            assert_eq!(get(&stage, user, target).await.status, 401, "{user} {target}");
        }
    }
    assert_eq!(stage.upstream.count("/"), 0);
    assert_eq!(get(&stage, "node-1:secret", "/v2/").await.status, 200);
    assert_serves(&get(&stage, "node-1:secret", &manifest("org/app", "v1")).await, &image);
    assert_eq!(get(&stage, "node-1:secret", &blob("org/app", &image.layer())).await.status, 200);
}

#[tokio::test]
async fn a063_a_client_without_the_right_gets_one_answer_whatever_exists() {
    let stage = stage(ALLOW).await;
    let private = stage.signed("private/app", "v1");
    // In the cache, by somebody who may.
    assert_serves(&get(&stage, "node-1:secret", &manifest("private/app", "v1")).await, &private);
    assert_eq!(get(&stage, "node-1:secret", &blob("private/app", &private.layer())).await.status, 200);
    stage.upstream.forget();
    let mut answers = Vec::new();
    for target in [
        manifest("private/app", "v1"),
        manifest("private/app", &private.digest()),
        manifest("private/none", "v1"),
        blob("private/app", &private.layer()),
        "/v2/private/app/tags/list".to_owned(),
        format!("/v2/private/app/referrers/{}", private.digest()),
    ] {
        let answer = get(&stage, "ci:other", &target).await;
        assert_denied(&answer);
        answers.push(but_for_the_id(&answer));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(stage.upstream.count("/"), 0, "nobody was asked");
    let image = stage.signed("org/app", "v1");
    assert_serves(&get(&stage, "ci:other", &manifest("org/app", "v1")).await, &image);
}

#[tokio::test]
async fn a_record_names_the_client_that_proved_itself_and_the_one_that_may_not() {
    let stage = stage(ALLOW).await;
    stage.signed("org/app", "v1");
    get(&stage, "node-1:secret", &manifest("org/app", "v1")).await;
    assert_eq!(stage.gate.record().await["client"]["names"], serde_json::json!(["node-1"]));
    get(&stage, "ci:other", &manifest("private/app", "v1")).await;
    let record = stage.gate.refusal().await;
    assert_eq!(record["client"]["names"], serde_json::json!(["ci"]));
    assert_eq!(
        (record["verdict"].as_str(), codes(&record)),
        (Some("deny"), vec!["client-not-allowed".to_owned()])
    );
    stage.gate.get(&manifest("org/app", "v1")).await;
    let record = stage.gate.refusal().await;
    assert_eq!(
        (record["verdict"].as_str(), codes(&record)),
        (Some("refused"), vec!["unauthenticated".to_owned()])
    );
    for log in ["audit.jsonl", "audit.jsonl.refused"] {
        let text = std::fs::read_to_string(stage.gate.path(log)).unwrap();
        assert!(!text.contains("secret") && !text.contains("other"), "no password is recorded");
    }
}

#[tokio::test]
async fn a_user_who_is_removed_is_refused_at_the_next_request() {
    let stage = stage("[clients]\nhtpasswd = \"users\"\n").await;
    let image = stage.signed("org/app", "v1");
    assert_serves(&get(&stage, "ci:other", &manifest("org/app", "v1")).await, &image);
    let users = std::fs::read_to_string(stage.gate.path("users")).unwrap();
    let left: String =
        users.lines().filter(|line| !line.starts_with("ci:")).map(|line| format!("{line}\n")).collect();
    stage.gate.write("users", left);
    stage.reload(KEYED).await;
    assert_eq!(get(&stage, "ci:other", &manifest("org/app", "v1")).await.status, 401);
    assert_serves(&get(&stage, "node-1:secret", &manifest("org/app", "v1")).await, &image);
}

/// Of one address, so that only the names differ: a name that is in the file, and others that sort before and after all
/// that are.
#[tokio::test(flavor = "multi_thread")]
async fn a614_while_wrong_passwords_keep_coming_right_ones_are_proven() {
    let hash = |password: &str| bcrypt::hash(password, 6).unwrap();
    let users = ["flood", "node-1", "node-2", "node-3"].map(|name| format!("{name}:{}\n", hash(name)));
    let htpasswd = "[clients]\nhtpasswd = \"users\"\n";
    let stage = Stage::with(KEYED, |setup| setup.file("users", users.concat()).table(htpasswd)).await;
    let ask = |user: String| {
        let (data, header) = (stage.gate.data, format!("Basic {}", STANDARD.encode(user)));
        async move { pullgate_tests::asking::ask(data, "GET", "/v2/", &[("authorization", &header)]).await.status }
    };
    let waiting = 2 * pullgate::limits::PASSWORDS_WAITING_OF_ONE;
    for (name, made_up) in [("node-1", None), ("node-2", Some("!")), ("node-3", Some("zz"))] {
        // More than may wait at one address, all at once.
        let flood = (0..waiting).map(|n| {
            let name = made_up.map_or_else(|| "flood".to_owned(), |made_up| format!("{made_up}{n}"));
            tokio::spawn(ask(format!("{name}:wrong-{n}")))
        });
        let flood: Vec<_> = flood.collect();
        assert_eq!(ask(format!("{name}:{name}")).await, 200, "{name}");
        for one in flood {
            let status = one.await.unwrap();
            assert!([401, 503].contains(&status), "{status}");
        }
    }
}

#[tokio::test]
async fn a614_what_was_proven_under_one_load_is_not_hashed_again_under_the_next() {
    let stage = stage("[clients]\nhtpasswd = \"users\"\n").await;
    assert_eq!(get(&stage, "ci:other", "/v2/").await.status, 200);
    stage.reload(KEYED).await;
    assert_eq!(get(&stage, "ci:other", "/v2/").await.status, 200);
    // Another hash of the same password is another proof, and one of another password is none.
    let again = format!("ci:{}\n", bcrypt::hash("other", 4).unwrap());
    for (users, status) in [(again, 200), (users().replace("ci:", "x:").replace("node-1:", "ci:"), 401)] {
        stage.gate.write("users", users);
        stage.reload(KEYED).await;
        assert_eq!(get(&stage, "ci:other", "/v2/").await.status, status);
    }
}
