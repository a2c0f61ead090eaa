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
    Action, ClientId, ClusterConfig, ClusterId, Config, Entries, Event, Input, Instance, Kind, Predicted, Replica,
    ReplicaId, Reply, Request, RequestNumber, Session, Stored, Time, To, Wait,
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

    /// The requests that the next clients send: one copy of the ops, which are borrowed.
    fn next_requests(&mut self, wire: &[u8], op_bytes: usize) -> impl ExactSizeIterator<Item = Request> {
        let Self { all, turns, buffer, .. } = self;
        buffer.hold(wire, op_bytes).map(|op| {
            let turn = Self::turn(&mut turns.0, all.len());
            let client = &mut all[turn];
            client.sent = client.sent.next();
            request(client, op)
        })
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
    /// So many of the actions are carried out.
    done: usize,
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
        while let Some(action) = self.actions.get(self.done) {
            self.done += 1;
            let done = match action {
                Action::Persist { id, .. } => Input::Persisted(*id),
                Action::Execute(entries) => Self::execute(&mut self.applied, entries),
                Action::Reply(reply) => {
                    clients.deliver(reply);
                    continue;
                }
                Action::Send { .. } | Action::Note(_) => continue,
                Action::Checkpoint { op } => Input::CheckpointTaken { op: *op, state: Bytes::new() },
                Action::Read(_) => panic!("nobody asks"),
                Action::Restore(_) => panic!("nobody falls behind here"),
                Action::Reject(rejection) => panic!("refused: {rejection:?}"),
                Action::Halt(reason) => panic!("halted: {reason:?}"),
            };
            self.step(at, done);
        }
    }
}

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
            let mut node = Node { replica, applied: Applied::default(), actions, done: 0 };
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
            for action in backup.actions.drain(..) {
                if let Action::Send { message, .. } = action {
                    self.primary.step(self.now, Input::Message(message));
                }
            }
            backup.done = 0;
        }
        self.primary.carry_out(self.now, &mut self.clients);
        self.clients.answered
    }

    fn propose(&mut self, wire: &[u8], op_bytes: usize) {
        let mut requests = self.clients.next_requests(wire, op_bytes);
        let input = match requests.len() {
            0 => return,
            1 => requests.next().map(Input::Request),
            _ => Some(Input::Requests(requests.by_ref().collect())),
        };
        drop(requests);
        self.tell_primary(input.expect("there are some"));
    }

    fn exchange(&mut self) {
        for action in self.primary.actions.drain(..) {
            let Action::Send { to, message } = action else { continue };
            let (last, others) = match to {
                To::One(ReplicaId(id)) => (self.backups.get_mut(usize::from(id) - 1), [].as_mut_slice()),
                To::Others => self.backups.split_last_mut().map_or((None, [].as_mut_slice()), |(l, o)| (Some(l), o)),
            };
            others.iter_mut().for_each(|backup| backup.step(self.now, Input::Message(message.clone())));
            last.expect("a backup").step(self.now, Input::Message(message));
        }
        self.primary.done = 0;
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
