//! The clock of one replica: its offset, its drift, its jumps.
//!
//! Owns the mapping between the world's time and a replica's own, in both directions. A clock never goes
//! backwards. Must not know why a clock jumps. PROTOCOL F10.

use vr_core::{Time, Wait};

const MILLION: u64 = 1_000_000;

/// A clock that showed `own` at the world's time `base` and has run ever since.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Clock {
    base: Time,
    own: Time,
    /// How many parts in a million it runs fast; negative for slow.
    drift_ppm: i32,
}

impl Clock {
    /// A clock that shows `offset` at the world's time 0.
    #[must_use]
    pub const fn new(offset: Wait, drift_ppm: i32) -> Self {
        Self { base: Time::ZERO, own: Time(offset.0), drift_ppm }
    }

    /// What it shows at the world's time `now`.
    #[must_use]
    pub fn own(&self, now: Time) -> Time {
        let passed = now.since(self.base).0;
        let own = self.own.0.saturating_add(passed);
        if self.drift_ppm == 0 {
            return Time(own);
        }
        let gain = passed / MILLION * u64::from(self.drift_ppm.unsigned_abs())
            + passed % MILLION * u64::from(self.drift_ppm.unsigned_abs()) / MILLION;
        Time(if self.drift_ppm > 0 { own.saturating_add(gain) } else { own - gain.min(passed) })
    }

    /// The world's time at which it first shows `own` or later; the time it jumped to that, if it was passed over.
    #[must_use]
    pub fn world(&self, own: Time) -> Time {
        let ahead = own.since(self.own).0;
        if self.drift_ppm == 0 || ahead == 0 {
            return self.base.after(Wait(ahead));
        }
        let rate = MILLION.saturating_add_signed(i64::from(self.drift_ppm)).max(1);
        let exact = u128::from(ahead) * u128::from(MILLION) / u128::from(rate);
        let mut world = self.base.after(Wait(u64::try_from(exact).unwrap_or(u64::MAX).saturating_sub(2)));
        while world.0 != u64::MAX && self.own(world) < own {
            world = world.after(Wait(1));
        }
        world
    }

    /// Runs fast or slow by so much from the world's time `now` on.
    pub fn run(&mut self, now: Time, drift_ppm: i32) {
        self.jump(now, Wait::ZERO);
        self.drift_ppm = drift_ppm;
    }

    /// Jumps forward at the world's time `now`.
    pub fn jump(&mut self, now: Time, ahead: Wait) {
        self.own = self.own(now).after(ahead);
        self.base = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_drifts_shows_its_deadline_exactly_when_the_world_says_so() {
        for drift in [-100_000, -333, -1, 0, 1, 333, 100_000] {
            let mut clock = Clock::new(Wait::millis(77), drift);
            for deadline in [0, 1, 999, 77_000_000, 77_000_001, 123_456_789, 987_654_321_012] {
                let at = clock.world(Time(deadline));
                assert!(clock.own(at) >= Time(deadline));
                assert!(at.0 == 0 || clock.own(Time(at.0 - 1)) < Time(deadline), "{drift} {deadline} {at:?}");
            }
            clock.jump(Time(5_000), Wait(100));
        }
    }

    #[test]
    fn a_jump_goes_forward_and_drift_does_not_turn_a_clock_back() {
        let mut clock = Clock::new(Wait::ZERO, -500_000);
        let before = clock.own(Time(1000));
        clock.jump(Time(1000), Wait(10));
        assert_eq!(clock.own(Time(1000)), before.after(Wait(10)));
        let shown: Vec<_> = (1000..1100).map(|t| clock.own(Time(t))).collect();
        assert!(shown.is_sorted());
    }

    #[test]
    fn fast_and_slow_clocks_gain_and_lose_what_they_should() {
        assert_eq!(Clock::new(Wait::ZERO, 1000).own(Time(1_000_000_000)), Time(1_001_000_000));
        assert_eq!(Clock::new(Wait::ZERO, -1000).own(Time(1_000_000_000)), Time(999_000_000));
    }
}
