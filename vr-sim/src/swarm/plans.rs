//! What an operator wants, drawn: groups that grow, shrink, and replace one, several or all of their members.
//!
//! Owns the distribution of [`Plan`]s. Must not know faults: whatever else a seed drew befalls its reconfigurations.
//! VRR §7; PROTOCOL §2 W5.

use crate::plan::Plan;
use crate::rng::Rng;
use crate::setup::Setup;
use vr_core::{Durability, Wait};

/// A group does not grow beyond this, unless it began larger.
const MEMBERS_MAX: usize = 7;
/// So many replicas are added in one run at most.
const ADDED_MAX: u16 = 10;

/// Draws a plan and the replicas that it needs.
pub(super) fn plan(setup: &mut Setup, rng: &mut Rng) {
    let steps: u32 = rng.pick(&[1, 1, 2, 2, 3, 3, 4, 6]);
    let mut members: Vec<u16> = (0..setup.replicas).collect();
    let mut next = setup.replicas;
    let mut groups = Vec::new();
    for _ in 0..steps {
        let before = members.clone();
        change(&mut members, &mut next, setup, rng);
        if members != before {
            groups.push(members.clone());
        }
    }
    if groups.is_empty() {
        return;
    }
    setup.spares = next - setup.replicas;
    // The operator has a session, too.
    setup.client_capacity += 1;
    let share = Wait(setup.safety.0 / (u64::from(steps) + 1));
    let pause = rng.pick(&[setup.heartbeat.times(2), Wait(share.0 / 3), share, share.times(2)]);
    let late = rng.pick(&[Wait::ZERO, Wait::ZERO, share, Wait(setup.safety.0 / 2)]);
    setup.plan = Some(Plan { groups, pause, late, dismisses: rng.below(2) == 0 });
}

/// One step: add, remove, replace one, several or all, or only another order.
fn change(members: &mut Vec<u16>, next: &mut u16, setup: &Setup, rng: &mut Rng) {
    let most = MEMBERS_MAX.max(setup.replicas.into());
    let least = if setup.durability == Durability::Sync { 1 } else { 2 };
    let (out, new) = match rng.weighted(&[4, 3, 5, 3, 2, 3, 3, 1]) {
        Some(0) => (0, 1),
        Some(1) => (1, 0),
        Some(2) => (1, 1),
        Some(3) => (2, 2),
        Some(4) => (members.len(), members.len()),
        Some(5) => (0, 2),
        Some(6) => (2, 0),
        Some(_) | None => (0, 0),
    };
    let left = usize::from(ADDED_MAX.saturating_sub(*next - setup.replicas));
    let new = new.min(left);
    if members.len() < out || members.len() + new > most + out || members.len() + new < least + out {
        return;
    }
    let in_place = rng.below(2) == 0;
    let mut places = Vec::new();
    for _ in 0..out {
        let at = index(rng, members.len());
        members.remove(at);
        places.push(at);
    }
    for _ in 0..new {
        let at = places.pop().filter(|_| in_place).unwrap_or(members.len());
        members.insert(at.min(members.len()), *next);
        *next += 1;
    }
    if new + out == 0 {
        members.rotate_left(1);
    }
}

fn index(rng: &mut Rng, of: usize) -> usize {
    let at = rng.below(u32::try_from(of).expect("few members"));
    usize::try_from(at).expect("an index")
}
