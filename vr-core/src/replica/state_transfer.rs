//! State transfer: asking for entries, answering by content, and putting a log together from pages.
//!
//! Owns the question in flight ([`Fetch`]), the log being assembled beside the one in use ([`Assembly`]), and the
//! answer. Nothing of the log in use is given up while pages come in: it is replaced as a whole or not at all.
//! Must not know statuses. Paper: VRR §5.2 without its truncation (PROTOCOL D30 to D36), §5.3.

use super::common::{Common, Out};
use crate::action::{HaltReason, Ignored, Note};
use crate::entry::{Entries, Entry};
use crate::id::{FetchId, Op, ReplicaId, count, index};
use crate::log::{Head, Log, continues, head_of};
use crate::message::{GetState, MessageKind, NewState, Tail};
use crate::persist::Plain;
use crate::rules::Rules;
use crate::timer::Timer;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A question that waits for its answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Fetch {
    id: FetchId,
    of: ReplicaId,
    attempt: u64,
    want: Option<Head>,
}

impl Fetch {
    /// Asks `of` for what follows the newest of `have` that it shares.
    pub(super) fn ask(common: &mut Common, out: &mut Out, of: ReplicaId, have: Vec<Head>, want: Option<Head>) -> Self {
        let mut fetch = Self { id: FetchId::ZERO, of, attempt: 0, want };
        fetch.say(common, out, have);
        fetch
    }

    /// Asks again: the next page from the same replica.
    pub(super) fn next_page(&mut self, common: &mut Common, out: &mut Out, have: Vec<Head>) {
        self.say(common, out, have);
    }

    /// Asks again, somebody else: the last one asked did not answer (PROTOCOL D39).
    pub(super) fn retry(&mut self, common: &mut Common, out: &mut Out, have: Vec<Head>) {
        if common.rules.asks_another() {
            self.of = common.another(self.attempt);
        }
        self.attempt += 1;
        self.say(common, out, have);
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

/// Answers a question about a log that ends in `head`: a page that leads there, or nothing when the asker wants
/// another log or shares nothing with ours.
pub(super) fn answer(common: &mut Common, out: &mut Out, from: ReplicaId, question: &GetState) {
    let head = question.want.unwrap_or_else(|| common.log.head());
    let shared = common.log.newest_shared(&question.have).filter(|shared| shared.op <= head.op);
    let shared = shared.or_else(|| common.log.newest_shared(&older_than(&question.have, head.op)));
    match shared.filter(|_| common.log.contains(head)) {
        Some(shared) => {
            let tail = common.tail_after(shared.op, head);
            let page = NewState { id: question.id, commit: common.commit(), tail };
            common.send(out, from, Plain::new_state(page));
        }
        None => common.ignore(out, from, MessageKind::GetState, Ignored::Unknown),
    }
}

fn older_than(anchors: &[Head], op: Op) -> Vec<Head> {
    anchors.iter().copied().filter(|anchor| anchor.op <= op).collect()
}

/// A log being put together, beside the one in use, until it reaches its target.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Assembly {
    target: Head,
    base: Head,
    entries: Vec<Entry>,
    any: bool,
}

/// A log put together: keep this much of the one in use, then these.
pub(super) struct Whole {
    pub(super) keep: Head,
    pub(super) entries: Entries,
}

impl Assembly {
    /// Nothing yet, on the way to `target`.
    pub(super) fn toward(target: Head, log: &Log) -> Self {
        let base = if log.contains(target) { target } else { log.base() };
        Self { target, base, entries: Vec::new(), any: false }
    }

    pub(super) const fn target(&self) -> Head {
        self.target
    }

    fn head(&self) -> Head {
        self.entries.last().map_or(self.base, |last| Head { op: last.op(), hash: last.hash() })
    }

    /// Takes what leads on. True if anything did.
    pub(super) fn offer(&mut self, log: &Log, tail: &Tail) -> bool {
        if self.head() == self.target || tail.base.op >= self.target.op {
            return false;
        }
        let mut entries = tail.entries.clone();
        if !continues(&entries, tail.base) || entries.is_empty() {
            return false;
        }
        let head = self.head();
        let known = tail.base.op.distance_to(head.op);
        let continued = self.any && tail.base.op <= head.op && known < count(entries.len());
        if continued && continues(&entries.skip(index(known)), head) {
            entries = entries.skip(index(known));
        } else if log.contains(tail.base) && (!self.any || head_of(&entries, tail.base).op > head.op) {
            // Joins our log further on than what was gathered so far: begin there.
            (self.base, self.entries) = (tail.base, Vec::new());
        } else {
            return false;
        }
        let fits = entries.iter().filter(|entry| entry.op() <= self.target.op).count();
        self.entries.extend(entries.iter().take(fits).cloned());
        self.any = true;
        if self.head().op == self.target.op && self.head() != self.target {
            // Another log than the one promised: start again.
            (self.entries, self.any, self.base) = (Vec::new(), false, log.base());
            return false;
        }
        fits > 0
    }

    /// Did it arrive?
    pub(super) fn is_whole(&self, rules: Rules) -> bool {
        let head = self.head();
        let reached = self.any || head == self.target;
        reached && rules.is_whole(head.hash, self.target.hash)
    }

    /// What to tell whoever may have more of it: newest first.
    pub(super) fn anchors(&self, log: &Log, floor: Op) -> Vec<Head> {
        let mut have = log.anchors(floor);
        have.push(log.base());
        if self.any {
            have.push(self.head());
        }
        have.retain(|anchor| anchor.op <= self.target.op);
        have.sort_unstable_by_key(|anchor| core::cmp::Reverse(anchor.op));
        have.dedup();
        have.truncate(crate::message::MAX_ANCHORS);
        have
    }

    /// The log as a change of the one in use. What is the same in both is kept, not replaced.
    pub(super) fn finish(self, log: &Log) -> Whole {
        let same = self.entries.iter().take_while(|entry| log.hash(entry.op()) == Some(entry.hash())).count();
        let entries = Entries::new(self.entries).unwrap_or_else(|_| unreachable!("pages were chained one by one"));
        let keep = head_of(&entries.take(same), self.base);
        Whole { keep, entries: entries.skip(same) }
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
}

/// The question of a backup that misses the end of its own view's log: same log, so one anchor does.
pub(super) fn catch_up(common: &Common) -> Vec<Head> {
    alloc::vec![common.log.head()]
}

/// Nothing is being asked any more.
pub(super) fn stop(common: &mut Common) {
    common.timers.cancel(Timer::Fetch);
}
