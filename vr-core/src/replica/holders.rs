//! Who of the full members has which checkpoint on its disk, as far as a replica of a group with witnesses knows.
//!
//! Owns that table. Must not know how news of it travel, nor what depends on it: that is `witnesses` and `retention`. Paper:
//! VRR §6.1.

use crate::group::Group;
use crate::id::WriteId;
use crate::log::Head;
use crate::quorum::{Position, ReplicaSet};
use alloc::vec;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Who has which checkpoint. Nothing in groups without witnesses.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Holders {
    /// By position: the newest that this member is known to have on its disk; op 0 for none.
    heads: Vec<Head>,
    /// The newest that others said enough have.
    told: Head,
    /// The newest of this replica's own that is durable, and the write that made it so.
    durable: Option<(WriteId, Head)>,
    /// The newest of its own that is on its way.
    written: Option<(WriteId, Head)>,
}

impl Holders {
    /// Of a group nothing is known yet, but what the own disk holds.
    pub(super) fn of(group: &Group, own: Option<Head>) -> Self {
        if group.witnesses().is_empty() {
            return Self::default();
        }
        let written = own.map(|head| (WriteId::ZERO, head));
        Self { heads: vec![Head::default(); group.members().len()], told: Head::default(), durable: None, written }
    }

    /// A checkpoint of this replica's own is on its way to the disk.
    pub(super) fn write(&mut self, id: WriteId, head: Head) {
        self.written = Some((id, head));
    }

    /// Is one on its way?
    pub(super) const fn is_writing(&self) -> bool {
        self.written.is_some()
    }

    /// The disk moved on: has it come to hold the newest of our own?
    pub(super) fn persisted(&mut self, is_durable: impl Fn(WriteId) -> bool) -> Option<Head> {
        let own = self.written.take_if(|(id, _)| is_durable(*id))?;
        self.durable = Some(own);
        Some(own.1)
    }

    /// The newest of our own that is durable, and the write that made it so.
    pub(super) const fn durable(&self) -> Option<(WriteId, Head)> {
        self.durable
    }

    /// A member has this one, or a later one by now. False when there is no such member.
    pub(super) fn learn(&mut self, of: Position, head: Head) -> bool {
        let known = self.heads.get_mut(of.index());
        let is_there = known.is_some();
        if let Some(known) = known.filter(|known| known.op < head.op) {
            *known = head;
        }
        is_there
    }

    /// The newest that one of these is known to have; op 0 for none.
    pub(super) fn newest_of(&self, members: ReplicaSet) -> Head {
        let is_one = |at| Position::new(at).is_some_and(|at| members.contains(at));
        let theirs = self.heads.iter().enumerate().filter(|(at, _)| is_one(*at)).map(|(_, head)| *head);
        theirs.max_by_key(|head| head.op).unwrap_or_default()
    }

    /// Who is known to have this very one?
    pub(super) fn holder_of(&self, head: Head) -> Option<Position> {
        let at = self.heads.iter().position(|known| *known == head)?;
        Position::new(at)
    }

    /// Somebody says that enough have this one.
    pub(super) fn told(&mut self, held: Head) {
        if held.op > self.told.op {
            self.told = held;
        }
    }

    /// The newest that so many have, or that others said so of; op 0 for none.
    pub(super) fn held_by(&self, holders: usize) -> Head {
        let mut heads = self.heads.clone();
        heads.sort_unstable_by_key(|head| core::cmp::Reverse(head.op));
        let counted = holders.checked_sub(1).and_then(|at| heads.get(at)).copied().unwrap_or_default();
        if counted.op > self.told.op { counted } else { self.told }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ClusterId, Hash, Op, ReplicaId};

    fn group() -> Group {
        let group = Group::first(ClusterId(1), &[0, 1, 2, 3].map(ReplicaId));
        group.with_witnesses(Position::new(3).into_iter().collect())
    }

    fn head(op: u64) -> Head {
        Head { op: Op(op), hash: Hash(op.into()) }
    }

    #[test]
    fn what_so_many_have_is_the_newest_that_the_last_of_them_has() {
        let mut holders = Holders::of(&group(), None);
        let at = |at| Position::new(at).expect("a member");
        for (of, op) in [(0, 8), (2, 4), (0, 6), (3, 12)] {
            assert!(holders.learn(at(of), head(op)));
        }
        assert!(!holders.learn(at(4), head(9)), "there is no such member");
        let held = |holders: &Holders| [0, 1, 2, 3, 4, 5].map(|by| holders.held_by(by).op.0);
        assert_eq!(held(&holders), [0, 12, 8, 4, 0, 0]);
        holders.told(head(6));
        holders.told(head(5));
        assert_eq!(held(&holders), [6, 12, 8, 6, 6, 6]);
    }

    #[test]
    fn of_some_members_the_newest_is_named_and_of_one_who_has_it() {
        let mut holders = Holders::of(&group(), None);
        let at = |at| Position::new(at).expect("a member");
        for (of, op) in [(0, 8), (1, 12), (2, 4)] {
            assert!(holders.learn(at(of), head(op)));
        }
        let newest = |of: &[usize]| holders.newest_of(of.iter().map(|of| at(*of)).collect());
        assert_eq!(newest(&[0, 2, 3]), head(8));
        assert_eq!(newest(&[3]), Head::default(), "it has none");
        assert_eq!([4, 8, 9].map(|op| holders.holder_of(head(op))), [Some(at(2)), Some(at(0)), None]);
    }

    #[test]
    fn our_own_counts_once_it_is_on_the_disk() {
        let mut holders = Holders::of(&group(), Some(head(4)));
        assert_eq!((holders.persisted(|_| true), holders.is_writing()), (Some(head(4)), false), "it was there");
        holders.write(WriteId(7), head(8));
        assert_eq!((holders.persisted(|id| id < WriteId(7)), holders.is_writing()), (None, true));
        assert_eq!(holders.durable(), Some((WriteId::ZERO, head(4))));
        assert_eq!(holders.persisted(|id| id <= WriteId(7)), Some(head(8)));
        assert_eq!(holders.durable(), Some((WriteId(7), head(8))));
    }
}
