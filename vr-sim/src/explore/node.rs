//! One replica of a search, with its disk and its clock: what is done to it, and what it does.
//!
//! Owns the driver of a replica in a world without time of its own: writes wait until they are made durable, upcalls are
//! answered at once, messages are handed back. Decides nothing. Must not know other replicas. DESIGN §5.

use super::judge::{self, Broken};
use bytes::Bytes;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use vr_core::{
    Action, Body, Config, Durability, Event as Input, FetchId, Hash, Incarnation, Input as What, Message, Note, Op,
    Predicted, Replica, Reply, Request, StatusName, Stored, Time, To, View, Wait, Write, WriteId, Writes, fingerprint,
};

/// After it nothing that was heard before is fresh, and every timer that is armed is due: no back-off is longer.
const PATIENCE_VIEW_CHANGES: u64 = 8;
/// The clock goes on while a process starts again, so that what two of its lives propose is told apart.
pub(super) const START: Wait = Wait::micros(1);

/// What is done to a replica.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Event {
    /// It starts from its disk.
    Start,
    /// A message arrives.
    Deliver(Message),
    /// A client's request arrives.
    Ask(Request),
    /// The oldest write under way becomes durable.
    Sync,
    /// Its next timer rings.
    Beat,
    /// All its timers ring, after a long time.
    Patience,
    /// Power fails.
    Crash,
}

/// What a replica states that the group has to agree on. `log`: the hashes of its entries, from the first on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Fact {
    /// Everything in `log` is committed.
    Committed { view: View, log: Vec<Hash> },
    /// It leads this view, with this log.
    Leads { view: View, log: Vec<Hash> },
}

/// What came of an event.
#[derive(Clone, Debug, Default)]
pub(super) struct Done {
    /// To whom, by position, and what.
    pub(super) sent: Vec<(usize, Message)>,
    pub(super) facts: Vec<Fact>,
    pub(super) replies: Vec<Reply>,
    /// So many upcalls were answered.
    pub(super) upcalls: u64,
    /// Something that does not hold, whoever judges.
    pub(super) harm: Option<Broken>,
    /// Something that does not hold, but harms nobody yet.
    pub(super) fault: Option<Broken>,
}

/// Where a replica is, as far as it decides which messages are for nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) view: View,
    pub(super) disk_view: View,
    pub(super) is_normal: bool,
    pub(super) op: Op,
    pub(super) commit: Op,
    pub(super) incarnation: Incarnation,
    pub(super) asked: FetchId,
}

/// A replica with its surroundings.
#[derive(Clone)]
pub(super) struct Node {
    config: Arc<Config>,
    life: Option<Replica>,
    stored: Stored,
    under_way: VecDeque<(WriteId, Write)>,
    now: Time,
    /// The latest view it let others know of, in all its lives.
    revealed: View,
    /// The latest view it led, in all its lives.
    led: Option<View>,
    /// The last question for state it asked: answers to others are for nothing.
    asked: FetchId,
}

impl Node {
    /// A replica that was never started.
    pub(super) fn new(config: Config, stored: Stored) -> Self {
        Self {
            config: Arc::new(config),
            life: None,
            stored,
            under_way: VecDeque::new(),
            now: Time(1_000_000_000),
            revealed: View::ZERO,
            led: None,
            asked: FetchId::ZERO,
        }
    }

    // ---- looking

