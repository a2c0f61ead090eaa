//! A directory in memory that records every file operation, and can be cut after any of them.
//!
//! Owns the model of a crash: bytes that were not synced are there or not, sector by sector; names since the last
//! sync of the directory are there up to some point. Must not know what is in the files. PROTOCOL F5.

use crate::wal::{File, Files};
use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const SECTOR: usize = 512;

/// Offsets in memory fit.
fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[derive(Clone, Debug)]
enum Operation {
    Create(String, usize),
    Write(usize, usize, Vec<u8>),
    Length(usize, usize),
    Sync(usize),
    Rename(String, String),
    Remove(String),
    SyncDir,
}

#[derive(Clone, Debug, Default)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Operation>,
}

#[derive(Clone, Debug, Default)]
struct State {
    journal: Vec<Operation>,
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    pending_names: Vec<Operation>,
    /// The byte that a file may not grow beyond, all files together.
    quota: Option<usize>,
    /// Every sync fails from now on.
    failing: bool,
    /// The next sync fails.
    failing_once: bool,
}

fn put(bytes: &mut Vec<u8>, operation: &Operation, mut survives: impl FnMut() -> bool) {
    match operation {
        Operation::Write(_, offset, data) => {
            if bytes.len() < offset + data.len() {
                bytes.resize(offset + data.len(), 0);
            }
            let mut at = 0;
            while at < data.len() {
                let end = (((offset + at) / SECTOR + 1) * SECTOR - offset).min(data.len());
                if survives() {
                    bytes[offset + at..offset + end].copy_from_slice(&data[at..end]);
                }
                at = end;
            }
        }
        Operation::Length(_, length) => {
            if survives() {
                bytes.resize(*length, 0);
            }
        }
        Operation::Create(..)
        | Operation::Sync(_)
        | Operation::Rename(..)
        | Operation::Remove(_)
        | Operation::SyncDir => {}
    }
}

fn rename(names: &mut BTreeMap<String, usize>, operation: &Operation) {
    match operation {
        Operation::Create(name, inode) => {
            names.insert(name.clone(), *inode);
        }
        Operation::Rename(from, to) => {
            if let Some(inode) = names.remove(from) {
                names.insert(to.clone(), inode);
            }
        }
        Operation::Remove(name) => {
            names.remove(name);
        }
        Operation::Write(..) | Operation::Length(..) | Operation::Sync(_) | Operation::SyncDir => {}
    }
}

impl State {
    fn perform(&mut self, operation: Operation) {
        match &operation {
            Operation::Create(_, inode) => {
                self.inodes.resize(self.inodes.len().max(inode + 1), Inode::default());
                rename(&mut self.names, &operation);
                self.pending_names.push(operation.clone());
            }
            Operation::Rename(..) | Operation::Remove(_) => {
                rename(&mut self.names, &operation);
                self.pending_names.push(operation.clone());
            }
            Operation::Write(inode, ..) | Operation::Length(inode, _) => {
                put(&mut self.inodes[*inode].live, &operation, || true);
                self.inodes[*inode].pending.push(operation.clone());
            }
            Operation::Sync(inode) => {
                let inode = &mut self.inodes[*inode];
                inode.durable.clone_from(&inode.live);
                inode.pending.clear();
            }
            Operation::SyncDir => {
                self.durable_names.clone_from(&self.names);
                self.pending_names.clear();
            }
        }
        self.journal.push(operation);
    }

    /// A file that is durable.
    fn add(&mut self, name: &str, content: Vec<u8>) {
        let inode = self.inodes.len();
        self.perform(Operation::Create(name.to_owned(), inode));
        self.perform(Operation::Write(inode, 0, content));
        self.perform(Operation::Sync(inode));
    }

    fn taken(&self) -> usize {
        self.names.values().map(|inode| self.inodes[*inode].live.len()).sum()
    }
}

/// What a crash leaves of what was not synced.
#[derive(Clone, Copy, Debug)]
pub enum Survives {
    /// None of it.
    Nothing,
    /// All of it.
    Everything,
    /// By chance, from this seed.
    Some(u64),
}

/// The directory. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    state: Arc<Mutex<State>>,
    locked: Arc<AtomicBool>,
}

