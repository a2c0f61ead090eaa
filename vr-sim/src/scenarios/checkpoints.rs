//! Checkpoints: PROTOCOL §2 D32, D39 and F: when the log may go, and what takes its place at whoever needs it.
//!
//! Owns one story per defect: it passes because of one rule, and with that rule broken it fails. Must not know other
//! sections.

use crate::scenario::Role::{All, R, R0, R1, R2};
use crate::scenario::{BOTH, SYNC, Scenario, ScenarioInfo, Verdict};
use crate::setup::Setup;
use bytes::Bytes;
use vr_core::MessageKind::{CheckpointPart, GetCheckpoint, GetState};
use vr_core::{Body, Checkpoint, CheckpointPart as Part, Head, Ignored, Note, Op, Predicted, State, StatusName, Wait};

const INTERVAL: u64 = 4;

const fn story(
    name: &'static str,
    story: &'static str,
    (faults, properties): (&'static str, &'static str),
    play: fn(&mut Scenario) -> Verdict,
) -> ScenarioInfo {
    ScenarioInfo { name, story, faults, properties, replicas: 3, modes: BOTH, tune: every_four, play }
}

pub(super) const SCENARIOS: &[ScenarioInfo] = &[
    story(
        "ckpt-bounded-log",
        "Twenty intervals long everything goes well: no replica keeps more than three intervals of log, in memory or on disk.",
        ("none", "S17 checkpoint equality, S18 cut behind a checkpoint"),
        bounded_log,
    ),
    story(
        "ckpt-far-behind",
        "A backup was away for longer than the others keep their logs: it becomes what they are by a checkpoint, in parts.",
        ("isolation", "S2 prefix execution, S17 checkpoint equality"),
        far_behind,
    ),
    ScenarioInfo {
        modes: SYNC,
        ..story(
            "ckpt-power-loss",
            "All replicas lose power after their logs were cut: each starts from its checkpoint and what follows it.",
            ("crash of all", "S2 prefix execution, S9 ack durability, S16 table equality"),
            power_loss,
        )
    },
    story(
        "ckpt-back-from-long-ago",
        "A replica comes back with a checkpoint of long ago: it is given a newer one, and the log after it.",
        ("crash, restart", "S2 prefix execution, L3 recovered"),
        back_from_long_ago,
    ),
    ScenarioInfo {
        tune: several_at_once,
        ..story(
            "ckpt-answers-for-nothing",
            "The service of a backup is busy with a few ops when the backup skips them by a checkpoint: when it answers them, \
             all at once, that is for nothing, and it becomes what it was told.",
            ("a service that is busy, isolation", "S2 prefix execution, S16 table equality"),
            answers_for_nothing,
        )
    },
    story(
        "d32-checkpoint-is-no-log",
        "A replica that lacks the log of view 1 fetches the checkpoint it begins with: it is normal with the log, not before.",
        ("isolation, crash of the primary", "S7 view prefix, S8 leader completeness"),
        checkpoint_is_no_log,
    ),
    story(
        "d39-log-that-is-gone",
        "What a replica asks for to enter view 1 is cut before the question arrives: it is given the log as it is now.",
        ("isolation, long hold of GetState", "L1 one view"),
        log_that_is_gone,
    ),
    ScenarioInfo {
        modes: SYNC,
        ..story(
            "heard-with-a-stuck-disk",
            "A backup acknowledges what its primary has cut since, because its disk is stuck: it hears the primary all the same.",
            ("a disk that is stuck, isolation", "L1 one view, S21 fresh read"),
            heard_with_a_stuck_disk,
        )
    },
    story(
        "d65-another-checkpoint",
        "While a backup waits for the second part of a checkpoint, whoever sends it comes to have a newer one only.",
        ("isolation, long hold of GetCheckpoint", "S17 checkpoint equality"),
        another_checkpoint,
    ),
    story(
        "d65-damaged-part",
        "A part of a checkpoint was damaged where no checksum covered it: nothing of it is installed.",
        ("isolation, a damaged CheckpointPart", "S17 checkpoint equality"),
        damaged_part,
    ),
    story(
        "d65-parts-that-do-not-fit",
        "A part of a checkpoint without bytes, one longer than the whole, a checkpoint of another op, and one whose client \
         table is none arrive: each is dropped, and the checkpoint asked for again.",
        ("forged CheckpointPart", "S17 checkpoint equality"),
        parts_that_do_not_fit,
    ),
    story(
        "d66-cut-behind-a-checkpoint",
        "A backup's disk stands still for two intervals: its log goes when the first checkpoint is durable, not before.",
        ("slow disk", "S18 cut behind a checkpoint"),
        cut_behind_a_checkpoint,
    ),
    story(
        "d67-at-the-same-ops",
        "Three replicas take their checkpoints after the same ops.",
        ("none", "S17 checkpoint equality"),
        at_the_same_ops,
    ),
    story(
        "d69-service-comes-along",
        "A backup that skips ops by a checkpoint has its service skip them too.",
        ("isolation", "S2 prefix execution"),
        comes_along,
    ),
    story(
        "d74-table-comes-along",
        "A backup that skips ops by a checkpoint knows the sessions and answers of these ops.",
        ("isolation", "S16 table equality, S14 at most once"),
        comes_along,
    ),
];

