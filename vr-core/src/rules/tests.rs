//! What rules say, without a bug and with each that is planted in them: the table of truth behind the sentences.
//!
//! Owns the rules that no run tells apart from their neighbours by itself, and those in files of their own. Must not know
//! replicas: what comes of a broken rule is for scenarios and checkers to say.

use super::*;
use crate::id::{Beat, FetchId, Time, Wait};
use crate::lease::Lease;

/// `rule (arguments) is this; Bug: that` and so on: without a bug, and with each of these planted.
macro_rules! rules {
    ($($rule:ident $args:tt is $sound:expr $(; $bug:ident: $planted:expr)*,)+) => {
        $(
            let told = concat!(stringify!($rule), stringify!($args));
            assert_eq!(Rules::default().$rule $args, $sound, "{told}");
            $(when_planted!($bug, rules => assert_eq!(rules.$rule $args, $planted, "{told}, {}", stringify!($bug)));)*
        )+
    };
}

fn head(op: u64) -> Head {
    Head { op: Op(op), hash: Hash(op.into()) }
}

#[test]
fn rules_of_normal_operation_and_views_say_what_their_sentences_say() {
    rules! {
        quorum(4) is 3; QuorumFPlusOne: 2,
        quorum(5) is 3; QuorumFPlusOne: 3,
        keeps_invariants() is true; CommitAssign: false; StartViewNoGuard: false; AckHole: true,
        enough_reports(2, 3, 3) is false; CountReports: true,
        enough_reports(2, 2, 3) is false; CountReports: false,
        enough_reports(3, 3, 3) is true,
        keeps_reports_of_older_views() is false; ReportAnyView: true,
        flushes_before_report() is true; ReportUnflushed: false,
        is_proven(true) is true,
        is_proven(false) is false; PatienceAtOnce: true,
        gives_up_log(2) is false,
        gives_up_log(3) is true; ChosenLogForever: false,
        gives_up_log(4) is true,
    }
}

#[test]
fn rules_of_transfer_restart_and_recovery_say_what_their_sentences_say() {
    rules! {
        serves_unnamed_between_views() is false; OwnLogBetweenViews: true,
        answers_with_own_log() is true; GoneLogUnanswered: false,
        marks_again(true) is false; MarkStands: true,
        marks_again(false) is false; MarkStands: false,
        ends_with_mark() is true; GoesOnAfterMark: false,
        takes_what_is_left() is false; DamagePassedOver: true,
        waits_for_lost_entries(20) is true; LostEntriesGivenUp: true,
        waits_for_lost_entries(21) is true; LostEntriesGivenUp: false,
        view_min(View(7), true) is View(7); RecoveryAsPrinted: View(0); RecoverInAnyView: View(0); RepairInAnyView: View(0),
        view_min(View(7), false) is View(7); RecoveryAsPrinted: View(0); RepairInAnyView: View(7),
    }
}

#[test]
fn rules_of_checkpoints_and_sessions_say_what_their_sentences_say() {
    rules! {
        cuts_before_durable() is false; CutBeforeDurable: true,
        checkpoint_is_enough() is false; CheckpointSetsLogView: true,
        is_part_of(head(4), head(4)) is true,
        is_part_of(head(4), head(8)) is false; PartsMixed: true,
        restores_table() is true; CheckpointWithoutTable: false,
        restores_service() is true; InstallWithoutRestore: false,
        eviction_rank(Op(9), Session(6), 3) is 9; EvictByLocalOrder: 5,
        as_set_aside(1, |_| 2) is 1; AsideWithLaterTable: 2,
        keeps_given(true) is true,
        keeps_given(false) is false; AsideAfterRestore: true,
        passes_over(true, false) is true,
        passes_over(true, true) is false; AsideOverLast: true,
        passes_over(false, false) is false,
        passes_over(false, true) is false; AsideOverLast: false,
    }
}

