//! The group of one epoch: its members and what its log begins with, and which group may follow it.
//!
//! Owns who is a member, who leads which view, the bytes of a RECONFIGURATION, and the answer whether one is
//! welcome. Must not know messages or statuses, nor what an address says. Paper: VRR §7; PROTOCOL 1.9.

use crate::entry::{Entry, Kind, genesis};
use crate::id::{ClusterId, Epoch, Op, ReplicaId, View, count, index};
use crate::log::Head;
use crate::quorum::{Position, ReplicaSet, quorum};
use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// As many members as a group has at most.
const MEMBERS_MAX: usize = 64;
/// The longest address of a member, in bytes.
pub const ADDRESS_BYTES_MAX: usize = 255;

/// One member of a group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Member {
    /// Its id, never used before by another one.
    pub id: ReplicaId,
    /// Where drivers reach it: carried, never read. At most [`ADDRESS_BYTES_MAX`].
    pub address: Bytes,
}

/// What an operator asks for (VRR §7.1): the body of a request of [`Kind::Reconfiguration`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reconfiguration {
    /// The epoch that ends with it. In any other it has no effect.
    pub epoch: Epoch,
    /// All members of the next epoch, in the order in which views rotate through them.
    pub members: Vec<Member>,
}

/// Why a reconfiguration is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum BadGroup {
    /// The body is not one of a reconfiguration.
    Unreadable,
    /// It is meant for another epoch than this one.
    WrongEpoch {
        /// The present one.
        is: Epoch,
    },
    /// A group has 1 to 64 members, in the asynchronous mode 2 at least.
    MemberCount,
    /// Two members have this id.
    Duplicate(ReplicaId),
    /// A member that is added has an id that was used before (PROTOCOL D97).
    UsedBefore(ReplicaId),
    /// The members would be the same, in the same order.
    NoChange,
    /// A group with witnesses cannot be changed (PROTOCOL 1.10).
    Witnesses,
}

/// The group of one epoch.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Group {
    epoch: Epoch,
    members: Vec<Member>,
    /// Every id below was used; whoever is added has this one or a later one.
    next_id: ReplicaId,
    /// The last entry of the epoch before, with which the log of this one begins.
    base: Head,
    /// Who of them holds no state. None in later epochs than the first, so that no message carries any.
    #[serde(skip)]
    witnesses: ReplicaSet,
}

/// The bytes of a group before its members: epoch 8, next id 2, base 24.
const FIXED_BYTES: usize = 34;

impl Group {
    /// That of the first epoch.
    #[must_use]
    pub(crate) fn first(cluster: ClusterId, members: &[ReplicaId]) -> Self {
        let member = |id: &ReplicaId| Member { id: *id, address: Bytes::new() };
        let members: Vec<Member> = members.iter().map(member).collect();
        let next_id = above(&members);
        let base = Head { op: Op::ZERO, hash: genesis(cluster) };
        Self { epoch: Epoch::ZERO, members, next_id, base, witnesses: ReplicaSet::EMPTY }
    }

    /// The same, and these members hold no state.
    #[must_use]
    pub(crate) fn with_witnesses(self, witnesses: ReplicaSet) -> Self {
        Self { witnesses, ..self }
    }

    /// Of the first epoch, who holds no state is said by the configuration: it is in no image.
    pub(crate) fn take_roles(&mut self, first: &Self) {
        if self.epoch == first.epoch {
            self.witnesses = first.witnesses;
        }
    }

    /// The group of these parts, if they are sound.
    pub(crate) fn of(epoch: Epoch, members: Vec<Member>, next_id: ReplicaId, base: Head) -> Option<Self> {
        Some(Self { epoch, members, next_id, base, witnesses: ReplicaSet::EMPTY }).filter(Self::is_sound)
    }

    /// Its epoch.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Its members, in the order in which views rotate through them.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The smallest id that was never used.
    #[must_use]
    pub const fn next_id(&self) -> ReplicaId {
        self.next_id
    }

    /// The last entry of the epoch before: every log of this epoch begins with everything through it (PROTOCOL S20).
    #[must_use]
    pub const fn base(&self) -> Head {
        self.base
    }

    /// Who of them holds no state (VRR §6.1).
    #[must_use]
    pub const fn witnesses(&self) -> ReplicaSet {
        self.witnesses
    }

    /// Is it a member that holds no state?
    #[must_use]
    pub fn is_witness(&self, id: ReplicaId) -> bool {
        !self.witnesses.is_empty() && self.position(id).is_some_and(|at| self.witnesses.contains(at))
    }

