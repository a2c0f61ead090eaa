//! The normal case at the primary: requests become batches, batches become committed, silence becomes abdication.
//!
//! Owns the queue, the requests in flight, the acknowledgements and the heartbeats of one view; all of it is gone
//! with the view. Must not know how the view began or what follows it. Paper: VRR §4.1 steps 1 to 6, §6.2.

mod admission;
mod hand_over;
mod lease;
mod reads;

use super::common::{Common, Next, Out};
use super::{checkpoints, state_transfer};
use crate::action::{Action, Ignored, Note, To};
use crate::entry::{Entries, Entry, Predicted, Request};
use crate::id::{Beat, ClientId, Op, ReplicaId, RequestNumber, Session, Time, count, index};
use crate::log::{ENTRY_OVERHEAD_BYTES, Head};
use crate::message::{Body, MessageKind};
use crate::persist::{Plain, Promise};
use crate::quorum::Position;
use crate::timer::Timer;
use admission::Registering;
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use hand_over::GivingWay;
use reads::Reads;
use serde::{Deserialize, Serialize};

/// What the primary knows of a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Member {
    /// It acknowledged everything through here, in this view.
    acked: Op,
    /// When the newest heartbeat it answered was sent.
    heard: Time,
    /// The newest heartbeat it answered.
    answered: Beat,
    /// From when on its promise is counted on; zero where there are no leases.
    promised: Time,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Primary {
    view_start: Op,
    since: Time,
    members: Vec<Member>,
    /// How many acknowledgements came in since the commit-number last rose.
    arrived: usize,
    queue: VecDeque<Request>,
    /// The last op of each batch that is prepared and not committed.
    batches: VecDeque<Op>,
    /// The newest request in flight, with its op, of each client whose `Register` is in flight itself. Those of the
    /// others are noted with their sessions in the client table.
    registering: Registering,
    reads: Reads,
    giving_way: Option<GivingWay>,
    predicted: Predicted,
    beat: Beat,
    beats: VecDeque<(Beat, Time)>,
    said_at: Time,
    resend_commit: Op,
    resend_attempt: u32,
    abdicated: bool,
    /// The lease is held until then.
    leased: Time,
}

impl Primary {
    /// Begins to lead our view, whose initial log is durable (VRR §4.2 step 4).
    pub(super) fn enter(common: &mut Common, out: &mut Out, commit: Op) -> Self {
        let view_start = common.log.op();
        let mut this = Self {
            view_start,
            since: common.now,
            members: vec![Member::default(); common.members()],
            arrived: 0,
            queue: VecDeque::new(),
            batches: VecDeque::new(),
            registering: Registering::default(),
            reads: Reads::default(),
            giving_way: None,
            predicted: checkpoints::predicted(common),
            beat: Beat::ZERO,
            beats: VecDeque::new(),
            said_at: common.now,
            resend_commit: Op::ZERO,
            resend_attempt: 0,
            abdicated: false,
            leased: Time::ZERO,
        };
        out.push(Action::Note(Note::BecamePrimary { view: common.view(), view_start }));
        let commit = if common.rules.inherited_are_committed() { view_start } else { commit };
        common.commit_to(out, commit, true);
        common.clients.ground();
        if common.rules.rebuilds_in_flight() {
            let Common { clients, log, execution, .. } = common;
            for entry in log.after(execution.issued()) {
                this.fly_again(clients, entry);
            }
        }
        if common.commit() < view_start {
            this.batches.push_back(view_start);
            this.arm_retransmit(common);
        }
        common.timers.cancel(Timer::ViewChange);
        common.shelf.stop();
        state_transfer::stop(common);
        common.gate.started();
        common.arm_heartbeat();
        this.say_start(common, out, To::Others);
        this
    }

    /// The log of this view, for those who are not in it yet (VRR §4.2 step 4).
    fn say_start(&mut self, common: &mut Common, out: &mut Out, to: To) {
        if let Some(proof) = common.view_is_durable() {
            let start = common.start_view(self.view_start, common.tail());
            common.send_promise(out, to, Promise::start_view(start, &proof));
        }
    }

    pub(super) const fn view_start(&self) -> Op {
        self.view_start
    }

    pub(super) const fn is_abdicated(&self) -> bool {
        self.abdicated
    }

