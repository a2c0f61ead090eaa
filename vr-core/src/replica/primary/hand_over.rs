//! The primary gives way in good order: an operator asks for it before maintenance, and nobody has to wait for a timeout.
//!
//! Owns to whom, since when, and when it is time. Until then requests wait in the queue; whatever is in the log is
//! committed and answered, and the primary-to-be has it. Then this replica leaves for the next view that the other one
//! leads, as it would after a failure: its vote takes everybody along, and the reports choose the log, so that no promise
//! depends on any of this. Must not know what follows. VRR §4.2 knows failures only.

use super::super::common::{Common, Next, Out};
use super::Primary;
use crate::action::{Action, EnterCause, Note};
use crate::hand_over::NoHandOver;
use crate::id::{Op, ReplicaId, Time};
use crate::quorum::Position;
use serde::{Deserialize, Serialize};

/// A hand-over that is under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct GivingWay {
    to: Position,
    since: Time,
}

impl Primary {
    /// An operator asks for it. Whoever asks again, of another one perhaps, begins anew.
    pub(in super::super) fn on_hand_over(&mut self, common: &mut Common, out: &mut Out, to: Option<ReplicaId>) {
        let to = match self.successor(common, to) {
            Ok(to) => to,
            Err(why) => return out.push(Action::Note(Note::NoHandOver { why })),
        };
        self.giving_way = Some(GivingWay { to, since: common.now });
        let id = common.group.around(to.index());
        out.push(Action::Note(Note::HandingOver { to: id }));
        if self.members[to.index()].acked < common.commit() {
            // Its acknowledgement of what is committed already was lost, or is not due: this asks for it.
            self.welcome(common, out, id);
        }
    }

    /// Who can be given way to: somebody else who answers heartbeats; of several, whoever is furthest, then next in turn.
    fn successor(&self, common: &Common, to: Option<ReplicaId>) -> Result<Position, NoHandOver> {
        if self.abdicated {
            return Err(NoHandOver::NotPrimary);
        }
        let answers = |at: &Position| {
            let silence = common.now.since(self.members[at.index()].heard.max(self.since));
            silence <= common.config.timeouts.vote
        };
        if let Some(id) = to {
            let other = common.group.position(id).filter(|at| *at != common.me && !common.group.is_witness(id));
            let other = other.ok_or(NoHandOver::NoSuchMember)?;
            return if answers(&other) { Ok(other) } else { Err(NoHandOver::Unheard) };
        }
        let n = common.members();
        if common.group.full_members() == 1 {
            return Err(NoHandOver::NoSuchMember);
        }
        let in_turn = (1..n).rev().filter_map(|step| Position::new((common.me.index() + step) % n));
        let leads = |at: &Position| !common.group.witnesses().contains(*at);
        in_turn.filter(leads).filter(answers).max_by_key(|at| self.members[at.index()].acked).ok_or(NoHandOver::Unheard)
    }

    pub(in super::super) const fn is_giving_way(&self) -> bool {
        self.giving_way.is_some()
    }

    /// Is it time?
    pub(super) fn give_way(&self, common: &Common) -> Next {
        let Some(GivingWay { to, .. }) = self.giving_way else { return Next::Stay };
        let op = common.log.op();
        let has_all = |through: Op| through >= op;
        let ready =
            has_all(common.commit()) && has_all(common.execution.executed()) && has_all(self.members[to.index()].acked);
        if common.rules.hands_over(ready) {
            Next::Enter(common.group.next_view_of(to, common.view()), EnterCause::HandOver)
        } else {
            Next::Stay
        }
    }

    /// Asked with every heartbeat: did it take too long? Those who wait are served again.
    pub(super) fn keep_job_after_all(&mut self, common: &mut Common, out: &mut Out) {
        let overdue = |way: &GivingWay| common.now.since(way.since) > common.config.timeouts.abdicate;
        if common.rules.gives_up_hand_over(self.giving_way.as_ref().is_some_and(overdue)) {
            self.giving_way = None;
            out.push(Action::Note(Note::NoHandOver { why: NoHandOver::TooLate }));
            self.flush(common, out);
        }
    }
}
