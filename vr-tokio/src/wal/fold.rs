//! The fold of what can be read: `vr_core::Stored` when nothing is lost, and what is left of it otherwise.
//!
//! Owns what a lost record takes with it. Must not know files. The log is kept in pieces, with a hole between two of
//! them wherever entries are lost; a later record that replaces what surrounds a hole closes it. The chain of hashes
//! says whether two records really follow each other. PROTOCOL D41, D56, D62.

use super::promise::Promise;
use super::record::{Head as RecordHead, Kind};
use super::segment::Start;
use vr_core::{Entries, Head, Incarnation, Log, Op, View, Write};

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
        if start.lost_from == Op::ZERO {
            return;
        }
        while self.pieces.len() > 1 && self.pieces.last().is_some_and(|piece| piece.base().op > start.head.op) {
            self.pieces.pop();
        }
        let piece = self.last();
        if piece.contains(start.head) {
            piece.truncate(start.head.op);
        } else {
            *piece = Log::new(start.head);
        }
        (self.tail_is_lost, self.unknown) = (false, None);
        self.known_from = Some(start.lost_from);
    }

    fn last(&mut self) -> &mut Log {
        self.pieces.last_mut().expect("there is always a piece")
    }

    /// Is anything missing at all, so that records need not follow each other?
    fn has_holes(&self) -> bool {
        self.pieces.len() > 1 || self.tail_is_lost || self.unknown.is_some() || self.known_from.is_some()
    }

    /// Adds a record. `Err`: it contradicts the ones before it, and nothing is lost that would explain it.
    pub(crate) fn apply(&mut self, number: u64, write: Write) -> Result<(), String> {
        self.clean = matches!(write, Write::Clean);
        match write {
            Write::Clean => Ok(()),
            Write::Incarnation(incarnation) => {
                if incarnation <= self.incarnation {
                    return Err(format!("incarnation {incarnation} begins a second time"));
                }
                self.incarnation = incarnation;
                Ok(())
            }
            Write::View(view) => {
                self.view = self.view.max(view);
                Ok(())
            }
            Write::Append(entries) => self.append(entries),
            Write::Checkpoint(_) | Write::Cut { .. } | Write::Install { .. } => Err("a checkpoint".to_owned()),
            Write::Replace { keep, entries, view } => {
                (self.view, self.log_view) = (view, view);
                (self.replaced_by, self.kept) = (number, keep);
                self.replace(keep, entries)
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
        match lost {
            Lost::Known(head) if head.kind == Kind::Mark => return,
            Lost::Known(_) | Lost::Unknown { .. } => self.clean = false,
        }
        match lost {
            Lost::Known(head) => match head.kind {
                Kind::Incarnation | Kind::View | Kind::Mark | Kind::Clean => {}
                Kind::Append => self.tail_is_lost = true,
                Kind::Replace => {
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

    /// What is left: the log that is whole, and the first op that is lost, if any is. The promise record knows which
    /// record replaced the log last, and promises that are lost here.
    pub(crate) fn finish(&mut self, promise: &Promise) -> (Log, Option<Op>) {
        if let Some((first, last)) = self.unknown.take() {
            if promise.replaced_by > last {
                self.unknown = Some((first, last));
                self.distrust_from(Op(u64::MAX));
                self.unknown = None;
            } else if promise.replaced_by >= first {
                self.distrust_from(promise.kept.next());
            }
            self.tail_is_lost = true;
        }
        self.view = self.view.max(promise.view);
        self.log_view = self.log_view.max(promise.log_view);
        self.incarnation = self.incarnation.max(promise.incarnation);
        if promise.replaced_by > self.replaced_by {
            (self.replaced_by, self.kept) = (promise.replaced_by, promise.kept);
        }
        let holes = self.pieces.len() > 1 || self.tail_is_lost;
        let log = self.pieces.swap_remove(0);
        let found = holes.then_some(log.op().next());
        let from = match (found, self.known_from) {
            (Some(found), Some(known)) => Some(found.min(known)),
            (found, known) => found.or(known),
        };
        (log, from)
    }
}

/// What entries follow.
fn before(entries: &Entries) -> Option<Head> {
    entries.first().map(|first| Head { op: first.op().previous(), hash: first.parent() })
}
