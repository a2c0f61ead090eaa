//! Another version of `kv-demo` and this one in one cluster: up and back, node by node, under load.
//!
//! Owns the order of restarts and what must be there at the end. Which version the other one is, `.ci/upgrade` knows, which
//! builds it and runs this.

mod support;

use std::env;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use support::cluster::{Client, Cluster, Plan};
use support::{THIS_VERSION, eventually, run};

/// Often enough that whoever is away misses more than the log goes back.
const CHECKPOINT_INTERVAL: u64 = 50;

/// A client that writes until it is over and looks now and then whether what it wrote is there; how often it wrote.
fn load(mut client: Client, name: usize, is_over: &AtomicBool) -> u64 {
    let key = format!("writer-{name}");
    let mut count: u64 = 0;
    while !is_over.load(Ordering::Relaxed) {
        count += 1;
        client.put(&key, &count.to_string());
        if count.is_multiple_of(5) {
            assert_eq!(client.get(&key), Some(count.to_string()), "what was acknowledged is read");
        }
    }
    count
}

/// Ends the load however the test ends.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn checkpoint_of(cluster: &Cluster, id: u16) -> Option<u64> {
    Some(cluster.status(id)?["commit"].as_u64()? / CHECKPOINT_INTERVAL)
}

/// Each node is stopped, the second one by `kill -9`, and started with the other program. The last one is away until the
/// others' logs begin behind its own.
fn roll_to(cluster: &mut Cluster, program: &Path) {
    cluster.use_program(program);
    let last = cluster.ids().end - 1;
    for id in cluster.ids() {
        if id == 1 {
            cluster.kill(id);
        } else {
            assert!(cluster.terminate(id).success(), "{}", cluster.log_text(id));
        }
        let leader = cluster.await_primary_other_than(&[id]);
        if id == last {
            let began = eventually("its primary to answer", || checkpoint_of(cluster, leader));
            eventually("five more checkpoints", || checkpoint_of(cluster, leader).filter(|now| *now > began + 5));
        }
        cluster.start(id);
        eventually("it to have caught up", || {
            let status = cluster.status(id)?;
            let is_normal = status["status"] == "Primary" || status["status"] == "Backup";
            let first = cluster.await_primary();
            let far = cluster.status(first)?["commit"].as_u64()?;
            (is_normal && status["executed"].as_u64()? + 2 * CHECKPOINT_INTERVAL > far).then_some(())
        });
        // Whoever is asked answers or sends its client on in time, also a backup whose primary knows no such question.
        for id in cluster.ids() {
            let (from, all) = (cluster.address(id).to_string(), cluster.endpoints());
            let read = run(&["get", "writer-0", "--from", &from, "--endpoints", &all]);
            assert_eq!(read.code, Some(0), "{}", read.err);
        }
    }
}

#[test]
#[ignore = "needs the kv-demo of a release: .ci/upgrade builds it and runs this"]
fn a_loaded_cluster_goes_to_this_version_and_back_node_by_node_and_loses_nothing() {
    let other = PathBuf::from(env::var_os("KV_DEMO_OTHER").expect("KV_DEMO_OTHER says where the other version is"));
    let this = Path::new(THIS_VERSION);
    let plan = Plan {
        replicas: 3,
        heartbeat_ms: 100,
        timeout_ms: 20_000,
        cluster: "checkpoint_interval = 50",
        ..Plan::default()
    };
    let mut cluster = Cluster::formatted_by(&other, plan);
    cluster.start_all();
    cluster.await_primary();
    let is_over = AtomicBool::new(false);
    let clients: Vec<_> = (0..4).map(|_| cluster.client()).collect();
    let counts = thread::scope(|scope| {
        let load: Vec<_> = clients
            .into_iter()
            .enumerate()
            .map(|(name, client)| {
                let is_over = &is_over;
                scope.spawn(move || load(client, name, is_over))
            })
            .collect();
        let ends = Ends(&is_over);
        for program in [this, &other, this] {
            roll_to(&mut cluster, program);
        }
        drop(ends);
        load.into_iter().map(|client| client.join().expect("no request failed")).collect::<Vec<_>>()
    });
    let mut late = cluster.client();
    for (name, count) in counts.iter().enumerate() {
        assert!(*count > 100, "{counts:?}");
        assert_eq!(late.get(&format!("writer-{name}")), Some(count.to_string()), "what was acknowledged is there");
    }
    cluster.await_agreement(&[0, 1, 2]);
    for id in cluster.ids() {
        assert!(cluster.terminate(id).success(), "{}", cluster.log_text(id));
        let log = run(&["log", &cluster.dir_of(id).display().to_string()]);
        assert_eq!(log.code, Some(0), "this version reads what both wrote: {} {}", log.out, log.err);
    }
}
