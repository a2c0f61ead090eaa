//! Tests of what comes from outside: what follows from it at once.

use super::*;
use crate::action::EnterCause;
use crate::config::{ClusterConfig, Config};
use crate::entry::{Entries, Kind, Predicted};
use crate::event::{Event, Input};
use crate::id::{Beat, ClientId, ClusterId, Hash, Instance, RequestNumber, Session, Time, View};
use crate::log::Head;
use crate::message::{Body, Header, Message, MessageKind, StartView, Tail};
use crate::quorum::ReplicaSet;
use crate::stored::Stored;
use alloc::boxed::Box;

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
