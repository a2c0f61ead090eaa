//! View change, what must never happen: PROTOCOL §2 B as far as it is about safety.
//!
//! Owns one story per defect: it passes because of one rule, and with that rule broken it fails. What must happen in
//! time is in `view_gate`. Must not know other sections.

use crate::scenario::Role::{All, R0, R1, R2, R3, R4};
use crate::scenario::{BOTH, Scenario, ScenarioInfo, Verdict, plain};
use bytes::Bytes;
use vr_core::MessageKind::{Commit, CommitOk, DoViewChange, NewState, Prepare, PrepareOk, StartView};
use vr_core::{Body, Entries, Entry, Head, Note, Op, Reject, ReplicaId, StartView as Start, StatusName, Tail, View};

const fn story(
    name: &'static str,
    story: &'static str,
    (faults, properties): (&'static str, &'static str),
    replicas: u16,
    play: fn(&mut Scenario) -> Verdict,
) -> ScenarioInfo {
    ScenarioInfo { name, story, faults, properties, replicas, modes: BOTH, tune: plain, play }
}

pub(super) const SCENARIOS: &[ScenarioInfo] = &[
    story(
        "d09-longest-log",
        "A deposed primary brings a longer log of an older view: the log of the later view wins.",
        ("isolation of the primary, then of the next", "S8 best log, S8 leader completeness"),
        3,
        longest_log,
    ),
    story(
        "d10-view-of-the-last-entry",
        "A replica that was normal in view 1 without getting an entry of it outranks one that was not: v' is not the \
         view of the last entry.",
        ("rotating isolation, loss of Prepare", "S11 ack backed, S8 best log"),
        3,
        view_of_the_last_entry,
    ),
    story(
        "d11-largest-commit",
        "The chosen log comes from a replica that knows less of what is committed: the new view starts from what any knows.",
        ("loss of Commit, hold of PrepareOk", "expectation: the largest commit-number reported holds at once"),
        3,
        largest_commit,
    ),
    story(
        "d12-duplicate-reports",
        "Of five, one reports twice and one not at all: that is no quorum of reports.",
        ("duplication and hold of DoViewChange", "S7 justified start, S8 leader completeness"),
        5,
        duplicate_reports,
    ),
    story(
        "d12-reports-of-older-views",
        "A report for view 1 is still around when the same replica is to lead view 6: it counts for view 1 only.",
        ("rotating isolation, hold of DoViewChange", "S7 justified start, S8 leader completeness"),
        5,
        reports_of_older_views,
    ),
    story(
        "d14-inherited-entries",
        "A new primary inherits an entry that only it has: it is not committed before a quorum has acknowledged it.",
        ("loss of Prepare, isolation", "S12 commit justified, S1 agreement"),
        3,
        inherited_entries,
    ),
    story(
        "d15-report-of-a-part",
        "A report carries the end of a log only: what is missing of the chosen log is fetched, the own entries go.",
        ("isolation of a future primary with entries of its own", "S6 log match, S8 leader completeness"),
        3,
        report_of_a_part,
    ),
    story(
        "d16-late-start-view",
        "A StartView of view 1 is held until its addressee is normal in view 2: it is no news.",
        ("long hold of StartView, isolation", "S5 promise monotone, S8 leader completeness"),
        3,
        late_start_view,
    ),
    story(
        "d17-start-view-again",
        "A StartView arrives again after entries of its view were acknowledged: they stay.",
        ("duplication of StartView", "S11 ack backed, S9 ack durability"),
        3,
        start_view_again,
    ),
    story(
        "d18-own-longer-log",
        "A replica with more entries than the new view drops what the view does not have.",
        ("isolation with entries of its own", "S6 log match, S7 view prefix"),
        3,
        own_longer_log,
    ),
    story(
        "d19-contradiction",
        "A StartView that no honest peer sends contradicts what was executed: the replica stops rather than install it. \
         The checkers are off: to stop is a violation unless a peer lies.",
        ("a forged StartView", "expectation: it halts, and its log is as before"),
        3,
        contradiction,
    ),
    story(
        "d27-view-that-never-started",
        "A replica between views is asked by a client: it does not tell of a view that nobody has started.",
        ("crash of the primary, hold of DoViewChange", "S22 truthful hint"),
        3,
        view_that_never_started,
    ),
];

