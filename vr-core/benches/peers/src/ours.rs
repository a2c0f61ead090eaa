//! vr-core as a contender: sessions, at-most-once, replies and the hash chain included, disk and service answering at
//! once.
//!
//! Each outstanding op belongs to a client of its own, as the protocol wants it: K outstanding are K sessions. An op
//! counts when its client has its reply.

use crate::contender::{Applied, Case, Cluster, Contender, closed_loop};
use bytes::Bytes;
use std::slice::ChunksExact;
use std::time::Duration;
use vr_core::{
    Action, ClientId, ClusterConfig, ClusterId, Config, Entries, Event, Input, Instance, Kind, Message, Predicted,
    Replica, ReplicaId, Reply, Request, RequestNumber, Session, Stored, Time, To, Wait,
};

/// The column.
pub(crate) struct Ours;

impl Contender for Ours {
    fn name(&self) -> &'static str {
        "vr-core"
    }

    fn run(&self, case: Case, ops: usize) -> Duration {
        closed_loop(Nodes::with_sessions(case), case, ops)
    }
}

struct Node {
    replica: Replica,
    applied: Applied,
}

impl Node {
    /// The service: one reply an op, as one event for the run.
    fn execute(&mut self, entries: &Entries) -> Input {
        let mut apply = |body: &Bytes| {
            self.applied.apply(body);
            Bytes::new()
        };
        let first = entries.first().expect("an upcall has entries");
        if entries.len() == 1 {
            return Input::Executed { op: first.op(), reply: apply(first.body()) };
        }
        Input::ExecutedRun { first: first.op(), replies: entries.iter().map(|entry| apply(entry.body())).collect() }
    }
}

/// One client: it has at most one request outstanding.
struct Client {
    id: ClientId,
    session: Session,
    sent: RequestNumber,
}

struct Nodes {
    nodes: Vec<Node>,
    to_primary: Vec<Message>,
    to_backups: Vec<(To, Message)>,
    actions: Vec<Action>,
    /// What completions led to.
    more: Vec<Action>,
    clients: Vec<Client>,
    /// Who sends next, and who is answered next: replies come in the order of requests.
    turns: (usize, usize),
    /// Replies that reached their clients.
    answered: usize,
    now: Time,
}

fn client(number: usize) -> ClientId {
    let number = u128::try_from(number).expect("small") + 1;
    ClientId(number.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835))
}

fn request(client: &Client, body: Bytes) -> Request {
    let Client { id, session, sent } = *client;
    let kind = if sent == RequestNumber::ZERO { Kind::Register } else { Kind::Operation };
    Request { client: id, session, number: sent, kind, predicted: Predicted { wall_ns: 1, seed: 0 }, body }
}

impl Nodes {
    fn with_sessions(case: Case) -> Self {
        let members = u16::try_from(case.replicas).expect("few");
        let cluster = ClusterConfig::of_size(ClusterId(1), members);
        let mut this = Self {
            nodes: Vec::new(),
            to_primary: Vec::new(),
            to_backups: Vec::new(),
            actions: Vec::new(),
            more: Vec::new(),
            clients: Vec::new(),
            turns: (0, 0),
            answered: 0,
            now: Time::ZERO,
        };
        for id in cluster.members.clone() {
            let disk = Stored::format(cluster.cluster, cluster.digest(), id, Instance(id.0.into()));
            let config = Config::new(cluster.clone(), id);
            let replica = Replica::open(config, disk, this.now, &mut this.actions).expect("a valid configuration");
            this.nodes.push(Node { replica, applied: Applied::default() });
            this.carry_out(usize::from(id.0));
        }
        for number in 0..case.outstanding {
            let client = Client { id: client(number), session: Session::ZERO, sent: RequestNumber::ZERO };
            let register = request(&client, Bytes::new());
            this.clients.push(client);
            this.step(0, Input::Request(register));
            this.exchange();
            this.leader_in();
        }
        this.settle();
        this.exchange();
        assert!(this.clients.iter().all(|client| client.session != Session::ZERO), "every Register is answered");
        this
    }

