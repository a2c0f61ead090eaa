//! The checkpoints at hand: the newest durable one, those on their way to the disk, one lent out, one arriving.
//!
//! Owns which of them is which, and the joining of parts. Must not know messages, logs or statuses. Paper: VRR
//! §5.1, §5.2; PROTOCOL D65, D66.

use crate::checkpoint::Checkpoint;
use crate::id::{Hash, Op, ReplicaId, Time, WriteId, count};
use crate::log::Head;
use crate::message::CheckpointPart;
use crate::rules::Rules;
use crate::state::State;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3Default;

/// Parts from here on are kept as they came; shorter ones are copied.
const SHARED_BYTES_MIN: usize = 16 << 10;
/// Of parts from here on two are on their way at a time.
pub(super) const LONG_BYTES: u64 = 1 << 20;

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Shelf {
    /// The newest that is durable, or that a durable log will begin with: the log begins at it or before.
    newest: Option<Box<Checkpoint>>,
    /// On their way to the disk, oldest first, never more than two.
    writing: Vec<(WriteId, Box<Checkpoint>)>,
    /// Somebody fetches this one, and would have to begin again if it went.
    lent: Option<(Box<Checkpoint>, Time)>,
    /// Its parts come in.
    arriving: Option<Arriving>,
}

/// A checkpoint of which some parts are here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Arriving {
    head: Head,
    /// Who is asked for the next part.
    of: ReplicaId,
    /// How often in a row that was in vain.
    attempts: u64,
    digest: Hash,
    length: u64,
    /// How many bytes are here, and the parts that they came in.
    here: u64,
    parts: Vec<Bytes>,
    /// Of those parts.
    #[serde(skip)]
    running: Running,
}

/// The digest of what is here, computed as it comes: that of all of a long checkpoint takes longer than a heartbeat. It is
/// worth what its parts are, and is no part of what a replica is.
#[derive(Clone, Default)]
struct Running {
    digest: Xxh3Default,
    bytes: u64,
}

impl Running {
    fn add(&mut self, part: &[u8]) {
        self.digest.update(part);
        self.bytes += count(part.len());
    }

    /// `None` after a replica was put together from an image in the middle of it.
    fn of(&self, bytes: u64) -> Option<Hash> {
        (self.bytes == bytes).then(|| Hash(self.digest.digest128()))
    }
}

impl PartialEq for Running {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Running {}

impl core::fmt::Debug for Running {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}B", self.bytes)
    }
}

/// What a part is good for.
pub(super) enum Part {
    /// Nobody waits for it.
    NotAsked,
    /// It is here already, or does not follow what is.
    Duplicate,
    /// It contradicts itself, or those before it: those are given up too.
    Malformed,
    /// Whoever sent it has a newer one only.
    Gone,
    /// More are missing.
    More,
    /// The last one. Verified.
    Whole(Box<Checkpoint>),
}

/// Where to ask for the next part.
pub(super) struct Next {
    pub(super) head: Head,
    pub(super) offset: u64,
    pub(super) of: ReplicaId,
    /// How much is known to be missing.
    pub(super) left: u64,
    /// The parts are long, and another one will follow the next: it begins here.
    pub(super) then: Option<u64>,
    /// The next one was asked for when the one before it was.
    pub(super) is_asked: bool,
}

impl Shelf {
    fn whole(&mut self) -> impl Iterator<Item = &mut Checkpoint> {
        let writing = self.writing.iter_mut().map(|(_, writing)| writing);
        let lent = self.lent.iter_mut().map(|(lent, _)| lent);
        self.newest.iter_mut().chain(writing).chain(lent).map(|whole| &mut **whole)
    }

    /// For an image: gives up the states of the checkpoints that are whole here, and says how long they are.
    pub(super) fn take_states(&mut self) -> Vec<u64> {
        let take = |whole: &mut Checkpoint| {
            let bytes = whole.state().len();
            whole.put_state(State::default());
            bytes
        };
        self.whole().map(take).collect()
    }

