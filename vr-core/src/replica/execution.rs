//! Execution: committed entries become upcalls, in op order, once per life; answers become replies.
//!
//! Owns how far upcalls were issued and answered, and the moment at every `checkpoint_interval` ops at which
//! nothing is in between. Must not know statuses; whether this replica serves clients is told. Paper: VRR §4.1
//! steps 5 to 7; DESIGN 9.3, §10 "Clients".

use crate::action::{Action, Note, Reject, Rejection, Reply};
use crate::checkpoint::{Checkpoint, Outline};
use crate::clients::{ClientTable, NOT_ASKED, SlotId, Turn};
use crate::entry::{Entries, Entry};
use crate::group::Group;
use crate::id::{ClientId, Op, RequestNumber, Session, View, count};
use crate::log::Log;
use crate::rules::Rules;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Execution {
    issued: Op,
    executed: Op,
    interval: u64,
    /// The next op at which nothing may be in between: table and service there are the same on every replica.
    barrier: Op,
    /// Of each op after `executed` through `issued`: where the service's answer belongs; nowhere if the service never
    /// sees it, as nobody waits for the first one.
    slots: VecDeque<Option<SlotId>>,
    /// Nothing is issued before the service has done this.
    awaits: Option<Awaited>,
    /// So many answers are on their way that are for nothing: the service was told to become another one since.
    void: usize,
    /// What the service has set aside and not given yet.
    aside: Option<Outline>,
    /// The last op of an epoch: nothing is executed after it, and its checkpoint is not passed over.
    last: Op,
}

/// What the service is asked for beside executing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Awaited {
    Checkpoint,
    Restored,
    /// It has set aside the last state of its epoch.
    Given,
}

impl Execution {
    /// Everything through `base` is executed, or in the checkpoint that the service was just told to become.
    pub(super) fn new(base: Op, interval: u64, barrier: Op, restoring: bool) -> Self {
        let awaits = restoring.then_some(Awaited::Restored);
        Self {
            issued: base,
            executed: base,
            interval,
            barrier,
            slots: VecDeque::new(),
            awaits,
            void: 0,
            aside: None,
            last: Op::ZERO,
        }
    }

    /// The service was told to become what it was after `op`, whatever it is. `barrier` is the next one after that.
    pub(super) fn restore(&mut self, op: Op, barrier: Op, told: bool) {
        let asked = self.awaits.is_some_and(|awaited| awaited != Awaited::Given);
        self.void += self.slots.drain(..).flatten().count() + usize::from(asked);
        (self.issued, self.barrier, self.aside) = (op, barrier, None);
        self.awaits = told.then_some(Awaited::Restored);
        if !told {
            self.executed = op;
        }
    }

    /// The service became it. True if that is still what was asked for.
    ///
    /// # Panics
    /// When nothing of the kind was asked for: a bug in the driver.
    pub(super) fn restored(&mut self, op: Op) -> bool {
        if self.is_void() {
            return false;
        }
        assert_eq!((self.awaits, op), (Some(Awaited::Restored), self.issued), "the driver answers what was asked");
        self.awaits = None;
        self.executed = self.issued;
        true
    }

    /// The service gave its checkpoint. True if that is still what was asked for.
    ///
    /// # Panics
    /// When nothing of the kind was asked for: a bug in the driver.
    pub(super) fn taken(&mut self, op: Op) -> bool {
        if self.is_void() {
            return false;
        }
        assert_eq!((self.awaits, op), (Some(Awaited::Checkpoint), self.barrier), "the driver answers what was asked");
        self.awaits = None;
        self.barrier = self.barrier.plus(self.interval);
        true
    }

    /// The service set its state aside. True if that is still what was asked for: then [`Execution::set_aside`] is next.
    ///
    /// # Panics
    /// When nothing of the kind was asked for: a bug in the driver.
    pub(super) fn begun(&mut self, op: Op) -> bool {
        if self.is_void() {
            return false;
        }
        assert_eq!((self.awaits, op), (Some(Awaited::Checkpoint), self.barrier), "the driver answers what was asked");
        true
    }

    /// Execution goes on while the service gives what this is the outline of, unless its epoch is over.
    pub(super) fn set_aside(&mut self, outline: Outline) {
        self.awaits = (self.barrier == self.last).then_some(Awaited::Given);
        if self.awaits.is_none() {
            self.barrier = self.barrier.plus(self.interval);
        }
        self.aside = Some(outline);
    }

    /// What the service has set aside and not given yet, and whether its epoch ends there.
    pub(super) fn aside(&self) -> Option<(&Outline, bool)> {
        self.aside.as_ref().map(|aside| (aside, self.awaits == Some(Awaited::Given)))
    }

