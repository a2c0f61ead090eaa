//! When messages are shown one by one, and when they are only counted.
//!
//! Owns the counts of the messages that a loaded cluster sends all the time, the short windows they are judged by, and
//! which steps are no more than that. Must not know rings or readers. VIEW.md §5.2 ("Overload").

use vr_core::trace::{Aggregated, Node, Recipient, Step, What};
use vr_core::wire::encoded_size;
use vr_core::{Action, Body, Event, Input, Message, MessageKind, Note, Snapshot, Time, To, Wait, Write};

/// How long a window is. What is only counted is told at its end.
const SPAN: Wait = Wait::millis(100);
/// With more messages of a type, or entries, than this in a window, 2,000 in a second, they are only counted, for the
/// rest of it and on …
const MANY: u64 = 200;
/// … until there are fewer than this …
const FEW: u64 = 100;
/// … in so many windows, one after the other.
const CALM: u32 = 5;

/// The types that are counted; every other message is always shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Prepare,
    PrepareOk,
    Commit,
    CommitOk,
    Request,
    Reply,
    GetReadIndex,
    ReadIndex,
}

/// How many types have a peak: beside these, entries, of which one prepare may bring thousands.
const KINDS: usize = Kind::ALL.len() + 1;
const ENTRIES: usize = KINDS - 1;

impl Kind {
    const ALL: [Self; 8] = [
        Self::Prepare,
        Self::PrepareOk,
        Self::Commit,
        Self::CommitOk,
        Self::Request,
        Self::Reply,
        Self::GetReadIndex,
        Self::ReadIndex,
    ];

    fn of(message: &Message) -> Option<Self> {
        let kind = message.body.kind();
        let is_it = |this: &Self| match this {
            Self::Prepare => kind == MessageKind::Prepare,
            Self::PrepareOk => kind == MessageKind::PrepareOk,
            Self::Commit => kind == MessageKind::Commit,
            Self::CommitOk => kind == MessageKind::CommitOk,
            Self::GetReadIndex => kind == MessageKind::GetReadIndex,
            Self::ReadIndex => kind == MessageKind::ReadIndex,
            Self::Request | Self::Reply => false,
        };
        Self::ALL.into_iter().find(is_it)
    }

    const fn index(self) -> usize {
        match self {
            Self::Prepare => 0,
            Self::PrepareOk => 1,
            Self::Commit => 2,
            Self::CommitOk => 3,
            Self::Request => 4,
            Self::Reply => 5,
            Self::GetReadIndex => 6,
            Self::ReadIndex => 7,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Prepare => "Prepare",
            Self::PrepareOk => "PrepareOk",
            Self::Commit => "Commit",
            Self::CommitOk => "CommitOk",
            Self::Request => "Request",
            Self::Reply => "Reply",
            Self::GetReadIndex => "GetReadIndex",
            Self::ReadIndex => "ReadIndex",
        }
    }
}

/// What went one way.
#[derive(Debug)]
struct Flow {
    from: Node,
    to: Recipient,
    kind: Kind,
    count: u64,
    bytes: u64,
}

/// What a node's messages amount to.
#[derive(Debug)]
pub(super) struct Traffic {
    me: Node,
    /// Are messages only counted? Decided before each step.
    is_busy: bool,
    /// Too many were shown for the next step to be.
    is_much: bool,
    calm: u32,
    began: Time,
    /// How many came and went in this window, of each type.
    peaks: [[u64; KINDS]; 2],
    /// Since when flows are counted.
    since: Time,
    flows: Vec<Flow>,
}

impl Traffic {
    pub(super) const fn new(me: Node) -> Self {
        let (peaks, since) = ([[0; KINDS]; 2], Time(0));
        Self { me, is_busy: false, is_much: false, calm: 0, began: since, peaks, since, flows: Vec::new() }
    }

    /// Counting begins.
    pub(super) fn begin(&mut self, now: Time) {
        *self = Self { began: now, since: now, ..Self::new(self.me) };
    }

    /// Are messages only counted?
    pub(super) const fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// Is it time to tell what was counted?
    pub(super) fn is_due(&self, now: Time) -> bool {
        now.since(self.since) >= SPAN
    }

    /// A step begins: a window may be over, and decides about the next one.
    pub(super) fn turn(&mut self, now: Time) {
        let lasted = now.since(self.began);
        if lasted >= SPAN {
            let most = self.peaks.iter().flatten().max().copied().unwrap_or(0);
            let is_few = most.saturating_mul(SPAN.0) < FEW.saturating_mul(lasted.0);
            self.calm = if is_few { self.calm + 1 } else { 0 };
            self.is_busy &= self.calm < CALM;
            (self.began, self.peaks) = (now, [[0; KINDS]; 2]);
        }
        if std::mem::take(&mut self.is_much) {
            (self.is_busy, self.calm) = (true, 0);
        }
    }

    /// Something arrives.
    pub(super) fn arrives(&mut self, input: &Input) {
        if let Input::Message(message) = input {
            let from = Node::Replica(message.header.from);
            self.message(0, from, Recipient::One(self.me), message);
        } else if let Input::Request(request) = input {
            self.client(0, Kind::Request, request.body.len());
        } else if let Input::Query(query) | Input::QueryHere(query) = input {
            self.client(0, Kind::Request, query.body.len());
        } else if let Input::Requests(requests) = input {
            requests.iter().for_each(|request| self.client(0, Kind::Request, request.body.len()));
        }
    }

