//! What a replica's writes add up to: the image in its memory, the image on its disk.
//!
//! Owns the fold of writes as hashes, whether a write fits what is there, and which images a crash may leave
//! behind. Must not know what any of it means for the group. PROTOCOL §6, §4 S4; `vr_core::Stored` is the
//! specification.

use super::index;
use std::collections::VecDeque;
use vr_core::{Checkpoint, Damage, Entries, Entry, Hash, Head, Incarnation, Log, Op, Stored, View, Write, WriteId};

/// Promise, log and incarnation, folded from writes.
#[derive(Clone, Debug)]
pub(super) struct Image {
    pub(super) incarnation: Incarnation,
    pub(super) view: View,
    pub(super) log_view: View,
    /// The last write was the mark of an orderly stop.
    pub(super) clean: bool,
    /// Confirmed records were found rotten: what was acknowledged is not here, and must come from others.
    pub(super) gone: Option<Box<Gone>>,
    base: Head,
    /// Of the ops after the base.
    hashes: Vec<Hash>,
    /// The newest checkpoint: its head and its digest.
    checkpoint: Option<(Head, Hash)>,
}

/// What a disk lost of its log, by what stood on it before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Gone {
    /// Where the log ended, if the disk still knows.
    pub(super) end: Option<Head>,
    /// The entries that are lost.
    pub(super) lost: Vec<Head>,
    /// The entries behind the first lost one that can be read.
    pub(super) behind: Vec<Head>,
}

/// Why a write does not continue an image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Misfit {
    /// An incarnation that is not newer than the last one.
    OldIncarnation(Incarnation),
    /// A view below the one promised.
    OldView(View),
    /// Entries that start elsewhere than where the log ends.
    Gap { expected: Op, found: Op },
    /// An entry that is chained to something else than what is before it.
    BrokenChain(Op),
    /// A replacement that keeps more than there is, or cuts into the base.
    NothingToKeep(Op),
    /// A repair that ends elsewhere than the log that was here, or of a log that is not known or not damaged.
    AnotherLog { end: Op },
}

impl Image {
    /// The image of an empty disk.
    pub(super) const fn empty(base: Head) -> Self {
        let (incarnation, view, log_view) = (Incarnation::ZERO, View::ZERO, View::ZERO);
        Self { incarnation, view, log_view, clean: false, gone: None, base, hashes: Vec::new(), checkpoint: None }
    }

    /// What a disk holds.
    pub(super) fn of(stored: &Stored) -> Self {
        let base = stored.log.base();
        Self {
            incarnation: stored.incarnation,
            view: stored.view,
            log_view: stored.log_view,
            clean: stored.clean,
            gone: stored.damage.as_ref().map(|damage| Box::new(Gone::found(damage))),
            base,
            hashes: stored.log.after(base.op).map(Entry::hash).collect(),
            checkpoint: stored.checkpoint.as_ref().map(named),
        }
    }

    /// Becomes `other`, keeping its own buffer.
    pub(super) fn copy(&mut self, other: &Self) {
        (self.incarnation, self.view, self.log_view) = (other.incarnation, other.view, other.log_view);
        (self.base, self.clean, self.checkpoint) = (other.base, other.clean, other.checkpoint);
        self.gone.clone_from(&other.gone);
        self.hashes.clone_from(&other.hashes);
    }

    /// The last op.
    pub(super) fn op(&self) -> Op {
        self.base.op.plus(super::count(self.hashes.len()))
    }

    /// The last op and its hash.
    pub(super) fn head(&self) -> Head {
        self.hashes.last().map_or(self.base, |hash| Head { op: self.op(), hash: *hash })
    }

    /// Where the log starts.
    pub(super) const fn base(&self) -> Op {
        self.base.op
    }

    /// The hash at `op`, if it is there.
    pub(super) fn hash(&self, op: Op) -> Option<Hash> {
        let distance = op.0.checked_sub(self.base.op.0)?;
        match distance.checked_sub(1) {
            None => Some(self.base.hash),
            Some(place) => self.hashes.get(index(place)).copied(),
        }
    }

