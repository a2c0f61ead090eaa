//! Any bytes as the lives of a log: what is written, when the power fails, what rots meanwhile.
//!
//! Owns the translation and what is expected of every start. Must not know formats: a start never panics; it gives the
//! fold of a prefix that holds all that was confirmed, or says what is missing; and nothing that nobody wrote.
//! PROTOCOL D40 to D45, D53 to D62.

use super::author::{Step, formatted, identity, write_of};
use super::memory::{Memory, Survives};
use super::script::Script;
use crate::wal::forge::{Forgery, forge};
use crate::wal::{Files, FindingKind, Opened, Options, Wal, inspect_in};
use std::collections::BTreeSet;
use std::sync::Arc;
use vr_core::{Checkpoint, Entries, Instance, Log, Op, Stored, WriteId, genesis};

const SMALL: Options = Options { segment_bytes: 4096 + 2048, quota_bytes: None };
const INSTANCE: Instance = Instance(0x5EED);
const LIVES_MOST: usize = 5;
const STEPS_MOST: usize = 48;
const EDITS_MOST: usize = 6;

/// Plays the lives that `data` describes.
///
/// # Panics
/// When a log does not give back what it must: that is what a fuzzer looks for.
pub fn wal(data: &[u8]) {
    let mut script = Script(data);
    let disk = Memory::default();
    Wal::format_as(&disk, &identity(), &SMALL, INSTANCE).expect("an empty directory becomes a log");
    let log = Log::new(vr_core::Head { op: Op::ZERO, hash: genesis(identity().cluster.cluster) });
    let mut history =
        History { found_at: disk.operations(), disk, last: formatted(INSTANCE), written: BTreeSet::new() };
    history.remember(&log);
    for _ in 0..LIVES_MOST {
        if script.is_empty() || !history.live(&mut script) {
            return;
        }
    }
}

/// A disk, and what it is known to hold.
struct History {
    disk: Memory,
    /// How many operations made the disk as this life found it.
    found_at: usize,
    last: Stored,
    /// Every place in a log that anybody ever wrote.
    written: BTreeSet<(u64, u128)>,
}

/// One life of a log, as far as it is written.
struct Life {
    /// What the disk holds after 0, 1, … writes.
    folds: Vec<Stored>,
    /// After so many operations so many writes were confirmed.
    confirmed: Vec<(usize, usize)>,
    /// After so many operations so many writes had been issued.
    issued: Vec<(usize, usize)>,
    /// The disk failed: nothing may be confirmed any more.
    failed: bool,
}

fn open(disk: &Memory) -> Result<Opened, crate::wal::WalError> {
    Wal::open_in(Arc::new(disk.clone()), &identity(), SMALL)
}

impl History {
    /// So many operations since the log was formatted or found.
    fn some_moment(&self, script: &mut Script<'_>) -> usize {
        let operations = self.disk.operations();
        operations - script.place(operations - self.found_at + 1)
    }

    fn remember(&mut self, log: &Log) {
        self.written.insert((log.base().op.0, log.base().hash.0));
        self.written.extend(log.after(log.base().op).map(|entry| (entry.op().0, entry.hash().0)));
    }

    /// Opens the log, writes, and comes to an end; false when it was the last one.
    fn live(&mut self, script: &mut Script<'_>) -> bool {
        let opened = open(&self.disk).expect("what was opened once is opened again");
        assert_eq!(entry_by_entry(&opened.stored), entry_by_entry(&self.last), "the same disk gives the same log");
        let mut life =
            Life { folds: vec![opened.stored], confirmed: vec![(0, 0)], issued: vec![(0, 0)], failed: false };
        let mut wal = opened.wal;
        for _ in 0..STEPS_MOST {
            let code = script.byte();
            if code % 16 == 15 || script.is_empty() {
                break;
            }
            self.step(&mut life, &mut wal, code % 16, script.byte());
        }
        match script.below(4) {
            0 | 1 => self.power_fails(&life, script),
            2 => self.rots(life, wal, script),
            _ => {
                self.anything(script);
                false
            }
        }
    }

