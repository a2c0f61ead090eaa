//! Reads without an entry in the log: who answers them, and what they see. Owns no helper.

use super::*;

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
