//! Tells the service manager the gate's state (`sd_notify(3)`): units that are ordered after it start when it serves.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// How far the gate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// Both ports are open.
    Ready,
    /// It takes no new connections.
    Stopping,
}

/// Sends the state to `NOTIFY_SOCKET`. A supervisor that does not hear costs no pull: that is logged, and no more.
pub(super) fn tell(news: News) {
    let Some(socket) = env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty()) else { return };
    let state = match news {
        News::Ready => "READY=1",
        News::Stopping => "STOPPING=1",
    };
    if let Err(error) = send(&socket, state.as_bytes()) {
        tracing::warn!(%error, state, "the service manager cannot be told (NOTIFY_SOCKET)");
    }
}

fn send(socket: &OsStr, state: &[u8]) -> io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(socket),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }?;
    let ours = UnixDatagram::unbound()?;
    // A queue that is full holds up nothing here.
    ours.set_nonblocking(true)?;
    ours.send_to_addr(state, &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_is_neither_a_path_nor_abstract_is_not_sent_to() {
        for socket in ["", "relative", "vsock:2:1234"] {
            let error = send(OsStr::new(socket), b"READY=1").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{socket}");
        }
    }
}
