//! vr-core as a contender: sessions, at-most-once, replies and the hash chain included, disk and service answering at
//! once.
//!
//! Each outstanding op belongs to a client of its own, as the protocol wants it: K outstanding are K sessions. An op
//! counts when its client has its reply.

use crate::buffer::ReadBuffer;
use crate::contender::{Applied, Case, Cluster, Contender, closed_loop};
use bytes::Bytes;
use std::time::Duration;
use vr_core::{
    Action, ClientId, ClusterConfig, ClusterId, Config, Entries, Event, Input, Instance, Kind, Message, Op, Predicted,
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

/// One client: it has at most one request outstanding.
struct Client {
    id: ClientId,
    session: Session,
    sent: RequestNumber,
}

/// The clients of the closed loop.
struct Clients {
    all: Vec<Client>,
    /// Who sends next, and who is answered next: replies come in the order of requests.
    turns: (usize, usize),
    /// Replies that reached their clients.
    answered: usize,
    buffer: ReadBuffer,
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

impl Clients {
    fn turn(turn: &mut usize, clients: usize) -> usize {
        let now = *turn;
        *turn = if now + 1 == clients { 0 } else { now + 1 };
        now
    }

    /// The request that the next client sends.
    fn next_request(all: &mut [Client], turn: &mut usize, body: Bytes) -> Request {
        let client = &mut all[Self::turn(turn, all.len())];
        client.sent = client.sent.next();
        request(client, body)
    }

    /// What the next clients send: one copy of the ops, which are borrowed. A lone one gets an allocation of its own, which
    /// costs less than the counts of a shared buffer.
    fn next_input(&mut self, wire: &[u8], op_bytes: usize) -> Input {
        let Self { all, turns: (turn, _), buffer, .. } = self;
        if wire.len() == op_bytes {
            return Input::Request(Self::next_request(all, turn, Bytes::copy_from_slice(wire)));
        }
        Input::Requests(buffer.hold(wire, op_bytes).map(|op| Self::next_request(all, turn, op)).collect())
    }

    /// A reply reaches its client.
    fn deliver(&mut self, reply: &Reply) {
        if reply.number == RequestNumber::ZERO {
            let opened = self.all.iter_mut().find(|client| client.id == reply.client);
            opened.expect("a client that asked").session = reply.session;
            return;
        }
        let turn = Self::turn(&mut self.turns.1, self.all.len());
        let client = &self.all[turn];
        assert_eq!((reply.client, reply.number), (client.id, client.sent), "the answer to what was asked");
        self.answered += 1;
    }
}

/// A replica and its driver: what it is told to do is done at once, by disk and service too; what it is told to send
/// stays where it is until it is sent.
struct Node {
    replica: Replica,
    applied: Applied,
    actions: Vec<Action>,
    outbox: Vec<(To, Message)>,
}

impl Node {
    fn step(&mut self, at: Time, input: Input) {
        self.replica.step_into(Event { at, input }, &mut self.actions);
    }

    /// The service: one reply an op, as one event for the run.
    fn execute(applied: &mut Applied, entries: &Entries) -> Input {
        let mut apply = |body: &Bytes| {
            applied.apply(body);
            Bytes::new()
        };
        let first = entries.first().expect("an upcall has entries");
        if entries.len() == 1 {
            return Input::Executed { op: first.op(), reply: apply(first.body()) };
        }
        Input::ExecutedRun { first: first.op(), replies: entries.iter().map(|entry| apply(entry.body())).collect() }
    }

    /// Does what the replica asked for, in order, and what that leads to.
    fn carry_out(&mut self, at: Time, clients: &mut Clients) {
        let mut next = 0;
        while let Some(action) = self.actions.get_mut(next) {
            next += 1;
            let done = match action {
                Action::Persist { id, .. } => Input::Persisted(*id),
                Action::Execute(entries) => Self::execute(&mut self.applied, entries),
                Action::Reply(reply) => {
                    clients.deliver(reply);
                    continue;
                }
                Action::Note(_) => continue,
                Action::Send { .. } => {
                    if let Action::Send { to, message } = std::mem::replace(action, DONE) {
                        self.outbox.push((to, message));
                    }
                    continue;
                }
                Action::Checkpoint { op } => Input::CheckpointTaken { op: *op, state: Bytes::new() },
                Action::Read(_) | Action::ReadBefore { .. } => panic!("nobody asks"),
                Action::Restore(_) => panic!("nobody falls behind here"),
                Action::Reject(rejection) => panic!("refused: {rejection:?}"),
                Action::Halt(reason) => panic!("halted: {reason:?}"),
            };
            self.step(at, done);
        }
        self.actions.clear();
    }
}

/// What is left of an action whose content went elsewhere.
const DONE: Action = Action::Checkpoint { op: Op::ZERO };

struct Nodes {
    primary: Node,
    backups: Vec<Node>,
    clients: Clients,
    now: Time,
}

impl Nodes {
    fn with_sessions(case: Case) -> Self {
        let members = u16::try_from(case.replicas).expect("few");
        let cluster = ClusterConfig::of_size(ClusterId(1), members);
        let mut clients = Clients { all: Vec::new(), turns: (0, 0), answered: 0, buffer: ReadBuffer::default() };
        let mut open = |id: &ReplicaId| {
            let disk = Stored::format(cluster.cluster, cluster.digest(), *id, Instance(id.0.into()));
            let (config, mut actions) = (Config::new(cluster.clone(), *id), Vec::new());
            let replica = Replica::open(config, disk, Time::ZERO, &mut actions).expect("a valid configuration");
            let mut node = Node { replica, applied: Applied::default(), actions, outbox: Vec::new() };
            node.carry_out(Time::ZERO, &mut clients);
            node
        };
        let mut nodes: Vec<Node> = cluster.members.iter().map(&mut open).collect();
        let mut this = Self { primary: nodes.remove(0), backups: nodes, clients, now: Time::ZERO };
        for number in 0..case.outstanding {
            let client = Client { id: client(number), session: Session::ZERO, sent: RequestNumber::ZERO };
            let register = request(&client, Bytes::new());
            this.clients.all.push(client);
            this.tell_primary(Input::Request(register));
            this.exchange();
            this.leader_in();
        }
        this.settle();
        this.exchange();
        assert!(this.clients.all.iter().all(|client| client.session != Session::ZERO), "every Register is answered");
        this
    }

    fn tell_primary(&mut self, input: Input) {
        self.primary.step(self.now, input);
        self.primary.carry_out(self.now, &mut self.clients);
    }
}

impl Cluster for Nodes {
    fn leader_in(&mut self) -> usize {
        for backup in &mut self.backups {
            for (_, message) in backup.outbox.drain(..) {
                self.primary.step(self.now, Input::Message(message));
            }
        }
        self.primary.carry_out(self.now, &mut self.clients);
        self.clients.answered
    }

    fn propose(&mut self, wire: &[u8], op_bytes: usize) {
        if !wire.is_empty() {
            let input = self.clients.next_input(wire, op_bytes);
            self.tell_primary(input);
        }
    }

    fn exchange(&mut self) {
        for (to, message) in self.primary.outbox.drain(..) {
            let (last, others) = match to {
                To::One(ReplicaId(id)) => (self.backups.get_mut(usize::from(id) - 1), [].as_mut_slice()),
                To::Others => self.backups.split_last_mut().map_or((None, [].as_mut_slice()), |(l, o)| (Some(l), o)),
            };
            others.iter_mut().for_each(|backup| backup.step(self.now, Input::Message(message.clone())));
            last.expect("a backup").step(self.now, Input::Message(message));
        }
        for backup in &mut self.backups {
            backup.carry_out(self.now, &mut self.clients);
        }
    }

    /// An idle primary says how far it has committed with its next heartbeat.
    fn settle(&mut self) {
        self.now = self.now.after(Wait::millis(50));
        self.tell_primary(Input::Tick);
    }

    fn applied_everywhere(&self) -> usize {
        let nodes = self.backups.iter().chain([&self.primary]);
        nodes.map(|node| node.applied.count()).min().unwrap_or(0)
    }
}
