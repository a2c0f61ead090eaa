//! Leases, drawn: in some clusters the primary answers reads by its clock.
//!
//! Owns which clusters, for how long, on clocks how bad. What it draws has a stream of its own: all other seeds mean what they
//! meant. Must not know what a promise is. VRR §6.3; PROTOCOL 1.8, D83 to D87.

use super::{FaultSet, Options, add, spoil};
use crate::odds::{Fates, Odds};
use crate::rng::{Chance, Rng};
use crate::setup::Setup;
use vr_core::{Lease, MessageKind, Wait};

/// One of so many clusters has a lease.
const LEASED: u32 = 6;
/// Clocks at their worst run fast or slow by so many parts in a million.
const WILD: u32 = 200_000;
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
    if rng.below(2) == 0 {
        tempt(&mut rng, setup, odds, options);
    }
}

/// All that must come together for somebody to read what is old: a lease as long as patience, many who read all the time, votes
/// that arrive long after whoever cast them has heard its primary again, and a primary that hears of no other view.
fn tempt(rng: &mut Rng, setup: &mut Setup, odds: &mut Odds, options: &Options) {
    // Whoever is far apart has little patience already, and needs that it differs.
    if setup.latency < setup.heartbeat {
        let patience = rng.pick(&[4, 8]);
        setup.view_change = (patience, patience + rng.pick(&[0, 1]));
    }
    let length = setup.heartbeat.times(setup.view_change.0);
    let are_wild = options.faults.clock && rng.below(3) == 0;
    if let Some(lease) = &mut setup.lease {
        lease.length = length;
        if are_wild {
            (lease.drift_ppm, setup.drift_ppm) = (WILD, WILD);
        }
    }
    if options.faults.crash && rng.below(2) == 0 {
        odds.strike_after_promise = Chance::per_mille(rng.pick(&[5, 20]));
        odds.instant_restart = Chance::per_mille(900);
    }
    setup.clients = setup.clients.max(3);
    setup.ops = rng.pick(&[120u32, 240]).div_ceil(setup.clients);
    setup.think = Wait(setup.safety.0 / u64::from(setup.ops + 1) * 2);
    (setup.mix.unlogged, setup.mix.get) = (16, setup.mix.get.max(40));
    if options.faults.net {
        let (lost, held) = (rng.pick(&[0, 200, 500]), rng.pick(&[0, 300, 600]));
        spoil(odds, &[MessageKind::Commit], Fates::per_mille([50, lost, 20, 0, 0]));
        spoil(odds, &[MessageKind::StartViewChange], Fates::per_mille([50, 20, 20, held, 0]));
        spoil(odds, &[MessageKind::StartView], Fates::per_mille([50, rng.pick(&[0, 500]), 20, 0, 0]));
        spoil(odds, &[MessageKind::CommitOk], Fates::per_mille([100, 20, 20, rng.pick(&[0, 200]), 0]));
    }
    if options.faults == FaultSet::SWARM {
        add(odds, rng, 80, &[(2, 4), (5, 4), (6, 6), (0, 2)]);
    }
}
