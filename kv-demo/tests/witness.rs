//! Two full replicas and a witness, as processes: either full one is killed, and puts go on.
//!
//! Owns who is killed when. Nothing here is about time. VRR §6.1; PROTOCOL 1.10, D103.

mod support;

use support::cluster::{Cluster, Plan, curl};
use support::eventually;

/// Logs are cut now and then, and patience that no busy machine exhausts.
const PLAN: Plan = Plan {
    replicas: 3,
    durability: "sync",
    timeout_ms: 20_000,
    heartbeat_ms: 200,
    is_recorded: false,
    cluster: "witnesses = [2]\ncheckpoint_interval = 20",
    more: "",
};

#[test]
fn either_full_replica_may_be_lost_beside_a_witness() {
    let mut cluster = Cluster::started(PLAN);
    let mut client = cluster.client();
    let witness = cluster.status(2).expect("it answers");
    assert_eq!((&witness["witness"], &witness["executed"]), (&true.into(), &0.into()));
    assert!(cluster.await_primary() != 2, "a witness never leads");
    for (round, lost) in [1, 0, 1].into_iter().enumerate() {
        cluster.kill(lost);
        for time in 0..50 {
            client.put(&format!("key-{}", time % 7), &format!("{round}-{time}"));
        }
        assert_eq!(cluster.await_primary(), 1 - lost, "there is nobody else");
        cluster.start(lost);
        cluster.await_agreement(&[0, 1]);
    }
    cluster.kill(2);
    client.put("last", "without the witness");
    cluster.start(2);
    eventually("the witness knows what is committed", || {
        let (full, witness) = (cluster.status(0)?, cluster.status(2)?);
        (full["commit"] == witness["commit"] && witness["op"] == full["op"]).then_some(())
    });
    let refused = curl(cluster.address(2), "PUT", "/object/x", b"{\"value\": \"y\"}");
    assert_eq!(refused.status, 307, "a witness sends clients to the primary");
    let stale = curl(cluster.address(2), "GET", "/object/last?consistency=stale", b"");
    assert_eq!(stale.status, 307, "it has no state of its own to look at");
}
