//! raft-rs on its own memory storage.

use crate::contender::{Applied, Case, Cluster, Contender, closed_loop};
use bytes::Bytes;
use raft::eraftpb::{Entry, Message, MessageType};
use raft::storage::MemStorage;
use raft::{Config, RawNode};
use std::time::Duration;

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
    many: bool,
    peek: bool,
}

fn env(k: &str) -> bool { std::env::var(k).is_ok() }

impl Node {
    fn new(id: u64, case: Case) -> Self {
        let config = Config {
            id,
            max_size_per_msg: u64::MAX,
            max_inflight_msgs: 1024,
            batch_append: !env("NOBATCH"),
            skip_bcast_commit: env("SKIP"),
            ..Config::default()
        };
        let voters: Vec<u64> = (1..=case.replicas).collect();
        let storage = MemStorage::new_with_conf_state((voters, vec![]));
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let raw = RawNode::new(&config, storage, &logger).expect("a valid configuration");
        Self { raw, applied: Applied::default() }
    }

    fn apply(&mut self, entries: &[Entry]) {
        for entry in entries {
            // A new leader's first entry is empty.
            if !entry.data.is_empty() {
                self.applied.apply(&entry.data);
            }
        }
    }

    fn handle_ready(&mut self, out: &mut Vec<Message>) {
        if !self.raw.has_ready() {
            return;
        }
        let mut ready = self.raw.ready();
        out.append(&mut ready.take_messages());
        self.apply(ready.committed_entries());
        {
            let mut store = self.raw.store().wl();
            store.append(ready.entries()).expect("memory storage");
            if let Some(state) = ready.hs() {
                store.set_hardstate(state.clone());
            }
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
            leader: Node::new(1, case),
            followers: (2..=case.replicas).map(|id| Node::new(id, case)).collect(),
            from_leader: Vec::new(),
            from_followers: Vec::new(),
            many: env("MANY"),
            peek: env("PEEK"),
        };
        nodes.leader.raw.campaign().expect("a voter may campaign");
        for _ in 0..5 {
            nodes.exchange();
            nodes.leader_in();
        }
        assert_eq!(nodes.leader.raw.raft.leader_id, 1);
        assert_eq!(nodes.leader.raw.raft.raft_log.committed, 1);
        nodes
    }
}

impl Cluster for Nodes {
    fn leader_in(&mut self) -> usize {
        for message in self.from_followers.drain(..) {
            self.leader.raw.step(message).expect("a reply from a follower");
        }
        if self.peek {
            return usize::try_from(self.leader.raw.raft.raft_log.committed).unwrap().saturating_sub(1);
        }
        self.leader.handle_ready(&mut self.from_leader);
        self.leader.applied.count()
    }

    fn propose(&mut self, ops: &mut Vec<Bytes>) {
        if self.many {
            if ops.is_empty() { return }
            let mut message = Message::default();
            message.set_msg_type(MessageType::MsgPropose);
            message.from = 1;
            let v: Vec<Entry> = ops.drain(..).map(|op| { let mut e = Entry::default(); e.data = op; e }).collect();
            message.set_entries(v.into());
            self.leader.raw.raft.step(message).expect("leader");
            return;
        }
        for op in ops.drain(..) {
            let mut message = Message::default();
            message.set_msg_type(MessageType::MsgPropose);
            message.from = 1;
            let entry = Entry { data: op, ..Entry::default() };
            message.set_entries(vec![entry].into());
            self.leader.raw.raft.step(message).expect("leader");
        }
    }

    fn exchange(&mut self) {
        self.leader.handle_ready(&mut self.from_leader);
        for message in self.from_leader.drain(..) {
            let index = usize::try_from(message.to - 2).expect("a follower");
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
        self.followers.iter().chain([&self.leader]).map(|node| node.applied.count()).min().unwrap_or(0)
    }
}
