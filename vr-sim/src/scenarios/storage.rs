//! Storage that loses something: rotten records, PROTOCOL §2 E from D56 on.
//!
//! Owns one story per defect: it passes because of one rule, and with that rule broken it fails. Must not know other
//! sections.

use crate::scenario::Role::{All, R0, R1, R2};
use crate::scenario::{BOTH, SYNC, Scenario, ScenarioInfo, Verdict, plain};
use vr_core::MessageKind::{Prepare, Recovery};
use vr_core::{Note, Op, StatusName, View, Wait};

const fn story(
    name: &'static str,
    story: &'static str,
    (faults, properties): (&'static str, &'static str),
    play: fn(&mut Scenario) -> Verdict,
) -> ScenarioInfo {
    ScenarioInfo { name, story, faults, properties, replicas: 3, modes: SYNC, tune: plain, play }
}

pub(super) const SCENARIOS: &[ScenarioInfo] = &[
    story(
        "d56-rotten-record",
        "An entry that a backup acknowledged rots on its disk, and the primary is cut off: the backup does not help to choose \
         a log without that entry, and gets it back from the primary.",
        ("rot of a confirmed record, crash and restart, isolation of the primary", "S13 silence, S9 ack durability"),
        rotten_record,
    ),
    ScenarioInfo {
        modes: BOTH,
        ..story(
            "d56-rotten-primary",
            "A primary crashes and half of its log is rotten: the others lead on, and it keeps the half that they confirm.",
            ("rot of a confirmed record of the primary, crash and restart", "S10 justified recovery, L3 recovered"),
            rotten_primary,
        )
    },
    story(
        "d56-damaged-takes-no-part",
        "The others change views around a replica whose log is damaged: it does not join them.",
        ("rot of a confirmed record, loss of Recovery, spontaneous timeouts", "S13 silence"),
        damaged_takes_no_part,
    ),
    story(
        "d56-repaired-by-the-deposed",
        "A replica that promised view 1 finds its log damaged where only the deposed primary of view 0 hears it: the log of \
         view 0 will not do.",
        ("rot of a confirmed record, isolation, crash and restart", "S5 promise monotone, S10 promise kept"),
        repaired_by_the_deposed,
    ),
    story(
        "d56-every-log-damaged",
        "The whole group restarts, and no log is whole: each entry is rotten on one disk. They give each other back what each \
         of them lost, and nothing is missing.",
        (
            "rot of confirmed records on all disks, crash and restart of all",
            "S9 ack durability, L1 one view, L2 answered",
        ),
        every_log_damaged,
    ),
    story(
        "d52-repaired-primary",
        "A primary crashes, and an entry in the middle of its log is rotten: it gets the entry back, and does not resume the \
         view that it led.",
        ("rot of a confirmed record of the primary, crash and restart at once", "S7 one start"),
        repaired_primary,
    ),
    story(
        "d57-lost-end",
        "A backup's disk lost the end of its log, and an entry before: what is left of it must not be taken for the whole, \
         though it can be put together.",
        (
            "rot of two confirmed records, crash and restart, isolation of the primary",
            "S6 log match, S9 ack durability",
        ),
        lost_end,
    ),
    story(
        "d58-entry-nobody-gives",
        "An entry in the middle of a backup's log is rotten, and only the primary, which is cut off, has it: the backup waits \
         for it, and does not go on with less.",
        ("rot of a confirmed record, crash and restart, isolation of the primary", "S6 log match, S9 ack durability"),
        entry_nobody_gives,
    ),
    story(
        "d58-one-good-copy",
        "Of two entries only one disk each can still read its copy, and none can read both: one entry at a time, each of \
         them comes back.",
        ("misdirected writes on three disks, crash and restart of all", "L1 one view, L3 recovered"),
        one_good_copy,
    ),
    story(
        "d58-no-quorum-of-whole-logs",
        "The logs of two of three are damaged at once: they say so, do not help each other, and nothing is decided without \
         what they lost.",
        ("rot of confirmed records on two disks, two crashes", "S13 silence, S9 ack durability"),
        no_quorum_of_whole_logs,
    ),
    ScenarioInfo {
        replicas: 1,
        ..story(
            "d58-alone-and-damaged",
            "A lone replica finds its log damaged: it does not start again with less, and waits for its operator.",
            ("rot of a confirmed record, crash and restart", "S13 silence, S9 ack durability"),
            alone_and_damaged,
        )
    },
    story(
        "d60-lost-disk",
        "A backup that acknowledged an entry loses its disk while the primary is cut off: it is not started as a new one, \
         which would choose a log without the entry.",
        ("a lost disk, isolation of the primary, spontaneous timeouts", "S5 promise monotone, S9 ack durability"),
        lost_disk,
    ),
    story(
        "d60-disk-that-went-back",
        "The disk of a backup goes back to what it was before it acknowledged an entry, and nothing tells: the others, who \
         hold the entry, are a quorum, so that it is in every log that is chosen.",
        ("a disk that goes back, crash of the primary", "S8 leader completeness, S9 ack durability"),
        disk_that_went_back,
    ),
];

