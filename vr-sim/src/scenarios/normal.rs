//! Normal operation: PROTOCOL §2 A, with what must hold of commit-numbers (D21) and between views (D28).
//!
//! Owns one story per defect: it passes because of one rule, and with that rule broken it fails. Must not know other
//! sections.

use crate::scenario::Role::{All, P, R0, R1, R2, R3, R4};
use crate::scenario::{BOTH, SYNC, Scenario, ScenarioInfo, Verdict, plain};
use crate::setup::Setup;
use vr_core::MessageKind::{Commit, DoViewChange, Prepare, PrepareOk, StartView};
use vr_core::{Note, Op, StatusName, Wait};

pub(super) const SCENARIOS: &[ScenarioInfo] = &[
    ScenarioInfo {
        name: "d01-ack-of-an-older-view",
        story: "An acknowledgement of view 0 is held until its addressee leads view 3 with another entry at that op: it \
                does not count.",
        faults: "long hold of PrepareOk, crash before the sync, isolation, spontaneous timeouts",
        properties: "S12 commit justified, S9 ack durability",
        replicas: 3,
        modes: SYNC,
        tune: plain,
        play: ack_of_an_older_view,
    },
    ScenarioInfo {
        name: "d02-duplicate-ack",
        story: "Of five replicas one backup has the entry, and its acknowledgement arrives again and again: it counts once.",
        faults: "loss of Prepare, duplication of PrepareOk",
        properties: "S12 commit justified",
        replicas: 5,
        modes: BOTH,
        tune: plain,
        play: duplicate_ack,
    },
    ScenarioInfo {
        name: "d03-ack-of-a-hole",
        story: "The first of two Prepares is lost: a backup that gets the second fetches the first before it acknowledges.",
        faults: "loss of Prepare",
        properties: "S11 ack backed, S6 log match",
        replicas: 3,
        modes: BOTH,
        tune: plain,
        play: ack_of_a_hole,
    },
    ScenarioInfo {
        name: "d04-prepare-between-views",
        story: "A replica that has reported for a view, and not yet got its log, is sent an entry that fits the log it has: \
                it takes and acknowledges nothing.",
        faults: "loss of Prepare and StartView, isolation",
        properties: "S10 promise kept, S11 ack backed, S6 log match",
        replicas: 3,
        modes: BOTH,
        tune: plain,
        play: prepare_between_views,
    },
    ScenarioInfo {
        name: "d05-heartbeats-of-the-deposed",
        story: "The new primary dies, and heartbeats of the one before it keep arriving: they are no sign of life.",
        faults: "duplication of an old Commit, crash",
        properties: "L1 one view, L4 abdication",
        replicas: 3,
        modes: BOTH,
        tune: plain,
        play: heartbeats_of_the_deposed,
    },
    ScenarioInfo {
        name: "d07-lost-acknowledgement",
        story: "Two of three are up and one acknowledgement is lost: the Prepare comes again, and is acknowledged again.",
        faults: "crash, loss of one PrepareOk",
        properties: "L2 answered",
        replicas: 3,
        modes: BOTH,
        tune: one_client,
        play: lost_acknowledgement,
    },
    ScenarioInfo {
        name: "d08-even-group",
        story: "Four replicas fall apart into two pairs: neither is a quorum, nothing commits in either.",
        faults: "partition in halves",
        properties: "S12 commit justified, S8 leader completeness",
        replicas: 4,
        modes: BOTH,
        tune: plain,
        play: even_group,
    },
    ScenarioInfo {
        name: "d21-late-prepare",
        story: "A Prepare arrives again after later ones, with the smaller commit-number of its time: ours does not fall.",
        faults: "duplication and long hold of Prepare",
        properties: "S3 monotone commit, S2 prefix execution",
        replicas: 3,
        modes: BOTH,
        tune: plain,
        play: late_prepare,
    },
    ScenarioInfo {
        name: "d28-silence-between-views",
        story: "A primary that has left its view sends no more heartbeats or entries, whatever its clients ask of it.",
        faults: "hold of DoViewChange, spontaneous timeouts",
        properties: "S13 silence, S10 promise kept",
        replicas: 3,
        modes: BOTH,
        tune: plain,
        play: silence_between_views,
    },
];

fn one_client(setup: &mut Setup) {
    setup.clients = 1;
}

/// D1. A(v0) prepares s at B only, B's acknowledgement is held; A crashes before its sync and forgets s. With C it
/// goes on to view 2 and leads view 3, where t takes the op of s.
fn ack_of_an_older_view(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.run(t.heartbeat().times(2))?;
    t.hold(PrepareOk, R1, R0);
    t.lose(Prepare, R0, R2);
    t.stick_disk(R0);
    t.put(0, 1, "s").expect_pending()?;
    let op = t.op(R1)?;
    t.crash(R0);
    t.free_disk(R0);
    t.isolate(R1);
    t.restart(R0);
    t.elect_as(0, &[0, 2])?;
    t.put_at(R0, 1, 1, "t").expect_pending()?;
    t.expect_op(R0, op)?;
    t.release(PrepareOk, R1, R0)?;
    t.run_ms(5)?;
    t.expect_commit(R0, op.previous())?;
    t.expect_commit(R2, op.previous())
}

