//! The normal case at a backup: prepares are logged and acknowledged once durable, gaps are fetched.
//!
//! Owns what this backup owes the primary of its view. Acknowledgements are derived from what the disk holds
//! *now*, so that none can outlive its view. Must not know how the view began or what follows it. Paper: VRR
//! §4.1 steps 4 and 7, §5.2.

mod reads;

use super::checkpoints::{self, Took};
use super::common::{Common, Next, Out};
use super::retention;
use super::state_transfer::{self, Fetch};
use super::witnesses;
use crate::action::{Action, HaltReason, Ignored, Note, To};
use crate::entry::Entries;
use crate::id::{Beat, Op, ReplicaId};
use crate::log::{Head, continues};
use crate::message::{Body, CheckpointPart, MessageKind, NewState, StartView};
use crate::persist::{Plain, Promise};
use crate::timer::Timer;
use reads::Reads;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Backup {
    /// The last op acknowledged in this view.
    acked: Op,
    /// The primary asked for something that is acknowledged already: say it again.
    owes_ack: bool,
    /// The newest heartbeat heard.
    beat: Beat,
    fetch: Option<Fetch>,
    reads: Reads,
}

impl Backup {
    /// Is normal in its view from now on, with the view's whole initial log (VRR §4.2 step 5, §4.3 step 3).
    pub(super) fn enter(common: &mut Common, out: &mut Out, commit: Op) -> Self {
        out.push(Action::Note(Note::BecameBackup { view: common.view(), op: common.log.op() }));
        common.timers.cancel(Timer::Heartbeat);
        common.timers.cancel(Timer::Retransmit);
        state_transfer::stop(common);
        common.hear_primary();
        common.commit_to(out, commit, false);
        let acked = if common.rules.acknowledges_after_transfer() { Op::ZERO } else { common.log.op() };
        Self { acked, owes_ack: false, beat: Beat::ZERO, fetch: None, reads: Reads::default() }
    }

    /// A message of our view.
    pub(super) fn on_message(&mut self, common: &mut Common, out: &mut Out, from: ReplicaId, body: Body) -> Next {
        let kind = body.kind();
        let from_primary = from == common.primary();
        match body {
            Body::Prepare { .. } | Body::Commit { .. } | Body::StartView(_) | Body::ReadIndex { .. }
                if !from_primary =>
            {
                common.ignore(out, from, kind, Ignored::WrongRole);
            }
            Body::Prepare { entries, commit, beat } => {
                self.hear(common, beat);
                return self.on_prepare(common, out, entries, commit);
            }
            Body::Commit { commit, head, beat } => {
                self.hear(common, beat);
                return self.on_commit(common, out, commit, head);
            }
            Body::StartView(start) => {
                common.hear_primary();
                self.on_start_view(common, out, &start);
            }
            Body::CheckpointPart(part) => self.on_part(common, out, from, &part),
            Body::GetState(question) => state_transfer::answer(common, out, from, &question, true),
            Body::NewState(page) => self.on_new_state(common, out, from, &page),
            Body::ReadIndex { id, op } => self.on_read_index(common, out, from, (id, op), true),
            Body::PrepareOk { .. } | Body::CommitOk { .. } | Body::DoViewChange(_) | Body::GetReadIndex { .. } => {
                common.ignore(out, from, kind, Ignored::WrongRole);
            }
            Body::StartViewChange { .. }
            | Body::Recovery(_)
            | Body::RecoveryResponse(_)
            | Body::GetCheckpoint { .. }
            | Body::GetEntries { .. }
            | Body::Entries(_)
            | Body::StartEpoch(_)
            | Body::EpochStarted { .. }
            | Body::NewEpoch(_)
            | Body::CheckEpoch
            | Body::CheckpointDurable(_) => {
                common.ignore(out, from, kind, Ignored::WrongStatus);
            }
        }
        Next::Stay
    }

    fn hear(&mut self, common: &mut Common, beat: Beat) {
        if beat > self.beat {
            self.beat = beat;
            let (view, primary, later) = (common.view(), common.primary(), common.rules.measures_promise_later());
            common.grants.grant(view, primary, common.now, later);
        }
        common.hear_primary();
    }

