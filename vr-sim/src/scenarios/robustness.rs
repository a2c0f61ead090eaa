//! Robustness: PROTOCOL §2 J: clocks, batches, and messages that make no sense.
//!
//! Owns one story per defect: it passes because of one rule, and with that rule broken it fails. Must not know other
//! sections.

use crate::scenario::Role::{All, B1, P, R, R0};
use crate::scenario::{BOTH, Scenario, ScenarioInfo, Verdict, plain};
use crate::service::{Key, KvOp};
use crate::setup::Setup;
use crate::world::HeldMessage;
use vr_core::{MessageKind, Op, ReplicaId, Wait};

pub(super) const SCENARIOS: &[ScenarioInfo] = &[
    ScenarioInfo {
        name: "d100-clock-behind",
        story: "Each replica leads in its turn, by clocks up to an hour apart: predicted time rises from op to op all the same.",
        faults: "clock offsets, crashes of primaries",
        properties: "S2 rising clock",
        replicas: 3,
        modes: BOTH,
        tune: plain,
        play: clock_behind,
    },
    ScenarioInfo {
        name: "d102-anything-arrives",
        story: "Messages of every kind, from a group that went through view changes and restarts, arrive at everybody, in \
                any view and role, twice: they are dropped, and nothing happens.",
        faults: "misdirection, duplication and long hold of everything",
        properties: "S24 no unexcused halt, S5 promise monotone, S6 log match",
        replicas: 3,
        modes: BOTH,
        tune: plain,
        play: anything_arrives,
    },
    ScenarioInfo {
        name: "d104-two-in-a-batch",
        story: "Two requests of one client, and its neighbours', are in one batch: each executes once and has its answer.",
        faults: "a client that does not wait",
        properties: "S14 at most once, S22 reply truth",
        replicas: 3,
        modes: BOTH,
        tune: one_batch_at_a_time,
        play: two_in_a_batch,
    },
];

/// D100. Of three clocks at least one is behind that of its predecessor.
fn clock_behind(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    for value in ["a", "b", "c", "d"] {
        t.append(0, 1, value).expect_answered()?;
        let old = t.at(P);
        t.crash(P);
        t.settle()?;
        t.restart(R(old));
        t.settle()?;
    }
    t.append(0, 1, "e").expect_answered()?;
    t.settle()?;
    t.expect_value(All, 1, Some("abcde"))?;
    t.run(t.heartbeat())?;
    let log = &t.world.disk(0).log;
    let times: Vec<u64> = log.after(Op::ZERO).map(|entry| entry.predicted().wall_ns).collect();
    t.expect(times.is_sorted_by(|a, b| a < b), format!("predicted time to rise from op to op, not {times:?}"))
}

/// Everything that is sent is held, and a copy of it arrives, for so long.
fn listen(t: &mut Scenario, ms: u64) -> Verdict {
    for _ in 0..ms {
        let known = t.world.held().len();
        t.run_ms(1)?;
        (known..t.world.held().len()).for_each(|at| t.world.release_copy(at));
    }
    Ok(())
}

/// D102. What is held comes from every stage of the story, and goes to whom it was not sent, too.
fn anything_arrives(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    MessageKind::ALL.iter().for_each(|kind| t.hold(*kind, All, All));
    for round in 0..4 {
        let (old, behind) = (t.at(P), t.at(B1));
        t.crash(R(behind));
        t.append(0, 1, &round.to_string()).unwatched();
        listen(t, 60)?;
        t.expect(!t.world.is_waiting(0), "an answer")?;
        t.restart(R(behind));
        listen(t, 150)?;
        t.crash(R(old));
        listen(t, 1_200)?;
        t.restart(R(old));
        listen(t, 300)?;
    }
    MessageKind::ALL.iter().for_each(|kind| t.pass(*kind, All, All));
    t.settle()?;
    let held = t.world.held().to_vec();
    let kinds = MessageKind::ALL.iter().filter(|kind| held.iter().any(|m| m.message.body.kind() == **kind)).count();
    t.expect(kinds >= 8, format!("messages of eight kinds at least in hand, not {kinds}"))?;
    let (before, ids): (Op, Vec<ReplicaId>) = (t.op(All)?, t.all(All).into_iter().map(|at| t.id(at)).collect());
    for one in held.iter().chain(held.iter().rev()) {
        for to in ids.iter().filter(|to| **to != one.from) {
            t.world.inject(HeldMessage { to: *to, ..one.clone() });
        }
        t.run(Wait::micros(100))?;
    }
    t.settle()?;
    t.expect_op(All, before)?;
    t.expect_value(All, 1, Some("0123"))
}

fn one_batch_at_a_time(setup: &mut Setup) {
    setup.batching.pipeline = 1;
}

/// D104. The first request is on its way alone; the others wait for it together.
fn two_in_a_batch(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1, 2])?;
    t.run(t.heartbeat().times(2))?;
    t.put(2, 7, "first").unwatched();
    t.append(0, 1, "a").unwatched();
    t.run(Wait::micros(1_500))?;
    t.inject(R0, 0, 2, &KvOp::Put { key: Key(9), value: b"b" });
    t.append(1, 1, "c").unwatched();
    t.run_ms(20)?;
    t.settle()?;
    t.expect_op(All, Op(7))?;
    t.expect_value(All, 9, Some("b"))?;
    let value = t.get(2, 1).expect_answered()?.result;
    t.expect(value.len() == 3, "a and c to have been added once each")
}
