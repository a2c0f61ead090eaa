//! After the faults end, a healed quorum answers everything and agrees: L1, L2, L3, L4, L5, L6, L9; and nobody stops
//! without a reason (DESIGN 9.17).
//!
//! Owns the excuses, computed from what happened and never from what a replica says, and the judgement at the end.
//! Must not know timeouts: they are counted in heartbeats. VRR §8.2 "Liveness"; PROTOCOL §4, DESIGN 9.16, §10.
//!
//! Excused is
//! - everything, in the asynchronous mode, once more than f replicas of a group that still counts were down, halted or
//!   recovering at a time: the group waits for its operator (PROTOCOL §6 b);
//! - everything, while the healed replicas that have their memory, or in the synchronous mode a whole log or one of
//!   which every lost entry can be read on another healed disk, are no quorum (DESIGN §10 "Recovery"; D56, D58): others
//!   may be stopped in order, which no memory is lost by;
//! - everything, while nobody healed who has its memory has what the last epoch begins with, and those of the group before
//!   are no quorum: what that epoch begins with cannot be had (PROTOCOL 1.9 R4);
//! - a healed replica that, after the faults ended, halted because its disk failed, crashed and stayed down, or lost
//!   its memory (in the asynchronous mode by any crash): it counts as not healed; the rest must still be a quorum,
//!   with its hub if it is a star;
//! - a healed replica whose disk is full: it takes no entries, and counts as not healed; whoever it leads is not excused;
//! - in a star, whoever has no link to the primary: service is kept by those that have (DESIGN §10); but who was told of the
//!   last epoch has to be in it;
//! - in a star, everything, while its hub has lost its memory, no healed replica can lend it what it lost by name, and none
//!   that it may follow leads: the others hear nobody but the hub, which takes no part in votes, so that no view can begin;
//! - in a star, a witness that its hub cannot bring up, as too few healed full members have the checkpoint that the hub fetched
//!   and its log begins with (PROTOCOL D103): it counts as not healed;
//! - a replica that was replaced, as long as it can hear of that from nobody: from no healed member of its own epoch, or of
//!   the one it was last told of, that is in a later one; and who slept through all its epochs, and was told of none;
//! - whoever is led by a replica that was not healed but hears a quorum all the same: its links are as they are.

use super::checkpoints::Checkpoints;
use super::shadow::{Mirror, Shadow, Standing};
use super::{Violation, short};
use vr_core::{
    Body, ClientId, Epoch, Group, HaltReason, Hash, Head, Message, ReplicaId, RequestNumber, Snapshot, StatusName,
    Time, To, View,
};

const L1: &str = "L1 one view";
const L2: &str = "L2 answered";
const L3: &str = "L3 recovered";
const L4: &str = "L4 abdication";
const L5: &str = "L5 no storm";
const L7: &str = "L7 reconfigured";
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
    /// Whose damaged log every lost entry of can be read on the disk of somebody else who is healed: owed a repair.
    repairable: Vec<ReplicaId>,
    /// By position of the primary, then of the sender: when its last acknowledgement of that primary's view arrived.
    heard: Vec<Time>,
}

impl Heal {
    /// Where those who are healed stand, the hub of a star first.
    fn places(&self, shadow: &Shadow) -> Vec<usize> {
        self.core.iter().filter_map(|id| shadow.place(*id)).collect()
    }

    /// Does the disk of `who` know what it lost, and can each of it be read at one of these, who are linked to it?
    fn is_repairable(&self, shadow: &Shadow, who: usize, helpers: &[usize]) -> bool {
        let Some(gone) = &shadow.replicas[who].disk.gone else { return false };
        let hub = self.core.first().and_then(|id| shadow.place(*id));
        let linked = |other: usize| self.mesh || Some(who) == hub || Some(other) == hub;
        let helps =
            |other: usize, entry: Head| other != who && linked(other) && shadow.replicas[other].disk.can_read(entry);
        let is_there = |entry: &Head| helpers.iter().any(|other| helps(*other, *entry));
        gone.end.is_some() && !gone.lost.is_empty() && gone.lost.iter().all(is_there)
    }
}

/// What the liveness of a run is judged by at its end.
pub(super) struct End<'a> {
    pub(super) at: Time,
    pub(super) replicas: &'a [(Snapshot, Hash)],
    pub(super) unanswered: &'a [(ClientId, RequestNumber)],
    pub(super) settled: bool,
}

