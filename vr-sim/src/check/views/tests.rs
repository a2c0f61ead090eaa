//! Promises taken back, views begun twice or badly, and replicas that speak out of turn.
//!
//! Owns one sequence of happenings per way to do so. PROTOCOL §4 S5, S7, S8, S10, S13.

use super::*;
use crate::check::Happening;
use crate::check::stage::{Stage, broken, chain, entry, origin, run_of};
use bytes::Bytes;
use vr_core::{
    Action, Beat, ClientId, Durability, Entries, HaltReason, Input, Log, ReplicaId, ReplicaSet, RequestNumber, Session,
    Write,
};

fn three() -> Stage {
    Stage::new(3, Durability::Sync)
}

fn heartbeat() -> Body {
    Body::Commit { commit: Op(0), head: origin(), beat: Beat(1) }
}

fn vote() -> Body {
    Body::StartViewChange { want: true, hears: ReplicaSet::EMPTY }
}

#[test]
fn a_promise_that_is_taken_back_is_caught() {
    let mut stage = three();
    stage.enters(1, 2).expect("legal");
    assert_eq!(broken(stage.writes(1, Write::View(View(1)))), S5);
    assert_eq!(broken(three().writes(1, Write::Incarnation(Incarnation(1)))), S5);
    let mut stage = three();
    stage.enters(0, 3).expect("legal");
    let start = Write::Replace { keep: Op(0), entries: Entries::empty(), view: View(2) };
    assert_eq!(broken(stage.writes(0, start)), S5);
}

#[test]
fn a_disk_that_lost_its_promise_is_caught() {
    let mut stage = three();
    stage.enters(1, 2).expect("legal");
    stage.crash(1).expect("legal");
    stage.puppets[1].disk.view = View(1);
    assert_eq!(broken(stage.open(1)), S5);
    let mut stage = three();
    stage.crash(1).expect("legal");
    stage.puppets[1].disk.incarnation = Incarnation(0);
    assert_eq!(broken(stage.open(1)), S5);
}

#[test]
fn a_disk_that_comes_back_as_no_crash_leaves_it_is_caught() {
    let lost = |disk: &mut Stored| disk.log = Log::new(origin());
    let other = |disk: &mut Stored| {
        disk.log.truncate(Op(1));
        disk.log.append(run_of(&[entry(disk.log.head(), View(0), 9, 0, 0, "")]));
    };
    let untruncated = |disk: &mut Stored| disk.log.append(chain(disk.log.head(), View(0), 3..=3));
    let harms: [&dyn Fn(&mut Stored); 3] = [&lost, &other, &untruncated];
    for harm in harms {
        let mut stage = three();
        stage.runs(0, &[1, 2], 1..=2).expect("legal");
        stage.crash(1).expect("legal");
        harm(&mut stage.puppets[1].disk);
        assert_eq!(broken(stage.open(1)), S4);
    }
}

#[test]
fn a_primary_that_resumes_its_view_after_a_restart_is_caught() {
    let mut stage = three();
    stage.crash(0).expect("legal");
    assert_eq!(broken(stage.open(0)), S7);
}

#[test]
fn a_view_that_starts_twice_is_caught() {
    let mut stage = three();
    stage.changes_view(1, &[1, 2]).expect("legal");
    let again = Write::Replace { keep: Op(0), entries: Entries::empty(), view: View(1) };
    assert_eq!(broken(stage.writes(1, again)), S7);
}

#[test]
fn a_log_of_a_view_without_the_whole_initial_log_is_caught() {
    let mut stage = three();
    stage.runs(0, &[1], 1..=3).expect("legal");
    stage.enters(2, 1).expect("legal");
    let short = Write::Replace { keep: Op(0), entries: Entries::empty(), view: View(1) };
    let action = stage.write(2, short.clone());
    assert_eq!(broken(stage.acts(2, &[action])), S7P, "view 1 has not started");
    let mut stage = three();
    stage.runs(0, &[1], 1..=3).expect("legal");
    stage.enters(2, 1).expect("legal");
    stage.changes_view(1, &[1, 0]).expect("legal");
    assert_eq!(broken(stage.writes(2, short)), S7P, "view 1 started with 3 ops");
}

#[test]
fn a_log_of_a_view_with_more_than_its_primary_had_is_caught() {
    let mut stage = three();
    stage.appends(0, &chain(origin(), View(0), 1..=2)).expect("legal");
    stage.changes_view(1, &[1, 2]).expect("legal");
    stage.writes(0, Write::View(View(1))).expect("legal");
    let kept = Write::Replace { keep: Op(2), entries: Entries::empty(), view: View(1) };
    assert_eq!(broken(stage.writes(0, kept)), "S6 log match");
}

#[test]
fn a_view_that_starts_without_a_committed_op_is_caught() {
    let mut stage = three();
    stage.runs(0, &[1], 1..=2).expect("legal");
    stage.enters(0, 2).expect("legal");
    stage.enters(2, 2).expect("legal");
    let Err(violation) = stage.installs(2, 2, &[]) else { panic!("ops 1 and 2 are committed") };
    assert_eq!((violation.property, violation.ops), (S8, vec![Op(1)]));
    assert!(violation.message.starts_with("r2 starts view 2 with nothing at op 1, where r0 had committed h"));
}

