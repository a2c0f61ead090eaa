//! A cluster driven by a script: each message, write, answer and tick happens when the test says so.
//!
//! Owns the driver's duties: wires that lose and hold, disks that hold a crash's survivors, a service, clocks. Records
//! what happened, and has [`Watch`] judge every step. Must not decide anything of the protocol.

#![allow(dead_code)] // each test uses its part

#[path = "planted.rs"]
pub(crate) mod planted;
#[path = "watch.rs"]
mod watch;

use bytes::Bytes;
use std::collections::VecDeque;
use vr_core::{
    Action, Checkpoint, ClientId, ClusterConfig, ClusterId, Config, Event, HaltReason, Input, Instance, Kind, Message,
    MessageKind, Note, Op, Predicted, Query, Rejection, Replica, ReplicaId, Reply, Request, RequestNumber, Session,
    Snapshot, StatusName, Stored, Time, To, Wait, Write, WriteId,
};
use watch::Watch;

/// One message on its way.
#[derive(Clone)]
pub(crate) struct Packet {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) message: Message,
}

/// Some of the messages: by link and by kind.
#[derive(Clone, Copy, Default)]
pub(crate) struct Which {
    from: Option<usize>,
    to: Option<usize>,
    kind: Option<MessageKind>,
}

/// Every message.
pub(crate) const EVERY: Which = Which { from: None, to: None, kind: None };

impl Which {
    pub(crate) const fn from(self, from: usize) -> Self {
        Self { from: Some(from), ..self }
    }
    pub(crate) const fn to(self, to: usize) -> Self {
        Self { to: Some(to), ..self }
    }
    pub(crate) const fn of(self, kind: MessageKind) -> Self {
        Self { kind: Some(kind), ..self }
    }
    pub(crate) fn covers(&self, packet: &Packet) -> bool {
        self.from.is_none_or(|from| from == packet.from)
            && self.to.is_none_or(|to| to == packet.to)
            && self.kind.is_none_or(|kind| kind == packet.message.body.kind())
    }
}

/// Where a message went that did not go on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    Lost,
    Held,
}

/// What happened, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Happening {
    /// A replica started: its configuration and disk, and its first actions.
    Opened { at: usize, from: Box<Stored>, now: Time, actions: Vec<Action>, after: Snapshot },
    /// A replica took an event.
    Stepped { at: usize, event: Box<Event>, actions: Vec<Action>, after: Snapshot },
    /// A message was sent and did not get on its way.
    Strayed { from: usize, to: usize, kind: MessageKind, fate: Fate },
    /// A replica lost its memory and the writes under way.
    Crashed { at: usize },
    /// A stage direction.
    Said(&'static str),
}

/// A replica, or the disk of one that is down.
pub(crate) struct Node {
    pub(crate) config: Config,
    pub(crate) replica: Option<Replica>,
    /// The fold of the durable writes: all that a crash leaves.
    pub(crate) disk: Stored,
    /// The fold of all writes, durable or not: what the replica believes.
    pub(crate) memory: Stored,
    pub(crate) writes: VecDeque<(WriteId, Write)>,
    pub(crate) upcalls: VecDeque<Upcall>,
    /// The service: a text to which each operation adds its body. Its answer is the end of the text.
    pub(crate) text: String,
    pub(crate) disk_stuck: bool,
    pub(crate) service_stuck: bool,
    pub(crate) clock: Time,
    pub(crate) halted: Option<HaltReason>,
}

impl Node {
    fn new(config: Config) -> Self {
        let instance = Instance(u128::from(config.me.0) + 100);
        let disk = Stored::format(config.cluster.cluster, config.cluster.digest(), config.me, instance);
        Self {
            config,
            replica: None,
            memory: disk.clone(),
            disk,
            writes: VecDeque::new(),
            upcalls: VecDeque::new(),
            text: String::new(),
            disk_stuck: false,
            service_stuck: false,
            clock: Time::ZERO,
            halted: None,
        }
    }

    pub(crate) fn snapshot(&self) -> Option<Snapshot> {
        self.replica.as_ref().map(Replica::snapshot)
    }

    pub(crate) fn is(&self, status: StatusName) -> bool {
        self.snapshot().is_some_and(|snapshot| snapshot.status == status)
    }

    /// The service's answer to its next operation.
    fn answer(&mut self, body: &[u8]) -> Bytes {
        self.text.push_str(&String::from_utf8_lossy(body));
        let start = self.text.len().saturating_sub(12);
        Bytes::copy_from_slice(&self.text.as_bytes()[start..])
    }
}

