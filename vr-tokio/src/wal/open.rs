//! Opening a log: the fold of what was durable, with what a crash tore cut away and what rotted kept and named.
//!
//! Owns the rule that tells the two apart (in the paragraph "Torn or rotten" of `wal`) and every repair. Must not know
//! how a replica goes on with a damage. PROTOCOL D42, D45, D56, D60.

use super::bytes::wide;
use super::checkpoints::{self, Reference};
use super::error::{Finding, FindingKind, WalError, WalErrorKind};
use super::files::Files;
use super::fold::{Fold, Left, Lost};
use super::promise::{self, PROMISES, Promise, Vows};
use super::record::{self, Effect, Place};
use super::segment::{self, Found, HEADER_BYTES, Start, What};
use super::space::SPARE;
use super::stamp::{Identity, Stamp};
use super::writer::{Opened, Options, Segment, Wal, virgin};
use bytes::Bytes;
use std::any::Any;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use vr_core::{Checkpoint, Instance, Log, Op, Stored, genesis};

/// The one who reads: what it knows of the files, and how it complains.
pub(super) struct Reader<'a> {
    pub(super) files: &'a dyn Files,
    pub(super) findings: Vec<Finding>,
}

impl Reader<'_> {
    pub(super) fn error(&self, name: &str, offset: u64, kind: WalErrorKind, what: impl Into<String>) -> WalError {
        WalError { file: self.files.path(name), offset, kind, what: what.into(), source: None }
    }

    pub(super) fn io<T>(&self, name: &str, done: io::Result<T>) -> Result<T, WalError> {
        done.map_err(|source| WalError {
            file: self.files.path(name),
            offset: 0,
            kind: WalErrorKind::Io,
            what: source.to_string(),
            source: Some(source),
        })
    }

    fn find(&mut self, name: &str, offset: usize, kind: FindingKind, what: impl Into<String>) {
        let file = self.files.path(name);
        self.findings.push(Finding { file, offset: wide(offset), kind, what: what.into() });
    }

    fn lock(&self) -> Result<Box<dyn Any + Send>, WalError> {
        let lock = self.io("lock", self.files.lock())?;
        lock.ok_or_else(|| self.error("", 0, WalErrorKind::Locked, "another process has this directory open"))
    }

    /// The promise record of a directory that was formatted.
    pub(super) fn vows(&self, names: &[String]) -> Result<Vows, WalError> {
        if names.is_empty() {
            return Err(self.error("", 0, WalErrorKind::NotFormatted, "there is no log here"));
        }
        if !names.iter().any(|name| name == PROMISES) {
            let what = "there are files and no promise record: a format that did not end (then empty the directory and \
                        format it again), or a file that was lost";
            return Err(self.error(PROMISES, 0, WalErrorKind::Missing, what));
        }
        let bytes = self.io(PROMISES, self.files.read(PROMISES))?;
        promise::read(&bytes).map_err(|(offset, kind, what)| self.error(PROMISES, offset, kind, what))
    }

    /// The segments that are needed, oldest first.
    pub(super) fn segments(&self, names: &[String], vows: &Vows) -> Result<Vec<u64>, WalError> {
        let present: Vec<u64> = names.iter().filter_map(|name| segment::number_in(name)).collect();
        let oldest = vows.newest.first_segment;
        let needed: Vec<u64> = present.into_iter().filter(|number| *number >= oldest).collect();
        // The slot that does not check may have said that more of them can go.
        let from = if vows.bad_slot.is_some() { needed.first().copied().unwrap_or(oldest) } else { oldest };
        let count = needed.len().max(1);
        for (number, expected) in (from..).take(count).enumerate() {
            if needed.get(number) != Some(&expected) {
                return Err(self.error(&segment::name(expected), 0, WalErrorKind::Missing, "this segment is gone"));
            }
        }
        Ok(needed)
    }

    /// A segment's bytes and its header.
    pub(super) fn segment(&mut self, number: u64, stamp: &Stamp) -> Result<(Vec<u8>, Start), WalError> {
        let name = segment::name(number);
        let mut bytes = self.io(&name, self.files.read(&name))?;
        bytes.resize(bytes.len().max(HEADER_BYTES), 0);
        let (found, start, both) = Start::read(&bytes).map_err(|(kind, what)| self.error(&name, 0, kind, what))?;
        if found != *stamp {
            return Err(self.error(
                &name,
                0,
                WalErrorKind::Foreign,
                "it belongs to another disk than the promise record",
            ));
        }
        if start.segment != number {
            let what = format!("this is segment {}, under another name", start.segment);
            return Err(self.error(&name, 0, WalErrorKind::Foreign, what));
        }
        if !both {
            self.find(&name, 0, FindingKind::Copy, "one of the two headers does not check");
        }
        Ok((bytes, start))
    }
}

