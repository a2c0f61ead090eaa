//! Tests of the primary: when it says something again, and when it gives up its job, not a moment before.

use super::super::{Replica, Status};
use super::*;
use crate::clients::ClientTable;
use crate::config::{ClusterConfig, Config};
use crate::entry::Kind;
use crate::event::{Event, Input};
use crate::hand_over::NoHandOver;
use crate::id::{ClusterId, Instance, View, Wait};
use crate::message::{Header, Message};
use crate::quorum::ReplicaSet;
use crate::stored::Stored;

/// Replica 0 of three, the primary of view 0.
pub(super) fn leading() -> (Common, Primary) {
    let cluster = ClusterConfig::of_size(ClusterId(1), 3);
    let disk = Stored::format(cluster.cluster, cluster.digest(), ReplicaId(0), Instance(1));
    let mut common = Common::new(Config::new(cluster, ReplicaId(0)), disk, ClientTable::new(8), Time::ZERO);
    let primary = Primary::enter(&mut common, &mut Vec::new(), Op::ZERO);
    (common, primary)
}

/// A client asks for a session: one more op, and what it ends the log with.
fn ask(common: &mut Common, primary: &mut Primary, client: u128) -> Head {
    let (client, session, number) = (ClientId(client), Session::ZERO, RequestNumber::ZERO);
    let (kind, predicted, body) = (Kind::Register, Predicted::default(), Bytes::new());
    let request = Request { client, session, number, kind, predicted, body };
    primary.on_request(common, &mut Vec::new(), request);
    common.log.head()
}

fn acknowledge(common: &mut Common, primary: &mut Primary, by: u16, head: Head) {
    primary.on_prepare_ok(common, &mut Vec::new(), ReplicaId(by), (head, Beat::ZERO), true);
}

fn retransmit(common: &mut Common, primary: &mut Primary) -> Vec<(u16, u64)> {
    let mut out = Vec::new();
    primary.on_retransmit(common, &mut out);
    let again = |action: &Action| {
        let Action::Note(Note::Retransmitted { to, op }) = action else { return None };
        Some((to.0, op.0))
    };
    out.iter().filter_map(again).collect()
}

fn kinds_to(out: &[Action], id: u16) -> Vec<MessageKind> {
    let kind = |action: &Action| {
        let Action::Send { to: To::One(to), message } = action else { return None };
        (*to == ReplicaId(id)).then(|| message.body.kind())
    };
    out.iter().filter_map(kind).collect()
}

#[test]
fn a_heartbeat_has_a_number_of_its_own_a_quarter_of_the_interval_after_the_last_or_when_asked_for() {
    let (mut common, mut primary) = leading();
    let quarter = common.config.timeouts.heartbeat.0 / 4;
    assert_eq!(primary.next_beat(&common, false), Beat(1));
    common.now = Time(quarter - 1);
    assert_eq!(primary.next_beat(&common, false), Beat(1));
    common.now = Time(quarter);
    assert_eq!(primary.next_beat(&common, false), Beat(2));
    assert_eq!(primary.next_beat(&common, true), Beat(3));
}

#[test]
fn what_is_not_acknowledged_goes_out_again_unless_something_committed_meanwhile() {
    let (mut common, mut primary) = leading();
    let (first, _) = (ask(&mut common, &mut primary, 1), ask(&mut common, &mut primary, 2));
    assert_eq!(retransmit(&mut common, &mut primary), [(1, 1), (2, 1)]);
    assert_eq!(primary.resend_attempt, 1);
    (1..3).for_each(|by| acknowledge(&mut common, &mut primary, by, first));
    assert_eq!(common.commit(), Op(1));
    assert_eq!((retransmit(&mut common, &mut primary), primary.resend_attempt), (Vec::new(), 0));
    assert_eq!(retransmit(&mut common, &mut primary), [(1, 2), (2, 2)]);
}

#[test]
fn who_waits_for_no_acknowledgement_or_has_abdicated_says_nothing_again_and_sets_no_timer() {
    let (mut common, mut primary) = leading();
    assert_eq!(retransmit(&mut common, &mut primary), []);
    assert!(!common.timers.is_armed(Timer::Retransmit));
    ask(&mut common, &mut primary, 1);
    assert!(common.timers.is_armed(Timer::Retransmit));
    primary.abdicated = true;
    common.timers.cancel(Timer::Retransmit);
    assert_eq!(retransmit(&mut common, &mut primary), []);
    assert!(!common.timers.is_armed(Timer::Retransmit));
}

