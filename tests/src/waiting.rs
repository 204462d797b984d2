//! Waiting, in tests: for what is to happen and not for how long it takes, because a machine may be busy with other things.
#![expect(clippy::panic, reason = "a test that waits in vain has failed")]

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;

/// The longest that anything is waited for: above every time limit of the gate that a test may meet.
pub const PATIENCE: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(5);

/// Waits until it is so.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        pause(POLL).await;
    }
}

/// The same where to look is itself a question.
pub async fn until_it_is(what: &str, is_so: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        pause(POLL).await;
    }
}

/// Lets time pass in which nothing is to happen: on a slow machine less may come in it, never more.
pub async fn while_nothing_happens(time: Duration) {
    pause(time).await;
}

/// Waits, by the clock on the wall, though the runtime's own stands still.
pub async fn pause(time: Duration) {
    if spawn_blocking(move || sleep(time)).await.is_err() {
        panic!("the runtime has ended");
    }
}

/// A clock of the runtime that is paused stands still while this lives, whatever is waited for: no time limit is crossed
/// but where the test lets time pass. Without it, it goes on whenever nobody has anything to do but to wait for a socket.
#[derive(Debug)]
pub struct Still(SyncSender<()>);

/// From now on.
#[must_use]
pub fn still() -> Still {
    let (ends, ended) = sync_channel(1);
    spawn_blocking(move || ended.recv());
    Still(ends)
}

impl Drop for Still {
    fn drop(&mut self) {
        // Who waits for the other end hears of it either way.
        let _ = self.0.send(());
    }
}
