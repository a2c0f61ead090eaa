//! Who is where: the group of a node's epoch, and the addresses of everybody that this node has heard of.
//!
//! Owns both. An address that a group names counts for more than one in this node's own file, and that for more than one that
//! somebody says of itself; of two groups the later one counts. Shared by whoever sends, listens and answers clients. Must not
//! know the protocol, nor connect. VRR §7.

use super::{KnownMember, MemberAddress, Members, NextMember, ReconfigureError, address_of};
use crate::config::NodeConfig;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use vr_core::{BadGroup, ClusterConfig, Epoch, Group, Instance, Member, Reconfiguration, ReplicaId, View};

/// So many replicas are known by what they say of themselves.
const HEARSAY_MAX: usize = 256;
/// What somebody says of itself counts for less …
const HEARSAY: u64 = 0;
/// … than this node's file, and that for less than any group.
const FILE: u64 = 1;

/// Who is where.
#[derive(Debug)]
pub(crate) struct Book {
    me: ReplicaId,
    /// Where everybody listens for its peers by this node's file.
    filed: Vec<(ReplicaId, SocketAddr)>,
    /// Where this node is.
    own: Option<MemberAddress>,
    /// Plain text may leave this machine, or nothing goes in plain text.
    may_leave: bool,
    /// The epoch of the group, for whoever asks often.
    epoch: AtomicU64,
    pages: RwLock<Pages>,
}

#[derive(Debug)]
struct Pages {
    group: Group,
    is_settled: bool,
    known: HashMap<ReplicaId, (u64, MemberAddress)>,
}

impl Pages {
    fn note(&mut self, id: ReplicaId, rank: u64, address: MemberAddress) {
        let entry = self.known.entry(id).or_insert((rank, address));
        if rank >= entry.0 {
            *entry = (rank, address);
        }
    }

    fn note_all(&mut self, group: &Group, may_leave: bool) {
        for member in group.members() {
            if let Some(address) = address_of(member).filter(|address| may_leave || address.peer.ip().is_loopback()) {
                self.note(member.id, group.epoch().0.saturating_add(FILE + 1), address);
            }
        }
    }
}

impl Book {
    /// That of a node whose replica begins with this group.
    pub(crate) fn new(config: &NodeConfig, group: &Group) -> Self {
        let places = config.nodes.iter().map(|node| (ReplicaId(node.id), node.client, node.peer));
        let may_leave = config.peer_tls.is_some() || config.allow_plaintext;
        Self::of(config.id, places, group, may_leave)
    }

    /// One with these places: where each serves clients, and its peers.
    pub(crate) fn of(
        me: ReplicaId,
        places: impl IntoIterator<Item = (ReplicaId, SocketAddr, SocketAddr)>,
        group: &Group,
        may_leave: bool,
    ) -> Self {
        let of_place = |(id, client, peer)| (id, (FILE, MemberAddress { client, peer, disk: None }));
        let known: HashMap<_, _> = places.into_iter().map(of_place).collect();
        let own = known.get(&me).map(|(_, address)| *address);
        let filed = known.iter().map(|(id, (_, address))| (*id, address.peer)).collect();
        let mut pages = Pages { group: group.clone(), is_settled: group.epoch() == Epoch::ZERO, known };
        pages.note_all(group, may_leave);
        let epoch = AtomicU64::new(group.epoch().0);
        Self { me, filed, own, may_leave, epoch, pages: RwLock::new(pages) }
    }

    /// One of a cluster that is never reconfigured, without anybody's address.
    pub(crate) fn blank(me: ReplicaId, cluster: &ClusterConfig) -> Self {
        Self::of(me, [], &cluster.group(), true)
    }

    pub(crate) const fn me(&self) -> ReplicaId {
        self.me
    }

    /// Where this node is reached, by its own file.
    pub(crate) const fn own(&self) -> Option<MemberAddress> {
        self.own
    }