    pub(super) const fn disk(&self) -> &Stored {
        &self.stored
    }
    pub(super) const fn revealed(&self) -> View {
        self.revealed
    }
    pub(super) const fn led(&self) -> Option<View> {
        self.led
    }
    pub(super) fn durability(&self) -> Durability {
        self.config.cluster.durability
    }
    pub(super) const fn is_up(&self) -> bool {
        self.life.is_some()
    }
    /// The oldest write under way.
    pub(super) fn next_write(&self) -> Option<WriteId> {
        self.under_way.front().map(|(id, _)| *id)
    }
    fn status(&self) -> Option<StatusName> {
        self.life.as_ref().map(|life| life.snapshot().status)
    }
    pub(super) fn leads(&self) -> bool {
        self.status() == Some(StatusName::Primary)
    }
    /// The view it is in, or promised.
    pub(super) fn view(&self) -> View {
        self.life.as_ref().map_or(self.stored.view, |life| life.snapshot().view)
    }
    /// Does it take part in its view, or in a view change, and may say so, so that it can want another view?
    pub(super) fn may_vote(&self) -> bool {
        let is_mute = |(_, write): &(WriteId, Write)| matches!(write, Write::Incarnation(_) | Write::View(_));
        !self.under_way.iter().any(is_mute)
            && matches!(self.status(), Some(StatusName::Primary | StatusName::Backup | StatusName::ViewChange))
    }
    /// What decides which messages are for nothing.
    pub(super) fn standing(&self) -> Standing {
        let seen = self.life.as_ref().map(Replica::snapshot);
        Standing {
            view: self.view(),
            disk_view: self.stored.view,
            is_normal: seen.is_some_and(|seen| matches!(seen.status, StatusName::Primary | StatusName::Backup)),
            op: seen.map_or(Op::ZERO, |seen| seen.op),
            commit: seen.map_or(Op::ZERO, |seen| seen.commit),
            incarnation: seen.map_or(self.stored.incarnation.next(), |seen| seen.incarnation),
            asked: self.asked,
        }
    }
    /// In the asynchronous mode: its memory is gone.
    pub(super) fn is_amnesiac(&self) -> bool {
        let gone = matches!(self.status(), None | Some(StatusName::Recovering | StatusName::Halted));
        self.durability() == Durability::Async && gone
    }
    /// The log of this replica where it counts: on its disk, or in its memory.
    pub(super) fn log(&self) -> Vec<Hash> {
        match self.durability() {
            Durability::Sync => hashes(&self.stored),
            Durability::Async => self.memory().1,
        }
    }
    /// Everything it wrote, durable or not: the view its log is of, and the log.
    pub(super) fn memory(&self) -> (View, Vec<Hash>) {
        let (mut log_view, mut log) = (self.stored.log_view, hashes(&self.stored));
        for (_, write) in &self.under_way {
            let mut add = |entries: &vr_core::Entries| log.extend(entries.iter().map(vr_core::Entry::hash));
            match write {
                Write::Append(entries) => add(entries),
                Write::Replace { keep, entries, view } => {
                    log.truncate(usize::try_from(keep.0).unwrap_or(0));
                    log.extend(entries.iter().map(vr_core::Entry::hash));
                    log_view = *view;
                }
                Write::Repair { keep, entries } => {
                    log.truncate(usize::try_from(keep.0).unwrap_or(0));
                    log.extend(entries.iter().map(vr_core::Entry::hash));
                }
                Write::Install { entries, view, .. } => {
                    add(entries);
                    log_view = *view;
                }
                Write::Incarnation(_) | Write::View(_) | Write::Clean | Write::Checkpoint(_) | Write::Cut { .. } => {}
            }
        }
        (log_view, log)
    }
    /// 128 bits that are equal for nodes that can do the same.
    pub(super) fn fingerprint(&self, places: &[u8]) -> u128 {
        let writes = self.life.as_ref().map_or_else(Writes::default, Replica::writes);
        let life = self.life.as_ref().map_or(0, |life| life.fingerprint(places));
        fingerprint(&(life, &self.stored, &self.under_way, self.revealed, self.led), places, writes)
    }

    /// How long it takes until it loses patience for sure.
    pub(super) fn patience_wait(&self) -> Wait {
        self.config.timeouts.view_change_max.times(PATIENCE_VIEW_CHANGES)
    }

    // ---- doing

    /// Something is done to it. A panic of the code under test is a finding.
    pub(super) fn take(&mut self, event: Event) -> Done {
        let mut done = Done::default();
        let taken = catch_unwind(AssertUnwindSafe(|| self.happen(event, &mut done)));
        if let Err(payload) = taken {
            done.harm = Some(Broken::new("panic", crate::run::what_panicked(&*payload)));
        }
        done
    }