#[test]
fn a_full_disk_is_borne_for_the_time_of_an_abdication_and_no_longer() {
    let (mut common, primary) = leading();
    let abdicate = common.config.timeouts.abdicate;
    common.full_since = Some(Time::ZERO);
    common.now = Time::ZERO.after(abdicate);
    assert!(!primary.is_useless(&common));
    common.now = common.now.after(Wait(1));
    assert!(primary.is_useless(&common));
}

#[test]
fn who_abdicated_tells_a_replica_that_votes_in_an_earlier_view_where_it_is() {
    let (mut common, _) = leading();
    common.set_view(View(3));
    common.log_view = View(3);
    let mut primary = Primary::enter(&mut common, &mut Vec::new(), Op::ZERO);
    primary.abdicated = true;
    let header = Header { view: View(0), from: ReplicaId(1), ..*common.header() };
    let vote = Body::StartViewChange { want: true, hears: ReplicaSet::EMPTY };
    let mut replica = Replica { common, status: Status::Primary(primary) };
    let out = replica.step(Event { at: Time::ZERO, input: Input::Message(Message::new(header, vote)) });
    assert_eq!(kinds_to(&out, 1), [MessageKind::StartViewChange]);
}

// ---- giving way

#[test]
fn a_hand_over_is_given_up_after_the_time_of_an_abdication_and_not_before() {
    let (mut common, mut primary) = leading();
    ask(&mut common, &mut primary, 1);
    primary.on_hand_over(&mut common, &mut Vec::new(), Some(ReplicaId(1)));
    common.now = Time::ZERO.after(common.config.timeouts.abdicate);
    let mut out = Vec::new();
    primary.keep_job_after_all(&mut common, &mut out);
    assert!(primary.is_giving_way() && out.is_empty());
    common.now = common.now.after(Wait(1));
    primary.keep_job_after_all(&mut common, &mut out);
    assert!(!primary.is_giving_way());
    assert_eq!(out, [Action::Note(Note::NoHandOver { why: NoHandOver::TooLate })]);
}

/// r1 acknowledged all that is committed, r2 nothing.
#[test]
fn the_one_to_be_given_way_to_is_asked_for_its_acknowledgement_only_if_that_is_missing() {
    let (mut common, mut primary) = leading();
    let head = ask(&mut common, &mut primary, 1);
    assert!(common.pending.persisted(common.pending.reach().0));
    acknowledge(&mut common, &mut primary, 1, head);
    assert_eq!(common.commit(), Op(1));
    for (to, asked) in [(1, &[][..]), (2, &[MessageKind::StartView][..])] {
        let mut out = Vec::new();
        primary.on_hand_over(&mut common, &mut out, Some(ReplicaId(to)));
        assert_eq!(kinds_to(&out, to), asked, "r{to}");
    }
}

/// What a backup is told of reads.
fn indexes(out: &[Action], to: u16) -> Vec<(u64, Op)> {
    let index = |action: &Action| {
        let Action::Send { to: To::One(id), message } = action else { return None };
        let Body::ReadIndex { id: named, op } = message.body else { return None };
        (*id == ReplicaId(to)).then_some((named.0, op))
    };
    out.iter().filter_map(index).collect()
}

#[test]
fn a_backup_is_told_what_reads_must_reflect_when_a_quorum_has_answered_a_heartbeat_that_left_after_it_asked() {
    let (mut common, mut primary) = leading();
    let ask = |id| Body::GetReadIndex { id: crate::id::FetchId(id) };
    let mut out = Vec::new();
    let _ = primary.on_message(&mut common, &mut out, ReplicaId(1), &ask(1));
    assert_eq!((primary.beat, indexes(&out, 1)), (Beat(1), Vec::new()));
    for id in [1, 3, 2] {
        // Once more; a later one, which waits for the next heartbeat; and one that was overtaken.
        let _ = primary.on_message(&mut common, &mut out, ReplicaId(1), &ask(id));
    }
    let ignored = |why| Action::Note(Note::Ignored { from: ReplicaId(1), kind: MessageKind::GetReadIndex, why });
    assert_eq!(out.iter().filter(|action| **action == ignored(Ignored::Duplicate)).count(), 2);
    let _ = primary.on_message(&mut common, &mut out, ReplicaId(2), &Body::CommitOk { beat: Beat(1) });
    assert_eq!((primary.beat, indexes(&out, 1)), (Beat(2), alloc::vec![(1, Op::ZERO)]));
    let _ = primary.on_message(&mut common, &mut out, ReplicaId(1), &Body::CommitOk { beat: Beat(2) });
    assert_eq!(indexes(&out, 1), [(1, Op::ZERO), (3, Op::ZERO)]);
    let _ = primary.abdicate(&mut common, &mut out);
    let _ = primary.on_message(&mut common, &mut out, ReplicaId(1), &ask(4));
    assert!(out.contains(&ignored(Ignored::WrongStatus)), "it leads no more");
}

