//! What is true of a replica between any two steps.
//!
//! Owns the relations between the variables that statuses share. Must not know how they came about. Paper: VRR §4,
//! Figure 2.

use super::common::Common;

/// `leads`: as the primary of its view; `normal`: as that or as a backup.
#[inline]
pub(super) fn hold(common: &Common, leads: bool, normal: bool) -> bool {
    (common.log_view <= common.view())
        && (common.group.epoch() == common.epoch())
        && (common.commit() <= common.log.op())
        && (common.execution.issued() <= common.commit())
        && (common.log.base().op <= common.commit())
        && (common.execution.executed() <= common.execution.issued())
        && (common.pending.durable_op() <= common.log.op())
        && (!normal || (common.log_view == common.view()))
        && (!normal || (leads == common.is_primary()))
}

#[cfg(test)]
mod tests;
