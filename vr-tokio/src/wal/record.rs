//! One record: its head, its payload, its padding; and how a write becomes one.
//!
//! Owns the layout. Must not know segments, nor what was confirmed. Little-endian, 8-byte aligned:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `VR`, the kind, 0 |
//! | 4 | length of the payload |
//! | 8 | number of the record: 1, 2, … |
//! | 8 | every record up to this one was durable when this one was written |
//! | 8 | sum of the head of the record before: the chain |
//! | 8 + 8 + 8 | `from`, `to`, `view`: what the record is about, readable when its payload is not |
//! | 8 | xxh3-64 of the payload |
//! | 8 | xxh3-64 of all above, seeded by disk and cluster |
//! | 8 | a mark that is never zero |
//! | … | the payload: a `vr_core::wire` frame of the write, if it carries entries; a reference, if a checkpoint |
//! | 1 to 8 | a mark that is never zero, up to the next multiple of 8 |

use super::bytes::{Put, Take, is_count, narrow, wide};
use super::checkpoints::{REFERENCE_BYTES, Reference};
use bytes::Bytes;
use serde::Serialize;
use std::io;
use std::ops::Range;
use vr_core::wire::{self, Limits};
use vr_core::{ENTRY_OVERHEAD_BYTES, Entries, Hash, Incarnation, Log, Op, View, Write};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

pub(crate) const HEAD_BYTES: usize = 80;
const SUMMED_BYTES: usize = 64;
const SUM_AT: usize = 64;
const MARK_AT: usize = 72;
const MARK: [u8; 8] = *b"\xA5record\xA5";
const PAD: u8 = 0xA5;
/// The payload of a cut: where the log begins from then on, and the hash there.
const CUT_BYTES: usize = 24;

/// What a record is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// An incarnation begins.
    Incarnation,
    /// A promise.
    View,
    /// Entries after the last one.
    Append,
    /// Entries in place of those after `keep`.
    Replace,
    /// An orderly stop.
    Clean,
    /// A checkpoint, in a file of its own.
    Checkpoint,
    /// The entries through `from` may go.
    Cut,
    /// A checkpoint, in a file of its own, and the entries after it, in place of everything.
    Install,
    /// The entries after `keep` once more: what was there before it rotted.
    Repair,
}

const KINDS: [(Kind, u8); 9] = [
    (Kind::Incarnation, 1),
    (Kind::View, 2),
    (Kind::Append, 3),
    (Kind::Replace, 4),
    (Kind::Clean, 5),
    (Kind::Checkpoint, 6),
    (Kind::Cut, 7),
    (Kind::Install, 8),
    (Kind::Repair, 9),
];

impl Kind {
    /// The kind of a code.
    pub(super) fn of(code: u8) -> Option<Self> {
        KINDS.iter().find(|(_, known)| *known == code).map(|(kind, _)| *kind)
    }

    fn code(self) -> u8 {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or(0, |(_, code)| *code)
    }
}

/// The head of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    pub(crate) length: u32,
    pub(crate) number: u64,
    pub(crate) confirmed: u64,
    pub(crate) chain: u64,
    /// Append: its first op. Replace and repair: the op it keeps. Incarnation: the incarnation. Checkpoint, cut: the op.
    pub(crate) from: u64,
    /// The op the log ends at, or would after it.
    pub(crate) to: u64,
    /// View and Replace: the view.
    pub(crate) view: u64,
    pub(crate) payload_sum: u64,
    /// The sum over this head: what the next record is chained to.
    pub(crate) sum: u64,
}

/// What to say of a head that checks and is of no kind that is known.
pub(crate) fn of_later_version(bytes: &[u8], seed: u64) -> Option<String> {
    let head = bytes.get(..HEAD_BYTES)?;
    let is_known = KINDS.iter().any(|(_, code)| *code == head[2]);
    let checks = Take(&head[SUM_AT..]).u64() == xxh3_64_with_seed(&head[..SUMMED_BYTES], seed);
    (head.starts_with(b"VR") && checks && !is_known)
        .then(|| format!("a record of kind {}, which is not known", head[2]))
}

impl Head {
    /// The head at the start of `bytes`, if there is one that checks.
    pub(crate) fn read(bytes: &[u8], seed: u64) -> Option<Self> {
        let head = bytes.get(..HEAD_BYTES)?;
        if head[..2] != *b"VR" || head[3] != 0 || head[MARK_AT..] != MARK {
            return None;
        }
        let kind = Kind::of(head[2])?;
        let sum = Take(&head[SUM_AT..]).u64();
        if sum != xxh3_64_with_seed(&head[..SUMMED_BYTES], seed) {
            return None;
        }
        let mut rest = Take(&head[4..]);
        let (length, number, confirmed, chain) = (rest.u32(), rest.u64(), rest.u64(), rest.u64());
        let (from, to, view, payload_sum) = (rest.u64(), rest.u64(), rest.u64(), rest.u64());
        if !is_count(number) || !is_count(confirmed) {
            return None;
        }
        Some(Self { kind, length, number, confirmed, chain, from, to, view, payload_sum, sum })
    }