    fn step(&mut self, life: &mut Life, wal: &mut Wal, code: u8, argument: u8) {
        let (small, many) = (u64::from(argument), usize::from(argument));
        let step = match code {
            0..=4 => Step::Append { entries: 1 + many % 3, body: many * 3 },
            5 | 6 => Step::Sync,
            7 => Step::Mark,
            8 if argument < 200 => Step::View,
            8 => return self.disk.set_quota(argument.checked_sub(228).map(|room| usize::from(room) * 1024)),
            9 if argument < 250 => Step::Incarnation,
            9 => return self.disk.fail(),
            10 => Step::Replace { back: small % 6, entries: many / 6 % 4 },
            11 => Step::Clean,
            12 => Step::Checkpoint { back: small % 5, state: many * 12 },
            13 => Step::Cut { back: small % 3 },
            _ => Step::Install { ahead: small % 9, entries: many / 9 % 4 },
        };
        life.take(step, wal, &self.disk);
        if let Some(last) = life.folds.last() {
            let log = last.log.clone();
            self.remember(&log);
        }
    }

    /// The power fails at some moment of this life; the next one begins with what is left.
    fn power_fails(&mut self, life: &Life, script: &mut Script<'_>) -> bool {
        let at = self.some_moment(script);
        let found = self.disk.crash(at, survivors(script));
        let (least, most) = life.bounds(at);
        look_at(&found);
        let opened = open(&found).unwrap_or_else(|error| panic!("after {at} operations: {error}"));
        let rotten = opened.findings.iter().any(|finding| finding.kind == FindingKind::Rot);
        let fits = life.folds[least..=most].iter().any(|fold| is_left_of(fold, &opened.stored, rotten));
        let (stored, findings) = (&opened.stored, &opened.findings);
        assert!(fits, "after {at} operations, {least} to {most} writes: {stored:?} {findings:?}");
        self.goes_on(found, opened, "a power cut");
        true
    }

    /// Everything is confirmed, and then a part of one file is damaged.
    fn rots(&mut self, mut life: Life, mut wal: Wal, script: &mut Script<'_>) -> bool {
        for step in [Step::Sync, Step::Mark] {
            life.take(step, &mut wal, &self.disk);
        }
        drop(wal);
        let Some(all) = life.folds.pop().filter(|_| !life.failed) else { return false };
        let whole = self.disk.crash(self.disk.operations(), Survives::Everything);
        let names = names(&whole);
        let name = &names[script.below(names.len())];
        let mut bytes = Some(whole.bytes_of(name));
        for _ in 0..=script.below(EDITS_MOST) {
            if let Some(known) = &mut bytes {
                bytes = damaged(std::mem::take(known), script);
            }
        }
        let found = whole.with(name, bytes);
        look_at(&found);
        let Ok(opened) = open(&found) else { return false };
        never_silently_less(&all, &opened.stored, name);
        self.goes_on(found, opened, name);
        true
    }

    /// The power fails, and whatever is found is damaged, exchanged and forged: a start does not panic.
    fn anything(&self, script: &mut Script<'_>) {
        let at = self.some_moment(script);
        let mut found = self.disk.crash(at, survivors(script));
        let mut forged = false;
        for _ in 0..=script.below(EDITS_MOST) {
            let names = names(&found);
            if names.is_empty() {
                break;
            }
            let (name, other) = (&names[script.below(names.len())], &names[script.below(names.len())]);
            let mut bytes = found.bytes_of(name);
            found = match script.below(4) {
                0 => found.with(name, damaged(bytes, script)),
                1 => found.with(name, Some(found.bytes_of(other))),
                2 => {
                    let source = found.bytes_of(other);
                    let (from, to) = (script.place(source.len() / 8) * 8, script.place(bytes.len() / 8) * 8);
                    let length = script.place(4096).min(source.len() - from).min(bytes.len() - to);
                    bytes[to..to + length].copy_from_slice(&source[from..from + length]);
                    found.with(name, Some(bytes))
                }
                _ => {
                    forged = true;
                    let (at, field, value) = (script.below(8), script.byte(), script.number());
                    let length = script.below(200);
                    let payload = script.bytes(length).to_vec();
                    forge(name, &mut bytes, (&identity(), INSTANCE), &Forgery { at, field, value, payload });
                    found.with(name, Some(bytes))
                }
            };
        }
        look_at(&found);
        let Ok(opened) = open(&found) else { return };
        if !forged {
            self.nothing_else(&opened.stored, "files of another time");
        }
        drop(opened.wal);
        let again = open(&found).unwrap_or_else(|error| panic!("the second start: {error}"));
        never_surer(&opened.stored, &again.stored);
    }