    fn happen(&mut self, event: Event, done: &mut Done) {
        match event {
            Event::Start => {
                let mut actions = Vec::new();
                let config = Config::clone(&self.config);
                match Replica::open(config, self.stored.clone(), self.now, &mut actions) {
                    Ok(replica) => self.life = Some(replica),
                    Err(why) => done.harm = Some(Broken::new("panic", why.to_string())),
                }
                self.carry_out(actions, done);
                if self.stored.incarnation != Incarnation::ZERO {
                    self.now = self.now.after(START);
                }
            }
            Event::Deliver(message) => self.step(What::Message(message), done),
            Event::Ask(mut request) => {
                let incarnation = self.life.as_ref().map_or(0, |life| life.snapshot().incarnation.0);
                request.predicted = Predicted { wall_ns: 1, seed: incarnation };
                self.step(What::Request(request), done);
            }
            Event::Sync => {
                if let Some((id, write)) = self.under_way.pop_front() {
                    self.stored.apply(write);
                    self.step(What::Persisted(id), done);
                }
            }
            Event::Beat => {
                let due = self.life.as_ref().and_then(Replica::next_deadline);
                self.now = self.now.max(due.unwrap_or(self.now));
                self.step(What::Tick, done);
            }
            Event::Patience => {
                self.now = self.now.after(self.patience_wait());
                self.step(What::Tick, done);
            }
            Event::Crash => {
                self.life = None;
                self.under_way.clear();
                // The questions of the next life have higher numbers.
                self.asked = self.asked.next();
            }
        }
    }

    fn step(&mut self, input: What, done: &mut Done) {
        let Some(life) = &mut self.life else { return };
        let actions = life.step(Input { at: self.now, input });
        self.carry_out(actions, done);
    }

    fn carry_out(&mut self, actions: Vec<Action>, done: &mut Done) {
        let mut upcalls = Vec::new();
        for action in actions {
            match action {
                Action::Send { to, message } => self.send(to, &message, done),
                Action::Persist { id, write } => self.under_way.push_back((id, write)),
                Action::Execute(entries) => upcalls.extend(entries.iter().map(vr_core::Entry::op)),
                Action::Reply(reply) => done.replies.push(reply),
                Action::Note(note) => self.note(&note, done),
                Action::Halt(reason) => {
                    let message = format!("r{} stops for good: {reason:?}", self.config.me);
                    done.harm.get_or_insert(Broken::new("S24 no unexcused halt", message));
                }
                Action::Reject(_) | Action::Checkpoint { .. } | Action::Restore(_) => {}
                Action::Read(_) | Action::ReadBefore { .. } => {}
            }
        }
        for op in upcalls {
            done.upcalls += 1;
            self.step(What::Executed { op, reply: Bytes::from_static(b"ok") }, done);
        }
    }

    fn send(&mut self, to: To, message: &Message, done: &mut Done) {
        if let (Err(broken), None) = (judge::sends(self, message), &done.fault) {
            done.fault = Some(broken);
        }
        self.revealed = self.revealed.max(message.header.view);
        if let Body::GetState(question) = &message.body {
            self.asked = question.id;
        }
        let members = self.config.cluster.members.iter().enumerate();
        for (at, member) in members.filter(|(_, member)| **member != self.config.me) {
            if to == To::Others || to == To::One(*member) {
                done.sent.push((at, message.clone()));
            }
        }
    }

    fn note(&mut self, note: &Note, done: &mut Done) {
        let view = self.life.as_ref().map_or(View::ZERO, |life| life.snapshot().view);
        done.facts.extend(judge::fact(note, view, || self.memory().1));
        if let Note::BecamePrimary { view, .. } = note {
            if let (Err(broken), None) = (judge::leads(self, *view), &done.fault) {
                done.fault = Some(broken);
            }
            self.led = Some(*view);
        }
    }
}

fn hashes(stored: &Stored) -> Vec<Hash> {
    stored.log.after(stored.log.base().op).map(vr_core::Entry::hash).collect()
}
