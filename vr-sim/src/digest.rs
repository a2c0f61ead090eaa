//! A fast hash that is the same everywhere: for run digests, service states and stable keys.
//!
//! Owns the mixing, nothing else. Not for anything an attacker chooses. Must not know what is hashed.

/// A running 64-bit hash of numbers and bytes, in the order they are given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Digest(u64);

const START: u64 = 0x243f_6a88_85a3_08d3;
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Digest {
    /// Nothing hashed yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(START)
    }

    /// Nothing hashed yet, in a family of its own.
    #[must_use]
    pub const fn of(seed: u64) -> Self {
        Self(START ^ avalanche(seed))
    }

    /// Adds a number.
    pub const fn add(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(23) ^ number).wrapping_mul(FACTOR);
    }

    /// Adds a number of 128 bits.
    pub fn add_wide(&mut self, number: u128) {
        let (low, high) = halves(number);
        self.add(low);
        self.add(high);
    }

    /// Adds bytes and how many they are.
    pub fn add_bytes(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in words.by_ref() {
            self.add(u64::from_le_bytes(word.try_into().expect("chunks of 8")));
        }
        let mut last = [0u8; 8];
        last[..words.remainder().len()].copy_from_slice(words.remainder());
        self.add(u64::from_le_bytes(last));
        self.add(u64::try_from(bytes.len()).expect("an address has at most 64 bits"));
    }

    /// The hash of everything added so far.
    #[must_use]
    pub const fn value(&self) -> u64 {
        avalanche(self.0)
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self::new()
    }
}

/// Spreads every bit of `x` over the whole word (splitmix64's finaliser: a permutation).
#[must_use]
pub const fn avalanche(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The low and the high half of a number.
#[must_use]
pub fn halves(number: u128) -> (u64, u64) {
    let low = u64::try_from(number & u128::from(u64::MAX)).expect("masked to 64 bits");
    let high = u64::try_from(number >> 64).expect("shifted to 64 bits");
    (low, high)
}

/// The number of which these are the low and the high half.
#[must_use]
pub const fn joined(low: u64, high: u64) -> u128 {
    // `u128::from` is not const; these two lines are it.
    let mut bytes = [0u8; 16];
    let (l, h) = (low.to_le_bytes(), high.to_le_bytes());
    let mut i = 0;
    while i < 8 {
        bytes[i] = l[i];
        bytes[i + 8] = h[i];
        i += 1;
    }
    u128::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_length_and_every_byte_matter() {
        let of = |parts: &[&[u8]]| {
            let mut digest = Digest::new();
            parts.iter().for_each(|p| digest.add_bytes(p));
            digest.value()
        };
        assert_ne!(of(&[b"a", b"b"]), of(&[b"b", b"a"]));
        assert_ne!(of(&[b"ab"]), of(&[b"a", b"b"]));
        assert_ne!(of(&[b"a\0"]), of(&[b"a"]));
        assert_eq!(of(&[b"12345678x"]), of(&[b"12345678x"]));
    }

    #[test]
    fn the_hash_is_the_same_on_every_machine() {
        let mut digest = Digest::new();
        digest.add(1);
        digest.add_bytes(b"viewstamped");
        assert_eq!(digest.value(), 15_065_324_540_525_754_457, "a changed hash makes every recorded digest foreign");
    }

    #[test]
    fn halves_and_joined_are_inverse() {
        let x = 0x0123_4567_89ab_cdef_1122_3344_5566_7788u128;
        let (low, high) = halves(x);
        assert_eq!(joined(low, high), x);
    }
}