fn says_damaged_from(op: Op) -> impl Fn(&Note) -> bool {
    move |note| *note == Note::DamagedLog { from: op }
}

/// D56. x is committed by A and B; B's record of it rots. C never had it.
fn rotten_record(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.lose(Prepare, R0, R2);
    t.put(0, 1, "x").expect_answered_within(Wait::millis(20))?;
    t.isolate(R0);
    t.crash(R1);
    t.rot(R1, Op(2));
    t.restart(R1);
    t.expect_note(R1, "that its log is damaged", says_damaged_from(Op(2)))?;
    t.lose_patience(&[2]);
    t.run_ms(2_000)?;
    t.expect_status(R1, StatusName::Recovering)?;
    t.heal();
    t.settle()?;
    t.expect_value(All, 1, Some("x"))
}

/// D60. x is committed by A and B; B's disk is gone. C never had x.
fn lost_disk(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.lose(Prepare, R0, R2);
    t.put(0, 1, "x").expect_answered_within(Wait::millis(20))?;
    t.isolate(R0);
    t.crash(R1);
    t.lose_disk(R1);
    t.restart(R1);
    t.lose_patience(&[2]);
    t.run_ms(2_000)?;
    t.expect(t.world.snapshot(1).is_none(), "r1 not to run without its disk")?;
    t.heal();
    t.wait_until(Wait::millis(2_000), "r2 to have x", |world| world.disk(2).log.op() == Op(2))?;
    t.expect_value(R2, 1, Some("x"))
}

/// D60. All have x; C's disk forgets it. A, which led, crashes; B and C choose a log.
fn disk_that_went_back(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    let image = t.world.disk(2).clone();
    t.put(0, 1, "x").expect_answered()?;
    t.run(t.heartbeat().times(2))?;
    t.expect(image.log.op() == Op(1) && t.world.disk(2).log.op() == Op(2), "r2 to have x on its disk")?;
    t.crash(R2);
    t.world.send_disk_back(2, image);
    t.crash(R0);
    t.restart(R2);
    t.elect(&[1, 2])?;
    t.append_at(R1, 0, 1, "y").expect_answered()?;
    t.expect_value(R1, 1, Some("xy"))?;
    t.restart(R0);
    t.settle()?;
    t.expect_value(All, 1, Some("xy"))
}

/// D56. A has ten entries, of which six are left. Nobody else lost any.
fn rotten_primary(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    for letter in ["a", "b", "c", "d", "e", "f", "g", "h", "i"] {
        t.append(0, 1, letter).expect_answered()?;
    }
    t.run(t.heartbeat().times(2))?;
    t.crash(R0);
    (7..=10).for_each(|op| t.rot(R0, Op(op)));
    t.restart(R0);
    t.expect_status(R0, StatusName::Recovering)?;
    t.wait_until(Wait::millis(2_000), "the disk of r0 to be whole", |world| world.disk(0).damage.is_none())?;
    t.settle()?;
    t.expect_note(R0, "that it kept six ops", |n| matches!(n, Note::Recovered { kept, .. } if *kept == Op(6)))?;
    t.expect_value(All, 1, Some("abcdefghi"))
}

