//! Numbers in a fixed little-endian layout, and the sums over them.
//!
//! Owns how the headers of the files are spelt. Must not know what the numbers mean.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A layout that is being written.
#[derive(Default)]
pub(crate) struct Put(pub(crate) Vec<u8>);

impl Put {
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
    pub(crate) fn u32(self, number: u32) -> Self {
        self.bytes(&number.to_le_bytes())
    }
    pub(crate) fn u64(self, number: u64) -> Self {
        self.bytes(&number.to_le_bytes())
    }
    pub(crate) fn u128(self, number: u128) -> Self {
        self.bytes(&number.to_le_bytes())
    }
    /// The sum over everything so far.
    pub(crate) fn sum(self, seed: u64) -> Self {
        let sum = xxh3_64_with_seed(&self.0, seed);
        self.u64(sum)
    }
}

/// A layout that is being read; everything after its end is zero, so that a short one fails its sum.
pub(crate) struct Take<'a>(pub(crate) &'a [u8]);

impl Take<'_> {
    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let (taken, rest) = self.0.split_at(N.min(self.0.len()));
        array[..taken.len()].copy_from_slice(taken);
        self.0 = rest;
        array
    }
    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }
    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }
    pub(crate) fn u128(&mut self) -> u128 {
        u128::from_le_bytes(self.array())
    }
}

/// Does the sum that follows the first `covered` bytes belong to them?
pub(crate) fn sum_holds(bytes: &[u8], covered: usize, seed: u64) -> bool {
    let Some((body, rest)) = bytes.split_at_checked(covered) else { return false };
    rest.len() >= 8 && Take(rest).u64() == xxh3_64_with_seed(body, seed)
}

/// Can it be the number of anything that was ever written? What cannot is not believed, whatever sum it has: the next
/// one is counted from it.
pub(crate) const fn is_count(number: u64) -> bool {
    number <= u64::MAX / 2
}

/// A length as a number on disk.
pub(crate) fn wide(length: usize) -> u64 {
    u64::try_from(length).expect("an address has at most 64 bits")
}

/// A number on disk as a length; what no memory can hold is longer than everything.
pub(crate) fn narrow(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