    /// VRR §4.1 step 4, in op order, never across a hole.
    fn on_prepare(&mut self, common: &mut Common, out: &mut Out, entries: Entries, commit: Op) -> Next {
        let primary = common.primary();
        let Some((first, last)) = entries.first().zip(entries.last()) else {
            common.ignore(out, primary, MessageKind::Prepare, Ignored::Malformed);
            return Next::Stay;
        };
        let (first, last) = (first.op(), Head { op: last.op(), hash: last.hash() });
        let head = common.log.head();
        if last.op <= head.op {
            if common.log.hash(last.op).is_some_and(|ours| ours != last.hash) {
                return Next::Halt(HaltReason::ContradictsLog { op: last.op });
            }
            common.ignore(out, primary, MessageKind::Prepare, Ignored::Duplicate);
            self.owes_ack |= common.rules.reacknowledges();
        } else if first > head.op.next() {
            common.ignore(out, primary, MessageKind::Prepare, Ignored::Gap);
            let skips = common.rules.witness_acknowledges_beyond_a_gap(common.is_witness());
            if common.rules.acknowledges_beyond_a_gap() | skips {
                self.acknowledge_a_hole(common, out, last);
            }
            self.catch_up(common, out);
        } else {
            let news = match crate::log::span(first, head.op.next()) {
                0 => entries,
                known => entries.skip(known),
            };
            if !continues(&news, head) {
                return Next::Halt(HaltReason::ContradictsLog { op: head.op });
            }
            if common.may_append() {
                common.append(out, news);
            } else {
                common.ignore(out, primary, MessageKind::Prepare, Ignored::NoSpace);
            }
        }
        common.commit_to(out, commit, false);
        Next::Stay
    }

    /// Only a planted bug gets here (PROTOCOL D3, D103).
    fn acknowledge_a_hole(&self, common: &mut Common, out: &mut Out, last: Head) {
        if let Some((_, proof)) = common.durable_log() {
            let primary = common.primary();
            common.send_promise(out, To::One(primary), Promise::prepare_ok(last, self.beat, &proof));
        }
    }

    /// VRR §4.1 step 7: the heartbeat of an idle primary, which also shows what is missing here.
    fn on_commit(&mut self, common: &mut Common, out: &mut Out, commit: Op, head: Head) -> Next {
        let ours = common.log.op();
        if head.op > ours {
            self.catch_up(common, out);
        } else if common.log.hash(head.op).is_some_and(|hash| hash != head.hash) {
            return Next::Halt(HaltReason::ContradictsLog { op: head.op });
        }
        common.commit_to(out, commit, false);
        if ours > common.commit() && common.rules.reacknowledges() && common.durable_log().is_some() {
            self.owes_ack = true;
        } else {
            let primary = common.primary();
            common.send(out, primary, Plain::commit_ok(self.beat));
        }
        Next::Stay
    }

    /// Normal already: the view's log is here, and more perhaps (PROTOCOL D17).
    fn on_start_view(&mut self, common: &mut Common, out: &mut Out, start: &StartView) {
        let primary = common.primary();
        if common.rules.reinstalls_start_view() && common.log.contains(start.tail.base) {
            common.replace(out, start.tail.base.op, start.tail.entries.clone());
            return;
        }
        common.ignore(out, primary, MessageKind::StartView, Ignored::Duplicate);
        self.owes_ack |= common.rules.reacknowledges();
        common.commit_to(out, start.commit, false);
    }

    // ---- state transfer within the view (PROTOCOL 1.4 case A)

    fn catch_up(&mut self, common: &mut Common, out: &mut Out) {
        if self.fetch.is_none() && common.may_append() {
            let primary = common.primary();
            let have = state_transfer::catch_up(common);
            self.fetch = Some(Fetch::ask(common, out, primary, have, None));
        }
    }

    /// The disk is full: what would come could not be kept. Once there is room, the next heartbeat shows what is missing.
    pub(super) fn stop_fetching(&mut self, common: &mut Common) {
        self.fetch = None;
        state_transfer::stop(common);
    }

