//! What comes from clients, the disk and the operator, handed to whom it concerns.
//!
//! Owns what each of these inputs means in each status. Must not know messages or timers. Paper: VRR §4.1 step 1.

use super::common::{Common, Out};
use super::{Replica, Status, checkpoints, epochs, retention};
use crate::action::{Action, Note};
use crate::checkpoint::{Checkpoint, Outline};
use crate::entry::{Query, Request};
use crate::hand_over::NoHandOver;
use crate::id::{Op, ReplicaId, WriteId};
use crate::log::Head;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;

impl Replica {
    pub(super) fn on_persisted(&mut self, out: &mut Out, upto: WriteId) {
        assert!(self.common.pending.persisted(upto), "the driver completes only writes that were issued");
        self.common.release(out);
        checkpoints::settle(&mut self.common, out);
        let speaks = self.speaks();
        retention::persisted(&mut self.common, out, speaks);
        epochs::persisted(&mut self.common, out);
    }

    /// May it tell others what is durable here? Who asks for its memory only asks.
    pub(super) const fn speaks(&self) -> bool {
        matches!(self.status, Status::Primary(_) | Status::Backup(_) | Status::ViewChange(_))
    }

    /// The service answered one op.
    pub(super) fn on_executed(&mut self, out: &mut Out, op: Op, reply: Bytes) {
        let serving = matches!(self.status, Status::Primary(_));
        let (execution, log, mut desk) = self.common.desk(out, serving);
        execution.answered(log, op, reply, &mut desk);
    }

    /// The service answered several in a row, from `first` on.
    pub(super) fn on_executed_run(&mut self, out: &mut Out, first: Op, replies: Vec<Bytes>) {
        let serving = matches!(self.status, Status::Primary(_));
        let (execution, log, mut desk) = self.common.desk(out, serving);
        execution.answered_run(log, first, replies, &mut desk);
    }

    pub(super) fn on_checkpoint_begun(&mut self, out: &mut Out, op: Op) {
        epochs::begun(&mut self.common, out, op, matches!(self.status, Status::Primary(_)));
    }

    pub(super) fn on_checkpoint_given(&mut self, out: &mut Out, checkpoint: Box<Checkpoint>) {
        let next = epochs::given(&mut self.common, out, checkpoint);
        self.transition(out, next);
    }

    /// What the checkpoint is made with whose state the service has set aside, and whether execution waits for it:
    /// [`crate::Input::CheckpointBegun`].
    #[must_use]
    pub fn outline(&self) -> Option<(&Outline, bool)> {
        self.common.execution.aside()
    }

    /// The checkpoint whose parts are waited for: a driver may write down what comes of it before it is whole.
    #[must_use]
    pub fn arriving(&self) -> Option<Head> {
        self.common.shelf.next().map(|next| next.head)
    }

    /// Answers of the service make nothing sayable, but somebody may have waited for the last of them to give way.
    #[inline]
    pub(super) fn after_upcalls(&mut self, out: &mut Out) {
        if let Status::Primary(primary) = &self.status
            && primary.is_giving_way()
        {
            self.settle(out);
        }
        self.check_invariants();
    }

    /// Only the primary takes requests.
    pub(super) fn on_request(&mut self, out: &mut Out, request: Request) {
        if let Status::Primary(primary) = &mut self.status {
            return primary.on_request(&mut self.common, out, request);
        }
        let reason = self.common.not_primary(matches!(self.status, Status::Backup(_)));
        self.common.reject(out, &request, reason);
    }

    pub(super) fn on_requests(&mut self, out: &mut Out, requests: Vec<Request>) {
        if let Status::Primary(primary) = &mut self.status {
            return primary.on_requests(&mut self.common, out, requests);
        }
        let reason = self.common.not_primary(matches!(self.status, Status::Backup(_)));
        requests.iter().for_each(|request| self.common.reject(out, request, reason));
    }

    /// Only the primary knows what is new.
    pub(super) fn on_query(&mut self, out: &mut Out, query: Query) {
        match &mut self.status {
            Status::Primary(primary) => primary.on_query(&mut self.common, out, query, true),
            Status::Backup(_) if self.common.rules.backup_reads() => out.push(Action::Read(alloc::vec![query])),
            Status::Backup(_) | Status::ViewChange(_) | Status::Recovering(_) | Status::Outside | Status::Halted => {
                let reason = self.common.not_primary(matches!(self.status, Status::Backup(_)));
                self.common.refuse(out, &query, reason);
            }
        }
    }

    /// A backup knows it from its primary, and answers whoever lets it (PROTOCOL 1.8).
    pub(super) fn on_query_here(&mut self, out: &mut Out, query: Query) {
        match &mut self.status {
            // A witness has no service that could answer.
            Status::Backup(backup) if !self.common.is_witness() => backup.on_query(&mut self.common, out, query),
            Status::Primary(_)
            | Status::Backup(_)
            | Status::ViewChange(_)
            | Status::Recovering(_)
            | Status::Outside
            | Status::Halted => {
                self.on_query(out, query);
            }
        }
    }

    /// What was read under a lease came too late: only a quorum will do (PROTOCOL D85).
    pub(super) fn on_query_late(&mut self, out: &mut Out, query: Query) {
        if let Status::Primary(primary) = &mut self.status {
            return primary.on_query(&mut self.common, out, query, false);
        }
        self.on_query(out, query);
    }

    /// Its time in this status is over: whoever waits for it is told so.
    pub(super) fn turn_away(status: &mut Status, common: &Common, out: &mut Out) {
        match status {
            Status::Primary(primary) => primary.turn_away(common, out),
            Status::Backup(backup) => backup.turn_readers_away(common, out),
            Status::ViewChange(_) | Status::Recovering(_) | Status::Outside | Status::Halted => {}
        }
    }

    /// Only the primary can give way.
    pub(super) fn on_hand_over(&mut self, out: &mut Out, to: Option<ReplicaId>) {
        if let Status::Primary(primary) = &mut self.status {
            primary.on_hand_over(&mut self.common, out, to);
        } else {
            out.push(Action::Note(Note::NoHandOver { why: NoHandOver::NotPrimary }));
        }
    }

    /// An orderly stop: the mark is the last write, so that whoever finds it durable finds everything before it. Who
    /// recovers has less in its log than it once acknowledged, and leaves no mark.
    pub(super) fn stop(&mut self, out: &mut Out) {
        let recovering = matches!(self.status, Status::Recovering(_));
        let clean = self.common.rules.leaves_mark(recovering);
        Self::turn_away(&mut self.status, &self.common, out);
        self.common.stop(out, clean);
        if self.common.rules.ends_with_mark() {
            self.status = Status::Halted;
        }
    }

    /// The disk is full, or has room again (DESIGN 9.11).
    pub(super) fn on_space(&mut self, out: &mut Out, has: bool) {
        self.common.space(has);
        match &mut self.status {
            Status::Primary(primary) if has => primary.flush(&mut self.common, out),
            Status::Backup(backup) if !has => backup.stop_fetching(&mut self.common),
            Status::Primary(_)
            | Status::Backup(_)
            | Status::ViewChange(_)
            | Status::Recovering(_)
            | Status::Outside
            | Status::Halted => {}
        }
        if has && let Some(op) = self.common.epochs.take_owed() {
            out.push(Action::Checkpoint { op });
        }
    }
}

#[cfg(test)]
mod tests;