/// D56. B is to lead view 1, and only asks.
fn damaged_takes_no_part(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.crash(R1);
    t.rot(R1, Op(1));
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

/// D56. B and C commit y in view 1; C's record of it rots, and C hears A only, which still leads view 0.
fn repaired_by_the_deposed(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.isolate(R0);
    t.elect(&[1, 2])?;
    t.put_at(R1, 0, 1, "y").expect_answered()?;
    t.isolate(R1);
    t.crash(R2);
    t.expect(t.world.disk(2).view == View(1), "the disk of r2 to know of view 1")?;
    t.rot(R2, Op(2));
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

/// D58. x is committed by A and B, and both records of it rot. C alone never had it. Nothing more is owed.
fn no_quorum_of_whole_logs(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.lose(Prepare, R0, R2);
    t.put(0, 1, "x").expect_answered_within(Wait::millis(20))?;
    t.crash(R0);
    t.crash(R1);
    t.rot(R0, Op(2));
    t.rot(R1, Op(2));
    t.restart(R0);
    t.restart(R1);
    t.run_ms(5_000)?;
    for who in [R0, R1] {
        t.expect_status(who, StatusName::Recovering)?;
        t.expect_note(who, "that too many ask", |n| matches!(n, Note::Outnumbered { asking } if asking.len() == 2))?;
    }
    t.expect(t.snapshots(R2).iter().all(|s| s.status != StatusName::Primary), "nobody to lead without x")?;
    t.end_here(); // It is the operator's turn: PROTOCOL D58.
    Ok(())
}

fn says_repaired(entries: u64) -> impl Fn(&Note) -> bool {
    move |note| matches!(note, Note::RepairedLog { entries: received, .. } if *received == entries)
}

/// Writes these, one after the other, behind the client's Register: the first is op 2.
fn write_down(t: &mut Scenario, letters: &[&str]) -> Verdict {
    for letter in letters {
        t.append(0, 1, letter).expect_answered()?;
    }
    Ok(())
}

/// D56. Ops 2 to 7; each disk lost two of them, and no op is lost twice.
fn every_log_damaged(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    write_down(t, &["a", "b", "c", "d", "e", "f", "g"])?;
    t.run(t.heartbeat().times(2))?;
    t.crash(All);
    for (who, lost) in [(R0, [2, 6]), (R1, [3, 5]), (R2, [4, 7])] {
        lost.into_iter().for_each(|op| t.rot(who, Op(op)));
    }
    t.restart(All);
    t.settle()?;
    for who in [R0, R1, R2] {
        t.expect_note(who, "that it has its two entries back", says_repaired(2))?;
    }
    t.expect_value(All, 1, Some("abcdefg"))
}

/// D52. A led view 0 before it crashed; nobody else has left it.
fn repaired_primary(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    write_down(t, &["a", "b", "c"])?;
    t.run(t.heartbeat().times(2))?;
    t.crash(R0);
    t.rot(R0, Op(3));
    t.restart(R0);
    t.settle()?;
    t.expect_note(R0, "that it has its entry back", says_repaired(1))?;
    t.expect_view(R0, 1)?;
    t.expect_value(All, 1, Some("abc"))
}

/// D57. C has everything but x, which A and B committed at op 4. B lost ops 2 and 4.
fn lost_end(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    write_down(t, &["a", "b"])?;
    t.run(t.heartbeat().times(2))?;
    t.lose(Prepare, R0, R2);
    t.append(0, 1, "x").expect_answered_within(Wait::millis(20))?;
    t.isolate(R0);
    t.crash(R1);
    t.rot(R1, Op(2));
    t.rot(R1, Op(4));
    t.restart(R1);
    t.expect_note(R1, "that its log is damaged", says_damaged_from(Op(2)))?;
    t.lose_patience(&[2]);
    t.run_ms(2_000)?;
    t.expect_status(R1, StatusName::Recovering)?;
    t.heal();
    t.settle()?;
    t.expect_value(All, 1, Some("abx"))
}

/// D58. A and B committed x at op 2 and y at op 3; C has neither. B lost x.
fn entry_nobody_gives(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.lose(Prepare, R0, R2);
    for letter in ["x", "y"] {
        t.append(0, 1, letter).expect_answered_within(Wait::millis(20))?;
    }
    t.isolate(R0);
    t.crash(R1);
    t.rot(R1, Op(2));
    t.restart(R1);
    t.lose_patience(&[2]);
    t.run_ms(2_000)?;
    t.expect_status(R1, StatusName::Recovering)?;
    // Nobody leads, so it can only be the entry itself that brings it back.
    t.crash(R0);
    t.heal();
    t.restart(R0);
    t.settle()?;
    t.expect_note(R1, "that it has the entry back", says_repaired(1))?;
    t.expect_value(All, 1, Some("xy"))
}

/// D58. Op 2 can be read by C only, op 3 by A only.
fn one_good_copy(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    write_down(t, &["a", "b", "c"])?;
    t.run(t.heartbeat().times(2))?;
    t.crash(All);
    for (who, op) in [(R0, 2), (R1, 2), (R1, 3), (R2, 3)] {
        t.rot(who, Op(op));
    }
    t.restart(All);
    t.settle()?;
    t.expect_note(R1, "that it has both entries back", says_repaired(2))?;
    t.expect_value(All, 1, Some("abc"))
}

/// D58. What is left of its log would be a log without x.
fn alone_and_damaged(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.put(0, 1, "x").expect_answered()?;
    t.crash(R0);
    t.rot(R0, Op(2));
    t.restart(R0);
    t.run_ms(5_000)?;
    t.expect_status(R0, StatusName::Recovering)?;
    t.expect_note(R0, "that its log is damaged", says_damaged_from(Op(2)))?;
    t.expect_note(R0, "that nobody can help", |n| matches!(n, Note::Outnumbered { .. }))?;
    t.end_here(); // It is the operator's turn: PROTOCOL D58.
    Ok(())
}
