use super::*;

struct Table;

impl Registries for Table {
    fn find(&self, name: &str) -> Option<Registry> {
        let name = match name.to_ascii_lowercase().as_str() {
            "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
            "corp_5000" => "corp.example:5000".to_owned(),
            other => other.to_owned(),
        };
        let known = ["docker.io", "ghcr.io", "corp.example:5000", "127.0.0.1:5001"];
        known.contains(&name.as_str()).then(|| name.parse().unwrap())
    }

    fn default(&self) -> Option<Registry> {
        Some(Registry::docker_hub())
    }
}

struct NoDefault;

impl Registries for NoDefault {
    fn find(&self, name: &str) -> Option<Registry> {
        Table.find(name)
    }

    fn default(&self) -> Option<Registry> {
        None
    }
}

fn get(target: &str) -> Result<Route, RouteFault> {
    // `http::Uri` refuses some bytes by itself; that is a 400 before routing.
    let uri: Uri = target.parse().map_err(|_| RouteFault::NameInvalid)?;
    parse(&Method::GET, &uri, &Table)
}

fn repository(target: &str) -> String {
    match get(target) {
        Ok(
            Route::Manifest(target, _)
            | Route::Blob(target, _)
            | Route::Tags(target, _)
            | Route::Referrers(target, ..),
        ) => target.repository.to_string(),
        other => panic!("{target}: {other:?}"),
    }
}

#[test]
fn the_upstream_is_ns_else_a_host_in_the_path_else_the_default() {
    for (target, expected) in [
        ("/v2/library/alpine/manifests/v1?ns=docker.io", "docker.io/library/alpine"),
        ("/v2/alpine/manifests/v1?ns=docker.io", "docker.io/library/alpine"),
        ("/v2/lib/multi/manifests/v1?ns=127.0.0.1%3A5001", "127.0.0.1:5001/lib/multi"),
        ("/v2/ghcr.io/org/app/manifests/v1", "ghcr.io/org/app"),
        ("/v2/ghcr.io/org/app/manifests/v1?ns=ghcr.io", "ghcr.io/org/app"),
        ("/v2/docker.io/alpine/manifests/v1", "docker.io/library/alpine"),
        ("/v2/index.docker.io/library/alpine/manifests/v1", "docker.io/library/alpine"),
        ("/v2/corp_5000/a/manifests/v1", "corp.example:5000/a"),
        ("/v2/corp.example:5000/a/manifests/v1", "corp.example:5000/a"),
        ("/v2/alpine/manifests/v1", "docker.io/library/alpine"),
        ("/v2/org/app/manifests/v1", "docker.io/org/app"),
        ("/v2/GHCR.IO/org/app/manifests/v1", "ghcr.io/org/app"),
        ("/v2/org/%61pp/manifests/v1", "docker.io/org/app"),
    ] {
        assert_eq!(repository(target), expected, "{target}");
    }
}

#[test]
fn a001_a002_a_registry_without_a_table_is_refused() {
    for target in [
        "/v2/a/manifests/v1?ns=169.254.169.254",
        "/v2/a/manifests/v1?ns=localhost:5000",
        "/v2/a/manifests/v1?ns=%5B::1%5D",
        "/v2/evil.example/x/manifests/v1",
        "/v2/127.0.0.1:22/x/manifests/v1",
        "/v2/localhost/x/manifests/v1",
        "/v2/xn--ghcr-x.io/x/manifests/v1",
    ] {
        assert_eq!(get(target), Err(RouteFault::RegistryUnknown), "{target}");
    }
}

