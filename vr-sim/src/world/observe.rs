//! The one place that every happening passes: digest, marks, checkers, tape.
//!
//! Owns what the digest of a run covers and which facts count as rare events. Must not change anything. To watch a
//! run in another way, add it in [`World::observe`].

use super::{World, num};
use crate::check::Happening;
use crate::digest::{Digest, halves};
use crate::marks::Marks;
use crate::odds::place_of;
use crate::workload::App;
use vr_core::{Action, Body, EnterCause, Hash, Ignored, Input, Note, Reject, To, Write};

impl<A: App> World<A> {
    /// Something happened.
    pub(super) fn observe(&mut self, what: &Happening<'_>) {
        self.digest.add(self.now.0);
        mix(&mut self.digest, what);
        if let Happening::Stepped { actions, .. } | Happening::Opened { actions, .. } = what {
            count(&mut self.marks, actions);
        }
        if let Happening::Stepped { on, actions, .. } = what
            && !self.setup.witnesses.is_empty()
        {
            count_witnesses(&mut self.marks, self.setup.witnesses.contains(&on.0), actions);
        }
        if let Happening::Stepped { on, actions, .. } = what
            && self.nodes.get(usize::from(on.0)).is_some_and(|node| node.disk.durable().damage.is_some())
        {
            let repaired = |action: &&Action| matches!(action, Action::Note(Note::Recovered { .. }));
            self.marks.repairs += num(actions.iter().filter(repaired).count());
        }
        if let Some(tape) = &mut self.tape {
            tape.happened(self.now, what);
        }
        if let Some(checkers) = &mut self.checkers
            && self.violation.is_none()
            && let Err(violation) = checkers.observe(self.now, what)
        {
            if let Some(tape) = &mut self.tape {
                tape.violated(self.now, &violation);
            }
            self.violation = Some(violation);
        }
    }
}

/// What happens in groups with witnesses only.
fn count_witnesses(marks: &mut Marks, is_witness: bool, actions: &[Action]) {
    for action in actions {
        if let Action::Send { message, .. } = action {
            marks.checkpoints_said += u64::from(matches!(message.body, Body::CheckpointDurable(_)));
        } else if let Action::Note(note) = action {
            marks.witness_logs_cut += u64::from(is_witness && matches!(note, Note::LogCut { .. }));
            marks.witness_bases += u64::from(is_witness && matches!(note, Note::CheckpointInstalled { .. }));
        }
    }
}

fn add_hash(digest: &mut Digest, hash: Hash) {
    let (low, high) = halves(hash.0);
    digest.add(low ^ high.rotate_left(32));
}

fn mix(digest: &mut Digest, what: &Happening<'_>) {
    match what {
        Happening::Stepped { on, event, actions } => {
            digest.add(1 | u64::from(on.0) << 8 | num(actions.len()) << 32);
            digest.add(event.at.0);
            mix_input(digest, &event.input);
            actions.iter().for_each(|action| mix_action(digest, action));
        }
        Happening::Opened { on, stored, actions } => {
            digest.add(2 | u64::from(on.0) << 8);
            digest.add(stored.incarnation.0);
            digest.add(stored.view.0);
            add_hash(digest, stored.log.head().hash);
            actions.iter().for_each(|action| mix_action(digest, action));
        }
        Happening::Crashed { on } => digest.add(3 | u64::from(on.0) << 8),
        Happening::DiskLost { on } => digest.add(11 | u64::from(on.0) << 8),
        Happening::DiskWentBack { on, stored } => {
            digest.add(12 | u64::from(on.0) << 8);
            add_hash(digest, stored.log.head().hash);
        }
        Happening::Invoked { client, number, body, .. } => {
            digest.add(4);
            digest.add_wide(client.0);
            digest.add(number.0);
            digest.add_bytes(body);
        }
        Happening::Answered { client, number, op, view, result, .. } => {
            digest.add(5);
            digest.add_wide(client.0);
            digest.add(number.0);
            digest.add(op.0);
            digest.add(view.0);
            digest.add_bytes(result);
        }
        Happening::ToldEvicted { client, .. } => {
            digest.add(6);
            digest.add_wide(client.0);
        }
        Happening::ReadUnderLease { on, told, asked: (client, number) } => {
            digest.add(11 | u64::from(on.0) << 8 | u64::from(*told) << 32);
            digest.add_wide(client.0);
            digest.add(number.0);
        }
        Happening::GaveUp { client } => {
            digest.add(7);
            digest.add_wide(client.0);
        }
        Happening::Sampled { on, op, state } => {
            digest.add(8 | u64::from(on.0) << 8);
            digest.add(op.0);
            add_hash(digest, *state);
        }
        Happening::Healed { core, mesh } => {
            digest.add(9 | u64::from(*mesh) << 8);
            core.iter().for_each(|id| digest.add(u64::from(id.0)));
        }
        Happening::Ended { replicas, unanswered, settled } => {
            digest.add(10 | u64::from(*settled) << 8 | num(unanswered.len()) << 32);
            for (s, table) in *replicas {
                digest.add(u64::from(s.id.0));
                digest.add(s.view.0);
                digest.add(s.executed.0);
                add_hash(digest, *table);
            }
        }
    }
}

