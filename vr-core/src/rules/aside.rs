//! The rules of checkpoints whose state was set aside, each under its sentence, as in `rules`.
//!
//! Owns of which moment such a checkpoint is, when it is kept, and what is passed over meanwhile. Must not know how a replica is
//! built or what it sends. Paper: VRR §5.1.

use super::Rules;

/// Checkpoints that are given late (PROTOCOL 1.7).
impl Rules {
    /// A checkpoint is of one moment: what it has beside the state is what was known when that was set aside, not when it is
    /// given, and execution has gone on (D67, D74).
    pub(crate) fn as_set_aside<T>(self, then: T, now: impl FnOnce(&T) -> T) -> T {
        if planted!(self, AsideWithLaterTable) { now(&then) } else { then }
    }

    /// Only what was set aside last is kept, and not if the service became another one since: the log on the disk begins after
    /// a later checkpoint then, which must stay (D66).
    pub(crate) fn keeps_given(self, is_awaited: bool) -> bool {
        is_awaited || planted!(self, AsideAfterRestore)
    }

    /// While a checkpoint is put together barriers are passed over, but for the last op of an epoch, as the next one begins
    /// with the checkpoint there (D89).
    pub(crate) fn passes_over(self, is_aside: bool, ends_epoch: bool) -> bool {
        is_aside && (!ends_epoch || planted!(self, AsideOverLast))
    }
}
