//! The log: the entries after its base, without gaps, each chained to the one before it.
//!
//! Owns positions, hashes, truncation and paging. Must not know which entries are committed, durable or
//! executed, nor who wants them. Paper: VRR §4 Figure 2 (log, op-number), §5.1 (its base after a checkpoint).

use crate::entry::{Entries, Entry};
use crate::id::{Hash, Op, count, index};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A position and the hash of everything up to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Head {
    /// The op.
    pub op: Op,
    /// The hash of the entry at it, and so of the whole log through it.
    pub hash: Hash,
}

/// The entries after `base`, in order.
///
/// Kept as the runs they arrived in, so that a batch is shared by the message that carried it, the write
/// that stores it, the log and the upcall.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Log {
    base: Head,
    head: Head,
    runs: VecDeque<Run>,
}

/// A run of entries and the op of its first, so that looking one up touches no entry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Run {
    first: Op,
    entries: Entries,
}

/// What one page of entries costs beside their bodies, an upper bound on the wire.
pub const ENTRY_OVERHEAD_BYTES: usize = 128;

impl Log {
    /// An empty log that continues after `base`.
    #[must_use]
    pub const fn new(base: Head) -> Self {
        Self { base, head: base, runs: VecDeque::new() }
    }

    /// What the log continues from: genesis, or a checkpoint.
    #[must_use]
    pub const fn base(&self) -> Head {
        self.base
    }