/// What a service is asked for.
#[derive(Clone)]
pub(crate) enum Upcall {
    Execute(Op, Bytes),
    Checkpoint(Op),
    Restore(Checkpoint),
}

/// The cluster.
pub(crate) struct Scripted {
    pub(crate) nodes: Vec<Node>,
    pub(crate) now: Time,
    pub(crate) wire: VecDeque<Packet>,
    pub(crate) held: Vec<Packet>,
    pub(crate) replies: Vec<Reply>,
    /// What services were to answer from their state, and whose.
    pub(crate) reads: Vec<(usize, Query)>,
    pub(crate) rejections: Vec<Rejection>,
    pub(crate) happened: Vec<Happening>,
    pub(crate) watch: Watch,
    losing: Vec<Which>,
    holding: Vec<Which>,
}

impl Scripted {
    /// A fresh cluster in view 0: replica 0 is primary, its disks and services answer at once.
    pub(crate) fn new(members: u16, tune: impl Fn(&mut Config)) -> Self {
        let cluster = ClusterConfig::of_size(ClusterId(7), members);
        let configs = cluster.members.iter().map(|id| {
            let mut config = Config::new(cluster.clone(), *id);
            planted::plant(&mut config);
            tune(&mut config);
            config
        });
        let nodes: Vec<Node> = configs.map(Node::new).collect();
        let mut this = Self {
            watch: Watch::new(&nodes),
            nodes,
            now: Time::ZERO,
            wire: VecDeque::new(),
            held: Vec::new(),
            replies: Vec::new(),
            reads: Vec::new(),
            rejections: Vec::new(),
            happened: Vec::new(),
            losing: Vec::new(),
            holding: Vec::new(),
        };
        (0..this.nodes.len()).for_each(|at| this.restart(at));
        this.settle();
        this
    }

    /// Three replicas as they come.
    pub(crate) fn of_three() -> Self {
        Self::new(3, |_| {})
    }

    // ---- events

    /// Gives one replica one event. A replica that is down hears nothing.
    pub(crate) fn step(&mut self, at: usize, input: Input) {
        let node = &mut self.nodes[at];
        let Some(replica) = &mut node.replica else { return };
        node.clock = node.clock.max(self.now);
        if let Input::Persisted(upto) = input {
            let done = node.writes.iter().take_while(|(id, _)| *id <= upto).count();
            node.writes.drain(..done).for_each(|(_, write)| node.disk.apply(write));
        }
        let event = Box::new(Event { at: node.clock, input });
        let mut actions = Vec::new();
        replica.step_into(Event::clone(&event), &mut actions);
        let after = replica.snapshot();
        self.note_writes(at, &actions);
        self.watch.stepped(&self.nodes, at, &actions);
        self.happened.push(Happening::Stepped { at, event, actions: actions.clone(), after });
        self.carry_out(at, actions);
    }

    fn note_writes(&mut self, at: usize, actions: &[Action]) {
        let node = &mut self.nodes[at];
        for action in actions {
            if let Action::Persist { id, write } = action {
                node.memory.apply(write.clone());
                node.writes.push_back((*id, write.clone()));
            }
        }
    }