/// D9. A(v0) appends a1 and a2 alone; B and C commit b1 in view 1; C leads view 2 with A.
fn longest_log(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1, 2])?;
    t.run(t.heartbeat().times(2))?;
    t.isolate(R0);
    t.put_at(R0, 0, 1, "a1").expect_pending()?;
    t.put_at(R0, 1, 1, "a2").expect_pending()?;
    t.elect(&[1, 2])?;
    t.put_at(R1, 2, 1, "b1").expect_answered()?;
    t.isolate(R1);
    t.mend(R0, R2);
    t.elect(&[0, 2])?;
    t.expect_op(R0, Op(4))?;
    t.put_at(R2, 2, 2, "after").expect_answered()?;
    t.expect_value(R2, 1, Some("b1"))
}

/// D10. s is at A alone, of view 0; b at B alone, of view 1; C was normal in view 1 and has neither.
fn view_of_the_last_entry(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.run(t.heartbeat().times(2))?;
    t.isolate(R0);
    t.put_at(R0, 0, 1, "s").expect_pending()?;
    t.elect(&[1, 2])?;
    t.lose(Prepare, R1, R2);
    t.put_at(R1, 1, 1, "b").expect_pending()?;
    t.pass(Prepare, R1, R2);
    t.isolate(R1);
    t.mend(R0, R2);
    t.elect(&[0, 2])?;
    t.expect_op(R0, Op(2))?;
    t.expect_op(R2, Op(2))
}

/// D11. C knows that x is committed, and lacks y; B has both, and knows of neither.
fn largest_commit(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.run(t.heartbeat().times(2))?;
    t.lose(Commit, R0, R1);
    t.lose(NewState, R0, All);
    t.hold(Prepare, R0, All);
    t.hold(PrepareOk, R1, R0);
    t.put(0, 1, "x").unwatched();
    t.put(1, 2, "y").unwatched();
    t.run_ms(3)?;
    t.release_copies(Prepare, R0, R1)?;
    t.release_oldest_copy(Prepare, R0, R2)?;
    t.run_ms(80)?;
    t.expect_commit(R2, Op(3))?;
    t.expect_commit(R1, Op(2))?;
    t.expect_op(R1, Op(4))?;
    t.isolate(R0);
    t.hold(PrepareOk, R2, R1);
    t.depose(&[1, 2])?;
    t.wait_until(t.heartbeat(), "r1 to lead view 1", |w| {
        w.snapshot(1).is_some_and(|s| s.status == StatusName::Primary)
    })?;
    t.expect_op(R1, Op(4))?;
    t.expect_commit(R1, Op(3))
}

/// D12a. x is committed by r0, r1 and r2; of r2, r3 and r4, which go on to view 3, only r2 has it, and its report is held.
fn duplicate_reports(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    for to in [R3, R4] {
        t.lose(Prepare, R0, to);
    }
    t.put(0, 1, "x").expect_answered()?;
    t.isolate(R0);
    t.isolate(R1);
    t.hold(DoViewChange, All, All);
    while t.view(R3)? < View(3) {
        t.depose(&[2, 3, 4])?;
    }
    t.run_ms(10)?;
    for _ in 0..3 {
        t.release_oldest_copy(DoViewChange, R4, R3)?;
        t.run_ms(2)?;
    }
    t.expect_status(R3, StatusName::ViewChange)?;
    t.release(DoViewChange, R2, R3)?;
    t.run_ms(10)?;
    t.expect_status(R3, StatusName::Primary)?;
    t.expect_op(R3, Op(2))
}

