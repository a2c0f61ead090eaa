//! State transfer: asking for entries, answering by content, and putting a log together from pages.
//!
//! Owns the question in flight ([`Fetch`]), the log being assembled beside the one in use ([`Assembly`]), and the
//! answer. Nothing of the log in use is given up while pages come in: it is replaced as a whole or not at all.
//! Must not know statuses. Paper: VRR §5.2 without its truncation (PROTOCOL D30 to D36), §5.3.

use super::checkpoints;
use super::common::{Common, Out};
use super::witnesses;
use crate::action::{HaltReason, Ignored, Note};
use crate::checkpoint::Checkpoint;
use crate::config::MESSAGE_OVERHEAD_BYTES;
use crate::entry::{Entries, Entry};
use crate::id::{FetchId, Op, ReplicaId, count, index};
use crate::log::{Head, Log, continues, head_of};
use crate::message::{GetState, MessageKind, NewState, StartView, Tail};
use crate::persist::Plain;
use crate::rules::Rules;
use crate::timer::Timer;
use alloc::boxed::Box;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// How many entries a report or a StartView carries at most; who lacks more asks for it.
const TAIL_ENTRIES: u64 = 128;
/// The most that one page of state transfer carries, whatever a message may hold.
const PAGE_BYTES: usize = 1 << 20;
/// The most that one part of a checkpoint carries, whatever a message may hold.
const PART_BYTES: usize = 4 << 20;

/// Pieces of the log for others.
impl Common {
    pub(super) fn page_bytes(&self) -> usize {
        let room = self.config.cluster.max_message_bytes.saturating_sub(MESSAGE_OVERHEAD_BYTES);
        index(u64::from(room)).min(PAGE_BYTES)
    }

    /// How long a part of a checkpoint is, but for the last one.
    pub(super) fn part_bytes(&self) -> usize {
        let room = self.config.cluster.max_message_bytes.saturating_sub(MESSAGE_OVERHEAD_BYTES);
        index(u64::from(room)).min(PART_BYTES)
    }

    /// The newest entries that fit a report or a StartView, none before `commit`.
    pub(super) fn tail(&self) -> Tail {
        let from = self.commit().max(Op(self.log.op().0.saturating_sub(TAIL_ENTRIES))).max(self.log.base().op);
        self.tail_after(from, self.log.head())
    }

    /// The entries after `from` towards `head`, as many as fit.
    pub(super) fn tail_after(&self, from: Op, head: Head) -> Tail {
        let base = Head { op: from, hash: self.log.hash(from).expect("the base of a piece lies on the log") };
        Tail { base, entries: self.log.page(from, head.op, self.page_bytes()), head }
    }

    pub(super) fn start_view(&self, view_start: Op, tail: Tail) -> StartView {
        StartView { view_start, commit: self.commit(), tail }
    }
}

/// A question that waits for its answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Fetch {
    id: FetchId,
    of: ReplicaId,
    attempt: u64,
    /// So many questions in a row led nowhere.
    in_vain: u64,
    want: Option<Head>,
}

impl Fetch {
    /// Asks `of` for what follows the newest of `have` that it shares.
    pub(super) fn ask(common: &mut Common, out: &mut Out, of: ReplicaId, have: Vec<Head>, want: Option<Head>) -> Self {
        let mut fetch = Self { id: FetchId::ZERO, of, attempt: 0, in_vain: 0, want };
        fetch.say(common, out, have);
        fetch
    }

    /// Asks again: the next page from the same replica.
    pub(super) fn next_page(&mut self, common: &mut Common, out: &mut Out, have: Vec<Head>) {
        self.in_vain = 0;
        self.say(common, out, have);
    }

    /// Asks again, of whoever turned out to know more.
    pub(super) fn ask_anew(&mut self, common: &mut Common, out: &mut Out, of: ReplicaId, have: Vec<Head>) {
        self.of = of;
        self.say(common, out, have);
    }

    /// Asks again, somebody else: the last one asked did not answer (PROTOCOL D39).
    pub(super) fn retry(&mut self, common: &mut Common, out: &mut Out, have: Vec<Head>) {
        if common.rules.asks_another() {
            self.of = common.another(self.attempt);
        }
        self.attempt += 1;
        self.in_vain += 1;
        self.say(common, out, have);
    }

    /// Did nobody answer, the one who was asked last included? This many were asked.
    pub(super) const fn in_vain(&self) -> u64 {
        self.in_vain + 1
    }

    fn say(&mut self, common: &mut Common, out: &mut Out, have: Vec<Head>) {
        self.id = common.next_fetch();
        common.send(out, self.of, Plain::get_state(GetState { id: self.id, have, want: self.want }));
        common.arm_fetch();
        out.push(crate::action::Action::Note(Note::AskedForState { of: self.of, id: self.id }));
    }

