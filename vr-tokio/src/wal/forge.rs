//! Files of a log that no writer wrote, though every sum in them holds.
//!
//! Owns what only somebody who knows the sums can do, for a fuzzer: without it hardly any of its bytes would get past
//! the first sum. Not part of what ships as a log. Must not know what is expected of such files.

use super::bytes::{Put, Take};
use super::error::WalError;
use super::files::Files;
use super::open::{Reader, make};
use super::promise::{self, SLOT_BYTES};
use super::record::{HEAD_BYTES, Head, Kind};
use super::segment::{self, COPY_BYTES, HEADER_BYTES};
use super::stamp::{Identity, STAMP_BYTES, Stamp};
use super::writer::{Options, Wal};
use vr_core::Instance;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

impl Wal {
    /// As [`Wal::format_in`], with an instance that is not drawn: the same bytes each time.
    pub(crate) fn format_as(
        files: &dyn Files,
        identity: &Identity,
        options: &Options,
        instance: Instance,
    ) -> Result<(), WalError> {
        let reader = Reader { files, findings: Vec::new() };
        reader.io("", make(files, &Stamp::new(identity, instance), options))
    }
}

/// What is put in place of a part of a file.
#[derive(Clone, Debug)]
pub(crate) struct Forgery {
    /// The how manieth record, or header.
    pub(crate) at: usize,
    /// The how manieth number in it.
    pub(crate) field: u8,
    /// What that number becomes.
    pub(crate) value: u64,
    /// What the payload becomes; empty: it stays.
    pub(crate) payload: Vec<u8>,
}

/// Forges a file by its name: a record of a segment, or a number in the header of anything.
pub(crate) fn forge(name: &str, bytes: &mut Vec<u8>, stamp: (&Identity, Instance), forgery: &Forgery) {
    let stamp = Stamp::new(stamp.0, stamp.1);
    match segment::number_in(name) {
        Some(number) if forgery.field < 128 => forge_record(bytes, stamp.seed(number), forgery),
        Some(_) => {
            for copy in [0, COPY_BYTES] {
                reseal(bytes.get_mut(copy..).unwrap_or_default(), segment::COVERED, forgery);
            }
        }
        None if name == promise::PROMISES => {
            let slot = forgery.at % 2 * SLOT_BYTES;
            reseal(bytes.get_mut(slot..).unwrap_or_default(), promise::COVERED, forgery);
        }
        None => reseal(bytes, super::checkpoints::COVERED, forgery),
    }
}

/// Changes a number behind the stamp, and the sum with it.
fn reseal(header: &mut [u8], covered: usize, forgery: &Forgery) {
    let numbers = (covered - STAMP_BYTES) / 8;
    let from = STAMP_BYTES + usize::from(forgery.field & 127) % numbers * 8;
    if header.len() < covered + 8 {
        return;
    }
    header[from..from + 8].copy_from_slice(&forgery.value.to_le_bytes());
    let sum = xxh3_64_with_seed(&header[..covered], 0);
    header[covered..covered + 8].copy_from_slice(&Put::default().u64(sum).0);
}

/// Changes a record, and chains all that follow to it.
fn forge_record(bytes: &mut Vec<u8>, seed: u64, forgery: &Forgery) {
    let length = bytes.len();
    let mut out: Vec<u8> = bytes.drain(..HEADER_BYTES.min(length)).collect();
    let mut chain = None;
    let mut nth = 0;
    while let Some(head) = Head::read(bytes, seed) {
        let end = head.record_bytes().min(bytes.len());
        let mut record: Vec<u8> = bytes.drain(..end).collect();
        let mut changed = Head { chain: chain.unwrap_or(head.chain), ..head };
        if nth == forgery.at % 8 {
            change(&mut changed, &mut record, forgery);
        }
        chain = Some(changed.write(&mut record, seed).sum);
        out.extend_from_slice(&record);
        nth += 1;
    }
    out.extend_from_slice(bytes);
    out.resize(out.len().max(length), 0);
    *bytes = out;
}

fn change(head: &mut Head, record: &mut Vec<u8>, forgery: &Forgery) {
    if !forgery.payload.is_empty() {
        record.truncate(HEAD_BYTES);
        record.extend_from_slice(&forgery.payload);
        (head.length, head.payload_sum) =
            (u32::try_from(forgery.payload.len()).unwrap_or(u32::MAX), xxh3_64(&forgery.payload));
        record.resize(head.record_bytes(), 0xA5);
    }
    let value = forgery.value;
    match forgery.field % 8 {
        0 => head.number = value,
        1 => head.confirmed = value,
        2 => head.from = value,
        3 => head.to = value,
        4 => head.view = value,
        5 => head.length = Take(&value.to_le_bytes()).u32(),
        6 => head.kind = Kind::of(value.to_le_bytes()[0]).unwrap_or(head.kind),
        _ => {}
    }
}
