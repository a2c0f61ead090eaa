//! What waits for the disk: nothing is promised before it is durable, and the compiler knows.
//!
//! Owns the numbering of writes, how far the disk has come, the messages held until the header they carry is
//! durable, and the proof [`Durable`] that a promise needs. A promise is derived from the state at the moment
//! the disk answers, never queued: what was true when the write was issued may be true no longer (PROTOCOL D4).
//! Must not know what the promises say. PROTOCOL §6: P1 to P9; DESIGN §10 "Promises and the disk".

use crate::action::To;
use crate::entry::Entries;
use crate::group::Group;
use crate::id::Beat;
use crate::id::{Epoch, FetchId, Op, WriteId};
use crate::log::Head;
use crate::message::{
    Body, CheckpointDurable, CheckpointPart, DoViewChange, GetState, MessageKind, NewState, Recovery, RecoveryResponse,
    StartView,
};
use crate::quorum::ReplicaSet;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Proof that what a promise speaks of is durable. Only [`Pending`] makes one.
#[derive(Debug)]
pub(crate) struct Durable(());

/// A message that promises nothing beyond the view in its header.
pub(crate) struct Plain(Body);

/// A message that promises something: it cannot be made without the proof.
pub(crate) struct Promise(Body);

impl Plain {
    pub(crate) const fn prepare(entries: Entries, commit: Op, beat: Beat) -> Self {
        Self(Body::Prepare { entries, commit, beat })
    }
    pub(crate) const fn commit(commit: Op, head: Head, beat: Beat) -> Self {
        Self(Body::Commit { commit, head, beat })
    }
    pub(crate) const fn commit_ok(beat: Beat) -> Self {
        Self(Body::CommitOk { beat })
    }
    pub(crate) const fn start_view_change(want: bool, hears: ReplicaSet) -> Self {
        Self(Body::StartViewChange { want, hears })
    }
    pub(crate) fn get_state(question: GetState) -> Self {
        Self(Body::GetState(Box::new(question)))
    }
    pub(crate) fn new_state(page: NewState) -> Self {
        Self(Body::NewState(Box::new(page)))
    }
    pub(crate) fn recovery(question: Recovery) -> Self {
        Self(Body::Recovery(Box::new(question)))
    }
    pub(crate) fn recovery_response(answer: RecoveryResponse) -> Self {
        Self(Body::RecoveryResponse(Box::new(answer)))
    }
    pub(crate) const fn get_checkpoint(head: Head, offset: u64) -> Self {
        Self(Body::GetCheckpoint { head, offset })
    }
    pub(crate) fn checkpoint_part(part: CheckpointPart) -> Self {
        Self(Body::CheckpointPart(Box::new(part)))
    }
    pub(crate) const fn get_entries(through: Head) -> Self {
        Self(Body::GetEntries { through })
    }
    pub(crate) const fn entries(entries: Entries) -> Self {
        Self(Body::Entries(entries))
    }
    pub(crate) fn start_epoch(group: Group) -> Self {
        Self(Body::StartEpoch(Box::new(group)))
    }
    pub(crate) fn new_epoch(group: Group) -> Self {
        Self(Body::NewEpoch(Box::new(group)))
    }
    pub(crate) const fn check_epoch() -> Self {
        Self(Body::CheckEpoch)
    }
    pub(crate) const fn get_read_index(id: FetchId) -> Self {
        Self(Body::GetReadIndex { id })
    }
    pub(crate) const fn read_index(id: FetchId, op: Op) -> Self {
        Self(Body::ReadIndex { id, op })
    }
    /// Without the proof: only a planted bug says it (PROTOCOL D93).
    pub(crate) const fn epoch_started_early(epoch: Epoch) -> Self {
        Self(Body::EpochStarted { epoch })
    }
    pub(crate) fn into_body(self) -> Body {
        self.0
    }
}

impl Promise {
    pub(crate) const fn prepare_ok(head: Head, beat: Beat, _: &Durable) -> Self {
        Self(Body::PrepareOk { head, beat })
    }
    pub(crate) fn do_view_change(report: DoViewChange, _: &Durable) -> Self {
        Self(Body::DoViewChange(Box::new(report)))
    }
    pub(crate) const fn epoch_started(epoch: Epoch, _: &Durable) -> Self {
        Self(Body::EpochStarted { epoch })
    }
    pub(crate) fn checkpoint_durable(news: CheckpointDurable, _: &Durable) -> Self {
        Self(Body::CheckpointDurable(Box::new(news)))
    }
    pub(crate) fn start_view(start: StartView, _: &Durable) -> Self {
        Self(Body::StartView(Box::new(start)))
    }
    pub(crate) fn into_body(self) -> Body {
        self.0
    }
}

