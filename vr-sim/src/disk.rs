//! One disk: what is durable, what is on its way there, and what a crash leaves of it.
//!
//! Owns the order of writes, group completion, the fold into [`Stored`], and rot. Must not know time: the world says
//! when a sync begins and ends. PROTOCOL §6, F5, F9, D55, D56; the fold is vr-core's own.

use std::collections::VecDeque;
use vr_core::{Damage, Hash, Head, Log, Op, Stored, Write, WriteId};

/// The disk of one replica.
#[derive(Clone, Debug)]
pub struct Disk {
    durable: Stored,
    /// Issued, not known to be durable, oldest first.
    under_way: VecDeque<(WriteId, Write)>,
    /// So many of them are covered by the sync that runs; 0 when none does.
    syncing: usize,
    /// Which sync it is.
    syncs: u32,
    /// So many times slower than usual.
    pub slowness: u64,
    /// The next sync fails.
    pub failing: bool,
}

impl Disk {
    /// A disk that holds this.
    #[must_use]
    pub const fn new(durable: Stored) -> Self {
        Self { durable, under_way: VecDeque::new(), syncing: 0, syncs: 0, slowness: 1, failing: false }
    }

    /// What would be found if the power failed and nothing under way survived.
    #[must_use]
    pub const fn durable(&self) -> &Stored {
        &self.durable
    }

    /// Takes a write.
    pub fn issue(&mut self, id: WriteId, write: Write) {
        self.under_way.push_back((id, write));
    }

    /// How many writes are under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Begins a sync of everything under way, unless one runs or there is nothing: the first write it covers.
    pub fn begin_sync(&mut self) -> Option<WriteId> {
        if self.syncing != 0 || self.under_way.is_empty() {
            return None;
        }
        self.syncing = self.under_way.len();
        self.syncs += 1;
        self.under_way.front().map(|(id, _)| *id)
    }

    /// The number of the sync that runs, or of the last one.
    #[must_use]
    pub const fn sync(&self) -> u32 {
        self.syncs
    }

    /// The sync that runs shall end at another time: its new number, if one runs.
    pub const fn renumber_sync(&mut self) -> Option<u32> {
        if self.syncing == 0 {
            return None;
        }
        self.syncs += 1;
        Some(self.syncs)
    }

    /// The sync of this number is done: the last write that is durable now. `None` when it is not the one that runs.
    pub fn end_sync(&mut self, sync: u32) -> Option<WriteId> {
        if sync != self.syncs {
            return None;
        }
        let covered = std::mem::take(&mut self.syncing);
        let mut last = None;
        for (id, write) in self.under_way.drain(..covered) {
            self.durable.apply(write);
            last = Some(id);
        }
        last
    }

    /// Is this write under way?
    #[must_use]
    pub fn has_under_way(&self, id: WriteId) -> bool {
        self.under_way.iter().any(|(other, _)| *other == id)
    }

    /// Everything under way through this write is durable, whatever the sync that runs goes on to do. True if anything
    /// became so.
    pub fn complete(&mut self, through: WriteId) -> bool {
        let covered = self.under_way.iter().take_while(|(id, _)| *id <= through).count();
        self.under_way.drain(..covered).for_each(|(_, write)| self.durable.apply(write));
        self.syncing = self.syncing.saturating_sub(covered);
        if self.syncing == 0 {
            self.syncs += 1;
        }
        covered > 0
    }

    /// Into how many pieces the write after the first `survivors` under way can be torn: its entries.
    #[must_use]
    pub fn pieces_after(&self, survivors: usize) -> usize {
        let next = self.under_way.get(survivors).map(|(_, write)| write);
        match next {
            Some(Write::Append(entries)) => entries.len(),
            Some(
                Write::Incarnation(_)
                | Write::View(_)
                | Write::Replace { .. }
                | Write::Clean
                | Write::Checkpoint(_)
                | Write::Cut { .. }
                | Write::Install { .. }
                | Write::Repair { .. },
            )
            | None => 0,
        }
    }

    /// Where the log ended at the last sync that was reported, as far as it can be read: nothing before this is torn by
    /// a crash.
    #[must_use]
    pub fn confirmed(&self) -> Head {
        let pieces = self.durable.damage.as_ref().and_then(|damage| damage.pieces.last());
        pieces.unwrap_or(&self.durable.log).head()
    }

    /// The op of the newest entry that was confirmed before a crash and is still the log's after it, and the first op
    /// that is kept: only these can be found rotten; what was not confirmed and does not check was torn. `None` when
    /// there is none.
    #[must_use]
    pub fn may_rot(&self, confirmed: Head) -> Option<(Op, Op)> {
        let log = &self.durable.log;
        let known = |piece: &Log| piece.contains(confirmed);
        let pieces = || self.durable.damage.iter().flat_map(|damage| &damage.pieces);
        let is_there = known(log) || pieces().any(known);
        (is_there && confirmed.op > log.base().op).then(|| (log.base().op.next(), confirmed.op))
    }

