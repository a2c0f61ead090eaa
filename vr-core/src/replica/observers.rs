//! What an observer is shown of a replica, whatever its status.
//!
//! Owns these answers. Must not know who asks. Paper: VRR §4, Figure 2.

use super::snapshot::{Snapshot, StatusName};
use super::{Replica, Status};
use crate::group::Group;
use crate::id::Hash;

impl Replica {
    /// What an observer may see.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.common.seen(match self.status {
            Status::Primary(_) => StatusName::Primary,
            Status::Backup(_) => StatusName::Backup,
            Status::ViewChange(_) => StatusName::ViewChange,
            Status::Recovering(_) => StatusName::Recovering,
            Status::Outside if self.common.is_retired() => StatusName::Retired,
            Status::Outside => StatusName::Transitioning,
            Status::Halted => StatusName::Halted,
        })
    }

    /// The members of its epoch: to whom [`crate::To::Others`] goes, itself left out.
    #[must_use]
    pub const fn group(&self) -> &Group {
        &self.common.group
    }

    /// The hash of the client table (PROTOCOL S16).
    #[must_use]
    pub fn table_digest(&self) -> Hash {
        self.common.clients.digest()
    }
}
