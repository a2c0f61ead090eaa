//! The rules of epochs, each under its sentence, as in `rules`.
//!
//! Owns what ends an epoch and who may take part in one. Must not know how a replica is built or what it sends. Paper: VRR §7.

use super::Rules;

/// Epochs (PROTOCOL 1.9).
impl Rules {
    /// A reconfiguration is the last entry of its epoch, whoever leads it: nothing is taken behind one in the log (D88) or
    /// in the queue (D104).
    pub(crate) fn is_closed(self, queued: bool, logged: impl FnOnce() -> bool) -> bool {
        let in_queue = queued && !planted!(self, BatchAfterReconfiguration);
        in_queue || (!planted!(self, NoTopmostCheck) && logged())
    }

    /// What reaches as far as the end of an epoch is not read in it any more: the next one may have begun elsewhere (D87).
    pub(crate) fn closes_reads(self, ended: impl FnOnce() -> bool) -> bool {
        !planted!(self, ReadAcrossEpochs) && ended()
    }

    /// A reconfiguration is committed by a quorum of the group that it ends, not of the one that it begins (D89).
    pub(crate) fn committing_quorum(self, ours: usize, next: impl FnOnce() -> Option<usize>) -> usize {
        if planted!(self, ConfigAtAppend) { next().unwrap_or(ours) } else { ours }
    }

    /// Nobody takes part in an epoch before it has what that begins with (D90).
    pub(crate) fn votes_without_base(self) -> bool {
        planted!(self, TransitioningVotes)
    }

    /// Whoever hears that its epoch is over says nothing in it any more: what it knows to be committed by that may be known
    /// in a later view than its own (D91).
    pub(crate) fn leaves_with_its_epoch(self) -> bool {
        !planted!(self, CommitAcrossViews)
    }

    /// That it has what an epoch begins with is said by who has it on its disk (D93).
    pub(crate) fn says_started_without_base(self) -> bool {
        planted!(self, EpochStartedEarly)
    }

    /// A member counts itself among those who have what an epoch begins with when that is on its disk (D93).
    pub(crate) fn counts_itself_early(self) -> bool {
        planted!(self, CountsItselfEarly)
    }

    /// Whoever was replaced and hears of a later epoch than the one it knows need not tell of that any more: a quorum of its
    /// members has ended it (VRR §7.2).
    pub(crate) fn later_epoch_settles(self) -> bool {
        !planted!(self, TellsForever)
    }

    /// The members of a new group are told until a quorum of them has answered (D94).
    pub(crate) fn repeats_start_epoch(self) -> bool {
        !planted!(self, StartEpochOnce)
    }

    /// What an epoch begins with is lent by whoever has it, in whatever status and epoch (D95).
    pub(crate) fn lends_base_outside_normal(self) -> bool {
        !planted!(self, BaseNeedsNormal)
    }

    /// Whoever told of an epoch is asked for what it begins with, not only the last one to tell (D94, D95).
    pub(crate) fn forgets_who_told(self) -> bool {
        planted!(self, LastTellerOnly)
    }

    /// Whoever is still in an earlier epoch is told of ours (D98).
    pub(crate) fn answers_older_epochs(self) -> bool {
        !planted!(self, HintLost)
    }

    /// A reconfiguration that is to end a later epoch than ours is not refused for good: whoever asks knows more than we do,
    /// and it may have taken effect there (D99).
    pub(crate) fn refuses_group_for_good(self, ends_later: bool) -> bool {
        !ends_later || planted!(self, RefusesWhenBehind)
    }

    /// A reconfiguration that was taken before is answered as before, though its epoch is over (D99).
    pub(crate) fn judges_group_first(self) -> bool {
        planted!(self, DuplicateReconfiguration)
    }
}
