//! What an observer may see of a replica: the variables of VRR §4, Figure 2.
//!
//! Owns the shapes only. Must not know how a replica comes to look like this.

use crate::id::{Epoch, Incarnation, Op, ReplicaId, View};
use serde::{Deserialize, Serialize};

/// The status, for observers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub enum StatusName {
    /// Normal, and primary of its view.
    Primary,
    /// Normal, and a backup.
    Backup,
    /// Between views.
    ViewChange,
    /// Asking for its memory.
    Recovering,
    /// No member yet, or between two epochs: it promises nothing (VRR §7.2).
    Transitioning,
    /// No member any more: it was replaced (VRR §7.2).
    Retired,
    /// Stopped for good.
    Halted,
}

/// What an observer may see of a replica: the variables of VRR Figure 2.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// Who.
    pub id: ReplicaId,
    /// Which life.
    pub incarnation: Incarnation,
    /// Status and role.
    pub status: StatusName,
    /// The epoch.
    pub epoch: Epoch,
    /// The view-number.
    pub view: View,
    /// The last view in which it was normal.
    pub log_view: View,
    /// The primary of its view.
    pub primary: ReplicaId,
    /// The op-number: where its log ends.
    pub op: Op,
    /// Where its log begins: the entries through here were given up.
    pub base: Op,
    /// The newest checkpoint that is durable, or that its log begins with; 0 for none.
    pub checkpoint: Op,
    /// Through here the log is durable on its own disk (in the asynchronous mode: held in memory).
    pub durable: Op,
    /// The commit-number.
    pub commit: Op,
    /// Through here the service has answered.
    pub executed: Op,
    /// Does it want to leave its view?
    pub wants_view_change: bool,
    /// Does it log and vote only (VRR §6.1)? Then it executes nothing, and its checkpoint says where its log begins.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub witness: bool,
}
