//! The gate's own credentials go to their upstream and show nowhere: a canary in each is looked for in all that the
//! gate says, writes and sends.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use pullgate_tests::asking::{Answer, ask};
use pullgate_tests::clients::Settings;
use pullgate_tests::made::Made;
use pullgate_tests::upstream::{Fault, When};
use tokio::net::TcpListener;

use crate::process::signals::Stage;
use crate::stage::{assert_serves, assert_undecided, blob, manifest};
use crate::upstream::challenges::challenge;

const PASSWORD: &str = "canary-pa55word";
const TOKEN: &str = "canary-t0ken";
/// In the query of a redirect, where content networks keep the right to read.
const SIGNATURE: &str = "canary-s1gnature";

/// A collector of traces that keeps what it is sent.
async fn collector() -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, sent) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<u8>>>::default());
    let kept = Arc::clone(&sent);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let kept = Arc::clone(&kept);
            let answer = service_fn(move |request: Request<Incoming>| {
                let kept = Arc::clone(&kept);
                async move {
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    kept.lock().extend_from_slice(&body);
                    Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        }
    });
    (address, sent)
}

/// All that lies in a folder.
fn contents(folder: &Path) -> String {
    let mut found = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.push_str(&contents(&path));
        } else {
            found.push_str(&String::from_utf8_lossy(&std::fs::read(&path).unwrap()));
        }
    }
    found
}

/// Has the gate use every credential it has, where it is taken and where it is not, and tells what clients were told.
async fn used(stage: &Stage) -> Vec<Answer> {
    let (image, upstream) = (stage.signed("v1", Made::image()), &stage.upstream);
    let bearer = format!("Bearer realm=\"{}/token\",service=\"s\"", upstream.url());
    challenge(upstream, When::on("/org/app/manifests/v1").times(1), &bearer);
    challenge(upstream, When::on("/org/basic/"), "Basic realm=\"r\"");
    challenge(upstream, When::on("/org/broken/"), &bearer);
    challenge(upstream, When::on("/org/refused/"), &bearer);
    let token = format!("{{\"token\":\"{TOKEN}\",\"expires_in\":300}}").into_bytes();
    upstream.fail(When::on("GET /token"), Fault::Answer(200, "application/json", token));
    upstream.fail(When::on("Fbroken%3Apull"), Fault::Status(500));
    let layer = blob("org/app", &image.layer());
    let signed = format!("{}{layer}?sig={SIGNATURE}", upstream.url());
    upstream.fail(When::on(&layer).times(1), Fault::Redirect(signed));
    let get = async |target: &str| ask(stage.data(), "GET", target, &[]).await;
    let served = get(&manifest("org/app", "v1")).await;
    assert_serves(&served, &image);
    let content = get(&layer).await;
    assert_eq!(content.status, 200);
    let mut answers = vec![served, content];
    for repository in ["org/basic", "org/broken", "org/refused"] {
        let answer = get(&manifest(repository, "v1")).await;
        assert_undecided(&answer);
        answers.push(answer);
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn a171_no_credential_is_in_anything_that_the_gate_writes_or_answers() {
    let (state, (collector, traces)) = (tempfile::tempdir().unwrap(), collector().await);
    let mut stage = Stage::with(|settings: Settings| {
        settings
            .configuration("credentials = { username = \"gate\", password_file = \"password\" }\n")
            .text("password", PASSWORD)
            .state(state.path())
            .environment("PULLGATE_LOG", "trace")
            .environment("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{collector}"))
    })
    .await;
    let basic = STANDARD.encode(format!("gate:{PASSWORD}"));
    let mut said = format!("{:?}", used(&stage).await);
    let sent: Vec<_> =
        stage.upstream.seen().iter().map(|seen| format!("{} {:?}", seen.target, seen.headers)).collect();
    let showed = |target: &str| sent.iter().any(|one| one.contains(target) && one.contains("authorization"));
    assert!(showed("/token?") && showed("/org/app/manifests/v1") && showed("/org/basic/"), "{sent:?}");
    assert!(sent.iter().any(|one| one.contains(SIGNATURE)));
    for page in ["/metrics", "/readyz", "/livez"] {
        let page = ask(stage.gate.admin().parse().unwrap(), "GET", page, &[]).await;
        said.push_str(&format!("{:?}{}", page.headers, String::from_utf8_lossy(&page.body)));
    }
    assert!(said.contains("upstream-unauthorized"), "the metrics count what was refused");
    stage.gate.signal("TERM").unwrap();
    let end = tokio::task::block_in_place(|| stage.gate.wait_end(Duration::from_secs(20)));
    assert_eq!(end.unwrap(), Some(0));
    let (log, traces) = (stage.gate.output(), traces.lock().clone());
    assert!(log.contains("TRACE") && log.contains("hyper"), "everything is logged, of the libraries too");
    let traces = String::from_utf8_lossy(&traces).into_owned();
    assert!(traces.contains("resolve"), "stages are traced");
    let records = format!("{:?}", stage.gate.audit().unwrap());
    assert!(records.contains("org/refused"));
    for (place, text) in [
        ("the answers and the metrics", said),
        ("the log", log),
        ("the traces", traces),
        ("the pull log", records),
        ("the state folder", contents(state.path())),
    ] {
        for secret in [PASSWORD, &basic, TOKEN, SIGNATURE] {
            assert!(!text.contains(secret), "{secret} in {place}");
        }
    }
}
