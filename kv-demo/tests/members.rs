//! A cluster of processes whose members change while it is written to: grown, replaced, shrunk, killed in between; and the
//! command line that does it.
//!
//! What is acknowledged is there at the end, no request fails, and who knew only the first members goes on. VRR §7.

mod support;

use support::cluster::{Client, Cluster, Plan};
use support::{eventually, run};

use serde_json::Value;
use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use vr_sim::flight;
use vr_tokio::vr_core::recording;

/// A client that writes the numbers from 1 on under its own key, and gives the last one that was acknowledged.
fn writer(mut client: Client, name: usize, stop: &Arc<AtomicBool>) -> JoinHandle<u64> {
    let stop = Arc::clone(stop);
    thread::spawn(move || {
        let mut count = 0;
        while !stop.load(Ordering::Relaxed) {
            count += 1;
            client.put(&format!("writer-{name}"), &count.to_string());
        }
        count
    })
}

/// `kv-demo member …` at the first members; what it prints, as JSON.
fn member(cluster: &Cluster, args: &[&str]) -> Value {
    let first: Vec<_> = (0..3).map(|id| format!("http://{}", cluster.address(id))).collect();
    let ran = run(&[&["member"], args, &["--json", "--endpoints", &first.join(",")]].concat());
    assert_eq!(ran.code, Some(0), "{args:?}: {} {}", ran.out, ran.err);
    serde_json::from_str(&ran.out).expect("JSON")
}

fn ids(said: &Value) -> Vec<u64> {
    said["members"].as_array().expect("a list").iter().filter_map(|member| member["id"].as_u64()).collect()
}

fn address(cluster: &Cluster, id: u16) -> String {
    cluster.address(id).to_string()
}

/// Waits until a replica is a working member of that epoch.
fn await_member(cluster: &Cluster, id: u16, epoch: u64) {
    eventually("a member of that epoch", || {
        let status = cluster.status(id)?;
        let is_normal = status["status"] == "Primary" || status["status"] == "Backup";
        (is_normal && status["epoch"] == epoch && status["executed"] == status["commit"]).then_some(())
    });
}

#[test]
fn a_cluster_grows_replaces_and_shrinks_under_load_and_loses_nothing() {
    let mut cluster = Cluster::started(Plan {
        replicas: 3,
        cluster: "checkpoint_interval = 100",
        is_recorded: true,
        ..Plan::default()
    });
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..3).map(|name| writer(cluster.client(), name, &stop)).collect();
    // 3 → 5.
    for id in [3, 4] {
        assert_eq!(cluster.newcomer(), id);
        cluster.start(id);
        eventually("the newcomer to answer", || cluster.status(id));
        let said = member(&cluster, &["add", &address(&cluster, id)]);
        assert_eq!(said["added"], id);
    }
    let said = member(&cluster, &["list"]);
    assert_eq!((ids(&said), &said["epoch"], &said["next_id"]), (vec![0, 1, 2, 3, 4], &2.into(), &5.into()));
    // A member is killed, and starts again in the epoch that it is in by then.
    cluster.kill(3);
    cluster.start(3);
    await_member(&cluster, 3, 2);
    // One comes in the place of the first primary; killed before it is there, it gets there when it is back.
    assert_eq!(cluster.newcomer(), 5);
    cluster.start(5);
    eventually("the newcomer to answer", || cluster.status(5));
    let new = format!("5={}", address(&cluster, 5));
    let change = {
        let first: Vec<_> = (0..3).map(|id| format!("http://{}", cluster.address(id))).collect();
        thread::spawn(move || run(&["member", "replace", "0", &new, "--endpoints", &first.join(",")]))
    };
    eventually("the next epoch", || cluster.status(1).filter(|status| status["epoch"] == 3));
    cluster.kill(5);
    cluster.start(5);
    let ran = change.join().expect("it ends");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("5, 1, 2, 3, 4") && ran.out.contains("replica 0 is not needed any more"), "{}", ran.out);
    await_member(&cluster, 5, 3);
    // 5 → 3: none of the first members is left, and they are stopped.
    for id in ["1", "2"] {
        member(&cluster, &["remove", id]);
    }
    let said = member(&cluster, &["list"]);
    assert_eq!((ids(&said), &said["quorum"], &said["is_settled"]), (vec![5, 3, 4], &2.into(), &true.into()));
    for id in 0..3 {
        eventually("it is retired", || cluster.status(id).filter(|status| status["status"] == "Retired"));
        cluster.terminate(id);
    }
    let log = run(&["log", &cluster.dir_of(4).display().to_string()]);
    assert!(log.out.contains("view e5·v"), "the epoch is on the disk: {}", log.out);
    let mut late = Client::new(vec![cluster.address(4)]);
    late.put("late", "1");
    stop.store(true, Ordering::Relaxed);
    let counts: Vec<_> = writers.into_iter().map(|writer| writer.join().expect("no request failed")).collect();
    assert!(counts.iter().all(|count| *count > 10), "{counts:?}");
    for (name, count) in counts.iter().enumerate() {
        assert_eq!(late.get(&format!("writer-{name}")), Some(count.to_string()), "what was acknowledged is there");
    }
    cluster.await_agreement(&[3, 4, 5]);
    judge(&mut cluster);
}

