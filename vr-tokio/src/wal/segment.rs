//! One segment of the log: its header, twice, and the walk over its records, whatever became of them.
//!
//! Owns how records are found again behind ones that cannot be read. Must not know which of them were confirmed: it
//! says what is there, `open` says what that means.

use super::bytes::{Take, is_count, sum_holds};
use super::checkpoints::{REFERENCE_BYTES, Reference};
use super::error::WalErrorKind;
use super::record::{HEAD_BYTES, Head};
use super::stamp::{STAMP_BYTES, Stamp};
use vr_core::{Epoch, Hash, Incarnation, Op, View};

/// The records begin here.
pub(crate) const HEADER_BYTES: usize = 4096;
/// Each of the two copies of the header has this half of it.
pub(crate) const COPY_BYTES: usize = HEADER_BYTES / 2;
const MAGIC: [u8; 8] = *b"vr-log\r\n";
pub(super) const COVERED: usize = STAMP_BYTES + 11 * 8 + 2 * 16 + REFERENCE_BYTES;
/// The smallest piece of which a disk says that it is written or not.
const SECTOR: usize = 512;

/// The name of a segment.
pub(crate) fn name(number: u64) -> String {
    format!("log-{number:016}")
}

/// The number in the name of a segment.
pub(crate) fn number_in(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("log-")?;
    let number = digits.parse().ok()?;
    (self::name(number) == *name).then_some(number)
}

/// What stood before the first record of a segment: enough to begin the fold there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Start {
    /// The number of the segment.
    pub(crate) segment: u64,
    /// The number of the first record in it. Every record before it was durable when the segment was begun.
    pub(crate) first: u64,
    /// What the first record is chained to.
    pub(crate) chain: u64,
    pub(crate) incarnation: Incarnation,
    pub(crate) view: View,
    pub(crate) log_view: View,
    /// The log began here …
    pub(crate) base: vr_core::Head,
    /// … and ended here.
    pub(crate) head: vr_core::Head,
    /// 0, or the first op that was known to be lost when the segment was begun.
    pub(crate) lost_from: Op,
    /// 1 after an orderly stop, 2 when it was begun behind a damage: the replica went on with exactly this; 4 when it
    /// was known for certain where the damaged log ended.
    pub(crate) flags: u64,
    /// The newest checkpoint.
    pub(crate) checkpoint: Reference,
}

const CLEAN: u64 = 1;
const BEHIND_DAMAGE: u64 = 2;
const END_CERTAIN: u64 = 4;

impl Start {
    pub(crate) const fn is_clean(&self) -> bool {
        self.flags & CLEAN != 0
    }

    pub(crate) const fn is_behind_damage(&self) -> bool {
        self.flags & BEHIND_DAMAGE != 0
    }

    pub(crate) const fn is_end_certain(&self) -> bool {
        self.flags & END_CERTAIN != 0
    }

    pub(crate) const fn flags(clean: bool, behind_damage: bool, end_certain: bool) -> u64 {
        let (clean, behind) = (if clean { CLEAN } else { 0 }, if behind_damage { BEHIND_DAMAGE } else { 0 });
        clean | behind | (if end_certain { END_CERTAIN } else { 0 })
    }

    pub(crate) fn encode(&self, stamp: &Stamp) -> Vec<u8> {
        let copy = stamp
            .put(MAGIC)
            .u64(self.segment)
            .u64(self.first)
            .u64(self.chain)
            .u64(self.incarnation.0)
            .u64(self.view.epoch().0)
            .u64(self.view.0)
            .u64(self.log_view.0)
            .u64(self.base.op.0)
            .u128(self.base.hash.0)
            .u64(self.head.op.0)
            .u128(self.head.hash.0)
            .u64(self.lost_from.0)
            .u64(self.flags);
        let copy = self.checkpoint.put(copy).sum(0).0;
        let mut header = copy.clone();
        header.resize(COPY_BYTES, 0);
        header.extend_from_slice(&copy);
        header.resize(HEADER_BYTES, 0);
        header
    }

    fn decode(copy: &[u8]) -> Result<(Stamp, Self), (WalErrorKind, String)> {
        let stamp = Stamp::take(copy, MAGIC)?;
        if !sum_holds(copy, COVERED, 0) {
            return Err((WalErrorKind::Inconsistent, "the header of the segment does not check".to_owned()));
        }
        let mut rest = Take(&copy[STAMP_BYTES..]);
        let (segment, first, chain) = (rest.u64(), rest.u64(), rest.u64());
        let (incarnation, epoch) = (Incarnation(rest.u64()), Epoch(rest.u64()));
        let start = Self {
            segment,
            first,
            chain,
            incarnation,
            view: View(rest.u64()),
            log_view: View(rest.u64()),
            base: vr_core::Head { op: Op(rest.u64()), hash: Hash(rest.u128()) },
            head: vr_core::Head { op: Op(rest.u64()), hash: Hash(rest.u128()) },
            lost_from: Op(rest.u64()),
            flags: rest.u64(),
            checkpoint: Reference::take(&mut rest),
        };
        if epoch != start.view.epoch() {
            let what = format!("the header of the segment is of epoch {epoch} and of view {}", start.view);
            return Err((WalErrorKind::Inconsistent, what));
        }
        if !is_count(start.segment) || !is_count(start.first) {
            let what = "the header of the segment counts what was never written".to_owned();
            return Err((WalErrorKind::Inconsistent, what));
        }
        Ok((stamp, start))
    }

