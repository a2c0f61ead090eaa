//! The trail of a run: its digest every so many events, so that a replay that goes another way says where it left.
//!
//! Owns where samples are taken and how two trails are compared. Must not know what a run is. DESIGN 9.13.

use serde::{Deserialize, Serialize};

/// No trail has more samples; they lie further apart instead.
const SAMPLES_MAX: usize = 64;

/// A moment of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// So many steps of replicas were done.
    pub steps: u64,
    /// The hash of everything that happened so far.
    #[serde(with = "crate::case::text")]
    pub digest: u64,
}

/// Samples at equal distances.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trail {
    /// So many events of the world lie between two of them.
    every: u64,
    samples: Vec<Sample>,
}

/// Follows a run: either leaves a trail, or compares it with one.
#[derive(Clone, Debug)]
pub struct Tracker {
    trail: Trail,
    events: u64,
}

impl Default for Tracker {
    fn default() -> Self {
        Self { trail: Trail { every: 1, samples: Vec::new() }, events: 0 }
    }
}

impl Tracker {
    /// One more event happened. Where it is time for a sample, `now` is asked for it.
    pub fn pass(&mut self, now: impl FnOnce() -> Sample) {
        self.events += 1;
        if !self.events.is_multiple_of(self.trail.every) {
            return;
        }
        self.trail.samples.push(now());
        if self.trail.samples.len() > SAMPLES_MAX {
            // Every second one stays: those of twice the distance.
            let mut place = 0;
            self.trail.samples.retain(|_| {
                place += 1;
                place % 2 == 0
            });
            self.trail.every *= 2;
        }
    }

    /// What it left.
    #[must_use]
    pub fn into_trail(self) -> Trail {
        self.trail
    }
}

/// Where a run left the trail of another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Divergence {
    /// Through this step they were the same.
    pub same_through_step: u64,
    /// At this step of the recorded run, at the latest, they were not.
    pub by_step: u64,
}

/// Compares a run with a trail.
#[derive(Clone, Debug)]
pub struct Follower<'a> {
    trail: &'a Trail,
    events: u64,
    place: usize,
    divergence: Option<Divergence>,
}

impl<'a> Follower<'a> {
    /// Begins where the trail begins.
    #[must_use]
    pub const fn new(trail: &'a Trail) -> Self {
        Self { trail, events: 0, place: 0, divergence: None }
    }

    /// One more event happened.
    pub fn pass(&mut self, digest: impl FnOnce() -> u64) {
        self.events += 1;
        if self.divergence.is_some() || !self.events.is_multiple_of(self.trail.every) {
            return;
        }
        let Some(sample) = self.trail.samples.get(self.place) else { return };
        self.place += 1;
        if sample.digest != digest() {
            self.divergence = Some(self.left(sample.steps));
        }
    }

    fn left(&self, by_step: u64) -> Divergence {
        let before = self.place.checked_sub(2).and_then(|place| self.trail.samples.get(place));
        Divergence { same_through_step: before.map_or(0, |sample| sample.steps), by_step }
    }

    /// Where it left the trail, if it did: at the latest where it ended while the trail goes on.
    #[must_use]
    pub fn divergence(mut self) -> Option<Divergence> {
        if self.divergence.is_none() {
            let next = self.trail.samples.get(self.place)?;
            self.place += 1;
            self.divergence = Some(self.left(next.steps));
        }
        self.divergence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of so many events, whose digest changes from the event `odd` on.
    fn digest(event: u64, odd: u64) -> u64 {
        if event < odd { event } else { event + 1_000_000 }
    }

    fn trail(events: u64) -> Trail {
        let mut tracker = Tracker::default();
        for event in 1..=events {
            tracker.pass(|| Sample { steps: event * 2, digest: digest(event, u64::MAX) });
        }
        tracker.into_trail()
    }

    fn follow(trail: &Trail, events: u64, odd: u64) -> Option<Divergence> {
        let mut follower = Follower::new(trail);
        for event in 1..=events {
            follower.pass(|| digest(event, odd));
        }
        follower.divergence()
    }

    #[test]
    fn the_same_run_stays_on_its_trail_and_a_trail_stays_short() {
        for events in [0, 1, 63, 64, 65, 1000, 12_345] {
            let trail = trail(events);
            assert!(trail.samples.len() <= SAMPLES_MAX);
            assert!(trail.samples.len() >= SAMPLES_MAX / 2 || events < 64, "{events}: {}", trail.samples.len());
            assert_eq!(follow(&trail, events, u64::MAX), None, "{events}");
        }
    }

    #[test]
    fn where_a_run_leaves_the_trail_lies_between_two_samples() {
        let trail = trail(1000);
        for odd in [1, 2, 500, 990] {
            let found = follow(&trail, 1000, odd).unwrap_or_else(|| panic!("{odd}: it stayed"));
            assert!(found.same_through_step < odd * 2 && odd * 2 <= found.by_step, "{odd}: {found:?}");
            assert!(found.by_step - found.same_through_step <= 2 * trail.every, "{odd}: {found:?}");
        }
    }

    #[test]
    fn a_run_that_ends_early_left_the_trail() {
        let found = follow(&trail(40), 10, u64::MAX).expect("it ended");
        assert_eq!(found, Divergence { same_through_step: 20, by_step: 22 });
    }
}
