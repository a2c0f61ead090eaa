//! The omnipaxos contender: its own memory storage, and its own batching flushed once per round trip.

use crate::contender::{Applied, Case, Cluster, Contender, closed_loop};
use omnipaxos::messages::Message;
use omnipaxos::storage::{Entry, NoSnapshot};
use omnipaxos::util::LogEntry;
use omnipaxos::{ClusterConfig, OmniPaxos, ServerConfig};
use omnipaxos_storage::memory_storage::MemoryStorage;
use std::slice::ChunksExact;
use std::sync::Arc;
use std::time::Duration;

/// The column.
pub(crate) struct Omni;

/// The fastest to hold an op of any length, ahead of `Bytes` and `Vec<u8>`: the log clones every entry several times.
#[derive(Clone, Debug)]
struct Op(Arc<[u8]>);

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
}

/// The leader is node 1; the followers are the others, in order.
const LEADER: u64 = 1;
/// Ticks that never come: nothing is lost here, so nothing is re-elected or resent.
const NEVER: u64 = u64::MAX;
/// Larger than any K, so that a batch ends with the leader's one tick per round trip.
const LEADER_BATCH: usize = 4096;

impl Node {
    fn new(pid: u64, case: Case) -> Self {
        let cluster =
            ClusterConfig { configuration_id: 1, nodes: (1..=case.replicas).collect(), flexible_quorum: None };
        let server = ServerConfig {
            pid,
            election_tick_timeout: NEVER,
            resend_message_tick_timeout: NEVER,
            flush_batch_tick_timeout: 1,
            // A follower that batched would sit on its acknowledgement.
            batch_size: if pid == LEADER { LEADER_BATCH } else { 1 },
            buffer_size: 64,
            ..ServerConfig::default()
        };
        let storage = MemoryStorage::default();
        let paxos = cluster.build_for_server(server, storage).expect("a valid configuration");
        Self { paxos, applied: Applied::default() }
    }

    fn apply_decided(&mut self) {
        let decided = self.paxos.read_decided_suffix(self.applied.count());
        for entry in decided.into_iter().flatten() {
            let LogEntry::Decided(op) = entry else { panic!("not a decided op: {entry:?}") };
            self.applied.apply(&op.0);
        }
    }
}

impl Nodes {
    fn elected(case: Case) -> Self {
        let mut nodes = Self {
            leader: Node::new(LEADER, case),
            followers: (LEADER + 1..=case.replicas).map(|pid| Node::new(pid, case)).collect(),
            from_leader: Vec::new(),
            from_followers: Vec::new(),
        };
        nodes.leader.paxos.try_become_leader();
        // Prepare and promise, then the first synchronisation and its answer.
        for _ in 0..2 {
            nodes.exchange();
            nodes.leader_in();
        }
        for node in nodes.followers.iter().chain([&nodes.leader]) {
            assert_eq!(node.paxos.get_current_leader(), Some((LEADER, true)), "no leader");
        }
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

    fn propose(&mut self, ops: ChunksExact<'_, u8>) {
        for op in ops {
            self.leader.paxos.append(Op(op.into())).expect("no reconfiguration is pending");
        }
        self.leader.paxos.tick();
    }

    fn exchange(&mut self) {
        self.leader.paxos.take_outgoing_messages(&mut self.from_leader);
        for message in self.from_leader.drain(..) {
            let index = usize::try_from(message.get_receiver() - LEADER - 1).expect("a follower");
            self.followers[index].paxos.handle_incoming(message);
        }
        for follower in &mut self.followers {
            follower.apply_decided();
            follower.paxos.take_outgoing_messages(&mut self.from_followers);
        }
    }

    fn applied_everywhere(&self) -> usize {
        let nodes = self.followers.iter().chain([&self.leader]);
        nodes.map(|node| node.applied.count()).min().unwrap_or(0)
    }
}
