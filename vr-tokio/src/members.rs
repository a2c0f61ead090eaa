//! The members of a group as drivers know them: where each of them is, and on which disk its log lives.
//!
//! Owns the bytes of [`vr_core::Member::address`], which the core carries and never reads, and what an operator may ask for.
//! A member that is added names its disk, so that an id that comes back on another one is told apart (PROTOCOL D97). Must not
//! know the protocol, nor connect to anybody. VRR §7.
//!
//! The bytes: `CLIENT PEER [DISK]`, the address at which it serves clients, the one at which it serves its peers, and the
//! instance of its disk, 32 hexadecimal digits.

mod book;

pub(crate) use self::book::Book;

use bytes::Bytes;
use serde::Serialize;
use std::net::SocketAddr;
use std::str::FromStr;
use vr_core::{BadGroup, Epoch, Instance, Member, ReplicaId};

/// Where a member is reached, and which disk is its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemberAddress {
    /// Where it serves clients.
    pub client: SocketAddr,
    /// Where it serves its peers.
    pub peer: SocketAddr,
    /// The disk that was formatted for it. `None` for the first members, of which nobody knows it.
    pub disk: Option<Instance>,
}

impl MemberAddress {
    /// As the bytes of a [`Member`].
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let Self { client, peer, disk } = self;
        let disk = disk.map_or_else(String::new, |Instance(disk)| format!(" {disk:032x}"));
        Bytes::from(format!("{client} {peer}{disk}"))
    }

    /// What the bytes of a [`Member`] say; `None` when a member of the first group has none, or another program wrote them.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut words = str::from_utf8(bytes).ok()?.split(' ');
        let (client, peer) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let disk = words.next().map(|digits| u128::from_str_radix(digits, 16)).transpose().ok()?;
        words.next().is_none().then_some(Self { client, peer, disk: disk.map(Instance) })
    }
}

/// `CLIENT PEER [DISK]`, as in the bytes.
impl FromStr for MemberAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::decode(text.as_bytes()).ok_or("an address of a member is CLIENT PEER [DISK]")
    }
}

/// A member of the group that is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NextMember {
    /// Its id: of a present member, or one that was never used.
    pub id: ReplicaId,
    /// Where it is; `None` for a present member that stays where it is.
    pub address: Option<MemberAddress>,
}

/// One member of a group, for people and programs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct KnownMember {
    /// Its id.
    pub id: ReplicaId,
    /// Where it serves clients, if this node knows.
    pub client: Option<SocketAddr>,
    /// Where it serves its peers, if this node knows.
    pub peer: Option<SocketAddr>,
    /// Its disk, 32 hexadecimal digits, if the group names it.
    pub disk: Option<String>,
}

/// The group of a node's epoch, as that node knows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Members {
    /// The epoch.
    pub epoch: Epoch,
    /// The members, in the order in which views rotate through them.
    pub members: Vec<KnownMember>,
    /// How many of them make a quorum.
    pub quorum: usize,
    /// The smallest id that was never used.
    pub next_id: ReplicaId,
    /// A quorum of them has everything that the epoch begins with, as far as this node knows: whoever was replaced is not
    /// needed any more (VRR §7.1).
    pub is_settled: bool,
}

/// Why there is no reconfiguration.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReconfigureError {
    /// The group that was asked for may not follow this one. Nothing was done.
    #[error("{}", reason_of(*.0))]
    Refused(BadGroup),
    /// A member is to be added, and nobody knows where it is. Nothing was done.
    #[error("replica {0} is no member, and it was not said where it is")]
    Nowhere(ReplicaId),
    /// A present member is to be on another disk than the group knows: it would be somebody else. Nothing was done.
    #[error("replica {0} is a member already: which disk it is on is not said anew")]
    Rebound(ReplicaId),
    /// A member is at an address that is not of this machine alone, and there is no TLS between replicas. Nothing was done.
    #[error("{0} is not of this machine alone, and there is no TLS between replicas")]
    Exposed(SocketAddr),
    /// There is no answer. [`crate::RequestError::is_outcome_unknown`] says whether it may have taken effect: look at the
    /// group, and ask again if it is the old one.
    #[error(transparent)]
    Request(#[from] crate::RequestError),
}

/// A reason in words.
pub(crate) fn reason_of(why: BadGroup) -> String {
    match why {
        BadGroup::WrongEpoch { is } => format!("it was meant for another epoch than this one, {is}"),
        BadGroup::MemberCount => "a group has 1 to 64 members, in the mode async 2 at least".to_owned(),
        BadGroup::Duplicate(id) => format!("replica {id} would be a member twice"),
        BadGroup::UsedBefore(id) => {
            format!("id {id} was used before: a replica that was removed never comes back under its id")
        }
        BadGroup::NoChange => "nothing would change".to_owned(),
        BadGroup::Witnesses => "a group with witnesses cannot be changed".to_owned(),
        BadGroup::Unreadable | _ => "it is no reconfiguration".to_owned(),
    }
}

/// The name of a reason, for programs.
pub(crate) const fn code_of(why: BadGroup) -> &'static str {
    match why {
        BadGroup::WrongEpoch { .. } => "wrong_epoch",
        BadGroup::MemberCount => "member_count",
        BadGroup::Duplicate(_) => "duplicate",
        BadGroup::UsedBefore(_) => "used_before",
        BadGroup::NoChange => "no_change",
        BadGroup::Witnesses => "witnesses",
        BadGroup::Unreadable | _ => "unreadable",
    }
}

/// What a [`Member`] says of itself.
pub(crate) fn address_of(member: &Member) -> Option<MemberAddress> {
    MemberAddress::decode(&member.address)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use vr_core::{
        ClientId, ClusterConfig, Entry, Group, Hash, Kind, Op, Predicted, Reconfiguration, Request, RequestNumber,
        Session, View,
    };

    pub(crate) fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    /// The group of epoch 1, with these members.
    pub(crate) fn next_group(cluster: &ClusterConfig, members: Vec<Member>) -> Group {
        let body = Reconfiguration { epoch: Epoch::ZERO, members }.encode();
        let (client, session, number) = (ClientId(1), Session(1), RequestNumber(1));
        let (kind, predicted) = (Kind::Reconfiguration, Predicted::default());
        let request = Request { client, session, number, kind, predicted, body };
        let entry = Entry::new(Epoch::ZERO, View::ZERO, Op(4), Hash(1), request);
        cluster.group().after(&entry, 1).expect("it is welcome")
    }

    #[test]
    fn an_address_is_read_as_it_was_written_and_nothing_else_is_one() {
        let (client, peer) = ("127.0.0.1:1".parse().expect("one"), "[::1]:2".parse().expect("one"));
        for disk in [None, Some(Instance(0xF0))] {
            let address = MemberAddress { client, peer, disk };
            let bytes = address.encode();
            assert!(bytes.len() <= vr_core::ADDRESS_BYTES_MAX);
            assert_eq!(MemberAddress::decode(&bytes), Some(address));
        }
        for wrong in ["", "127.0.0.1:1", "127.0.0.1:1 x", "127.0.0.1:1 127.0.0.1:2 x", "127.0.0.1:1 127.0.0.1:2 1 2"] {
            assert!(wrong.parse::<MemberAddress>().is_err(), "{wrong}");
        }
    }
}
