//! Clients that are slow, silent or many: each is closed in its time, and the others are served meanwhile.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use pullgate::limits;
use pullgate_tests::asking::ask;
use pullgate_tests::clients::have;
use pullgate_tests::made::Made;
use pullgate_tests::waiting::{PATIENCE, pause, still};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::process::signals::Stage;
use crate::stage::{assert_serves, blob, manifest};

/// What both ends of the largest crowd here need, in one process.
const OPEN_FILES: u64 = 20_000;
/// What a busy machine may add to a time limit.
const LATE: Duration = PATIENCE;

/// Whether this process, and the gates that it starts, may open many files; if not, the test is skipped by name.
pub(crate) fn may_open_many_files() -> bool {
    let limit = getrlimit(Resource::Nofile);
    let missing = limit.maximum.filter(|most| *most < OPEN_FILES);
    if missing.is_none() && limit.current.is_some_and(|now| now < OPEN_FILES) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(OPEN_FILES), ..limit }).unwrap();
    }
    let reason = missing.map_or(Ok(()), |most| Err(format!("{most} open files are permitted")));
    have("suites/open-files", &[reason])
}

/// How long a connection stayed open since its client began, and what came over it.
#[derive(Debug)]
pub(crate) struct Closed {
    after: Duration,
    answer: Vec<u8>,
}

impl Closed {
    /// Closed without a word, and not before its time.
    #[track_caller]
    pub(crate) fn assert_in_time(&self, limit: Duration) {
        assert!((limit..limit + LATE).contains(&self.after), "{self:?}");
        assert!(self.answer.is_empty(), "{:?}", String::from_utf8_lossy(&self.answer));
    }
}

/// Sends this, then a byte each so often, until the other side closes.
pub(crate) async fn dribble(address: SocketAddr, begin: &[u8], pause: Duration) -> Closed {
    // Before: the gate's own time begins a little later.
    let (begun, mut answer) = (Instant::now(), Vec::new());
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(begin).await.unwrap();
    loop {
        match timeout(pause, stream.read_buf(&mut answer)).await {
            Ok(Ok(0) | Err(_)) => return Closed { after: begun.elapsed(), answer },
            Ok(Ok(_)) => {}
            // It may be closed just now: the next read tells.
            Err(_) => drop(stream.write_all(b"a").await),
        }
    }
}

