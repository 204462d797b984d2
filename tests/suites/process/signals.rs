//! The gate as a process of its own: signals, descriptors, memory.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pullgate::limits;
use pullgate_tests::asking::{End, ask};
use pullgate_tests::clients::process::wait_until;
use pullgate_tests::clients::{Gate, Port, Settings};
use pullgate_tests::made::{Made, fresh};
use pullgate_tests::signing::Signer;
use pullgate_tests::upstream::{Fault, Upstream, When};
use pullgate_tests::waiting::{PATIENCE, pause, until, until_it_is, while_nothing_happens};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::stage::{KEYED, RELEASE, assert_serves, manifest};

pub(crate) struct Stage {
    pub(crate) upstream: Upstream,
    signer: Signer,
    pub(crate) gate: Gate,
}

impl Stage {
    pub(crate) async fn with(change: impl FnOnce(Settings) -> Settings) -> Self {
        let upstream = Upstream::start().await.unwrap();
        let signer = Signer::new();
        let settings = Settings::new(&format!("{RELEASE}{KEYED}"))
            .listen("default_registry = \"registry.test\"")
            .upstream("registry.test", "alias.test", &upstream.address().to_string())
            .text("release.pub", &signer.public_pem());
        let settings = change(settings);
        let gate = tokio::task::spawn_blocking(move || Gate::start(&settings)).await.unwrap().unwrap();
        Self { upstream, signer, gate }
    }

    pub(crate) fn signed(&self, tag: &str, image: Made) -> Made {
        image.tag(&self.upstream, "org/app", tag);
        self.signer.sign_at(&self.upstream, "org/app", &image.digest());
        image
    }