// ---- alone

/// The only replica there is.
fn alone() -> (Common, Primary) {
    let cluster = ClusterConfig::of_size(ClusterId(1), 1);
    let disk = Stored::format(cluster.cluster, cluster.digest(), ReplicaId(0), Instance(1));
    let mut common = Common::new(Config::new(cluster, ReplicaId(0)), disk, ClientTable::new(8), Time::ZERO);
    let primary = Primary::enter(&mut common, &mut Vec::new(), Op::ZERO);
    (common, primary)
}

#[test]
fn who_is_alone_waits_for_no_acknowledgement() {
    let (mut common, mut primary) = alone();
    ask(&mut common, &mut primary, 1);
    assert_eq!((common.log.op(), common.timers.is_armed(Timer::Retransmit)), (Op(1), false));
}

#[test]
fn who_is_alone_keeps_its_job_however_long_its_disk_is_full() {
    let (mut common, primary) = alone();
    common.full_since = Some(Time::ZERO);
    common.now = Time::ZERO.after(common.config.timeouts.abdicate.times(2));
    assert!(!primary.is_useless(&common));
}

// ---- batches

#[test]
fn a_batch_takes_what_fits_a_message_and_a_request_at_least_and_no_more_than_a_batch_may_hold() {
    let fits = |bodies: &[usize], room: usize| {
        let (mut common, mut primary) = leading();
        let room = u32::try_from(room).expect("small");
        common.config.cluster.max_message_bytes = crate::config::MESSAGE_OVERHEAD_BYTES + room;
        common.config.batching.batch_entries = 4;
        primary.queue = bodies.iter().map(|length| operation(*length)).collect();
        primary.fit(&common)
    };
    let cost = ENTRY_OVERHEAD_BYTES + 10;
    assert_eq!(fits(&[10, 10, 10], 3 * cost), 3);
    assert_eq!(fits(&[10, 10, 10], 3 * cost - 1), 2);
    assert_eq!(fits(&[0, 0, 0], 2 * ENTRY_OVERHEAD_BYTES), 2, "an entry is more than its body");
    assert_eq!(fits(&[10, 0], 1), 1, "whoever is first goes, as large as it may be");
    assert_eq!(fits(&[0; 9], 9 * cost), 4);
    assert_eq!(fits(&[], cost), 0);
}

fn operation(length: usize) -> Request {
    let (client, session, number) = (ClientId(1), Session(1), RequestNumber(1));
    let (kind, predicted, body) = (Kind::Operation, Predicted::default(), Bytes::from(vec![7; length]));
    Request { client, session, number, kind, predicted, body }
}

// ---- reads

#[test]
fn of_the_questions_that_wait_each_counts_whatever_it_waits_for() {
    let (mut common, mut primary) = leading();
    common.config.batching.queue_entries = 2;
    let mut read = |common: &mut Common, number| {
        let query = crate::entry::Query { client: ClientId(7), number: RequestNumber(number), body: Bytes::new() };
        let mut out = Vec::new();
        primary.on_query(common, &mut out, query, false);
        out.iter().any(|action| matches!(action, Action::Reject(_)))
    };
    let refused = [1, 2, 3].map(|number| read(&mut common, number));
    assert_eq!(refused, [false, false, true], "one waits for its heartbeat, one for the next");
}

// ---- lease

#[test]
fn a_lease_counts_from_when_that_left_which_a_quorum_has_answered_and_nobody_has_answered_at_first() {
    let (mut common, mut primary) = leading();
    let (length, drift_ppm) = (Wait(1_000), 0);
    common.config.cluster.lease = Some(crate::lease::Lease { length, drift_ppm });
    primary.renew_lease(&common);
    assert_eq!(primary.leased, Time::ZERO, "this clock shows less than a lease lasts");
    primary.members[2].promised = Time(7);
    primary.renew_lease(&common);
    assert_eq!(primary.leased, Time(1_007));
    primary.members[1].promised = Time(5);
    primary.renew_lease(&common);
    assert_eq!(primary.leased, Time(1_007), "one other is enough of three");
}
