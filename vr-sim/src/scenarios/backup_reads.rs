//! Reads that backups answer: what their primary says must be in the answer, and what becomes of those who wait for that.
//!
//! Owns one story per rule: it passes because of the rule named in it, and with the rule broken it fails. Must not know other
//! sections. PROTOCOL 1.8, D80 to D82, D87.

use super::reads::{expect_found, story};
use crate::scenario::Role::{P, R0, R1, R2, R3, R4};
use crate::scenario::{Role, SYNC, Scenario, ScenarioInfo, Verdict};
use crate::setup::Setup;
use vr_core::MessageKind::{Commit, GetReadIndex, ReadIndex, StartView};
use vr_core::{Note, Reject, ReplicaId, StatusName, Wait};

pub(super) const SCENARIOS: &[ScenarioInfo] = &[
    story(
        "read-at-a-backup",
        "A backup is asked by a client who lets it answer: it answers with what was written before, though it had not heard yet \
         that this is committed.",
        ("none", "S21 fresh read, S15 linearizability"),
        read_at_a_backup,
    ),
    story(
        "reads-at-a-backup-share-a-question",
        "Three clients ask a backup while its question is under way: one more question is for all of those who came after it.",
        ("ReadIndex held", "S21 fresh read"),
        share_a_question,
    ),
    story(
        "question-of-a-backup-is-repeated",
        "The question of a backup is lost, and then the answer to it: it is asked again and answered.",
        ("loss of GetReadIndex, loss of ReadIndex", "S21 fresh read"),
        question_is_repeated,
    ),
    story(
        "silent-primary-is-not-asked-for-ever",
        "A primary takes no question of a backup, like one of an earlier version: the clients who wait are sent to it in time, \
         those who come next at once, and later it is asked again.",
        ("loss of GetReadIndex", "S22 truthful hint"),
        silent_primary,
    ),
    story(
        "index-that-does-not-come",
        "A backup knows what its answer must reflect and hears of nothing that is committed: the client is sent to the primary.",
        ("loss of Commit, loss of StartView", "S21 fresh read"),
        index_does_not_come,
    ),
    ScenarioInfo {
        tune: narrow,
        ..story(
            "reads-at-a-backup-are-bounded",
            "So many reads wait at a backup as it has room for: one more is refused, and those that wait are answered.",
            ("ReadIndex held", "S21 fresh read"),
            bounded,
        )
    },
    story(
        "readers-turned-away-with-the-view",
        "A read waits at a backup when its view ends: it is refused then, and the next primary answers it.",
        ("isolation of the primary", "S21 fresh read, L2 answered"),
        turned_away,
    ),
    ScenarioInfo {
        replicas: 5,
        ..story(
            "d80-index-of-a-deposed-primary",
            "Three of five lead on without the primary and a backup; it asks on behalf of a client, and is told nothing.",
            ("partition", "S21 fresh read, L4 abdication"),
            index_of_the_deposed,
        )
    },
    story(
        "d81-executed-first",
        "A backup knows what its answer must reflect, and not yet that this is committed: it waits until it has executed it.",
        ("loss of Commit", "S21 fresh read"),
        executed_first,
    ),
    story(
        "d81-earlier-question",
        "The answer to a question arrives again when the next one is under way: it says nothing about those who wait for that.",
        ("ReadIndex held and duplicated, loss of Commit", "S21 fresh read"),
        earlier_question,
    ),
    ScenarioInfo {
        modes: SYNC,
        ..story(
            "d81-question-of-an-earlier-life",
            "A backup that asked is restarted and asks again in the same view: the answer to its first question says nothing.",
            ("ReadIndex held, crash of a backup, loss of Commit", "S21 fresh read"),
            earlier_life,
        )
    },
    story(
        "d81-index-of-an-earlier-view",
        "What the primary of an earlier view said arrives when a backup asks the next one: it is dropped.",
        ("ReadIndex held, isolation of the primary, loss of Commit", "S21 fresh read"),
        earlier_view,
    ),
];

const fn narrow(setup: &mut Setup) {
    setup.batching.queue_entries = 2;
}

fn is_given_up(note: &Note) -> bool {
    matches!(note, Note::ReadsGivenUp { .. })
}

