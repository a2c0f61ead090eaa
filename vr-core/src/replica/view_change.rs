//! Between views: report what is here, choose the log of the new view, or take it over.
//!
//! Owns the reports gathered by the primary-to-be and the log being put together; all of it is gone with the
//! view. The log in use is untouched until the new one is whole. Must not know what came before or what
//! follows. Paper: VRR §4.2; PROTOCOL 1.3, DESIGN §10 "The gate".

use super::checkpoints::{self, Took};
use super::common::{Common, Next, Out};
use super::state_transfer::{self, Assembly, Fetch};
use super::witnesses;
use crate::action::{Action, HaltReason, Ignored, Note, To};
use crate::id::{Incarnation, Op, ReplicaId, View};
use crate::log::Head;
use crate::message::{Body, CheckpointPart, DoViewChange, MessageKind, NewState, StartView, Tail};
use crate::persist::{Plain, Promise};
use crate::quorum::{Position, ReplicaSet};
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct ViewChange {
    /// Our own report went out (or was counted, if we are the primary-to-be).
    reported: bool,
    /// Per member, the report of its newest incarnation (VRR §4.2 step 3).
    reports: Vec<Option<(Incarnation, Box<DoViewChange>)>>,
    arrived: usize,
    /// Whose reports name a log that nobody gives: done without.
    passed_over: ReplicaSet,
    installing: Option<Installing>,
    /// The log of the view is on its way to our disk: we lead once it is there, with this commit-number.
    starting: Option<Op>,
}

/// A log being fetched that will be the view's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Installing {
    assembly: Assembly,
    commit: Op,
    fetch: Fetch,
}

impl ViewChange {
    /// VRR §4.2 step 1: our view is over, whichever it was.
    pub(super) fn enter(common: &mut Common, out: &mut Out) -> Self {
        state_transfer::stop(common);
        common.timers.cancel(crate::timer::Timer::Retransmit);
        common.say_vote(out);
        common.arm_repetition();
        if common.rules.times_view_change(common.is_primary()) {
            common.arm_view_change();
        } else {
            common.timers.cancel(crate::timer::Timer::ViewChange);
        }
        Self {
            reported: false,
            reports: vec![None; common.members()],
            arrived: 0,
            passed_over: ReplicaSet::EMPTY,
            installing: None,
            starting: None,
        }
    }

    /// The first view of an epoch begins with what the epoch begins with: nobody reports, and its primary leads once that
    /// is on its disk (VRR §7.1).
    pub(super) fn found(common: &mut Common, out: &mut Out, commit: Op) -> Self {
        Self { starting: Some(commit), ..Self::enter(common, out) }
    }

    /// Reports of an older view, for a planted bug only (PROTOCOL D12b).
    pub(super) fn inherit(&mut self, older: Self, common: &Common) {
        if common.rules.keeps_reports_of_older_views() {
            self.reports = older.reports;
            self.reports[common.me.index()] = None;
        }
    }

