//! omnipaxos on its own memory storage.

use crate::contender::{Applied, Case, Cluster, Contender, closed_loop};
use bytes::Bytes;
use omnipaxos::messages::Message;
use omnipaxos::storage::{Entry, NoSnapshot};
use omnipaxos::util::LogEntry;
use omnipaxos::{ClusterConfig, OmniPaxos, ServerConfig};
use omnipaxos_storage::memory_storage::MemoryStorage;
use std::time::Duration;

pub(crate) struct Omni;

#[derive(Clone, Debug)]
struct Op(Bytes);

impl Entry for Op {
    type Snapshot = NoSnapshot;
}

impl Contender for Omni {
    fn name(&self) -> &'static str {
        "omnipaxos"
    }

    fn run(&self, case: Case, ops: usize) -> Duration {
        closed_loop(Nodes::elected(case), case, ops)
    }
}

struct Node {
    paxos: OmniPaxos<Op, MemoryStorage<Op>>,
    applied: Applied,
}

struct Nodes {
    leader: Node,
    followers: Vec<Node>,
    from_leader: Vec<Message<Op>>,
    from_followers: Vec<Message<Op>>,
    tick: bool,
}

impl Node {
    fn new(pid: u64, case: Case) -> Self {
        let cluster = ClusterConfig { configuration_id: 1, nodes: (1..=case.replicas).collect(), flexible_quorum: None };
        let v: usize = std::env::var("OB").ok().and_then(|v| v.parse().ok()).unwrap_or(1);
        let v = if v == 0 { case.outstanding } else { v };
        let server = ServerConfig { pid, buffer_size: 1024, batch_size: if pid == 1 { v } else { 1 }, flush_batch_tick_timeout: 1, election_tick_timeout: 1 << 40, resend_message_tick_timeout: 1 << 40, ..Default::default() };
        let paxos = cluster.build_for_server(server, MemoryStorage::default()).expect("a valid configuration");
        Self { paxos, applied: Applied::default() }
    }

    fn apply_decided(&mut self) {
        let Some(entries) = self.paxos.read_decided_suffix(self.applied.count()) else { return };
        for entry in entries {
            let LogEntry::Decided(op) = entry else { panic!("not a decided op: {entry:?}") };
            self.applied.apply(&op.0);
        }
    }
}

impl Nodes {
    fn elected(case: Case) -> Self {
        let mut nodes = Self {
            leader: Node::new(1, case),
            followers: (2..=case.replicas).map(|pid| Node::new(pid, case)).collect(),
            from_leader: Vec::new(),
            from_followers: Vec::new(),
            tick: std::env::var("OT").is_ok(),
        };
        nodes.leader.paxos.try_become_leader();
        for _ in 0..4 {
            nodes.exchange();
            nodes.leader_in();
        }
        assert_eq!(nodes.leader.paxos.get_current_leader(), Some((1, true)));
        nodes
    }
}

impl Cluster for Nodes {
    fn leader_in(&mut self) -> usize {
        for message in self.from_followers.drain(..) {
            self.leader.paxos.handle_incoming(message);
        }
        self.leader.apply_decided();
        self.leader.applied.count()
    }

    fn propose(&mut self, ops: &mut Vec<Bytes>) {
        for op in ops.drain(..) {
            self.leader.paxos.append(Op(op)).expect("no reconfiguration is under way");
        }
        if self.tick { self.leader.paxos.tick(); }
    }

    fn exchange(&mut self) {
        self.leader.paxos.take_outgoing_messages(&mut self.from_leader);
        for message in self.from_leader.drain(..) {
            let index = usize::try_from(message.get_receiver() - 2).expect("a follower");
            self.followers[index].paxos.handle_incoming(message);
        }
        for follower in &mut self.followers {
            follower.apply_decided();
            follower.paxos.take_outgoing_messages(&mut self.from_followers);
        }
    }

    fn settle(&mut self) {}

    fn applied_everywhere(&self) -> usize {
        self.followers.iter().chain([&self.leader]).map(|node| node.applied.count()).min().unwrap_or(0)
    }
}
