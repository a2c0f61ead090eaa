//! Restarts and recovery, VRR §4.3, and state transfer, §5.2: what a replica may say of what it no longer knows.
//!
//! Owns the sentences about disks, incarnations, Recovery and GetState, in both durability modes.

use super::{group_of, three};
use crate::scripted::{EVERY, Packet, Scripted, request};
use vr_core::{
    Body, Durability, EnterCause, HaltReason, Ignored, Incarnation, Input, MessageKind, Note, Op, Session, StatusName,
    View, Wait,
};

/// A group whose promises wait for memory only.
fn in_memory() -> Scripted {
    group_of(3, |config| config.cluster.durability = Durability::Async).0
}

// ---- synchronous mode

/// r0 restarts: two writes, the number of its life and the view it enters. Before the second nobody hears of it.
#[test]
pub(crate) fn nothing_leaves_before_incarnation_and_view_are_durable() {
    let (mut group, _) = three();
    group.crash(0);
    group.nodes[0].disk_stuck = true;
    let since = group.happened.len();
    group.restart(0);
    group.settle();
    assert_eq!(group.nodes[0].writes.len(), 2);
    assert_eq!(group.sent_since(since, 0).count(), 0);
    group.write_one(0);
    assert_eq!((group.nodes[0].disk.incarnation, group.sent_since(since, 0).count()), (Incarnation(2), 0));
    group.write_one(0);
    let said: Vec<_> = group.sent_since(since, 0).map(|message| message.header.view).collect();
    assert_eq!((group.nodes[0].disk.view, said), (View(1), vec![View(1), View(1)]), "its vote and its report");
}

/// r2 has the log of view 1 in memory. Its disk still says view 0's.
#[test]
pub(crate) fn a_backup_acknowledges_in_a_view_once_its_disk_knows_the_view() {
    let (mut group, _) = three();
    group.isolate(0);
    group.hold(EVERY.from(1).to(2).of(MessageKind::StartView));
    group.until("r1 leads view 1", |group| group.nodes[1].is(StatusName::Primary));
    group.nodes[2].disk_stuck = true;
    group.release(EVERY);
    let since = group.happened.len();
    group.put(1, 1, "a");
    assert_eq!((group.snapshot(2).log_view, group.nodes[2].disk.log_view), (View(1), View(0)));
    let acknowledged = group.sent_since(since, 2).any(|message| message.body.kind() == MessageKind::PrepareOk);
    assert!(!acknowledged);
    group.nodes[2].disk_stuck = false;
    group.settle();
    assert_eq!(group.commit(1), Op(2));
}

/// It may have prepared more than its disk tells it.
#[test]
pub(crate) fn a_restarted_primary_enters_the_next_view() {
    let (mut group, _) = three();
    group.crash(0);
    group.restart(0);
    assert!(group.noted(0, |note| matches!(note, Note::EnteredView { view: View(1), cause: EnterCause::Restart })));
    group.settle();
    let views = [0, 1, 2].map(|at| group.snapshot(at)).map(|now| (now.view, now.status == StatusName::Primary));
    assert_eq!(views, [(View(1), false), (View(1), true), (View(1), false)]);
}

#[test]
fn a_restarted_backup_resumes_its_view() {
    let (mut group, _) = three();
    group.put(0, 1, "a");
    group.crash(2);
    group.restart(2);
    let now = group.snapshot(2);
    assert_eq!((now.status, now.view, now.op, now.commit), (StatusName::Backup, View(0), Op(2), Op(0)));
    group.pass(Wait::millis(60));
    assert_eq!((group.commit(2), group.nodes[2].text.as_str()), (Op(2), "a"), "it executed its log anew");
    assert_eq!(group.snapshot(0).view, View(0));
}

#[test]
fn a_replica_that_restarts_between_views_goes_on_there() {
    let (mut group, _) = three();
    group.lose(EVERY.of(MessageKind::DoViewChange));
    group.crash(0);
    group.until("r2 entered view 1", |group| group.snapshot(2).view == View(1));
    group.crash(2);
    group.restart(2);
    let now = group.snapshot(2);
    assert_eq!((now.status, now.view, now.log_view), (StatusName::ViewChange, View(1), View(0)));
}

/// The lights go out. What was acknowledged is there when they come back.
#[test]
fn a_crash_of_all_replicas_loses_nothing_acknowledged() {
    let (mut group, session) = three();
    for number in 1..=5 {
        group.put(0, number, "a");
    }
    (0..3).for_each(|at| group.crash(at));
    (0..3).for_each(|at| group.restart(at));
    group.until("somebody leads again", |group| group.find_primary().is_some());
    let primary = group.primary();
    group.until("it has executed its log", |group| group.commit(primary) == Op(6));
    assert_eq!(group.nodes[primary].text, "aaaaa");
    group.ask(primary, request(1, session, 5, "a"));
    assert!(group.replies.last().is_some_and(|reply| reply.duplicate && reply.op == Op(6)));
}

