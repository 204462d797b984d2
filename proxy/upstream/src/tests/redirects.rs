//! Redirects, against real sockets.

use pullgate_policy::oci::Digest;

use super::credentials::{authorization, host, login};
use super::server::{Server, answer, redirect, whole};
use super::tls::{Authority, acceptor};
use super::{BODY, TYPE, manifest, repository};
use crate::Fault;

#[tokio::test]
async fn a161_a_redirect_inward_is_not_dialled_unless_the_host_is_listed() {
    let elsewhere = Server::start_on("127.0.0.2", |_| whole("200 OK", &[TYPE], BODY)).await;
    let (to, port) = (format!("http://{}/x", elsewhere.address), elsewhere.address.port());
    let server = Server::start(move |_| redirect(&to)).await;
    assert_eq!(manifest(&server.upstream()).await.unwrap_err(), Fault::RedirectRefused);
    let other_port = server.upstream_with(|table| table.redirect_hosts = vec!["127.0.0.2:1".to_owned()]);
    assert_eq!(manifest(&other_port).await.unwrap_err(), Fault::RedirectRefused);
    assert_eq!(elsewhere.heads().len(), 0);
    for listed in ["127.0.0.2".to_owned(), format!("127.0.0.2:{port}")] {
        let upstream = server.upstream_with(|table| table.redirect_hosts = vec![listed]);
        assert!(manifest(&upstream).await.is_ok());
    }
    assert_eq!(elsewhere.heads().len(), 2);
}

#[tokio::test]
async fn a161_a_name_that_resolves_inward_is_not_dialled() {
    let elsewhere = Server::start_on("127.0.0.1", |_| whole("200 OK", &[TYPE], BODY)).await;
    let port = elsewhere.address.port();
    // Numbers that no parser of addresses takes are names, and a resolver may know what they mean.
    for host in ["localhost", "2130706433", "0x7f000001", "127.1"] {
        let server = Server::start(move |_| redirect(&format!("http://{host}:{port}/x"))).await;
        let fault = manifest(&server.upstream()).await.unwrap_err();
        assert_eq!(fault, Fault::RedirectRefused, "{host}");
    }
    assert_eq!(elsewhere.heads().len(), 0);
    let server = Server::start(move |_| redirect(&format!("http://localhost:{port}/x"))).await;
    assert_eq!(manifest(&server.upstream()).await.unwrap_err(), Fault::RedirectRefused);
    let listed = server.upstream_with(|table| table.redirect_hosts = vec!["localhost".to_owned()]);
    assert!(manifest(&listed).await.is_ok());
}

#[tokio::test]
async fn a162_a_circle_ends_after_five_hops() {
    let server = Server::start(|_| redirect("/v2/org/app/manifests/v1")).await;
    assert_eq!(manifest(&server.upstream()).await.unwrap_err(), Fault::RedirectRefused);
    assert_eq!(server.heads().len(), crate::limits::REDIRECTS + 1);
    let five = Server::start(|head| match head.split('/').nth(2).unwrap_or_default().chars().next() {
        Some(c @ '0'..='3') => redirect(&format!("/hop/{}", char::from_u32(c as u32 + 1).unwrap())),
        Some('4') => whole("200 OK", &[TYPE], BODY),
        _ => redirect("/hop/0"),
    })
    .await;
    assert!(manifest(&five.upstream()).await.is_ok());
    assert_eq!(five.heads().len(), 6);
}

const BASIC: &str = "www-authenticate: Basic realm=\"r\"";

#[tokio::test]
async fn a161_a163_another_port_of_a_host_is_listed_or_public_and_gets_no_credential() {
    let other = Server::start(|_| whole("200 OK", &[TYPE], BODY)).await;
    let to = format!("{}/x", other.url());
    let server = Server::start(move |head| match authorization(head) {
        Some(_) => redirect(&to),
        None => whole("401 Unauthorized", &[BASIC], b""),
    })
    .await;
    // Another port of an address that is not public is another service (A161).
    assert_eq!(manifest(&server.upstream_with(login)).await.unwrap_err(), Fault::RedirectRefused);
    assert_eq!((server.heads().len(), other.heads().len()), (2, 0));
    let listed = server.upstream_with(|table| {
        login(table);
        table.redirect_hosts = vec!["127.0.0.1".to_owned()];
    });
    assert!(manifest(&listed).await.is_ok());
    assert_eq!(other.heads().iter().map(|head| authorization(head)).collect::<Vec<_>>(), [None]);
    assert_eq!(server.heads().len(), 4);
}

