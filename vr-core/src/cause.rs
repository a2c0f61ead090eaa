//! Why a replica enters a view: the causes, as notes, counters and traces tell them.
//!
//! Owns the causes, for logs, counters and traces. Must not know when one applies. Paper: VRR §4.2, §4.3.

use serde::{Deserialize, Serialize};

/// Why a view was entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum EnterCause {
    /// A quorum that hears us wants it too.
    Quorum,
    /// A message from a later view.
    Evidence,
    /// We were its primary before we crashed, or the only one there is.
    Restart,
    /// A recovering replica promised a later view than ours.
    RecoveryNeedsIt,
    /// An operator asked us, its primary, to give way.
    HandOver,
}
