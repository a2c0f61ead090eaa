//! The fold of what can be read: `vr_core::Stored` when nothing is lost, and what is left of it otherwise.
//!
//! Owns what a lost record takes with it. Must not know files. The log is kept in pieces, with a hole between two of
//! them wherever entries are lost; a later record that replaces what surrounds a hole closes it. The chain of hashes
//! says whether two records really follow each other. PROTOCOL D41, D56, D62.

use super::checkpoints::Reference;
use super::promise::Promise;
use super::record::{Effect, Head as RecordHead, Kind};
use super::segment::Start;
use vr_core::{Entries, Head, Incarnation, Log, Op, View};

/// What was lost at one place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lost {
    /// Its head still says what it was.
    Known(RecordHead),
    /// Records of these numbers, whatever they were.
    Unknown { first: u64, last: u64 },
}

/// The fold so far.
#[derive(Clone, Debug)]
pub(crate) struct Fold {
    pub(crate) incarnation: Incarnation,
    pub(crate) view: View,
    pub(crate) log_view: View,
    pub(crate) clean: bool,
    pub(crate) checkpoint: Reference,
    /// In order; never empty. Holes lie between them.
    pieces: Vec<Log>,
    /// Entries that followed the last piece are lost.
    tail_is_lost: bool,
    /// Records are lost of which nobody knows yet whether they changed the last piece.
    unknown: Option<(u64, u64)>,
    /// Known to the replica as lost since an earlier start, until the log is replaced from before it on.
    known_from: Option<Op>,
    pub(crate) replaced_by: u64,
    pub(crate) kept: Op,
}

impl Fold {
    /// Before the first record of the oldest segment.
    pub(crate) fn new(start: &Start) -> Self {
        Self {
            incarnation: start.incarnation,
            view: start.view,
            log_view: start.log_view,
            clean: start.is_clean(),
            checkpoint: start.checkpoint,
            pieces: vec![Log::new(start.head)],
            tail_is_lost: false,
            unknown: None,
            known_from: Some(start.lost_from).filter(|from| *from != Op::ZERO),
            replaced_by: 0,
            kept: Op::ZERO,
        }
    }

    /// A segment begins that was begun because of a damage: the replica went on with what its header says.
    pub(crate) fn resume(&mut self, start: &Start) {
        if !start.is_behind_damage() {
            return;
        }
        let kept = self.pieces.iter_mut().find(|piece| piece.contains(start.head));
        let log = match kept {
            Some(piece) => {
                piece.truncate(start.head.op);
                // When older segments are gone, it begins later than it did then.
                if piece.contains(start.base) {
                    piece.cut(start.base.op);
                }
                piece.clone()
            }
            None => Log::new(start.head),
        };
        self.pieces = vec![log];
        (self.tail_is_lost, self.unknown) = (false, None);
        self.checkpoint = start.checkpoint;
        self.known_from = Some(start.lost_from).filter(|from| *from != Op::ZERO);
    }

    /// The first op of a damage that was known when the log went on, and was not repaired since.
    pub(crate) const fn known_from(&self) -> Option<Op> {
        self.known_from
    }

    fn last(&mut self) -> &mut Log {
        self.pieces.last_mut().expect("there is always a piece")
    }

    /// Is anything missing at all, so that records need not follow each other?
    fn has_holes(&self) -> bool {
        self.pieces.len() > 1 || self.tail_is_lost || self.unknown.is_some() || self.known_from.is_some()
    }

