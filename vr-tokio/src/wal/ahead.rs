//! A checkpoint's file is written ahead, beside the log: while the state is put together, or while its parts come in.
//!
//! Owns which files were written so, and who waits for one. A file gets its name when all of it was read back from the disk
//! and has the digest that it is to have; the log speaks of it when its record comes, and writes it itself when it is not
//! here. Nothing is promised by a file. Must not know where the bytes come from. Paper: VRR §5.1; PROTOCOL P6, D66.

use super::bytes::wide;
use super::checkpoints::{HEADER_BYTES, Reference, header};
use super::files::{File, Files};
use super::stamp::Stamp;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use xxhash_rust::xxh3::Xxh3Default;

/// The name of the one that is being written.
const AHEAD: &str = "checkpoint.ahead";
/// So much is written before it is synced and read back.
const SYNCED_BYTES: u64 = 4 << 20;

/// What is written ahead of the log, as both who write and the log see it.
#[derive(Clone)]
pub(crate) struct Ahead(Arc<Shared>);

struct Shared {
    files: Arc<dyn Files>,
    stamp: Stamp,
    /// How many bytes more the log may take.
    room: AtomicU64,
    written: Mutex<Written>,
    /// One is finished, or given up.
    moved: Condvar,
}

#[derive(Default)]
struct Written {
    writing: Option<Reference>,
    /// Those that have their names, and of which no record speaks yet.
    done: Vec<Reference>,
}

impl Ahead {
    pub(crate) fn new(files: &Arc<dyn Files>, stamp: Stamp) -> Self {
        let (room, written, moved) = (AtomicU64::new(u64::MAX), Mutex::default(), Condvar::new());
        Self(Arc::new(Shared { files: Arc::clone(files), stamp, room, written, moved }))
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        // It is whole after every statement.
        self.0.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log may take so many bytes more.
    pub(super) fn set_room(&self, bytes: u64) {
        self.0.room.store(bytes, Ordering::Relaxed);
    }

    /// How many bytes the files take that were written and not taken.
    pub(super) fn bytes(&self) -> u64 {
        let written = self.lock();
        written.done.iter().chain(&written.writing).map(Reference::file_bytes).sum()
    }

    /// Is this one written, or about to be? Waits for the end of it.
    pub(super) fn has(&self, reference: &Reference) -> bool {
        let is_under_way = |written: &mut Written| written.writing == Some(*reference);
        let waited = self.0.moved.wait_while(self.lock(), is_under_way);
        waited.unwrap_or_else(PoisonError::into_inner).done.contains(reference)
    }

    /// The log speaks of this one from now on, and of the others, if there are any, never: they may go.
    pub(super) fn take(&self, reference: &Reference) -> Option<Vec<Reference>> {
        if !self.has(reference) {
            return None;
        }
        let mut done = std::mem::take(&mut self.lock().done);
        done.retain(|other| other != reference);
        Some(done)
    }

    /// Removes a file, unless one of its name is written or about to be: of that one, too, a record may speak yet.
    pub(super) fn give_up(&self, name: &str) -> io::Result<()> {
        let written = self.lock();
        let is_held = written.done.iter().chain(&written.writing).any(|held| held.name() == name);
        if is_held { Ok(()) } else { self.0.files.remove(name) }
    }

    /// Begins to write one. `None` when there is no space for it: then the log sees to that.
    pub(crate) fn begin(&self, reference: Reference) -> io::Result<Option<Writing>> {
        let bytes = reference.file_bytes();
        if bytes > self.0.room.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let mut file = self.0.files.create_long(AHEAD)?;
        let begun = file.allocate(bytes).and_then(|()| file.write_at(0, &header(&reference, &self.0.stamp)));
        if let Err(error) = begun {
            self.0.files.remove(AHEAD)?;
            return Err(error);
        }
        self.lock().writing = Some(reference);
        let (ahead, digest) = (self.clone(), Xxh3Default::new());
        Ok(Some(Writing { ahead, file, reference, written: 0, read: 0, digest }))
    }

    fn end(&self, done: Option<Reference>) {
        let mut written = self.lock();
        written.writing = None;
        written.done.extend(done);
        drop(written);
        self.0.moved.notify_all();
    }
}

/// A file that is being written. Dropping it gives it up.
pub(crate) struct Writing {
    ahead: Ahead,
    file: Box<dyn File>,
    reference: Reference,
    /// So much of the content is written, and so much of that was read back.
    written: u64,
    read: u64,
    digest: Xxh3Default,
}

impl Writing {
    pub(crate) const fn reference(&self) -> &Reference {
        &self.reference
    }

    /// How much of the content is written.
    pub(crate) const fn written(&self) -> u64 {
        self.written
    }

    /// Writes what follows.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(wide(HEADER_BYTES) + self.written, bytes)?;
        self.written += wide(bytes.len());
        if self.written - self.read >= SYNCED_BYTES { self.check() } else { Ok(()) }
    }

