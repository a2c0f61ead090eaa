//! What a replica keeps of epochs, whatever its status: who has what ours begins with, and which later one is known.
//!
//! Owns the shapes. Must not know what is done with them: that is `epochs`. Paper: VRR §7.

use crate::group::Group;
use crate::id::{Op, ReplicaId, Time};
use crate::quorum::ReplicaSet;
use alloc::collections::BTreeMap;
use serde::{Deserialize, Serialize};

/// What this replica does for epochs, whatever its status.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Epochs {
    pub(super) handover: Option<Handover>,
    pub(super) joining: Option<Joining>,
    /// When a replica of another epoch was last told so.
    pub(super) told: BTreeMap<ReplicaId, Time>,
    /// The epoch ended with this op, but the disk had no room for the checkpoint.
    pub(super) owed: Option<Op>,
}

/// Not enough members are known to have what our epoch begins with.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Handover {
    pub(super) started: ReplicaSet,
    pub(super) attempt: u32,
}

/// A later epoch is known, and what it begins with is on its way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Joining {
    pub(super) group: Group,
    pub(super) of: ReplicaId,
    pub(super) attempt: u32,
}

impl Epochs {
    pub(super) const fn is_joining(&self) -> bool {
        self.joining.is_some()
    }

    /// The disk has room again: the op for which a checkpoint is to be asked again.
    pub(super) const fn take_owed(&mut self) -> Option<Op> {
        self.owed.take()
    }
}