#[tokio::test]
async fn a163_another_scheme_of_the_same_host_and_port_gets_no_credentials() {
    let ours = Authority::new();
    for (scheme, gets) in [("http", true), ("https", false)] {
        let server =
            Server::start_both(acceptor(ours.server(), None), move |head| match authorization(head) {
                _ if head.contains(" /x ") => whole("200 OK", &[TYPE], BODY),
                Some(_) => redirect(&format!("{scheme}://{}/x", host(head))),
                None => whole("401 Unauthorized", &[BASIC], b""),
            })
            .await;
        let upstream = server.upstream_with(|table| {
            login(table);
            table.ca_pem = Some(ours.pem());
        });
        assert!(manifest(&upstream).await.is_ok(), "{scheme}");
        let last = server.heads().pop().unwrap();
        assert!(last.contains(" /x "), "{last}");
        assert_eq!(authorization(&last).is_some(), gets, "{scheme}");
    }
}

#[tokio::test]
async fn a162_of_eleven_hops_to_eleven_places_five_are_followed() {
    let server = Server::start(|head| {
        let hop = head.split([' ', '/']).filter_map(|part| part.parse::<u32>().ok()).next().unwrap_or(0);
        if hop < 11 { redirect(&format!("/{}", hop + 1)) } else { whole("200 OK", &[TYPE], BODY) }
    })
    .await;
    assert_eq!(manifest(&server.upstream()).await.unwrap_err(), Fault::RedirectRefused);
    assert_eq!((server.heads().len(), server.count("GET /5 "), server.count("GET /6 ")), (6, 1, 0));
}

#[tokio::test]
async fn a162_a_line_end_in_a_location_is_neither_followed_nor_sent_on() {
    for location in ["/x\r\n y", "/x\r y", "/x\n y", "/x\r\n\ty", "/x\0y"] {
        let lines = format!("location: {location}\r\ncontent-length: 0");
        let server = Server::start(move |head| match head.contains("/x") {
            true => whole("200 OK", &[TYPE], BODY),
            false => answer("307 Temporary Redirect", &[&lines], b""),
        })
        .await;
        // The head is malformed, wherever it would lead.
        assert_eq!(manifest(&server.upstream()).await.unwrap_err(), Fault::Protocol, "{location:?}");
        assert_eq!(server.heads().len(), 1, "{location:?}");
    }
    // Written in a URL's own way it stays what it is: a part of the path.
    let server = Server::start(|head| match head.contains("/x") {
        true => whole("200 OK", &[TYPE], BODY),
        false => redirect("/x%0d%0ax-made:%20y"),
    })
    .await;
    assert!(manifest(&server.upstream()).await.is_ok());
    let head = server.heads().pop().unwrap();
    assert!(head.starts_with("GET /x%0d%0ax-made:%20y HTTP/1.1\r\n"), "{head}");
    assert!(!head.lines().any(|line| line.starts_with("x-made")), "{head}");
}

#[tokio::test]
async fn a_store_that_refuses_what_it_was_sent_says_nothing_of_what_the_registry_shows() {
    for status in ["401 No", "403 No"] {
        let store = Server::start_on("127.0.0.2", move |_| whole(status, &[], b"<Error/>")).await;
        let to = format!("http://{}/bucket", store.address);
        let server = Server::start(move |_| redirect(&to)).await;
        let upstream = server.upstream_with(|table| table.redirect_hosts = vec!["127.0.0.2".to_owned()]);
        let fault = upstream.blob_exists(&repository(), &Digest::of(BODY)).await;
        assert_eq!(fault, Err(Fault::Unauthorized), "{status}");
        assert_eq!(manifest(&upstream).await.unwrap_err(), Fault::Unauthorized, "{status}");
    }
}

#[tokio::test]
async fn a162_behind_tls_a_store_in_clear_leads_to_no_other_one_in_clear() {
    let ours = Authority::new();
    let other = Server::start_on("127.0.0.3", |_| whole("200 OK", &[TYPE], BODY)).await;
    let to = other.url();
    let store = Server::start_on("127.0.0.2", move |_| redirect(&format!("{to}/x"))).await;
    let to = store.url();
    let server =
        Server::start_both(acceptor(ours.server(), None), move |_| redirect(&format!("{to}/x"))).await;
    let url = server.url().replace("http:", "https:");
    for (also, served) in [("127.0.0.3", false), ("http://127.0.0.3", true)] {
        let upstream = super::upstream(&url, |table| {
            table.ca_pem = Some(ours.pem());
            table.redirect_hosts = vec!["http://127.0.0.2".to_owned(), also.to_owned()];
        });
        let got = upstream.small_blob(&repository(), &Digest::of(BODY), 100).await;
        assert_eq!(got.is_ok(), served, "{also}");
    }
}
