//! Tags and referrers, against real sockets.

use crate::limits;
use pullgate_policy::limits::MANIFEST_BYTES;
use pullgate_policy::oci::{Digest, media_type};
use serde_json::{Value, json};

use super::server::{Server, redirect, whole};
use super::{BODY, repository};
use crate::{Fault, More, PageStart, Referrers, Upstream};

async fn referrers(upstream: &Upstream) -> Result<Option<(usize, More)>, Fault> {
    match upstream.referrers(&repository(), &Digest::of(BODY), &mut |_| true).await? {
        Referrers::Api { descriptors, more } => Ok(Some((descriptors.len(), more))),
        Referrers::NoApi => Ok(None),
    }
}

fn descriptor(of: &str) -> Value {
    json!({
        "mediaType": media_type::OCI_MANIFEST, "digest": Digest::of(of.as_bytes()), "size": 3, "artifactType": "a/b",
        "annotations": { "k": "v" }, "urls": ["https://evil.example"], "data": "e30=",
    })
}

fn index(of: &str) -> Vec<u8> {
    json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [descriptor(of), descriptor("same")] })
        .to_string()
        .into_bytes()
}

#[tokio::test]
async fn referrers_are_read_over_all_pages_each_once() {
    let server = Server::start(|head| {
        let path = head.split(' ').nth(1).unwrap().split('?').next().unwrap();
        let link = |n: u8| format!("link: <{path}?page={n}>; rel=\"next\"");
        if head.contains("page=2") {
            whole("200 OK", &[], &index("c"))
        } else if head.contains("page=1") {
            whole("200 OK", &[&link(2)], &index("b"))
        } else {
            whole("200 OK", &[&link(1)], &index("a"))
        }
    })
    .await;
    assert_eq!(referrers(&server.upstream()).await, Ok(Some((4, More::No))));
    let Ok(Referrers::Api { descriptors, .. }) =
        server.upstream().referrers(&repository(), &Digest::of(BODY), &mut |_| true).await
    else {
        panic!("no list");
    };
    let mut expected = descriptor("a");
    expected.as_object_mut().unwrap().retain(|key, _| key != "urls" && key != "data");
    assert_eq!(descriptors[0].to_json(), expected);
}

#[tokio::test]
async fn a144_pages_that_lead_in_a_circle_or_elsewhere_end_the_list() {
    let elsewhere = Server::start_on("127.0.0.2", |_| whole("200 OK", &[], &index("b"))).await;
    let there = format!("<http://{}", elsewhere.address);
    for (target, requests) in [
        ("PATH".to_owned(), 1),
        ("PATH?".to_owned(), 2),
        ("PATH?a".to_owned(), 2),
        ("/v2/org/other/referrers/x?a".to_owned(), 1),
        ("file:///etc/passwd".to_owned(), 1),
        (format!("{there}PATH?a").trim_start_matches('<').to_owned(), 1),
    ] {
        let server = Server::start(move |head| {
            let path = head.split(' ').nth(1).unwrap().split('?').next().unwrap();
            whole(
                "200 OK",
                &[&format!("link: <{}>; rel=\"next\"", target.replace("PATH", path))],
                &index("a"),
            )
        })
        .await;
        assert_eq!(referrers(&server.upstream()).await, Ok(Some((2, More::Yes))));
        assert_eq!(server.heads().len(), requests);
    }
    assert_eq!(elsewhere.heads().len(), 0);
}

#[tokio::test]
async fn a144_pages_without_end_have_a_most() {
    let server = Server::start(|head| {
        let (path, query) =
            head.split(' ').nth(1).unwrap().split_once('?').unwrap_or((head.split(' ').nth(1).unwrap(), "0"));
        let next = query.parse::<usize>().unwrap() + 1;
        whole("200 OK", &[&format!("link: <{path}?{next}>; rel=\"next\"")], &index(query))
    })
    .await;
    assert_eq!(referrers(&server.upstream()).await, Ok(Some((limits::REFERRERS_PAGES + 1, More::Yes))));
    assert_eq!(server.heads().len(), limits::REFERRERS_PAGES);
}

#[tokio::test]
async fn a144_a_list_of_so_many_pages_is_whole_and_of_one_more_is_not() {
    for (pages, more) in [(limits::REFERRERS_PAGES, More::No), (limits::REFERRERS_PAGES + 1, More::Yes)] {
        let server = Server::start(move |head| {
            let path = head.split(' ').nth(1).unwrap();
            let (path, page) = path.split_once('?').unwrap_or((path, "1"));
            let page: usize = page.parse().unwrap();
            let link = format!("link: <{path}?{}>; rel=\"next\"", page + 1);
            let headers: &[&str] = if page < pages { &[&link] } else { &[] };
            whole("200 OK", headers, &index("0"))
        })
        .await;
        let (_, told) = referrers(&server.upstream()).await.unwrap().unwrap();
        assert_eq!(told, more, "{pages}");
    }
}