/// What reading all segments gave.
struct Read {
    fold: Fold,
    /// Where the next record stands.
    place: Place,
    segments: VecDeque<Segment>,
    /// The last segment: where its records end, and from where on it was torn.
    end: usize,
    /// What the sums in it start from.
    seed: u64,
    torn: bool,
    /// Something that was confirmed is lost in the last segment.
    rotten_end: bool,
    /// Or anywhere since the last segment that was begun because of that.
    rotten: bool,
}

impl Wal {
    /// Makes the log of a replica that never ran: an explicit step of the operator (PROTOCOL D60).
    ///
    /// # Errors
    /// When the directory is not empty, or the disk fails.
    pub fn format_in(files: &dyn Files, identity: &Identity, options: &Options) -> Result<Instance, WalError> {
        let reader = Reader { files, findings: Vec::new() };
        reader.io("", files.create_dir())?;
        let _lock = reader.lock()?;
        if let Some(name) = reader.io("", files.names())?.first() {
            return Err(reader.error(name, 0, WalErrorKind::NotEmpty, "the directory is not empty"));
        }
        let mut instance = [0; 16];
        let drawn = getrandom::fill(&mut instance).map_err(|error| io::Error::other(error.to_string()));
        reader.io("", drawn)?;
        let stamp = Stamp::new(identity, Instance(u128::from_le_bytes(instance)));
        reader.io("", make(files, &stamp, options))?;
        Ok(stamp.instance)
    }

    /// Opens the log of a replica that was formatted.
    ///
    /// # Errors
    /// When it is not sure what was promised, or whose log it is, or the disk fails.
    pub fn open_in(files: Arc<dyn Files>, identity: &Identity, options: Options) -> Result<Opened, WalError> {
        let mut reader = Reader { files: &*files, findings: Vec::new() };
        if reader.io("", files.names())?.is_empty() {
            return Err(reader.error("", 0, WalErrorKind::NotFormatted, "there is no log here"));
        }
        let lock = reader.lock()?;
        let names = reader.io("", files.names())?;
        let vows = reader.vows(&names)?;
        vows.stamp.check(identity).map_err(|(kind, what)| reader.error(PROMISES, 0, kind, what))?;
        let read = read_all(&mut reader, &names, &vows)?;
        if let Some(offset) = vows.bad_slot {
            if read.rotten || read.torn {
                let what =
                    "one of the two promise records does not check, and the log that would replace it is damaged";
                return Err(reader.error(PROMISES, offset, WalErrorKind::Promises, what));
            }
            let at = usize::try_from(offset).unwrap_or(0);
            reader.find(PROMISES, at, FindingKind::Copy, "one of the two promise records does not check");
        }
        let findings = reader.findings;
        let opened = repair(Arc::clone(&files), &names, &vows, read, options, lock, findings);
        Reader { files: &*files, findings: Vec::new() }.io("", opened)
    }
}

/// The files of a new log; the promise record comes last and makes it one.
pub(super) fn make(files: &dyn Files, stamp: &Stamp, options: &Options) -> io::Result<()> {
    let start = Start {
        segment: 1,
        first: 1,
        chain: 0,
        incarnation: vr_core::Incarnation::ZERO,
        view: vr_core::View::ZERO,
        log_view: vr_core::View::ZERO,
        base: vr_core::Head { op: Op::ZERO, hash: genesis(stamp.cluster) },
        head: vr_core::Head { op: Op::ZERO, hash: genesis(stamp.cluster) },
        lost_from: Op::ZERO,
        flags: Start::flags(false, false, false),
        checkpoint: Reference::default(),
    };
    let mut file = files.create("log.new")?;
    file.allocate(options.segment_bytes.max(wide(HEADER_BYTES)))?;
    file.write_at(0, &start.encode(stamp))?;
    file.sync()?;
    files.rename("log.new", &segment::name(1))?;
    let mut file = files.create("promises.new")?;
    for sequence in [0, 1] {
        let promise = virgin(sequence);
        file.write_at(promise.offset(), &promise.encode(stamp))?;
    }
    file.sync()?;
    files.sync_dir()?;
    files.rename("promises.new", PROMISES)?;
    files.sync_dir()
}

