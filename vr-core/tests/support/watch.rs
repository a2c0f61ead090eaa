//! What must hold at every step of every test that runs a [`super::Scripted`] cluster, seen from outside.
//!
//! Owns what was committed, executed and answered so far. Sees disks, actions and snapshots, never a private field.
//! Paper: VRR §4.1, §4.2, §8; PROTOCOL §4 (S1, S3, S5, S11, S12, S14).

use super::Node;
use bytes::Bytes;
use std::collections::BTreeMap;
use vr_core::{
    Action, Body, ClientId, Durability, Entries, Hash, Head, Incarnation, Message, Note, Op, Reply, RequestNumber,
    Session, Snapshot, StatusName, Stored, View,
};

/// The judge.
pub(crate) struct Watch {
    /// Nobody forges messages: what the group promises holds, not only what each replica owes itself.
    pub(crate) trusting: bool,
    sync: bool,
    quorum: usize,
    committed: BTreeMap<Op, Hash>,
    answered: BTreeMap<(ClientId, Session, RequestNumber), (Op, Bytes)>,
    before: Vec<Option<Snapshot>>,
    /// The latest life and view each replica was heard in.
    heard: Vec<(Incarnation, View)>,
    executed: Vec<Op>,
}

impl Watch {
    pub(crate) fn new(nodes: &[Node]) -> Self {
        let cluster = &nodes[0].config.cluster;
        Self {
            trusting: true,
            sync: cluster.durability == Durability::Sync,
            quorum: cluster.quorum(),
            committed: BTreeMap::new(),
            answered: BTreeMap::new(),
            before: vec![None; nodes.len()],
            heard: vec![(Incarnation::ZERO, View::ZERO); nodes.len()],
            executed: vec![Op::ZERO; nodes.len()],
        }
    }

    /// A replica started.
    pub(crate) fn opened(&mut self, nodes: &[Node], at: usize, actions: &[Action]) {
        let now = nodes[at].snapshot().expect("it runs");
        let (life, view) = self.heard[at];
        assert!(now.incarnation > life, "r{at}: a life has a number of its own");
        if let Some(before) = &mut self.before[at] {
            // A commit-number is a hint, and a view that nobody heard of no promise: a crash may take both.
            (before.commit, before.view) = (Op::ZERO, view);
        }
        self.executed[at] = nodes[at].disk.log.base().op;
        self.stepped(nodes, at, actions);
    }

    /// A replica took an event.
    pub(crate) fn stepped(&mut self, nodes: &[Node], at: usize, actions: &[Action]) {
        let node = &nodes[at];
        let now = node.snapshot().expect("it runs");
        self.numbers(at, &now);
        let memory = (node.memory.view, node.memory.log_view, node.memory.log.op());
        assert_eq!(memory, (now.view, now.log_view, now.op), "r{at}: what was written is what it believes");
        for action in actions {
            match action {
                Action::Send { message, .. } => self.said(node, at, message),
                Action::Execute(entries) => self.upcall(node, at, entries),
                Action::Reply(reply) => self.reply(reply),
                Action::Halt(reason) => assert!(!self.trusting, "r{at} halted: {reason:?}"),
                Action::Note(Note::Committed { op }) => self.commit(nodes, at, *op),
                Action::Persist { .. } | Action::Reject(_) | Action::Note(_) => {}
                Action::Checkpoint { .. } | Action::Restore(_) | Action::Read(_) => {}
                Action::ReadBefore { .. } => {}
            }
        }
    }

    fn numbers(&mut self, at: usize, now: &Snapshot) {
        assert!(now.log_view <= now.view, "r{at}: log_view ≤ view: {now:?}");
        assert!(now.executed <= now.commit, "r{at}: executed ≤ commit: {now:?}");
        let halted = now.status == StatusName::Halted;
        assert!(now.commit <= now.op || halted, "r{at}: commit ≤ op: {now:?}");
        if let Some(before) = &self.before[at] {
            assert!(now.view >= before.view, "r{at}: the view is a promise, across restarts too: {now:?}");
            assert!(now.commit >= before.commit, "r{at}: the commit-number never falls: {now:?}");
        }
        self.before[at] = Some(*now);
    }

