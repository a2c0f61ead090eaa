//! A cluster in memory for tests and benchmarks: a queue of messages, a disk and a service that answer at once.
//!
//! Owns the driver's loop and nothing of the protocol. Faults are the simulator's business, not this file's.

use bytes::Bytes;
use std::collections::VecDeque;
use vr_core::{
    Action, ClientId, ClusterConfig, ClusterId, Config, Durability, Entry, Event, Input, Instance, Kind, Message, Op,
    Predicted, Replica, ReplicaId, Reply, Request, RequestNumber, Session, Stored, Time, To, WriteId,
};

/// A whole cluster, every message delivered in the order it was sent.
pub(crate) struct Loopback {
    pub(crate) replicas: Vec<Replica>,
    messages: VecDeque<(usize, Message)>,
    written: Option<WriteId>,
    upcalls: VecDeque<Op>,
    /// The service, which has no state, shall give a checkpoint.
    checkpoint: Option<Op>,
    actions: Vec<Action>,
    pub(crate) replies: Vec<Reply>,
    pub(crate) now: Time,
    /// Events taken by all replicas.
    pub(crate) steps: u64,
}

impl Loopback {
    /// A fresh cluster in view 0, replica 0 primary.
    pub(crate) fn new(members: u16, durability: Durability) -> Self {
        let mut cluster = ClusterConfig::of_size(ClusterId(7), members);
        cluster.durability = durability;
        let mut this = Self {
            replicas: Vec::new(),
            messages: VecDeque::new(),
            written: None,
            upcalls: VecDeque::new(),
            checkpoint: None,
            actions: Vec::new(),
            replies: Vec::new(),
            now: Time::ZERO,
            steps: 0,
        };
        for id in cluster.members.clone() {
            let stored = Stored::format(cluster.cluster, cluster.digest(), id, Instance(u128::from(id.0)));
            let config = Config::new(cluster.clone(), id);
            let replica = Replica::open(config, stored, this.now, &mut this.actions).expect("valid");
            this.replicas.push(replica);
            let begun = this.actions.drain(..).find_map(|action| match action {
                Action::Persist { id, .. } => Some(id),
                Action::Send { .. } | Action::Execute(_) | Action::Reply(_) => None,
                Action::Checkpoint { .. } | Action::Restore(_) | Action::Read(_) | Action::ReadBefore { .. } => None,
                Action::Reject(_) | Action::Note(_) | Action::Halt(_) => None,
            });
            this.step(usize::from(id.0), Input::Persisted(begun.expect("a life begins with a write")));
        }
        this.run();
        this
    }

    /// Gives one replica one input and carries out what it asks for, completions included.
    pub(crate) fn step(&mut self, at: usize, input: Input) {
        self.take(at, input);
        loop {
            if let Some(id) = self.written.take() {
                self.take(at, Input::Persisted(id));
            } else if let Some(op) = self.upcalls.pop_front() {
                self.take(at, Input::Executed { op, reply: Bytes::from_static(b"done") });
            } else if let Some(op) = self.checkpoint.take() {
                self.take(at, Input::CheckpointTaken { op, state: Bytes::new() });
            } else {
                return;
            }
        }
    }

    fn take(&mut self, at: usize, input: Input) {
        self.steps += 1;
        self.replicas[at].step_into(Event { at: self.now, input }, &mut self.actions);
        let members = self.replicas.len();
        for action in self.actions.drain(..) {
            match action {
                Action::Send { to: To::One(ReplicaId(to)), message } => {
                    self.messages.push_back((usize::from(to), message));
                }
                Action::Send { to: To::Others, message } => {
                    for other in 0..members {
                        if other != at {
                            self.messages.push_back((other, message.clone()));
                        }
                    }
                }
                Action::Persist { id, .. } => self.written = Some(id),
                Action::Execute(entries) => self.upcalls.extend(entries.iter().map(Entry::op)),
                Action::Reply(reply) => self.replies.push(reply),
                Action::Reject(rejection) => panic!("refused: {rejection:?}"),
                Action::Note(_) | Action::Read(_) | Action::ReadBefore { .. } => {}
                Action::Checkpoint { op } => self.checkpoint = Some(op),
                Action::Restore(_) => panic!("nobody falls behind here"),
                Action::Halt(reason) => panic!("halted: {reason:?}"),
            }
        }
    }

    /// Delivers until nothing is on its way.
    pub(crate) fn run(&mut self) {
        while let Some((to, message)) = self.messages.pop_front() {
            self.step(to, Input::Message(message));
        }
    }

    /// Lets time pass for everybody.
    pub(crate) fn tick(&mut self, at: Time) {
        self.now = at;
        for replica in 0..self.replicas.len() {
            self.step(replica, Input::Tick);
        }
        self.run();
    }

    /// Opens sessions for so many clients at the primary of view 0.
    pub(crate) fn register(&mut self, clients: u64) -> Vec<Session> {
        for client in 0..clients {
            self.step(0, Input::Request(request(client, Session::ZERO, 0, Bytes::new())));
        }
        self.run();
        let replies = std::mem::take(&mut self.replies);
        let session_of = |of| replies.iter().find(|reply| reply.client == client(of)).map(|reply| reply.session);
        (0..clients).map(|of| session_of(of).expect("every Register is answered")).collect()
    }
}

/// The id of a client: spread out, as random ids are.
pub(crate) fn client(number: u64) -> ClientId {
    ClientId(u128::from(number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835))
}

/// A request of a client.
pub(crate) fn request(number_of_client: u64, session: Session, number: u64, body: Bytes) -> Request {
    let kind = if number == 0 { Kind::Register } else { Kind::Operation };
    let predicted = Predicted { wall_ns: number, seed: 0 };
    Request { client: client(number_of_client), session, number: RequestNumber(number), kind, predicted, body }
}

/// Clients in a closed loop: each has one request outstanding.
pub(crate) struct Clients {
    sessions: Vec<Session>,
    next: Vec<u64>,
    body: Bytes,
}

impl Clients {
    /// So many clients with sessions, whose requests carry `body`.
    pub(crate) fn new(cluster: &mut Loopback, clients: u64, body: Bytes) -> Self {
        let sessions = cluster.register(clients);
        Self { next: vec![1; sessions.len()], sessions, body }
    }

    /// Every client sends its next request; all are answered. Returns how many.
    pub(crate) fn round(&mut self, cluster: &mut Loopback) -> u64 {
        for (client, session) in (0u64..).zip(&self.sessions) {
            let slot = usize::try_from(client).expect("small");
            let request = request(client, *session, self.next[slot], self.body.clone());
            self.next[slot] += 1;
            cluster.step(0, Input::Request(request));
        }
        cluster.run();
        let answered = cluster.replies.len();
        assert_eq!(answered, self.sessions.len(), "every request is answered");
        cluster.replies.clear();
        u64::try_from(answered).expect("small")
    }
}
