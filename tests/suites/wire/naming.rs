//! Which upstream and repository a request is about, and what is refused before anybody is asked.

use pullgate_tests::asking::{ask, raw};
use pullgate_tests::gate_in_process::{Gate, Setup};
use pullgate_tests::made::Made;
use pullgate_tests::upstream::{Raw, Upstream};

use crate::stage::{KEYED, Stage, assert_denied, assert_serves, manifest};

/// Everything is served: names alone are the matter here.
const OPEN: &str = "unmatched = \"permit\"\n";

async fn two() -> (Upstream, Upstream, Gate) {
    let (hub, other) = (Upstream::start().await.unwrap(), Upstream::start().await.unwrap());
    let setup = Setup::before(&other.url())
        .upstream("docker.io", &format!("url = \"{}\"", hub.url()))
        .upstream("ghcr.io", &format!("url = \"{}\"\naliases = [\"ghcr.io_443\"]", other.url()))
        .listen("default_registry = \"docker.io\"")
        .policy(OPEN);
    let gate = Gate::start(&setup).await;
    (hub, other, gate)
}

#[tokio::test]
async fn the_upstream_is_that_of_ns_else_of_the_path_else_the_default() {
    let (hub, other, gate) = two().await;
    let (in_hub, in_other) = (Made::image(), Made::image());
    in_hub.tag(&hub, "org/app", "v1");
    in_other.tag(&other, "org/app", "v1");
    for (target, image, registry) in [
        ("/v2/org/app/manifests/v1", &in_hub, "docker.io"),
        ("/v2/docker.io/org/app/manifests/v1", &in_hub, "docker.io"),
        ("/v2/org/app/manifests/v1?ns=docker.io", &in_hub, "docker.io"),
        ("/v2/ghcr.io/org/app/manifests/v1", &in_other, "ghcr.io"),
        ("/v2/org/app/manifests/v1?ns=ghcr.io", &in_other, "ghcr.io"),
        ("/v2/ghcr.io/org/app/manifests/v1?ns=ghcr.io", &in_other, "ghcr.io"),
        ("/v2/ghcr.io_443/org/app/manifests/v1", &in_other, "ghcr.io"),
        ("/v2/GHCR.IO/org/app/manifests/v1?ns=ghcr.io", &in_other, "ghcr.io"),
        ("/v2/org/app/manifests/v1?ns=GHCR.io", &in_other, "ghcr.io"),
    ] {
        let answer = gate.get(target).await;
        assert_serves(&answer, image);
        assert_eq!(answer.header("oci-namespace"), Some(registry), "{target}");
    }
}

