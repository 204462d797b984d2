//! Upstreams as they are: each rule beside its hostile neighbour.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pullgate_policy::oci::{Digest, Repository};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

use super::credentials::{BASIC, authorization, bearer, host, login};
use super::server::{Server, answer, redirect, whole};
use super::tls::{Authority, Pair, acceptor};
use super::{BODY, TYPE, manifest, repository};
use crate::{Fault, More, PageStart, Presence, Upstream};

fn token(head: &str) -> Vec<u8> {
    let _ = head;
    whole("200 OK", &[], b"{\"token\":\"t0ken\"}")
}

#[tokio::test]
async fn whatever_says_nothing_about_the_content_leads_to_the_next_endpoint() {
    for status in ["408 A", "421 B", "425 C", "429 D", "500 E", "501 F", "503 G", "520 H", "599 I"] {
        let first = Server::start(move |_| whole(status, &["retry-after: 60"], b"{}")).await;
        let second = Server::start(|_| whole("200 OK", &[TYPE], BODY)).await;
        let upstream = first.upstream_with(|table| table.urls.push(second.url()));
        assert!(manifest(&upstream).await.is_ok(), "{status}");
        assert_eq!(second.heads().len(), 1, "{status}");
    }
    // What it says of the content is its answer.
    for (status, fault) in [("404 No", Fault::NotFound), ("403 No", Fault::NotShown)] {
        let first = Server::start(move |_| whole(status, &[], b"{}")).await;
        let second = Server::start(|_| whole("200 OK", &[TYPE], BODY)).await;
        let upstream = first.upstream_with(|table| table.urls.push(second.url()));
        assert_eq!(manifest(&upstream).await.unwrap_err(), fault);
        assert_eq!(second.heads().len(), 0, "{status}");
    }
}

#[tokio::test]
async fn a176_manifests_that_are_limited_stop_neither_blobs_nor_another_repository() {
    let server = Server::start(|head| match head.contains("/org/app/manifests/") {
        true => whole("429 Too Many", &["retry-after: 60"], b"{}"),
        false => whole("200 OK", &[TYPE], BODY),
    })
    .await;
    let upstream = server.upstream();
    for _ in 0..3 {
        assert_eq!(manifest(&upstream).await.unwrap_err(), Fault::Status(429));
    }
    assert_eq!(server.heads().len(), 1, "it is left alone");
    assert!(upstream.small_blob(&repository(), &Digest::of(BODY), 100).await.is_ok());
    assert!(super::manifest_of(&upstream, "r.example/org/other").await.is_ok());
}

#[tokio::test]
async fn a_hiccup_of_a_token_service_is_repeated_and_its_no_is_not() {
    for (first, served, asked) in
        [("502 A", true, 2), ("503 B", true, 2), ("504 C", true, 2), ("", true, 2), ("403 D", false, 1)]
    {
        let tokens = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&tokens);
        let server = Server::start(move |head| match authorization(head) {
            Some(_) => whole("200 OK", &[TYPE], BODY),
            None if !head.contains(" /token") => bearer(&host(head)),
            None => match (counted.fetch_add(1, Ordering::Relaxed), first) {
                (0, "") => Vec::new(),
                (0, status) => whole(status, &[], b"oops"),
                _ => token(head),
            },
        })
        .await;
        assert_eq!(manifest(&server.upstream()).await.is_ok(), served, "{first}");
        assert_eq!(tokens.load(Ordering::Relaxed), asked, "{first}");
    }
}

#[tokio::test]
async fn a_token_service_may_send_on_once_within_its_host_and_nowhere_else() {
    let elsewhere = Server::start_on("127.0.0.2", token).await;
    let there = format!("http://{}/token", elsewhere.address);
    for (to, served) in [("/moved", true), ("/again", false), (there.as_str(), false)] {
        let to = to.to_owned();
        let server = Server::start(move |head| match authorization(head) {
            Some(_) => whole("200 OK", &[TYPE], BODY),
            None if head.contains(" /token") => redirect(&to),
            None if head.contains(" /again") => redirect("/moved"),
            None if head.contains(" /moved") => token(head),
            None => bearer(&host(head)),
        })
        .await;
        assert_eq!(manifest(&server.upstream()).await.is_ok(), served);
    }
    assert_eq!(elsewhere.heads().len(), 0);
}