    /// The members that hold state, in the order in which they lead.
    fn full(&self) -> impl Iterator<Item = (usize, &Member)> {
        let leads = |at: usize| Position::new(at).is_none_or(|at| !self.witnesses.contains(at));
        self.members.iter().enumerate().filter(move |(at, _)| leads(*at))
    }

    /// How many members hold state.
    #[must_use]
    pub fn full_members(&self) -> usize {
        self.members.len() - self.witnesses.iter().count()
    }

    /// How many replicas make a quorum.
    #[must_use]
    pub fn quorum(&self) -> usize {
        quorum(self.members.len())
    }

    /// Where a member stands in the rotation.
    #[must_use]
    pub fn position(&self, id: ReplicaId) -> Option<Position> {
        let guess = usize::from(id.0);
        if self.members.get(guess).is_some_and(|member| member.id == id) {
            return Position::new(guess);
        }
        self.members.iter().position(|member| member.id == id).and_then(Position::new)
    }

    /// [`Group::position`]; the last one there can be for who is no member.
    #[must_use]
    pub(crate) fn place(&self, id: ReplicaId) -> Position {
        self.position(id).unwrap_or(Position::LAST)
    }

    /// The member at a position that is counted around.
    #[must_use]
    pub(crate) fn around(&self, at: usize) -> ReplicaId {
        self.members[at % self.members.len()].id
    }

    /// The primary of a view of this epoch: the members take turns, but for those that hold no state (VRR §4, §6.1).
    #[must_use]
    pub fn primary(&self, view: View) -> ReplicaId {
        let turn = index(view.number() % count(self.full_members().max(1)));
        if self.witnesses.is_empty() {
            return self.members[turn].id;
        }
        self.full().nth(turn).map_or(self.members[0].id, |(_, member)| member.id)
    }

    /// The first view after `view` of this epoch that the member at `position` leads, which holds state.
    #[must_use]
    pub fn next_view_of(&self, position: Position, view: View) -> View {
        let (n, next) = (count(self.full_members().max(1)), view.next());
        let turn = count(self.full().take_while(|(at, _)| *at < position.index()).count());
        let steps = (turn + n - next.number() % n) % n;
        View(next.0 + steps)
    }

    /// May it follow this group? A group has so many members at least: see [`crate::ClusterConfig::least_members`].
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn admits(&self, next: &Reconfiguration, least: usize) -> Result<(), BadGroup> {
        if !self.witnesses.is_empty() {
            return Err(BadGroup::Witnesses);
        }
        if next.epoch != self.epoch || next.epoch.next().is_beyond() {
            return Err(BadGroup::WrongEpoch { is: self.epoch });
        }
        let n = next.members.len();
        if n < least.max(1) || n > MEMBERS_MAX {
            return Err(BadGroup::MemberCount);
        }
        for (at, Member { id, .. }) in next.members.iter().enumerate() {
            if next.members[..at].iter().any(|other| other.id == *id) {
                return Err(BadGroup::Duplicate(*id));
            }
            if self.position(*id).is_none() && *id < self.next_id {
                return Err(BadGroup::UsedBefore(*id));
            }
        }
        if next.members == self.members {
            return Err(BadGroup::NoChange);
        }
        Ok(())
    }

    /// The group that follows this one when `entry` is committed in its epoch, if that is a reconfiguration of it. The same
    /// on every replica.
    #[must_use]
    pub fn after(&self, entry: &Entry, least: usize) -> Option<Self> {
        if entry.kind() != Kind::Reconfiguration || entry.epoch() != self.epoch {
            return None;
        }
        let next = Reconfiguration::decode(entry.body().clone())?;
        self.admits(&next, least).ok()?;
        let Reconfiguration { epoch, members } = next;
        let next_id = above(&members).max(self.next_id);
        let base = Head { op: entry.op(), hash: entry.hash() };
        Some(Self { epoch: epoch.next(), members, next_id, base, witnesses: ReplicaSet::EMPTY })
    }

