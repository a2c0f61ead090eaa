//! The planted bugs: one line each, beside the rule it breaks in `rules.rs`. Exists under the feature `mutants` only.
//!
//! Owns their names. Must not know how they are found; that stands in `vr-sim`. PROTOCOL §2, §3.

use serde::{Deserialize, Serialize};

/// One planted bug. Each alters one rule of [`crate::Rules`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
pub enum Mutant {
    /// D8: f + 1 replicas are taken for a quorum in clusters of even size.
    QuorumFPlusOne,
    /// D1: an acknowledgement counts in whatever view, for whatever log it was made.
    AckAnyView,
    /// D2: acknowledgements are counted, not the replicas that made them.
    CountAcks,
    /// D3: a backup acknowledges a prepare beyond a hole in its log.
    AckHole,
    /// D4: a replica between views takes and acknowledges prepares.
    PrepareInViewChange,
    /// D5: heartbeats of a deposed primary count as signs of life.
    OldCommitResetsTimer,
    /// D7: what was acknowledged once is never acknowledged again.
    NoReack,
    /// D53: the primary counts itself before its own copy is durable.
    SelfAckEarly,
    /// D54: a backup acknowledges before its copy is durable.
    AckBeforeFsync,
    /// D43: a backup acknowledges in a view before its disk says that it is normal in it.
    AckBeforeLogView,
    /// D21: the commit-number is assigned, so that it can fall.
    CommitAssign,
    /// D100: predicted time goes back when the new primary's clock is behind.
    TimeUnclamped,
    /// D9: the longest log wins, whatever view it comes from.
    SelectByOp,
    /// D10: v' is taken from the last entry of the log.
    LogViewFromLastEntry,
    /// D11: the commit-number of a new view is that of the chosen log, not the largest.
    CommitFromBest,
    /// D12a: reports are counted, not the replicas that made them.
    CountReports,
    /// D12b: reports of an older view count for a newer one.
    ReportAnyView,
    /// D13: a report that opens a view is dropped.
    DropEarlyReport,
    /// D14: a new primary takes inherited entries for committed.
    CommitInherited,
    /// D16: a StartView of an older view is installed.
    StartViewNoGuard,
    /// D17: a StartView of the view a replica is normal in is installed again.
    StartViewReinstalled,
    /// D19: a log that contradicts what was executed is installed.
    SkipExecutedCheck,
    /// D20: a lost StartView is never sent again.
    NoStartViewResend,
    /// D22: votes and reports are sent once.
    VoteOnce,
    /// D23: the primary-to-be waits for ever.
    PrimaryToBeHasNoTimer,
    /// D24: failed views are not waited for longer.
    FixedTimeout,
    /// D24: patience begins anew with every view that begins.
    PatienceAtOnce,
    /// D25: one replica that wants to leave a view moves everybody.
    OneVoteMoves,
    /// D26: a primary that nobody acknowledges keeps its job.
    NeverAbdicates,
    /// D27: clients are told of views that never started.
    LeakView,
    /// D29: votes never grow old.
    StickyVotes,
    /// D30: news of a later view truncates the log to the commit-number.
    TruncateOnNews,
    /// D31: news of a later view raises log_view without that view's log.
    EagerLogView,
    /// D34: the first page of a log is taken for the whole.
    FirstPageIsEnough,
    /// D40: a view is not written down before it is said.
    ViewNotPersisted,
    /// D44: a report describes what is not durable.
    ReportUnflushed,
    /// D37: what was fetched is never acknowledged.
    NoAckAfterTransfer,
    /// D39: a question that is not answered is asked of the same replica again.
    OnePeerOnly,
    /// D39: a primary-to-be waits for ever for the log that it chose.
    ChosenLogForever,
    /// D35: a replica between views serves its own log as if it were the view's.
    OwnLogBetweenViews,
    /// D52: a restarted primary resumes its view.
    PrimaryResumesView,
    /// D47: a replica that lost its memory starts as if it had not.
    AmnesiacNormal,
    /// D48: a recovering replica takes part in view changes.
    RecoveringVotes,
    /// D49: the answer to a recovering replica holds the committed entries only.
    RecoveryCommittedOnly,
    /// D50: answers to an earlier recovery count for a later one.
    NonceIgnored,
    /// D51a: the log of a deposed primary will do for recovery.
    RecoverInAnyView,
    /// D46: the view is not persisted and not named in Recovery, as the paper prints it.
    RecoveryAsPrinted,
    /// D51c: a replica between views answers a recovering one.
    AnswersWhileNotNormal,
    /// D64: a recovering replica asks once.
    RecoveryAsksOnce,
    /// D56: what is left of a damaged log is taken for the whole.
    DamagePassedOver,
    /// D56: a replica with a damaged log takes part in view changes.
    DamagedVotes,
    /// D56: a damaged log is repaired from a view earlier than the promised one.
    RepairInAnyView,
    /// D57: a log of which the end is lost is taken for one that ends where its last whole piece does.
    UncertainEndWillDo,
    /// D58: an entry that nobody gives is given up, with what followed it.
    LostEntriesGivenUp,
    /// D60: a replica whose disk is lost is started as a new one. It happens in the driver.
    FormatsAnew,
    /// DESIGN 9.11: entries are written to a disk without room for them.
    AppendsWithoutSpace,
    /// DESIGN 9.11: a primary keeps its job though its disk stays full.
    KeepsJobWhenFull,
    /// §6 b: the mark of an orderly stop is not taken back by the next start.
    MarkStands,
    /// §6 b: a recovering replica leaves the mark of an orderly stop.
    MarkWithoutMemory,
    /// §6 b: a replica goes on after the mark of an orderly stop.
    GoesOnAfterMark,
    /// D70: a new primary does not know the requests in its log.
    NoInFlightRebuild,
    /// D76: a request in flight is taken again.
    NoPipelineDedupe,
    /// D71: the client table is written when a request is taken, not when it is executed.
    TableAtPrepare,
    /// D75: an answer goes to the client's newest request, whichever was executed.
    ReplyToNewest,
    /// D77: which session gives way depends on the replica.
    EvictByLocalOrder,
    /// D77: a request of a session that is gone is executed.
    EvictedReregisters,
    /// D78: a primary that is behind calls sessions gone.
    EvictWhenBehind,
    /// D67: checkpoints are taken after other ops on every replica.
    CheckpointAnywhere,
    /// D66: the log is cut before the checkpoint is durable.
    CutBeforeDurable,
    /// D32: a checkpoint without the log after it makes a replica normal in the view it came from.
    CheckpointSetsLogView,
    /// D65: parts of different checkpoints are joined.
    PartsMixed,
    /// D65: a checkpoint is installed unverified.
    DigestUnverified,
    /// D74: the client table is left out of the checkpoint.
    CheckpointWithoutTable,
    /// D39: whoever asks for a log that was cut since is not answered.
    GoneLogUnanswered,
    /// D69: a checkpoint is installed and the service not told.
    InstallWithoutRestore,
    /// D79: requests that may still commit are called cancelled.
    CancelOnViewChange,
    /// Hand-over: a primary gives way while the other one lacks a part of its log.
    HandOverEarly,
    /// Hand-over: a hand-over that cannot succeed is never given up.
    HandOverForever,
    /// D80: a primary answers reads without asking whether it still is one.
    LocalRead,
    /// D80: the answer to a heartbeat that left before a read came confirms it.
    EarlierBeatConfirms,
    /// D81: a backup answers reads from its own state.
    BackupRead,
    /// D82: a new primary answers reads before it has executed what its view began with.
    ReadBeforeInherited,
    /// D87: a primary answers reads at the end of its epoch, when the next one may have begun.
    ReadAcrossEpochs,
    /// D88: a primary takes requests behind a reconfiguration.
    NoTopmostCheck,
    /// D89: a reconfiguration is committed by a quorum of the group that it begins.
    ConfigAtAppend,
    /// D90: a member takes part in an epoch before it has what that begins with.
    TransitioningVotes,
    /// D91: whoever hears that its epoch is over reports what it knows by that in an earlier view.
    CommitAcrossViews,
    /// D93: a member says that an epoch has started before it has what that begins with.
    EpochStartedEarly,
    /// D94: the members of a new group are told once.
    StartEpochOnce,
    /// D95: only a member in normal status lends what an epoch begins with.
    BaseNeedsNormal,
    /// D93: a member counts itself among those who have what an epoch begins with before that is on its disk.
    CountsItselfEarly,
    /// D93: whoever was replaced tells of its epoch though a later one has begun.
    TellsForever,
    /// D95: of those who told of an epoch only the last one is asked.
    LastTellerOnly,
    /// D98: whoever is in an earlier epoch is not told.
    HintLost,
    /// D99: a reconfiguration that is asked for again is judged as if it were new.
    DuplicateReconfiguration,
    /// D104: a request that waits behind a reconfiguration is logged with it.
    BatchAfterReconfiguration,
}

