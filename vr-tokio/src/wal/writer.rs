//! The log that is being written: appends to a buffer, one write and one sync for all that waits, segment after segment.
//!
//! Owns the order of file operations. Must not know when somebody syncs. What it relies on is in `files`, what it
//! leaves behind is what `open` reads. PROTOCOL P1 to P9, D40 to D45, D55.

use super::ahead::Ahead;
use super::bytes::wide;
use super::checkpoints::Reference;
use super::error::Finding;
use super::files::{File, Files};
use super::promise::Promise;
use super::record::{self, Place};
use super::segment::{self, HEADER_BYTES, Start};
use super::space::{self, SPARE};
use super::stamp::Stamp;
use std::any::Any;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use vr_core::{Checkpoint, Entries, Hash, Head, Incarnation, Instance, Log, Op, Stored, View, Write, WriteId};

/// What an operator may choose about the files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// How long a segment is. Two of them are allocated when the log is empty.
    pub segment_bytes: u64,
    /// The log may take no more than this: what is beyond it counts as a full disk.
    pub quota_bytes: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, quota_bytes: None }
    }
}

/// A log that was opened.
pub struct Opened {
    /// For writing on.
    pub wal: Wal,
    /// The fold of all that was durable.
    pub stored: Stored,
    /// What the operator should know.
    pub findings: Vec<Finding>,
}

/// The write-ahead log of one replica.
pub struct Wal {
    pub(super) files: Arc<dyn Files>,
    pub(super) options: Options,
    pub(super) stamp: Stamp,
    pub(super) segments: VecDeque<Segment>,
    pub(super) file: Box<dyn File>,
    /// The next byte of the buffer goes here.
    pub(super) offset: u64,
    pub(super) spare: Option<(Box<dyn File>, u64)>,
    /// Space for the checkpoint that comes next.
    pub(super) draft: Option<(Box<dyn File>, u64)>,
    /// What is written beside it.
    pub(super) ahead: Ahead,
    /// The checkpoints that have files, and how long those are.
    pub(super) checkpoints: Vec<(String, u64)>,
    /// Something can be given up, once that is durable.
    pub(super) cut_is_due: bool,
    pub(super) promises: Box<dyn File>,
    pub(super) promise: Promise,
    pub(super) promise_is_due: bool,
    /// What the newer promise slot says.
    pub(super) vowed: Promise,
    /// The newest checkpoint, as whoever wrote it shares it.
    pub(super) newest: Option<Checkpoint>,
    /// Records that are not written yet, and where the next one stands.
    pub(super) buffer: Vec<u8>,
    pub(super) place: Place,
    /// What the writes so far add up to, as far as the next header needs it.
    pub(super) log: Log,
    pub(super) lost_from: Op,
    /// Of a damaged log it is known where it ended.
    pub(super) is_end_certain: bool,
    pub(super) clean: bool,
    /// The next segment is begun because of a damage.
    pub(super) is_behind_damage: bool,
    pub(super) last: Option<WriteId>,
    /// Something failed: nothing is confirmed any more.
    pub(super) failed: bool,
    pub(super) _lock: Box<dyn Any + Send>,
}

/// A segment that is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) bytes: u64,
    /// Its first record.
    pub(super) first: u64,
    /// Where the log ended when it was begun.
    pub(super) head: Op,
    /// The least that any record since then kept of the log before it.
    pub(super) low: Op,
}

impl Wal {
    /// Which disk this is.
    #[must_use]
    pub const fn instance(&self) -> Instance {
        self.stamp.instance
    }

    /// Where checkpoints are written beside it.
    pub(crate) fn ahead(&self) -> Ahead {
        self.ahead.clone()
    }

    /// Adds a write, for which there is room. It is durable when a later `sync` says so.
    ///
    /// # Errors
    /// When the disk fails: this log must not be used any more.
    pub fn append(&mut self, id: WriteId, write: &Write) -> io::Result<()> {
        self.usable()?;
        let done = self.try_append(write);
        self.failed |= done.is_err();
        self.last = Some(id);
        done
    }

