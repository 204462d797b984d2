//! Faults of an upstream, against real sockets.

use futures_util::StreamExt as _;
use pullgate_policy::limits;
use pullgate_policy::oci::{Digest, Reference, Repository, media_type};

use super::{Fault, FetchedManifest, Presence, Upstream};
pub(super) use server::table;
use server::{Server, answer, claimed, upstream, whole};

mod credentials;
mod field;
mod heads;
mod lists;
mod redirects;
mod server;
mod slow;
mod tls;
mod tunnel;

const BODY: &[u8] = b"{\"schemaVersion\":2}";
const TYPE: &str = "content-type: application/vnd.oci.image.manifest.v1+json; charset=utf-8";

fn repository() -> Repository {
    "r.example/org/app".parse().unwrap()
}

async fn manifest(upstream: &Upstream) -> Result<FetchedManifest, Fault> {
    manifest_of(upstream, &repository().to_string()).await
}

async fn manifest_of(upstream: &Upstream, repository: &str) -> Result<FetchedManifest, Fault> {
    let accept = media_type::MANIFESTS.map(str::to_owned);
    let tag = Reference::Tag("v1".parse().unwrap());
    upstream.manifest(&repository.parse().unwrap(), &tag, &accept, &mut |_| true).await
}

/// The fault of a manifest that is answered by these bytes.
async fn fault(bytes: Vec<u8>) -> Fault {
    let server = Server::start(move |_| bytes.clone()).await;
    manifest(&server.upstream()).await.map(|_| ()).unwrap_err()
}

#[tokio::test]
async fn a_dead_endpoint_costs_the_first_request_its_wait_and_the_next_ones_nothing() {
    let failing = Server::start(|_| whole("503 Service Unavailable", &[], b"")).await;
    let good = Server::start(|_| {
        whole("200 OK", &[TYPE, "ratelimit-limit: 100;w=21600", "ratelimit-remaining: 76;w=21600"], BODY)
    })
    .await;
    let upstream = failing.upstream_with(|table| table.urls.push(good.url()));
    assert!(manifest(&upstream).await.is_ok());
    let asked = failing.heads().len();
    assert!(asked > 1 && upstream.endpoints_resting() == 1, "{asked}");
    for _ in 0..5 {
        assert!(manifest(&upstream).await.is_ok());
    }
    assert_eq!((failing.heads().len(), good.heads().len()), (asked, 6));
    assert_eq!(upstream.quota().map(|quota| (quota.limit, quota.remaining)), Some((100, 76)));
}