    fn carry_out(&mut self, at: usize, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send { to: To::One(ReplicaId(to)), message } => self.send(at, usize::from(to), message),
                Action::Send { to: To::Others, message } => {
                    for to in (0..self.nodes.len()).filter(|to| *to != at) {
                        self.send(at, to, message.clone());
                    }
                }
                Action::Persist { .. } | Action::Note(_) => {}
                Action::Execute(entries) => {
                    let upcalls = entries.iter().map(|entry| Upcall::Execute(entry.op(), entry.body().clone()));
                    self.nodes[at].upcalls.extend(upcalls);
                }
                Action::Checkpoint { op } => self.nodes[at].upcalls.push_back(Upcall::Checkpoint(op)),
                Action::Restore(checkpoint) => self.nodes[at].upcalls.push_back(Upcall::Restore(*checkpoint)),
                Action::Read(queries) | Action::ReadBefore { queries, .. } => {
                    self.reads.extend(queries.into_iter().map(|query| (at, query)));
                }
                Action::Reply(reply) => self.replies.push(reply),
                Action::Reject(rejection) => self.rejections.push(*rejection),
                Action::Halt(reason) => self.nodes[at].halted = Some(reason),
            }
        }
    }

    fn send(&mut self, from: usize, to: usize, message: Message) {
        let packet = Packet { from, to, message };
        let kind = packet.message.body.kind();
        if self.losing.iter().any(|which| which.covers(&packet)) {
            self.happened.push(Happening::Strayed { from, to, kind, fate: Fate::Lost });
        } else if self.holding.iter().any(|which| which.covers(&packet)) {
            self.happened.push(Happening::Strayed { from, to, kind, fate: Fate::Held });
            self.held.push(packet);
        } else {
            self.wire.push_back(packet);
        }
    }

    /// The oldest write under way, and all before it, is durable.
    pub(crate) fn write_one(&mut self, at: usize) {
        if let Some((id, _)) = self.nodes[at].writes.front() {
            let id = *id;
            self.step(at, Input::Persisted(id));
        }
    }

    /// The service answers its oldest upcall.
    pub(crate) fn answer_one(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let Some(upcall) = node.upcalls.pop_front() else { return };
        let input = match upcall {
            Upcall::Execute(op, body) => Input::Executed { op, reply: node.answer(&body) },
            Upcall::Checkpoint(op) => Input::CheckpointTaken { op, state: Bytes::from(node.text.clone()) },
            Upcall::Restore(checkpoint) => {
                node.text = String::from_utf8_lossy(&checkpoint.state().whole()).into_owned();
                Input::Restored { op: checkpoint.op() }
            }
        };
        self.step(at, input);
    }

    /// Whatever is under way at one replica is done, if its disk and its service work.
    fn complete(&mut self, at: usize) {
        loop {
            let node = &self.nodes[at];
            if let Some((id, _)) = node.writes.back().filter(|_| !node.disk_stuck && node.replica.is_some()) {
                let id = *id;
                self.step(at, Input::Persisted(id));
            } else if !node.upcalls.is_empty() && !node.service_stuck {
                self.answer_one(at);
            } else {
                return;
            }
        }
    }

    /// Delivers the oldest message.
    pub(crate) fn deliver_one(&mut self) -> bool {
        let Some(packet) = self.wire.pop_front() else { return false };
        self.deliver(packet);
        true
    }

    pub(crate) fn deliver(&mut self, packet: Packet) {
        self.step(packet.to, Input::Message(packet.message));
    }

    /// Delivers, writes and answers until nothing is left to do without a clock.
    pub(crate) fn settle(&mut self) {
        for _ in 0..1_000_000 {
            (0..self.nodes.len()).for_each(|at| self.complete(at));
            if !self.deliver_one() {
                return;
            }
        }
        panic!("the replicas talk for ever");
    }

    // ---- time

    fn next_deadline(&self) -> Option<Time> {
        self.nodes.iter().filter_map(|node| node.replica.as_ref()?.next_deadline()).min()
    }

    /// Lets the clock run to the next deadline of anybody, and on until all is quiet.
    pub(crate) fn tick(&mut self) {
        let due = self.next_deadline().expect("a replica that runs waits for something");
        self.now = self.now.max(due);
        for at in 0..self.nodes.len() {
            let deadline = self.nodes[at].replica.as_ref().and_then(Replica::next_deadline);
            if deadline.is_some_and(|deadline| deadline <= self.now) {
                self.step(at, Input::Tick);
            }
        }
        self.settle();
    }

    /// Lets so much time pass.
    pub(crate) fn pass(&mut self, wait: Wait) {
        let end = self.now.after(wait);
        while self.next_deadline().is_some_and(|deadline| deadline <= end) {
            self.tick();
        }
        self.now = end;
    }

    /// Lets time pass until something holds; within a minute it must.
    pub(crate) fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let end = self.now.after(Wait::millis(60_000));
        while !holds(self) {
            assert!(self.now < end, "it never came that {what}");
            self.tick();
        }
    }

    // ---- faults

    /// Loses these messages from now on.
    pub(crate) fn lose(&mut self, which: Which) {
        self.losing.push(which);
    }

    /// Cuts a replica off, both ways.
    pub(crate) fn isolate(&mut self, at: usize) {
        self.losing.extend([EVERY.from(at), EVERY.to(at)]);
    }

    /// Keeps these messages back from now on.
    pub(crate) fn hold(&mut self, which: Which) {
        self.holding.push(which);
    }

    /// No message is lost or kept back from now on. What was kept back stays so.
    pub(crate) fn heal(&mut self) {
        self.losing.clear();
        self.holding.clear();
    }

    /// Puts held messages on their way.
    pub(crate) fn release(&mut self, which: Which) {
        let (released, held) = std::mem::take(&mut self.held).into_iter().partition(|packet| which.covers(packet));
        self.held = held;
        self.wire.extend::<Vec<Packet>>(released);
    }

    /// Memory is gone, and so are the writes that were not durable.
    pub(crate) fn crash(&mut self, at: usize) {
        self.crash_torn(at, 0);
    }

    /// [`Scripted::crash`], but of the oldest write under way so many entries made it to the disk.
    pub(crate) fn crash_torn(&mut self, at: usize, entries: usize) {
        let node = &mut self.nodes[at];
        if let Some((_, write)) = node.writes.pop_front() {
            node.disk.apply_torn(write, entries);
        }
        node.writes.clear();
        node.upcalls.clear();
        node.text.clear();
        node.replica = None;
        node.memory = node.disk.clone();
        self.happened.push(Happening::Crashed { at });
    }

    /// Starts a replica from what its disk holds.
    pub(crate) fn restart(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let now = node.clock.max(self.now);
        let from = Box::new(node.disk.clone());
        let mut actions = Vec::new();
        let opened = Replica::open(node.config.clone(), node.disk.clone(), now, &mut actions);
        let replica = opened.expect("its own disk and a valid configuration");
        let after = replica.snapshot();
        node.replica = Some(replica);
        self.note_writes(at, &actions);
        self.watch.opened(&self.nodes, at, &actions);
        self.happened.push(Happening::Opened { at, from, now, actions: actions.clone(), after });
        self.carry_out(at, actions);
    }

    // ---- clients

    /// Gives a replica a request, and waits until all is quiet.
    pub(crate) fn ask(&mut self, at: usize, request: Request) {
        self.step(at, Input::Request(request));
        self.settle();
    }

    /// Opens a session at the primary.
    pub(crate) fn register(&mut self, client: u64) -> Session {
        let request = request(client, Session::ZERO, 0, "");
        let asker = request.client;
        self.ask(self.primary(), request);
        let mut replies = self.replies.iter().rev();
        replies.find(|reply| reply.client == asker).expect("a Register is answered").session
    }

    /// The last answer, with its result as text.
    pub(crate) fn last_reply(&self) -> Option<(Op, String)> {
        self.replies.last().map(|reply| (reply.op, String::from_utf8_lossy(&reply.result).into_owned()))
    }

    // ---- looking

    pub(crate) fn snapshot(&self, at: usize) -> Snapshot {
        self.nodes[at].snapshot().expect("it runs")
    }

    /// The newest primary.
    pub(crate) fn primary(&self) -> usize {
        self.find_primary().expect("somebody leads")
    }

    pub(crate) fn find_primary(&self) -> Option<usize> {
        let leads = |at: &usize| self.nodes[*at].is(StatusName::Primary);
        (0..self.nodes.len()).filter(leads).max_by_key(|at| self.snapshot(*at).view)
    }

    /// What a replica said of itself, from the `since`-th happening on.
    pub(crate) fn notes_since(&self, since: usize, of: usize) -> impl Iterator<Item = &Note> {
        let actions = self.happened[since..].iter().flat_map(move |happening| match happening {
            Happening::Opened { at, actions, .. } | Happening::Stepped { at, actions, .. } if *at == of => &actions[..],
            Happening::Opened { .. } | Happening::Stepped { .. } => &[],
            Happening::Strayed { .. } | Happening::Crashed { .. } | Happening::Said(_) => &[],
        });
        actions.filter_map(|action| if let Action::Note(note) = action { Some(note) } else { None })
    }

    /// Did a replica ever say this of itself?
    pub(crate) fn noted(&self, of: usize, what: impl FnMut(&Note) -> bool) -> bool {
        self.notes_since(0, of).any(what)
    }

    /// All messages of a replica, from the `since`-th happening on, lost ones too.
    pub(crate) fn sent_since(&self, since: usize, by: usize) -> impl Iterator<Item = &Message> {
        let actions = self.happened[since..].iter().flat_map(move |happening| match happening {
            Happening::Opened { at, actions, .. } | Happening::Stepped { at, actions, .. } if *at == by => &actions[..],
            Happening::Opened { .. } | Happening::Stepped { .. } => &[],
            Happening::Strayed { .. } | Happening::Crashed { .. } | Happening::Said(_) => &[],
        });
        actions.filter_map(|action| if let Action::Send { message, .. } = action { Some(message) } else { None })
    }
}

/// A client's request with a text for its body; number 0 is a Register.
pub(crate) fn request(client: u64, session: Session, number: u64, body: &str) -> Request {
    Request {
        client: ClientId(u128::from(client)),
        session,
        number: RequestNumber(number),
        kind: if number == 0 { Kind::Register } else { Kind::Operation },
        predicted: Predicted::default(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}
