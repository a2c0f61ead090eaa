//! Groups that change while they work: growing, replacing, shrinking, under load; restarts in later epochs; newcomers that die
//! while they catch up; ids that come back on other disks. VRR §7, PROTOCOL 1.9, D97.

use super::*;
use crate::members::{MemberAddress, Members, NextMember, ReconfigureError};
use std::sync::atomic::AtomicBool;
use vr_core::{BadGroup, Epoch};

/// A node that is in no file but its own, formatted.
fn newcomer(cluster: &mut Cluster, id: u16) -> usize {
    let mut config = cluster.configs[0].clone();
    let dir = cluster.dir.path().join(id.to_string());
    let place = NodeAddresses { joins: true, ..NodeAddresses::new(id, dir, free(), free()) };
    (config.id, config.joins, config.dir) = (ReplicaId(id), true, place.dir.clone());
    (config.client, config.peer) = (place.client, place.peer);
    // It knows nobody else: whoever adds it finds it.
    config.nodes = vec![place];
    Node::format(&config).expect("an empty directory");
    cluster.configs.push(config);
    cluster.nodes.push(None);
    cluster.configs.len() - 1
}

const fn stays(id: u16) -> NextMember {
    NextMember { id: ReplicaId(id), address: None }
}

/// The node at this place of the cluster, as a member that is added.
fn added(cluster: &Cluster, at: usize) -> NextMember {
    let config = &cluster.configs[at];
    let disk = cluster.nodes[at].as_ref().map(|node| node.handle().disk());
    let address = MemberAddress { client: config.client, peer: config.peer, disk };
    NextMember { id: config.id, address: Some(address) }
}

