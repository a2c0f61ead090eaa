//! A checkpoint: everything a replica needs to go on after an op without the log before it.
//!
//! Owns its content, the digest over all of it, its parts for the network and what is true of bytes that claim to
//! be one. Must not know when one is taken, who wants it, or what is in the client table's or the service's bytes.
//! Paper: VRR §5.1; PROTOCOL 1.7, D65, D74.

use crate::entry::Predicted;
use crate::group::Group;
use crate::id::{Hash, Op, count, index};
use crate::log::Head;
use crate::state::State;
use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3Default;

/// What the replicas share after the op of `head`: cheap to clone, equal on all of them.
///
/// The layout its digest covers, little-endian: op 8, hash of the entry at it 16, that entry's predicted clock 8
/// and seed 8, length of the client table 8, the client table, then the service's state. Parts are cut from it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    head: Head,
    predicted: Predicted,
    table: Bytes,
    state: State,
    digest: Hash,
}

/// What a session's record in the client table begins with; the last of it is the length of what follows.
const SESSION_BYTES: usize = 48;
/// The fixed fields before the client table.
const FIXED_BYTES: usize = 48;

impl Checkpoint {
    /// The checkpoint after `head`, whose entry predicted `predicted`: the client table and the service there.
    #[must_use]
    pub fn new(head: Head, predicted: Predicted, table: Bytes, state: impl Into<State>) -> Self {
        let mut checkpoint = Self::named(head, predicted, table, state.into(), Hash::default());
        let mut digest = Xxh3Default::new();
        digest.update(&checkpoint.fixed());
        digest.update(&checkpoint.table);
        checkpoint.state.pieces().for_each(|piece| digest.update(piece));
        checkpoint.digest = Hash(digest.digest128());
        checkpoint
    }

    /// As a recording has it: without the bytes of the service's state, of which its digest and its length are known. What it
    /// makes a replica do is the same, but for the bytes of the parts that are cut from it.
    #[must_use]
    pub fn without_state(&self) -> Self {
        Self { state: State::left_out(self.state.len()), ..self.clone() }
    }

    /// The same with another state, which is not looked at: to leave it out, and to say again how long it is.
    pub(crate) fn put_state(&mut self, state: State) {
        self.state = state;
    }

    /// One of which the digest is known.
    pub(crate) const fn named(head: Head, predicted: Predicted, table: Bytes, state: State, digest: Hash) -> Self {
        Self { head, predicted, table, state, digest }
    }

    /// What there is of it before the service has given its state, at `head`. In a group of a later epoch than the first,
    /// which is that of the configuration, the table's bytes begin with the group, as with a session that cannot be, one
    /// opened at op 0.
    pub(crate) fn outline(head: Head, predicted: Predicted, group: Option<&Group>, table: Bytes) -> Outline {
        let Some(group) = group else { return Outline { head, predicted, table } };
        let group = group.encode();
        let mut bytes = Vec::from([0; SESSION_BYTES - 8]);
        bytes.extend_from_slice(&count(group.len()).to_le_bytes());
        bytes.extend_from_slice(&group);
        bytes.extend_from_slice(&table);
        Outline { head, predicted, table: bytes.into() }
    }

    /// The group of its epoch; `None` for that of the first epoch.
    #[must_use]
    pub fn group(&self) -> Option<Group> {
        self.split().0.and_then(Group::decode)
    }

    /// The sessions in the client table.
    #[must_use]
    pub(crate) fn sessions(&self) -> Bytes {
        self.split().1
    }

    fn split(&self) -> (Option<Bytes>, Bytes) {
        let whole = || (None, self.table.clone());
        let Some(fixed) = self.table.first_chunk::<SESSION_BYTES>() else { return whole() };
        let (before, length) = fixed.split_at(SESSION_BYTES - 8);
        let length = length.first_chunk().and_then(|bytes| usize::try_from(u64::from_le_bytes(*bytes)).ok());
        let end = length.and_then(|length| length.checked_add(SESSION_BYTES)).filter(|end| *end <= self.table.len());
        match end.filter(|_| before.iter().all(|byte| *byte == 0)) {
            Some(end) => (Some(self.table.slice(SESSION_BYTES..end)), self.table.slice(end..)),
            None => whole(),
        }
    }

    fn fixed(&self) -> [u8; FIXED_BYTES] {
        let mut bytes = [0; FIXED_BYTES];
        bytes[0..8].copy_from_slice(&self.head.op.0.to_le_bytes());
        bytes[8..24].copy_from_slice(&self.head.hash.0.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.predicted.wall_ns.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.predicted.seed.to_le_bytes());
        bytes[40..48].copy_from_slice(&count(self.table.len()).to_le_bytes());
        bytes
    }

