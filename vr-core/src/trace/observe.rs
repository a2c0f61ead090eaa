//! One function for everyone: a step of a replica as trace events.
//!
//! Owns what is derived from a step, and in which order: its cause, what changed, then what was asked of the
//! driver. Must not know the replica's private fields: it sees snapshots, the event and the actions. Paper: the
//! variables of VRR Figure 2.

use super::event::{TraceEvent, What};
use super::kinds::{
    Acknowledged, Checkpointed, Committed, DiskEvent, Executed, LogSlot, Received, Remark, Restarted, Snap, State,
    Synced, TimerEvent,
};
use super::names::{MessageId, Node, Recipient};
use super::notes;
use super::summary::{message_sent, read_answered, rejected, rejection_sent, reply_sent, short_hash, shown};
use super::words::{DiskAct, DiskFault, LogAct, Redact, Status, SyncAct, TimerAct, Verdict};
use crate::action::{Action, Note, To, Write};
use crate::entry::{Entries, Entry, Kind, Query, Request};
use crate::event::{Event, Input};
use crate::id::{Op, ReplicaId, Session, Time, WriteId};
use crate::message::{Body, Message};
use crate::replica::{Snapshot, StatusName};
use alloc::boxed::Box;

/// One step of one replica, seen from outside.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// The replica before it.
    pub before: &'a Snapshot,
    /// What happened to it.
    pub event: &'a Event,
    /// What it asked its driver to do.
    pub actions: &'a [Action],
    /// The replica after it.
    pub after: &'a Snapshot,
}

/// Gives `sink` the events of a step: the first is the cause of the others. A tick without effect gives none.
///
/// Times are those of the replica's own clock, indices and causes are left to a [`super::Recorder`].
pub fn observe(step: &Step<'_>, redact: Redact, sink: &mut impl FnMut(TraceEvent)) {
    let Step { before, event, actions, after } = *step;
    if event.input == Input::Tick && actions.is_empty() && before == after {
        return;
    }
    let mut view = Observer::new(event.at, after.id, before.op, redact, sink);
    view.cause(step);
    if let Some(change) = State::change(before, after) {
        view.emit(What::Set(Box::new(change)));
    }
    if after.commit > before.commit {
        view.emit(What::Committed(Committed { op: after.commit.0 }));
    }
    for action in actions {
        view.action(action);
    }
}

/// Gives `sink` the events of a replica's start: [`crate::Replica::open`] gave these actions and this state.
pub fn opened(at: Time, actions: &[Action], after: &Snapshot, redact: Redact, sink: &mut impl FnMut(TraceEvent)) {
    let mut view = Observer::new(at, after.id, after.op, redact, sink);
    view.emit(What::Restarted(Restarted { lost: None, wiped: None, inc: after.incarnation.0 }));
    view.emit(What::Snap(Snap { state: Box::new(State::of(after)) }));
    for action in actions {
        view.action(action);
    }
}

impl State {
    /// All that a snapshot shows.
    #[must_use]
    pub fn of(snapshot: &Snapshot) -> Self {
        Self {
            inc: Some(snapshot.incarnation.0),
            view: Some(snapshot.view.0),
            epoch: Some(snapshot.epoch.0),
            status: Some(status(snapshot.status)),
            lnv: Some(snapshot.log_view.0),
            op: Some(snapshot.op.0),
            commit: Some(snapshot.commit.0),
            applied: Some(snapshot.executed.0),
            durable: Some(snapshot.durable.0),
            ckpt: Some(snapshot.checkpoint.0).filter(|op| *op > 0),
            log_lo: (snapshot.base > Op::ZERO).then_some(snapshot.base.next().0),
            primary: Some(Node::Replica(snapshot.primary)),
            want: Some(snapshot.wants_view_change),
            ..Self::default()
        }
    }

