//! A primary gives way because an operator asks for it, before maintenance: no failure, no timeout, nobody forgotten.
//!
//! Owns one story per rule: it passes because of that rule, and with the rule broken it fails. Must not know other
//! sections.

use crate::scenario::Role::{All, P, R0, R1, R2};
use crate::scenario::{BOTH, Scenario, ScenarioInfo, Verdict, plain};
use vr_core::MessageKind::{Prepare, PrepareOk};
use vr_core::{EnterCause, NoHandOver, Note, ReplicaId, StatusName, Wait};

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
        "hand-over",
        "The primary is asked to give way while a request is under way: that one is answered, the next primary leads, and \
         nobody waited for a timeout.",
        ("none", "L5 orderly hand-over, L1 one view"),
        hand_over,
    ),
    story(
        "hand-over-to-the-furthest",
        "The primary is asked to give way to whoever is furthest: not to the backup that is cut off.",
        ("isolation of a backup", "L5 orderly hand-over"),
        to_the_furthest,
    ),
    story(
        "hand-over-waits",
        "The one that is to lead lacks the newest entry: the primary waits until it has it, and then gives way.",
        ("loss of Prepare", "L5 orderly hand-over"),
        waits,
    ),
    story(
        "hand-over-given-up",
        "The one that is to lead is cut off before it has everything: the primary keeps its job, and answers those who came \
         meanwhile.",
        ("isolation of a backup", "L2 answered"),
        given_up,
    ),
    story(
        "hand-over-refused",
        "A backup cannot give way, and a primary neither to itself, nor to a stranger, nor to somebody who is down.",
        ("crash of a backup", "L1 one view"),
        refused,
    ),
    story(
        "hand-over-to-the-dying",
        "The next primary crashes as it is given way to: the others go on to the view after, as after any failure.",
        ("crash of the next primary", "L1 one view, L2 answered"),
        to_the_dying,
    ),
];

const fn gives_way(note: &Note) -> bool {
    matches!(note, Note::EnteredView { cause: EnterCause::HandOver, .. })
}

fn expect_no_timeout(t: &Scenario) -> Verdict {
    t.expect_no_note(All, "to wait in vain", |note| matches!(note, Note::WantsViewChange { .. }))
}

fn hand_over(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.settle()?;
    t.hold(PrepareOk, All, R0);
    t.put(0, 1, "x").expect_pending()?;
    t.give_way(0, 2);
    t.put_at(R0, 1, 2, "y").expect_pending()?;
    t.expect_status(R0, StatusName::Primary)?;
    t.release(PrepareOk, All, R0)?;
    t.run_ms(20)?;
    t.expect_note(R0, "that it gives way", gives_way)?;
    t.expect_view(All, 2)?;
    t.expect_status(R2, StatusName::Primary)?;
    t.expect_answered(0)?;
    t.expect_answered(1)?;
    t.settle()?;
    expect_no_timeout(t)?;
    t.expect_value(All, 2, Some("y"))
}

fn to_the_furthest(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.settle()?;
    t.isolate(R1);
    t.run(t.heartbeat().times(4))?;
    t.put(0, 1, "x").expect_answered()?;
    t.give_way(0, 0);
    t.run_ms(20)?;
    t.expect_note(R0, "that r2 is to lead", |note| matches!(note, Note::HandingOver { to: ReplicaId(2) }))?;
    t.expect_status(R2, StatusName::Primary)?;
    t.heal();
    t.settle()
}

/// r1 and r2 share the work: with r2 alone the op is committed.
fn waits(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.settle()?;
    t.lose(Prepare, R0, R1);
    t.put(0, 1, "x").expect_answered()?;
    t.give_way(0, 1);
    t.expect_note(R0, "that it is to give way", |note| matches!(note, Note::HandingOver { to: ReplicaId(1) }))?;
    t.expect_no_note(R0, "to give way", gives_way)?;
    t.pass(Prepare, R0, R1);
    t.wait_until(t.heartbeat().times(4), "r1 to lead", |world| world.primary() == 1)?;
    t.settle()?;
    expect_no_timeout(t)?;
    t.expect_view(All, 1)
}

/// The patience with a hand-over is T_abd, ten heartbeats.
fn given_up(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.settle()?;
    t.isolate(R1);
    t.put(0, 1, "x").expect_answered()?;
    t.give_way(0, 1);
    t.put_at(R0, 1, 2, "y").expect_pending()?;
    t.run(t.heartbeat().times(12))?;
    t.expect_answered(1)?;
    let too_late = |note: &Note| matches!(note, Note::NoHandOver { why: NoHandOver::TooLate });
    t.expect_note(R0, "that it keeps its job", too_late)?;
    t.heal();
    t.settle()
}

fn refused(t: &mut Scenario) -> Verdict {
    let because = |t: &Scenario, role, why| {
        let like = move |note: &Note| matches!(note, Note::NoHandOver { why: said } if *said == why);
        t.expect_note(role, &format!("that it does not give way: {why}"), like)
    };
    t.open(&[0])?;
    t.settle()?;
    t.give_way(1, 2);
    because(t, R1, NoHandOver::NotPrimary)?;
    t.crash(R2);
    t.run(t.heartbeat().times(5))?;
    t.give_way(0, 2);
    because(t, R0, NoHandOver::Unheard)?;
    for (told, nobody) in [7, 0].into_iter().enumerate() {
        t.world.give_way_to(0, Some(ReplicaId(nobody)));
        t.world.run_now();
        let like = |n: &Note| matches!(n, Note::NoHandOver { why: NoHandOver::NoSuchMember });
        t.expect(t.count_notes(R0, like) == told + 1, format!("r0 not to give way to r{nobody}"))?;
    }
    t.put(0, 1, "x").expect_answered()?;
    t.restart(R2);
    t.settle()?;
    t.expect_view(All, 0)
}

fn to_the_dying(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.settle()?;
    t.give_way(0, 1);
    t.expect_note(R0, "that it gives way", gives_way)?;
    t.crash(R1);
    t.put(0, 1, "x").expect_pending_for(Wait::millis(5))?;
    t.expect_answered(0)?;
    t.expect_status(P, StatusName::Primary)?;
    t.restart(R1);
    t.settle()
}
