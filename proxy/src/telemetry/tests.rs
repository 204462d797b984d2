use std::io::{self, Write};
use std::sync::Arc;

use http::HeaderValue;
use opentelemetry::trace::TraceContextExt as _;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn traced() -> HeaderMap {
    let mut headers = HeaderMap::new();
    let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
    headers.insert("traceparent", HeaderValue::from_str(&parent).unwrap());
    headers
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(form: Form, log: impl FnOnce()) -> String {
    let written = Written::default();
    let writer = written.clone();
    let lines = lines(form, EnvFilter::new("info"), move || writer.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), log);
    String::from_utf8(written.0.lock().clone()).unwrap()
}

const HOSTILE: &str = "a\r\nb\u{1b}[31m\u{0}\u{85}\u{202e}\u{2028}";

fn log_hostile_text() {
    let span = tracing::info_span!("pull", repository = %HOSTILE);
    span.in_scope(|| tracing::info!(agent = HOSTILE, other = %HOSTILE, "{HOSTILE}"));
}

#[test]
fn a521_a_text_line_is_one_line_without_controls() {
    let text = logged(Form::Text(Colours::Off), log_hostile_text);
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(!text.trim_end_matches('\n').chars().any(pullgate_policy::text::is_unsafe), "{text:?}");
    assert!(text.contains("repository=a\\u{d}\\u{a}b") && text.contains("agent=\"a\\r\\nb"), "{text}");
}

#[test]
fn a521_with_colours_the_only_controls_are_ours() {
    let text = logged(Form::Text(Colours::On), log_hostile_text);
    assert!(text.contains("\u{1b}["), "{text:?}");
    assert!(!text.contains("\u{1b}[31m"), "{text:?}");
    let unsafe_but_colour = |c: char| c != '\u{1b}' && pullgate_policy::text::is_unsafe(c);
    assert!(!text.trim_end_matches('\n').chars().any(unsafe_but_colour), "{text:?}");
}

#[test]
fn a521_a_json_line_is_one_object_without_controls() {
    let text = logged(Form::Json, log_hostile_text);
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(!text.trim_end_matches('\n').chars().any(pullgate_policy::text::is_unsafe), "{text:?}");
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["fields"]["agent"], HOSTILE);
}

#[test]
fn a_long_value_is_cut() {
    let text = logged(Form::Text(Colours::Off), || tracing::info!(agent = %"x".repeat(100_000), "asked"));
    assert!(text.len() < 2 * pullgate_policy::limits::LOG_FIELD_BYTES && text.contains("[cut]"), "{text}");
}

#[test]
fn what_is_below_the_filter_is_not_logged() {
    assert_eq!(logged(Form::Json, || tracing::debug!("asked")), "");
}

#[test]
fn a_traceparent_is_taken_over_and_a_malformed_one_is_not() {
    let parent = |headers: &HeaderMap| parent_context(headers).span().span_context().clone();
    let context = parent(&traced());
    assert_eq!(context.trace_id().to_string(), TRACE);
    assert!(context.is_remote() && context.is_sampled());
    for bad in ["", "00-0-0-01", "00-00000000000000000000000000000000-b7ad6b7169203331-01", "é"] {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", HeaderValue::from_bytes(bad.as_bytes()).unwrap());
        assert!(!parent(&headers).is_valid(), "{bad}");
    }
    assert!(!parent(&HeaderMap::new()).is_valid());
}

#[test]
fn a_tracestate_over_the_limit_is_left_out() {
    let mut headers = traced();
    let state = |headers: &HeaderMap| parent_context(headers).span().span_context().trace_state().header();
    headers.insert("tracestate", HeaderValue::from_static("a=1"));
    assert_eq!(state(&headers), "a=1");
    let long = format!("a={}", "x".repeat(TRACESTATE_BYTES));
    headers.insert("tracestate", HeaderValue::from_str(&long).unwrap());
    assert_eq!(state(&headers), "");
}

/// Takes one export and answers it: its request line and its body.
async fn collector(listener: TcpListener) -> (String, Vec<u8>) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let (mut request, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut piece).await.unwrap();
        request.extend_from_slice(&piece[..read]);
        let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if request.len() - end - 4 == length.parse::<usize>().unwrap() {
            let answer =
                b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            return (head.lines().next().unwrap().to_owned(), request[end + 4..].to_vec());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_of_the_gate_reach_a_collector_in_the_trace_of_the_client() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let received = tokio::spawn(collector(listener));
    let provider = export::provider_to(&endpoint).unwrap();
    let subscriber = tracing_subscriber::registry().with(traces(Some(&provider)));
    tracing::subscriber::with_default(subscriber, || {
        let span = tracing::info_span!(target: "pullgate::pull", "resolve");
        continue_trace(&span, &traced());
        span.in_scope(|| drop(tracing::info_span!(target: "hyper::proto", "not_ours").entered()));
    });
    drop(Telemetry { provider: Some(provider) });
    let (line, body) = tokio::time::timeout(Duration::from_secs(60), received).await.unwrap().unwrap();
    assert_eq!(line, "post /v1/traces http/1.1");
    let holds = |wanted: &[u8]| body.windows(wanted.len()).any(|window| window == wanted);
    assert!(holds(&hex::decode(TRACE).unwrap()), "the client's trace");
    assert!(holds(&hex::decode("b7ad6b7169203331").unwrap()), "the client's span is the parent");
    assert!(holds(b"resolve") && holds(b"pullgate") && !holds(b"not_ours"));
}
