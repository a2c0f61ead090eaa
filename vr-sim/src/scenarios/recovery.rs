//! Recovery without a disk: PROTOCOL §2 D from D46 on, and F, in the asynchronous mode.
//!
//! Owns one story per defect: it passes because of one rule, and with that rule broken it fails. Must not know other
//! sections.

use crate::scenario::Role::{All, R0, R1, R2};
use crate::scenario::{ASYNC, Scenario, ScenarioInfo, Verdict, plain};
use vr_core::MessageKind::{DoViewChange, Prepare, PrepareOk, Recovery, RecoveryResponse};
use vr_core::{Note, Op, StatusName, View, Wait};

const fn story(
    name: &'static str,
    story: &'static str,
    (faults, properties): (&'static str, &'static str),
    play: fn(&mut Scenario) -> Verdict,
) -> ScenarioInfo {
    ScenarioInfo { name, story, faults, properties, replicas: 3, modes: ASYNC, tune: plain, play }
}

pub(super) const SCENARIOS: &[ScenarioInfo] = &[
    story(
        "d46-view-forgotten-in-turn",
        "Two replicas crash one after the other with reports of view 1 on their way: they come back into view 1 or later.",
        (
            "long hold of DoViewChange beyond its sender's life, crash and instant restart",
            "S5 durable header, S10 promise kept",
        ),
        view_forgotten_in_turn,
    ),
    story(
        "d47-back-without-memory",
        "A backup acknowledges, crashes and comes back with the little its disk has: it asks before anything else.",
        ("crash before the background write, restart", "S13 silence, S9 ack durability"),
        back_without_memory,
    ),
    story(
        "d48-recovering-takes-no-part",
        "The others change views around a replica that recovers: it does not join them.",
        ("loss of Recovery, spontaneous timeouts", "S13 silence"),
        recovering_takes_no_part,
    ),
    story(
        "d49-uncommitted-entries-too",
        "An acknowledgement outlives its sender, which recovers before it arrives: what it acknowledged was in the answer.",
        ("hold of PrepareOk beyond its sender's life, loss of Prepare", "S11 ack backed, S9 ack durability"),
        uncommitted_entries_too,
    ),
    story(
        "d50-answer-of-another-time",
        "A replica recovers for the second time, and the answer to its first question arrives again: it is no answer.",
        ("long hold and duplication of RecoveryResponse, two crashes", "S11 ack backed, S9 ack durability"),
        answer_of_another_time,
    ),
    story(
        "d51-log-of-the-deposed",
        "A replica that promised view 1 recovers where only the deposed primary of view 0 hears it: that one does not answer \
         but follows it, and the log of view 0 will not do.",
        ("isolation, crash and restart", "S5 promise monotone, S10 promise kept"),
        log_of_the_deposed,
    ),
    story(
        "d51-answer-between-views",
        "A replica that is to lead view 1, and does not yet, is asked by one that recovers: it does not answer.",
        ("hold of DoViewChange, crash and restart between views", "S10 promise kept, S11 ack backed"),
        answer_between_views,
    ),
    story(
        "d63-two-without-memory",
        "Two of three lose their memory at once: they do not help each other, and wait for the third.",
        ("two crashes, isolation", "S13 silence, S9 ack durability"),
        two_without_memory,
    ),
    story(
        "d64-lost-question",
        "The question of a recovering replica is lost: it asks again.",
        ("loss of Recovery", "L3 recovered"),
        lost_question,
    ),
    story(
        "d68-tail-of-the-own-disk",
        "A replica comes back with an entry on its disk that the group never had: it keeps what the group confirms.",
        ("isolation with an entry of its own, crash and restart", "S1 agreement, S6 log match"),
        tail_of_the_own_disk,
    ),
];

/// D46. B and C leave view 0; C's report is held, C crashes and comes back; so does B. A, which never left, commits x
/// with C if it can; then the old report arrives.
fn view_forgotten_in_turn(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.isolate(R0);
    t.hold(DoViewChange, R2, R1);
    t.depose(&[1, 2])?;
    t.run_ms(5)?;
    t.crash(R2);
    t.heal();
    t.hold(DoViewChange, R2, R1);
    t.restart(R2);
    t.wait_until(Wait::millis(2_000), "r2 to recover in view 1 or later", |w| {
        w.snapshot(2).is_some_and(|s| s.status == StatusName::Backup && s.view >= View(1))
    })?;
    t.crash(R1);
    t.restart(R1);
    t.settle()?;
    t.expect(t.view(All)? >= View(1), "nobody back in view 0")?;
    t.put(0, 1, "x").expect_answered()?;
    t.release(DoViewChange, R2, R1)?;
    t.run_ms(5)?;
    t.settle()?;
    t.expect_value(All, 1, Some("x"))
}

/// D47. x is committed by A and B; B's write of it is in the background.
fn back_without_memory(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.lose(Prepare, R0, R2);
    t.stick_disk(R1);
    t.put(0, 1, "x").expect_answered_within(Wait::millis(20))?;
    t.crash(R1);
    t.free_disk(R1);
    t.isolate(R0);
    t.restart(R1);
    t.lose_patience(&[2]);
    t.run_ms(2_000)?;
    t.expect_status(R1, StatusName::Recovering)?;
    t.heal();
    t.settle()?;
    t.expect_value(All, 1, Some("x"))
}