impl Cluster {
    /// Asks whoever leads until the group is another one.
    async fn decides(&self, next: &[NextMember]) -> Epoch {
        let epoch = self.epoch();
        timely(async {
            loop {
                for handle in self.nodes.iter().flatten().map(Node::handle) {
                    if handle.epoch() == epoch && handle.status().status == StatusName::Primary {
                        let _ = handle.reconfigure(epoch, next).await;
                    }
                }
                if self.epoch() > epoch {
                    return self.epoch();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
    }

    /// [`Cluster::decides`], and waits until the group is complete.
    async fn becomes(&self, next: &[NextMember]) -> Members {
        let epoch = self.decides(next).await;
        let ids: Vec<ReplicaId> = next.iter().map(|member| member.id).collect();
        let members = self.nodes.iter().flatten().filter(|node| ids.contains(&node.handle().status().id));
        for node in members {
            let is_there = |status: &NodeStatus| status.epoch == epoch && status.is_ready();
            assert_eq!(timely(node.handle().wait_until(is_there)).await.stopped, None);
        }
        timely(async {
            loop {
                let all = self.nodes.iter().flatten().map(|node| node.handle().group());
                if let Some(group) = all.rev().find(|group| group.epoch == epoch && group.is_settled) {
                    assert_eq!(group.members.iter().map(|member| member.id).collect::<Vec<_>>(), ids);
                    return group;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
    }

    /// Waits until all of these know that the group is complete.
    async fn settles(&self, ids: std::ops::Range<usize>) {
        timely(async {
            while !ids.clone().all(|id| self.handle(id).group().is_settled) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    fn epoch(&self) -> Epoch {
        self.nodes.iter().flatten().map(|node| node.handle().epoch()).max().expect("somebody runs")
    }
}

/// Three nodes and a client that never stops; gives what was answered last.
async fn loaded(cluster: &Cluster) -> (Arc<AtomicBool>, tokio::task::JoinHandle<(u64, crate::client::ClientSession)>) {
    let client = cluster.client();
    let mut session = timely(client.session()).await.expect("opened");
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let load = tokio::spawn(async move {
        let mut count = 0;
        while !stopped.load(Ordering::Relaxed) {
            count += 1;
            assert_eq!(session.call("1").await.expect("no request fails").result, count.to_string());
        }
        (count, session)
    });
    (stop, load)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_grows_replaces_a_member_and_shrinks_under_load_and_loses_nothing() {
    let mut cluster = Cluster::start(|config| config.cluster.checkpoint_interval = 64).await;
    let (stop, load) = loaded(&cluster).await;
    for id in [3, 4] {
        let at = newcomer(&mut cluster, id);
        cluster.up(at).await;
    }
    let grown = [stays(0), stays(1), stays(2), added(&cluster, 3), added(&cluster, 4)];
    let group = cluster.becomes(&grown).await;
    assert_eq!((group.epoch, group.quorum, group.next_id), (Epoch(1), 3, ReplicaId(5)));
    let at = newcomer(&mut cluster, 5);
    cluster.up(at).await;
    let replaced = [added(&cluster, at), stays(1), stays(2), stays(3), stays(4)];
    assert_eq!(cluster.becomes(&replaced).await.epoch, Epoch(2));
    let retired = cluster.until(0, |status| status.status == StatusName::Retired).await;
    assert_eq!(retired.epoch, Epoch(2));
    // None of those that the client knew at first is left.
    assert_eq!(cluster.becomes(&[stays(3), stays(4), stays(5)]).await.quorum, 2);
    for id in [0, 1, 2] {
        cluster.stop(id).await;
    }
    stop.store(true, Ordering::Relaxed);
    let (count, mut session) = timely(load).await.expect("no request failed");
    assert_eq!(timely(session.call("1")).await.expect("answered").result, (count + 1).to_string());
    let newest = timely(session.call("0")).await.expect("answered").op;
    for at in [3, 4, 5] {
        cluster.until(at, |status| status.executed >= newest).await;
        assert_eq!(
            timely(cluster.handle(at).read_stale(Bytes::new())).await.expect("answered"),
            (count + 1).to_string()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_a_later_epoch_that_all_crash_start_again_in_it() {
    for durability in [Durability::Sync, Durability::Async] {
        let mut cluster = Cluster::start(|config| config.cluster.durability = durability).await;
        let client = cluster.client();
        let mut session = timely(client.session()).await.expect("opened");
        timely(session.call("7")).await.expect("answered");
        let at = newcomer(&mut cluster, 3);
        cluster.up(at).await;
        cluster.becomes(&[stays(1), stays(2), added(&cluster, at)]).await;
        timely(session.call("7")).await.expect("answered");
        // One after the other first: in the asynchronous mode it gets its memory back from members of its epoch.
        for at in [3, 1] {
            cluster.kill(at).await;
            cluster.up(at).await;
            cluster.until(at, |status| status.epoch == Epoch(1) && status.is_ready()).await;
        }
        for at in [0, 1, 2, 3] {
            if durability == Durability::Sync {
                cluster.kill(at).await;
            } else {
                cluster.stop(at).await;
            }
        }
        for at in [3, 2, 1] {
            cluster.up(at).await;
        }
        let last = timely(session.call("7")).await.expect("the session goes on");
        assert_eq!(last.result, "21");
        for at in [1, 2, 3] {
            let status = cluster.until(at, |status| status.executed >= last.op).await;
            assert_eq!((status.epoch, status.view.epoch()), (Epoch(1), Epoch(1)));
        }
        cluster.up(0).await;
        cluster.until(0, |status| status.status == StatusName::Retired).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_that_was_down_when_it_was_added_finds_the_group_by_what_reaches_it() {
    let mut cluster = Cluster::start(|_| ()).await;
    let at = newcomer(&mut cluster, 3);
    cluster.up(at).await;
    let next = [stays(0), stays(1), stays(2), added(&cluster, at)];
    cluster.kill(at).await;
    assert_eq!(cluster.decides(&next).await, Epoch(1));
    // The others are a quorum without it, and tell nobody any more when it is back: what they say all the time is enough.
    cluster.settles(0..3).await;
    cluster.up(at).await;
    cluster.until(at, |status| status.epoch == Epoch(1) && status.is_ready()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_that_is_killed_while_it_catches_up_gets_there_when_it_returns() {
    let mut cluster = Cluster::start(|config| {
        config.cluster.max_request_bytes = 1 << 10;
        config.cluster.max_message_bytes = 4 << 10;
    })
    .await;
    // Its state comes in many parts.
    let client = cluster.client();
    let opened = (1..=300).map(|id| client.session_of(ClientId(id)));
    futures_util::future::join_all(opened).await.into_iter().for_each(|opened| drop(opened.expect("opened")));
    let (stop, load) = loaded(&cluster).await;
    let at = newcomer(&mut cluster, 3);
    cluster.up(at).await;
    let next = [stays(0), stays(1), stays(2), added(&cluster, at)];
    cluster.decides(&next).await;
    timely(async {
        while !cluster.handle(at).metrics().contains("vr_events_total{kind=\"learned_epoch\"}") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    cluster.kill(at).await;
    cluster.settles(0..3).await;
    cluster.up(at).await;
    cluster.until(at, |status| status.epoch == Epoch(1) && status.is_ready()).await;
    stop.store(true, Ordering::Relaxed);
    timely(load).await.expect("no request failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_a_group_is_refused_with_the_reason_and_changes_nothing() {
    let mut cluster = Cluster::start(steady).await;
    let at = newcomer(&mut cluster, 3);
    cluster.up(at).await;
    let (primary, new) = (cluster.handle(0), added(&cluster, at));
    let refusal = async |epoch, next: &[NextMember]| {
        timely(primary.reconfigure(Epoch(epoch), next)).await.expect_err("refused").to_string()
    };
    let all = [stays(0), stays(1), stays(2)];
    assert_eq!(refusal(0, &all).await, "nothing would change");
    assert_eq!(refusal(0, &[stays(0), stays(1), stays(0)]).await, "replica 0 would be a member twice");
    assert_eq!(refusal(1, &[stays(0), new]).await, "it was meant for another epoch than this one, 0");
    assert_eq!(refusal(0, &[stays(0), stays(9)]).await, "replica 9 is no member, and it was not said where it is");
    assert_eq!(refusal(0, &[]).await, "a group has 1 to 64 members, in the mode async 2 at least");
    let backup = timely(cluster.handle(1).reconfigure(Epoch::ZERO, &[stays(0), new])).await;
    assert!(matches!(backup, Err(ReconfigureError::Request(RequestError::NotPrimary { .. }))), "{backup:?}");
    assert_eq!(cluster.epoch(), Epoch::ZERO);
    cluster.becomes(&[stays(0), stays(1), new]).await;
    let old = NextMember { id: ReplicaId(2), ..added(&cluster, 2) };
    let again = timely(primary.reconfigure(Epoch(1), &[stays(0), stays(1), new, old])).await;
    assert_eq!(again, Err(ReconfigureError::Refused(BadGroup::UsedBefore(ReplicaId(2)))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_comes_back_on_another_disk_is_no_member() {
    let mut cluster = Cluster::start(steady).await;
    let at = newcomer(&mut cluster, 3);
    cluster.up(at).await;
    cluster.becomes(&[stays(0), stays(1), stays(2), added(&cluster, at)]).await;
    cluster.kill(at).await;
    std::fs::remove_dir_all(&cluster.configs[at].dir).expect("its disk is lost");
    Node::format(&cluster.configs[at]).expect("an empty directory");
    cluster.up(at).await;
    let reason = timely(cluster.nodes[at].take().expect("it runs").stopped()).await;
    assert!(matches!(reason, StopReason::AnotherDisk(_)), "{reason}");
    let other = cluster.handle(0);
    timely(other.request(ANN, number(1), body("1"))).await.expect("the others go on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_knew_one_old_member_goes_on_with_the_new_ones() {
    let mut cluster = Cluster::start(|_| ()).await;
    let options = ClientOptions { call_timeout: PATIENCE, ..Default::default() };
    let client = Client::new([cluster.configs[2].client.to_string()], options).expect("valid");
    let mut session = timely(client.session()).await.expect("opened");
    timely(session.call("1")).await.expect("answered");
    for id in [3, 4, 5] {
        let at = newcomer(&mut cluster, id);
        cluster.up(at).await;
    }
    let next = [added(&cluster, 3), added(&cluster, 4), added(&cluster, 5)];
    cluster.becomes(&next).await;
    // Nobody that it knows is a member any more, and the one it was told of is gone: that one sends it on.
    assert_eq!(timely(session.call("1")).await.expect("answered").result, "2");
    for id in 0..3 {
        cluster.stop(id).await;
    }
    assert_eq!(timely(session.call("1")).await.expect("answered").result, "3");
    // Nobody has told it who the others are but the one that goes now.
    let primary = timely(async {
        loop {
            let leads = |at: &usize| cluster.handle(*at).status().status == StatusName::Primary;
            if let Some(primary) = (3..6).find(leads) {
                return primary;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let primary = primary.await;
    cluster.kill(primary).await;
    assert_eq!(timely(session.call("1")).await.expect("answered").result, "4");
    assert_eq!(timely(client.read("")).await.expect("answered"), "4");
}

/// Asks `/vr/v1/members`; the status and the JSON.
async fn http(address: SocketAddr, method: &str, body: &str) -> (u16, serde_json::Value) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut tcp = tokio::net::TcpStream::connect(address).await.expect("it listens");
    let length = body.len();
    let head =
        format!("{method} /vr/v1/members HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    tcp.write_all((head + body).as_bytes()).await.expect("it reads");
    let mut said = String::new();
    timely(tcp.read_to_string(&mut said)).await.expect("it answers");
    let status = said.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let json = said.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok());
    (status, json.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_members_are_told_and_changed_over_http() {
    let mut cluster = Cluster::start(|config| {
        steady(config);
        config.ops = (config.id == ReplicaId(1)).then(free);
    })
    .await;
    let at = newcomer(&mut cluster, 3);
    cluster.configs[at].ops = None;
    cluster.up(at).await;
    cluster.until(1, |status| status.status == StatusName::Backup).await;
    let [primary, backup, new] = [0, 1, at].map(|at| cluster.configs[at].client);
    let (status, said) = http(primary, "GET", "").await;
    assert_eq!(
        (status, &said["epoch"], &said["next_id"], &said["is_settled"]),
        (200, &0.into(), &3.into(), &true.into())
    );
    assert_eq!((&said["id"], &said["primary"], &said["members"][2]["id"]), (&0.into(), &0.into(), &2.into()));
    assert_eq!(said["members"][1]["client"], backup.to_string());
    let (_, newcomer) = http(new, "GET", "").await;
    assert_eq!((&newcomer["id"], &newcomer["status"]), (&3.into(), &"Transitioning".into()));
    let member = serde_json::json!({
        "id": 3, "client": newcomer["client"], "peer": newcomer["peer"], "disk": newcomer["disk"],
    });
    let asked = |epoch: u64| serde_json::json!({"epoch": epoch, "members": [{"id": 0}, {"id": 1}, member]}).to_string();
    assert_eq!(http(backup, "PUT", &asked(0)).await.0, 404, "operators have an address of their own there");
    let ops = cluster.configs[1].ops.expect("it has");
    let (status, said) = http(ops, "PUT", &asked(0)).await;
    assert_eq!((status, &said["error"], &said["primary"]), (409, &"not_primary".into(), &0.into()));
    assert_eq!(said["client"], primary.to_string());
    for wrong in ["", "{}", "{\"epoch\":0,\"members\":[{\"id\":3,\"client\":\"127.0.0.1:1\"}]}"] {
        assert_eq!(http(primary, "PUT", wrong).await.0, 400, "{wrong}");
    }
    assert_eq!(http(primary, "POST", &asked(0)).await.0, 405, "what a page of another origin may send changes nothing");
    let (status, said) = http(primary, "PUT", &asked(4)).await;
    assert_eq!((status, &said["error"]), (409, &"wrong_epoch".into()));
    let (status, said) = http(primary, "PUT", &asked(0)).await;
    assert_eq!((status, &said["epoch"], &said["members"][2]["disk"]), (200, &1.into(), &newcomer["disk"]));
    cluster.until(2, |status| status.status == StatusName::Retired).await;
    // Whoever is no member sends clients to one.
    let client = Client::new([cluster.configs[2].client.to_string()], ClientOptions::default()).expect("valid");
    let mut session = timely(client.session()).await.expect("opened");
    assert_eq!(timely(session.call("4")).await.expect("answered").result, "4");
}
