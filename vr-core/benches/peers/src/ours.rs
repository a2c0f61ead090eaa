//! vr-core as a contender: sessions, at-most-once and the hash chain included, disk and service answering at once.
//!
//! Each outstanding op belongs to a client of its own, as the protocol wants it: K outstanding are K sessions.

use crate::contender::{Applied, Case, Cluster, Contender, closed_loop};
use bytes::Bytes;
use std::collections::VecDeque;
use std::slice::ChunksExact;
use std::time::Duration;
use vr_core::{
    Action, ClientId, ClusterConfig, ClusterId, Config, Entries, Event, Input, Instance, Kind, Message, Predicted,
    Replica, ReplicaId, Request, RequestNumber, Session, Stored, Time, To, Wait, WriteId,
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

struct Nodes {
    nodes: Vec<Node>,
    to_primary: Vec<Message>,
    to_backups: Vec<(To, Message)>,
    actions: Vec<Action>,
    run: Run,
    /// Session and next request-number of each client.
    clients: Vec<(Session, u64)>,
    turn: usize,
    now: Time,
}

/// What a replica asked for of its disk and its service in one step.
#[derive(Default)]
struct Run {
    written: Option<WriteId>,
    upcalls: VecDeque<Entries>,
    opened: Vec<Session>,
}

fn client(number: usize) -> ClientId {
    let number = u128::try_from(number).expect("small") + 1;
    ClientId(number.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835))
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
            run: Run::default(),
            clients: Vec::new(),
            turn: 0,
            now: Time::ZERO,
        };
        for id in cluster.members.clone() {
            let disk = Stored::format(cluster.cluster, cluster.digest(), id, Instance(id.0.into()));
            let config = Config::new(cluster.clone(), id);
            let replica = Replica::open(config, disk, this.now, &mut this.actions).expect("a valid configuration");
            this.nodes.push(Node { replica, applied: Applied::default() });
            this.carry_out(usize::from(id.0));
            this.complete(usize::from(id.0));
        }
        for number in 0..case.outstanding {
            this.request(number, Session::ZERO, 0, Bytes::new());
            this.exchange();
            this.leader_in();
            let session = this.run.opened.pop().expect("a Register is answered");
            this.clients.push((session, 1));
        }
        this.settle();
        this.exchange();
        this
    }

    fn request(&mut self, number: usize, session: Session, request: u64, body: Bytes) {
        let kind = if request == 0 { Kind::Register } else { Kind::Operation };
        let (client, number) = (client(number), RequestNumber(request));
        let predicted = Predicted { wall_ns: 1, seed: 0 };
        self.step(0, Input::Request(Request { client, session, number, kind, predicted, body }));
    }

    fn step(&mut self, at: usize, input: Input) {
        self.nodes[at].replica.step_into(Event { at: self.now, input }, &mut self.actions);
        self.carry_out(at);
        self.complete(at);
    }

    fn carry_out(&mut self, at: usize) {
        for action in self.actions.drain(..) {
            match action {
                Action::Send { to, message } if at == 0 => self.to_backups.push((to, message)),
                Action::Send { message, .. } => self.to_primary.push(message),
                Action::Persist { id, .. } => self.run.written = Some(id),
                Action::Execute(entries) => self.run.upcalls.push_back(entries),
                Action::Reply(reply) if reply.number == RequestNumber::ZERO => self.run.opened.push(reply.session),
                Action::Reply(_) | Action::Note(_) => {}
                Action::Checkpoint { .. } | Action::Restore(_) => panic!("the interval is longer than any run"),
                Action::Reject(rejection) => panic!("refused: {rejection:?}"),
                Action::Halt(reason) => panic!("halted: {reason:?}"),
            }
        }
    }

    /// Disk and service answer at once.
    fn complete(&mut self, at: usize) {
        loop {
            if let Some(id) = self.run.written.take() {
                let event = Event { at: self.now, input: Input::Persisted(id) };
                self.nodes[at].replica.step_into(event, &mut self.actions);
            } else if let Some(entries) = self.run.upcalls.pop_front() {
                for entry in &entries {
                    let node = &mut self.nodes[at];
                    node.applied.apply(entry.body());
                    let input = Input::Executed { op: entry.op(), reply: Bytes::new() };
                    node.replica.step_into(Event { at: self.now, input }, &mut self.actions);
                }
            } else {
                return;
            }
            self.carry_out(at);
        }
    }
}

impl Cluster for Nodes {
    fn leader_in(&mut self) -> usize {
        let mut inbox = std::mem::take(&mut self.to_primary);
        for message in inbox.drain(..) {
            self.step(0, Input::Message(message));
        }
        self.to_primary = inbox;
        self.nodes[0].applied.count()
    }

    fn propose(&mut self, ops: ChunksExact<'_, u8>) {
        for op in ops {
            let (session, number) = self.clients[self.turn];
            self.clients[self.turn].1 += 1;
            self.request(self.turn, session, number, Bytes::copy_from_slice(op));
            self.turn = (self.turn + 1) % self.clients.len();
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
