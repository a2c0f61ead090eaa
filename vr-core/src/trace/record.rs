//! Numbers the events of a trace and finds what caused them.
//!
//! Owns the index, and a bounded memory of which event sent which message. Must not know where events go. VIEW.md
//! §5.1 (`i`, `by`).

use super::event::{TraceEvent, What};
use super::names::MessageId;
use super::observe::{Step, observe, opened};
use super::words::Redact;
use crate::action::Action;
use crate::id::{Time, count};
use crate::replica::Snapshot;
use alloc::collections::{BTreeMap, VecDeque};

/// Numbers events in the order in which they are given to it, and names the cause of each: within a step its
/// first event, and of what happens to a message the event that sent it.
#[derive(Clone, Debug)]
pub struct Recorder {
    next: u64,
    redact: Redact,
    window: usize,
    sent: BTreeMap<MessageId, u64>,
    order: VecDeque<MessageId>,
}

impl Recorder {
    /// One that remembers the senders of the last `window` messages.
    #[must_use]
    pub const fn new(redact: Redact, window: usize) -> Self {
        Self { next: 0, redact, window, sent: BTreeMap::new(), order: VecDeque::new() }
    }

    /// One that numbers from here on.
    #[must_use]
    pub fn starting_at(self, next: u64) -> Self {
        Self { next, ..self }
    }

    /// The index of the next event.
    #[must_use]
    pub const fn next_index(&self) -> u64 {
        self.next
    }

    /// How much of clients' data is shown.
    #[must_use]
    pub const fn redact(&self) -> Redact {
        self.redact
    }

    /// Numbers an event; its cause, unless it names one, is the sending of the message it is about.
    pub fn record(&mut self, mut event: TraceEvent) -> TraceEvent {
        event.i = self.next;
        self.next += 1;
        if let Some(m) = event.what.message() {
            if let What::Sent(_) = event.what {
                self.remember(m, event.i);
            } else {
                event.by = event.by.or_else(|| self.sent.get(&m).copied());
            }
        }
        event
    }

    /// The events of a step, numbered, at `t` on the clock of the trace.
    pub fn step(&mut self, t: u64, step: &Step<'_>, sink: &mut impl FnMut(TraceEvent)) {
        let mut cause = None;
        let redact = self.redact;
        observe(step, redact, &mut |event| sink(self.follow(t, &mut cause, event)));
    }

    /// The events of a replica's start, numbered, at `t` on the clock of the trace.
    pub fn opened(&mut self, t: u64, actions: &[Action], after: &Snapshot, sink: &mut impl FnMut(TraceEvent)) {
        let mut cause = None;
        let redact = self.redact;
        opened(Time(t), actions, after, redact, &mut |event| sink(self.follow(t, &mut cause, event)));
    }

    fn follow(&mut self, t: u64, cause: &mut Option<u64>, mut event: TraceEvent) -> TraceEvent {
        event.t = t;
        event.by = *cause;
        let event = self.record(event);
        cause.get_or_insert(event.i);
        event
    }

    fn remember(&mut self, m: MessageId, i: u64) {
        if self.sent.insert(m, i).is_none() {
            self.order.push_back(m);
        }
        if self.order.len() > self.window
            && let Some(oldest) = self.order.pop_front()
        {
            self.sent.remove(&oldest);
        }
    }

    /// How many senders are remembered.
    #[must_use]
    pub fn remembered(&self) -> u64 {
        count(self.order.len())
    }
}