/// D2. With five, two are no quorum, however often one of them says it.
fn duplicate_ack(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    let before = t.commit(All)?;
    for to in [R2, R3, R4] {
        t.lose(Prepare, R0, to);
    }
    t.hold(PrepareOk, R1, R0);
    t.put(0, 1, "x").expect_pending()?;
    for _ in 0..4 {
        t.release_copies(PrepareOk, R1, R0)?;
        t.run_ms(2)?;
    }
    t.expect_commit(All, before)
}

/// D3. Cumulative acknowledgements name the end of a log without holes.
fn ack_of_a_hole(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.run(t.heartbeat().times(2))?;
    t.lose(Prepare, R0, All);
    t.append(0, 1, "x").expect_pending()?;
    t.pass(Prepare, R0, All);
    t.append(1, 1, "y").expect_answered()?;
    t.expect_note(R1, "a question for what it lacks", |n| matches!(n, Note::AskedForState { .. }))?;
    t.settle()?;
    t.expect_value(All, 1, Some("xy"))
}

/// D4. C is in the view change of view 1; B leads view 1 with an entry s of view 0 that C never got, and sends it again
/// and again, as it must.
fn prepare_between_views(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    let before = t.op(R2)?;
    t.lose(Prepare, R0, R2);
    t.hold(PrepareOk, R1, R0);
    t.put(0, 1, "s").expect_pending()?;
    t.isolate(R0);
    t.lose(StartView, R1, R2);
    t.depose(&[1, 2])?;
    t.run_ms(250)?;
    t.expect_status(R1, StatusName::Primary)?;
    t.expect_note(R1, "that it sent s again", |n| matches!(n, Note::Retransmitted { .. }))?;
    t.expect_status(R2, StatusName::ViewChange)?;
    t.expect_op(R2, before)?;
    t.pass(StartView, R1, R2);
    t.run_ms(150)?;
    t.expect_value(R2, 1, Some("s"))
}

/// D5. C is a backup of B in view 1 when B dies; an old heartbeat of A reaches C ten times a second.
fn heartbeats_of_the_deposed(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.hold(Commit, R0, R2);
    t.run(t.heartbeat().times(2))?;
    t.pass(Commit, R0, R2);
    t.isolate(R0);
    t.elect(&[1, 2])?;
    t.put_at(R1, 0, 1, "in view 1").expect_answered()?;
    t.settle_among(&[1, 2])?;
    t.crash(R1);
    t.heal();
    for _ in 0..50 {
        t.release_oldest_copy(Commit, R0, R2)?;
        t.run_ms(100)?;
    }
    t.expect_status(P, StatusName::Primary)?;
    t.put(0, 1, "later").expect_answered_within(Wait::millis(20)).map(drop)
}

/// D7. Nothing else is asked of the group: only the repetition can help.
fn lost_acknowledgement(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.crash(R2);
    t.lose(PrepareOk, R1, R0);
    t.put(0, 1, "x").expect_pending()?;
    t.pass(PrepareOk, R1, R0);
    t.rest_among(&[0, 1])
}

/// D8. q = n − f = 3 of 4.
fn even_group(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.run(t.heartbeat().times(2))?;
    let before = t.commit(All)?;
    for (a, b) in [(R0, R2), (R0, R3), (R1, R2), (R1, R3)] {
        t.cut(a, b);
    }
    t.put(0, 1, "x").expect_pending()?;
    t.lose_patience(&[2, 3]);
    t.run_ms(200)?;
    t.put_at(R2, 1, 1, "y").expect_pending_for(Wait::millis(3_000))?;
    t.expect_commit(All, before)
}

/// D21. Nothing here executes twice.
fn late_prepare(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.hold(Prepare, R0, R1);
    t.append(0, 1, "a").expect_answered()?;
    t.release_copies(Prepare, R0, R1)?;
    t.pass(Prepare, R0, R1);
    t.append(0, 1, "b").expect_answered()?;
    t.append(0, 1, "c").expect_answered()?;
    t.run(t.heartbeat().times(2))?;
    t.expect_commit(R1, Op(4))?;
    t.release_copies(Prepare, R0, R1)?;
    t.run_ms(5)?;
    t.expect_commit(R1, Op(4))?;
    t.expect_value(All, 1, Some("abc"))
}

/// D28. All three leave view 0, and view 1 cannot start.
fn silence_between_views(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    let op = t.op(All)?;
    t.hold(DoViewChange, All, All);
    t.depose(&[0, 1, 2])?;
    t.put_at(R0, 0, 1, "x").expect_refused()?;
    t.run(t.heartbeat().times(4))?;
    t.expect_status(All, StatusName::ViewChange)?;
    t.expect_op(All, op)?;
    t.release(DoViewChange, All, All)?;
    t.settle()?;
    t.expect_value(All, 1, Some("x"))
}