    /// The request that the next client sends: one copy of the op, which is borrowed.
    fn next_request(&mut self, op: &[u8]) -> Request {
        let turn = self.turns.0;
        self.turns.0 = if turn + 1 == self.clients.len() { 0 } else { turn + 1 };
        let client = &mut self.clients[turn];
        client.sent = client.sent.next();
        request(client, Bytes::copy_from_slice(op))
    }

    /// A reply reaches its client.
    fn deliver(&mut self, reply: &Reply) {
        let turn = self.turns.1;
        if reply.number == RequestNumber::ZERO {
            let opened = self.clients.iter_mut().find(|client| client.id == reply.client);
            opened.expect("a client that asked").session = reply.session;
            return;
        }
        self.turns.1 = if turn + 1 == self.clients.len() { 0 } else { turn + 1 };
        let client = &self.clients[turn];
        assert_eq!((reply.client, reply.number), (client.id, client.sent), "the answer to what was asked");
        self.answered += 1;
    }

    #[inline]
    fn step(&mut self, at: usize, input: Input) {
        self.nodes[at].replica.step_into(Event { at: self.now, input }, &mut self.actions);
        self.carry_out(at);
    }

    /// Does what a replica asked for; its disk and its service answer at once.
    fn carry_out(&mut self, at: usize) {
        let (mut actions, mut more) = (std::mem::take(&mut self.actions), std::mem::take(&mut self.more));
        while !actions.is_empty() {
            for action in actions.drain(..) {
                let node = &mut self.nodes[at];
                let done = match action {
                    Action::Persist { id, .. } => Input::Persisted(id),
                    Action::Execute(entries) => node.execute(&entries),
                    Action::Send { to, message } => {
                        if at == 0 {
                            self.to_backups.push((to, message));
                        } else {
                            self.to_primary.push(message);
                        }
                        continue;
                    }
                    Action::Reply(reply) => {
                        self.deliver(&reply);
                        continue;
                    }
                    Action::Note(_) => continue,
                    Action::Checkpoint { op } => Input::CheckpointTaken { op, state: Bytes::new() },
                    Action::Restore(_) => panic!("nobody falls behind here"),
                    Action::Reject(rejection) => panic!("refused: {rejection:?}"),
                    Action::Halt(reason) => panic!("halted: {reason:?}"),
                };
                node.replica.step_into(Event { at: self.now, input: done }, &mut more);
            }
            std::mem::swap(&mut actions, &mut more);
        }
        (self.actions, self.more) = (actions, more);
    }
}

impl Cluster for Nodes {
    fn leader_in(&mut self) -> usize {
        let mut inbox = std::mem::take(&mut self.to_primary);
        for message in inbox.drain(..) {
            self.step(0, Input::Message(message));
        }
        self.to_primary = inbox;
        self.answered
    }

    fn propose(&mut self, mut ops: ChunksExact<'_, u8>) {
        if ops.len() > 1 {
            let requests = ops.map(|op| self.next_request(op)).collect();
            self.step(0, Input::Requests(requests));
        } else if let Some(op) = ops.next() {
            let request = self.next_request(op);
            self.step(0, Input::Request(request));
        }
    }

    fn exchange(&mut self) {
        let mut outbox = std::mem::take(&mut self.to_backups);
        for (to, message) in outbox.drain(..) {
            match to {
                To::One(ReplicaId(to)) => self.step(usize::from(to), Input::Message(message)),
                To::Others => {
                    for backup in 1..self.nodes.len() {
                        self.step(backup, Input::Message(message.clone()));
                    }
                }
            }
        }
        self.to_backups = outbox;
    }

    /// An idle primary says how far it has committed with its next heartbeat.
    fn settle(&mut self) {
        self.now = self.now.after(Wait::millis(50));
        self.step(0, Input::Tick);
    }

    fn applied_everywhere(&self) -> usize {
        self.nodes.iter().map(|node| node.applied.count()).min().unwrap_or(0)
    }
}