    /// Is this the answer to the question?
    pub(super) fn answers(&self, page: &NewState) -> bool {
        self.id == page.id
    }
}

/// Answers a question about a log: a page that leads there from what both have, or else from a checkpoint of ours.
/// Nothing when the asker wants another log. `normal`: who is normal in the view may answer with its own log, as far
/// as it goes, when what was wanted is behind it.
pub(super) fn answer(common: &mut Common, out: &mut Out, from: ReplicaId, question: &GetState, normal: bool) {
    witnesses::say_to(common, out, from);
    let ours = common.log.head();
    let wanted = question.want.filter(|want| common.log.contains(*want)).or(question.want.is_none().then_some(ours));
    let mut found = wanted.and_then(|head| Some((base_for(common, &question.have, head, from)?, head)));
    let behind = question.want.is_some_and(|want| want.op < ours.op);
    if found.is_none() && normal && behind && common.rules.answers_with_own_log() {
        found = base_for(common, &question.have, ours, from).map(|base| (base, ours));
    }
    match found {
        Some((base, head)) => {
            let tail = common.tail_after(base.op, head);
            let page = NewState { id: question.id, commit: common.commit(), tail };
            common.send(out, from, Plain::new_state(page));
        }
        None => common.ignore(out, from, MessageKind::GetState, Ignored::Unknown),
    }
}

/// Where a page towards `head` begins for `to`, who has these, or could have, what it likes best first: the first that we have
/// too, or a checkpoint.
pub(super) fn base_for(common: &mut Common, have: &[Head], head: Head, to: ReplicaId) -> Option<Head> {
    let shared = have.iter().copied().find(|anchor| anchor.op <= head.op && common.log.contains(*anchor));
    shared.or_else(|| checkpoints::offered(common, head.op, to))
}

/// A log being put together, beside the one in use, until it reaches its target.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Assembly {
    target: Head,
    base: Head,
    entries: Vec<Entry>,
    any: bool,
    ground: Ground,
}

/// What the base of a log that is being put together lies on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Ground {
    /// On the log in use.
    Log,
    /// On a checkpoint, which is on its way.
    Wanted,
    /// On this checkpoint.
    Checkpoint(Box<Checkpoint>),
}

/// A log put together: keep this much of the one in use, or begin with a checkpoint, then these.
pub(super) struct Whole {
    pub(super) keep: Head,
    pub(super) entries: Entries,
    checkpoint: Option<Box<Checkpoint>>,
}

impl Assembly {
    /// Nothing yet, on the way to `target`.
    pub(super) fn toward(target: Head, log: &Log) -> Self {
        let base = if log.contains(target) { target } else { log.base() };
        Self { target, base, entries: Vec::new(), any: false, ground: Ground::Log }
    }

    pub(super) const fn target(&self) -> Head {
        self.target
    }

    fn head(&self) -> Head {
        self.entries.last().map_or(self.base, |last| Head { op: last.op(), hash: last.hash() })
    }

    /// Takes what leads on. True if anything did.
    pub(super) fn offer(&mut self, log: &Log, tail: &Tail) -> bool {
        let wanted = self.awaits_checkpoint();
        if (self.head() == self.target && !wanted) || tail.base.op >= self.target.op {
            return false;
        }
        let mut entries = tail.entries.clone();
        if !continues(&entries, tail.base) || entries.is_empty() {
            return false;
        }
        let head = self.head();
        let known = tail.base.op.distance_to(head.op);
        let continued = self.any && !wanted && tail.base.op <= head.op && known < count(entries.len());
        if continued && continues(&entries.skip(index(known)), head) {
            entries = entries.skip(index(known));
        } else if log.contains(tail.base) && (!self.any || wanted || head_of(&entries, tail.base).op > head.op) {
            // Joins our log, further on than what was gathered so far, or so that no checkpoint is needed: begin there.
            (self.base, self.entries, self.ground) = (tail.base, Vec::new(), Ground::Log);
        } else {
            return false;
        }
        let fits = entries.iter().filter(|entry| entry.op() <= self.target.op).count();
        self.entries.extend(entries.iter().take(fits).cloned());
        self.any = true;
        if self.head().op == self.target.op && self.head() != self.target {
            // Another log than the one promised: start again.
            *self =
                Self { target: self.target, base: log.base(), entries: Vec::new(), any: false, ground: Ground::Log };
            return false;
        }
        fits > 0
    }