/// A registry that refuses a header that it took before by such a status, and challenges whoever sends none.
async fn forgetful(status: &'static str, challenge: &'static str) -> (Server, Arc<AtomicUsize>) {
    let ended = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ended);
    let server = Server::start(move |head| match authorization(head) {
        Some(_)
            if counted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() =>
        {
            whole(status, &[], b"{\"errors\":[{\"code\":\"DENIED\"}]}")
        }
        Some(_) => whole("200 OK", &[TYPE], BODY),
        None if head.contains(" /token") => token(head),
        None if challenge.is_empty() => bearer(&host(head)),
        None => whole("401 Unauthorized", &[challenge], b""),
    })
    .await;
    (server, ended)
}

#[tokio::test]
async fn a_token_that_is_refused_leads_to_the_challenge_of_a_request_without_it() {
    let (server, ended) = forgetful("401 Unauthorized", "").await;
    let upstream = server.upstream();
    assert!(manifest(&upstream).await.is_ok());
    ended.store(1, Ordering::Relaxed);
    assert!(manifest(&upstream).await.is_ok());
    assert_eq!(server.count(" /token"), 2);
}

#[tokio::test(start_paused = true)]
async fn a169_a_login_that_a_403_refuses_is_asked_for_anew_once_where_it_is_old() {
    let _still = crate::still::still();
    let (server, ended) = forgetful("403 Forbidden", "www-authenticate: Basic realm=\"r\"").await;
    let upstream = server.upstream_with(login);
    assert!(manifest(&upstream).await.is_ok());
    // A login of this moment is refused for what it may not.
    ended.store(1, Ordering::Relaxed);
    assert_eq!(manifest(&upstream).await.unwrap_err(), Fault::Unauthorized);
    tokio::time::advance(std::time::Duration::from_secs(5)).await;
    ended.store(1, Ordering::Relaxed);
    assert!(manifest(&upstream).await.is_ok());
    tokio::time::advance(std::time::Duration::from_secs(5)).await;
    let before = server.heads().len();
    ended.store(9, Ordering::Relaxed);
    assert_eq!(manifest(&upstream).await.unwrap_err(), Fault::Unauthorized);
    assert_eq!(server.heads().len() - before, 3, "with it, without it, and with the login once more");
    assert!(server.heads().iter().filter_map(|head| authorization(head)).all(|sent| sent == BASIC));
}

#[tokio::test]
async fn a164_a_realm_in_clear_of_an_endpoint_under_tls_is_asked_under_tls() {
    let ours = Authority::new();
    for (realm, served) in [("http://HOST/token", true), ("http://127.0.0.2:PORT/token", false)] {
        let server =
            Server::start_both(acceptor(ours.server(), None), move |head| match authorization(head) {
                Some(_) => whole("200 OK", &[TYPE], BODY),
                None if head.contains(" /token") => token(head),
                None => {
                    let (host, port) = (host(head), host(head).rsplit_once(':').unwrap().1.to_owned());
                    let realm = realm.replace("HOST", &host).replace("PORT", &port);
                    whole("401 Unauthorized", &[&format!("www-authenticate: Bearer realm=\"{realm}\"")], b"")
                }
            })
            .await;
        let url = server.url().replace("http:", "https:");
        let upstream = super::upstream(&url, |table| table.ca_pem = Some(ours.pem()));
        assert_eq!(manifest(&upstream).await.is_ok(), served, "{realm}");
        let clear = server.heads().iter().any(|head| head.contains("/token")) != served;
        assert!(!clear, "{realm}");
    }
}

/// A front that sends on to another registry, which wants a token of its own.
async fn sent_on() -> (Server, Server) {
    let real = Server::start_on("127.0.0.2", |head| match authorization(head) {
        Some(sent) if sent == "bearer t0ken" => whole("200 OK", &[TYPE], BODY),
        Some(_) => whole("403 Forbidden", &[], b""),
        None if head.contains(" /token") => token(head),
        None => bearer(&host(head)),
    })
    .await;
    let to = real.url();
    let front = Server::start(move |head| match authorization(head) {
        Some(_) => redirect(&format!("{to}{}", head.split(' ').nth(1).unwrap())),
        None => whole("401 Unauthorized", &["www-authenticate: Basic realm=\"front\""], b""),
    })
    .await;
    (front, real)
}