/// D12b. r1 gets r3's report for view 1 and no other. View 2 commits y with r2, r3, r4. r1, r0 and r4 go on to view 6,
/// which r1 is to lead; r4's report, which has y, is held.
fn reports_of_older_views(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.isolate(R0);
    t.isolate(R2);
    t.hold(DoViewChange, All, R1);
    t.depose(&[1, 3, 4])?;
    t.run_ms(10)?;
    t.release_oldest_copy(DoViewChange, R3, R1)?;
    t.isolate(R1);
    t.mend(R2, R3);
    t.mend(R2, R4);
    t.elect(&[2, 3, 4])?;
    t.put_at(R2, 0, 1, "y").expect_answered()?;
    t.isolate(R3);
    t.isolate(R2);
    for (a, b) in [(R0, R1), (R0, R4), (R1, R4)] {
        t.mend(a, b);
    }
    t.hold(DoViewChange, All, R0);
    t.hold(DoViewChange, All, R4);
    while t.view(R1)? < View(6) {
        t.forget(DoViewChange, All, All);
        t.depose(&[0, 1, 4])?;
    }
    t.run_ms(10)?;
    t.release(DoViewChange, R0, R1)?;
    t.run_ms(10)?;
    t.expect_status(R1, StatusName::ViewChange)?;
    t.pass(DoViewChange, All, R1);
    t.release(DoViewChange, R4, R1)?;
    t.settle_among(&[0, 1, 4])?;
    t.expect_value(R1, 1, Some("y"))
}

/// D14. B starts view 1 with s, which A prepared at B alone; C's acknowledgement of s in view 1 is held.
fn inherited_entries(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.lose(Prepare, R0, R2);
    t.hold(PrepareOk, R1, R0);
    t.put(0, 1, "s").expect_pending()?;
    t.isolate(R0);
    t.hold(PrepareOk, R2, R1);
    t.elect(&[1, 2])?;
    t.run_ms(5)?;
    t.expect_op(R1, Op(2))?;
    t.expect_commit(R1, Op(1))?;
    t.expect_value(R1, 1, None)?;
    t.release(PrepareOk, R2, R1)?;
    t.run_ms(5)?;
    t.expect_commit(R1, Op(2))
}

/// D15. A holds s of view 0 where the others committed b1 and b2 in view 1, and is to lead view 3.
fn report_of_a_part(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.run(t.heartbeat().times(2))?;
    t.isolate(R0);
    t.append(0, 1, "s").expect_pending()?;
    t.elect(&[1, 2])?;
    t.append(1, 1, "b1").expect_answered()?;
    t.append(1, 1, "b2").expect_answered()?;
    t.run(t.heartbeat().times(2))?;
    t.isolate(R1);
    t.mend(R0, R2);
    t.lose(DoViewChange, R0, R2);
    while t.view(R0)? < View(3) {
        t.depose(&[0, 2])?;
    }
    t.join(&[0, 2], View(3))?;
    t.expect_note(R0, "that it fetched what it lacks", |n| matches!(n, Note::AskedForState { .. }))?;
    t.settle_among(&[0, 2])?;
    t.expect_value(R0, 1, Some("b1b2s"))
}

/// D16. SV(v1) → A is held; A follows C in view 2, where y is committed by the two.
fn late_start_view(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.hold(StartView, R1, R0);
    t.depose(&[0, 1, 2])?;
    t.run_ms(10)?;
    t.isolate(R1);
    t.elect(&[0, 2])?;
    t.put_at(R2, 0, 1, "y").expect_answered()?;
    t.release(StartView, R1, R0)?;
    t.run_ms(5)?;
    t.expect_view(R0, 2)?;
    t.expect_op(R0, Op(2))
}