    pub(super) fn try_append(&mut self, write: &Write) -> io::Result<()> {
        if record::bound(write) > self.room() {
            self.next_segment()?;
        }
        if let Some(checkpoint) = space::checkpoint_in(write) {
            self.write_checkpoint(checkpoint)?;
        }
        let seed = self.seed();
        let head = record::encode(write, &self.log, self.place, seed, &mut self.buffer)?;
        (self.place.number, self.place.chain) = (head.number, head.sum);
        self.fold(write, head.number)
    }

    /// Says in the promise record how far the log is durable, so that what is found damaged later was not merely
    /// torn. Worth it when nothing else is coming.
    ///
    /// # Errors
    /// When the disk fails: this log must not be used any more.
    pub fn mark(&mut self) -> io::Result<()> {
        self.usable()?;
        let is_durable = self.place.confirmed == self.place.number;
        let is_news = self.promise.confirmed != self.place.confirmed;
        let done = if is_durable && is_news { self.write_promise() } else { Ok(()) };
        self.failed |= done.is_err();
        done
    }

    /// Hands everything to the operating system, and waits for nothing.
    ///
    /// # Errors
    /// When the disk fails: this log must not be used any more.
    pub fn flush(&mut self) -> io::Result<()> {
        self.usable()?;
        let done = self.file.write_at(self.offset, &self.buffer);
        self.failed |= done.is_err();
        self.offset += wide(self.buffer.len());
        self.buffer.clear();
        done
    }

    /// Makes everything durable: the last write that is, if there was one since the last sync.
    ///
    /// # Errors
    /// When the disk fails: this log must not be used any more.
    pub fn sync(&mut self) -> io::Result<Option<WriteId>> {
        self.usable()?;
        let done = self.try_sync();
        self.failed |= done.is_err();
        done.map(|()| self.last.take())
    }

    fn try_sync(&mut self) -> io::Result<()> {
        if self.place.confirmed != self.place.number {
            self.flush()?;
            self.file.sync()?;
            self.place.confirmed = self.place.number;
        }
        if self.promise_is_due {
            self.write_promise()?;
        }
        if self.cut_is_due { self.give_up() } else { Ok(()) }
    }