    /// Adds a record. `Err`: it contradicts the ones before it, and nothing is lost that would explain it.
    pub(crate) fn apply(&mut self, number: u64, effect: Effect) -> Result<(), String> {
        self.clean = effect == Effect::Clean;
        match effect {
            Effect::Clean => {}
            Effect::Incarnation(incarnation) => {
                if incarnation <= self.incarnation {
                    return Err(format!("incarnation {incarnation} begins a second time"));
                }
                self.incarnation = incarnation;
            }
            Effect::View(view) => self.view = self.view.max(view),
            Effect::Append(entries) => return self.append(entries),
            Effect::Replace { keep, entries, view } => {
                (self.view, self.log_view) = (view, view);
                (self.replaced_by, self.kept) = (number, keep);
                return self.replace(keep, entries);
            }
            Effect::Repair { keep, entries } => {
                (self.replaced_by, self.kept) = (number, keep);
                return self.replace(keep, entries);
            }
            Effect::Checkpoint(checkpoint) => self.checkpoint = checkpoint,
            Effect::Cut { through } => self.cut(through),
            Effect::Install { checkpoint, entries, view } => {
                (self.view, self.log_view) = (view, view);
                (self.replaced_by, self.kept) = (number, checkpoint.head.op);
                if before(&entries).is_some_and(|before| before != checkpoint.head) {
                    return Err("entries that do not follow the checkpoint they are installed with".to_owned());
                }
                self.checkpoint = checkpoint;
                self.pieces = vec![Log::new(checkpoint.head)];
                self.last().append(entries);
                (self.tail_is_lost, self.unknown, self.known_from) = (false, None, None);
            }
        }
        Ok(())
    }

    /// The log begins after `through` from now on. Holes before it do not matter any more.
    fn cut(&mut self, through: Head) {
        let piece = self.pieces.iter().position(|piece| piece.op() >= through.op);
        match piece {
            Some(piece) if self.pieces[piece].contains(through) => {
                self.pieces.drain(..piece);
                self.pieces[0].cut(through.op);
            }
            // It lies in the hole before a piece.
            Some(piece) if self.pieces[piece].base().op > through.op => {
                self.pieces.drain(..piece);
                self.pieces.insert(0, Log::new(through));
            }
            // Nothing that is kept follows it.
            Some(_) | None => {
                self.pieces = vec![Log::new(through)];
                self.tail_is_lost = true;
            }
        }
    }

    fn append(&mut self, entries: Entries) -> Result<(), String> {
        let Some(before) = before(&entries) else { return Ok(()) };
        if self.last().head() == before {
            // The chain proves that whatever is lost in between did not touch the log.
            (self.tail_is_lost, self.unknown) = (false, None);
        } else if !self.has_holes() {
            return Err(format!("entries after op {} where the log ends at op {}", before.op, self.last().op()));
        } else if let Some(piece) = self.piece_with(before) {
            self.pieces.truncate(piece + 1);
            self.last().truncate(before.op);
            (self.tail_is_lost, self.unknown) = (false, None);
        } else {
            self.distrust_from(before.op.next());
            self.pieces.push(Log::new(before));
            (self.tail_is_lost, self.unknown) = (false, None);
        }
        self.last().append(entries);
        Ok(())
    }

    /// The log through `keep`, then `entries`.
    fn replace(&mut self, keep: Op, entries: Entries) -> Result<(), String> {
        // Who wrote this knew of that damage: it is what repairs it.
        let was_known = self.known_from.take().is_some();
        let before = before(&entries);
        let piece = match before {
            Some(before) => self.piece_with(before),
            // It brings no hash: a record that is lost before it may have put another entry at `keep`.
            None if self.unknown.is_some() => None,
            None => self.pieces.iter().rposition(|piece| piece.hash(keep).is_some()),
        };
        let Some(piece) = piece else {
            if !was_known && !self.has_holes() {
                return Err(format!("the log through op {keep} is kept and is not there"));
            }
            self.distrust_from(keep.next());
            match before {
                Some(before) => self.pieces.push(Log::new(before)),
                None => self.tail_is_lost = true,
            }
            self.last().append(entries);
            self.unknown = None;
            return Ok(());
        };
        self.pieces.truncate(piece + 1);
        self.last().truncate(keep);
        self.last().append(entries);
        (self.tail_is_lost, self.unknown) = (false, None);
        Ok(())
    }

