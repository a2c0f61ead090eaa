//! Repair: what the own disk lost of a log comes back entry by entry, by its hash, from whoever has it.
//!
//! Owns the log being put together from what is whole on the disk and what others send, and what of it is lent to
//! others in the same need. Must not know whom to ask, nor what the replica becomes. Paper: VRR §4.3 does
//! not know of it; PROTOCOL D56 to D58, DESIGN 9.6.
//!
//! Entries are chained, so that the first entry behind a hole names everything before it. Who knows for certain where
//! its log ended therefore knows *which* log it had, and lost bytes only: with the same entries back it is the replica
//! that it was, and no promise it ever made depends on how it got them. It asks from the end of a hole towards its
//! beginning, since that is the direction in which each entry names the next: any one good copy of each entry will do,
//! wherever they lie, also at replicas that are themselves damaged. Nobody is in a view for that, nor promises anything.
//!
//! Who does not know where its log ended cannot tell *had it* from *never had it*. It lends what it has and waits for the
//! log of a primary: see [`super::recovery`].

use super::common::{Common, Out};
use crate::action::Ignored;
use crate::entry::{Entries, Entry};
use crate::id::{Op, ReplicaId, count};
use crate::log::{Head, Log};
use crate::message::MessageKind;
use crate::persist::Plain;
use crate::stored::Damage;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A damaged log on its way to be whole.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Repair {
    /// The first op that was lost.
    from: Op,
    /// Can it be told what belongs here?
    is_sure: bool,
    /// Through here everything is committed: what was lost cannot lie before it.
    committed: Op,
    /// The beginning that is whole by now.
    log: Log,
    /// Through here it is what the log in use is.
    kept: Op,
    /// What is whole behind the hole that is being filled, in order.
    pieces: VecDeque<Log>,
    /// What came in for that hole: runs, the last of the log first.
    gathered: Vec<Entries>,
    received: u64,
}

/// A log that is whole again: the one in use through `keep`, then these.
pub(super) struct Repaired {
    pub(super) from: Op,
    pub(super) keep: Op,
    pub(super) entries: Entries,
    pub(super) received: u64,
}

impl Repair {
    /// `log` is what is whole before the damage, committed through `committed` at least. `is_sure`: the damage may be
    /// repaired by content.
    pub(super) fn new(log: &Log, damage: Damage, committed: Op, is_sure: bool) -> Self {
        let Damage { from, pieces, is_end_certain: _ } = damage;
        let (log, kept, pieces) = (log.clone(), log.op(), pieces.into());
        let mut this = Self { from, is_sure, committed, log, kept, pieces, gathered: Vec::new(), received: 0 };
        this.join();
        this
    }

    /// The next entry to ask for, by name: the last of those that are missing before the first piece.
    pub(super) fn wanted(&self) -> Option<Head> {
        if !self.is_sure {
            return None;
        }
        let before = |first: &Entry| Head { op: first.op().previous(), hash: first.parent() };
        let reached = self.gathered.last().and_then(Entries::first).map(before);
        reached.or_else(|| self.pieces.front().map(Log::base))
    }

    /// Takes entries that were asked for. False when they are not these.
    pub(super) fn take(&mut self, entries: &Entries) -> bool {
        let is_wanted = |last: &Entry| self.wanted() == Some(Head { op: last.op(), hash: last.hash() });
        if !entries.last().is_some_and(is_wanted) {
            return false;
        }
        // Only as far back as the beginning does not have them.
        let joins = |entry: &Entry| self.log.contains(Head { op: entry.op().previous(), hash: entry.parent() });
        let entries = entries.skip(entries.as_slice().iter().rposition(joins).unwrap_or(0));
        self.received += count(entries.len());
        self.gathered.push(entries);
        self.join();
        true
    }

    /// Closes every hole that nothing is missing in any more.
    fn join(&mut self) {
        while let Some(end) = self.wanted() {
            let joins = self.log.contains(end);
            if end.op < self.committed || (end.op == self.committed && !joins) {
                // It leads past what is committed: no log that this replica can have had.
                self.is_sure = false;
            }
            if !self.is_sure || !joins {
                return;
            }
            self.log.truncate(end.op);
            self.kept = self.kept.min(end.op);
            for run in self.gathered.drain(..).rev() {
                self.log.append(run);
            }
            if let Some(piece) = self.pieces.pop_front() {
                piece.runs(piece.base().op, piece.op()).for_each(|run| self.log.append(run));
            }
        }
    }