/// Sent to this primary.
fn expect_hint(t: &Scenario, refusal: Option<Reject>, id: u16) -> Verdict {
    let is_hint = matches!(refusal, Some(Reject::NotPrimary { primary: Some(hint), .. }) if hint == ReplicaId(id));
    t.expect(is_hint, format!("a hint to r{id}, not {refusal:?}"))
}

fn read_at_a_backup(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    let written = t.put(0, 1, "x").expect_answered()?.op;
    t.expect(t.commit(R1)? < written, "r1 not to know that the write is committed")?;
    let read = t.read_here(R1, 1, 1).expect_answered_within(Wait::millis(10))?;
    expect_found(t, &read, "x")?;
    t.expect(t.status(R1)? == StatusName::Backup && read.op == written, "the backup's own state")?;
    let read = t.read_here(P, 1, 1).expect_answered_within(Wait::millis(10))?;
    expect_found(t, &read, "x")
}

fn share_a_question(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1, 2])?;
    t.put(0, 1, "x").expect_answered()?;
    t.hold(ReadIndex, R0, R1);
    t.read_here(R1, 0, 1).expect_pending_for(Wait::millis(5))?;
    t.read_here(R1, 1, 1).unwatched();
    t.read_here(R1, 2, 1).expect_pending_for(Wait::millis(5))?;
    t.expect(t.held(ReadIndex, R0, R1).len() == 1, "one answer to one question")?;
    t.hold(GetReadIndex, R1, R0);
    t.release(ReadIndex, R0, R1)?;
    t.run_ms(5)?;
    t.expect(t.held(GetReadIndex, R1, R0).len() == 1, "one question for both")?;
    t.release(GetReadIndex, R1, R0)?;
    for client in [0, 1, 2] {
        let read = t.expect_answered(client)?;
        expect_found(t, &read, "x")?;
    }
    Ok(())
}

fn question_is_repeated(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.put(0, 1, "x").expect_answered()?;
    t.lose(GetReadIndex, R1, R0);
    t.read_here(R1, 1, 1).expect_pending()?;
    t.pass(GetReadIndex, R1, R0);
    t.lose(ReadIndex, R0, R1);
    t.run(t.heartbeat().times(3))?;
    t.expect_waiting(1)?;
    t.pass(ReadIndex, R0, R1);
    t.run(t.heartbeat().times(5))?;
    let read = t.last_answer(1)?;
    expect_found(t, &read, "x")?;
    t.expect_no_note(R1, "to give up", is_given_up)
}

fn silent_primary(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.put(0, 1, "x").expect_answered()?;
    t.settle()?;
    t.lose(GetReadIndex, R1, R0);
    let nine = t.heartbeat().times(9);
    t.read_here(R1, 1, 1).expect_pending_for(nine)?;
    t.run(t.heartbeat().times(2))?;
    t.expect_note(R1, "to give up", is_given_up)?;
    expect_hint(t, t.last_refusal(1), 0)?;
    let read = t.expect_answered(1)?;
    expect_found(t, &read, "x")?;
    let refusal = t.read_here(R1, 0, 1).expect_refused()?;
    expect_hint(t, Some(refusal), 0)?;
    t.expect_answered(0)?;
    t.pass(GetReadIndex, R1, R0);
    t.run(t.heartbeat().times(11))?;
    let read = t.read_here(R1, 1, 1).expect_answered_within(Wait::millis(10))?;
    expect_found(t, &read, "x")
}

fn index_does_not_come(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.settle()?;
    t.lose(Commit, R0, R1);
    t.lose(StartView, R0, R1);
    let written = t.put(0, 1, "x").expect_answered()?.op;
    t.read_here(R1, 1, 1).expect_pending()?;
    t.run(t.heartbeat().times(12))?;
    t.expect(t.commit(R1)? < written, "r1 not to know that the write is committed")?;
    t.expect_note(R1, "to give up", is_given_up)?;
    expect_hint(t, t.last_refusal(1), 0)
}

fn bounded(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1, 2])?;
    t.put(0, 1, "x").expect_answered()?;
    t.hold(ReadIndex, R0, R1);
    t.read_here(R1, 0, 1).expect_pending_for(Wait::millis(5))?;
    t.read_here(R1, 1, 1).expect_pending_for(Wait::millis(5))?;
    let refusal = t.read_here(R1, 2, 1).expect_refused()?;
    t.expect(refusal == Reject::Busy, format!("no more than two to wait, not {refusal:?}"))?;
    t.release(ReadIndex, R0, R1)?;
    for client in [0, 1, 2] {
        let read = t.expect_answered(client)?;
        expect_found(t, &read, "x")?;
    }
    Ok(())
}

