//! Which scenario kills which planted bug, and under which property. Exists under the feature `mutants` only.
//!
//! Owns the table. `expectation` is the scenario's own: what must happen did not, in time, where no property can tell
//! early. A bug that nothing can see stands in [`EQUIVALENTS`], one that no honest swarm shows in
//! [`OUT_OF_REACH`], with the reasons. PROTOCOL §3.

use crate::scenario::{EXPECTATION, named};
use std::sync::LazyLock;
use vr_core::{Durability, Mutant};

/// A planted bug, and what becomes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kill {
    /// The bug.
    pub mutant: Mutant,
    /// The scenario that fails with it, and passes without.
    pub scenario: &'static str,
    /// In this mode.
    pub durability: Durability,
    /// Under this property.
    pub property: &'static str,
}

/// A planted bug that the swarm cannot find: a scenario alone shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfReach {
    /// The bug.
    pub mutant: Mutant,
    /// Why.
    pub why: &'static str,
}

/// A planted bug that nothing can see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Equivalent {
    /// The bug.
    pub mutant: Mutant,
    /// Why.
    pub why: &'static str,
}

/// One scenario per bug, which kills it in every mode in which it makes sense.
const AIMED: &[(Mutant, &str, &str)] = &[
    (Mutant::QuorumFPlusOne, "d08-even-group", "S12 commit justified"),
    (Mutant::AckAnyView, "d01-ack-of-an-older-view", "S12 commit justified"),
    (Mutant::CountAcks, "d02-duplicate-ack", "S12 commit justified"),
    (Mutant::AckHole, "d03-ack-of-a-hole", "S11 ack backed"),
    (Mutant::PrepareInViewChange, "d04-prepare-between-views", "S10 promise kept"),
    (Mutant::OldCommitResetsTimer, "d05-heartbeats-of-the-deposed", EXPECTATION),
    (Mutant::NoReack, "d07-lost-acknowledgement", "L2 answered"),
    (Mutant::SelfAckEarly, "d53-own-ack-before-the-sync", "S12 commit justified"),
    (Mutant::AckBeforeFsync, "d54-ack-before-the-sync", "S11 ack backed"),
    (Mutant::AckBeforeLogView, "d43-ack-before-the-log-of-the-view", "S11 ack backed"),
    (Mutant::CommitAssign, "d21-late-prepare", "S3 monotone commit"),
    (Mutant::TimeUnclamped, "d100-clock-behind", "S2 rising clock"),
    (Mutant::SelectByOp, "d09-longest-log", "S8 best log"),
    (Mutant::LogViewFromLastEntry, "d10-view-of-the-last-entry", "S8 best log"),
    (Mutant::CommitFromBest, "d11-largest-commit", "S3 monotone commit"),
    (Mutant::CountReports, "d12-duplicate-reports", "S8 leader completeness"),
    (Mutant::ReportAnyView, "d12-reports-of-older-views", "S8 best log"),
    (Mutant::DropEarlyReport, "d13-early-report", "L1 one view"),
    (Mutant::CommitInherited, "d14-inherited-entries", "S12 commit justified"),
    (Mutant::StartViewNoGuard, "d16-late-start-view", "S5 promise monotone"),
    (Mutant::StartViewReinstalled, "d17-start-view-again", "S11 ack backed"),
    (Mutant::SkipExecutedCheck, "d19-contradiction", EXPECTATION),
    (Mutant::NoStartViewResend, "d20-lost-start-view", EXPECTATION),
    (Mutant::VoteOnce, "d22-lost-reports", "L1 one view"),
    (Mutant::PrimaryToBeHasNoTimer, "d23-primary-to-be", "L1 one view"),
    (Mutant::FixedTimeout, "d24-patience", EXPECTATION),
    (Mutant::PatienceAtOnce, "d24-straggler", EXPECTATION),
    (Mutant::OneVoteMoves, "d25-deaf-backup", "L5 fresh votes"),
    (Mutant::NeverAbdicates, "d26-deaf-primary", "L1 one view"),
    (Mutant::LeakView, "d27-view-that-never-started", "S22 truthful hint"),
    (Mutant::StickyVotes, "d29-old-votes", "L5 fresh votes"),
    (Mutant::TruncateOnNews, "d30-truncate-on-news", "S7 view prefix"),
    (Mutant::EagerLogView, "d31-eager-log-view", "S7 view prefix"),
    (Mutant::FirstPageIsEnough, "d34-pages", "S7 view prefix"),
    (Mutant::ViewNotPersisted, "d40-forgotten-view", "S5 durable header"),
    (Mutant::NoAckAfterTransfer, "d37-ack-after-transfer", "L2 answered"),
    (Mutant::OnePeerOnly, "d39-another-peer", "L2 asks another"),
    (Mutant::ChosenLogForever, "d39-log-nobody-gives", EXPECTATION),
    (Mutant::OwnLogBetweenViews, "d35-own-log-between-views", "S13 silence"),
    (Mutant::PrimaryResumesView, "d52-primary-comes-back", "S7 one start"),
    (Mutant::AmnesiacNormal, "d47-back-without-memory", "S13 silence"),
    (Mutant::RecoveringVotes, "d48-recovering-takes-no-part", "S13 silence"),
    (Mutant::RecoveryCommittedOnly, "d49-uncommitted-entries-too", "S11 ack backed"),
    (Mutant::NonceIgnored, "d50-answer-of-another-time", "S11 ack backed"),
    (Mutant::RecoverInAnyView, "d51-log-of-the-deposed", "S5 promise monotone"),
    (Mutant::RecoveryAsPrinted, "d46-view-forgotten-in-turn", "S5 durable header"),
    (Mutant::AnswersWhileNotNormal, "d51-answer-between-views", "S11 ack backed"),
    (Mutant::RecoveryAsksOnce, "d64-lost-question", "L3 recovered"),
    (Mutant::DamagePassedOver, "d56-rotten-record", "S13 silence"),
    (Mutant::UncertainEndWillDo, "d57-lost-end", "S6 log match"),
    (Mutant::LostEntriesGivenUp, "d58-entry-nobody-gives", "S6 log match"),
    (Mutant::DamagedVotes, "d56-damaged-takes-no-part", "S13 silence"),
    (Mutant::RepairInAnyView, "d56-repaired-by-the-deposed", "S5 promise monotone"),
    (Mutant::FormatsAnew, "d60-lost-disk", "S5 promise monotone"),
    (Mutant::AppendsWithoutSpace, "full-backup-stands-by", "S25 room on disk"),
    (Mutant::KeepsJobWhenFull, "full-primary-gives-way", EXPECTATION),
    (Mutant::MarkStands, "mark-holds-once", "S9 truthful mark"),
    (Mutant::MarkWithoutMemory, "stop-without-memory", "S9 ack durability"),
    (Mutant::GoesOnAfterMark, "stop-says-no-more", "S13 silence"),
    (Mutant::NoInFlightRebuild, "d70-retry-after-a-view-change", "S14 taken once"),
    (Mutant::NoPipelineDedupe, "d76-retry-in-flight", "S14 taken once"),
    (Mutant::TableAtPrepare, "d71-table-of-a-deposed-primary", EXPECTATION),
    (Mutant::ReplyToNewest, "d75-answer-to-the-right-request", "S22 reply truth"),
    (Mutant::EvictByLocalOrder, "d77-who-gives-way", "S16 table equality"),
    (Mutant::EvictedReregisters, "d77-session-that-is-gone", "S14 at most once"),
    (Mutant::EvictWhenBehind, "d78-primary-that-is-behind", "S22 reply truth"),
    (Mutant::CheckpointAnywhere, "d67-at-the-same-ops", "S17 checkpoint equality"),
    (Mutant::CutBeforeDurable, "d66-cut-behind-a-checkpoint", "S18 cut behind a checkpoint"),
    (Mutant::CheckpointSetsLogView, "d32-checkpoint-is-no-log", "S7 view prefix"),
    (Mutant::PartsMixed, "d65-another-checkpoint", "S17 checkpoint equality"),
    (Mutant::DigestUnverified, "d65-damaged-part", "S17 checkpoint equality"),
    (Mutant::CheckpointWithoutTable, "d74-table-comes-along", "S16 table equality"),
    (Mutant::GoneLogUnanswered, "d39-log-that-is-gone", EXPECTATION),
    (Mutant::InstallWithoutRestore, "d69-service-comes-along", "S2 prefix execution"),
    (Mutant::AsideWithLaterTable, "checkpoint-given-late", "S17 checkpoint equality"),
    (Mutant::AsideAfterRestore, "checkpoint-of-a-former-state", "S18 cut behind a checkpoint"),
    (Mutant::AsideOverLast, "checkpoint-at-the-end-of-an-epoch", EXPECTATION),
    (Mutant::CancelOnViewChange, "d79-uncertain-outcome", "S22 reply truth"),
    (Mutant::HandOverEarly, "hand-over-waits", "L5 orderly hand-over"),
    (Mutant::HandOverForever, "hand-over-given-up", EXPECTATION),
    (Mutant::LocalRead, "d80-deposed-primary-reads", "S21 fresh read"),
    (Mutant::EarlierBeatConfirms, "d80-earlier-heartbeat", "S21 fresh read"),
    (Mutant::BackupRead, "d81-backup-reads", "S21 fresh read"),
    (Mutant::IndexUnconfirmed, "d80-index-of-a-deposed-primary", "S21 fresh read"),
    (Mutant::AnswersBeforeIndex, "d81-executed-first", "S21 fresh read"),
    (Mutant::EarlierIndex, "d81-earlier-question", "S21 fresh read"),
    (Mutant::IndexOverViews, "d81-index-of-an-earlier-view", "S21 fresh read"),
    (Mutant::ReadBeforeInherited, "d82-inherited-first", "S21 fresh read"),
    (Mutant::ReadAcrossEpochs, "d87-read-of-an-ended-epoch", "S21 fresh read"),
    (Mutant::LeaseFromReceipt, "d83-counted-from-when-it-was-asked", "S21 fresh read"),
    (Mutant::LeaseNoDrift, "d83-clocks-at-their-bound", "S21 lease exclusivity"),
    (Mutant::LeaseIgnored, "d84-report-waits", "S21 fresh read"),
    (Mutant::LeaseLetGo, "d84-report-waits", "S21 fresh read"),
    (Mutant::LeaseCheckedEarly, "d85-told-too-late", "S21 fresh read"),
    (Mutant::LeaseFromOldLook, "d85-promise-from-an-old-look", "S21 fresh read"),
    (Mutant::LeaseAmnesia, "d86-promise-of-an-earlier-life", "S21 fresh read"),
    (Mutant::LeaseAcrossEpochs, "d87-lease-ends-with-its-epoch", "S21 fresh read"),
    (Mutant::NoTopmostCheck, "d88-last-of-its-epoch", "S20 epoch prefix"),
    (Mutant::ConfigAtAppend, "d89-old-group-commits", "S12 commit justified"),
    (Mutant::TransitioningVotes, "d90-nobody-without-the-base", "S7 one start"),
    (Mutant::CommitAcrossViews, "d91-silent-when-it-is-over", "S1 agreement"),
    (Mutant::EpochStartedEarly, "d93-started-when-it-is-here", "S11 ack backed"),
    (Mutant::StartEpochOnce, "d94-told-until-they-answer", "L7 reconfigured"),
    (Mutant::BaseNeedsNormal, "d95-base-from-the-replaced", "L7 reconfigured"),
    (Mutant::CountsItselfEarly, "d93-counted-when-it-is-on-the-disk", "S9 ack durability"),
    (Mutant::TellsForever, "d93-a-later-epoch-will-do", EXPECTATION),
    (Mutant::LastTellerOnly, "d94-all-who-told-are-asked", EXPECTATION),
    (Mutant::HintLost, "d98-asleep-over-two-epochs", "L7 reconfigured"),
    (Mutant::DuplicateReconfiguration, "d99-asked-again", "S22 reply truth"),
    (Mutant::RefusesWhenBehind, "d99-asked-of-one-who-is-behind", "S22 reply truth"),
    (Mutant::BatchAfterReconfiguration, "d104-last-of-its-batch", "S20 epoch prefix"),
    (Mutant::WitnessLeads, "d103-never-leads", "S7 view prefix"),
    (Mutant::WitnessAcksHole, "d103-acks-in-order", "S11 ack backed"),
    (Mutant::WitnessCutsAlone, "d103-cuts-what-all-have", "S11 ack backed"),
    (Mutant::FullMemberCutsAlone, "witness-holds-what-is-needed", "S18 cut behind a checkpoint"),
    (Mutant::WitnessLendsCheckpoint, "d103-lends-no-checkpoint", "S13 silence"),
    (Mutant::NamesNoLender, "d103-log-of-one-and-state-of-another", EXPECTATION),
];