    /// The hash of the entry at `op`, if it can be read.
    #[must_use]
    pub fn readable(&self, op: Op) -> Option<Hash> {
        let pieces = self.durable.damage.iter().flat_map(|damage| &damage.pieces);
        let mut logs = std::iter::once(&self.durable.log).chain(pieces);
        logs.find_map(|log| log.entry(op)).map(vr_core::Entry::hash)
    }

    /// Would the disk still know where its log ends if the record of this op rotted?
    #[must_use]
    pub fn knows_end_without(&self, op: Op) -> bool {
        match &self.durable.damage {
            None => op < self.durable.log.op(),
            Some(damage) => damage.is_end_certain && damage.pieces.last().is_some_and(|last| op < last.op()),
        }
    }

    /// The confirmed record of an op does not check any more, or is not where it was written. What follows it is whole
    /// and no part of the beginning; what the checkpoint holds is not missed. Nothing if it cannot be read already.
    pub fn rot(&mut self, op: Op) {
        let Stored { log, damage, checkpoint, clean, .. } = &mut self.durable;
        let begins = checkpoint.as_ref().map_or(log.base(), vr_core::Checkpoint::head);
        let (mut parts, mut is_end_certain) = (vec![log.clone()], true);
        if let Some(before) = damage.take() {
            is_end_certain = before.is_end_certain;
            parts.extend(before.pieces);
        }
        if let Some(at) = parts.iter().position(|part| part.entry(op).is_some()) {
            let mut behind = parts[at].clone();
            behind.cut(op);
            is_end_certain &= !behind.is_empty() || at + 1 < parts.len();
            parts[at].truncate(op.previous());
            parts.insert(at + 1, behind);
        }
        let first = parts.iter().position(|part| part.contains(begins));
        let beginning = first.map_or_else(|| Log::new(begins), |first| parts.remove(first));
        parts.drain(..first.unwrap_or(0));
        parts.retain(|part| !part.is_empty() && part.base().op >= beginning.op());
        let is_damaged = !(parts.is_empty() && is_end_certain);
        *clean &= !is_damaged;
        *damage = is_damaged.then(|| Damage { from: beginning.op().next(), pieces: parts, is_end_certain });
        *log = beginning;
    }

    /// It holds this now, whatever it held before: an earlier image of it, or nothing at all.
    pub fn becomes(&mut self, durable: Stored) {
        self.durable = durable;
        self.under_way.clear();
        (self.syncing, self.failing) = (0, false);
    }

