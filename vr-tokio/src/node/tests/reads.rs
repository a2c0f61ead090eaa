//! Reads without an entry in the log: who answers them, and what they see. Owns no helper.

use super::*;
use crate::client::ClientError;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_sees_every_write_that_was_answered_and_nothing_is_logged_for_it() {
    let cluster = Cluster::start(steady).await;
    let primary = cluster.handle(0);
    for count in 1..=10 {
        let written = timely(primary.request(ANN, number(count), body("1"))).await.expect("answered");
        let read = timely(primary.read(Bytes::new())).await.expect("answered");
        assert_eq!((read, cluster.handle(0).status().op), (written.result, written.op));
    }
    let read = timely(cluster.client().read("")).await.expect("answered over HTTP");
    assert_eq!(read, "10");
    assert!(primary.metrics().contains("vr_reads_total 11\n"), "{}", primary.metrics());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_that_come_together_are_all_answered() {
    let cluster = Cluster::start(steady).await;
    let primary = cluster.handle(0);
    timely(primary.request(ANN, number(1), body("7"))).await.expect("answered");
    let asks = (0..500).map(|_| primary.read(Bytes::new()));
    for read in timely(futures_util::future::join_all(asks)).await {
        assert_eq!(read.expect("answered"), "7");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_answers_no_read_and_names_the_primary() {
    let cluster = Cluster::start(steady).await;
    cluster.until(1, |status| status.status == StatusName::Backup).await;
    let refused = timely(cluster.handle(1).read(Bytes::new())).await.expect_err("a backup");
    assert!(matches!(refused, RequestError::NotPrimary { primary: Some(ReplicaId(0)), .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_no_quorum_hears_answers_no_read() {
    let mut cluster = Cluster::format(|config| {
        steady(config);
        config.requests.timeout_ms = 50;
    });
    cluster.up(0).await;
    let primary = cluster.handle(0);
    assert_eq!(timely(primary.read(Bytes::new())).await, Err(RequestError::Timeout));
    assert_eq!(timely(primary.read_stale(Bytes::new())).await.expect("answered"), "0");
    cluster.up(1).await;
    let mut read = timely(primary.read(Bytes::new())).await;
    while read == Err(RequestError::Timeout) {
        read = timely(primary.read(Bytes::new())).await; // a slow machine
    }
    assert_eq!(read.expect("answered"), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_answers_a_read_that_is_asked_of_it_with_everything_that_was_answered_before() {
    let cluster = Cluster::start(steady).await;
    cluster.until(1, |status| status.status == StatusName::Backup).await;
    let (primary, backup) = (cluster.handle(0), cluster.handle(1));
    for count in 1..=10 {
        let written = timely(primary.request(ANN, number(count), body("1"))).await.expect("answered");
        let read = timely(backup.read_here(Bytes::new())).await.expect("answered");
        assert_eq!((read, cluster.handle(0).status().op), (written.result, written.op));
    }
    let asks = (0..500).map(|_| backup.read_here(Bytes::new()));
    for read in timely(futures_util::future::join_all(asks)).await {
        assert_eq!(read.expect("answered"), "10");
    }
    assert!(backup.metrics().contains("vr_reads_total 510\n"), "{}", backup.metrics());
    assert_eq!(timely(primary.read_here(Bytes::new())).await.expect("answered"), "10");
    assert!(primary.metrics().contains("vr_reads_total 1\n"), "{}", primary.metrics());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_has_the_node_of_its_choice_answer_and_still_knows_the_primary() {
    let cluster = Cluster::start(steady).await;
    cluster.until(2, |status| status.status == StatusName::Backup).await;
    let client = cluster.client();
    let mut session = timely(client.session()).await.expect("opened");
    timely(session.call("7")).await.expect("answered");
    let (primary, backup) = (client.primary(), cluster.configs[0].nodes[2].client.to_string());
    assert_eq!(timely(client.read_from(&backup, "")).await.expect("answered"), "7");
    assert!(cluster.handle(2).metrics().contains("vr_reads_total 1\n"));
    assert_eq!(client.primary(), primary);
    assert!(matches!(timely(client.read_from("nowhere", "")).await, Err(ClientError::Address(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_has_lost_its_primary_refuses_a_read_before_its_client_gives_up() {
    let mut cluster = Cluster::start(|_| {}).await;
    cluster.primary_from(0).await;
    cluster.kill(0).await;
    cluster.kill(2).await;
    let refused = timely(cluster.handle(1).read_here(Bytes::new())).await.expect_err("nobody leads");
    assert!(matches!(refused, RequestError::NotPrimary { .. }), "{refused}");
}