    /// What was found is found again, whatever happens at once, and is the beginning of the next life.
    fn goes_on(&mut self, found: Memory, opened: Opened, what: &str) {
        self.nothing_else(&opened.stored, what);
        drop(opened.wal);
        let again = open(&found.crash(found.operations(), Survives::Nothing));
        let again = again.unwrap_or_else(|error| panic!("the start after {what}: {error}"));
        assert_eq!(entry_by_entry(&again.stored), entry_by_entry(&opened.stored), "what is found after {what} stays");
        // The journal begins anew: everything in it is durable.
        self.disk = found.crash(found.operations(), Survives::Everything);
        self.found_at = self.disk.operations();
        self.last = opened.stored;
    }

    /// Nobody is given what nobody wrote.
    fn nothing_else(&self, found: &Stored, what: &str) {
        let log = &found.log;
        let head = (log.head().op.0, log.head().hash.0);
        assert!(self.written.contains(&head), "{what}: a head that was never written: {head:?}");
        for entry in log.after(log.base().op) {
            let place = (entry.op().0, entry.hash().0);
            assert!(self.written.contains(&place), "{what}: an entry that was never written: {place:?}");
        }
    }
}

impl Life {
    fn take(&mut self, step: Step, wal: &mut Wal, disk: &Memory) {
        let Some(stored) = self.folds.last() else { return };
        let repaired = matches!(step, Step::Incarnation | Step::View | Step::Replace { .. } | Step::Install { .. });
        let write = if stored.damage.is_none() || repaired { write_of(step, stored) } else { None };
        let done = match (write, step) {
            (Some(write), _) => {
                if !wal.reserve(&write).unwrap_or(false) {
                    return;
                }
                let mut next = stored.clone();
                next.apply(write.clone());
                self.issued.push((disk.operations(), self.folds.len()));
                let id = WriteId(u64::try_from(self.folds.len()).unwrap_or(u64::MAX));
                self.folds.push(next);
                wal.append(id, &write).map(|()| None)
            }
            (None, Step::Mark) => wal.mark().map(|()| None),
            (None, _) => wal.sync(),
        };
        match done {
            Ok(Some(WriteId(id))) => {
                assert!(!self.failed, "write {id} is confirmed by a disk that failed");
                self.confirmed.push((disk.operations(), usize::try_from(id).unwrap_or(usize::MAX)));
            }
            Ok(None) => {}
            Err(_) => self.failed = true,
        }
    }

    /// The writes that must, and those that may be there after so many operations.
    fn bounds(&self, operations: usize) -> (usize, usize) {
        let before = |list: &[(usize, usize)]| list.iter().filter(|(at, _)| *at <= operations).map(|(_, n)| *n).max();
        (before(&self.confirmed).unwrap_or(0), before(&self.issued).unwrap_or(0))
    }
}

fn names(disk: &Memory) -> Vec<String> {
    disk.names().unwrap_or_default()
}

fn survivors(script: &mut Script<'_>) -> Survives {
    match script.byte() {
        0 => Survives::Nothing,
        1 => Survives::Everything,
        seed => Survives::Some(u64::from(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15)),
    }
}

/// A reader by eye does not panic, whatever it sees.
fn look_at(disk: &Memory) {
    let _ = inspect_in(Box::new(disk.clone())).map(Iterator::count);
}

/// One damage to the bytes of a file; `None` when the file is gone.
fn damaged(mut bytes: Vec<u8>, script: &mut Script<'_>) -> Option<Vec<u8>> {
    let code = script.byte();
    let from = script.place(bytes.len().max(1)).min(bytes.len());
    let end = |length: usize| from.saturating_add(length).min(bytes.len());
    match code % 6 {
        0 => {
            if let Some(byte) = bytes.get_mut(from) {
                *byte ^= script.byte().max(1);
            }
        }
        1 => {
            let sector = from / 512 * 512;
            let to = end(script.below(4) * 512 + 512);
            bytes[sector..to].fill(0);
        }
        2 => {
            let to = end(script.place(2048));
            bytes[from..to].fill(code);
        }
        3 => {
            let length = script.below(128);
            let to = end(length);
            let put = script.bytes(to - from);
            bytes[from..from + put.len()].copy_from_slice(put);
        }
        4 => bytes.truncate(from),
        _ => return None,
    }
    Some(bytes)
}

