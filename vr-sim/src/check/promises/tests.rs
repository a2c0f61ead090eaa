//! Promises that nothing backs, commits that nothing justifies, starts without reports.
//!
//! Owns one sequence of happenings per way to break a promise. PROTOCOL §4 S11, S12.

use super::*;
use crate::check::stage::{Stage, broken, chain, origin};
use vr_core::Position;
use vr_core::{Action, Beat, Durability, Entries, Nonce, Note, ReplicaId, Tail, Write};

impl Promises {
    /// As if everyone had acknowledged this.
    pub(in crate::check) fn counting_everyone(replicas: usize, view: View, head: Head) -> Self {
        Self { acks: vec![vec![(view, head)]; replicas], ..Self::new(replicas) }
    }
}

fn three() -> Stage {
    Stage::new(3, Durability::Sync)
}

fn ack(head: Head) -> Body {
    Body::PrepareOk { head, beat: Beat(1) }
}

#[test]
fn a_header_that_the_disk_does_not_back_is_caught() {
    let body = || Body::CommitOk { beat: Beat(1) };
    let mut stage = three();
    stage.writes(1, Write::View(View(1))).expect("legal");
    assert_eq!(broken(stage.reports(1)), S5, "the view is on its way to the disk");
    let mut stage = three();
    stage.puppets[1].incarnation = 2;
    assert_eq!(broken(stage.says(1, body())), S5);
    let mut stage = three();
    let theirs = stage.message(2, View(0), body());
    assert_eq!(broken(stage.acts(1, &[theirs])), S5);
}

#[test]
fn an_acknowledgement_before_the_sync_is_caught_where_the_disk_counts() {
    for durability in [Durability::Sync, Durability::Async] {
        let mut stage = Stage::new(3, durability);
        let entries = chain(origin(), View(0), 1..=2);
        stage.appends(0, &entries).expect("legal");
        stage.appends(1, &entries).expect("legal");
        let expected = if durability == Durability::Sync { S11 } else { "nothing" };
        assert_eq!(broken(stage.acks(1)), expected);
    }
}

#[test]
fn an_acknowledgement_of_what_is_not_there_is_caught() {
    let mut stage = Stage::new(3, Durability::Async);
    stage.prepares(0, &[1], &chain(origin(), View(0), 1..=3)).expect("legal");
    let hole = Head { op: Op(4), hash: vr_core::Hash(1) };
    assert_eq!(broken(stage.says(1, ack(hole))), S11);
    let other = Head { op: Op(3), hash: vr_core::Hash(1) };
    assert_eq!(broken(stage.says(1, ack(other))), S11);
}

#[test]
fn an_acknowledgement_before_the_log_of_the_view_is_durable_is_caught() {
    let mut stage = three();
    stage.runs(0, &[1, 2], 1..=1).expect("legal");
    stage.enters(2, 1).expect("legal");
    stage.changes_view(1, &[1, 0]).expect("legal");
    stage.writes(2, Write::Replace { keep: Op(1), entries: Entries::empty(), view: View(1) }).expect("legal");
    assert_eq!(broken(stage.acks(2)), S11);
}

#[test]
fn an_acknowledged_entry_that_vanishes_within_its_view_is_caught() {
    let mut stage = Stage::new(3, Durability::Async);
    stage.prepares(0, &[1], &chain(origin(), View(0), 1..=3)).expect("legal");
    stage.crash(1).expect("legal");
    stage.open(1).expect("legal");
    let Err(violation) = stage.recovers(1, 0, 2) else { panic!("op 3 is not committed, but acknowledged (D49)") };
    assert_eq!((violation.property, violation.replicas, violation.ops), (S11, vec![ReplicaId(1)], vec![Op(3)]));
}

#[test]
fn a_recovery_that_nobody_answered_in_this_life_is_caught() {
    let mut stage = Stage::new(3, Durability::Async);
    stage.prepares(0, &[1], &chain(origin(), View(0), 1..=3)).expect("legal");
    stage.crash(1).expect("legal");
    stage.open(1).expect("legal");
    let nonce = Nonce { incarnation: Incarnation(2), counter: 0 };
    stage.answers_recovery(1, 0, nonce).expect("legal");
    stage.crash(1).expect("legal");
    stage.open(1).expect("legal");
    stage.answers_recovery(1, 0, nonce).expect("late (D50)");
    let log = stage.puppets[0].log.clone();
    assert_eq!(broken(stage.installs(1, 0, &log)), S10);
    let mut stage = Stage::new(3, Durability::Async);
    stage.crash(1).expect("legal");
    stage.open(1).expect("legal");
    assert_eq!(broken(stage.recovers(1, 0, 0)), "nothing");
}

#[test]
fn a_new_primary_that_forgets_the_largest_commit_number_is_caught() {
    let mut stage = three();
    stage.runs(0, &[1, 2], 1..=3).expect("legal");
    stage.enters(1, 1).expect("legal");
    stage.writes(2, Write::View(View(1))).expect("legal");
    stage.flush(2).expect("legal");
    let head = stage.puppets[2].head();
    let tail = Tail { base: head, entries: Entries::empty(), head };
    let report = DoViewChange { log_view: View(0), commit: Op(3), tail };
    stage.says(2, Body::DoViewChange(Box::new(report))).expect("legal");
    let reports = [1, 2].into_iter().filter_map(Position::new).collect();
    stage.notes(1, Note::ChoseLog { view: View(1), of: ReplicaId(1), reports }).expect("legal");
    let log = stage.puppets[1].log.clone();
    assert_eq!(broken(stage.installs(1, 1, &log)), S3, "its StartView says commit 0");
}

