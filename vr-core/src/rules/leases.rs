//! The rules of leases, each under its sentence, as in `rules`.
//!
//! Owns for how long a primary may count on a promise, what keeps one, and what ends it. Must not know how a replica is built
//! or what it sends. Paper: VRR §6.3; PROTOCOL 1.8, D83 to D87.
//!
//! The bound. A heartbeat leaves at the moment s and arrives at r ≥ s. Whoever answers it promises L on a clock that may run
//! fast by ρ: nothing happens before r + L/(1+ρ), so before s + L/(1+ρ), by the real time. The primary measures from s on a
//! clock that may be slow by ρ: when that shows a span D, up to D/(1−ρ) has passed. D = L·(1−ρ)/(1+ρ) is safe, and nothing
//! longer is. (PROTOCOL 1.8 says L·(1−ρ), which is enough if ρ bounds how far two clocks drift apart. A host knows how
//! well its own clock runs.)

use super::Rules;
use crate::id::{Time, View, Wait};
use crate::lease::Lease;

const MILLION: u128 = 1_000_000;

/// Leases (PROTOCOL 1.8).
impl Rules {
    /// A primary counts from when the heartbeat left that was answered: when the answer comes, an unknown part of the promise is
    /// over (D83).
    pub(crate) fn lease_counts_from(self, sent: Time, answered: Time) -> Time {
        if planted!(self, LeaseFromReceipt) { answered } else { sent }
    }

    /// It counts on less than was promised: its clock may be slow, and that of whoever promised fast (D83).
    pub(crate) fn lease_span(self, Lease { length, drift_ppm }: Lease) -> Wait {
        let drift = u128::from(drift_ppm);
        let span = u128::from(length.0) * MILLION.saturating_sub(drift) / (MILLION + drift);
        if planted!(self, LeaseNoDrift) { length } else { Wait(u64::try_from(span).unwrap_or(length.0)) }
    }

    /// While a promise stands nobody reports for a later view, to another or to itself (D84).
    pub(crate) fn may_report(self, has_promised: bool) -> bool {
        !has_promised || planted!(self, LeaseIgnored)
    }

    /// A promise is measured from the first look at the clock after it was made: the look before may be old by any time for which
    /// its process stood still in between, and what is answered may have come then (D85).
    pub(crate) fn measures_promise_later(self) -> bool {
        !planted!(self, LeaseFromOldLook)
    }

    /// Whoever is heard in a later view than that of a promise releases from it if it was made to them: they have left. What
    /// others do says nothing (D84).
    pub(crate) fn releases(self, holder: bool, of: View, heard: View) -> bool {
        heard > of && (holder || planted!(self, LeaseLetGo))
    }

    /// Promises are forgotten in a crash. Whoever lived before may have made one at the end of that life, and keeps it (D86).
    pub(crate) fn keeps_forgotten_promises(self, lived_before: bool) -> bool {
        lived_before && !planted!(self, LeaseAmnesia)
    }

    /// With the entry that ends the epoch in its log a primary holds no lease any more: the next epoch begins without
    /// reports (D87).
    pub(crate) fn lease_ends(self, is_last_of_epoch: impl FnOnce() -> bool) -> bool {
        !planted!(self, LeaseAcrossEpochs) && is_last_of_epoch()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_clock_shows_less_than_a_fast_one_has_promised() {
        for (length, drift_ppm) in [(400_000_000, 0), (400_000_000, 200), (123_456_789, 100_000), (1, 499_999), (7, 1)]
        {
            let span = Rules::default().lease_span(Lease { length: Wait(length), drift_ppm }).0;
            let drift = u128::from(drift_ppm);
            // In real time, both times (10⁶ − ρ)·(10⁶ + ρ).
            let held = |span: u64| u128::from(span) * (MILLION + drift);
            let promised = u128::from(length) * (MILLION - drift);
            assert!(held(span) <= promised && held(span + 1) > promised, "{length} {drift_ppm}");
        }
        let longest = Lease { length: Wait(u64::MAX), drift_ppm: 0 };
        assert_eq!(Rules::default().lease_span(longest), longest.length);
    }
}
