//! Witnesses: PROTOCOL §2 D103: members that log and vote and hold no state.
//!
//! Owns one story per rule: it passes because of that rule, and with the rule broken it fails. Must not know other sections.

use super::checkpoints::every_four;
use crate::scenario::Role::{All, Others, P, R, R0, R1, R2, R3, R4};
use crate::scenario::{ASYNC, BOTH, SYNC, Scenario, ScenarioInfo, Verdict};
use crate::setup::Setup;
use vr_core::MessageKind::{CheckpointDurable, GetState, Prepare, RecoveryResponse};
use vr_core::{BadGroup, Ignored, NoHandOver, Note, Op, Reject, ReplicaId, StatusName, View};

const fn story(
    name: &'static str,
    story: &'static str,
    (faults, properties): (&'static str, &'static str),
    (replicas, tune): (u16, fn(&mut Setup)),
    play: fn(&mut Scenario) -> Verdict,
) -> ScenarioInfo {
    ScenarioInfo { name, story, faults, properties, replicas, modes: BOTH, tune, play }
}

pub(super) const SCENARIOS: &[ScenarioInfo] = &[
    story(
        "witness-bears-each-failure",
        "Two full members and a witness: each of them crashes in turn, the others go on, and it comes back to them.",
        ("crash, restart", "L1 one view, L2 answered, L3 recovered, S9 ack durability"),
        (3, two_and_one),
        each_failure,
    ),
    story(
        "witness-holds-what-is-needed",
        "A full member is away while the other goes on with the witness, and then alone has the state when it crashes: the one \
         that was away gets from the witness's log all that it lacks.",
        ("isolation, crash", "S18 cut behind a checkpoint, L2 answered"),
        (3, two_and_one),
        what_is_needed,
    ),
    ScenarioInfo {
        modes: SYNC,
        ..story(
            "witness-and-the-only-state",
            "A full member is gone for good, the other has the only state, and crashes: it comes back and goes on with the \
             witness.",
            ("crash, restart", "S2 prefix execution, S9 ack durability, L2 answered"),
            (3, two_and_one),
            only_state,
        )
    },
    ScenarioInfo {
        modes: SYNC,
        ..story(
            "witness-power-loss",
            "All lose power after their logs were cut: the witness starts from where its log begins, the others from their \
             checkpoints.",
            ("crash of all", "S2 prefix execution, S9 ack durability"),
            (3, two_and_one),
            power_loss,
        )
    },
    story(
        "witness-three-and-two",
        "Three full members and two witnesses bear any two failures: of two full members, of a full one and a witness.",
        ("crash, restart", "L1 one view, L2 answered, S9 ack durability"),
        (5, three_and_two),
        any_two,
    ),
    story(
        "d103-never-leads",
        "The primary crashes, and the next in turn is a witness: the one after it leads. A witness sends clients there, and no \
         primary gives way to it.",
        ("crash", "L1 one view, L2 answered"),
        (3, second_is_witness),
        never_leads,
    ),
    story(
        "d103-acks-in-order",
        "The first of two Prepares to a witness is lost: it fetches it before it acknowledges the second.",
        ("loss of Prepare", "S11 ack backed"),
        (3, two_and_one),
        acks_in_order,
    ),
    story(
        "d103-cuts-what-all-have",
        "A full member is away for many intervals: nobody cuts a log behind what that one has. When it is back, all do.",
        ("isolation", "S18 cut behind a checkpoint"),
        (3, two_and_one),
        cuts_what_all_have,
    ),
    story(
        "d103-witness-that-is-behind",
        "A witness is away until logs are cut behind where its own one ends: it goes on from where they begin, with no state, \
         and is as good as before.",
        ("isolation, crash", "S18 cut behind a checkpoint, L2 answered"),
        (3, two_and_one),
        that_is_behind,
    ),
    story(
        "d103-lends-no-checkpoint",
        "A full member that needs a checkpoint is heard by the witness alone: it gets none, and asks on.",
        ("isolation, loss of GetState", "S13 silence, S17 checkpoint equality"),
        (4, three_and_one),
        lends_no_checkpoint,
    ),
    story(
        "d103-log-of-one-and-state-of-another",
        "Who is to lead lacks what the longest log begins with, and that is a witness's: it gets the state from a full member \
         that the witness cannot hear, and what follows from the witness.",
        ("cuts, crash", "L1 one view, L2 answered"),
        (4, three_and_one),
        log_and_state,
    ),
    ScenarioInfo {
        modes: ASYNC,
        ..story(
            "d103-recovers-when-news-come",
            "A witness lost its memory, and the log on its disk ends before that of the primary begins, which is a checkpoint of \
             which the primary does not know that enough have it: it waits for these news, and no longer.",
            (
                "isolation, loss of CheckpointDurable, a disk that is stuck, crash",
                "S18 cut behind a checkpoint, L3 recovered",
            ),
            (4, three_and_one),
            recovers_when_news_come,
        )
    },
    story(
        "witness-group-stays",
        "An operator wants another group: with witnesses that is refused, with the reason.",
        ("none", "L7 reconfigured"),
        (3, two_and_one),
        group_stays,
    ),
];