#[test]
fn a003_a004_ns_says_where_and_malformed_ones_are_refused() {
    for query in [
        "ns=docker.io&ns=ghcr.io",
        "ns=ghcr.io&ns=ghcr.io",
        "ns=",
        "ns=ghcr.io/org",
        "ns=https://ghcr.io",
        "ns=a@ghcr.io",
        "ns=ghcr.io%00",
        "ns=ghcr.io%23",
        "ns=ghcr.io.",
        "ns=%20ghcr.io",
        "ns=gh%C4%8Dr.io",
    ] {
        assert_eq!(get(&format!("/v2/a/b/manifests/v1?{query}")), Err(RouteFault::NameInvalid), "{query}");
    }
    // `ns` says where; the path is the whole name, whatever its first part is called.
    let Ok(Route::Manifest(target, _)) = get("/v2/ghcr.io/a/b/manifests/v1?ns=docker.io") else { panic!() };
    assert_eq!(target.repository.to_string(), "docker.io/ghcr.io/a/b");
    assert_eq!(repository("/v2/a/b/manifests/v1?ns=GHCR.io"), "ghcr.io/a/b");
}

#[test]
fn a005_a006_names_outside_the_grammar_are_refused_and_never_normalised() {
    let long = "a".repeat(300);
    let deep = vec!["a"; 40].join("/");
    for name in [
        "a%2Fb", "%2e%2e", "a%252Fb", "..", ".", "a//b", "a%5Cb", "a;b", "a%00", "A", "org/App", "%C3%A4",
        "-a", "a/", &long, &deep,
    ] {
        assert_eq!(get(&format!("/v2/{name}/manifests/v1")), Err(RouteFault::NameInvalid), "{name}");
    }
    for tag in ["-v1", ".v1", &"a".repeat(129), "a%20b", "%C3%A4", ""] {
        assert_eq!(get(&format!("/v2/a/manifests/{tag}")), Err(RouteFault::TagInvalid), "{tag}");
    }
}

#[test]
fn a012_malformed_digests_are_refused() {
    let hex = "a".repeat(64);
    for digest in [
        format!("SHA256:{hex}"),
        format!("sha256:{}", hex.get(1..).unwrap()),
        format!("sha1:{hex}"),
        "sha256:%2e%2e%2f".into(),
    ] {
        assert_eq!(get(&format!("/v2/a/manifests/{digest}")), Err(RouteFault::DigestInvalid), "{digest}");
        assert_eq!(get(&format!("/v2/a/blobs/{digest}")), Err(RouteFault::DigestInvalid), "{digest}");
        assert_eq!(get(&format!("/v2/a/referrers/{digest}")), Err(RouteFault::DigestInvalid), "{digest}");
    }
    assert!(matches!(
        get(&format!("/v2/a/manifests/sha256%3A{hex}")),
        Ok(Route::Manifest(_, Reference::Digest(_)))
    ));
}

#[test]
fn a007_a_repository_may_contain_the_markers() {
    assert_eq!(repository("/v2/ghcr.io/a/manifests/b/manifests/v1"), "ghcr.io/a/manifests/b");
    assert_eq!(repository("/v2/ghcr.io/a/blobs/uploads/manifests/v1"), "ghcr.io/a/blobs/uploads");
    assert_eq!(repository("/v2/ghcr.io/v2/v2/manifests/v1"), "ghcr.io/v2/v2");
    assert_eq!(repository("/v2/ghcr.io/tags/list/tags/list"), "ghcr.io/tags/list");
    assert_eq!(repository("/v2/ghcr.io/x/referrers/y/manifests/v1"), "ghcr.io/x/referrers/y");
}

#[test]
fn a010_writes_and_the_catalogue_are_not_served() {
    for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "OPTIONS"] {
        for path in ["/v2/", "/v2/a/manifests/v1", "/v2/a/blobs/uploads/", "/v2/_catalog"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(parse(&method, &path.parse().unwrap(), &Table), Err(RouteFault::MethodNotAllowed));
        }
    }
    assert_eq!(get("/v2/_catalog"), Err(RouteFault::MethodNotAllowed));
    assert_eq!(get("/v2/a/blobs/uploads/"), Err(RouteFault::MethodNotAllowed));
    assert_eq!(get("/v2/a/blobs/uploads/0-1"), Err(RouteFault::MethodNotAllowed));
}

