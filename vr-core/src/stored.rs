//! What a replica knows after a crash: the fold of its durable writes, in order.
//!
//! Owns that fold. It *is* the specification of a write-ahead log: opening one must give exactly
//! this, in the simulator and on disk alike. Must not know when anything is written. PROTOCOL §6.

use crate::action::Write;
use crate::entry::{Entries, genesis};
use crate::id::{ClusterId, Epoch, Hash, Incarnation, Instance, Op, ReplicaId, View};
use crate::log::{Head, Log};
use serde::{Deserialize, Serialize};

/// The durable state of one replica.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stored {
    /// The cluster this disk was formatted for.
    pub cluster: ClusterId,
    /// The digest of the replicated configuration it was formatted with.
    pub config: Hash,
    /// The replica this disk was formatted for.
    pub id: ReplicaId,
    /// This disk.
    pub instance: Instance,
    /// How often the replica was started; 0 means never: a virgin disk.
    pub incarnation: Incarnation,
    /// The epoch.
    pub epoch: Epoch,
    /// The promise: never to act in an earlier view.
    pub view: View,
    /// The last view in which the replica was normal; the log holds that view's whole initial log.
    pub log_view: View,
    /// The log.
    pub log: Log,
}

impl Stored {
    /// A freshly formatted disk: an explicit step of the operator, never a default (PROTOCOL D60).
    #[must_use]
    pub fn format(cluster: ClusterId, config: Hash, id: ReplicaId, instance: Instance) -> Self {
        Self {
            cluster,
            config,
            id,
            instance,
            incarnation: Incarnation::ZERO,
            epoch: Epoch::ZERO,
            view: View::ZERO,
            log_view: View::ZERO,
            log: Log::new(Head { op: Op::ZERO, hash: genesis(cluster) }),
        }
    }

    /// Adds one write.
    ///
    /// # Panics
    /// When the writes are not those of one replica in order: a gap in the log, an incarnation that was there before.
    pub fn apply(&mut self, write: Write) {
        match write {
            Write::Incarnation(incarnation) => {
                assert!(incarnation > self.incarnation, "an incarnation begins once");
                self.incarnation = incarnation;
            }
            Write::View(view) => self.view = view,
            Write::Append(entries) => self.log.append(entries),
            Write::Replace { keep, entries, view } => {
                self.log.truncate(keep);
                self.log.append(entries);
                (self.view, self.log_view) = (view, view);
            }
        }
    }

    /// Adds the part of a write that a crash left behind. Entries are written one by one, so that a torn
    /// append keeps its first `entries`; every other record is atomic and a torn one is not there at all.
    pub fn apply_torn(&mut self, write: Write, entries: usize) {
        match write {
            Write::Append(all) => self.log.append(all.take(entries)),
            Write::Incarnation(_) | Write::View(_) | Write::Replace { .. } => {}
        }
    }

    /// The entries a write brings.
    #[must_use]
    pub const fn entries_of(write: &Write) -> Option<&Entries> {
        match write {
            Write::Append(entries) | Write::Replace { entries, .. } => Some(entries),
            Write::Incarnation(_) | Write::View(_) => None,
        }
    }
}
