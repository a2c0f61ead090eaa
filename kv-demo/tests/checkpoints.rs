//! A cluster of processes whose state goes by checkpoints: what is kept is bounded, who slept too long fetches what it lacks
//! and no more, and who lost its disk is somebody else.
//!
//! Owns the load and what is lost. Nothing here is about time. VRR §5.1, §5.2, §7; PROTOCOL 1.6, 1.7, D60, D66.

mod support;

use support::cluster::{Client, Cluster, Plan, curl, remove};
use support::{eventually, run};

use serde_json::Value;
use std::fs;

/// Parts of 67,584 bytes, and patience that no busy machine exhausts.
const PLAN: Plan = Plan {
    replicas: 3,
    durability: "sync",
    timeout_ms: 20_000,
    heartbeat_ms: 500,
    is_recorded: false,
    cluster: "checkpoint_interval = 100\nmax_request_bytes = 65536\nmax_message_bytes = 69632",
    more: "[disk]\nsegment_bytes = 1048576\n",
};
const PART_BYTES: u64 = 69_632 - 2_048;
const VALUES: usize = 30;

/// How often something happened to a replica in this life.
fn count(cluster: &Cluster, id: u16, kind: &str) -> u64 {
    let name = format!("vr_events_total{{kind=\"{kind}\"}} ");
    let metrics = curl(cluster.address(id), "GET", "/metrics", b"").body;
    let found = metrics.lines().find_map(|line| line.strip_prefix(&name)?.trim().parse().ok());
    found.unwrap_or(0)
}

/// Writes long values, each under one of a few keys, so often.
fn write(client: &mut Client, times: usize) {
    for time in 0..times {
        client.put(&format!("key-{}", time % VALUES), &time.to_string().repeat(30_000 / time.to_string().len()));
    }
}

/// The names of the files of a replica that begin so, and how long each is.
fn files(cluster: &Cluster, id: u16, start: &str) -> Vec<(String, u64)> {
    let all = fs::read_dir(cluster.dir_of(id)).expect("its directory").flatten();
    let named = all.filter_map(|file| Some((file.file_name().into_string().ok()?, file.metadata().ok()?.len())));
    named.filter(|(name, _)| name.starts_with(start)).collect()
}

/// How long its checkpoint's file is. Who takes part has it in memory, and on the disk a moment later.
fn checkpoint_bytes(cluster: &Cluster, id: u16) -> u64 {
    let longest = || files(cluster, id, "checkpoint-").iter().map(|(_, bytes)| *bytes).max();
    eventually("a checkpoint's file", longest)
}

fn is_normal(status: &Value) -> bool {
    status["status"] == "Primary" || status["status"] == "Backup"
}

#[test]
fn who_slept_beyond_the_log_fetches_one_checkpoint_and_who_slept_within_it_none() {
    let mut cluster = Cluster::started(PLAN);
    let primary = cluster.await_primary();
    let sleeper = (primary + 1) % 3;
    let mut client = cluster.client();
    client.put("first", "1");
    cluster.kill(sleeper);
    write(&mut client, 450);
    eventually("the log is cut", || (count(&cluster, primary, "log_cut") >= 2).then_some(()));
    // Five times the state was written; what is kept is the state, and two to three intervals of log.
    let segments = files(&cluster, primary, "log-").len();
    assert!(segments <= 13, "{segments} of a MiB: of 13 MiB of entries 9 are kept at most, and 4 are ahead or begun");
    let parts = checkpoint_bytes(&cluster, primary).div_ceil(PART_BYTES);
    assert!(parts > 10, "{parts}: it does not fit a few messages");
    cluster.start(sleeper);
    let shown = cluster.await_agreement(&[0, 1, 2]);
    assert_eq!(count(&cluster, sleeper, "checkpoint_installed"), 1);
    let asked = count(&cluster, sleeper, "asked_for_checkpoint");
    assert!((parts..parts + parts / 2).contains(&asked), "{asked} questions for {parts} parts");
    assert!(shown.to_string().contains("key-29"));
    // Within the log no checkpoint is asked for.
    cluster.kill(sleeper);
    write(&mut client, 20);
    cluster.start(sleeper);
    cluster.await_agreement(&[0, 1, 2]);
    let both = ["asked_for_checkpoint", "checkpoint_installed"].map(|kind| count(&cluster, sleeper, kind));
    assert_eq!(both, [0, 0], "of a new life");
}

#[test]
fn a_lost_disk_is_refused_under_its_old_id_and_a_new_replica_in_its_place_fetches_the_state() {
    let mut cluster = Cluster::started(PLAN);
    let primary = cluster.await_primary();
    let (lost, other) = ((primary + 1) % 3, (primary + 2) % 3);
    let mut client = cluster.client();
    write(&mut client, 120);
    cluster.await_agreement(&[0, 1, 2]);
    cluster.kill(lost);
    remove(&cluster.dir_of(lost));
    cluster.format(lost);
    cluster.start(lost);
    // Nobody heeds it: it gets nothing, and counts for nothing.
    let primary = cluster.await_primary();
    eventually("it is refused", || cluster.log_text(primary).contains("under an id of another disk").then_some(()));
    client.put("later", "1");
    let status = eventually("it says where it is", || cluster.status(lost));
    assert_eq!((status["commit"].as_u64(), count(&cluster, lost, "checkpoint_installed")), (Some(0), 0), "{status}");
    cluster.kill(lost);
    let new = cluster.newcomer();
    cluster.start(new);
    eventually("the newcomer to answer", || cluster.status(new));
    assert_eq!(count(&cluster, new, "asked_for_checkpoint"), 0, "nobody told it of a group with it");
    let endpoints = [primary, other].map(|id| format!("http://{}", cluster.address(id))).join(",");
    let (old, at) = (lost.to_string(), format!("{new}={}", cluster.address(new)));
    let ran = run(&["member", "replace", &old, &at, "--endpoints", &endpoints, "--timeout", "60"]);
    assert_eq!(ran.code, Some(0), "{} {}", ran.out, ran.err);
    eventually("it takes part", || cluster.status(new).filter(|status| is_normal(status) && status["epoch"] == 1));
    let parts = checkpoint_bytes(&cluster, new).div_ceil(PART_BYTES);
    let asked = count(&cluster, new, "asked_for_checkpoint");
    assert!((parts..parts + parts / 2 + 2).contains(&asked), "{asked} questions for {parts} parts");
    client.put("last", "1");
    cluster.await_agreement(&[primary, other, new]);
}

#[test]
fn rot_in_a_checkpoint_is_found_at_the_start_and_the_others_give_it_again() {
    let mut cluster = Cluster::started(PLAN);
    let primary = cluster.await_primary();
    let rotten = (primary + 1) % 3;
    let mut client = cluster.client();
    write(&mut client, 230);
    cluster.await_agreement(&[0, 1, 2]);
    eventually("its checkpoint is durable", || (count(&cluster, rotten, "checkpoint_durable") >= 2).then_some(()));
    cluster.kill(rotten);
    for (name, bytes) in files(&cluster, rotten, "checkpoint-") {
        let path = cluster.dir_of(rotten).join(name);
        let mut content = fs::read(&path).expect("it is there");
        let middle = usize::try_from(bytes / 2).expect("short");
        content[middle] ^= 1;
        fs::write(&path, content).expect("it rots");
    }
    cluster.start(rotten);
    let shown = cluster.await_agreement(&[0, 1, 2]);
    assert!(cluster.log_text(rotten).contains("does not check"), "{}", cluster.log_text(rotten));
    assert!(shown.to_string().contains("key-29"));
}