/// Is it this fold? Where something rotted earlier, what the checkpoint holds may not be given again.
fn is_left_of(fold: &Stored, stored: &Stored, rotten: bool) -> bool {
    let mut fold = fold.clone();
    let begins = stored.log.base().op;
    if rotten && fold.checkpoint.as_ref().is_some_and(|checkpoint| begins <= checkpoint.op()) {
        fold.log.cut(begins);
    }
    entry_by_entry(&fold) == entry_by_entry(stored)
}

/// The same with each entry as a run of its own: a repair may write entries in other runs than they came in, and how they
/// lie is not part of what a disk holds.
#[must_use]
pub fn entry_by_entry(stored: &Stored) -> Stored {
    let mut log = Log::new(stored.log.base());
    for entry in stored.log.after(log.base().op) {
        let run = Entries::new(vec![entry.clone()]);
        log.append(run.unwrap_or_else(|error| panic!("one entry is a chain: {error:?}")));
    }
    Stored { log, ..stored.clone() }
}

/// The second start gives the same entries, and says of no more of them that they surely follow each other. Of less it may:
/// the promise record of the first one knows of more replacements than the one that it found.
fn never_surer(first: &Stored, second: &Stored) {
    let promises = |stored: &Stored| (stored.incarnation, stored.view, stored.log_view, stored.clean);
    assert_eq!(promises(first), promises(second), "the second start promises the same");
    assert_eq!(first.checkpoint, second.checkpoint, "the second start begins with the same");
    let parts = |stored: &Stored| {
        let behind = stored.damage.iter().flat_map(|damage| damage.pieces.clone());
        std::iter::once(stored.log.clone()).chain(behind).collect::<Vec<Log>>()
    };
    let entries = |stored: &Stored| -> Vec<_> {
        let all = parts(stored).into_iter();
        all.flat_map(|part| part.after(part.base().op).cloned().collect::<Vec<_>>()).collect()
    };
    assert_eq!(entries(first), entries(second), "the second start gives the same entries");
    let ends = |stored: &Stored| stored.damage.as_ref().is_none_or(|damage| damage.is_end_certain);
    assert!(second.log.op() <= first.log.op() && ends(second) <= ends(first), "{first:?}, then {second:?}");
    assert!(second.damage.is_some() || first.damage.is_none(), "a damage heals by itself");
}

/// What was promised is kept, and a log that is shorter says so.
///
/// # Panics
/// When not.
pub fn never_silently_less(all: &Stored, found: &Stored, what: &str) {
    let promises = (found.incarnation, found.view, found.log_view) == (all.incarnation, all.view, all.log_view);
    assert!(promises, "{what}: promises: {found:?} of {all:?}");
    assert!(all.clean || !found.clean, "{what}: clean");
    let Some(damage) = &found.damage else {
        assert_eq!(all.damage, None, "{what}: a damage heals by itself");
        assert_eq!(found.log.head(), all.log.head(), "{what}");
        assert_eq!(found.checkpoint, all.checkpoint, "{what}");
        let reaches = found.log.base().op <= found.checkpoint.as_ref().map_or(Op::ZERO, Checkpoint::op);
        assert!(reaches, "{what}: the log begins at or before its checkpoint");
        return;
    };
    assert!(damage.from > found.log.op(), "{what}: the log that is given is whole: {found:?} of {all:?}");
    let end = damage.pieces.last().map(Log::head);
    let knows_it = all.damage.is_some() || end == Some(all.log.head());
    assert!(!damage.is_end_certain || knows_it, "{what}: the end: {damage:?} of {all:?}");
    let nothing = found.log.op() == Op::ZERO && found.checkpoint.is_none();
    let part = all.log.contains(found.log.head()) || all.log.base().op > found.log.op();
    assert!(nothing || part, "{what}: what is given is a part of what was there: {found:?} of {all:?}");
}