impl Memory {
    /// A state is whole after every statement.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many operations there were.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.state().journal.len()
    }

    /// From now on, no file may grow beyond so many bytes, all files together.
    pub fn set_quota(&self, quota: Option<usize>) {
        self.state().quota = quota;
    }

    /// The next sync fails, and every one after it.
    pub fn fail(&self) {
        self.state().failing = true;
    }

    /// The next sync fails, and those after it work.
    pub fn fail_once(&self) {
        self.state().failing_once = true;
    }

    /// The bytes of a file; none when it is not there.
    #[must_use]
    pub fn bytes_of(&self, name: &str) -> Vec<u8> {
        self.read(name).unwrap_or_default()
    }

    /// The directory as it is now, with this content of one file; what is in it is durable.
    #[must_use]
    pub fn with(&self, name: &str, bytes: Option<Vec<u8>>) -> Self {
        let state = self.state();
        let mut found = State::default();
        for (file, inode) in &state.names {
            let content = if file == name { bytes.clone() } else { Some(state.inodes[*inode].live.clone()) };
            if let Some(content) = content {
                found.add(file, content);
            }
        }
        found.perform(Operation::SyncDir);
        Self { state: Arc::new(Mutex::new(found)), locked: Arc::default() }
    }

    /// What is found after the power failed behind the first `operations`, or behind all if there were fewer.
    #[must_use]
    pub fn crash(&self, operations: usize, survives: Survives) -> Self {
        let journal: Vec<_> = self.state().journal.iter().take(operations).cloned().collect();
        let mut state = State::default();
        journal.into_iter().for_each(|operation| state.perform(operation));
        let mut seed = match survives {
            Survives::Nothing | Survives::Everything => 0,
            Survives::Some(seed) => seed,
        };
        let mut chance = move |out_of: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % out_of
        };
        let mut toss = |n: u64| match survives {
            Survives::Nothing => 0,
            Survives::Everything => n - 1,
            Survives::Some(_) => chance(n),
        };
        let pending = std::mem::take(&mut state.pending_names);
        let kept = index(toss(wide(pending.len()) + 1));
        let mut names = state.durable_names.clone();
        pending[..kept].iter().for_each(|operation| rename(&mut names, operation));
        for inode in &mut state.inodes {
            let pending = std::mem::take(&mut inode.pending);
            let bias = toss(3);
            for operation in &pending {
                put(&mut inode.durable, operation, || bias == 2 || (bias == 1 && toss(2) == 1));
            }
            inode.live.clone_from(&inode.durable);
        }
        (state.names, state.durable_names) = (names.clone(), names);
        state.journal = Vec::new();
        // What was found is the beginning of a new journal.
        let mut found = State::default();
        for (name, inode) in &state.names {
            found.add(name, state.inodes[*inode].live.clone());
        }
        found.perform(Operation::SyncDir);
        Self { state: Arc::new(Mutex::new(found)), locked: Arc::default() }
    }
}

struct Lock(Arc<AtomicBool>);

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl Files for Memory {
    fn lock(&self) -> io::Result<Option<Box<dyn Any + Send>>> {
        let taken = self.locked.swap(true, Ordering::SeqCst);
        Ok((!taken).then(|| -> Box<dyn Any + Send> { Box::new(Lock(Arc::clone(&self.locked))) }))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn create_dir(&self) -> io::Result<()> {
        Ok(())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        let mut state = self.state();
        let inode = state.inodes.len();
        state.perform(Operation::Create(name.to_owned(), inode));
        Ok(Box::new(Handle { inode, state: Arc::clone(&self.state) }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        let state = self.state();
        let inode = *state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Handle { inode, state: Arc::clone(&self.state) }))
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let state = self.state();
        let inode = *state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(state.inodes[inode].live.clone())
    }

    fn read_part(&self, name: &str, offset: u64, bytes: usize) -> io::Result<Vec<u8>> {
        let all = self.read(name)?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(all.len());
        Ok(all[from..all.len().min(from.saturating_add(bytes))].to_vec())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.state().perform(Operation::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.state().perform(Operation::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.state().perform(Operation::SyncDir);
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from("memory").join(name)
    }
}

struct Handle {
    inode: usize,
    state: Arc<Mutex<State>>,
}

impl Handle {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl File for Handle {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let offset = index(offset);
        self.state().perform(Operation::Write(self.inode, offset, bytes.to_vec()));
        Ok(())
    }

    fn allocate(&mut self, bytes: u64) -> io::Result<()> {
        let bytes = index(bytes);
        let mut state = self.state();
        let grows = bytes.saturating_sub(state.inodes[self.inode].live.len());
        if state.quota.is_some_and(|quota| state.taken() + grows > quota) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if grows > 0 {
            state.perform(Operation::Length(self.inode, bytes));
        }
        Ok(())
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        let bytes = index(bytes);
        self.state().perform(Operation::Length(self.inode, bytes));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.state();
        if state.failing || std::mem::take(&mut state.failing_once) {
            return Err(io::Error::other("the disk is gone"));
        }
        state.perform(Operation::Sync(self.inode));
        Ok(())
    }
}
