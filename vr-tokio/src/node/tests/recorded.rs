//! Recordings of what happens to a replica: whole lives, one file each. Owns what is in the files; `vr_sim::flight`
//! judges them.

use super::*;
use vr_core::recording;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_life_of_a_replica_is_recorded_in_a_file_of_its_own() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut cluster = Cluster::start(|config| config.record = Some(crate::RecordConfig::new(dir.path()))).await;
    let client = cluster.client();
    let mut session = timely(client.session()).await.expect("opened");
    timely(session.call("1")).await.expect("answered");
    cluster.kill(0).await;
    timely(session.call("1")).await.expect("answered");
    cluster.up(0).await;
    for id in 0..3 {
        cluster.stop(id).await;
    }
    for name in ["replica-0-life-1", "replica-0-life-2", "replica-1-life-1", "replica-2-life-1"] {
        let bytes = std::fs::read(dir.path().join(name).with_extension("vrrec")).expect(name);
        let recording = recording::read(&bytes.into()).expect("whole frames");
        assert_eq!((recording.lives.len(), recording.torn_bytes), (1, 0), "{name}");
        assert!(!recording.lives[0].events.is_empty(), "{name}");
    }
}