    /// A checkpoint was put together. True if it is the one that was set aside last.
    pub(super) fn given(&mut self, checkpoint: &Checkpoint) -> bool {
        if self.aside.take_if(|aside| aside.is_of(checkpoint)).is_none() {
            return false;
        }
        if self.awaits == Some(Awaited::Given) {
            self.awaits = None;
            self.barrier = self.barrier.plus(self.interval);
        }
        true
    }

    /// The checkpoint at the barrier was given and could not be kept: it will be asked for again.
    pub(super) const fn awaits_again(&mut self, op: Op) {
        (self.barrier, self.awaits) = (op, Some(Awaited::Checkpoint));
    }

    /// The service stands where a log begins now.
    pub(super) fn founded(&mut self, barrier: Op) {
        (self.barrier, self.aside) = (barrier, None);
    }

    fn is_void(&mut self) -> bool {
        let void = self.void > 0;
        self.void -= usize::from(void);
        void
    }

    /// Through here the turn of every entry has come.
    pub(super) const fn issued(&self) -> Op {
        self.issued
    }

    /// Through here the service has answered.
    pub(super) const fn executed(&self) -> Op {
        self.executed
    }

    /// Issues what is committed and may run.
    #[inline]
    pub(super) fn issue(&mut self, log: &Log, commit: Op, desk: &mut Desk<'_>) {
        if self.awaits.is_some() {
            return;
        }
        // One checkpoint at a time: what comes before the last one is given is passed over.
        while self.barrier < commit && self.passes_over(desk.rules) {
            self.barrier = self.barrier.plus(self.interval);
        }
        let upto = commit.min(self.barrier);
        if upto <= self.issued {
            return;
        }
        if let Some(run) = log.run_between(self.issued, upto) {
            self.issue_run(run, desk);
        } else {
            log.runs(self.issued, upto).for_each(|run| self.issue_apart(&run, 0, desk));
        }
        self.issued = upto;
        self.progressed(desk);
    }

    /// One run of entries: contiguous operations share one upcall action.
    #[inline]
    fn issue_run(&mut self, run: &Entries, desk: &mut Desk<'_>) {
        let taken = match run.as_slice() {
            [entry] => desk.clients.take_one(desk.rules, entry, &mut self.slots),
            entries => desk.clients.take_run(desk.rules, entries, &mut self.slots),
        };
        if taken == run.len() {
            Action::put(desk.out, || Action::Execute(run.clone()));
        } else {
            self.issue_apart(run, taken, desk);
        }
    }

    /// A run with entries that may be no operations, or no news. Those before `at` are taken.
    #[inline(never)]
    fn issue_apart(&mut self, run: &Entries, mut at: usize, desk: &mut Desk<'_>) {
        let entries = run.as_slice();
        let mut start = 0;
        loop {
            at += desk.clients.take_run(desk.rules, &entries[at..], &mut self.slots);
            let Some(entry) = entries.get(at) else { break };
            let turn = desk.clients.take(desk.rules, desk.me, entry);
            if let Turn::Execute(slot) = turn {
                self.slots.push_back(Some(slot));
            } else {
                self.slots.push_back(None);
                upcall(desk.out, run.cut(start, at));
                start = at + 1;
                desk.no_upcall(entry, turn);
                if desk.ends_epoch(entry) {
                    (self.barrier, self.last) = (entry.op(), entry.op());
                }
            }
            at += 1;
        }
        upcall(desk.out, run.skip(start));
    }

    /// The service answered the oldest upcall.
    ///
    /// # Panics
    /// When the driver answers something else: a bug in the driver.
    pub(super) fn answered(&mut self, log: &Log, op: Op, reply: Bytes, desk: &mut Desk<'_>) {
        if self.is_void() {
            return;
        }
        let slot = self.slots.pop_front().flatten().expect(NOT_ASKED);
        assert_eq!(op, self.executed.next(), "the driver answers upcalls in op order");
        self.executed = op;
        if desk.serving {
            desk.clients.answered(slot, op, reply.clone());
            // Whoever executed it has it, unless a planted bug took it away.
            if let Some(entry) = log.entry(op) {
                Action::put(desk.out, || answer(desk.clients, desk.rules, desk.view, entry, reply));
            }
        } else {
            desk.clients.answered(slot, op, reply);
        }
        self.progressed(desk);
    }

