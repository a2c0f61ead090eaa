//! Three replicas with a lease, as processes: the primary answers reads by its clock, and nothing old when it slept through the
//! beginning of a view.
//!
//! Owns who sleeps when. Nothing here is about time: how long anything takes decides at most whether a lease was there to be
//! tempted. VRR §6.3; PROTOCOL 1.8, D85.

mod support;

use support::cluster::{Cluster, Plan, curl};
use support::eventually;

/// Patience of eight heartbeats at least, and a lease as long as that.
const PLAN: Plan = Plan {
    replicas: 3,
    durability: "sync",
    timeout_ms: 20_000,
    heartbeat_ms: 50,
    is_recorded: false,
    cluster: "",
    more: "[lease]\nlength_ms = 400",
};

/// What a node counted so far.
fn counted(cluster: &Cluster, id: u16, name: &str) -> u64 {
    let metrics = curl(cluster.address(id), "GET", "/metrics", b"").body;
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{name} is counted"))
}

#[test]
fn a_primary_answers_reads_under_its_lease_and_nothing_old_after_it_slept() {
    let cluster = Cluster::started(PLAN);
    let mut client = cluster.client();
    for round in 0..4 {
        let (old, new) = (format!("old {round}"), format!("new {round}"));
        client.put("key", &old);
        let primary = cluster.await_primary();
        eventually("a read under a lease", || {
            let before = counted(&cluster, primary, "vr_lease_reads_total");
            let read = curl(cluster.address(primary), "GET", "/object/key", b"");
            (read.status == 200 && counted(&cluster, primary, "vr_lease_reads_total") > before).then_some(())
        });
        cluster.freeze(primary);
        // Answered by the others, in a later view.
        client.put("key", &new);
        cluster.thaw(primary);
        let read = curl(cluster.address(primary), "GET", "/object/key", b"");
        assert!(
            read.status != 200 || read.json()["value"] == new[..],
            "replica {primary} answers what is old: {} {}",
            read.status,
            read.body
        );
    }
}
