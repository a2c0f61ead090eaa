//! Scrub: what was confirmed is read again while the log is in use, and what rotted is written again from memory.
//!
//! Owns what is checked, with the very code that opens a log, and how each thing is made whole: a record by the part of
//! the log that it brought, written once more as a repair; a header, a promise slot, a checkpoint in its place. Must not
//! know when it is time, nor who waits. Nothing that was promised changes. PROTOCOL D56; DESIGN 9.6.

use super::bytes::{narrow, wide};
use super::checkpoints::{self, Reference};
use super::files::Files;
use super::promise::{PROMISES, Promise, SLOT_BYTES};
use super::record::{self, Head, Kind};
use super::segment::{self, COPY_BYTES, HEADER_BYTES, Start, What};
use super::stamp::Stamp;
use super::writer::Wal;
use std::io;
use std::sync::Arc;
use vr_core::{Checkpoint, Entries, Op, Write};

/// So much is read at once.
const PIECE_BYTES: usize = 256 << 10;

/// What there is to check, as it was at one moment.
pub(crate) struct Survey {
    files: Arc<dyn Files>,
    stamp: Stamp,
    segments: Vec<Part>,
    checkpoint: Option<Checkpoint>,
}

/// The confirmed part of a segment.
struct Part {
    number: u64,
    bytes: u64,
    /// The first record that is not in it.
    end: u64,
}

/// Something that does not check.
#[derive(Clone, Debug)]
pub(crate) struct Rot {
    pub(crate) file: String,
    pub(crate) offset: u64,
    pub(crate) rotten: Rotten,
    pub(crate) what: String,
}

/// What it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rotten {
    /// A record; of the log it holds what follows `keep`, up to `to`, if it concerns the log.
    Record { number: u64, brings: Option<(Op, Op)> },
    /// A copy of the header of a segment.
    Header,
    /// A promise slot: it was rewritten already.
    Promise,
    /// The checkpoint.
    Checkpoint(Reference),
    /// The disk does not give it back.
    Unreadable,
}

impl Rotten {
    /// Does it stay where it is, although something else holds what was in it?
    pub(crate) const fn stays(self) -> bool {
        matches!(self, Self::Record { .. })
    }

