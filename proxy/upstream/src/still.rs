//! A clock of tokio's that stands still, for tests.

/// Keeps tokio's paused clock still while it lives: the clock advances only where the test says so, and not, as
/// otherwise, whenever every task waits for a socket.
pub(crate) struct Still(
    #[expect(dead_code, reason = "its end is what counts")] std::sync::mpsc::SyncSender<()>,
);

pub(crate) fn still() -> Still {
    let (ends, ended) = std::sync::mpsc::sync_channel(1);
    tokio::task::spawn_blocking(move || ended.recv());
    Still(ends)
}
