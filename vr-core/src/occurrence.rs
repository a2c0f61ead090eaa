//! What a step may state, by name: every note, every reason why a message was dropped, every refusal, every halt.
//!
//! Owns the names, for whoever counts what was ever seen to happen. A new variant without a name does not compile: here
//! the enums are whole, outside they may grow. Must not know who counts. DESIGN 9.15.

use crate::action::{Action, EnterCause, HaltReason, Ignored, Note, Reject};
use crate::hand_over::NoHandOver;

macro_rules! occurrences {
    ($($function:ident(&$of:ident) { $($pattern:pat => $name:literal,)* })*) => {
        impl Occurrence {
            /// The names of all, each at the place of its occurrence.
            pub const NAMES: &[&'static str] = &[$($($name,)*)*];

            $(const fn $function(what: &$of) -> Self {
                match what {
                    $($pattern => Self(const { place_of($name) }),)*
                }
            })*
        }
    };
}

/// Something that a step states.
///
/// ```
/// use vr_core::{Action, Note, Occurrence, Op};
/// let committed = Occurrence::of(&Action::Note(Note::Committed { op: Op(1) })).expect("a note says something");
/// assert_eq!(committed.name(), "committed");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Occurrence(usize);

impl Occurrence {
    /// What an action states; `None` if it states nothing, but asks the driver to do something.
    #[must_use]
    pub fn of(action: &Action) -> Option<Self> {
        match action {
            Action::Note(note) => Some(Self::of_note(note)),
            Action::Reject(rejection) => Some(Self::of_refusal(&rejection.reason)),
            Action::Halt(reason) => Some(Self::of_halt(reason)),
            Action::Send { .. } | Action::Persist { .. } | Action::Execute(_) | Action::Reply(_) => None,
            Action::Checkpoint { .. } | Action::Restore(_) | Action::Read(_) | Action::ReadBefore { .. } => None,
        }
    }

    /// Where it stands in [`Self::NAMES`].
    #[must_use]
    pub const fn place(self) -> usize {
        self.0
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        Self::NAMES[self.0]
    }
}

/// Where a name stands. Asked by the compiler alone.
const fn place_of(name: &str) -> usize {
    let mut place = 0;
    while !is_same(Occurrence::NAMES[place], name) {
        place += 1;
    }
    place
}

const fn is_same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

occurrences! {
    of_note(&Note) {
        Note::Opened { .. } => "opened",
        Note::Ignored { why: Ignored::WrongCluster, .. } => "ignored_wrong_cluster",
        Note::Ignored { why: Ignored::WrongEpoch, .. } => "ignored_wrong_epoch",
        Note::Ignored { why: Ignored::NotAMember, .. } => "ignored_not_a_member",
        Note::Ignored { why: Ignored::OlderView, .. } => "ignored_older_view",
        Note::Ignored { why: Ignored::WrongStatus, .. } => "ignored_wrong_status",
        Note::Ignored { why: Ignored::WrongRole, .. } => "ignored_wrong_role",
        Note::Ignored { why: Ignored::NotAsked, .. } => "ignored_not_asked",
        Note::Ignored { why: Ignored::Duplicate, .. } => "ignored_duplicate",
        Note::Ignored { why: Ignored::Gap, .. } => "ignored_gap",
        Note::Ignored { why: Ignored::Malformed, .. } => "ignored_malformed",
        Note::Ignored { why: Ignored::Unknown, .. } => "ignored_unknown",
        Note::Ignored { why: Ignored::NoSpace, .. } => "ignored_no_space",
        Note::Committed { .. } => "committed",
        Note::WantsViewChange { .. } => "wants_view_change",
        Note::EnteredView { cause: EnterCause::Quorum, .. } => "entered_by_quorum",
        Note::EnteredView { cause: EnterCause::Evidence, .. } => "entered_by_evidence",
        Note::EnteredView { cause: EnterCause::Restart, .. } => "entered_by_restart",
        Note::EnteredView { cause: EnterCause::RecoveryNeedsIt, .. } => "entered_for_recovery",
        Note::EnteredView { cause: EnterCause::HandOver, .. } => "entered_by_hand_over",
        Note::ChoseLog { .. } => "chose_log",
        Note::BecamePrimary { .. } => "became_primary",
        Note::BecameBackup { .. } => "became_backup",
        Note::Abdicated { .. } => "abdicated",
        Note::HandingOver { .. } => "handing_over",
        Note::NoHandOver { why: NoHandOver::NotPrimary } => "no_hand_over_not_primary",
        Note::NoHandOver { why: NoHandOver::NoSuchMember } => "no_hand_over_no_such_member",
        Note::NoHandOver { why: NoHandOver::Unheard } => "no_hand_over_unheard",
        Note::NoHandOver { why: NoHandOver::TooLate } => "no_hand_over_too_late",
        Note::AskedForState { .. } => "asked_for_state",
        Note::TookState { .. } => "took_state",
        Note::CheckpointTaken { .. } => "checkpoint_taken",
        Note::CheckpointDurable { .. } => "checkpoint_durable",
        Note::LogCut { .. } => "log_cut",
        Note::AskedForCheckpoint { .. } => "asked_for_checkpoint",
        Note::CheckpointInstalled { .. } => "checkpoint_installed",
        Note::Truncated { .. } => "truncated",
        Note::Retransmitted { .. } => "retransmitted",
        Note::Reacknowledged { .. } => "reacknowledged",
        Note::Recovering { .. } => "recovering",
        Note::Recovered { .. } => "recovered",
        Note::Registered { .. } => "registered",
        Note::Evicted { .. } => "evicted",
        Note::DuplicateRequest { .. } => "duplicate_request",
        Note::SkippedDuplicate { .. } => "skipped_duplicate",
        Note::DamagedLog { .. } => "damaged_log",
        Note::RepairedLog { .. } => "repaired_log",
        Note::Outnumbered { .. } => "outnumbered",
        Note::Stopped { clean: true } => "stopped_clean",
        Note::Stopped { clean: false } => "stopped_unclean",
        Note::EpochEnds { .. } => "epoch_ends",
        Note::EpochBegan { member: true, .. } => "epoch_began",
        Note::EpochBegan { member: false, .. } => "retired",
        Note::LearnedEpoch { .. } => "learned_epoch",
        Note::EpochSettled { .. } => "epoch_settled",
        Note::ReadsGivenUp { .. } => "reads_given_up",
        Note::TableAt { .. } => "table_at",
    }
    of_refusal(&Reject) {
        Reject::NotPrimary { primary: Some(_), .. } => "refused_not_primary",
        Reject::NotPrimary { primary: None, .. } => "refused_no_primary",
        Reject::Busy => "refused_busy",
        Reject::Evicted => "refused_evicted",
        Reject::TooLarge => "refused_too_large",
        Reject::Malformed => "refused_malformed",
        Reject::NoSpace => "refused_no_space",
        Reject::Reconfiguration(_) => "refused_reconfiguration",
    }
    of_halt(&HaltReason) {
        HaltReason::ContradictsExecuted { .. } => "halted_contradicts_executed",
        HaltReason::ContradictsLog { .. } => "halted_contradicts_log",
        HaltReason::CommittedBeyondLog { .. } => "halted_committed_beyond_log",
        HaltReason::WriteFailed => "halted_write_failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_occurrence_has_a_name_and_a_place_of_its_own() {
        for (place, name) in Occurrence::NAMES.iter().enumerate() {
            assert_eq!(place_of(name), place, "{name}");
            assert!(name.bytes().all(|c| c.is_ascii_lowercase() || c == b'_'), "{name}");
        }
    }

    #[test]
    fn a_name_that_another_one_begins_with_is_not_that_one() {
        assert!(is_same("opened", "opened") && is_same("", ""));
        for (a, b) in [("opened", "opened_again"), ("opened", "ope"), ("", "o"), ("opened", "opener")] {
            assert!(!is_same(a, b) && !is_same(b, a), "{a} {b}");
        }
    }

    #[test]
    fn what_a_name_is_of_has_that_name() {
        let name = |action: &Action| Occurrence::of(action).map(Occurrence::name);
        assert_eq!(name(&Action::Note(Note::Stopped { clean: false })), Some("stopped_unclean"));
        assert_eq!(name(&Action::Halt(HaltReason::WriteFailed)), Some("halted_write_failed"));
        assert_eq!(name(&Action::Checkpoint { op: crate::id::Op(1) }), None);
    }

    #[test]
    fn what_is_counted_by_its_place_is_counted_under_its_name() {
        for action in [Action::Note(Note::Committed { op: crate::id::Op(1) }), Action::Halt(HaltReason::WriteFailed)] {
            let what = Occurrence::of(&action).expect("it states something");
            assert_eq!(Occurrence::NAMES[what.place()], what.name());
        }
    }
}