    /// For counting.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Record { .. } => "record",
            Self::Header => "header",
            Self::Promise => "promise",
            Self::Checkpoint(_) => "checkpoint",
            Self::Unreadable => "unreadable",
        }
    }
}

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Healed {
    /// The next start finds all of it.
    Repaired,
    /// Nothing that is needed is lost.
    NotMissed,
    /// It was given up while it was read, and may be gone.
    GivenUp,
    /// Why not.
    Not(&'static str),
}

impl Survey {
    /// How many bytes there are to read.
    pub(crate) fn bytes(&self) -> u64 {
        let checkpoint = self.checkpoint.as_ref().map_or(0, checkpoints::file_bytes);
        self.segments.iter().map(|part| part.bytes).fold(checkpoint, u64::saturating_add)
    }

    /// Reads everything and tells what does not check. `pace` is told of each piece that was read; false: no more.
    pub(crate) fn check(&self, pace: &mut dyn FnMut(u64) -> bool, found: &mut dyn FnMut(Rot)) {
        for part in &self.segments {
            let name = segment::name(part.number);
            match self.read(&name, part.bytes, pace) {
                Ok(Some(bytes)) => self.check_segment(&name, &bytes, part, &mut |rot| {
                    if self.has(&name) {
                        found(rot);
                    }
                }),
                Ok(None) => return,
                Err(error) => unreadable(name, &error, found),
            }
        }
        if let Some(checkpoint) = &self.checkpoint {
            self.check_checkpoint(checkpoint, pace, found);
        }
    }

    /// Is it there? The space of what was given up goes after its name: read meanwhile, it does not check.
    fn has(&self, name: &str) -> bool {
        !self.files.read_part(name, 0, 1).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// `None` when there is no more time for it.
    fn read(&self, name: &str, bytes: u64, pace: &mut dyn FnMut(u64) -> bool) -> io::Result<Option<Vec<u8>>> {
        let (mut all, bytes) = (Vec::new(), narrow(bytes));
        while all.len() < bytes {
            let piece = self.files.read_part(name, wide(all.len()), PIECE_BYTES.min(bytes - all.len()))?;
            if piece.is_empty() {
                break;
            }
            all.extend_from_slice(&piece);
            if !pace(wide(piece.len())) {
                return Ok(None);
            }
        }
        all.resize(all.len().max(HEADER_BYTES), 0);
        Ok(Some(all))
    }

    fn check_segment(&self, name: &str, bytes: &[u8], part: &Part, found: &mut dyn FnMut(Rot)) {
        let mut tell = |offset: usize, rotten, what: String| {
            found(Rot { file: name.to_owned(), offset: wide(offset), rotten, what });
        };
        let start = match Start::read(bytes) {
            Ok((stamp, start, both)) if stamp == self.stamp && start.segment == part.number => {
                if !both {
                    tell(0, Rotten::Header, "one of the two headers does not check".to_owned());
                }
                start
            }
            Ok(_) => return tell(0, Rotten::Header, "the header is that of another file".to_owned()),
            Err((_, what)) => return tell(0, Rotten::Header, what),
        };
        let (mut next, mut at) = (start.first, HEADER_BYTES);
        for item in segment::scan(bytes, self.stamp.seed(part.number), &start, Some(part.end)) {
            let (number, brings) = match item.what {
                What::Whole(head) => {
                    (next, at) = (head.number.saturating_add(1), item.offset.saturating_add(item.bytes));
                    continue;
                }
                What::Spoilt { head, .. } => (head.number, brought(&head)),
                What::Garbage { number, .. } => (number, Some((Op::ZERO, Op(u64::MAX)))),
            };
            (next, at) = (number.saturating_add(1), item.offset.saturating_add(item.bytes));
            let what = format!("record {number} was confirmed and does not check");
            tell(item.offset, Rotten::Record { number, brings }, what);
        }
        if next < part.end {
            let (number, brings) = (part.end.saturating_sub(1), Some((Op::ZERO, Op(u64::MAX))));
            tell(at, Rotten::Record { number, brings }, format!("records {next} to {number} are gone"));
        }
    }

    fn check_checkpoint(&self, known: &Checkpoint, pace: &mut dyn FnMut(u64) -> bool, found: &mut dyn FnMut(Rot)) {
        let reference = Reference::of(known);
        let name = reference.name();
        let header = checkpoints::header(&reference, &self.stamp);
        let mut tell = |offset: u64, what: &str| {
            let (file, rotten) = (name.clone(), Rotten::Checkpoint(reference));
            found(Rot { file, offset, rotten, what: what.to_owned() });
        };
        let mut offset = 0;
        while offset < reference.file_bytes() {
            let is_header = offset == 0;
            let expected =
                if is_header { header.clone() } else { known.part(offset - wide(HEADER_BYTES), PIECE_BYTES) };
            match self.files.read_part(&name, offset, expected.len()) {
                Ok(bytes) if bytes == expected => {}
                Ok(_) if self.has(&name) => return tell(offset, "the checkpoint does not check"),
                Ok(_) => return tell(0, "its file is gone"),
                // A newer one has taken its place; the writer knows.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return tell(0, "its file is gone"),
                Err(error) => return unreadable(name, &error, found),
            }
            if expected.is_empty() || !pace(wide(expected.len())) {
                return;
            }
            offset += wide(expected.len());
        }
    }
}

fn unreadable(file: String, error: &io::Error, found: &mut dyn FnMut(Rot)) {
    // What is gone was given up since.
    if error.kind() != io::ErrorKind::NotFound {
        found(Rot { file, offset: 0, rotten: Rotten::Unreadable, what: error.to_string() });
    }
}

/// What of the log a record brings, by its head: what follows the first op, up to the second.
const fn brought(head: &Head) -> Option<(Op, Op)> {
    match head.kind {
        Kind::Append => Some((Op(head.from.saturating_sub(1)), Op(head.to))),
        Kind::Replace | Kind::Repair | Kind::Install => Some((Op(head.from), Op(head.to))),
        Kind::Incarnation | Kind::View | Kind::Clean | Kind::Checkpoint | Kind::Cut => None,
    }
}

impl Wal {
    /// What can be checked now: everything that is confirmed.
    pub(crate) fn survey(&self) -> Survey {
        let ends = self.segments.iter().skip(1).map(|segment| segment.first);
        let ends = ends.chain([self.place.confirmed.saturating_add(1)]);
        let part = |(segment, end): (&super::writer::Segment, u64)| {
            let is_current = segment.number == self.current().number;
            let bytes = if is_current { self.offset } else { segment.bytes };
            Part { number: segment.number, bytes, end }
        };
        let segments = self.segments.iter().zip(ends).map(part).collect();
        let (files, stamp) = (Arc::clone(&self.files), self.stamp);
        Survey { files, stamp, segments, checkpoint: self.newest.clone() }
    }

    /// Makes whole what was found, as far as that is possible and needed; what it writes is durable at the next sync.
    ///
    /// # Errors
    /// When the disk fails: this log must not be used any more.
    pub(crate) fn heal(&mut self, rot: &Rot) -> io::Result<Healed> {
        self.usable()?;
        let done = match rot.rotten {
            Rotten::Record { brings: None, .. } | Rotten::Promise => Ok(Healed::NotMissed),
            Rotten::Record { number, brings: Some((keep, to)) } => self.heal_record(number, keep, to),
            Rotten::Header => self.heal_header(&rot.file),
            Rotten::Checkpoint(reference) => self.heal_checkpoint(reference),
            Rotten::Unreadable => Ok(Healed::Not("what the disk does not give back is not known to be lost")),
        };
        self.failed |= done.is_err();
        done
    }

    fn heal_record(&mut self, number: u64, keep: Op, to: Op) -> io::Result<Healed> {
        let base = self.log.base().op;
        let keep = keep.max(base);
        let is_superseded = self.promise.replaced_by > number && self.promise.kept <= keep;
        if to <= base || self.log.is_empty() || is_superseded {
            return Ok(Healed::NotMissed);
        }
        if self.lost_from != Op::ZERO {
            return Ok(Healed::Not("the log is damaged already, and the group repairs it"));
        }
        if self.clean {
            return Ok(Healed::Not("the node is stopping"));
        }
        // It brings an entry, by which its place is proven.
        self.write_again(keep.min(self.log.op().previous()), record::LONGEST)
    }

    /// The log after `keep` once more, as one record that is no longer than that: what follows a part of it could not be told
    /// from what it replaces.
    fn write_again(&mut self, keep: Op, longest: u64) -> io::Result<Healed> {
        let entries = Entries::new(self.log.after(keep).cloned().collect());
        let write = Write::Repair { keep, entries: entries.expect("what follows an op in a log is one chain") };
        if record::bound(&write) > longest {
            return Ok(Healed::Not(
                "the log from there on is longer than one record may be: a start repairs it from peers",
            ));
        }
        if !self.reserve(&write)? {
            return Ok(Healed::Not("there is no space for what it brought"));
        }
        self.try_append(&write)?;
        Ok(Healed::Repaired)
    }

    /// A copy that is whole is written over the one that is not.
    fn heal_header(&self, name: &str) -> io::Result<Healed> {
        let header = match self.files.read_part(name, 0, HEADER_BYTES) {
            Ok(header) => header,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Healed::GivenUp),
            Err(_) => return Ok(Healed::Not("the disk does not give its header back")),
        };
        let Ok((stamp, start, both)) = Start::read(&header) else {
            return Ok(Healed::Not("neither of the two headers checks: this node will not start again"));
        };
        if stamp != self.stamp || segment::name(start.segment) != name {
            return Ok(Healed::Not("the header is that of another file: this node will not start again"));
        }
        if both {
            return Ok(Healed::NotMissed);
        }
        let whole = start.encode(&self.stamp);
        let mut file = self.files.open(name)?;
        for (at, copy) in [(0, &whole[..COPY_BYTES]), (COPY_BYTES, &whole[COPY_BYTES..])] {
            if header.get(at..at + COPY_BYTES) != Some(copy) && !Start::is_whole(&header[at..], &start) {
                file.write_at(wide(at), copy)?;
            }
        }
        file.sync()?;
        Ok(Healed::Repaired)
    }

    fn heal_checkpoint(&mut self, reference: Reference) -> io::Result<Healed> {
        let newest = self.newest.clone().filter(|newest| Reference::of(newest) == reference);
        let Some(newest) = newest else { return Ok(Healed::GivenUp) };
        if !self.prepare_draft(checkpoints::file_bytes(&newest))? {
            return Ok(Healed::Not("there is no space for a copy of the checkpoint"));
        }
        self.write_checkpoint(&newest)?;
        Ok(Healed::Repaired)
    }

    /// Checks both promise slots, which nobody else writes, and rewrites the one that rotted: never the one that did not.
    ///
    /// # Errors
    /// When the disk fails: this log must not be used any more.
    pub(crate) fn check_promises(&mut self) -> io::Result<Option<Rot>> {
        self.usable()?;
        let file = self.files.read_part(PROMISES, 0, 2 * SLOT_BYTES)?;
        let slot = |promise: &Promise| file.get(narrow(promise.offset())..)?.get(..SLOT_BYTES);
        let (newest, other) = (self.vowed, Promise { sequence: self.vowed.sequence.wrapping_add(1), ..self.vowed });
        let told = |promise: &Promise, what: &str| {
            let (file, offset, what) = (PROMISES.to_owned(), promise.offset(), what.to_owned());
            Some(Rot { file, offset, rotten: Rotten::Promise, what })
        };
        let before = newest.sequence.saturating_sub(1);
        if slot(&newest) != Some(&newest.encode(&self.stamp)) {
            let done = self.promises.write_at(newest.offset(), &newest.encode(&self.stamp));
            let done = done.and_then(|()| self.promises.sync());
            self.failed |= done.is_err();
            done?;
            return Ok(told(&newest, "the newer promise record did not check, and was written again"));
        }
        let is_whole = slot(&other).is_some_and(|slot| Promise::is_whole(slot, &self.stamp, before));
        if is_whole {
            return Ok(None);
        }
        let done = self.write_promise();
        self.failed |= done.is_err();
        done?;
        Ok(told(&other, "the older promise record did not check, and a new one took its place"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::Directory;
    use super::super::stamp::Identity;
    use super::super::writer::Options;
    use super::*;
    use bytes::Bytes;
    use vr_core::{
        ClientId, ClusterConfig, ClusterId, Entry, Epoch, Incarnation, Kind as EntryKind, Predicted, ReplicaId,
        Request, RequestNumber, Session, View, WriteId,
    };

    /// A log with an incarnation and an entry, durable.
    fn log(dir: &std::path::Path) -> Wal {
        let identity = Identity { cluster: ClusterConfig::of_size(ClusterId(1), 3), id: ReplicaId(0) };
        Wal::format(dir, &identity, &Options::default()).expect("an empty directory");
        let opened = Wal::open_in(Arc::new(Directory::new(dir)), &identity, Options::default()).expect("just made");
        let mut wal = opened.wal;
        let head = wal.log.head();
        let request = Request {
            client: ClientId(1),
            session: Session(0),
            number: RequestNumber(0),
            kind: EntryKind::Register,
            predicted: Predicted::default(),
            body: Bytes::new(),
        };
        let entry = Entry::new(Epoch(0), View(0), head.op.next(), head.hash, request);
        let writes = [
            Write::Incarnation(Incarnation(1)),
            Write::Append(Entries::new(vec![entry]).expect("one entry is a chain")),
        ];
        for (id, write) in (1..).zip(writes) {
            assert!(wal.reserve(&write).expect("a disk"));
            wal.append(WriteId(id), &write).expect("a disk");
        }
        wal.sync().expect("a disk");
        wal
    }

    #[test]
    fn a_log_that_is_longer_than_a_record_is_reported_and_goes_on() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut wal = log(&dir.path().join("log"));
        let healed = wal.write_again(Op(0), 20).expect("no failure of the disk");
        assert!(matches!(healed, Healed::Not(why) if why.contains("longer than one record")), "{healed:?}");
        wal.append(WriteId(3), &Write::View(View(1))).expect("it goes on");
        assert_eq!(wal.write_again(Op(0), record::LONGEST).expect("a disk"), Healed::Repaired);
        assert_eq!(wal.sync().expect("a disk"), Some(WriteId(3)));
    }

    #[test]
    fn a_header_that_the_disk_does_not_give_back_is_reported_and_the_log_goes_on() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut wal = log(&dir.path().join("log"));
        // Reading it fails, as no file does that is gone.
        let file = "unreadable".to_owned();
        std::fs::create_dir(dir.path().join("log").join(&file)).expect("made");
        let rot = Rot { file, offset: 0, rotten: Rotten::Header, what: String::new() };
        let healed = wal.heal(&rot).expect("no failure of the disk");
        assert!(matches!(healed, Healed::Not(why) if why.contains("does not give")), "{healed:?}");
        wal.append(WriteId(3), &Write::View(View(1))).expect("it goes on");
        assert_eq!(wal.sync().expect("a disk"), Some(WriteId(3)));
    }
}
