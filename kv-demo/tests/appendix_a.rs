//! Appendix A of the Go-VR report, 1 to 11, against five real processes.
//!
//! Each test is named by its number there. Processes are killed with `kill -9`, stopped with `SIGSTOP`, started again
//! from their own disks; nothing is mocked. The simulator runs the same list as scenarios (`vr-sim scenarios`).

mod support;

use support::cluster::{Cluster, Plan, curl};
use support::http::{ask_within, value};
use support::{eventually, run};

use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

fn keys_of(objects: &Value) -> Vec<String> {
    let all = objects["objects"].as_array().expect("a list");
    all.iter().map(|object| object["key"].as_str().expect("a key").to_owned()).collect()
}

#[test]
fn a01_puts_are_committed_and_externalized_while_there_is_a_quorum() {
    let mut cluster = Cluster::started(Plan::default());
    let mut client = cluster.client();
    client.put("all/five", "1");
    cluster.await_agreement(&[0, 1, 2, 3, 4]);
    let primary = cluster.await_primary();
    let backups: Vec<_> = cluster.ids().filter(|id| *id != primary).collect();
    cluster.kill(backups[0]);
    cluster.kill(backups[1]);
    client.put("only/three", "2");
    assert_eq!(client.get("only/three").as_deref(), Some("2"));
    let objects = cluster.await_agreement(&[primary, backups[2], backups[3]]);
    assert_eq!(keys_of(&objects), ["all/five", "only/three"]);
}

#[test]
fn a02_nothing_is_committed_or_externalized_without_a_quorum() {
    let mut cluster = Cluster::started(Plan { timeout_ms: 1500, ..Plan::default() });
    cluster.client().put("before", "1");
    let primary = cluster.await_primary();
    let backups: Vec<_> = cluster.ids().filter(|id| *id != primary).collect();
    cluster.await_agreement(&[0, 1, 2, 3, 4]);
    backups[..3].iter().for_each(|id| cluster.kill(*id));

    let answer = curl(cluster.address(primary), "PUT", "/object/lost", &value("?"));
    assert!(matches!(answer.status, 503 | 504), "{} {}", answer.status, answer.body);
    for id in [primary, backups[3]] {
        assert_eq!(keys_of(&cluster.objects_at(id).expect("it answers")), ["before"], "at replica {id}");
        let read = curl(cluster.address(id), "GET", "/object/before", b"");
        assert_ne!(read.status, 200, "a linearizable read needs a quorum too");
    }

    backups[..3].iter().for_each(|id| cluster.start(*id));
    let mut client = cluster.client();
    client.put("after", "2");
    assert_eq!(client.get("before").as_deref(), Some("1"));
    cluster.await_agreement(&[0, 1, 2, 3, 4]);
}

#[test]
fn a03_backups_refuse_requests_and_name_the_primary() {
    let cluster = Cluster::started(Plan::default());
    cluster.client().put("key", "1");
    cluster.await_agreement(&[0, 1, 2, 3, 4]);
    let primary = cluster.await_primary();
    for id in cluster.ids().filter(|id| *id != primary) {
        for (method, body) in [("PUT", value("2")), ("GET", Vec::new()), ("DELETE", Vec::new())] {
            let answer = curl(cluster.address(id), method, "/object/key?x=1", &body);
            assert_eq!((answer.status, &answer.code()[..]), (307, "not_primary"), "{method} at replica {id}");
            let location = format!("http://{}/object/key?x=1", cluster.address(primary));
            assert_eq!(answer.header("location"), Some(&location[..]));
            assert_eq!(answer.json()["primary"], primary);
        }
    }
    let answer = curl(cluster.address(primary), "GET", "/object/key", b"");
    assert_eq!((answer.status, answer.json()["value"].as_str()), (200, Some("1")));
}

#[test]
fn a04_after_the_primary_is_killed_another_one_has_all_that_was_committed() {
    let mut cluster = Cluster::started(Plan::default());
    let mut client = cluster.client();
    (0..20).for_each(|i| client.put(&format!("key/{i:02}"), &i.to_string()));
    let first = cluster.await_primary();
    let view = cluster.status(first).expect("it answers")["view"].as_u64();
    cluster.kill(first);
    let second = cluster.await_primary_other_than(&[first]);
    assert!(cluster.status(second).expect("it answers")["view"].as_u64() > view);
    (0..20).for_each(|i| assert_eq!(client.get(&format!("key/{i:02}")), Some(i.to_string())));
    client.put("after", "the view change");
    let others: Vec<_> = cluster.ids().filter(|id| *id != first).collect();
    assert_eq!(keys_of(&cluster.await_agreement(&others)).len(), 21);
}

#[test]
fn a05_a_killed_primary_and_a_killed_backup_come_back_and_get_what_they_missed() {
    let mut cluster = Cluster::started(Plan::default());
    let mut client = cluster.client();
    client.put("a", "1");
    let primary = cluster.await_primary();
    cluster.kill(primary);
    client.put("b", "2");
    let backup = cluster.ids().find(|id| ![primary, cluster.await_primary_other_than(&[primary])].contains(id));
    let backup = backup.expect("there are five");
    cluster.kill(backup);
    client.put("c", "3");
    cluster.start(primary);
    cluster.start(backup);
    client.put("d", "4");
    assert_eq!(keys_of(&cluster.await_agreement(&[0, 1, 2, 3, 4])), ["a", "b", "c", "d"]);
}