    /// Can it be one at all? Of what a message brings.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let n = self.members.len();
        let distinct = |(at, member): (usize, &Member)| self.members[..at].iter().all(|other| other.id != member.id);
        let fits = self.members.iter().all(|member| member.address.len() <= ADDRESS_BYTES_MAX);
        let known = self.members.iter().all(|member| member.id < self.next_id);
        (1..=MEMBERS_MAX).contains(&n)
            && !self.epoch.is_beyond()
            && fits
            && known
            && self.members.iter().enumerate().all(distinct)
    }

    /// As bytes, for a checkpoint.
    #[must_use]
    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&self.epoch.0.to_le_bytes());
        bytes.extend_from_slice(&self.next_id.0.to_le_bytes());
        bytes.extend_from_slice(&self.base.op.0.to_le_bytes());
        bytes.extend_from_slice(&self.base.hash.0.to_le_bytes());
        spell(&self.members, &mut bytes);
        Bytes::from(bytes)
    }

    /// The group of these bytes, if they are of one.
    #[must_use]
    pub(crate) fn decode(mut bytes: Bytes) -> Option<Self> {
        let fixed = *bytes.first_chunk::<FIXED_BYTES>()?;
        let members = read(bytes.split_off(FIXED_BYTES))?;
        let number = |at: usize| fixed[at..].first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        let next_id = ReplicaId(u16::from_le_bytes([fixed[8], fixed[9]]));
        let hash = fixed[18..].first_chunk().map(|bytes| u128::from_le_bytes(*bytes))?;
        let base = Head { op: Op(number(10)?), hash: crate::id::Hash(hash) };
        Self::of(Epoch(number(0)?), members, next_id, base)
    }
}

impl Reconfiguration {
    /// The body of the request. Little-endian: epoch 8, then for each member id 2, length of its address 1, its address.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut bytes = self.epoch.0.to_le_bytes().to_vec();
        spell(&self.members, &mut bytes);
        Bytes::from(bytes)
    }

    /// What such a body asks for.
    #[must_use]
    pub fn decode(mut bytes: Bytes) -> Option<Self> {
        let epoch = Epoch(u64::from_le_bytes(*bytes.first_chunk()?));
        let members = read(bytes.split_off(8))?;
        Some(Self { epoch, members })
    }
}

/// The first id above all of these.
fn above(members: &[Member]) -> ReplicaId {
    members.iter().map(|member| member.id.next()).max().unwrap_or(ReplicaId::ZERO)
}