fn two_and_one(setup: &mut Setup) {
    every_four(setup);
    setup.witnesses = vec![2];
}

fn second_is_witness(setup: &mut Setup) {
    every_four(setup);
    setup.witnesses = vec![1];
}

fn three_and_one(setup: &mut Setup) {
    every_four(setup);
    setup.witnesses = vec![3];
}

fn three_and_two(setup: &mut Setup) {
    every_four(setup);
    setup.witnesses = vec![1, 4];
}

/// So many ops, whoever is there.
fn work(t: &mut Scenario, ops: u16) -> Verdict {
    (0..ops).try_for_each(|key| t.put(0, key % 8, &format!("{key:0>100}")).expect_answered().map(drop))
}

fn installed(note: &Note) -> bool {
    matches!(note, Note::CheckpointInstalled { .. })
}

fn cut(note: &Note) -> bool {
    matches!(note, Note::LogCut { .. })
}

fn each_failure(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    work(t, 6)?;
    for at in [0, 1, 2, 0] {
        t.crash(R(at));
        work(t, 6)?;
        t.append(0, 9, "x").expect_answered()?;
        t.restart(R(at));
        t.settle()?;
    }
    for full in [R0, R1] {
        t.expect_value(full, 9, Some("xxxx"))?;
    }
    t.expect_no_note(R2, "a state", |note| matches!(note, Note::TableAt { .. } | Note::CheckpointTaken { .. }))
}

fn what_is_needed(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    work(t, 2)?;
    t.run(t.heartbeat().times(2))?;
    t.isolate(R1);
    work(t, 18)?;
    t.append(0, 9, "x").expect_answered()?;
    t.run(t.heartbeat().times(20))?;
    t.crash(R0);
    t.heal();
    t.append(0, 9, "y").expect_answered()?;
    t.expect_value(R1, 9, Some("xy"))?;
    t.expect_no_note(R1, "a checkpoint of another one", installed)
}

fn only_state(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    work(t, 2)?;
    t.crash(R1);
    work(t, 14)?;
    t.append(0, 9, "x").expect_answered()?;
    t.run(t.heartbeat().times(20))?;
    t.crash(R0);
    t.restart(R0);
    t.append(0, 9, "y").expect_answered()?;
    t.crash(R2);
    t.restart(R2);
    t.append(0, 9, "z").expect_answered()?;
    t.expect_value(R0, 9, Some("xyz"))?;
    t.rest_among(&[0, 2])
}

fn power_loss(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    work(t, 14)?;
    t.append(0, 9, "a").expect_answered()?;
    t.run(t.heartbeat().times(20))?;
    t.expect_note(R2, "that it cut its log", cut)?;
    t.crash(All);
    (0..t.members()).for_each(|at| t.restart(R(at)));
    t.settle()?;
    t.append(0, 9, "b").expect_answered()?;
    t.settle()?;
    t.expect_value(R0, 9, Some("ab"))?;
    t.expect_value(R1, 9, Some("ab"))
}

