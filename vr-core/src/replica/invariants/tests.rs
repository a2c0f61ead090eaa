//! Tests of the invariants: each is seen when it alone is broken, and no step ends with one broken.

use super::super::{Replica, Status};
use super::*;
use crate::clients::ClientTable;
use crate::config::{ClusterConfig, Config};
use crate::event::{Event, Input};
use crate::id::{ClusterId, Epoch, Hash, Instance, Op, ReplicaId, Time, View};
use crate::log::{Head, Log};
use crate::stored::Stored;

/// Replica 0 of three, the primary of view 0.
fn member() -> Common {
    let cluster = ClusterConfig::of_size(ClusterId(1), 3);
    let disk = Stored::format(cluster.cluster, cluster.digest(), ReplicaId(0), Instance(1));
    Common::new(Config::new(cluster, ReplicaId(0)), disk, ClientTable::new(8), Time::ZERO)
}

#[test]
fn each_relation_is_seen_when_it_alone_is_broken() {
    assert!(hold(&member(), true, true) && hold(&member(), false, false));
    assert!(!hold(&member(), false, true), "the primary of its view leads it");
    let seen = |change: fn(&mut Common)| {
        let mut common = member();
        change(&mut common);
        !hold(&common, false, false)
    };
    assert!(seen(|common| common.log_view = View(1)), "log_view ≤ view");
    assert!(seen(|common| common.set_view(View::first_of(Epoch(1)))), "the group is of its epoch");
    assert!(seen(|common| common.log = Log::new(Head { op: Op(1), hash: Hash(1) })), "base ≤ commit");
    assert!(seen(|common| common.pending.durable_in_memory(Op(1))), "durable ≤ op");
}

#[test]
#[should_panic(expected = "an invariant of our own state is broken")]
fn no_step_ends_with_an_invariant_broken() {
    let mut replica = Replica { common: member(), status: Status::Outside };
    replica.common.log_view = View(1);
    let _ = replica.step(Event { at: Time::ZERO, input: Input::Tick });
}

#[test]
#[should_panic(expected = "an invariant of our own state is broken")]
fn no_answer_of_the_service_hides_that_an_invariant_is_broken() {
    let mut common = member();
    // It was told to become another one: the answer is for nothing.
    common.execution.restore(Op::ZERO, Op(8), true);
    common.execution.restore(Op::ZERO, Op(8), true);
    let mut replica = Replica { common, status: Status::Outside };
    replica.common.log_view = View(1);
    let input = Input::Executed { op: Op::ZERO, reply: bytes::Bytes::new() };
    let _ = replica.step(Event { at: Time::ZERO, input });
}
