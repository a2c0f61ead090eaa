//! Checkpoints have a file each: written, synced, read back, given its name, and only then spoken of in the log.
//!
//! Owns that file and how the log refers to it. Must not know what is in a checkpoint beyond its bytes and its digest.
//! Paper: VRR §5.1; PROTOCOL P6, D66.

use super::bytes::{Put, Take, narrow, sum_holds, wide};
use super::files::{File, Files, PIECE_BYTES};
use super::stamp::{STAMP_BYTES, Stamp};
use bytes::Bytes;
use std::io;
use vr_core::{Checkpoint, Hash, Head, Op};
use xxhash_rust::xxh3::Xxh3Default;

/// The name of one that is being written.
pub(crate) const DRAFT: &str = "checkpoint.new";
const MAGIC: [u8; 8] = *b"vr-ckp\r\n";
pub(super) const HEADER_BYTES: usize = 4096;
pub(super) const COVERED: usize = STAMP_BYTES + REFERENCE_BYTES;
/// Bytes of a reference in a header or a record.
pub(crate) const REFERENCE_BYTES: usize = 48;

/// What the log says of a checkpoint. All zeros: there is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Reference {
    pub(crate) head: Head,
    pub(crate) digest: Hash,
    pub(crate) length: u64,
}

/// Is this the name of a checkpoint?
pub(crate) fn is_name(name: &str) -> bool {
    name.starts_with("checkpoint-")
}

/// How much space it takes.
pub(crate) fn file_bytes(checkpoint: &Checkpoint) -> u64 {
    checkpoint.length().saturating_add(wide(HEADER_BYTES))
}

impl Reference {
    pub(crate) fn of(checkpoint: &Checkpoint) -> Self {
        Self { head: checkpoint.head(), digest: checkpoint.digest(), length: checkpoint.length() }
    }

    /// `None` when there is no checkpoint.
    pub(crate) fn some(self) -> Option<Self> {
        (self.length != 0).then_some(self)
    }

    /// The name of its file.
    pub(crate) fn name(&self) -> String {
        let digest = self.digest.0;
        format!("checkpoint-{:016}-{digest:032x}", self.head.op.0)
    }

    pub(crate) fn put(&self, to: Put) -> Put {
        to.u64(self.head.op.0).u128(self.head.hash.0).u128(self.digest.0).u64(self.length)
    }

    pub(crate) fn take(from: &mut Take<'_>) -> Self {
        let head = Head { op: Op(from.u64()), hash: Hash(from.u128()) };
        Self { head, digest: Hash(from.u128()), length: from.u64() }
    }

    /// How many bytes its file takes.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.length.saturating_add(wide(HEADER_BYTES))
    }

    /// The checkpoint, if its file is there and is what it was. An error when that cannot be said: what cannot be read
    /// just now is not lost.
    pub(crate) fn read(&self, files: &dyn Files, name: &str, stamp: &Stamp) -> io::Result<Result<Checkpoint, String>> {
        match files.read(name) {
            Ok(bytes) => Ok(self.checked(bytes, stamp)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Err("its file is gone".to_owned())),
            Err(error) => Err(error),
        }
    }

    /// Is it in this file? Read piece by piece.
    fn is_in(&self, files: &dyn Files, name: &str, stamp: &Stamp) -> io::Result<bool> {
        let expected = header(self, stamp);
        if files.read_part(name, 0, expected.len())? != expected {
            return Ok(false);
        }
        let (mut digest, mut read) = (Xxh3Default::new(), 0);
        files.read_each(name, wide(HEADER_BYTES), self.length, &mut |piece| {
            digest.update(piece);
            read += wide(piece.len());
        })?;
        Ok(read == self.length && digest.digest128() == self.digest.0)
    }

    fn checked(&self, mut bytes: Vec<u8>, stamp: &Stamp) -> Result<Checkpoint, String> {
        let header = Stamp::take(&bytes, MAGIC).map_err(|(_, what)| what)?;
        if header != *stamp || !sum_holds(&bytes, COVERED, 0) {
            return Err("the header does not check".to_owned());
        }
        if Self::take(&mut Take(&bytes[STAMP_BYTES..])) != *self {
            return Err("it is another checkpoint than the log speaks of".to_owned());
        }
        // What was cut off reads as zeros, which no digest is of.
        bytes.resize(bytes.len().clamp(HEADER_BYTES, HEADER_BYTES.saturating_add(narrow(self.length))), 0);
        let content = Bytes::from(bytes).split_off(HEADER_BYTES);
        let found = Checkpoint::joined(&content.into()).filter(|found| Self::of(found) == *self);
        found.ok_or_else(|| "the content does not check".to_owned())
    }
}

/// What stands before the content in its file.
pub(crate) fn header(reference: &Reference, stamp: &Stamp) -> Bytes {
    let mut header = reference.put(stamp.put(MAGIC)).sum(0).0;
    header.resize(HEADER_BYTES, 0);
    header.into()
}

/// Writes a checkpoint into its draft, for which there is space, and gives it its name.
pub(crate) fn write(
    files: &dyn Files,
    mut draft: Box<dyn File>,
    stamp: &Stamp,
    checkpoint: &Checkpoint,
) -> io::Result<Reference> {
    let reference = Reference::of(checkpoint);
    draft.write_at(0, &header(&reference, stamp))?;
    let mut offset = 0;
    while offset < reference.length {
        let piece = checkpoint.part(offset, PIECE_BYTES);
        draft.write_at(offset + wide(HEADER_BYTES), &piece)?;
        offset += wide(piece.len()).max(1);
    }
    draft.sync()?;
    if !reference.is_in(files, DRAFT, stamp)? {
        return Err(io::Error::other("the checkpoint that was just written does not check"));
    }
    files.rename(DRAFT, &reference.name())?;
    files.sync_dir()?;
    Ok(reference)
}
