//! A stream that ends when its reader takes nothing for `client_write_idle` (A052).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::limits;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::pulse::Pulse;

/// Cuts a connection whose client takes no byte for too long.
pub(super) struct WriteIdle<S> {
    stream: S,
    pulse: Arc<Pulse>,
    blocked: Option<Pin<Box<Sleep>>>,
}

impl<S> WriteIdle<S> {
    pub(super) fn new(stream: S, pulse: &Arc<Pulse>) -> Self {
        Self { stream, pulse: Arc::clone(pulse), blocked: None }
    }

    fn watch<T>(&mut self, context: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.pulse.moved();
            self.blocked = None;
            return poll;
        }
        let deadline = || Box::pin(tokio::time::sleep_until(Instant::now() + limits::CLIENT_WRITE_IDLE));
        match self.blocked.get_or_insert_with(deadline).as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteIdle<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteIdle<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.watch(context, poll)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.stream).poll_flush(context);
        this.watch(context, poll)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.watch(context, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::still::still;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    #[tokio::test(start_paused = true)]
    async fn a052_a_reader_that_stops_is_cut() {
        let (ours, _theirs) = tokio::io::duplex(8);
        let mut stream = WriteIdle::new(ours, &Arc::new(Pulse::new()));
        let started = Instant::now();
        let error = stream.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(started.elapsed() >= limits::CLIENT_WRITE_IDLE);
    }

    /// More than the kernel keeps for both ends of a connection.
    const BODY_BYTES: usize = 96 << 20;

    /// What is on its way comes, and the writer waits: by another clock than the timers'.
    async fn settle() {
        tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(500))).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a052_a_reader_that_stops_is_cut_and_one_that_takes_a_little_is_not() {
        let _still = still();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut begun = Vec::new();
        for _ in 0..2 {
            let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (server, _) = listener.accept().await.unwrap();
            let body = vec![7; BODY_BYTES];
            let sent = tokio::spawn(async move {
                WriteIdle::new(server, &Arc::new(Pulse::new())).write_all(&body).await
            });
            begun.push((client, sent));
        }
        let [(mut stopped, cut), (mut slow, whole)] = <[_; 2]>::try_from(begun).unwrap();
        let nearly = limits::CLIENT_WRITE_IDLE - Duration::from_secs(2);
        settle().await;
        tokio::time::advance(nearly).await;
        settle().await;
        assert!(!cut.is_finished() && !whole.is_finished());
        // Once more than it takes: what the kernel took late counts as taken.
        let mut pieces = [vec![0; BODY_BYTES / 4], vec![0; BODY_BYTES / 4]];
        for piece in &mut pieces {
            slow.read_exact(piece).await.unwrap();
            tokio::time::advance(nearly).await;
        }
        settle().await;
        assert!(cut.is_finished());
        assert_eq!(cut.await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
        let mut rest = Vec::new();
        let _ = stopped.read_to_end(&mut rest).await;
        assert!(rest.len() < BODY_BYTES);
        rest.clear();
        slow.read_to_end(&mut rest).await.unwrap();
        assert_eq!(pieces.concat().len() + rest.len(), BODY_BYTES);
        whole.await.unwrap().unwrap();
    }
}
