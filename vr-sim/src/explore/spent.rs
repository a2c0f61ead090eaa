//! Which messages are for nothing, whenever they arrive: they need not be remembered.
//!
//! Owns the reasons, which are facts of the protocol about what a receiver never does; with most planted bugs it may,
//! and nothing is forgotten. Must not know the search. VRR §4.1, §4.2, §5.2; PROTOCOL 1.1, 1.4.

use super::node::Standing;
use vr_core::{Body, Message};

/// Planted bugs under which receivers go on ignoring what they ignore without them.
const HARMLESS_HERE: &[&str] = &["primary_resumes_view", "st_truncate", "vrr_recovery"];

/// May anything be forgotten, with this bug planted?
pub(super) fn forgets(mutant: Option<&str>) -> bool {
    mutant.is_none_or(|name| HARMLESS_HERE.contains(&name))
}

/// Is it for nothing, now and later? `from`, `to`: where its sender and its receiver stand. `crashes`: one of them may lose
/// its memory yet.
pub(super) fn is_spent(message: &Message, from: &Standing, to: &Standing, crashes: bool) -> bool {
    let view = message.header.view;
    // A message of a view that its receiver will never be in again is dropped, unless somebody votes or asks in it.
    let is_old = view < to.disk_view;
    // In the view they share, whoever is normal has everything that it tells, and loses none of it.
    let is_known = |op: vr_core::Op, commit: vr_core::Op| {
        !crashes && to.is_normal && view == to.view && op <= to.op && commit <= to.commit
    };
    match &message.body {
        Body::Prepare { entries, commit, .. } => {
            is_old || is_known(entries.last().map_or(to.op, vr_core::Entry::op), *commit)
        }
        Body::PrepareOk { head, .. } => is_old || is_known(head.op, head.op),
        Body::Commit { commit, head, .. } => is_old || is_known(head.op, *commit),
        // A log that somebody has already started or installed tells him at most what is committed.
        Body::StartView(start) => is_old || is_known(to.op, start.commit),
        // The sender asks something else by now, or the receiver did: numbers of questions never come back.
        Body::GetState(question) => is_old || question.id != from.asked,
        Body::NewState(page) => is_old || page.id != to.asked,
        Body::RecoveryResponse(answer) => answer.nonce.incarnation != to.incarnation,
        Body::CommitOk { .. }
        | Body::StartViewChange { .. }
        | Body::DoViewChange(_)
        | Body::Recovery(_)
        | Body::GetCheckpoint { .. }
        | Body::CheckpointPart(_)
        | Body::GetEntries { .. }
        | Body::Entries(_)
        | Body::StartEpoch(_)
        | Body::EpochStarted { .. }
        | Body::NewEpoch(_)
        | Body::CheckEpoch
        | Body::GetReadIndex { .. }
        | Body::ReadIndex { .. }
        | Body::CheckpointDurable(_) => false,
    }
}
