//! After the faults end, a healed quorum answers everything and agrees: L1, L2, L3, L4, L5, L6, L9; and nobody stops
//! without a reason (DESIGN 9.17).
//!
//! Owns the excuses, computed from what happened and never from what a replica says, and the judgement at the end.
//! Must not know timeouts: they are counted in heartbeats. VRR §8.2 "Liveness"; PROTOCOL §4, DESIGN 9.16, §10.
//!
//! Excused is
//! - everything, in the asynchronous mode, once more than f replicas were down, halted or recovering at a time:
//!   the group waits for its operator (PROTOCOL §6 b);
//! - a healed replica whose disk failed, or that crashed again, after the faults ended: it counts as not healed; the
//!   rest must still be a quorum, with its hub if it is a star;
//! - in a star, whoever has no link to the primary: service is kept by those that have (DESIGN §10).

use super::shadow::Shadow;
use super::{Violation, short};
use vr_core::{
    Body, ClientId, HaltReason, Hash, Message, ReplicaId, RequestNumber, Snapshot, StatusName, Time, To, View,
};

const L1: &str = "L1 one view";
const L2: &str = "L2 answered";
const L3: &str = "L3 recovered";
const L4: &str = "L4 abdication";
const L5: &str = "L5 no storm";
const L6: &str = "L6 converged";
const L9: &str = "L9 vacuity";
const HALT: &str = "S24 no unexcused halt";

/// A primary that a quorum has left may be this many heartbeats slow to notice; ten is the rule (T_abd = 10 H).
const HEARTBEATS: u32 = 64;

/// The faults ended.
#[derive(Clone, Debug)]
struct Heal {
    at: Time,
    core: Vec<ReplicaId>,
    mesh: bool,
    view: View,
}

/// What the liveness of a run is judged by at its end.
pub(super) struct End<'a> {
    pub(super) at: Time,
    pub(super) replicas: &'a [(Snapshot, Hash)],
    pub(super) unanswered: &'a [(ClientId, RequestNumber)],
    pub(super) settled: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Liveness {
    /// Why nothing is owed any more.
    void: bool,
    /// By position: a write or a sync failed in this life.
    failed_write: Vec<bool>,
    /// By position: heartbeats sent, in which view, after a quorum had left it.
    in_vain: Vec<(View, u32)>,
    heal: Option<Heal>,
    /// The largest view anybody entered.
    highest: View,
    invoked: u64,
    resolved: u64,
}

impl Liveness {
    pub(super) fn new(replicas: usize) -> Self {
        Self {
            void: false,
            failed_write: vec![false; replicas],
            in_vain: vec![(View::ZERO, 0); replicas],
            heal: None,
            highest: View::ZERO,
            invoked: 0,
            resolved: 0,
        }
    }

    // ---- what excuses depend on

    /// Somebody went down, halted, came back or recovered.
    pub(super) fn count_amnesiacs(&mut self, shadow: &Shadow) {
        if !shadow.sync && !self.void {
            let amnesiacs = shadow.replicas.iter().filter(|mirror| mirror.known && mirror.is_amnesiac()).count();
            self.void = amnesiacs > shadow.tolerated();
        }
    }

    pub(super) fn opened(&mut self, who: usize) {
        self.failed_write[who] = false;
    }

    pub(super) fn write_failed(&mut self, who: usize) {
        self.failed_write[who] = true;
    }

    pub(super) fn entered(&mut self, view: View) {
        self.highest = self.highest.max(view);
    }

    pub(super) const fn called(&mut self) {
        self.invoked += 1;
    }

    /// A call was answered, or its client knows that it never will be.
    pub(super) const fn resolved(&mut self) {
        self.resolved += 1;
    }

    pub(super) fn healed(&mut self, at: Time, core: &[ReplicaId], mesh: bool) {
        self.heal = Some(Heal { at, core: core.to_vec(), mesh, view: self.highest });
    }

    // ---- DESIGN 9.17

    /// A replica stops for good: only a failed write excuses that.
    pub(super) fn halts(&self, shadow: &Shadow, who: usize, reason: HaltReason) -> Result<(), Violation> {
        if reason == HaltReason::WriteFailed && self.failed_write[who] {
            return Ok(());
        }
        let id = shadow.id(who);
        let (why, ops) = match reason {
            HaltReason::ContradictsExecuted { op } => {
                (format!("a log to be installed contradicts op {op}, which it executed"), vec![op])
            }
            HaltReason::ContradictsLog { op } => (format!("its primary has another op {op} than it has"), vec![op]),
            HaltReason::CommittedBeyondLog { commit, op } => {
                (format!("op {commit} is committed, but the chosen log ends at op {op}"), vec![commit, op])
            }
            HaltReason::WriteFailed => ("a write failed, it says, but none did".to_owned(), Vec::new()),
            _ => (format!("{reason:?}"), Vec::new()),
        };
        Err(Violation::safety(HALT, format!("{id:?} halts: {why}"), &[id], &ops))
    }

    // ---- L4

    /// A message leaves: a primary whose view a quorum has left, durably, will not be acknowledged any more, and
    /// must notice.
    pub(super) fn sends(&mut self, shadow: &Shadow, who: usize, to: To, message: &Message) -> Result<(), Violation> {
        if to != To::Others || !matches!(message.body, Body::Commit { .. }) {
            return Ok(());
        }
        let view = message.header.view;
        let gone = shadow.replicas.iter().filter(|mirror| mirror.disk.view > view).count();
        if gone < shadow.quorum {
            return Ok(());
        }
        let (of, beats) = &mut self.in_vain[who];
        if *of != view {
            (*of, *beats) = (view, 0);
        }
        *beats += 1;
        if *beats <= HEARTBEATS {
            return Ok(());
        }
        let id = shadow.id(who);
        let message = format!(
            "{id:?} still acts as the primary of view {view}, {HEARTBEATS} heartbeats after {gone} replicas had left that view"
        );
        Err(Violation::liveness(L4, message, &[id]))
    }

