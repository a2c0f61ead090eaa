//! The bytes of a state, written to pieces and read from pieces: long values are shared, not copied.
//!
//! Owns where a piece ends, which is no part of what is said. Must not know what the bytes mean. Paper: VRR §5.1.

use bytes::{Buf, Bytes, BytesMut};
use vr_tokio::State;

/// Values from here on are pieces of their own, shared with the store.
const SHARED_BYTES_MIN: usize = 8 << 10;
/// What is shorter goes together in pieces of so many bytes.
const PIECE_BYTES: usize = 1 << 20;

/// Puts a state together.
#[derive(Debug, Default)]
pub(super) struct Writer {
    done: Vec<Bytes>,
    last: BytesMut,
}

impl Writer {
    pub(super) fn put(&mut self, bytes: &[u8]) {
        if self.last.len() + bytes.len() > self.last.capacity() {
            self.flush();
            self.last.reserve(PIECE_BYTES.max(bytes.len()));
        }
        self.last.extend_from_slice(bytes);
    }

    /// As [`Writer::put`], but what is long is shared.
    pub(super) fn share(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARED_BYTES_MIN {
            return self.put(bytes);
        }
        self.flush();
        self.done.push(bytes.clone());
    }

    fn flush(&mut self) {
        // What is left of its room is for the next one.
        self.done.push(self.last.split().freeze());
    }

    pub(super) fn finish(mut self) -> State {
        self.flush();
        self.done.into_iter().collect()
    }
}

/// Reads a state, once, from its beginning. Everything is `None` from where it ends too early.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    state: &'a State,
    /// The rest of the piece that is being read, and what there is behind it.
    piece: Bytes,
    next: u64,
}

impl<'a> Reader<'a> {
    pub(super) fn new(state: &'a State) -> Self {
        Self { state, piece: Bytes::new(), next: 0 }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.piece.is_empty() && self.next >= self.state.len()
    }

    /// A number of bytes.
    pub(super) fn length(&mut self) -> Option<usize> {
        usize::try_from(self.bytes(4)?.get_u32_le()).ok()
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        Some(self.bytes(8)?.get_u64_le())
    }

    /// A copy of so many bytes: what is kept of a state does not keep all of it.
    pub(super) fn bytes(&mut self, count: usize) -> Option<Bytes> {
        if self.piece.len() >= count {
            return Some(Bytes::copy_from_slice(&self.piece.split_to(count)));
        }
        let left = self.state.len().saturating_sub(self.next);
        let missing = u64::try_from(count - self.piece.len()).ok().filter(|missing| *missing <= left)?;
        let mut out = Vec::with_capacity(count);
        out.extend_from_slice(&std::mem::take(&mut self.piece));
        while out.len() < count {
            let piece = self.state.range(self.next, usize::MAX).next()?;
            self.next += u64::try_from(piece.len()).ok()?;
            self.piece = piece;
            let take = self.piece.len().min(count - out.len());
            out.extend_from_slice(&self.piece.split_to(take));
        }
        debug_assert!(missing <= left);
        Some(out.into())
    }
}
