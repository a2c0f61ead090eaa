//! The state machine of one replica (skeleton while it is being written).

use crate::action::Action;
use crate::config::{Config, ConfigError};
use crate::event::Event;
use crate::id::{Epoch, Hash, Incarnation, Op, ReplicaId, Time, View};
use crate::stored::Stored;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// VRR's `status`, for observers.
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
    /// Through here the log is durable on its own disk (in the asynchronous mode: held in memory).
    pub durable: Op,
    /// The commit-number.
    pub commit: Op,
    /// Through here the service has answered.
    pub executed: Op,
    /// Does it want to leave its view?
    pub wants_view_change: bool,
}

/// Why a replica cannot be opened.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The configuration is invalid.
    Config(ConfigError),
    /// The disk belongs to another cluster, another configuration or another replica.
    ForeignDisk,
}

/// One replica.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Replica {}

impl Replica {
    /// Starts a replica from what its disk holds; its first actions go to `out`.
    ///
    /// # Errors
    /// When the configuration is invalid or the disk is not this replica's.
    pub fn open(_config: Config, _stored: Stored, _at: Time, _out: &mut Vec<Action>) -> Result<Self, OpenError> {
        Ok(Self {})
    }
    /// Takes one event, gives what is to be done.
    #[must_use]
    pub fn step(&mut self, event: Event) -> Vec<Action> {
        let mut out = Vec::new();
        self.step_into(event, &mut out);
        out
    }
    /// [`Replica::step`] into a buffer of the caller's: no allocation in steady state.
    pub fn step_into(&mut self, _event: Event, _out: &mut Vec<Action>) {}
    /// When the next [`crate::Input::Tick`] is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        None
    }
    /// What an observer may see.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        unreachable!("skeleton")
    }
    /// The hash of the client table (PROTOCOL S16).
    #[must_use]
    pub fn table_digest(&self) -> Hash {
        unreachable!("skeleton")
    }
}
