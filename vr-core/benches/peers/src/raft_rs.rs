//! The raft-rs contender: its own memory storage, one proposal message per round trip and the `Ready` loop of its
//! documentation.

use crate::buffer::ReadBuffer;
use crate::contender::{Applied, Case, Cluster, Contender, closed_loop};
use raft::eraftpb::{Entry, Message, MessageType};
use raft::storage::MemStorage;
use raft::{Config, RawNode, StateRole};
use std::time::Duration;

/// The column.
pub(crate) struct RaftRs;

impl Contender for RaftRs {
    fn name(&self) -> &'static str {
        "raft-rs"
    }

    fn run(&self, case: Case, ops: usize) -> Duration {
        closed_loop(Nodes::elected(case), case, ops)
    }
}

struct Node {
    raw: RawNode<MemStorage>,
    applied: Applied,
}

struct Nodes {
    leader: Node,
    followers: Vec<Node>,
    from_leader: Vec<Message>,
    from_followers: Vec<Message>,
    buffer: ReadBuffer,
}

/// The leader is node 1; the followers are the others, in order.
const LEADER: u64 = 1;

impl Node {
    fn new(id: u64, case: Case) -> Self {
        let config = Config {
            id,
            // The default, 0, is one entry per message.
            max_size_per_msg: u64::MAX,
            batch_append: true,
            // The commit index rides on the next append instead of in a message of its own, as in TiKV.
            skip_bcast_commit: true,
            ..Config::default()
        };
        let voters: Vec<u64> = (1..=case.replicas).collect();
        let storage = MemStorage::new_with_conf_state((voters, vec![]));
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let raw = RawNode::new(&config, storage, &logger).expect("a valid configuration");
        Self { raw, applied: Applied::default() }
    }

    fn apply(&mut self, entries: &[Entry]) {
        // A new leader's own first entry is empty, and no op.
        for entry in entries.iter().filter(|entry| !entry.data.is_empty()) {
            self.applied.apply(&entry.data);
        }
    }

    fn handle_ready(&mut self, out: &mut Vec<Message>) {
        if !self.raw.has_ready() {
            return;
        }
        let mut ready = self.raw.ready();
        out.append(&mut ready.take_messages());
        self.apply(ready.committed_entries());
        if !ready.entries().is_empty() {
            self.raw.store().wl().append(ready.entries()).expect("memory storage");
        }
        if let Some(state) = ready.hs() {
            self.raw.store().wl().set_hardstate(state.clone());
        }
        out.append(&mut ready.take_persisted_messages());
        let mut light = self.raw.advance(ready);
        if let Some(commit) = light.commit_index() {
            self.raw.store().wl().mut_hard_state().commit = commit;
        }
        out.append(&mut light.take_messages());
        self.apply(light.committed_entries());
        self.raw.advance_apply();
    }
}

impl Nodes {
    fn elected(case: Case) -> Self {
        let mut nodes = Self {
            leader: Node::new(LEADER, case),
            followers: (LEADER + 1..=case.replicas).map(|id| Node::new(id, case)).collect(),
            from_leader: Vec::new(),
            from_followers: Vec::new(),
            buffer: ReadBuffer::default(),
        };
        nodes.leader.raw.campaign().expect("a voter may campaign");
        // Votes, then the leader's own first entry.
        for _ in 0..2 {
            nodes.exchange();
            nodes.leader_in();
        }
        assert_eq!(nodes.leader.raw.raft.state, StateRole::Leader, "no leader");
        assert_eq!(nodes.leader.raw.raft.raft_log.committed, 1, "the leader is not ready");
        nodes
    }
}

impl Cluster for Nodes {
    fn leader_in(&mut self) -> usize {
        for message in self.from_followers.drain(..) {
            self.leader.raw.step(message).expect("a reply from a follower");
        }
        self.leader.handle_ready(&mut self.from_leader);
        self.leader.applied.count()
    }

    fn propose(&mut self, wire: &[u8], op_bytes: usize) {
        // raft-rs drops a proposal without entries.
        if wire.is_empty() {
            return;
        }
        let ops = self.buffer.hold(wire, op_bytes);
        let entries: Vec<Entry> = ops.map(|data| Entry { data, ..Entry::default() }).collect();
        let mut message = Message { from: LEADER, entries: entries.into(), ..Message::default() };
        message.set_msg_type(MessageType::MsgPropose);
        // `RawNode::propose` takes one op at a time, 40 % slower beyond one outstanding.
        self.leader.raw.step(message).expect("the leader accepts");
    }

    fn exchange(&mut self) {
        self.leader.handle_ready(&mut self.from_leader);
        for message in self.from_leader.drain(..) {
            let index = usize::try_from(message.to - LEADER - 1).expect("a follower");
            self.followers[index].raw.step(message).expect("a message from the leader");
        }
        for follower in &mut self.followers {
            follower.handle_ready(&mut self.from_followers);
        }
    }

    fn settle(&mut self) {
        self.leader.raw.ping();
    }

    fn applied_everywhere(&self) -> usize {
        let nodes = self.followers.iter().chain([&self.leader]);
        nodes.map(|node| node.applied.count()).min().unwrap_or(0)
    }
}