#[tokio::test]
async fn a144_a_list_of_so_many_bytes_is_whole_and_of_one_more_is_not() {
    let page = usize::try_from(MANIFEST_BYTES).unwrap();
    let last = 64 * 1024;
    for (over, told) in [(0, (4, More::No)), (1, (3, More::Yes))] {
        let lengths = [page, limits::REFERRERS_BYTES - page - last, last + over];
        let server = Server::start(move |head| {
            let path = head.split(' ').nth(1).unwrap();
            let (path, page) = path.split_once('?').unwrap_or((path, "0"));
            let page: usize = page.parse().unwrap();
            let mut body = index(&page.to_string());
            body.resize(lengths[page], b' ');
            let link = format!("link: <{path}?{}>; rel=\"next\"", page + 1);
            let headers: &[&str] = if page + 1 < lengths.len() { &[&link] } else { &[] };
            whole("200 OK", headers, &body)
        })
        .await;
        assert_eq!(referrers(&server.upstream()).await, Ok(Some(told)));
    }
}

#[tokio::test]
async fn a145_a_page_over_its_limit_is_left_out_and_said_to_be() {
    let mut large = index("a");
    large.resize(usize::try_from(MANIFEST_BYTES).unwrap() + 1, b' ');
    let server = Server::start(move |_| whole("200 OK", &[], &large)).await;
    assert_eq!(referrers(&server.upstream()).await, Ok(Some((0, More::Yes))));
}

#[tokio::test]
async fn a146_a_registry_without_the_api_is_told_from_one_that_cannot_be_asked() {
    for (status, body) in [
        ("404 Not Found", &b""[..]),
        ("405 No", b""),
        ("501 No", b""),
        ("400 Bad", b""),
        ("406 No", b""),
        ("204 None", b""),
        ("200 OK", b""),
        ("200 OK", b"<html>"),
        ("200 OK", b"{}"),
        ("200 OK", b"{\"manifests\":null}"),
    ] {
        let server = Server::start(move |_| whole(status, &[], body)).await;
        assert_eq!(referrers(&server.upstream()).await, Ok(None), "{status}");
    }
    let inward = Server::start(|_| redirect("http://169.254.169.254/")).await;
    assert_eq!(referrers(&inward.upstream()).await, Ok(None));
    for (status, fault) in [
        ("500 Oh", Fault::Status(500)),
        ("502 Oh", Fault::Status(502)),
        ("401 No", Fault::Unauthorized),
        ("403 No", Fault::Unauthorized),
        ("429 No", Fault::Status(429)),
    ] {
        let server = Server::start(move |_| whole(status, &[], b"")).await;
        assert_eq!(referrers(&server.upstream()).await, Err(fault), "{status}");
    }
    assert_eq!(referrers(&super::upstream("http://127.0.0.1:1", |_| {})).await, Err(Fault::Unreachable));
}

#[tokio::test]
async fn tags_are_read_strictly_and_a_link_says_only_that_there_are_more() {
    let body = br#"{"name":"evil","tags":["v1","../x","-a",7,"v2"]}"#;
    let server =
        Server::start(move |_| whole("200 OK", &["link: <https://evil.example/>; rel=\"next\""], body)).await;
    let page = server.upstream().tags(&repository(), Some(5), PageStart::After("v0&n=9")).await.unwrap();
    assert_eq!(page.tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>(), ["v1", "v2"]);
    assert_eq!(page.more, More::Yes);
    assert_eq!(server.count("GET /v2/org/app/tags/list?n=5&last=v0%26n%3D9 HTTP/1.1"), 1);
    let none = Server::start(|_| whole("200 OK", &[], br#"{"name":"a","tags":null}"#)).await;
    let page = none.upstream().tags(&repository(), None, PageStart::Beginning).await.unwrap();
    assert_eq!((page.tags.len(), page.more), (0, More::No));
    for body in ["", "[]", "{}", r#"{"tags":"v1"}"#, r#"{"tags":[],"Tags":[]}"#] {
        let server = Server::start(move |_| whole("200 OK", &[], body.as_bytes())).await;
        assert_eq!(
            server.upstream().tags(&repository(), None, PageStart::Beginning).await,
            Err(Fault::Protocol),
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_registry_that_sends_every_tag_whatever_was_asked_for_is_paged_here() {
    let all = Server::start(|_| whole("200 OK", &[], br#"{"name":"a","tags":["b","c","a","d"]}"#)).await;
    let upstream = all.upstream();
    for (n, last, tags, more) in [
        (None, None, "b c a d", More::No),
        (Some(3), None, "a b c", More::Yes),
        (Some(2), Some("b"), "c d", More::No),
        (Some(1), Some("a"), "b", More::Yes),
        (None, Some("c"), "d", More::No),
        (None, Some("d"), "", More::No),
        (Some(0), None, "", More::Yes),
        // It knows pages, for all that can be seen: an order of its own stays.
        (Some(4), Some("gone"), "b c a d", More::No),
    ] {
        let page = upstream
            .tags(&repository(), n, last.map_or(PageStart::Beginning, PageStart::After))
            .await
            .unwrap();
        let got = page.tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>().join(" ");
        assert_eq!((got.as_str(), page.more), (tags, more), "n={n:?} last={last:?}");
    }
}
