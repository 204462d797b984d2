//! The listening sockets: inherited from a supervisor (systemd's socket activation, `sd_listen_fds(3)`), or the gate's own.
//!
//! With inherited sockets a restart loses no connection: they wait in the kernel for the next process.

use std::env;
use std::io;
use std::net::SocketAddr;

use crate::limits;
use listenfd::ListenFd;
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
    /// What `LISTEN_FDS` and `LISTEN_PID` say. `LISTEN_FDNAMES` tells the ports apart, by `data` and `admin`; without these
    /// names the first socket is the data port, the second the admin port.
    ///
    /// # Errors
    /// One of them is no TCP socket that listens; some are named and others are not, or two alike.
    pub fn handed_over() -> Result<Self, ServeError> {
        let mut handed = ListenFd::from_env();
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let (data, admin) = places(&names, handed.len()).map_err(ServeError::Handed)?;
        let mut take = |place: Option<usize>| {
            let Some(place) = place else { return Ok(None) };
            let taken = handed.take_tcp_listener(place)?;
            // Not for programs that the gate starts, such as credential helpers.
            taken.iter().try_for_each(|socket| fcntl_setfd(socket, FdFlags::CLOEXEC))?;
            Ok::<_, io::Error>(taken)
        };
        let (data, admin) =
            (take(data).map_err(ServeError::Handed)?, take(admin).map_err(ServeError::Handed)?);
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

/// The positions of the data port and the admin port among `sockets` sockets. A socket without a port is refused:
/// clients that connect to it would hang.
fn places(names: &str, sockets: usize) -> io::Result<(Option<usize>, Option<usize>)> {
    let names: Vec<&str> = names.split(':').take(sockets).collect();
    let all = |wanted: &str| {
        let places = names.iter().enumerate().filter(|(_, name)| **name == wanted);
        places.map(|(place, _)| place).collect::<Vec<_>>()
    };
    match (all("data").as_slice(), all("admin").as_slice()) {
        ([], []) => Ok(((sockets > 0).then_some(0), (sockets > 1).then_some(1))),
        ([data], []) if sockets == 1 => Ok((Some(*data), None)),
        ([], [admin]) if sockets == 1 => Ok((None, Some(*admin))),
        ([data], [admin]) if sockets == 2 => Ok((Some(*data), Some(*admin))),
        _ => {
            let why = "LISTEN_FDNAMES: one socket may be named data, one admin, and then there is no other";
            Err(io::Error::new(io::ErrorKind::InvalidInput, why))
        }
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

/// As [`TcpListener::bind`], with a queue of more than 128: all nodes of a cluster may connect at once.
fn bound(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(limits::ACCEPT_QUEUE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_told_apart_by_name_and_without_the_names_by_order() {
        for (names, sockets, expected) in [
            ("", 0, (None, None)),
            ("data:admin", 0, (None, None)),
            ("", 1, (Some(0), None)),
            ("", 2, (Some(0), Some(1))),
            ("pullgate.socket:pullgate.socket", 2, (Some(0), Some(1))),
            ("unknown:unknown", 2, (Some(0), Some(1))),
            ("data", 1, (Some(0), None)),
            ("admin", 1, (None, Some(0))),
            ("data:admin", 2, (Some(0), Some(1))),
            ("admin:data", 2, (Some(1), Some(0))),
        ] {
            assert_eq!(places(names, sockets).unwrap(), expected, "{names} of {sockets}");
        }
    }

    #[test]
    fn a_socket_that_nobody_would_accept_from_is_refused() {
        for (names, sockets) in
            [("data:data", 2), ("admin:admin", 2), ("data:other", 2), ("data", 2), ("data:admin:other", 3)]
        {
            let error = places(names, sockets).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{names} of {sockets}");
        }
    }
}