fn turned_away(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.put(0, 1, "x").expect_answered()?;
    t.settle()?;
    t.isolate(R0);
    t.read_here(R2, 1, 1).expect_pending()?;
    t.elect(&[1, 2])?;
    t.expect_note(R2, "to turn its reader away", is_given_up)?;
    let refusal = t.last_refusal(1);
    t.expect(matches!(refusal, Some(Reject::NotPrimary { .. })), format!("a refusal of the read, not {refusal:?}"))?;
    let read = t.expect_answered(1)?;
    expect_found(t, &read, "x")
}

/// D80. r0 and r4 are in view 0, the others in a later one.
fn index_of_the_deposed(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.put(0, 1, "old").expect_answered()?;
    t.settle()?;
    for there in [R1, R2, R3] {
        t.cut(R0, there);
        t.cut(R4, there);
    }
    t.elect(&[1, 2, 3])?;
    t.put_at(R1, 0, 1, "new").expect_answered()?;
    t.expect_status(R0, StatusName::Primary)?;
    t.expect_status(R4, StatusName::Backup)?;
    t.read_here(R4, 1, 1).expect_pending()?;
    t.heal();
    let read = t.expect_answered(1)?;
    expect_found(t, &read, "new")
}

/// D81. r1 has logged the write and not heard that it is committed.
fn executed_first(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.settle()?;
    t.lose(Commit, R0, R1);
    let written = t.put(0, 1, "x").expect_answered()?.op;
    t.read_here(R1, 1, 1).expect_pending()?;
    t.expect(t.op(R1)? == written && t.commit(R1)? < written, "r1 to have it, and not to know that it is committed")?;
    t.pass(Commit, R0, R1);
    t.run(t.heartbeat().times(2))?;
    let read = t.last_answer(1)?;
    expect_found(t, &read, "x")
}

/// D81. The first answer arrives twice, the second time for a question that left after a write.
fn earlier_question(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.put(0, 1, "old").expect_answered()?;
    t.settle()?;
    t.hold(ReadIndex, R0, R1);
    t.read_here(R1, 1, 1).expect_pending_for(Wait::millis(5))?;
    t.release_copies(ReadIndex, R0, R1)?;
    t.run_ms(5)?;
    let read = t.last_answer(1)?;
    expect_found(t, &read, "old")?;
    answered_late(t, R0, R1, |t| t.read_here(R1, 1, 1).expect_pending_for(Wait::millis(5)))
}

/// The primary is asked again by a backup that has not heard of a write; what r0 answered before comes first, and is no answer.
fn answered_late(t: &mut Scenario, primary: Role, backup: Role, ask: fn(&mut Scenario) -> Verdict) -> Verdict {
    t.lose(Commit, primary, backup);
    t.put_at(primary, 0, 1, "new").expect_answered()?;
    t.hold(GetReadIndex, backup, primary);
    ask(t)?;
    t.release(ReadIndex, R0, backup)?;
    t.run_ms(5)?;
    t.expect_waiting(1)?;
    t.heal();
    t.release(GetReadIndex, backup, primary)?;
    let read = t.expect_answered(1)?;
    expect_found(t, &read, "new")
}

/// D81. As before, with a restart between the questions.
fn earlier_life(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.put(0, 1, "old").expect_answered()?;
    t.settle()?;
    t.hold(ReadIndex, R0, R1);
    t.read_here(R1, 1, 1).expect_pending_for(Wait::millis(5))?;
    t.crash(R1);
    t.restart(R1);
    t.run(t.heartbeat().times(2))?;
    t.expect_status(R1, StatusName::Backup)?;
    answered_late(t, R0, R1, |t| {
        t.retry(1, R1);
        t.run_ms(5)
    })
}

/// D81. r1 leads the next view, with a write of which r2 does not know that it is committed.
fn earlier_view(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.put(0, 1, "old").expect_answered()?;
    t.settle()?;
    t.hold(ReadIndex, R0, R2);
    t.read_here(R2, 1, 1).expect_pending_for(Wait::millis(5))?;
    t.isolate(R0);
    t.elect(&[1, 2])?;
    t.expect_answered(1)?;
    answered_late(t, R1, R2, |t| t.read_here(R2, 1, 1).expect_pending_for(Wait::millis(5)))
}
