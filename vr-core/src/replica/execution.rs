//! Execution: committed entries become upcalls, in op order, once per life; answers become replies.
//!
//! Owns how far upcalls were issued and answered, and the moment at every `checkpoint_interval` ops at which
//! nothing is in between. Must not know statuses; whether this replica serves clients is told. Paper: VRR §4.1
//! steps 5 to 7; DESIGN 9.3, §10 "Clients".

use super::common::{Common, Out};
use crate::action::{Action, Note, Reject};
use crate::clients::Turn;
use crate::entry::{Entries, Entry};
use crate::id::{ClientId, Op, RequestNumber, Session};
use alloc::collections::VecDeque;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// An upcall the service has not answered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Upcall {
    op: Op,
    client: ClientId,
    session: Session,
    number: RequestNumber,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Execution {
    issued: Op,
    executed: Op,
    interval: u64,
    upcalls: VecDeque<Upcall>,
}

impl Execution {
    pub(super) const fn new(base: Op, interval: u64) -> Self {
        Self { issued: base, executed: base, interval, upcalls: VecDeque::new() }
    }

    /// Through here the turn of every entry has come.
    pub(super) const fn issued(&self) -> Op {
        self.issued
    }

    /// Through here the service has answered.
    pub(super) const fn executed(&self) -> Op {
        self.executed
    }

    /// The next op at which nothing may be in between: the table there is the same on every replica.
    const fn barrier(&self) -> Op {
        Op((self.executed.0 / self.interval + 1) * self.interval)
    }

    /// Issues what is committed and may run.
    pub(super) fn issue(&mut self, common: &mut Common, out: &mut Out, serving: bool) {
        loop {
            let barrier = self.barrier();
            let upto = common.commit().min(barrier);
            if upto <= self.issued {
                return;
            }
            let log = core::mem::replace(&mut common.log, crate::log::Log::new(crate::log::Head::default()));
            for run in log.runs(self.issued, upto) {
                self.issue_run(common, out, &run, serving);
            }
            common.log = log;
            self.issued = upto;
            if !self.progressed(common, out, barrier) {
                return;
            }
        }
    }

    /// One run of entries: contiguous operations share one upcall action.
    fn issue_run(&mut self, common: &mut Common, out: &mut Out, run: &Entries, serving: bool) {
        let mut start = 0;
        for (at, entry) in run.iter().enumerate() {
            let turn = common.clients.take(common.rules, u64::from(common.config.me.0), entry);
            if turn == Turn::Execute {
                let (op, client, session, number) = (entry.op(), entry.client(), entry.session(), entry.number());
                self.upcalls.push_back(Upcall { op, client, session, number });
                continue;
            }
            upcall(out, run.take(at).skip(start));
            start = at + 1;
            no_upcall(common, out, entry, turn, serving);
        }
        upcall(out, if start == 0 { run.clone() } else { run.skip(start) });
    }

    /// The service answered the oldest upcall.
    ///
    /// # Panics
    /// When the driver answers something else: a bug in the driver.
    pub(super) fn answered(&mut self, common: &mut Common, out: &mut Out, op: Op, reply: Bytes, serving: bool) {
        let upcall = self.upcalls.pop_front().expect("the driver answers only what was executed");
        assert_eq!(upcall.op, op, "the driver answers upcalls in op order");
        common.clients.answered(upcall.client, op, &reply);
        if serving {
            let newest = common.clients.newest(upcall.client).unwrap_or(upcall.number);
            let number = common.rules.answered_number(upcall.number, newest);
            common.reply(out, (upcall.client, upcall.session, number), (op, reply), false);
        }
        let barrier = self.barrier();
        if self.progressed(common, out, barrier) {
            self.issue(common, out, serving);
        }
    }

    /// Moves `executed` on; true when it reached the barrier, so that more may be issued.
    fn progressed(&mut self, common: &Common, out: &mut Out, barrier: Op) -> bool {
        self.executed = self.upcalls.front().map_or(self.issued, |upcall| upcall.op.previous());
        let reached = self.executed == barrier;
        if reached {
            out.push(Action::Note(Note::TableAt { op: barrier, table: common.clients.digest() }));
        }
        reached
    }
}

fn upcall(out: &mut Out, run: Entries) {
    if !run.is_empty() {
        out.push(Action::Execute(run));
    }
}

/// An entry whose turn came and which the service never sees.
fn no_upcall(common: &Common, out: &mut Out, entry: &Entry, turn: Turn, serving: bool) {
    let (client, op) = (entry.client(), entry.op());
    match turn {
        Turn::Execute => {}
        Turn::Registered { session, evicted } => {
            out.push(Action::Note(Note::Registered { client, session }));
            if let Some((client, session)) = evicted {
                out.push(Action::Note(Note::Evicted { client, session }));
            }
            if serving {
                let again = session.0 != op.0;
                common.reply(out, (client, session, RequestNumber::ZERO), (Op(session.0), Bytes::new()), again);
            }
        }
        Turn::Duplicate(first) => {
            out.push(Action::Note(Note::SkippedDuplicate { op }));
            if let Some(first) = first.filter(|_| serving) {
                common.reply(out, (client, entry.session(), entry.number()), first, true);
            }
        }
        Turn::Evicted => {
            out.push(Action::Note(Note::SkippedDuplicate { op }));
            if serving {
                common.reject(out, &entry.request(), Reject::Evicted);
            }
        }
    }
}
