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
    /// The next op at which nothing may be in between: the table there is the same on every replica.
    barrier: Op,
    upcalls: VecDeque<Upcall>,
}

impl Execution {
    pub(super) const fn new(base: Op, interval: u64) -> Self {
        let barrier = Op((base.0 / interval + 1) * interval);
        Self { issued: base, executed: base, interval, barrier, upcalls: VecDeque::new() }
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
        loop {
            let upto = commit.min(self.barrier);
            if upto <= self.issued {
                return;
            }
            for run in log.runs(self.issued, upto) {
                self.issue_run(run, desk);
            }
            self.issued = upto;
            if !self.progressed(desk) {
                return;
            }
        }
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
    pub(super) fn answered(
        &mut self,
        first: Op,
        replies: impl IntoIterator<Item = Bytes>,
        desk: &mut Desk<'_>,
    ) -> bool {
        let mut op = first;
        for reply in replies {
            self.answered_one(op, reply, desk);
            op = op.next();
        }
        op != first && self.progressed(desk)
    }

    fn answered_one(&mut self, op: Op, reply: Bytes, desk: &mut Desk<'_>) {
        let upcall = self.upcalls.pop_front().expect("the driver answers only what was executed");
        assert_eq!(upcall.op, op, "the driver answers upcalls in op order");
        let newest = upcall.slot.and_then(|slot| desk.clients.answered(slot, upcall.client, op, &reply));
        if desk.serving {
            let number = desk.rules.answered_number(upcall.number, newest.unwrap_or(upcall.number));
            desk.reply((upcall.client, upcall.session, number), (op, reply), false);
        }
    }

    /// Moves `executed` on; true when it reached the barrier, so that more may be issued.
    fn progressed(&mut self, desk: &mut Desk<'_>) -> bool {
        self.executed = self.upcalls.front().map_or(self.issued, |upcall| upcall.op.previous());
        let reached = self.executed == self.barrier;
        if reached {
            desk.out.push(Action::Note(Note::TableAt { op: self.barrier, table: desk.clients.digest() }));
            self.barrier = self.barrier.plus(self.interval);
        }
        reached
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
