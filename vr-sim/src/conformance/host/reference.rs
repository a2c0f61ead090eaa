//! A host loop that passes, in a few dozen lines: what [`vr_core::Replica`] asks for is carried out in order.
//!
//! Owns the loop, a disk that is a queue, a service that echoes, and the defects that make it fail. Must not know what
//! is tried.

use super::{Host, Said};
use std::collections::VecDeque;
use vr_core::{
    Action, ClientId, ClusterConfig, Config, Event, Input, Instance, Kind, Message, Op, Predicted, Replica, ReplicaId,
    Reply, Request, RequestNumber, Session, Stored, Time, View, Wait, Write, WriteId,
};

/// What is wrong with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Defect {
    /// Nothing.
    #[default]
    None,
    /// An incarnation counts as durable when it is handed to the disk.
    TrustsIncarnations,
    /// Entries do.
    TrustsEntries,
    /// A view does.
    TrustsViews,
    /// It answers clients when it has their operation, and not when the replica says so.
    AnswersAtOnce,
    /// A sync that failed counts as one that did not.
    GoesOn,
    /// What became durable is not told when it was entries.
    ForgetsCompletions,
}

const CLIENT: ClientId = ClientId(9);

/// A host in memory.
#[derive(Debug, Default)]
pub struct Reference {
    defect: Defect,
    replica: Option<Replica>,
    now: Time,
    held: bool,
    failing: bool,
    stopped: bool,
    disk: VecDeque<(WriteId, bool)>,
    said: Vec<Said>,
    session: Option<Session>,
    /// The last number used.
    number: u64,
    calls: VecDeque<Vec<u8>>,
}

impl Reference {
    /// One with this defect.
    #[must_use]
    pub fn with(defect: Defect) -> Self {
        Self { defect, ..Self::default() }
    }

    fn step(&mut self, input: Input) {
        let Some(replica) = &mut self.replica else { return };
        let actions = replica.step(Event { at: self.now, input });
        self.carry_out(actions);
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send { message, .. } => self.said.push(Said::Message(message)),
                Action::Persist { id, write } => self.persist(id, &write),
                Action::Execute(entries) => {
                    let replies = entries.iter().map(|entry| entry.body().clone()).collect();
                    let first = entries.first().map_or(Op::ZERO, |first| first.op());
                    self.step(Input::ExecutedRun { first, replies });
                }
                Action::Checkpoint { op } => {
                    self.step(Input::CheckpointTaken { op, state: Vec::new().into() });
                }
                Action::Restore(checkpoint) => self.step(Input::Restored { op: checkpoint.op() }),
                Action::Reply(reply) => self.answer(reply),
                Action::Halt(_) => self.stopped = true,
                Action::Reject(_) | Action::Note(_) | Action::Read(_) | Action::ReadBefore { .. } => {}
            }
        }
    }

    fn persist(&mut self, id: WriteId, write: &Write) {
        let trusts = match write {
            Write::Incarnation(_) => self.defect == Defect::TrustsIncarnations,
            Write::Append(_) => self.defect == Defect::TrustsEntries,
            Write::View(_) => self.defect == Defect::TrustsViews,
            Write::Replace { .. }
            | Write::Repair { .. }
            | Write::Clean
            | Write::Checkpoint(_)
            | Write::Cut { .. }
            | Write::Install { .. } => false,
        };
        if trusts {
            self.step(Input::Persisted(id));
        }
        self.disk.push_back((id, matches!(write, Write::Append(_))));
    }

    /// The disk does what it can.
    fn sync(&mut self) {
        while let Some((id, is_append)) = self.disk.front().copied().filter(|_| !self.held && !self.stopped) {
            self.disk.pop_front();
            let fails = std::mem::take(&mut self.failing) && self.defect != Defect::GoesOn;
            let is_forgotten = is_append && self.defect == Defect::ForgetsCompletions;
            if fails {
                self.step(Input::WriteFailed);
            } else if !is_forgotten {
                self.step(Input::Persisted(id));
            }
        }
    }

    fn answer(&mut self, reply: Reply) {
        if self.session.is_some() {
            self.said.push(Said::Reply(reply));
            return;
        }
        self.session = Some(reply.session);
        self.ask();
    }

    /// Sends the next request: one that opens a session, until there is one.
    fn ask(&mut self) {
        let Some(session) = self.session else {
            self.request(Session::ZERO, RequestNumber::ZERO, Kind::Register, Vec::new());
            return;
        };
        while let Some(body) = self.calls.pop_front() {
            self.number += 1;
            let number = RequestNumber(self.number);
            if self.defect == Defect::AnswersAtOnce {
                let (op, view, result) = (Op::ZERO, View::ZERO, body.clone().into());
                let reply = Reply { client: CLIENT, session, number, op, view, result, duplicate: false };
                self.said.push(Said::Reply(reply));
            }
            self.request(session, number, Kind::Operation, body);
        }
    }

    fn request(&mut self, session: Session, number: RequestNumber, kind: Kind, body: Vec<u8>) {
        let (client, predicted) = (CLIENT, Predicted::default());
        self.step(Input::Request(Request { client, session, number, kind, predicted, body: body.into() }));
    }
}

impl Host for Reference {
    fn start(&mut self, me: ReplicaId, cluster: &ClusterConfig, held: bool) -> Result<(), String> {
        *self = Self { held, ..Self::with(self.defect) };
        let stored = Stored::format(cluster.cluster, cluster.digest(), me, Instance(77));
        let mut actions = Vec::new();
        let replica = Replica::open(Config::new(cluster.clone(), me), stored, self.now, &mut actions);
        self.replica = Some(replica.map_err(|error| error.to_string())?);
        self.carry_out(actions);
        Ok(())
    }

    fn hold_disk(&mut self, held: bool) {
        self.held = held;
    }

    fn fail_disk(&mut self) {
        self.failing = true;
    }

    fn deliver(&mut self, message: &Message) {
        self.step(Input::Message(message.clone()));
    }

    fn call(&mut self, body: &[u8]) {
        self.sync();
        self.calls.push_back(body.to_vec());
        self.ask();
    }

    fn said(&mut self) -> Vec<Said> {
        self.now = self.now.after(Wait::millis(1));
        self.sync();
        let deadline = self.replica.as_ref().and_then(Replica::next_deadline);
        if deadline.is_some_and(|deadline| deadline <= self.now) {
            self.step(Input::Tick);
            self.sync();
        }
        std::mem::take(&mut self.said)
    }

    fn stopped(&mut self) -> bool {
        self.sync();
        self.stopped
    }
}
