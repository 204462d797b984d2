//! A clock of tokio's that stands still, for tests.

/// A clock of tokio's that a test has paused stands still while this lives, whatever is waited for: it goes on where
/// the test says so, and not, as it otherwise does, whenever nobody has anything to do but to wait for a socket.
pub(crate) struct Still(
    #[expect(dead_code, reason = "its end is what counts")] std::sync::mpsc::SyncSender<()>,
);

pub(crate) fn still() -> Still {
    let (ends, ended) = std::sync::mpsc::sync_channel(1);
    tokio::task::spawn_blocking(move || ended.recv());
    Still(ends)
}