#[tokio::test]
async fn a001_a_registry_without_a_table_is_never_dialled() {
    let listener = Raw::start("127.0.0.1", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
    let (hub, other, gate) = two().await;
    let address = listener.address().to_string();
    let escaped = address.replace(':', "%3A");
    for target in [
        format!("/v2/org/app/manifests/v1?ns={address}"),
        format!("/v2/org/app/manifests/v1?ns={escaped}"),
        "/v2/org/app/manifests/v1?ns=169.254.169.254".to_owned(),
        "/v2/org/app/manifests/v1?ns=evil.example".to_owned(),
        "/v2/org/app/manifests/v1?ns=localhost:5000".to_owned(),
        "/v2/127.0.0.1:22/x/manifests/v1".to_owned(),
        "/v2/org/app/manifests/v1?ns=ghcr.io.evil.example".to_owned(),
        "/v2/org/app/manifests/v1?ns=xn--ghcr-0ra.io".to_owned(),
        format!("/v2/{address}/x/manifests/v1"),
        "/v2/evil.example/x/manifests/v1".to_owned(),
        "/v2/localhost/x/manifests/v1".to_owned(),
        format!("/v2/evil.example/x/blobs/{}", Made::image().digest()),
        "/v2/evil.example/x/tags/list".to_owned(),
    ] {
        let answer = gate.get(&target).await;
        assert_denied(&answer);
    }
    let brackets = gate.get("/v2/org/app/manifests/v1?ns=[::1]").await;
    assert!([(400, "NAME_INVALID"), (403, "DENIED")].contains(&(brackets.status, brackets.code().as_str())));
    assert_eq!((listener.connections(), hub.seen().len(), other.seen().len()), (0, 0, 0));
    let image = Made::image();
    image.tag(&other, "x", "v1");
    assert_serves(&gate.get("/v2/ghcr.io/x/manifests/v1").await, &image);
}

#[tokio::test]
async fn a003_a004_ns_is_one_name_and_the_path_is_the_whole_name() {
    let (hub, other, gate) = two().await;
    for target in [
        "/v2/org/app/manifests/v1?ns=docker.io&ns=docker.io",
        "/v2/org/app/manifests/v1?ns=docker.io&ns=ghcr.io",
        "/v2/org/app/manifests/v1?ns=",
        "/v2/org/app/manifests/v1?ns=http://ghcr.io",
        "/v2/org/app/manifests/v1?ns=ghcr.io/org",
        "/v2/org/app/manifests/v1?ns=user@ghcr.io",
        "/v2/org/app/manifests/v1?ns=ghcr.io%00",
        "/v2/org/app/manifests/v1?ns=ghcr.io%23",
        "/v2/org/app/manifests/v1?ns=%20ghcr.io",
    ] {
        let answer = gate.get(target).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "NAME_INVALID"), "{target}");
    }
    assert_eq!((hub.seen().len(), other.seen().len()), (0, 0));
    // A name with a trailing dot is none; one in the letters of another script is another name and nobody's.
    for (target, status, code) in [
        ("/v2/org/app/manifests/v1?ns=ghcr.io.", 400, "NAME_INVALID"),
        ("/v2/org/app/manifests/v1?ns=xn--ghr-3vd.io", 403, "DENIED"),
    ] {
        let answer = gate.get(target).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{target}");
    }
    assert_eq!((hub.seen().len(), other.seen().len()), (0, 0));
    let image = Made::image();
    image.tag(&other, "org/app", "v1");
    assert_serves(&gate.get("/v2/org/app/manifests/v1?ns=ghcr.io").await, &image);
    // A project that is called like a registry, though that one has a table: it is asked where `ns` says, and nowhere else.
    let before = other.seen().len();
    for path in ["ghcr.io/org/app", "ghcr.io_443/org/app"] {
        image.tag(&hub, path, "v1");
        assert_serves(&gate.get(&format!("/v2/{path}/manifests/v1?ns=docker.io")).await, &image);
        let record = gate.record().await;
        assert_eq!(record["repository"], format!("docker.io/{path}"));
    }
    assert_eq!(other.seen().len(), before);
}

#[tokio::test]
async fn without_a_default_registry_a_request_that_names_none_is_404() {
    let upstream = Upstream::start().await.unwrap();
    Made::image().tag(&upstream, "org/app", "v1");
    let setup = Setup::before(&upstream.url()).listen("").policy(OPEN);
    let gate = Gate::start(&setup).await;
    let answer = gate.get("/v2/org/app/manifests/v1").await;
    assert_eq!((answer.status, answer.code().as_str()), (404, "NAME_UNKNOWN"));
    assert_eq!(gate.get("/v2/registry.test/org/app/manifests/v1").await.status, 200);
}

#[tokio::test]
async fn a008_every_spelling_of_a_docker_hub_name_is_one_repository() {
    let (hub, other, spare) = two().await;
    drop(spare);
    let image = Made::image();
    image.tag(&hub, "library/alpine", "v1");
    Made::image().tag(&hub, "org/app", "v1");
    let policy = "unmatched = \"permit\"\n[authority.nobody]\nissuer = \"https://issuer.example\"\nidentity = \"nobody\"\n\
        [[policy]]\nname = \"strict\"\nscope = [\"docker.io/library/alpine\"]\n[[policy.require]]\nsigned_by = { any_of = [\"nobody\"] }\n";
    let setup = Setup::before(&other.url())
        .upstream("docker.io", &format!("url = \"{}\"", hub.url()))
        .listen("default_registry = \"docker.io\"")
        .policy(policy);
    let gate = Gate::start(&setup).await;
    for target in [
        "/v2/alpine/manifests/v1",
        "/v2/library/alpine/manifests/v1",
        "/v2/docker.io/alpine/manifests/v1",
        "/v2/docker.io/library/alpine/manifests/v1",
        "/v2/index.docker.io/library/alpine/manifests/v1",
        "/v2/registry-1.docker.io/alpine/manifests/v1",
        "/v2/alpine/manifests/v1?ns=docker.io",
        "/v2/library/alpine/manifests/v1?ns=index.docker.io",
    ] {
        assert_denied(&gate.get(target).await);
        assert_eq!(gate.record().await["repository"], "docker.io/library/alpine", "{target}");
    }
    assert_eq!(gate.get("/v2/org/app/manifests/v1").await.status, 200);
    assert_eq!(hub.count("library/library"), 0);
}