pub(super) fn every_four(setup: &mut Setup) {
    setup.checkpoint_interval = u32::try_from(INTERVAL).expect("small");
    setup.max_request_bytes = 150;
    setup.max_message_bytes = setup.max_request_bytes + vr_core::MESSAGE_OVERHEAD_BYTES;
}

fn several_at_once(setup: &mut Setup) {
    every_four(setup);
    setup.max_message_bytes += 1 << 10;
    setup.together = true;
}

/// So many ops, each with a value of its own that makes a checkpoint longer than a message.
pub(super) fn work(t: &mut Scenario, ops: u16) -> Verdict {
    for key in 0..ops {
        let value = format!("{:0>100}", t.op(R1)?.0);
        t.put(0, key % 8, &value).expect_answered()?;
    }
    Ok(())
}

pub(super) fn installed(note: &Note) -> bool {
    matches!(note, Note::CheckpointInstalled { .. })
}

/// r2 is away while the others come to op 15, with a checkpoint after op 12 and a log from op 9 on.
pub(super) fn leave_behind(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.isolate(R2);
    work(t, 14)?;
    t.run(t.heartbeat())?;
    let base = t.agreed(R0, "where its log begins", |s| s.base)?;
    t.expect(base >= Op(INTERVAL), "r0 to have cut its log")
}

fn bounded_log(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    for _ in 0..20 {
        work(t, 4)?;
        let kept = |s: &vr_core::Snapshot| s.base.distance_to(s.op);
        let most = t.snapshots(All).iter().map(kept).max().unwrap_or_default();
        t.expect(most <= 3 * INTERVAL, format!("no log longer than three intervals, not {most}"))?;
    }
    t.settle()?;
    for at in 0..t.members() {
        let (log, checkpoint) = (t.world.disk(at).log.len(), t.world.disk(at).checkpoint.clone());
        t.expect(log <= 3 * INTERVAL, format!("the disk of r{at} to hold three intervals at most, not {log}"))?;
        t.expect(checkpoint.is_some_and(|it| it.op() >= Op(76)), format!("r{at} to have its last checkpoint on disk"))?;
    }
    t.expect_equal_memory_and_disk(All)
}

fn far_behind(t: &mut Scenario) -> Verdict {
    leave_behind(t)?;
    t.heal();
    t.settle()?;
    t.expect_note(R2, "a checkpoint to be installed", installed)?;
    let parts = t.count_notes(R2, |n| matches!(n, Note::AskedForCheckpoint { .. }));
    t.expect(parts > 3, "it to have come in several parts")?;
    work(t, 6)?;
    t.settle()?;
    t.expect_equal_memory_and_disk(All)
}

fn power_loss(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    work(t, 14)?;
    t.append(0, 9, "a").expect_answered()?;
    t.run(t.heartbeat().times(2))?;
    let cut = t.count_notes(All, |n| matches!(n, Note::LogCut { .. }));
    t.expect(cut >= 3, "every log to have been cut")?;
    t.crash(All);
    (0..t.members()).for_each(|at| t.restart(R(at)));
    t.settle()?;
    t.append(0, 9, "b").expect_answered()?;
    t.settle()?;
    t.expect_value(All, 9, Some("ab"))?;
    t.expect_equal_memory_and_disk(All)
}

/// r2 has its checkpoint after op 4 when it crashes.
fn back_from_long_ago(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    work(t, 5)?;
    t.run(t.heartbeat().times(2))?;
    t.expect(t.world.disk(2).checkpoint.is_some(), "r2 to have a checkpoint")?;
    t.crash(R2);
    work(t, 14)?;
    t.run(t.heartbeat())?;
    t.restart(R2);
    t.settle()?;
    t.expect_note(R2, "a checkpoint to be installed", installed)?;
    work(t, 5)?;
    t.settle()?;
    t.expect_equal_memory_and_disk(All)
}

