//! Where chance comes from: one ChaCha8 generator per concern, forked by name from the seed.
//!
//! Owns integer sampling; there is no floating point here. One concern drawing more than before does not move
//! the others. Must not know what is drawn. DESIGN 9.14.

use crate::digest::Digest;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// A stream of chance that is the same on every machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rng(ChaCha8Rng);

/// A probability, as a fraction of 2³².
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Chance(pub u32);

impl Chance {
    /// It does not happen.
    pub const NEVER: Self = Self(0);

    /// `parts` in `of`; certainty is as close to 1 as 2³² parts allow.
    ///
    /// # Panics
    /// When `of` is zero.
    #[must_use]
    pub fn of(parts: u32, of: u32) -> Self {
        let exact = (u64::from(parts.min(of)) << 32) / u64::from(of);
        Self(u32::try_from(exact).unwrap_or(u32::MAX))
    }

    /// So many in a thousand.
    #[must_use]
    pub fn per_mille(parts: u32) -> Self {
        Self::of(parts, 1000)
    }
}

impl Rng {
    /// The stream of this name of this seed.
    #[must_use]
    pub fn fork(seed: u64, name: &str) -> Self {
        let mut bytes = [0u8; 32];
        for (i, word) in (0u64..).zip(bytes.chunks_exact_mut(8)) {
            let mut digest = Digest::of(seed);
            digest.add_bytes(name.as_bytes());
            digest.add(i);
            word.copy_from_slice(&digest.value().to_le_bytes());
        }
        Self(ChaCha8Rng::from_seed(bytes))
    }

    /// Any number.
    pub fn word(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// Any number of 64 bits.
    pub fn wide(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`; zero when there is none.
    pub fn below(&mut self, bound: u32) -> u32 {
        let scaled = u64::from(self.word()) * u64::from(bound);
        u32::try_from(scaled >> 32).expect("shifted to 32 bits")
    }

    /// A number from `low` to `high`, both included.
    pub fn within(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// Does it happen this time? No draw at all when it never does.
    pub fn happens(&mut self, chance: Chance) -> bool {
        chance != Chance::NEVER && self.word() < chance.0
    }

    /// One of these.
    ///
    /// # Panics
    /// When there are none.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let bound = u32::try_from(from.len()).expect("lists to pick from are short");
        let at = self.below(bound);
        from[usize::try_from(at).expect("an index of a list")]
    }

    /// The index of one of these, each as likely as its weight; `None` when all weights are zero.
    pub fn weighted(&mut self, weights: &[u32]) -> Option<usize> {
        let total: u32 = weights.iter().sum();
        if total == 0 {
            return None;
        }
        let mut left = self.below(total);
        weights.iter().position(|weight| {
            let hit = left < *weight;
            left = left.wrapping_sub(*weight);
            hit
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_different_names_and_seeds_differ_and_the_same_one_repeats() {
        let of = |seed, name| Rng::fork(seed, name).wide();
        assert_eq!(of(7, "net"), of(7, "net"));
        assert_ne!(of(7, "net"), of(7, "disk"));
        assert_ne!(of(7, "net"), of(8, "net"));
        assert_eq!(of(1, "net"), 5_500_124_217_771_314_298, "a changed stream makes every seed another one");
    }

    #[test]
    fn samples_stay_inside_their_bounds_and_reach_them() {
        let mut rng = Rng::fork(1, "test");
        let mut seen = [0u32; 5];
        for _ in 0..1000 {
            seen[usize::try_from(rng.within(3, 7) - 3).unwrap()] += 1;
        }
        assert!(seen.iter().all(|n| *n > 120), "{seen:?}");
        assert_eq!(rng.below(1), 0);
        assert_eq!(rng.below(0), 0);
    }

    #[test]
    fn weights_are_kept_and_zero_is_never_picked() {
        let mut rng = Rng::fork(2, "test");
        let mut seen = [0u32; 4];
        (0..4000).for_each(|_| seen[rng.weighted(&[1, 0, 2, 1]).unwrap()] += 1);
        assert_eq!(seen[1], 0);
        assert!(seen[2] > 1800 && seen[2] < 2200, "{seen:?}");
        assert_eq!(rng.weighted(&[0, 0]), None);
    }

    #[test]
    fn a_chance_happens_about_as_often_as_it_says() {
        let mut rng = Rng::fork(3, "test");
        let hits = (0..10_000).filter(|_| rng.happens(Chance::per_mille(100))).count();
        assert!((900..1100).contains(&hits), "{hits}");
        assert!(!rng.happens(Chance::NEVER));
        assert!(rng.happens(Chance::of(1, 1)));
    }
}
