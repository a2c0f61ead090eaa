//! What a replica's writes add up to: the image in its memory, the image on its disk.
//!
//! Owns the fold of writes as hashes, whether a write fits what is there, and which images a crash may leave
//! behind. Must not know what any of it means for the group. PROTOCOL §6, §4 S4; `vr_core::Stored` is the
//! specification.

use super::index;
use std::collections::VecDeque;
use vr_core::{Checkpoint, Damage, Entries, Entry, Hash, Head, Incarnation, Op, Stored, View, Write, WriteId};

/// Promise, log and incarnation, folded from writes.
#[derive(Clone, Debug)]
pub(super) struct Image {
    pub(super) incarnation: Incarnation,
    pub(super) view: View,
    pub(super) log_view: View,
    /// The last write was the mark of an orderly stop.
    pub(super) clean: bool,
    /// Confirmed records were found rotten: what was acknowledged is not here, and must come from others.
    pub(super) damaged: bool,
    base: Head,
    /// Of the ops after the base.
    hashes: Vec<Hash>,
    /// The newest checkpoint: its head and its digest.
    checkpoint: Option<(Head, Hash)>,
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
}

impl Image {
    /// The image of an empty disk.
    pub(super) const fn empty(base: Head) -> Self {
        let (incarnation, view, log_view) = (Incarnation::ZERO, View::ZERO, View::ZERO);
        Self { incarnation, view, log_view, clean: false, damaged: false, base, hashes: Vec::new(), checkpoint: None }
    }

    /// What a disk holds.
    pub(super) fn of(stored: &Stored) -> Self {
        let base = stored.log.base();
        Self {
            incarnation: stored.incarnation,
            view: stored.view,
            log_view: stored.log_view,
            clean: stored.clean,
            damaged: stored.damage.is_some(),
            base,
            hashes: stored.log.after(base.op).map(Entry::hash).collect(),
            checkpoint: stored.checkpoint.as_ref().map(named),
        }
    }

    /// Becomes `other`, keeping its own buffer.
    pub(super) fn copy(&mut self, other: &Self) {
        (self.incarnation, self.view, self.log_view) = (other.incarnation, other.view, other.log_view);
        (self.base, self.clean, self.checkpoint) = (other.base, other.clean, other.checkpoint);
        self.damaged = other.damaged;
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

    /// What is left of a damaged log may end before the checkpoint: whoever starts from it begins with the checkpoint.
    pub(super) fn begin_on_checkpoint(&mut self) {
        if let Some((head, _)) = self.checkpoint.filter(|(head, _)| self.hash(head.op) != Some(head.hash)) {
            self.base = head;
            self.hashes.clear();
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
                self.damaged = false;
            }
            Write::Checkpoint(checkpoint) => self.checkpoint = Some(named(checkpoint)),
            Write::Cut { through } => self.cut((*through).min(self.op())),
            Write::Install { checkpoint, entries, view } => {
                (self.base, self.checkpoint) = (checkpoint.head(), Some(named(checkpoint)));
                self.hashes.clear();
                self.append(entries.as_slice());
                (self.view, self.log_view) = (*view, *view);
                self.damaged = false;
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
        let head = stored.log.head();
        let is_log = match stored.damage {
            None => !self.damaged && self.head() == head,
            // Of the rotten log what is left is a beginning, which ends before the damage.
            Some(Damage { from }) => head.op < from && self.holds(head) && (self.damaged || self.op() >= from),
        };
        let is_base = self.base == stored.log.base() && self.checkpoint == stored.checkpoint.as_ref().map(named);
        is_log && is_base && self.promises_of(stored) && self.clean == stored.clean
    }

    fn promises_of(&self, stored: &Stored) -> bool {
        let theirs = (stored.incarnation, stored.view, stored.log_view);
        (self.incarnation, self.view, self.log_view) == theirs
    }

    /// Becomes what a crash left behind: this image, some of the writes that were in flight, in order, and
    /// perhaps the first entries of one more append. False when `stored` is none of these.
    pub(super) fn survive(&mut self, in_flight: &mut VecDeque<(WriteId, Write)>, stored: &Stored) -> bool {
        loop {
            if self.is(stored) {
                in_flight.clear();
                self.hashes.truncate(index(self.base.op.distance_to(stored.log.op())));
                self.damaged = stored.damage.is_some();
                return true;
            }
            let Some((_, write)) = in_flight.pop_front() else { return false };
            if let Write::Append(entries) = &write
                && self.promises_of(stored)
                && stored.damage.is_none()
                && let Some(torn) = torn_at(entries, stored.log.head())
            {
                self.append(&entries.as_slice()[..torn]);
                self.clean = false;
                in_flight.clear();
                return true;
            }
            self.apply(&write);
        }
    }
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
                disk.damage = Some(Damage { from: Op(from) });
            }
        };
        assert_eq!(left(&rotten(1, 0)), Some(Op(0)), "op 1 was found rotten");
        assert_eq!(left(&rotten(1, 1)), None, "what is rotten is not given");
        assert_eq!(left(&rotten(3, 1)), None, "op 3 was torn, if anything: the view is missing");
        assert_eq!(left(&|disk| disk.apply(Write::View(View(1)))), None, "a hole before a later write");
        assert_eq!(left(&|disk| disk.apply(Write::Append(entries.take(3)))), None, "the view is missing");
    }
}