    /// Everything through here is in it: the op, and the hash of the entry at it.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head
    }

    /// Everything through this op is in it.
    #[must_use]
    pub const fn op(&self) -> Op {
        self.head.op
    }

    /// What was predicted for the entry at its op: time goes on from there.
    #[must_use]
    pub const fn predicted(&self) -> Predicted {
        self.predicted
    }

    /// The client table, with the group before it in later epochs than the first.
    #[must_use]
    pub const fn table(&self) -> &Bytes {
        &self.table
    }

    /// What [`crate::Service::checkpoint`] gave.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The hash of all of it: equal checkpoints have equal digests, on every replica.
    #[must_use]
    pub const fn digest(&self) -> Hash {
        self.digest
    }

    /// How many bytes it travels in.
    #[must_use]
    pub fn length(&self) -> u64 {
        count(FIXED_BYTES + self.table.len()).saturating_add(self.state.len())
    }

    /// The bytes from `offset` on, at most `bytes` of them; none when it does not reach so far. Those that lie in one
    /// piece of the state are shared, not copied.
    #[must_use]
    pub fn part(&self, offset: u64, bytes: usize) -> Bytes {
        self.range(offset, bytes).whole()
    }

    /// As [`Checkpoint::part`], in pieces: those of the state are shared.
    #[must_use]
    pub fn range(&self, offset: u64, bytes: usize) -> State {
        let before_state = FIXED_BYTES + self.table.len();
        let skipped = offset.min(count(before_state));
        let (from, fixed) = (index(skipped), self.fixed());
        let mut before = Vec::with_capacity((before_state - from).min(bytes));
        for (start, piece) in [(0, &fixed[..]), (FIXED_BYTES, &self.table)] {
            let skip = from.saturating_sub(start).min(piece.len());
            let take = (piece.len() - skip).min(bytes - before.len());
            before.extend_from_slice(&piece[skip..skip + take]);
        }
        let left = bytes - before.len();
        core::iter::once(before.into()).chain(self.state.range(offset - skipped, left)).collect()
    }

    /// The checkpoint whose parts, joined, are `whole`; `None` when no checkpoint has them. Its digest is computed,
    /// never taken from a peer. Its state shares the pieces.
    #[must_use]
    pub fn joined(whole: &State) -> Option<Self> {
        Self::split_parts(whole).map(|(head, predicted, table, state)| Self::new(head, predicted, table, state))
    }

    /// As [`Checkpoint::joined`], for whoever computed the digest of `whole` as it came.
    pub(crate) fn joined_as(whole: &State, digest: Hash) -> Option<Self> {
        Self::split_parts(whole)
            .map(|(head, predicted, table, state)| Self::named(head, predicted, table, state, digest))
    }

    fn split_parts(whole: &State) -> Option<(Head, Predicted, Bytes, State)> {
        let head = |bytes| {
            let mut start = Vec::new();
            whole.range(0, bytes).for_each(|piece| start.extend_from_slice(&piece));
            (start.len() == bytes).then_some(start)
        };
        let fixed = head(FIXED_BYTES)?;
        let number = |at: usize| fixed[at..].first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        let hash = fixed[8..].first_chunk().map(|bytes| u128::from_le_bytes(*bytes))?;
        let end = usize::try_from(number(40)?).ok()?.checked_add(FIXED_BYTES)?;
        if count(end) > whole.len() {
            return None;
        }
        let table = Bytes::from(head(end)?).split_off(FIXED_BYTES);
        let predicted = Predicted { wall_ns: number(24)?, seed: number(32)? };
        let head = Head { op: Op(number(0)?), hash: Hash(hash) };
        let state: State = whole.range(count(end), usize::MAX).collect();
        Some((head, predicted, table, state))
    }
}

/// A checkpoint without the service's state: what a replica knows of it when the service has set its state aside.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Outline {
    head: Head,
    predicted: Predicted,
    table: Bytes,
}

impl Outline {
    /// Everything through this op will be in it.
    #[must_use]
    pub const fn op(&self) -> Op {
        self.head.op
    }

    /// The checkpoint, with the state that the service gave after its op. Hashes all of it.
    #[must_use]
    pub fn with(self, state: impl Into<State>) -> Checkpoint {
        let Self { head, predicted, table } = self;
        Checkpoint::new(head, predicted, table, state)
    }