fn any_two(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    work(t, 10)?;
    for (one, other) in [(R0, R2), (R1, R4), (R3, R4), (R0, R1)] {
        t.crash(one);
        t.crash(other);
        work(t, 6)?;
        t.append(0, 9, "x").expect_answered()?;
        t.restart(one);
        t.restart(other);
        t.settle()?;
    }
    for full in [R0, R2, R3] {
        t.expect_value(full, 9, Some("xxxx"))?;
    }
    Ok(())
}

/// D103a. View 1 would be r1's.
fn never_leads(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.put(0, 1, "a").expect_answered()?;
    t.give_way(0, 1);
    t.run(t.heartbeat())?;
    t.expect_note(R0, "that r1 cannot lead", |n| matches!(n, Note::NoHandOver { why: NoHandOver::NoSuchMember }))?;
    t.crash(R0);
    let view = t.elect(&[1, 2])?;
    t.expect(view == View(1), "view 1 to be led by r2")?;
    t.expect_status(R2, StatusName::Primary)?;
    t.put_at(R1, 0, 1, "b").unwatched();
    t.run(t.heartbeat())?;
    let hint = Reject::NotPrimary { primary: Some(ReplicaId(2)), view: View(1) };
    t.expect(t.last_refusal(0) == Some(hint), "r1 to send the client to r2")?;
    t.expect_answered(0)?;
    let refusal = t.read_here(R1, 0, 1).expect_refused()?;
    t.expect(matches!(refusal, Reject::NotPrimary { .. }), "r1 to answer no read, whoever lets it")?;
    t.restart(R0);
    t.settle()?;
    t.expect_value(R2, 1, Some("b"))
}

/// D103b.
fn acks_in_order(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.run(t.heartbeat().times(2))?;
    t.isolate(R1);
    t.lose(Prepare, R0, All);
    t.append(0, 1, "x").expect_pending()?;
    t.pass(Prepare, R0, All);
    t.append(1, 1, "y").expect_answered()?;
    t.expect_note(R2, "a question for what it lacks", |n| matches!(n, Note::AskedForState { .. }))?;
    t.heal();
    t.settle()?;
    t.expect_value(R0, 1, Some("xy"))
}

/// D103c.
fn cuts_what_all_have(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    work(t, 5)?;
    t.run(t.heartbeat().times(20))?;
    t.isolate(R1);
    let has = t.agreed(R1, "its checkpoint", |s| s.checkpoint)?;
    work(t, 30)?;
    t.run(t.heartbeat().times(20))?;
    for who in [R0, R2] {
        let base = t.agreed(who, "where its log begins", |s| s.base)?;
        t.expect(base <= has, format!("{who:?} to keep what follows op {has}"))?;
    }
    t.heal();
    t.settle()?;
    work(t, 5)?;
    t.run(t.heartbeat().times(20))?;
    for who in [R0, R1, R2] {
        let base = t.agreed(who, "where its log begins", |s| s.base)?;
        t.expect(base >= Op(24), format!("{who:?} to have cut its log"))?;
    }
    Ok(())
}

/// D103c.
fn that_is_behind(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    work(t, 1)?;
    t.run(t.heartbeat().times(2))?;
    t.isolate(R2);
    work(t, 18)?;
    t.append(0, 9, "x").expect_answered()?;
    t.run(t.heartbeat().times(20))?;
    t.expect_note(R0, "that it cut its log", cut)?;
    t.heal();
    t.settle()?;
    t.expect_note(R2, "where its log begins now", installed)?;
    t.crash(R0);
    t.append(0, 9, "y").expect_answered()?;
    t.restart(R0);
    t.settle()?;
    t.crash(R1);
    t.append(0, 9, "z").expect_answered()?;
    t.restart(R1);
    t.settle()?;
    t.expect_value(R1, 9, Some("xyz"))
}

