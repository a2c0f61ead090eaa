//! The rules against views that move on for ever, each under its sentence, as in `rules`.
//!
//! Owns when patience begins anew and when a log that was chosen is given up. Must not know how a replica is built or what it
//! sends. Paper: VRR §4.2, §8.2 "Liveness".

use super::Rules;

/// Livelock (PROTOCOL D24, D39).
impl Rules {
    /// Patience begins anew with a view that has held for as long as the longest patience, not with one that has merely begun:
    /// whoever is still on its way into it hears votes from before that, and may tear it down (D24).
    pub(crate) fn is_proven(self, held: bool) -> bool {
        held || planted!(self, PatienceAtOnce)
    }

    /// A primary-to-be that asked so many times in vain for the log it chose does without the reports that name it, if the
    /// others are a quorum: any quorum's reports will do (VRR §4.2 step 3; D39).
    pub(crate) fn gives_up_log(self, in_vain: u64) -> bool {
        in_vain >= 3 && !planted!(self, ChosenLogForever)
    }
}
