//! Reads that the node asked answers, whether it leads or not: over HTTP, and from a shell.
//!
//! Owns what such a read must find. Must not know how the node comes to its answer.

mod support;

use support::cluster::{Cluster, Plan, curl};
use support::{eventually, run};

#[test]
fn every_node_answers_a_read_that_asks_for_it_with_what_was_written_before() {
    let cluster = Cluster::started(Plan { replicas: 3, ..Plan::default() });
    let mut client = cluster.client();
    for count in 0..10 {
        client.put("key", &count.to_string());
        for id in cluster.ids() {
            for path in ["/object/key?consistency=here", "/object?consistency=here&prefix=ke"] {
                // A view may end meanwhile on a slow machine: it sends us on then.
                let read = eventually("the node to answer", || {
                    Some(curl(cluster.address(id), "GET", path, b"")).filter(|read| read.status == 200)
                });
                let said = read.json();
                let value = said.get("value").or_else(|| said["objects"][0].get("value"));
                assert_eq!(value.and_then(|value| value.as_str()), Some(&count.to_string()[..]), "at replica {id}");
            }
        }
    }
    for id in cluster.ids() {
        let from = cluster.address(id).to_string();
        let read = run(&["get", "key", "--from", &from, "--endpoints", &cluster.endpoints()]);
        assert_eq!((read.code, &read.out[..]), (Some(0), "9\n"), "{}", read.err);
        assert_eq!(run(&["get", "none", "--from", &from, "--endpoints", &cluster.endpoints()]).code, Some(3));
    }
    assert_eq!(run(&["get", "key", "--from", "nowhere", "--endpoints", &cluster.endpoints()]).code, Some(2));
}

#[test]
fn a_node_that_has_lost_its_group_sends_a_reader_away_instead_of_letting_it_wait() {
    let mut cluster = Cluster::started(Plan { replicas: 3, ..Plan::default() });
    cluster.client().put("key", "1");
    let primary = cluster.await_primary();
    let left = cluster.ids().find(|id| *id != primary).expect("three");
    let others: Vec<_> = cluster.ids().filter(|id| *id != left).collect();
    others.iter().for_each(|id| cluster.kill(*id));
    let read = curl(cluster.address(left), "GET", "/object/key?consistency=here", b"");
    assert!([307, 503].contains(&read.status), "{} {}", read.status, read.body);
}