    /// From an image: how long they are. Whether as many were asked for, the image made of this says.
    pub(super) fn put_lengths(&mut self, lengths: &[u64]) {
        self.whole().zip(lengths).for_each(|(whole, bytes)| whole.put_state(State::left_out(*bytes)));
    }

    /// What a disk holds.
    pub(super) fn new(checkpoint: Option<Checkpoint>) -> Self {
        Self { newest: checkpoint.map(Box::new), ..Self::default() }
    }

    pub(super) fn newest(&self) -> Option<&Checkpoint> {
        self.newest.as_deref()
    }

    /// Everything through here is in the newest.
    pub(super) fn op(&self) -> Op {
        self.newest.as_ref().map_or(Op::ZERO, |newest| newest.op())
    }

    // ---- taken, written, installed

    /// A checkpoint is on its way to the disk. When the disk is slow those in the middle are forgotten.
    pub(super) fn write(&mut self, id: WriteId, checkpoint: Box<Checkpoint>) {
        self.writing.truncate(1);
        self.writing.push((id, checkpoint));
    }

    /// The disk moved on: the newest that it holds now, if that is another one than before.
    pub(super) fn persisted(&mut self, is_durable: impl Fn(WriteId) -> bool) -> Option<Op> {
        let done = self.writing.iter().take_while(|(id, _)| is_durable(*id)).count();
        let (_, checkpoint) = self.writing.drain(..done).next_back()?;
        let op = checkpoint.op();
        self.newest = Some(checkpoint);
        Some(op)
    }

    /// The log begins with this one from now on.
    pub(super) fn installed(&mut self, checkpoint: Box<Checkpoint>) {
        self.writing.clear();
        self.newest = Some(checkpoint);
        self.lent = None;
        self.arriving = None;
    }

    // ---- lent

    /// What to offer to somebody who shares nothing with a log that begins after `base`: rather the one that is being
    /// fetched already than the newest. It is kept from `now` until `until`.
    pub(super) fn offered(&mut self, base: Op, now: Time, until: Time) -> Option<Head> {
        if let Some((lent, kept)) = &mut self.lent
            && *kept > now
            && lent.op() >= base
        {
            *kept = until;
            return Some(lent.head());
        }
        let newest = self.newest.as_ref()?;
        self.lent = Some((newest.clone(), until));
        Some(newest.head())
    }

    /// Entries after here are wanted by whoever fetches a checkpoint. What nobody fetches any more is given up.
    pub(super) fn lent_op(&mut self, now: Time) -> Option<Op> {
        self.lent = self.lent.take().filter(|(_, until)| *until > now);
        self.lent.as_ref().map(|(lent, _)| lent.op())
    }

    /// A part of the checkpoint at `head`, or of the newest if that one is newer. What is asked for at `now` is kept
    /// until `until`.
    pub(super) fn part(
        &mut self,
        (head, offset): (Head, u64),
        bytes: usize,
        now: Time,
        until: Time,
    ) -> Option<CheckpointPart> {
        if let Some((lent, kept)) = &mut self.lent
            && lent.head() == head
        {
            *kept = until;
            return part_of(lent, offset, bytes);
        }
        let newest = self.newest.as_ref()?;
        if newest.head() != head {
            let offset = if offset < newest.length() { offset } else { 0 };
            return if newest.op() > head.op { part_of(newest, offset, bytes) } else { None };
        }
        if self.lent.as_ref().is_none_or(|(_, kept)| *kept <= now) {
            self.lent = Some((newest.clone(), until));
        }
        part_of(newest, offset, bytes)
    }

    // ---- arriving

    /// Asks for the parts of the checkpoint at `head`; those that are here already are kept.
    pub(super) fn want(&mut self, head: Head, of: ReplicaId) {
        match &mut self.arriving {
            Some(arriving) if arriving.head == head => arriving.of = of,
            Some(_) | None => {
                let (digest, length, parts, running) = (Hash::default(), 0, Vec::new(), Running::default());
                self.arriving = Some(Arriving { head, of, attempts: 0, digest, length, here: 0, parts, running });
            }
        }
    }