    // ---- the end

    /// Who must be well at the end: the healed replicas that no later fault took out. `None` if they are too few.
    fn able<'a>(&self, shadow: &Shadow, heal: &'a Heal) -> Option<Vec<&'a ReplicaId>> {
        let well = |id: &&ReplicaId| {
            let place = shadow.place(**id);
            place.is_some_and(|place| !self.failed_write[place] && shadow.replicas[place].standing.is_running())
        };
        let able: Vec<&ReplicaId> = heal.core.iter().filter(well).collect();
        let hub = heal.mesh || able.first().copied() == heal.core.first();
        (hub && able.len() >= shadow.quorum).then_some(able)
    }

    pub(super) fn judge(&self, shadow: &Shadow, end: &End<'_>) -> Result<(), Violation> {
        let Some(heal) = self.heal.as_ref().filter(|_| !self.void) else { return Ok(()) };
        let Some(able) = self.able(shadow, heal) else { return Ok(()) };
        let waited = end.at.since(heal.at);
        let fail = |property, what: String, ids: &[ReplicaId]| {
            Err(Violation::liveness(property, format!("{waited:?} after the faults ended, {what}"), ids))
        };
        let all = able.iter().filter_map(|id| end.replicas.iter().find(|(seen, _)| seen.id == **id));
        let all: Vec<&(Snapshot, Hash)> = all.collect();
        if let Some((seen, _)) = all.iter().find(|(seen, _)| seen.status == StatusName::Recovering) {
            return fail(L3, format!("{:?} is still recovering", seen.id), &[seen.id]);
        }
        let served = match Self::served(shadow, heal, &all) {
            Ok(served) => served,
            Err((what, ids)) => return fail(L1, what, &ids),
        };
        if let Some((client, number)) = end.unanswered.first() {
            let (count, view) = (end.unanswered.len(), served[0].0.view);
            let what = format!("{count} requests are unanswered, the first is {client:?}'s {number}, in view {view}");
            return fail(L2, what, &[]);
        }
        if let Some((what, ids)) = Self::apart(&served) {
            return fail(L6, what, &ids);
        }
        let views = self.highest.0.saturating_sub(heal.view.0);
        let most = 8 * super::count(shadow.replicas.len()) + 32;
        if views > most {
            return fail(L5, format!("{views} views were entered; {most} are plenty"), &[]);
        }
        if !end.settled {
            return fail(L6, "nothing is left to do, but the run did not end by itself".to_owned(), &[]);
        }
        if self.invoked > 0 && self.resolved == 0 {
            return fail(L9, format!("{} requests were made and none was ever answered", self.invoked), &[]);
        }
        Ok(())
    }

    /// The replicas that one primary must keep in step: all of a mesh; of a star, those the primary has a link to.
    /// Or why there is no such primary.
    fn served<'a>(
        shadow: &Shadow,
        heal: &Heal,
        all: &[&'a (Snapshot, Hash)],
    ) -> Result<Vec<&'a (Snapshot, Hash)>, (String, Vec<ReplicaId>)> {
        let Some((hub, _)) = all.first() else { return Err(("no healed replica shows itself".to_owned(), Vec::new())) };
        let (view, primary) = (hub.view, hub.primary);
        let linked = |id: ReplicaId| heal.mesh || primary == hub.id || id == hub.id || id == primary;
        let served: Vec<&(Snapshot, Hash)> = all.iter().copied().filter(|(seen, _)| linked(seen.id)).collect();
        if served.len() < shadow.quorum {
            let what = format!("view {view} is {primary:?}'s, which {} replicas can reach", served.len());
            return Err((what, vec![primary]));
        }
        for (seen, _) in &served {
            let leads = seen.id == primary;
            let as_it_should = if leads { StatusName::Primary } else { StatusName::Backup };
            if seen.view != view || seen.status != as_it_should || (leads && seen.wants_view_change) {
                let wants = if seen.wants_view_change { ", and wants to leave it" } else { "" };
                let what = format!(
                    "{:?} is in status {:?} in view {}{wants}, while {:?} is in view {view} of {primary:?}",
                    seen.id, seen.status, seen.view, hub.id
                );
                return Err((what, vec![seen.id, hub.id]));
            }
        }
        if served.iter().any(|(seen, _)| seen.id == primary) {
            return Ok(served);
        }
        Err((format!("view {view} is {primary:?}'s, which is not among the healed"), vec![primary]))
    }

    /// Two that did not come equally far, if there are.
    fn apart(served: &[&(Snapshot, Hash)]) -> Option<(String, Vec<ReplicaId>)> {
        let (first, table) = served.first()?;
        for (seen, other) in served {
            if (seen.op, seen.commit, seen.executed) != (first.op, first.commit, first.executed) {
                let of = |s: &Snapshot| format!("op {}, commit {}, executed {}", s.op, s.commit, s.executed);
                let what = format!("{:?} is at {}, but {:?} at {}", seen.id, of(seen), first.id, of(first));
                return Some((what, vec![seen.id, first.id]));
            }
            if table != other {
                let (ours, theirs) = (short(*other), short(*table));
                let what = format!("the client table of {:?} is {ours}, that of {:?} is {theirs}", seen.id, first.id);
                return Some((what, vec![seen.id, first.id]));
            }
        }
        None
    }
}
