//! Maintenance without an outage: five loaded nodes are restarted one after the other, and nobody waits for a timeout.
//!
//! Owns the load and the order of restarts. What a node does when it is told to stop is vr-tokio's.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use support::cluster::{Cluster, Plan, curl};
use support::eventually;

/// Slow enough that no machine, however busy, makes a replica lose patience: that takes eight heartbeats.
const PLAN: Plan = Plan {
    replicas: 5,
    durability: "sync",
    timeout_ms: 20_000,
    heartbeat_ms: 500,
    is_recorded: false,
    cluster: "",
    more: "",
};

fn waited_in_vain(cluster: &Cluster, id: u16) -> bool {
    let metrics = curl(cluster.address(id), "GET", "/metrics", b"");
    assert_eq!(metrics.status, 200);
    metrics.body.contains("vr_events_total{kind=\"wants_view_change\"}")
}

fn is_ready(cluster: &Cluster, id: u16) -> bool {
    cluster.status(id).is_some() && curl(cluster.address(id), "GET", "/readyz", b"").status == 200
}

/// Ends the load however the test ends.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_rolling_restart_of_five_loaded_nodes_fails_no_request_and_makes_nobody_wait_for_a_timeout() {
    let mut cluster = Cluster::started(PLAN);
    eventually("all to be ready", || cluster.ids().all(|id| is_ready(&cluster, id)).then_some(()));
    let is_over = AtomicBool::new(false);
    let clients: Vec<_> = (0..4).map(|_| cluster.client()).collect();
    let (written, led) = thread::scope(|scope| {
        let load = clients.into_iter().enumerate().map(|(name, mut client)| {
            let is_over = &is_over;
            scope.spawn(move || {
                let mut count = 0;
                while !is_over.load(Ordering::Relaxed) {
                    client.put(&format!("{name}/{count}"), "kept");
                    count += 1;
                }
                (client, name, count)
            })
        });
        let load: Vec<_> = load.collect();
        let ends = Ends(&is_over);
        let mut led = 0;
        // Each that leads is restarted while it leads: the first, and those that it was handed to.
        for id in cluster.ids() {
            led += u32::from(cluster.await_primary() == id);
            assert!(!waited_in_vain(&cluster, id), "replica {id}");
            assert!(cluster.terminate(id).success(), "{}", cluster.log_text(id));
            // Down for as long as it takes the others to go on: whoever came back at once might be waited for.
            cluster.await_primary_other_than(&[id]);
            cluster.start(id);
            eventually("it to be back", || is_ready(&cluster, id).then_some(()));
        }
        drop(ends);
        let written: Vec<_> = load.into_iter().map(|client| client.join().expect("no request failed")).collect();
        (written, led)
    });
    assert!(led > 0, "none of them led when it was restarted");
    assert!(cluster.ids().all(|id| !waited_in_vain(&cluster, id)));
    for (mut client, name, count) in written {
        assert!(count > 10, "client {name} wrote {count} values only");
        assert_eq!(client.get(&format!("{name}/{}", count - 1)).as_deref(), Some("kept"));
    }
}
