//! View changes, VRR §4.2 in the form of DESIGN §10: who may leave a view, which log the next one starts with.
//!
//! Owns the sentences about StartViewChange, DoViewChange and StartView. Must not know restarts beyond their effect.

use super::{group_of, three};
use crate::scripted::{EVERY, Packet, Scripted};
use vr_core::{Body, EnterCause, Entries, Entry, Head, MessageKind, Note, Op, Reject, StatusName, View, Wait};

fn leads(at: usize, view: u64) -> impl Fn(&Scripted) -> bool {
    move |group| group.nodes[at].is(StatusName::Primary) && group.snapshot(at).view == View(view)
}

fn follows(at: usize, view: u64) -> impl Fn(&Scripted) -> bool {
    move |group| group.nodes[at].is(StatusName::Backup) && group.snapshot(at).view == View(view)
}

/// Whoever survives, one of them has it.
#[test]
fn a_view_change_keeps_every_committed_op() {
    for ignorant in [1, 2] {
        let (mut group, _) = three();
        group.isolate(ignorant);
        group.put(0, 1, "a");
        assert_eq!(group.commit(0), Op(2));
        group.heal();
        group.isolate(0);
        group.until("there is another primary", |group| group.primary() != 0);
        let primary = group.primary();
        group.until("it has committed what r0 did", |group| group.commit(primary) == Op(2));
        assert_eq!(group.nodes[primary].text, "a");
    }
}

/// r0 prepared two ops that nobody else has. View 1 committed one without it. View 2 must have that one.
#[test]
pub(crate) fn the_log_of_the_latest_normal_view_wins_not_the_longest() {
    let (mut group, _) = three();
    group.isolate(0);
    group.put(0, 1, "x");
    group.put(0, 2, "y");
    group.until("r1 leads view 1", leads(1, 1));
    group.put(1, 1, "a");
    assert_eq!((group.op(0), group.commit(1)), (Op(3), Op(2)));
    group.heal();
    group.crash(1);
    group.until("r2 leads view 2", |group| group.nodes[2].is(StatusName::Primary));
    group.until("r0 follows", |group| group.nodes[0].is(StatusName::Backup));
    assert_eq!((group.op(0), group.nodes[2].text.as_str()), (Op(2), "a"));
    assert!(group.noted(0, |note| matches!(note, Note::Truncated { from: Op(3), to: Op(1) })));
}

/// Figure 8 of Raft: s, of view 0, is adopted and committed in view 2. r1 has b, of view 1, and was cut off since.
/// The entry of the later view must not beat the log of the later view.
#[test]
pub(crate) fn an_inherited_entry_counts_for_the_view_that_adopted_it() {
    let (mut group, _) = three();
    group.isolate(0);
    group.put(0, 1, "s");
    for kind in [MessageKind::StartView, MessageKind::Prepare, MessageKind::Commit] {
        group.lose(EVERY.from(1).of(kind));
    }
    group.until("r1 leads view 1", leads(1, 1));
    group.put(1, 1, "b");
    assert_eq!([0, 1, 2].map(|at| group.op(at)), [Op(2), Op(2), Op(1)]);
    group.heal();
    group.isolate(1);
    group.until("r2 leads view 2", leads(2, 2));
    group.until("s is committed", |group| group.commit(2) == Op(2));
    group.heal();
    group.isolate(0);
    group.crash(2);
    group.restart(2);
    group.until("r1 leads view 4", leads(1, 4));
    group.until("it has s", |group| group.nodes[1].text == "s");
}