fn mix_input(digest: &mut Digest, input: &Input) {
    match input {
        Input::Tick => digest.add(1),
        Input::Request(request) => {
            digest.add(2);
            digest.add_wide(request.client.0);
            digest.add(request.number.0);
        }
        Input::Message(message) => {
            let header = &message.header;
            digest.add(3 | num(place_of(message.body.kind())) << 8 | u64::from(header.from.0) << 16);
            digest.add(header.incarnation.0 << 48 ^ header.seq.0);
        }
        Input::Persisted(upto) => digest.add(4 | upto.0 << 8),
        Input::WriteFailed => digest.add(5),
        Input::Executed { op, .. } => digest.add(6 | op.0 << 8),
        Input::Space(has) => digest.add(7 | u64::from(*has) << 8),
        Input::Stop => digest.add(8),
        Input::HandOver { to } => digest.add(14 | to.map_or(0, |to| 1 + u64::from(to.0)) << 8),
        Input::CheckpointTaken { op, .. } => digest.add(9 | op.0 << 8),
        Input::CheckpointBegun { op } => digest.add(15 | op.0 << 8),
        Input::CheckpointGiven(checkpoint) => digest.add(16 | checkpoint.op().0 << 8),
        Input::Restored { op } => digest.add(10 | op.0 << 8),
        Input::Requests(requests) => {
            digest.add(11 | num(requests.len()) << 8);
            for request in requests {
                digest.add_wide(request.client.0);
                digest.add(request.number.0);
            }
        }
        Input::Query(query) | Input::QueryHere(query) | Input::QueryLate(query) => {
            let late = u64::from(matches!(input, Input::QueryLate(_)));
            digest.add(if matches!(input, Input::Query(_)) { 13 } else { 17 + late });
            digest.add_wide(query.client.0);
            digest.add(query.number.0);
        }
        Input::ExecutedRun { first, replies } => {
            digest.add(12 | num(replies.len()) << 8);
            digest.add(first.0);
        }
    }
}

fn mix_action(digest: &mut Digest, action: &Action) {
    match action {
        Action::Send { to, message } => {
            let to = match to {
                To::One(id) => u64::from(id.0),
                To::Others => 0xffff,
            };
            digest.add(1 | num(place_of(message.body.kind())) << 8 | to << 16 | message.header.view.0 << 32);
            if let Body::Prepare { entries, commit, .. } = &message.body {
                digest.add(commit.0);
                entries.last().map(vr_core::Entry::hash).into_iter().for_each(|hash| add_hash(digest, hash));
            }
        }
        Action::Persist { id, write } => {
            digest.add(2 | id.0 << 8);
            let detail = match write {
                Write::Incarnation(incarnation) => incarnation.0,
                Write::View(view) => view.0,
                Write::Clean => u64::MAX,
                Write::Append(entries) => entries.last().map_or(0, |e| e.op().0),
                Write::Replace { keep, view, .. } => keep.0 << 32 | view.0,
                Write::Repair { keep, .. } => keep.0 << 32,
                Write::Checkpoint(checkpoint) => checkpoint.op().0,
                Write::Cut { through } => through.0,
                Write::Install { checkpoint, view, .. } => checkpoint.op().0 << 32 | view.0,
            };
            digest.add(detail);
        }
        Action::Execute(entries) => digest.add(3 | entries.last().map_or(0, |e| e.op().0) << 8),
        Action::Reply(reply) => {
            digest.add(4 | reply.op.0 << 8);
            digest.add_wide(reply.client.0);
            digest.add_bytes(&reply.result);
        }
        Action::Reject(rejection) => {
            digest.add(5 | rejection.number.0 << 8);
            digest.add_wide(rejection.client.0);
        }
        Action::Note(_) => digest.add(6),
        Action::Halt(_) => digest.add(7),
        Action::Checkpoint { op } => digest.add(8 | op.0 << 8),
        Action::Read(queries) | Action::ReadBefore { queries, .. } => {
            digest.add(10 | num(queries.len()) << 8);
            for query in queries {
                digest.add_wide(query.client.0);
                digest.add(query.number.0);
            }
        }
        Action::Restore(checkpoint) => {
            digest.add(9);
            add_hash(digest, checkpoint.digest());
        }
    }
}