#[tokio::test]
async fn a163_a_listed_registry_behind_a_redirect_gets_an_anonymous_token_alone() {
    let (front, real) = sent_on().await;
    let listing = |redirects: &[&str], tokens: &[&str]| {
        front.upstream_with(|table| {
            login(table);
            table.redirect_hosts = redirects.iter().map(|&host| host.to_owned()).collect();
            table.token_hosts = tokens.iter().map(|&host| host.to_owned()).collect();
        })
    };
    let both = listing(&["127.0.0.2"], &["127.0.0.2"]);
    for _ in 0..2 {
        assert!(manifest(&both).await.is_ok());
    }
    assert_eq!(real.count(" /token"), 1, "it is remembered");
    assert!(real.heads().iter().filter_map(|head| authorization(head)).all(|sent| sent == "bearer t0ken"));
    assert!(front.heads().iter().filter_map(|head| authorization(head)).all(|sent| sent == BASIC));
    let asked = real.heads().len();
    // Its token service is not listed: it is not asked.
    assert!(manifest(&listing(&["127.0.0.2"], &[])).await.is_err());
    assert_eq!(real.count(" /token"), 1);
    // Neither is: nothing at all is sent there.
    let before = real.heads().len();
    assert!(before > asked && manifest(&listing(&[], &["127.0.0.3"])).await.is_err());
    assert_eq!(real.heads().len(), before);
}

#[tokio::test]
async fn a162_a_listed_store_in_clear_gives_blobs_and_never_a_manifest() {
    let (ours, store) =
        (Authority::new(), Server::start_on("127.0.0.2", |_| answer("200 OK", &[TYPE], BODY)).await);
    let to = store.url();
    let server =
        Server::start_both(acceptor(ours.server(), None), move |_| redirect(&format!("{to}/x"))).await;
    let url = server.url().replace("http:", "https:");
    let upstream = |listed: &str| {
        super::upstream(&url, |table| {
            table.ca_pem = Some(ours.pem());
            table.redirect_hosts = vec![listed.to_owned()];
        })
    };
    let blob =
        |upstream: Upstream| async move { upstream.small_blob(&repository(), &Digest::of(BODY), 100).await };
    let listed = format!("http://{}", store.address);
    assert!(blob(upstream(&listed)).await.is_ok());
    assert_eq!(manifest(&upstream(&listed)).await.unwrap_err(), Fault::RedirectRefused);
    for another in ["127.0.0.2", "http://127.0.0.2:1", "http://127.0.0.3"] {
        assert_eq!(blob(upstream(another)).await.unwrap_err(), Fault::RedirectRefused, "{another}");
    }
    assert_eq!(store.heads().len(), 1);
}

/// A certificate that is its own authority, as `openssl req -x509` makes it.
fn own_authority(name: &str, until: i32) -> Pair {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    let key = KeyPair::generate().unwrap();
    Pair::of(vec![params.self_signed(&key).unwrap().der().clone()], key)
}

#[tokio::test]
async fn a172_a_certificate_that_ca_names_is_trusted_as_what_it_is() {
    let url = |server: &Server| server.url().replace("http:", "https:");
    for (name, until, served, why) in [
        ("127.0.0.1", 2099, true, ""),
        ("127.0.0.9", 2099, false, "another name"),
        ("127.0.0.1", 2021, false, "ran out"),
    ] {
        let pair = own_authority(name, until);
        let pem = pair.certificates_pem();
        let server = Server::start_both(acceptor(pair, None), |_| whole("200 OK", &[TYPE], BODY)).await;
        let upstream = super::upstream(&url(&server), |table| table.ca_pem = Some(pem));
        assert_eq!(manifest(&upstream).await.is_ok(), served, "{name} {until}");
        assert!(upstream.refused().concat().contains(why), "{:?}", upstream.refused());
    }
    // Another of the same kind, and one that such a certificate issued, are not what was named.
    let (named, other) = (own_authority("127.0.0.1", 2099), own_authority("127.0.0.1", 2099));
    let server = Server::start_both(acceptor(other, None), |_| whole("200 OK", &[TYPE], BODY)).await;
    let upstream = super::upstream(&url(&server), |table| table.ca_pem = Some(named.certificates_pem()));
    assert_eq!(manifest(&upstream).await.unwrap_err(), Fault::Tls);
    assert!(upstream.refused().concat().contains("CA:TRUE"), "{:?}", upstream.refused());
}

#[tokio::test]
async fn what_is_refused_is_named_with_the_key_that_would_allow_it() {
    for (to, key) in [
        (redirect("https://10.11.12.13/bucket"), "`redirect_hosts`"),
        (
            whole("401 No", &["www-authenticate: Bearer realm=\"https://auth.example.net/t\""], b""),
            "`token_hosts`",
        ),
    ] {
        let server = Server::start(move |_| to.clone()).await;
        let upstream = server.upstream();
        assert!(manifest(&upstream).await.is_err());
        let refused = upstream.refused().concat();
        let host = if key.contains("token") { "auth.example.net" } else { "10.11.12.13" };
        assert!(refused.contains(host) && refused.contains(key), "{refused}");
    }
}