    pub(crate) fn data(&self) -> std::net::SocketAddr {
        self.gate.address().parse().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_a_supervisor_holds_loses_no_connection_over_a_restart() {
    let state = tempfile::tempdir().unwrap();
    let socket = Arc::new(std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let again = |settings: Settings| settings.socket(&socket).state(state.path());
    let mut stage = Stage::with(again).await;
    let image = stage.signed("v1", Made::image());
    assert_eq!(stage.data(), socket.local_addr().unwrap());
    assert_serves(&ask(stage.data(), "GET", &manifest("org/app", "v1"), &[]).await, &image);
    stage.gate.signal("TERM").unwrap();
    assert_eq!(stage.gate.wait_end(PATIENCE).unwrap(), Some(0));
    // Nobody serves, and nobody is turned away.
    let address = stage.data();
    let waiting: Vec<_> =
        (0..20).map(|_| tokio::spawn(async move { ask(address, "GET", "/v2/", &[]).await.status })).collect();
    while_nothing_happens(Duration::from_millis(200)).await;
    assert!(waiting.iter().all(|one| !one.is_finished()));
    let next = Stage::with(again).await;
    for one in waiting {
        assert_eq!(one.await.unwrap(), 200);
    }
    let image = next.signed("v2", Made::image());
    assert_serves(&ask(next.data(), "GET", &manifest("org/app", "v2"), &[]).await, &image);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_a_supervisor_names_is_that_port_and_no_other() {
    for port in [Port::Data, Port::Admin] {
        let socket = Arc::new(std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let stage = Stage::with(|settings| settings.named_socket(port, &socket)).await;
        let (data, admin) = (stage.data(), stage.gate.admin().parse().unwrap());
        assert_eq!(ask(data, "GET", "/v2/", &[]).await.status, 200);
        assert_eq!(ask(admin, "GET", "/livez", &[]).await.status, 200);
        assert_eq!(ask(data, "GET", "/livez", &[]).await.status, 404);
        let handed = socket.local_addr().unwrap();
        assert_eq!([data, admin].map(|address| address == handed), [port == Port::Data, port == Port::Admin]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_is_told_when_the_gate_serves_and_when_it_drains() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let name = format!("pullgate-{}", fresh());
    let sockets = [
        (path.display().to_string(), SocketAddr::from_pathname(&path).unwrap()),
        (format!("@{name}"), SocketAddr::from_abstract_name(&name).unwrap()),
    ];
    for (variable, address) in sockets {
        let supervisor = UnixDatagram::bind_addr(&address).unwrap();
        supervisor.set_read_timeout(Some(PATIENCE)).unwrap();
        let told = || {
            let mut state = [0; 64];
            let length = tokio::task::block_in_place(|| supervisor.recv(&mut state)).unwrap();
            String::from_utf8(state[..length].to_vec()).unwrap()
        };
        let mut stage = Stage::with(|settings| settings.environment("NOTIFY_SOCKET", &variable)).await;
        assert_eq!(told(), "READY=1");
        assert_eq!(ask(stage.data(), "GET", "/v2/", &[]).await.status, 200);
        stage.gate.signal("TERM").unwrap();
        assert_eq!(told(), "STOPPING=1");
        let end = tokio::task::block_in_place(|| stage.gate.wait_end(PATIENCE));
        assert_eq!(end.unwrap(), Some(0));
    }
    // Nobody hears: it serves all the same.
    let gone = folder.path().join("gone").display().to_string();
    let stage = Stage::with(|settings| settings.environment("NOTIFY_SOCKET", &gone)).await;
    assert_eq!(ask(stage.data(), "GET", "/v2/", &[]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a546_a_shutdown_ends_pulls_under_way_takes_no_new_ones_and_exits_with_0() {
    let mut stage = Stage::with(|settings| settings).await;
    let image = stage.signed("v1", Made::image_of_bytes(4 << 20));
    let address = stage.data();
    assert_serves(&ask(address, "GET", &manifest("org/app", "v1"), &[]).await, &image);
    let target = format!("/v2/org/app/blobs/{}", image.layer());
    let hold = Arc::new(Semaphore::new(0));
    stage.upstream.fail(When::on("/blobs/"), Fault::Hold(Arc::clone(&hold)));
    let pull = tokio::spawn(async move { ask(address, "GET", &target, &[]).await });
    until("the upstream is asked", || stage.upstream.count(&image.layer()) > 0).await;
    stage.gate.signal("TERM").unwrap();
    // While it is under way: nobody listens any more.
    until_it_is("nobody listens", async || {
        assert!(!pull.is_finished(), "new connections are still taken");
        TcpStream::connect(address).await.is_err()
    })
    .await;
    hold.add_permits(1);
    let answer = pull.await.unwrap();
    assert_eq!((answer.status, answer.end, answer.body.len()), (200, End::Whole, image.blobs[1].len()));
    let status = tokio::task::block_in_place(|| stage.gate.wait_end(PATIENCE)).unwrap();
    assert_eq!(status, Some(0));
}

/// A connection that is kept and asks nothing ends at once; the answer that is worked on is given, and its connection ends.
#[tokio::test(flavor = "multi_thread")]
async fn a546_at_a_shutdown_a_kept_connection_ends_and_a_verdict_in_work_is_answered() {
    let mut stage = Stage::with(|settings| settings).await;
    let image = stage.signed("v1", Made::image());
    let hold = Arc::new(Semaphore::new(0));
    stage.upstream.fail(When::on(".sig"), Fault::Hold(Arc::clone(&hold)));
    let mut kept = TcpStream::connect(stage.data()).await.unwrap();
    kept.write_all(b"HEAD /v2/ HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut begins = [0; 12];
    kept.read_exact(&mut begins).await.unwrap();
    assert_eq!(begins, *b"HTTP/1.1 200");
    let mut pull = TcpStream::connect(stage.data()).await.unwrap();
    let request = format!("GET {} HTTP/1.1\r\nhost: a\r\n\r\n", manifest("org/app", "v1"));
    pull.write_all(request.as_bytes()).await.unwrap();
    until("the upstream is asked", || stage.upstream.count(".sig") > 0).await;
    stage.gate.signal("TERM").unwrap();
    let (mut rest, mut answer) = (Vec::new(), Vec::new());
    let ended = tokio::time::timeout(limits::DRAIN_TIMEOUT / 2, kept.read_to_end(&mut rest)).await;
    ended.expect("the kept connection ends while the verdict is in work").unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(200), pull.read_u8()).await.is_err());
    hold.add_permits(1);
    // Until the end of the connection, which is the gate's to end.
    tokio::time::timeout(PATIENCE, pull.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(&image.bytes));
    let status = tokio::task::block_in_place(|| stage.gate.wait_end(PATIENCE)).unwrap();
    assert_eq!(status, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a546_a_pull_that_does_not_end_is_cut_at_the_end_of_the_drain() {
    const LENGTH: usize = 64 << 20;
    let mut stage = Stage::with(|settings| settings).await;
    let image = stage.signed("v1", Made::image_of_bytes(LENGTH));
    assert_serves(&ask(stage.data(), "GET", &manifest("org/app", "v1"), &[]).await, &image);
    let mut pull = TcpStream::connect(stage.data()).await.unwrap();
    let request = format!("GET /v2/org/app/blobs/{} HTTP/1.1\r\nhost: a\r\n\r\n", image.layer());
    pull.write_all(request.as_bytes()).await.unwrap();
    let mut piece = vec![0; 64 * 1024];
    pull.read_exact(&mut piece).await.unwrap();
    assert!(piece.starts_with(b"HTTP/1.1 200"));
    let asked = Instant::now();
    stage.gate.signal("TERM").unwrap();
    // A reload while it drains ends nothing and prolongs nothing.
    stage.gate.signal("HUP").unwrap();
    // It goes on, a little each second, for as long as it is let.
    let reading = tokio::spawn(async move {
        let mut read = 0;
        while asked.elapsed() < limits::DRAIN_TIMEOUT + Duration::from_secs(1) {
            read += pull.read(&mut piece).await.unwrap_or_default();
            pause(Duration::from_secs(1)).await;
        }
        let mut rest = Vec::new();
        let _ = pull.read_to_end(&mut rest).await;
        read + rest.len()
    });
    let most = limits::DRAIN_TIMEOUT + PATIENCE;
    let status = tokio::task::block_in_place(|| stage.gate.wait_end(most)).unwrap();
    let took = asked.elapsed();
    assert_eq!(status, Some(0), "{}", stage.gate.output());
    assert!((limits::DRAIN_TIMEOUT..most).contains(&took), "{took:?}");
    let read = reading.await.unwrap();
    assert!(read < LENGTH, "{read} bytes: all of it");
    assert!(stage.gate.output().contains("pulls under way were cut"), "{}", stage.gate.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn a546_a_storm_of_reloads_ends_nothing() {
    let stage = Stage::with(|settings| settings).await;
    let image = stage.signed("v1", Made::image());
    for _ in 0..30 {
        stage.gate.signal("HUP").unwrap();
        assert_serves(&ask(stage.data(), "GET", &manifest("org/app", "v1"), &[]).await, &image);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a547_without_descriptors_the_gate_pauses_and_goes_on() {
    let stage = Stage::with(|settings| settings.descriptors(64)).await;
    let told = || stage.gate.output().contains("open_files=64");
    tokio::task::block_in_place(|| wait_until("the limit is told", told)).unwrap();
    let image = stage.signed("v1", Made::image());
    assert_serves(&ask(stage.data(), "GET", &manifest("org/app", "v1"), &[]).await, &image);
    let mut crowd = Vec::new();
    for _ in 0..100 {
        crowd.push(TcpStream::connect(stage.data()).await.unwrap());
    }
    pause(Duration::from_secs(1)).await;
    let before = processor_time(stage.gate.pid());
    while_nothing_happens(Duration::from_secs(2)).await;
    let busy = processor_time(stage.gate.pid()) - before;
    assert!(busy < Duration::from_millis(500), "no busy loop: {busy:?} of 2 s");
    drop(crowd);
    assert_serves(&ask(stage.data(), "GET", &manifest("org/app", "v1"), &[]).await, &image);
}

#[tokio::test(flavor = "multi_thread")]
async fn a613_the_gate_takes_all_descriptors_that_the_host_grants() {
    let stage = Stage::with(|settings| settings.descriptors_at_first(64)).await;
    let (now, most) = open_files(stage.gate.pid());
    assert!(most != "64" && now == most, "{now} of {most}");
}

/// The soft limit of a process and the hard one.
fn open_files(pid: u32) -> (String, String) {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let mut words = line.split_whitespace().skip(3).map(str::to_owned);
    (words.next().unwrap(), words.next().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a546_a_connection_that_was_accepted_before_a_shutdown_is_answered_once() {
    let mut stage = Stage::with(|settings| settings).await;
    let image = stage.signed("v1", Made::image());
    assert_serves(&ask(stage.data(), "GET", &manifest("org/app", "v1"), &[]).await, &image);
    let mut connected = Vec::new();
    for _ in 0..20 {
        connected.push(TcpStream::connect(stage.data()).await.unwrap());
    }
    let accepted = || metric(&stage, "pullgate_connections ") == Some(20);
    tokio::task::block_in_place(|| wait_until("all are accepted", accepted)).unwrap();
    let silent = connected.pop().unwrap();
    stage.gate.signal("TERM").unwrap();
    let head = format!("GET {} HTTP/1.1\r\nhost: a\r\n\r\n", manifest("org/app", "v1"));
    for one in &mut connected {
        one.write_all(head.as_bytes()).await.unwrap();
    }
    for mut one in connected {
        let mut answer = Vec::new();
        one.read_to_end(&mut answer).await.unwrap();
        let text = String::from_utf8_lossy(&answer).to_ascii_lowercase();
        assert!(text.starts_with("http/1.1 200") && answer.ends_with(&image.bytes), "{text}");
    }
    // Who asks nothing holds up nothing.
    let status = tokio::task::block_in_place(|| stage.gate.wait_end(Duration::from_secs(10))).unwrap();
    assert_eq!(status, Some(0));
    drop(silent);
}

fn metric(stage: &Stage, name: &str) -> Option<u64> {
    let answer = pullgate_tests::clients::http::get(stage.gate.admin(), "/metrics").ok()?;
    answer.text().lines().find_map(|line| line.strip_prefix(name)?.parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn a059_names_asked_for_ever_fill_no_memory() {
    let stage = Stage::with(|settings| settings).await;
    let image = Made::image();
    image.put(&stage.upstream, "org/app");
    let asked = |from: usize, to: usize| {
        let (upstream, address) = (&stage.upstream, stage.data());
        let image = &image;
        async move {
            for n in from..to {
                let tag = format!("v{n}");
                // Half do not exist, half are one image that is not signed.
                if n % 2 == 0 {
                    upstream.tag("org/app", &tag, &image.digest());
                }
                let answer = ask(address, "HEAD", &manifest("org/app", &tag), &[]).await;
                assert_eq!(answer.status, if n % 2 == 0 { 403 } else { 404 });
                upstream.untag("org/app", &tag);
                upstream.forget();
            }
        }
    };
    asked(0, 1_000).await;
    let before = resident_bytes(stage.gate.pid());
    asked(1_000, 4_000).await;
    let grown = resident_bytes(stage.gate.pid()).saturating_sub(before);
    assert!(grown < 3_000 * 4 * 1024, "{grown} bytes for 3,000 names");
}

/// Names that are refused or missing, many times as many as anything may remember: a list of them with 300 bytes for each
/// would be seen.
#[tokio::test(flavor = "multi_thread")]
async fn a059_of_names_that_are_refused_or_missing_nothing_is_remembered_for_ever() {
    const NAMES: usize = 24_000;
    const CONNECTIONS: usize = 8;
    let stage = Stage::with(|settings| settings).await;
    let asked = |from: usize, to: usize| {
        let address = stage.data();
        async move {
            let ask = |n: usize| async move {
                let mut connection = TcpStream::connect(address).await.unwrap();
                for n in (from + n..to).step_by(CONNECTIONS) {
                    // One in eight is asked of the upstream, which has none of them.
                    let (target, status) = match n % 64 {
                        0..8 => (manifest("org/app", &format!("none-{n}")), "404"),
                        _ => (format!("/v2/alias-{n}.example/app/manifests/v1?ns=other-{n}.test"), "403"),
                    };
                    let request = format!("HEAD {target} HTTP/1.1\r\nhost: a\r\n\r\n");
                    connection.write_all(request.as_bytes()).await.unwrap();
                    let (mut head, mut piece) = (Vec::new(), [0; 1024]);
                    while !head.ends_with(b"\r\n\r\n") {
                        let read = connection.read(&mut piece).await.unwrap();
                        assert!(read > 0, "{}", String::from_utf8_lossy(&head));
                        head.extend_from_slice(&piece[..read]);
                    }
                    let head = String::from_utf8(head).unwrap();
                    assert_eq!(&head[9..12], status, "{target}: {head}");
                    if head.contains("connection: close") {
                        connection = TcpStream::connect(address).await.unwrap();
                    }
                }
            };
            let asks: Vec<_> = (0..CONNECTIONS).map(|n| tokio::spawn(ask(n))).collect();
            for ask in asks {
                ask.await.unwrap();
            }
        }
    };
    asked(0, NAMES / 4).await;
    let before = resident_bytes(stage.gate.pid());
    asked(NAMES / 4, NAMES + NAMES / 4).await;
    let grown = resident_bytes(stage.gate.pid()).saturating_sub(before);
    assert!(grown < NAMES as u64 * 150, "{grown} bytes for {NAMES} names");
}

/// What the process has used of the processor (proc(5), `stat`), at 100 ticks a second.
fn processor_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