    /// Nothing is wanted any more.
    pub(super) fn stop(&mut self) {
        self.arriving = None;
    }

    /// The next part to ask for.
    pub(super) fn next(&self) -> Option<Next> {
        let Arriving { head, of, here, length, parts, .. } = self.arriving.as_ref()?;
        let long = parts.first().map(|first| count(first.len())).filter(|bytes| *bytes >= LONG_BYTES);
        let then = long.and_then(|bytes| here.checked_add(bytes)).filter(|then| then < length);
        let (left, is_asked) = (length.saturating_sub(*here), long.is_some() && parts.len() > 1);
        Some(Next { head: *head, offset: *here, of: *of, left, then, is_asked })
    }

    /// The part did not come: for which time in a row, if one is waited for.
    pub(super) fn failed(&mut self) -> Option<u64> {
        let arriving = self.arriving.as_mut()?;
        arriving.attempts += 1;
        Some(arriving.attempts)
    }

    /// A part came in.
    pub(super) fn take(&mut self, rules: Rules, part: &CheckpointPart) -> Part {
        let Some(arriving) = &mut self.arriving else { return Part::NotAsked };
        if !rules.is_part_of(part.head, arriving.head) {
            return if part.head.op > arriving.head.op { Part::Gone } else { Part::NotAsked };
        }
        let here = arriving.here;
        if part.offset != here {
            return Part::Duplicate;
        }
        if here == 0 {
            (arriving.digest, arriving.length) = (part.digest, part.length);
        }
        let same = (part.digest, part.length) == (arriving.digest, arriving.length);
        let end = here.checked_add(part.bytes.len()).filter(|end| *end <= part.length && *end > here);
        let Some(end) = end.filter(|_| rules.is_part_of_same(same)) else {
            self.arriving = None;
            return Part::Malformed;
        };
        (arriving.attempts, arriving.here) = (0, end);
        // A small one does not keep the message that it came in.
        let (bytes, is_small) = (part.bytes.whole(), part.bytes.len() < count(SHARED_BYTES_MIN));
        arriving.running.add(&bytes);
        arriving.parts.push(if is_small { Bytes::copy_from_slice(&bytes) } else { bytes });
        if end < part.length {
            return Part::More;
        }
        self.joined(rules)
    }

    fn joined(&mut self, rules: Rules) -> Part {
        let Some(Arriving { head, digest, parts, running, here, .. }) = self.arriving.take() else {
            return Part::NotAsked;
        };
        let (whole, known) = (parts.into_iter().collect(), running.of(here));
        let checkpoint = match known {
            Some(known) => Checkpoint::joined_as(&whole, known),
            None => Checkpoint::joined(&whole),
        };
        let verified = checkpoint.filter(|it| it.head() == head && rules.is_sound(it.digest(), digest));
        verified.map_or(Part::Malformed, |checkpoint| Part::Whole(Box::new(checkpoint)))
    }
}