    /// What changed, if anything that a trace shows did.
    #[must_use]
    pub fn change(before: &Snapshot, after: &Snapshot) -> Option<Self> {
        if before == after {
            return None;
        }
        let (old, new) = (Self::of(before), Self::of(after));
        let change = Self {
            inc: changed(old.inc, new.inc),
            view: changed(old.view, new.view),
            epoch: changed(old.epoch, new.epoch),
            status: changed(old.status, new.status),
            lnv: changed(old.lnv, new.lnv),
            op: changed(old.op, new.op),
            commit: changed(old.commit, new.commit),
            applied: changed(old.applied, new.applied),
            durable: changed(old.durable, new.durable),
            ckpt: changed(old.ckpt, new.ckpt),
            log_lo: changed(old.log_lo, new.log_lo),
            primary: changed(old.primary, new.primary),
            want: changed(old.want, new.want),
            ..Self::default()
        };
        (change != Self::default()).then_some(change)
    }
}

fn changed<T: PartialEq>(old: Option<T>, new: Option<T>) -> Option<T> {
    if old == new { None } else { new }
}

const fn status(name: StatusName) -> Status {
    match name {
        StatusName::Primary | StatusName::Backup => Status::Normal,
        StatusName::ViewChange => Status::ViewChange,
        StatusName::Recovering => Status::Recovering,
        StatusName::Transitioning => Status::Transitioning,
        StatusName::Retired => Status::Retired,
        StatusName::Halted => Status::Halted,
    }
}

struct Observer<'s, S> {
    at: Time,
    on: ReplicaId,
    redact: Redact,
    /// Where the log ended before.
    begin: Op,
    /// Where the log ends, as far as the writes seen so far say.
    log_end: Op,
    /// What fills slots in this step.
    act: LogAct,
    sink: &'s mut S,
}

impl<'s, S: FnMut(TraceEvent)> Observer<'s, S> {
    const fn new(at: Time, on: ReplicaId, log_end: Op, redact: Redact, sink: &'s mut S) -> Self {
        Self { at, on, redact, begin: log_end, log_end, act: LogAct::Append, sink }
    }

    fn emit(&mut self, what: What) {
        (self.sink)(TraceEvent::at(self.at.0, Node::Replica(self.on), what));
    }

    fn cause(&mut self, step: &Step<'_>) {
        match &step.event.input {
            Input::Tick => {
                self.emit(What::Timer(TimerEvent { name: "tick".into(), act: TimerAct::Fire, at: None }));
            }
            Input::Request(request) => self.requested(request, step.actions),
            Input::Requests(requests) => {
                requests.iter().for_each(|request| self.requested(request, step.actions));
            }
            Input::Query(query) | Input::QueryHere(query) | Input::QueryLate(query) => {
                self.queried(query, step.actions);
            }
            Input::Message(message) => self.received(message, step),
            Input::Persisted(id) => self.emit(disk(DiskAct::Fsync, Some(*id), None)),
            Input::WriteFailed => self.emit(disk(DiskAct::Write, None, Some(DiskFault::Eio))),
            Input::Space(has) => {
                let text = if *has { "there is room on its disk again" } else { "its disk is full" };
                self.emit(What::Note(Remark { what: Some("space".into()), text: text.into(), at: None }));
            }
            Input::Stop => {
                let text = "is asked to stop".into();
                self.emit(What::Note(Remark { what: Some("stop".into()), text, at: None }));
            }
            Input::HandOver { .. } => {
                let text = "is asked to give way".into();
                self.emit(What::Note(Remark { what: Some("hand_over".into()), text, at: None }));
            }
            Input::CheckpointTaken { op, .. } | Input::CheckpointBegun { op } => {
                self.emit(What::Executed(Executed {
                    op: op.0,
                    client: None,
                    req: None,
                    res: Some("checkpoint".into()),
                }));
            }
            // Its state was set aside when it answered; what is written of it says its note.
            Input::CheckpointGiven(_) => {}
            Input::Restored { op } => {
                self.emit(What::Executed(Executed { op: op.0, client: None, req: None, res: Some("restored".into()) }));
            }
            Input::Executed { op, reply } => self.executed(*op, reply, step.actions),
            Input::ExecutedRun { first, replies } => {
                let mut op = *first;
                for reply in replies {
                    self.executed(op, reply, step.actions);
                    op = op.next();
                }
            }
        }
    }

