//! A group replicates, survives its members' ends, and loses nothing that it acknowledged.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_execute_every_operation_once_and_alike() {
    let cluster = Cluster::start(steady).await;
    let primary = cluster.handle(0);
    for count in 1..=20 {
        let reply = timely(primary.request(ANN, number(count), body("1"))).await.expect("answered");
        assert_eq!(reply.result, count.to_string());
    }
    let again = timely(primary.request(ANN, number(20), body("1"))).await.expect("answered");
    assert!(again.duplicate);
    assert_eq!(again.result, "20");
    let last = again.op;
    for id in 0..3 {
        cluster.until(id, |status| status.executed >= last).await;
        assert_eq!(timely(cluster.handle(id).read_stale(Bytes::new())).await.expect("answered"), "20");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_says_who_the_primary_is_and_a_session_finds_it() {
    let cluster = Cluster::start(steady).await;
    cluster.until(2, |status| status.status == StatusName::Backup).await;
    let refused = timely(cluster.handle(2).request(ANN, number(1), body("1"))).await.expect_err("a backup");
    assert!(matches!(refused, RequestError::NotPrimary { primary: Some(ReplicaId(0)), .. }), "{refused}");
    let client = cluster.client();
    let mut session = timely(client.session()).await.expect("opened");
    assert_eq!(timely(session.call("5")).await.expect("answered").result, "5");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_outlives_its_primary_which_catches_up_when_it_returns() {
    let mut cluster = Cluster::start(|_| ()).await;
    let client = cluster.client();
    let mut session = timely(client.session()).await.expect("opened");
    assert_eq!(timely(session.call("1")).await.expect("answered").result, "1");
    cluster.kill(0).await;
    assert_eq!(timely(session.call("1")).await.expect("answered").result, "2");
    let next = cluster.primary_from(1).await;
    assert_ne!(next, 0);
    cluster.up(0).await;
    let last = timely(session.call("1")).await.expect("answered");
    assert_eq!(last.result, "3");
    cluster.until(0, |status| status.executed >= last.op && status.is_ready()).await;
    assert_eq!(timely(cluster.handle(0).read_stale(Bytes::new())).await.expect("answered"), "3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_stop_and_start_nothing_acknowledged_is_lost() {
    let mut cluster = Cluster::start(|_| ()).await;
    let client = cluster.client();
    let mut session = timely(client.session()).await.expect("opened");
    for _ in 0..10 {
        timely(session.call("1")).await.expect("answered");
    }
    for id in 0..3 {
        cluster.kill(id).await;
    }
    for id in 0..3 {
        cluster.up(id).await;
    }
    assert_eq!(timely(session.call("1")).await.expect("the session is kept").result, "11");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_asynchronous_mode_a_replica_that_died_gets_its_memory_back() {
    let mut cluster = Cluster::start(|config| config.cluster.durability = Durability::Async).await;
    let client = cluster.client();
    let mut session = timely(client.session()).await.expect("opened");
    timely(session.call("4")).await.expect("answered");
    cluster.kill(1).await;
    let last = timely(session.call("4")).await.expect("answered");
    cluster.up(1).await;
    cluster.until(1, |status| status.executed >= last.op && status.is_ready()).await;
    assert_eq!(timely(cluster.handle(1).read_stale(Bytes::new())).await.expect("answered"), "8");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_asynchronous_mode_all_stop_in_order_and_start_again() {
    let mut cluster = Cluster::start(|config| config.cluster.durability = Durability::Async).await;
    let client = cluster.client();
    let mut session = timely(client.session()).await.expect("opened");
    timely(session.call("4")).await.expect("answered");
    for id in [1, 2, 0] {
        assert_eq!(timely(cluster.stop(id)).await, StopReason::Stopped);
    }
    for id in 0..3 {
        cluster.up(id).await;
    }
    assert_eq!(timely(session.call("4")).await.expect("the session is kept").result, "8");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_fell_behind_the_logs_of_the_others_starts_from_a_checkpoint() {
    let mut cluster = Cluster::start(|config| config.cluster.checkpoint_interval = 4).await;
    let client = cluster.client();
    let mut session = timely(client.session()).await.expect("opened");
    timely(session.call("1")).await.expect("answered");
    cluster.kill(2).await;
    for _ in 0..40 {
        timely(session.call("1")).await.expect("answered");
    }
    cluster.up(2).await;
    let last = timely(session.call("1")).await.expect("answered");
    cluster.until(2, |status| status.executed >= last.op).await;
    assert_eq!(timely(cluster.handle(2).read_stale(Bytes::new())).await.expect("answered"), "42");
    let has_installed = "vr_events_total{kind=\"checkpoint_installed\"} 1";
    assert!(cluster.handle(2).metrics().contains(has_installed), "{}", cluster.handle(2).metrics());
}