/// Of five: r2 knows that op 2 is committed, r3 has the longest log and does not, r1 becomes primary.
#[test]
pub(crate) fn the_new_commit_number_is_the_largest_reported() {
    let (mut group, _) = group_of(5, |_| {});
    group.isolate(4);
    group.hold(EVERY.of(MessageKind::PrepareOk));
    group.put(0, 1, "a");
    for ignorant in [1, 2] {
        group.lose(EVERY.from(0).to(ignorant));
    }
    group.put(0, 2, "b");
    for ignorant in [1, 2] {
        group.release(EVERY.from(ignorant));
    }
    group.settle();
    assert_eq!(group.commit(0), Op(2));
    group.heal();
    group.isolate(4);
    group.lose(EVERY.from(2).of(MessageKind::GetState));
    group.lose(EVERY.from(0).of(MessageKind::Prepare));
    for ignorant in [1, 3] {
        group.lose(EVERY.from(0).to(ignorant));
    }
    group.until("r2 hears that op 2 is committed", |group| group.commit(2) == Op(2));
    assert_eq!((group.op(1), group.op(2), group.op(3), group.commit(3)), (Op(2), Op(2), Op(3), Op(1)));
    group.crash(0);
    group.until("r1 leads view 1", leads(1, 1));
    let start = group.sent_since(0, 1).find_map(|message| {
        if let Body::StartView(start) = &message.body { Some((start.tail.head.op, start.commit)) } else { None }
    });
    assert_eq!(start, Some((Op(3), Op(2))), "the longest log, the largest commit-number");
}

/// r1, primary of view 1 of five, hears of r2 only, again and again.
#[test]
pub(crate) fn a_report_counts_once_per_replica() {
    let (mut group, _) = group_of(5, |_| {});
    group.hold(EVERY.of(MessageKind::DoViewChange));
    group.crash(0);
    group.until("r2 reports", |group| group.held.iter().any(|packet| packet.from == 2));
    let report = group.held.iter().find(|packet| packet.from == 2).expect("r2 reported").clone();
    assert_eq!((report.to, report.message.header.view), (1, View(1)));
    for _ in 0..4 {
        group.deliver(report.clone());
        group.settle();
    }
    assert!(group.nodes[1].is(StatusName::ViewChange), "r1 and r2 are two of five");
    group.heal();
    group.release(EVERY);
    group.settle();
    assert!(group.nodes[1].is(StatusName::Primary));
}

#[test]
pub(crate) fn a_report_that_arrives_first_opens_its_view() {
    let (mut group, _) = three();
    group.lose(EVERY.of(MessageKind::StartViewChange));
    group.crash(0);
    group.restart(0); // and so enters view 1, and reports
    group.settle();
    assert!(leads(1, 1)(&group));
    assert!(group.noted(1, |note| matches!(note, Note::EnteredView { cause: EnterCause::Evidence, .. })));
}

/// r1 starts view 1 with an op that r2 does not have. It is not committed before r2 has it.
#[test]
pub(crate) fn inherited_entries_need_a_quorum_in_the_new_view() {
    let (mut group, _) = three();
    group.lose(EVERY.from(0).to(2));
    group.lose(EVERY.to(0));
    group.put(0, 1, "a");
    group.crash(0);
    group.hold(EVERY.from(1).of(MessageKind::StartView));
    group.until("r1 leads view 1", leads(1, 1));
    assert_eq!((group.op(1), group.commit(1), group.nodes[1].text.as_str()), (Op(2), Op(1), ""));
    group.heal();
    group.until("r2 has it too", |group| group.op(2) == Op(2));
    group.settle();
    assert_eq!((group.commit(1), group.nodes[1].text.as_str()), (Op(2), "a"));
}

/// The StartView of view 1 for r0 is held up until view 2 is there.
#[test]
pub(crate) fn a_start_view_of_an_older_view_is_no_news() {
    let (mut group, _) = three();
    group.isolate(0);
    group.until("r1 leads view 1", leads(1, 1));
    group.heal();
    group.hold(EVERY.from(1).to(0).of(MessageKind::StartView));
    group.pass(Wait::millis(100));
    let start = group.held.first().expect("r1 told r0 of view 1").clone();
    group.crash(1);
    group.heal();
    group.until("r2 leads view 2", leads(2, 2));
    group.until("r0 follows", follows(0, 2));
    group.put(2, 1, "a");
    group.deliver(start);
    group.settle();
    assert_eq!((group.snapshot(0).view, group.op(0), group.commit(2)), (View(2), Op(2), Op(2)));
}