#[test]
fn rules_of_reads_say_what_their_sentences_say() {
    rules! {
        confirms_reads() is true; LocalRead: false,
        confirming_beat(Beat(1), Beat(2)) is Beat(2); EarlierBeatConfirms: Beat(1),
        read_index(Op(1), Op(2)) is Op(2); ReadBeforeInherited: Op(1),
        read_index(Op(3), Op(2)) is Op(3),
        backup_reads() is false; BackupRead: true,
        gives_index_at_once() is false; IndexUnconfirmed: true,
        answers_from(Op(1), Op(2)) is false; AnswersBeforeIndex: true,
        answers_from(Op(2), Op(2)) is true,
        answers_from(Op(3), Op(2)) is true,
        is_index_for(FetchId(1), FetchId(1), true) is true,
        is_index_for(FetchId(1), FetchId(1), false) is true,
        is_index_for(FetchId(1), FetchId(2), true) is false; EarlierIndex: true; IndexOverViews: false,
        is_index_for(FetchId(1), FetchId(2), false) is false; EarlierIndex: true; IndexOverViews: true,
        takes_index_of_earlier_view() is false; IndexOverViews: true,
    }
}

#[test]
fn rules_of_leases_say_what_their_sentences_say() {
    let lease = Lease { length: Wait(1_000_000), drift_ppm: 200_000 };
    rules! {
        lease_counts_from(Time(3), Time(5)) is Time(3); LeaseFromReceipt: Time(5),
        lease_span(lease) is Wait(666_666); LeaseNoDrift: lease.length,
        may_report(false) is true,
        may_report(true) is false; LeaseIgnored: true,
        measures_promise_later() is true; LeaseFromOldLook: false,
        releases(true, View(1), View(2)) is true,
        releases(true, View(1), View(1)) is false,
        releases(false, View(1), View(2)) is false; LeaseLetGo: true,
        keeps_forgotten_promises(true) is true; LeaseAmnesia: false,
        keeps_forgotten_promises(false) is false,
        lease_ends(|| true) is true; LeaseAcrossEpochs: false,
        lease_ends(|| false) is false,
    }
}

#[test]
fn rules_of_epochs_say_what_their_sentences_say() {
    rules! {
        is_closed(true, || false) is true; BatchAfterReconfiguration: false,
        is_closed(false, || true) is true; NoTopmostCheck: false,
        is_closed(false, || false) is false,
        closes_reads(|| true) is true; ReadAcrossEpochs: false,
        closes_reads(|| false) is false,
        committing_quorum(3, || Some(2)) is 3; ConfigAtAppend: 2,
        votes_without_base() is false; TransitioningVotes: true,
        leaves_with_its_epoch() is true; CommitAcrossViews: false,
        says_started_without_base() is false; EpochStartedEarly: true,
        counts_itself_early() is false; CountsItselfEarly: true,
        later_epoch_settles() is true; TellsForever: false,
        repeats_start_epoch() is true; StartEpochOnce: false,
        lends_base_outside_normal() is true; BaseNeedsNormal: false,
        forgets_who_told() is false; LastTellerOnly: true,
        answers_older_epochs() is true; HintLost: false,
        refuses_group_for_good(false) is true,
        refuses_group_for_good(true) is false; RefusesWhenBehind: true,
        judges_group_first() is false; DuplicateReconfiguration: true,
    }
}

#[test]
fn rules_of_witnesses_say_what_their_sentences_say() {
    rules! {
        witness_leads() is false; WitnessLeads: true,
        witness_acknowledges_beyond_a_gap(true) is false; WitnessAcksHole: true,
        witness_acknowledges_beyond_a_gap(false) is false; WitnessAcksHole: false,
        holders_needed(2) is 3; WitnessCutsAlone: 1,
        cuts_by_own_checkpoint() is false; FullMemberCutsAlone: true,
        lends_checkpoints(false) is true; WitnessLendsCheckpoint: true,
        lends_checkpoints(true) is false; WitnessLendsCheckpoint: true,
        names_lenders() is true; NamesNoLender: false,
    }
}
