//! The rules of reads that no log entry pays for, each under its sentence, as in `rules`.
//!
//! Owns when a primary may answer, what an answer must reflect, and whose question an index is for. Must not know how a replica
//! is built or what it sends. Paper: VRR §6.3.

use super::Rules;
use crate::id::{Beat, FetchId, Op};

/// Reads (PROTOCOL 1.8).
impl Rules {
    /// Before a primary answers a read, a quorum has answered a heartbeat of it: nobody had left its view (D80).
    pub(crate) fn confirms_reads(self) -> bool {
        !planted!(self, LocalRead)
    }

    /// That heartbeat left after the read came: who answered an earlier one may have left since (D80). `before` is the
    /// newest that had left when it came, `since` the one that leaves for it.
    pub(crate) fn confirming_beat(self, before: Beat, since: Beat) -> Beat {
        if planted!(self, EarlierBeatConfirms) { before } else { since }
    }

    /// A read sees what was committed when it came, and what the view began with: of that, earlier primaries may have
    /// answered anything (D82).
    pub(crate) fn read_index(self, commit: Op, view_start: Op) -> Op {
        if planted!(self, ReadBeforeInherited) { commit } else { commit.max(view_start) }
    }

    /// The state of a backup may be old: it answers no read as if it were not (D81).
    pub(crate) fn backup_reads(self) -> bool {
        planted!(self, BackupRead)
    }
}

/// Reads at backups (PROTOCOL 1.8). What a backup may answer its primary says, under the rules above.
impl Rules {
    /// An index is given to a backup when the primary could answer a read of its own: one that is given at once may be that
    /// of a primary that others have replaced (D80).
    pub(crate) fn gives_index_at_once(self) -> bool {
        planted!(self, IndexUnconfirmed)
    }

    /// A backup answers when everything through the index is with its service, not when it hears of it (D81).
    pub(crate) fn answers_from(self, issued: Op, index: Op) -> bool {
        index <= issued || planted!(self, AnswersBeforeIndex)
    }

    /// An index is for those who waited when it was asked for: whoever came later may have to see more. The numbers of
    /// questions never come back, in no life, and those of earlier views ask no more. `of_view`: it was given in our view.
    pub(crate) fn is_index_for(self, named: FetchId, asked: FetchId, of_view: bool) -> bool {
        let careless = [planted!(self, EarlierIndex), !of_view & planted!(self, IndexOverViews)].contains(&true);
        named == asked || careless
    }

    /// What a primary of an earlier view gave is no news (D16).
    pub(crate) fn takes_index_of_earlier_view(self) -> bool {
        planted!(self, IndexOverViews)
    }
}
