//! What a replica keeps of epochs, whatever its status: who has what ours begins with, and which later one is known.
//!
//! Owns the shapes. Must not know what is done with them: that is `epochs`. Paper: VRR §7.

use crate::group::Group;
use crate::id::{Op, ReplicaId, Time};
use crate::quorum::ReplicaSet;
use crate::rules::Rules;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// So many that told of an epoch are remembered: as many as two groups have.
const TOLD_BY_MAX: usize = 128;

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
    /// Who told of it, the first one first: each of them has what it begins with.
    pub(super) told_by: Vec<ReplicaId>,
    pub(super) attempt: u32,
}

impl Joining {
    pub(super) fn new(group: Group, told_by: ReplicaId) -> Self {
        Self { group, told_by: Vec::from([told_by]), attempt: 0 }
    }

    /// One more told of it.
    pub(super) fn told(&mut self, by: ReplicaId, rules: Rules) {
        if rules.forgets_who_told() || self.told_by.len() >= TOLD_BY_MAX {
            self.told_by.clear();
        }
        if !self.told_by.contains(&by) {
            self.told_by.push(by);
        }
    }
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
