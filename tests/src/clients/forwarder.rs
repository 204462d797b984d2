//! A forwarder of connections that counts them and keeps the request lines that it saw.
//!
//! Two uses. In front of an upstream, under the address that image references name, it makes a way around the gate visible:
//! it works, so a client that falls through succeeds, and the count is not zero. In front of the gate it shows what a client
//! really asked for.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use parking_lot::Mutex;

use super::process::wait_until;

#[derive(Debug, Default)]
struct Seen {
    connections: AtomicUsize,
    requests: Mutex<Vec<String>>,
    ranges: Mutex<Vec<String>>,
    cut: AtomicU64,
    cut_each: AtomicU64,
    late_ms: AtomicU64,
    stall: AtomicU64,
    stopped: AtomicBool,
}

/// Listens on a loopback address of its own until dropped.
#[derive(Debug)]
pub struct Forwarder {
    address: String,
    seen: Arc<Seen>,
}

impl Forwarder {
    /// Forwards to `target` (`127.0.0.1:PORT`), which need not listen yet.
    ///
    /// # Errors
    /// No address to listen on.
    pub fn start(target: &str) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let seen = Arc::new(Seen::default());
        let (shared, target) = (Arc::clone(&seen), target.to_owned());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if shared.stopped.load(Ordering::Relaxed) {
                    return;
                }
                shared.connections.fetch_add(1, Ordering::Relaxed);
                let (shared, target) = (Arc::clone(&shared), target.clone());
                thread::spawn(move || forward(&client, &target, &shared));
            }
        });
        Ok(Self { address, seen })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Connections since the start. Nobody who was asked nothing is zero by chance: a failed attempt at TLS counts too.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::Relaxed)
    }

    /// The request lines since the last call, without the protocol's version: `HEAD /v2/shop/app/manifests/v1`.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.requests.lock())
    }

    /// The `Range` headers since the last call: `bytes=100-`.
    pub fn take_ranges(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.ranges.lock())
    }

    /// Over the next connection on which more than so many bytes go to the client nothing more comes, until this value
    /// is dropped.
    pub fn stall_next_after(&self, bytes: u64) {
        self.seen.stall.store(bytes, Ordering::Relaxed);
    }

    /// Waits until that has come.
    ///
    /// # Errors
    /// It does not.
    pub fn wait_stalled(&self) -> io::Result<()> {
        wait_until("a connection stalls", || self.seen.stall.load(Ordering::Relaxed) == 0)
    }

    /// Every connection over which more than so many bytes go to the client ends there.
    pub fn cut_each_after(&self, bytes: u64) {
        self.seen.cut_each.store(bytes, Ordering::Relaxed);
    }

    /// Each answer comes so much later.
    pub fn answer_late(&self, by: Duration) {
        self.seen.late_ms.store(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The next connection over which more than so many bytes go to the client ends there; the others go on.
    pub fn cut_next_after(&self, bytes: u64) {
        self.seen.cut.store(bytes, Ordering::Relaxed);
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.seen.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts, so that the port is free again.
        drop(TcpStream::connect(&self.address));
    }
}

/// Copies both ways until one side ends. An error is the end of that connection, as it is for a network.
fn forward(client: &TcpStream, target: &str, seen: &Seen) {
    let Ok(server) = TcpStream::connect(target) else { return };
    // What is small goes at once, as it would without this one between.
    drop(client.set_nodelay(true));
    drop(server.set_nodelay(true));
    thread::scope(|scope| {
        scope.spawn(|| {
            drop(copy_answers(&server, client, seen));
            drop(client.shutdown(Shutdown::Both));
            drop(server.shutdown(Shutdown::Both));
        });
        drop(copy_requests(client, &server, seen));
        drop(server.shutdown(Shutdown::Write));
    });
}

fn copy_answers(mut server: &TcpStream, mut client: &TcpStream, seen: &Seen) -> io::Result<()> {
    let (mut buffer, mut passed) = (vec![0; 64 * 1024], 0);
    loop {
        let count = server.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        passed += count as u64;
        let each = seen.cut_each.load(Ordering::Relaxed);
        if each != 0 && passed > each {
            let left = usize::try_from(each + count as u64 - passed).unwrap_or(0);
            return client.write_all(buffer.get(..left).unwrap_or_default());
        }
        if is_due(&seen.cut, passed) {
            return Ok(());
        }
        if is_due(&seen.stall, passed) {
            while !seen.stopped.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(20));
            }
            return Ok(());
        }
        client.write_all(buffer.get(..count).unwrap_or_default())?;
    }
}

/// Once, on the first connection that has come so far; 0 is never.
fn is_due(after: &AtomicU64, passed: u64) -> bool {
    let most = after.load(Ordering::Relaxed);
    let there = most != 0 && passed > most;
    there && after.compare_exchange(most, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

/// Readers of images send no bodies: what comes from the client is request heads only, so every line can be looked at.
fn copy_requests(mut client: &TcpStream, mut server: &TcpStream, seen: &Seen) -> io::Result<()> {
    let mut line = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        let count = client.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        let bytes = buffer.get(..count).unwrap_or_default();
        for &byte in bytes {
            if byte == b'\n' {
                note_request(&line, seen);
                line.clear();
            } else {
                line.push(byte);
            }
        }
        // Heads are small, and come whole.
        thread::sleep(Duration::from_millis(seen.late_ms.load(Ordering::Relaxed)));
        server.write_all(bytes)?;
    }
}

fn note_request(line: &[u8], seen: &Seen) {
    let text = String::from_utf8_lossy(line);
    if let Some(request) = text.trim_end().strip_suffix(" HTTP/1.1") {
        seen.requests.lock().push(request.to_owned());
    } else if let Some((name, range)) = text.trim_end().split_once(": ")
        && name.eq_ignore_ascii_case("range")
    {
        seen.ranges.lock().push(range.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::http;

    #[test]
    fn what_passes_is_counted_and_its_request_line_kept() -> io::Result<()> {
        let server = TcpListener::bind("127.0.0.1:0")?;
        let forwarder = Forwarder::start(&server.local_addr()?.to_string())?;
        assert_eq!(forwarder.connections(), 0);
        let served = thread::spawn(move || -> io::Result<()> {
            let (mut stream, _) = server.accept()?;
            let mut head = [0; 1024];
            let _ = stream.read(&mut head)?;
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
        });
        assert_eq!(http::get(forwarder.address(), "/v2/?ns=a")?.status, 204);
        served.join().unwrap()?;
        assert_eq!(forwarder.connections(), 1);
        assert_eq!(forwarder.take_requests(), ["GET /v2/?ns=a"]);
        assert!(forwarder.take_requests().is_empty());
        Ok(())
    }
}
