//! The tape of a run: what an observer would have seen, as the events of `vrtrace/1`.
//!
//! Owns which fact of the simulator becomes which event; what a step of a replica becomes is `vr_core::trace`'s. A
//! run that is not recorded pays nothing. Must not know the world. VIEW §5.1.

mod evidence;

use crate::check::{Happening, Severity, Violation};
use crate::faults::Fault;
use crate::setup::Setup;
use vr_core::trace::{
    BigNumber, Corrupted, Crashed, Delayed, DropCause, Dropped, Duplicated, Ended, FORMAT, Group, Healed, Intervention,
    Invoked, MessageId, Meta, Mode, Name, Node, Outcome, Partitioned, Producer, Recorder, Redact, Remark, Returned,
    Settled, Snap, State, Step, TraceEvent, Violated, What, request_sent, shown,
};
use vr_core::{Action, Message, ReplicaId, Request, Snapshot, Time};

/// The causes of so many messages are remembered.
const WINDOW: usize = 1 << 14;

/// What happened, in order.
#[derive(Clone, Debug)]
pub struct Tape {
    recorder: Recorder,
    /// The events.
    pub events: Vec<TraceEvent>,
    violations: u64,
}

impl Default for Tape {
    fn default() -> Self {
        Self { recorder: Recorder::new(Redact::Full, WINDOW), events: Vec::new(), violations: 0 }
    }
}

impl Tape {
    /// Its first event: what run this is. `repro` is the command that repeats it.
    pub fn begin(&mut self, setup: &Setup, repro: Option<String>) {
        self.begin_as(Mode::Sim, setup, repro);
    }

    /// [`Tape::begin`] of a run of another kind.
    pub fn begin_as(&mut self, mode: Mode, setup: &Setup, repro: Option<String>) {
        let (clients, seed) = (Some(u64::from(setup.clients)), Some(BigNumber(setup.seed)));
        self.begin_with((mode, seed), &setup.cluster().members, clients, repro);
    }

    /// [`Tape::begin`] of what nodes recorded.
    pub fn begin_recorded(&mut self, members: &[ReplicaId], repro: Option<String>) {
        self.begin_with((Mode::Live, None), members, None, repro);
    }

    fn begin_with(
        &mut self,
        (mode, seed): (Mode, Option<BigNumber>),
        members: &[ReplicaId],
        clients: Option<u64>,
        repro: Option<String>,
    ) {
        let members: Vec<Node> = members.iter().copied().map(Node::Replica).collect();
        let count = |n: usize| u64::try_from(n).expect("few members");
        let n = members.len();
        let config = Group {
            members,
            epoch: 0,
            f: count(vr_core::faults_tolerated(n)),
            quorum: count(vr_core::quorum(n)),
            clients,
            checkpoint_every: None,
        };
        let producer =
            Producer { name: "vr-sim".into(), version: Name::Borrowed(env!("CARGO_PKG_VERSION")), git: None };
        let meta = Meta {
            format: FORMAT.into(),
            producer: Some(producer),
            mode,
            seed,
            repro,
            config,
            faults: None,
            redact: Redact::Full,
            wall: None,
        };
        let event = TraceEvent { n: None, ..TraceEvent::at(0, Node::Sim, What::Meta(Box::new(meta))) };
        self.put(event);
    }

    /// Another command repeats it, now that more has happened.
    pub fn repeat_by(&mut self, command: String) {
        if let Some(What::Meta(meta)) = self.events.first_mut().map(|event| &mut event.what) {
            meta.repro = Some(command);
        }
    }

    /// How many violations are on it.
    #[must_use]
    pub const fn violations(&self) -> u64 {
        self.violations
    }

    /// Somebody intervened.
    pub fn told(&mut self, at: Time, node: Node, command: String) {
        let cmd = std::iter::once((Name::Borrowed("do"), Name::Owned(command))).collect();
        self.at(at, node, What::Do(Intervention { cmd }));
    }

    /// Somebody says something about it.
    pub fn caption(&mut self, at: Time, text: String) {
        self.remark(at, "caption", text);
    }