#[tokio::test]
async fn a007_a_name_is_split_at_its_last_marker_for_scope_and_upstream_alike() {
    let policy = KEYED.replace("registry.test/**", "registry.test/a/manifests/**");
    let stage = Stage::on(&format!("unmatched = \"permit\"\n{policy}")).await;
    let image = stage.unsigned("a/manifests/b", "v1");
    assert_denied(&stage.manifest("a/manifests/b", "v1").await);
    assert!(stage.upstream.count("GET /v2/a/manifests/b/manifests/v1") > 0);
    for repository in ["a/blobs/uploads/b", "v2/v2", "tags/list", "x/referrers/y"] {
        let image = stage.unsigned(repository, "v1");
        assert_serves(&stage.manifest(repository, "v1").await, &image);
    }
    stage.sign("a/manifests/b", &image);
    assert_eq!(stage.gate.get("/v2/a/manifests/b/tags/list").await.status, 200);
}

#[tokio::test]
async fn a005_a006_a012_names_outside_the_grammar_are_refused_without_a_request() {
    let stage = Stage::new().await;
    let hex = "a".repeat(64);
    let long = "a/".repeat(32) + "a";
    for (target, status, code) in [
        ("/v2/org%2Fapp/manifests/v1".to_owned(), 400, "NAME_INVALID"),
        ("/v2/org/%2e%2e/app/manifests/v1".to_owned(), 400, "NAME_INVALID"),
        ("/v2/org%252Fapp/x/manifests/v1".to_owned(), 400, "NAME_INVALID"),
        ("/v2/org//app/manifests/v1".to_owned(), 400, "NAME_INVALID"),
        ("/v2/org/app;x/manifests/v1".to_owned(), 400, "NAME_INVALID"),
        ("/v2/org/app%00/manifests/v1".to_owned(), 400, "NAME_INVALID"),
        ("/v2/Org/app/manifests/v1".to_owned(), 400, "NAME_INVALID"),
        (format!("/v2/{long}/manifests/v1"), 400, "NAME_INVALID"),
        (format!("/v2/{}/manifests/v1", "a".repeat(256)), 400, "NAME_INVALID"),
        ("/v2/org/app/manifests/-v1".to_owned(), 404, "MANIFEST_UNKNOWN"),
        ("/v2/org/app/manifests/.v1".to_owned(), 404, "MANIFEST_UNKNOWN"),
        (format!("/v2/org/app/manifests/{}", "a".repeat(129)), 404, "MANIFEST_UNKNOWN"),
        (format!("/v2/org/app/manifests/SHA256:{hex}"), 400, "DIGEST_INVALID"),
        (format!("/v2/org/app/manifests/sha256:{}", hex.to_uppercase()), 400, "DIGEST_INVALID"),
        (format!("/v2/org/app/manifests/sha256:{}", &hex[1..]), 400, "DIGEST_INVALID"),
        (format!("/v2/org/app/manifests/sha256:{hex}a"), 400, "DIGEST_INVALID"),
        ("/v2/org/app/manifests/sha256:..%2F..%2Fetc".to_owned(), 400, "DIGEST_INVALID"),
        (format!("/v2/org/app/blobs/sha1:{}", "a".repeat(40)), 400, "DIGEST_INVALID"),
        (format!("/v2/org/app/blobs/md5:{}", "a".repeat(32)), 400, "DIGEST_INVALID"),
        (format!("/v2/org/app/blobs/sha256-{hex}"), 400, "DIGEST_INVALID"),
        (format!("/v2/org/app/referrers/sha256+b64:{hex}"), 400, "DIGEST_INVALID"),
    ] {
        let answer = stage.gate.get(&target).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{target}");
        assert!(!answer.message().contains("org"), "the text does not echo what was asked");
    }
    assert_eq!(stage.upstream.seen().len(), 0);
}

