//! Witnesses, drawn: some clusters have members that hold no state.
//!
//! Owns which clusters and which members. What it draws has a stream of its own: all other seeds mean what they meant.
//! Must not know faults. VRR §6.1; PROTOCOL 1.10.

use super::{Options, spoil};
use crate::odds::{Fates, Odds};
use crate::rng::Rng;
use crate::setup::Setup;
use vr_core::{Durability, MessageKind, faults_tolerated};

/// One of so many clusters has witnesses, if its group does not change.
const WITNESSED: u32 = 8;

/// Draws who is a witness, if anybody is.
pub(super) fn draw(seed: u64, setup: &mut Setup, odds: &mut Odds, options: &Options) {
    let mut rng = Rng::fork(seed, "witnesses");
    let is_drawn = rng.below(WITNESSED) == 0 || options.witnesses;
    if !is_drawn || setup.plan.is_some() {
        return;
    }
    let least = if setup.durability == Durability::Sync { 1 } else { 2 };
    let full = u16::try_from(faults_tolerated(setup.replicas.into()) + 1).unwrap_or(setup.replicas).max(least);
    let Some(most) = setup.replicas.checked_sub(full).filter(|most| *most > 0) else { return };
    // Mostly as many as there may be: then the state is where it is needed most.
    let some = if rng.below(3) == 0 { 1 + rng.below(u32::from(most)) } else { u32::from(most) };
    let mut all: Vec<u16> = (0..setup.replicas).collect();
    for _ in 0..some {
        let at = usize::try_from(rng.below(u32::try_from(all.len()).unwrap_or(1))).unwrap_or(0);
        setup.witnesses.push(all.remove(at));
    }
    setup.witnesses.sort_unstable();
    // Logs that are cut, and members that are behind where they are.
    if rng.below(2) == 0 {
        setup.checkpoint_interval = rng.pick(&[1, 3, 8]);
    }
    if options.faults.net && rng.below(3) == 0 {
        let (lost, held) = (rng.pick(&[100, 500]), rng.pick(&[0, 100]));
        spoil(odds, &[MessageKind::CheckpointDurable], Fates::per_mille([50, lost, 50, held, 0]));
    }
}
