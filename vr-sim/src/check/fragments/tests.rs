//! The judge of parts says what it should, and no more. Owns the steps that it is shown.

use super::*;
use crate::check::PROPERTIES;
use crate::check::stage::{chain, origin};
use vr_core::{ClusterId, Epoch, Head, Instance, Seq, Time, To};

const R0: ReplicaId = ReplicaId(0);
const R1: ReplicaId = ReplicaId(1);

fn snapshot(on: ReplicaId, status: StatusName) -> Snapshot {
    Snapshot {
        id: on,
        incarnation: Incarnation(1),
        status,
        epoch: Epoch(0),
        view: View(0),
        log_view: View(0),
        primary: R0,
        op: Op(9),
        base: Op(0),
        checkpoint: Op(0),
        durable: Op(5),
        commit: Op(9),
        executed: Op(0),
        wants_view_change: false,
        witness: false,
    }
}

fn new() -> Fragments {
    Fragments::new(&ClusterConfig::of_size(ClusterId(1), 3))
}

fn steps(judge: &mut Fragments, on: ReplicaId, input: Input, actions: &[Action]) -> &'static str {
    let status = if on == R0 { StatusName::Primary } else { StatusName::Backup };
    let seen = snapshot(on, status);
    let event = Event { at: Time(1), input };
    let verdict = judge.stepped(on, &Seen { event: &event, actions, before: &seen, after: &seen });
    verdict.err().map_or("nothing", |violation| violation.property)
}

fn acts(judge: &mut Fragments, on: ReplicaId, action: Action) -> &'static str {
    steps(judge, on, Input::Tick, &[action])
}

fn says(on: ReplicaId, view: u64, body: Body) -> Action {
    let (view, instance, incarnation) = (View(view), Instance(0), Incarnation(1));
    let header =
        vr_core::Header { config: Hash(1), epoch: Epoch(0), view, from: on, instance, incarnation, seq: Seq(0) };
    Action::Send { to: To::Others, message: Message::new(header, body) }
}

#[test]
fn every_property_that_parts_allow_is_in_the_table() {
    for name in Fragments::JUDGED {
        assert!(PROPERTIES.iter().any(|property| property.name == *name), "{name}");
    }
}

#[test]
fn two_replicas_that_execute_different_ops_or_answer_differently_are_caught_without_a_past() {
    let mut judge = new();
    let run = |view, ops| Action::Execute(chain(origin(), View(view), ops));
    assert_eq!(acts(&mut judge, R0, run(0, 1..=3)), "nothing");
    assert_eq!(acts(&mut judge.clone(), R1, run(0, 1..=3)), "nothing");
    assert_eq!(acts(&mut judge.clone(), R1, run(1, 1..=3)), S1);
    assert_eq!(acts(&mut judge.clone(), R0, run(0, 3..=3)), S2, "again");
    let answer = |reply: &'static [u8]| Input::Executed { op: Op(2), reply: Bytes::from_static(reply) };
    assert_eq!(steps(&mut judge, R0, answer(b"a"), &[]), "nothing");
    assert_eq!(steps(&mut judge, R1, answer(b"b"), &[]), S2);
}

#[test]
fn what_one_replica_owes_by_itself_is_judged() {
    let mut judge = new();
    let commit = |op| Action::Note(Note::Committed { op: Op(op) });
    assert_eq!((acts(&mut judge, R1, commit(7)), acts(&mut judge, R1, commit(6))), ("nothing", S3));
    let ack = |op| Body::PrepareOk { head: Head { op: Op(op), hash: Hash(1) }, beat: vr_core::Beat(1) };
    assert_eq!(acts(&mut judge, R1, says(R1, 0, ack(5))), "nothing");
    assert_eq!(acts(&mut judge, R1, says(R1, 0, ack(6))), S11, "it is not durable");
    let beat = || Body::Commit { commit: Op(0), head: Head::default(), beat: vr_core::Beat(1) };
    assert_eq!(acts(&mut judge, R1, says(R1, 0, beat())), S13, "a backup");
    assert_eq!(acts(&mut judge, R0, says(R0, 4, beat())), "nothing");
    assert_eq!(acts(&mut judge, R0, says(R0, 3, beat())), S10);
    assert_eq!(acts(&mut judge, R1, Action::Halt(HaltReason::WriteFailed)), S24);
    assert_eq!(steps(&mut judge, R1, Input::WriteFailed, &[Action::Halt(HaltReason::WriteFailed)]), "nothing");
    let entries = Write::Append(chain(origin(), View(0), 1..=1));
    let write = Action::Persist { id: vr_core::WriteId(1), write: entries };
    assert_eq!(steps(&mut judge, R1, Input::Space(true), std::slice::from_ref(&write)), "nothing");
    assert_eq!(steps(&mut judge, R1, Input::Space(false), &[write]), S25);
}

#[test]
fn entries_of_one_view_and_tables_after_one_op_are_equal() {
    let mut judge = new();
    let table = |table| Action::Note(Note::TableAt { op: Op(8), table: Hash(table) });
    assert_eq!((acts(&mut judge, R0, table(1)), acts(&mut judge, R1, table(2))), ("nothing", S16));
    let prepare = |from: Head| {
        let (entries, commit, beat) = (chain(from, View(0), 1..=1), Op(0), vr_core::Beat(1));
        says(R0, 0, Body::Prepare { entries, commit, beat })
    };
    assert_eq!(acts(&mut judge, R0, prepare(origin())), "nothing");
    assert_eq!(acts(&mut judge, R0, prepare(Head { hash: Hash(77), ..origin() })), S6);
}
