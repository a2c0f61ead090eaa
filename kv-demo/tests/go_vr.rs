//! What Go-VR could not do, and what a user must be able to rely on: load, crashes and lost disks.
//!
//! Measured of Go-VR: with four concurrent clients it hangs for good; after losing its primary under load it never
//! recovers. Neither may happen here. Nothing that was acknowledged may be lost, and a replica without its disk may not
//! pretend to be the one it was.

mod support;

use support::cluster::{Client, Cluster, Plan, curl, remove};
use support::{eventually, kv_demo};

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

/// Clients that write as fast as they can, each its own keys, until they are told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    written: Vec<Arc<AtomicU64>>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(cluster: &Cluster, clients: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let written: Vec<_> = (0..clients).map(|_| Arc::new(AtomicU64::new(0))).collect();
        let threads = written.iter().enumerate().map(|(name, written)| {
            let (client, written, stop) = (cluster.client(), Arc::clone(written), Arc::clone(&stop));
            thread::spawn(move || write(client, name, &written, &stop))
        });
        let threads = threads.collect();
        Self { stop, written, threads }
    }

    fn counts(&self) -> Vec<u64> {
        self.written.iter().map(|written| written.load(Ordering::Relaxed)).collect()
    }

    /// Waits until every client has written so many more.
    fn await_progress(&self, more: u64) {
        let before = self.counts();
        eventually("that every client goes on", || {
            let mut pairs = self.counts().into_iter().zip(&before);
            pairs.all(|(now, before)| now >= before + more).then_some(())
        });
    }

    /// Stops; how many each has written.
    fn end(self) -> Vec<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let Self { written, threads, .. } = self;
        threads.into_iter().for_each(|thread| thread.join().expect("no client failed"));
        written.iter().map(|written| written.load(Ordering::Relaxed)).collect()
    }
}

fn write(mut client: Client, name: usize, written: &AtomicU64, stop: &AtomicBool) {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        client.put(&format!("load/{name}"), &number.to_string());
        written.store(number, Ordering::Relaxed);
    }
}

/// Every client finds the last value that it was told is written.
fn assert_nothing_is_lost(cluster: &Cluster, written: &[u64]) {
    let mut client = cluster.client();
    for (name, number) in written.iter().enumerate() {
        assert_eq!(client.get(&format!("load/{name}")), Some(number.to_string()), "client {name}");
    }
}

#[test]
fn four_concurrent_clients_all_make_progress() {
    let cluster = Cluster::started(Plan::default());
    let load = Load::start(&cluster, 4);
    load.await_progress(50);
    load.await_progress(50);
    let written = load.end();
    assert_nothing_is_lost(&cluster, &written);
    cluster.await_agreement(&[0, 1, 2, 3, 4]);
}

#[test]
fn losing_the_primary_under_load_is_survived_again_and_again() {
    let mut cluster = Cluster::started(Plan::default());
    let load = Load::start(&cluster, 4);
    load.await_progress(20);
    for _ in 0..3 {
        let primary = cluster.await_primary();
        cluster.kill(primary);
        load.await_progress(20);
        cluster.start(primary);
    }
    let written = load.end();
    assert_nothing_is_lost(&cluster, &written);
    cluster.await_agreement(&[0, 1, 2, 3, 4]);
}

#[test]
fn a_primary_that_hangs_under_load_is_replaced_and_rejoins() {
    let cluster = Cluster::started(Plan::default());
    let load = Load::start(&cluster, 4);
    load.await_progress(10);
    let primary = cluster.await_primary();
    cluster.freeze(primary);
    cluster.await_primary_other_than(&[primary]);
    load.await_progress(10);
    cluster.thaw(primary);
    let written = load.end();
    assert_nothing_is_lost(&cluster, &written);
    cluster.await_agreement(&[0, 1, 2, 3, 4]);
}

#[test]
fn all_replicas_killed_under_load_lose_nothing_that_was_acknowledged() {
    let mut cluster = Cluster::started(Plan::default());
    let load = Load::start(&cluster, 4);
    load.await_progress(30);
    cluster.ids().for_each(|id| cluster.kill(id));
    let at_the_crash = load.counts();
    cluster.start_all();
    load.await_progress(5);
    let written = load.end();
    assert!(written.iter().zip(&at_the_crash).all(|(now, then)| now > then));
    assert_nothing_is_lost(&cluster, &written);
    cluster.await_agreement(&[0, 1, 2, 3, 4]);
}