#[tokio::test]
async fn a005_what_a_client_library_would_normalise_is_refused_as_it_came() {
    let stage = Stage::new().await;
    stage.signed("org/app", "v1");
    for path in [
        "/v2/x/../org/app/manifests/v1",
        "/v2/./org/app/manifests/v1",
        "/v2/org\\app/manifests/v1",
        "/v2//org/app/manifests/v1",
    ] {
        let answer =
            raw(stage.gate.data, format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"))
                .await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
    }
    assert_eq!(stage.upstream.seen().len(), 0);
}

#[tokio::test]
async fn a009_the_host_header_has_no_part_in_routing_and_two_are_refused() {
    let stage = Stage::new().await;
    stage.signed("org/app", "v1");
    let line = "GET /v2/org/app/manifests/v1 HTTP/1.1\r\n";
    let ask = |head: String| raw(stage.gate.data, format!("{head}connection: close\r\n\r\n"));
    assert!(ask(format!("{line}host: evil.example\r\n")).await.starts_with("HTTP/1.1 200 "));
    stage.upstream.forget();
    assert!(ask(format!("{line}host: a\r\nhost: b\r\n")).await.starts_with("HTTP/1.1 400 "));
    let absolute = "GET http://evil.example/v2/org/app/manifests/v1 HTTP/1.1\r\nhost: a\r\n".to_owned();
    assert!(ask(absolute).await.starts_with("HTTP/1.1 400 "));
    assert_eq!(stage.upstream.seen().len(), 0);
}

#[tokio::test]
async fn a010_every_other_method_on_every_route_is_405() {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    let digest = image.digest();
    let routes = [
        "/v2/".to_owned(),
        "/v2/org/app/manifests/v1".to_owned(),
        format!("/v2/org/app/blobs/{digest}"),
        "/v2/org/app/blobs/uploads/".to_owned(),
        "/v2/org/app/tags/list".to_owned(),
        format!("/v2/org/app/referrers/{digest}"),
    ];
    for method in ["PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "QUERY"] {
        for route in &routes {
            let answer = stage.gate.send(method, route).await;
            assert_eq!((answer.status, answer.code().as_str()), (405, "UNSUPPORTED"), "{method} {route}");
            assert_eq!(answer.header("allow"), Some("GET, HEAD"));
        }
    }
    for route in ["/v2/_catalog", "/v2/org/app/blobs/uploads/", "/v2/org/app/blobs/uploads/1"] {
        assert_eq!(stage.gate.get(route).await.status, 405, "{route}");
    }
    assert_eq!(stage.upstream.seen().len(), 0);
    // A tunnel to somewhere, in both forms of a target.
    for target in ["127.0.0.1:22", "/v2/org/app/manifests/v1"] {
        let head = format!("CONNECT {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let answer = raw(stage.gate.data, head).await;
        assert!(
            answer.starts_with("HTTP/1.1 405 ") || answer.starts_with("HTTP/1.1 400 "),
            "{target}: {answer}"
        );
    }
    assert_eq!(stage.upstream.seen().len(), 0);
    let overridden = [("x-http-method-override", "DELETE")];
    let answer = ask(stage.gate.data, "GET", &manifest("org/app", "v1"), &overridden).await;
    assert_serves(&answer, &image);
}

#[tokio::test]
async fn a011_only_what_is_known_of_a_query_goes_upstream() {
    let stage = Stage::new().await;
    stage.signed("org/app", "v1");
    let answer = stage.gate.get("/v2/org/app/tags/list?n=5&last=a%26n%3D9%23&evil=1&artifactType=x").await;
    assert_eq!(answer.status, 200);
    let seen = stage.upstream.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].target, "/v2/org/app/tags/list?n=5&last=a%26n%3D9%23");
    let long = "a".repeat(1025);
    assert_eq!(stage.gate.get(&format!("/v2/org/app/tags/list?last={long}")).await.status, 400);
    assert_eq!(stage.gate.get(&format!("/v2/org/app/tags/list?last={}", &long[1..])).await.status, 200);
}
