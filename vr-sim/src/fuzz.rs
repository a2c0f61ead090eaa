//! A small world whose every choice is a byte of a fuzzer.
//!
//! Owns the translation of bytes into a cluster and its decisions. Must not know a fuzzer: an ordinary test calls it
//! too. DESIGN 9.13, 9.19.

use crate::decider::Decider;
use crate::run::world_of;
use crate::setup::Setup;
use vr_core::{Durability, Wait};

/// Plays the world that `data` describes: the first two bytes are its shape, the rest its decisions.
///
/// # Panics
/// When a property does not hold, or the core panics: that is what a fuzzer looks for.
pub fn events(data: &[u8]) {
    let (shape, decisions) = data.split_at_checked(2).unwrap_or((&[1, 0], data));
    let setup = setup(shape[0], shape[1]);
    let mut world = world_of(&setup, Decider::bytes(decisions));
    world.run();
    if let Some(violation) = world.violation() {
        panic!("{}: {}", violation.property, violation.message);
    }
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
    fn whatever_the_bytes_nothing_breaks() {
        events(&[]);
        events(&[7]);
        let mut rng = Rng::fork(1, "fuzz");
        for length in [2, 10, 100, 1000, 4000] {
            for _ in 0..20 {
                let data: Vec<u8> = (0..length).map(|_| rng.word().to_le_bytes()[0]).collect();
                events(&data);
            }
        }
    }
}