#[test]
fn a_replica_that_lost_its_disk_does_not_start_and_is_told_what_to_do() {
    let mut cluster = Cluster::started(Plan { replicas: 3, ..Plan::default() });
    cluster.client().put("key", "1");
    let primary = cluster.await_primary();
    cluster.kill(primary);
    remove(&cluster.dir_of(primary));
    cluster.start(primary);
    assert_eq!(cluster.await_end(primary).code(), Some(1));
    let log = cluster.log_text(primary);
    let line = log.lines().last().unwrap_or_default();
    assert!(line.contains("an empty one must not take its place"), "{line}");
    assert_eq!(cluster.client().get("key").as_deref(), Some("1"), "the others go on");
}

#[test]
fn an_orderly_stop_ends_with_0_and_the_data_is_found_again() {
    for durability in ["sync", "async"] {
        let mut cluster = Cluster::started(Plan { replicas: 3, durability, ..Plan::default() });
        cluster.client().put("key", "kept");
        cluster.await_agreement(&[0, 1, 2]);
        for id in cluster.ids() {
            assert!(cluster.terminate(id).success(), "{durability}: {}", cluster.log_text(id));
        }
        cluster.start_all();
        assert_eq!(cluster.client().get("key").as_deref(), Some("kept"), "{durability}");
    }
}

#[test]
fn a_cluster_in_memory_that_crashed_as_a_whole_waits_and_a_new_one_is_founded_from_its_log() {
    let mut cluster = Cluster::started(Plan { replicas: 3, durability: "async", ..Plan::default() });
    cluster.client().put("key", "kept");
    cluster.await_agreement(&[0, 1, 2]);
    cluster.ids().for_each(|id| cluster.kill(id));
    cluster.start_all();
    let waits = |id| cluster.status(id).is_some_and(|status| status["status"] == "Recovering");
    eventually("all of them to wait for a memory", || cluster.ids().all(waits).then_some(()));
    cluster.ids().for_each(|id| cluster.kill(id));

    let old = cluster.config().with_file_name("old.toml");
    fs::rename(cluster.config(), &old).expect("renamed");
    let text = fs::read_to_string(&old).expect("read");
    let text = text.replace("id = \"0", "id = \"1").replace("dir = \"replica", "dir = \"founded");
    fs::write(cluster.config(), text).expect("written");
    let mut found = kv_demo();
    found.args(["found", "--id", "1", "--from"]).arg(&old).arg("--config").arg(cluster.config());
    let refused = found.output().expect("it runs");
    assert_eq!(refused.status.code(), Some(2), "it says first what may be lost");
    let done = found.arg("--accept-loss").output().expect("it runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(String::from_utf8_lossy(&done.stdout).contains("from the log of replica 1"));
    cluster.start_all();
    assert_eq!(cluster.client().get("key").as_deref(), Some("kept"));
}

#[test]
fn a_lone_replica_is_a_cluster_too() {
    let mut cluster = Cluster::started(Plan { replicas: 1, ..Plan::default() });
    cluster.client().put("key", "1");
    cluster.kill(0);
    cluster.start(0);
    assert_eq!(cluster.client().get("key").as_deref(), Some("1"));
}

#[test]
fn a_cluster_without_a_primary_says_so_and_when_to_come_back() {
    let mut cluster = Cluster::started(Plan { replicas: 3, ..Plan::default() });
    cluster.await_agreement(&[0, 1, 2]); // all of them listen
    let primary = cluster.await_primary();
    let others: Vec<_> = cluster.ids().filter(|id| *id != primary).collect();
    // The backup first: nobody is to become primary in between.
    cluster.kill(others[0]);
    cluster.kill(primary);
    let answer = eventually("that it notices", || {
        let answer = curl(cluster.address(others[1]), "GET", "/object/key", b"");
        (answer.status == 503 && answer.code() == "no_primary").then_some(answer)
    });
    assert!(answer.header("retry-after").is_some());
}
