//! The time that a client has for a request's head, and the silence that it may keep before one (A051).
//!
//! hyper has one time for both, counted from the end of the request before: too short for a node between two pulls, or
//! too long for a head that comes byte by byte. But it asks a timer for it, anew for each head. The stream tells this
//! timer whether a head has begun; hyper still ends the connection itself.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use crate::limits;
use hyper::rt::{Sleep, Timer};
use tokio::io::AsyncRead;
use tokio::time::Instant;
use tokio_util::io::InspectReader;

use super::pulse::Pulse;

#[cfg(test)]
mod tests;

/// The next head of one connection. Clones are of the same connection.
#[derive(Clone)]
pub(super) struct Heads(Arc<Mutex<Next>>, Arc<Pulse>);

struct Next {
    stage: HeadPhase,
    due: Instant,
    /// The last bytes that came.
    last: [u8; 3],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum HeadPhase {
    Head,
    Silence,
}

/// hyper waits for a head.
struct Wait {
    heads: Heads,
    sleep: Pin<Box<tokio::time::Sleep>>,
}

impl Heads {
    pub(super) fn new(pulse: &Arc<Pulse>) -> Self {
        let next =
            Next { stage: HeadPhase::Head, due: Instant::now() + limits::HEADER_TIMEOUT, last: [0; 3] };
        Self(Arc::new(Mutex::new(next)), Arc::clone(pulse))
    }

    /// The stream, which tells when a head begins. It belongs above TLS, where a head can be seen.
    pub(super) fn watch<S: AsyncRead>(
        &self,
        stream: S,
    ) -> InspectReader<S, impl FnMut(&[u8]) + Send + use<S>> {
        let heads = self.clone();
        InspectReader::new(stream, move |bytes: &[u8]| heads.lock().came(bytes))
    }

    fn lock(&self) -> MutexGuard<'_, Next> {
        self.0.lock()
    }
}

impl Next {
    fn awaited(&mut self) -> Instant {
        // A new connection gets no longer than one whose head has begun; nor do bytes that came together with the
        // previous request.
        let (stage, time) = match self.last {
            [_, b'\n', b'\n'] | [b'\n', b'\r', b'\n'] => (HeadPhase::Silence, limits::IDLE_TIMEOUT),
            _ => (HeadPhase::Head, limits::HEADER_TIMEOUT),
        };
        self.stage = stage;
        self.due = Instant::now() + time;
        self.due
    }

    fn came(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.stage == HeadPhase::Silence {
            self.stage = HeadPhase::Head;
            self.due = Instant::now() + limits::HEADER_TIMEOUT;
        }
        for byte in bytes.iter().skip(bytes.len().saturating_sub(self.last.len())) {
            let [_, second, third] = self.last;
            self.last = [second, third, *byte];
        }
    }
}

/// hyper's server asks it for one thing only: how long to wait for the next head. The duration that hyper passes is
/// ignored.
impl Timer for Heads {
    fn sleep(&self, _duration: Duration) -> Pin<Box<dyn Sleep>> {
        let due = self.lock().awaited();
        self.1.awaits();
        Box::pin(Wait { heads: self.clone(), sleep: Box::pin(tokio::time::sleep_until(due)) })
    }

    fn sleep_until(&self, _deadline: std::time::Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(limits::HEADER_TIMEOUT)
    }
}

impl Sleep for Wait {}

impl Future for Wait {
    type Output = ();

    /// hyper asks after each read that did not complete a head.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let due = this.heads.lock().due;
        if this.sleep.deadline() != due {
            this.sleep.as_mut().reset(due);
        }
        this.sleep.as_mut().poll(context)
    }
}
