//! Tests of the news of epochs: who is told and how often, who lends, and when telling ends.

use super::super::shelf::Shelf;
use super::*;
use crate::clients::ClientTable;
use crate::config::{ClusterConfig, Config};
use crate::entry::Predicted;
use crate::group::Member;
use crate::id::{ClusterId, Hash, Instance, Time, Wait};
use crate::stored::Stored;

const NORMAL: (bool, bool) = (true, true);

/// Replica 0 of three, in the first epoch.
fn member() -> Common {
    let cluster = ClusterConfig::of_size(ClusterId(1), 3);
    let disk = Stored::format(cluster.cluster, cluster.digest(), ReplicaId(0), Instance(1));
    Common::new(Config::new(cluster, ReplicaId(0)), disk, ClientTable::new(8), Time::ZERO)
}

fn group(epoch: u64, ids: [u16; 3], base: u64) -> Group {
    let members = ids.map(|id| Member { id: ReplicaId(id), address: Bytes::new() });
    let base = Head { op: Op(base), hash: Hash(1) };
    Group::of(Epoch(epoch), members.to_vec(), ReplicaId(9), base).expect("it is sound")
}

/// A message of somebody in that epoch.
fn hear(common: &mut Common, from: u16, epoch: u64, body: &Body, status: (bool, bool)) -> Out {
    let (epoch, view) = (Epoch(epoch), View::first_of(Epoch(epoch)));
    let header = Header { epoch, view, from: ReplicaId(from), ..*common.header() };
    let mut out = Vec::new();
    assert_eq!(on_message(common, &mut out, (&header, body), status), Next::Stay);
    out
}

fn said(out: &[Action]) -> Vec<MessageKind> {
    let kind =
        |action: &Action| if let Action::Send { message, .. } = action { Some(message.body.kind()) } else { None };
    out.iter().filter_map(kind).collect()
}

fn settled(out: &[Action]) -> usize {
    out.iter().filter(|action| matches!(action, Action::Note(Note::EpochSettled { .. }))).count()
}

#[test]
fn what_an_epoch_begins_with_is_lent_by_who_is_between_views_and_not_by_who_lost_its_memory() {
    let mut common = member();
    let head = Head { op: Op(4), hash: Hash(1) };
    let state = Bytes::from_static(b"state");
    common.shelf = Shelf::new(Some(Checkpoint::new(head, Predicted::default(), Bytes::new(), state)));
    let question = Body::GetCheckpoint { head, offset: 0 };
    assert_eq!(said(&hear(&mut common, 7, 1, &question, (false, true))), [MessageKind::CheckpointPart]);
    assert_eq!(said(&hear(&mut common, 7, 1, &question, (false, false))), [MessageKind::CheckEpoch]);
}

#[test]
fn a_replica_of_another_epoch_is_told_so_once_in_half_a_heartbeat() {
    let mut common = member();
    let spacing = Wait(common.config.timeouts.heartbeat.0 / 2);
    let mut told_at = |at: u64| {
        common.now = Time(at);
        !said(&hear(&mut common, 7, 1, &Body::CheckEpoch, NORMAL)).is_empty()
    };
    let told = [0, 1, spacing.0 - 1, spacing.0, spacing.0 + 1, 2 * spacing.0].map(&mut told_at);
    assert_eq!(told, [true, false, false, true, false, true]);
}

#[test]
fn telling_one_replica_does_not_make_it_forget_another_unless_they_are_very_many() {
    let mut common = member();
    let mut told = |from: u16| {
        let told = !said(&hear(&mut common, from, 1, &Body::CheckEpoch, NORMAL)).is_empty();
        assert!(common.epochs.told.len() <= TOLD_MAX);
        told
    };
    assert_eq!([7, 8, 7, 8].map(&mut told), [true, true, false, false]);
    assert!((100..400).all(&mut told), "each of them is told");
    assert!(told(7), "it was forgotten");
}