fn read_all(reader: &mut Reader<'_>, names: &[String], vows: &Vows) -> Result<Read, WalError> {
    let numbers = reader.segments(names, vows)?;
    let mut read: Option<Read> = None;
    let mut next = None;
    for (index, number) in numbers.iter().enumerate() {
        let (bytes, start) = match next.take() {
            Some(ready) => ready,
            None => reader.segment(*number, &vows.stamp)?,
        };
        let following = numbers.get(index + 1);
        if let Some(following) = following {
            next = Some(reader.segment(*following, &vows.stamp)?);
        }
        let end = next.as_ref().map(|(_, start)| start.first);
        let mut so_far = read.take().unwrap_or_else(|| Read::new(&start, &vows.newest));
        so_far.segment(reader, vows, (&bytes, &start), end)?;
        read = Some(so_far);
    }
    read.ok_or_else(|| reader.error("", 0, WalErrorKind::Missing, "there is no segment"))
}

impl Read {
    fn new(start: &Start, promise: &Promise) -> Self {
        Self {
            fold: Fold::new(start, promise),
            place: Place { number: 0, chain: 0, confirmed: 0 },
            segments: VecDeque::new(),
            end: 0,
            seed: 0,
            torn: false,
            rotten_end: false,
            rotten: false,
        }
    }

    /// Adds a segment. `end` is the first record of the next one, if there is a next one: then everything in this one
    /// was confirmed.
    fn segment(
        &mut self,
        reader: &mut Reader<'_>,
        vows: &Vows,
        (bytes, start): (&[u8], &Start),
        end: Option<u64>,
    ) -> Result<(), WalError> {
        let name = segment::name(start.segment);
        let seed = vows.stamp.seed(start.segment);
        self.seed = seed;
        let mut found = segment::scan(bytes, seed, start, end);
        let confirmed = confirmed_through(&found, vows.newest.confirmed, start, end);
        self.segments.push_back(Segment {
            number: start.segment,
            bytes: wide(bytes.len()),
            first: start.first,
            head: start.head.op,
            low: Op(u64::MAX),
        });
        let begun = self.fold.begin(start);
        begun.map_err(|what| reader.error(&name, 0, WalErrorKind::Inconsistent, what))?;
        (self.rotten_end, self.torn) = (false, false);
        self.rotten &= !start.is_behind_damage();
        if let Some(torn) = found.iter().position(|found| is_torn(found, confirmed)) {
            self.torn = true;
            reader.find(&name, found[torn].offset, FindingKind::Torn, "a write that was never confirmed; removed");
            found.truncate(torn);
        }
        (self.place.number, self.place.chain) = (start.first.saturating_sub(1), start.chain);
        self.end = HEADER_BYTES;
        for item in &found {
            self.record(reader, &name, bytes, item, &found)?;
        }
        if self.place.number < confirmed {
            let (first, last) = (self.place.number.saturating_add(1), confirmed);
            self.lost(
                reader,
                &name,
                self.end,
                Lost::Unknown { first, last },
                format!("records {first} to {last} are gone"),
            );
        }
        self.place.number = self.place.number.max(confirmed);
        Ok(())
    }

