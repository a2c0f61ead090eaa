//! Tests of images: what is no replica, or another one than it is said to be, is refused with the reason.

use super::super::shelf::Shelf;
use super::*;
use crate::checkpoint::Checkpoint;
use crate::config::{ClusterConfig, Config};
use crate::entry::{Predicted, genesis};
use crate::group::{Group, Member};
use crate::id::{ClusterId, Epoch, Instance, Op, ReplicaId, Time, View};
use crate::log::Head;
use crate::quorum::Position;
use crate::stored::Stored;
use bytes::Bytes;

fn opened() -> Replica {
    let cluster = ClusterConfig::of_size(ClusterId(1), 3);
    let disk = Stored::format(cluster.cluster, cluster.digest(), ReplicaId(0), Instance(7));
    Replica::open(Config::new(cluster, ReplicaId(0)), disk, Time::ZERO, &mut Vec::new()).expect("its own disk")
}

#[test]
fn a_replica_that_stands_elsewhere_or_in_a_group_that_cannot_be_is_none() {
    let refused = |change: fn(&mut Replica)| {
        let mut replica = opened();
        change(&mut replica);
        Replica::of_image(&replica.image()).err()
    };
    assert_eq!(refused(|_| {}), None);
    let place = Some(ImageError::Inconsistent("its place in the group"));
    assert_eq!(refused(|replica| replica.common.me = Position::new(2).expect("small")), place);
    assert_eq!(refused(|replica| replica.common.quorum = 1), place);
    let unsound = |replica: &mut Replica| {
        let members: Vec<Member> = replica.common.group.members().to_vec();
        let base = Head { op: Op::ZERO, hash: genesis(ClusterId(1)) };
        // The ids 1 and 2 are members, and not used yet.
        let group = wire::pack(&(Epoch::ZERO, members, ReplicaId(1), base));
        replica.common.group = wire::unpack::<Group>(&group).expect("the same fields");
    };
    assert_eq!(refused(unsound), place);
}

#[test]
fn a_replica_that_is_normal_in_a_view_whose_log_it_does_not_have_is_none() {
    let mut replica = opened();
    replica.common.set_view(View(3));
    assert!(matches!(replica.status, Status::Primary(_)) && replica.common.is_primary());
    assert_eq!(Replica::of_image(&replica.image()), Err(ImageError::Inconsistent("its variables")));
    replica.common.log_view = View(3);
    assert!(Replica::of_image(&replica.image()).is_ok());
}

#[test]
fn an_image_has_the_length_of_every_state_that_it_leaves_out_and_no_state() {
    let with = |lengths: &[u64], state: Option<&[u8]>| {
        let mut lean = opened();
        let head = Head { op: Op::ZERO, hash: genesis(ClusterId(1)) };
        let checkpoint =
            |state: &[u8]| Checkpoint::new(head, Predicted::default(), Bytes::new(), Bytes::copy_from_slice(state));
        lean.common.shelf = Shelf::new(state.map(checkpoint));
        Replica::of_image(&wire::pack(&(lengths.to_vec(), lean))).err()
    };
    let otherwise = Some(ImageError::Inconsistent("it is written otherwise"));
    assert_eq!(with(&[], None), None);
    assert_eq!(with(&[1], None), otherwise);
    assert_eq!(with(&[0], Some(b"")), None);
    assert_eq!(with(&[5], Some(b"")), None, "left out");
    for (lengths, state) in [(&[][..], &b""[..]), (&[0, 0], b""), (&[5], b"state"), (&[], b"state")] {
        assert_eq!(with(lengths, Some(state)), otherwise, "{lengths:?} {state:?}");
    }
}

#[test]
fn a_replica_in_the_middle_of_a_life_is_the_one_and_in_the_life_that_it_is_said_to_be() {
    let replica = opened();
    let (config, life) = (replica.common.config.clone(), replica.common.header().incarnation);
    let (at, host, events, image) = (Time::ZERO, Time::ZERO, 1, Bytes::from(replica.image()));
    let said = Midway { config, life, at, host, events, image };
    assert_eq!(Replica::of_midway(&said), Ok(replica));
    let other = Err(ImageError::Inconsistent("it is another replica or life than it is said to be"));
    assert_eq!(Replica::of_midway(&Midway { life: life.next(), ..said.clone() }), other);
    let mut config = said.config.clone();
    config.jitter_seed += 1;
    assert_eq!(Replica::of_midway(&Midway { config, ..said }), other);
}