    /// Writes the head over the first bytes of a record and gives it back with its sum.
    pub(super) fn write(mut self, bytes: &mut [u8], seed: u64) -> Self {
        bytes[..4].copy_from_slice(&[b'V', b'R', self.kind.code(), 0]);
        bytes[4..8].copy_from_slice(&self.length.to_le_bytes());
        let numbers =
            [self.number, self.confirmed, self.chain, self.from, self.to, self.view, self.payload_sum].into_iter();
        for (field, number) in bytes[8..SUM_AT].chunks_exact_mut(8).zip(numbers) {
            field.copy_from_slice(&number.to_le_bytes());
        }
        self.sum = xxh3_64_with_seed(&bytes[..SUMMED_BYTES], seed);
        bytes[SUM_AT..MARK_AT].copy_from_slice(&self.sum.to_le_bytes());
        bytes[MARK_AT..HEAD_BYTES].copy_from_slice(&MARK);
        self
    }

    /// Where the payload lies in a record.
    pub(crate) fn payload(&self) -> Range<usize> {
        HEAD_BYTES..HEAD_BYTES.saturating_add(narrow(self.length.into()))
    }

    /// How long the whole record is.
    pub(crate) fn record_bytes(&self) -> usize {
        padded(self.payload().end)
    }

    /// Do payload and padding of this record check?
    pub(crate) fn holds(&self, record: &[u8]) -> bool {
        let payload = self.payload();
        let (end, whole) = (payload.end, self.record_bytes());
        let Some(body) = record.get(payload) else { return false };
        xxh3_64(body) == self.payload_sum && record.get(end..whole).is_some_and(|pad| pad.iter().all(|b| *b == PAD))
    }
}

/// The end of a record whose payload ends there: at least one byte of padding.
const fn padded(end: usize) -> usize {
    (end | 7).saturating_add(1)
}

/// What a record is about, beside its payload.
struct About {
    kind: Kind,
    from: u64,
    to: u64,
    view: u64,
}

/// What stands before a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    /// The number of the record before it.
    pub(crate) number: u64,
    /// The sum of its head.
    pub(crate) chain: u64,
    /// Every record up to this one is durable.
    pub(crate) confirmed: u64,
}

fn about(write: &Write, op: Op) -> About {
    let last = |entries: &Entries, before: Op| entries.last().map_or(before, |entry| entry.op()).0;
    let (kind, from, to, view) = match write {
        Write::Incarnation(incarnation) => (Kind::Incarnation, incarnation.0, op.0, View::ZERO),
        Write::View(view) => (Kind::View, 0, op.0, *view),
        Write::Append(entries) => (Kind::Append, op.next().0, last(entries, op), View::ZERO),
        Write::Replace { keep, entries, view } => (Kind::Replace, keep.0, last(entries, *keep), *view),
        Write::Repair { keep, entries } => (Kind::Repair, keep.0, last(entries, *keep), View::ZERO),
        Write::Clean => (Kind::Clean, 0, op.0, View::ZERO),
        Write::Checkpoint(checkpoint) => (Kind::Checkpoint, checkpoint.op().0, op.0, View::ZERO),
        Write::Cut { through } => (Kind::Cut, through.0, op.0, View::ZERO),
        Write::Install { checkpoint, entries, view } => {
            (Kind::Install, checkpoint.op().0, last(entries, checkpoint.op()), *view)
        }
    };
    About { kind, from, to, view: view.0 }
}

/// An upper bound on the record of a write.
pub(crate) fn bound(write: &Write) -> u64 {
    let entries = vr_core::Stored::entries_of(write);
    let bodies = entries.map_or(0, |entries| {
        entries.iter().map(|entry| wide(entry.body().len() + ENTRY_OVERHEAD_BYTES)).fold(0, u64::saturating_add)
    });
    bodies.saturating_add(wide(HEAD_BYTES + REFERENCE_BYTES + 64))
}

/// A longer record is refused: 4 GiB.
pub(super) const LONGEST: u64 = 0xFFFF_FFFF;