    /// Is everything through `head` here? Hashes are chained: one comparison tells. What is not in the log is in
    /// the checkpoint, which is the same on all replicas (S17).
    pub(super) fn holds(&self, head: Head) -> bool {
        match self.hash(head.op) {
            Some(hash) => hash == head.hash,
            None => head.op <= self.checkpointed(),
        }
    }

    /// Through here everything is in the checkpoint.
    pub(super) fn checkpointed(&self) -> Op {
        self.checkpoint.map_or(Op::ZERO, |(head, _)| head.op)
    }

    /// The hashes after `op`, which lies between base and head.
    pub(super) fn after(&self, op: Op) -> &[Hash] {
        let skip = index(self.base.op.distance_to(op)).min(self.hashes.len());
        &self.hashes[skip..]
    }

    /// Why `write` cannot follow, if it cannot.
    pub(super) fn misfit(&self, write: &Write) -> Option<Misfit> {
        match write {
            Write::Incarnation(incarnation) => {
                (*incarnation <= self.incarnation).then_some(Misfit::OldIncarnation(*incarnation))
            }
            Write::View(view) => (*view < self.view).then_some(Misfit::OldView(*view)),
            Write::Clean => None,
            Write::Append(entries) => broken(self.head(), entries),
            Write::Replace { keep, entries, view } => {
                if *view < self.view {
                    return Some(Misfit::OldView(*view));
                }
                match self.hash(*keep) {
                    None => Some(Misfit::NothingToKeep(*keep)),
                    Some(hash) => broken(Head { op: *keep, hash }, entries),
                }
            }
            Write::Checkpoint(_) | Write::Cut { .. } => None,
            Write::Repair { keep, entries } => {
                let Some(hash) = self.hash(*keep) else { return Some(Misfit::NothingToKeep(*keep)) };
                let kept = Head { op: *keep, hash };
                let end = entries.last().map_or(kept, at);
                let other = self.gone.as_ref().and_then(|gone| gone.end) != Some(end);
                broken(kept, entries).or_else(|| other.then_some(Misfit::AnotherLog { end: end.op }))
            }
            Write::Install { checkpoint, entries, view } => {
                let older = (*view < self.view).then_some(Misfit::OldView(*view));
                older.or_else(|| broken(checkpoint.head(), entries))
            }
        }
    }

    /// Adds a write that fits.
    pub(super) fn apply(&mut self, write: &Write) {
        self.clean = matches!(write, Write::Clean);
        match write {
            Write::Clean => {}
            Write::Incarnation(incarnation) => self.incarnation = *incarnation,
            Write::View(view) => self.view = *view,
            Write::Append(entries) => self.append(entries.as_slice()),
            Write::Replace { keep, entries, view } => {
                self.hashes.truncate(index(self.base.op.distance_to(*keep)));
                self.append(entries.as_slice());
                (self.view, self.log_view) = (*view, *view);
                self.gone = None;
            }
            Write::Repair { keep, entries } => {
                self.hashes.truncate(index(self.base.op.distance_to(*keep)));
                self.append(entries.as_slice());
                self.gone = None;
            }
            Write::Checkpoint(checkpoint) => self.checkpoint = Some(named(checkpoint)),
            Write::Cut { through } => self.cut((*through).min(self.op())),
            Write::Install { checkpoint, entries, view } => {
                (self.base, self.checkpoint) = (checkpoint.head(), Some(named(checkpoint)));
                self.hashes.clear();
                self.append(entries.as_slice());
                (self.view, self.log_view) = (*view, *view);
                self.gone = None;
            }
        }
    }

    fn cut(&mut self, op: Op) {
        let gone = index(self.base.op.distance_to(op));
        if let Some(last) = gone.checked_sub(1) {
            self.base = Head { op, hash: self.hashes[last] };
            self.hashes.drain(..gone);
        }
    }

    fn append(&mut self, entries: &[Entry]) {
        self.hashes.extend(entries.iter().map(Entry::hash));
    }