fn count(marks: &mut Marks, actions: &[Action]) {
    for action in actions {
        marks.occurrences.count(action);
        match action {
            Action::Note(note) => count_note(marks, note),
            Action::Send { message, .. } => {
                if let Body::Prepare { entries, .. } = &message.body {
                    marks.batches += u64::from(entries.len() > 1);
                }
            }
            Action::Reject(rejection) => marks.no_space_refusals += u64::from(rejection.reason == Reject::NoSpace),
            Action::Persist { .. } | Action::Execute(_) | Action::Reply(_) | Action::Halt(_) => {}
            Action::Checkpoint { .. } | Action::Restore(_) => {}
            Action::Read(queries) | Action::ReadBefore { queries, .. } => {
                marks.reads += num(queries.len());
                marks.reads_together += num(queries.len().saturating_sub(1));
            }
        }
    }
}

fn count_note(marks: &mut Marks, note: &Note) {
    let mark = match note {
        Note::Committed { .. } => &mut marks.commits,
        Note::EnteredView { cause: EnterCause::HandOver, .. } => &mut marks.hand_overs,
        Note::EnteredView { .. } => &mut marks.view_changes,
        Note::BecamePrimary { .. } => &mut marks.views_started,
        Note::BecameBackup { .. } => &mut marks.backups_followed,
        Note::Abdicated { .. } => &mut marks.abdications,
        Note::HandingOver { .. } => &mut marks.hand_overs_begun,
        Note::ChoseLog { .. } => &mut marks.logs_chosen,
        Note::Truncated { .. } => &mut marks.truncations,
        Note::TookState { .. } => &mut marks.state_transfers,
        Note::CheckpointTaken { .. } => &mut marks.checkpoints_taken,
        Note::LogCut { .. } => &mut marks.logs_cut,
        Note::CheckpointInstalled { .. } => &mut marks.checkpoints_installed,
        Note::Retransmitted { .. } => &mut marks.retransmissions,
        Note::Reacknowledged { .. } => &mut marks.reacknowledgements,
        Note::Recovering { .. } => &mut marks.recoveries_begun,
        Note::Recovered { .. } => &mut marks.recoveries,
        Note::DamagedLog { .. } => &mut marks.opened_damaged,
        Note::RepairedLog { .. } => &mut marks.repairs_by_content,
        Note::Outnumbered { .. } => &mut marks.outnumbered,
        Note::Stopped { clean } => {
            if *clean {
                &mut marks.orderly_stops
            } else {
                &mut marks.stops_while_recovering
            }
        }
        Note::ReadsGivenUp { .. } => &mut marks.reads_given_up,
        Note::Ignored { why: Ignored::NoSpace, .. } => &mut marks.no_space_ignored,
        Note::Registered { .. } => &mut marks.registrations,
        Note::Evicted { .. } => &mut marks.evictions,
        Note::DuplicateRequest { .. } => &mut marks.duplicate_requests,
        Note::SkippedDuplicate { .. } => &mut marks.duplicates_skipped,
        Note::Ignored { why: Ignored::OlderView, .. } => &mut marks.older_views_ignored,
        Note::Ignored { .. } => &mut marks.messages_ignored,
        Note::Opened { .. }
        | Note::WantsViewChange { .. }
        | Note::NoHandOver { .. }
        | Note::AskedForState { .. }
        | Note::CheckpointDurable { .. }
        | Note::AskedForCheckpoint { .. }
        | Note::EpochEnds { .. }
        | Note::EpochBegan { .. }
        | Note::LearnedEpoch { .. }
        | Note::EpochSettled { .. }
        | Note::TableAt { .. } => {
            return;
        }
        _ => return,
    };
    *mark += 1;
}