/// Ops 3 and 4 are one upcall, which takes longer than all that follows.
fn answers_for_nothing(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.run(t.heartbeat().times(2))?;
    t.keep_busy(R2, t.heartbeat().times(30));
    t.append(0, 8, "a").unwatched();
    t.append(1, 9, "b").unwatched();
    t.expect_answered(0)?;
    t.expect_answered(1)?;
    t.run(t.heartbeat().times(2))?;
    t.expect_commit(R2, Op(4))?;
    let together = t.world.marks().answers_together;
    t.expect(together == 6, format!("two answers at once of each of the three, not {together}"))?;
    let executed = |t: &Scenario| t.agreed(R2, "what is executed", |s| s.executed);
    t.expect(executed(t)? == Op(2), "the service of r2 to be busy")?;
    t.isolate(R2);
    work(t, 14)?;
    t.heal();
    t.wait_until(t.heartbeat().times(4), "r2 to go on from a checkpoint", |world| {
        world.notes().iter().any(|(who, note)| *who == 2 && installed(note))
    })?;
    t.expect(executed(t)? == Op(2), "the service of r2 to be busy still")?;
    t.settle()?;
    t.expect_value(All, 8, Some("a"))?;
    t.expect_value(All, 9, Some("b"))?;
    t.expect_equal_memory_and_disk(All)
}

/// D32. View 1 begins with op 15, the checkpoint that r2 is given with op 12.
fn checkpoint_is_no_log(t: &mut Scenario) -> Verdict {
    leave_behind(t)?;
    t.crash(R0);
    t.mend(R1, R2);
    t.elect_as(1, &[1, 2])?;
    t.expect_note(R2, "a checkpoint to be installed", installed)?;
    let op = t.agreed(R2, "the end of its log", |s| s.op)?;
    t.expect(op >= Op(15), "r2 to hold the log of view 1")?;
    t.settle()?;
    work(t, 3)
}

/// D39. r2 asks for the log of view 1 as it began; sixteen ops later there is no such log any more.
fn log_that_is_gone(t: &mut Scenario) -> Verdict {
    leave_behind(t)?;
    t.elect(&[0, 1])?;
    t.hold(GetState, R2, All);
    t.heal();
    t.hold(GetState, R2, All);
    t.run(t.heartbeat().times(2))?;
    t.expect_status(R2, StatusName::ViewChange)?;
    t.expect(!t.held(GetState, R2, All).is_empty(), "r2 to have asked")?;
    work(t, 16)?;
    t.run(t.heartbeat())?;
    t.release(GetState, R2, All)?;
    t.settle()
}

/// r2 has everything in memory, and on its disk not even what r0's log begins after. With r1 away nothing new is committed.
fn heard_with_a_stuck_disk(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.run(t.heartbeat().times(2))?;
    t.stick_disk(R2);
    work(t, 14)?;
    t.run(t.heartbeat())?;
    let base = t.agreed(R0, "where its log begins", |s| s.base)?;
    let durable = t.agreed(R2, "what its disk holds", |s| s.durable)?;
    t.expect(durable < base, "r2's disk to hold less than what r0 has cut")?;
    t.isolate(R1);
    t.put(0, 1, "x").expect_pending()?;
    let soon = t.heartbeat().times(2);
    t.read_at(R0, 1, 1).expect_answered_within(soon)?;
    t.run(t.heartbeat().times(20))?;
    t.expect_no_note(R0, "to give up", |note| matches!(note, Note::Abdicated { .. }))?;
    t.free_disk(R2);
    t.expect_answered(0)?;
    t.heal();
    t.settle()
}

/// D65. Only the first part arrives in time: what r2 waits for is kept for it, but not for ever.
fn another_checkpoint(t: &mut Scenario) -> Verdict {
    leave_behind(t)?;
    t.hold(CheckpointPart, All, R2);
    t.mend(R0, R2);
    t.run(t.heartbeat().times(2))?;
    t.hold(GetCheckpoint, R2, All);
    t.release(CheckpointPart, All, R2)?;
    t.run_ms(10)?;
    t.lose(GetState, R2, All);
    work(t, 8)?;
    t.run(t.heartbeat().times(20))?;
    work(t, 8)?;
    t.expect(!t.held(GetCheckpoint, R2, All).is_empty(), "r2 to have asked for the second part")?;
    t.release(GetCheckpoint, R2, All)?;
    t.run_ms(10)?;
    t.heal();
    t.settle()?;
    work(t, 4)
}