    fn is(&self, stored: &Stored) -> bool {
        let is_log = match &stored.damage {
            None => self.gone.is_none() && self.head() == stored.log.head(),
            Some(damage) => self.leaves(&stored.log, damage),
        };
        let is_mark = self.clean == stored.clean || (stored.damage.is_some() && !stored.clean);
        is_log && is_mark && self.is_base(stored) && self.promises_of(stored)
    }

    /// What is lost before the checkpoint is not missed: the log begins later then, but not behind it.
    fn is_base(&self, stored: &Stored) -> bool {
        let (base, checkpoint) = (stored.log.base(), stored.checkpoint.as_ref().map(named));
        let moved = base.op > self.base.op && base.op <= self.checkpointed() && self.hash(base.op) == Some(base.hash);
        self.checkpoint == checkpoint && (self.base == base || moved)
    }

    /// Is this what rot may leave of the log? Each part of it was here, and the end is known only if it is there.
    fn leaves(&self, log: &Log, damage: &Damage) -> bool {
        let was_here = |head: Head| self.holds(head) || self.gone.iter().any(|gone| gone.behind.contains(&head));
        let parts = || std::iter::once(log).chain(&damage.pieces);
        let all = parts().all(|part| part.after(part.base().op).map(at).all(was_here));
        let end = self.gone.as_ref().map_or(Some(self.head()), |gone| gone.end);
        let is_end = !damage.is_end_certain || (end.is_some() && damage.pieces.last().map(Log::head) == end);
        // What is lost was here, or is in the checkpoint.
        let was_there = self.gone.is_some() || self.op() >= damage.from || log.op() == self.checkpointed();
        all && is_end && was_there && log.op() < damage.from
    }

    /// Becomes what is left of it.
    fn lose(&mut self, stored: &Stored) {
        let Some(damage) = &stored.damage else {
            self.cut(stored.log.base().op);
            return;
        };
        self.clean = false;
        let mut known: Vec<Head> = self.heads().filter(|head| head.op > stored.log.op()).collect();
        let before = self.gone.take();
        let end = before.as_ref().map_or(Some(self.head()), |gone| gone.end).filter(|_| damage.is_end_certain);
        known.extend(before.into_iter().flat_map(|gone| gone.lost.into_iter().chain(gone.behind)));
        let behind = Gone::found(damage).behind;
        let lost = known.into_iter().filter(|head| !behind.contains(head)).collect();
        self.gone = Some(Box::new(Gone { end, lost, behind }));
        self.cut(stored.log.base().op);
        self.hashes.truncate(index(self.base.op.distance_to(stored.log.op())));
    }

    fn heads(&self) -> impl Iterator<Item = Head> {
        let ops = std::iter::successors(Some(self.base.op.next()), |op| Some(op.next()));
        ops.zip(&self.hashes).map(|(op, hash)| Head { op, hash: *hash })
    }

    /// Can this very entry be read on this disk?
    pub(super) fn can_read(&self, entry: Head) -> bool {
        let is_kept = entry.op > self.base.op && self.hash(entry.op) == Some(entry.hash);
        is_kept || self.gone.iter().any(|gone| gone.behind.contains(&entry))
    }

    fn promises_of(&self, stored: &Stored) -> bool {
        let theirs = (stored.incarnation, stored.view, stored.log_view);
        (self.incarnation, self.view, self.log_view) == theirs
    }

    /// Becomes what a crash left behind: this image, some of the writes that were in flight, in order, and
    /// perhaps the first entries of one more append. False when `stored` is none of these.
    pub(super) fn survive(&mut self, in_flight: &mut VecDeque<(WriteId, Write)>, stored: &Stored) -> bool {
        let damaged = stored.damage.as_ref().and_then(|damage| damage.pieces.last());
        let end = damaged.unwrap_or(&stored.log).head();
        loop {
            if self.is(stored) {
                in_flight.clear();
                self.lose(stored);
                return true;
            }
            let Some((_, write)) = in_flight.pop_front() else { return false };
            if let Write::Append(entries) = &write
                && self.promises_of(stored)
                && let Some(torn) = torn_at(entries, end)
            {
                self.append(&entries.as_slice()[..torn]);
                self.clean = false;
                in_flight.clear();
            } else {
                self.apply(&write);
            }
        }
    }
}

