//! What holds of any part of a run: the judge of recordings whose beginning was given up, or that are not everybody's.
//!
//! Owns what is known of each replica and of each op from the parts that are there. A property is in here only if what is
//! missing cannot make it look violated: whatever compares two things that are both seen, and whatever one step or one life
//! owes by itself. What takes the whole past of the group (who acknowledged, what a disk held, how views began) is left to
//! [`super::Checkers`]. Must not know files. PROTOCOL §4.

use super::{Violation, short};
use bytes::Bytes;
use std::collections::BTreeMap;
use vr_core::{
    Action, Body, Checkpoint, ClientId, ClusterConfig, Entries, Entry, Event, HaltReason, Hash, Incarnation, Input,
    Message, Note, Op, ReplicaId, Reply, RequestNumber, Session, Snapshot, StartView, StatusName, Stored, View, Write,
};

const S1: &str = "S1 agreement";
const S2: &str = "S2 prefix execution";
const S2C: &str = "S2 rising clock";
const S3: &str = "S3 monotone commit";
const S4: &str = "S4 bounds";
const S5: &str = "S5 promise monotone";
const S6: &str = "S6 log match";
const S7: &str = "S7 one start";
const S10: &str = "S10 promise kept";
const S11: &str = "S11 ack backed";
const S13: &str = "S13 silence";
const S14: &str = "S14 at most once";
const S16: &str = "S16 table equality";
const S17: &str = "S17 checkpoint equality";
const S22: &str = "S22 reply truth";
const S24: &str = "S24 no unexcused halt";
const S25: &str = "S25 room on disk";

/// A step of one replica, and what it was before and after.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// What happened to it.
    pub event: &'a Event,
    /// What it asked for.
    pub actions: &'a [Action],
    /// Before.
    pub before: &'a Snapshot,
    /// After.
    pub after: &'a Snapshot,
}

/// What is known of one replica.
#[derive(Clone, Debug, Default)]
struct Known {
    /// The largest view that any of its messages named, over all lives.
    revealed: View,
    /// The largest incarnation that any of its messages named.
    lived: Incarnation,
    /// In this life.
    commit: Op,
    /// In this life, the last op it is known to have executed.
    executed: Op,
    /// It was told that its disk is full.
    is_full: bool,
    write_failed: bool,
}

/// What was executed at an op.
#[derive(Clone, Debug)]
struct Executed {
    hash: Hash,
    by: ReplicaId,
    wall_ns: u64,
    request: (ClientId, Session, RequestNumber),
    /// What a service answered.
    reply: Option<Bytes>,
}

/// The properties that any part of a run allows to judge. Feed it what is there of each replica in order; the first
/// violation ends the judgement.
#[derive(Clone, Debug)]
pub struct Fragments {
    interval: u64,
    /// What they have in place of a checkpoint holds no state.
    witnesses: Vec<ReplicaId>,
    known: BTreeMap<ReplicaId, Known>,
    executed: BTreeMap<Op, Executed>,
    requests: BTreeMap<(ClientId, Session, RequestNumber), Op>,
    /// By the view in which it was made, and its op: an entry, and who showed it first.
    made: BTreeMap<(View, Op), (Hash, ReplicaId)>,
    starts: BTreeMap<View, (Op, ReplicaId)>,
    tables: BTreeMap<Op, (Hash, ReplicaId)>,
    checkpoints: BTreeMap<Op, (Hash, ReplicaId)>,
}

type Verdict = Result<(), Violation>;

fn broken(property: &'static str, message: String, replicas: &[ReplicaId], ops: &[Op]) -> Verdict {
    Err(Violation::safety(property, message, replicas, ops))
}