/// A replica as it shows itself at the end, with the digest of its client table.
type Seen = (Snapshot, Hash);
/// What is wrong, and with whom.
type Complaint = (&'static str, String, Vec<ReplicaId>);

#[derive(Clone, Debug)]
pub(super) struct Liveness {
    /// Nothing is owed any more.
    void: bool,
    /// By position: a write or a sync failed in this life.
    failed_write: Vec<bool>,
    /// By position: its disk is full, in this life.
    full: Vec<bool>,
    /// By position: lost its memory after the faults had ended.
    forgot_late: Vec<bool>,
    /// By position: heartbeats sent, in which view, after a quorum had left it.
    in_vain: Vec<(View, u32)>,
    /// By position: the last epoch with it among the members that it was told of in this life.
    told: Vec<Option<Epoch>>,
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
            full: vec![false; replicas],
            forgot_late: vec![false; replicas],
            in_vain: vec![(View::ZERO, 0); replicas],
            told: vec![None; replicas],
            heal: None,
            highest: View::ZERO,
            invoked: 0,
            resolved: 0,
        }
    }

    /// Is nothing owed any more?
    pub(super) const fn is_void(&self) -> bool {
        self.void
    }

    // ---- what excuses depend on

    /// Somebody went down, halted, came back or recovered.
    pub(super) fn count_amnesiacs(&mut self, shadow: &Shadow) {
        if !shadow.sync && !self.void {
            let is_amnesiac = |mirror: &&Mirror| mirror.known && mirror.is_amnesiac(shadow.sync);
            let overwhelms = |group: &Group| {
                let members = shadow.replicas.iter().filter(|mirror| group.position(mirror.id).is_some());
                members.filter(is_amnesiac).count() > group.members().len() - group.quorum()
            };
            self.void = shadow.bodies().iter().any(overwhelms);
        }
    }

    pub(super) fn opened(&mut self, shadow: &Shadow, who: usize) {
        (self.failed_write[who], self.full[who], self.told[who]) = (false, false, None);
        self.count_repairable(shadow);
    }

    /// Which damaged logs can come back from good copies (PROTOCOL D58)? What is wrong with a disk shows when it is
    /// opened, and all that are healed are opened at once.
    fn count_repairable(&mut self, shadow: &Shadow) {
        let Some(heal) = self.heal.as_mut().filter(|_| shadow.sync) else { return };
        let healed = heal.places(shadow);
        let can_be = |who: &usize| heal.is_repairable(shadow, *who, &healed);
        let repairable = healed.iter().copied().filter(can_be).map(|who| shadow.id(who)).collect();
        heal.repairable = repairable;
    }

    /// A replica crashed. In the asynchronous mode its memory is gone; after the faults ended that is one more than
    /// the healed have bargained for.
    pub(super) fn crashed(&mut self, shadow: &Shadow, who: usize) {
        self.forgot_late[who] = self.heal.is_some() && !shadow.sync;
        self.count_amnesiacs(shadow);
    }

    pub(super) fn write_failed(&mut self, who: usize) {
        self.failed_write[who] = true;
    }

    pub(super) fn told_space(&mut self, who: usize, has: bool) {
        self.full[who] = !has;
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

    pub(super) fn healed(&mut self, at: Time, shadow: &Shadow, core: &[ReplicaId], mesh: bool) {
        let members = self.failed_write.len();
        let (core, heard) = (core.to_vec(), vec![Time::ZERO; members * members]);
        self.heal = Some(Heal { at, core, mesh, view: self.highest, repairable: Vec::new(), heard });
        self.count_repairable(shadow);
    }

    /// A message arrived. Once the faults have ended it matters whom a primary hears.
    pub(super) fn hears(&mut self, at: Time, shadow: &Shadow, who: usize, message: &Message) {
        if let Body::StartEpoch(group) | Body::NewEpoch(group) = &message.body
            && shadow.is_member(who, group)
        {
            self.told[who] = self.told[who].max(Some(group.epoch()));
        }
        let Some(heal) = &mut self.heal else { return };
        if !matches!(message.body, Body::PrepareOk { .. } | Body::CommitOk { .. }) {
            return;
        }
        if let Some(from) = shadow.place(message.header.from)
            && message.header.view == shadow.replicas[who].memory.view
        {
            heal.heard[who * shadow.replicas.len() + from] = at;
        }
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
        let members = shadow.replicas.iter().filter(|mirror| shadow.group(view).position(mirror.id).is_some());
        let gone = members.filter(|mirror| mirror.disk.view > view).count();
        if gone < shadow.quorum(view) {
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
            "{id:?} still acts as the primary of view {view}, {HEARTBEATS} heartbeats after {gone} replicas had \
             left that view"
        );
        Err(Violation::liveness(L4, message, &[id]))
    }

    // ---- the end

    pub(super) fn judge(&mut self, shadow: &Shadow, end: &End<'_>) -> Result<(), Violation> {
        let Some(heal) = self.heal.as_ref().filter(|_| !self.void) else { return Ok(()) };
        let Some(able) = self.able(shadow, heal, end) else {
            self.void = true;
            return Ok(());
        };
        if self.is_led_from_outside(shadow, heal, &able, end) {
            return Ok(());
        }
        let Err((property, what, ids)) = self.owed(shadow, heal, &able, end) else { return Ok(()) };
        let waited = end.at.since(heal.at);
        Err(Violation::liveness(property, format!("{waited:?} after the faults ended, {what}"), &ids))
    }

    /// Who must be well at the end, the hub of a star first: the healed replicas that no later fault took out.
    /// `None` if they are too few.
    fn able<'a>(&self, shadow: &Shadow, heal: &Heal, end: &End<'a>) -> Option<Vec<&'a Seen>> {
        let well = |id: &ReplicaId| {
            let place = shadow.place(*id);
            let lost = |place: usize| self.failed_write[place] || self.forgot_late[place] || self.full[place];
            place.is_some_and(|place| !lost(place) && shadow.replicas[place].standing.is_running())
        };
        let seen = |id: &ReplicaId| end.replicas.iter().find(|(seen, _)| seen.id == *id);
        let members = heal.core.iter().filter(|id| shadow.present().position(**id).is_some());
        let healed = heal.places(shadow);
        let strands = |id: &ReplicaId| {
            !heal.mesh && shadow.place(*id).is_some_and(|at| Checkpoints::strands(shadow, &healed, at))
        };
        let able: Vec<&Seen> = members.filter(|id| well(id) && !strands(id)).filter_map(seen).collect();
        let is_whole = |seen: &&&Seen| {
            shadow.place(seen.0.id).is_some_and(|place| !shadow.replicas[place].is_amnesiac(shadow.sync))
        };
        // Those who could help then must be well still.
        let helpers: Vec<usize> = able.iter().filter_map(|(seen, _)| shadow.place(seen.id)).collect();
        let can_still = |id: ReplicaId| shadow.place(id).is_some_and(|who| heal.is_repairable(shadow, who, &helpers));
        let is_owed = |seen: &&&Seen| {
            let id = seen.0.id;
            is_whole(seen) || (heal.repairable.contains(&id) && can_still(id))
        };
        if !Self::is_base_there(shadow, heal, end) {
            return None;
        }
        let quorum = shadow.present().quorum();
        if able.iter().filter(is_owed).count() < quorum {
            return None;
        }
        let is_hub = |seen: &&&Seen| heal.core.first() == Some(&seen.0.id);
        let hub = heal.mesh || {
            let hub = able.first().filter(is_hub);
            hub.is_some_and(|seen| is_owed(&seen) || Self::can_follow(shadow, seen.0.id, &helpers))
        };
        (hub && able.len() >= quorum).then_some(able)
    }

    /// Can what the last epoch begins with be had from those who are healed and have their memory?
    fn is_base_there(shadow: &Shadow, heal: &Heal, end: &End<'_>) -> bool {
        let up = |id: &ReplicaId| end.replicas.iter().any(|(seen, _)| seen.id == *id);
        let whole = |place: &usize| {
            let mirror = &shadow.replicas[*place];
            mirror.standing.is_running() && !mirror.is_amnesiac(shadow.sync)
        };
        let healed: Vec<usize> =
            heal.core.iter().filter(|id| up(id)).filter_map(|id| shadow.place(*id)).filter(whole).collect();
        for group in shadow.bodies().iter().rev() {
            let begun = healed.iter().any(|place| shadow.has_begun(*place, group.epoch()));
            if begun || group.epoch() == Epoch::ZERO {
                return true;
            }
            let before = shadow.group(View::first_of(Epoch(group.epoch().0 - 1)));
            if healed.iter().filter(|place| shadow.is_member(**place, before)).count() < before.quorum() {
                return false;
            }
        }
        true
    }

    /// Does one of these lead a view that `follower` did not promise to leave behind?
    fn can_follow(shadow: &Shadow, follower: ReplicaId, leaders: &[usize]) -> bool {
        let promised = shadow.place(follower).map(|who| shadow.replicas[who].disk.view);
        let leads = |who: &usize| {
            let leader = &shadow.replicas[*who];
            leader.standing == Standing::Primary && Some(leader.memory.view) >= promised
        };
        leaders.iter().any(leads)
    }

    /// Does a primary that was not healed lead a quorum, and hear it, too?
    fn is_led_from_outside(&self, shadow: &Shadow, heal: &Heal, able: &[&Seen], end: &End<'_>) -> bool {
        let leads = |seen: &Snapshot| seen.status == StatusName::Primary && !seen.wants_view_change;
        let late = Time(heal.at.0 / 2 + end.at.0 / 2);
        let mut outside = end.replicas.iter().filter(|(seen, _)| !able.iter().any(|(healed, _)| healed.id == seen.id));
        outside.any(|(seen, _)| {
            let Some(place) = shadow.place(seen.id).filter(|_| leads(seen)) else { return false };
            if self.full[place] && heal.core.contains(&seen.id) {
                return false;
            }
            let members = shadow.replicas.len();
            let heard = heal.heard[place * members..][..members].iter().filter(|at| **at > late).count();
            heard + 1 >= shadow.present().quorum()
        })
    }

    fn owed(&self, shadow: &Shadow, heal: &Heal, able: &[&Seen], end: &End<'_>) -> Result<(), Complaint> {
        self.in_place(shadow, heal, able, end)?;
        let served = Self::served(shadow, heal, able)?;
        if let Some((client, number)) = end.unanswered.first() {
            let count = end.unanswered.len();
            let what = format!("{count} requests are unanswered; the first is request {number} of {client:?}");
            return Err((L2, what, Vec::new()));
        }
        Self::apart(shadow, &served)?;
        let before = if heal.view.epoch() == self.highest.epoch() { heal.view.number() } else { 0 };
        let views = self.highest.number().saturating_sub(before);
        let most = 8 * super::count(shadow.replicas.len()) + 32;
        if views > most {
            return Err((L5, format!("{views} views were entered; {most} are plenty"), Vec::new()));
        }
        if !end.settled && served.len() == able.len() {
            return Err((L6, "everything is done, but the run did not come to rest".to_owned(), Vec::new()));
        }
        if self.invoked > 0 && self.resolved == 0 {
            return Err((L9, format!("{} requests were made and none was ever answered", self.invoked), Vec::new()));
        }
        Ok(())
    }

    /// A reconfiguration that was committed is finished: the members of the new group are in its epoch, and whoever is no
    /// member any more knows it.
    fn in_place(&self, shadow: &Shadow, heal: &Heal, able: &[&Seen], end: &End<'_>) -> Result<(), Complaint> {
        let group = shadow.present();
        let (hub, primary) = able.first().map(|(seen, _)| (seen.id, seen.primary)).unzip();
        let hears = |seen: &Snapshot| heal.mesh || hub == primary || Some(seen.id) == hub || Some(seen.id) == primary;
        let told = |seen: &Snapshot| shadow.place(seen.id).is_some_and(|who| self.told[who] >= Some(group.epoch()));
        let behind = |(seen, _): &&&Seen| seen.epoch != group.epoch() && (hears(seen) || told(seen));
        if let Some((seen, _)) = able.iter().find(behind) {
            let (id, now, is) = (seen.id, group.epoch(), seen.epoch);
            return Err((L7, format!("{id:?} is a member of epoch {now}, but still in epoch {is}"), vec![id]));
        }
        let replaced = |seen: &&Seen| {
            let place = shadow.place(seen.0.id).filter(|_| heal.core.contains(&seen.0.id));
            place.is_some_and(|place| !shadow.is_member(place, group) && shadow.was_member(place))
        };
        let is_out = |seen: &&Seen| matches!(seen.0.status, StatusName::Retired | StatusName::Halted);
        let knows = |seen: &&Seen| is_out(seen) || !self.may_hear(shadow, heal, &seen.0, end);
        if let Some((seen, _)) = end.replicas.iter().filter(replaced).find(|seen| !knows(seen)) {
            let (id, now, status) = (seen.id, group.epoch(), seen.status);
            return Err((L7, format!("{id:?} is no member in epoch {now}, but is {status:?}"), vec![id]));
        }
        Ok(())
    }

    /// Can a replica that is behind hear of a later epoch from somebody it asks?
    fn may_hear(&self, shadow: &Shadow, heal: &Heal, who: &Snapshot, end: &End<'_>) -> bool {
        let Some(place) = shadow.place(who.id) else { return false };
        let told = self.told[place].map(View::first_of);
        let asks = |id: ReplicaId| {
            let waits = who.status == StatusName::Transitioning;
            let ours = (!waits).then_some(shadow.replicas[place].memory.view);
            ours.into_iter().chain(told).any(|view| shadow.group(view).position(id).is_some())
        };
        let hub = heal.core.first().copied();
        let linked = |id: ReplicaId| heal.mesh || Some(id) == hub || Some(who.id) == hub;
        let mut healed = end.replicas.iter().filter(|(seen, _)| heal.core.contains(&seen.id) && seen.id != who.id);
        healed.any(|(seen, _)| {
            let tells = !matches!(seen.status, StatusName::Recovering | StatusName::Halted);
            tells && seen.epoch > who.epoch && linked(seen.id) && asks(seen.id)
        })
    }

    /// The replicas that one primary must keep in step: all of a mesh; of a star, those the primary has a link to.
    /// Or why there is no such primary.
    fn served<'a>(shadow: &Shadow, heal: &Heal, able: &[&'a Seen]) -> Result<Vec<&'a Seen>, Complaint> {
        // Of a star the hub's view counts, of a mesh the latest.
        let reference = if heal.mesh { able.iter().max_by_key(|(seen, _)| seen.view) } else { able.first() };
        let Some((reference, _)) = reference else { return Ok(Vec::new()) };
        let (view, primary) = (reference.view, reference.primary);
        let hub = able.first().map(|(seen, _)| seen.id);
        let linked = |id: ReplicaId| heal.mesh || Some(primary) == hub || Some(id) == hub || id == primary;
        let served: Vec<&Seen> = able.iter().copied().filter(|(seen, _)| linked(seen.id)).collect();
        if served.len() < shadow.present().quorum() || !served.iter().any(|(seen, _)| seen.id == primary) {
            let count = served.len();
            let what =
                format!("{:?} is in view {view} of {primary:?}, which can serve {count} of the healed", reference.id);
            return Err((L1, what, vec![reference.id, primary]));
        }
        for (seen, _) in &served {
            if seen.status == StatusName::Recovering {
                return Err((L3, format!("{:?} is still recovering", seen.id), vec![seen.id]));
            }
            let leads = seen.id == primary;
            let as_it_should = if leads { StatusName::Primary } else { StatusName::Backup };
            if seen.view != view || seen.status != as_it_should || (leads && seen.wants_view_change) {
                let wants = if seen.wants_view_change { " and wants to leave it" } else { "" };
                let what = format!(
                    "{:?} should be a normal member of view {view}, which is {primary:?}'s, but is in view {} \
                     (status {:?}){wants}",
                    seen.id, seen.view, seen.status
                );
                return Err((L1, what, vec![seen.id, primary]));
            }
        }
        Ok(served)
    }

    /// All came equally far, as far as there is to go.
    fn apart(shadow: &Shadow, served: &[&Seen]) -> Result<(), Complaint> {
        let is_witness = |seen: &Snapshot| shadow.place(seen.id).is_some_and(|place| shadow.is_witness(place));
        let full = served.iter().find(|(seen, _)| !is_witness(seen));
        let Some((first, table)) = full else { return Ok(()) };
        for (seen, other) in served {
            let far = |s: &Snapshot| format!("op {}, commit {}, executed {}", s.op, s.commit, s.executed);
            // A witness executes nothing.
            let executed = if is_witness(seen) { first.op } else { seen.executed };
            if (seen.op, seen.commit, executed) != (first.op, first.op, first.op) {
                let what = format!("{:?} is at {}, but {:?} at {}", seen.id, far(seen), first.id, far(first));
                return Err((L6, what, vec![seen.id, first.id]));
            }
            if table != other && !is_witness(seen) {
                let (ours, theirs) = (short(*other), short(*table));
                let what = format!("the client table of {:?} is {ours}, that of {:?} is {theirs}", seen.id, first.id);
                return Err((L6, what, vec![seen.id, first.id]));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
