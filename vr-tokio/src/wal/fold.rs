//! The fold of what can be read: `vr_core::Stored` when nothing is lost, and what is left of it otherwise.
//!
//! Owns what a lost record takes with it. Must not know files. The log is kept in pieces, with a hole between two of
//! them wherever entries are lost; a later record that replaces what surrounds a hole closes it. The chain of hashes
//! says whether two records really follow each other, and the header of the next segment where the log ended before it:
//! either of them *proves* the last piece, and what is lost before is then missed in the middle, not at the end. What
//! a record without a name may have replaced is told by the promise record, which knows the last that replaced anything.
//! PROTOCOL D41, D56, D62.

use super::checkpoints::Reference;
use super::promise::Promise;
use super::record::{Effect, Head as RecordHead, Kind};
use super::segment::Start;
use vr_core::{Damage, Entries, Head, Incarnation, Log, Op, View};

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
    /// The log in use, in order; never empty. Holes lie between the pieces, of no length where the first is whole
    /// and the second is not proven to follow it.
    pieces: Vec<Log>,
    /// Entries that followed the last piece may be lost.
    tail_is_lost: bool,
    /// What the last piece holds may have been replaced by a record that is lost.
    is_doubtful: bool,
    /// Records are lost of which nobody knows yet whether they changed the last piece.
    unknown: Option<(u64, u64)>,
    /// What lies behind the log in use, which the replica knows to be damaged since an earlier start.
    behind: Option<Behind>,
    pub(crate) replaced_by: u64,
    pub(crate) kept: Op,
    /// A record is lost of which nothing says that it did not begin another view.
    is_view_doubtful: bool,
    /// What the promise record says.
    vowed: Promise,
}

/// As many pieces are told, and no more.
const PIECES_MAX: usize = 1 << 16;

/// What can be read behind a damage that is known.
#[derive(Clone, Debug)]
struct Behind {
    /// What the header says of it that the log went on with: the first op that is lost, and whether its end was known.
    said: (Op, bool),
    pieces: Vec<Log>,
    is_end_certain: bool,
}

/// What is left of a log.
#[derive(Clone, Debug)]
pub(crate) struct Left {
    /// What is whole; `None` when nothing is of use without the state it follows.
    pub(crate) log: Option<Log>,
    /// What of it is not.
    pub(crate) damage: Option<Damage>,
}

impl Fold {
    /// Before the first record of the oldest segment.
    pub(crate) fn new(start: &Start, promise: &Promise) -> Self {
        // What lay behind a damage was in segments that are gone.
        let said = (start.lost_from, start.is_end_certain());
        let is_damaged = start.lost_from != Op::ZERO;
        let behind = is_damaged.then(|| Behind { said, pieces: Vec::new(), is_end_certain: false });
        Self {
            incarnation: start.incarnation,
            view: start.view,
            log_view: start.log_view,
            clean: start.is_clean(),
            checkpoint: start.checkpoint,
            pieces: vec![Log::new(start.head)],
            tail_is_lost: false,
            is_doubtful: false,
            unknown: None,
            behind,
            replaced_by: 0,
            kept: Op::ZERO,
            is_view_doubtful: false,
            vowed: *promise,
        }
    }

    /// A segment begins. `Err`: its header contradicts the records before it, and nothing is lost that would explain it.
    pub(crate) fn begin(&mut self, start: &Start) -> Result<(), String> {
        if start.is_behind_damage() {
            self.resume(start);
            return Ok(());
        }
        let head = start.head;
        if self.last().head() != head {
            if !self.has_holes() {
                return Err(format!("a segment after op {} where the log ends at op {}", head.op, self.last().op()));
            }
            self.go_back_to(head);
        }
        if start.lost_from == Op::ZERO {
            self.behind = None;
        }
        self.promised(start.view, start.log_view);
        self.is_view_doubtful = false;
        self.prove();
        Ok(())
    }