/// D103d. r2 hears that it lacks something, and its questions reach r3 alone.
fn lends_no_checkpoint(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.isolate(R2);
    work(t, 18)?;
    t.run(t.heartbeat().times(20))?;
    t.expect_note(R3, "that it cut its log", cut)?;
    t.lose(GetState, R2, R0);
    t.lose(GetState, R2, R1);
    t.mend(R2, Others(2));
    t.run(t.heartbeat().times(40))?;
    t.expect_no_note(R2, "a checkpoint", installed)?;
    t.pass(GetState, R2, R0);
    t.pass(GetState, R2, R1);
    t.settle()?;
    t.expect_note(R2, "a checkpoint", installed)?;
    t.append(0, 9, "x").expect_answered()?;
    t.settle()?;
    t.expect_value(R2, 9, Some("x"))
}

/// D103e. r1 is behind, r2 has the state, r3 the longest log; r1 alone hears both.
fn log_and_state(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.isolate(R1);
    work(t, 17)?;
    t.append(0, 9, "x").expect_answered()?;
    t.run(t.heartbeat().times(20))?;
    t.expect_note(R3, "that it cut its log", cut)?;
    t.lose(Prepare, R0, R2);
    t.append(0, 9, "y").expect_pending()?;
    t.crash(R0);
    t.cut(R2, R3);
    t.mend(R1, Others(1));
    t.expect_answered(0)?;
    t.expect_note(R1, "a checkpoint", installed)?;
    t.expect_status(R1, StatusName::Primary)?;
    t.expect_value(R1, 9, Some("xy"))
}

/// r2 fetches a checkpoint and leads; that r0 and r1 have that one, too, it is told every eight heartbeats.
fn recovers_when_news_come(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.stick_disk(R3);
    t.isolate(R2);
    t.lose(CheckpointDurable, All, R2);
    work(t, 17)?;
    t.append(0, 9, "x").expect_answered()?;
    t.run(t.heartbeat().times(20))?;
    t.mend(R2, Others(2));
    t.settle()?;
    t.expect_note(R2, "a checkpoint", installed)?;
    t.give_way(0, 2);
    t.wait_until(t.heartbeat().times(2), "r2 to lead", |world| world.primary() == 2)?;
    t.crash(R3);
    let (ends, begins) = (t.world.disk(3).log.op(), t.agreed(R2, "where its log begins", |s| s.base)?);
    t.expect(ends < begins, format!("the log of r3, which ends at op {ends}, to end before op {begins}"))?;
    t.free_disk(R3);
    t.restart(R3);
    t.append(0, 9, "y").expect_answered()?;
    t.run(t.heartbeat().times(20))?;
    t.expect_status(R3, StatusName::Recovering)?;
    let no_log =
        |n: &Note| matches!(n, Note::Ignored { from: ReplicaId(2), kind: RecoveryResponse, why: Ignored::WrongRole });
    t.expect(t.count_notes(R3, no_log) > 10, "r2 to answer again and again that it has no log for r3")?;
    t.pass(CheckpointDurable, All, R2);
    t.wait_until(t.heartbeat().times(10), "r3 to have its memory back", |world| {
        world.snapshot(3).is_some_and(|s| s.status == StatusName::Backup)
    })?;
    t.expect_note(R3, "where its log begins now", installed)?;
    t.crash(R1);
    t.append(0, 9, "z").expect_answered()?;
    t.restart(R1);
    t.settle()?;
    t.expect_value(R1, 9, Some("xyz"))
}

fn group_stays(t: &mut Scenario) -> Verdict {
    t.open_operator()?;
    t.reconfigure(P, 1, 0, &[0, 1]);
    t.run(t.heartbeat())?;
    let why = Reject::Reconfiguration(BadGroup::Witnesses);
    t.expect(t.operator_s_refusal() == Some(why), "it to be refused because of the witness")?;
    t.settle()
}