/// A second copy of the StartView arrives when the view has come further. It holds the view's first log only.
#[test]
pub(crate) fn a_start_view_is_not_installed_twice() {
    let (mut group, _) = three();
    group.isolate(0);
    group.until("r2 follows in view 1", follows(2, 1));
    let start = group.sent_since(0, 1).find(|message| message.body.kind() == MessageKind::StartView).cloned();
    let start = start.expect("r1 started view 1");
    group.put(1, 1, "a");
    assert_eq!((group.op(2), group.commit(1)), (Op(2), Op(2)));
    group.deliver(Packet { from: 1, to: 2, message: start });
    group.settle();
    assert_eq!(group.op(2), Op(2));
}

/// Nobody honest sends such a log: whoever is told that what it executed never was must not go on.
#[test]
pub(crate) fn a_log_that_contradicts_what_was_executed_is_refused() {
    let (mut group, session) = three();
    group.put(0, 1, "a");
    group.pass(Wait::millis(60));
    group.hold(EVERY.from(1).to(2).of(MessageKind::StartView));
    group.crash(0);
    group.until("r1 starts view 1", |group| !group.held.is_empty());
    let mut packet = group.held.pop().expect("it is held");
    let log = &group.nodes[1].memory.log;
    let base = Head { op: Op(1), hash: log.hash(Op(1)).expect("kept") };
    let other = Entry::new(vr_core::Epoch(0), View(0), Op(2), base.hash, crate::scripted::request(2, session, 1, "b"));
    let Body::StartView(start) = &mut packet.message.body else { unreachable!("that kind was held") };
    start.tail.base = base;
    start.tail.head = Head { op: Op(2), hash: other.hash() };
    start.tail.entries = Entries::new(vec![other]).expect("one is a chain");
    group.watch.trusting = false;
    group.deliver(packet);
    assert!(group.nodes[2].halted.is_some());
    assert_eq!(group.nodes[2].text, "a");
}

/// r2 asks again and is told again, in the same view.
#[test]
pub(crate) fn a_lost_start_view_is_sent_again() {
    let (mut group, _) = three();
    group.lose(EVERY.from(1).of(MessageKind::StartView));
    group.crash(0);
    group.until("r1 leads view 1", leads(1, 1));
    group.heal();
    group.pass(Wait::millis(120));
    assert!(follows(2, 1)(&group));
}

#[test]
pub(crate) fn lost_votes_and_reports_are_sent_again() {
    let (mut group, _) = three();
    group.crash(0);
    group.restart(0); // into view 1; nobody hears it say so
    group.wire.clear();
    group.lose(EVERY.of(MessageKind::DoViewChange));
    group.pass(Wait::millis(120));
    assert_eq!([0, 1, 2].map(|at| group.snapshot(at).view), [View(1); 3]);
    group.heal();
    group.pass(Wait::millis(120));
    assert!(leads(1, 1)(&group));
}

/// No report ever reaches r1, which should lead view 1: it wants view 2 as much as the others.
#[test]
pub(crate) fn the_primary_to_be_gives_up_like_anybody_else() {
    let (mut group, _) = three();
    group.lose(EVERY.to(1).of(MessageKind::DoViewChange));
    group.crash(0);
    group.until("r2 leads view 2", leads(2, 2));
}

#[test]
pub(crate) fn failed_views_are_waited_for_longer() {
    let (mut group, _) = three();
    group.lose(EVERY.of(MessageKind::DoViewChange));
    group.crash(0);
    group.pass(Wait::millis(60_000));
    let views = group.snapshot(1).view.0;
    assert!((5..35).contains(&views), "{views} views failed in a minute");
}