    /// A segment that was begun because of a damage: the replica went on with what its header says, and what lies
    /// behind that is kept until something takes its place.
    fn resume(&mut self, start: &Start) {
        self.settle();
        self.merge();
        let is_end_certain = start.is_end_certain() && !self.tail_is_lost && !self.is_view_doubtful;
        let pieces = self.split(start.head);
        // When older segments are gone, it begins later than it did then.
        if self.pieces.first().is_some_and(|first| first.base().op <= start.base.op) {
            self.cut(start.base);
        }
        (self.tail_is_lost, self.is_doubtful, self.is_view_doubtful) = (false, false, false);
        self.promised(start.view, start.log_view);
        self.checkpoint = start.checkpoint;
        let said = (start.lost_from, start.is_end_certain());
        self.behind = (start.lost_from != Op::ZERO).then_some(Behind { said, pieces, is_end_certain });
    }

    /// Ends the log in use there, and gives what lies behind.
    fn split(&mut self, head: Head) -> Vec<Log> {
        if let Some(at) = self.pieces.iter().position(|piece| piece.contains(head)) {
            let mut behind = self.pieces.split_off(at + 1);
            let mut rest = self.last().clone();
            rest.cut(head.op);
            self.last().truncate(head.op);
            if !rest.is_empty() {
                behind.insert(0, rest);
            }
            return behind;
        }
        let at = self.pieces.iter().position(|piece| piece.base().op > head.op).unwrap_or(self.pieces.len());
        let behind = self.pieces.split_off(at);
        self.drop_from(head.op);
        self.pieces.push(Log::new(head));
        behind
    }

    fn last(&mut self) -> &mut Log {
        self.pieces.last_mut().expect("there is always a piece")
    }

    /// Is anything missing at all, so that records need not follow each other?
    fn has_holes(&self) -> bool {
        self.pieces.len() > 1 || self.is_lost() || self.behind.is_some()
    }

