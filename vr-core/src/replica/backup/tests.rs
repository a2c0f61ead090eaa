//! Tests of a backup: what it says again when it is told again, and what it asks for whoever reads here.

use super::*;
use crate::action::Reject;
use crate::clients::ClientTable;
use crate::config::{ClusterConfig, Config};
use crate::entry::{Entry, Kind, Predicted, Query, Request};
use crate::id::{ClientId, ClusterId, FetchId, Instance, RequestNumber, Session, Time};
use crate::stored::Stored;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;

/// Replica 1 of three, a backup in view 0.
fn following() -> (Common, Backup) {
    let cluster = ClusterConfig::of_size(ClusterId(1), 3);
    let disk = Stored::format(cluster.cluster, cluster.digest(), ReplicaId(1), Instance(1));
    let mut common = Common::new(Config::new(cluster, ReplicaId(1)), disk, ClientTable::new(8), Time::ZERO);
    let backup = Backup::enter(&mut common, &mut Vec::new(), Op::ZERO);
    (common, backup)
}

/// What the primary says, and which ops are acknowledged then.
fn hear(common: &mut Common, backup: &mut Backup, body: Body) -> Vec<Op> {
    let mut out = Vec::new();
    assert_eq!(backup.on_message(common, &mut out, ReplicaId(0), body), Next::Stay);
    assert!(common.pending.persisted(common.pending.reach().0));
    backup.settle(common, &mut out);
    let said =
        |action: &Action| if let Action::Send { message, .. } = action { Some(message.body.clone()) } else { None };
    let acked = |body: Body| if let Body::PrepareOk { head, .. } = body { Some(head.op) } else { None };
    out.iter().filter_map(said).filter_map(acked).collect()
}

#[test]
fn a_backup_that_is_told_again_what_it_acknowledged_acknowledges_it_again() {
    let (mut common, mut backup) = following();
    let (client, session, number) = (ClientId(7), Session::ZERO, RequestNumber::ZERO);
    let (kind, predicted, body) = (Kind::Register, Predicted::default(), Bytes::new());
    let (request, base) = (Request { client, session, number, kind, predicted, body }, common.log.head());
    let entry = Entry::new(common.epoch(), common.view(), base.op.next(), base.hash, request);
    let entries = Entries::new(alloc::vec![entry]).expect("one entry is a chain");
    let prepare = Body::Prepare { entries, commit: Op::ZERO, beat: Beat(1) };
    assert_eq!(hear(&mut common, &mut backup, prepare.clone()), [Op(1)]);
    assert_eq!(hear(&mut common, &mut backup, prepare), [Op(1)]);
    let start = common.start_view(Op::ZERO, common.tail());
    assert_eq!(hear(&mut common, &mut backup, Body::StartView(Box::new(start))), [Op(1)]);
    let quiet = Body::NewState(Box::new(NewState { id: FetchId::ZERO, commit: Op::ZERO, tail: common.tail() }));
    assert_eq!(hear(&mut common, &mut backup, quiet), [], "nobody asked for an acknowledgement");
}

// ---- reads

/// A client asks here: which questions the primary is asked for that, and what is answered or refused.
fn read(common: &mut Common, backup: &mut Backup, number: u64) -> (Vec<FetchId>, Vec<u64>, Vec<Reject>) {
    let mut out = Vec::new();
    let query = Query { client: ClientId(7), number: RequestNumber(number), body: Bytes::new() };
    backup.on_query(common, &mut out, query);
    told(&out)
}

