//! What a replica is, as 128 bits: equal for two that can do the same from now on.
//!
//! Owns where writes are counted from. Must not know who compares. DESIGN 9.5; what is left out: `fingerprint.rs`.
//!
//! **Equal fingerprints** mean: whatever one replica can be brought to do, the other can, if time may pass and replicas that
//! want to leave a view ask each other once more. Timers and the gate are left out: when a timer rings, whom a replica
//! heard of late, and who voted how long ago decide only *when* a view is left, which promises nothing (DESIGN §10). So do
//! the numbers of messages and heartbeats, and two counts that only planted bugs read.

use super::Replica;
use crate::fingerprint::{Walk, Writes};

impl Replica {
    /// The fingerprint. `places`: what each member, by position, is called; the identity names all as they are.
    ///
    /// # Panics
    /// When a member has no place.
    #[must_use]
    pub fn fingerprint(&self, places: &[u8]) -> u128 {
        let common = &self.common;
        let (issued, durable) = common.pending.reach();
        let mut walk = Walk::new(places, Writes { issued: issued.0, durable: durable.0 });
        walk.add(self);
        walk.end()
    }

    /// The numbers of the newest write that was issued and of the newest that is durable.
    #[must_use]
    pub fn writes(&self) -> Writes {
        let (issued, durable) = self.common.pending.reach();
        Writes { issued: issued.0, durable: durable.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ClusterConfig, Config};
    use crate::event::{Event, Input};
    use crate::id::{ClusterId, Instance, ReplicaId, Time, WriteId};
    use crate::stored::Stored;
    use alloc::vec::Vec;

    const AS_THEY_ARE: &[u8] = &[0, 1, 2];

    fn opened(id: u16, at: Time) -> Replica {
        let cluster = ClusterConfig::of_size(ClusterId(1), 3);
        let disk = Stored::format(cluster.cluster, cluster.digest(), ReplicaId(id), Instance(u128::from(id) + 7));
        Replica::open(Config::new(cluster, ReplicaId(id)), disk, at, &mut Vec::new()).expect("its own disk")
    }

    #[test]
    fn the_same_at_another_moment_is_the_same() {
        let (mut one, mut two) = (opened(1, Time(5)), opened(1, Time(5_000_000_000)));
        assert_eq!(one.fingerprint(AS_THEY_ARE), two.fingerprint(AS_THEY_ARE));
        let _ = one.step(Event { at: Time(6), input: Input::Persisted(WriteId(1)) });
        assert_ne!(one.fingerprint(AS_THEY_ARE), two.fingerprint(AS_THEY_ARE), "a write is durable");
        let _ = two.step(Event { at: Time(7_000_000_000), input: Input::Persisted(WriteId(1)) });
        assert_eq!(one.fingerprint(AS_THEY_ARE), two.fingerprint(AS_THEY_ARE));
    }

    #[test]
    fn the_writes_of_a_replica_are_those_it_issued_and_those_the_disk_has() {
        let mut replica = opened(1, Time(5));
        let (before, begun) = (replica.writes(), replica.clone());
        let _ = replica.step(Event { at: Time(6), input: Input::Persisted(WriteId(1)) });
        let after = replica.writes();
        assert_eq!((before.issued, before.durable, after.issued, after.durable), (1, 0, 1, 1));
        assert_eq!((begun.writes().issued, begun.writes().durable), (1, 0));
    }

    #[test]
    fn a_replica_that_left_its_view_is_another_and_one_that_only_wants_to_is_not() {
        let mut one = opened(1, Time(5));
        // Otherwise what it says waits for the disk.
        let _ = one.step(Event { at: Time(6), input: Input::Persisted(WriteId(1)) });
        let two = one.clone();
        let _ = one.step(Event { at: one.next_deadline().expect("armed"), input: Input::Tick });
        assert!(one.snapshot().wants_view_change);
        assert_eq!(one.fingerprint(AS_THEY_ARE), two.fingerprint(AS_THEY_ARE));
        let mut other = opened(2, Time(5));
        let _ = other.step(Event { at: Time(6), input: Input::Persisted(WriteId(1)) });
        let header = crate::message::Header { view: crate::id::View(1), ..*other.common.header() };
        let vote = crate::message::Body::StartViewChange { want: false, hears: crate::quorum::ReplicaSet::EMPTY };
        let news = crate::message::Message::new(header, vote);
        let _ = one.step(Event { at: Time(7), input: Input::Message(news) });
        assert_ne!(one.fingerprint(AS_THEY_ARE), two.fingerprint(AS_THEY_ARE));
    }

    #[test]
    fn two_members_that_differ_by_their_names_alone_are_the_same_under_each_other_s() {
        let (one, two) = (opened(1, Time(5)), opened(2, Time(9)));
        assert_ne!(one.fingerprint(AS_THEY_ARE), two.fingerprint(AS_THEY_ARE));
        assert_eq!(one.fingerprint(AS_THEY_ARE), two.fingerprint(&[0, 2, 1]));
        assert_ne!(opened(0, Time(5)).fingerprint(AS_THEY_ARE), one.fingerprint(&[1, 0, 2]), "one of them leads");
    }
}