impl Fragments {
    /// The properties that are judged here, by name.
    pub const JUDGED: &'static [&'static str] =
        &[S1, S2, S2C, S3, S4, S5, S6, S7, S10, S11, S13, S14, S16, S17, S22, S24, S25];

    /// For parts of runs of this cluster.
    #[must_use]
    pub fn new(cluster: &ClusterConfig) -> Self {
        Self {
            interval: u64::from(cluster.checkpoint_interval),
            witnesses: cluster.witnesses.clone(),
            known: BTreeMap::new(),
            executed: BTreeMap::new(),
            requests: BTreeMap::new(),
            made: BTreeMap::new(),
            starts: BTreeMap::new(),
            tables: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
        }
    }

    /// The last op that anybody is known to have committed.
    #[must_use]
    pub fn committed(&self) -> Op {
        self.known.values().map(|known| known.commit).max().unwrap_or_default()
    }

    /// How many views are known to have started.
    #[must_use]
    pub fn views_started(&self) -> usize {
        self.starts.len()
    }

    // ---- lives

    /// A life begins: from this disk, with these actions.
    ///
    /// # Errors
    /// When a property does not hold.
    pub fn opened(&mut self, on: ReplicaId, stored: &Stored, after: &Snapshot, actions: &[Action]) -> Verdict {
        let known = self.known.entry(on).or_default();
        if stored.view < known.revealed || stored.incarnation < known.lived {
            let (view, incarnation, revealed, lived) = (stored.view, stored.incarnation, known.revealed, known.lived);
            let message = format!(
                "{on:?} came back with view {view} and incarnation {incarnation} on its disk, after it had spoken in \
                 view {revealed} as incarnation {lived}"
            );
            return broken(S5, message, &[on], &[]);
        }
        let Known { revealed, lived, .. } = *known;
        let begins = stored.checkpoint.as_ref().map_or(stored.log.base().op, Checkpoint::op);
        *known = Known { revealed, lived, commit: begins, executed: begins, ..Known::default() };
        self.acts(on, actions, after, after)
    }

    /// What is known goes on here, in the middle of a life: of what happened since nothing is known.
    ///
    /// # Errors
    /// When a property does not hold.
    pub fn resumed(&mut self, on: ReplicaId, seen: &Snapshot) -> Verdict {
        let known = self.known.entry(on).or_default();
        if seen.view < known.revealed {
            let message = format!("{on:?} is in view {}, but had spoken in view {}", seen.view, known.revealed);
            return broken(S10, message, &[on], &[]);
        }
        let Known { revealed, lived, .. } = *known;
        // It was told of its disk before, perhaps: what it may write is not known.
        *known = Known { revealed, lived, commit: seen.commit, executed: seen.executed, ..Known::default() };
        Ok(())
    }

    /// Something happened to a replica.
    ///
    /// # Errors
    /// When a property does not hold.
    pub fn stepped(&mut self, on: ReplicaId, step: &Seen<'_>) -> Verdict {
        let known = self.known.entry(on).or_default();
        match &step.event.input {
            Input::Space(has) => known.is_full = !has,
            Input::WriteFailed => known.write_failed = true,
            Input::Message(message) => self.hears(message)?,
            Input::Executed { op, reply } => self.answered(on, *op, reply)?,
            Input::ExecutedRun { first, replies } => {
                let mut op = *first;
                for reply in replies {
                    self.answered(on, op, reply)?;
                    op = op.next();
                }
            }
            Input::Tick
            | Input::Request(_)
            | Input::Requests(_)
            | Input::Query(_)
            | Input::QueryHere(_)
            | Input::QueryLate(_)
            | Input::Persisted(_)
            | Input::Stop
            | Input::HandOver { .. }
            | Input::CheckpointTaken { .. }
            | Input::CheckpointBegun { .. }
            | Input::CheckpointGiven(_)
            | Input::Restored { .. } => {}
        }
        let (before, after) = (step.before, step.after);
        if before.status == StatusName::Halted && step.actions.iter().any(|action| !matches!(action, Action::Note(_))) {
            return broken(S13, format!("{on:?} is halted and yet acts"), &[on], &[]);
        }
        self.acts(on, step.actions, before, after)?;
        if after.executed > after.commit || after.commit > after.op || after.log_view > after.view {
            let (executed, commit, op) = (after.executed, after.commit, after.op);
            let message = format!("{on:?} shows executed {executed} ≤ commit {commit} ≤ op {op}");
            return broken(S4, message, &[on], &[op]);
        }
        Ok(())
    }

    fn acts(&mut self, on: ReplicaId, actions: &[Action], before: &Snapshot, after: &Snapshot) -> Verdict {
        for action in actions {
            match action {
                Action::Send { message, .. } => {
                    self.sends(on, message, before, after)?;
                    self.shows(on, message)?;
                }
                Action::Persist { write, .. } => self.writes(on, write)?,
                Action::Execute(entries) => self.executes(on, entries, after)?,
                Action::Restore(checkpoint) => self.restores(on, checkpoint)?,
                Action::Reply(reply) => self.replies(on, reply, before, after)?,
                Action::Note(Note::Committed { op }) => self.commits(on, *op)?,
                Action::Note(Note::TableAt { op, table }) => {
                    let (first, by) = *self.tables.entry(*op).or_insert((*table, on));
                    if first != *table {
                        let (ours, theirs) = (short(*table), short(first));
                        let what = format!("after op {op} the client table of {on:?} is {ours}, {by:?}'s was {theirs}");
                        return broken(S16, what, &[on, by], &[*op]);
                    }
                }
                Action::Halt(reason) => self.halts(on, *reason)?,
                Action::Checkpoint { .. } | Action::Reject(_) | Action::Note(_) => {}
                Action::Read(_) | Action::ReadBefore { .. } => {}
            }
        }
        Ok(())
    }

    fn halts(&self, on: ReplicaId, reason: HaltReason) -> Verdict {
        let failed = self.known.get(&on).is_some_and(|known| known.write_failed);
        if reason == HaltReason::WriteFailed && failed {
            return Ok(());
        }
        broken(S24, format!("{on:?} halts: {reason:?}"), &[on], &[])
    }

    // ---- the log

    fn commits(&mut self, on: ReplicaId, op: Op) -> Verdict {
        let known = self.known.entry(on).or_default();
        let before = known.commit;
        if op < before {
            let message = format!("the commit-number of {on:?} fell from {before} to {op} within one life");
            return broken(S3, message, &[on], &[op, before]);
        }
        known.commit = op;
        Ok(())
    }

    fn executes(&mut self, on: ReplicaId, entries: &Entries, after: &Snapshot) -> Verdict {
        let known = self.known.entry(on).or_default();
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(()) };
        if first.op() <= known.executed {
            let (op, through) = (first.op(), known.executed);
            let message = format!("{on:?} executes op {op}, but in this life it has executed through op {through}");
            return broken(S2, message, &[on], &[op]);
        }
        if last.op() > after.commit {
            let (op, commit) = (last.op(), after.commit);
            let message = format!("{on:?} executes op {op}, but its commit-number is {commit}");
            return broken(S4, message, &[on], &[op, commit]);
        }
        known.executed = last.op();
        entries.iter().try_for_each(|entry| self.executes_one(on, entry))
    }

    fn executes_one(&mut self, on: ReplicaId, entry: &Entry) -> Verdict {
        let (op, hash) = (entry.op(), entry.hash());
        self.is_made(on, entry)?;
        if let Some(first) = self.executed.get(&op) {
            if first.hash == hash {
                return Ok(());
            }
            let (by, ours, theirs) = (first.by, short(hash), short(first.hash));
            let message = format!("{on:?} executes op {op} as {ours}, but {by:?} had executed {theirs} there");
            return broken(S1, message, &[on, by], &[op]);
        }
        let (request, wall_ns) = ((entry.client(), entry.session(), entry.number()), entry.predicted().wall_ns);
        if let Some(other) = self.requests.insert(request, op) {
            let (client, session, number) = request;
            let message = format!(
                "{on:?} executes request {number} of {client:?} in session {session} at op {op}, which was executed \
                 at op {other}"
            );
            return broken(S14, message, &[on], &[op, other]);
        }
        let earlier = self.executed.range(..op).next_back().is_some_and(|(_, other)| other.wall_ns >= wall_ns);
        let later = self.executed.range(op..).next().is_some_and(|(_, other)| other.wall_ns <= wall_ns);
        if earlier || later {
            let message = format!("the clock {wall_ns} predicted for op {op} does not lie between those around it");
            return broken(S2C, message, &[on], &[op]);
        }
        self.executed.insert(op, Executed { hash, by: on, wall_ns, request, reply: None });
        Ok(())
    }

    /// One view makes one entry at an op.
    fn is_made(&mut self, on: ReplicaId, entry: &Entry) -> Verdict {
        let (op, view) = (entry.op(), entry.view());
        let (first, by) = *self.made.entry((view, op)).or_insert((entry.hash(), on));
        if first == entry.hash() {
            return Ok(());
        }
        let (ours, theirs) = (short(entry.hash()), short(first));
        let message = format!("{on:?} has {ours} at op {op}, made in view {view}, where {by:?} has {theirs}");
        broken(S6, message, &[on, by], &[op])
    }

    fn restores(&mut self, on: ReplicaId, checkpoint: &Checkpoint) -> Verdict {
        let known = self.known.entry(on).or_default();
        let (op, executed) = (checkpoint.op(), known.executed);
        if op < executed {
            let message = format!("{on:?} goes back to its checkpoint after op {op}, having executed op {executed}");
            return broken(S2, message, &[on], &[op, executed]);
        }
        known.executed = op;
        Ok(())
    }

    fn answered(&mut self, on: ReplicaId, op: Op, reply: &Bytes) -> Verdict {
        let Some(executed) = self.executed.get_mut(&op) else { return Ok(()) };
        let first = executed.reply.get_or_insert_with(|| reply.clone());
        if first == reply {
            return Ok(());
        }
        let (ours, theirs) = (reply.escape_ascii(), first.escape_ascii());
        let message = format!("the service of {on:?} answers \"{ours}\" to op {op}, another one \"{theirs}\"");
        broken(S2, message, &[on], &[op])
    }

    fn writes(&mut self, on: ReplicaId, write: &Write) -> Verdict {
        let entries = Stored::entries_of(write).map_or(0, Entries::len);
        let is_full = self.known.get(&on).is_some_and(|known| known.is_full);
        if is_full && (entries > 0 || matches!(write, Write::Checkpoint(_))) {
            return broken(S25, format!("{on:?} writes although it was told that its disk is full"), &[on], &[]);
        }
        let (Write::Checkpoint(checkpoint) | Write::Install { checkpoint, .. }) = write else { return Ok(()) };
        let (head, digest) = (checkpoint.head(), checkpoint.digest());
        let op = head.op;
        if self.witnesses.contains(&on) {
            return Ok(());
        }
        if !op.0.is_multiple_of(self.interval) {
            let message =
                format!("{on:?} has a checkpoint after op {op}, no multiple of the interval {}", self.interval);
            return broken(S17, message, &[on], &[op]);
        }
        if self.executed.get(&op).is_some_and(|executed| executed.hash != head.hash) {
            let message =
                format!("{on:?} has a checkpoint after op {op} ({}), where another was executed", short(head.hash));
            return broken(S17, message, &[on], &[op]);
        }
        let (first, by) = *self.checkpoints.entry(op).or_insert((digest, on));
        if first == digest {
            return Ok(());
        }
        let (ours, theirs) = (short(digest), short(first));
        broken(
            S17,
            format!("the checkpoint of {on:?} after op {op} is {ours}, that of {by:?} was {theirs}"),
            &[on, by],
            &[op],
        )
    }

    // ---- what is said

    fn sends(&mut self, on: ReplicaId, message: &Message, before: &Snapshot, after: &Snapshot) -> Verdict {
        let known = self.known.entry(on).or_default();
        let (view, kind) = (message.header.view, message.body.kind().name());
        if view < known.revealed {
            let message = format!("{on:?} sends a {kind} of view {view}, but had spoken in view {}", known.revealed);
            return broken(S10, message, &[on], &[]);
        }
        known.revealed = view;
        known.lived = known.lived.max(message.header.incarnation);
        let is = |status| before.status == status || after.status == status;
        let (leads, follows, recovers) = (is(StatusName::Primary), is(StatusName::Backup), is(StatusName::Recovering));
        let may = match &message.body {
            Body::Prepare { .. } | Body::Commit { .. } | Body::StartView(_) | Body::ReadIndex { .. } => leads,
            Body::PrepareOk { .. } | Body::CommitOk { .. } | Body::GetReadIndex { .. } => follows,
            Body::DoViewChange(_) => is(StatusName::ViewChange),
            Body::StartViewChange { .. } | Body::GetState(_) | Body::NewState(_) => {
                leads || follows || is(StatusName::ViewChange)
            }
            Body::RecoveryResponse(answer) => leads || (follows && answer.log.is_none()),
            Body::Recovery(_) | Body::GetEntries { .. } => recovers,
            Body::GetCheckpoint { .. } | Body::Entries(_) | Body::CheckpointPart(_) => true,
            Body::StartEpoch(_) | Body::EpochStarted { .. } | Body::NewEpoch(_) | Body::CheckEpoch => true,
            Body::CheckpointDurable(_) => !recovers,
        };
        if !may {
            let (status, of) = (before.status, before.view);
            let message = format!("{on:?} sends a {kind} of view {view} while it is {status:?} in view {of}");
            return broken(S13, message, &[on], &[]);
        }
        if let Body::PrepareOk { head, .. } = &message.body {
            let durable = before.durable.max(after.durable);
            if head.op > durable || ![before.log_view, after.log_view].contains(&view) {
                let (op, log) = (head.op, after.log_view);
                let message = format!(
                    "{on:?} acknowledges op {op} in view {view}, but its log, of view {log}, is durable through {durable}"
                );
                return broken(S11, message, &[on], &[op]);
            }
        }
        Ok(())
    }

    /// A message arrived, perhaps of somebody of whom nothing is recorded.
    fn hears(&mut self, message: &Message) -> Verdict {
        self.shows(message.header.from, message)
    }

    /// What a message says of logs and views.
    fn shows(&mut self, from: ReplicaId, message: &Message) -> Verdict {
        match &message.body {
            Body::Prepare { entries, .. } => entries.iter().try_for_each(|entry| self.is_made(from, entry)),
            Body::StartView(start) => self.starts(from, message.header.view, start),
            Body::RecoveryResponse(answer) => {
                answer.log.as_ref().map_or(Ok(()), |start| self.starts(from, message.header.view, start))
            }
            Body::PrepareOk { .. }
            | Body::Commit { .. }
            | Body::CommitOk { .. }
            | Body::StartViewChange { .. }
            | Body::DoViewChange(_)
            | Body::GetState(_)
            | Body::NewState(_)
            | Body::Recovery(_)
            | Body::GetCheckpoint { .. }
            | Body::CheckpointPart(_)
            | Body::GetEntries { .. }
            | Body::Entries(_)
            | Body::StartEpoch(_)
            | Body::EpochStarted { .. }
            | Body::NewEpoch(_)
            | Body::CheckpointDurable(_)
            | Body::CheckEpoch
            | Body::GetReadIndex { .. }
            | Body::ReadIndex { .. } => Ok(()),
        }
    }

    fn starts(&mut self, from: ReplicaId, view: View, start: &StartView) -> Verdict {
        let (first, by) = *self.starts.entry(view).or_insert((start.view_start, from));
        if first == start.view_start {
            return Ok(());
        }
        let op = start.view_start;
        let message = format!("{from:?} says that view {view} started with op {op}, {by:?} said op {first}");
        broken(S7, message, &[from, by], &[op, first])
    }

    fn replies(&self, on: ReplicaId, reply: &Reply, before: &Snapshot, after: &Snapshot) -> Verdict {
        let Reply { client, session, number, op, .. } = *reply;
        if ![before.status, after.status].contains(&StatusName::Primary) {
            let message = format!("{on:?} answers request {number} of {client:?} while it is {:?}", before.status);
            return broken(S13, message, &[on], &[op]);
        }
        let Some(executed) = self.executed.get(&op) else { return Ok(()) };
        let differs = executed.reply.as_ref().is_some_and(|result| *result != reply.result);
        if executed.request == (client, session, number) && !differs {
            return Ok(());
        }
        let message = format!("{on:?} answers request {number} of {client:?} with what op {op} did not answer to it");
        broken(S22, message, &[on], &[op])
    }
}

#[cfg(test)]
mod tests;
