//! Buffers for the pieces that are read: lent, and used again. A new buffer costs more than the read, since the kernel
//! clears each of its pages.

use parking_lot::Mutex;

use crate::limits::STREAM_CHUNK_WARM_BYTES;

use crate::limits::BUFFERS_IDLE;

static IDLE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// A buffer on loan; it comes back when it is dropped.
#[derive(Debug)]
pub(super) struct Lent {
    /// At least `length` bytes.
    buffer: Vec<u8>,
    length: usize,
}

impl Lent {
    /// A buffer of `length` bytes, with old content.
    pub(super) fn of(length: usize) -> Self {
        let mut buffer = idle().pop().unwrap_or_default();
        if buffer.len() < length {
            buffer.resize(length.max(STREAM_CHUNK_WARM_BYTES), 0);
        }
        Self { buffer, length }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        self.buffer.get_mut(..self.length).unwrap_or_default()
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut idle = idle();
        if idle.len() < BUFFERS_IDLE && self.buffer.len() <= STREAM_CHUNK_WARM_BYTES {
            idle.push(std::mem::take(&mut self.buffer));
        }
    }
}

fn idle() -> parking_lot::MutexGuard<'static, Vec<Vec<u8>>> {
    IDLE.lock()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_as_long_as_what_was_asked_for() {
        let mut first = Lent::of(10);
        first.bytes_mut().fill(7);
        drop(first);
        for length in [0, 3, STREAM_CHUNK_WARM_BYTES, STREAM_CHUNK_WARM_BYTES + 1] {
            let mut lent = Lent::of(length);
            assert_eq!(lent.bytes_mut().len(), length);
            assert_eq!(lent.as_ref().len(), length);
        }
    }

    #[test]
    fn no_more_than_so_many_idle_ones_are_kept() {
        let lent: Vec<_> = (0..BUFFERS_IDLE * 2).map(|_| Lent::of(1)).collect();
        drop(lent);
        assert!(idle().len() <= BUFFERS_IDLE);
    }
}
