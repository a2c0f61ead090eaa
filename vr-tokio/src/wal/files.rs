//! The few file operations a log needs, as a trait: the real ones here, a recording one that can be cut in the tests.
//!
//! Owns what each operation promises about a crash. Must not know what is in a file. PROTOCOL F5, D55.
//!
//! The rules every implementation and every user of it keeps to: bytes written are durable after `sync` of their
//! file; a name created, renamed or removed is durable after `sync_dir`; before that a crash may leave either state.
//! Bytes never written read as zeros.

use super::bytes::{narrow, wide};
use super::closing;
use super::direct::{self, Direct};
use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock};
use std::any::Any;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The files of one directory.
pub trait Files: Send + Sync + 'static {
    /// Takes the directory for one owner, until the value is dropped; `None` when somebody else has it.
    ///
    /// # Errors
    /// When the lock file cannot be opened.
    fn lock(&self) -> io::Result<Option<Box<dyn Any + Send>>>;

    /// The names in the directory, but for the lock's, sorted; none when there is no directory.
    ///
    /// # Errors
    /// When the directory cannot be read.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Makes the directory if there is none.
    ///
    /// # Errors
    /// When it cannot be made.
    fn create_dir(&self) -> io::Result<()>;

    /// A new, empty file; an old one of that name is emptied.
    ///
    /// # Errors
    /// When it cannot be made.
    fn create(&self, name: &str) -> io::Result<Box<dyn File>>;

    /// As [`Files::create`], for what is long and written from its beginning to its end: past memory, where that can be had.
    ///
    /// # Errors
    /// When it cannot be made.
    fn create_long(&self, name: &str) -> io::Result<Box<dyn File>> {
        self.create(name)
    }

    /// A file that exists, for writing.
    ///
    /// # Errors
    /// When it cannot be opened.
    fn open(&self, name: &str) -> io::Result<Box<dyn File>>;

    /// All bytes of a file.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// So many bytes of a file from there on, or as many as there are: from the disk itself, where that can be had,
    /// not from memory that remembers what was written.
    ///
    /// # Errors
    /// When they cannot be read.
    fn read_part(&self, name: &str, offset: u64, bytes: usize) -> io::Result<Vec<u8>>;

    /// As [`Files::read_part`], piece by piece, for what is long.
    ///
    /// # Errors
    /// When they cannot be read.
    fn read_each(&self, name: &str, offset: u64, bytes: u64, each: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let (mut at, end) = (offset, offset.saturating_add(bytes));
        while at < end {
            let piece = self.read_part(name, at, narrow(end - at).min(PIECE_BYTES))?;
            if piece.is_empty() {
                break;
            }
            at = at.saturating_add(wide(piece.len()));
            each(&piece);
        }
        Ok(())
    }

    /// Gives a file another name, in place of the one that had it.
    ///
    /// # Errors
    /// When it cannot be renamed.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// When it cannot be removed.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes the names durable.
    ///
    /// # Errors
    /// When they may not be.
    fn sync_dir(&self) -> io::Result<()>;

    /// Where a file lies, for people.
    fn path(&self, name: &str) -> PathBuf;
}

/// One file, open for writing.
pub trait File: Send {
    /// Writes all of it, at that offset.
    ///
    /// # Errors
    /// When any of it was not written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes the file this long, with space on the disk for all of it.
    ///
    /// # Errors
    /// [`io::ErrorKind::StorageFull`] or [`io::ErrorKind::QuotaExceeded`] when there is no space.
    fn allocate(&mut self, bytes: u64) -> io::Result<()>;

    /// Drops everything from there on.
    ///
    /// # Errors
    /// When it is still there.
    fn truncate(&mut self, bytes: u64) -> io::Result<()>;

    /// Makes the bytes durable.
    ///
    /// # Errors
    /// When they may not be. Never retried (PROTOCOL D55).
    fn sync(&mut self) -> io::Result<()>;
}

/// So much of what is long is read or written at a time: what else waits for the disk does not wait for long.
pub(super) const PIECE_BYTES: usize = 1 << 20;
/// The name of the file that carries the lock.
const LOCK: &str = "lock";

/// A directory of the operating system.
#[derive(Debug)]
pub struct Directory(PathBuf);

impl Directory {
    /// This one; nothing is touched yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

impl Files for Directory {
    fn lock(&self) -> io::Result<Option<Box<dyn Any + Send>>> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(self.path(LOCK))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let listing = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut names = Vec::new();
        for item in listing {
            let name = item?.file_name().to_string_lossy().into_owned();
            if name != LOCK {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create_dir(&self) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        // The name of the directory is an entry of the one above it.
        self.0.canonicalize()?.parent().map_or(Ok(()), |above| fs::File::open(above)?.sync_all())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        Ok(Box::new(OpenOptions::new().create(true).truncate(true).write(true).open(self.path(name))?))
    }

    fn create_long(&self, name: &str) -> io::Result<Box<dyn File>> {
        let path = self.path(name);
        let plain = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
        Ok(Box::new(Direct::new(plain, &path)))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        Ok(Box::new(OpenOptions::new().write(true).open(self.path(name))?))
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path(name))
    }

    fn read_part(&self, name: &str, offset: u64, bytes: usize) -> io::Result<Vec<u8>> {
        let file = fs::File::open(self.path(name))?;
        direct::forget(&file, offset, wide(bytes));
        let mut part = vec![0; bytes];
        let mut filled = 0;
        while filled < bytes {
            let at = offset.saturating_add(u64::try_from(filled).unwrap_or(u64::MAX));
            match file.read_at(&mut part[filled..], at) {
                Ok(0) => break,
                Ok(more) => filled += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        part.truncate(filled);
        Ok(part)
    }

    fn read_each(&self, name: &str, offset: u64, bytes: u64, each: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        direct::read_each(&self.path(name), offset, bytes, each)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.path(name);
        let long = closing::open_long(&path);
        fs::remove_file(&path)?;
        if let Some(long) = long {
            closing::close(long);
        }
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        fs::File::open(&self.0)?.sync_all()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl File for fs::File {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn allocate(&mut self, bytes: u64) -> io::Result<()> {
        match fallocate(&*self, FallocateFlags::empty(), 0, bytes) {
            // A file system without it: the length at least, and no promise of space.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => self.set_len(bytes),
            other => other.map_err(io::Error::from),
        }
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Does the error say that there is no space?
#[must_use]
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