/// D17. A follows B in view 1 and acknowledges y, which C does not get; then the StartView comes again.
fn start_view_again(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.hold(StartView, R1, R0);
    t.depose(&[0, 1, 2])?;
    t.run_ms(10)?;
    t.release_copies(StartView, R1, R0)?;
    t.join(&[0, 1, 2], View(1))?;
    t.lose(Prepare, R1, R2);
    t.lose(Commit, R1, R0);
    t.put_at(R1, 0, 1, "y").expect_answered()?;
    t.release_copies(StartView, R1, R0)?;
    t.run_ms(5)?;
    t.expect_op(R0, Op(2))?;
    t.crash(R1);
    t.pass(StartView, R1, R0);
    t.settle()?;
    t.expect_value(R2, 1, Some("y"))
}

/// D18. A has s1 and s2 of view 0, the group goes on with y alone.
fn own_longer_log(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1, 2])?;
    t.run(t.heartbeat().times(2))?;
    t.isolate(R0);
    t.put_at(R0, 0, 1, "s1").expect_pending()?;
    t.put_at(R0, 1, 1, "s2").expect_pending()?;
    t.expect_op(R0, Op(5))?;
    t.elect(&[1, 2])?;
    t.put_at(R1, 2, 1, "y").expect_answered()?;
    t.heal();
    t.run(t.heartbeat().times(3))?;
    t.expect_note(R0, "what it dropped", |n| matches!(n, Note::Truncated { from: Op(5), to: Op(3) }))?;
    t.expect_op(All, Op(4))?;
    t.expect_value(All, 1, Some("y"))?;
    t.settle()?;
    t.expect_equal_memory_and_disk(All)
}

/// D19. The forged log of view 1 has other entries where this replica has executed a and b.
fn contradiction(t: &mut Scenario) -> Verdict {
    t.world.without_checkers();
    t.open(&[0])?;
    t.append(0, 1, "a").expect_answered()?;
    t.append(0, 1, "b").expect_answered()?;
    t.hold(CommitOk, R1, R0);
    t.run(t.heartbeat().times(2))?;
    t.expect_commit(R2, Op(3))?;
    let log = t.world.disk(2).log.clone();
    let Some(true_entry) = log.entry(Op(2)) else { return t.disappoint("op 2 on the disk of r2") };
    let base = Head { op: Op(1), hash: true_entry.parent() };
    let mut request = true_entry.request();
    request.body = Bytes::from_static(b"forged");
    let mut head = base;
    let mut forged = Vec::new();
    for _ in 0..3 {
        let entry = Entry::new(true_entry.epoch(), View(1), head.op.next(), head.hash, request.clone());
        head = Head { op: entry.op(), hash: entry.hash() };
        forged.push(entry);
    }
    let Ok(entries) = Entries::new(forged) else { return t.disappoint("a chain") };
    let Some(mut lie) = t.world.held().first().cloned() else { return t.disappoint("a message of r1 in hand") };
    let tail = Tail { base, entries, head };
    lie.to = ReplicaId(2);
    lie.message.header.view = View(1);
    lie.message.body = Body::StartView(Box::new(Start { view_start: head.op, commit: Op(1), tail }));
    t.world.inject(lie);
    t.run_ms(5)?;
    t.expect(t.world.snapshot(2).is_none(), "r2 to halt")?;
    t.expect(t.world.disk(2).log == log, "the log on the disk of r2 to be as it was")?;
    t.end_here(); // Somebody lied: whether the rest gets along is not the point.
    Ok(())
}

/// D27. B and C are between views 0 and 1.
fn view_that_never_started(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.isolate(R0);
    t.hold(DoViewChange, All, All);
    t.depose(&[1, 2])?;
    let refusal = t.put_at(R2, 0, 1, "x").expect_refused()?;
    let hint = matches!(refusal, Reject::NotPrimary { view, .. } if view == View(0));
    t.expect(hint, "to be told of view 0, the last that started")?;
    t.heal();
    t.settle()?;
    t.expect_value(All, 1, Some("x"))
}
