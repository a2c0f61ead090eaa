//! Ops as they come from a socket: slices of one shared buffer, the cheapest way to make `Bytes`.

use bytes::{Bytes, BytesMut};

/// What a connection reads into: a counter for each op instead of an allocation.
#[derive(Default)]
pub(crate) struct ReadBuffer(BytesMut);

impl ReadBuffer {
    const CAPACITY: usize = 64 * 1024;

    /// A copy of ops of so many bytes each, one after the other.
    pub(crate) fn hold(&mut self, wire: &[u8], op_bytes: usize) -> impl ExactSizeIterator<Item = Bytes> {
        if self.0.capacity() < wire.len() {
            self.0 = BytesMut::with_capacity(Self::CAPACITY.max(wire.len()));
        }
        self.0.extend_from_slice(wire);
        let whole = self.0.split().freeze();
        (0..wire.len() / op_bytes).map(move |op| whole.slice(op * op_bytes..(op + 1) * op_bytes))
    }
}
