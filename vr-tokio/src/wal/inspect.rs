//! Reading a log without owning it: record by record, a damaged one too, changing nothing.
//!
//! Owns what is shown of a record. Must not know how it is printed. Takes no lock: of a log that is being written, the
//! end may look torn. DESIGN 9.23.

use super::bytes::wide;
use super::error::WalError;
use super::files::{Directory, Files};
use super::open::{Reader, confirmed_through, is_torn};
use super::promise::Promise;
use super::record::{self, Effect, Head, Kind};
use super::segment::{self, Found, Start, What};
use super::stamp::Stamp;
use bytes::Bytes;
use serde::Serialize;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use vr_core::{ClusterId, Entries, Hash, Incarnation, Instance, Op, ReplicaId, View};

/// Looks at the log in a directory.
///
/// # Errors
/// When it is no log, or its promises cannot be read.
pub fn inspect(dir: &Path) -> Result<Inspection, WalError> {
    inspect_in(Box::new(Directory::new(dir)))
}

/// As [`inspect`], of any files.
///
/// # Errors
/// When it is no log, or its promises cannot be read.
pub fn inspect_in(files: Box<dyn Files>) -> Result<Inspection, WalError> {
    let reader = Reader { files: &*files, findings: Vec::new() };
    let names = reader.io("", files.names())?;
    let vows = reader.vows(&names)?;
    let mut segments: Vec<u64> = names.iter().filter_map(|name| segment::number_in(name)).collect();
    segments.retain(|number| vows.bad_slot.is_some() || *number >= vows.newest.first_segment);
    let promise = vows.newest;
    let checkpoint = promise.checkpoint.some().map(|reference| {
        let whole = reference.read(&*files, &reference.name(), &vows.stamp);
        (reference.head.op, whole.is_ok_and(|found| found.is_ok()))
    });
    let records = VecDeque::new();
    Ok(Inspection { files, stamp: vows.stamp, promise, bad_slot: vows.bad_slot, checkpoint, segments, at: 0, records })
}

/// A log that is being read; as an iterator, its records, oldest first.
pub struct Inspection {
    files: Box<dyn Files>,
    stamp: Stamp,
    promise: Promise,
    bad_slot: Option<u64>,
    checkpoint: Option<(Op, bool)>,
    segments: Vec<u64>,
    at: usize,
    records: VecDeque<Record>,
}

/// One record, or the place of one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Record {
    /// In which file.
    pub file: PathBuf,
    /// Where in it.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
    /// The number of the record.
    pub number: u64,
    /// What it is, if that can be read.
    pub kind: Option<Kind>,
    /// The ops it brings, replaces or speaks of: from and to.
    pub ops: Option<(Op, Op)>,
    /// The view it speaks of.
    pub view: Option<View>,
    /// The incarnation that begins.
    pub incarnation: Option<Incarnation>,
    /// What became of it.
    pub state: RecordState,
    /// What it brings.
    #[serde(skip)]
    pub entries: Entries,
}

/// What became of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RecordState {
    /// Everything checks.
    Ok,
    /// It was never confirmed, and the next start will remove it.
    Torn,
    /// It was confirmed and does not check any more, or is gone.
    Rotten,
    /// Its sums hold and its content is not what this library writes.
    Foreign,
}

impl Inspection {
    /// The cluster it belongs to.
    #[must_use]
    pub const fn cluster(&self) -> ClusterId {
        self.stamp.cluster
    }

    /// The digest of the configuration it was formatted with.
    #[must_use]
    pub const fn config(&self) -> Hash {
        self.stamp.config
    }

    /// The replica it belongs to.
    #[must_use]
    pub const fn id(&self) -> ReplicaId {
        self.stamp.id
    }

    /// The disk.
    #[must_use]
    pub const fn instance(&self) -> Instance {
        self.stamp.instance
    }

    /// Incarnation, view and log_view, as the promise record has them.
    #[must_use]
    pub const fn promises(&self) -> (Incarnation, View, View) {
        (self.promise.incarnation, self.promise.view, self.promise.log_view)
    }

    /// Is one of the two promise records bad?
    #[must_use]
    pub const fn lacks_a_promise_record(&self) -> bool {
        self.bad_slot.is_some()
    }