    /// No envelope before its header is durable, no promise before what it speaks of is.
    fn said(&mut self, node: &Node, at: usize, message: &Message) {
        let (header, body) = (&message.header, &message.body);
        let disk = &node.disk;
        self.heard[at] = self.heard[at].max((header.incarnation, header.view));
        assert_eq!(header.view, disk.view, "r{at}: a view is durable before anybody hears of it");
        assert_eq!(header.incarnation, disk.incarnation, "r{at}: a life is durable before anybody hears of it");
        if !self.sync {
            return;
        }
        match body {
            Body::PrepareOk { head, .. } => {
                assert_eq!(disk.log_view, header.view, "r{at}: it is normal in the view it acknowledges in");
                assert!(disk.log.contains(*head), "r{at}: what is acknowledged is durable: {head:?}");
            }
            Body::DoViewChange(report) => {
                let reported = (report.log_view, report.tail.head);
                assert_eq!(reported, (disk.log_view, disk.log.head()), "r{at}: a report is about what is durable");
            }
            Body::StartView(start) => {
                assert_eq!(disk.log_view, header.view, "r{at}: a view starts when its log is durable");
                assert!(disk.log.op() >= start.view_start, "r{at}: a view starts when its log is durable");
            }
            Body::Prepare { .. } | Body::Commit { .. } | Body::CommitOk { .. } | Body::StartViewChange { .. } => {}
            Body::GetState(_) | Body::NewState(_) | Body::Recovery(_) | Body::RecoveryResponse(_) => {}
            Body::GetCheckpoint { .. } | Body::CheckpointPart(_) | Body::GetEntries { .. } | Body::Entries(_) => {}
            Body::StartEpoch(_) | Body::EpochStarted { .. } | Body::NewEpoch(_) | Body::CheckEpoch => {}
            Body::GetReadIndex { .. } | Body::ReadIndex { .. } | Body::CheckpointDurable(_) => {}
        }
    }

    /// What one replica commits no other contradicts, and a quorum of disks holds it.
    fn commit(&mut self, nodes: &[Node], at: usize, upto: Op) {
        if !self.trusting {
            return;
        }
        let log = &nodes[at].memory.log;
        let mut op = upto;
        while op > log.base().op {
            let hash = log.hash(op).expect("what is committed is in the log");
            let first = *self.committed.entry(op).or_insert(hash);
            assert_eq!(first, hash, "r{at} commits another entry at {op:?} than somebody before it");
            if self.committed.contains_key(&op.previous()) {
                break;
            }
            op = op.previous();
        }
        let head = Head { op: upto, hash: self.committed[&upto] };
        let covered = |disk: &Stored| disk.checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.op() >= head.op);
        let holders = nodes.iter().filter(|node| node.disk.log.contains(head) || covered(&node.disk)).count();
        assert!(!self.sync || holders >= self.quorum, "r{at} commits {upto:?}, which {holders} disks hold");
    }

    /// In op order, once per life, committed entries only.
    fn upcall(&mut self, node: &Node, at: usize, entries: &Entries) {
        for entry in entries {
            assert!(entry.op() > self.executed[at], "r{at}: executed in op order, once: {entry:?}");
            assert_eq!(node.memory.log.hash(entry.op()), Some(entry.hash()), "r{at}: executed from its log");
            let agreed = self.committed.get(&entry.op()) == Some(&entry.hash());
            assert!(agreed || !self.trusting, "r{at}: executed before it was committed: {entry:?}");
            self.executed[at] = entry.op();
        }
    }

    /// A request has one answer, whoever gives it and however often.
    fn reply(&mut self, reply: &Reply) {
        let key = (reply.client, reply.session, reply.number);
        let answer = (reply.op, reply.result.clone());
        let first = self.answered.entry(key).or_insert_with(|| answer.clone());
        assert!(*first == answer || !self.trusting, "{key:?} was answered {first:?} and then {answer:?}");
    }
}