fn part_of(checkpoint: &Checkpoint, offset: u64, bytes: usize) -> Option<CheckpointPart> {
    let (head, digest, length) = (checkpoint.head(), checkpoint.digest(), checkpoint.length());
    let bytes = checkpoint.range(offset, bytes);
    (!bytes.is_empty()).then_some(CheckpointPart { head, digest, length, offset, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Predicted;

    fn head(op: u64) -> Head {
        Head { op: Op(op), hash: Hash(op.into()) }
    }

    fn checkpoint(op: u64, state: usize) -> Checkpoint {
        Checkpoint::new(head(op), Predicted::default(), Bytes::new(), Bytes::from(alloc::vec![7; state]))
    }

    #[test]
    fn what_is_lent_is_offered_to_others_until_its_time_is_over_and_then_the_newest() {
        let lent_until_9 = || {
            let mut shelf = Shelf::new(Some(checkpoint(4, 1)));
            assert_eq!(shelf.offered(Op(0), Time(1), Time(9)), Some(head(4)));
            shelf.newest = Some(Box::new(checkpoint(8, 1)));
            shelf
        };
        let offered = |base, now| lent_until_9().offered(Op(base), Time(now), Time(20));
        assert_eq!([1, 8, 9, 10].map(|now| offered(0, now)), [head(4), head(4), head(8), head(8)].map(Some));
        assert_eq!([4, 5].map(|base| offered(base, 8)), [head(4), head(8)].map(Some), "no log begins there");
        let mut shelf = lent_until_9();
        assert_eq!(shelf.offered(Op(0), Time(8), Time(20)), Some(head(4)));
        assert_eq!(shelf.lent_op(Time(19)), Some(Op(4)), "it is kept for whoever came last");
    }

    #[test]
    fn who_asks_for_an_older_checkpoint_gets_the_same_part_of_the_newest_or_its_first_one() {
        let mut shelf = Shelf::new(Some(checkpoint(8, 100)));
        let length = checkpoint(8, 100).length();
        let mut part = |op, offset| {
            let part = shelf.part((head(op), offset), 1000, Time(1), Time(9))?;
            assert_eq!((part.head, part.length), (head(8), length));
            Some((part.offset, part.bytes.len()))
        };
        assert_eq!(part(4, 0), Some((0, length)));
        assert_eq!(part(4, length - 1), Some((length - 1, 1)));
        assert_eq!((part(4, length), part(4, length + 1)), (Some((0, length)), Some((0, length))), "it ends before");
        assert_eq!((part(9, 0), part(8, length)), (None, None), "there is none");
    }

    #[test]
    fn a_long_part_is_kept_as_it_came_and_a_short_one_does_not_keep_its_message() {
        for (bytes, shares) in [(SHARED_BYTES_MIN - 1, false), (SHARED_BYTES_MIN, true), (SHARED_BYTES_MIN + 1, true)] {
            let whole = checkpoint(8, 2 * SHARED_BYTES_MIN);
            let mut shelf = Shelf::new(None);
            shelf.want(head(8), ReplicaId(1));
            let mut part = part_of(&whole, 0, bytes).expect("it is as long");
            // As it comes: in one piece.
            part.bytes = part.bytes.whole().into();
            assert!(matches!(shelf.take(Rules::default(), &part), Part::More));
            let part = part.bytes.whole();
            let kept = &shelf.arriving.as_ref().expect("more is missing").parts[0];
            assert_eq!((kept, kept.as_ptr() == part.as_ptr()), (&part, shares), "{bytes}");
        }
    }

    /// The digest of what came before is not in an image: it is computed at the end.
    #[test]
    fn a_checkpoint_of_which_a_part_came_before_an_image_is_whole_or_refused_as_any_other() {
        let whole = checkpoint(8, 1000);
        for is_damaged in [false, true] {
            let mut shelf = Shelf::new(None);
            shelf.want(head(8), ReplicaId(1));
            let first = part_of(&whole, 0, 600).expect("it is longer");
            assert!(matches!(shelf.take(Rules::default(), &first), Part::More));
            let mut shelf: Shelf = crate::wire::unpack(&crate::wire::pack(&shelf)).expect("as it was written");
            let mut last = part_of(&whole, 600, 2000).expect("it is longer");
            if is_damaged {
                last.bytes = Bytes::from(alloc::vec![9; crate::id::index(last.bytes.len())]).into();
            }
            match shelf.take(Rules::default(), &last) {
                Part::Whole(joined) => assert!(*joined == whole && !is_damaged),
                Part::Malformed => assert!(is_damaged),
                Part::NotAsked | Part::Duplicate | Part::Gone | Part::More => panic!("it was the last one"),
            }
        }
    }
}
