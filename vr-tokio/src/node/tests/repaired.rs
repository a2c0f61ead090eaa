//! Disks that rot: what any one of them still has comes back. Owns which record of which node rots.

use super::*;
use crate::wal::{self, Record, RecordState};
use std::fs;

/// The records of a node that does not run.
fn records(cluster: &Cluster, id: usize) -> Vec<Record> {
    wal::inspect(&cluster.configs[id].dir).expect("a log").collect::<Result<_, _>>().expect("readable")
}

/// The first record of that node that checks and brings this op.
fn that_brings(cluster: &Cluster, id: usize, op: u64) -> Option<Record> {
    let brings =
        |record: &Record| record.state == RecordState::Ok && record.entries.iter().any(|entry| entry.op() == Op(op));
    records(cluster, id).into_iter().find(brings)
}

/// The record that brought this op to that node does not check any more.
fn rot(cluster: &Cluster, id: usize, op: u64) {
    let record = that_brings(cluster, id, op).expect("it is there");
    let mut bytes = fs::read(&record.file).expect("readable");
    bytes[usize::try_from(record.offset + record.length / 2).expect("a file in memory")] ^= 0x10;
    fs::write(&record.file, bytes).expect("writable");
    assert!(records(cluster, id).iter().any(|record| record.state == RecordState::Rotten));
    assert!(that_brings(cluster, id, op).is_none(), "no other record brings it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_cluster_that_restarts_with_one_rotten_copy_per_entry_loses_nothing() {
    let mut cluster = Cluster::start(|_| ()).await;
    let client = cluster.client();
    let mut session = timely(client.session()).await.expect("opened");
    let mut last = Op::ZERO;
    for _ in 0..12 {
        last = timely(session.call("1")).await.expect("answered").op;
    }
    for id in 0..3 {
        cluster.until(id, |status| status.executed >= last).await;
    }
    for id in 0..3 {
        cluster.kill(id).await;
    }
    let rotten = [(0, 3), (1, 6), (2, 9)];
    for (id, op) in rotten {
        rot(&cluster, id, op);
    }
    for id in 0..3 {
        cluster.up(id).await;
    }
    let next = timely(session.call("1")).await.expect("the session is kept");
    assert_eq!(next.result, "13");
    for id in 0..3 {
        cluster.until(id, |status| status.executed >= next.op).await;
        assert_eq!(timely(cluster.handle(id).read_stale(Bytes::new())).await.expect("answered"), "13");
    }
    // Each wrote it again, as a repair or in the log that a new view began with: the next start needs nobody.
    for (id, op) in rotten {
        cluster.kill(id).await;
        let kinds = || records(&cluster, id).iter().map(|record| (record.state, record.kind)).collect::<Vec<_>>();
        assert!(that_brings(&cluster, id, op).is_some(), "replica {id} does not have op {op} again: {:?}", kinds());
    }
    for id in 0..3 {
        cluster.up(id).await;
    }
    assert_eq!(timely(session.call("1")).await.expect("the session is kept").result, "14");
}