    fn executed(&mut self, op: Op, reply: &[u8], actions: &[Action]) {
        let answered = actions.iter().find_map(|action| {
            let Action::Reply(answer) = action else { return None };
            (answer.op == op).then_some(answer)
        });
        self.emit(What::Executed(Executed {
            op: op.0,
            client: answered.map(|reply| Node::Client(reply.client)),
            req: answered.map(|reply| reply.number.0),
            res: (!reply.is_empty()).then(|| shown(reply, self.redact)),
        }));
    }

    fn requested(&mut self, request: &Request, actions: &[Action]) {
        let refusal = actions.iter().find_map(|action| {
            let (client, number, why) = if let Action::Reject(rejection) = action {
                (rejection.client, rejection.number, rejected(rejection.reason))
            } else if let Action::Note(Note::DuplicateRequest { client, number }) = action {
                (*client, *number, "duplicate".into())
            } else {
                return None;
            };
            ((client, number) == (request.client, request.number)).then_some(why)
        });
        let verdict = if refusal.is_some() { Verdict::Ignored } else { Verdict::Ok };
        let m = MessageId::of_request(request);
        self.emit(What::Received(Received { m, ty: "Request".into(), verdict, why: refusal }));
    }

    fn queried(&mut self, query: &Query, actions: &[Action]) {
        let refusal = actions.iter().find_map(|action| {
            let Action::Reject(rejection) = action else { return None };
            ((rejection.client, rejection.number) == (query.client, query.number)).then(|| rejected(rejection.reason))
        });
        let verdict = if refusal.is_some() { Verdict::Ignored } else { Verdict::Ok };
        let m = MessageId::Request { client: query.client, session: Session::ZERO, number: query.number };
        self.emit(What::Received(Received { m, ty: "Read".into(), verdict, why: refusal }));
    }

    fn received(&mut self, message: &Message, step: &Step<'_>) {
        let (header, body) = (&message.header, &message.body);
        let refusal = step.actions.iter().find_map(|action| {
            let Action::Note(Note::Ignored { from, kind, why }) = action else { return None };
            (*from == header.from && *kind == body.kind()).then(|| notes::ignored(*why))
        });
        let (verdict, why) = refusal.map_or((Verdict::Ok, None), |(verdict, why)| (verdict, Some(why.into())));
        let ty = body.kind().name().into();
        self.emit(What::Received(Received { m: MessageId::of(header), ty, verdict, why }));
        if let Body::PrepareOk { head, beat: _ } = body
            && verdict == Verdict::Ok
            && head.op > step.before.commit
        {
            let from = Node::Replica(header.from);
            self.emit(What::Acknowledged(Acknowledged { op: head.op.0, from, have: None, need: None }));
        }
        if let Body::NewState(_) | Body::RecoveryResponse(_) = body {
            self.act = LogAct::Repair;
        }
    }

    fn action(&mut self, action: &Action) {
        match action {
            Action::Send { to, message } => {
                let to = match to {
                    To::One(id) => Recipient::One(Node::Replica(*id)),
                    To::Others => Recipient::Others,
                };
                self.emit(message_sent(to, message));
            }
            Action::Persist { id, write } => self.written(*id, write),
            Action::Reply(reply) => self.emit(reply_sent(self.on, reply, self.redact)),
            Action::Reject(rejection) => self.emit(rejection_sent(self.on, rejection)),
            Action::Note(note) => self.noted(note),
            Action::Halt(reason) => {
                let text = notes::halted(*reason).into();
                self.emit(What::Note(Remark { what: Some("halted".into()), text, at: None }));
            }
            // Seen when the service has answered.
            Action::Execute(_) | Action::Checkpoint { .. } | Action::Restore(_) => {}
            Action::Read(queries) | Action::ReadBefore { queries, .. } => {
                queries.iter().for_each(|query| self.emit(read_answered(self.on, query)));
            }
        }
    }

