//! The group, as an embedder and an operator see it at one node, and the order to change it.
//!
//! Owns what is asked of the group and what is waited for: the answer is the new group, once it is this node's. EXPERIMENTAL.
//! Must not know who may follow whom: the core judges. VRR §7; PROTOCOL 1.9.

use super::{Handle, RequestError};
use crate::members::{Members, NextMember, ReconfigureError};
use std::net::SocketAddr;
use vr_core::{BadGroup, ClientId, Epoch, Hash, Instance, Kind, Reconfiguration, ReplicaId, RequestNumber, StatusName};

impl Handle {
    /// EXPERIMENTAL. The group of this node's epoch: its members, where each is, and whether it is complete.
    #[must_use]
    pub fn group(&self) -> Members {
        self.book.members()
    }

    /// EXPERIMENTAL. Has the group of `epoch`, the present one, followed by these members: all of them, in the order in which
    /// views are to rotate through them (VRR §7). Only the primary takes it. Gives the new group when it is this node's; its
    /// members may still be fetching what it begins with, and those who were replaced are needed until
    /// [`Members::is_settled`] says so at a member of the new group.
    ///
    /// # Errors
    /// Why there is no other group, or that this is unknown: then look at [`Handle::group`] and ask again.
    pub async fn reconfigure(&self, epoch: Epoch, next: &[NextMember]) -> Result<Members, ReconfigureError> {
        // Judged here first, where this node leads: what is refused then was not even logged.
        let leads = self.status.borrow().status == StatusName::Primary;
        if leads && epoch != self.epoch() {
            return Err(ReconfigureError::Refused(BadGroup::WrongEpoch { is: self.epoch() }));
        }
        let asked = Reconfiguration { epoch, members: self.book.fill(next)? };
        if let Some(why) = self.book.refuses(&asked, self.disk.2).filter(|_| leads) {
            return Err(ReconfigureError::Refused(why));
        }
        let (high, low) = (getrandom::u64(), getrandom::u64());
        let (Ok(high), Ok(low)) = (high, low) else { return Err(RequestError::Busy.into()) };
        let client = ClientId(u128::from(high) << 64 | u128::from(low));
        let session = self.register_reply(client).await?.session;
        let body = asked.encode();
        match self.ask(client, session, RequestNumber(1), Kind::Reconfiguration, body).await {
            Ok(_) => {}
            Err(RequestError::BadGroup(why)) => return Err(ReconfigureError::Refused(why)),
            Err(error) => return Err(error.into()),
        }
        let began = self.wait_until(|status| status.epoch > epoch);
        let status = tokio::time::timeout(self.timeout, began).await.map_err(|_| RequestError::Timeout)?;
        if status.epoch <= epoch {
            return Err(RequestError::Halted.into());
        }
        Ok(self.group())
    }

    /// The epoch of this node.
    pub(crate) fn epoch(&self) -> Epoch {
        self.book.epoch()
    }

    /// The disk of this node.
    pub(crate) const fn disk(&self) -> Instance {
        self.disk.0
    }

    /// The digest of the replicated configuration: nodes that differ in it do not talk.
    pub(crate) const fn config(&self) -> Hash {
        self.disk.1
    }

    /// Where this node is reached, by its own file: by clients, and by its peers.
    pub(crate) fn own(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.book.own().map(|own| (own.client, own.peer))
    }

    /// Whom a client asks instead of this node: the primary, as far as is known, and otherwise, of a node that is no member, a
    /// member; where it serves clients.
    #[must_use]
    pub fn elsewhere(&self, primary: Option<ReplicaId>) -> Option<(ReplicaId, SocketAddr)> {
        let is_outside = matches!(self.status.borrow().status, StatusName::Retired | StatusName::Transitioning);
        self.book.hint(primary, is_outside)
    }
}