/// r2 hears nobody, and everybody hears r2. It wants another view for ever; the others have no reason to.
#[test]
pub(crate) fn a_replica_that_hears_nobody_moves_nobody() {
    let (mut group, _) = three();
    group.lose(EVERY.to(2));
    group.until("r2 wants to leave", |group| group.snapshot(2).wants_view_change);
    group.pass(Wait::millis(5_000));
    assert_eq!([0, 1, 2].map(|at| group.snapshot(at).view), [View(0); 3]);
    group.put(0, 1, "a");
    assert_eq!(group.commit(0), Op(2));
}

/// Of five, r3 never hears the primary, r1 did not for a moment, and long after that r2 does not. Three who never
/// wanted to leave at the same time are no quorum.
#[test]
pub(crate) fn a_vote_grows_old() {
    let (mut group, _) = group_of(5, |config| {
        let patience = Wait::millis([5_000, 400, 900, 300, 5_000][usize::from(config.me.0)]);
        (config.timeouts.view_change_min, config.timeouts.view_change_max) = (patience, patience);
    });
    let wants = |at: usize| move |group: &Scripted| group.snapshot(at).wants_view_change;
    group.lose(EVERY.from(0).to(3));
    group.lose(EVERY.from(0).to(1));
    group.until("r1 wants to leave", wants(1));
    assert!(wants(3)(&group));
    group.heal();
    group.lose(EVERY.from(0).to(3));
    group.lose(EVERY.from(0).to(2));
    group.until("r1 hears r0 again", |group| !wants(1)(group));
    group.until("r2 wants to leave", wants(2));
    group.pass(Wait::millis(500));
    assert!((0..5).all(|at| group.snapshot(at).view == View(0)));
}

/// Its heartbeats arrive, nothing comes back: it falls silent, so that the others stop waiting for it.
#[test]
pub(crate) fn an_isolated_primary_abdicates() {
    let (mut group, _) = three();
    group.lose(EVERY.to(0));
    group.until("r1 leads view 1", leads(1, 1));
    assert!(group.noted(0, |note| matches!(note, Note::Abdicated { view: View(0) })));
    group.put(1, 1, "a");
    assert_eq!(group.commit(1), Op(2));
}

#[test]
fn a_primary_that_abdicated_never_takes_it_back() {
    let (mut group, _) = three();
    group.lose(EVERY.to(0));
    group.until("r0 abdicates", |group| group.snapshot(0).wants_view_change);
    group.heal();
    group.lose(EVERY.of(MessageKind::StartViewChange));
    let since = group.happened.len();
    group.put(0, 1, "a");
    group.pass(Wait::millis(200));
    let refused = group.rejections.last().map(|rejection| rejection.reason);
    assert_eq!(refused, Some(Reject::NotPrimary { primary: None, view: View(0) }));
    let serves = |kind| matches!(kind, MessageKind::Prepare | MessageKind::Commit | MessageKind::StartView);
    assert!(!group.sent_since(since, 0).any(|message| serves(message.body.kind())));
}

/// r2 acknowledged op 2 and does not know that it is committed. Of view 1 it hears a heartbeat and nothing else.
#[test]
pub(crate) fn news_of_a_later_view_takes_nothing_from_the_log() {
    let (mut group, _) = three();
    group.lose(EVERY.from(0).to(1));
    group.put(0, 1, "a");
    group.crash(0);
    group.heal();
    for kind in [MessageKind::StartViewChange, MessageKind::StartView, MessageKind::NewState] {
        group.lose(EVERY.to(2).of(kind));
    }
    group.restart(0);
    group.until("r1 leads view 1", leads(1, 1));
    group.until("r2 hears of it", |group| group.snapshot(2).view == View(1));
    let now = group.snapshot(2);
    assert_eq!((now.status, now.log_view, now.op), (StatusName::ViewChange, View(0), Op(2)));
    assert!(!group.noted(2, |note| matches!(note, Note::Truncated { .. })));
}
