//! Clients and the client table: PROTOCOL §2 G.
//!
//! Owns one story per defect: it passes because of one rule, and with that rule broken it fails. Must not know other
//! sections.

use crate::scenario::Role::{All, P, R0, R1, R2};
use crate::scenario::{BOTH, Scenario, ScenarioInfo, Verdict, plain};
use crate::service::{Key, KvOp};
use crate::setup::Setup;
use vr_core::MessageKind::{Commit, Prepare, PrepareOk};
use vr_core::{Note, Op, Reject, Session, Wait};

const fn story(
    name: &'static str,
    story: &'static str,
    (faults, properties): (&'static str, &'static str),
    tune: fn(&mut Setup),
    play: fn(&mut Scenario) -> Verdict,
) -> ScenarioInfo {
    ScenarioInfo { name, story, faults, properties, replicas: 3, modes: BOTH, tune, play }
}

pub(super) const SCENARIOS: &[ScenarioInfo] = &[
    story(
        "d70-retry-after-a-view-change",
        "A new primary has a request in its log, not executed yet, when its client tries again: it is not logged twice.",
        ("isolation of the primary, hold of PrepareOk, retry", "S14 taken once, S14 at most once"),
        plain,
        retry_after_a_view_change,
    ),
    story(
        "d71-table-of-a-deposed-primary",
        "A primary takes a request that the group never gets, and leads again later: the request can be made again.",
        ("isolation of the primary, three view changes, retry", "L2 answered, S16 table equality"),
        plain,
        table_of_a_deposed_primary,
    ),
    story(
        "d72-client-that-crashed-twice",
        "A request of a client's first life arrives in its third: it is not taken for one of the third.",
        ("two crashes of a client, long hold of a request", "S22 reply truth, S14 at most once"),
        plain,
        client_that_crashed_twice,
    ),
    story(
        "d75-answer-to-the-right-request",
        "Two requests of a session execute before the first is answered: each answer names its own request.",
        ("slow upcalls, a client that does not wait", "S22 reply truth"),
        slow_upcalls,
        answer_to_the_right_request,
    ),
    story(
        "d76-retry-in-flight",
        "A client tries again while its request is in flight, again and again: it is logged once.",
        ("hold of PrepareOk, retries", "S14 taken once, S14 at most once"),
        plain,
        retry_in_flight,
    ),
    story(
        "d77-who-gives-way",
        "Two sessions fit and a third is opened: the same one gives way on every replica.",
        ("more clients than sessions", "S16 table equality, S22 reply truth"),
        two_sessions,
        who_gives_way,
    ),
    story(
        "d77-session-that-is-gone",
        "A request of a session that gave way has no effect, and its client is told.",
        ("more clients than sessions, late request", "S14 at most once, S22 reply truth"),
        two_sessions,
        session_that_is_gone,
    ),
    story(
        "d78-primary-that-is-behind",
        "A new primary has a session in its log, not executed yet: it does not tell its client that it is gone.",
        ("loss of Commit, isolation of the primary, hold of PrepareOk", "S22 reply truth"),
        plain,
        primary_that_is_behind,
    ),
    story(
        "d79-uncertain-outcome",
        "A primary that loses its quorum has a request in its log: it tells the client nothing, for it may still commit.",
        ("isolation of the primary", "S22 reply truth, S15 linearizability"),
        plain,
        uncertain_outcome,
    ),
];

/// D70. B starts view 1 with the request; C's acknowledgement is held.
fn retry_after_a_view_change(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.lose(Prepare, R0, R2);
    t.hold(PrepareOk, R1, R0);
    t.append(0, 1, "x").expect_pending()?;
    t.isolate(R0);
    t.hold(PrepareOk, R2, R1);
    t.elect(&[1, 2])?;
    t.run_ms(5)?;
    t.expect_op(R1, Op(2))?;
    for _ in 0..3 {
        t.retry(0, R1);
        t.run_ms(3)?;
    }
    t.expect_op(R1, Op(2))?;
    t.release(PrepareOk, R2, R1)?;
    t.expect_answered(0)?;
    t.expect_value(R1, 1, Some("x"))
}

/// D71. A has taken the request at op 2; view 1 starts without it, and A leads view 3.
fn table_of_a_deposed_primary(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.isolate(R0);
    t.append(0, 1, "x").expect_pending()?;
    t.elect(&[1, 2])?;
    t.heal();
    t.run(t.heartbeat().times(2))?;
    t.elect_as(0, &[0, 1, 2])?;
    t.expect_op(All, Op(1))?;
    t.retry(0, R0);
    t.expect_answered(0)?;
    t.expect_value(R0, 1, Some("x"))
}