impl Gone {
    /// What can be told from the disk alone: the first time it is seen.
    fn found(damage: &Damage) -> Self {
        let behind = damage.pieces.iter().flat_map(|piece| piece.after(piece.base().op).map(at)).collect();
        let end = damage.pieces.last().map(Log::head).filter(|_| damage.is_end_certain);
        Self { end, lost: Vec::new(), behind }
    }
}

/// The place of an entry, and its hash.
fn at(entry: &Entry) -> Head {
    Head { op: entry.op(), hash: entry.hash() }
}

fn named(checkpoint: &Checkpoint) -> (Head, Hash) {
    (checkpoint.head(), checkpoint.digest())
}

/// Where entries that should continue `head` fail to.
fn broken(head: Head, entries: &Entries) -> Option<Misfit> {
    let Head { mut op, mut hash } = head;
    for entry in entries {
        if entry.op() != op.next() {
            return Some(Misfit::Gap { expected: op.next(), found: entry.op() });
        }
        if entry.parent() != hash {
            return Some(Misfit::BrokenChain(entry.op()));
        }
        (op, hash) = (entry.op(), entry.hash());
    }
    None
}

/// How many of the entries lead to `head`, if some but not all do.
fn torn_at(entries: &Entries, head: Head) -> Option<usize> {
    let all = entries.as_slice();
    let torn = all.iter().position(|entry| entry.op() == head.op && entry.hash() == head.hash)? + 1;
    (torn < all.len()).then_some(torn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::stage::{chain, stored};

    fn images() -> (Stored, Image, Entries) {
        let disk = stored(0);
        let image = Image::of(&disk);
        let entries = chain(disk.log.head(), View(0), 1..=4);
        (disk, image, entries)
    }

    #[test]
    fn an_image_is_the_fold_of_its_writes() {
        let (mut disk, mut image, entries) = images();
        let writes = [
            Write::Incarnation(Incarnation(1)),
            Write::Append(entries.take(3)),
            Write::View(View(1)),
            Write::Replace { keep: Op(2), entries: entries.skip(2), view: View(2) },
        ];
        for write in writes {
            assert_eq!(image.misfit(&write), None);
            image.apply(&write);
            disk.apply(write);
            assert!(image.is(&disk));
        }
        assert_eq!(image.hash(Op(4)), entries.last().map(Entry::hash));
        assert_eq!((image.hash(Op(5)), image.after(Op(2)).len()), (None, 2));
    }

    #[test]
    fn writes_that_do_not_continue_an_image_are_told_apart() {
        let (_, mut image, entries) = images();
        let gap = Misfit::Gap { expected: Op(1), found: Op(2) };
        assert_eq!(image.misfit(&Write::Append(entries.skip(1))), Some(gap));
        image.apply(&Write::Append(entries.take(2)));
        let other = chain(Head { op: Op(2), hash: Hash(5) }, View(0), 3..=3);
        assert_eq!(image.misfit(&Write::Append(other)), Some(Misfit::BrokenChain(Op(3))));
        image.apply(&Write::View(View(3)));
        assert_eq!(image.misfit(&Write::View(View(2))), Some(Misfit::OldView(View(2))));
        let keep = Write::Replace { keep: Op(3), entries: Entries::empty(), view: View(3) };
        assert_eq!(image.misfit(&keep), Some(Misfit::NothingToKeep(Op(3))));
        assert!(image.misfit(&Write::Incarnation(Incarnation(0))).is_some());
    }

    #[test]
    fn a_crash_leaves_the_durable_writes_and_a_prefix_of_those_in_flight() {
        let (disk, image, entries) = images();
        let flying = [
            (WriteId(1), Write::Append(entries.take(1))),
            (WriteId(2), Write::View(View(1))),
            (WriteId(3), Write::Append(entries.skip(1))),
        ];
        let left = |build: &dyn Fn(&mut Stored)| {
            let (mut left, mut image) = (disk.clone(), image.clone());
            build(&mut left);
            let mut queue: VecDeque<_> = flying.iter().cloned().collect();
            image.survive(&mut queue, &left).then_some(image.op())
        };
        assert_eq!(left(&|_| {}), Some(Op(0)));
        assert_eq!(left(&|disk| disk.apply(Write::Append(entries.take(1)))), Some(Op(1)));
        assert_eq!(left(&|disk| flying.iter().for_each(|(_, write)| disk.apply(write.clone()))), Some(Op(4)));
        let torn = |disk: &mut Stored| {
            disk.apply(Write::Append(entries.take(3)));
            disk.apply(Write::View(View(1)));
        };
        assert_eq!(left(&torn), Some(Op(3)), "ops 2 and 3 are the torn head of the last append");
        let rotten = |from: u64, ends: usize| {
            let left = entries.take(ends);
            move |disk: &mut Stored| {
                disk.log.append(left.clone());
                disk.damage = Some(Damage::of_end(Op(from)));
            }
        };
        assert_eq!(left(&rotten(1, 0)), Some(Op(0)), "op 1 was found rotten");
        assert_eq!(left(&rotten(1, 1)), None, "what is rotten is not given");
        assert_eq!(left(&rotten(3, 1)), None, "op 3 was torn, if anything: the view is missing");
        // Op 1 is lost and the rest of a torn append is whole behind it; so much and no more.
        let behind = |entries: Entries, is_end_certain: bool| {
            let pieces = [entries.skip(1)].into_iter().map(|run| {
                let before = run.first().expect("some").parent();
                let mut piece = Log::new(Head { op: Op(1), hash: before });
                piece.append(run);
                piece
            });
            let damage = Damage { from: Op(1), pieces: pieces.collect(), is_end_certain };
            move |disk: &mut Stored| {
                disk.view = View(1);
                disk.damage = Some(damage.clone());
            }
        };
        assert_eq!(left(&behind(entries.take(3), true)), Some(Op(0)));
        assert_eq!(left(&behind(entries.take(3), false)), Some(Op(0)));
        let other = chain(disk.log.head(), View(7), 1..=3);
        assert_eq!(left(&behind(other, true)), None, "that never was there");
        assert_eq!(left(&|disk| disk.apply(Write::View(View(1)))), None, "a hole before a later write");
        assert_eq!(left(&|disk| disk.apply(Write::Append(entries.take(3)))), None, "the view is missing");
    }

    #[test]
    fn a_log_is_repaired_with_what_was_there_and_with_nothing_else() {
        let (mut disk, mut image, entries) = images();
        disk.apply(Write::Append(entries.clone()));
        image.apply(&Write::Append(entries.clone()));
        let whole = image.clone();
        let name = |op: usize| at(&entries.as_slice()[op - 1]);
        disk.damage = Some(Damage {
            from: Op(2),
            pieces: vec![{
                let mut piece = disk.log.clone();
                piece.cut(Op(2));
                piece
            }],
            is_end_certain: true,
        });
        disk.log.truncate(Op(1));
        assert!(image.survive(&mut VecDeque::new(), &disk));
        let gone = image.gone.clone().expect("op 2 is lost");
        assert_eq!((gone.end, gone.lost, gone.behind), (Some(name(4)), vec![name(2)], vec![name(3), name(4)]));
        assert!(image.can_read(name(1)) && !image.can_read(name(2)) && image.can_read(name(3)));
        let repair = |keep, entries| Write::Repair { keep: Op(keep), entries };
        assert_eq!(image.misfit(&repair(1, entries.skip(1))), None);
        assert_eq!(image.misfit(&repair(1, entries.cut(1, 3))), Some(Misfit::AnotherLog { end: Op(3) }), "too little");
        let longer = chain(disk.log.head(), View(0), 2..=5);
        assert_eq!(image.misfit(&repair(1, longer)), Some(Misfit::AnotherLog { end: Op(5) }));
        assert_eq!(
            whole.misfit(&repair(1, entries.skip(1))),
            Some(Misfit::AnotherLog { end: Op(4) }),
            "nothing is lost"
        );
        image.apply(&repair(1, entries.skip(1)));
        assert!(image.gone.is_none() && image.head() == whole.head());
    }
}