#[tokio::test]
async fn only_a_get_says_that_a_blob_is_not_there() {
    for (head_status, get_status, presence) in [
        ("200 OK", "500 No", Ok(Presence::Here(Some(19)))),
        ("404 No", "200 OK", Ok(Presence::Here(Some(19)))),
        ("405 No", "206 Part", Ok(Presence::Here(Some(700)))),
        ("403 No", "404 No", Ok(Presence::Absent)),
        ("404 No", "404 No", Ok(Presence::Absent)),
        ("503 No", "416 Empty", Ok(Presence::Here(Some(0)))),
        ("404 No", "500 No", Err(Fault::Status(500))),
        ("404 No", "403 No", Err(Fault::NotShown)),
    ] {
        let server = Server::start(move |head| match head.starts_with("HEAD ") {
            true => whole(head_status, &["content-type: a/b"], BODY),
            false if get_status.starts_with("206") => {
                whole(get_status, &["content-range: bytes 0-0/700"], b"x")
            }
            false => whole(get_status, &[], BODY),
        })
        .await;
        let said = server.upstream().blob_exists(&repository(), &Digest::of(BODY)).await;
        assert_eq!(said, presence, "{head_status} {get_status}");
    }
}

#[tokio::test]
async fn behind_a_prefix_every_request_and_token_is_for_the_name_there() {
    let server = Server::start(|head| match authorization(head) {
        Some(_) if head.contains("/referrers/") => whole("200 OK", &[], b"{\"manifests\":[]}"),
        Some(_) if head.contains("/tags/") => whole("200 OK", &[], b"{\"tags\":[\"v1\"]}"),
        Some(_) => whole("200 OK", &[TYPE], BODY),
        None if head.contains(" /token") => token(head),
        None => bearer(&host(head)),
    })
    .await;
    let upstream = server.upstream_with(|table| table.prefix = Some("hub-proxy/cache".to_owned()));
    let of: Repository = repository();
    assert!(manifest(&upstream).await.is_ok());
    assert!(upstream.small_blob(&of, &Digest::of(BODY), 100).await.is_ok());
    assert!(upstream.blob_exists(&of, &Digest::of(BODY)).await.is_ok());
    assert!(upstream.tags(&of, None, PageStart::Beginning).await.is_ok());
    assert!(upstream.referrers(&of, &Digest::of(BODY), &mut |_| true).await.is_ok());
    let heads = server.heads();
    let elsewhere =
        |head: &&String| !head.contains(" /v2/hub-proxy/cache/org/app/") && !head.contains(" /token");
    assert_eq!(heads.iter().find(elsewhere), None);
    assert_eq!(
        server.count("scope=repository%3Ahub%2Dproxy%2Fcache%2Forg%2Fapp%3Apull"),
        server.count(" /token")
    );
}

#[tokio::test]
async fn a_list_goes_on_by_the_upstreams_own_words_and_never_ends_in_silence() {
    let server = Server::start(|head| match head.split(' ').nth(1).unwrap_or_default() {
        "/v2/org/app/tags/list?n=2" => whole(
            "200 OK",
            &["link: </v2/org/app/tags/list?n=2&page=b%3D>; rel=next"],
            b"{\"tags\":[\"z\",\"y\"]}",
        ),
        "/v2/org/app/tags/list?n=2&page=b%3D" => {
            whole("200 OK", &["link: </v2/org/app/tags/list?n=2&page=c>; rel=next"], b"{\"tags\":[\"../x\"]}")
        }
        "/v2/org/app/tags/list?n=2&page=c" => whole("200 OK", &[], b"{\"tags\":[\"a\"]}"),
        _ => whole("200 OK", &["link: <https://evil.example/>; rel=next"], b"{\"tags\":[]}"),
    })
    .await;
    let (upstream, mut cursor, mut tags) = (server.upstream(), None::<String>, Vec::new());
    loop {
        let from = cursor.as_deref().map_or(PageStart::Beginning, PageStart::Cursor);
        let page = upstream.tags(&repository(), Some(2), from).await.unwrap();
        tags.extend(page.tags.iter().map(ToString::to_string));
        assert_eq!(page.more == More::Yes, page.cursor.is_some());
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(tags, ["z", "y", "a"]);
    // It says that there is more, where the gate does not go, and nothing from which to go on.
    let stuck = upstream.tags(&repository(), None, PageStart::Beginning).await;
    assert_eq!(stuck, Err(Fault::Protocol));
}
