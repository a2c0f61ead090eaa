//! The world by hand: what each control does, and that nothing happens that nobody asked for.

use super::{Status, World};
use crate::decider::Decider;
use crate::fate::Restart;
use crate::faults::{Fault, Length, Way, Who};
use crate::net::Filter;
use crate::setup::Setup;
use crate::workload::KvClients;
use vr_core::{Durability, Incarnation, MessageKind, Op, ReplicaId, StatusName, Time, View, Wait};

fn three() -> World<KvClients> {
    let setup = Setup { clients: 2, ..Setup::plain(3, Durability::Sync) };
    let clients = KvClients::new(1, setup.mix);
    let mut world = World::by_hand(setup, clients, Decider::recorded(&[])).unwrap();
    world.register(0, 0);
    assert!(world.run_until(Time(1_000_000_000), |w| !w.is_waiting(0)));
    world
}

fn commit(world: &World<KvClients>, replica: usize) -> Op {
    world.snapshot(replica).unwrap().commit
}

const SECOND: Wait = Wait::millis(1000);

#[test]
fn a_request_is_answered_and_nothing_else_happens() {
    let mut world = three();
    world.request(0, 0, vec![1, 0, 0, 7]);
    world.run_for(SECOND);
    assert_eq!((world.acked(), commit(&world, 0), commit(&world, 2)), (1, Op(2), Op(2)));
    assert_eq!(world.snapshot(0).unwrap().view, View(0));
    assert_eq!((world.marks().view_changes, world.marks().messages_cut), (0, 0));
    assert!(world.violation().is_none());
}

#[test]
fn held_messages_wait_for_their_release_and_dropped_ones_are_gone() {
    let mut world = three();
    let acks = Filter { kind: Some(MessageKind::PrepareOk), ..Filter::default() };
    world.hold(acks);
    world.request(0, 0, vec![1, 0, 0, 7]);
    world.run_for(Wait::millis(40));
    assert_eq!((commit(&world, 0), world.held().len()), (Op(1), 2));
    world.stop_filtering(acks);
    assert_eq!(world.release(Filter { from: Some(ReplicaId(2)), ..acks }), 1);
    world.run_now();
    assert_eq!((commit(&world, 0), world.discard(acks)), (Op(2), 1));
}

#[test]
fn a_crash_loses_what_is_not_durable_and_a_restart_is_another_life() {
    let mut world = three();
    world.slow_disk(1, 100);
    world.request(0, 0, vec![1, 0, 0, 7]);
    world.run_for(Wait::millis(4));
    assert_eq!((world.writes_under_way(1), world.disk(1).log.op()), (1, Op(1)));
    world.crash_now(1);
    assert_eq!((world.status(1), world.disk(1).log.op()), (Status::Down, Op(1)));
    world.slow_disk(1, 1);
    world.restart(1);
    world.run_for(SECOND);
    let s = world.snapshot(1).unwrap();
    assert_eq!((s.incarnation, s.op, s.executed), (Incarnation(2), Op(2), Op(2)));
    assert!(world.violation().is_none());
}

#[test]
fn a_cut_works_in_its_direction_only_and_ends_when_healed() {
    let mut world = three();
    world.cut(0, 1);
    world.request(0, 0, vec![1, 0, 0, 7]);
    world.run_for(Wait::millis(300));
    assert_eq!((commit(&world, 0), world.snapshot(1).unwrap().op), (Op(2), Op(1)));
    world.heal_link(0, 1);
    world.run_for(Wait::millis(300));
    assert_eq!(world.snapshot(1).unwrap().op, Op(2));
}

#[test]
fn who_stands_still_hears_everything_later() {
    let mut world = three();
    world.stand_still(2);
    world.request(0, 0, vec![1, 0, 0, 7]);
    world.run_for(Wait::millis(100));
    assert_eq!((world.status(2), world.snapshot(2).unwrap().op), (Status::Paused, Op(1)));
    world.go_on(2);
    world.run_for(Wait::millis(100));
    assert_eq!((world.status(2), commit(&world, 2)), (Status::Up, Op(2)));
}

#[test]
fn a_timer_can_be_made_to_fire_for_one_replica_alone() {
    let mut world = three();
    world.timeout(1);
    world.run_now();
    assert!(world.snapshot(1).unwrap().wants_view_change);
    assert!(!world.snapshot(2).unwrap().wants_view_change);
}

#[test]
fn a_failed_sync_stops_the_replica() {
    let mut world = three();
    world.fail_next_sync(2);
    world.request(0, 0, vec![1, 0, 0, 7]);
    world.run_for(SECOND);
    assert_eq!((world.status(2), world.marks().write_errors, world.acked()), (Status::Down, 1, 1));
    assert!(world.violation().is_none(), "it has an excuse");
}

#[test]
fn faults_strike_and_end_by_themselves() {
    let mut world = three();
    let length = Length(7); // 8 heartbeats
    world.strike(Fault::Isolate { who: Who::PRIMARY, way: Way::Both, length });
    world.strike(Fault::Crash { who: Who::after_primary(1), restart: Restart(4) });
    assert_eq!(world.status(1), Status::Down);
    world.run_for(Wait::millis(100));
    assert_eq!(world.status(1), Status::Up);
    world.run_for(Wait::millis(4000));
    let leads = |at| world.snapshot(at).is_some_and(|s| s.status == StatusName::Primary);
    assert_eq!((0..3).filter(|at| leads(*at)).count(), 1);
    assert_eq!(world.schedule().faults.len(), 2);
}

#[test]
fn everything_comes_to_rest_after_all() {
    let mut world = three();
    world.crash_now(0);
    world.request(0, 1, vec![1, 0, 0, 7]);
    assert!(world.settle(&[1, 2], true), "{:?}", world.violation());
    assert!(world.is_settled() && world.acked() >= 2);
}
