//! The bytes of a state, written to pieces and read from pieces: long values are shared, not copied.
//!
//! Owns where a piece ends, which is no part of what is said. Must not know what the bytes mean. Paper: VRR §5.1.

use bytes::{Buf, Bytes, BytesMut};
use vr_tokio::State;

/// Values from here on are pieces of their own, shared with the store.
const SHARED_BYTES_MIN: usize = 8 << 10;
/// What is shorter goes together in pieces of so many bytes.
const PIECE_BYTES: usize = 1 << 20;

/// No value keeps a longer piece than this: that of a part that came from another replica.
const KEPT_BYTES_MAX: usize = 4 << 20;

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
    /// Is that piece no longer than may be kept for one value in it?
    is_shared: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(state: &'a State) -> Self {
        Self { state, piece: Bytes::new(), next: 0, is_shared: false }
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

    /// So many bytes. What is short is copied, so that it does not keep the piece it lies in; what is long is shared with
    /// the state where that lies in pieces: to copy all of a large one takes as much memory again, and nearly as long as
    /// it took to arrive.
    pub(super) fn bytes(&mut self, count: usize) -> Option<Bytes> {
        if self.piece.len() >= count {
            let bytes = self.piece.split_to(count);
            let is_kept = count >= SHARED_BYTES_MIN && self.is_shared;
            return Some(if !is_kept { Bytes::copy_from_slice(&bytes) } else { bytes });
        }
        let left = self.state.len().saturating_sub(self.next);
        let missing = u64::try_from(count - self.piece.len()).ok().filter(|missing| *missing <= left)?;
        let mut out = Vec::with_capacity(count);
        out.extend_from_slice(&std::mem::take(&mut self.piece));
        while out.len() < count {
            let piece = self.state.range(self.next, usize::MAX).next()?;
            self.next += u64::try_from(piece.len()).ok()?;
            self.is_shared = piece.len() <= KEPT_BYTES_MAX;
            self.piece = piece;
            let take = self.piece.len().min(count - out.len());
            out.extend_from_slice(&self.piece.split_to(take));
        }
        debug_assert!(missing <= left);
        Some(out.into())
    }
}
