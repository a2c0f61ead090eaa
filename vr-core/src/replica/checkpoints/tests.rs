//! Tests of checkpoints at work: what is given up behind one, to whom one is offered, whom a part is asked of.

use super::super::shelf::{LONG_BYTES, Shelf};
use super::*;
use crate::action::To;
use crate::config::ClusterConfig;
use crate::id::{ClusterId, Hash, Instance, Wait};
use crate::message::Body;
use alloc::vec::Vec;

fn head(op: u64, hash: u128) -> Head {
    Head { op: Op(op), hash: Hash(hash) }
}

fn checkpoint(head: Head) -> Checkpoint {
    Checkpoint::new(head, Predicted::default(), Bytes::new(), Bytes::from_static(b"state"))
}

fn virgin() -> (Config, Stored) {
    let cluster = ClusterConfig::of_size(ClusterId(1), 5);
    let disk = Stored::format(cluster.cluster, cluster.digest(), ReplicaId(0), Instance(1));
    (Config::new(cluster, ReplicaId(0)), disk)
}

/// Replica 0 of five.
fn member() -> Common {
    let (config, disk) = virgin();
    Common::new(config, disk, ClientTable::new(8), Time::ZERO)
}

#[test]
fn where_nothing_can_be_given_up_no_cut_is_written() {
    let (mut common, mut out) = (member(), Vec::new());
    let interval = u64::from(common.config.cluster.checkpoint_interval);
    cut(&mut common, &mut out, Op(interval));
    assert_eq!(out, []);
}

#[test]
fn a_checkpoint_is_offered_if_it_lies_on_our_log_and_no_further_than_asked_for() {
    let mut common = member();
    common.shelf = Shelf::new(Some(checkpoint(head(4, 1))));
    common.log = Log::new(head(4, 1));
    assert_eq!(offered(&mut common, Op(3), ReplicaId(1)), None);
    assert_eq!(offered(&mut common, Op(4), ReplicaId(1)), Some(head(4, 1)));
    common.log = Log::new(head(4, 2));
    assert_eq!(offered(&mut common, Op(4), ReplicaId(1)), None);
}

#[test]
fn what_was_offered_is_kept_for_eight_times_the_wait_for_a_page() {
    let mut common = member();
    common.now = Time(7);
    common.shelf = Shelf::new(Some(checkpoint(head(4, 1))));
    common.log = Log::new(head(4, 1));
    assert!(offered(&mut common, Op(4), ReplicaId(1)).is_some());
    let end = common.now.after(common.config.timeouts.fetch.times(8));
    assert_eq!(common.shelf.lent_op(Time(end.0 - 1)), Some(Op(4)));
    assert_eq!(common.shelf.lent_op(end), None);
    assert_eq!(kept_until(&common).since(common.now), Wait(end.0 - 7));
}

#[test]
fn a_part_that_does_not_come_is_asked_for_again_then_of_others_then_the_question_anew() {
    let mut common = member();
    common.shelf.want(head(9, 1), ReplicaId(1));
    let mut asked = || {
        let mut out = Vec::new();
        let again = retry(&mut common, &mut out);
        let of = |action: &Action| {
            let Action::Send { to: To::One(to), message } = action else { return None };
            (message.body.kind() == MessageKind::GetCheckpoint).then_some(to.0)
        };
        let of = out.iter().find_map(of);
        assert_eq!(again, of.is_some());
        of
    };
    assert_eq!([asked(), asked(), asked(), asked()], [Some(1), Some(3), Some(4), None]);
}

#[test]
fn of_long_parts_two_are_asked_for_at_a_time_and_of_short_ones_one() {
    let it = head(9, 1);
    let asked = |out: &[Action]| {
        let of = |action: &Action| {
            let Action::Send { message, .. } = action else { return None };
            let Body::GetCheckpoint { offset, .. } = message.body else { return None };
            Some(offset)
        };
        out.iter().filter_map(of).collect::<Vec<_>>()
    };
    for (bytes, at_once) in [(LONG_BYTES - 1, 1), (LONG_BYTES, 2)] {
        let (mut common, mut out) = (member(), Vec::new());
        want(&mut common, &mut out, it, ReplicaId(1));
        assert_eq!(asked(&out), [0], "nothing is known of it");
        let came = |common: &mut Common, number: u64| {
            let mut out = Vec::new();
            let piece = Bytes::from(alloc::vec![7; index(bytes)]);
            let (offset, length) = (number * bytes, 4 * bytes);
            let part = CheckpointPart { head: it, digest: Hash(2), length, offset, bytes: piece.into() };
            assert!(matches!(take(common, &mut out, ReplicaId(1), &part), Took::More));
            asked(&out).into_iter().map(|offset| offset / bytes).collect::<Vec<_>>()
        };
        let expected: [&[u64]; 3] = if at_once == 2 { [&[1, 2], &[3], &[]] } else { [&[1], &[2], &[3]] };
        assert_eq!(came(&mut common, 0), expected[0]);
        assert_eq!(came(&mut common, 1), expected[1]);
        let mut again = Vec::new();
        assert!(retry(&mut common, &mut again));
        assert_eq!(asked(&again).len(), at_once, "neither came");
        assert_eq!(came(&mut common, 2), expected[2]);
        assert_eq!(
            common.timers.next_deadline(),
            Some(common.now.after(common.config.timeouts.fetch.times(patience(&common))))
        );
    }
}

#[test]
fn a_disk_whose_log_does_not_go_on_from_its_checkpoint_has_no_client_table() {
    let (config, mut disk) = virgin();
    disk.checkpoint = Some(checkpoint(head(4, 1)));
    disk.log = Log::new(head(4, 1));
    assert!(table_on(&config, &disk).is_some());
    for other in [head(4, 2), head(8, 1)] {
        disk.log = Log::new(other);
        assert!(table_on(&config, &disk).is_none(), "{other:?}");
    }
}

#[test]
fn a_part_is_waited_for_the_longer_the_more_is_known_to_be_missing_up_to_what_a_part_holds() {
    let mut common = member();
    let it = head(9, 1);
    common.shelf.want(it, ReplicaId(1));
    assert_eq!(patience(&common), 1, "nothing is known of it");
    let room = count(common.part_bytes());
    for (left, waits) in
        [(PATIENT_BYTES - 1, 1), (PATIENT_BYTES, 2), (3 * PATIENT_BYTES, 4), (room + PATIENT_BYTES, 17)]
    {
        common.shelf = Shelf::new(None);
        common.shelf.want(it, ReplicaId(1));
        let bytes = Bytes::from_static(b"the first of its bytes");
        let length = left + count(bytes.len());
        let mut out = Vec::new();
        let part = CheckpointPart { head: it, digest: Hash(2), length, offset: 0, bytes: bytes.into() };
        assert!(matches!(take(&mut common, &mut out, ReplicaId(1), &part), Took::More));
        assert_eq!(patience(&common), waits, "{left}");
        let fetch = common.config.timeouts.fetch;
        assert_eq!(common.timers.next_deadline(), Some(common.now.after(fetch.times(waits))));
    }
}