/// What is on its way to the disk, and what waits for it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Pending {
    issued: WriteId,
    durable: WriteId,
    /// The write that makes the header (view and incarnation) durable.
    header: WriteId,
    /// The write that makes `log_view` durable.
    log_view: WriteId,
    /// Writes that bring entries, with where the log ends after each.
    appends: VecDeque<(WriteId, Op)>,
    /// The log is durable through here.
    durable_op: Op,
    /// Messages whose header is not durable yet.
    held: Vec<(To, Body)>,
}

impl Pending {
    /// A disk that holds a log through `op` and nothing is on its way to.
    pub(crate) const fn new(op: Op) -> Self {
        let none = WriteId::ZERO;
        Self {
            issued: none,
            durable: none,
            header: none,
            log_view: none,
            appends: VecDeque::new(),
            durable_op: op,
            held: Vec::new(),
        }
    }

    /// Numbers one more write.
    pub(crate) const fn issue(&mut self) -> WriteId {
        self.issued = self.issued.next();
        self.issued
    }

    /// The last write issued is the one that makes the header durable.
    pub(crate) const fn header_issued(&mut self) {
        self.header = self.issued;
    }

    /// The last write issued is the one that makes `log_view` durable.
    pub(crate) const fn log_view_issued(&mut self) {
        self.log_view = self.issued;
    }

    /// The last write issued makes the log durable through `op`.
    pub(crate) fn append_issued(&mut self, op: Op) {
        self.appends.push_back((self.issued, op));
    }

    /// The log in memory now differs from the disk's after `keep`.
    pub(crate) fn cut(&mut self, keep: Op) {
        self.durable_op = self.durable_op.min(keep);
        for (_, op) in &mut self.appends {
            *op = (*op).min(keep);
        }
    }

    /// Memory alone is the proof in the asynchronous mode.
    pub(crate) fn durable_in_memory(&mut self, op: Op) {
        self.durable_op = op;
        self.appends.clear();
    }

    /// The driver says: durable through `upto`. False when it speaks of a write that was never issued.
    pub(crate) fn persisted(&mut self, upto: WriteId) -> bool {
        if upto > self.issued {
            return false;
        }
        self.durable = self.durable.max(upto);
        while let Some((id, op)) = self.appends.front().copied().filter(|(id, _)| *id <= self.durable) {
            debug_assert!(id <= self.issued);
            self.durable_op = self.durable_op.max(op);
            self.appends.pop_front();
        }
        true
    }

    /// Is this write durable, and every one before it?
    pub(crate) fn is_durable(&self, id: WriteId) -> bool {
        id <= self.durable
    }

    /// The proof that this write is durable.
    pub(crate) fn proof_of(&self, id: WriteId) -> Option<Durable> {
        self.is_durable(id).then_some(Durable(()))
    }

    /// The newest write that was issued, and the newest that is durable.
    pub(crate) const fn reach(&self) -> (WriteId, WriteId) {
        (self.issued, self.durable)
    }

    /// The log is durable through here.
    pub(crate) const fn durable_op(&self) -> Op {
        self.durable_op
    }

    /// May anything be said at all?
    pub(crate) fn is_header_durable(&self) -> bool {
        self.header <= self.durable
    }

    /// The proof that view and incarnation are durable, and, if asked, that the disk knows of `log_view`.
    pub(crate) fn proof_of_view(&self, log_view_too: bool) -> Option<Durable> {
        let done = self.is_header_durable() && (!log_view_too || self.log_view <= self.durable);
        done.then_some(Durable(()))
    }

    /// The proof that nothing is on its way to the disk. `needed` is false where memory is proof enough.
    pub(crate) fn proof_of_everything(&self, needed: bool) -> Option<Durable> {
        let done = self.is_header_durable() && (!needed || self.durable == self.issued);
        done.then_some(Durable(()))
    }

    /// Keeps a message back until its header is durable.
    pub(crate) fn hold(&mut self, to: To, body: Body) {
        // Only the latest vote is worth saying, the answer to the latest heartbeat, and the latest question: the answers to
        // those before it are not waited for any more.
        let kind = body.kind();
        let question = matches!(kind, MessageKind::GetState | MessageKind::GetReadIndex);
        if question || matches!(kind, MessageKind::StartViewChange | MessageKind::CommitOk) {
            self.held.retain(|(before, held)| *before != to || held.kind() != kind);
        }
        self.held.push((to, body));
    }

    /// Forgets what was kept back: it speaks of a view that is over.
    pub(crate) fn discard_held(&mut self) {
        self.held.clear();
    }

    /// What may leave now.
    pub(crate) fn release(&mut self) -> Vec<(To, Body)> {
        if self.is_header_durable() { core::mem::take(&mut self.held) } else { Vec::new() }
    }

