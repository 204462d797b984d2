//! Connections during a drain.

use http_body_util::Empty;
use hyper::service::service_fn;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::time::{Instant, sleep};

use super::*;
use crate::metrics::ConnectionSeries;

const REQUEST: &[u8] = b"HEAD /v2/ HTTP/1.1\r\nhost: a\r\n\r\n";
const BIT: Duration = Duration::from_millis(1);

fn crowd() -> Arc<Crowd> {
    Crowd::new(8, ConnectionSeries::default())
}

/// The client's end of a connection that is accepted.
async fn accepted(crowd: &Arc<Crowd>) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(4096);
    let connected = crowd.enter(SocketAddr::from(([192, 0, 2, 1], 1)));
    connected.placed().await.unwrap();
    let (heads, pulse) = (Heads::new(connected.pulse()), Arc::clone(connected.pulse()));
    let service = service_fn(move |_: Request<Incoming>| {
        pulse.works();
        async { Ok::<_, Infallible>(Response::new(Empty::<bytes::Bytes>::new())) }
    });
    let connection = protocol(heads.clone()).serve_connection(TokioIo::new(heads.watch(ours)), service);
    tokio::spawn(async move { to_its_end(&connected, connection).await });
    theirs
}

/// What comes until the connection ends.
async fn rest(client: &mut DuplexStream) -> String {
    let mut rest = String::new();
    client.read_to_string(&mut rest).await.unwrap();
    rest
}

#[tokio::test(start_paused = true)]
async fn a546_a_connection_that_has_asked_nothing_has_a_second_and_one_answer() {
    let crowd = crowd();
    let (mut in_time, mut late) = (accepted(&crowd).await, accepted(&crowd).await);
    sleep(BIT).await;
    crowd.drain();
    sleep(limits::FIRST_REQUEST_AT_STOP - BIT).await;
    in_time.write_all(REQUEST).await.unwrap();
    let answer = rest(&mut in_time).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 1, "{answer}");
    sleep(2 * BIT).await;
    let _ = late.write_all(REQUEST).await;
    assert_eq!(rest(&mut late).await, "");
    crowd.gone().await;
}

#[tokio::test(start_paused = true)]
async fn a546_a_connection_that_was_answered_before_ends_at_once() {
    let crowd = crowd();
    let mut kept = accepted(&crowd).await;
    kept.write_all(REQUEST).await.unwrap();
    sleep(BIT).await;
    let begun = Instant::now();
    crowd.drain();
    assert!(rest(&mut kept).await.starts_with("HTTP/1.1 200"));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    crowd.gone().await;
}
