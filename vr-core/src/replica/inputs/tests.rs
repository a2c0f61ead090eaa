//! Tests of what comes from outside: what follows from it at once.

use super::super::shelf::Shelf;
use super::*;
use crate::action::{EnterCause, Ignored};
use crate::config::{ClusterConfig, Config};
use crate::entry::{Entries, Entry, Kind, Predicted};
use crate::event::{Event, Input};
use crate::id::{
    Beat, ClientId, ClusterId, Epoch, FetchId, Hash, Incarnation, Instance, Nonce, RequestNumber, Session, Time, View,
};
use crate::log::Head;
use crate::message::{Body, DoViewChange, GetState, Header, Message, MessageKind, NewState, Recovery, StartView, Tail};
use crate::quorum::ReplicaSet;
use crate::stored::Stored;
use alloc::boxed::Box;
use alloc::vec;

fn step(replica: &mut Replica, input: Input) -> Out {
    replica.step(Event { at: Time::ZERO, input })
}

/// Replica 0 of three, the primary of view 0.
fn opened() -> Replica {
    let cluster = ClusterConfig::of_size(ClusterId(1), 3);
    let disk = Stored::format(cluster.cluster, cluster.digest(), ReplicaId(0), Instance(7));
    let config = Config::new(cluster, ReplicaId(0));
    Replica::open(config, disk, Time::ZERO, &mut Vec::new()).expect("its own disk")
}

/// Its disk has everything.
fn write(replica: &mut Replica) -> Out {
    let issued = WriteId(replica.writes().issued);
    step(replica, Input::Persisted(issued))
}

/// Its disk has it, and so has replica 1.
fn commit(replica: &mut Replica) -> Out {
    let _ = write(replica);
    let header = Header { from: ReplicaId(1), ..*replica.common.header() };
    let ok = Body::PrepareOk { head: replica.common.log.head(), beat: Beat::ZERO };
    step(replica, Input::Message(Message::new(header, ok)))
}

fn request(session: u64, number: u64, kind: Kind) -> Input {
    let (client, session, number) = (ClientId(1), Session(session), RequestNumber(number));
    Input::Request(Request { client, session, number, kind, predicted: Predicted::default(), body: Bytes::new() })
}

/// Everything is committed, replica 1 has it all, and the service has one answer to give.
#[test]
fn a_primary_that_waits_for_its_service_to_give_way_does_so_with_the_last_answer() {
    let mut replica = opened();
    let _ = commit(&mut replica);
    let _ = step(&mut replica, request(0, 0, Kind::Register));
    let _ = commit(&mut replica);
    let _ = step(&mut replica, request(1, 1, Kind::Operation));
    let asked = commit(&mut replica);
    assert!(asked.iter().any(|action| matches!(action, Action::Execute(_))));
    let _ = step(&mut replica, Input::HandOver { to: Some(ReplicaId(1)) });
    assert_eq!(replica.snapshot().view, View(0));
    let out = step(&mut replica, Input::Executed { op: Op(2), reply: Bytes::new() });
    assert!(out.contains(&Action::Note(Note::EnteredView { view: View(1), cause: EnterCause::HandOver })));
}

/// It hears of view 1 by a vote, or by the log of that view, of which it lacks nearly everything.
#[test]
fn who_waits_for_a_view_repeats_vote_and_report_each_beat_and_who_fetches_its_log_only_the_vote() {
    let (base, head) = (Head { op: Op(100), hash: Hash(9) }, Head { op: Op(200), hash: Hash(8) });
    let tail = Tail { base, entries: Entries::empty(), head };
    let start = Body::StartView(Box::new(StartView { view_start: head.op, commit: Op::ZERO, tail }));
    let vote = Body::StartViewChange { want: true, hears: ReplicaSet::EMPTY };
    for (news, reports_again) in [(vote, true), (start, false)] {
        let says = |out: &[Action], kind: MessageKind| {
            let is_it = |action: &Action| matches!(action, Action::Send { message, .. } if message.body.kind() == kind);
            out.iter().any(is_it)
        };
        let mut replica = opened();
        let _ = write(&mut replica);
        let header = Header { view: View(1), from: ReplicaId(1), ..*replica.common.header() };
        let _ = step(&mut replica, Input::Message(Message::new(header, news)));
        assert!(says(&write(&mut replica), MessageKind::DoViewChange));
        let at = replica.next_deadline().expect("the beat");
        let out = replica.step(Event { at, input: Input::Tick });
        assert!(says(&out, MessageKind::StartViewChange));
        assert_eq!(says(&out, MessageKind::DoViewChange), reports_again);
    }
}

