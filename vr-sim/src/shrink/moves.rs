//! The steps of the shrinker: what a simpler cluster is, and what a plainer decision.
//!
//! Owns the order of simplifications and how odd a cluster is. Must not know how a candidate is judged. DESIGN 9.13.

use crate::decider::{ChoiceKind, Decision};
use crate::fate::Fate;
use crate::setup::Setup;
use crate::workload::Mix;
use vr_core::{Batching, Wait};

/// A setup and the moment of the failure give a simpler setup, or nothing when it is as simple as it can be.
type Simpler = fn(&Setup, u64) -> Option<Setup>;

/// In this order; each is repeated for as long as it succeeds.
pub(super) const SETUP: [Simpler; 19] = [
    |setup, at| {
        let end = Wait(at.saturating_add(1_000_000));
        (setup.safety > end).then(|| Setup { safety: end, ..setup.clone() })
    },
    |setup, _| changed(setup, |setup| (setup.plan, setup.spares) = (None, 0)),
    |setup, _| changed(setup, shorten),
    |setup, _| changed(setup, |setup| setup.plan.iter_mut().for_each(|plan| plan.dismisses = false)),
    |setup, _| changed(setup, |setup| setup.plan.iter_mut().for_each(|plan| plan.late = Wait::ZERO)),
    |setup, _| fewer(setup, setup.replicas / 2, |setup, n| setup.replicas = n, setup.replicas),
    |setup, _| fewer(setup, setup.replicas.saturating_sub(1), |setup, n| setup.replicas = n, setup.replicas),
    |setup, _| fewer(setup, setup.clients / 2, |setup, n| setup.clients = n, setup.clients),
    |setup, _| fewer(setup, setup.clients.saturating_sub(1), |setup, n| setup.clients = n, setup.clients),
    |setup, _| fewer(setup, setup.ops / 2, |setup, n| setup.ops = n, setup.ops),
    |setup, _| fewer(setup, setup.ops.saturating_sub(1), |setup, n| setup.ops = n, setup.ops),
    |setup, _| changed(setup, |setup| setup.latency_spread = 0),
    |setup, _| changed(setup, |setup| setup.drift_ppm = 0),
    |setup, _| changed(setup, |setup| setup.execute = Wait::ZERO),
    |setup, _| changed(setup, |setup| setup.in_step = false),
    |setup, _| changed(setup, |setup| setup.together = false),
    |setup, _| changed(setup, |setup| setup.batching = Batching::default()),
    |setup, _| changed(setup, |setup| setup.mix = Mix::default()),
    |setup, _| {
        let plain = Setup::plain(setup.replicas, setup.durability);
        changed(setup, |setup| {
            (setup.max_message_bytes, setup.max_request_bytes) = (plain.max_message_bytes, plain.max_request_bytes);
        })
    },
];

/// The last group of the plan is not asked for, and who is only in that is not there.
fn shorten(setup: &mut Setup) {
    let Some(plan) = setup.plan.as_mut().filter(|plan| plan.groups.len() > 1) else { return };
    plan.groups.pop();
    let last = plan.groups.iter().flatten().copied().max().unwrap_or(0);
    setup.spares = (last + 1).saturating_sub(setup.replicas);
}

fn fewer<N: PartialOrd + From<u8>>(setup: &Setup, n: N, set: fn(&mut Setup, N), now: N) -> Option<Setup> {
    if n < N::from(1) || n >= now {
        return None;
    }
    let mut fewer = setup.clone();
    set(&mut fewer, n);
    Some(fewer)
}

fn changed(setup: &Setup, change: impl FnOnce(&mut Setup)) -> Option<Setup> {
    let mut simpler = setup.clone();
    change(&mut simpler);
    (simpler != *setup).then_some(simpler)
}

/// How many things about a cluster are not as in a plain one.
pub(super) fn oddities(setup: &Setup) -> u64 {
    let plain = Setup::plain(setup.replicas, setup.durability);
    let odd = [
        setup.latency_spread != 0,
        setup.drift_ppm != 0,
        setup.execute != Wait::ZERO,
        setup.in_step,
        setup.together,
        setup.batching != plain.batching,
        setup.mix != plain.mix,
        setup.max_message_bytes != plain.max_message_bytes,
        setup.max_request_bytes != plain.max_request_bytes,
        setup.plan.as_ref().is_some_and(|plan| plan.dismisses),
        setup.plan.as_ref().is_some_and(|plan| plan.late != Wait::ZERO),
    ];
    let epochs = setup.plan.as_ref().map_or(0, |plan| plan.groups.len());
    let odd = odd.into_iter().filter(|is_odd| *is_odd).count() + epochs;
    // A run that goes on for long after the failure is odd as well; hours of it, in minutes.
    u64::try_from(odd).unwrap_or(u64::MAX).saturating_mul(1 << 32).saturating_add(setup.safety.0 / 1_000_000)
}

/// Values that are plainer than this one, the plainest first.
pub(super) fn plainer(kind: ChoiceKind, value: u32) -> Vec<u32> {
    let is_fate = matches!(kind, ChoiceKind::Message(_) | ChoiceKind::Request | ChoiceKind::Answer);
    let mut values = if is_fate {
        // Lost says most with least; then the least of whatever it is.
        let (kind, amount) = fate(value);
        vec![Fate::code(1, 0), Fate::code(kind, 0), Fate::code(kind, amount / 2)]
    } else {
        vec![1, value / 4, value / 2, value - value / 4, value.saturating_sub(1)]
    };
    values.retain(|plainer| *plainer != 0 && weigh(kind, *plainer) < weigh(kind, value));
    values.dedup();
    values
}

/// How far from plain a decision is.
pub(super) fn weight(decision: &Decision) -> u32 {
    weigh(decision.kind, decision.value)
}

fn weigh(kind: ChoiceKind, value: u32) -> u32 {
    if !matches!(kind, ChoiceKind::Message(_) | ChoiceKind::Request | ChoiceKind::Answer) {
        return value;
    }
    let (kind, amount) = fate(value);
    // A loss has no amount that matters.
    if kind == 1 { 0 } else { 256 * (1 + kind) + amount }
}

/// The kind of departure and its amount.
const fn fate(value: u32) -> (u32, u32) {
    let rest = value.saturating_sub(1);
    (rest / 256, rest % 256)
}

#[cfg(test)]
mod tests {
    use super::*;
    use vr_core::{Durability, MessageKind};

    #[test]
    fn every_plainer_value_weighs_less_so_that_shrinking_ends() {
        for kind in [ChoiceKind::Message(MessageKind::Prepare), ChoiceKind::Fault, ChoiceKind::Sync] {
            for value in 1..Fate::BOUND {
                assert!(plainer(kind, value).into_iter().all(|v| v > 0 && weigh(kind, v) < weigh(kind, value)));
            }
        }
    }

    #[test]
    fn a_plain_setup_cannot_be_simplified_for_ever() {
        let mut setup = Setup { clients: 9, ops: 7, latency_spread: 300, ..Setup::plain(7, Durability::Sync) };
        let mut steps = 0;
        while let Some(simpler) = SETUP.iter().find_map(|simpler| simpler(&setup, 0)) {
            setup = simpler;
            steps += 1;
            assert!(steps < 100);
        }
        assert_eq!((setup.replicas, setup.clients, setup.ops, setup.latency_spread), (1, 1, 1, 0));
    }
}
