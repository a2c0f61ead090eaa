//! Epochs: what ends one, what begins the next, and how whoever missed that gets there.
//!
//! Owns the news of an epoch that must reach its members , and the checkpoint that a replica in an earlier
//! epoch fetches . Must not know statuses: whoever fetches goes on in its own epoch as it is until the
//! base is here, and says nothing in the later one before. Paper: VRR §7; PROTOCOL 1.9, D87 to D99.
//!
//! **An epoch begins with a checkpoint.** The RECONFIGURATION is the last entry of its epoch: the service stands still
//! behind it, and the checkpoint there, which holds the next group beside clients and state, is installed as the log of the
//! first view of the next epoch: one atomic record is epoch, view, group and base (D89, D92). Who has not executed as
//! far installs the same record, fetched by name from anybody (D95). So there is no member without the base (D90).
//!
//! **Who is believed.** The group travels in StartEpoch and NewEpoch, said by replicas that are in its epoch: each got there
//! through such a record, the first ones by executing a committed entry. Replicas crash and do not lie, so that the news
//! is true whoever says it; a replica that waits to be added may know nobody. What is installed is a checkpoint whose
//! digest was verified, and the group in it is the one that counts.

use super::checkpoints::{self, Took};
use super::common::{Common, Next, Out};
use super::news::{Epochs, Handover, Joining};
use crate::action::{Action, HaltReason, Ignored, Note, To};
use crate::checkpoint::{Checkpoint, Outline};
use crate::entry::Entry;
use crate::gate::Gate;
use crate::group::Group;
use crate::id::{Epoch, Op, ReplicaId, View, index};
use crate::log::Head;
use crate::message::{Body, CheckpointPart, Header, MessageKind};
use crate::persist::{Plain, Promise};
use crate::quorum::ReplicaSet;
use crate::timer::Timer;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;

/// So many replicas of other epochs are remembered as told lately.
const TOLD_MAX: usize = 256;

impl Common {
    /// The members of the epoch that begins.
    fn set_group(&mut self, group: Group) {
        let members = group.members().len();
        (self.me, self.quorum) = (group.place(self.config.me), self.rules.quorum(members));
        self.gate = Gate::new(self.me, members);
        self.group = group;
    }

    /// Is this replica one of the members of its epoch?
    pub(super) fn is_member(&self) -> bool {
        self.group.position(self.config.me).is_some()
    }

    /// Was it one, and is none any more?
    pub(super) fn is_retired(&self) -> bool {
        !self.is_member() && self.config.me < self.group.next_id()
    }
}

// ---- the end of an epoch, the beginning of the next

/// The group that follows, if the checkpoint at `op` is the end of our epoch.
fn ending(common: &Common, op: Op) -> Option<Group> {
    let entry: &Entry = common.log.entry(op)?;
    common.group.after(entry, common.config.cluster.least_members())
}

/// The service gave its state after `op`: a checkpoint, and perhaps the end of our epoch.
pub(super) fn taken(common: &mut Common, out: &mut Out, op: Op, state: Bytes, serving: bool) -> Next {
    let Some(group) = ending(common, op) else {
        checkpoints::taken(common, out, op, state, serving);
        return Next::Stay;
    };
    if !common.execution.taken(op) {
        return Next::Stay;
    }
    if !common.may_append() {
        // Asked for again once there is room.
        common.epochs.owed = Some(op);
        common.execution.awaits_again(op);
        return Next::Stay;
    }
    let checkpoint = last_outline(common, &group).with(state);
    end(common, out, Box::new(checkpoint), group)
}

/// The service set its state after `op` aside, and goes on unless our epoch ends there.
pub(super) fn begun(common: &mut Common, out: &mut Out, op: Op, serving: bool) {
    if common.execution.begun(op) {
        let group = ending(common, op);
        let outline = group.map_or_else(|| checkpoints::outline(common, op), |group| last_outline(common, &group));
        common.execution.set_aside(outline);
        common.execute(out, serving);
    }
}

/// What the service had set aside was put together: a checkpoint, and perhaps the end of our epoch.
pub(super) fn given(common: &mut Common, out: &mut Out, checkpoint: Box<Checkpoint>) -> Next {
    let op = checkpoint.op();
    let group = ending(common, op);
    let is_awaited = common.execution.given(&checkpoint);
    if !common.rules.keeps_given(is_awaited) {
        return Next::Stay;
    }
    let checkpoint = common.rules.as_set_aside(checkpoint, |then| checkpoints::of_now(common, then));
    let Some(group) = group else {
        checkpoints::keep(common, out, checkpoint);
        return Next::Stay;
    };
    if !common.may_append() {
        // Asked for again once there is room.
        common.epochs.owed = Some(op);
        common.execution.awaits_again(op);
        return Next::Stay;
    }
    end(common, out, checkpoint, group)
}

