//! Leases, drawn: in some clusters the primary answers reads by its clock.
//!
//! Owns which clusters, for how long, on clocks how bad. What it draws has a stream of its own: all other seeds mean what they
//! meant. Must not know what a promise is. VRR §6.3; PROTOCOL 1.8, D83 to D87.

use super::{FaultSet, Options, add, spoil};
use crate::odds::{Fates, Odds};
use crate::rng::Rng;
use crate::setup::Setup;
use vr_core::{Lease, MessageKind};

/// One of so many clusters has a lease.
const LEASED: u32 = 8;
/// The faults that are jumps of clocks: a clock that jumps does not run as it may, and no lease is good for anything.
const JUMPS: [usize; 2] = [3, 4];

/// Draws a lease, if there is one.
pub(super) fn draw(seed: u64, setup: &mut Setup, odds: &mut Odds, options: &Options) {
    let mut rng = Rng::fork(seed, "leases");
    let is_drawn = rng.below(LEASED) == 0 || options.leases;
    if !is_drawn || setup.replicas + setup.spares < 2 {
        return;
    }
    let beats: u64 = rng.pick(&[1, 2, 3, 4, 8]);
    let drift_ppm = rng.pick(&[200, 10_000, 100_000]);
    let length = setup.heartbeat.times(beats.min(setup.view_change.0));
    setup.lease = Some(Lease { length, drift_ppm });
    for jump in JUMPS {
        odds.weights[jump] = 0;
    }
    if options.faults.clock {
        setup.drift_ppm = rng.pick(&[0, drift_ppm / 2, drift_ppm]);
    }
    // Reads that somebody has to answer, while primaries stand still and are cut off.
    (setup.mix.unlogged, setup.mix.get) = (setup.mix.unlogged.max(8), setup.mix.get.max(6));
    if options.faults == FaultSet::SWARM && rng.below(2) == 0 {
        add(odds, &mut rng, 40, &[(2, 4), (5, 3), (0, 2)]);
    }
    if options.faults.net && rng.below(3) == 0 {
        let (late, held) = (rng.pick(&[50, 300]), rng.pick(&[0, 100]));
        spoil(odds, &[MessageKind::CommitOk], Fates::per_mille([late, 20, 50, held, 0]));
    }
}
