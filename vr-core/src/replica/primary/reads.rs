//! Reads at the primary, which no log entry pays for: a heartbeat that a quorum answers says that it still leads.
//!
//! Owns the questions that wait, and for what: for a quorum to answer a heartbeat that left after they came, then for
//! what was committed at that time to be handed to the service. Many share a heartbeat: those that come while one is under
//! way wait for the next. Backups wait in the same line for what the answers to their clients must reflect: they answer once
//! they have executed that. Must not know clocks, nor what is asked. Paper: VRR §6.3, in the form without leases, which is
//! `lease`; PROTOCOL 1.8.
//!
//! Why it is enough: whoever answers the heartbeat is in this view when it arrives, after the question came. A later view
//! begins with reports of a quorum, one of which is of a replica that answered, made after that. So whatever another
//! primary commits anew, it commits after the question came; and what was committed before, this one has committed
//! itself, or its view began with it.

use super::super::common::{Common, Out};
use super::{Member, Primary};
use crate::action::{Action, Ignored};
use crate::entry::{Kind, Query};
use crate::id::{Beat, FetchId, Op, ReplicaId};
use crate::message::MessageKind;
use crate::persist::Plain;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The questions that wait.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Reads {
    /// They came since the newest heartbeat left on their behalf.
    asked: Wave,
    /// Those that wait for a quorum to answer a heartbeat.
    round: Option<Round>,
    /// The others wait until everything through an op is with the service.
    confirmed: VecDeque<(Op, Vec<Query>)>,
}

/// Who waits for the same heartbeat.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Wave {
    /// Clients of our own.
    queries: Vec<Query>,
    /// Backups whose clients ask, each with the number of its question.
    backups: Vec<(ReplicaId, FetchId)>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Round {
    /// This heartbeat, or a later one, is to be answered.
    beat: Beat,
    /// What the answers must reflect.
    index: Op,
    wave: Wave,
}

impl Wave {
    fn is_empty(&self) -> bool {
        self.queries.is_empty() && self.backups.is_empty()
    }

    /// Does it hold this question of a backup, or a later one?
    fn holds(&self, from: ReplicaId, id: FetchId) -> bool {
        self.backups.iter().any(|(backup, newest)| *backup == from && *newest >= id)
    }
}

impl Reads {
    fn waiting(&self) -> usize {
        let under_way = self.round.as_ref().map_or(0, |round| round.wave.queries.len());
        let confirmed: usize = self.confirmed.iter().map(|(_, queries)| queries.len()).sum();
        self.asked.queries.len() + under_way + confirmed
    }

    /// Takes what waits, the oldest first.
    fn take_all(&mut self) -> impl Iterator<Item = Query> + use<> {
        let Self { asked, round, confirmed } = core::mem::take(self);
        let confirmed = confirmed.into_iter().flat_map(|(_, queries)| queries);
        confirmed.chain(round.into_iter().flat_map(|round| round.wave.queries)).chain(asked.queries)
    }
}

impl Primary {
    /// A question of a client (PROTOCOL 1.8). `under_lease`: if there is one.
    pub(in super::super) fn on_query(&mut self, common: &mut Common, out: &mut Out, query: Query, under_lease: bool) {
        let gave_up = self.abdicated.then(|| common.not_primary(false));
        if let Some(reason) = gave_up.or_else(|| common.too_much(&query, self.reads.waiting())) {
            return common.refuse(out, &query, reason);
        }
        if under_lease && self.answers_under_lease(common, out, &query) {
            return;
        }
        self.reads.asked.queries.push(query);
        if self.reads.round.is_none() {
            self.begin_round(common, out);
        }
    }

    /// A backup asks for its clients, who wait like those here. It has one question at a time, and may repeat it.
    pub(super) fn on_get_read_index(&mut self, common: &mut Common, out: &mut Out, from: ReplicaId, id: FetchId) {
        if self.abdicated {
            return common.ignore(out, from, MessageKind::GetReadIndex, Ignored::WrongStatus);
        }
        if common.rules.gives_index_at_once() {
            let index = common.rules.read_index(common.commit(), self.view_start);
            return common.send(out, from, Plain::read_index(id, index));
        }
        let Reads { asked, round, .. } = &mut self.reads;
        if asked.holds(from, id) || round.as_ref().is_some_and(|round| round.wave.holds(from, id)) {
            return common.ignore(out, from, MessageKind::GetReadIndex, Ignored::Duplicate);
        }
        asked.backups.retain(|(backup, _)| *backup != from);
        asked.backups.push((from, id));
        if self.reads.round.is_none() {
            self.begin_round(common, out);
        }
    }

    /// A heartbeat leaves for all that wait for one.
    fn begin_round(&mut self, common: &mut Common, out: &mut Out) {
        let wave = core::mem::take(&mut self.reads.asked);
        let index = common.rules.read_index(common.commit(), self.view_start);
        let before = self.beat;
        let beat = common.rules.confirming_beat(before, self.beat_now(common, out));
        self.reads.round = Some(Round { beat, index, wave });
        self.confirm(common, out);
    }

    /// Has a quorum answered, this replica included?
    pub(super) fn confirm(&mut self, common: &mut Common, out: &mut Out) {
        let Some(round) = &self.reads.round else { return };
        let me = common.me.index();
        let answers = |(at, member): &(usize, &Member)| *at == me || member.answered >= round.beat;
        let answered = self.members.iter().enumerate().filter(answers).count();
        if answered < common.quorum && common.rules.confirms_reads() {
            return;
        }
        if let Some(Round { index, wave: Wave { queries, backups }, .. }) = self.reads.round.take() {
            Self::give_index(common, out, index, backups);
            if !queries.is_empty() {
                self.reads.confirmed.push_back((index, queries));
            }
        }
        self.answer_reads(common, out);
        if !self.reads.asked.is_empty() {
            self.begin_round(common, out);
        }
    }

    /// Says what answers must reflect. At the end of our epoch nobody is told, and all turn their clients away then (D87).
    fn give_index(common: &mut Common, out: &mut Out, index: Op, backups: Vec<(ReplicaId, FetchId)>) {
        if backups.is_empty() || ends_by(common, index) {
            return;
        }
        for (backup, id) in backups {
            common.send(out, backup, Plain::read_index(id, index));
        }
    }

    /// Is everything that the oldest of those that wait must reflect with the service?
    #[inline]
    pub(super) fn owes_reads(&self, common: &Common) -> bool {
        let ready = |(index, _): &(Op, Vec<Query>)| *index <= common.execution.issued() && !ends_by(common, *index);
        self.reads.confirmed.front().is_some_and(ready)
    }

    /// The service answers whatever it may by now.
    pub(super) fn answer_reads(&mut self, common: &Common, out: &mut Out) {
        while self.owes_reads(common) {
            if let Some((_, queries)) = self.reads.confirmed.pop_front() {
                out.push(Action::Read(queries));
            }
        }
    }

    /// This replica leads no more: nobody can be answered.
    pub(super) fn turn_readers_away(&mut self, common: &Common, out: &mut Out) {
        for query in self.reads.take_all() {
            common.refuse(out, &query, common.not_primary(false));
        }
    }
}

/// Does our epoch end at this op or before? The next one may have other members, who commit what nobody here hears of:
/// whoever asks is turned away when it begins (D87).
pub(super) fn ends_by(common: &Common, op: Op) -> bool {
    let last = common.log.last().filter(|last| last.kind() == Kind::Reconfiguration && last.op() <= op);
    let least = common.config.cluster.least_members();
    common.rules.closes_reads(|| last.is_some_and(|last| common.group.after(last, least).is_some()))
}