    /// The service answered the oldest upcalls, from `first` on.
    ///
    /// # Panics
    /// When the driver answers something else: a bug in the driver.
    pub(super) fn answered_run(&mut self, log: &Log, first: Op, mut replies: Vec<Bytes>, desk: &mut Desk<'_>) {
        let void = self.void.min(replies.len());
        self.void -= void;
        drop(replies.drain(..void));
        if replies.is_empty() {
            return;
        }
        let before = first.plus(count(void)).previous();
        assert_eq!(before, self.executed, "the driver answers upcalls in op order");
        self.executed = before.plus(count(replies.len()));
        let asked = replies.len();
        assert!(asked <= self.slots.len(), "{NOT_ASKED}");
        let (front, back) = self.slots.as_slices();
        let (front, back) = (&front[..asked.min(front.len())], &back[..asked.saturating_sub(front.len())]);
        let (first, second) = (before.next(), before.next().plus(count(front.len())));
        if desk.serving {
            desk.clients.answered_run(front, first, replies.iter().cloned());
            desk.clients.answered_run(back, second, replies[front.len()..].iter().cloned());
            for run in log.runs(before, self.executed) {
                let Desk { clients, rules, view, out, .. } = &mut *desk;
                let answers = run.iter().zip(replies.drain(..run.len()));
                out.extend(answers.map(|(entry, reply)| answer(clients, *rules, *view, entry, reply)));
            }
        } else {
            desk.clients.answered_run(front, first, replies.drain(..front.len()));
            desk.clients.answered_run(back, second, replies.into_iter());
        }
        drop(self.slots.drain(..asked));
        self.progressed(desk);
    }

    /// Moves `executed` on. At the barrier everything stands still until the service gave its checkpoint.
    #[inline]
    fn progressed(&mut self, desk: &mut Desk<'_>) {
        while self.slots.front() == Some(&None) {
            self.slots.pop_front();
            self.executed = self.executed.next();
        }
        if self.executed == self.barrier {
            self.pause(desk);
        }
    }

    fn passes_over(&self, rules: Rules) -> bool {
        rules.passes_over(self.aside.is_some(), self.barrier == self.last)
    }

    #[inline(never)]
    fn pause(&mut self, desk: &mut Desk<'_>) {
        if self.passes_over(desk.rules) {
            self.barrier = self.barrier.plus(self.interval);
            return;
        }
        desk.out.push(Action::Note(Note::TableAt { op: self.barrier, table: desk.clients.digest() }));
        desk.out.push(Action::Checkpoint { op: self.barrier });
        self.awaits = Some(Awaited::Checkpoint);
    }
}

/// What execution works with: the client table, and clients to answer, if this replica serves them.
pub(super) struct Desk<'a> {
    pub(super) clients: &'a mut ClientTable,
    pub(super) rules: Rules,
    pub(super) me: u64,
    pub(super) view: View,
    pub(super) serving: bool,
    pub(super) group: &'a Group,
    pub(super) least: usize,
    pub(super) out: &'a mut Vec<Action>,
}

impl Desk<'_> {
    fn reply(&mut self, to: (ClientId, Session, RequestNumber), answer: (Op, Bytes), duplicate: bool) {
        let ((client, session, number), (op, result)) = (to, answer);
        let view = self.view;
        self.out.push(Action::Reply(Reply { client, session, number, op, view, result, duplicate }));
    }

    /// Is it the last entry of its epoch (VRR §7.1)? Whatever its client's session: at most once, by the epoch it names.
    fn ends_epoch(&self, entry: &Entry) -> bool {
        self.group.after(entry, self.least).is_some()
    }

    /// An entry whose turn came and which the service never sees.
    fn no_upcall(&mut self, entry: &Entry, turn: Turn) {
        let (client, op) = (entry.client(), entry.op());
        match turn {
            Turn::Execute(_) => {}
            Turn::Reconfigured(reply) => {
                if self.serving {
                    self.reply((client, entry.session(), entry.number()), (op, reply), false);
                }
            }
            Turn::Registered { session, evicted } => {
                self.out.push(Action::Note(Note::Registered { client, session }));
                if let Some((client, session)) = evicted {
                    self.out.push(Action::Note(Note::Evicted { client, session }));
                }
                if self.serving {
                    let again = session.0 != op.0;
                    self.reply((client, session, RequestNumber::ZERO), (Op(session.0), Bytes::new()), again);
                }
            }
            Turn::Duplicate(first) => {
                self.out.push(Action::Note(Note::SkippedDuplicate { op }));
                if let Some(first) = first.filter(|_| self.serving) {
                    self.reply((client, entry.session(), entry.number()), first, true);
                }
            }
            Turn::Evicted => {
                self.out.push(Action::Note(Note::SkippedDuplicate { op }));
                if self.serving {
                    let (session, number, reason) = (entry.session(), entry.number(), Reject::Evicted);
                    self.out.push(Action::Reject(Box::new(Rejection { client, session, number, reason })));
                }
            }
        }
    }
}

fn upcall(out: &mut Vec<Action>, run: Entries) {
    if !run.is_empty() {
        Action::put(out, || Action::Execute(run));
    }
}

/// What a client is told of its request.
#[inline]
fn answer(clients: &ClientTable, rules: Rules, view: View, entry: &Entry, result: Bytes) -> Action {
    let (client, session, op) = (entry.client(), entry.session(), entry.op());
    let number = rules.answered_number(entry.number(), || clients.last(client));
    Action::Reply(Reply { client, session, number, op, view, result, duplicate: false })
}

#[cfg(test)]
mod tests;
