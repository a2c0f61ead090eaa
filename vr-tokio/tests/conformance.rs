//! The log of this crate against vr-sim's kit for storage, in memory and on the disk of this machine.
//!
//! Owns the kit's faults, done to the files under the log: the same seam that the log's own tests use. Must not know
//! what the kit tries.

#![allow(clippy::unwrap_used, reason = "a test says by panicking what it did not expect")]

use std::sync::Arc;
use tempfile::TempDir;
use vr_core::{Stored, Write, WriteId};
use vr_sim::conformance::storage::{self, Keeps, REPLICA, Storage, Wrote, cluster};
use vr_tokio::fuzz::memory::{Memory, Survives};
use vr_tokio::wal::{Directory, Files, Identity, Options, Wal};

const SMALL: Options = Options { segment_bytes: 4096 + 4096, quota_bytes: None };

/// A log over a directory in memory, whose every operation is known.
#[derive(Default)]
struct Log {
    disk: Memory,
    wal: Option<Wal>,
    /// What is opened is first written to a real directory, and the real files are opened.
    is_real: bool,
    dir: Option<TempDir>,
}

fn identity() -> Identity {
    Identity { cluster: cluster(), id: REPLICA }
}

impl Log {
    fn over(disk: Memory, is_real: bool) -> Self {
        Self { disk, is_real, ..Self::default() }
    }

    /// Opens a copy in a real directory, and gives what is stored there.
    fn opened_on_disk(&mut self) -> Result<Stored, String> {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        for name in self.disk.names().unwrap() {
            std::fs::write(dir.path().join(&name), self.disk.bytes_of(&name)).unwrap();
        }
        let opened = Wal::open_in(Arc::new(Directory::new(dir.path())), &identity(), SMALL);
        let stored = opened.map_err(|error| error.to_string())?.stored;
        self.dir = Some(dir);
        Ok(stored)
    }
}

impl Storage for Log {
    fn format(&mut self) -> Result<(), String> {
        *self = Self::over(Memory::default(), self.is_real);
        Wal::format_in(&self.disk, &identity(), &SMALL).map(|_| ()).map_err(|error| error.to_string())
    }

    fn open(&mut self) -> Result<Stored, String> {
        self.wal = None;
        let on_disk = if self.is_real { Some(self.opened_on_disk()?) } else { None };
        let opened = Wal::open_in(Arc::new(self.disk.clone()), &identity(), SMALL);
        let opened = opened.map_err(|error| error.to_string())?;
        self.wal = Some(opened.wal);
        assert!(on_disk.is_none_or(|stored| stored == opened.stored), "real files give the same");
        Ok(opened.stored)
    }

    fn write(&mut self, id: WriteId, write: &Write) -> Wrote {
        let wal = self.wal.as_mut().unwrap();
        match wal.reserve(write) {
            Ok(true) if wal.append(id, write).is_ok() => Wrote::Taken,
            Ok(false) => Wrote::Full,
            Ok(true) | Err(_) => Wrote::Failed,
        }
    }

    fn sync(&mut self) -> Result<WriteId, String> {
        let durable = self.wal.as_mut().unwrap().sync().map_err(|error| error.to_string())?;
        durable.ok_or_else(|| "nothing was handed over".to_owned())
    }

    fn close(&mut self) {
        // What the disk thread does with nothing else to do.
        let wal = self.wal.as_mut().unwrap();
        wal.sync().unwrap();
        wal.mark().unwrap();
        self.wal = None;
    }

    fn moments(&self) -> u64 {
        u64::try_from(self.disk.operations()).unwrap()
    }

    fn cut(&self, moment: u64, keeps: Keeps) -> Self {
        let survives = match keeps {
            Keeps::Nothing => Survives::Nothing,
            Keeps::Everything => Survives::Everything,
            Keeps::Some(seed) => Survives::Some(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
        };
        Self::over(self.disk.crash(usize::try_from(moment).unwrap(), survives), self.is_real)
    }

    fn rot(&mut self, place: u64) -> bool {
        // Every 37th byte that was ever written, in all files that hold anything of the log.
        let mut left = usize::try_from(place).unwrap() * 37;
        for name in self.disk.names().unwrap().into_iter().filter(|name| name != "spare") {
            let mut bytes = self.disk.bytes_of(&name);
            let written: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
            match written.get(left) {
                Some(at) => {
                    bytes[*at] ^= 0x20;
                    self.disk = self.disk.with(&name, Some(bytes));
                    return true;
                }
                None => left -= written.len(),
            }
        }
        false
    }

    fn fill(&mut self, full: bool) {
        self.disk.set_quota(full.then_some(0));
    }

    fn fail_sync(&mut self) {
        self.disk.fail_once();
    }
}

#[test]
fn the_log_passes_the_kit_for_storage() {
    let report = storage::try_all(&mut Log::default());
    assert!(report.passed(), "{report}");
    println!("{report}");
}

#[test]
#[ignore = "some thousands of directories on a disk: cargo test -p vr-tokio --test conformance -- --ignored"]
fn the_log_passes_the_kit_for_storage_on_a_real_disk() {
    let report = storage::try_all(&mut Log::over(Memory::default(), true));
    assert!(report.passed(), "{report}");
}

/// A log that says of a write that it is durable when it was handed to the operating system.
#[derive(Default)]
struct Hasty {
    log: Log,
    handed: WriteId,
}

impl Storage for Hasty {
    fn format(&mut self) -> Result<(), String> {
        self.log.format()
    }
    fn open(&mut self) -> Result<Stored, String> {
        self.log.open()
    }
    fn write(&mut self, id: WriteId, write: &Write) -> Wrote {
        self.handed = id;
        self.log.write(id, write)
    }
    fn sync(&mut self) -> Result<WriteId, String> {
        self.log.wal.as_mut().unwrap().flush().map_err(|error| error.to_string())?;
        Ok(self.handed)
    }
    fn close(&mut self) {
        self.log.close();
    }
    fn moments(&self) -> u64 {
        self.log.moments()
    }
    fn cut(&self, moment: u64, keeps: Keeps) -> Self {
        Self { log: self.log.cut(moment, keeps), handed: WriteId::ZERO }
    }
    fn rot(&mut self, place: u64) -> bool {
        self.log.rot(place)
    }
    fn fill(&mut self, full: bool) {
        self.log.fill(full);
    }
    fn fail_sync(&mut self) {
        self.log.fail_sync();
    }
}

#[test]
fn a_log_that_does_not_wait_for_its_sync_fails_the_kit() {
    let report = storage::try_all(&mut Hasty::default());
    assert!(report.failed().any(|case| case.starts_with("a power cut that leaves nothing")), "{report}");
}
