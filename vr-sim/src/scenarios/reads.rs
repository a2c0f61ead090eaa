//! Reads without an entry in the log: PROTOCOL 1.8, D80 to D82.
//!
//! Owns one story per defect: it passes because of the rule named in it, and with the rule broken it fails. Must not know
//! other sections.

use crate::scenario::Role::{All, Others, P, R0, R1, R2};
use crate::scenario::{BOTH, SYNC, Scenario, ScenarioInfo, Verdict, plain};
use vr_core::MessageKind::{Commit, CommitOk, StartView};
use vr_core::{Note, Op, Reject, ReplicaId, Reply, StatusName, Wait};

pub(super) const fn story(
    name: &'static str,
    story: &'static str,
    (faults, properties): (&'static str, &'static str),
    play: fn(&mut Scenario) -> Verdict,
) -> ScenarioInfo {
    ScenarioInfo { name, story, faults, properties, replicas: 3, modes: BOTH, tune: plain, play }
}

pub(super) const SCENARIOS: &[ScenarioInfo] = &[
    story(
        "read-without-an-entry",
        "A read is answered with what was written before it, at once, and nothing is logged for it.",
        ("none", "S21 fresh read, S15 linearizability"),
        read_without_an_entry,
    ),
    story(
        "read-at-a-deposed-primary",
        "A primary that others have replaced without its knowledge is asked: it answers no read, refuses it when it gives \
         up, and the new primary answers.",
        ("isolation of the primary", "S21 fresh read, L4 abdication"),
        read_at_a_deposed_primary,
    ),
    story(
        "d80-deposed-primary-reads",
        "The others lead on without the primary; it is asked and does not answer from its own state.",
        ("isolation of the primary", "S21 fresh read"),
        deposed_primary_reads,
    ),
    story(
        "d80-earlier-heartbeat",
        "The answers to a heartbeat arrive after the others left the view, and after a read came: they say nothing about it.",
        ("CommitOk held for long, isolation and pause of the primary", "S21 fresh read"),
        earlier_heartbeat,
    ),
    story(
        "d81-backup-reads",
        "A backup is asked that has not heard yet what was committed: it names the primary.",
        ("none", "S21 fresh read, S22 truthful hint"),
        backup_reads,
    ),
    ScenarioInfo {
        modes: SYNC,
        ..story(
            "d82-inherited-first",
            "A new primary hears a quorum before what it inherited is committed: a read waits for that.",
            ("loss of Commit, crash of the primary, a slow disk", "S21 fresh read"),
            inherited_first,
        )
    },
];

/// The value in the answer to a read, as the store encodes it.
pub(super) fn expect_found(t: &Scenario, reply: &Reply, value: &str) -> Verdict {
    t.expect(reply.result.ends_with(value.as_bytes()), format!("the read to find {value:?}, not {:?}", reply.result))
}

fn read_without_an_entry(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    let written = t.put(0, 1, "x").expect_answered()?.op;
    let read = t.read_at(P, 1, 1).expect_answered_within(Wait::millis(5))?;
    expect_found(t, &read, "x")?;
    t.expect(read.op == written, "the state after the write")?;
    t.settle()?;
    t.expect_op(All, written)
}

fn read_at_a_deposed_primary(t: &mut Scenario) -> Verdict {
    deposed_primary_reads(t)?;
    t.run(t.heartbeat().times(12))?;
    t.expect_note(R0, "to give up", |note| matches!(note, Note::Abdicated { .. }))?;
    let refusal = t.last_refusal(1);
    t.expect(matches!(refusal, Some(Reject::NotPrimary { .. })), format!("a refusal of the read, not {refusal:?}"))?;
    t.heal();
    let read = t.expect_answered(1)?;
    expect_found(t, &read, "new")
}

/// D80. What r1 committed is not at r0.
fn deposed_primary_reads(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.put(0, 1, "old").expect_answered()?;
    t.settle()?;
    t.isolate(R0);
    t.elect(&[1, 2])?;
    t.put_at(R1, 0, 1, "new").expect_answered()?;
    t.expect_status(R0, StatusName::Primary)?;
    t.read_at(R0, 1, 1).expect_pending()
}

/// D80. The read comes when a quorum's answers are on their way. r0 stands still meanwhile, so that no later heartbeat leaves.
fn earlier_heartbeat(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.put(0, 1, "old").expect_answered()?;
    t.settle()?;
    t.hold(CommitOk, All, R0);
    t.run(t.heartbeat().times(2))?;
    t.isolate(R0);
    t.stand_still(R0);
    t.elect(&[1, 2])?;
    t.put_at(R1, 0, 1, "new").expect_answered()?;
    t.read_at(R0, 1, 1).expect_pending_for(Wait::millis(5))?;
    t.release(CommitOk, All, R0)?;
    t.go_on(R0);
    t.run_ms(5)?;
    t.expect_status(R0, StatusName::Primary)?;
    t.heal();
    let read = t.expect_answered(1)?;
    expect_found(t, &read, "new")
}

/// D81. A backup learns that an op is committed with the next heartbeat.
fn backup_reads(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.put(0, 1, "x").expect_answered()?;
    let refusal = t.read_at(R1, 1, 1).expect_refused()?;
    let is_hint = matches!(refusal, Reject::NotPrimary { primary: Some(ReplicaId(0)), .. });
    t.expect(is_hint, format!("a hint to r0, not {refusal:?}"))?;
    let read = t.expect_answered(1)?;
    expect_found(t, &read, "x")
}

/// D82. r1 leads view 1, with a write that r0 committed and answered; r2 hears it, and its disk is slow.
fn inherited_first(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.settle()?;
    t.lose(Commit, R0, Others(0));
    let written = t.put(0, 1, "x").expect_answered()?.op;
    t.crash(R0);
    t.hold(StartView, R1, R2);
    t.depose(&[1, 2])?;
    t.run_ms(10)?;
    t.stick_disk(R2);
    t.release(StartView, R1, R2)?;
    t.run_ms(5)?;
    t.expect_status(R2, StatusName::Backup)?;
    t.expect(t.commit(R1)? < written, "r1 not to know that the write is committed")?;
    t.read_at(R1, 1, 1).expect_pending()?;
    t.free_disk(R2);
    let read = t.expect_answered(1)?;
    t.expect(read.op >= written && written > Op::ZERO, "the state after the write")?;
    expect_found(t, &read, "x")
}