    fn on_new_state(&mut self, common: &mut Common, out: &mut Out, from: ReplicaId, page: &NewState) {
        if !self.fetch.as_ref().is_some_and(|fetch| fetch.answers(page)) {
            return common.ignore(out, from, MessageKind::NewState, Ignored::NotAsked);
        }
        let head = common.log.head();
        let news = page.tail.entries.skip(crate::log::span(page.tail.base.op, head.op));
        let advanced = !news.is_empty();
        if page.tail.base.op > head.op && page.tail.base.op <= page.commit {
            if common.is_witness() {
                return self.on_base(common, out, from, page);
            }
            // No log that reaches back to ours: it is a checkpoint that comes next (PROTOCOL 1.4 case C).
            return checkpoints::want(common, out, page.tail.base, from);
        }
        if page.tail.base.op > head.op || !continues(&news, head) {
            common.ignore(out, from, MessageKind::NewState, Ignored::Gap);
        } else if !news.is_empty() {
            common.append(out, news);
            out.push(Action::Note(Note::TookState { from, op: common.log.op() }));
            if !common.rules.acknowledges_after_transfer() {
                self.acked = common.log.op();
            }
        }
        self.go_on(common, out, page, advanced);
    }

    /// A witness that lacks what everybody's log begins with begins there, too (PROTOCOL D103).
    fn on_base(&mut self, common: &mut Common, out: &mut Out, from: ReplicaId, page: &NewState) {
        if !common.may_append()
            || !witnesses::may_begin(common, page.tail.base)
            || !continues(&page.tail.entries, page.tail.base)
        {
            return common.ignore(out, from, MessageKind::NewState, Ignored::Gap);
        }
        retention::adopt(common, out, &page.tail);
        out.push(Action::Note(Note::TookState { from, op: common.log.op() }));
        self.go_on(common, out, page, true);
    }

    /// A page came in.
    fn go_on(&mut self, common: &mut Common, out: &mut Out, page: &NewState, advanced: bool) {
        common.commit_to(out, page.commit, false);
        if common.log.op() >= page.tail.head.op {
            self.fetch = None;
            common.shelf.stop();
            state_transfer::stop(common);
        } else if let Some(fetch) = self.fetch.as_mut().filter(|_| advanced) {
            let have = state_transfer::catch_up(common);
            fetch.next_page(common, out, have);
        }
    }

    /// The page did not come: ask somebody else.
    pub(super) fn on_fetch(&mut self, common: &mut Common, out: &mut Out) {
        if let Some(fetch) = &mut self.fetch {
            if checkpoints::retry(common, out) {
                return;
            }
            let have = state_transfer::catch_up(common);
            fetch.retry(common, out, have);
        }
    }

    /// A part of a checkpoint: the last one takes the place of the log, whose entries after it are fetched then.
    fn on_part(&mut self, common: &mut Common, out: &mut Out, from: ReplicaId, part: &CheckpointPart) {
        let took = checkpoints::take(common, out, from, part);
        let Some(fetch) = &mut self.fetch else { return };
        match took {
            Took::Nothing | Took::More => {}
            Took::Gone => {
                let have = state_transfer::catch_up(common);
                fetch.ask_anew(common, out, from, have);
            }
            Took::Whole(checkpoint) => {
                if checkpoint.op() > common.log.op() && common.may_append() {
                    checkpoints::install(common, out, checkpoint, Entries::empty());
                }
                let have = state_transfer::catch_up(common);
                fetch.next_page(common, out, have);
            }
        }
    }

    // ---- promises

    /// Has the disk come to hold more than is acknowledged, or is it to be said again?
    #[inline]
    fn is_due(&self, common: &Common) -> bool {
        common.durable_op() > self.acked || self.owes_ack
    }

    /// Says what follows.
    #[inline(always)] // seldom anything
    pub(super) fn settle(&mut self, common: &mut Common, out: &mut Out) {
        if self.is_due(common) {
            self.acknowledge(common, out);
        }
        if self.owes_reads(common) {
            self.answer_reads(common, out);
        }
    }

    /// Acknowledges what the disk has come to hold (VRR §4.1 step 4; PROTOCOL P4).
    fn acknowledge(&mut self, common: &mut Common, out: &mut Out) {
        if let Some((head, proof)) = common.durable_log() {
            if head.op <= self.acked {
                out.push(Action::Note(Note::Reacknowledged { op: head.op }));
            }
            self.acked = self.acked.max(head.op);
            self.owes_ack = false;
            let primary = common.primary();
            common.send_promise(out, To::One(primary), Promise::prepare_ok(head, self.beat, &proof));
        }
    }

    /// Nothing was heard of the primary for too long.
    pub(super) fn on_patience_lost(&mut self, common: &mut Common, out: &mut Out) -> Next {
        common.want_view_change(out);
        Next::AskGate
    }
}

#[cfg(test)]
mod tests;
