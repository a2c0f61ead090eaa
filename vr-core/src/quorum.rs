//! Sets of replicas, and how many make a quorum.
//!
//! Owns the set as bits over the positions of one epoch's configuration. Must not know what is being
//! voted on. Paper: VRR §2.2; PROTOCOL D8: q = n − f for every n, even ones too.

use crate::id::count;
use core::fmt;
use serde::{Deserialize, Serialize};

/// How many replicas may fail: ⌊(n − 1) / 2⌋.
#[must_use]
pub const fn faults_tolerated(members: usize) -> usize {
    members.saturating_sub(1) / 2
}

/// How many make a quorum: n − f.
#[must_use]
pub const fn quorum(members: usize) -> usize {
    members - faults_tolerated(members)
}

/// The position of a member in its epoch's configuration, 0 to 63.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Position(u8);

impl Position {
    /// The last one there can be.
    pub(crate) const LAST: Self = Self(63);

    /// The position, if there is such a one.
    #[must_use]
    pub fn new(position: usize) -> Option<Self> {
        u8::try_from(position).ok().filter(|p| *p < 64).map(Self)
    }

    /// As an index into a table of members.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A set of members of one epoch's configuration.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct ReplicaSet(u64);

impl ReplicaSet {
    /// Nobody.
    pub const EMPTY: Self = Self(0);

    /// Just this one.
    #[must_use]
    pub fn of(position: Position) -> Self {
        Self(1 << position.0)
    }

    /// Adds one.
    pub fn insert(&mut self, position: Position) {
        self.0 |= 1 << position.0;
    }

    /// Takes one out.
    pub fn remove(&mut self, position: Position) {
        self.0 &= !(1 << position.0);
    }

    /// Is it in?
    #[must_use]
    pub const fn contains(self, position: Position) -> bool {
        self.0 & (1 << position.0) != 0
    }

    /// How many.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Nobody at all?
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its members, lowest position first.
    pub fn iter(self) -> impl Iterator<Item = Position> {
        (0..64u8).map(Position).filter(move |p| self.contains(*p))
    }

    /// At least `quorum` of them?
    #[must_use]
    pub fn is_at_least(self, quorum: usize) -> bool {
        u64::from(self.len()) >= count(quorum)
    }
}

impl FromIterator<Position> for ReplicaSet {
    fn from_iter<I: IntoIterator<Item = Position>>(positions: I) -> Self {
        let mut set = Self::EMPTY;
        positions.into_iter().for_each(|p| set.insert(p));
        set
    }
}

impl fmt::Debug for ReplicaSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|p| p.0)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_two_quorums_share_a_replica_for_every_cluster_size() {
        for n in 1..=64 {
            assert!(2 * quorum(n) > n, "two quorums of {n} must meet");
            assert_eq!(quorum(n) + faults_tolerated(n), n);
        }
        assert_eq!((quorum(1), quorum(2), quorum(3), quorum(4), quorum(5)), (1, 2, 2, 3, 3));
    }

    #[test]
    fn a_set_of_one_holds_that_one_wherever_it_stands() {
        for at in [0, 1, 31, 63] {
            let one = Position::new(at).unwrap();
            let mut set = ReplicaSet::of(one);
            assert_eq!(set.iter().collect::<alloc::vec::Vec<_>>(), [one]);
            assert!(!set.is_empty() && set.is_at_least(1) && !set.is_at_least(2));
            assert_eq!(alloc::format!("{set:?}"), alloc::format!("{{{at}}}"));
            set.remove(one);
            assert!(set.is_empty() && set == ReplicaSet::EMPTY && !set.is_at_least(1));
        }
    }

    #[test]
    fn a_set_holds_each_member_once() {
        let (a, b) = (Position::new(0).unwrap(), Position::new(63).unwrap());
        let mut set: ReplicaSet = [a, b, a].into_iter().collect();
        assert_eq!(set.len(), 2);
        set.remove(a);
        assert!(!set.contains(a) && set.contains(b));
        assert!(Position::new(64).is_none());
    }
}
