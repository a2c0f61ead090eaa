//! Recovery: a replica that lost its memory, or a part of its disk, asks for it, and does nothing else until it has it.
//!
//! Owns the question and the log being put together. What is left of the own log is a cache: used as far as the
//! primary's log confirms it, so that only what is missing travels. Must not know what comes after. Paper: VRR
//! §4.3, §5.1, with the persisted view of PROTOCOL rule V (D46) and the single answer of DESIGN §10.
//!
//! **A damaged log** (DESIGN 9.6, PROTOCOL D56) is the same case in the synchronous mode. The replica may have
//! acknowledged, as a backup, as a primary or in a report, what stood in the rotten records, so that what is left
//! must not count as its log: not in a report, nor for an acknowledgement, nor as a view it leads. What it does
//! have is its promise: `view` is durable and whole. It comes back in one of two ways, whichever is possible first. Who
//! knows where its log ended gets that very log back, entry by entry ([`super::repair`]). Everybody else, and who is not
//! helped by that, counts as crashed without a memory until it holds the log of the primary of a view w ≥ `view`,
//! answered in this very life; then nothing it ever said is untrue:
//!
//! - an acknowledgement of op n in a view u < w: if n was committed in u, the quorum that started w meets the quorum
//!   that acknowledged n. If they meet in this replica alone, it reported for w before the damage, from a whole log;
//!   either way w started with n;
//! - an acknowledgement in w itself: its primary had n before, has led w without a break since, since nobody
//!   resumes a view, and answered after the crash, with everything;
//! - a report for a view up to w: it described a log that was whole then, and there is no later report for it.
//!
//! With more than f damaged at a time nobody may be left who leads: then those who know where their logs ended help each
//! other, and where that is not enough they wait, say so ([`Note::Outnumbered`]), and lose nothing. A lone replica with a
//! damaged log waits for its operator.

