//! A client that only asks: keep-alive connections, one request after the other on each, every answer read to its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::Failed;

/// docker-registry serves no OCI manifest to a client that does not name the type.
const ACCEPT: &str =
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, */*";

/// What is asked, of whom, and how.
#[derive(Debug, Clone)]
pub(crate) struct Asking {
    /// The server.
    pub(crate) address: SocketAddr,
    /// Method and target.
    pub(crate) line: String,
    /// Connections at once.
    pub(crate) connections: usize,
    /// When it ends.
    pub(crate) until: Until,
    /// TLS, trusting what.
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

/// When it ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// After so long.
    Time(Duration),
    /// After one answer on each connection.
    Once,
}

/// What came back.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answers {
    /// How long each answer took to its end, seconds, sorted.
    pub(crate) seconds: Vec<f64>,
    /// Bytes of bodies.
    pub(crate) bytes: u64,
    /// From the first request to the last answer, seconds.
    pub(crate) took: f64,
}

impl Asking {
    /// One request over one connection in the clear.
    pub(crate) fn once(address: SocketAddr, line: String) -> Self {
        Self { address, line, connections: 1, until: Until::Once, tls: None }
    }
}

impl Answers {
    /// Answers in a second.
    pub(crate) fn rate(&self) -> f64 {
        self.seconds.len() as f64 / self.took
    }

    /// The time within which so many of a hundred were there, seconds.
    pub(crate) fn percentile(&self, of_100: usize) -> f64 {
        let at = (self.seconds.len() * of_100 / 100).min(self.seconds.len().saturating_sub(1));
        self.seconds.get(at).copied().unwrap_or(f64::NAN)
    }
}

/// Asks, and reads every answer; one that is not 200 is an error.
pub(crate) async fn ask(asking: &Asking) -> Result<Answers, Failed> {
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..asking.connections {
        tasks.spawn(connection(asking.clone(), begun));
    }
    let mut all = Answers::default();
    while let Some(one) = tasks.join_next().await {
        let (seconds, bytes) = one??;
        all.seconds.extend(seconds);
        all.bytes += bytes;
    }
    all.took = begun.elapsed().as_secs_f64();
    all.seconds.sort_by(f64::total_cmp);
    Ok(all)
}

async fn connection(asking: Asking, begun: Instant) -> Result<(Vec<f64>, u64), Failed> {
    let (mut seconds, mut bytes) = (Vec::new(), 0);
    let mut buffer = vec![0; 256 * 1024];
    'connections: loop {
        let mut stream = connect(asking.address, asking.tls.as_ref()).await?;
        loop {
            let sent = Instant::now();
            let answer = exchange(&mut stream, &asking.line, &mut buffer).await?;
            seconds.push(sent.elapsed().as_secs_f64());
            bytes += answer.bytes;
            match asking.until {
                Until::Once => return Ok((seconds, bytes)),
                Until::Time(most) if begun.elapsed() >= most => return Ok((seconds, bytes)),
                Until::Time(_) if answer.last => continue 'connections,
                Until::Time(_) => {}
            }
        }
    }
}

/// Asks for each line in turn over one connection, or over another where the server ends it.
pub(crate) async fn ask_all(address: SocketAddr, lines: &[String]) -> Result<Answers, Failed> {
    let mut all = Answers::default();
    let (begun, mut buffer) = (Instant::now(), vec![0; 256 * 1024]);
    let mut open: Option<Box<dyn Stream>> = None;
    for line in lines {
        let mut stream = match open.take() {
            Some(stream) => stream,
            None => connect(address, None).await?,
        };
        let sent = Instant::now();
        let answer = exchange(&mut stream, line, &mut buffer).await?;
        all.seconds.push(sent.elapsed().as_secs_f64());
        all.bytes += answer.bytes;
        open = (!answer.last).then_some(stream);
    }
    all.took = begun.elapsed().as_secs_f64();
    all.seconds.sort_by(f64::total_cmp);
    Ok(all)
}

async fn connect(address: SocketAddr, tls: Option<&Arc<ClientConfig>>) -> Result<Box<dyn Stream>, Failed> {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    Ok(match tls {
        None => Box::new(tcp),
        Some(tls) => {
            let name = ServerName::from(address.ip());
            Box::new(TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await?)
        }
    })
}

async fn exchange(stream: &mut Box<dyn Stream>, line: &str, buffer: &mut [u8]) -> Result<Answer, Failed> {
    stream.write_all(head(line).as_bytes()).await?;
    let answer = read(stream, line, buffer, |_| ()).await?;
    if answer.status == 200 { Ok(answer) } else { Err(format!("{} to {line}", answer.status).into()) }
}

fn head(line: &str) -> String {
    format!("{line} HTTP/1.1\r\nhost: bench\r\naccept: {ACCEPT}\r\n\r\n")
}

/// A connection in the clear whose answers are looked at.
pub(crate) struct Connection(Box<dyn Stream>);

impl Connection {
    /// Opens it.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, Failed> {
        Ok(Self(connect(address, None).await?))
    }

    /// Status, body, and whether the server ends the connection after it.
    pub(crate) async fn whole(&mut self, line: &str) -> Result<(u16, Vec<u8>, bool), Failed> {
        let (mut buffer, mut body) = (vec![0; 64 * 1024], Vec::new());
        self.0.write_all(head(line).as_bytes()).await?;
        let answer = read(&mut self.0, line, &mut buffer, |bytes| body.extend_from_slice(bytes)).await?;
        Ok((answer.status, body, answer.last))
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

struct Answer {
    status: u16,
    bytes: u64,
    /// The server ends the connection after it.
    last: bool,
}

async fn read(
    stream: &mut Box<dyn Stream>,
    line: &str,
    buffer: &mut [u8],
    mut body: impl FnMut(&[u8]),
) -> Result<Answer, Failed> {
    let mut filled = 0;
    let end = loop {
        let read = stream.read(buffer.get_mut(filled..).ok_or("a head without end")?).await?;
        if read == 0 {
            return Err("the connection ended before the answer".into());
        }
        filled += read;
        let have = buffer.get(..filled).unwrap_or_default();
        if let Some(end) = have.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8_lossy(buffer.get(..end).unwrap_or_default()).to_lowercase();
    let status = head.strip_prefix("http/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    let length: u64 =
        if line.starts_with("HEAD") { 0 } else { length.ok_or("an answer without a length")? };
    body(buffer.get(end..filled).unwrap_or_default());
    let mut got = (filled - end) as u64;
    while got < length {
        let read = stream.read(buffer).await?;
        if read == 0 {
            return Err("the body ended early".into());
        }
        body(buffer.get(..read).unwrap_or_default());
        got += read as u64;
    }
    let status = status.ok_or("no status")?;
    Ok(Answer { status, bytes: got, last: head.contains("\r\nconnection: close") })
}
