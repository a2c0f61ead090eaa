//! A small world whose every choice is a byte of a fuzzer.
//!
//! Owns the translation of bytes into a cluster and its decisions. Must not know a fuzzer: an ordinary test calls it
//! too. DESIGN 9.13, 9.19.

mod cluster;

pub use cluster::SETUP_BYTES;

use crate::case::Case;
use crate::decider::Decider;
use crate::run::{recorded, world_of};
use crate::setup::Setup;
use vr_core::{Durability, Wait};

/// What is made of an input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// A small cluster; each byte answers the next question, whatever it is about.
    Events,
    /// Any cluster; the departures of each kind of choice are spelt out.
    Schedule,
}

impl Target {
    /// The target of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Events, Self::Schedule].into_iter().find(|target| target.name() == name)
    }

    /// Its name, which is that of the fuzz target.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Schedule => "schedule",
        }
    }

    fn run_of(self, data: &[u8]) -> (Setup, Decider) {
        match self {
            Self::Events => {
                let (shape, decisions) = data.split_at_checked(2).unwrap_or((&[1, 0], data));
                (setup(shape[0], shape[1]), Decider::bytes(decisions))
            }
            Self::Schedule => {
                let (setup, rest) = cluster::of(data);
                (setup, Decider::script(rest))
            }
        }
    }

    /// Plays the world that `data` describes.
    ///
    /// # Panics
    /// When a property does not hold, or the core panics: that is what a fuzzer looks for.
    pub fn play(self, data: &[u8]) {
        let (setup, decider) = self.run_of(data);
        let mut world = world_of(&setup, decider);
        world.run();
        if let Some(violation) = world.violation() {
            panic!("{}: {}", violation.property, violation.message);
        }
        assert_eq!(world.undecided(), 0, "linearizability could not be decided");
    }

    /// The same as a case that `vr-sim replay` repeats, with what became of it.
    ///
    /// # Panics
    /// Never: what is recorded gives a case, also when it panics.
    #[must_use]
    pub fn case(self, data: &[u8]) -> Case {
        let (setup, decider) = self.run_of(data);
        let seed = setup.seed;
        *recorded(&setup, decider, seed).case.expect("it was recorded")
    }
}

/// Plays the world that `data` describes: the first two bytes are its shape, the rest its decisions.
///
/// # Panics
/// When a property does not hold, or the core panics: that is what a fuzzer looks for.
pub fn events(data: &[u8]) {
    Target::Events.play(data);
}

/// Plays the world that `data` describes: the first [`SETUP_BYTES`] are the cluster, six more each departure.
///
/// # Panics
/// When a property does not hold, or the core panics: that is what a fuzzer looks for.
pub fn schedule(data: &[u8]) {
    Target::Schedule.play(data);
}

fn setup(first: u8, second: u8) -> Setup {
    let replicas = u16::from(first % 5) + 1;
    let is_async = first >= 128 && replicas > 1;
    let durability = if is_async { Durability::Async } else { Durability::Sync };
    let mut setup = Setup::plain(replicas, durability);
    setup.seed = u64::from(second);
    setup.clients = u32::from(second % 3) + 1;
    setup.ops = 4;
    setup.heartbeat = Wait::millis(20);
    setup.latency = Wait::millis(2);
    setup.client_capacity = if second >= 128 { 1 } else { 8 };
    setup.batching.pipeline = u32::from(second % 4) + 1;
    setup.checkpoint_interval = 4;
    setup.think = setup.heartbeat.times(6);
    setup.client_timeout = setup.heartbeat.times(6);
    setup.safety = setup.heartbeat.times(40);
    setup.slot = setup.heartbeat;
    setup
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn an_input_and_the_case_that_is_made_of_it_are_the_same_run() {
        let mut rng = Rng::fork(2, "fuzz");
        for target in [Target::Events, Target::Schedule] {
            let data: Vec<u8> = (0..400).map(|_| rng.word().to_le_bytes()[0]).collect();
            let case = target.case(&data);
            assert!(!case.decisions.is_empty(), "{target:?}");
            let again = crate::run::run_case(&Case::read(&case.write()).unwrap());
            assert_eq!(again.digest, case.digest, "{target:?}");
            assert_eq!(Target::named(target.name()), Some(target));
        }
    }

    #[test]
    fn whatever_the_bytes_nothing_breaks() {
        events(&[]);
        events(&[7]);
        schedule(&[]);
        schedule(&[7; SETUP_BYTES]);
        let mut rng = Rng::fork(1, "fuzz");
        for length in [2, 10, 100, 1000, 4000] {
            for _ in 0..20 {
                let data: Vec<u8> = (0..length).map(|_| rng.word().to_le_bytes()[0]).collect();
                events(&data);
                schedule(&data[..length.min(200)]);
            }
        }
    }
}