/// It has to tell of its epoch still, and hears of the next, of which it is a member too.
#[test]
fn a_member_that_hears_of_a_later_epoch_goes_on_telling_of_its_own() {
    let mut common = member();
    common.epochs.handover = Some(Handover { started: ReplicaSet::default(), attempt: 0 });
    let out = hear(&mut common, 3, 1, &Body::NewEpoch(Box::new(group(1, [0, 1, 3], 5))), NORMAL);
    assert!(out.iter().any(|action| matches!(action, Action::Note(Note::LearnedEpoch { .. }))));
    assert!(common.epochs.handover.is_some() && settled(&out) == 0);
}

#[test]
fn who_was_replaced_and_hears_of_a_later_epoch_has_told_enough_once() {
    let mut common = member();
    common.set_group(group(1, [1, 2, 3], 5));
    common.set_view(View::first_of(Epoch(1)));
    common.epochs.handover = Some(Handover { started: ReplicaSet::default(), attempt: 0 });
    let news = Body::NewEpoch(Box::new(group(2, [1, 2, 4], 9)));
    assert_eq!(settled(&hear(&mut common, 3, 2, &news, NORMAL)), 1);
    assert!(common.epochs.handover.is_none());
    assert_eq!(settled(&hear(&mut common, 3, 2, &news, NORMAL)), 0);
}

/// What is asked of whom, if anything.
fn asked(out: &[Action]) -> Vec<(ReplicaId, Head)> {
    let question = |action: &Action| {
        let Action::Send { to: To::One(to), message } = action else { return None };
        if let Body::GetCheckpoint { head, .. } = message.body { Some((*to, head)) } else { None }
    };
    out.iter().filter_map(question).collect()
}

/// Replica 3 told of epoch 1, which begins with op 5, and has a checkpoint of it at op 9.
fn joining_from_a_later_checkpoint() -> (Common, Head, Head) {
    let mut common = member();
    let (base, later) = (Head { op: Op(5), hash: Hash(1) }, Head { op: Op(9), hash: Hash(2) });
    let out = hear(&mut common, 3, 1, &Body::NewEpoch(Box::new(group(1, [3, 4, 5], 5))), NORMAL);
    assert_eq!(asked(&out), [(ReplicaId(3), base)]);
    let gone = part(later, 9);
    assert_eq!(asked(&hear(&mut common, 3, 1, &gone, NORMAL)), [(ReplicaId(3), later)], "it has a newer one only");
    (common, base, later)
}

/// The first four bytes of a checkpoint that has so many.
fn part(head: Head, length: u64) -> Body {
    let bytes = Bytes::from_static(b"part");
    Body::CheckpointPart(Box::new(CheckpointPart { head, digest: Hash(7), length, offset: 0, bytes: bytes.into() }))
}

#[test]
fn what_does_not_come_is_asked_of_others_as_it_was_named_last_and_once_in_a_round_as_the_epoch_begins() {
    let (mut common, base, later) = joining_from_a_later_checkpoint();
    let mut again = || {
        let mut out = Vec::new();
        on_timer(&mut common, &mut out, true);
        let [(of, head)] = asked(&out)[..] else { panic!("{out:?}") };
        (of.0, head)
    };
    // Replica 3 told of it; then the new members and the old ones, of whom 0 is the one that asks.
    let round: Vec<_> = (0..6).map(|_| again()).collect();
    assert_eq!(round, [(3, later), (4, later), (5, later), (1, later), (2, later), (3, base)]);
    assert_eq!(again(), (3, base), "from then on it is what was asked for last");
}

#[test]
fn whoever_sends_something_else_is_asked_for_the_later_checkpoint_it_has_or_for_what_the_epoch_begins_with() {
    let (mut common, base, later) = joining_from_a_later_checkpoint();
    let out = hear(&mut common, 4, 1, &part(later, 3), NORMAL);
    assert_eq!(asked(&out), [(ReplicaId(4), later)]);
    let mut elsewhere = |head| {
        common.shelf.want(Head { op: Op(4), hash: Hash(3) }, ReplicaId(4));
        asked(&hear(&mut common, 4, 1, &part(head, 9), NORMAL))
    };
    assert_eq!(elsewhere(Head { op: Op(6), hash: Hash(4) }), [(ReplicaId(4), Head { op: Op(6), hash: Hash(4) })]);
    assert_eq!(elsewhere(Head { hash: Hash(4), ..base }), [(ReplicaId(4), base)], "that is where another epoch begins");
}