    /// How many bytes wait to be written.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.buffer.len()
    }

    pub(super) fn usable(&self) -> io::Result<()> {
        if self.failed {
            return Err(io::Error::other("a write failed before: what became of it is unknown until the next start"));
        }
        Ok(())
    }

    pub(super) fn seed(&self) -> u64 {
        self.stamp.seed(self.current().number)
    }

    pub(super) fn current(&self) -> Segment {
        *self.segments.back().expect("a log has a segment")
    }

    /// So many bytes fit into the segment that is being written.
    pub(super) fn room(&self) -> u64 {
        self.current().bytes.saturating_sub(self.offset + wide(self.buffer.len()))
    }

    /// What a write changes in what the headers and the promise record say.
    fn fold(&mut self, write: &Write, number: u64) -> io::Result<()> {
        let promise = &mut self.promise;
        self.clean = matches!(write, Write::Clean);
        match write {
            Write::Clean => {}
            Write::Checkpoint(checkpoint) => promise.checkpoint = Reference::of(checkpoint),
            Write::Cut { through } => {
                self.log.cut(*through);
                self.cut_is_due = true;
                return Ok(());
            }
            Write::Incarnation(incarnation) => promise.incarnation = *incarnation,
            Write::View(view) => promise.view = *view,
            Write::Append(entries) => return self.extend(self.log.op(), entries),
            Write::Replace { keep, entries, view } => {
                (promise.view, promise.log_view) = (*view, *view);
                self.renewed(number, *keep);
                return self.extend(*keep, entries);
            }
            Write::Repair { keep, entries } => {
                self.renewed(number, *keep);
                return self.extend(*keep, entries);
            }
            Write::Install { checkpoint, entries, view } => {
                promise.checkpoint = Reference::of(checkpoint);
                (promise.view, promise.log_view) = (*view, *view);
                (promise.replaced_by, promise.kept) = (number, checkpoint.op());
                (self.lost_from, self.is_end_certain) = (Op::ZERO, false);
                (self.cut_is_due, self.promise_is_due) = (true, true);
                self.log = Log::new(checkpoint.head());
                return self.extend(checkpoint.op(), entries);
            }
        }
        self.promise_is_due = true;
        Ok(())
    }

    /// The log after `keep` is another, or is here once more: nothing that was lost of it is missed.
    fn renewed(&mut self, number: u64, keep: Op) {
        (self.promise.replaced_by, self.promise.kept) = (number, keep);
        self.promise_is_due = true;
        (self.lost_from, self.is_end_certain) = (Op::ZERO, false);
        self.segments.iter_mut().for_each(|segment| segment.low = segment.low.min(keep));
    }

    fn extend(&mut self, keep: Op, entries: &Entries) -> io::Result<()> {
        let follows = self.log.hash(keep).is_some_and(|hash| entries.first().is_none_or(|e| e.parent() == hash));
        if !follows || entries.first().is_some_and(|first| first.op() != keep.next()) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a write that does not continue the log"));
        }
        self.log.truncate(keep);
        self.log.append(entries.clone());
        Ok(())
    }

    pub(super) fn write_promise(&mut self) -> io::Result<()> {
        self.promise.sequence += 1;
        self.promise.confirmed = self.place.confirmed;
        self.promises.write_at(self.promise.offset(), &self.promise.encode(&self.stamp))?;
        self.promises.sync()?;
        (self.promise_is_due, self.vowed) = (false, self.promise);
        Ok(())
    }

    /// Goes on in the next segment. Everything before it is durable first: its existence says so.
    pub(super) fn next_segment(&mut self) -> io::Result<()> {
        if self.place.confirmed != self.place.number {
            self.flush()?;
            self.file.sync()?;
            self.place.confirmed = self.place.number;
        }
        let Some((mut file, bytes)) = self.spare.take() else {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "no space was reserved"));
        };
        let start = self.start();
        file.write_at(0, &start.encode(&self.stamp))?;
        file.sync()?;
        self.files.rename(SPARE, &segment::name(start.segment))?;
        self.files.sync_dir()?;
        self.segments.push_back(Segment {
            number: start.segment,
            bytes,
            first: start.first,
            head: start.head.op,
            low: Op(u64::MAX),
        });
        (self.file, self.offset) = (file, wide(HEADER_BYTES));
        self.promise_is_due = true;
        self.is_behind_damage = false;
        Ok(())
    }

    fn start(&self) -> Start {
        let Promise { incarnation, view, log_view, .. } = self.promise;
        let Place { number, chain, .. } = self.place;
        Start {
            segment: self.current().number + 1,
            first: number + 1,
            chain,
            incarnation,
            view,
            log_view,
            base: self.log.base(),
            head: self.log.head(),
            lost_from: self.lost_from,
            flags: Start::flags(self.clean, self.is_behind_damage, self.is_end_certain),
            checkpoint: self.promise.checkpoint,
        }
    }
}

/// The promise of a disk that was just formatted.
pub(super) const fn virgin(sequence: u64) -> Promise {
    Promise {
        sequence,
        incarnation: Incarnation::ZERO,
        view: View::ZERO,
        log_view: View::ZERO,
        confirmed: 0,
        replaced_by: 0,
        kept: Op::ZERO,
        first_segment: 1,
        checkpoint: Reference { head: Head { op: Op::ZERO, hash: Hash(0) }, digest: Hash(0), length: 0 },
    }
}