    /// Something is sent.
    pub(super) fn leaves(&mut self, actions: &[Action]) {
        for action in actions {
            match action {
                Action::Send { to, message } => {
                    let to = match to {
                        To::One(id) => Recipient::One(Node::Replica(*id)),
                        To::Others => Recipient::Others,
                    };
                    self.message(1, self.me, to, message);
                }
                Action::Reply(reply) => self.client(1, Kind::Reply, reply.result.len()),
                Action::Reject(_) => self.client(1, Kind::Reply, 0),
                Action::Read(queries) | Action::ReadBefore { queries, .. } => {
                    queries.iter().for_each(|_| self.client(1, Kind::Reply, 0));
                }
                Action::Persist { .. }
                | Action::Execute(_)
                | Action::Checkpoint { .. }
                | Action::Restore(_)
                | Action::Note(_)
                | Action::Halt(_) => {}
            }
        }
    }

    /// What was counted since this was asked last.
    pub(super) fn take(&mut self, now: Time) -> Vec<What> {
        let dt = now.since(self.since).0;
        self.since = now;
        let told = |flow: Flow| {
            let Flow { from, to, kind, count, bytes } = flow;
            What::Aggregated(Aggregated { from, to, ty: kind.name().into(), count, bytes, dt })
        };
        self.flows.drain(..).map(told).collect()
    }

    fn message(&mut self, way: usize, from: Node, to: Recipient, message: &Message) {
        let Some(kind) = Kind::of(message) else { return };
        if let Body::Prepare { entries, .. } = &message.body {
            self.peak(way, ENTRIES, entries.len());
        }
        if self.is_many(way, kind) {
            self.add(from, to, kind, encoded_size(message));
        }
    }

    /// Between a client and this node. Which client it was is not told: there may be thousands.
    fn client(&mut self, way: usize, kind: Kind, bytes: usize) {
        if self.is_many(way, kind) {
            let (from, to) = if way == 0 { (Node::Net, self.me) } else { (self.me, Node::Net) };
            self.add(from, Recipient::One(to), kind, bytes);
        }
    }

    /// One more of them; is it only counted?
    fn is_many(&mut self, way: usize, kind: Kind) -> bool {
        self.peak(way, kind.index(), 1);
        self.is_busy
    }

    fn peak(&mut self, way: usize, kind: usize, more: usize) {
        let peak = &mut self.peaks[way][kind];
        *peak += u64::try_from(more).unwrap_or(u64::MAX);
        self.is_much |= *peak >= MANY;
    }

    fn add(&mut self, from: Node, to: Recipient, kind: Kind, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let is_it = |flow: &&mut Flow| flow.from == from && flow.to == to && flow.kind == kind;
        match self.flows.iter_mut().find(is_it) {
            Some(flow) => (flow.count, flow.bytes) = (flow.count + 1, flow.bytes + bytes),
            None => self.flows.push(Flow { from, to, kind, count: 1, bytes }),
        }
    }
}

/// Is a step nothing but what a loaded cluster does all the time? What it changed is told soon, with what was counted.
pub(super) fn is_ordinary(step: &Step<'_>) -> bool {
    is_ordinary_event(step.event) && stays(step.before, step.after) && step.actions.iter().all(is_ordinary_action)
}

fn is_ordinary_event(event: &Event) -> bool {
    match &event.input {
        Input::Tick
        | Input::Request(_)
        | Input::Requests(_)
        | Input::Query(_)
        | Input::QueryHere(_)
        | Input::QueryLate(_)
        | Input::Persisted(_)
        | Input::Executed { .. }
        | Input::ExecutedRun { .. } => true,
        Input::Message(message) => Kind::of(message).is_some(),
        Input::WriteFailed
        | Input::Space(_)
        | Input::HandOver { .. }
        | Input::Stop
        | Input::CheckpointTaken { .. }
        | Input::CheckpointBegun { .. }
        | Input::CheckpointGiven(_)
        | Input::Restored { .. } => false,
    }
}

fn is_ordinary_action(action: &Action) -> bool {
    match action {
        Action::Send { message, .. } => Kind::of(message).is_some(),
        Action::Persist { write, .. } => matches!(write, Write::Append(_) | Write::Cut { .. }),
        Action::Execute(_) | Action::Checkpoint { .. } | Action::Reply(_) | Action::Reject(_) => true,
        Action::Read(_) | Action::ReadBefore { .. } => true,
        Action::Note(note) => matches!(
            note,
            Note::Ignored { .. }
                | Note::Committed { .. }
                | Note::TableAt { .. }
                | Note::Retransmitted { .. }
                | Note::Reacknowledged { .. }
                | Note::DuplicateRequest { .. }
                | Note::SkippedDuplicate { .. }
                | Note::CheckpointDurable { .. }
                | Note::LogCut { .. }
        ),
        Action::Restore(_) | Action::Halt(_) => false,
    }
}

/// Do status, view and role stay as they are?
fn stays(before: &Snapshot, after: &Snapshot) -> bool {
    let place = |of: &Snapshot| (of.incarnation, of.status, of.epoch, of.view, of.log_view, of.primary);
    place(before) == place(after) && before.wants_view_change == after.wants_view_change
}
