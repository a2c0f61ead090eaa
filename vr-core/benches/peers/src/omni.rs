//! The omnipaxos contenders, with its own memory storage: as it comes, as fast as we could set it up, and set up so
//! with the service that vr-core gives (sessions, at-most-once, replies), as its user would have to write it.

use crate::contender::{Applied, Case, Cluster, Contender, closed_loop};
use crate::sessions::{Call, Clients, Reply, Sessions};
use bytes::Bytes;
use omnipaxos::messages::Message;
use omnipaxos::storage::{Entry, NoSnapshot};
use omnipaxos::util::LogEntry;
use omnipaxos::{ClusterConfig, OmniPaxos, ServerConfig};
use omnipaxos_storage::memory_storage::MemoryStorage;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// The column: tuned.
pub(crate) struct Omni;
/// The column: default settings, an owned copy in the log.
pub(crate) struct Defaults;
/// The column: tuned, with a client table.
pub(crate) struct Served;

/// What an op is in the log.
trait Op: Entry + Debug {
    /// Only the leader's batches wait for its tick.
    const BATCHES: bool;
    fn of(call: Call, body: &[u8]) -> Self;
    fn body(&self) -> &[u8];
    /// Whose call it is, where that matters.
    fn call(&self) -> Option<Call>;
}

/// Tuned: the fastest to hold an op of any length, ahead of `Bytes` and `Vec<u8>`: the log clones every entry several
/// times.
#[derive(Clone, Debug)]
struct Shared(Arc<[u8]>);

/// Default: the obvious way to hold an op.
#[derive(Clone, Debug)]
struct Owned(Vec<u8>);

/// Served: an op, and whose it is.
#[derive(Clone, Debug)]
struct Called(Call, Arc<[u8]>);

impl Entry for Shared {
    type Snapshot = NoSnapshot;
}
impl Entry for Owned {
    type Snapshot = NoSnapshot;
}
impl Entry for Called {
    type Snapshot = NoSnapshot;
}

impl Op for Shared {
    const BATCHES: bool = true;
    fn of(_: Call, body: &[u8]) -> Self {
        Self(body.into())
    }
    fn body(&self) -> &[u8] {
        &self.0
    }
    fn call(&self) -> Option<Call> {
        None
    }
}

impl Op for Owned {
    const BATCHES: bool = false;
    fn of(_: Call, body: &[u8]) -> Self {
        Self(body.into())
    }
    fn body(&self) -> &[u8] {
        &self.0
    }
    fn call(&self) -> Option<Call> {
        None
    }
}

impl Op for Called {
    const BATCHES: bool = true;
    fn of(call: Call, body: &[u8]) -> Self {
        Self(call, body.into())
    }
    fn body(&self) -> &[u8] {
        &self.1
    }
    fn call(&self) -> Option<Call> {
        Some(self.0)
    }
}

impl Contender for Omni {
    fn name(&self) -> &'static str {
        "omnipaxos"
    }

    fn run(&self, case: Case, ops: usize) -> Duration {
        closed_loop(Nodes::<Shared>::elected(case), case, ops)
    }
}

impl Contender for Defaults {
    fn name(&self) -> &'static str {
        "omnipaxos-defaults"
    }

    fn run(&self, case: Case, ops: usize) -> Duration {
        closed_loop(Nodes::<Owned>::elected(case), case, ops)
    }
}

impl Contender for Served {
    fn name(&self) -> &'static str {
        "omnipaxos+sessions"
    }

    fn run(&self, case: Case, ops: usize) -> Duration {
        closed_loop(Nodes::<Called>::elected(case), case, ops)
    }
}

struct Node<O: Op> {
    paxos: OmniPaxos<O, MemoryStorage<O>>,
    applied: Applied,
    sessions: Sessions,
}

struct Nodes<O: Op> {
    leader: Node<O>,
    followers: Vec<Node<O>>,
    from_leader: Vec<Message<O>>,
    from_followers: Vec<Message<O>>,
    clients: Clients,
}

/// The leader is node 1; the followers are the others, in order.
const LEADER: u64 = 1;
/// Ticks that never come: nothing is lost here, so nothing is re-elected or resent.
const NEVER: u64 = u64::MAX;
/// Larger than any K, so that a batch ends with the leader's one tick per round trip.
const LEADER_BATCH: usize = 4096;

impl<O: Op> Node<O> {
    fn new(pid: u64, case: Case) -> Self {
        let cluster =
            ClusterConfig { configuration_id: 1, nodes: (1..=case.replicas).collect(), flexible_quorum: None };
        let server = ServerConfig {
            pid,
            election_tick_timeout: NEVER,
            resend_message_tick_timeout: NEVER,
            flush_batch_tick_timeout: 1,
            ..ServerConfig::default()
        };
        let server = if O::BATCHES {
            // A follower that batched would sit on its acknowledgement.
            ServerConfig { batch_size: if pid == LEADER { LEADER_BATCH } else { 1 }, buffer_size: 64, ..server }
        } else {
            server
        };
        let storage = MemoryStorage::default();
        let paxos = cluster.build_for_server(server, storage).expect("a valid configuration");
        Self { paxos, applied: Applied::default(), sessions: Sessions::of(case.outstanding) }
    }

    /// Applies what is decided. The leader answers the clients, where there are any.
    fn apply_decided(&mut self, mut clients: Option<&mut Clients>) {
        let decided = self.paxos.read_decided_suffix(self.applied.count());
        for entry in decided.into_iter().flatten() {
            let LogEntry::Decided(op) = entry else { panic!("not a decided op: {entry:?}") };
            let Some(call) = op.call() else {
                self.applied.apply(op.body());
                continue;
            };
            let applied = &mut self.applied;
            let answer = self.sessions.execute(call, || {
                applied.apply(op.body());
                Bytes::new()
            });
            if let (Some(reply), Some(clients)) = (answer, clients.as_mut()) {
                clients.deliver(&Reply { call, reply });
            }
        }
    }
}

impl<O: Op> Nodes<O> {
    fn elected(case: Case) -> Self {
        let mut nodes = Self {
            leader: Node::new(LEADER, case),
            followers: (LEADER + 1..=case.replicas).map(|pid| Node::new(pid, case)).collect(),
            from_leader: Vec::new(),
            from_followers: Vec::new(),
            clients: Clients::of(case.outstanding),
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

impl<O: Op> Cluster for Nodes<O> {
    fn leader_in(&mut self) -> usize {
        for message in self.from_followers.drain(..) {
            self.leader.paxos.handle_incoming(message);
        }
        self.leader.apply_decided(Some(&mut self.clients));
        self.leader.applied.count()
    }

    fn propose(&mut self, wire: &[u8], op_bytes: usize) {
        for op in wire.chunks_exact(op_bytes) {
            let call = self.clients.next();
            let op = O::of(call, op);
            if op.call().is_some() {
                assert!(self.leader.sessions.admit(call), "a new request is new");
            }
            self.leader.paxos.append(op).expect("no reconfiguration is pending");
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
            follower.apply_decided(None);
            follower.paxos.take_outgoing_messages(&mut self.from_followers);
        }
    }

    fn applied_everywhere(&self) -> usize {
        let nodes = self.followers.iter().chain([&self.leader]);
        nodes.map(|node| node.applied.count()).min().unwrap_or(0)
    }
}