    fn record(
        &mut self,
        reader: &mut Reader<'_>,
        name: &str,
        bytes: &[u8],
        item: &Found,
        all: &[Found],
    ) -> Result<(), WalError> {
        match item.what {
            What::Whole(head) => {
                let payload = bytes.get(item.offset..).and_then(|record| record.get(head.payload())).unwrap_or(&[]);
                let effect = record::decode(&head, &Bytes::copy_from_slice(payload));
                let refused = |what: String| reader.error(name, wide(item.offset), WalErrorKind::Inconsistent, what);
                let Some(effect) = effect else {
                    return Err(refused("the sums of this record hold and its content is no write".to_owned()));
                };
                if let Effect::Replace { keep, .. } | Effect::Repair { keep, .. } = &effect {
                    self.segments.iter_mut().for_each(|segment| segment.low = segment.low.min(*keep));
                }
                self.fold.apply(head.number, effect).map_err(refused)?;
                (self.place.number, self.place.chain) = (head.number, head.sum);
            }
            What::Spoilt { head, .. } => {
                let what = format!("record {} ({:?}) was confirmed and does not check", head.number, head.kind);
                self.lost(reader, name, item.offset, Lost::Known(head), what);
                (self.place.number, self.place.chain) = (head.number, head.sum);
            }
            What::Garbage { number, .. } => {
                if let Some(what) = bytes.get(item.offset..).and_then(|rest| record::of_later_version(rest, self.seed))
                {
                    return Err(reader.error(name, wide(item.offset), WalErrorKind::Version, what));
                }
                let next = all.iter().map(Found::number).find(|other| *other > number);
                let last = next.map_or(number, |next| next.saturating_sub(1));
                let what = format!("record {number} was confirmed and does not check");
                self.lost(reader, name, item.offset, Lost::Unknown { first: number, last }, what);
                self.place.number = last;
            }
        }
        self.end = item.offset.saturating_add(item.bytes);
        Ok(())
    }

    fn lost(&mut self, reader: &mut Reader<'_>, name: &str, offset: usize, lost: Lost, what: String) {
        reader.find(name, offset, FindingKind::Rot, what);
        self.fold.lose(lost);
        // It may have replaced anything: no fold begins before it.
        self.segments.iter_mut().for_each(|segment| segment.low = Op::ZERO);
        (self.rotten, self.rotten_end) = (true, true);
    }
}

/// Every record up to this one was durable before the crash, by the word of any that says so.
pub(super) fn confirmed_through(found: &[Found], promised: u64, start: &Start, end: Option<u64>) -> u64 {
    let before = start.first.saturating_sub(1);
    if let Some(end) = end {
        return end.saturating_sub(1).max(before);
    }
    let said = found.iter().map(|found| match &found.what {
        What::Whole(head) | What::Spoilt { head, .. } => head.confirmed,
        What::Garbage { .. } => 0,
    });
    said.fold(before.max(promised), u64::max)
}

/// Does a crash explain it?
pub(super) fn is_torn(found: &Found, confirmed: u64) -> bool {
    match &found.what {
        What::Whole(_) => false,
        What::Spoilt { head, written } => head.number > confirmed && !written,
        What::Garbage { number, written } => *number > confirmed && !written,
    }
}

/// Makes the files what the log says they are, and everything in them durable.
fn repair(
    files: Arc<dyn Files>,
    names: &[String],
    vows: &Vows,
    mut read: Read,
    options: Options,
    lock: Box<dyn Any + Send>,
    mut findings: Vec<Finding>,
) -> io::Result<Opened> {
    let current = *read.segments.back().ok_or(io::ErrorKind::NotFound)?;
    let mut file = files.open(&segment::name(current.number))?;
    if read.torn && !read.rotten_end {
        file.truncate(wide(read.end))?;
        file.sync()?;
        file.allocate(current.bytes)?;
    }
    file.sync()?;
    remove_what_is_left(&*files, names, vows)?;
    let said = read.fold.known();
    let stored = stored(&*files, vows, &mut read, &mut findings)?;
    let log = stored.log.clone();
    let mut promise = vows.newest;
    promise.checkpoint = stored.checkpoint.as_ref().map_or_else(Reference::default, Reference::of);
    (promise.incarnation, promise.view, promise.log_view) = (stored.incarnation, stored.view, stored.log_view);
    (promise.replaced_by, promise.kept) = (read.fold.replaced_by.max(promise.replaced_by), read.fold.kept);
    promise.first_segment = read.segments.front().map_or(promise.first_segment, |oldest| oldest.number);
    let known = promise.checkpoint;
    let size_of = |name: &String| if *name == known.name() { known.file_bytes() } else { 0 };
    let mut wal = Wal {
        promises: files.open(PROMISES)?,
        ahead: super::ahead::Ahead::new(&files, vows.stamp),
        files,
        options,
        stamp: vows.stamp,
        segments: read.segments,
        file,
        offset: wide(read.end),
        spare: None,
        draft: None,
        checkpoints: names
            .iter()
            .filter(|name| checkpoints::is_name(name))
            .map(|name| (name.clone(), size_of(name)))
            .collect(),
        cut_is_due: false,
        promise,
        promise_is_due: false,
        vowed: promise,
        newest: stored.checkpoint.clone(),
        buffer: Vec::new(),
        place: Place { confirmed: read.place.number, ..read.place },
        log,
        lost_from: stored.damage.as_ref().map_or(Op::ZERO, |damage| damage.from),
        is_end_certain: stored.damage.as_ref().is_some_and(|damage| damage.is_end_certain),
        clean: stored.clean,
        is_behind_damage: false,
        last: None,
        failed: false,
        _lock: lock,
    };
    go_on(&mut wal, vows.is_old, read.rotten, said)?;
    Ok(Opened { wal, stored, findings })
}