    /// Its last event.
    pub fn end(&mut self, at: Time, panicked: bool) {
        let result = match (panicked, self.violations) {
            (true, _) => Outcome::Crash,
            (false, 0) => Outcome::Pass,
            (false, _) => Outcome::Fail,
        };
        let events = self.recorder.next_index();
        self.at(at, Node::Sim, What::Ended(Ended { result, events, viol: self.violations, xxh3: None }));
    }

    /// The file: one JSON object a line.
    ///
    /// # Panics
    /// Never: every event can be written.
    #[must_use]
    pub fn write(&self) -> String {
        lines(&self.events)
    }

    fn put(&mut self, event: TraceEvent) {
        let event = self.recorder.record(event);
        self.events.push(event);
    }

    fn at(&mut self, at: Time, node: Node, what: What) {
        self.put(TraceEvent::at(at.0, node, what));
    }

    // ---- replicas

    pub(crate) fn step(&mut self, at: Time, step: &Step<'_>) {
        let Self { recorder, events, .. } = self;
        recorder.step(at.0, step, &mut |event| events.push(event));
    }

    pub(crate) fn opened(&mut self, at: Time, actions: &[Action], after: &Snapshot) {
        let Self { recorder, events, .. } = self;
        recorder.opened(at.0, actions, after, &mut |event| events.push(event));
    }

    /// What is known of a replica goes on here.
    pub(crate) fn resumed(&mut self, at: Time, seen: &Snapshot) {
        self.at(at, Node::Replica(seen.id), What::Snap(Snap { state: Box::new(State::of(seen)) }));
    }

    /// Everything else that checkers are told.
    pub(crate) fn happened(&mut self, at: Time, what: &Happening<'_>) {
        match what {
            Happening::Stepped { .. } | Happening::Opened { .. } | Happening::Sampled { .. } => {}
            Happening::ReadUnderLease { .. } => {}
            Happening::Crashed { on } => {
                let crash = Crashed { lost: None, wiped: None, inc: None };
                self.at(at, Node::Replica(*on), What::Crashed(crash));
            }
            Happening::DiskLost { on } => self.remark(at, "disk", format!("the disk of {on:?} is lost")),
            Happening::DiskWentBack { on, stored } => {
                let op = stored.log.op();
                self.remark(at, "disk", format!("the disk of {on:?} went back: its log ends at op {op} again"));
            }
            Happening::Invoked { client, number, body, .. } => {
                let client = Node::Client(*client);
                let call = Invoked { client, req: number.0, f: "op".into(), input: shown(body, Redact::Full) };
                self.at(at, client, What::Invoked(call));
            }
            Happening::Answered { client, number, result, .. } => {
                let out = Some(shown(result, Redact::Full));
                self.returned(at, Node::Client(*client), number.0, out, Settled::Ok);
            }
            Happening::ToldEvicted { client, .. } | Happening::GaveUp { client } => {
                self.returned(at, Node::Client(*client), 0, None, Settled::Info);
            }
            Happening::Healed { core, mesh } => {
                let shape = if *mesh { "a mesh" } else { "a star around the first" };
                self.remark(at, "healed", format!("the faults end; healed as {shape}: {core:?}"));
            }
            Happening::Ended { settled, unanswered, .. } => {
                let how = if *settled { "everything came to rest" } else { "the time is up" };
                self.remark(at, "ended", format!("{how}, {} requests are unanswered", unanswered.len()));
            }
        }
    }

    fn returned(&mut self, at: Time, client: Node, req: u64, out: Option<String>, st: Settled) {
        self.at(at, client, What::Returned(Returned { client, req, out, st }));
    }

    fn remark(&mut self, at: Time, what: &'static str, text: String) {
        let what = Some(what.into());
        self.at(at, Node::Sim, What::Note(Remark { what, text: text.into(), at: None }));
    }

    /// A property does not hold.
    pub fn violated(&mut self, at: Time, violation: &Violation) {
        self.violations += 1;
        let sev = match violation.severity {
            Severity::Safety => vr_core::trace::Severity::Safety,
            Severity::Liveness => vr_core::trace::Severity::Liveness,
        };
        let nodes: Vec<_> = violation.replicas.iter().copied().map(Node::Replica).collect();
        let ops: Vec<_> = violation.ops.iter().map(|op| op.0).collect();
        let ev = evidence::of(&self.events, &nodes, &ops);
        let (inv, msg) = (violation.property.into(), violation.message.clone());
        let broken = Violated { inv, sev, msg, nodes, ops, ev };
        self.at(at, Node::Sim, What::Violated(broken));
    }