fn spell(members: &[Member], bytes: &mut Vec<u8>) {
    for Member { id, address } in members {
        bytes.extend_from_slice(&id.0.to_le_bytes());
        // A longer one is refused when it is read.
        bytes.push(u8::try_from(address.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(address);
    }
}

fn read(mut bytes: Bytes) -> Option<Vec<Member>> {
    let mut members = Vec::new();
    while !bytes.is_empty() {
        let [low, high, length] = *bytes.first_chunk()?;
        let mut rest = bytes.split_off(3);
        // The largest id has none above it.
        let id = ReplicaId(u16::from_le_bytes([low, high])).next();
        if usize::from(length) > rest.len() || id.0 == u16::MAX || members.len() > MEMBERS_MAX {
            return None;
        }
        members.push(Member { id: id.previous(), address: rest.split_to(length.into()) });
        bytes = rest;
    }
    Some(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Predicted, Request};
    use crate::id::{ClientId, Hash, RequestNumber, Session};

    fn member(id: u16) -> Member {
        Member { id: ReplicaId(id), address: Bytes::from(alloc::vec![7; id.into()]) }
    }

    fn asks(epoch: u64, ids: &[u16]) -> Reconfiguration {
        Reconfiguration { epoch: Epoch(epoch), members: ids.iter().copied().map(member).collect() }
    }

    fn entry(next: &Reconfiguration) -> Entry {
        let (client, session, number) = (ClientId(1), Session(1), RequestNumber(1));
        let (kind, predicted) = (Kind::Reconfiguration, Predicted::default());
        let request = Request { client, session, number, kind, predicted, body: next.encode() };
        Entry::new(next.epoch, View::first_of(next.epoch), Op(9), Hash(1), request)
    }

    #[test]
    fn a_group_is_followed_by_what_a_reconfiguration_of_its_epoch_says() {
        let first = Group::first(ClusterId(1), &[0, 1, 2].map(ReplicaId));
        let next = first.after(&entry(&asks(0, &[1, 2, 3, 4])), 1).expect("it is welcome");
        assert_eq!((next.epoch(), next.quorum(), next.next_id(), next.base().op), (Epoch(1), 3, ReplicaId(5), Op(9)));
        assert_eq!(next.primary(View::first_of(Epoch(1))), ReplicaId(1));
        assert_eq!((next.position(ReplicaId(1)), next.position(ReplicaId(0))), (Position::new(0), None));
        assert_eq!(Group::decode(next.encode()), Some(next.clone()));
        assert_eq!(next.after(&entry(&asks(0, &[1])), 1), None, "of another epoch");
        let smaller = next.after(&entry(&asks(1, &[2])), 1).expect("it is welcome");
        assert_eq!(smaller.next_id(), ReplicaId(5), "ids of the past are not used again");
    }

    #[test]
    fn what_cannot_be_a_group_is_refused_with_the_reason() {
        let first = Group::first(ClusterId(1), &[0, 1, 2].map(ReplicaId));
        let next = first.after(&entry(&asks(0, &[1, 2, 5])), 1).expect("it is welcome");
        let refusal = |epoch, ids: &[u16]| next.admits(&asks(epoch, ids), 2).expect_err("refused");
        assert_eq!(refusal(0, &[1, 2]), BadGroup::WrongEpoch { is: Epoch(1) });
        assert_eq!((refusal(1, &[]), refusal(1, &[1])), (BadGroup::MemberCount, BadGroup::MemberCount));
        assert_eq!(refusal(1, &[1, 2, 1]), BadGroup::Duplicate(ReplicaId(1)));
        assert_eq!(refusal(1, &[1, 0]), BadGroup::UsedBefore(ReplicaId(0)));
        assert_eq!(refusal(1, &[1, 3]), BadGroup::UsedBefore(ReplicaId(3)), "passed over once is passed over for good");
        assert_eq!(refusal(1, &[1, 2, 5]), BadGroup::NoChange);
        assert_eq!(next.admits(&asks(1, &[1]), 1), Ok(()));
    }

    #[test]
    fn a_group_with_witnesses_is_not_changed_and_led_by_the_others() {
        let first = Group::first(ClusterId(1), &[0, 1, 2, 3, 4].map(ReplicaId));
        let witnesses = [0, 3].into_iter().filter_map(Position::new).collect();
        let group = first.with_witnesses(witnesses);
        assert_eq!((group.quorum(), group.full_members()), (3, 3));
        assert_eq!([0, 1, 2, 3].map(|view| group.primary(View(view)).0), [1, 2, 4, 1]);
        let next_of = |at, view| group.next_view_of(Position::new(at).expect("a member"), View(view));
        assert_eq!([next_of(1, 0), next_of(2, 0), next_of(4, 0), next_of(4, 2)], [View(3), View(1), View(2), View(5)]);
        assert_eq!([0, 1, 3, 7].map(|id| group.is_witness(ReplicaId(id))), [true, false, true, false]);
        let next = asks(0, &[1, 2, 4]);
        assert_eq!(group.admits(&next, 1), Err(BadGroup::Witnesses));
        assert!(group.after(&entry(&next), 1).is_none());
    }

    #[test]
    fn an_epoch_that_no_view_has_is_none() {
        let first = Group::first(ClusterId(1), &[0, 1, 2].map(ReplicaId));
        let of = |epoch: u64| Group::of(Epoch(epoch), first.members.clone(), first.next_id, first.base);
        assert!(of(1 << 22).is_none());
        let last = of((1 << 22) - 1).expect("it is sound");
        let next = asks((1 << 22) - 1, &[0, 1]);
        assert_eq!(last.admits(&next, 1), Err(BadGroup::WrongEpoch { is: last.epoch }));
    }

    #[test]
    fn bytes_that_end_early_are_no_reconfiguration() {
        let whole = asks(4, &[3, 1, 2]).encode();
        assert_eq!(Reconfiguration::decode(whole.clone()), Some(asks(4, &[3, 1, 2])));
        let readable = (0..whole.len()).filter(|at| Reconfiguration::decode(whole.slice(..*at)).is_some());
        assert_eq!(readable.collect::<Vec<_>>(), [8, 14, 18], "between members");
        let last = Reconfiguration { epoch: Epoch(1), members: alloc::vec![member(0), member(u16::MAX - 1)] };
        assert_eq!(Reconfiguration::decode(last.encode()), None, "the last id has none above it");
    }

    #[test]
    fn a_group_whose_next_id_is_taken_by_a_member_is_none() {
        let first = Group::first(ClusterId(1), &[0, 1, 2].map(ReplicaId));
        let of = |next| Group::of(Epoch(1), first.members.clone(), ReplicaId(next), first.base).is_some();
        assert_eq!([1, 2, 3, 4].map(of), [false, false, true, true]);
    }

    /// So that whoever asks hears why.
    #[test]
    fn a_reconfiguration_with_one_member_too_many_is_read_and_refused_for_that() {
        let first = Group::first(ClusterId(1), &[0, 1, 2].map(ReplicaId));
        let most = u16::try_from(MEMBERS_MAX).expect("few");
        let read = |members: u16| {
            let next = asks(0, &(0..members).collect::<Vec<_>>());
            Reconfiguration::decode(next.encode()).map(|next| first.admits(&next, 1))
        };
        assert_eq!(read(most), Some(Ok(())));
        assert_eq!(read(most + 1), Some(Err(BadGroup::MemberCount)));
        assert_eq!(read(most + 2), None, "nobody reads on");
    }
}
