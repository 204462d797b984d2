//! Redirects, against real sockets.

use super::server::{Server, redirect, whole};
use super::{BODY, TYPE, manifest};
use crate::upstream::Fault;

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
        assert!(matches!(fault, Fault::RedirectRefused | Fault::Unreachable), "{host}: {fault:?}");
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
    assert_eq!(server.heads().len(), pullgate_policy::limits::REDIRECTS + 1);
    let five = Server::start(|head| match head.split('/').nth(2).unwrap_or_default().chars().next() {
        Some(c @ '0'..='3') => redirect(&format!("/hop/{}", char::from_u32(c as u32 + 1).unwrap())),
        Some('4') => whole("200 OK", &[TYPE], BODY),
        _ => redirect("/hop/0"),
    })
    .await;
    assert!(manifest(&five.upstream()).await.is_ok());
    assert_eq!(five.heads().len(), 6);
}