/// r1 was writing three entries at once when it crashed, and one made it.
#[test]
fn a_torn_append_leaves_a_shorter_log_and_the_group_fills_it_up() {
    let (mut group, _) = group_of(3, |config| config.batching.pipeline = 1);
    group.nodes[1].disk_stuck = true;
    group.isolate(2);
    for client in 2..=5 {
        group.step(0, Input::Request(request(client, Session::ZERO, 0, "")));
    }
    group.settle();
    group.write_one(1);
    group.settle();
    assert_eq!((group.op(1), group.nodes[1].disk.log.op()), (Op(5), Op(2)));
    group.crash_torn(1, 1);
    assert_eq!(group.nodes[1].disk.log.op(), Op(3));
    group.nodes[1].disk_stuck = false;
    group.restart(1);
    group.heal();
    group.until("it is committed", |group| group.commit(0) == Op(5));
    group.until("r1 has all of it", |group| group.commit(1) == Op(5));
}

#[test]
fn a_failed_write_stops_the_replica_for_good() {
    let (mut group, _) = three();
    group.watch.trusting = false; // it halts, with an excuse
    group.step(1, Input::WriteFailed);
    assert_eq!(group.nodes[1].halted, Some(HaltReason::WriteFailed));
    let since = group.happened.len();
    group.put(0, 1, "a");
    group.pass(Wait::millis(2_000));
    assert_eq!(group.sent_since(since, 1).count(), 0);
    assert_eq!((group.snapshot(1).op, group.commit(0)), (Op(1), Op(2)), "the others go on");
}

// ---- asynchronous mode

/// It is asked for everything there is, by real messages of a group that goes on without it and of a later view.
#[test]
pub(crate) fn a_recovering_replica_says_nothing_but_recovery() {
    let mut group = in_memory();
    group.lose(EVERY.of(MessageKind::RecoveryResponse));
    group.crash(1);
    let since = group.happened.len();
    group.restart(1);
    group.put(0, 1, "a");
    group.pass(Wait::millis(120));
    group.crash(0);
    group.until("r2 wants to leave view 0", |group| group.snapshot(2).wants_view_change);
    let vote = group.sent_since(since, 2).find(|message| message.body.kind() == MessageKind::StartViewChange).cloned();
    let mut vote = vote.expect("r2 said so");
    for view in [0, 4] {
        vote.header.view = View(view);
        group.deliver(Packet { from: 2, to: 1, message: vote.clone() });
        group.settle();
    }
    let said: Vec<_> = group.sent_since(since, 1).map(|message| message.body.kind()).collect();
    assert!(said.len() > 2 && said.iter().all(|kind| *kind == MessageKind::Recovery), "{said:?}");
    assert_eq!(group.snapshot(1).view, View(0));
}

#[test]
pub(crate) fn a_lost_recovery_is_sent_again() {
    let mut group = in_memory();
    group.lose(EVERY.of(MessageKind::Recovery));
    group.crash(1);
    group.restart(1);
    group.settle();
    group.heal();
    group.until("r1 is back", |group| group.nodes[1].is(StatusName::Backup));
    assert_eq!((group.snapshot(1).view, group.op(1)), (View(0), Op(1)));
}

/// The answers to r1's second life arrive in its third. They do not know what it promised in between.
#[test]
pub(crate) fn only_the_answer_to_this_lifes_question_counts() {
    let mut group = in_memory();
    group.hold(EVERY.of(MessageKind::RecoveryResponse));
    group.crash(1);
    group.restart(1);
    group.settle();
    assert_eq!(group.held.len(), 2);
    group.crash(1);
    group.lose(EVERY.from(1));
    group.restart(1);
    group.release(EVERY);
    group.settle();
    assert!(group.nodes[1].is(StatusName::Recovering));
    assert!(group.noted(1, |note| matches!(note, Note::Ignored { why: Ignored::NotAsked, .. })));
    group.heal();
    group.until("r1 is back", |group| group.nodes[1].is(StatusName::Backup));
}