    // ---- the world

    pub(crate) fn dropped(&mut self, at: Time, m: MessageId, to: Node, why: DropCause) {
        self.at(at, Node::Net, What::Dropped(Dropped { m, to: Some(to), why }));
    }

    pub(crate) fn duplicated(&mut self, at: Time, m: MessageId, to: Node) {
        self.at(at, Node::Net, What::Duplicated(Duplicated { m, to: Some(to), m2: None }));
    }

    pub(crate) fn delayed(&mut self, at: Time, m: MessageId, to: Node, until: Time) {
        self.at(at, Node::Net, What::Delayed(Delayed { m, to: Some(to), until: until.0 }));
    }

    pub(crate) fn lost(&mut self, at: Time, message: &Message, to: ReplicaId, why: DropCause) {
        self.dropped(at, MessageId::of(&message.header), Node::Replica(to), why);
    }

    pub(crate) fn request_lost(&mut self, at: Time, request: &Request, to: ReplicaId, why: DropCause) {
        self.dropped(at, MessageId::of_request(request), Node::Replica(to), why);
    }

    pub(crate) fn doubled(&mut self, at: Time, message: &Message, to: ReplicaId) {
        self.duplicated(at, MessageId::of(&message.header), Node::Replica(to));
    }

    pub(crate) fn held(&mut self, at: Time, message: &Message, to: ReplicaId, until: Time) {
        self.delayed(at, MessageId::of(&message.header), Node::Replica(to), until);
    }

    pub(crate) fn damaged(&mut self, at: Time, message: &Message, to: ReplicaId, bits: u32) {
        let m = MessageId::of(&message.header);
        let damage = Corrupted { m, to: Some(Node::Replica(to)), bits: u64::from(bits) };
        self.at(at, Node::Net, What::Corrupted(damage));
    }

    pub(crate) fn requested(&mut self, at: Time, request: &Request, to: ReplicaId) {
        self.at(at, Node::Client(request.client), request_sent(to, request, Redact::Full));
    }

    pub(crate) fn struck(&mut self, at: Time, fault: &Fault) {
        self.remark(at, "fault", format!("{fault:?}"));
    }

    pub(crate) fn cut(&mut self, at: Time, id: u64, links: &[(ReplicaId, ReplicaId)]) {
        for (from, to) in links {
            let groups = vec![vec![Node::Replica(*from)], vec![Node::Replica(*to)]];
            self.at(at, Node::Net, What::Partitioned(Partitioned { id, groups, oneway: Some(true) }));
        }
    }

    pub(crate) fn healed(&mut self, at: Time, id: Option<u64>) {
        self.at(at, Node::Net, What::Healed(Healed { id }));
    }
}

/// Events as a trace file: one JSON object a line.
///
/// # Panics
/// Never: every event can be written.
#[must_use]
pub fn lines(events: &[TraceEvent]) -> String {
    let mut text = String::new();
    for event in events {
        text.push_str(&serde_json::to_string(event).expect("plain values"));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decider::Decider;
    use crate::run::world_of;
    use crate::swarm::{Options, draw};

    #[test]
    fn a_recorded_run_is_the_same_run_and_its_tape_can_be_read_back() {
        let (setup, odds) = draw(3, &Options::default());
        let mut plain = world_of(&setup, Decider::seeded(3, odds.clone()));
        plain.run();
        let mut recorded = world_of(&setup, Decider::seeded(3, odds));
        let mut tape = Tape::default();
        tape.begin(&setup, None);
        recorded.record(tape);
        recorded.run();
        assert_eq!(plain.digest(), recorded.digest());
        let mut tape = recorded.take_tape().unwrap();
        tape.end(recorded.now(), false);
        let text = tape.write();
        assert!(text.lines().count() > 100);
        for (line, event) in text.lines().zip(&tape.events) {
            let read: TraceEvent = serde_json::from_str(line).unwrap();
            assert_eq!(&read, event, "{line}");
        }
    }
}