#[test]
fn a_commit_that_a_later_view_started_without_is_caught() {
    let mut stage = Stage::new(5, Durability::Sync);
    stage.prepares(0, &[1], &chain(origin(), View(0), 1..=1)).expect("legal");
    stage.changes_view(2, &[2, 3, 4]).expect("legal");
    // r3 goes back on its word, where no other property looks.
    stage.checkers.promises = crate::check::Promises::counting_everyone(5, View(0), stage.puppets[0].head());
    assert_eq!(broken(stage.commits(0, 1)), S8);
}

#[test]
fn who_speaks_for_an_older_view_than_it_revealed_is_caught() {
    let mut stage = three();
    stage.enters(1, 1).expect("legal");
    stage.says(1, vote()).expect("legal");
    let old = stage.message(1, View(0), vote());
    assert_eq!(broken(stage.acts(1, &[old])), S10);
}

#[test]
fn who_serves_a_view_that_it_left_is_caught() {
    let mut stage = three();
    stage.writes(0, Write::View(View(1))).expect("legal");
    let late = stage.message(0, View(0), heartbeat());
    assert_eq!(broken(stage.acts(0, &[late])), S10);
}

#[test]
fn only_the_primary_of_a_view_leads_it() {
    assert_eq!(broken(three().says(0, heartbeat())), "nothing");
    assert_eq!(broken(three().says(1, heartbeat())), S13);
    assert_eq!(broken(three().says(0, Body::CommitOk { beat: Beat(1) })), S13);
    let reply = |view: u64| {
        let (client, session, number) = (ClientId(1), Session(1), RequestNumber(0));
        let (op, result, duplicate) = (Op(1), Bytes::new(), false);
        Action::Reply(Reply { client, session, number, op, view: View(view), result, duplicate })
    };
    assert_eq!(broken(three().acts(1, &[reply(0)])), S13);
    assert_eq!(broken(three().acts(0, &[reply(3)])), S13);
}

#[test]
fn the_log_of_a_view_is_told_only_by_who_has_it() {
    let answers = |want: Option<Head>| {
        let mut stage = three();
        stage.prepares(0, &[2], &chain(origin(), View(0), 1..=2)).expect("legal");
        stage.changes_view(4, &[1, 0]).expect("legal");
        stage.enters(2, 4).expect("legal");
        // As replicas number their questions: the life in the upper half.
        let (id, have) = (FetchId((1 << 32) + 3), vec![origin()]);
        stage.says(0, Body::GetState(Box::new(GetState { id, have, want }))).expect("legal");
        let head = stage.puppets[2].head();
        let tail = vr_core::Tail { base: origin(), entries: Entries::empty(), head };
        let page = vr_core::NewState { id, commit: Op(0), tail };
        let said = stage.message(2, View(4), Body::NewState(Box::new(page)));
        let Action::Send { message, .. } = said else { panic!("a message") };
        broken(stage.acts(2, &[Action::Send { to: To::One(ReplicaId(0)), message }]))
    };
    assert_eq!(answers(None), S13, "what r2 has is of view 0");
    assert_eq!(answers(Some(origin())), "nothing", "it was asked by content");
}

#[test]
fn who_recovers_only_asks_for_its_memory() {
    let recovering = || {
        let mut stage = Stage::new(3, Durability::Async);
        stage.crash(1).expect("legal");
        stage.open(1).expect("legal");
        stage
    };
    let recovery = vr_core::Recovery { nonce: vr_core::Nonce::default(), view_min: View(0), have: Vec::new() };
    assert_eq!(broken(recovering().says(1, Body::Recovery(Box::new(recovery.clone())))), "nothing");
    assert_eq!(broken(recovering().says(1, vote())), S13);
    assert_eq!(broken(recovering().acks(1)), S13);
    assert_eq!(broken(three().says(1, Body::Recovery(Box::new(recovery)))), S13, "nothing to recover");
}

#[test]
fn who_halted_or_is_down_does_nothing() {
    let mut stage = three();
    stage.step(1, Input::WriteFailed, &[Action::Halt(HaltReason::WriteFailed)]).expect("legal");
    assert_eq!(broken(stage.says(1, vote())), S13);
    let mut stage = three();
    stage.crash(1).expect("legal");
    assert_eq!(broken(stage.says(1, vote())), S13);
}

#[test]
fn a_hint_of_a_view_that_never_started_is_caught() {
    let reject = |view: u64| {
        let reason = Reject::NotPrimary { primary: None, view: View(view) };
        let (client, session, number) = (ClientId(1), Session(1), RequestNumber(1));
        Action::Reject(Box::new(Rejection { client, session, number, reason }))
    };
    let mut stage = three();
    stage.enters(1, 1).expect("legal");
    assert_eq!(broken(stage.acts(1, &[reject(0)])), "nothing");
    assert_eq!(broken(stage.acts(1, &[reject(1)])), D27);
}

#[test]
fn a_happening_of_somebody_who_is_no_member_is_passed_over() {
    let mut stage = three();
    assert_eq!(broken(stage.observe(&Happening::Crashed { on: ReplicaId(9) })), "nothing");
}