/// D65. Its first byte is another one.
fn damaged_part(t: &mut Scenario) -> Verdict {
    leave_behind(t)?;
    t.hold(CheckpointPart, All, R2);
    t.mend(R0, R2);
    t.run(t.heartbeat().times(2))?;
    let held = t.held(CheckpointPart, R0, R2);
    let Some(mut lie) = held.first().map(|place| t.world.held()[*place].clone()) else {
        return t.disappoint("a part in hand");
    };
    let Body::CheckpointPart(part) = &mut lie.message.body else { return t.disappoint("a part in hand") };
    let mut bytes = part.bytes.whole().to_vec();
    let Some(last) = bytes.last_mut() else { return t.disappoint("a part with bytes") };
    *last ^= 1;
    part.bytes = Bytes::from(bytes).into();
    t.forget(CheckpointPart, All, R2);
    t.pass(CheckpointPart, All, R2);
    t.world.inject(lie);
    t.run(t.heartbeat().times(2))?;
    t.heal();
    t.settle()?;
    let malformed = |n: &Note| matches!(n, Note::Ignored { why: Ignored::Malformed, .. });
    t.expect_note(R2, "that it was malformed", malformed)?;
    t.expect_note(R2, "a checkpoint to be installed", installed)
}

/// All of a checkpoint at `of` without a client table, sound by its own digest, for whoever asked for the one at `asked`.
fn forged_part(of: Head, asked: Head) -> Part {
    let forged = Checkpoint::new(of, Predicted::default(), Bytes::from_static(b"no table"), Bytes::new());
    let (digest, length) = (forged.digest(), forged.length());
    Part { head: asked, digest, length, offset: 0, bytes: forged.range(0, 1 << 20) }
}

/// D65. What is malformed ends the attempt; the next one begins with a part that is held again.
fn parts_that_do_not_fit(t: &mut Scenario) -> Verdict {
    let malformed = |n: &Note| matches!(n, Note::Ignored { why: Ignored::Malformed, .. });
    let lies: [fn(&mut Part); 4] = [
        |part| part.bytes = State::default(),
        |part| part.length = 1,
        |part| *part = forged_part(Head { op: part.head.op.next(), ..part.head }, part.head),
        |part| *part = forged_part(part.head, part.head),
    ];
    leave_behind(t)?;
    t.hold(CheckpointPart, All, R2);
    t.mend(R0, R2);
    for (round, lie) in lies.into_iter().enumerate() {
        t.run(t.heartbeat().times(2))?;
        let held = t.held(CheckpointPart, R0, R2);
        let Some(mut forged) = held.last().map(|place| t.world.held()[*place].clone()) else {
            return t.disappoint("a part in hand");
        };
        let Body::CheckpointPart(part) = &mut forged.message.body else { return t.disappoint("a part in hand") };
        lie(part);
        t.forget(CheckpointPart, All, R2);
        t.world.inject(forged);
        t.run(t.heartbeat())?;
        t.expect(t.count_notes(R2, malformed) == round + 1, format!("lie {round} to be called malformed"))?;
    }
    t.heal();
    t.settle()?;
    t.expect_note(R2, "a checkpoint to be installed", installed)
}

/// D66. r2 has nothing on its disk when the others have cut their logs.
fn cut_behind_a_checkpoint(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.stick_disk(R2);
    work(t, 12)?;
    t.run_ms(10)?;
    let taken = t.count_notes(R2, |n| matches!(n, Note::CheckpointTaken { .. }));
    t.expect(taken >= 3, "r2 to have taken three checkpoints")?;
    t.expect_no_note(R2, "its log to be cut", |n| matches!(n, Note::LogCut { .. }))?;
    t.free_disk(R2);
    t.wait_until(Wait::millis(5_000), "r2 to cut its log", |w| w.snapshot(2).is_some_and(|s| s.base >= Op(8)))
}

fn at_the_same_ops(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    work(t, 12)?;
    t.settle()?;
    let taken = t.count_notes(All, |n| matches!(n, Note::CheckpointTaken { .. }));
    t.expect(taken == 9, format!("three checkpoints on each of three replicas, not {taken}"))
}

/// D69, D74. r2 skips to op 12 and goes on.
fn comes_along(t: &mut Scenario) -> Verdict {
    leave_behind(t)?;
    t.heal();
    t.settle()?;
    t.expect_note(R2, "a checkpoint to be installed", installed)?;
    t.append(0, 1, "x").expect_answered()?;
    work(t, 4)?;
    t.settle()?;
    t.expect_equal_memory_and_disk(All)
}
