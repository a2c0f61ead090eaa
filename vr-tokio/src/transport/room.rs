//! Room for a body: what is long in it lies at the beginning of a page.
//!
//! Owns where in memory a body begins. What is long in a message stands at its end, and a part of a checkpoint is pages long:
//! where its end is the end of a page, it goes to the disk from where it is. Must not know what is in a body.

use bytes::{Buf, Bytes, BytesMut};

/// Bodies from here on end at the end of a page.
const LONG_BYTES: usize = 1 << 20;
/// What a disk takes as it is begins at a multiple of this.
const PAGE_BYTES: usize = 4 << 10;

/// What is here of a body.
pub(super) struct Room(BytesMut);

impl Room {
    /// For a body that says how long it is. It may be longer.
    pub(super) fn new(bytes: usize) -> Self {
        if bytes < LONG_BYTES {
            return Self(BytesMut::with_capacity(bytes));
        }
        let mut room = BytesMut::with_capacity(bytes.saturating_add(PAGE_BYTES));
        let skipped = room.as_ptr().wrapping_add(bytes).align_offset(PAGE_BYTES).min(PAGE_BYTES);
        room.resize(skipped, 0);
        room.advance(skipped);
        Self(room)
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// All of it.
    pub(super) fn whole(self) -> Bytes {
        self.0.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_what_came_however_it_came_and_a_long_one_ends_at_a_page() {
        for said in [0, 1, LONG_BYTES - 1, LONG_BYTES, LONG_BYTES + 1, (4 << 20) + 99] {
            for bytes in [said, said + 700_000] {
                let all: Vec<u8> = (0..=250).cycle().take(bytes).collect();
                let mut room = Room::new(said);
                all.chunks(100_000).for_each(|piece| room.add(piece));
                let whole = room.whole();
                assert_eq!(whole, all);
                let after = whole.as_ptr().wrapping_add(bytes);
                assert!(bytes > said || said < LONG_BYTES || after.align_offset(PAGE_BYTES) == 0, "{bytes}");
            }
        }
    }
}