/// Replica 1 or 2 says this, in its present life or another.
fn hear(replica: &mut Replica, (from, life): (u16, u64), view: View, body: Body) -> Out {
    let header = Header { view, from: ReplicaId(from), incarnation: Incarnation(life), ..*replica.common.header() };
    step(replica, Input::Message(Message::new(header, body)))
}

fn kinds(out: &[Action]) -> Vec<MessageKind> {
    let kind =
        |action: &Action| if let Action::Send { message, .. } = action { Some(message.body.kind()) } else { None };
    out.iter().filter_map(kind).collect()
}

fn ignored(from: u16, kind: MessageKind, why: Ignored) -> Action {
    Action::Note(Note::Ignored { from: ReplicaId(from), kind, why })
}

#[test]
fn who_is_outside_gives_what_is_named_by_its_content_and_answers_nothing_else() {
    let mut replica = opened();
    let head = Head { op: Op(4), hash: Hash(1) };
    let checkpoint = Checkpoint::new(head, Predicted::default(), Bytes::new(), Bytes::from_static(b"state"));
    let _ = write(&mut replica);
    (replica.common.shelf, replica.status) = (Shelf::new(Some(checkpoint)), Status::Outside);
    let out = hear(&mut replica, (1, 0), View(0), Body::GetCheckpoint { head, offset: 0 });
    assert_eq!(kinds(&out), [MessageKind::CheckpointPart]);
    let question = Box::new(GetState { id: FetchId(1), have: Vec::new(), want: None });
    let out = hear(&mut replica, (1, 0), View(0), Body::GetState(question));
    assert_eq!(out, [ignored(1, MessageKind::GetState, Ignored::WrongStatus)]);
}

#[test]
fn who_asks_for_its_memory_of_a_later_epoch_is_no_reason_to_go_there() {
    let nonce = Nonce { incarnation: Incarnation(2), counter: 1 };
    let asked = |view_min| {
        let mut replica = opened();
        let _ = write(&mut replica);
        let question = Box::new(Recovery { nonce, view_min, have: Vec::new() });
        let out = hear(&mut replica, (1, 2), View(0), Body::Recovery(question));
        (out, replica.snapshot().view)
    };
    let malformed = ignored(1, MessageKind::Recovery, Ignored::Malformed);
    for view_min in [View::first_of(Epoch(1)), View::before(Epoch(1))] {
        assert_eq!(asked(view_min), (alloc::vec![malformed.clone()], View(0)), "{view_min:?}");
    }
    assert_eq!(asked(View(2)).1, View(2), "a view of its own epoch is one");
    let (out, view) = asked(View(0));
    assert_eq!((kinds(&out), view), (alloc::vec![MessageKind::RecoveryResponse], View(0)));
}

