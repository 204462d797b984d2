//! A response body that follows a script.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame};

/// One thing that a body does.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Breaks off, after what was sent before is out.
    Break,
    /// Breaks off at once.
    BreakNow,
    /// Sends.
    Data(Bytes),
    /// Sends this for ever.
    Endless(Bytes),
    /// Does nothing more.
    Stall,
}

#[derive(Debug)]
pub(super) struct Script {
    steps: VecDeque<Step>,
    sent: Arc<AtomicU64>,
}

/// Bytes of one piece, so that a body is more than one.
const PIECE_BYTES: usize = 32 * 1024;

impl Script {
    /// `sent` counts the bytes that are taken from it.
    pub(super) fn new(body: &Bytes, then: Option<Step>, sent: Arc<AtomicU64>) -> Self {
        let mut steps: VecDeque<Step> =
            body.chunks(PIECE_BYTES).map(|piece| Step::Data(body.slice_ref(piece))).collect();
        steps.extend(then);
        Self { steps, sent }
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Self { steps, sent } = self.get_mut();
        if let Some(Step::Data(bytes) | Step::Endless(bytes)) = steps.front() {
            sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
        match steps.front().cloned() {
            None => Poll::Ready(None),
            Some(Step::Break) => {
                // The server flushes while it waits.
                steps.push_front(Step::BreakNow);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Step::BreakNow) => Poll::Ready(Some(Err(io::Error::other("as told")))),
            Some(Step::Data(bytes)) => {
                steps.pop_front();
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Some(Step::Endless(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            // The connection's end drops the body: nobody needs to be woken.
            Some(Step::Stall) => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty()
    }
}