    /// Power fails: the first `survivors` writes under way are there, of the next one its first `pieces`.
    pub fn crash(&mut self, survivors: usize, pieces: usize) {
        let mut writes = std::mem::take(&mut self.under_way).into_iter().map(|(_, write)| write);
        writes.by_ref().take(survivors).for_each(|write| self.durable.apply(write));
        if let Some(torn) = writes.next().filter(|_| pieces > 0) {
            self.durable.apply_torn(torn, pieces);
        }
        self.syncing = 0;
        self.failing = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use vr_core::{
        ClientId, ClusterId, Entries, Entry, Epoch, Hash, Incarnation, Instance, Kind, Op, Predicted, ReplicaId,
        Request, RequestNumber, Session, View,
    };

    fn disk() -> Disk {
        Disk::new(Stored::format(ClusterId(1), Hash(2), ReplicaId(0), Instance(3)))
    }

    fn entries(disk: &Disk, n: u64) -> Entries {
        let mut head = disk.durable().log.head();
        let make = |i| {
            let request = Request {
                client: ClientId(1),
                session: Session(1),
                number: RequestNumber(i),
                kind: Kind::Operation,
                predicted: Predicted::default(),
                body: Bytes::from_static(b"x"),
            };
            let entry = Entry::new(Epoch(0), View(0), head.op.next(), head.hash, request);
            head.op = entry.op();
            head.hash = entry.hash();
            entry
        };
        Entries::new((1..=n).map(make).collect()).unwrap()
    }

    #[test]
    fn one_sync_covers_everything_issued_before_it_and_nothing_after() {
        let mut disk = disk();
        disk.issue(WriteId(1), Write::Incarnation(Incarnation(1)));
        disk.issue(WriteId(2), Write::View(View(3)));
        assert_eq!(disk.begin_sync(), Some(WriteId(1)));
        disk.issue(WriteId(3), Write::View(View(4)));
        assert_eq!(disk.begin_sync(), None, "one at a time");
        assert_eq!(disk.durable().view, View(0), "not before it ends");
        assert_eq!(disk.end_sync(1), Some(WriteId(2)));
        assert_eq!(disk.durable().view, View(3));
        assert_eq!(disk.begin_sync(), Some(WriteId(3)));
    }

    #[test]
    fn what_is_completed_by_name_is_durable_and_the_sync_that_runs_goes_on_with_the_rest() {
        let mut disk = disk();
        disk.issue(WriteId(1), Write::Incarnation(Incarnation(1)));
        disk.issue(WriteId(2), Write::View(View(3)));
        disk.begin_sync();
        assert!(disk.has_under_way(WriteId(1)) && !disk.complete(WriteId(0)));
        assert!(disk.complete(WriteId(1)) && !disk.has_under_way(WriteId(1)));
        assert_eq!((disk.durable().incarnation, disk.durable().view), (Incarnation(1), View(0)));
        assert_eq!(disk.begin_sync(), None, "one runs");
        assert_eq!(disk.end_sync(1), Some(WriteId(2)));
        disk.issue(WriteId(3), Write::View(View(4)));
        disk.begin_sync();
        assert!(disk.complete(WriteId(3)));
        assert_eq!(disk.end_sync(2), None, "there was nothing left for it");
    }

    #[test]
    fn a_sync_that_is_hastened_ends_once() {
        let mut disk = disk();
        assert_eq!(disk.renumber_sync(), None);
        disk.issue(WriteId(1), Write::View(View(3)));
        disk.begin_sync();
        assert_eq!(disk.renumber_sync(), Some(2));
        assert_eq!((disk.end_sync(1), disk.end_sync(2)), (None, Some(WriteId(1))));
    }

    #[test]
    fn a_crash_leaves_a_prefix_and_perhaps_a_piece_of_the_next_write() {
        let mut disk = disk();
        let run = entries(&disk, 4);
        disk.issue(WriteId(1), Write::Incarnation(Incarnation(1)));
        disk.issue(WriteId(2), Write::Append(run));
        disk.issue(WriteId(3), Write::View(View(9)));
        disk.begin_sync();
        assert_eq!(disk.pieces_after(0), 0);
        assert_eq!(disk.pieces_after(1), 4);
        disk.crash(1, 3);
        assert_eq!(disk.durable().incarnation, Incarnation(1));
        assert_eq!(disk.durable().log.op(), Op(3));
        assert_eq!(disk.durable().view, View(0));
        assert_eq!(disk.under_way(), 0);
        assert_eq!(disk.end_sync(1), None);
    }

    #[test]
    fn records_other_than_entries_are_there_or_not() {
        let mut disk = disk();
        disk.issue(WriteId(1), Write::View(View(9)));
        disk.crash(0, 1);
        assert_eq!(disk.durable().view, View(0));
    }

    /// What is left of a log after its records of these ops rotted: where the beginning ends, the parts behind it, and
    /// whether the end is known.
    fn left(disk: &Disk) -> (u64, Vec<(u64, u64)>, bool) {
        let Stored { log, damage, .. } = disk.durable();
        let Some(damage) = damage else { return (log.op().0, Vec::new(), true) };
        assert_eq!(damage.from, log.op().next());
        let parts = damage.pieces.iter().map(|part| (part.base().op.0, part.op().0)).collect();
        (log.op().0, parts, damage.is_end_certain)
    }

    fn rotten(ops: &[u64]) -> Disk {
        let mut disk = disk();
        let run = entries(&disk, 9);
        disk.durable.apply(Write::Append(run));
        ops.iter().for_each(|op| disk.rot(Op(*op)));
        disk
    }

    #[test]
    fn rot_leaves_what_is_whole_on_both_sides_of_it() {
        assert_eq!(left(&rotten(&[4])), (3, vec![(4, 9)], true));
        assert_eq!(left(&rotten(&[7, 4])), (3, vec![(4, 6), (7, 9)], true));
        assert_eq!(left(&rotten(&[4, 5, 6])), (3, vec![(6, 9)], true));
        assert_eq!(left(&rotten(&[4, 4])), left(&rotten(&[4])), "what cannot be read cannot rot");
        assert_eq!(left(&rotten(&[9])), (8, vec![], false));
        assert_eq!(left(&rotten(&[4, 9])), (3, vec![(4, 8)], false));
        assert_eq!(left(&rotten(&[4, 9, 8])), (3, vec![(4, 7)], false), "an end that is lost stays lost");
        let disk = rotten(&[4]);
        let readable = |op| disk.readable(Op(op)).is_some();
        assert_eq!((readable(3), readable(4), readable(5)), (true, false, true));
        assert!(disk.knows_end_without(Op(8)) && !disk.knows_end_without(Op(9)));
    }

    #[test]
    fn what_is_lost_before_the_checkpoint_is_not_missed() {
        let at = |op: u64| {
            let mut disk = disk();
            let run = entries(&disk, 9);
            let hash = run.as_slice()[5].hash();
            disk.durable.apply(Write::Append(run));
            let (table, state) = (Bytes::new(), Bytes::new());
            let head = Head { op: Op(6), hash };
            let checkpoint = vr_core::Checkpoint::new(head, Predicted::default(), table, state);
            disk.durable.apply(Write::Checkpoint(Box::new(checkpoint)));
            disk.rot(Op(op));
            assert!(disk.durable().log.contains(head));
            (disk.durable().log.base().op.0, left(&disk))
        };
        assert_eq!(at(3), (3, (9, vec![], true)));
        assert_eq!(at(6), (6, (9, vec![], true)));
        assert_eq!(at(7), (0, (6, vec![(7, 9)], true)));
    }
}