/// Replica 1, which lacks what the primary committed, has asked for it.
#[test]
fn a_full_disk_ends_a_backups_question_for_what_it_lacks_and_room_does_not() {
    for has_room in [true, false] {
        let cluster = ClusterConfig::of_size(ClusterId(1), 3);
        let disk = Stored::format(cluster.cluster, cluster.digest(), ReplicaId(1), Instance(7));
        let mut replica =
            Replica::open(Config::new(cluster, ReplicaId(1)), disk, Time::ZERO, &mut Vec::new()).expect("its own disk");
        let _ = write(&mut replica);
        let head = Head { op: Op(3), hash: Hash(9) };
        let out = hear(&mut replica, (0, 1), View(0), Body::Commit { commit: head.op, head, beat: Beat(1) });
        let question = |action: &Action| {
            let Action::Send { message, .. } = action else { return None };
            if let Body::GetState(question) = &message.body { Some(question.id) } else { None }
        };
        let id = out.iter().find_map(question).expect("it asks");
        let _ = step(&mut replica, Input::Space(has_room));
        let tail = Tail { base: replica.common.log.head(), entries: Entries::empty(), head };
        let answer = NewState { id, commit: head.op, tail };
        let out = hear(&mut replica, (0, 1), View(0), Body::NewState(Box::new(answer)));
        let is_for_nothing = out.contains(&ignored(0, MessageKind::NewState, Ignored::NotAsked));
        assert_eq!(is_for_nothing, !has_room, "has room: {has_room}");
    }
}

/// Of view 3, which it leads. Replica 1 reported so many entries in each of these lives.
fn chosen_of(reports: &[(u64, u64)]) -> u64 {
    let mut replica = opened();
    let _ = write(&mut replica);
    let base = replica.common.log.head();
    for (life, length) in reports {
        let mut last = base;
        let make = |number| {
            let (client, session, predicted) = (ClientId(7), Session::ZERO, Predicted::default());
            let (number, kind, body) = (RequestNumber(number), Kind::Operation, Bytes::new());
            let request = Request { client, session, number, kind, predicted, body };
            let entry = Entry::new(Epoch(0), View(0), last.op.next(), last.hash, request);
            last = Head { op: entry.op(), hash: entry.hash() };
            entry
        };
        let entries = Entries::new((1..=*length).map(make).collect()).expect("a chain");
        let tail = Tail { base, entries, head: last };
        let report = DoViewChange { log_view: View(0), commit: Op::ZERO, tail };
        let _ = hear(&mut replica, (1, *life), View(3), Body::DoViewChange(Box::new(report)));
    }
    assert_eq!(replica.snapshot().view, View(3));
    let _ = write(&mut replica);
    replica.snapshot().op.0
}

#[test]
fn of_the_reports_of_a_replica_that_of_its_newest_life_counts_whichever_came_last() {
    assert_eq!(chosen_of(&[(1, 3)]), 3);
    assert_eq!(chosen_of(&[(1, 3), (2, 1)]), 1, "what it had in an earlier life it may have lost since");
    assert_eq!(chosen_of(&[(2, 1), (1, 3)]), 1, "an earlier one came late");
    assert_eq!(chosen_of(&[(2, 1), (2, 2)]), 2, "it reports again");
}

#[test]
fn what_was_read_too_late_is_asked_of_a_quorum_or_refused_by_who_leads_no_more() {
    let query = Query { client: ClientId(7), number: RequestNumber(1), body: Bytes::new() };
    let late = || Input::QueryLate(query.clone());
    let mut replica = opened();
    let _ = commit(&mut replica);
    let out = step(&mut replica, late());
    let beat = out.iter().find_map(|action| {
        let Action::Send { message, .. } = action else { return None };
        let Body::Commit { beat, .. } = &message.body else { return None };
        Some(*beat)
    });
    let header = Header { from: ReplicaId(1), ..*replica.common.header() };
    let heard = Body::CommitOk { beat: beat.expect("a heartbeat for it") };
    let out = step(&mut replica, Input::Message(Message::new(header, heard)));
    assert!(out.contains(&Action::Read(vec![query.clone()])), "{out:?}");
    let vote = Body::StartViewChange { want: true, hears: ReplicaSet::EMPTY };
    let header = Header { view: View(1), from: ReplicaId(1), ..*replica.common.header() };
    let _ = step(&mut replica, Input::Message(Message::new(header, vote)));
    assert!(step(&mut replica, late()).iter().any(|action| matches!(action, Action::Reject(_))));
}