    /// Is anything lost since the last piece was proven?
    const fn is_lost(&self) -> bool {
        self.tail_is_lost || self.unknown.is_some()
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
                (self.view, self.log_view, self.is_view_doubtful) = (view, view, false);
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
                (self.view, self.log_view, self.is_view_doubtful) = (view, view, false);
                (self.replaced_by, self.kept) = (number, checkpoint.head.op);
                if before(&entries).is_some_and(|before| before != checkpoint.head) {
                    return Err("entries that do not follow the checkpoint they are installed with".to_owned());
                }
                self.checkpoint = checkpoint;
                (self.pieces, self.behind) = (vec![Log::new(checkpoint.head)], None);
                self.prove();
                self.last().append(entries);
            }
        }
        Ok(())
    }

    /// The log begins after `through` from now on. Holes before it do not matter any more.
    fn cut(&mut self, through: Head) {
        let may_follow = |piece: &Log| piece.base().op > through.op || piece.contains(through);
        self.pieces.retain(may_follow);
        match self.pieces.first_mut() {
            Some(first) if first.contains(through) => first.cut(through.op),
            // It lies in the hole before a piece.
            Some(_) => self.pieces.insert(0, Log::new(through)),
            // Nothing that is kept follows it.
            None => {
                self.pieces.push(Log::new(through));
                self.tail_is_lost = true;
            }
        }
    }

    fn append(&mut self, entries: Entries) -> Result<(), String> {
        let Some(before) = before(&entries) else { return Ok(()) };
        if self.last().head() != before {
            if !self.has_holes() {
                return Err(format!("entries after op {} where the log ends at op {}", before.op, self.last().op()));
            }
            self.go_back_to(before);
        }
        if self.is_lost() {
            // Nothing is appended to a damaged log: what is lost had closed the damage.
            self.behind = None;
        }
        self.prove();
        self.last().append(entries);
        Ok(())
    }

    /// The log through `keep`, then `entries`.
    fn replace(&mut self, keep: Op, entries: Entries) -> Result<(), String> {
        let Some(before) = before(&entries) else { return self.replace_by_nothing(keep) };
        if !self.has_holes() && !self.last().contains(before) {
            return Err(format!("the log through op {keep} is kept and is not there"));
        }
        self.go_back_to(before);
        self.behind = None;
        self.prove();
        self.last().append(entries);
        Ok(())
    }

    /// The log through `keep`. It brings no hash: what is lost may have put another entry there.
    fn replace_by_nothing(&mut self, keep: Op) -> Result<(), String> {
        let is_there = self.last().hash(keep).is_some();
        if !is_there && !self.has_holes() {
            return Err(format!("the log through op {keep} is kept and is not there"));
        }
        let is_proven = is_there && self.unknown.is_none() && !self.is_doubtful;
        self.settle();
        if is_proven {
            self.last().truncate(keep);
            (self.tail_is_lost, self.behind) = (false, None);
        } else {
            self.merge();
            self.drop_from(keep.next());
            self.tail_is_lost = true;
        }
        Ok(())
    }

    /// The log ended in this entry, which a later record or header names.
    fn go_back_to(&mut self, head: Head) {
        if self.piece_with(head).is_none() && self.is_lost() {
            // What is lost may have closed the damage that was known.
            self.settle();
            self.merge();
        }
        if let Some(piece) = self.piece_with(head) {
            self.pieces.truncate(piece + 1);
            self.last().truncate(head.op);
        } else {
            self.drop_from(head.op);
            self.pieces.push(Log::new(head));
        }
    }

    /// The piece that has this very entry, or begins after it.
    fn piece_with(&self, head: Head) -> Option<usize> {
        self.pieces.iter().rposition(|piece| piece.contains(head))
    }

    /// The end of the last piece is the end of the log so far: the chain of hashes names all that is in it, and all
    /// before it.
    fn prove(&mut self) {
        (self.tail_is_lost, self.is_doubtful, self.unknown) = (false, false, None);
        while let Some(last) = self.pieces.pop() {
            match self.pieces.last_mut().filter(|before| before.contains(last.base())) {
                Some(before) => {
                    before.truncate(last.base().op);
                    last.runs(last.base().op, last.op()).for_each(|run| before.append(run));
                }
                None => return self.pieces.push(last),
            }
        }
    }

    /// What is kept from here on is not what the log has.
    fn drop_from(&mut self, op: Op) {
        while self.pieces.len() > 1 && self.last().base().op >= op {
            self.pieces.pop();
        }
        if let Some(last) = self.pieces.last_mut() {
            last.truncate(last.base().op.max(op.previous().min(last.op())));
        }
    }

    /// What follows `op` may be something else than what the log has.
    fn divide(&mut self, op: Op) {
        let within = |piece: &Log| piece.base().op <= op && op < piece.op();
        if let Some(at) = self.pieces.iter().position(within) {
            let mut rest = self.pieces[at].clone();
            rest.cut(op);
            self.pieces[at].truncate(op);
            self.pieces.insert(at + 1, rest);
        }
    }

    /// What lies behind a damage that was known is a part of the log like any other.
    fn merge(&mut self) {
        if let Some(Behind { said: _, pieces, is_end_certain }) = self.behind.take() {
            self.tail_is_lost |= !is_end_certain;
            self.pieces.extend(pieces);
        }
    }

    /// Nothing has shown what the records without a name did: they are judged by what the promise record knows.
    fn settle(&mut self) {
        let Some((first, last)) = self.unknown.take() else { return };
        self.tail_is_lost = true;
        let Promise { replaced_by, kept, .. } = self.vowed;
        if replaced_by < first {
            return;
        }
        // One of them replaced the log, or a later one did and one of them may have as well, and have kept less.
        if replaced_by <= last {
            self.merge();
            self.drop_from(kept.next());
        }
        if replaced_by != first || first != last {
            // What the newest checkpoint is of is in no doubt, though its record may be lost, too.
            let newest = self.newest_checkpoint(&self.vowed).head;
            let is_there = self.pieces.iter().any(|piece| piece.contains(newest));
            let proven = if is_there { newest.op } else { self.checkpoint.head.op };
            self.divide(proven.max(self.pieces[0].base().op));
            self.is_doubtful = true;
        }
    }

    /// A record is lost that was confirmed.
    pub(crate) fn lose(&mut self, lost: Lost) {
        self.clean = false;
        let head = match lost {
            Lost::Known(head) => head,
            Lost::Unknown { first, last } => {
                let (from, _) = self.unknown.unwrap_or((first, last));
                self.unknown = Some((from, last));
                // A promise record is written before anything is confirmed that begins a view.
                self.is_view_doubtful |= last > self.vowed.confirmed;
                return;
            }
        };
        match head.kind {
            Kind::Incarnation | Kind::View | Kind::Clean | Kind::Checkpoint | Kind::Cut => return,
            Kind::Append => {
                if self.is_lost() {
                    self.settle();
                    self.merge();
                }
                self.drop_from(Op(head.from));
            }
            // What stood before an install is of no use but for what its checkpoint holds.
            Kind::Install => {
                self.promised(View(head.view), View(head.view));
                (self.unknown, self.behind) = (None, None);
                self.drop_from(self.checkpoint.head.op.next());
            }
            Kind::Replace => {
                self.promised(View(head.view), View(head.view));
                self.settle();
                self.merge();
                self.drop_from(Op(head.from).next());
            }
            // It brought again what was here, but for what had not been the log's in truth.
            Kind::Repair => {
                self.settle();
                self.divide(Op(head.from));
                self.merge();
            }
        }
        self.tail_is_lost = true;
    }

    /// So much was promised, whatever else is lost.
    fn promised(&mut self, view: View, log_view: View) {
        (self.view, self.log_view) = (self.view.max(view), self.log_view.max(log_view));
    }

    /// The promise record knows of a checkpoint of which the record is lost.
    pub(crate) fn newest_checkpoint(&self, promise: &Promise) -> Reference {
        let later = promise.checkpoint.head.op > self.checkpoint.head.op;
        if later { promise.checkpoint } else { self.checkpoint }
    }

    /// A damage that was known when the log went on, and was not repaired since: its first op, and whether its end was
    /// known.
    pub(crate) fn known(&self) -> Option<(Op, bool)> {
        self.behind.as_ref().map(|behind| behind.said)
    }

    /// What is left: the log that is whole, and what is lost behind it and what is not. The promise record knows promises
    /// that are lost here. `checkpoint` is what can be read of the newest one: `Some(None)` when none was ever taken,
    /// `None` when it is lost.
    pub(crate) fn finish(&mut self, promise: &Promise, checkpoint: Option<Option<Head>>) -> Left {
        self.settle();
        self.merge();
        self.promised(promise.view, promise.log_view);
        self.incarnation = self.incarnation.max(promise.incarnation);
        if promise.replaced_by > self.replaced_by {
            (self.replaced_by, self.kept) = (promise.replaced_by, promise.kept);
        }
        let base = self.pieces[0].base();
        let is_of_use = match checkpoint {
            None => false,
            Some(None) => base.op == Op::ZERO,
            Some(Some(head)) => base.op < head.op || base == head,
        };
        if !is_of_use {
            let pieces = self.pieces.drain(..).filter(|piece| !piece.is_empty()).collect();
            return Left { log: None, damage: Some(Damage { from: Op(1), pieces, is_end_certain: false }) };
        }
        if let Some(head) = checkpoint.flatten().filter(|head| !self.pieces[0].contains(*head)) {
            // What is lost before it is in it.
            self.cut(head);
        }
        let log = self.pieces.remove(0);
        let is_damaged = self.tail_is_lost || !self.pieces.is_empty();
        let (from, (pieces, is_end_certain)) = (log.op().next(), self.told());
        Left { log: Some(log), damage: is_damaged.then_some(Damage { from, pieces, is_end_certain }) }
    }

    /// What there is behind the first hole, and whether it ends where the log did: in an entry that is there.
    fn told(&mut self) -> (Vec<Log>, bool) {
        let ends_in_an_entry = self.pieces.last().is_some_and(|last| !last.is_empty());
        let mut pieces: Vec<_> = self.pieces.drain(..).filter(|piece| !piece.is_empty()).collect();
        let is_all = pieces.len() <= PIECES_MAX;
        pieces.truncate(PIECES_MAX);
        (pieces, is_all && ends_in_an_entry && !self.tail_is_lost && !self.is_view_doubtful)
    }
}

/// What entries follow.
fn before(entries: &Entries) -> Option<Head> {
    entries.first().map(|first| Head { op: first.op().previous(), hash: first.parent() })
}