    /// Somebody is not in our view, or wants to leave it: here is its log (PROTOCOL D20).
    pub(super) fn welcome(&mut self, common: &mut Common, out: &mut Out, to: ReplicaId) {
        if !self.abdicated && common.rules.answers_with_start_view() {
            self.say_start(common, out, To::One(to));
        }
    }

    // ---- batches

    /// Turns waiting requests into batches while the pipeline has room (VRR §4.1 step 3, §6.2).
    pub(super) fn flush(&mut self, common: &mut Common, out: &mut Out) {
        while !self.queue.is_empty() && self.has_room(common) && !self.abdicated {
            let fit = self.fit(common);
            let entries = Self::chain(&mut self.predicted, common, fit, self.queue.drain(..fit));
            self.prepare(common, out, entries);
        }
        if self.registering.len() > 64 + self.queue.len() {
            self.registering.forget(common.execution.issued());
        }
    }

    /// Logs a batch and sends it out.
    fn prepare(&mut self, common: &mut Common, out: &mut Out, entries: Entries) {
        common.append(out, entries.clone());
        self.batches.push_back(common.log.op());
        let beat = self.next_beat(common, false);
        common.broadcast(out, Plain::prepare(entries, common.commit(), beat));
        if !common.timers.is_armed(Timer::Retransmit) && common.members() > 1 {
            self.arm_retransmit(common);
        }
    }

    fn has_room(&self, common: &Common) -> bool {
        common.may_append()
            && count(self.batches.len()) < u64::from(common.config.batching.pipeline)
            && self.giving_way.is_none()
    }

    /// How many of those that wait make the next batch.
    fn fit(&self, common: &Common) -> usize {
        let mut room = common.page_bytes();
        let limit = index(u64::from(common.config.batching.batch_entries));
        let fits = |(at, request): &(usize, &Request)| {
            let cost = request.body.len() + ENTRY_OVERHEAD_BYTES;
            let fits = *at == 0 || cost <= room;
            room = room.saturating_sub(cost);
            fits
        };
        self.queue.iter().take(limit).enumerate().take_while(fits).count()
    }

    /// The entries that so many requests become.
    #[inline(always)] // see `Entry::new`
    fn chain(
        predicted: &mut Predicted,
        common: &Common,
        length: usize,
        mut requests: impl Iterator<Item = Request>,
    ) -> Entries {
        let mut head = common.log.head();
        let (epoch, view, rules) = (common.epoch(), common.view(), common.rules);
        Entries::build(length, || {
            let mut request = requests.next().expect("so many were counted");
            *predicted = rules.predicted(*predicted, request.predicted);
            request.predicted = *predicted;
            let entry = Entry::new(epoch, view, head.op.next(), head.hash, request);
            head = Head { op: entry.op(), hash: entry.hash() };
            entry
        })
    }

    // ---- messages

