//! Normal operation, VRR §4.1: what is acknowledged, by whom, and what that commits.
//!
//! Owns the sentences about Prepare, PrepareOk and Commit. Must not know view changes beyond that they happen.

use super::{group_of, three};
use crate::scripted::{EVERY, Packet, request};
use vr_core::{Body, Hash, Ignored, Message, MessageKind, Note, Op, Session, StatusName, View, Wait};

/// Two of four are no quorum, although f + 1 = 2: another two could choose a log without it.
#[test]
pub(crate) fn a_request_commits_once_a_quorum_has_it_on_disk() {
    let (mut group, _) = group_of(4, |_| {});
    group.isolate(2);
    group.isolate(3);
    group.put(0, 1, "a");
    assert_eq!((group.op(1), group.commit(0)), (Op(2), Op(1)), "two of four hold it");
    group.heal();
    group.until("the third has it", |group| group.op(2) == Op(2));
    assert_eq!(group.commit(0), Op(2));
    assert_eq!(group.last_reply(), Some((Op(2), "a".to_owned())));
}

/// The primary sends before its own disk has the entry, so that both disks work at once; it is only one of q itself.
#[test]
pub(crate) fn a_primary_counts_itself_only_after_its_own_disk() {
    let (mut group, _) = three();
    group.isolate(2);
    group.nodes[0].disk_stuck = true;
    group.put(0, 1, "a");
    assert_eq!(group.nodes[1].disk.log.op(), Op(2), "r1 has it on disk and said so");
    assert_eq!(group.commit(0), Op(1));
    group.nodes[0].disk_stuck = false;
    group.settle();
    assert_eq!(group.commit(0), Op(2));
}

#[test]
pub(crate) fn a_backup_acknowledges_only_what_its_disk_holds() {
    let (mut group, _) = three();
    for backup in [1, 2] {
        group.nodes[backup].disk_stuck = true;
    }
    group.put(0, 1, "a");
    assert_eq!((group.op(1), group.op(2)), (Op(2), Op(2)), "both have it in memory");
    assert_eq!(group.commit(0), Op(1));
    group.nodes[1].disk_stuck = false;
    group.settle();
    assert_eq!(group.commit(0), Op(2));
}

/// r1 gets op 3 and not op 2. An acknowledgement is cumulative, so one of op 3 would vouch for op 2.
#[test]
pub(crate) fn a_backup_never_acknowledges_across_a_hole() {
    let (mut group, _) = three();
    group.isolate(2);
    group.lose(EVERY.from(0).to(1));
    group.put(0, 1, "a");
    group.heal();
    group.isolate(2);
    group.hold(EVERY.of(MessageKind::GetState));
    let since = group.happened.len();
    group.put(0, 2, "b");
    let acknowledges = |message: &Message| message.body.kind() == MessageKind::PrepareOk;
    assert!(group.noted(1, |note| matches!(note, Note::Ignored { why: Ignored::Gap, .. })));
    assert!(!group.sent_since(since, 1).any(acknowledges));
    assert_eq!(group.commit(0), Op(1));
    group.release(EVERY);
    group.settle();
    assert_eq!((group.op(1), group.commit(0)), (Op(3), Op(3)), "it fetched the hole and acknowledged both");
}

#[test]
pub(crate) fn an_acknowledgement_counts_once_per_replica() {
    let (mut group, _) = group_of(5, |_| {});
    for cut_off in [2, 3, 4] {
        group.isolate(cut_off);
    }
    group.hold(EVERY.of(MessageKind::PrepareOk));
    group.put(0, 1, "a");
    let acknowledgement = group.held.pop().expect("r1 acknowledged");
    for _ in 0..3 {
        group.deliver(acknowledgement.clone());
        group.settle();
    }
    assert_eq!(group.commit(0), Op(1), "r0 and r1, three times over, are two of five");
}

/// r1 acknowledges op 2 of view 0, which r0 then loses. In view 3 r0 leads again and has another op 2.
#[test]
pub(crate) fn an_acknowledgement_of_an_older_view_does_not_count() {
    let (mut group, _) = three();
    group.nodes[0].disk_stuck = true;
    group.isolate(2);
    group.hold(EVERY.of(MessageKind::PrepareOk));
    group.put(0, 1, "lost");
    group.crash(0);
    group.nodes[0].disk_stuck = false;
    group.heal();
    group.isolate(1);
    group.restart(0);
    group.until("r2 leads view 2", |group| group.nodes[2].is(StatusName::Primary));
    group.crash(2);
    group.restart(2);
    group.until("r0 leads view 3", |group| group.nodes[0].is(StatusName::Primary));
    assert_eq!((group.snapshot(0).view, group.op(0)), (View(3), Op(1)));
    group.isolate(2);
    group.put(0, 1, "kept");
    let commit = group.commit(0);
    group.release(EVERY);
    group.settle();
    assert_eq!((group.op(0), group.commit(0)), (Op(2), commit), "r1 acknowledged another op 2");
    assert!(group.noted(0, |note| matches!(note, Note::Ignored { why: Ignored::OlderView, .. })));
}

