//! A primary gives way: because an operator asks for it, or because its node is told to stop.

use super::*;
use crate::handle::HandOverError;
use vr_core::{NoHandOver, View};

/// The bounds of a hand-over are ten heartbeats: here long enough for any machine.
const fn unhurried(config: &mut NodeConfig) {
    steady(config);
    config.timeouts.heartbeat = Wait::millis(100);
    config.timeouts.vote = Wait::millis(30_000);
}

async fn add(cluster: &Cluster) {
    let mut session = timely(cluster.client().session()).await.expect("opened");
    timely(session.call(body("1"))).await.expect("answered");
}

fn waited_in_vain(handle: &Handle) -> bool {
    handle.metrics().contains("vr_events_total{kind=\"wants_view_change\"}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_is_asked_gives_way_and_its_clients_find_the_next_one() {
    let cluster = Cluster::start(unhurried).await;
    let client = cluster.client();
    let mut client = timely(client.session()).await.expect("opened");
    let first = timely(client.call(body("1"))).await.expect("answered");
    assert_eq!(timely(cluster.handle(1).hand_over(None)).await, Err(HandOverError::Refused(NoHandOver::NotPrimary)));
    assert_eq!(timely(cluster.handle(0).hand_over(Some(ReplicaId(2)))).await, Ok(View(2)));
    let second = timely(client.call(body("1"))).await.expect("answered");
    assert_eq!((&first.result[..], &second.result[..], second.view), (&b"1"[..], &b"2"[..], View(2)));
    cluster.until(2, |status| status.status == StatusName::Primary).await;
    assert!((0..3).all(|id| !waited_in_vain(&cluster.handle(id))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_leaves_gives_way_first_and_a_backup_just_stops() {
    let mut cluster = Cluster::start(unhurried).await;
    add(&cluster).await;
    for (id, others) in [(0, [1, 2]), (2, [0, 1])] {
        let node = cluster.nodes[id].take().expect("it runs");
        timely(node.handle().leave()).await;
        assert_eq!(timely(node.stopped()).await, StopReason::Stopped);
        cluster.up(id).await;
        add(&cluster).await;
        assert!(others.iter().all(|other| !waited_in_vain(&cluster.handle(*other))));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_one_that_leaves_stops_without_anybody_to_give_way_to() {
    let mut cluster = Cluster::start(|config| {
        unhurried(config);
        config.timeouts.abdicate = Wait::millis(500);
    })
    .await;
    add(&cluster).await;
    for id in [1, 2, 0] {
        let node = cluster.nodes[id].take().expect("it runs");
        timely(node.handle().leave()).await;
        assert_eq!(timely(node.stopped()).await, StopReason::Stopped);
    }
}