#[test]
fn a_report_of_another_log_than_its_own_is_caught() {
    let mut stage = three();
    stage.runs(0, &[1, 2], 1..=3).expect("legal");
    stage.enters(0, 2).expect("legal");
    stage.puppets[0].log.truncate(2);
    assert_eq!(broken(stage.reports(0)), S11, "a weaker report");
    let mut stage = three();
    let entries = chain(origin(), View(0), 1..=2);
    stage.appends(0, &entries).expect("legal");
    stage.appends(2, &entries).expect("legal");
    let flying = stage.write(2, Write::View(View(1)));
    stage.acts(2, &[flying]).expect("legal");
    stage.step(2, vr_core::Input::Persisted(vr_core::WriteId(1)), &[]).expect("legal");
    assert_eq!(broken(stage.reports(2)), S5, "not even the view is durable");
}

#[test]
fn a_report_that_weakens_is_caught() {
    let mut stage = three();
    stage.runs(0, &[1, 2], 1..=2).expect("legal");
    stage.enters(0, 2).expect("legal");
    let Promises { reports, .. } = &mut stage.checkers.promises;
    reports[0][0].head.op = Op(5);
    assert_eq!(broken(stage.reports(0)), D44);
}

#[test]
fn a_start_that_is_told_before_it_is_durable_is_caught() {
    let mut stage = three();
    stage.enters(1, 1).expect("legal");
    stage.enters(2, 1).expect("legal");
    stage.writes(1, Write::Replace { keep: Op(0), entries: Entries::empty(), view: View(1) }).expect("legal");
    let start = stage.start_view(1);
    assert_eq!(broken(stage.says(1, Body::StartView(Box::new(start.clone())))), S11);
    stage.flush(1).expect("legal");
    let wrong = StartView { view_start: Op(4), ..start.clone() };
    assert_eq!(broken(stage.says(1, Body::StartView(Box::new(wrong)))), S11);
    assert_eq!(broken(stage.says(1, Body::StartView(Box::new(start)))), "nothing");
}

#[test]
fn a_commit_without_a_quorum_of_acknowledgements_is_caught() {
    let entries = chain(origin(), View(0), 1..=2);
    let mut stage = Stage::new(5, Durability::Sync);
    stage.prepares(0, &[1], &entries).expect("legal");
    stage.acks(1).expect("a duplicate (D2)");
    assert_eq!(broken(stage.commits(0, 2)), S12);
    let mut stage = three();
    stage.appends(0, &entries).expect("legal");
    stage.appends(1, &entries).expect("legal");
    stage.flush(1).expect("legal");
    stage.acks(1).expect("legal");
    assert_eq!(broken(stage.commits(0, 2)), S12, "its own copy is not durable (D53)");
    let mut stage = three();
    stage.prepares(0, &[1], &entries).expect("legal");
    assert_eq!(broken(stage.commits(0, 2)), "nothing");
}

#[test]
fn acknowledgements_of_another_view_do_not_justify_a_commit() {
    let mut stage = Stage::new(5, Durability::Sync);
    stage.prepares(0, &[1, 2], &chain(origin(), View(0), 1..=1)).expect("legal");
    stage.changes_view(1, &[1, 3, 4]).expect("legal");
    stage.commits(1, 1).expect("three have acknowledged it in view 1");
    stage.prepares(1, &[3], &chain(stage.puppets[1].head(), View(1), 2..=2)).expect("legal");
    let Err(violation) = stage.commits(1, 2) else { panic!("two are no quorum of five") };
    assert_eq!(violation.property, S12);
    assert!(violation.message.ends_with("there are: r1 itself op 2, r3 op 2, r4 op 1"), "{}", violation.message);
}

#[test]
fn a_backup_ahead_of_every_primary_is_caught() {
    let mut stage = three();
    stage.prepares(0, &[1], &chain(origin(), View(0), 1..=2)).expect("legal");
    assert_eq!(broken(stage.commits(1, 1)), S12);
    let mut stage = three();
    let head = origin();
    assert_eq!(broken(stage.says(0, Body::Commit { commit: Op(1), head, beat: Beat(1) })), S12);
}

#[test]
fn a_start_without_a_quorum_of_reports_is_caught() {
    let mut stage = Stage::new(5, Durability::Sync);
    stage.enters(2, 1).expect("legal");
    stage.enters(1, 1).expect("legal");
    stage.enters(3, 3).expect("a report for another view");
    assert_eq!(broken(stage.installs(1, 1, &[])), S7);
}

#[test]
fn a_choice_of_a_worse_log_is_caught() {
    let mut stage = three();
    stage.prepares(0, &[2], &chain(origin(), View(0), 1..=2)).expect("legal");
    stage.enters(2, 1).expect("legal");
    stage.enters(1, 1).expect("legal");
    let set = |places: &[usize]| places.iter().filter_map(|place| Position::new(*place)).collect();
    let chose = |of: u16, reports| Note::ChoseLog { view: View(1), of: ReplicaId(of), reports };
    assert_eq!(broken(stage.notes(1, chose(1, set(&[1, 2])))), S8);
    assert_eq!(broken(stage.notes(1, chose(2, set(&[0, 1, 2])))), S7, "r0 never reported");
    assert_eq!(broken(stage.notes(1, chose(2, set(&[1, 2])))), "nothing");
    let tail = Tail { base: origin(), entries: Entries::empty(), head: origin() };
    let early = DoViewChange { log_view: View(0), commit: Op(0), tail };
    let action: Action = stage.message(1, View(1), Body::DoViewChange(Box::new(early)));
    assert_eq!(broken(stage.acts(1, &[action])), "nothing", "a primary may report to itself");
}