/// What the checkpoint after the RECONFIGURATION has beside the state.
fn last_outline(common: &Common, group: &Group) -> Outline {
    Checkpoint::outline(group.base(), checkpoints::predicted(common), Some(group), common.clients.encode())
}

/// The checkpoint after the RECONFIGURATION is here: our epoch is over (VRR §7.1.1).
fn end(common: &mut Common, out: &mut Out, checkpoint: Box<Checkpoint>, group: Group) -> Next {
    out.push(Action::Note(Note::EpochEnds { epoch: common.epoch(), op: group.base().op }));
    begin(common, out, checkpoint, group, false)
}

/// Is of the epoch of `group` from now on: one atomic record (PROTOCOL D89, D92).
fn begin(common: &mut Common, out: &mut Out, checkpoint: Box<Checkpoint>, group: Group, fetched: bool) -> Next {
    let (epoch, base, op) = (group.epoch(), group.base(), checkpoint.op());
    if let Some(reason) = contradiction(common, base) {
        return Next::Halt(reason);
    }
    common.epochs = Epochs::default();
    common.shelf.stop();
    let before = core::mem::replace(&mut common.group, group.clone());
    common.set_group(group);
    // A checkpoint beyond the base is the log of no view: the one of the present view has to be fetched (D32).
    let whole = checkpoint.head() == base || !common.is_member();
    common.set_view(if whole { View::first_of(epoch) } else { View::before(epoch) });
    common.pending.discard_held();
    if fetched {
        checkpoints::install(common, out, checkpoint, crate::entry::Entries::empty());
    } else {
        checkpoints::found(common, out, &checkpoint);
        common.shelf.installed(checkpoint);
    }
    common.view_rides_on_last_write();
    let member = common.is_member();
    out.push(Action::Note(Note::EpochBegan { epoch, base: base.op, member }));
    hand_over(common, out);
    if !fetched {
        dismiss(common, out, &before);
    }
    Next::Epoch(op)
}

/// What was committed here is a part of what the epoch begins with, or somebody is wrong (PROTOCOL D19).
fn contradiction(common: &Common, base: Head) -> Option<HaltReason> {
    let commit = common.commit();
    let agrees = commit < base.op || (commit == base.op && common.log.contains(base));
    let op = commit.min(base.op);
    (common.rules.checks_executed_prefix() && !agrees).then_some(HaltReason::ContradictsExecuted { op })
}

/// Those who are replaced are told, too: once, since whoever did not hear it asks for a new view sooner or later, and is
/// answered with it (VRR §7.2).
fn dismiss(common: &mut Common, out: &mut Out, before: &Group) {
    for member in before.members() {
        let other = member.id != common.config.me;
        if other && common.group.position(member.id).is_none() && common.rules.answers_older_epochs() {
            let group = common.group.clone();
            common.send(out, member.id, Plain::new_epoch(group));
        }
    }
}

/// Members of our group have to be told of it, until a quorum of them has what it begins with (VRR §7.1.2; D94).
pub(super) fn hand_over(common: &mut Common, out: &mut Out) {
    if common.group.epoch() == Epoch::ZERO {
        return;
    }
    common.epochs.handover = Some(Handover { started: ReplicaSet::default(), attempt: 0 });
    persisted(common, out);
    say_start(common, out);
}

/// The disk moved on: a member counts itself as soon as what the epoch begins with is there (D93).
pub(super) fn persisted(common: &mut Common, out: &mut Out) {
    if common.epochs.handover.is_none() {
        return;
    }
    let durable = common.view_is_durable().is_some() || common.rules.counts_itself_early();
    let me = common.group.position(common.config.me).filter(|_| durable);
    if let (Some(me), Some(handover)) = (me, &mut common.epochs.handover) {
        handover.started.insert(me);
        settle_if_started(common, out);
    }
}

fn settle_if_started(common: &mut Common, out: &mut Out) {
    let started = common.epochs.handover.as_ref().is_some_and(|it| it.started.is_at_least(common.group.quorum()));
    if started {
        common.epochs.handover = None;
        out.push(Action::Note(Note::EpochSettled { epoch: common.group.epoch() }));
    }
}

fn say_start(common: &mut Common, out: &mut Out) {
    let Some(handover) = &mut common.epochs.handover else { return };
    let (attempt, started) = (handover.attempt, handover.started);
    handover.attempt = attempt.saturating_add(1);
    if attempt > 0 && !common.rules.repeats_start_epoch() {
        return;
    }
    for at in 0..common.group.members().len() {
        let missing = !started.iter().any(|position| position.index() == at);
        if missing && common.group.around(at) != common.config.me {
            let (to, group) = (common.group.around(at), common.group.clone());
            common.send(out, to, Plain::start_epoch(group));
        }
    }
    arm(common, attempt);
}