/// What the replicas recorded, those that were added and those that left, holds before all checkers of the simulator.
fn judge(cluster: &mut Cluster) {
    [3, 4, 5].into_iter().for_each(|id| assert!(cluster.terminate(id).success(), "{}", cluster.log_text(id)));
    let files = fs::read_dir(cluster.config().with_file_name("flight")).expect("the recordings are there");
    let read = |file: io::Result<fs::DirEntry>| {
        let bytes = fs::read(file.expect("a file").path()).expect("read");
        recording::read(&bytes.into()).expect("whole frames, but for the last")
    };
    let report = flight::judge_all(&files.map(read).collect::<Vec<_>>(), None).expect("everything holds");
    assert_eq!((report.lives, &report.partial), (8, &None), "six replicas, two of which were started again");
}

#[test]
fn what_cannot_be_done_is_refused_in_one_line_and_changes_nothing() {
    let mut cluster = Cluster::started(Plan { replicas: 3, ..Plan::default() });
    let endpoints = cluster.endpoints();
    assert_eq!((cluster.newcomer(), cluster.newcomer()), (3, 4));
    cluster.start(3);
    eventually("the newcomer to answer", || cluster.status(3));
    let (new, member_1, nobody) = (address(&cluster, 3), address(&cluster, 1), address(&cluster, 4));
    let refused = |args: &[&str], code: i32, word: &str| {
        let ran = run(&[&["member"], args, &["--timeout", "5", "--endpoints", &endpoints]].concat());
        assert_eq!(ran.code, Some(code), "{args:?}: {} {}", ran.out, ran.err);
        assert!(ran.err.contains(word) && ran.err.lines().count() == 1, "{args:?}: {}", ran.err);
    };
    refused(&["add", &member_1], 2, "replica 1 is a member already");
    refused(&["add", &format!("4={new}")], 2, "replica 3 is at");
    refused(&["add", &nobody], 1, "start it first");
    refused(&["remove", "7"], 2, "replica 7 is no member: the members are 0, 1, 2");
    refused(&["replace", "7", &new], 2, "replica 7 is no member");
    cluster.kill(2);
    // Of 0, 2 and 3, the only ones left, one does not answer; of 0 and 2 it is one too many.
    let ran = run(&["member", "remove", "1", "--endpoints", &endpoints]);
    assert_eq!(ran.code, Some(1), "{} {}", ran.out, ran.err);
    assert!(
        ran.err.contains("of 2 members 2 must take part and hear their primary, and replicas 2 do not"),
        "{}",
        ran.err
    );
    cluster.start(2);
    cluster.await_primary();
    let ran = run(&["member", "list", "--endpoints", &endpoints]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("epoch 0, a majority is 2, the next free id is 3"), "{}", ran.out);
    let ran = run(&["member", "replace", "2", &new, "--endpoints", &endpoints]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    // Its id is gone for good, whatever disk it comes back on.
    let ran = run(&["member", "add", &address(&cluster, 2), "--endpoints", &endpoints]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("id 2 was used before") && ran.err.contains("with id 4"), "{}", ran.err);
    let ran = run(&["member", "list", "--endpoints", "127.0.0.1:1"]);
    assert_eq!((ran.code, ran.err.contains("none of the nodes answers")), (Some(1), true), "{}", ran.err);
}
