//! The group at this node: what changes when an epoch begins, and who speaks under an id that is not its own.
//!
//! Owns the ends of the news of an epoch that a driver has: the book, the ways to the members, what an operator is told. An id
//! is bound to the disk with which it was added, and that of a first member to the disk that is heard first: what comes from
//! another one is dropped, and a node whose own id the group knows on another disk does not take its place (PROTOCOL D97). Must
//! not know who may follow whom: the core does. VRR §7.

use super::run::StopReason;
use crate::members::Book;
use crate::transport::Peers;
use std::collections::HashSet;
use std::sync::Arc;
use vr_core::{Body, Group, Instance, Message, Note, Replica, ReplicaId, StatusName};

#[derive(Debug)]
pub(super) struct Grouped {
    book: Arc<Book>,
    disk: Instance,
    /// The disks that the group names.
    disks: Vec<(ReplicaId, Instance)>,
    /// Of members of whom the group names none: those that were heard first in this life.
    heard: Vec<(ReplicaId, Instance)>,
    /// Who was complained of already.
    told: HashSet<(ReplicaId, Instance)>,
}

/// So many are complained of.
const TOLD_MAX: usize = 256;

/// What becomes of a message.
pub(super) enum Heed {
    Take,
    Drop,
    /// This node must not go on.
    Stop(StopReason),
}

impl Grouped {
    pub(super) fn new(book: Arc<Book>, disk: Instance) -> Self {
        let disks = book.disks();
        Self { book, disk, disks, heard: Vec::new(), told: HashSet::new() }
    }

    /// Does the group know this id on another disk?
    pub(super) fn foreign(&self) -> Option<StopReason> {
        let mine = self.disks.iter().find(|(id, _)| *id == self.book.me());
        mine.filter(|(_, disk)| *disk != self.disk).map(|(_, disk)| StopReason::AnotherDisk(*disk))
    }

    /// A message came: is it from whom it says, and does the group that it tells of know this node?
    pub(super) fn heed(&mut self, message: &Message) -> Heed {
        let header = &message.header;
        let known = self.disks.iter().chain(&self.heard).find(|(id, _)| *id == header.from).map(|(_, disk)| *disk);
        if known.is_none() && self.book.knows(header.from) {
            self.heard.push((header.from, header.instance));
        }
        // Whoever asks which epoch it is has to be told, to find out that it is somebody else.
        if known.is_some_and(|disk| disk != header.instance) && !matches!(message.body, Body::CheckEpoch) {
            if self.told.len() < TOLD_MAX && self.told.insert((header.from, header.instance)) {
                tracing::warn!(from = header.from.0, disk = %header.instance, "it speaks under an id of another disk: dropped");
            }
            return Heed::Drop;
        }
        if let Body::StartEpoch(group) | Body::NewEpoch(group) = &message.body
            && group.is_sound()
            && group.epoch() > self.book.epoch()
        {
            return self.learn(group);
        }
        Heed::Take
    }

    fn learn(&self, group: &Group) -> Heed {
        let named = group.members().iter().find(|member| member.id == self.book.me());
        let named = named.and_then(crate::members::address_of).and_then(|address| address.disk);
        if let Some(other) = named.filter(|named| *named != self.disk) {
            return Heed::Stop(StopReason::AnotherDisk(other));
        }
        self.book.learn(group);
        Heed::Take
    }

