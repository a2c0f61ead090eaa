//! Execution: committed entries become upcalls, in op order, once per life; answers become replies.
//!
//! Owns how far upcalls were issued and answered, and the moment at every `checkpoint_interval` ops at which
//! nothing is in between. Must not know statuses; whether this replica serves clients is told. Paper: VRR §4.1
//! steps 5 to 7; DESIGN 9.3, §10 "Clients".

use crate::action::{Action, Note, Reject, Rejection, Reply};
use crate::clients::{ClientTable, SlotId, Turn};
use crate::entry::{Entries, Entry};
use crate::id::{ClientId, Op, RequestNumber, Session, View};
use crate::log::Log;
use crate::rules::Rules;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// An upcall the service has not answered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Upcall {
    op: Op,
    client: ClientId,
    session: Session,
    number: RequestNumber,
    slot: Option<SlotId>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Execution {
    issued: Op,
    executed: Op,
    interval: u64,
    /// The next op at which nothing may be in between: table and service there are the same on every replica.
    barrier: Op,
    upcalls: VecDeque<Upcall>,
    /// Nothing is issued before the service has done this.
    awaits: Option<Awaited>,
    /// So many answers are on their way that are for nothing: the service was told to become another one since.
    void: usize,
}

/// What the service is asked for beside executing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Awaited {
    Checkpoint,
    Restored,
}

impl Execution {
    /// Everything through `base` is executed, or in the checkpoint that the service was just told to become.
    pub(super) fn new(base: Op, interval: u64, barrier: Op, restoring: bool) -> Self {
        let awaits = restoring.then_some(Awaited::Restored);
        Self { issued: base, executed: base, interval, barrier, upcalls: VecDeque::new(), awaits, void: 0 }
    }

    /// The service was told to become what it was after `op`, whatever it is. `barrier` is the next one after that.
    pub(super) fn restore(&mut self, op: Op, barrier: Op, told: bool) {
        self.void += self.upcalls.len() + usize::from(self.awaits.is_some());
        self.upcalls.clear();
        (self.issued, self.barrier) = (op, barrier);
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
    pub(super) fn issue(&mut self, log: &Log, commit: Op, desk: &mut Desk<'_>) {
        let upto = commit.min(self.barrier);
        if upto <= self.issued || self.awaits.is_some() {
            return;
        }
        for run in log.runs(self.issued, upto) {
            self.issue_run(run, desk);
        }
        self.issued = upto;
        self.progressed(desk);
    }

    /// One run of entries: contiguous operations share one upcall action.
    fn issue_run(&mut self, run: Entries, desk: &mut Desk<'_>) {
        let mut start = 0;
        for (at, entry) in run.iter().enumerate() {
            let turn = desk.clients.take(desk.rules, desk.me, entry);
            if let Turn::Execute(slot) = turn {
                let (op, client, session, number) = (entry.op(), entry.client(), entry.session(), entry.number());
                self.upcalls.push_back(Upcall { op, client, session, number, slot });
                continue;
            }
            upcall(desk.out, run.cut(start, at));
            start = at + 1;
            desk.no_upcall(entry, turn);
        }
        upcall(desk.out, if start == 0 { run } else { run.skip(start) });
    }

    /// The service answered the oldest upcalls, from `first` on.
    ///
    /// # Panics
    /// When the driver answers something else: a bug in the driver.
    pub(super) fn answered(&mut self, first: Op, replies: impl IntoIterator<Item = Bytes>, desk: &mut Desk<'_>) {
        let (mut op, mut moved) = (first, false);
        for reply in replies {
            moved |= self.answered_one(op, reply, desk);
            op = op.next();
        }
        if moved {
            self.progressed(desk);
        }
    }

    /// False when the answer is for nothing.
    fn answered_one(&mut self, op: Op, reply: Bytes, desk: &mut Desk<'_>) -> bool {
        if self.is_void() {
            return false;
        }
        let upcall = self.upcalls.pop_front().expect("the driver answers only what was executed");
        assert_eq!(upcall.op, op, "the driver answers upcalls in op order");
        let newest = upcall.slot.and_then(|slot| desk.clients.answered(slot, upcall.client, op, &reply));
        if desk.serving {
            let number = desk.rules.answered_number(upcall.number, newest.unwrap_or(upcall.number));
            desk.reply((upcall.client, upcall.session, number), (op, reply), false);
        }
        true
    }

    /// Moves `executed` on. At the barrier everything stands still until the service gave its checkpoint.
    fn progressed(&mut self, desk: &mut Desk<'_>) {
        self.executed = self.upcalls.front().map_or(self.issued, |upcall| upcall.op.previous());
        if self.executed == self.barrier {
            desk.out.push(Action::Note(Note::TableAt { op: self.barrier, table: desk.clients.digest() }));
            desk.out.push(Action::Checkpoint { op: self.barrier });
            self.awaits = Some(Awaited::Checkpoint);
        }
    }
}

/// What execution works with: the client table, and clients to answer, if this replica serves them.
pub(super) struct Desk<'a> {
    pub(super) clients: &'a mut ClientTable,
    pub(super) rules: Rules,
    pub(super) me: u64,
    pub(super) view: View,
    pub(super) serving: bool,
    pub(super) out: &'a mut Vec<Action>,
}

impl Desk<'_> {
    fn reply(&mut self, to: (ClientId, Session, RequestNumber), answer: (Op, Bytes), duplicate: bool) {
        let ((client, session, number), (op, result)) = (to, answer);
        let view = self.view;
        self.out.push(Action::Reply(Reply { client, session, number, op, view, result, duplicate }));
    }

    /// An entry whose turn came and which the service never sees.
    fn no_upcall(&mut self, entry: &Entry, turn: Turn) {
        let (client, op) = (entry.client(), entry.op());
        match turn {
            Turn::Execute(_) => {}
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
        out.push(Action::Execute(run));
    }
}
