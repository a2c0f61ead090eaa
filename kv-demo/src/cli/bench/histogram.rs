//! Latencies in little memory: buckets that grow with what they hold, at most 1 % wide.
//!
//! Owns the counting. No floating point until a figure is shown. Must not know what is measured.

use std::time::Duration;

/// Sub-buckets of each power of two, as a power of two.
const PRECISION: u32 = 7;
const PER_POWER: usize = 1 << PRECISION;

/// A histogram of durations.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    count: u64,
    longest: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; PER_POWER * 58], count: 0, longest: 0 }
    }
}

/// In which bucket a number of nanoseconds is counted.
fn bucket_of(ns: u64) -> usize {
    let power = (u64::BITS - ns.leading_zeros()).saturating_sub(PRECISION + 1);
    let within = usize::try_from(ns >> power).unwrap_or(usize::MAX);
    usize::try_from(power).unwrap_or(0) * PER_POWER + within
}

/// The longest duration that a bucket holds.
fn end_of(bucket: usize) -> u64 {
    if bucket < 2 * PER_POWER {
        return u64::try_from(bucket).unwrap_or(u64::MAX);
    }
    let power = bucket / PER_POWER - 1;
    let within = u64::try_from(bucket - power * PER_POWER).unwrap_or(u64::MAX);
    within.checked_add(1).and_then(|next| next.checked_mul(1 << power)).map_or(u64::MAX, |next| next - 1)
}

impl Histogram {
    /// Counts one.
    pub(super) fn add(&mut self, duration: Duration) {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.longest = self.longest.max(ns);
        self.count += 1;
        if let Some(count) = self.counts.get_mut(bucket_of(ns)) {
            *count += 1;
        }
    }

    /// Counts what another counted.
    pub(super) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.longest = self.longest.max(other.longest);
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
    }

    /// How many were counted.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// The longest.
    pub(super) const fn longest(&self) -> Duration {
        Duration::from_nanos(self.longest)
    }

    /// What so many of a thousand did not exceed.
    pub(super) fn per_mille(&self, share: u64) -> Duration {
        let rank = self.count.saturating_mul(share).div_ceil(1000).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(end_of(bucket).min(self.longest));
            }
        }
        self.longest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_is_in_a_bucket_that_is_at_most_one_percent_wide() {
        let mut ns = 0u64;
        while ns < u64::MAX / 3 {
            let end = end_of(bucket_of(ns));
            assert!(end >= ns && end - ns <= ns / 100 + 1, "{ns} is counted as {end}");
            ns = ns + ns / 97 + 1;
        }
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_list() {
        let (mut all, mut half) = (Histogram::default(), Histogram::default());
        for us in 1..=500 {
            all.add(Duration::from_micros(us));
            half.add(Duration::from_micros(us + 500));
        }
        all.merge(&half);
        for (share, us) in [(500, 500), (900, 900), (990, 990), (999, 999), (1000, 1000)] {
            let got = all.per_mille(share).as_nanos();
            assert!((us * 1000..=us * 1010).contains(&got), "{share} per mille: {got} ns");
        }
        assert_eq!((all.count(), all.longest()), (1000, Duration::from_millis(1)));
        assert_eq!(Histogram::default().per_mille(500), Duration::ZERO);
    }
}
