//! Long files past the memory of the operating system: they go to the disk as they are written, and come from it as they
//! are read.
//!
//! Owns the alignment that this takes, and how to do without where it cannot be had. A checkpoint is read by nobody soon: in
//! memory it would only be in the way of what is. Must not know what is in a file.

use super::bytes::{narrow, wide};
use super::files::{File, PIECE_BYTES};
use rustix::fs::{Advice, OFlags, fadvise};
use std::fs::{self, OpenOptions};
use std::io;
use std::num::NonZero;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Where such a file is read and written, in the file and in memory: at multiples of this.
const BLOCK_BYTES: usize = 4096;

/// A file that is written from its beginning to its end.
pub(super) struct Direct {
    plain: fs::File,
    /// `None` where there is no such way: then all of it goes through memory.
    past_memory: Option<fs::File>,
    room: Room,
}

/// Memory at a multiple of a block.
struct Room(Vec<u8>);

impl Room {
    fn new() -> Self {
        Self(vec![0; PIECE_BYTES + BLOCK_BYTES])
    }

    /// So many bytes of it, at most a piece.
    fn first(&mut self, bytes: usize) -> &mut [u8] {
        let skipped = self.0.as_ptr().align_offset(BLOCK_BYTES).min(BLOCK_BYTES);
        &mut self.0[skipped..][..bytes]
    }
}

fn open(options: &mut OpenOptions, path: &Path) -> Option<fs::File> {
    let flag = i32::try_from(OFlags::DIRECT.bits()).ok()?;
    options.custom_flags(flag).open(path).ok()
}

impl Direct {
    /// Writes a file that is there.
    pub(super) fn new(plain: fs::File, path: &Path) -> Self {
        Self { plain, past_memory: open(OpenOptions::new().write(true), path), room: Room::new() }
    }

    /// Writes what it can of the beginning of `bytes`; says how much that was.
    fn write_past_memory(&mut self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let Some(file) = self.past_memory.as_ref().filter(|_| is_at_block(offset)) else { return Ok(0) };
        let now = bytes.len().min(PIECE_BYTES) / BLOCK_BYTES * BLOCK_BYTES;
        let mut blocks = &bytes[..now];
        if blocks.as_ptr().align_offset(BLOCK_BYTES) != 0 {
            let room = self.room.first(now);
            room.copy_from_slice(blocks);
            blocks = room;
        }
        match file.write_all_at(blocks, offset) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                self.past_memory = None;
                Ok(0)
            }
            done => done.map(|()| now),
        }
    }
}

impl File for Direct {
    fn write_at(&mut self, mut offset: u64, mut bytes: &[u8]) -> io::Result<()> {
        loop {
            let written = self.write_past_memory(offset, bytes)?;
            if written == 0 {
                return self.plain.write_all_at(bytes, offset);
            }
            bytes = &bytes[written..];
            offset += wide(written);
        }
    }

    fn allocate(&mut self, bytes: u64) -> io::Result<()> {
        self.plain.allocate(bytes)
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.plain.truncate(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.plain.sync()
    }
}

/// Gives so many bytes of a file from there on, or as many as there are, piece by piece: from the disk itself, where that can
/// be had.
pub(super) fn read_each(path: &Path, offset: u64, bytes: u64, each: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let (plain, mut room) = (fs::File::open(path)?, Room::new());
    let mut past_memory = open(OpenOptions::new().read(true), path).filter(|_| is_at_block(offset));
    if past_memory.is_none() {
        forget(&plain, offset, bytes);
    }
    let (mut at, end) = (offset, offset.saturating_add(bytes));
    while at < end {
        let wanted = narrow(end - at).min(PIECE_BYTES);
        // The end of a file may lie anywhere; what is read beyond what is wanted is not given.
        let blocks = room.first(wanted.next_multiple_of(BLOCK_BYTES));
        let found = match &past_memory {
            Some(file) => file.read_at(blocks, at),
            None => plain.read_at(&mut blocks[..wanted], at),
        };
        match found {
            Ok(0) => break,
            Ok(found) => {
                each(&blocks[..found.min(wanted)]);
                at += wide(found.min(wanted));
                if !is_at_block(at) && past_memory.take().is_some() {
                    forget(&plain, at, end - at);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidInput && past_memory.is_some() => {
                forget(&plain, at, end - at);
                past_memory = None;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Memory need not hold what was written there.
pub(super) fn forget(file: &fs::File, offset: u64, bytes: u64) {
    match fadvise(file, offset, NonZero::new(bytes), Advice::DontNeed) {
        // It is advice: who does not take it reads from memory.
        Ok(()) | Err(_) => {}
    }
}

fn is_at_block(offset: u64) -> bool {
    offset.is_multiple_of(wide(BLOCK_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of such bytes, written in pieces of this length.
    fn write(path: &Path, bytes: &[u8], piece: usize) {
        let mut file = Direct::new(fs::File::create(path).expect("a file"), path);
        for (number, piece_of) in bytes.chunks(piece).enumerate() {
            file.write_at(wide(number * piece), piece_of).expect("written");
        }
        file.sync().expect("synced");
    }

    #[test]
    fn what_was_written_past_memory_is_there_however_it_was_cut() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("long");
        let bytes: Vec<u8> = (0..=250).cycle().take(2 * PIECE_BYTES + 3 * BLOCK_BYTES + 77).collect();
        for piece in [BLOCK_BYTES, BLOCK_BYTES + 1, 100_000, PIECE_BYTES, bytes.len()] {
            write(&path, &bytes, piece);
            assert!(fs::read(&path).expect("read") == bytes, "{piece}");
        }
        for (from, count) in [(0, bytes.len()), (BLOCK_BYTES, 5), (1, PIECE_BYTES), (BLOCK_BYTES, 5 * PIECE_BYTES)] {
            let mut found = Vec::new();
            read_each(&path, wide(from), wide(count), &mut |piece| found.extend_from_slice(piece)).expect("read");
            assert!(found == bytes[from..bytes.len().min(from + count)], "{from} {count}");
        }
    }
}