    fn written(&mut self, id: WriteId, write: &Write) {
        let (what, op) = match write {
            Write::Incarnation(_) => ("incarnation", None),
            Write::View(_) => ("view", None),
            Write::Clean => ("clean", None),
            Write::Append(entries) => {
                self.filled(entries);
                ("append", Some(self.log_end))
            }
            Write::Replace { keep, entries, view: _ } => {
                self.cut_back(*keep);
                self.filled(entries);
                ("replace", Some(self.log_end))
            }
            Write::Repair { keep, entries } => {
                self.cut_back(*keep);
                self.filled(entries);
                ("repair", Some(self.log_end))
            }
            Write::Checkpoint(checkpoint) => ("checkpoint", Some(checkpoint.op())),
            Write::Cut { through } => ("cut", Some(*through)),
            Write::Install { checkpoint, entries, view: _ } => {
                self.log_end = checkpoint.op();
                self.filled(entries);
                ("install", Some(self.log_end))
            }
        };
        let mut event = disk_event(DiskAct::Write, Some(id), None);
        (event.what, event.op) = (Some(what.into()), op.map(|op| op.0));
        self.emit(What::Disk(event));
    }

    fn cut_back(&mut self, keep: Op) {
        if keep < self.log_end {
            self.log_end = keep;
            let act = LogAct::Truncate;
            let (client, req, ck, val) = (None, None, None, None);
            self.emit(What::Log(LogSlot { op: keep.0, view: None, client, req, ck, act, val }));
        }
    }

    fn filled(&mut self, entries: &Entries) {
        for entry in entries {
            let slot = slot(entry, self.act, self.redact);
            self.emit(What::Log(slot));
            self.log_end = entry.op();
        }
    }

    fn noted(&mut self, note: &Note) {
        if let Note::AskedForState { of, id: _ } = *note {
            let (from, lo) = (Node::Replica(of), self.log_end.next().0);
            self.emit(What::Synced(Synced { from, lo, hi: None, act: SyncAct::Ask }));
        }
        if let Note::TookState { from, op } = *note {
            let (from, lo) = (Node::Replica(from), self.begin.min(op).next().0);
            self.emit(What::Synced(Synced { from, lo, hi: Some(op.0), act: SyncAct::Take }));
        }
        if let Note::AskedForCheckpoint { of, op, offset: _ } = *note {
            let (from, lo, hi) = (Node::Replica(of), self.log_end.next().0, Some(op.0));
            self.emit(What::Synced(Synced { from, lo, hi, act: SyncAct::Ask }));
        }
        if let Note::CheckpointTaken { op, digest } | Note::CheckpointInstalled { op, digest } = *note {
            self.emit(What::Checkpointed(Checkpointed { op: op.0, ck: short_hash(digest) }));
        }
        if let Some((what, text)) = notes::remark(note) {
            self.emit(What::Note(Remark { what: Some(what.into()), text: text.into(), at: None }));
        }
    }
}

fn slot(entry: &Entry, act: LogAct, redact: Redact) -> LogSlot {
    LogSlot {
        op: entry.op().0,
        view: Some(entry.view().0),
        client: Some(Node::Client(entry.client())),
        req: Some(entry.number().0),
        ck: Some(short_hash(entry.hash())),
        act,
        val: match entry.kind() {
            Kind::Register => None,
            Kind::Operation | Kind::Reconfiguration => Some(shown(entry.body(), redact)),
        },
    }
}

const fn disk_event(act: DiskAct, id: Option<WriteId>, fault: Option<DiskFault>) -> DiskEvent {
    let w = match id {
        Some(id) => Some(id.0),
        None => None,
    };
    DiskEvent { act, w, what: None, op: None, off: None, len: None, dur: None, fault }
}

const fn disk(act: DiskAct, id: Option<WriteId>, fault: Option<DiskFault>) -> What {
    What::Disk(disk_event(act, id, fault))
}
