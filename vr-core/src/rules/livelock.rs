//! The rules against views that move on for ever, each under its sentence, as in `rules`.
//!
//! Owns when patience begins anew. Must not know how a replica is built or what it sends. Paper: VRR §4.2, §8.2 "Liveness".

use super::Rules;

/// Livelock (PROTOCOL D24).
impl Rules {
    /// Patience begins anew with a view that has held for as long as the longest patience, not with one that has merely begun:
    /// whoever is still on its way into it hears votes from before that, and may tear it down (D24).
    pub(crate) fn is_proven(self, held: bool) -> bool {
        held || planted!(self, PatienceAtOnce)
    }
}
