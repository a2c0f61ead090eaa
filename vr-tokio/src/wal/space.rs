//! Space on the disk: reserved before a write is begun, given up behind a durable checkpoint.
//!
//! Owns what is allocated ahead and what can go. Must not know when either is asked for. DESIGN 9.11; PROTOCOL P6, D66.

use super::bytes::wide;
use super::checkpoints::{self, DRAFT, Reference};
use super::files::is_full;
use super::record;
use super::segment::{self, HEADER_BYTES};
use super::writer::Wal;
use std::io;
use vr_core::{Checkpoint, Op, Write};

/// The name of the segment that is allocated ahead.
pub(super) const SPARE: &str = "spare";

/// The checkpoint that a write brings.
pub(super) fn checkpoint_in(write: &Write) -> Option<&Checkpoint> {
    match write {
        Write::Checkpoint(checkpoint) | Write::Install { checkpoint, .. } => Some(checkpoint),
        Write::Incarnation(_)
        | Write::View(_)
        | Write::Append(_)
        | Write::Replace { .. }
        | Write::Repair { .. }
        | Write::Clean
        | Write::Cut { .. } => None,
    }
}

impl Wal {
    /// Makes sure that there is space for a write, before it is begun. False: the disk is full.
    ///
    /// # Errors
    /// When the disk fails in another way.
    pub fn reserve(&mut self, write: &Write) -> io::Result<bool> {
        self.usable()?;
        let bytes = record::bound(write).saturating_add(16);
        let needed = bytes.saturating_add(wide(HEADER_BYTES));
        let kept_free = if matches!(write, Write::Append(_)) { self.kept_for_promises() } else { 0 };
        let fits = bytes.saturating_add(kept_free) <= self.room()
            || self.spare.as_ref().is_some_and(|(_, room)| *room >= needed);
        if !fits && !self.prepare_spare(needed.max(self.options.segment_bytes))? {
            return Ok(false);
        }
        let Some(checkpoint) = checkpoint_in(write) else { return Ok(true) };
        if self.ahead.has(&Reference::of(checkpoint)) {
            return Ok(true);
        }
        let bytes_of_file = checkpoints::file_bytes(checkpoint);
        if self.prepare_draft(bytes_of_file)? {
            return Ok(true);
        }
        // A checkpoint is what makes space: it may have the space of the next segment, if the record fits without.
        if bytes <= self.room() && self.spare.take().is_some() {
            self.files.remove(SPARE)?;
            return self.prepare_draft(bytes_of_file);
        }
        Ok(false)
    }

    /// Room in a segment that entries leave alone when there is no next one: promises are few and small.
    fn kept_for_promises(&self) -> u64 {
        (self.options.segment_bytes / 16).min(64 << 10)
    }

    /// Allocates the next segment ahead, if it is not. False: the disk is full.
    ///
    /// # Errors
    /// When the disk fails in another way.
    pub fn replenish(&mut self) -> io::Result<bool> {
        self.usable()?;
        let room = |quota: u64| quota.saturating_sub(self.bytes_on_disk());
        self.ahead.set_room(self.options.quota_bytes.map_or(u64::MAX, room));
        if self.spare.is_some() { Ok(true) } else { self.prepare_spare(self.options.segment_bytes) }
    }

    /// How many bytes the files of the log take, allocated ones included.
    #[must_use]
    pub fn bytes_on_disk(&self) -> u64 {
        let ahead = [&self.spare, &self.draft].into_iter().flatten().map(|(_, bytes)| *bytes);
        let checkpoints = self.checkpoints.iter().map(|(_, bytes)| *bytes);
        let beside = [self.ahead.bytes()];
        self.segments.iter().map(|segment| segment.bytes).chain(ahead).chain(checkpoints).chain(beside).sum()
    }

    pub(super) fn prepare_spare(&mut self, bytes: u64) -> io::Result<bool> {
        let old = self.spare.take().is_some();
        self.spare = self.allocate(SPARE, old, bytes)?;
        Ok(self.spare.is_some())
    }

    pub(super) fn prepare_draft(&mut self, bytes: u64) -> io::Result<bool> {
        if self.draft.as_ref().is_some_and(|(_, room)| *room >= bytes) {
            return Ok(true);
        }
        let old = self.draft.take().is_some();
        self.draft = self.allocate(DRAFT, old, bytes)?;
        Ok(self.draft.is_some())
    }

    /// A file with so much space that is durably its own; `None` when there is not so much.
    fn allocate(&mut self, name: &str, old: bool, bytes: u64) -> io::Result<Option<Ahead>> {
        if old {
            self.files.remove(name)?;
        }
        if self.options.quota_bytes.is_some_and(|quota| self.bytes_on_disk().saturating_add(bytes) > quota) {
            return Ok(None);
        }
        let made = self.files.create(name).and_then(|mut file| {
            file.allocate(bytes)?;
            file.sync()?;
            Ok(file)
        });
        match made {
            Ok(file) => Ok(Some((file, bytes))),
            // Nothing was written into it: that there is no space is an answer, not a failure.
            Err(error) if is_full(&error) => {
                let present = self.files.names()?.iter().any(|other| other == name);
                if present { self.files.remove(name).map(|()| None) } else { Ok(None) }
            }
            Err(error) => {
                self.failed = true;
                Err(error)
            }
        }
    }

    pub(super) fn write_checkpoint(&mut self, checkpoint: &Checkpoint) -> io::Result<()> {
        let reference = Reference::of(checkpoint);
        if let Some(others) = self.ahead.take(&reference) {
            for (name, bytes) in others.iter().chain([&reference]).map(|file| (file.name(), file.file_bytes())) {
                self.checkpoints.retain(|(other, _)| *other != name);
                self.checkpoints.push((name, bytes));
            }
            self.newest = Some(checkpoint.clone());
            return Ok(());
        }
        let Some((draft, bytes)) = self.draft.take() else {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "no space was reserved"));
        };
        let reference = checkpoints::write(&*self.files, draft, &self.stamp, checkpoint)?;
        let name = reference.name();
        self.checkpoints.retain(|(other, _)| *other != name);
        self.checkpoints.push((name, bytes));
        self.newest = Some(checkpoint.clone());
        Ok(())
    }

    /// Gives up segments and checkpoints that nothing needs: the log begins after them, and that is durable.
    pub(super) fn give_up(&mut self) -> io::Result<()> {
        self.cut_is_due = false;
        // What is damaged is kept until it is repaired.
        if self.lost_from != Op::ZERO {
            return Ok(());
        }
        let base = self.log.base().op;
        let first = self.segments.iter().rposition(|segment| segment.head <= base.min(segment.low)).unwrap_or(0);
        let kept = self.promise.checkpoint.name();
        if first > 0 {
            self.promise.first_segment = self.segments[first].number;
            self.write_promise()?;
            for old in self.segments.drain(..first) {
                self.files.remove(&segment::name(old.number))?;
            }
        }
        for (old, _) in self.checkpoints.extract_if(.., |(name, _)| *name != kept) {
            self.ahead.give_up(&old)?;
        }
        self.files.sync_dir()
    }
}

/// A file that is allocated ahead, and how long it is.
type Ahead = (Box<dyn super::files::File>, u64);
