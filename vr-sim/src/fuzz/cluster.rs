//! The first bytes of an input as a cluster: each picks one of a few figures, so that a changed byte changes little.
//!
//! Owns the tables. Must not know decisions. They are not the swarm's: an input is to mean the same when that changes.

use crate::setup::Setup;
use vr_core::{Durability, MESSAGE_OVERHEAD_BYTES, Wait};

/// So many bytes are the cluster.
pub const SETUP_BYTES: usize = 8;

/// The cluster, and what is left.
pub(super) fn of(data: &[u8]) -> (Setup, &[u8]) {
    let (given, rest) = data.split_at(SETUP_BYTES.min(data.len()));
    let mut bytes = [0; SETUP_BYTES];
    bytes[..given.len()].copy_from_slice(given);
    let [size, calls, network, disk, batching, bytes_most, sessions, clock] = bytes;
    let replicas = pick(size, &[3, 3, 5, 2, 4, 1, 6, 7]);
    let is_async = size >= 128 && replicas > 1;
    let mut setup = Setup::plain(replicas, if is_async { Durability::Async } else { Durability::Sync });
    setup.heartbeat = Wait::millis(20);
    let heartbeat = setup.heartbeat;
    let part = |of: u64| Wait(heartbeat.0 / of);
    setup.latency = part(pick(network, &[20, 200, 50, 8, 4]));
    setup.latency_spread = pick(network / 5, &[0, 300, 1000]);
    setup.sync = part(pick(disk, &[100, 500, 20, 8, 3]));
    setup.execute = pick(disk / 5, &[Wait::ZERO, part(100), part(8)]);
    setup.slot = part(2);
    setup.safety = heartbeat.times(80);
    setup.clients = pick(calls, &[2, 1, 3, 4]);
    setup.ops = pick(calls / 4, &[6, 2, 12, 20]);
    setup.client_timeout = heartbeat.times(pick(calls / 16, &[6, 3, 20]));
    let pause = Wait(setup.safety.0 / u64::from(setup.ops + 1) * 2);
    setup.think = pick(calls / 48, &[pause, setup.latency]);
    setup.checkpoint_interval = pick(batching, &[4, 1, 3, 16]);
    setup.batching.pipeline = pick(batching / 4, &[1, 2, 4]);
    setup.batching.batch_entries = pick(batching / 12, &[8, 1, 2, 64]);
    setup.batching.queue_entries = pick(batching / 48, &[64, 1, 4]);
    setup.max_request_bytes = 256;
    setup.max_message_bytes = MESSAGE_OVERHEAD_BYTES + pick(bytes_most, &[1 << 20, 256, 336, 700, 4096]);
    setup.mix.keys = pick(bytes_most / 5, &[2, 1, 3]);
    let clients = setup.clients;
    setup.client_capacity = pick(sessions, &[64, clients, clients.max(2) - 1, clients + 2]);
    setup.in_step = pick(sessions / 4, &[false, true]);
    setup.together = pick(sessions / 8, &[false, true]);
    setup.crash_budget = pick(sessions / 16, &[true, false]);
    setup.drift_ppm = pick(clock, &[0, 50, 10_000]);
    if pick(clock / 3, &[false, true]) {
        (setup.view_change, setup.abdicate) = ((4, 8), 5);
    }
    setup.seed = u64::from(clock / 6);
    (setup, rest)
}

fn pick<T: Copy>(byte: u8, among: &[T]) -> T {
    among[usize::from(byte) % among.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cluster_that_bytes_can_spell_is_one() {
        assert_eq!(of(&[]).0.validate(), Ok(()));
        for at in 0..SETUP_BYTES {
            for byte in 0..=255 {
                let mut bytes = [0; SETUP_BYTES];
                bytes[at] = byte;
                let (setup, rest) = of(&bytes);
                assert_eq!((setup.validate(), rest), (Ok(()), &[][..]));
            }
        }
    }
}