fn arm(common: &mut Common, attempt: u32) {
    let wait = common.config.timeouts.retransmit.times(checkpoints::patience(common) << attempt.min(3));
    common.timers.arm(Timer::Epoch, common.now.after(wait));
}

/// StartEpoch was not answered, or a checkpoint did not come.
pub(super) fn on_timer(common: &mut Common, out: &mut Out, remembers: bool) {
    if common.epochs.joining.is_some() { ask_again(common, out, remembers) } else { say_start(common, out) }
}

// ---- news of other epochs

/// A message of another epoch, or about epochs. `normal`: this replica is, in its own; `remembers`: its log is
/// what it acknowledged.
pub(super) fn on_message(
    common: &mut Common,
    out: &mut Out,
    (header, body): (&Header, &Body),
    (normal, remembers): (bool, bool),
) -> Next {
    let (from, ours) = (header.from, common.epoch());
    match body {
        Body::StartEpoch(group) | Body::NewEpoch(group) if !group.is_sound() => {
            common.ignore(out, from, body.kind(), Ignored::Malformed);
        }
        Body::StartEpoch(group) | Body::NewEpoch(group) if group.epoch() > ours => {
            return learn(common, out, (from, body.kind()), group, remembers);
        }
        Body::StartEpoch(group) if group.epoch() == ours => confirm(common, out, from),
        Body::EpochStarted { epoch } if *epoch == ours => on_started(common, out, from),
        // By content: whoever has it gives it, whatever its status or epoch (PROTOCOL D95).
        Body::GetCheckpoint { head, offset } if remembers && (normal || common.rules.lends_base_outside_normal()) => {
            checkpoints::serve(common, out, from, *head, *offset);
        }
        Body::GetEntries { through } => {
            let lent = super::repair::lend(core::iter::once(&common.log), *through, common.page_bytes());
            super::repair::give(common, out, from, lent);
        }
        Body::CheckpointPart(part) if common.epochs.is_joining() => return on_part(common, out, from, part),
        Body::StartEpoch(_)
        | Body::EpochStarted { .. }
        | Body::NewEpoch(_)
        | Body::CheckEpoch
        | Body::GetReadIndex { .. }
        | Body::ReadIndex { .. }
        | Body::Prepare { .. }
        | Body::PrepareOk { .. }
        | Body::Commit { .. }
        | Body::CommitOk { .. }
        | Body::StartViewChange { .. }
        | Body::DoViewChange(_)
        | Body::StartView(_)
        | Body::GetState(_)
        | Body::NewState(_)
        | Body::Recovery(_)
        | Body::RecoveryResponse(_)
        | Body::GetCheckpoint { .. }
        | Body::CheckpointPart(_)
        | Body::CheckpointDurable(_)
        | Body::Entries(_) => {
            common.ignore(out, from, body.kind(), Ignored::WrongEpoch);
            tell(common, out, header, remembers);
        }
    }
    Next::Stay
}

/// Whoever is in an earlier epoch is told which it is now, and whoever is in a later one is asked (D91, D98). Not too
/// often.
fn tell(common: &mut Common, out: &mut Out, header: &Header, remembers: bool) {
    let (from, ours, theirs) = (header.from, common.epoch(), header.view.epoch());
    let spacing = crate::id::Wait(common.config.timeouts.heartbeat.0 / 2);
    let lately = common.epochs.told.get(&from).is_some_and(|at| common.now.since(*at) < spacing);
    if lately || theirs == ours || (theirs < ours && !remembers) {
        return;
    }
    if common.epochs.told.len() >= TOLD_MAX {
        common.epochs.told.clear();
    }
    common.epochs.told.insert(from, common.now);
    if theirs > ours {
        common.send(out, from, Plain::check_epoch());
    } else if common.rules.answers_older_epochs() {
        let group = common.group.clone();
        common.send(out, from, Plain::new_epoch(group));
    }
}