/// r1 acknowledged op 2 from memory; its acknowledgement is under way while it recovers, and will commit op 2.
#[test]
pub(crate) fn recovery_brings_the_uncommitted_entries_too() {
    let mut group = in_memory();
    group.isolate(2);
    group.hold(EVERY.from(1).of(MessageKind::PrepareOk));
    group.nodes[1].disk_stuck = true;
    group.put(0, 1, "a");
    group.crash(1);
    group.nodes[1].disk_stuck = false;
    group.restart(1);
    group.settle();
    assert_eq!((group.snapshot(1).status, group.op(1), group.commit(0)), (StatusName::Backup, Op(2), Op(1)));
    group.release(EVERY);
    group.settle();
    assert_eq!(group.commit(0), Op(2));
}

/// r1 promised view 1 and forgot all but that. An answer of view 0 must not take it back, even one to its own question.
#[test]
pub(crate) fn recovery_never_leads_back_behind_a_promised_view() {
    let mut group = in_memory();
    group.isolate(0);
    group.lose(EVERY.of(MessageKind::DoViewChange));
    group.until("r1 is in view 1", |group| group.snapshot(1).view == View(1));
    group.crash(1);
    group.heal();
    group.lose(EVERY.from(2).to(0));
    group.hold(EVERY.from(1));
    group.restart(1);
    group.settle();
    let mut question = group.held.iter().find(|packet| packet.to == 0).expect("r1 asks r0").clone();
    if let Body::Recovery(question) = &mut question.message.body {
        question.view_min = View(0); // as if r0 had overheard this
    }
    assert_eq!(group.snapshot(0).view, View(0));
    group.deliver(question);
    group.settle();
    assert!(group.nodes[1].is(StatusName::Recovering), "it was answered in view 0");
    group.heal();
    group.release(EVERY);
    group.until("r1 is back", |group| group.nodes[1].is(StatusName::Backup) || group.nodes[1].is(StatusName::Primary));
    assert!(group.snapshot(1).view >= View(1));
}

/// r2 reported for view 2 and is between views: it cannot know what r1 must know.
#[test]
pub(crate) fn only_a_normal_replica_answers_a_recovering_one() {
    let mut group = in_memory();
    group.lose(EVERY.of(MessageKind::DoViewChange));
    group.crash(0);
    group.until("r2 is between views", |group| group.nodes[2].is(StatusName::ViewChange));
    group.crash(1);
    let since = group.happened.len();
    group.restart(1);
    group.pass(Wait::millis(120));
    let answers = group.sent_since(since, 2).filter(|message| message.body.kind() == MessageKind::RecoveryResponse);
    assert_eq!(answers.count(), 0);
    assert!(group.nodes[1].is(StatusName::Recovering));
}

// ---- state transfer

#[test]
pub(crate) fn what_was_fetched_is_acknowledged_like_what_was_prepared() {
    let (mut group, _) = three();
    group.isolate(2);
    group.lose(EVERY.from(0).to(1));
    group.put(0, 1, "a");
    group.heal();
    group.isolate(2);
    group.hold(EVERY.from(0).to(1).of(MessageKind::Prepare));
    group.until("r1 hears of op 2", |group| group.op(1) == Op(2));
    assert!(group.noted(1, |note| matches!(note, Note::TookState { op: Op(2), .. })));
    assert_eq!(group.commit(0), Op(2), "at once, without being asked");
}

/// The primary's answers get lost; r1 has it too.
#[test]
pub(crate) fn a_question_that_is_not_answered_goes_to_another() {
    let (mut group, _) = three();
    group.lose(EVERY.from(0).to(2));
    group.put(0, 1, "a");
    group.heal();
    group.lose(EVERY.from(0).to(2).of(MessageKind::NewState));
    group.until("r2 has op 2", |group| group.op(2) == Op(2));
    assert!(group.noted(2, |note| matches!(note, Note::TookState { from, .. } if from.0 == 1)));
}

/// r1 leads view 1 and has 1 of 21 ops; r2's report brings some, the rest is fetched page by page.
#[test]
pub(crate) fn a_log_that_comes_in_pages_is_used_when_it_is_whole() {
    let (mut group, _) = group_of(3, |config| {
        config.cluster.max_request_bytes = 64;
        config.cluster.max_message_bytes = vr_core::MESSAGE_OVERHEAD_BYTES + 512;
    });
    group.isolate(1);
    for number in 1..=20 {
        group.put(0, number, "a");
    }
    group.heal();
    group.crash(0);
    group.until("r1 leads view 1", |group| group.nodes[1].is(StatusName::Primary));
    let asked = group.notes_since(0, 1).filter(|note| matches!(note, Note::AskedForState { .. })).count();
    assert!(asked > 3, "{asked} questions");
    assert_eq!((group.snapshot(1).view, group.op(1)), (View(1), Op(21)));
    group.until("it has executed it", |group| group.nodes[1].text.len() == 20);
}