    /// What is written is on the disk, and is what it was.
    fn check(&mut self) -> io::Result<()> {
        self.file.sync()?;
        let (offset, bytes) = (wide(HEADER_BYTES) + self.read, self.written - self.read);
        let Self { ahead, digest, read, .. } = self;
        ahead.0.files.read_each(AHEAD, offset, bytes, &mut |piece| {
            digest.update(piece);
            *read += wide(piece.len());
        })?;
        if self.read < self.written { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// All of it was written: it gets its name. False when it is not what it is to be.
    pub(crate) fn finish(mut self) -> io::Result<bool> {
        self.check()?;
        let Reference { digest, length, .. } = self.reference;
        if self.written != length || self.digest.digest128() != digest.0 {
            return Ok(false);
        }
        let files = &self.ahead.0.files;
        files.rename(AHEAD, &self.reference.name())?;
        files.sync_dir()?;
        self.ahead.end(Some(self.reference));
        Ok(true)
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if self.ahead.lock().writing == Some(self.reference) {
            // The next one empties it; what cannot be removed takes space until then.
            let _ = self.ahead.0.files.remove(AHEAD);
            self.ahead.end(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::writer::Options;
    use super::super::{Identity, Wal};
    use super::*;
    use crate::fuzz::memory::Memory;
    use bytes::Bytes;
    use vr_core::{Checkpoint, ClusterConfig, ClusterId, Head, Predicted, ReplicaId, Write, WriteId};

    const SMALL: Options = Options { segment_bytes: 64 << 10, quota_bytes: None };

    fn log() -> (Memory, Wal) {
        let (disk, identity) = (Memory::default(), identity());
        Wal::format_in(&disk, &identity, &SMALL).expect("formatted");
        let opened = Wal::open_in(Arc::new(disk.clone()), &identity, SMALL).expect("opened");
        (disk, opened.wal)
    }

    fn identity() -> Identity {
        Identity { cluster: ClusterConfig::of_size(ClusterId(1), 3), id: ReplicaId(0) }
    }

    fn checkpoint(wal: &Wal, byte: u8) -> Checkpoint {
        let head = Head { op: vr_core::Op::ZERO, ..wal.log.base() };
        Checkpoint::new(head, Predicted::default(), Bytes::new(), Bytes::from(vec![byte; 5000]))
    }

    fn write(ahead: &Ahead, checkpoint: &Checkpoint, damage: bool) -> bool {
        let mut writing = ahead.begin(Reference::of(checkpoint)).expect("a file").expect("space");
        while writing.written() < checkpoint.length() {
            let mut piece = checkpoint.part(writing.written(), 700).to_vec();
            piece[0] ^= u8::from(damage);
            writing.add(&piece).expect("written");
        }
        writing.finish().expect("synced")
    }

    #[test]
    fn what_was_written_ahead_is_what_the_log_begins_with() {
        let (disk, mut wal) = log();
        let (one, other) = (checkpoint(&wal, 1), checkpoint(&wal, 2));
        assert!(write(&wal.ahead(), &one, false) && write(&wal.ahead(), &other, false));
        assert!(!write(&wal.ahead(), &checkpoint(&wal, 3), true), "it is not what it is to be");
        let bytes = wal.bytes_on_disk();
        let install = Write::Checkpoint(Box::new(other.clone()));
        assert!(wal.reserve(&install).expect("space") && wal.draft.is_none());
        wal.append(WriteId(1), &install).expect("written");
        wal.sync().expect("synced");
        assert_eq!((wal.bytes_on_disk(), wal.ahead.bytes()), (bytes, 0));
        // Of the first one no record will speak.
        wal.give_up().expect("removed");
        let kept = disk.names().expect("names").into_iter().filter(|name| name.starts_with("checkpoint"));
        assert_eq!(kept.collect::<Vec<_>>(), [Reference::of(&other).name()]);
        drop(wal);
        let opened = Wal::open_in(Arc::new(disk), &identity(), SMALL).expect("opened");
        assert_eq!(opened.stored.checkpoint, Some(other));
    }

    #[test]
    fn a_file_that_is_written_again_is_not_given_up_with_the_one_before() {
        let (disk, mut wal) = log();
        let again = checkpoint(&wal, 1);
        assert!(write(&wal.ahead(), &again, false));
        wal.checkpoints.push((Reference::of(&again).name(), 0));
        wal.give_up().expect("removed");
        let write = Write::Checkpoint(Box::new(again.clone()));
        assert!(wal.reserve(&write).expect("space"));
        wal.append(WriteId(1), &write).expect("written");
        wal.sync().expect("synced");
        drop(wal);
        let opened = Wal::open_in(Arc::new(disk), &identity(), SMALL).expect("opened");
        assert_eq!(opened.stored.checkpoint, Some(again));
    }
}