    /// An answer that leads nowhere from what is here begins at a checkpoint of the answerer, beyond everything that
    /// is committed here through `commit`, and no further than what is committed there through `theirs`.
    pub(super) fn offers_checkpoint(&self, log: &Log, tail: &Tail, commit: Op, theirs: Op) -> bool {
        let lacks = self.awaits_checkpoint() || self.head() != self.target;
        let fits = lacks
            && !self.has(tail.base)
            && tail.base.op > commit
            && tail.base.op <= theirs
            && tail.base.op <= tail.head.op;
        fits && continues(&tail.entries, tail.base) && !log.contains(tail.base)
    }

    /// Was it gathered already? Then an answer from there on repeats an earlier one.
    fn has(&self, head: Head) -> bool {
        let on = |entry: &Entry| (entry.op(), entry.hash()) == (head.op, head.hash);
        !self.awaits_checkpoint() && self.any && (self.base == head || self.entries.iter().any(on))
    }

    /// Begins again with what the answer brings, on its checkpoint, towards the log that it names.
    pub(super) fn begin_on_checkpoint(&mut self, tail: &Tail) {
        let entries = tail.entries.iter().filter(|entry| entry.op() <= tail.head.op).cloned().collect();
        *self = Self { target: tail.head, base: tail.base, entries, any: true, ground: Ground::Wanted };
    }

    /// The checkpoint is here, if it is the one that is wanted.
    pub(super) fn ground_on(&mut self, checkpoint: Box<Checkpoint>) -> bool {
        let wanted = self.ground == Ground::Wanted && self.base == checkpoint.head();
        if wanted {
            self.ground = Ground::Checkpoint(checkpoint);
        }
        wanted
    }

    /// Is it a checkpoint that is waited for?
    pub(super) fn awaits_checkpoint(&self) -> bool {
        self.ground == Ground::Wanted
    }

    /// Did it arrive?
    pub(super) fn is_whole(&self, rules: Rules) -> bool {
        let head = self.head();
        let reached = self.any || head == self.target;
        match self.ground {
            Ground::Wanted => false,
            Ground::Checkpoint(_) if rules.checkpoint_is_enough() => true,
            Ground::Checkpoint(_) | Ground::Log => reached && rules.is_whole(head.hash, self.target.hash),
        }
    }

    /// What to tell whoever may have more of it: newest first, and one less than a question holds.
    pub(super) fn anchors(&self, log: &Log, floor: Op) -> Vec<Head> {
        let mut have = log.anchors(floor);
        have.push(log.base());
        if self.any && self.ground != Ground::Wanted {
            have.push(self.head());
        }
        have.retain(|anchor| anchor.op <= self.target.op);
        have.sort_unstable_by_key(|anchor| core::cmp::Reverse(anchor.op));
        have.dedup();
        have.truncate(crate::message::MAX_ANCHORS - 1);
        have
    }

    /// The log as a change of the one in use. What is the same in both is kept, not replaced.
    pub(super) fn finish(self, log: &Log, rules: Rules) -> Whole {
        let Self { base, entries, ground, .. } = self;
        let same = entries.iter().take_while(|entry| log.hash(entry.op()) == Some(entry.hash())).count();
        let entries = Entries::new(entries).unwrap_or_else(|_| unreachable!("pages were chained one by one"));
        match ground {
            Ground::Log | Ground::Wanted => {
                let keep = head_of(&entries.take(same), base);
                Whole { keep, entries: entries.skip(same), checkpoint: None }
            }
            Ground::Checkpoint(checkpoint) => {
                let entries = if rules.checkpoint_is_enough() { Entries::empty() } else { entries };
                Whole { keep: base, entries, checkpoint: Some(checkpoint) }
            }
        }
    }
}

impl Whole {
    /// No log that is installed may contradict what is committed here (PROTOCOL D19).
    pub(super) fn contradiction(&self, common: &Common) -> Option<HaltReason> {
        if !common.rules.checks_executed_prefix() || self.keep.op >= common.commit() {
            return None;
        }
        Some(HaltReason::ContradictsExecuted { op: self.keep.op.next() })
    }

    /// Does it bring anything that has to be written down?
    pub(super) fn needs_room(&self) -> bool {
        self.checkpoint.is_some() || !self.entries.is_empty()
    }

    /// It takes the place of the log in use, as that of our view.
    pub(super) fn put(self, common: &mut Common, out: &mut Out) {
        match self.checkpoint {
            Some(checkpoint) => checkpoints::install(common, out, checkpoint, self.entries),
            None => common.replace(out, self.keep.op, self.entries),
        }
    }
}

/// The question of a backup that misses the end of its own view's log: same log, so one anchor does.
pub(super) fn catch_up(common: &Common) -> Vec<Head> {
    alloc::vec![common.log.head()]
}

/// Nothing is being asked any more.
pub(super) fn stop(common: &mut Common) {
    common.timers.cancel(Timer::Fetch);
}

#[cfg(test)]
mod tests;