    /// Gives up what is missing and everything behind it: a planted bug only (PROTOCOL D58).
    pub(super) fn give_up(&mut self) {
        (self.pieces, self.gathered) = (VecDeque::new(), Vec::new());
    }

    /// The log, once nothing is missing.
    pub(super) fn whole(&self) -> Option<Repaired> {
        let is_whole = self.is_sure && self.pieces.is_empty() && self.gathered.is_empty();
        is_whole.then(|| Repaired {
            from: self.from,
            keep: self.kept,
            entries: Entries::share(&mut self.log.after(self.kept).cloned().collect()),
            received: self.received,
        })
    }

    /// What there is here of the entries that end in this one. Lent by name: it promises nothing.
    pub(super) fn lend(&self, through: Head, bytes: usize) -> Option<Entries> {
        let logs = core::iter::once(&self.log).chain(&self.pieces);
        lend(logs, through, bytes)
    }
}

/// Gives somebody the entries that it asked for by name, if they are here.
pub(super) fn give(common: &mut Common, out: &mut Out, to: ReplicaId, entries: Option<Entries>) {
    match entries {
        Some(entries) => common.send(out, to, Plain::entries(entries)),
        None => common.ignore(out, to, MessageKind::GetEntries, Ignored::Unknown),
    }
}