    /// The piece that has this very entry, or begins after it.
    fn piece_with(&self, head: Head) -> Option<usize> {
        self.pieces.iter().rposition(|piece| piece.contains(head))
    }

    /// What is kept from here on is not what the log has: it goes, and when records are lost that may have replaced
    /// more, so does what stands before it and is not proven.
    fn distrust_from(&mut self, op: Op) {
        while self.pieces.len() > 1 && self.last().base().op >= op.previous() {
            self.pieces.pop();
        }
        let doubtful = self.unknown.is_some();
        let piece = self.last();
        let keep = if doubtful || piece.base().op >= op { piece.base().op } else { piece.op().min(op.previous()) };
        piece.truncate(keep);
    }

    /// A record is lost that was confirmed.
    pub(crate) fn lose(&mut self, lost: Lost) {
        self.clean = false;
        match lost {
            Lost::Known(head) => match head.kind {
                Kind::Incarnation | Kind::View | Kind::Clean | Kind::Checkpoint | Kind::Cut => {}
                Kind::Append => self.tail_is_lost = true,
                // What stood before an install is of no use but for what its checkpoint holds.
                Kind::Install => {
                    self.distrust_from(self.checkpoint.head.op.next());
                    self.tail_is_lost = true;
                }
                Kind::Replace | Kind::Repair => {
                    self.distrust_from(Op(head.from).next());
                    self.tail_is_lost = true;
                }
            },
            Lost::Unknown { first, last } => {
                let (from, _) = self.unknown.unwrap_or((first, last));
                self.unknown = Some((from, last));
            }
        }
    }

    /// The promise record knows of a checkpoint of which the record is lost.
    pub(crate) fn newest_checkpoint(&self, promise: &Promise) -> Reference {
        let later = promise.checkpoint.head.op > self.checkpoint.head.op;
        if later { promise.checkpoint } else { self.checkpoint }
    }

    /// What is left: the log that is whole, and the first op that is lost, if any is. The promise record knows which
    /// record replaced the log last, and promises that are lost here. `checkpoint` is what can be read of the newest
    /// one: `Some(None)` when none was ever taken, `None` when it is lost.
    pub(crate) fn finish(&mut self, promise: &Promise, checkpoint: Option<Option<Head>>) -> Option<(Log, Option<Op>)> {
        if let Some((first, last)) = self.unknown.take() {
            if promise.replaced_by == first {
                self.distrust_from(promise.kept.next());
            } else if promise.replaced_by > first {
                // The last one to replace anything is not the only one that is lost: another may have kept less.
                self.unknown = Some((first, last));
                self.distrust_from(Op(u64::MAX));
                self.unknown = None;
            }
            self.tail_is_lost = true;
        }
        self.view = self.view.max(promise.view);
        self.log_view = self.log_view.max(promise.log_view);
        self.incarnation = self.incarnation.max(promise.incarnation);
        if promise.replaced_by > self.replaced_by {
            (self.replaced_by, self.kept) = (promise.replaced_by, promise.kept);
        }
        let base = self.pieces[0].base();
        match checkpoint? {
            None if base.op != Op::ZERO => return None,
            None => {}
            Some(head) if base.op > head.op || (base.op == head.op && base != head) => return None,
            // What is lost before it is in it.
            Some(head) if !self.pieces[0].contains(head) => self.cut(head),
            Some(_) => {}
        }
        let holes = self.pieces.len() > 1 || self.tail_is_lost;
        let log = self.pieces.swap_remove(0);
        let found = holes.then_some(log.op().next());
        let from = match (found, self.known_from) {
            (Some(found), Some(known)) => Some(found.min(known)),
            (found, known) => found.or(known),
        };
        Some((log, from))
    }
}

/// What entries follow.
fn before(entries: &Entries) -> Option<Head> {
    entries.first().map(|first| Head { op: first.op().previous(), hash: first.parent() })
}