    /// The last entry's op and hash; the base when empty.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head
    }

    /// The op-number: the last op in the log.
    #[must_use]
    pub const fn op(&self) -> Op {
        self.head.op
    }

    /// How many entries are kept.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.base.op.distance_to(self.head.op)
    }

    /// No entries after the base?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The run that holds `op`, if it is kept.
    fn run_of(&self, op: Op) -> Option<usize> {
        if op <= self.base.op || op > self.head.op {
            return None;
        }
        // Nearly every question is about the newest entries.
        let newest = self.runs.len();
        for at in (newest.saturating_sub(6)..newest).rev() {
            if self.runs[at].first <= op {
                return Some(at);
            }
        }
        Some(self.runs.partition_point(|run| run.first <= op) - 1)
    }

    /// The entry at `op`, if it is kept.
    #[must_use]
    pub fn entry(&self, op: Op) -> Option<&Entry> {
        let run = &self.runs[self.run_of(op)?];
        run.entries.as_slice().get(span(run.first, op))
    }

    /// The last entry, if it is kept.
    #[must_use]
    pub fn last(&self) -> Option<&Entry> {
        self.runs.back().and_then(|run| run.entries.last())
    }

    /// The hash at `op`: of an entry that is kept, or of the base.
    #[must_use]
    pub fn hash(&self, op: Op) -> Option<Hash> {
        if op == self.head.op {
            return Some(self.head.hash);
        }
        if op == self.base.op { Some(self.base.hash) } else { self.entry(op).map(Entry::hash) }
    }

    /// Is everything through `head` the same here?
    #[must_use]
    pub fn contains(&self, head: Head) -> bool {
        self.hash(head.op) == Some(head.hash)
    }

    /// Is it what it says: one chain from its base to its head? Of a log that was read from bytes that were not checked.
    pub(crate) fn is_one_chain(&self) -> bool {
        let mut head = self.base;
        for run in &self.runs {
            let Some((first, last)) = run.entries.first().zip(run.entries.last()) else { return false };
            if (run.first, first.parent()) != (first.op(), head.hash) || head.op >= run.first {
                return false;
            }
            if head.op.distance_to(run.first) != 1 {
                return false;
            }
            head = Head { op: last.op(), hash: last.hash() };
        }
        head == self.head
    }

    /// Adds entries that continue the log.
    ///
    /// # Panics
    /// When they do not: the caller checks what comes from outside.
    #[inline(always)] // the run is handed over where it is, not moved
    pub fn append(&mut self, entries: Entries) {
        let ([first, ..], [.., last]) = (entries.as_slice(), entries.as_slice()) else { return };
        assert_eq!(first.op(), self.head.op.next(), "a log has no gaps");
        assert_eq!(first.parent(), self.head.hash, "a log is one chain");
        let first = first.op();
        self.head = Head { op: last.op(), hash: last.hash() };
        // Not `push_back`: see `Action::put`.
        self.runs.extend(core::iter::once_with(|| Run { first, entries }));
    }

    /// Drops everything after `op`.
    ///
    /// # Panics
    /// When `op` lies before the base, which is never given up.
    pub fn truncate(&mut self, op: Op) {
        assert!(op >= self.base.op, "the base of a log is never truncated");
        while let Some(run) = self.runs.back_mut() {
            let keep = if run.first > op { 0 } else { span(run.first, op) + 1 };
            if keep >= run.entries.len() {
                break;
            }
            if keep == 0 {
                self.runs.pop_back();
            } else {
                run.entries = run.entries.cut(0, keep);
            }
        }
        self.head = match self.runs.back().and_then(|run| run.entries.last()) {
            Some(last) => Head { op: last.op(), hash: last.hash() },
            None => self.base,
        };
    }

    /// Gives up the entries through `op`, as far as there are any: the log begins after it from now on.
    pub fn cut(&mut self, op: Op) {
        let op = op.min(self.head.op);
        let Some(hash) = self.hash(op).filter(|_| op > self.base.op) else { return };
        self.base = Head { op, hash };
        while let Some(run) = self.runs.front_mut() {
            let gone = if run.first > op { 0 } else { span(run.first, op) + 1 };
            if gone < run.entries.len() {
                (run.entries, run.first) = (run.entries.skip(gone), run.first.max(op.next()));
                break;
            }
            self.runs.pop_front();
        }
    }

    /// Every entry after `op`, oldest first.
    pub fn after(&self, op: Op) -> impl Iterator<Item = &Entry> + '_ {
        let entries = self.runs.range(self.run_after(op)..).flat_map(|run| run.entries.as_slice());
        entries.filter(move |entry| entry.op() > op)
    }

    /// The first run with an entry after `op`.
    fn run_after(&self, op: Op) -> usize {
        self.run_of(op.max(self.base.op).next()).unwrap_or(self.runs.len())
    }

    /// The runs after `op` up to and including `last`, cut to fit, oldest first. Shares, copies nothing.
    pub fn runs(&self, op: Op, last: Op) -> impl Iterator<Item = Entries> + '_ {
        (self.run_after(op)..).map_while(move |at| {
            let run = self.runs.get(at).filter(|run| run.first <= last)?;
            let skip = if run.first > op { 0 } else { span(run.first, op) + 1 };
            Some(run.entries.cut(skip, span(run.first, last) + 1))
        })
    }

    /// The run of just the entries after `op` up to and including `last`, if it is one of the newest two: what commits
    /// next nearly always is.
    #[inline]
    pub(crate) fn run_between(&self, op: Op, last: Op) -> Option<&Entries> {
        let newest = self.runs.len();
        let mut run = self.runs.get(newest.wrapping_sub(1))?;
        if run.first > last {
            run = self.runs.get(newest.wrapping_sub(2))?;
        }
        let is_it = run.first == op.next() && op.plus(count(run.entries.len())) == last;
        is_it.then_some(&run.entries)
    }

    /// The entries after `op`, up to `last`, as many as fit `bytes`; always one if there is one.
    #[must_use]
    pub fn page(&self, op: Op, last: Op, bytes: usize) -> Entries {
        let mut runs = self.runs(op, last);
        let Some(first) = runs.next() else { return Entries::empty() };
        let Some(second) = runs.next() else { return fitting(&first, bytes) };
        let mut left = bytes;
        let mut page: Vec<Entry> = Vec::new();
        for run in [first, second].into_iter().chain(runs) {
            for entry in &run {
                let cost = entry.body().len() + ENTRY_OVERHEAD_BYTES;
                if cost > left && !page.is_empty() {
                    return Entries::share(&mut page);
                }
                left = left.saturating_sub(cost);
                page.push(entry.clone());
            }
        }
        Entries::share(&mut page)
    }

    /// The entries that end in the one at `last`, as many as fit `bytes`, counted from the end; always one if it is kept.
    #[must_use]
    pub fn page_through(&self, last: Op, bytes: usize) -> Entries {
        let (mut first, mut left) = (last, bytes);
        while let Some(entry) = self.entry(first) {
            let cost = entry.body().len() + ENTRY_OVERHEAD_BYTES;
            if cost > left && first < last {
                break;
            }
            left = left.saturating_sub(cost);
            first = first.previous();
        }
        self.page(first, last, usize::MAX)
    }

    /// Positions with their hashes by which another replica finds where our logs part: the head, then
    /// ever wider steps back, never before `floor`, and `floor` itself.
    #[must_use]
    pub fn anchors(&self, floor: Op) -> Vec<Head> {
        let floor = floor.max(self.base.op).min(self.head.op);
        let mut anchors = Vec::new();
        let (mut op, mut step) = (self.head.op, 1u64);
        while op > floor {
            anchors.push(Head { op, hash: self.hash(op).expect("between base and head") });
            op = Op(op.0.saturating_sub(step)).max(floor);
            step = step.saturating_mul(2);
        }
        anchors.push(Head { op: floor, hash: self.hash(floor).expect("between base and head") });
        anchors
    }

    /// The newest of another replica's anchors that lies on our log too.
    #[must_use]
    pub fn newest_shared(&self, anchors: &[Head]) -> Option<Head> {
        anchors.iter().copied().filter(|anchor| self.contains(*anchor)).max_by_key(|anchor| anchor.op)
    }
}

fn fitting(run: &Entries, bytes: usize) -> Entries {
    let mut left = bytes;
    let mut fit = 0;
    for entry in run {
        let cost = entry.body().len() + ENTRY_OVERHEAD_BYTES;
        if cost > left && fit > 0 {
            break;
        }
        left = left.saturating_sub(cost);
        fit += 1;
    }
    run.cut(0, fit)
}

/// The head that a run of entries ends in, or `base` when it is empty.
#[must_use]
pub(crate) fn head_of(entries: &Entries, base: Head) -> Head {
    entries.last().map_or(base, |last| Head { op: last.op(), hash: last.hash() })
}

/// Does `entries` continue `base`?
#[must_use]
pub(crate) fn continues(entries: &Entries, base: Head) -> bool {
    entries.first().is_none_or(|first| first.op() == base.op.next() && first.parent() == base.hash)
}

/// The number of entries a log may hold at most between two positions, as an index.
#[must_use]
pub(crate) fn span(from: Op, to: Op) -> usize {
    index(from.distance_to(to))
}

const _: () = assert!(size_of::<Entries>() <= 24);

#[cfg(test)]
mod tests;
