//! Full disks and orderly stops: DESIGN 9.11, PROTOCOL §6 "Restart paths".
//!
//! Owns one story per rule: it passes because of that rule, and with the rule broken it fails. Must not know other
//! sections.

use crate::scenario::Role::{All, R0, R1, R2};
use crate::scenario::{ASYNC, BOTH, Scenario, ScenarioInfo, Verdict, plain};
use vr_core::MessageKind::{Prepare, Recovery};
use vr_core::{Note, Op, Reject, StatusName, Wait};

const fn story(
    name: &'static str,
    story: &'static str,
    (faults, properties): (&'static str, &'static str),
    play: fn(&mut Scenario) -> Verdict,
) -> ScenarioInfo {
    ScenarioInfo { name, story, faults, properties, replicas: 3, modes: BOTH, tune: plain, play }
}

pub(super) const SCENARIOS: &[ScenarioInfo] = &[
    story(
        "full-primary-gives-way",
        "The disk of the primary is full: it refuses requests, and when that lasts another one leads; with room again it \
         catches up.",
        ("a full disk", "S25 room on disk, L2 answered"),
        full_primary_gives_way,
    ),
    story(
        "full-for-a-moment",
        "The disk of the primary is full for a moment: it refuses requests, keeps its job, and takes requests again.",
        ("a full disk", "S25 room on disk"),
        full_for_a_moment,
    ),
    story(
        "full-backup-stands-by",
        "The disk of the only backup in reach is full: it takes and acknowledges nothing more, and goes on when there is room.",
        ("a full disk, crash of the other backup", "S25 room on disk, L2 answered"),
        full_backup_stands_by,
    ),
    story(
        "full-between-views",
        "A replica with a full disk lacks what the new view starts with: it enters the view, and follows when there is room.",
        ("a full disk, loss of Prepare, isolation of the primary", "S25 room on disk, L1 one view"),
        full_between_views,
    ),
    story(
        "stop-of-all",
        "All replicas are stopped in good order and started again: nothing is lost, and service comes back.",
        ("orderly stop of all", "S9 ack durability, L2 answered"),
        stop_of_all,
    ),
    ScenarioInfo {
        modes: ASYNC,
        ..story(
            "mark-holds-once",
            "A replica starts after an orderly stop, acknowledges, and crashes: this time it has to ask for its memory.",
            ("orderly stop, crash before the background write", "S13 silence, S9 ack durability"),
            mark_holds_once,
        )
    },
    ScenarioInfo {
        modes: ASYNC,
        ..story(
            "stop-without-memory",
            "A replica is stopped before it has its memory back: it leaves no mark, and asks again.",
            ("crash before the background write, loss of Recovery, orderly stop", "S9 ack durability, S13 silence"),
            stop_without_memory,
        )
    },
    story(
        "stop-says-no-more",
        "A backup is stopped while its disk is slow: it says nothing more, whatever arrives before it exits.",
        ("slow disk, orderly stop", "S13 silence"),
        stop_says_no_more,
    ),
    ScenarioInfo {
        modes: ASYNC,
        ..story(
            "crash-of-all-without-mark",
            "All replicas lose their memory at once: they say so, and wait for their operator.",
            ("power loss", "S13 silence, S9 ack durability"),
            crash_of_all_without_mark,
        )
    },
];

/// The patience with a full disk is T_abd, ten heartbeats.
fn full_primary_gives_way(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.fill_disk(R0);
    let refusal = t.put_at(R0, 0, 1, "x").expect_refused()?;
    t.expect(refusal == Reject::NoSpace, "to be told that the disk is full")?;
    t.wait_until(t.heartbeat().times(30), "another primary", |world| world.primary() != 0)?;
    t.expect_answered(0)?;
    t.expect(t.world.disk(0).log.op() == Op(1), "nothing more on the disk of r0")?;
    t.make_room(R0);
    t.settle()?;
    t.expect_value(All, 1, Some("x"))
}

/// Five heartbeats are fewer than ten.
fn full_for_a_moment(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.fill_disk(R0);
    t.put_at(R0, 0, 1, "x").expect_refused()?;
    t.run(t.heartbeat().times(5))?;
    t.make_room(R0);
    t.expect_answered(0)?;
    t.expect_view(All, 0)
}