    /// What the replica says of epochs; `peers` are those of its group from then on.
    pub(super) fn note(&mut self, note: &Note, replica: &Replica, peers: &Peers) {
        if let Note::EpochBegan { epoch, member, .. } = *note {
            self.book.turn(replica.group());
            self.disks = self.book.disks();
            peers.regroup();
            let members: Vec<u16> = replica.group().members().iter().map(|member| member.id.0).collect();
            tracing::info!(epoch = epoch.0, ?members, is_member = member, "another group from now on");
            if !member {
                tracing::warn!("this replica is no member any more: it is silent but for the news of its group");
            }
        } else if let Note::EpochSettled { epoch } = *note {
            self.book.settled(epoch);
            if replica.snapshot().status == StatusName::Retired {
                tracing::warn!(epoch = epoch.0, "the new group is complete: this node is not needed any more, stop it");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::members::tests::{at, next_group};
    use crate::members::{MemberAddress, NextMember};
    use vr_core::{Beat, ClusterConfig, ClusterId, Epoch, Header, Incarnation, Seq, View};

    /// The group of the next epoch, in which replica 3 is on disk 7.
    fn group(cluster: &ClusterConfig) -> Group {
        let place = |port| MemberAddress { client: at(port), peer: at(port + 1), disk: Some(Instance(7)) };
        let book = Book::of(ReplicaId(0), [], &cluster.group(), true);
        let next = [NextMember { id: ReplicaId(3), address: Some(place(20)) }];
        next_group(cluster, book.fill(&next).expect("it is somewhere"))
    }

    fn message(from: u16, disk: u128, body: Body) -> Message {
        let (config, view, incarnation) = (vr_core::Hash(0), View::ZERO, Incarnation(1));
        let (from, instance, seq) = (ReplicaId(from), Instance(disk), Seq(1));
        Message::new(Header { config, epoch: Epoch::ZERO, view, from, instance, incarnation, seq }, body)
    }

    #[test]
    fn what_comes_under_an_id_from_another_disk_is_dropped() {
        let cluster = ClusterConfig::of_size(ClusterId(1), 3);
        let book = Arc::new(Book::of(ReplicaId(1), [], &group(&cluster), true));
        let mut grouped = Grouped::new(book, Instance(1));
        let mut heed = |from, disk| grouped.heed(&message(from, disk, Body::CommitOk { beat: Beat(1) }));
        assert!(matches!(heed(3, 7), Heed::Take), "its own disk");
        assert!(matches!(heed(3, 8), Heed::Drop), "another one");
        assert!(matches!(heed(2, 8), Heed::Take), "of this id no disk is known");
        assert!(matches!(grouped.heed(&message(3, 8, Body::CheckEpoch)), Heed::Take), "it has to find out");
        assert_eq!(grouped.told.len(), 1, "each is complained of once");
    }

    #[test]
    fn of_a_first_member_the_disk_that_is_heard_first_is_its_own() {
        let cluster = ClusterConfig::of_size(ClusterId(1), 3);
        let book = Arc::new(Book::of(ReplicaId(1), [], &cluster.group(), true));
        let mut grouped = Grouped::new(book, Instance(1));
        let mut heed = |from, disk| grouped.heed(&message(from, disk, Body::CommitOk { beat: Beat(1) }));
        assert!(matches!((heed(2, 8), heed(2, 8)), (Heed::Take, Heed::Take)));
        assert!(matches!(heed(2, 9), Heed::Drop), "formatted again");
        assert!(matches!((heed(7, 1), heed(7, 2)), (Heed::Take, Heed::Take)), "of a stranger the core judges");
    }

    #[test]
    fn a_node_that_the_group_knows_on_another_disk_does_not_take_its_place() {
        let cluster = ClusterConfig::of_size(ClusterId(1), 3);
        let news = message(0, 5, Body::NewEpoch(Box::new(group(&cluster))));
        let on = |disk| Grouped::new(Arc::new(Book::blank(ReplicaId(3), &cluster)), Instance(disk)).heed(&news);
        assert!(matches!(on(7), Heed::Take));
        assert!(matches!(on(8), Heed::Stop(StopReason::AnotherDisk(Instance(7)))));
        let started = |disk| {
            let book = Book::of(ReplicaId(3), [], &group(&cluster), true);
            Grouped::new(Arc::new(book), Instance(disk)).foreign()
        };
        assert_eq!((started(7), started(8)), (None, Some(StopReason::AnotherDisk(Instance(7)))));
    }
}