    /// Does this copy say that?
    pub(crate) fn is_whole(copy: &[u8], start: &Self) -> bool {
        Self::decode(&copy[..copy.len().min(COPY_BYTES)]).is_ok_and(|(_, found)| found == *start)
    }

    /// The header of a segment, and whether both copies of it check.
    pub(crate) fn read(file: &[u8]) -> Result<(Stamp, Self, bool), (WalErrorKind, String)> {
        let copy = |at: usize| Self::decode(file.get(at..).map_or(&[][..], |rest| &rest[..rest.len().min(COPY_BYTES)]));
        match (copy(0), copy(COPY_BYTES)) {
            (Ok((stamp, start)), second) => Ok((stamp, start, second == Ok((stamp, start)))),
            (Err(_), Ok((stamp, start))) => Ok((stamp, start, false)),
            (Err(first), Err(_)) => Err(first),
        }
    }
}

/// Something found in a segment, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    pub(crate) offset: usize,
    pub(crate) bytes: usize,
    pub(crate) what: What,
}

/// What it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum What {
    /// A record of which everything checks.
    Whole(Head),
    /// A record of which only the head checks.
    Spoilt {
        head: Head,
        /// Every sector of it was written at least once, so that no crash explains it.
        written: bool,
    },
    /// Nothing that checks, where record `number` must begin.
    Garbage { number: u64, written: bool },
}

impl Found {
    /// The number of the record that is here, or should be.
    pub(crate) fn number(&self) -> u64 {
        match &self.what {
            What::Whole(head) | What::Spoilt { head, .. } => head.number,
            What::Garbage { number, .. } => *number,
        }
    }
}

/// Was every sector of it written? A sector that never was reads as zeros, and no record ends in a zero byte. So
/// a record that a crash left behind half written has a sector of zeros, or ends in one.
fn is_written(bytes: &[u8], from: usize, to: usize) -> bool {
    let Some(record) = bytes.get(from..to) else { return false };
    if record.last().is_none_or(|last| *last == 0) {
        return false;
    }
    let head = (SECTOR - from % SECTOR).min(record.len());
    let (first, rest) = record.split_at(head);
    std::iter::once(first).chain(rest.chunks(SECTOR)).all(|sector| sector.iter().any(|byte| *byte != 0))
}

/// Walks over all records of a segment, up to but without number `end`, if there is one.
pub(crate) fn scan(bytes: &[u8], seed: u64, start: &Start, end: Option<u64>) -> Vec<Found> {
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let (mut at, mut number, mut chain) = (HEADER_BYTES, start.first, Some(start.chain));
    let mut found = Vec::new();
    while at < used && end.is_none_or(|end| number < end) {
        let head = Head::read(&bytes[at..], seed).filter(|head| {
            // Behind garbage the chain is taken up where it is found again.
            chain.map_or(head.number >= number, |chain| head.number == number && head.chain == chain)
        });
        let Some(head) = head else {
            let next = resume(bytes, at, used, seed, number);
            let to = next.unwrap_or(used);
            let written = is_written(bytes, at, at + HEAD_BYTES);
            found.push(Found { offset: at, bytes: to - at, what: What::Garbage { number, written } });
            (at, chain) = (to, None);
            number = number.saturating_add(1);
            continue;
        };
        let whole = head.record_bytes();
        let what = if head.holds(&bytes[at..]) {
            What::Whole(head)
        } else {
            What::Spoilt { head, written: is_written(bytes, at, at.saturating_add(whole)) }
        };
        if end.is_some_and(|end| head.number >= end) {
            break;
        }
        found.push(Found { offset: at, bytes: whole.min(bytes.len() - at), what });
        at = at.saturating_add(whole);
        (number, chain) = (head.number.saturating_add(1), Some(head.sum));
    }
    found
}

/// Where a record with a later number begins.
fn resume(bytes: &[u8], at: usize, used: usize, seed: u64, number: u64) -> Option<usize> {
    let places = (at + 8..used).step_by(8);
    places
        .filter(|place| bytes[*place..].starts_with(b"VR"))
        .find(|place| Head::read(&bytes[*place..], seed).is_some_and(|head| head.number > number))
}