/// The gate is in this thread: its timers stand still but where the test says so, and whoever is served waited for none.
#[tokio::test(start_paused = true)]
async fn a051_two_thousand_heads_that_come_byte_by_byte_are_closed_and_slow_no_pull() {
    const CROWD: usize = 2_000;
    if !may_open_many_files() {
        return;
    }
    let _still = still();
    let stage = crate::stage::Stage::new().await;
    let mut slow = Vec::with_capacity(CROWD);
    for _ in 0..CROWD {
        let mut one = TcpStream::connect(stage.gate.data).await.unwrap();
        one.write_all(b"GET /v2/ HTTP/1.1\r\nhost: a\r\nx: ").await.unwrap();
        slow.push(one);
    }
    for n in 0..5 {
        let tag = format!("meanwhile-{n}");
        let image = stage.signed("org/app", &tag);
        assert_serves(&stage.manifest("org/app", &tag).await, &image);
        tokio::time::advance(limits::HEADER_TIMEOUT / 6).await;
        for one in &mut slow {
            one.write_all(b"a").await.unwrap();
        }
    }
    for one in &mut slow {
        assert_open(one).await;
    }
    tokio::time::advance(limits::HEADER_TIMEOUT / 5).await;
    for one in &mut slow {
        assert_closed(one).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a051_who_connects_and_asks_nothing_is_closed_in_the_time_for_a_head() {
    const CROWD: usize = 300;
    if !may_open_many_files() {
        return;
    }
    let stage = Stage::with(|settings| settings).await;
    let address = stage.data();
    let silent: Vec<_> =
        (0..CROWD).map(|_| tokio::spawn(dribble(address, b"", limits::HEADER_TIMEOUT * 2))).collect();
    for one in silent {
        one.await.unwrap().assert_in_time(limits::HEADER_TIMEOUT);
    }
}

/// The gate is in this thread, so that its timers' clock can be put on.
#[tokio::test(start_paused = true)]
async fn a051_an_answered_connection_has_idle_timeout_and_its_next_head_has_not() {
    let _still = still();
    let stage = crate::stage::Stage::new().await;
    let bit = Duration::from_secs(5);
    let nearly = limits::IDLE_TIMEOUT - bit;
    let mut kept = TcpStream::connect(stage.gate.data).await.unwrap();
    for _ in 0..2 {
        ask_base(&mut kept).await;
        pass(nearly).await;
    }
    assert_open(&mut kept).await;
    pass(bit).await;
    assert_closed(&mut kept).await;
    let mut begun = TcpStream::connect(stage.gate.data).await.unwrap();
    ask_base(&mut begun).await;
    pass(nearly).await;
    begun.write_all(b"GET /v2/ HTTP/1.1\r\n").await.unwrap();
    pass(limits::HEADER_TIMEOUT - bit).await;
    begun.write_all(b"host: a\r\n").await.unwrap();
    assert_open(&mut begun).await;
    pass(bit).await;
    assert_closed(&mut begun).await;
}

/// Of a blob that is in the cache, so that no upstream's time can end first.
#[tokio::test(start_paused = true)]
async fn a052_a_reader_that_stops_is_cut_and_one_that_goes_on_gets_the_whole() {
    const LENGTH: usize = 32 << 20;
    let _still = still();
    let stage = crate::stage::Stage::new().await;
    let image = Made::image_of_bytes(LENGTH);
    image.tag(&stage.upstream, "org/app", "v1");
    stage.sign("org/app", &image);
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    assert_eq!(stage.blob("org/app", &image.layer()).await.body.len(), LENGTH);
    stage.kept(&image.layer()).await;
    let (mut stopped, mut slow) = (reading(&stage, &image).await, reading(&stage, &image).await);
    let nearly = limits::CLIENT_WRITE_IDLE - Duration::from_secs(2);
    pass(nearly).await;
    let (mut taken, mut rest) = (vec![0; LENGTH / 2], Vec::new());
    // Once more than it takes: what the kernel took late counts as taken.
    for half in taken.chunks_mut(LENGTH / 4) {
        slow.read_exact(half).await.unwrap();
        pass(nearly).await;
    }
    let _ = stopped.read_to_end(&mut rest).await;
    assert!(rest.len() < LENGTH, "it was cut");
    rest.clear();
    slow.read_to_end(&mut rest).await.unwrap();
    let all = [taken, rest].concat();
    assert!(all.ends_with(&image.blobs[1][LENGTH / 2..]) && all.len() > LENGTH, "{} bytes", all.len());
}

/// Asks for the layer, over a connection of which the kernel keeps little, and takes nothing yet.
async fn reading(stage: &crate::stage::Stage, image: &Made) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let mut reader = socket.connect(stage.gate.data).await.unwrap();
    let line = format!("GET {} HTTP/1.1", blob("org/app", &image.layer()));
    reader.write_all(format!("{line}\r\nhost: a\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
    reader
}

/// The timers' clock goes on by so much, the sockets' not at all.
async fn pass(time: Duration) {
    // What is on its way has come.
    pause(Duration::from_millis(500)).await;
    tokio::time::advance(time).await;
}

async fn ask_base(stream: &mut TcpStream) {
    stream.write_all(b"HEAD /v2/ HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
}

pub(crate) async fn assert_open(stream: &mut TcpStream) {
    pause(Duration::from_millis(1)).await;
    let read = stream.try_read(&mut [0; 1]);
    assert!(read.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "{read:?}");
}

pub(crate) async fn assert_closed(stream: &mut TcpStream) {
    let read = stream.read(&mut [0; 1]).await;
    // Reset, where something that it sent was not read.
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}

/// The gate is in this thread: its timers stand still, and none of the crowd is closed for its time.
#[tokio::test(start_paused = true)]
async fn a613_one_client_that_holds_every_connection_keeps_nobody_else_out() {
    if !may_open_many_files() {
        return;
    }
    let _still = still();
    let stage = crate::stage::Stage::new().await;
    let image = stage.signed("org/app", "v1");
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let places = limits::CONNECTIONS_MAX.min(usize::try_from(files / 4).unwrap());
    let mut crowd = Vec::with_capacity(places);
    for _ in 0..places {
        crowd.push(TcpStream::connect(stage.gate.data).await.unwrap());
    }
    for from in ["127.0.0.2", "127.0.0.3", "127.0.0.1"] {
        let mut client = asking(stage.gate.data, from, &manifest("org/app", "v1")).await;
        assert_eq!(answered(&mut client).await, *b"HTTP/1.1 200", "{from}");
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert!(rest.ends_with(&image.bytes), "{from}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a613_a_hundred_pulls_from_one_address_are_served_by_fifty_places() {
    let stage = Stage::with(|settings| settings.descriptors(128)).await;
    let image = stage.signed("v1", Made::image());
    let asked: Vec<_> = (0..100)
        .map(|_| {
            let address = stage.data();
            tokio::spawn(async move { ask(address, "GET", &manifest("org/app", "v1"), &[]).await })
        })
        .collect();
    for asked in asked {
        assert_serves(&asked.await.unwrap(), &image);
    }
}

async fn asking(address: SocketAddr, from: &str, target: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let head = format!("GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn answered(stream: &mut TcpStream) -> [u8; 12] {
    let mut begins = [0; 12];
    stream.read_exact(&mut begins).await.unwrap();
    begins
}

/// The gate is in this thread: it accepts nothing until all of them have connected.
#[tokio::test]
async fn a_crowd_that_connects_while_the_gate_is_busy_waits_in_the_kernel_and_tries_once() {
    if !may_open_many_files() {
        return;
    }
    let stage = crate::stage::Stage::new().await;
    let kernels = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    let mut crowd = Vec::new();
    for n in 0..kernels.trim().parse().unwrap_or(1_000).min(1_000) {
        let connected = std::net::TcpStream::connect_timeout(&stage.gate.data, Duration::from_millis(900));
        crowd.push(connected.unwrap_or_else(|error| panic!("after {n}: {error}")));
    }
    assert_eq!(stage.gate.get("/v2/").await.status, 200);
}
