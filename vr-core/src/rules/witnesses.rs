//! The rules of groups with witnesses, each under its sentence, as in `rules`.
//!
//! Owns who leads, what a witness may say and lend, and how far logs go. Must not know how a replica is built or what it
//! sends. Paper: VRR §6.1; PROTOCOL 1.10, D103.

use super::Rules;

/// Witnesses (PROTOCOL D103).
impl Rules {
    /// A witness never leads: it could execute nothing and answer nobody (D103a).
    pub(crate) fn witness_leads(self) -> bool {
        planted!(self, WitnessLeads)
    }

    /// A witness acknowledges the end of its gap-free log as every backup does: what it vouches for may be wanted from it
    /// alone (D103b).
    pub(crate) fn witness_acknowledges_beyond_a_gap(self, witness: bool) -> bool {
        witness & planted!(self, WitnessAcksHole)
    }

    /// A log goes behind a checkpoint that so many full members have on their disks that one of them is left when as many
    /// members fail as may: whoever is left needs everything after that from the logs of others (D103c).
    pub(crate) fn holders_needed(self, faults: usize) -> usize {
        if planted!(self, WitnessCutsAlone) { 1 } else { faults + 1 }
    }

    /// So do the logs of full members, who could do without: a witness that is behind can go on from no state (D103c).
    pub(crate) fn cuts_by_own_checkpoint(self) -> bool {
        planted!(self, FullMemberCutsAlone)
    }

    /// A witness has no state, and lends no checkpoint: what it has in place of one says where its log begins (D103d).
    pub(crate) fn lends_checkpoints(self, witness: bool) -> bool {
        !witness | planted!(self, WitnessLendsCheckpoint)
    }

    /// Who is to lead and asks for a log says, after what it has itself, which checkpoint another one could lend it: a witness
    /// whose log begins after all of the former has no state to give, and can tell what follows the latter (D103e).
    pub(crate) fn names_lenders(self) -> bool {
        !planted!(self, NamesNoLender)
    }
}
