//! Challenges and credentials, against real sockets.

use std::sync::Arc;

use crate::limits;
use pullgate_config::{Credentials, Secret};

use super::server::{Server, redirect, table, whole};
use super::{BODY, TYPE, manifest, manifest_of};
use crate::realm::Realm;
use crate::{Fault, PageStart, Settings, Upstream};

/// `user:canary`, encoded.
pub(super) const BASIC: &str = "basic dxnlcjpjyw5hcnk=";

pub(super) fn login(table: &mut pullgate_config::Upstream) {
    table.credentials =
        Credentials::Basic { username: "user".to_owned(), password: Secret::new("canary".to_owned()) };
}

pub(super) fn authorization(head: &str) -> Option<String> {
    let head = head.to_lowercase();
    head.lines().find_map(|line| line.strip_prefix("authorization: ").map(str::to_owned))
}

pub(super) fn bearer(host: &str) -> Vec<u8> {
    let realm = format!("http://{host}/token");
    let line = format!(
        "www-authenticate: Bearer realm=\"{realm}\",service=\"s\",scope=\"repository:*:push,delete\""
    );
    whole("401 Unauthorized", &[&line], b"")
}

pub(super) fn host(head: &str) -> String {
    head.to_lowercase().lines().find_map(|line| line.strip_prefix("host: ").map(str::to_owned)).unwrap()
}