/// D48. B is to lead view 1, and only asks.
fn recovering_takes_no_part(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.crash(R1);
    t.lose(Recovery, R1, All);
    t.restart(R1);
    t.run_ms(5)?;
    t.depose(&[0, 2])?;
    t.run_ms(20)?;
    t.expect_status(R1, StatusName::Recovering)?;
    t.elect(&[0, 2])?;
    t.put_at(R2, 0, 1, "x").expect_answered()?;
    t.expect_status(R1, StatusName::Recovering)
}

/// D49. B acknowledges x and crashes; A answers its question; then the acknowledgement arrives, and counts.
fn uncommitted_entries_too(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.lose(Prepare, R0, R2);
    t.hold(PrepareOk, R1, R0);
    t.stick_disk(R1);
    t.put(0, 1, "x").expect_pending_for(Wait::millis(5))?;
    t.crash(R1);
    t.free_disk(R1);
    t.restart(R1);
    let bound = t.heartbeat().times(2);
    t.wait_until(bound, "r1 to recover", |w| w.snapshot(1).is_some_and(|s| s.status == StatusName::Backup))?;
    t.expect_op(R1, Op(2))?;
    t.release(PrepareOk, R1, R0)?;
    t.run_ms(5)?;
    t.expect_commit(R0, Op(2))
}

/// D50. The answer of the first time has no x, which B has acknowledged since.
fn answer_of_another_time(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.crash(R1);
    t.hold(RecoveryResponse, R0, R1);
    t.restart(R1);
    t.run_ms(5)?;
    t.release_copies(RecoveryResponse, R0, R1)?;
    t.run_ms(5)?;
    t.expect_status(R1, StatusName::Backup)?;
    t.lose(Prepare, R0, R2);
    t.stick_disk(R1);
    t.put(0, 1, "x").expect_answered_within(Wait::millis(20))?;
    t.crash(R1);
    t.free_disk(R1);
    t.restart(R1);
    t.run_ms(5)?;
    t.release_oldest_copy(RecoveryResponse, R0, R1)?;
    t.run_ms(5)?;
    t.expect_status(R1, StatusName::Recovering)?;
    t.release(RecoveryResponse, R0, R1)?;
    t.run_ms(5)?;
    t.expect_op(R1, Op(2))
}

/// D51a. B and C commit y in view 1; C crashes and hears A only, which still leads view 0.
fn log_of_the_deposed(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.isolate(R0);
    t.elect(&[1, 2])?;
    t.put_at(R1, 0, 1, "y").expect_answered()?;
    t.isolate(R1);
    t.crash(R2);
    t.mend(R0, R2);
    t.restart(R2);
    t.run(t.heartbeat().times(4))?;
    t.expect_status(R2, StatusName::Recovering)?;
    t.expect_view(R0, 1)?;
    t.mend(R1, R2);
    t.run(t.heartbeat().times(2))?;
    t.expect_op(R2, Op(2))?;
    t.expect_status(R2, StatusName::Backup)
}

/// D51c. C reports for view 1, crashes, and asks. B waits for a report that it does not get.
fn answer_between_views(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.isolate(R0);
    t.hold(DoViewChange, R2, R1);
    t.depose(&[1, 2])?;
    t.run_ms(5)?;
    t.crash(R2);
    t.restart(R2);
    t.run_ms(20)?;
    t.expect_status(R1, StatusName::ViewChange)?;
    t.expect_status(R2, StatusName::Recovering)?;
    t.heal();
    t.settle()?;
    t.put(0, 1, "x").expect_answered()?;
    t.release(DoViewChange, R2, R1)?;
    t.settle()?;
    t.expect_value(All, 1, Some("x"))
}

/// D63. More than f without a memory: the group waits for its operator, and loses nothing. Nothing more is owed.
fn two_without_memory(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.lose(Prepare, R0, R2);
    t.put(0, 1, "x").expect_answered()?;
    t.isolate(R0);
    t.stick_disk(R1);
    t.crash(R1);
    t.crash(R2);
    t.free_disk(R1);
    t.restart(R1);
    t.restart(R2);
    t.run_ms(5_000)?;
    t.expect_status(R1, StatusName::Recovering)?;
    t.expect_status(R2, StatusName::Recovering)?;
    t.expect_value(R0, 1, Some("x"))?;
    t.end_here(); // PROTOCOL §6 b: it is the operator's turn.
    Ok(())
}

/// D64. Nothing else wakes it.
fn lost_question(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.crash(R1);
    t.lose(Recovery, R1, All);
    t.restart(R1);
    t.run_ms(5)?;
    t.pass(Recovery, R1, All);
    t.rest_among(&[0, 1, 2])
}

/// D68. A's disk has s of view 0 at op 3, where the group commits y in view 1.
fn tail_of_the_own_disk(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.run(t.heartbeat().times(2))?;
    t.isolate(R0);
    t.append(0, 1, "s").expect_pending()?;
    t.elect(&[1, 2])?;
    t.append(1, 1, "y").expect_answered()?;
    t.crash(R0);
    t.expect(t.world.disk(0).log.op() == Op(3), "s on the disk of r0")?;
    t.heal();
    t.restart(R0);
    t.settle()?;
    t.expect_note(R0, "that it kept two ops", |n| matches!(n, Note::Recovered { kept, .. } if *kept == Op(2)))?;
    t.expect_value(All, 1, Some("ys"))
}