    /// A message of our view.
    pub(super) fn on_message(&mut self, common: &mut Common, out: &mut Out, from: ReplicaId, body: &Body) -> Next {
        let kind = body.kind();
        match body {
            Body::PrepareOk { head, beat } => self.on_prepare_ok(common, out, from, (*head, *beat), true),
            Body::CommitOk { beat } => {
                if let Some(position) = common.group.position(from) {
                    self.on_beat(common, out, position, *beat);
                }
            }
            Body::DoViewChange(_) => self.welcome(common, out, from),
            Body::GetState(question) => state_transfer::answer(common, out, from, question, true),
            Body::GetReadIndex { id } => self.on_get_read_index(common, out, from, *id),
            Body::NewState(_) => common.ignore(out, from, kind, Ignored::NotAsked),
            Body::Prepare { .. } | Body::Commit { .. } | Body::StartView(_) | Body::ReadIndex { .. } => {
                common.ignore(out, from, kind, Ignored::WrongRole);
            }
            Body::StartViewChange { .. }
            | Body::Recovery(_)
            | Body::RecoveryResponse(_)
            | Body::GetCheckpoint { .. }
            | Body::CheckpointPart(_)
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

    /// VRR §4.1 step 5: counted per member, for this view, for this very log.
    pub(super) fn on_prepare_ok(
        &mut self,
        common: &mut Common,
        out: &mut Out,
        from: ReplicaId,
        (head, beat): (Head, Beat),
        same_view: bool,
    ) {
        let Some(position) = common.group.position(from) else { return };
        if same_view {
            // Whatever it acknowledges, it hears us: also who is slow to write down what was cut here since.
            self.on_beat(common, out, position, beat);
        }
        let known = head.op <= common.log.op();
        if !known || !common.rules.counts_ack(same_view, head.hash, common.log.hash(head.op)) {
            return common.ignore(out, from, MessageKind::PrepareOk, Ignored::Unknown);
        }
        let acked = &mut self.members[position.index()].acked;
        *acked = (*acked).max(head.op);
        if head.op > common.commit() {
            self.arrived += 1;
            self.advance(common, out);
        }
    }

    /// Commits what a quorum acknowledged, this replica included once its own disk has it.
    fn advance(&mut self, common: &mut Common, out: &mut Out) {
        self.members[common.me.index()].acked =
            common.rules.own_acknowledgement(common.pending.durable_op(), common.log.op());
        let committed = self.acknowledged(common).min(common.log.op());
        if committed > common.commit() {
            self.arrived = 0;
            common.commit_to(out, committed, true);
            while self.batches.front().is_some_and(|last| *last <= committed) {
                self.batches.pop_front();
            }
            if !self.queue.is_empty() {
                self.flush(common, out);
            }
        }
    }

    /// The largest op that a quorum has acknowledged, if it is not committed yet.
    fn acknowledged(&self, common: &Common) -> Op {
        let mut largest = common.commit();
        let quorum = common.rules.committing_quorum(common.quorum, || quorum_after(common));
        for Member { acked, .. } in &self.members {
            if *acked > largest {
                let counted = self.members.iter().filter(|member| member.acked >= *acked).count();
                if common.rules.acks_of_op(counted, self.arrived + 1) >= quorum {
                    largest = *acked;
                }
            }
        }
        largest
    }

    /// Has the disk moved on? So may our own acknowledgement. Is a hand-over under way? It may be ready.
    #[inline]
    fn is_due(&self, common: &Common) -> bool {
        let (op, durable) = (common.log.op(), common.pending.durable_op());
        let acknowledges = op > common.commit()
            && common.rules.own_acknowledgement(durable, op) > self.members[common.me.index()].acked;
        acknowledges || self.owes_reads(common) || self.giving_way.is_some()
    }

    /// Says what follows.
    #[inline(always)] // seldom anything
    pub(super) fn settle(&mut self, common: &mut Common, out: &mut Out) -> Next {
        if !self.is_due(common) {
            return Next::Stay;
        }
        self.advance(common, out);
        self.answer_reads(common, out);
        self.give_way(common)
    }

    // ---- heartbeats

    /// The number of a heartbeat that leaves now. A Prepare is one too, but not each needs a number of its own.
    fn next_beat(&mut self, common: &Common, fresh: bool) -> Beat {
        let spacing = crate::id::Wait(common.config.timeouts.heartbeat.0 / 4);
        if fresh || self.beats.back().is_none_or(|(_, at)| common.now.since(*at) >= spacing) {
            self.beat = self.beat.next();
            self.beats.push_back((self.beat, common.now));
            let horizon = common.config.timeouts.abdicate;
            while self.beats.front().is_some_and(|(_, at)| common.now.since(*at) > horizon) {
                self.beats.pop_front();
            }
        }
        self.said_at = common.now;
        self.beat
    }

    fn on_beat(&mut self, common: &mut Common, out: &mut Out, from: Position, beat: Beat) {
        let member = &mut self.members[from.index()];
        if beat == member.answered {
            return; // and so heard
        }
        if let Ok(at) = self.beats.binary_search_by_key(&beat, |(number, _)| *number) {
            let sent = self.beats[at].1;
            member.heard = member.heard.max(sent);
            if common.config.cluster.lease.is_some() {
                member.promised = member.promised.max(common.rules.lease_counts_from(sent, common.now));
                self.renew_lease(common);
            }
        }
        let member = &mut self.members[from.index()];
        if beat > member.answered && beat <= self.beat {
            member.answered = beat;
            self.confirm(common, out);
        }
    }

    /// Says that we are here.
    fn beat_now(&mut self, common: &mut Common, out: &mut Out) -> Beat {
        let beat = self.next_beat(common, true);
        common.broadcast(out, Plain::commit(common.commit(), common.log.head(), beat));
        beat
    }

    /// The beat H: say that we are here, and see whether anybody says the same (VRR §4.1 step 6, DESIGN §10).
    pub(super) fn on_heartbeat(&mut self, common: &mut Common, out: &mut Out) -> Next {
        if self.abdicated {
            common.say_vote(out);
            common.arm_heartbeat();
            return Next::AskGate;
        }
        self.members[common.me.index()].heard = common.now;
        let mut heard: Vec<Time> = self.members.iter().map(|member| member.heard).collect();
        heard.sort_unstable_by(|a, b| b.cmp(a));
        let quorum_heard = heard[common.quorum - 1];
        if quorum_heard > self.since {
            common.gate.content(&common.config, common.header().incarnation, common.view(), common.now);
        }
        let silence = common.now.since(quorum_heard.max(self.since));
        if silence > common.config.timeouts.abdicate && common.rules.abdicates() {
            return self.abdicate(common, out);
        }
        if self.is_useless(common) {
            return self.abdicate(common, out);
        }
        self.keep_job_after_all(common, out);
        let heartbeat = common.config.timeouts.heartbeat;
        if common.now.since(self.said_at) >= heartbeat {
            self.beat_now(common, out);
        }
        common.timers.arm(Timer::Heartbeat, self.said_at.after(heartbeat));
        Next::Stay
    }

    /// Has the disk been full for so long that another one should lead? A lone replica has nobody to give way to.
    fn is_useless(&self, common: &Common) -> bool {
        let full = common.full_since.is_some_and(|since| {
            common.now.since(since.max(self.since)) > common.config.timeouts.abdicate && common.group.full_members() > 1
        });
        common.rules.gives_way_when_full(full)
    }

    /// No quorum hears us, or the disk is full: no more heartbeats, and a vote for another view. Never taken back.
    fn abdicate(&mut self, common: &mut Common, out: &mut Out) -> Next {
        self.abdicated = true;
        self.giving_way = None;
        out.push(Action::Note(Note::Abdicated { view: common.view() }));
        self.turn_away(common, out);
        common.timers.cancel(Timer::Retransmit);
        common.want_view_change(out);
        Next::AskGate
    }

    /// Requests that were never logged can be refused honestly.
    pub(super) fn turn_away(&mut self, common: &Common, out: &mut Out) {
        for request in core::mem::take(&mut self.queue) {
            common.reject(out, &request, common.not_primary(false));
        }
        self.turn_readers_away(common, out);
        if common.rules.cancels_on_view_change() {
            for entry in common.log.after(common.commit()) {
                let cancelled = Bytes::from_static(b"cancelled");
                common.reply(out, session_of(entry), (entry.op(), cancelled), false);
            }
        }
    }

    // ---- retransmission

    fn arm_retransmit(&self, common: &mut Common) {
        let wait = common.config.timeouts.retransmit.times(1 << self.resend_attempt.min(3));
        common.timers.arm(Timer::Retransmit, common.now.after(wait));
    }

    /// Prepares that nobody acknowledged go out again, oldest first (PROTOCOL D7).
    pub(super) fn on_retransmit(&mut self, common: &mut Common, out: &mut Out) {
        if common.commit() >= common.log.op() || self.abdicated {
            self.resend_attempt = 0;
            return;
        }
        if common.commit() > self.resend_commit {
            self.resend_attempt = 0;
        } else {
            self.resend(common, out);
            self.resend_attempt += 1;
        }
        self.resend_commit = common.commit();
        self.arm_retransmit(common);
    }

    fn resend(&mut self, common: &mut Common, out: &mut Out) {
        for position in 0..self.members.len() {
            let from = self.members[position].acked.max(common.commit());
            if position == common.me.index() || from >= common.log.op() {
                continue;
            }
            let to = common.group.around(position);
            let entries = common.tail_after(from, common.log.head()).entries;
            let beat = self.beat;
            common.send(out, to, Plain::prepare(entries, common.commit(), beat));
            out.push(Action::Note(Note::Retransmitted { to, op: from.next() }));
        }
    }
}

fn session_of(entry: &Entry) -> (ClientId, Session, RequestNumber) {
    (entry.client(), entry.session(), entry.number())
}

/// The quorum of the group that the end of the log asks for: a planted bug counts with it (PROTOCOL D89).
fn quorum_after(common: &Common) -> Option<usize> {
    let next = common.group.after(common.log.last()?, common.config.cluster.least_members())?;
    Some(next.quorum())
}

#[cfg(test)]
mod tests;
