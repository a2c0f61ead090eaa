//! The core's notes, refusals and reasons, each with a name for machines and a sentence for people.
//!
//! Owns the wording. Must not know in which events it ends up. Paper: the words of VRR §4 and §5.

use super::words::Verdict;
use crate::action::{EnterCause, HaltReason, Ignored, Note};
use alloc::format;
use alloc::string::String;

/// What a node did with a message that it dropped, and why: the name.
pub(super) const fn ignored(why: Ignored) -> (Verdict, &'static str) {
    match why {
        Ignored::WrongCluster => (Verdict::Bad, "wrong_cluster"),
        Ignored::WrongEpoch => (Verdict::Ignored, "wrong_epoch"),
        Ignored::NotAMember => (Verdict::Bad, "not_a_member"),
        Ignored::OlderView => (Verdict::Stale, "older_view"),
        Ignored::WrongStatus => (Verdict::Ignored, "wrong_status"),
        Ignored::WrongRole => (Verdict::Ignored, "wrong_role"),
        Ignored::NotAsked => (Verdict::Stale, "not_asked"),
        Ignored::Duplicate => (Verdict::Stale, "duplicate"),
        Ignored::Gap => (Verdict::Ignored, "gap"),
        Ignored::Malformed => (Verdict::Bad, "malformed"),
        Ignored::Unknown => (Verdict::Ignored, "unknown_entries"),
        Ignored::NoSpace => (Verdict::Ignored, "no_space"),
    }
}

/// The name of a note and what it says; `None` when other events of the step say it.
pub(super) fn remark(note: &Note) -> Option<(&'static str, String)> {
    Some(match *note {
        Note::Opened { .. }
        | Note::Ignored { .. }
        | Note::Committed { .. }
        | Note::AskedForState { .. }
        | Note::TookState { .. }
        | Note::Truncated { .. }
        | Note::CheckpointTaken { .. }
        | Note::AskedForCheckpoint { .. }
        | Note::CheckpointInstalled { .. } => return None,
        Note::WantsViewChange { view } => {
            ("wants_view_change", format!("waited in vain for the primary of view {view} and wants another view"))
        }
        Note::EnteredView { view, cause } => ("entered_view", format!("leaves for view {view}: {}", entered(cause))),
        Note::ChoseLog { view, of, reports } => {
            ("chose_log", format!("chooses the log of r{of} for view {view}, from {} reports", reports.len()))
        }
        Note::BecamePrimary { view, view_start } => {
            ("became_primary", format!("is primary of view {view}, which starts after op {view_start}"))
        }
        Note::BecameBackup { view, op } => {
            ("became_backup", format!("is a backup in view {view}, its log ends at op {op}"))
        }
        Note::Abdicated { view } => ("abdicated", format!("no quorum hears it: gives up as primary of view {view}")),
        Note::HandingOver { to } => ("handing_over", format!("was asked to give way to r{to}: takes nothing new")),
        Note::NoHandOver { why } => ("no_hand_over", format!("does not give way: {why}")),
        Note::Retransmitted { to, op } => ("retransmitted", format!("sends r{to} its prepares again, from op {op} on")),
        Note::Reacknowledged { op } => ("reacknowledged", format!("acknowledges again, through op {op}")),
        Note::Recovering { view_min } => {
            ("recovering", format!("asks the group for its memory, of view {view_min} or later"))
        }
        Note::Recovered { view, kept, op } => {
            ("recovered", format!("has its memory back in view {view}: kept through op {kept}, ends at op {op}"))
        }
        Note::DamagedLog { from } => (
            "damaged_log",
            format!("its log is damaged, op {from} is the first that is lost: promises nothing until it is whole"),
        ),
        Note::RepairedLog { from, entries } => (
            "repaired_log",
            format!(
                "its log is whole again from op {from} on: {entries} entries came from the others, by their hashes"
            ),
        ),
        Note::Outnumbered { asking } => (
            "outnumbered",
            format!("{} members ask for what they lost at once: the others are no quorum", asking.len()),
        ),
        Note::Stopped { clean: true } => ("stopped", "stops in good order".into()),
        Note::Stopped { clean: false } => ("stopped", "stops, without all it knew: it will ask again".into()),
        Note::CheckpointDurable { op } => ("checkpoint_durable", format!("has a durable checkpoint after op {op}")),
        Note::LogCut { through } => ("log_cut", format!("gives up its log through op {through}")),
        Note::Registered { client, session } => ("registered", format!("client c{client} has session {session}")),
        Note::Evicted { client, session } => ("evicted", format!("client c{client} loses session {session}")),
        Note::DuplicateRequest { client, number } => {
            ("duplicate_request", format!("request {number} of client c{client} was taken before"))
        }
        Note::SkippedDuplicate { op } => ("skipped_duplicate", format!("op {op} repeats a request and has no effect")),
        Note::EpochEnds { .. } | Note::EpochBegan { .. } | Note::LearnedEpoch { .. } | Note::EpochSettled { .. } => {
            return of_epochs(note);
        }
        Note::ReadsGivenUp { view, queries } => {
            ("reads_given_up", format!("gives up {queries} reads that waited in view {view}"))
        }
        Note::TableAt { op, table } => {
            ("table_at", format!("client table after op {op}: {}", super::summary::short_hash(table)))
        }
    })
}

/// What is said of epochs.
fn of_epochs(note: &Note) -> Option<(&'static str, String)> {
    if let Note::EpochEnds { epoch, op } = note {
        Some(("epoch_ends", format!("ends epoch {epoch} with op {op}")))
    } else if let Note::EpochBegan { epoch, base, member } = note {
        let what = format!("epoch {epoch}, which begins after op {base}");
        let (name, is) = if *member { ("epoch_began", "a member") } else { ("retired", "no member") };
        Some((name, format!("is {is} of {what}")))
    } else if let Note::LearnedEpoch { epoch, from } = note {
        let what = format!("hears from r{from} of epoch {epoch} and asks for what it begins with");
        Some(("learned_epoch", what))
    } else if let Note::EpochSettled { epoch } = note {
        Some(("epoch_settled", format!("knows a quorum of epoch {epoch} to have what it begins with")))
    } else {
        None
    }
}

const fn entered(cause: EnterCause) -> &'static str {
    match cause {
        EnterCause::Quorum => "a quorum wants it",
        EnterCause::Evidence => "somebody is there already",
        EnterCause::Restart => "it was primary before it crashed",
        EnterCause::RecoveryNeedsIt => "a recovering replica needs it",
        EnterCause::HandOver => "it gives way to its primary",
    }
}

/// Why a replica stopped for good.
pub(super) fn halted(reason: HaltReason) -> String {
    match reason {
        HaltReason::ContradictsExecuted { op } => {
            format!("stops for good: a log to install contradicts op {op}, which it executed")
        }
        HaltReason::ContradictsLog { op } => {
            format!("stops for good: the primary of its view has another op {op} than it has")
        }
        HaltReason::CommittedBeyondLog { commit, op } => {
            format!("stops for good: the log of the new view ends at op {op} and op {commit} is committed")
        }
        HaltReason::WriteFailed => "stops for good: a write failed".into(),
    }
}