    /// Is it this one's?
    pub(crate) fn is_of(&self, checkpoint: &Checkpoint) -> bool {
        let Self { head, predicted, table } = self;
        (*head, *predicted) == (checkpoint.head, checkpoint.predicted) && *table == checkpoint.table
    }
}

impl core::fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { head, digest, table, state, predicted: _ } = self;
        write!(f, "{:?} {digest:?} table {}B state {}B", head.op, table.len(), state.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let head = Head { op: Op(64), hash: Hash(7 << 100 | 3) };
        let predicted = Predicted { wall_ns: 12, seed: 13 };
        Checkpoint::new(head, predicted, Bytes::from_static(b"table"), Bytes::from_static(b"the state"))
    }

    #[test]
    fn the_parts_of_a_checkpoint_joined_are_the_checkpoint_however_long_they_are() {
        let whole = checkpoint();
        for bytes in 1..80usize {
            let mut joined = Vec::new();
            while count(joined.len()) < whole.length() {
                let part = whole.part(count(joined.len()), bytes);
                assert!(!part.is_empty() && part.len() <= bytes);
                joined.extend_from_slice(&part);
            }
            assert_eq!(Checkpoint::joined(&Bytes::from(joined).into()), Some(checkpoint()));
            let parts: State = (0..whole.length()).step_by(bytes).map(|at| whole.part(at, bytes)).collect();
            assert_eq!(Checkpoint::joined(&parts), Some(checkpoint()));
        }
        assert!(whole.part(whole.length(), 9).is_empty() && whole.part(u64::MAX, 9).is_empty());
    }

    #[test]
    fn a_checkpoint_without_its_state_has_its_digest_and_parts_of_the_same_length() {
        let (whole, named) = (checkpoint(), checkpoint().without_state());
        assert_eq!((named.digest(), named.length(), named.table()), (whole.digest(), whole.length(), whole.table()));
        assert!(named != whole && named == named.without_state() && named.state().is_left_out());
        for at in 0..whole.length() {
            assert_eq!(named.part(at, 7).len(), whole.part(at, 7).len());
        }
        let bare = Checkpoint::new(whole.head(), whole.predicted(), Bytes::new(), State::default());
        assert_eq!(bare.without_state(), bare, "there is nothing to leave out");
    }

    #[test]
    fn a_checkpoint_of_a_later_epoch_holds_its_group_and_the_same_sessions() {
        let first = Group::first(crate::id::ClusterId(1), &[0, 1, 2, 3, 4].map(crate::id::ReplicaId));
        let Checkpoint { head, predicted, state, .. } = checkpoint();
        for table in [Bytes::new(), Bytes::from(Vec::from([1; 70]))] {
            let plain = Checkpoint::outline(head, predicted, None, table.clone()).with(state.clone());
            assert_eq!((plain.group(), plain.sessions(), plain.table()), (None, table.clone(), &table));
            let later = Checkpoint::outline(head, predicted, Some(&first), table.clone()).with(state.clone());
            assert_eq!((later.group(), later.sessions()), (Some(first.clone()), table));
        }
    }

    #[test]
    fn a_digest_covers_every_byte_and_what_is_cut_is_no_checkpoint_or_another_one() {
        let whole = Bytes::from(checkpoint().part(0, 1000).to_vec());
        for at in 0..whole.len() {
            let mut damaged = whole.to_vec();
            damaged[at] ^= 0x40;
            assert_ne!(
                Checkpoint::joined(&Bytes::from(damaged).into()).map(|other| other.digest()),
                Some(checkpoint().digest())
            );
            assert_ne!(Checkpoint::joined(&whole.slice(..at).into()), Some(checkpoint()));
        }
    }

    #[test]
    fn an_outline_is_of_the_checkpoint_that_it_becomes_and_of_no_other() {
        let of = |op: u64, seed: u64, table: &'static [u8]| {
            let (head, predicted) = (Head { op: Op(op), hash: Hash(7) }, Predicted { wall_ns: 12, seed });
            Checkpoint::outline(head, predicted, None, Bytes::from_static(table))
        };
        let outline = of(64, 13, b"table");
        assert!(outline.is_of(&outline.clone().with(Bytes::from_static(b"whatever the service gives"))));
        for other in [of(65, 13, b"table"), of(64, 14, b"table"), of(64, 13, b"tables")] {
            assert!(!outline.is_of(&other.with(Bytes::new())));
        }
    }
}
