//! The bytes of a fuzzer, taken from the front; what is behind their end is zeros.
//!
//! Owns the reading. Must not know what the numbers mean.

/// What is left of an input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Script<'a>(pub(super) &'a [u8]);

impl<'a> Script<'a> {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Below `bound`, which is at most 256; 0 when there is nothing to choose from.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()).checked_rem(bound).unwrap_or(0)
    }

    /// A position among so many.
    pub(super) fn place(&mut self, among: usize) -> usize {
        let place = u16::from_le_bytes([self.byte(), self.byte()]);
        usize::from(place).checked_rem(among).unwrap_or(0)
    }

    /// A number: small, or within a few of a power of two.
    pub(super) fn number(&mut self) -> u64 {
        let (shape, by) = (self.byte(), self.byte());
        let around = 1_u64.checked_shl(u32::from(shape)).unwrap_or(0);
        if shape.is_multiple_of(2) { u64::from(by) } else { around.wrapping_add(u64::from(by)).wrapping_sub(4) }
    }

    /// The next so many bytes, fewer at the end.
    pub(super) fn bytes(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