#[tokio::test]
async fn a_manifest_comes_with_its_type_and_the_request_says_only_what_the_gate_says() {
    let server = Server::start(|_| whole("200 OK", &[TYPE, &claimed(BODY)], BODY)).await;
    let fetched = manifest(&server.upstream()).await.unwrap();
    assert_eq!(fetched.content_type.as_deref(), Some(media_type::OCI_MANIFEST));
    assert_eq!(fetched.body.hash().digest(), Digest::of(BODY));
    let head = server.heads().remove(0).to_lowercase();
    assert!(head.starts_with("get /v2/org/app/manifests/v1 http/1.1\r\n"), "{head}");
    let mut names: Vec<_> = head.lines().skip(1).filter_map(|line| line.split_once(": ")).collect();
    names.sort_unstable();
    let accept = media_type::MANIFESTS.join(", ");
    let host = server.address.to_string();
    let agent = concat!("pullgate/", env!("CARGO_PKG_VERSION"));
    let expected = [
        ("accept", accept.as_str()),
        ("accept-encoding", "identity"),
        ("host", &host),
        ("user-agent", agent),
    ];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn a101_an_announced_digest_that_is_not_the_bodys_is_a_fault() {
    assert_eq!(fault(whole("200 OK", &[TYPE, &claimed(b"other")], BODY)).await, Fault::Integrity);
    assert_eq!(
        fault(whole("200 OK", &[TYPE, "docker-content-digest: sha256:x"], BODY)).await,
        Fault::Protocol
    );
}

#[tokio::test]
async fn a103_a_body_that_ends_early_is_a_fault() {
    for cut in [0, 1, BODY.len() - 1] {
        let length = format!("content-length: {}", BODY.len());
        assert_eq!(fault(answer("200 OK", &[TYPE, &length], &BODY[..cut])).await, Fault::Integrity, "{cut}");
        let chunk = [format!("{:x}\r\n", BODY.len()).as_bytes(), &BODY[..cut]].concat();
        let chunked = answer("200 OK", &[TYPE, "transfer-encoding: chunked"], &chunk);
        assert_eq!(fault(chunked).await, Fault::Integrity, "{cut}");
    }
}

#[tokio::test]
async fn a106_a_manifest_over_its_limit_is_cut() {
    let length = format!("content-length: {}", limits::MANIFEST_BYTES + 1);
    assert_eq!(fault(answer("200 OK", &[TYPE, &length], BODY)).await, Fault::TooLarge);
    let over = vec![b' '; usize::try_from(limits::MANIFEST_BYTES).unwrap() + 1];
    assert_eq!(fault(answer("200 OK", &[TYPE], &over)).await, Fault::TooLarge);
    let within = over[1..].to_vec();
    let server = Server::start(move |_| answer("200 OK", &[TYPE], &within)).await;
    assert_eq!(manifest(&server.upstream()).await.unwrap().body.len() as u64, limits::MANIFEST_BYTES);
}

#[tokio::test]
async fn a108_an_encoded_body_is_never_decoded() {
    for encoding in ["gzip", "X-GZip", "zstd", "br", "identity, gzip", "aws-chunked,gzip"] {
        let bytes = whole("200 OK", &[TYPE, &format!("content-encoding: {encoding}")], BODY);
        assert_eq!(fault(bytes.clone()).await, Fault::Encoding, "{encoding}");
        let server = Server::start(move |_| bytes.clone()).await;
        let digest = Digest::of(BODY);
        assert_eq!(server.upstream().blob(&repository(), &digest).await.unwrap_err(), Fault::Encoding);
        assert_eq!(
            server.upstream().small_blob(&repository(), &digest, 100).await.unwrap_err(),
            Fault::Encoding
        );
    }
}

#[tokio::test]
async fn a108_a_word_that_names_no_coding_says_nothing_and_the_hash_decides() {
    for word in ["", "Identity", "utf-8", "aws-chunked", "none", "x, "] {
        let line = format!("content-encoding: {word}");
        let server = Server::start(move |_| whole("200 OK", &[TYPE, &line], BODY)).await;
        assert!(manifest(&server.upstream()).await.is_ok(), "{word}");
        let wrong = server.upstream().small_blob(&repository(), &Digest::of(b"another"), 100).await;
        assert_eq!(wrong.unwrap_err(), Fault::Integrity, "{word}");
    }
}

#[tokio::test]
async fn a111_of_two_headers_none_is_chosen() {
    for line in [TYPE, "content-type: text/html", &claimed(BODY), "content-length: 19", "content-length: 18"]
    {
        let bytes = whole("200 OK", &[TYPE, &claimed(BODY), line], BODY);
        assert_eq!(fault(bytes).await, Fault::Protocol, "{line}");
    }
}

#[tokio::test]
async fn a170_each_status_means_one_thing() {
    let unknown = br#"{"errors":[{"code":"NAME_UNKNOWN","message":"text of the upstream"}]}"#;
    let denied = br#"{"errors":[{"code":"DENIED","message":"NAME_UNKNOWN"}]}"#;
    for (status, body, expected) in [
        ("404 Not Found", &b""[..], Fault::NotFound),
        ("403 Forbidden", b"", Fault::NotShown),
        ("403 Forbidden", denied, Fault::NotShown),
        ("403 Forbidden", unknown, Fault::NotFound),
        ("401 Unauthorized", b"", Fault::NotShown),
        ("401 Unauthorized", unknown, Fault::NotFound),
        ("408 Slow", b"", Fault::Status(408)),
        ("421 Misdirected", b"", Fault::Status(421)),
        ("425 Early", b"", Fault::Status(425)),
        ("429 Too Many", b"", Fault::Status(429)),
        ("500 Oh", b"", Fault::Status(500)),
        ("504 Oh", b"", Fault::Status(504)),
        ("520 Oh", b"", Fault::Status(520)),
        ("206 Partial", BODY, Fault::Protocol),
        ("304 Not Modified", b"", Fault::Protocol),
        ("418 Teapot", b"", Fault::Protocol),
    ] {
        assert_eq!(fault(whole(status, &[], body)).await, expected, "{status}");
    }
}

#[tokio::test]
async fn what_may_heal_is_asked_again_and_nothing_else() {
    for (status, requests) in
        [("502 Bad", 3), ("503 Bad", 3), ("504 Bad", 3), ("500 Bad", 1), ("404 No", 1), ("429 No", 1)]
    {
        let server = Server::start(move |_| whole(status, &[], b"")).await;
        assert!(manifest(&server.upstream()).await.is_err());
        assert_eq!(server.heads().len(), requests, "{status}");
    }
}

#[tokio::test]
async fn a176_an_upstream_that_asked_for_rest_is_left_alone() {
    let server = Server::start(|_| whole("429 Too Many", &["retry-after: 30"], b"")).await;
    let upstream = server.upstream();
    for _ in 0..3 {
        assert_eq!(manifest(&upstream).await.unwrap_err(), Fault::Status(429));
    }
    assert_eq!(server.heads().len(), 1);
}

#[tokio::test]
async fn the_next_url_is_asked_where_the_first_one_does_not_answer() {
    let server = Server::start(|_| whole("200 OK", &[TYPE], BODY)).await;
    let url = server.url();
    let first_dead = upstream("http://127.0.0.1:1", |table| table.urls.push(url));
    assert!(manifest(&first_dead).await.is_ok());
    assert_eq!(manifest(&upstream("http://127.0.0.1:1", |_| {})).await.unwrap_err(), Fault::Unreachable);
    let absent = Server::start(|_| whole("404 Not Found", &[], b"")).await;
    let url = server.url();
    assert_eq!(
        manifest(&absent.upstream_with(|table| table.urls.push(url))).await.unwrap_err(),
        Fault::NotFound
    );
}

#[tokio::test]
async fn a172_where_tls_fails_there_is_no_way_around_it() {
    let plain = Server::start(|_| whole("200 OK", &[TYPE], BODY)).await;
    let (https, http) = (format!("https://{}", plain.address), plain.url());
    assert_eq!(manifest(&upstream(&https, |table| table.urls.push(http))).await.unwrap_err(), Fault::Tls);
    let http = plain.url();
    let unreachable = upstream("https://127.0.0.1:1", |table| table.urls.push(http));
    assert_eq!(manifest(&unreachable).await.unwrap_err(), Fault::Unreachable);
    assert_eq!(plain.count("HTTP/1.1"), 0);
}

#[tokio::test]
async fn a_blob_is_asked_for_whole_and_comes_in_pieces() {
    let server = Server::start(|_| whole("200 OK", &[], BODY)).await;
    let (upstream, digest) = (server.upstream(), Digest::of(BODY));
    let body = upstream.blob(&repository(), &digest).await.unwrap();
    assert_eq!(body.length, Some(BODY.len() as u64));
    let pieces: Vec<_> = body.stream.collect().await;
    assert_eq!(pieces.into_iter().collect::<Result<Vec<_>, _>>().unwrap().concat(), BODY);
    assert_eq!(
        upstream.blob_exists(&repository(), &digest).await,
        Ok(Presence::Here(Some(BODY.len() as u64)))
    );
    assert_eq!(server.count("HEAD /v2/org/app/blobs/sha256:"), 1);
    assert_eq!(server.count("range"), 0);
    let absent = Server::start(|_| whole("404 Not Found", &[], b"")).await;
    assert_eq!(absent.upstream().blob_exists(&repository(), &digest).await, Ok(Presence::Absent));
}

#[tokio::test]
async fn a103_a_blob_that_ends_early_ends_with_a_fault() {
    let server = Server::start(|_| answer("200 OK", &["content-length: 100"], BODY)).await;
    let body = server.upstream().blob(&repository(), &Digest::of(BODY)).await.unwrap();
    let pieces: Vec<_> = body.stream.collect().await;
    assert_eq!(pieces.last().unwrap().as_ref().unwrap_err(), &Fault::Integrity);
}

#[tokio::test]
async fn a142_a_small_blob_is_cut_and_hashed() {
    let server = Server::start(|_| answer("200 OK", &[], BODY)).await;
    let (upstream, most) = (server.upstream(), BODY.len() as u64);
    let fetched = upstream.small_blob(&repository(), &Digest::of(BODY), most).await.unwrap();
    assert_eq!(fetched.value().as_ref(), BODY);
    let small = upstream.small_blob(&repository(), &Digest::of(BODY), most - 1).await;
    assert_eq!(small.unwrap_err(), Fault::TooLarge);
    let other = upstream.small_blob(&repository(), &Digest::of(b"other"), most).await;
    assert_eq!(other.unwrap_err(), Fault::Integrity);
}
