//! The log that is being written: appends to a buffer, one write and one sync for all that waits, segment after segment.
//!
//! Owns the order of file operations. Must not know when somebody syncs. What it relies on is in `files`, what it
//! leaves behind is what `open` reads. PROTOCOL P1 to P9, D40 to D45, D55.

use super::bytes::wide;
use super::error::Finding;
use super::files::{File, Files, is_full};
use super::promise::Promise;
use super::record::{self, Place};
use super::segment::{self, HEADER_BYTES, Start};
use super::stamp::Stamp;
use std::any::Any;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use vr_core::{Entries, Epoch, Incarnation, Instance, Log, Op, Stored, View, Write, WriteId};

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

/// The name of the segment that is allocated ahead.
pub(super) const SPARE: &str = "spare";

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
    pub(super) promises: Box<dyn File>,
    pub(super) promise: Promise,
    pub(super) promise_is_due: bool,
    /// Records that are not written yet, and where the next one stands.
    pub(super) buffer: Vec<u8>,
    pub(super) place: Place,
    /// What the writes so far add up to, as far as the next header needs it.
    pub(super) log: Log,
    pub(super) lost_from: Op,
    pub(super) clean: bool,
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
}

impl Wal {
    /// Which disk this is.
    #[must_use]
    pub const fn instance(&self) -> Instance {
        self.stamp.instance
    }

    /// Makes sure that the record of a write fits without asking the disk for space. False: the disk is full.
    ///
    /// # Errors
    /// When the disk fails in another way.
    pub fn reserve(&mut self, write: &Write) -> io::Result<bool> {
        let bytes = record::bound(write).saturating_add(16);
        if bytes <= self.room() {
            return Ok(true);
        }
        let needed = bytes.saturating_add(wide(HEADER_BYTES));
        if self.spare.as_ref().is_some_and(|(_, room)| *room >= needed) {
            return Ok(true);
        }
        self.prepare_spare(needed.max(self.options.segment_bytes))
    }

    /// Allocates the next segment ahead, if it is not. False: the disk is full.
    ///
    /// # Errors
    /// When the disk fails in another way.
    pub fn replenish(&mut self) -> io::Result<bool> {
        if self.spare.is_some() { Ok(true) } else { self.prepare_spare(self.options.segment_bytes) }
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

    fn try_append(&mut self, write: &Write) -> io::Result<()> {
        if record::bound(write) > self.room() {
            self.next_segment()?;
        }
        let seed = self.seed();
        let head = record::encode(write, self.log.op(), self.place, seed, &mut self.buffer)?;
        (self.place.number, self.place.chain) = (head.number, head.sum);
        self.fold(write, head.number)
    }

    /// Says in the log itself that all before is durable, so that what is found damaged later was not merely torn.
    /// Worth it when nothing else is coming.
    ///
    /// # Errors
    /// When the disk fails: this log must not be used any more.
    pub fn mark(&mut self) -> io::Result<()> {
        self.usable()?;
        if self.room() < wide(2 * record::HEAD_BYTES) || self.place.number != self.place.confirmed {
            return Ok(());
        }
        let seed = self.seed();
        let head = record::encode_mark(self.log.op(), self.place, seed, &mut self.buffer)?;
        (self.place.number, self.place.chain) = (head.number, head.sum);
        self.sync().map(|_| ())
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
        if self.promise_is_due { self.write_promise() } else { Ok(()) }
    }

    /// How many bytes wait to be written.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// How many bytes the files of the log take, allocated ones included.
    #[must_use]
    pub fn bytes_on_disk(&self) -> u64 {
        let spare = self.spare.as_ref().map_or(0, |(_, bytes)| *bytes);
        self.segments.iter().map(|segment| segment.bytes).sum::<u64>() + spare
    }

    fn usable(&self) -> io::Result<()> {
        if self.failed {
            return Err(io::Error::other("a write failed before: what became of it is unknown until the next start"));
        }
        Ok(())
    }

    pub(super) fn seed(&self) -> u64 {
        self.stamp.seed(self.current().number)
    }

    fn current(&self) -> Segment {
        *self.segments.back().expect("a log has a segment")
    }

    /// So many bytes fit into the segment that is being written.
    fn room(&self) -> u64 {
        self.current().bytes.saturating_sub(self.offset + wide(self.buffer.len()))
    }

    /// What a write changes in what the headers and the promise record say.
    fn fold(&mut self, write: &Write, number: u64) -> io::Result<()> {
        let promise = &mut self.promise;
        self.clean = matches!(write, Write::Clean);
        match write {
            Write::Checkpoint(_) | Write::Cut { .. } | Write::Install { .. } | Write::Clean => {}
            Write::Incarnation(incarnation) => promise.incarnation = *incarnation,
            Write::View(view) => promise.view = *view,
            Write::Append(entries) => return self.extend(self.log.op(), entries),
            Write::Replace { keep, entries, view } => {
                (promise.view, promise.log_view) = (*view, *view);
                (promise.replaced_by, promise.kept) = (number, *keep);
                self.promise_is_due = true;
                self.lost_from = Op::ZERO;
                return self.extend(*keep, entries);
            }
        }
        self.promise_is_due = true;
        Ok(())
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
        self.promise_is_due = false;
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
        self.segments.push_back(Segment { number: start.segment, bytes });
        (self.file, self.offset) = (file, wide(HEADER_BYTES));
        self.promise_is_due = true;
        Ok(())
    }

    fn start(&self) -> Start {
        let Promise { incarnation, epoch, view, log_view, .. } = self.promise;
        let Place { number, chain, .. } = self.place;
        Start {
            segment: self.current().number + 1,
            first: number + 1,
            chain,
            incarnation,
            epoch,
            view,
            log_view,
            head: self.log.head(),
            lost_from: self.lost_from,
            flags: Start::flags(self.clean),
        }
    }

    pub(super) fn prepare_spare(&mut self, bytes: u64) -> io::Result<bool> {
        let taken = self.segments.iter().map(|segment| segment.bytes).sum::<u64>();
        if self.options.quota_bytes.is_some_and(|quota| taken.saturating_add(bytes) > quota) {
            return Ok(false);
        }
        let old = self.spare.take();
        let prepared = match old {
            Some((file, _)) => Ok(file),
            None => self.files.create(SPARE),
        };
        let prepared = prepared.and_then(|mut file| {
            file.allocate(bytes)?;
            file.sync()?;
            Ok(file)
        });
        match prepared {
            Ok(file) => {
                self.spare = Some((file, bytes));
                Ok(true)
            }
            // Nothing was written into it: that there is no space is an answer, not a failure.
            Err(error) if is_full(&error) => self.files.remove(SPARE).map(|()| false),
            Err(error) => {
                self.failed = true;
                Err(error)
            }
        }
    }
}

/// The promise of a disk that was just formatted.
pub(super) const fn virgin(sequence: u64) -> Promise {
    Promise {
        sequence,
        incarnation: Incarnation::ZERO,
        epoch: Epoch::ZERO,
        view: View::ZERO,
        log_view: View::ZERO,
        confirmed: 0,
        replaced_by: 0,
        kept: Op::ZERO,
        first_segment: 1,
    }
}
