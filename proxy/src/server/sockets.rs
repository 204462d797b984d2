//! Where the gate listens: sockets that whoever started it holds open (systemd's socket activation, `sd_listen_fds(3)`), or its own.
//!
//! A supervisor that holds them loses no connection when the gate is started again: they wait in the kernel for the next one.

use std::io;
use std::net::SocketAddr;

use listenfd::ListenFd;
use pullgate_policy::limits;
use rustix::io::{FdFlags, fcntl_setfd};
use tokio::net::{TcpListener, TcpSocket};

use super::ServeError;

/// Sockets that were handed over; the gate binds those that are missing.
#[derive(Debug, Default)]
pub struct Sockets {
    data: Option<std::net::TcpListener>,
    admin: Option<std::net::TcpListener>,
}

impl Sockets {
    /// What `LISTEN_FDS` and `LISTEN_PID` say: the first socket is the data port, the second the admin port.
    ///
    /// # Errors
    /// One of them is no TCP socket that listens.
    pub fn handed_over() -> Result<Self, ServeError> {
        let mut handed = ListenFd::from_env();
        let mut take = |n| {
            if n >= handed.len() {
                return Ok(None);
            }
            let taken = handed.take_tcp_listener(n)?;
            // Not for programs that the gate starts, such as credential helpers.
            taken.iter().try_for_each(|socket| fcntl_setfd(socket, FdFlags::CLOEXEC))?;
            Ok::<_, io::Error>(taken)
        };
        let (data, admin) = (take(0).map_err(ServeError::Handed)?, take(1).map_err(ServeError::Handed)?);
        Ok(Self { data, admin })
    }

    /// The listeners of the data port and the admin port.
    ///
    /// # Errors
    /// An address cannot be bound.
    pub(super) async fn listen(
        self,
        data: SocketAddr,
        admin: SocketAddr,
    ) -> Result<(TcpListener, TcpListener), ServeError> {
        Ok((listener(self.data, data).await?, listener(self.admin, admin).await?))
    }
}

async fn listener(
    handed: Option<std::net::TcpListener>,
    address: SocketAddr,
) -> Result<TcpListener, ServeError> {
    match handed {
        None => bound(address).map_err(|source| ServeError::Bind { address, source }),
        Some(socket) => {
            socket.set_nonblocking(true).map_err(ServeError::Handed)?;
            TcpListener::from_std(socket).map_err(ServeError::Handed)
        }
    }
}

/// As [`TcpListener::bind`] does it, but for a queue that holds more than 128: all nodes of a cluster may come at once.
fn bound(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(limits::ACCEPT_QUEUE)
}