#[test]
pub(crate) fn an_acknowledgement_names_the_entry_it_acknowledges() {
    let (mut group, _) = three();
    group.watch.trusting = false;
    group.isolate(2);
    group.hold(EVERY.of(MessageKind::PrepareOk));
    group.put(0, 1, "a");
    let mut packet = group.held.pop().expect("r1 acknowledged");
    if let Body::PrepareOk { head, .. } = &mut packet.message.body {
        head.hash = Hash(5);
    }
    group.deliver(packet);
    group.settle();
    assert_eq!(group.commit(0), Op(1));
    assert!(group.noted(0, |note| matches!(note, Note::Ignored { why: Ignored::Unknown, .. })));
}

#[test]
fn a_lost_prepare_is_sent_again() {
    let (mut group, _) = three();
    group.lose(EVERY.from(0).of(MessageKind::Prepare));
    group.put(0, 1, "a");
    group.heal();
    group.hold(EVERY.of(MessageKind::GetState)); // it is not fetched either
    group.until("it is committed", |group| group.commit(0) == Op(2));
    assert!(group.noted(0, |note| matches!(note, Note::Retransmitted { op: Op(2), .. })));
}

#[test]
pub(crate) fn a_lost_acknowledgement_is_said_again() {
    let (mut group, _) = three();
    group.isolate(2);
    group.lose(EVERY.of(MessageKind::PrepareOk));
    group.put(0, 1, "a");
    group.heal();
    group.isolate(2);
    group.until("it is committed", |group| group.commit(0) == Op(2));
    assert!(group.noted(1, |note| matches!(note, Note::Reacknowledged { op: Op(2) })));
}

#[test]
fn backups_learn_what_is_committed_from_the_next_message_or_from_a_heartbeat() {
    let (mut group, _) = three();
    group.put(0, 1, "a");
    assert_eq!((group.commit(0), group.commit(1), group.commit(2)), (Op(2), Op(1), Op(1)));
    group.put(0, 2, "b");
    assert_eq!((group.commit(0), group.commit(1), group.commit(2)), (Op(3), Op(2), Op(2)));
    group.pass(Wait::millis(60));
    assert_eq!((group.commit(1), group.commit(2)), (Op(3), Op(3)));
    assert_eq!((group.nodes[1].text.as_str(), group.nodes[2].text.as_str()), ("ab", "ab"));
}

/// A heartbeat that was held up arrives when its commit-number is old.
#[test]
pub(crate) fn the_commit_number_never_falls() {
    let (mut group, _) = three();
    group.hold(EVERY.to(1).of(MessageKind::Commit));
    group.pass(Wait::millis(120));
    group.heal();
    group.put(0, 1, "a");
    group.pass(Wait::millis(60));
    assert_eq!(group.commit(1), Op(2));
    group.release(EVERY);
    group.settle();
    assert_eq!(group.commit(1), Op(2));
}

/// r0 was deposed and does not know; its heartbeats keep coming. Then the primary of view 1 dies.
#[test]
pub(crate) fn only_the_primary_of_the_current_view_is_a_sign_of_life() {
    let (mut group, _) = three();
    let old = group.sent_since(0, 0).find(|message| message.body.kind() == MessageKind::Commit).cloned();
    let old = old.expect("r0 sent a heartbeat in view 0");
    group.isolate(0);
    group.until("r1 leads view 1", |group| group.nodes[1].is(StatusName::Primary));
    group.until("r2 follows", |group| group.nodes[2].is(StatusName::Backup));
    group.crash(1);
    for _ in 0..20 {
        group.pass(Wait::millis(100));
        group.deliver(Packet { from: 0, to: 2, message: old.clone() });
    }
    assert!(group.snapshot(2).wants_view_change);
}

/// r1's clock is behind r0's. What ops see must not go back when r1 takes over.
#[test]
pub(crate) fn predicted_time_never_goes_back() {
    let (mut group, session) = three();
    let mut first = request(1, session, 1, "a");
    first.predicted.wall_ns = 1_000;
    group.ask(0, first);
    group.crash(0);
    group.until("r1 leads", |group| group.nodes[1].is(StatusName::Primary));
    let mut second = request(1, session, 2, "b");
    second.predicted.wall_ns = 5;
    group.ask(1, second);
    let seen = |op| group.nodes[1].memory.log.entry(op).expect("it is there").predicted().wall_ns;
    assert_eq!((seen(Op(2)), seen(Op(3))), (1_000, 1_001));
}

/// r2 reported for view 1 and so took back its word for view 0. A late Prepare of view 0 changes nothing, and neither
/// does one of view 1 before the view's log is here.
#[test]
pub(crate) fn a_replica_between_views_takes_no_prepare() {
    let (mut group, _) = three();
    group.hold(EVERY.from(1).to(2).of(MessageKind::StartView));
    group.lose(EVERY.from(2).to(1).of(MessageKind::StartViewChange));
    group.lose(EVERY.from(1).to(2).of(MessageKind::GetState));
    group.crash(0);
    group.restart(0);
    group.settle();
    assert!(group.nodes[1].is(StatusName::Primary) && group.nodes[0].is(StatusName::Backup));
    assert!(group.nodes[2].is(StatusName::ViewChange));
    let since = group.happened.len();
    group.put(1, 1, "a");
    assert!(!group.sent_since(since, 2).any(|message| message.body.kind() == MessageKind::PrepareOk));
    assert_eq!((group.op(2), group.snapshot(2).log_view), (Op(1), View(0)));
    group.release(EVERY);
    group.heal();
    group.until("it follows", |group| group.commit(2) == Op(2));
    assert_eq!(Session(1), group.register(1), "the session is what it was");
}
