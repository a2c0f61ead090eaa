//! Checkpoints that are given late: PROTOCOL §2 D66, D67, D74, D89: the service sets its state aside and goes on executing.
//!
//! Owns one story per rule: it passes because of that rule, and with the rule broken it fails. Must not know other sections.

use super::checkpoints::{every_four, work};
use super::epochs::begin;
use crate::scenario::Role::{All, P, R0, R1, R2};
use crate::scenario::{BOTH, Scenario, ScenarioInfo, Verdict};
use crate::setup::Setup;
use vr_core::{Note, Op, Wait};

/// What is set aside is given after up to so long.
const LATE: Wait = Wait::millis(4_000);

const fn story(
    name: &'static str,
    story: &'static str,
    (faults, properties): (&'static str, &'static str),
    tune: fn(&mut Setup),
    play: fn(&mut Scenario) -> Verdict,
) -> ScenarioInfo {
    ScenarioInfo { name, story, faults, properties, replicas: 3, modes: BOTH, tune, play }
}

pub(super) const SCENARIOS: &[ScenarioInfo] = &[
    story(
        "checkpoint-given-late",
        "Everybody executes on while a checkpoint is put together: it is the same on all, of the op at which the state was set \
         aside; barriers in between are passed over, and no log is cut before.",
        ("services that give their checkpoints late", "S17 checkpoint equality, S18 cut behind a checkpoint"),
        late,
        given_late,
    ),
    story(
        "checkpoint-of-a-former-state",
        "A backup has set its state aside and becomes, by a checkpoint, what the others are: what it gives then of its former \
         state is not kept.",
        ("services that give their checkpoints late, isolation", "S18 cut behind a checkpoint"),
        one_much_later,
        former_state,
    ),
    story(
        "checkpoint-at-the-end-of-an-epoch",
        "A reconfiguration is executed while a checkpoint is put together: the one after it is not passed over, and the next \
         epoch begins with it.",
        ("services that give their checkpoints late", "S20 epoch prefix, L7 reconfigured"),
        late_and_spare,
        end_of_an_epoch,
    ),
];

fn late(setup: &mut Setup) {
    every_four(setup);
    setup.aside = LATE;
}

fn late_and_spare(setup: &mut Setup) {
    (setup.spares, setup.checkpoint_interval, setup.aside) = (3, 4, LATE);
}

/// r0 gives its first three checkpoints soon, r2 its first one late.
fn one_much_later(setup: &mut Setup) {
    late(setup);
    let wait = |setup: &Setup, op: u64, on: u64| setup.wait_up_to(LATE, "aside", op << 8 | on).times(8);
    let is_so =
        |setup: &Setup| wait(setup, 4, 2) > LATE.times(7) && [4, 8, 12].iter().all(|op| wait(setup, *op, 0) < LATE);
    while !is_so(setup) {
        setup.seed += 1;
    }
}

fn taken_at(ops: &'static [u64]) -> impl Fn(&Note) -> bool {
    move |note| matches!(note, Note::CheckpointTaken { op, .. } if ops.contains(&op.0))
}

fn cut(note: &Note) -> bool {
    matches!(note, Note::LogCut { .. })
}

/// Ops go on, a few at a time, until everybody has stated so much.
fn go_on_until(t: &mut Scenario, what: &str, like: impl Fn(&Note) -> bool) -> Verdict {
    for _ in 0..100 {
        if [R0, R1, R2].iter().all(|who| t.count_notes(*who, &like) > 0) {
            return Ok(());
        }
        work(t, 1)?;
        t.run(t.heartbeat().times(4))?;
    }
    t.disappoint(format!("everybody {what}"))
}

/// Op 4 is a barrier; so are 8 and 12, which everybody has executed before the first checkpoint is given.
fn given_late(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    work(t, 11)?;
    t.run(t.heartbeat().times(2))?;
    let executed = t.agreed(All, "what is executed", |s| s.executed)?;
    t.expect(executed == Op(12), "everybody to have executed through op 12")?;
    t.expect_no_note(All, "a checkpoint", |note| matches!(note, Note::CheckpointTaken { .. }))?;
    t.expect_no_note(All, "its log to be cut", cut)?;
    go_on_until(t, "to have its checkpoint after op 4", taken_at(&[4]))?;
    t.expect_no_note(All, "one at what was passed over", taken_at(&[8, 12]))?;
    go_on_until(t, "to have cut its log", cut)?;
    t.settle()?;
    t.expect_equal_memory_and_disk(All)
}

/// D66. r2 stands at op 4 when it is cut off, and skips to op 12.
fn former_state(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    work(t, 3)?;
    t.run(t.heartbeat().times(2))?;
    let executed = t.agreed(R2, "what it has executed", |s| s.executed)?;
    t.expect(executed == Op(4), "r2 to have executed through op 4")?;
    t.isolate(R2);
    for op in [4, 8, 12] {
        let durable = |note: &Note| matches!(note, Note::CheckpointDurable { op: at } if at.0 == op);
        t.wait_until(LATE, &format!("the checkpoint of r0 after op {op}"), |world| {
            world.notes().iter().any(|(who, note)| *who == 0 && durable(note))
        })?;
        work(t, 4)?;
    }
    t.heal();
    t.wait_until(LATE, "r2 to become what the others are", |world| {
        world.notes().iter().any(|(who, note)| *who == 2 && matches!(note, Note::CheckpointInstalled { .. }))
    })?;
    t.expect_no_note(R2, "what it had set aside", taken_at(&[4]))?;
    t.run(LATE)?;
    t.expect_no_note(R2, "what it had set aside", taken_at(&[4]))?;
    t.crash(R2);
    t.restart(R2);
    t.settle()?;
    t.expect_equal_memory_and_disk(All)
}

/// D89. Op 4 is a barrier, op 5 the reconfiguration.
fn end_of_an_epoch(t: &mut Scenario) -> Verdict {
    begin(t)?;
    t.run(t.heartbeat().times(2))?;
    let executed = t.agreed(P, "what it has executed", |s| s.executed)?;
    t.expect(executed == Op(4), "op 4 to be executed")?;
    t.reconfigure(P, 1, 0, &[0, 1, 2, 3]);
    t.expect_epoch(1, &[0, 1, 2, 3])?;
    t.expect_note(All, "the end of the epoch", |note| matches!(note, Note::EpochEnds { op, .. } if *op == Op(5)))?;
    t.put(0, 2, "y").expect_answered()?;
    t.run(LATE)?;
    t.expect_no_note(All, "what was set aside before", taken_at(&[4]))
}