/// A later epoch has begun. Nothing is done in it before what it begins with is here (D90).
fn learn(
    common: &mut Common,
    out: &mut Out,
    (from, kind): (ReplicaId, MessageKind),
    group: &Group,
    remembers: bool,
) -> Next {
    let (epoch, base) = (group.epoch(), group.base());
    let concerned = common.is_member() || group.position(common.config.me).is_some();
    let joining = common.epochs.joining.as_mut().filter(|joining| joining.group.epoch() >= epoch);
    let known = joining.is_some();
    if let Some(joining) = joining.filter(|joining| joining.group.epoch() == epoch) {
        joining.told(from, common.rules);
    }
    if !concerned && common.rules.later_epoch_settles() && common.epochs.handover.take().is_some() {
        // It was a quorum of our epoch that ended it (VRR §7.2): they have had all that it began with.
        out.push(Action::Note(Note::EpochSettled { epoch: common.group.epoch() }));
    }
    if !concerned || known || common.epochs.owed.is_some() {
        common.ignore(out, from, kind, if concerned { Ignored::Duplicate } else { Ignored::WrongEpoch });
        return Next::Stay;
    }
    if common.rules.votes_without_base() && group.position(common.config.me).is_some() {
        common.set_group(group.clone());
        return Next::Enter(View::first_of(epoch), crate::action::EnterCause::Evidence);
    }
    if remembers && common.log.contains(base) && epoch == common.epoch().next() {
        // The end of our epoch is here, and committed in a view that may be later than ours: nobody who is still in ours
        // must hear of that, so that nothing is said in it any more.
        if common.rules.leaves_with_its_epoch() {
            common.shelf.stop();
            common.pending.discard_held();
            return Next::Leave(base.op);
        }
        common.commit_to(out, base.op, false);
        return Next::Stay;
    }
    out.push(Action::Note(Note::LearnedEpoch { epoch, from }));
    if common.rules.says_started_without_base() {
        common.send(out, from, Plain::epoch_started_early(epoch));
    }
    common.epochs.joining = Some(Joining::new(group.clone(), from));
    fetch(common, out, base, from);
    Next::Stay
}

// ---- what an epoch begins with, for whoever does not have it

fn fetch(common: &mut Common, out: &mut Out, head: Head, of: ReplicaId) {
    common.shelf.want(head, of);
    checkpoints::ask(common, out);
    let attempt = common.epochs.joining.as_ref().map_or(0, |joining| joining.attempt);
    arm(common, attempt);
}

/// The part did not come: from those who brought the news, each in turn, since one may be gone and another deaf, then from
/// the members of the new group and of ours. They may not know yet that there is another epoch, and be the only ones who can
/// end ours.
fn ask_again(common: &mut Common, out: &mut Out, remembers: bool) {
    let Some(joining) = &mut common.epochs.joining else { return };
    joining.attempt = joining.attempt.saturating_add(1);
    let (group, attempt, told_by) = (joining.group.clone(), index(u64::from(joining.attempt)), joining.told_by.clone());
    let asked = [&group, &common.group].into_iter().flat_map(Group::members).map(|member| member.id);
    let asked: Vec<ReplicaId> = told_by.into_iter().chain(asked).filter(|id| *id != common.config.me).collect();
    let at = attempt % asked.len();
    let wanted = common.shelf.next().map(|next| next.head).filter(|head| head.op >= group.base().op);
    let head = wanted.filter(|_| at != 0).unwrap_or_else(|| group.base());
    if remembers {
        common.send(out, asked[at], Plain::new_epoch(group));
    }
    fetch(common, out, head, asked[at]);
}

/// A part of it, or of a later checkpoint, which will do: the group that counts is in it.
fn on_part(common: &mut Common, out: &mut Out, from: ReplicaId, part: &CheckpointPart) -> Next {
    match checkpoints::take(common, out, from, part) {
        Took::Nothing => {}
        Took::More => {
            // As long as parts come nobody else is asked: that may begin anew, with what the epoch began with.
            if let Some(joining) = &mut common.epochs.joining {
                joining.attempt = 0;
            }
            arm(common, 0);
        }
        Took::Gone => {
            let base = common.epochs.joining.as_ref().map_or(part.head, |joining| joining.group.base());
            fetch(common, out, if part.head.op > base.op { part.head } else { base }, from);
        }
        Took::Whole(checkpoint) => {
            let group = checkpoint.group().filter(|group| group.epoch() > common.epoch() && common.may_append());
            if let Some(group) = group {
                return begin(common, out, checkpoint, group, true);
            }
        }
    }
    Next::Stay
}

// ---- who has it

/// "What our epoch begins with is durable here" (VRR §7.1.2; D93).
fn confirm(common: &mut Common, out: &mut Out, to: ReplicaId) {
    let Some(proof) = common.view_is_durable().filter(|_| common.is_member()) else {
        return common.ignore(out, to, MessageKind::StartEpoch, Ignored::WrongStatus);
    };
    let epoch = common.group.epoch();
    common.send_promise(out, To::One(to), Promise::epoch_started(epoch, &proof));
}

/// Counted as a set: who says it twice is one (D93).
fn on_started(common: &mut Common, out: &mut Out, from: ReplicaId) {
    let (position, handover) = (common.group.position(from), &mut common.epochs.handover);
    let Some((position, handover)) = position.zip(handover.as_mut()) else {
        return common.ignore(out, from, MessageKind::EpochStarted, Ignored::Duplicate);
    };
    handover.started.insert(position);
    settle_if_started(common, out);
}

#[cfg(test)]
mod tests;
