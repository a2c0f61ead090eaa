//! What the simulator costs: worlds of known shape, counted. The clock on the wall is the caller's.
//!
//! Owns the two configurations that are measured. Must not know a wall clock: it counts what was simulated, the
//! caller divides by the time that took. What is measured in virtual time is [`availability`].

pub mod availability;

use crate::decider::Decider;
use crate::run::{run_seed, world_of};
use crate::setup::Setup;
use crate::swarm::Options;
use vr_core::{Durability, Wait};

/// What was simulated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Work {
    /// Virtual time, in nanoseconds.
    pub virtual_ns: u64,
    /// Steps of replicas.
    pub steps: u64,
    /// Messages delivered between replicas.
    pub messages: u64,
    /// Operations acknowledged to clients.
    pub acked_ops: u64,
    /// Runs in which a property did not hold, which is never.
    pub failures: u64,
}

impl Work {
    /// Adds other work.
    pub const fn add(&mut self, other: Self) {
        self.virtual_ns += other.virtual_ns;
        self.steps += other.steps;
        self.messages += other.messages;
        self.acked_ops += other.acked_ops;
        self.failures += other.failures;
    }

    /// How many of something a core does in a second when it takes `core_ns` for all of them.
    #[must_use]
    pub fn per_core_second(count: u64, core_ns: u64) -> u64 {
        let rate = u128::from(count) * 1_000_000_000 / u128::from(core_ns.max(1));
        u64::try_from(rate).unwrap_or(u64::MAX)
    }
}

/// Swarm seeds with all faults and all checkers on: for steps and messages per core-second.
#[must_use]
pub fn swarm(seeds: std::ops::Range<u64>) -> Work {
    let mut work = Work::default();
    for seed in seeds {
        let outcome = run_seed(&Options::default(), seed);
        work.add(Work {
            virtual_ns: outcome.virtual_ns,
            steps: outcome.steps,
            messages: outcome.messages,
            acked_ops: outcome.acked_ops,
            failures: u64::from(!outcome.passed()),
        });
    }
    work
}

/// How many operations a second the calm group acknowledges.
const OPS_PER_SECOND: u32 = 20;

/// Three replicas with heartbeats of 50 ms and 20 operations a second, all checkers on, no faults: for virtual
/// seconds per core-second.
///
/// # Panics
/// Never: the setup is valid.
#[must_use]
pub fn calm(virtual_seconds: u32) -> Work {
    let mut setup = Setup::plain(3, Durability::Sync);
    setup.clients = OPS_PER_SECOND;
    setup.ops = virtual_seconds;
    setup.think = Wait::millis(1000);
    setup.in_step = true;
    setup.safety = Wait::millis(1000).times(u64::from(virtual_seconds));
    setup.slot = setup.safety;
    setup.checkpoint_interval = 1024;
    let mut world = world_of(&setup, Decider::recorded(&[]));
    world.allow_steps(u64::MAX);
    world.run();
    Work {
        virtual_ns: world.now().0,
        steps: world.steps(),
        messages: world.messages(),
        acked_ops: world.acked(),
        failures: u64::from(world.violation().is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calm_group_acknowledges_what_it_should_and_nothing_fails() {
        let work = calm(20);
        assert_eq!(work.failures, 0);
        assert!(work.acked_ops >= 20 * u64::from(OPS_PER_SECOND), "{work:?}");
        assert!(swarm(0..3).steps > 1000);
    }
}