/// A and B are all there is.
fn full_backup_stands_by(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.crash(R2);
    t.fill_disk(R1);
    t.put(0, 1, "x").expect_pending()?;
    t.run(t.heartbeat().times(3))?;
    t.expect_op(R1, Op(1))?;
    t.expect_commit(R0, Op(1))?;
    t.make_room(R1);
    t.run(t.heartbeat().times(3))?;
    t.expect_commit(R0, Op(2))?;
    t.expect_view(R1, 0)
}

/// x is at A and B. C, full, is to follow B into view 1.
fn full_between_views(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.lose(Prepare, R0, R2);
    t.put(0, 1, "x").expect_answered_within(Wait::millis(20))?;
    t.isolate(R0);
    t.fill_disk(R2);
    t.depose(&[1, 2])?;
    t.run(t.heartbeat().times(3))?;
    t.expect_status(R2, StatusName::ViewChange)?;
    t.expect_op(R2, Op(1))?;
    t.make_room(R2);
    t.run(t.heartbeat().times(40))?;
    t.expect_op(R2, Op(2))?;
    t.expect_status(R1, StatusName::Primary)
}

/// Where memory is what counts, this is the only way to come back from it.
fn stop_of_all(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.put(0, 1, "x").expect_answered()?;
    t.stop(All);
    t.run_ms(50)?;
    t.expect(t.up(All).is_empty(), "all to have exited")?;
    t.expect((0..3).all(|at| t.world.disk(at).clean), "the mark on every disk")?;
    t.restart(All);
    t.run_ms(5)?;
    t.expect((0..3).all(|at| !t.world.disk(at).clean), "the mark to be gone")?;
    t.settle()?;
    t.expect_no_note(All, "that it lost its memory", |n| matches!(n, Note::Recovering { .. }))?;
    t.expect_value(All, 1, Some("x"))
}

/// x is committed by A and B; B's write of it is in the background.
fn mark_holds_once(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.stop(R1);
    t.run_ms(5)?;
    t.restart(R1);
    t.run_ms(60)?;
    t.expect_status(R1, StatusName::Backup)?;
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

/// x is committed by A and B; B, which has forgotten it, is stopped before anybody hears its question.
fn stop_without_memory(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.lose(Prepare, R0, R2);
    t.stick_disk(R1);
    t.put(0, 1, "x").expect_answered_within(Wait::millis(20))?;
    t.crash(R1);
    t.free_disk(R1);
    t.lose(Recovery, R1, All);
    t.restart(R1);
    t.run_ms(5)?;
    t.stop(R1);
    t.run_ms(5)?;
    t.expect(t.up(R1).is_empty() && !t.world.disk(1).clean, "r1 to have exited without a mark")?;
    t.restart(R1);
    t.run_ms(500)?;
    t.expect_status(R1, StatusName::Recovering)?;
    t.heal();
    t.settle()?;
    t.expect_value(All, 1, Some("x"))
}

/// B's disk takes its time; meanwhile A goes on with C.
fn stop_says_no_more(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.slow_disk(R1, 200);
    t.stop(R1);
    t.put(0, 1, "x").expect_answered_within(Wait::millis(20))?;
    t.expect_status(R1, StatusName::Halted)?;
    t.expect_op(R1, Op(1))?;
    t.run_ms(200)?;
    t.expect(t.up(R1).is_empty() && t.world.disk(1).clean, "r1 to have exited in good order")?;
    t.restart(R1);
    t.settle()?;
    t.expect_value(All, 1, Some("x"))
}

/// PROTOCOL §6 b: a disaster, which nothing but an operator may end.
fn crash_of_all_without_mark(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.put(0, 1, "x").expect_answered()?;
    t.run(t.heartbeat().times(2))?;
    t.crash(All);
    t.restart(All);
    t.run_ms(5_000)?;
    t.expect_status(All, StatusName::Recovering)?;
    for who in [R0, R1, R2] {
        t.expect_note(who, "that all ask", |n| matches!(n, Note::Outnumbered { asking } if asking.len() == 3))?;
    }
    t.end_here(); // It is the operator's turn.
    Ok(())
}