/// The entries that end in this one, from the first of these logs that has it.
pub(super) fn lend<'a>(mut logs: impl Iterator<Item = &'a Log>, through: Head, bytes: usize) -> Option<Entries> {
    let has_it = |log: &&Log| log.base().op < through.op && log.contains(through);
    logs.find(has_it).map(|log| log.page_through(through.op, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Kind, Predicted, Request, genesis};
    use crate::id::{ClientId, ClusterId, Epoch, Hash, RequestNumber, Session, View};
    use alloc::vec;
    use bytes::Bytes;

    fn log_of(length: u64) -> Log {
        let mut log = Log::new(Head { op: Op(0), hash: genesis(ClusterId(1)) });
        for number in 1..=length {
            let (client, session, predicted) = (ClientId(7), Session(1), Predicted::default());
            let (number, kind, body) = (RequestNumber(number), Kind::Operation, Bytes::from_static(b"body"));
            let request = Request { client, session, number, kind, predicted, body };
            let head = log.head();
            let entry = Entry::new(Epoch(0), View(0), head.op.next(), head.hash, request);
            log.append(Entries::new(vec![entry]).expect("one entry is a chain"));
        }
        log
    }

    /// The part after `base` up to `last`.
    fn part(log: &Log, base: u64, last: u64) -> Log {
        let mut part = log.clone();
        part.truncate(Op(last));
        part.cut(Op(base));
        part
    }

    /// `log` with ops 3, 4 and 7 lost.
    fn holed(log: &Log) -> (Log, Damage) {
        let pieces = vec![part(log, 4, 6), part(log, 7, 9)];
        (part(log, 0, 2), Damage { from: Op(3), pieces, is_end_certain: true })
    }

    #[test]
    fn holes_are_filled_from_their_ends_with_one_good_copy_of_each_entry_wherever_it_is() {
        let log = log_of(9);
        let (beginning, damage) = holed(&log);
        let mut repair = Repair::new(&beginning, damage, Op(0), true);
        for lost in [4, 3, 7] {
            assert!(repair.whole().is_none());
            let wanted = repair.wanted().expect("something is missing");
            assert_eq!((wanted.op, Some(wanted.hash)), (Op(lost), log.hash(Op(lost))));
            // Whoever answers has only this one left.
            let scrap = part(&log, lost - 1, lost);
            let answer = lend(core::iter::once(&scrap), wanted, usize::MAX).expect("it is there");
            assert!(repair.take(&answer));
        }
        let whole = repair.whole().expect("nothing is missing");
        assert_eq!((whole.from, whole.keep, whole.received, whole.entries.len()), (Op(3), Op(2), 3, 7));
        assert_eq!(whole.entries.last().map(Entry::hash), Some(log.head().hash));
        assert_eq!(repair.wanted(), None);
    }

    #[test]
    fn what_comes_beyond_a_hole_is_left_out() {
        let log = log_of(9);
        let (beginning, damage) = holed(&log);
        let mut repair = Repair::new(&beginning, damage, Op(0), true);
        let wanted = repair.wanted().expect("something is missing");
        assert!(repair.take(&log.page_through(wanted.op, usize::MAX)));
        assert_eq!((repair.received, repair.wanted().map(|head| head.op)), (2, Some(Op(7))));
    }

    #[test]
    fn an_entry_of_the_right_op_and_another_hash_is_refused() {
        let log = log_of(9);
        let (beginning, damage) = holed(&log);
        let mut repair = Repair::new(&beginning, damage, Op(0), true);
        let other = Log::new(Head { op: Op(3), hash: Hash(9) });
        let entry = log.entry(Op(4)).expect("kept").request();
        let forged = Entry::new(Epoch(0), View(0), Op(4), other.head().hash, entry);
        assert!(!repair.take(&Entries::new(vec![forged]).expect("one entry is a chain")));
        assert!(!repair.take(&part(&log, 1, 3).page_through(Op(3), usize::MAX)), "not asked for yet");
        assert!(!repair.take(&Entries::empty()));
        assert_eq!(repair.received, 0);
    }

    #[test]
    fn what_stood_before_a_lost_replacement_gives_way_to_what_the_chain_names() {
        let log = log_of(9);
        let mut stale = part(&log, 0, 2);
        let entry = log.entry(Op(3)).expect("kept").request();
        let other = Entry::new(Epoch(0), View(1), Op(3), stale.head().hash, entry);
        stale.append(Entries::new(vec![other]).expect("one entry is a chain"));
        let damage = Damage { from: Op(4), pieces: vec![part(&log, 4, 9)], is_end_certain: true };
        let mut repair = Repair::new(&stale, damage, Op(0), true);
        assert!(repair.take(&log.page_through(Op(4), usize::MAX)));
        let whole = repair.whole().expect("nothing is missing");
        assert_eq!((whole.keep, whole.entries.len()), (Op(2), 7));
    }

    #[test]
    fn nothing_that_is_committed_gives_way_to_a_chain() {
        let log = log_of(9);
        let damage = Damage { from: Op(7), pieces: vec![part(&log, 4, 9)], is_end_certain: true };
        let repair = Repair::new(&part(&log, 0, 6), damage.clone(), Op(4), true);
        assert_eq!(repair.whole().map(|whole| whole.keep), Some(Op(4)));
        assert!(Repair::new(&part(&log, 0, 6), damage, Op(5), true).whole().is_none());
    }

    #[test]
    fn an_uncertain_end_asks_for_nothing_and_lends_what_it_has() {
        let log = log_of(9);
        let (beginning, damage) = holed(&log);
        let repair = Repair::new(&beginning, damage, Op(0), false);
        assert!(repair.wanted().is_none() && repair.whole().is_none());
        let name = |op| Head { op: Op(op), hash: log.hash(Op(op)).expect("kept") };
        let lent = |op| repair.lend(name(op), usize::MAX).map(|entries| entries.len());
        assert_eq!((lent(2), lent(6), lent(9)), (Some(2), Some(2), Some(2)));
        assert_eq!((lent(4), lent(7)), (None, None), "what is lost is not here");
        assert_eq!(repair.lend(Head { op: Op(6), hash: Hash(1) }, usize::MAX), None);
        let page = repair.lend(name(9), 1).expect("it is there");
        assert_eq!((page.len(), page.last().map(Entry::op)), (1, Some(Op(9))));
    }

    #[test]
    fn a_chain_that_does_not_lead_to_the_beginning_is_not_followed_for_ever() {
        let log = log_of(9);
        let elsewhere = Log::new(Head { op: Op(4), hash: Hash(7) });
        let damage = Damage { from: Op(5), pieces: vec![part(&log, 6, 9)], is_end_certain: true };
        let mut repair = Repair::new(&elsewhere, damage, Op(4), true);
        assert!(repair.take(&part(&log, 4, 6).page_through(Op(6), usize::MAX)));
        assert!(repair.wanted().is_none() && repair.whole().is_none());
    }
}