/// D72. Each life of a client is another client with a session of its own: numbers cannot collide.
fn client_that_crashed_twice(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.append(0, 1, "a").expect_answered()?;
    let (first, op) = (t.session(0), KvOp::Append { key: Key(1), value: b"late" });
    t.world.cut_clients(0);
    t.append(0, 1, "lost").expect_pending()?;
    let late = t.world.client(0).request();
    t.world.heal_clients(0);
    for life in ["b", "c"] {
        t.world.crash_client(0);
        t.open(&[0])?;
        t.append(0, 1, life).expect_answered()?;
    }
    t.expect(t.session(0) != first, "another session in another life")?;
    t.world.inject_request(0, late);
    t.run_ms(10)?;
    let mut body = Vec::new();
    op.encode(&mut body);
    t.append(0, 1, "d").expect_answered()?;
    t.settle()?;
    t.expect_value(All, 1, Some("abclostd"))
}

fn slow_upcalls(setup: &mut Setup) {
    setup.execute = Wait::millis(5);
}

/// D75. The second request is on another key: its client never learns of it.
fn answer_to_the_right_request(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.put(0, 1, "one").unwatched();
    t.run_ms(2)?;
    t.inject(P, 0, 2, &KvOp::Put { key: Key(9), value: b"two" });
    let answer = t.expect_answered(0)?;
    t.expect(answer.op == Op(2), "the answer of op 2")?;
    t.settle()?;
    t.expect_value(All, 9, Some("two"))
}

/// D76. A has no acknowledgement yet.
fn retry_in_flight(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.hold(PrepareOk, All, R0);
    t.append(0, 1, "x").expect_pending()?;
    for _ in 0..3 {
        t.retry(0, R0);
        t.run_ms(3)?;
    }
    t.expect_op(R0, Op(2))?;
    t.expect_note(R0, "a duplicate", |n| matches!(n, Note::DuplicateRequest { .. }))?;
    t.release(PrepareOk, All, R0)?;
    t.expect_answered(0)?;
    t.settle()?;
    t.expect_value(All, 1, Some("x"))
}

fn two_sessions(setup: &mut Setup) {
    setup.clients = 3;
    setup.client_capacity = 2;
    setup.checkpoint_interval = 4;
}

/// D77. The tables are compared after op 4.
fn who_gives_way(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1, 2])?;
    t.run(t.heartbeat().times(2))?;
    t.expect_note(All, "that a session gave way", |n| matches!(n, Note::Evicted { session: Session(1), .. }))?;
    t.put(1, 1, "x").expect_answered()?;
    t.put(2, 1, "y").expect_answered()?;
    t.settle()?;
    t.expect_equal_memory_and_disk(All)
}

/// D77. The first session gave way; then its client calls.
fn session_that_is_gone(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1, 2])?;
    t.run(t.heartbeat().times(2))?;
    let before = t.op(All)?;
    let refusal = t.append(0, 1, "x").expect_refused()?;
    t.expect(refusal == Reject::Evicted, "to be told that the session is gone")?;
    t.run(t.heartbeat())?;
    t.expect_op(All, before)?;
    t.expect_value(All, 1, None)
}

/// D78. A has committed the session of client 0, and answered; B and C do not know.
fn primary_that_is_behind(t: &mut Scenario) -> Verdict {
    t.run(t.heartbeat().times(2))?;
    t.lose(Commit, R0, All);
    t.open(&[0])?;
    t.isolate(R0);
    t.hold(PrepareOk, R2, R1);
    t.elect(&[1, 2])?;
    t.run_ms(5)?;
    t.expect_op(R1, Op(1))?;
    t.expect_commit(R1, Op(0))?;
    let refusal = t.put_at(R1, 0, 1, "x").expect_refused()?;
    t.expect(refusal == Reject::Busy, "to be told to come again")?;
    t.release(PrepareOk, R2, R1)?;
    t.expect_answered(0).map(drop)
}

/// D79. A has the request at op 2 when it gives up; the others do not, and yet they might.
fn uncertain_outcome(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.lose(Prepare, R0, R2);
    t.hold(PrepareOk, R1, R0);
    t.put(0, 1, "x").expect_pending()?;
    t.isolate(R0);
    t.isolate(R1);
    t.run_ms(800)?;
    t.expect_note(R0, "that it gives up", |n| matches!(n, Note::Abdicated { .. }))?;
    t.expect(t.world.is_waiting(0) && t.last_refusal(0).is_none(), "no answer")?;
    t.mend(R1, R2);
    t.settle_among(&[1, 2])?;
    t.expect_value(R1, 1, Some("x"))
}