    /// The newest checkpoint, and whether its file is whole.
    #[must_use]
    pub const fn checkpoint(&self) -> Option<(Op, bool)> {
        self.checkpoint
    }

    fn load(&mut self, number: u64) -> Result<(), WalError> {
        let mut reader = Reader { files: &*self.files, findings: Vec::new() };
        let (bytes, start) = reader.segment(number, &self.stamp)?;
        let following = self.segments.get(self.at).copied();
        let end = match following {
            Some(following) => Some(reader.segment(following, &self.stamp)?.1.first),
            None => None,
        };
        let seed = self.stamp.seed(number);
        let found = segment::scan(&bytes, seed, &start, end);
        let confirmed = confirmed_through(&found, self.promise.confirmed, &start, end);
        let torn = found.iter().position(|item| is_torn(item, confirmed)).unwrap_or(found.len());
        let file = self.files.path(&segment::name(number));
        for (index, item) in found.iter().enumerate() {
            self.records.push_back(shown(&file, (&bytes, seed), item, index >= torn));
        }
        self.gone(&file, &found[..torn], &start, confirmed);
        Ok(())
    }

    /// Records that something says were there, and nothing is there.
    fn gone(&mut self, file: &Path, found: &[Found], start: &Start, confirmed: u64) {
        let last = found.last().map_or(start.first.saturating_sub(1), Found::number);
        if last < confirmed {
            let offset = found.last().map_or(segment::HEADER_BYTES, |item| item.offset + item.bytes);
            let empty = blank(file, wide(offset), 0, last.saturating_add(1), RecordState::Rotten);
            self.records.push_back(empty);
        }
    }
}

impl Iterator for Inspection {
    type Item = Result<Record, WalError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.records.is_empty() {
            let number = *self.segments.get(self.at)?;
            self.at += 1;
            if let Err(error) = self.load(number) {
                return Some(Err(error));
            }
        }
        self.records.pop_front().map(Ok)
    }
}

fn blank(file: &Path, offset: u64, length: u64, number: u64, state: RecordState) -> Record {
    let file = file.to_owned();
    let (kind, ops, view, incarnation) = (None, None, None, None);
    Record { file, offset, length, number, kind, ops, view, incarnation, state, entries: Entries::empty() }
}

fn shown(file: &Path, (bytes, seed): (&[u8], u64), item: &Found, torn: bool) -> Record {
    let broken = if torn { RecordState::Torn } else { RecordState::Rotten };
    let (offset, length) = (wide(item.offset), wide(item.bytes));
    match &item.what {
        What::Garbage { number, .. } => {
            let later = bytes.get(item.offset..).and_then(|rest| record::of_later_version(rest, seed)).is_some();
            blank(file, offset, length, *number, if later { RecordState::Foreign } else { broken })
        }
        What::Spoilt { head, .. } => told(blank(file, offset, length, head.number, broken), head),
        What::Whole(head) => {
            let payload = bytes.get(item.offset..).and_then(|record| record.get(head.payload())).unwrap_or(&[]);
            let state = if torn { RecordState::Torn } else { RecordState::Ok };
            let mut record = told(blank(file, offset, length, head.number, state), head);
            match record::decode(head, &Bytes::copy_from_slice(payload)) {
                Some(
                    Effect::Append(entries)
                    | Effect::Replace { entries, .. }
                    | Effect::Repair { entries, .. }
                    | Effect::Install { entries, .. },
                ) => {
                    record.entries = entries;
                }
                Some(
                    Effect::Incarnation(_)
                    | Effect::View(_)
                    | Effect::Clean
                    | Effect::Checkpoint(_)
                    | Effect::Cut { .. },
                ) => {}
                None => record.state = RecordState::Foreign,
            }
            record
        }
    }
}

/// What the head of a record says.
fn told(mut record: Record, head: &Head) -> Record {
    record.kind = Some(head.kind);
    match head.kind {
        Kind::Incarnation => record.incarnation = Some(Incarnation(head.from)),
        Kind::View => record.view = Some(View(head.view)),
        Kind::Append | Kind::Cut | Kind::Checkpoint | Kind::Repair => record.ops = Some((Op(head.from), Op(head.to))),
        Kind::Replace | Kind::Install => {
            (record.ops, record.view) = (Some((Op(head.from), Op(head.to))), Some(View(head.view)));
        }
        Kind::Clean => {}
    }
    record
}