fn told(out: &[Action]) -> (Vec<FetchId>, Vec<u64>, Vec<Reject>) {
    let (mut asked, mut answered, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for action in out {
        if let Action::Send { message, .. } = action {
            asked.extend(if let Body::GetReadIndex { id } = message.body { Some(id) } else { None });
        } else if let Action::Read(queries) = action {
            answered.extend(queries.iter().map(|query| query.number.0));
        } else if let Action::Reject(rejection) = action {
            refused.push(rejection.reason);
        }
    }
    (asked, answered, refused)
}

fn index(common: &mut Common, backup: &mut Backup, from: u16, id: FetchId, op: u64) -> (Vec<FetchId>, Vec<u64>) {
    let mut out = Vec::new();
    let body = Body::ReadIndex { id, op: Op(op) };
    assert_eq!(backup.on_message(common, &mut out, ReplicaId(from), body), Next::Stay);
    let (asked, answered, _) = told(&out);
    (asked, answered)
}

fn silence(common: &mut Common, backup: &mut Backup) -> (Vec<FetchId>, Vec<u64>, Vec<Reject>) {
    common.now = common.timers.next_deadline().expect("somebody waits");
    assert_eq!(common.timers.take_due(common.now), Some(Timer::Retransmit));
    let mut out = Vec::new();
    assert_eq!(backup.on_silence(common, &mut out), Next::Stay);
    told(&out)
}

/// A backup whose patience with the view is at no end, so that only reads have a deadline.
fn reading() -> (Common, Backup) {
    let (mut common, backup) = following();
    common.timers.cancel(Timer::ViewChange);
    (common, backup)
}

#[test]
fn those_who_read_at_a_backup_share_a_question_and_each_question_has_its_answer() {
    let (mut common, mut backup) = reading();
    let (first, answered, _) = read(&mut common, &mut backup, 1);
    assert_eq!((first.len(), answered.len()), (1, 0));
    for number in [2, 3] {
        assert_eq!(read(&mut common, &mut backup, number), (Vec::new(), Vec::new(), Vec::new()), "they wait");
    }
    assert_eq!(index(&mut common, &mut backup, 2, first[0], 0), (Vec::new(), Vec::new()), "no primary says it");
    assert_eq!(index(&mut common, &mut backup, 0, FetchId(5), 0), (Vec::new(), Vec::new()), "nobody asked that");
    let (second, answered) = index(&mut common, &mut backup, 0, first[0], 0);
    assert_eq!((second.len(), answered), (1, alloc::vec![1]));
    assert_eq!(index(&mut common, &mut backup, 0, first[0], 0), (Vec::new(), Vec::new()), "it was answered");
    assert_eq!(index(&mut common, &mut backup, 0, second[0], 0), (Vec::new(), alloc::vec![2, 3]));
    assert_eq!(common.timers.next_deadline(), None);
    assert!(second[0] > first[0]);
}

#[test]
fn a_question_for_a_read_index_is_repeated_then_given_up_and_asked_again_only_later() {
    let (mut common, mut backup) = reading();
    let patience = common.config.timeouts.abdicate;
    let (asked, ..) = read(&mut common, &mut backup, 1);
    assert_eq!(silence(&mut common, &mut backup), (asked.clone(), Vec::new(), Vec::new()));
    assert_eq!(read(&mut common, &mut backup, 2), (Vec::new(), Vec::new(), Vec::new()));
    assert_eq!(silence(&mut common, &mut backup), (asked, Vec::new(), Vec::new()));
    let sent_on = Reject::NotPrimary { primary: Some(ReplicaId(0)), view: common.view() };
    assert_eq!(silence(&mut common, &mut backup), (Vec::new(), Vec::new(), alloc::vec![sent_on, sent_on]));
    assert_eq!((common.now, common.timers.next_deadline()), (Time::ZERO.after(patience), None));
    assert_eq!(read(&mut common, &mut backup, 3).2, [sent_on], "at once");
    common.now = common.now.after(patience);
    let (asked, ..) = read(&mut common, &mut backup, 4);
    assert_eq!(asked.len(), 1);
    while common.timers.next_deadline().is_some() {
        let _ = silence(&mut common, &mut backup);
    }
    common.now = common.now.after(patience);
    assert_eq!(read(&mut common, &mut backup, 5).2, [sent_on], "twice as long");
    common.now = common.now.after(patience);
    let (asked, ..) = read(&mut common, &mut backup, 6);
    assert_eq!(index(&mut common, &mut backup, 0, asked[0], 0).1, [6]);
}

#[test]
fn an_op_that_does_not_come_is_waited_for_no_longer_than_a_primary_waits_for_a_quorum() {
    let (mut common, mut backup) = reading();
    let patience = common.config.timeouts.abdicate;
    let (first, ..) = read(&mut common, &mut backup, 1);
    let _ = read(&mut common, &mut backup, 2);
    let (second, answered) = index(&mut common, &mut backup, 0, first[0], 3);
    assert_eq!((second.len(), answered.len()), (1, 0));
    assert_eq!(index(&mut common, &mut backup, 0, second[0], 4), (Vec::new(), Vec::new()));
    let (asked, answered, refused) = silence(&mut common, &mut backup);
    assert_eq!((asked.len(), answered.len(), refused.len(), common.now), (0, 0, 2, Time::ZERO.after(patience)));
    assert_eq!(read(&mut common, &mut backup, 3).0.len(), 1, "the primary was not silent");
}

#[test]
fn a_backup_takes_no_more_reads_than_it_has_room_for_and_none_that_is_too_long() {
    let (mut common, mut backup) = reading();
    common.config.batching.queue_entries = 3;
    let (first, ..) = read(&mut common, &mut backup, 1);
    let _ = read(&mut common, &mut backup, 2);
    let _ = index(&mut common, &mut backup, 0, first[0], 9);
    let _ = read(&mut common, &mut backup, 3);
    assert_eq!(
        read(&mut common, &mut backup, 4).2,
        [Reject::Busy],
        "one waits for its op, one for an answer, one to ask"
    );
    common.config.batching.queue_entries = 4;
    common.config.cluster.max_request_bytes = 2;
    let query = Query { client: ClientId(7), number: RequestNumber(5), body: Bytes::from_static(b"abc") };
    let mut out = Vec::new();
    backup.on_query(&mut common, &mut out, query);
    assert_eq!(told(&out).2, [Reject::TooLarge]);
    let mut out = Vec::new();
    backup.turn_readers_away(&common, &mut out);
    assert_eq!(told(&out).2.len(), 3);
    let mut out = Vec::new();
    backup.turn_readers_away(&common, &mut out);
    assert!(out.is_empty(), "nobody waits any more");
}