#[test]
fn a06_primaries_fail_one_after_the_other_until_each_replica_was_primary() {
    let mut cluster = Cluster::started(Plan::default());
    let mut client = cluster.client();
    let (mut were, mut round) = (Vec::new(), 0);
    while were.len() < 5 {
        assert!(round < 12, "primaries so far: {were:?}");
        let primary = cluster.await_primary();
        if !were.contains(&primary) {
            were.push(primary);
        }
        client.put(&format!("round/{round:02}"), &primary.to_string());
        cluster.kill(primary);
        cluster.await_primary_other_than(&[primary]);
        cluster.start(primary);
        round += 1;
    }
    let objects = cluster.await_agreement(&[0, 1, 2, 3, 4]);
    assert_eq!(keys_of(&objects).len(), round, "a committed entry is gone");

    let first = cluster.await_primary();
    cluster.kill(first);
    let second = cluster.await_primary_other_than(&[first]);
    cluster.kill(second);
    let third = cluster.await_primary_other_than(&[first, second]);
    client.put("last", &third.to_string());
    assert!(client.get("round/00").is_some(), "the first entry survives them all");
}

#[test]
fn a07_a_view_whose_primary_hangs_is_given_up_for_the_next() {
    let mut cluster = Cluster::started(Plan::default());
    let mut client = cluster.client();
    client.put("a", "1");
    let first = cluster.await_primary();
    let next = (first + 1) % 5;
    cluster.freeze(next);
    cluster.kill(first);
    let third = cluster.await_primary_other_than(&[first, next]);
    assert_eq!(client.get("a").as_deref(), Some("1"));
    client.put("b", "2");
    cluster.thaw(next);
    let running: Vec<_> = cluster.ids().filter(|id| *id != first).collect();
    assert_eq!(keys_of(&cluster.await_agreement(&running)), ["a", "b"], "first {first}, next {next}, then {third}");
}

#[test]
fn a08_a_replica_that_was_down_joins_a_later_view_and_catches_up() {
    let mut cluster = Cluster::started(Plan::default());
    let mut client = cluster.client();
    client.put("before", "1");
    let primary = cluster.await_primary();
    let sleeper = (primary + 3) % 5;
    cluster.kill(sleeper);
    (0..50).for_each(|i| client.put(&format!("missed/{i:02}"), "x"));
    cluster.kill(primary);
    cluster.await_primary_other_than(&[primary]);
    client.put("after", "2");
    cluster.start(sleeper);
    let running: Vec<_> = cluster.ids().filter(|id| *id != primary).collect();
    assert_eq!(keys_of(&cluster.await_agreement(&running)).len(), 52);
}

#[test]
fn a09_all_at_once_are_killed_and_come_back_from_their_own_logs_with_everything() {
    let mut cluster = Cluster::started(Plan::default());
    let mut client = cluster.client();
    (0..30).for_each(|i| client.put(&format!("key/{i:02}"), &i.to_string()));
    assert!(client.delete("key/07"));
    cluster.ids().for_each(|id| cluster.kill(id));
    cluster.start_all();
    cluster.await_primary();
    (0..30).for_each(|i| {
        let expected = (i != 7).then(|| i.to_string());
        assert_eq!(client.get(&format!("key/{i:02}")), expected, "acknowledged, so it must be there");
    });
    cluster.await_agreement(&[0, 1, 2, 3, 4]);
}

#[test]
fn a10_a_recovery_that_nobody_answers_is_tried_again_until_somebody_does() {
    // Without a disk to trust: the recovery protocol (VRR §4.3) is that of asynchronous mode.
    let mut cluster = Cluster::started(Plan { durability: "async", ..Plan::default() });
    let mut client = cluster.client();
    (0..10).for_each(|i| client.put(&format!("key/{i}"), "x"));
    cluster.await_agreement(&[0, 1, 2, 3, 4]);
    let primary = cluster.await_primary();
    let asker = (primary + 1) % 5;
    cluster.kill(asker);
    let others: Vec<_> = cluster.ids().filter(|id| *id != asker).collect();
    others.iter().for_each(|id| cluster.freeze(*id));
    cluster.start(asker);
    let recovering = |cluster: &Cluster| Some(cluster.status(asker)?["status"] == "Recovering").filter(|is| *is);
    eventually("that it recovers", || recovering(&cluster));
    let refused = ask_within(Duration::from_secs(2), cluster.address(asker), "GET", "/readyz", &[], b"");
    assert_eq!(refused.expect("it answers").status, 503, "who recovers is not ready");
    assert!(recovering(&cluster).is_some(), "nobody can have answered it");
    others.iter().for_each(|id| cluster.thaw(*id));
    assert_eq!(keys_of(&cluster.await_agreement(&[0, 1, 2, 3, 4])).len(), 10);
}

#[test]
fn a11_after_500_puts_and_deletes_of_a_key_all_memories_agree() {
    let cluster = Cluster::started(Plan::default());
    let mut client = cluster.client();
    for round in 0..500 {
        client.put("stress/key", &round.to_string());
        assert!(client.delete("stress/key"), "what was put is deleted");
    }
    client.put("stress/end", "done");
    let objects = cluster.await_agreement(&[0, 1, 2, 3, 4]);
    assert_eq!(keys_of(&objects), ["stress/end"]);
    let logs: Vec<_> = cluster.ids().map(|id| entries_of(&cluster, id)).collect();
    assert!(logs[0].len() >= 1001, "{} entries", logs[0].len());
    assert!(logs.iter().all(|log| *log == logs[0]), "the logs on disk differ");
}

/// The entries in a replica's log by their ops, as `kv-demo log` prints them; what was replaced is not there.
fn entries_of(cluster: &Cluster, id: u16) -> BTreeMap<u64, Value> {
    let printed = run(&["log", "--json", cluster.dir_of(id).to_str().expect("a path")]);
    assert_eq!(printed.code, Some(0), "{}", printed.err);
    let lines = printed.out.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines.filter_map(|line| Some((line["entry"]["op"].as_u64()?, line["entry"].clone()))).collect()
}
