//! The planted bugs: one line each, beside the rule it breaks in `rules.rs`. Exists under the feature `mutants` only.
//!
//! Owns their names. Must not know how they are found; that stands in `vr-sim`. PROTOCOL §2, §3.

#[path = "mutants/table.rs"]
mod table;

use serde::{Deserialize, Serialize};
use table::TABLE;

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
    /// D67, D74: what was set aside is made a checkpoint with the client table of when it is given.
    AsideWithLaterTable,
    /// D66: a checkpoint that was set aside is kept though the service became a later one since.
    AsideAfterRestore,
    /// D89: the last op of an epoch is passed over while a checkpoint is put together.
    AsideOverLast,
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
    /// D80: a primary tells a backup what reads must reflect without asking whether it still leads.
    IndexUnconfirmed,
    /// D81: a backup answers reads when it hears what they must reflect, before it has executed that.
    AnswersBeforeIndex,
    /// D81: what an earlier question was answered serves reads that came after it.
    EarlierIndex,
    /// D81: what a primary of an earlier view said serves reads of this one.
    IndexOverViews,
    /// D82: a new primary answers reads before it has executed what its view began with.
    ReadBeforeInherited,
    /// D87: a primary answers reads at the end of its epoch, when the next one may have begun.
    ReadAcrossEpochs,
    /// D83: a primary counts a promise from when it hears of it, not from when it asked.
    LeaseFromReceipt,
    /// D83: a primary counts on all that was promised, as if all clocks ran alike.
    LeaseNoDrift,
    /// D84: a backup reports for a later view though it has promised not to yet.
    LeaseIgnored,
    /// D84: a backup counts itself free of its promise when anybody is in a later view.
    LeaseLetGo,
    /// D85: a driver tells what was read under a lease though its deadline has passed.
    LeaseCheckedEarly,
    /// D85: a backup measures its promise from a look at the clock before it made it.
    LeaseFromOldLook,
    /// D86: whoever comes back from a crash reports at once, whatever it had promised.
    LeaseAmnesia,
    /// D87: a primary keeps its lease with the end of its epoch in its log.
    LeaseAcrossEpochs,
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
    /// D99: whoever is in an earlier epoch refuses a reconfiguration of a later one for good.
    RefusesWhenBehind,
    /// D104: a request that waits behind a reconfiguration is logged with it.
    BatchAfterReconfiguration,
    /// D103a: a witness takes its turn as the primary.
    WitnessLeads,
    /// D103b: a witness acknowledges a prepare beyond a hole in its log.
    WitnessAcksHole,
    /// D103c: a log is cut behind a checkpoint that a single full member has.
    WitnessCutsAlone,
    /// D103c: a full member cuts its log behind its own checkpoint, whoever else has one.
    FullMemberCutsAlone,
    /// D103d: a witness lends as a checkpoint what only says where its log begins.
    WitnessLendsCheckpoint,
    /// D103e: who is to lead and lacks what a witness's log begins with asks for that log alone.
    NamesNoLender,
}

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