/// A registry with its own token service, which accepts `accepted`.
async fn registry(accepted: &'static str) -> Server {
    Server::start(move |head| match authorization(head) {
        _ if head.contains(" /token") => whole("200 OK", &[], br#"{"token":"t0ken"}"#),
        Some(sent) if sent == accepted => whole("200 OK", &[TYPE], BODY),
        _ => bearer(&host(head)),
    })
    .await
}

#[tokio::test]
async fn a166_a_token_is_asked_for_one_repository_and_to_pull() {
    let server = registry("bearer t0ken").await;
    let upstream = server.upstream_with(login);
    for _ in 0..3 {
        assert!(manifest(&upstream).await.is_ok());
    }
    let heads = server.heads();
    let asked = heads.iter().filter(|head| head.contains("/token")).collect::<Vec<_>>();
    assert_eq!(asked.len(), 1);
    assert!(
        asked[0].starts_with("GET /token?service=s&scope=repository%3Aorg%2Fapp%3Apull HTTP/1.1"),
        "{}",
        asked[0]
    );
    assert_eq!(authorization(asked[0]).as_deref(), Some(BASIC));
    // One without, then with the token: the password itself never goes to the registry where a token does.
    let sent: Vec<_> =
        heads.iter().filter(|head| head.contains("/v2/")).map(|head| authorization(head)).collect();
    let token = Some("bearer t0ken".to_owned());
    assert_eq!(sent, [None, token.clone(), token.clone(), token]);
}

#[tokio::test]
async fn a167_of_a_token_services_answer_one_mib_is_read_and_a_byte_more_is_no_token() {
    let most = usize::try_from(limits::TOKEN_BODY_BYTES).unwrap();
    for (length, read) in [(most, true), (most + 1, false)] {
        let mut body = br#"{"token":"t0ken"}"#.to_vec();
        body.resize(length, b' ');
        let server = Server::start(move |head| match authorization(head) {
            _ if head.contains(" /token") => whole("200 OK", &[], &body),
            Some(sent) if sent == "bearer t0ken" => whole("200 OK", &[TYPE], BODY),
            _ => bearer(&host(head)),
        })
        .await;
        let answer = manifest(&server.upstream()).await;
        assert_eq!(answer.map(|_| ()), if read { Ok(()) } else { Err(Fault::Unauthorized) }, "{length}");
    }
}

#[tokio::test]
async fn a167_a_token_of_one_repository_is_not_sent_for_another() {
    let server = registry("bearer t0ken").await;
    let upstream = server.upstream();
    manifest(&upstream).await.unwrap();
    let other = "r.example/org/other".parse().unwrap();
    upstream.tags(&other, None, PageStart::Beginning).await.unwrap_err();
    let first = server.heads().into_iter().find(|head| head.contains("/v2/org/other/")).unwrap();
    assert_eq!(authorization(&first), None);
    assert_eq!(server.count("repository%3Aorg%2Fother%3Apull"), 1);
}

#[tokio::test]
async fn a169_a_storm_of_challenges_costs_one_token_for_each_request() {
    let server = registry("never").await;
    let upstream = server.upstream();
    for n in 1..=3 {
        assert_eq!(manifest(&upstream).await.unwrap_err(), Fault::NotShown);
        assert_eq!((server.count(" /token"), server.count(" /v2/")), (n, 2 * n));
    }
}

#[tokio::test]
async fn a_token_that_is_no_longer_accepted_is_asked_for_anew_once() {
    let tokens = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let server = Server::start(move |head| {
        let issued = tokens.load(std::sync::atomic::Ordering::SeqCst);
        if head.contains(" /token") {
            tokens.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            return whole("200 OK", &[], format!(r#"{{"token":"t{issued}"}}"#).as_bytes());
        }
        // The first token is revoked once it has been used.
        match authorization(head).as_deref() {
            Some("bearer t0") if !head.contains("/tags/") => whole("200 OK", &[TYPE], BODY),
            Some("bearer t1") => whole("200 OK", &[TYPE], br#"{"tags":[]}"#),
            _ => bearer(&host(head)),
        }
    })
    .await;
    let upstream = server.upstream();
    manifest(&upstream).await.unwrap();
    upstream.tags(&super::repository(), None, PageStart::Beginning).await.unwrap();
    assert_eq!(server.count(" /token"), 2);
}

#[tokio::test]
async fn many_who_wait_for_the_same_token_cost_one() {
    let server = registry("bearer t0ken").await;
    let upstream = Arc::new(server.upstream());
    let asks: Vec<_> = (0..20)
        .map(|_| {
            let upstream: Arc<Upstream> = Arc::clone(&upstream);
            tokio::spawn(async move { manifest(&upstream).await.map(|_| ()) })
        })
        .collect();
    for ask in asks {
        assert_eq!(ask.await.unwrap(), Ok(()));
    }
    assert_eq!(server.count(" /token"), 1);
}

#[tokio::test]
async fn a164_a_token_service_that_is_not_listed_is_not_asked_at_all() {
    let thief = Server::start_on("127.0.0.2", |_| whole("200 OK", &[], br#"{"token":"t0ken"}"#)).await;
    let address = thief.address.to_string();
    let server = Server::start(move |head| match authorization(head) {
        Some(_) => whole("200 OK", &[TYPE], BODY),
        None => bearer(&address),
    })
    .await;
    assert_eq!(manifest(&server.upstream_with(login)).await.unwrap_err(), Fault::RealmRefused);
    // Nor is one that redirects may lead to: content comes from there, a token does not.
    let reachable = server.upstream_with(|table| {
        login(table);
        table.redirect_hosts = vec!["127.0.0.2".to_owned()];
    });
    assert_eq!(manifest(&reachable).await.unwrap_err(), Fault::RealmRefused);
    assert_eq!(thief.heads().len(), 0);
    let listed = server.upstream_with(|table| table.token_hosts = vec!["127.0.0.2".to_owned()]);
    assert!(manifest(&listed).await.is_ok());
    assert_eq!(thief.heads().len(), 1);
}

#[test]
fn a164_the_token_service_that_is_built_in_is_that_of_its_registry_alone() {
    let (hub, gitlab) = ("https://auth.docker.io/token", "https://gitlab.com/jwt/auth");
    for (registry, url, asked) in [
        ("docker.io", "https://registry-1.docker.io", [true, false]),
        ("registry.gitlab.com", "https://registry.gitlab.com", [false, true]),
        ("r.example", "https://r.example", [false, false]),
        // A mirror on the same domain is not that registry.
        ("mirror.docker.io", "https://mirror.docker.io", [false, false]),
    ] {
        let settings = Settings::of(&registry.parse().unwrap(), &table(url)).unwrap();
        let check = |realm: &str| {
            Realm::check(realm, None, "org/app", &settings.urls[0], &settings.token_hosts).is_ok()
        };
        assert_eq!([hub, gitlab].map(check), asked, "{registry}");
        let others = [
            "http://auth.docker.io/token",
            "http://gitlab.com/jwt/auth",
            "https://docker.io/token",
            "https://x.auth.docker.io/token",
            "https://evil.gitlab.com/jwt/auth",
        ];
        assert_eq!(others.map(check), [false; 5], "{registry}");
    }
}

#[tokio::test]
async fn a163_what_a_redirect_leads_to_gets_no_credentials_and_neither_does_a_hop_back() {
    let back = Arc::new(parking_lot::Mutex::new(String::new()));
    let to_back = Arc::clone(&back);
    let cdn = Server::start_on("127.0.0.2", move |head| match head.contains("/back") {
        true => redirect(&to_back.lock()),
        false => whole("200 OK", &[TYPE], BODY),
    })
    .await;
    for path in ["x", "back"] {
        let to = format!("http://{}/{path}", cdn.address);
        let server = Server::start(move |head| match authorization(head) {
            _ if head.contains("/returned") => whole("200 OK", &[TYPE], BODY),
            Some(sent) if sent == BASIC => redirect(&to),
            _ => whole("401 Unauthorized", &["www-authenticate: Basic realm=\"r\""], b""),
        })
        .await;
        *back.lock() = format!("{}/returned", server.url());
        let upstream = server.upstream_with(|table| {
            login(table);
            table.redirect_hosts = vec!["127.0.0.2".to_owned()];
        });
        assert!(manifest(&upstream).await.is_ok(), "{path}");
        let returned =
            server.heads().into_iter().filter(|head| head.contains("/returned")).collect::<Vec<_>>();
        assert!(returned.iter().chain(&cdn.heads()).all(|head| authorization(head).is_none()));
        assert_eq!(returned.len(), usize::from(path == "back"));
    }
    assert_eq!(cdn.heads().len(), 2);
}

#[tokio::test]
async fn a164_the_challenge_of_a_host_that_a_redirect_led_to_is_not_met() {
    let cdn = Server::start_on("127.0.0.2", |_| {
        whole("401 Unauthorized", &["www-authenticate: Basic realm=\"r\""], b"")
    })
    .await;
    let to = format!("http://{}/x", cdn.address);
    let server = Server::start(move |_| redirect(&to)).await;
    let upstream = server.upstream_with(|table| {
        login(table);
        table.redirect_hosts = vec!["127.0.0.2".to_owned()];
    });
    assert_eq!(manifest(&upstream).await.unwrap_err(), Fault::Unauthorized);
    assert_eq!((server.heads().len(), cdn.heads().len()), (1, 1));
}

#[tokio::test]
async fn a_basic_challenge_is_met_with_the_login_and_not_without_one() {
    let server = Server::start(move |head| match authorization(head) {
        Some(sent) if sent == BASIC => whole("200 OK", &[TYPE], BODY),
        _ => whole("401 Unauthorized", &["www-authenticate: Basic realm=\"r\""], b""),
    })
    .await;
    assert!(manifest(&server.upstream_with(login)).await.is_ok());
    assert_eq!(server.heads().len(), 2);
    assert_eq!(manifest(&server.upstream()).await.unwrap_err(), Fault::NotShown);
    assert_eq!(server.heads().len(), 3);
}

#[tokio::test]
async fn a_repository_under_a_prefix_has_its_own_login_and_no_other() {
    let server = Server::start(move |head| match authorization(head) {
        Some(_) => whole("200 OK", &[TYPE], BODY),
        None => whole("401 Unauthorized", &["www-authenticate: Basic realm=\"r\""], b""),
    })
    .await;
    let upstream = server.upstream_with(|table| {
        login(table);
        for (prefix, username) in [("team", "short"), ("team/app", "long")] {
            let password = Secret::new("pw".to_owned());
            let login = Credentials::Basic { username: username.to_owned(), password };
            table.logins.insert(prefix.to_owned(), login);
        }
    });
    let sent = |header: &str| header.strip_prefix("basic ").unwrap().to_owned();
    for (repository, expected) in [
        ("r.example/org/app", "dxnlcjpjyw5hcnk="),
        ("r.example/team/app", "bg9uzzpwdw=="),
        ("r.example/team/app/part", "bg9uzzpwdw=="),
        ("r.example/team/other", "c2hvcnq6chc="),
        ("r.example/teams/app", "dxnlcjpjyw5hcnk="),
    ] {
        assert!(manifest_of(&upstream, repository).await.is_ok(), "{repository}");
        let last = server.heads().iter().filter_map(|head| authorization(head)).next_back().unwrap();
        assert_eq!(sent(&last), expected, "{repository}");
    }
}

#[tokio::test]
async fn an_identity_token_is_traded_for_another() {
    let server = registry("bearer t0ken").await;
    let upstream = server.upstream_with(|table| {
        let text = r#"{"auths":{"r.example":{"identitytoken":"canary"}}}"#.to_owned();
        table.credentials = Credentials::DockerConfig { text: Secret::new(text) };
    });
    assert!(manifest(&upstream).await.is_ok());
    assert_eq!(server.count("POST /token HTTP/1.1"), 1);
}

#[tokio::test]
async fn a171_no_secret_shows_in_what_is_written_about_an_upstream() {
    let server = registry("never").await;
    let upstream = server.upstream_with(login);
    let fault = manifest(&upstream).await.unwrap_err();
    let text = format!("{upstream:?} {fault:?} {fault}");
    for secret in ["canary", "t0ken", "127.0.0.1", "http"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test]
async fn a168_a_login_crosses_plain_http_only_to_the_endpoint_that_was_given_it() {
    let other = registry(BASIC).await;
    let server = Server::start(move |head| match authorization(head) {
        Some(sent) if sent == BASIC => whole("200 OK", &[TYPE], BODY),
        _ => whole("401 Unauthorized", &["www-authenticate: Basic realm=\"r\""], b""),
    })
    .await;
    // Said so: plain HTTP in `url`, and a login in `credentials`.
    assert!(manifest(&server.upstream_with(login)).await.is_ok());
    // TLS is wanted and not there: nothing is sent in the clear, the second endpoint in plain HTTP or not.
    let tls = server.url().replace("http://", "https://");
    let (plain, before) = (other.url(), other.heads().len());
    let upstream = super::server::upstream(&tls, |table| {
        login(table);
        table.urls.push(plain);
    });
    assert_eq!(manifest(&upstream).await.unwrap_err(), Fault::Tls);
    assert_eq!(other.heads().len(), before);
    let sent = |head: &String| head.to_lowercase().contains("dxnlcjpjyw5hcnk=");
    assert!(!other.heads().iter().any(sent));
}
