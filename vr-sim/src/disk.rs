//! One disk: what is durable, what is on its way there, and what a crash leaves of it.
//!
//! Owns the order of writes, group completion, the fold into [`Stored`], and rot. Must not know time: the world says
//! when a sync begins and ends. PROTOCOL §6, F5, F9, D55, D56; the fold is vr-core's own.

use std::collections::VecDeque;
use vr_core::{Damage, Head, Op, Stored, Write, WriteId};

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
                | Write::Install { .. },
            )
            | None => 0,
        }
    }

    /// Where the log ended at the last sync that was reported: nothing before this is torn by a crash.
    #[must_use]
    pub const fn confirmed(&self) -> Head {
        self.durable.log.head()
    }

    /// How many of the entries that were confirmed before a crash are still the log's after it. Only these can be
    /// found rotten; what was not confirmed and does not check was torn.
    #[must_use]
    pub fn may_rot(&self, confirmed: Head) -> u64 {
        let log = &self.durable.log;
        if log.contains(confirmed) { log.base().op.distance_to(confirmed.op) } else { 0 }
    }

    /// The confirmed record of an op does not check any more. What follows it is not part of a log.
    ///
    /// # Panics
    /// When the log does not hold it.
    pub fn rot(&mut self, op: Op) {
        self.durable.log.truncate(op.previous());
        self.durable.damage = Some(Damage { from: op });
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
}