/// Name, defect of PROTOCOL §2, and what is wrong, in words.
const TABLE: &[(Mutant, &str, &str, &str)] = &[
    (Mutant::QuorumFPlusOne, "quorum_f_plus_1", "D8", "f + 1 replicas are taken for a quorum in clusters of even size"),
    (
        Mutant::AckAnyView,
        "ack_any_view",
        "D1",
        "an acknowledgement counts in whatever view, for whatever log it was made",
    ),
    (Mutant::CountAcks, "count_acks", "D2", "acknowledgements are counted, not the replicas that made them"),
    (Mutant::AckHole, "ack_hole", "D3", "a backup acknowledges a prepare beyond a hole in its log"),
    (Mutant::PrepareInViewChange, "prepare_in_vc", "D4", "a replica between views takes and acknowledges prepares"),
    (
        Mutant::OldCommitResetsTimer,
        "old_commit_resets_timer",
        "D5",
        "heartbeats of a deposed primary count as signs of life",
    ),
    (Mutant::NoReack, "no_reack", "D7", "what was acknowledged once is never acknowledged again"),
    (Mutant::SelfAckEarly, "self_ack_early", "D53", "the primary counts itself before its own copy is durable"),
    (Mutant::AckBeforeFsync, "ack_before_fsync", "D54", "a backup acknowledges before its copy is durable"),
    (
        Mutant::AckBeforeLogView,
        "ack_before_logview",
        "D43",
        "a backup acknowledges in a view before its disk says that it is normal in it",
    ),
    (Mutant::CommitAssign, "commit_assign", "D21", "the commit-number is assigned, so that it can fall"),
    (
        Mutant::TimeUnclamped,
        "time_unclamped",
        "D100",
        "predicted time goes back when the new primary's clock is behind",
    ),
    (Mutant::SelectByOp, "select_by_op", "D9", "the longest log wins, whatever view it comes from"),
    (Mutant::LogViewFromLastEntry, "logview_from_last_entry", "D10", "v' is taken from the last entry of the log"),
    (
        Mutant::CommitFromBest,
        "commit_from_best",
        "D11",
        "the commit-number of a new view is that of the chosen log, not the largest",
    ),
    (Mutant::CountReports, "dvc_count", "D12a", "reports are counted, not the replicas that made them"),
    (Mutant::ReportAnyView, "dvc_any_view", "D12b", "reports of an older view count for a newer one"),
    (Mutant::DropEarlyReport, "drop_early_dvc", "D13", "a report that opens a view is dropped"),
    (Mutant::CommitInherited, "commit_inherited", "D14", "a new primary takes inherited entries for committed"),
    (Mutant::StartViewNoGuard, "sv_no_guard", "D16", "a StartView of an older view is installed"),
    (
        Mutant::StartViewReinstalled,
        "sv_reinstall",
        "D17",
        "a StartView of the view a replica is normal in is installed again",
    ),
    (Mutant::SkipExecutedCheck, "skip_exec_check", "D19", "a log that contradicts what was executed is installed"),
    (Mutant::NoStartViewResend, "no_sv_resend", "D20", "a lost StartView is never sent again"),
    (Mutant::VoteOnce, "vc_send_once", "D22", "votes and reports are sent once"),
    (Mutant::PrimaryToBeHasNoTimer, "primary_no_timer", "D23", "the primary-to-be waits for ever"),
    (Mutant::FixedTimeout, "fixed_timeout", "D24", "failed views are not waited for longer"),
    (Mutant::PatienceAtOnce, "patience_at_once", "D24", "patience begins anew with every view that begins"),
    (Mutant::OneVoteMoves, "single_svc_moves", "D25", "one replica that wants to leave a view moves everybody"),
    (Mutant::NeverAbdicates, "no_abdicate", "D26", "a primary that nobody acknowledges keeps its job"),
    (Mutant::LeakView, "leak_view", "D27", "clients are told of views that never started"),
    (Mutant::StickyVotes, "svc_sticky", "D29", "votes never grow old"),
    (Mutant::TruncateOnNews, "st_truncate", "D30", "news of a later view truncates the log to the commit-number"),
    (Mutant::EagerLogView, "st_eager_view", "D31", "news of a later view raises log_view without that view's log"),
    (Mutant::FirstPageIsEnough, "chunk_sets_logview", "D34", "the first page of a log is taken for the whole"),
    (Mutant::ViewNotPersisted, "view_not_persisted", "D40", "a view is not written down before it is said"),
    (Mutant::ReportUnflushed, "dvc_unflushed", "D44", "a report describes what is not durable"),
    (Mutant::NoAckAfterTransfer, "no_ack_after_transfer", "D37", "what was fetched is never acknowledged"),
    (
        Mutant::OnePeerOnly,
        "st_single_peer",
        "D39",
        "a question that is not answered is asked of the same replica again",
    ),
    (Mutant::ChosenLogForever, "chosen_log_forever", "D39", "a primary-to-be waits for ever for the log that it chose"),
    (
        Mutant::OwnLogBetweenViews,
        "st_own_log_between_views",
        "D35",
        "a replica between views serves its own log as if it were the view's",
    ),
    (Mutant::PrimaryResumesView, "primary_resumes_view", "D52", "a restarted primary resumes its view"),
    (Mutant::AmnesiacNormal, "amnesiac_normal", "D47", "a replica that lost its memory starts as if it had not"),
    (Mutant::RecoveringVotes, "recovering_votes", "D48", "a recovering replica takes part in view changes"),
    (
        Mutant::RecoveryCommittedOnly,
        "recovery_committed_only",
        "D49",
        "the answer to a recovering replica holds the committed entries only",
    ),
    (Mutant::NonceIgnored, "nonce_constant", "D50", "answers to an earlier recovery count for a later one"),
    (Mutant::RecoverInAnyView, "rec_first_primary", "D51a", "the log of a deposed primary will do for recovery"),
    (
        Mutant::RecoveryAsPrinted,
        "vrr_recovery",
        "D46",
        "the view is not persisted and not named in Recovery, as the paper prints it",
    ),
    (
        Mutant::AnswersWhileNotNormal,
        "rec_nonnormal_answers",
        "D51c",
        "a replica between views answers a recovering one",
    ),
    (Mutant::RecoveryAsksOnce, "rec_no_retry", "D64", "a recovering replica asks once"),
    (Mutant::DamagePassedOver, "damage_passed_over", "D56", "what is left of a damaged log is taken for the whole"),
    (Mutant::DamagedVotes, "damaged_votes", "D56", "a replica with a damaged log takes part in view changes"),
    (
        Mutant::RepairInAnyView,
        "repair_in_any_view",
        "D56",
        "a damaged log is repaired from a view earlier than the promised one",
    ),
    (
        Mutant::UncertainEndWillDo,
        "nack_corrupt",
        "D57",
        "a log of which the end is lost is taken for one that ends where its last whole piece does",
    ),
    (
        Mutant::LostEntriesGivenUp,
        "skip_unservable",
        "D58",
        "an entry that nobody gives is given up, with what followed it",
    ),
    (Mutant::FormatsAnew, "auto_format", "D60", "a replica whose disk is lost is started as a new one"),
    (
        Mutant::AppendsWithoutSpace,
        "append_without_space",
        "9.11",
        "entries are written to a disk without room for them",
    ),
    (Mutant::KeepsJobWhenFull, "full_keeps_job", "9.11", "a primary keeps its job though its disk stays full"),
    (Mutant::MarkStands, "mark_stands", "§6b", "the mark of an orderly stop is not taken back by the next start"),
    (
        Mutant::MarkWithoutMemory,
        "mark_without_memory",
        "§6b",
        "a recovering replica leaves the mark of an orderly stop",
    ),
    (Mutant::GoesOnAfterMark, "goes_on_after_mark", "§6b", "a replica goes on after the mark of an orderly stop"),
    (Mutant::NoInFlightRebuild, "no_inflight_rebuild", "D70", "a new primary does not know the requests in its log"),
    (Mutant::NoPipelineDedupe, "no_pipeline_dedupe", "D76", "a request in flight is taken again"),
    (
        Mutant::TableAtPrepare,
        "table_at_prepare",
        "D71",
        "the client table is written when a request is taken, not when it is executed",
    ),
    (
        Mutant::ReplyToNewest,
        "reply_by_op",
        "D75",
        "an answer goes to the client's newest request, whichever was executed",
    ),
    (Mutant::EvictByLocalOrder, "evict_local_lru", "D77", "which session gives way depends on the replica"),
    (Mutant::EvictedReregisters, "evicted_reregisters", "D77", "a request of a session that is gone is executed"),
    (Mutant::EvictWhenBehind, "evict_when_behind", "D78", "a primary that is behind calls sessions gone"),
    (Mutant::CheckpointAnywhere, "ckpt_off_barrier", "D67", "checkpoints are taken after other ops on every replica"),
    (Mutant::CutBeforeDurable, "gc_before_ckpt_durable", "D66", "the log is cut before the checkpoint is durable"),
    (
        Mutant::CheckpointSetsLogView,
        "ckpt_sets_logview",
        "D32",
        "a checkpoint without the log after it makes a replica normal in the view it came from",
    ),
    (Mutant::PartsMixed, "ckpt_no_id", "D65", "parts of different checkpoints are joined"),
    (Mutant::DigestUnverified, "ckpt_unverified", "D65", "a checkpoint is installed unverified"),
    (Mutant::CheckpointWithoutTable, "ckpt_no_table", "D74", "the client table is left out of the checkpoint"),
    (Mutant::GoneLogUnanswered, "st_gone_log", "D39", "whoever asks for a log that was cut since is not answered"),
    (Mutant::InstallWithoutRestore, "ckpt_no_restore", "D69", "a checkpoint is installed and the service not told"),
    (Mutant::CancelOnViewChange, "cancel_on_vc", "D79", "requests that may still commit are called cancelled"),
    (
        Mutant::HandOverEarly,
        "hand_over_early",
        "hand-over",
        "a primary gives way while the other one lacks a part of its log",
    ),
    (Mutant::HandOverForever, "hand_over_forever", "hand-over", "a hand-over that cannot succeed is never given up"),
    (Mutant::LocalRead, "local_read", "D80", "a primary answers reads without asking whether it still is one"),
    (
        Mutant::EarlierBeatConfirms,
        "read_earlier_beat",
        "D80",
        "the answer to a heartbeat that left before a read came confirms it",
    ),
    (Mutant::BackupRead, "backup_read", "D81", "a backup answers reads from its own state"),
    (
        Mutant::ReadBeforeInherited,
        "read_before_inherited",
        "D82",
        "a new primary answers reads before it has executed what its view began with",
    ),
    (
        Mutant::ReadAcrossEpochs,
        "read_cross_epoch",
        "D87",
        "a primary answers reads at the end of its epoch, when the next one may have begun",
    ),
    (Mutant::NoTopmostCheck, "no_topmost_check", "D88", "a primary takes requests behind a reconfiguration"),
    (
        Mutant::ConfigAtAppend,
        "config_at_append",
        "D89",
        "a reconfiguration is committed by a quorum of the group that it begins",
    ),
    (
        Mutant::TransitioningVotes,
        "transitioning_votes",
        "D90",
        "a member takes part in an epoch before it has what that begins with",
    ),
    (
        Mutant::CommitAcrossViews,
        "commit_across_views",
        "D91",
        "whoever hears that its epoch is over reports what it knows by that in an earlier view",
    ),
    (
        Mutant::EpochStartedEarly,
        "epochstarted_early",
        "D93",
        "a member says that an epoch has started before it has what that begins with",
    ),
    (Mutant::StartEpochOnce, "startepoch_once", "D94", "the members of a new group are told once"),
    (
        Mutant::BaseNeedsNormal,
        "base_needs_normal",
        "D95",
        "only a member in normal status lends what an epoch begins with",
    ),
    (
        Mutant::CountsItselfEarly,
        "counts_itself_early",
        "D93",
        "a member counts itself among those who have what an epoch begins with before that is on its disk",
    ),
    (
        Mutant::TellsForever,
        "tells_forever",
        "D93",
        "whoever was replaced tells of its epoch though a later one has begun",
    ),
    (Mutant::LastTellerOnly, "last_teller_only", "D95", "of those who told of an epoch only the last one is asked"),
    (Mutant::HintLost, "hint_lost", "D98", "whoever is in an earlier epoch is not told"),
    (
        Mutant::DuplicateReconfiguration,
        "duplicate_reconfig",
        "D99",
        "a reconfiguration that is asked for again is judged as if it were new",
    ),
    (
        Mutant::BatchAfterReconfiguration,
        "batch_after_reconfig",
        "D104",
        "a request that waits behind a reconfiguration is logged with it",
    ),
];

impl Mutant {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.0)
    }

    fn row(self) -> &'static (Self, &'static str, &'static str, &'static str) {
        TABLE.iter().find(|row| row.0 == self).expect("every planted bug is in the table")
    }

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// The defect of PROTOCOL §2 that it plants.
    #[must_use]
    pub fn defect(self) -> &'static str {
        self.row().2
    }

    /// What is wrong, in words.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        self.row().3
    }

    /// The one of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.1 == name).map(|row| row.0)
    }
}
