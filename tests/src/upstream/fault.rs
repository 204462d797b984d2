//! Faults of an upstream, and when they happen.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

/// One thing done wrong.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The manifests of these digests, in turn, whatever was asked for.
    Alternate(Vec<String>),
    /// Another header of that name beside the one that is there.
    AlsoHeader(&'static str, String),
    /// This, instead of what was asked for.
    Answer(u16, &'static str, Vec<u8>),
    /// The whole length is announced and the connection ends after so many bytes.
    Cut(usize),
    /// The answer begins so much later.
    Delay(Duration),
    /// The byte, over and over.
    Endless(u8),
    /// One bit of the byte at this place, counted from the end where negative, is another.
    Flip(isize),
    /// The answer begins when the semaphore gives a permit, which it gets back.
    Hold(Arc<Semaphore>),
    /// The header has this value.
    Header(&'static str, String),
    /// A request for a range is answered by this; others as ever.
    OfRange(RangeAnswer),
    /// 307 to there.
    Redirect(String),
    /// The body ends, cleanly and without an announced length, after so many bytes.
    Short(usize),
    /// After so many bytes nothing more comes, and the connection stays.
    Stall(usize),
    /// This status and no content.
    Status(u16),
    /// So many bytes more than there are, without an announced length.
    Surplus(usize),
    /// The header is left out.
    WithoutHeader(&'static str),
}

/// How a request for a range is answered, other than by just that range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeAnswer {
    /// By so many bytes of it at most, and it is said where they lie.
    AtMost(usize),
    /// By 404, where it begins at this byte.
    Gone(u64),
    /// By this status.
    Status(u16),
    /// By what begins so many bytes before, and it is said where that lies.
    Sooner(usize),
    /// By just that range, and `*` for the length.
    UnknownLength,
    /// By just that range, and it is not said where it lies.
    Unplaced,
    /// By all of it.
    Whole,
}

/// Which requests a fault is for.
#[derive(Debug, Clone)]
pub struct When {
    part: String,
    left: usize,
}

impl When {
    /// Those with this in method and target, such as `GET /v2/app/blobs/`; at their end where it ends in `$`; `""` for all.
    #[must_use]
    pub fn on(part: impl Into<String>) -> Self {
        Self { part: part.into(), left: usize::MAX }
    }

    /// The first so many of them.
    #[must_use]
    pub fn times(self, left: usize) -> Self {
        Self { left, ..self }
    }
}

#[derive(Debug)]
pub(super) struct Armed {
    when: When,
    fault: Fault,
    met: usize,
}

impl Armed {
    pub(super) fn new(when: When, fault: Fault) -> Self {
        Self { when, fault, met: 0 }
    }

    /// The fault, if it is for this request, and how often it was met before.
    pub(super) fn meets(&mut self, line: &str) -> Option<(Fault, usize)> {
        let meant = match self.when.part.strip_suffix('$') {
            Some(end) => line.ends_with(end),
            None => line.contains(&self.when.part),
        };
        if self.when.left == 0 || !meant {
            return None;
        }
        self.when.left -= 1;
        self.met += 1;
        Some((self.fault.clone(), self.met - 1))
    }
}