use super::checkpoints::{self, Took};
use super::common::{Common, Next, Out};
use super::repair::{self, Repair, Repaired};
use super::retention;
use super::state_transfer::{self, Assembly};
use super::witnesses;
use crate::action::{Action, Ignored, Note};
use crate::entry::Entries;
use crate::id::{Nonce, Op, ReplicaId, Time, View, count};
use crate::message::{Body, CheckpointPart, MessageKind, Recovery, RecoveryResponse, StartView};
use crate::persist::Plain;
use crate::quorum::{Position, ReplicaSet};
use crate::stored::Damage;
use alloc::vec;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Recovering {
    nonce: Nonce,
    view_min: View,
    /// The memory is whole, as far as there is one: it is the log on the own disk that is not. This is what there is
    /// of it.
    repair: Option<Repair>,
    /// So many beats passed since the repair got on.
    waited: u32,
    /// Per member, when it last asked for its memory, too.
    asking: Vec<Option<Time>>,
    /// So many were said to ask at once.
    outnumbered: u32,
    /// The log of the latest view that answered, on its way.
    arriving: Option<Arriving>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Arriving {
    view: View,
    assembly: Assembly,
    commit: Op,
}

impl Recovering {
    /// VRR §4.3 step 1.
    pub(super) fn enter(common: &mut Common, out: &mut Out, damage: Option<Damage>, remembers: bool) -> Self {
        let damaged = damage.is_some();
        let repair = damage.map(|damage| {
            let is_known = damage.view_at_end().is_some_and(|view| view <= common.log_view);
            let is_sure = common.rules.repairs_by_content(is_known, remembers);
            Repair::new(&common.log, damage, common.commit(), is_sure)
        });

        let nonce = Nonce { incarnation: common.header().incarnation, counter: 0 };
        let view_min = common.rules.view_min(common.view(), damaged);
        out.push(Action::Note(Note::Recovering { view_min }));
        let asking = vec![None; common.members()];
        let mut this = Self { nonce, view_min, repair, waited: 0, asking, outnumbered: 0, arriving: None };
        this.ask(common, out);
        this.ask_lost(common, out, common.another(0));
        this
    }

    pub(super) const fn is_damaged(&self) -> bool {
        self.repair.is_some()
    }

    fn ask(&mut self, common: &mut Common, out: &mut Out) {
        let have = match &self.arriving {
            Some(arriving) => arriving.assembly.anchors(&common.log, common.commit()),
            None => common.log.anchors(common.commit()),
        };
        let question = Recovery { nonce: self.nonce, view_min: self.view_min, have };
        common.broadcast(out, Plain::recovery(question));
        common.arm_heartbeat();
    }

    /// The beat H: the question may have been lost (the report's test 10).
    pub(super) fn on_heartbeat(&mut self, common: &mut Common, out: &mut Out) -> Next {
        self.count_asking(common, out);
        if common.rules.repeats_recovery() {
            self.ask(common, out);
        }
        self.on_repair_beat(common, out)
    }

    /// Are those who do not ask for their memory still a quorum? If not, only a primary that leads still can help, or a
    /// damaged log that has what another one lacks.
    fn count_asking(&mut self, common: &Common, out: &mut Out) {
        let patience = common.config.timeouts.view_change_min;
        let asks = |at: usize| self.asking[at].is_some_and(|when| common.now.since(when) <= patience);
        let asking: ReplicaSet = (0..common.members())
            .filter(|at| *at == common.me.index() || asks(*at))
            .filter_map(Position::new)
            .collect();
        let others = count(common.members()) - u64::from(asking.len());
        if others < count(common.quorum) && asking.len() > self.outnumbered {
            self.outnumbered = asking.len();
            out.push(Action::Note(Note::Outnumbered { asking }));
        }
    }

    /// Only answers are heard, and questions for what is named by content.
    pub(super) fn on_message(
        &mut self,
        common: &mut Common,
        out: &mut Out,
        from: ReplicaId,
        message: (View, &Body),
    ) -> Next {
        let (view, body) = message;
        let kind = body.kind();
        match body {
            Body::RecoveryResponse(answer) => return self.on_answer(common, out, from, view, answer),
            Body::CheckpointPart(part) => return self.on_part(common, out, from, part),
            Body::CheckpointDurable(news) => {
                retention::learn(common, out, from, **news);
            }
            Body::Entries(entries) => return self.on_entries(common, out, from, entries),
            // By content: whoever needs them may have them, also from somebody who recovers.
            Body::GetEntries { through } => {
                let bytes = common.page_bytes();
                let lent = match &self.repair {
                    Some(repair) => repair.lend(*through, bytes),
                    None => repair::lend(core::iter::once(&common.log), *through, bytes),
                };
                repair::give(common, out, from, lent);
            }
            Body::Prepare { .. }
            | Body::PrepareOk { .. }
            | Body::Commit { .. }
            | Body::CommitOk { .. }
            | Body::StartViewChange { .. }
            | Body::DoViewChange(_)
            | Body::StartView(_)
            | Body::GetState(_)
            | Body::NewState(_)
            | Body::GetCheckpoint { .. }
            | Body::StartEpoch(_)
            | Body::EpochStarted { .. }
            | Body::NewEpoch(_)
            | Body::CheckEpoch
            | Body::GetReadIndex { .. }
            | Body::ReadIndex { .. } => common.ignore(out, from, kind, Ignored::WrongStatus),
            Body::Recovery(_) => {
                if let Some(position) = common.group.position(from) {
                    self.asking[position.index()] = Some(common.now);
                }
                common.ignore(out, from, kind, Ignored::WrongStatus);
            }
        }
        Next::Stay
    }

    // ---- the log that was here

    /// Asks for what the disk lost: the next piece of it, by name.
    fn ask_lost(&self, common: &mut Common, out: &mut Out, of: ReplicaId) {
        if let Some(through) = self.repair.as_ref().and_then(Repair::wanted) {
            common.send(out, of, Plain::get_entries(through));
        }
    }

    /// The beat H. Whoever was asked last may not have it, or not be there: another one is asked.
    fn on_repair_beat(&mut self, common: &mut Common, out: &mut Out) -> Next {
        let Some(repair) = &mut self.repair else { return Next::Stay };
        self.waited = self.waited.saturating_add(1);
        if !common.rules.waits_for_lost_entries(self.waited) {
            repair.give_up();
        }
        if self.waited > 1 {
            self.ask_lost(common, out, common.another(self.waited.into()));
        }
        self.repaired(common, out)
    }

    fn on_entries(&mut self, common: &mut Common, out: &mut Out, from: ReplicaId, entries: &Entries) -> Next {
        if !self.repair.as_mut().is_some_and(|repair| repair.take(entries)) {
            common.ignore(out, from, MessageKind::Entries, Ignored::NotAsked);
            return Next::Stay;
        }
        self.waited = 0;
        self.ask_lost(common, out, from);
        self.repaired(common, out)
    }

    /// Nothing is missing: the log is what it was, and so is this replica. What was on its way from a later view's log is
    /// none of it (PROTOCOL D32).
    fn repaired(&self, common: &mut Common, out: &mut Out) -> Next {
        let may_append = common.may_append();
        let Some(whole) = self.repair.as_ref().filter(|_| may_append).and_then(Repair::whole) else {
            return Next::Stay;
        };
        let Repaired { from, keep, entries, received } = whole;
        state_transfer::stop(common);
        common.shelf.stop();
        common.repair(out, keep, entries);
        out.push(Action::Note(Note::RepairedLog { from, entries: received }));
        Next::Resume
    }

    // ---- the log of a primary

    /// VRR §4.3 step 3: one answer of the primary of a view no earlier than the promised one.
    fn on_answer(
        &mut self,
        common: &mut Common,
        out: &mut Out,
        from: ReplicaId,
        view: View,
        answer: &RecoveryResponse,
    ) -> Next {
        let RecoveryResponse { nonce, log } = answer;
        let asked = common.rules.nonce_matches(*nonce == self.nonce);
        let from_primary = from == common.group.primary(view);
        let Some(start) =
            log.as_ref().filter(|_| asked && from_primary && common.rules.recovers_in(view, self.view_min))
        else {
            let why = if asked { Ignored::WrongRole } else { Ignored::NotAsked };
            common.ignore(out, from, MessageKind::RecoveryResponse, why);
            return Next::Stay;
        };
        if start.tail.head.op < start.view_start || start.commit > start.tail.head.op {
            common.ignore(out, from, MessageKind::RecoveryResponse, Ignored::Malformed);
            return Next::Stay;
        }
        self.take(common, out, from, (view, start))
    }

    fn take(&mut self, common: &mut Common, out: &mut Out, from: ReplicaId, answer: (View, &StartView)) -> Next {
        let (view, start) = answer;
        let current = self.arriving.take().filter(|arriving| arriving.view >= view);
        let mut arriving = current.unwrap_or_else(|| Arriving {
            view,
            assembly: Assembly::toward(start.tail.head, &common.log),
            commit: start.commit,
        });
        let advanced = arriving.view == view && arriving.assembly.offer(&common.log, &start.tail);
        let (log, commit) = (&common.log, common.commit());
        let offered = arriving.assembly.offers_checkpoint(log, &start.tail, commit, start.commit);
        let offered = offered && (!common.is_witness() || witnesses::may_begin(common, start.tail.base));
        if arriving.view == view && !advanced && offered {
            arriving.assembly.begin_on_checkpoint(&start.tail);
            arriving.commit = arriving.commit.max(start.commit);
            if common.is_witness() {
                let grounded = arriving.assembly.ground_on(witnesses::bare(start.tail.base));
                return self.advance(common, out, arriving, grounded);
            }
            checkpoints::want(common, out, start.tail.base, from);
            self.arriving = Some(arriving);
            return Next::Stay;
        }
        self.advance(common, out, arriving, advanced)
    }

    /// Something may have come in: the log is whole and takes the place of what is left of the old one, or more of it
    /// is asked for.
    fn advance(&mut self, common: &mut Common, out: &mut Out, arriving: Arriving, advanced: bool) -> Next {
        if !arriving.assembly.is_whole(common.rules) {
            self.arriving = Some(arriving);
            if advanced {
                self.ask(common, out);
            }
            return Next::Stay;
        }
        if !common.may_append() && !common.log.contains(arriving.assembly.target()) {
            self.arriving = Some(arriving);
            return Next::Stay;
        }
        let Arriving { view, assembly, commit } = arriving;
        common.recover_in(view);
        let whole = assembly.finish(&common.log, common.rules);
        let kept = whole.keep.op;
        whole.put(common, out);
        common.view_rides_on_last_write();
        out.push(Action::Note(Note::Recovered { view, kept, op: common.log.op() }));
        Next::Follow { commit }
    }

    /// A part of the checkpoint that the log begins with (VRR §5.1, §5.2).
    fn on_part(&mut self, common: &mut Common, out: &mut Out, from: ReplicaId, part: &CheckpointPart) -> Next {
        match checkpoints::take(common, out, from, part) {
            Took::Nothing | Took::More => {}
            Took::Gone => self.ask(common, out),
            Took::Whole(checkpoint) => {
                if let Some(mut arriving) = self.arriving.take() {
                    let grounded = arriving.assembly.ground_on(checkpoint);
                    return self.advance(common, out, arriving, grounded);
                }
            }
        }
        Next::Stay
    }

    /// The part did not come. The question itself is repeated anyway.
    pub(super) fn on_fetch(&self, common: &mut Common, out: &mut Out) {
        if self.arriving.as_ref().is_some_and(|arriving| arriving.assembly.awaits_checkpoint()) {
            checkpoints::retry(common, out);
        }
    }
}

/// VRR §4.3 step 2, by a replica in normal status. `view_start`: only the primary's log counts.
pub(super) fn answer(common: &mut Common, out: &mut Out, from: ReplicaId, question: &Recovery, view_start: Option<Op>) {
    witnesses::say_to(common, out, from);
    let log = view_start.and_then(|view_start| {
        let op = common.rules.recovery_log_ends_at(common.log.op(), common.commit());
        let head = crate::log::Head { op, hash: common.log.hash(op)? };
        let base = state_transfer::base_for(common, &question.have, head, from)?;
        Some(common.start_view(view_start.min(op), common.tail_after(base.op, head)))
    });
    common.send(out, from, Plain::recovery_response(RecoveryResponse { nonce: question.nonce, log }));
}

#[cfg(test)]
mod tests;
