//! The sentences of the paper that matter, one test each, named by the sentence. Each: a story, init, act, check.
//!
//! By section: normal operation (§4.1), view changes (§4.2), restarts and recovery (§4.3), state transfer (§5.2). Under
//! the feature `mutants` the last test plants the bug that each sentence forbids and sees the sentence fail.

#[path = "paper/normal_case.rs"]
mod normal_case;
#[path = "paper/restart.rs"]
mod restart;
#[path = "support/scripted.rs"]
mod scripted;
#[path = "paper/view_change.rs"]
mod view_change;

use scripted::{Scripted, request};
use vr_core::{Config, Op, Session, Wait};

/// A group in view 0 in which client 1 has a session and everybody has committed op 1, its Register.
fn group_of(members: u16, tune: impl Fn(&mut Config)) -> (Scripted, Session) {
    let mut group = Scripted::new(members, tune);
    let session = group.register(1);
    group.pass(Wait::millis(60));
    assert_eq!(session, Session(1));
    (group, session)
}

fn three() -> (Scripted, Session) {
    group_of(3, |_| {})
}

impl Scripted {
    /// Client 1 asks for something.
    fn put(&mut self, at: usize, number: u64, body: &str) {
        self.ask(at, request(1, Session(1), number, body));
    }

    fn commit(&self, at: usize) -> Op {
        self.snapshot(at).commit
    }

    fn op(&self, at: usize) -> Op {
        self.snapshot(at).op
    }
}

/// `(the bug, the sentence that forbids it)`.
#[cfg(feature = "mutants")]
const FORBIDDEN: &[(vr_core::Mutant, fn())] = {
    use normal_case as n;
    use restart as r;
    use view_change as v;
    use vr_core::Mutant as M;
    &[
        (M::QuorumFPlusOne, n::a_request_commits_once_a_quorum_has_it_on_disk),
        (M::SelfAckEarly, n::a_primary_counts_itself_only_after_its_own_disk),
        (M::AckBeforeFsync, n::a_backup_acknowledges_only_what_its_disk_holds),
        (M::AckHole, n::a_backup_never_acknowledges_across_a_hole),
        (M::CountAcks, n::an_acknowledgement_counts_once_per_replica),
        (M::AckAnyView, n::an_acknowledgement_of_an_older_view_does_not_count),
        (M::AckAnyView, n::an_acknowledgement_names_the_entry_it_acknowledges),
        (M::NoReack, n::a_lost_acknowledgement_is_said_again),
        (M::CommitAssign, n::the_commit_number_never_falls),
        (M::OldCommitResetsTimer, n::only_the_primary_of_the_current_view_is_a_sign_of_life),
        (M::TimeUnclamped, n::predicted_time_never_goes_back),
        (M::PrepareInViewChange, n::a_replica_between_views_takes_no_prepare),
        (M::SelectByOp, v::the_log_of_the_latest_normal_view_wins_not_the_longest),
        (M::LogViewFromLastEntry, v::an_inherited_entry_counts_for_the_view_that_adopted_it),
        (M::CommitFromBest, v::the_new_commit_number_is_the_largest_reported),
        (M::CountReports, v::a_report_counts_once_per_replica),
        (M::DropEarlyReport, v::a_report_that_arrives_first_opens_its_view),
        (M::CommitInherited, v::inherited_entries_need_a_quorum_in_the_new_view),
        (M::StartViewNoGuard, v::a_start_view_of_an_older_view_is_no_news),
        (M::StartViewReinstalled, v::a_start_view_is_not_installed_twice),
        (M::SkipExecutedCheck, v::a_log_that_contradicts_what_was_executed_is_refused),
        (M::NoStartViewResend, v::a_lost_start_view_is_sent_again),
        (M::VoteOnce, v::lost_votes_and_reports_are_sent_again),
        (M::PrimaryToBeHasNoTimer, v::the_primary_to_be_gives_up_like_anybody_else),
        (M::FixedTimeout, v::failed_views_are_waited_for_longer),
        (M::OneVoteMoves, v::a_replica_that_hears_nobody_moves_nobody),
        (M::StickyVotes, v::a_vote_grows_old),
        (M::NeverAbdicates, v::an_isolated_primary_abdicates),
        (M::TruncateOnNews, v::news_of_a_later_view_takes_nothing_from_the_log),
        (M::EagerLogView, v::news_of_a_later_view_takes_nothing_from_the_log),
        (M::ViewNotPersisted, r::nothing_leaves_before_incarnation_and_view_are_durable),
        (M::AckBeforeLogView, r::a_backup_acknowledges_in_a_view_once_its_disk_knows_the_view),
        (M::PrimaryResumesView, r::a_restarted_primary_enters_the_next_view),
        (M::AmnesiacNormal, r::a_recovering_replica_says_nothing_but_recovery),
        (M::RecoveringVotes, r::a_recovering_replica_says_nothing_but_recovery),
        (M::RecoveryAsksOnce, r::a_lost_recovery_is_sent_again),
        (M::NonceIgnored, r::only_the_answer_to_this_lifes_question_counts),
        (M::RecoveryCommittedOnly, r::recovery_brings_the_uncommitted_entries_too),
        (M::RecoverInAnyView, r::recovery_never_leads_back_behind_a_promised_view),
        (M::RecoveryAsPrinted, r::recovery_never_leads_back_behind_a_promised_view),
        (M::AnswersWhileNotNormal, r::only_a_normal_replica_answers_a_recovering_one),
        (M::NoAckAfterTransfer, r::what_was_fetched_is_acknowledged_like_what_was_prepared),
        (M::OnePeerOnly, r::a_question_that_is_not_answered_goes_to_another),
        (M::FirstPageIsEnough, r::a_log_that_comes_in_pages_is_used_when_it_is_whole),
    ]
};

#[cfg(feature = "mutants")]
#[test]
fn each_sentence_fails_when_what_it_forbids_is_planted() {
    let fails = |(bug, sentence): &&(vr_core::Mutant, fn())| scripted::planted::is_caught(*bug, *sentence);
    let survivors: Vec<_> = FORBIDDEN.iter().filter(|row| !fails(row)).map(|(bug, _)| bug.name()).collect();
    assert!(survivors.is_empty(), "planted, and their sentence still holds: {survivors:?}");
}