/// Appends the record of a write to `out`; `log` is the log before it. Gives its head.
pub(crate) fn encode(write: &Write, log: &Log, at: Place, seed: u64, out: &mut Vec<u8>) -> io::Result<Head> {
    let too_long = || io::Error::new(io::ErrorKind::InvalidInput, "a write of more than 4 GiB");
    if bound(write) > LONGEST {
        return Err(too_long());
    }
    let start = out.len();
    out.resize(start + HEAD_BYTES, 0);
    match write {
        Write::Incarnation(_) | Write::View(_) | Write::Clean => {}
        Write::Append(_) | Write::Replace { .. } | Write::Repair { .. } => wire::encode_write(write, out),
        Write::Cut { through } => {
            let through = (*through).min(log.op()).max(log.base().op);
            let hash = log.hash(through).ok_or_else(|| io::Error::other("the log has no such op"))?;
            out.extend_from_slice(&Put::default().u64(through.0).u128(hash.0).0);
        }
        Write::Checkpoint(checkpoint) => {
            out.extend_from_slice(&Reference::of(checkpoint).put(Put::default()).0);
        }
        Write::Install { checkpoint, entries, view } => {
            out.extend_from_slice(&Reference::of(checkpoint).put(Put::default()).0);
            let (keep, entries) = (checkpoint.op(), entries.clone());
            wire::encode_write(&Write::Replace { keep, entries, view: *view }, out);
        }
    }
    seal(&about(write, log.op()), at, seed, start, out).ok_or_else(too_long)
}

/// Puts head and padding around a payload that stands behind the room for the head.
fn seal(about: &About, at: Place, seed: u64, start: usize, out: &mut Vec<u8>) -> Option<Head> {
    let body = &out[start + HEAD_BYTES..];
    let (length, payload_sum) = (u32::try_from(body.len()).ok()?, xxh3_64(body));
    out.resize(start + padded(HEAD_BYTES + narrow(length.into())), PAD);
    let About { kind, from, to, view } = *about;
    let Place { number, chain, confirmed } = at;
    let number = number + 1;
    let head = Head { kind, length, number, confirmed, chain, from, to, view, payload_sum, sum: 0 };
    Some(head.write(&mut out[start..], seed))
}

/// What a record does to the fold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Effect {
    Incarnation(Incarnation),
    View(View),
    Append(Entries),
    Replace { keep: Op, entries: Entries, view: View },
    Clean,
    Checkpoint(Reference),
    Cut { through: vr_core::Head },
    Install { checkpoint: Reference, entries: Entries, view: View },
    Repair { keep: Op, entries: Entries },
}

/// The effect of a record whose sums hold. `None`: the content is not what a writer writes.
pub(crate) fn decode(head: &Head, payload: &Bytes) -> Option<Effect> {
    let bare = |effect: Effect| payload.is_empty().then_some(effect);
    match head.kind {
        Kind::Incarnation => bare(Effect::Incarnation(Incarnation(head.from))),
        Kind::View => bare(Effect::View(View(head.view))),
        Kind::Clean => bare(Effect::Clean),
        Kind::Append => match wire::decode_write(payload, &Limits::NONE).ok()? {
            Write::Append(entries) => Some(Effect::Append(entries)),
            Write::Incarnation(_)
            | Write::View(_)
            | Write::Clean
            | Write::Checkpoint(_)
            | Write::Cut { .. }
            | Write::Install { .. }
            | Write::Replace { .. }
            | Write::Repair { .. } => None,
        },
        Kind::Replace => replaced(payload)
            .filter(|(keep, ..)| keep.0 == head.from)
            .map(|(keep, entries, view)| Effect::Replace { keep, entries, view }),
        Kind::Repair => match wire::decode_write(payload, &Limits::NONE).ok()? {
            Write::Repair { keep, entries } => (keep.0 == head.from).then_some(Effect::Repair { keep, entries }),
            Write::Incarnation(_)
            | Write::View(_)
            | Write::Clean
            | Write::Checkpoint(_)
            | Write::Cut { .. }
            | Write::Install { .. }
            | Write::Replace { .. }
            | Write::Append(_) => None,
        },
        Kind::Checkpoint => {
            (payload.len() == REFERENCE_BYTES).then(|| Effect::Checkpoint(Reference::take(&mut Take(payload))))
        }
        Kind::Cut => (payload.len() == CUT_BYTES).then(|| {
            let mut rest = Take(payload);
            Effect::Cut { through: vr_core::Head { op: Op(rest.u64()), hash: Hash(rest.u128()) } }
        }),
        Kind::Install => {
            let checkpoint = Reference::take(&mut Take(payload.get(..REFERENCE_BYTES)?));
            let (keep, entries, view) = replaced(&payload.slice(REFERENCE_BYTES..))?;
            (keep == checkpoint.head.op).then_some(Effect::Install { checkpoint, entries, view })
        }
    }
}

fn replaced(frame: &Bytes) -> Option<(Op, Entries, View)> {
    match wire::decode_write(frame, &Limits::NONE).ok()? {
        Write::Replace { keep, entries, view } => Some((keep, entries, view)),
        Write::Incarnation(_)
        | Write::View(_)
        | Write::Clean
        | Write::Checkpoint(_)
        | Write::Cut { .. }
        | Write::Install { .. }
        | Write::Repair { .. }
        | Write::Append(_) => None,
    }
}
