use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::health::Condition;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const BEYOND: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

fn admin() -> Admin {
    Admin { metrics: Metrics::new(), health: Health::new(), pages: None }
}

fn ask(admin: &Admin, method: &str, path: &str, host: &str, reached: IpAddr) -> Response<Full<Bytes>> {
    let request = Request::builder().method(method).uri(path).header(HOST, host).body(()).unwrap();
    match answer(admin, &request, reached) {
        Answer::Here(response) => response,
        Answer::Page(_) => respond(StatusCode::IM_A_TEAPOT, TEXT, String::new()),
    }
}

#[test]
fn pages_are_for_loopback_and_probes_for_all_who_reach_the_port() {
    let admin = Admin { pages: Some(Router::new()), ..admin() };
    for path in ["/", "/search", "/answers/7f3c00d1e2a4"] {
        assert_eq!(ask(&admin, "GET", path, "127.0.0.1", HERE).status(), StatusCode::IM_A_TEAPOT, "{path}");
        assert_eq!(ask(&admin, "GET", path, "127.0.0.1", BEYOND).status(), 404, "{path}");
        assert_eq!(ask(&admin, "GET", path, "rebound.example", HERE).status(), 421, "{path}");
        assert_eq!(ask(&admin, "POST", path, "127.0.0.1", HERE).status(), 405, "{path}");
    }
    for reached in [HERE, BEYOND] {
        assert_eq!(ask(&admin, "GET", "/livez", "127.0.0.1", reached).status(), 200);
    }
}

#[test]
fn readiness_says_what_is_wrong_and_only_what_stops_judging_is_red() {
    let health = Health::new();
    assert_eq!(health.report().0, StatusCode::OK);
    health.set("configuration", Condition::Degraded("a key is missing\r\n".into()));
    let (status, report) = health.report();
    assert_eq!((status, &report["ready"]), (StatusCode::OK, &true.into()));
    assert_eq!(report["wrong"][0]["why"], "a key is missing\\u{d}\\u{a}");
    health.set("clock", Condition::Unready("before the release".into()));
    let (status, report) = health.report();
    assert_eq!((status, &report["ready"]), (StatusCode::SERVICE_UNAVAILABLE, &false.into()));
    health.set("clock", Condition::Good);
    assert_eq!(health.report().0, StatusCode::OK);
}

#[test]
fn a_part_that_is_watched_is_asked_each_time() {
    let health = Health::new();
    let metrics = Arc::new(Semaphore::new(1));
    let asked = Arc::clone(&metrics);
    health.watch("audit", move || match asked.available_permits() {
        0 => Condition::Unready("full".into()),
        _ => Condition::Good,
    });
    assert_eq!(health.report().0, StatusCode::OK);
    metrics.forget_permits(1);
    assert_eq!(health.report().0, StatusCode::SERVICE_UNAVAILABLE);
}

#[test]
fn three_paths_are_served_and_nothing_else() {
    let admin = admin();
    for (method, path, status) in [
        ("GET", "/livez", 200),
        ("HEAD", "/livez", 200),
        ("GET", "/readyz?verbose", 200),
        ("GET", "/metrics", 200),
        ("GET", "/", 404),
        ("GET", "/v2/", 404),
        ("GET", "/metrics/", 404),
        ("POST", "/livez", 405),
        ("DELETE", "/metrics", 405),
    ] {
        assert_eq!(ask(&admin, method, path, "127.0.0.1:5001", HERE).status(), status, "{method} {path}");
    }
    let metrics = ask(&admin, "GET", "/metrics", "127.0.0.1", HERE);
    assert_eq!(metrics.headers()[CONTENT_TYPE], OPEN_METRICS);
    assert_eq!(metrics.headers()[X_CONTENT_TYPE_OPTIONS], "nosniff");
}

#[test]
fn a525_on_loopback_a_foreign_name_reads_nothing() {
    let admin = admin();
    for host in ["localhost:5001", "LOCALHOST", "127.0.0.1", "[::1]:5001", "10.1.2.3:5001"] {
        assert_eq!(ask(&admin, "GET", "/metrics", host, HERE).status(), 200, "{host}");
    }
    for host in [
        "rebound.example",
        "rebound.example:5001",
        "localhost.example",
        "",
        "a b",
        "[::1].example",
        "a@localhost",
    ] {
        assert_eq!(ask(&admin, "GET", "/metrics", host, HERE).status(), 421, "{host}");
    }
    assert_eq!(ask(&admin, "GET", "/metrics", "gate.svc:5001", BEYOND).status(), 200);
    let mut two = HeaderMap::new();
    assert!(names_this_machine(&two), "a probe of HTTP/1.0 sends none");
    two.append(HOST, HeaderValue::from_static("localhost"));
    two.append(HOST, HeaderValue::from_static("rebound.example"));
    assert!(!names_this_machine(&two));
}

async fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn the_port_serves_until_it_is_told_to_end() {
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(serve(listener, admin(), async {
        let _ = ended.await;
    }));
    let text =
        exchange(address, b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains("\"ready\":true"), "{text}");
    let text =
        exchange(address, b"HEAD /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\n"), "{text}");
    let many: String = (0..=limits::REQUEST_HEADERS).map(|n| format!("x-{n}: 1\r\n")).collect();
    let text =
        exchange(address, format!("GET /livez HTTP/1.1\r\nhost: localhost\r\n{many}\r\n").as_bytes()).await;
    assert!(text.starts_with("HTTP/1.1 431 "), "{text}");
    // One that is idle does not hold up the end.
    let _idle = TcpStream::connect(address).await.unwrap();
    end.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(60), serving).await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}