    pub(crate) fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Relaxed))
    }

    /// Another epoch has begun here.
    pub(crate) fn turn(&self, group: &Group) {
        let mut pages = self.write();
        pages.note_all(group, self.may_leave);
        (pages.group, pages.is_settled) = (group.clone(), false);
        self.epoch.store(group.epoch().0, Ordering::Relaxed);
    }

    /// A quorum has what this epoch began with.
    pub(crate) fn settled(&self, epoch: Epoch) {
        let mut pages = self.write();
        pages.is_settled |= pages.group.epoch() == epoch;
    }

    /// Somebody told of a group.
    pub(crate) fn learn(&self, group: &Group) {
        self.write().note_all(group, self.may_leave);
    }

    /// Somebody said where it is.
    pub(crate) fn hear(&self, id: ReplicaId, address: MemberAddress) {
        let is_news = {
            let pages = self.read();
            let allowed = self.may_leave || address.peer.ip().is_loopback();
            allowed && pages.known.len() < HEARSAY_MAX && pages.known.get(&id).is_none_or(|(rank, _)| *rank == HEARSAY)
        };
        if is_news {
            self.write().note(id, HEARSAY, address);
        }
    }

    /// Where it is.
    pub(crate) fn find(&self, id: ReplicaId) -> Option<MemberAddress> {
        self.read().known.get(&id).map(|(_, address)| *address)
    }

    /// Where it listens for its peers by this node's file: a second place to look for it, when nobody is in the first.
    pub(crate) fn filed(&self, id: ReplicaId) -> Option<SocketAddr> {
        self.filed.iter().find(|(known, _)| *known == id).map(|(_, at)| *at)
    }

    /// Has this node ever heard of it?
    pub(crate) fn knows(&self, id: ReplicaId) -> bool {
        let pages = self.read();
        pages.group.position(id).is_some() || pages.known.contains_key(&id)
    }

    /// Everybody else in the group, and where it listens for its peers, as far as is known.
    pub(crate) fn others(&self) -> Vec<(ReplicaId, Option<SocketAddr>)> {
        let pages = self.read();
        let others = pages.group.members().iter().filter(|member| member.id != self.me);
        others.map(|Member { id, .. }| (*id, pages.known.get(id).map(|(_, address)| address.peer))).collect()
    }

    /// The disks that the group names: whoever speaks under one of these ids and has another one is somebody else (D97).
    pub(crate) fn disks(&self) -> Vec<(ReplicaId, Instance)> {
        let pages = self.read();
        pages.group.members().iter().filter_map(|member| Some((member.id, address_of(member)?.disk?))).collect()
    }

    /// Whom to ask instead of this node, which does not lead: the primary, if it is known, and otherwise, if this node is no
    /// member, one who knows.
    pub(crate) fn hint(&self, primary: Option<ReplicaId>, is_outside: bool) -> Option<(ReplicaId, SocketAddr)> {
        let pages = self.read();
        let first = || pages.group.primary(View::first_of(pages.group.epoch()));
        let id = primary.or_else(|| is_outside.then(first)).filter(|id| *id != self.me)?;
        pages.known.get(&id).map(|(_, address)| (id, address.client))
    }

    /// The group, for people and programs.
    pub(crate) fn members(&self) -> Members {
        let pages = self.read();
        let group = &pages.group;
        let known = |member: &Member| {
            let address = pages.known.get(&member.id).map(|(_, address)| *address);
            let disk = address_of(member).and_then(|address| address.disk).map(|Instance(disk)| format!("{disk:032x}"));
            KnownMember { id: member.id, client: address.map(|at| at.client), peer: address.map(|at| at.peer), disk }
        };
        Members {
            epoch: group.epoch(),
            members: group.members().iter().map(known).collect(),
            quorum: group.quorum(),
            next_id: group.next_id(),
            is_settled: pages.is_settled,
        }
    }

    /// Would the core refuse these members, as far as this node knows? Asked before anything is logged for it.
    pub(crate) fn refuses(&self, next: &Reconfiguration, least: usize) -> Option<BadGroup> {
        self.read().group.admits(next, least).err()
    }

    /// The members of a group that is asked for, each with its address. Who is a member already stays on its disk.
    ///
    /// # Errors
    /// When nobody knows where a member is, when it would be reached in plain text, or when nothing would change.
    pub(crate) fn fill(&self, next: &[NextMember]) -> Result<Vec<Member>, ReconfigureError> {
        let pages = self.read();
        let present = |id| pages.group.position(id).is_some();
        let filled = |next: &NextMember| {
            let known = pages.known.get(&next.id).map(|(_, address)| *address).filter(|_| present(next.id));
            let named = pages.group.members().iter().find(|member| member.id == next.id).and_then(address_of);
            let address = next.address.or(known).ok_or(ReconfigureError::Nowhere(next.id))?;
            if !self.may_leave && !address.peer.ip().is_loopback() {
                return Err(ReconfigureError::Exposed(address.peer));
            }
            let bound = named.and_then(|named| named.disk);
            if present(next.id) && address.disk.is_some() && address.disk != bound {
                return Err(ReconfigureError::Rebound(next.id));
            }
            let disk = bound.or(address.disk);
            Ok(Member { id: next.id, address: MemberAddress { disk, ..address }.encode() })
        };
        let members: Vec<Member> = next.iter().map(filled).collect::<Result<_, _>>()?;
        let stays = |(now, next): (&Member, &Member)| {
            let at = pages.known.get(&now.id).map(|(_, address)| (address.client, address.peer));
            now.id == next.id && at == address_of(next).map(|address| (address.client, address.peer))
        };
        let same = members.len() == pages.group.members().len();
        if same && pages.group.members().iter().zip(&members).all(stays) {
            return Err(ReconfigureError::Refused(BadGroup::NoChange));
        }
        Ok(members)
    }

    fn read(&self) -> RwLockReadGuard<'_, Pages> {
        self.pages.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing panics while it holds the lock.
    fn write(&self) -> RwLockWriteGuard<'_, Pages> {
        self.pages.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::members::tests::{at, next_group};
    use vr_core::ClusterId;

    fn book() -> (Book, ClusterConfig) {
        let cluster = ClusterConfig::of_size(ClusterId(7), 3);
        let places = (0..3u16).map(|id| (ReplicaId(id), at(10 + id), at(20 + id)));
        (Book::of(ReplicaId(0), places, &cluster.group(), false), cluster)
    }

    #[test]
    fn what_a_group_says_counts_for_more_than_the_file_and_that_for_more_than_what_one_says_of_itself() {
        let (book, cluster) = book();
        let moved = MemberAddress { client: at(91), peer: at(92), disk: None };
        book.hear(ReplicaId(1), moved);
        book.hear(ReplicaId(9), moved);
        assert_eq!(book.find(ReplicaId(1)).map(|found| found.peer), Some(at(21)));
        assert_eq!(book.find(ReplicaId(9)), Some(moved));
        let all =
            [NextMember { id: ReplicaId(0), address: None }, NextMember { id: ReplicaId(1), address: Some(moved) }];
        let later = next_group(&cluster, book.fill(&all).expect("all are somewhere"));
        book.learn(&later);
        assert_eq!((book.find(ReplicaId(1)), book.epoch()), (Some(moved), Epoch::ZERO));
        book.turn(&later);
        assert_eq!((book.epoch(), book.others()), (Epoch(1), vec![(ReplicaId(1), Some(at(92)))]));
        assert!(!book.members().is_settled);
        book.settled(Epoch(1));
        assert!(book.members().is_settled);
    }

    #[test]
    fn a_group_that_nobody_can_reach_or_that_is_the_same_is_refused() {
        let (book, _) = book();
        let stays = |id| NextMember { id: ReplicaId(id), address: None };
        let same = [stays(0), stays(1), stays(2)];
        assert_eq!(book.fill(&same), Err(ReconfigureError::Refused(BadGroup::NoChange)));
        let unknown = [stays(0), stays(3)];
        assert_eq!(book.fill(&unknown), Err(ReconfigureError::Nowhere(ReplicaId(3))));
        let far = SocketAddr::from(([10, 0, 0, 1], 1));
        let exposed = NextMember { address: Some(MemberAddress { client: far, peer: far, disk: None }), ..stays(3) };
        assert_eq!(book.fill(&[stays(0), exposed]), Err(ReconfigureError::Exposed(far)));
        book.hear(ReplicaId(4), MemberAddress { client: far, peer: far, disk: None });
        assert_eq!(book.find(ReplicaId(4)), None, "nobody is reached in plain text by hearsay");
    }

    #[test]
    fn a_member_stays_on_the_disk_that_it_was_added_with() {
        let (book, cluster) = book();
        let place = |disk| Some(MemberAddress { client: at(91), peer: at(92), disk });
        let added = NextMember { id: ReplicaId(3), address: place(Some(Instance(5))) };
        book.turn(&next_group(&cluster, book.fill(&[added]).expect("it is somewhere")));
        assert_eq!(book.disks(), [(ReplicaId(3), Instance(5))]);
        let moved = MemberAddress { client: at(93), peer: at(94), disk: None };
        let again = book.fill(&[NextMember { address: Some(moved), ..added }]).expect("it moves");
        assert_eq!(address_of(&again[0]).and_then(|address| address.disk), Some(Instance(5)));
        let rebound = NextMember { address: Some(MemberAddress { disk: Some(Instance(6)), ..moved }), ..added };
        assert_eq!(book.fill(&[rebound]), Err(ReconfigureError::Rebound(ReplicaId(3))));
    }

    #[test]
    fn whoever_is_no_member_sends_clients_to_one_and_nobody_sends_them_to_itself() {
        let (book, _) = book();
        assert_eq!(book.hint(Some(ReplicaId(2)), false), Some((ReplicaId(2), at(12))));
        assert_eq!((book.hint(None, false), book.hint(Some(ReplicaId(0)), false)), (None, None));
        let newcomer = Book::of(ReplicaId(3), [(ReplicaId(0), at(10), at(20))], &book.read().group, false);
        assert_eq!(newcomer.hint(None, true), Some((ReplicaId(0), at(10))));
    }
}