    /// A message of our view.
    pub(super) fn on_message(
        &mut self,
        common: &mut Common,
        out: &mut Out,
        from: ReplicaId,
        message: (Incarnation, &Body),
    ) -> Next {
        let (incarnation, body) = message;
        let kind = body.kind();
        match body {
            Body::DoViewChange(report) => return self.on_report(common, out, from, incarnation, report.clone()),
            Body::StartView(start) => return self.on_start_view(common, out, from, start),
            Body::NewState(page) => return self.on_new_state(common, out, from, page),
            // Between views a log is served by name only: ours is not that of the view (PROTOCOL D35).
            Body::CheckpointPart(part) => return self.on_part(common, out, from, part),
            Body::GetState(question) if question.want.is_some() || common.rules.serves_unnamed_between_views() => {
                state_transfer::answer(common, out, from, question, false);
            }
            Body::GetState(_) => common.ignore(out, from, kind, Ignored::WrongStatus),
            Body::Prepare { entries, .. } if common.rules.takes_prepare_in_view_change() => {
                if crate::log::continues(entries, common.log.head()) {
                    common.append(out, entries.clone());
                    if let Some((head, proof)) = common.durable_log() {
                        let beat = crate::id::Beat::ZERO;
                        common.send_promise(out, To::One(from), Promise::prepare_ok(head, beat, &proof));
                    }
                }
            }
            Body::Prepare { .. } | Body::PrepareOk { .. } | Body::Commit { .. } | Body::CommitOk { .. } => {
                common.ignore(out, from, kind, Ignored::WrongStatus);
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
            | Body::GetReadIndex { .. }
            | Body::ReadIndex { .. }
            | Body::CheckpointDurable(_) => {
                common.ignore(out, from, kind, Ignored::WrongStatus);
            }
        }
        Next::Stay
    }

    // ---- reporting

    /// The disk moved on: report, or lead.
    pub(super) fn settle(&mut self, common: &mut Common, out: &mut Out) -> Next {
        if let Some(commit) = self.starting {
            return if common.view_is_durable().is_some() { Next::Lead { commit } } else { Next::Stay };
        }
        if self.reported { Next::Stay } else { self.report(common, out) }
    }

    /// VRR §4.2 step 2, once everything it speaks of is durable (PROTOCOL P3), and nothing promised that it would break (D84).
    fn report(&mut self, common: &mut Common, out: &mut Out) -> Next {
        if !common.rules.may_report(common.grants.stand(common.now)) {
            return Next::Stay;
        }
        let Some(proof) = common.flushed() else { return Next::Stay };
        self.reported = true;
        let last = common.log.entry(common.log.op()).map(crate::entry::Entry::view);
        let log_view = common.rules.reported_log_view(common.log_view, last);
        let report = DoViewChange { log_view, commit: common.commit(), tail: common.tail() };
        if common.is_primary() {
            let (me, incarnation) = (common.config.me, common.header().incarnation);
            return self.on_report(common, out, me, incarnation, Box::new(report));
        }
        let primary = common.primary();
        common.send_promise(out, To::One(primary), Promise::do_view_change(report, &proof));
        Next::Stay
    }

    /// The beat H: votes and reports may have been lost (PROTOCOL D22).
    pub(super) fn on_heartbeat(&mut self, common: &mut Common, out: &mut Out) -> Next {
        if common.rules.repeats_votes() {
            common.say_vote(out);
            common.arm_repetition();
            // Whoever is fetching the log of the view was welcomed to it already.
            if self.reported && self.installing.is_none() && !common.is_primary() {
                return self.report(common, out);
            }
        }
        Next::Stay
    }

    /// The view change did not complete: so this replica wants the next one (the report's second timer).
    pub(super) fn on_patience_lost(&mut self, common: &mut Common, out: &mut Out) -> Next {
        common.want_view_change(out);
        Next::AskGate
    }

    // ---- choosing, at the primary-to-be

    fn on_report(
        &mut self,
        common: &mut Common,
        out: &mut Out,
        from: ReplicaId,
        incarnation: Incarnation,
        report: Box<DoViewChange>,
    ) -> Next {
        let Some(position) = common.group.position(from).filter(|_| common.is_primary()) else {
            common.ignore(out, from, MessageKind::DoViewChange, Ignored::WrongRole);
            return Next::Stay;
        };
        if !is_coherent(&report, common.view()) {
            common.ignore(out, from, MessageKind::DoViewChange, Ignored::Malformed);
            return Next::Stay;
        }
        self.arrived += 1;
        let slot = &mut self.reports[position.index()];
        if slot.as_ref().is_none_or(|(newest, _)| *newest <= incarnation) {
            *slot = Some((incarnation, report));
        }
        if self.starting.is_some() || self.installing.is_some() { Next::Stay } else { self.choose(common, out) }
    }

    /// VRR §4.2 step 3: q reports, our own among them; the largest (log_view, op) wins.
    fn choose(&mut self, common: &mut Common, out: &mut Out) -> Next {
        let all =
            || self.reports.iter().enumerate().filter_map(|(at, slot)| Some((Position::new(at)?, &slot.as_ref()?.1)));
        let passed_over = |at: Position| self.passed_over.contains(at);
        let counted = || all().filter(|(at, _)| !passed_over(*at));
        let own = counted().any(|(at, _)| at == common.me);
        if !own || !common.rules.enough_reports(counted().count(), self.arrived, common.quorum) {
            return Next::Stay;
        }
        let rank = |report: &DoViewChange| common.rules.log_rank(report.log_view, report.tail.head.op);
        let Some((at, best)) = counted().max_by_key(|(_, report)| rank(report)) else { return Next::Stay };
        let largest = all().map(|(_, report)| report.commit).max().unwrap_or(Op::ZERO).max(common.commit());
        let commit = common.rules.starting_commit(largest, best.commit);
        let reports: ReplicaSet = counted().map(|(at, _)| at).collect();
        let of = common.group.around(at.index());
        out.push(Action::Note(Note::ChoseLog { view: common.view(), of, reports }));
        let tail = best.tail.clone();
        if commit > tail.head.op {
            return Next::Halt(HaltReason::CommittedBeyondLog { commit, op: tail.head.op });
        }
        self.assemble(common, out, of, &tail, commit)
    }

    // ---- putting the view's log together

    /// Starts from what `tail` brings; what is missing is asked for.
    fn assemble(&mut self, common: &mut Common, out: &mut Out, from: ReplicaId, tail: &Tail, commit: Op) -> Next {
        if !common.may_append() && !common.log.contains(tail.head) {
            let leads = common.is_primary();
            let kind = if leads { MessageKind::DoViewChange } else { MessageKind::StartView };
            common.ignore(out, from, kind, Ignored::NoSpace);
            return Next::Stay;
        }
        let mut assembly = Assembly::toward(tail.head, &common.log);
        assembly.offer(&common.log, tail);
        if assembly.is_whole(common.rules) {
            return self.install(common, out, assembly, commit);
        }
        let have = self.anchors(common, &assembly);
        let want: Option<Head> = Some(assembly.target());
        let fetch = Fetch::ask(common, out, from, have, want);
        self.installing = Some(Installing { assembly, commit, fetch });
        Next::Stay
    }

    fn on_new_state(&mut self, common: &mut Common, out: &mut Out, from: ReplicaId, page: &NewState) -> Next {
        let asked = self.installing.take_if(|installing| installing.fetch.answers(page));
        let Some(mut installing) = asked else {
            common.ignore(out, from, MessageKind::NewState, Ignored::NotAsked);
            return Next::Stay;
        };
        let (log, commit, assembly) = (&common.log, common.commit(), &mut installing.assembly);
        let advanced = assembly.offer(log, &page.tail);
        // Only a log that was chosen from reports has to be that very one.
        let fits = page.tail.head == assembly.target() || !common.is_primary();
        let offers = assembly.offers_checkpoint(log, &page.tail, commit, page.commit);
        if !advanced && fits && offers && (!common.is_witness() || witnesses::may_begin(common, page.tail.base)) {
            assembly.begin_on_checkpoint(&page.tail);
            installing.commit = installing.commit.max(page.commit);
            if common.is_witness() {
                let grounded = installing.assembly.ground_on(witnesses::bare(page.tail.base));
                return self.advance(common, out, installing, grounded);
            }
            let lender = witnesses::lender(common, page.tail.base, from);
            checkpoints::want(common, out, page.tail.base, lender);
            self.installing = Some(installing);
            return Next::Stay;
        }
        self.advance(common, out, installing, advanced)
    }

    /// Something may have come in: install what is whole, ask on for what is not.
    fn advance(&mut self, common: &mut Common, out: &mut Out, mut installing: Installing, advanced: bool) -> Next {
        if installing.assembly.is_whole(common.rules) {
            state_transfer::stop(common);
            return self.install(common, out, installing.assembly, installing.commit);
        }
        if advanced {
            // Pages coming in are progress: be patient, and ask on. Otherwise the timer asks somebody else.
            Self::be_patient(common);
            let have = self.anchors(common, &installing.assembly);
            installing.fetch.next_page(common, out, have);
        }
        self.installing = Some(installing);
        Next::Stay
    }

    fn be_patient(common: &mut Common) {
        if common.rules.times_view_change(common.is_primary()) {
            common.arm_view_change();
        }
    }

    /// A part of the checkpoint that the view's log begins with (VRR §5.2).
    fn on_part(&mut self, common: &mut Common, out: &mut Out, from: ReplicaId, part: &CheckpointPart) -> Next {
        match checkpoints::take(common, out, from, part) {
            Took::Nothing => {}
            Took::More => Self::be_patient(common),
            Took::Gone => {
                if let Some(mut installing) = self.installing.take() {
                    let have = self.anchors(common, &installing.assembly);
                    installing.fetch.ask_anew(common, out, from, have);
                    self.installing = Some(installing);
                }
            }
            Took::Whole(checkpoint) => {
                if let Some(mut installing) = self.installing.take() {
                    let grounded = installing.assembly.ground_on(checkpoint);
                    return self.advance(common, out, installing, grounded);
                }
            }
        }
        Next::Stay
    }

    /// The page did not come: do without it, if others' reports will do, or ask somebody else.
    pub(super) fn on_fetch(&mut self, common: &mut Common, out: &mut Out) -> Next {
        let Some(installing) = &mut self.installing else { return Next::Stay };
        if installing.assembly.awaits_checkpoint() && checkpoints::retry(common, out) {
            return Next::Stay;
        }
        let target = installing.assembly.target();
        if common.is_primary()
            && common.rules.gives_up_log(installing.fetch.in_vain())
            && self.pass_over(common, target)
        {
            return self.choose(common, out);
        }
        if let Some(mut installing) = self.installing.take() {
            let have = self.anchors(common, &installing.assembly);
            installing.fetch.retry(common, out, have);
            self.installing = Some(installing);
        }
        Next::Stay
    }

    /// What to tell whoever may have more of the view's log: what is here, then what one who reported could lend.
    fn anchors(&self, common: &Common, assembly: &Assembly) -> Vec<Head> {
        let mut have = assembly.anchors(&common.log, common.commit());
        let heard = self.reports.iter().enumerate().filter(|(_, slot)| slot.is_some());
        let lendable = witnesses::lendable(common, heard.filter_map(|(at, _)| Position::new(at)).collect());
        have.extend(lendable.filter(|head| head.op <= assembly.target().op));
        have
    }

    /// Nobody gives the log that was chosen: whoever reported it cannot be heard, or not any more. Are the other reports a
    /// quorum, our own among them? Then the log of the view is chosen from those.
    fn pass_over(&mut self, common: &mut Common, log: Head) -> bool {
        let names = |(_, report): &(Incarnation, Box<DoViewChange>)| report.tail.head == log;
        let (mut out, mut left) = (self.passed_over, ReplicaSet::EMPTY);
        for (at, slot) in self.reports.iter().enumerate() {
            let Some((at, report)) = Position::new(at).zip(slot.as_ref()) else { continue };
            if names(report) {
                out.insert(at);
            } else if !out.contains(at) {
                left.insert(at);
            }
        }
        if left.is_at_least(common.quorum) {
            state_transfer::stop(common);
            (self.passed_over, self.installing) = (out, None);
        }
        self.installing.is_none()
    }

    /// The log is whole: it replaces ours at once, and `log_view` rises with it (PROTOCOL rule 1).
    fn install(&mut self, common: &mut Common, out: &mut Out, assembly: Assembly, commit: Op) -> Next {
        self.installing = None;
        let whole = assembly.finish(&common.log, common.rules);
        if let Some(reason) = whole.contradiction(common) {
            return Next::Halt(reason);
        }
        if !common.may_append() && whole.needs_room() {
            // Asked for again with the next vote: by then there may be room.
            return Next::Stay;
        }
        whole.put(common, out);
        if common.is_primary() {
            self.starting = Some(commit);
            return Next::Stay;
        }
        Next::Follow { commit }
    }

    /// VRR §4.2 step 5.
    pub(super) fn on_start_view(
        &mut self,
        common: &mut Common,
        out: &mut Out,
        from: ReplicaId,
        start: &StartView,
    ) -> Next {
        let refused = if from != common.primary() {
            Some(Ignored::WrongRole)
        } else if start.tail.head.op < start.view_start || start.commit > start.tail.head.op {
            Some(Ignored::Malformed)
        } else {
            None
        };
        if let Some(why) = refused {
            common.ignore(out, from, MessageKind::StartView, why);
            return Next::Stay;
        }
        if self.installing.is_some() {
            // Pages are on their way already, unless this StartView brings all that is missing.
            let mut fresh = Assembly::toward(start.tail.head, &common.log);
            fresh.offer(&common.log, &start.tail);
            if !fresh.is_whole(common.rules) {
                return Next::Stay;
            }
            state_transfer::stop(common);
            return self.install(common, out, fresh, start.commit);
        }
        self.assemble(common, out, from, &start.tail, start.commit)
    }

    /// Answers a recovering replica between views: a planted bug only (PROTOCOL D51c).
    pub(super) fn misleads(common: &mut Common, out: &mut Out, from: ReplicaId, nonce: crate::id::Nonce) {
        let log = common
            .is_primary()
            .then(|| common.start_view(common.log.op(), common.tail_after(common.log.base().op, common.log.head())));
        common.send(out, from, Plain::recovery_response(crate::message::RecoveryResponse { nonce, log }));
    }
}

/// Does a report say what a replica can say? Nobody has committed beyond its log, or was normal in a later view.
fn is_coherent(report: &DoViewChange, view: View) -> bool {
    let DoViewChange { log_view, commit, tail } = report;
    *commit <= tail.head.op && tail.base.op <= tail.head.op && *log_view < view
}
