//! Reads at a backup: its primary says what the answers must reflect, and they wait until that is executed here.
//!
//! Owns the questions of clients that wait, and for what: for the answer to one question to the primary, which is for all that
//! had come when it left, then for the op in it to be handed to the service. Those that come meanwhile wait for the next
//! question. Nobody waits for ever: a question is repeated, and given up like a primary would give up without a quorum. Must not
//! know how a primary comes to its answer, nor what is asked. Paper: VRR §6.3; PROTOCOL 1.8.
//!
//! Why it is enough: the primary noted the index after its question came, which left after those of the clients came, and was
//! confirmed as the primary after that (`primary/reads.rs`). Everything that was answered to anybody before is at or below the
//! index, and stays there in every view to come. More than that is executed here only when it is committed.

use super::super::common::{Common, Next, Out};
use super::Backup;
use crate::action::{Action, Ignored, Note};
use crate::entry::Query;
use crate::id::{FetchId, Op, ReplicaId, Time, Wait, count};
use crate::message::MessageKind;
use crate::persist::Plain;
use crate::timer::Timer;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The questions that wait.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Reads {
    /// They came since the last question left.
    waiting: Vec<Query>,
    /// Those that wait for the primary to answer one.
    question: Option<Question>,
    /// The others wait until everything through an op is with the service, since they were asked for.
    indexed: VecDeque<(Op, Time, Vec<Query>)>,
    /// So many questions in a row were given up.
    in_vain: u32,
    /// The primary is not asked again before.
    quiet_until: Time,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Question {
    id: FetchId,
    since: Time,
    /// When it is repeated.
    again_at: Time,
    attempt: u32,
    queries: Vec<Query>,
}

impl Reads {
    fn waiting(&self) -> usize {
        let asked = self.question.as_ref().map_or(0, |question| question.queries.len());
        let indexed: usize = self.indexed.iter().map(|(_, _, queries)| queries.len()).sum();
        self.waiting.len() + asked + indexed
    }

    /// What waited for so long at this moment that it is given up. Nobody behind a question without an answer waits on.
    fn take_overdue(&mut self, now: Time, patience: Wait) -> (bool, Vec<Query>) {
        let is_over = |since: &Time| now.since(*since) >= patience;
        let mut overdue = Vec::new();
        let late = self.indexed.iter().take_while(|(_, since, _)| is_over(since)).count();
        overdue.extend(self.indexed.drain(..late).flat_map(|(_, _, queries)| queries));
        let question = self.question.take_if(|question| is_over(&question.since));
        let is_silent = question.is_some();
        if let Some(question) = question {
            overdue.extend(question.queries);
            overdue.append(&mut self.waiting);
        }
        (is_silent, overdue)
    }

    /// When something is to be repeated or given up.
    fn due(&self, patience: Wait) -> Option<Time> {
        let repeated = self.question.as_ref().map(|question| question.again_at.min(question.since.after(patience)));
        let given_up = self.indexed.front().map(|(_, since, _)| since.after(patience));
        repeated.into_iter().chain(given_up).min()
    }
}

impl Backup {
    /// A question of a client who lets a backup answer (PROTOCOL 1.8).
    pub(in super::super) fn on_query(&mut self, common: &mut Common, out: &mut Out, query: Query) {
        let is_quiet = (common.now < self.reads.quiet_until).then(|| common.not_primary(true));
        if let Some(reason) = is_quiet.or_else(|| common.too_much(&query, self.reads.waiting())) {
            return common.refuse(out, &query, reason);
        }
        self.reads.waiting.push(query);
        if self.reads.question.is_none() {
            self.ask_for_index(common, out);
        }
    }

    /// One question for all that wait.
    fn ask_for_index(&mut self, common: &mut Common, out: &mut Out) {
        let (id, since) = (common.next_fetch(), common.now);
        let queries = core::mem::take(&mut self.reads.waiting);
        self.reads.question = Some(Question { id, since, again_at: since, attempt: 0, queries });
        self.repeat_question(common, out);
    }

    fn repeat_question(&mut self, common: &mut Common, out: &mut Out) {
        if let Some(question) = &mut self.reads.question {
            let wait = common.config.timeouts.retransmit.times(1 << question.attempt.min(3));
            (question.again_at, question.attempt) = (common.now.after(wait), question.attempt.saturating_add(1));
            let (id, primary) = (question.id, common.primary());
            common.send(out, primary, Plain::get_read_index(id));
        }
        self.arm_reads(common);
    }

    /// What the answers must reflect.
    pub(in super::super) fn on_read_index(
        &mut self,
        common: &mut Common,
        out: &mut Out,
        from: ReplicaId,
        (named, index): (FetchId, Op),
        of_view: bool,
    ) {
        let rules = common.rules;
        let answered = self.reads.question.take_if(|question| rules.is_index_for(named, question.id, of_view));
        let Some(Question { since, queries, .. }) = answered else {
            return common.ignore(out, from, MessageKind::ReadIndex, Ignored::NotAsked);
        };
        self.reads.in_vain = 0;
        self.reads.indexed.push_back((index, since, queries));
        self.answer_reads(common, out);
        if !self.reads.waiting.is_empty() {
            self.ask_for_index(common, out);
        }
    }

    /// Is everything that the oldest of those that wait must reflect with the service?
    #[inline]
    pub(super) fn owes_reads(&self, common: &Common) -> bool {
        let is_ready =
            |(index, _, _): &(Op, Time, Vec<Query>)| common.rules.answers_from(common.execution.issued(), *index);
        self.reads.indexed.front().is_some_and(is_ready)
    }

    /// The service answers whatever it may by now.
    pub(super) fn answer_reads(&mut self, common: &mut Common, out: &mut Out) {
        while self.owes_reads(common) {
            if let Some((_, _, queries)) = self.reads.indexed.pop_front() {
                out.push(Action::Read(queries));
            }
        }
        self.arm_reads(common);
    }

    fn arm_reads(&self, common: &mut Common) {
        match self.reads.due(common.config.timeouts.abdicate) {
            Some(due) => common.timers.arm(Timer::Retransmit, due),
            None => common.timers.cancel(Timer::Retransmit),
        }
    }

    /// The primary did not answer yet, or what its answer asks for did not come. One that says nothing, as it cannot hear us
    /// or knows no such question, is left alone for a while, longer each time, and clients are sent to it at once.
    pub(in super::super) fn on_silence(&mut self, common: &mut Common, out: &mut Out) -> Next {
        let patience = common.config.timeouts.abdicate;
        let (is_silent, overdue) = self.reads.take_overdue(common.now, patience);
        if is_silent {
            self.reads.quiet_until = common.now.after(patience.times(1 << self.reads.in_vain.min(3)));
            self.reads.in_vain = self.reads.in_vain.saturating_add(1);
        }
        give_up(common, out, overdue, true);
        if self.reads.question.as_ref().is_some_and(|question| question.again_at <= common.now) {
            self.repeat_question(common, out);
        }
        self.arm_reads(common);
        Next::Stay
    }

    /// This replica follows its primary no more: nobody can be answered.
    pub(in super::super) fn turn_readers_away(&mut self, common: &Common, out: &mut Out) {
        let Reads { waiting, question, indexed, .. } = core::mem::take(&mut self.reads);
        let indexed = indexed.into_iter().flat_map(|(_, _, queries)| queries);
        let asked = question.into_iter().flat_map(|question| question.queries);
        give_up(common, out, indexed.chain(asked).chain(waiting).collect(), false);
    }
}

/// Whoever waited is told to ask elsewhere: the primary, if it is `certain` who that is.
fn give_up(common: &Common, out: &mut Out, queries: Vec<Query>, certain: bool) {
    if queries.is_empty() {
        return;
    }
    out.push(Action::Note(Note::ReadsGivenUp { view: common.view(), queries: count(queries.len()) }));
    for query in queries {
        common.refuse(out, &query, common.not_primary(certain));
    }
}