#[test]
fn a011_known_parameters_are_read_once_and_unknown_ones_dropped() {
    let page = Page { n: Some(5), last: Some("v&1".into()), cursor: None };
    match get("/v2/a/tags/list?n=5&last=v%261&evil=1") {
        Ok(Route::Tags(_, read)) => assert_eq!(read, page),
        other => panic!("{other:?}"),
    }
    // How many is a wish, and nothing is no place to begin at.
    for (query, n) in
        [("n=-1", None), ("n=x", None), ("n=", None), ("n=99999999999", Some(u32::MAX)), ("last=", None)]
    {
        let Ok(Route::Tags(_, page)) = get(&format!("/v2/a/tags/list?{query}")) else { panic!("{query}") };
        assert_eq!((page.n, page.last), (n, None), "{query}");
    }
    for query in ["last=a%0d%0ab", "last=a&last=b", &format!("x={}", "a".repeat(1025))] {
        assert_eq!(get(&format!("/v2/a/tags/list?{query}")), Err(RouteFault::QueryInvalid), "{query}");
    }
    assert!(get(&format!("/v2/a/tags/list?x={}", "a".repeat(1024))).is_ok());
}

#[test]
fn without_a_default_a_bare_name_has_no_registry() {
    let uri: Uri = "/v2/alpine/manifests/v1".parse().unwrap();
    assert_eq!(parse(&Method::GET, &uri, &NoDefault), Err(RouteFault::NoRegistry));
    assert_eq!(parse(&Method::GET, &"/v1/".parse().unwrap(), &Table), Err(RouteFault::NotFound));
    assert_eq!(get("/v2/"), Ok(Route::Base));
    assert_eq!(get("/v2"), Ok(Route::Base));
}

#[test]
fn a414_the_canary_is_one_in_every_registry_and_no_other_name_is() {
    for target in [
        "/v2/pullgate/canary/manifests/probe",
        "/v2/pullgate/canary/manifests/probe?ns=ghcr.io",
        "/v2/pullgate/canary/manifests/probe?ns=nobody.example",
        "/v2/docker.io/pullgate/canary/manifests/probe",
        "/v2/corp_5000/pullgate/canary/manifests/probe",
        "/v2/nobody.example/pullgate/canary/manifests/probe?ns=nobody.example",
        "/v2/pullgate/%63anary/manifests/probe",
        "/v2/pullgate/canary/tags/list",
    ] {
        assert_eq!(get(target), Err(RouteFault::Canary), "{target}");
    }
    for (target, name) in [
        ("/v2/org/pullgate/canary/manifests/v1?ns=ghcr.io", "ghcr.io/org/pullgate/canary"),
        ("/v2/ghcr.io/org/pullgate/canary/manifests/v1", "ghcr.io/org/pullgate/canary"),
        ("/v2/xpullgate/canary/manifests/v1", "docker.io/xpullgate/canary"),
        ("/v2/pullgate/canary/x/manifests/v1", "docker.io/pullgate/canary/x"),
        ("/v2/canary/manifests/v1", "docker.io/library/canary"),
    ] {
        assert_eq!(repository(target), name);
    }
}

#[test]
fn a_query_value_of_so_many_bytes_is_read_and_not_of_one_more() {
    let listed = |key: &str, bytes: usize| {
        get(&format!("/v2/ghcr.io/org/app/tags/list?{key}={}", "a".repeat(bytes))).map(|_| ())
    };
    // Whether it is known or not.
    for key in ["last", "else"] {
        assert_eq!(listed(key, limits::QUERY_VALUE_BYTES), Ok(()), "{key}");
        assert_eq!(listed(key, limits::QUERY_VALUE_BYTES + 1), Err(RouteFault::QueryInvalid), "{key}");
    }
}