    pub(crate) fn holds_nothing(&self) -> bool {
        self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Hash, ReplicaId};

    #[test]
    fn a_truncation_takes_back_what_earlier_writes_would_have_vouched_for() {
        let mut pending = Pending::new(Op(2));
        let first = pending.issue();
        pending.append_issued(Op(5));
        pending.cut(Op(3));
        let second = pending.issue();
        pending.append_issued(Op(4));
        assert!(pending.persisted(first));
        assert_eq!(pending.durable_op(), Op(3), "ops 4 and 5 of the first write are gone");
        assert!(pending.persisted(second));
        assert_eq!(pending.durable_op(), Op(4));
    }

    #[test]
    fn nothing_leaves_before_its_header_is_durable() {
        let mut pending = Pending::new(Op(0));
        let id = pending.issue();
        pending.header_issued();
        pending.hold(To::Others, Plain::commit_ok(Beat(1)).into_body());
        assert!(pending.release().is_empty());
        assert!(pending.proof_of_view(false).is_none() && pending.proof_of_everything(false).is_none());
        pending.persisted(id);
        assert_eq!(pending.release().len(), 1);
        assert!(pending.proof_of_view(true).is_some());
    }

    #[test]
    fn what_was_written_is_durable_up_to_what_the_disk_said_and_no_further() {
        let mut pending = Pending::new(Op(0));
        let (first, second) = (pending.issue(), pending.issue());
        assert!(!pending.is_durable(first) && pending.proof_of_everything(true).is_none());
        pending.persisted(first);
        assert!(pending.is_durable(first) && !pending.is_durable(second));
        assert!(pending.proof_of_everything(true).is_none() && pending.proof_of_everything(false).is_some());
        pending.persisted(second);
        assert!(pending.is_durable(second) && pending.proof_of_everything(true).is_some());
    }

    #[test]
    fn what_is_held_for_a_view_that_is_over_is_forgotten() {
        let mut pending = Pending::new(Op(0));
        let id = pending.issue();
        pending.header_issued();
        assert!(pending.holds_nothing());
        pending.hold(To::Others, Plain::commit_ok(Beat(1)).into_body());
        assert!(!pending.holds_nothing());
        pending.discard_held();
        pending.persisted(id);
        assert!(pending.holds_nothing() && pending.release().is_empty());
    }

    #[test]
    fn of_what_is_held_the_latest_answer_to_a_heartbeat_is_enough() {
        let mut pending = Pending::new(Op(0));
        let id = pending.issue();
        pending.header_issued();
        let (one, other) = (To::One(ReplicaId(0)), To::One(ReplicaId(1)));
        let answer = |beat| Plain::commit_ok(Beat(beat)).into_body();
        for beat in 1..100 {
            pending.hold(one, answer(beat));
        }
        pending.hold(other, answer(1));
        pending.hold(one, Plain::commit(Op(0), Head { op: Op(0), hash: Hash(1) }, Beat(1)).into_body());
        pending.persisted(id);
        let released = pending.release();
        assert_eq!(released.len(), 3);
        assert_eq!(released[..2], [(one, answer(99)), (other, answer(1))]);
    }

    #[test]
    fn of_what_is_held_the_latest_question_to_a_replica_is_enough() {
        let mut pending = Pending::new(Op(0));
        let id = pending.issue();
        pending.header_issued();
        let question = |id| {
            let question = GetState { id: FetchId(id), have: Vec::new(), want: None };
            Plain::get_state(question).into_body()
        };
        for id in 1..5 {
            pending.hold(To::One(ReplicaId(0)), question(id));
        }
        pending.hold(To::One(ReplicaId(2)), question(5));
        let index = |id| (To::One(ReplicaId(0)), Plain::get_read_index(FetchId(id)).into_body());
        for (to, body) in [index(6), index(7)] {
            pending.hold(to, body);
        }
        pending.persisted(id);
        let expected = [(To::One(ReplicaId(0)), question(4)), (To::One(ReplicaId(2)), question(5)), index(7)];
        assert_eq!(pending.release(), expected);
    }

    #[test]
    fn a_completion_of_a_write_that_was_never_issued_is_refused() {
        let mut pending = Pending::new(Op(0));
        assert!(!pending.persisted(WriteId(1)));
        assert!(pending.persisted(WriteId(0)));
    }

    #[test]
    fn there_is_a_proof_of_a_write_once_it_is_durable_and_not_before() {
        let mut pending = Pending::new(Op(0));
        let (first, second) = (pending.issue(), pending.issue());
        assert!(pending.proof_of(first).is_none());
        pending.persisted(first);
        assert!(pending.proof_of(first).is_some() && pending.proof_of(second).is_none());
    }
}