static KILLS: LazyLock<Vec<Kill>> = LazyLock::new(|| {
    let kill = |(mutant, scenario, property): &(Mutant, &'static str, &'static str)| {
        let modes = named(scenario).map_or(&[][..], |info| info.modes);
        let (mutant, scenario, property) = (*mutant, *scenario, *property);
        modes.iter().map(move |durability| Kill { mutant, scenario, durability: *durability, property })
    };
    AIMED.iter().flat_map(kill).collect()
});

/// The table, mode by mode.
pub(crate) fn kills() -> &'static [Kill] {
    &KILLS
}

/// What nothing can see.
pub(crate) const EQUIVALENTS: &[Equivalent] = &[Equivalent {
    mutant: Mutant::ReportUnflushed,
    why: "the view is written when it is entered, after every append and before the report, and disks complete writes in \
          order: whoever may say that it is in the view (D40) has flushed everything that its report describes",
}];

/// What only a scenario can show.
pub(crate) const OUT_OF_REACH: &[OutOfReach] = &[
    OutOfReach {
        mutant: Mutant::OldCommitResetsTimer,
        why: "a deposed primary falls silent within T_abd (L4), so that a backup that listens to it waits by so much longer for \
              the next view and then goes on: nothing is lost, and no property counts so finely; the scenario keeps its \
              heartbeats coming",
    },
    OutOfReach {
        mutant: Mutant::ChosenLogForever,
        why: "somebody who is heard and does not hear has to report the best log in view after view, and nobody else who is \
              heard may have it: of 180,000 seeds one",
    },
    OutOfReach {
        mutant: Mutant::SkipExecutedCheck,
        why: "no honest replica sends a log that contradicts what was executed (S1, S8): the check is there for what should not \
              happen, and the scenario forges such a log",
    },
    OutOfReach {
        mutant: Mutant::ReadAcrossEpochs,
        why: "a primary has to be slow between the commit of the last entry of its epoch and its execution, led by nobody, \
              while a quorum of the old group still answers it and the new group answers a request",
    },
    OutOfReach {
        mutant: Mutant::CommitAcrossViews,
        why: "reports for a view have to be under way while a later view commits the last entry of the epoch and one who is \
              still in the earlier view, with that entry from before, hears that the epoch is over",
    },
    OutOfReach {
        mutant: Mutant::RefusesWhenBehind,
        why: "an operator has to ask again the primary of two epochs before, which has just come back and heard nothing yet: of \
              100,000 seeds one",
    },
    OutOfReach { mutant: Mutant::TellsForever, why: "what is told for ever harms nobody, and no property counts it" },
    OutOfReach {
        mutant: Mutant::LastTellerOnly,
        why: "whoever told last of an epoch has to be deaf to the one it told, again and again until the time is up: seen from \
              two of five first seeds",
    },
    OutOfReach {
        mutant: Mutant::NamesNoLender,
        why: "the longest log has to be a witness's and begin after all that the only one who can lead has, and the witness hear \
              no full member that has a state: of 400,000 seeds one",
    },
    OutOfReach {
        mutant: Mutant::LeaseFromOldLook,
        why: "a backup has to stand still for as long as a lease, another one hear nothing of the primary all that time, and the \
              primary be cut off from both right after the first has answered it: of 10,000 clusters with leases one",
    },
    OutOfReach {
        mutant: Mutant::LeaseAmnesia,
        why: "a backup has to crash right after it answered a heartbeat and be back at once, while a vote of its earlier life is \
              still under way to the only one who waits for it: of 25,000 clusters with leases none",
    },
];