/// Says in the promise record what was found, and goes on behind what is damaged. `said`: the damage that the log goes on
/// with already.
fn go_on(wal: &mut Wal, is_old: bool, is_rotten: bool, said: Option<(Op, bool)>) -> io::Result<()> {
    wal.write_promise()?;
    if is_old {
        // Both say so: an earlier version refuses what it would misread.
        wal.write_promise()?;
    }
    // What is damaged is left alone: the log goes on in another file, which says what was known to be lost. A damage of
    // which the last header speaks may have been repaired since, and be there again.
    let is_damaged = wal.lost_from != Op::ZERO;
    if is_rotten || is_damaged.then_some((wal.lost_from, wal.is_end_certain)) != said {
        wal.is_behind_damage = true;
        let bytes = wal.options.segment_bytes.max(wide(HEADER_BYTES));
        if !wal.prepare_spare(bytes)? {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "no space for another segment"));
        }
        wal.next_segment()?;
        wal.write_promise()?;
    }
    Ok(())
}

/// What was durable, with the checkpoint it begins from.
fn stored(files: &dyn Files, vows: &Vows, read: &mut Read, findings: &mut Vec<Finding>) -> io::Result<Stored> {
    let reference = read.fold.newest_checkpoint(&vows.newest);
    let name = reference.name();
    let checkpoint = reference.some().map(|reference| reference.read(files, &name, &vows.stamp)).transpose()?;
    let checkpoint = match checkpoint {
        Some(Err(what)) => {
            let (file, what) = (files.path(&name), format!("the checkpoint is lost, and with it the log: {what}"));
            findings.push(Finding { file, offset: 0, kind: FindingKind::Rot, what });
            None
        }
        Some(Ok(checkpoint)) => Some(Some(checkpoint)),
        None => Some(None),
    };
    let head = checkpoint.as_ref().map(|known| known.as_ref().map(Checkpoint::head));
    let Left { log, damage } = read.fold.finish(&vows.newest, head);
    // Without the state that the log follows, no part of it is of use.
    let nothing = || Log::new(vr_core::Head { op: Op::ZERO, hash: genesis(vows.stamp.cluster) });
    let checkpoint = checkpoint.flatten().filter(|_| log.is_some());
    Ok(Stored {
        incarnation: read.fold.incarnation,
        epoch: read.fold.view.epoch(),
        view: read.fold.view,
        log_view: read.fold.log_view,
        log: log.unwrap_or_else(nothing),
        clean: read.fold.clean && damage.is_none(),
        damage,
        checkpoint,
        ..Stored::format(vows.stamp.cluster, vows.stamp.config, vows.stamp.id, vows.stamp.instance)
    })
}

/// Removes what an earlier life began and did not need in the end.
fn remove_what_is_left(files: &dyn Files, names: &[String], vows: &Vows) -> io::Result<()> {
    let needed = |name: &String| {
        let oldest = vows.newest.first_segment;
        name == PROMISES || segment::number_in(name).is_some_and(|number| number >= oldest)
    };
    for name in names.iter().filter(|name| !needed(name) && is_ours(name)) {
        files.remove(name)?;
    }
    files.sync_dir()
}

/// Did this library make a file of that name?
fn is_ours(name: &str) -> bool {
    name == SPARE || name.ends_with(".new") || segment::number_in(name).is_some()
}
