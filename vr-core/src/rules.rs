//! Every safety decision as a small pure function under its sentence; the only home of planted bugs.
//!
//! Owns what decides between right and wrong: who counts, which log wins, what may be promised. Must not know
//! how a replica is built or what it sends. A rule without a planted bug is a rule nobody has seen fail
//! (PROTOCOL §2, §3). Without the feature `mutants` there is nothing here but the rules.

use crate::entry::Predicted;
use crate::id::{Hash, Op, RequestNumber, Session, View};
use crate::log::Head;
use crate::quorum::{faults_tolerated, quorum};
use serde::{Deserialize, Serialize};

#[cfg(feature = "mutants")]
#[path = "mutants.rs"]
mod mutants;
#[cfg(feature = "mutants")]
pub use mutants::Mutant;

/// The rules a replica plays by. Zero-sized unless the feature `mutants` is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Rules {
    #[cfg(feature = "mutants")]
    /// The bug planted in this replica; none by default.
    pub mutant: Option<Mutant>,
}

#[cfg(not(feature = "mutants"))]
const _: () = assert!(size_of::<Rules>() == 0, "no shipped build contains a planted bug");

/// Is this bug planted? The constant `false` in every shipped build.
macro_rules! planted {
    ($rules:expr, $bug:ident) => {{
        #[cfg(feature = "mutants")]
        let planted = $rules.mutant == Some($crate::rules::Mutant::$bug);
        #[cfg(not(feature = "mutants"))]
        let planted = {
            let _ = $rules;
            false
        };
        planted
    }};
}

mod aside;
mod epochs;
mod leases;
mod livelock;
mod reads;
mod witnesses;

/// A check of rules with this bug planted, where bugs can be.
#[cfg(all(test, feature = "mutants"))]
macro_rules! when_planted {
    ($bug:ident, $rules:ident => $check:expr) => {{
        let $rules = Rules { mutant: Some($crate::rules::Mutant::$bug) };
        $check
    }};
}
#[cfg(all(test, not(feature = "mutants")))]
macro_rules! when_planted {
    ($($check:tt)*) => {};
}

#[cfg(test)]
mod tests;

/// Normal operation (PROTOCOL 1.1).
impl Rules {
    /// A quorum is n − f, for even n too (D8).
    pub(crate) fn quorum(self, members: usize) -> usize {
        if planted!(self, QuorumFPlusOne) { faults_tolerated(members) + 1 } else { quorum(members) }
    }

    /// An acknowledgement counts only in the view it was made in, and only for the very log it names (D1, D6).
    pub(crate) fn counts_ack(self, same_view: bool, named: Hash, ours: Option<Hash>) -> bool {
        (same_view && ours == Some(named)) || planted!(self, AckAnyView)
    }

    /// Acknowledgements are a set: each replica counts once, for the most it ever acknowledged (D2). `counted` is
    /// how many members have acknowledged the op, `arrived` how many acknowledgements came in.
    pub(crate) fn acks_of_op(self, counted: usize, arrived: usize) -> usize {
        if planted!(self, CountAcks) { arrived } else { counted }
    }

    /// A backup acknowledges the end of its gap-free log, never an op beyond a hole (D3).
    pub(crate) fn acknowledges_beyond_a_gap(self) -> bool {
        planted!(self, AckHole)
    }

    /// Only a replica in normal status takes a Prepare (D4).
    pub(crate) fn takes_prepare_in_view_change(self) -> bool {
        planted!(self, PrepareInViewChange)
    }

    /// Only the current primary's messages are signs of life: those of an older view are not (D5).
    pub(crate) fn older_view_is_a_sign_of_life(self) -> bool {
        planted!(self, OldCommitResetsTimer)
    }

    /// A Prepare that is here already is acknowledged again: the first acknowledgement may be lost (D7).
    pub(crate) fn reacknowledges(self) -> bool {
        ![planted!(self, NoReack), planted!(self, NoAckAfterTransfer)].contains(&true)
    }

    /// The primary counts itself once its own copy is durable, like everybody else (D53). `durable` is what its
    /// disk holds, `op` what its memory holds.
    pub(crate) fn own_acknowledgement(self, durable: Op, op: Op) -> Op {
        if planted!(self, SelfAckEarly) { op } else { durable }
    }

    /// A backup acknowledges what its disk holds, not what its memory holds (D54).
    pub(crate) fn may_acknowledge(self, durable: Op, op: Op) -> Op {
        if planted!(self, AckBeforeFsync) { op } else { durable }
    }

    /// Nothing is acknowledged in a view before the disk says that this replica is normal in it (D43).
    pub(crate) fn needs_durable_log_view(self) -> bool {
        !planted!(self, AckBeforeLogView)
    }

    /// The commit-number never falls (D21).
    pub(crate) fn next_commit(self, ours: Op, theirs: Op) -> Op {
        if planted!(self, CommitAssign) { theirs } else { ours.max(theirs) }
    }

    /// Entries are written only while the disk has room for them; everything else has a reserve (DESIGN 9.11).
    pub(crate) fn may_append(self, has_space: bool) -> bool {
        has_space || planted!(self, AppendsWithoutSpace)
    }

    /// A primary whose disk stays full gives way to one that can take requests (DESIGN 9.11).
    pub(crate) fn gives_way_when_full(self, full: bool) -> bool {
        full && !planted!(self, KeepsJobWhenFull)
    }

    /// The invariants of a replica hold after every step. Two planted bugs break them by design and are to be
    /// found from outside (D16, D21).
    pub(crate) fn keeps_invariants(self) -> bool {
        ![planted!(self, CommitAssign), planted!(self, StartViewNoGuard)].contains(&true)
    }

    /// Predicted time never goes back, across views neither (D100).
    pub(crate) fn predicted(self, before: Predicted, clock: Predicted) -> Predicted {
        let floor = before.wall_ns.saturating_add(1);
        let wall_ns = if planted!(self, TimeUnclamped) { clock.wall_ns } else { clock.wall_ns.max(floor) };
        Predicted { wall_ns, seed: clock.seed }
    }
}

/// View change (PROTOCOL 1.3, DESIGN §10).
impl Rules {
    /// The log of the new view is the one reported with the latest `log_view`, and of those the longest (D9).
    pub(crate) fn log_rank(self, log_view: View, op: Op) -> (u64, u64) {
        if planted!(self, SelectByOp) { (op.0, log_view.0) } else { (log_view.0, op.0) }
    }

    /// v′ is the last view in which the replica was normal, not the view of its last entry (D10).
    pub(crate) fn reported_log_view(self, log_view: View, last_entry: Option<View>) -> View {
        if planted!(self, LogViewFromLastEntry) { last_entry.unwrap_or(View::ZERO) } else { log_view }
    }

    /// The new commit-number is the largest reported, not that of the chosen log (D11).
    pub(crate) fn starting_commit(self, largest: Op, of_best: Op) -> Op {
        if planted!(self, CommitFromBest) { of_best } else { largest }
    }

    /// Reports are counted per sender (D12a).
    pub(crate) fn enough_reports(self, senders: usize, arrived: usize, quorum: usize) -> bool {
        senders >= quorum || (planted!(self, CountReports) && arrived >= quorum)
    }

    /// Only reports for exactly this view count (D12b).
    pub(crate) fn keeps_reports_of_older_views(self) -> bool {
        planted!(self, ReportAnyView)
    }

    /// A report or a vote that arrives before anything else of its view opens that view (D13).
    pub(crate) fn joins_on_early_report(self) -> bool {
        !planted!(self, DropEarlyReport)
    }

    /// Entries inherited from older views need a quorum of acknowledgements in the new one (D14).
    pub(crate) fn inherited_are_committed(self) -> bool {
        planted!(self, CommitInherited)
    }

    /// A StartView of an older view is no news (D16).
    pub(crate) fn takes_older_start_view(self) -> bool {
        planted!(self, StartViewNoGuard)
    }

    /// A replica that is normal in the view does not install its StartView again (D17).
    pub(crate) fn reinstalls_start_view(self) -> bool {
        planted!(self, StartViewReinstalled)
    }

    /// No installed log may contradict what was executed here (D19).
    pub(crate) fn checks_executed_prefix(self) -> bool {
        !planted!(self, SkipExecutedCheck)
    }

    /// Whoever asks about a view that has started is told its log, however often (D20).
    pub(crate) fn answers_with_start_view(self) -> bool {
        !planted!(self, NoStartViewResend)
    }

    /// Votes and reports are repeated until the view is over (D22).
    pub(crate) fn repeats_votes(self) -> bool {
        !planted!(self, VoteOnce)
    }

    /// The primary-to-be waits no longer than anybody else (D23).
    pub(crate) fn times_view_change(self, primary_to_be: bool) -> bool {
        !(primary_to_be && planted!(self, PrimaryToBeHasNoTimer))
    }

    /// Each rotation of failed views is waited for twice as long, up to eightfold (D24).
    pub(crate) fn backoff(self, rotations: u64) -> u64 {
        if planted!(self, FixedTimeout) { 1 } else { 1 << rotations.min(3) }
    }

    /// A view is left when a quorum that hears this replica wants to, not when one replica does (D25).
    pub(crate) fn votes_needed(self, quorum: usize) -> usize {
        if planted!(self, OneVoteMoves) { 1 } else { quorum }
    }

    /// A primary that no quorum acknowledges steps down (D26).
    pub(crate) fn abdicates(self) -> bool {
        !planted!(self, NeverAbdicates)
    }

    /// Only a view that is known to have started is told to clients (D27).
    pub(crate) fn view_for_clients(self, log_view: View, view: View) -> View {
        if planted!(self, LeakView) { view } else { log_view }
    }

    /// A vote counts while it is fresh (D29).
    pub(crate) fn vote_counts(self, fresh: bool) -> bool {
        fresh || planted!(self, StickyVotes)
    }

    /// Nothing that was acknowledged is dropped on the mere news of a later view (D30).
    pub(crate) fn truncates_on_news(self) -> bool {
        planted!(self, TruncateOnNews)
    }

    /// `log_view` rises only together with the whole initial log of the view (D31, D36).
    pub(crate) fn raises_log_view_on_news(self) -> bool {
        planted!(self, EagerLogView)
    }

    /// A log is whole when it reaches the head it was promised to reach (D34).
    pub(crate) fn is_whole(self, reached: Hash, target: Hash) -> bool {
        reached == target || planted!(self, FirstPageIsEnough)
    }

    /// A view is durable before anybody hears of it (D40).
    pub(crate) fn persists_view(self) -> bool {
        ![planted!(self, ViewNotPersisted), planted!(self, RecoveryAsPrinted)].contains(&true)
    }

    /// A report describes what is durable (D44).
    pub(crate) fn flushes_before_report(self) -> bool {
        !planted!(self, ReportUnflushed)
    }
}

/// State transfer, restart and recovery (PROTOCOL 1.4 to 1.6, §6).
impl Rules {
    /// What was fetched is acknowledged like what was prepared (D37).
    pub(crate) fn acknowledges_after_transfer(self) -> bool {
        !planted!(self, NoAckAfterTransfer)
    }

    /// A question that is not answered goes to another replica (D39).
    pub(crate) fn asks_another(self) -> bool {
        !planted!(self, OnePeerOnly)
    }

    /// Between views a log is served to whoever names it, and to nobody else: it is not the log of the view (D35).
    pub(crate) fn serves_unnamed_between_views(self) -> bool {
        planted!(self, OwnLogBetweenViews)
    }

    /// Whoever asks for a log that has been cut since is given the one of the view instead (D39).
    pub(crate) fn answers_with_own_log(self) -> bool {
        !planted!(self, GoneLogUnanswered)
    }

    /// A restarted primary does not resume its view (D52).
    pub(crate) fn resumes_as_primary(self) -> bool {
        planted!(self, PrimaryResumesView)
    }

    /// A replica remembers what its disk holds if nothing was promised before it was there, if there was nothing to
    /// promise yet, or if its last life ended in an orderly stop, of which the mark is the last write (D47, §6 b).
    pub(crate) fn remembers(self, sync: bool, virgin: bool, clean: bool) -> bool {
        sync || virgin || clean
    }

    /// The mark of an orderly stop holds for one start: it is gone before anything is said (§6 b).
    pub(crate) fn marks_again(self, clean: bool) -> bool {
        clean && planted!(self, MarkStands)
    }

    /// Who does not have its memory back leaves no mark (§6 b).
    pub(crate) fn leaves_mark(self, recovering: bool) -> bool {
        !recovering || planted!(self, MarkWithoutMemory)
    }

    /// Nothing follows the mark in its life (§6 b).
    pub(crate) fn ends_with_mark(self) -> bool {
        !planted!(self, GoesOnAfterMark)
    }

    /// A replica that lost its memory asks for it before anything else (D47).
    pub(crate) fn restarts_normal_without_memory(self) -> bool {
        planted!(self, AmnesiacNormal)
    }

    /// A recovering replica takes part in nothing (D48), whether its memory is gone or its log is damaged (D56).
    pub(crate) fn votes_while_recovering(self, damaged: bool) -> bool {
        [planted!(self, RecoveringVotes), damaged & planted!(self, DamagedVotes)].contains(&true)
    }

    /// What is left of a log of which confirmed records are rotten is not the log this replica acknowledged: it asks
    /// for that, and does not take what is left for the whole (D56).
    pub(crate) fn takes_what_is_left(self) -> bool {
        planted!(self, DamagePassedOver)
    }

    /// Who knows for certain where its damaged log ended, in the view it has on its disk, and has its memory, knows what
    /// belongs in the holes. Who does not cannot tell an entry that it had from one that it never had (D57).
    pub(crate) fn repairs_by_content(self, is_end_certain: bool, remembers: bool) -> bool {
        remembers && (is_end_certain || planted!(self, UncertainEndWillDo))
    }

    /// An entry that nobody can give is waited for, however long: others may have committed it with this copy (D58).
    pub(crate) fn waits_for_lost_entries(self, beats: u32) -> bool {
        !(beats > 20 && planted!(self, LostEntriesGivenUp))
    }

    /// The answer to a recovering replica holds the uncommitted entries too (D49).
    pub(crate) fn recovery_log_ends_at(self, op: Op, commit: Op) -> Op {
        if planted!(self, RecoveryCommittedOnly) { commit } else { op }
    }

    /// Every start asks with a nonce of its own (D50).
    pub(crate) fn nonce_matches(self, asked: bool) -> bool {
        asked || planted!(self, NonceIgnored)
    }

    /// Only an answer from a view no earlier than the promised one will do (D46, D51).
    pub(crate) fn recovers_in(self, view: View, view_min: View) -> bool {
        view >= view_min || planted!(self, RecoverInAnyView)
    }

    /// A recovering replica names the view it promised, so that nobody leads it back behind that (D46), whether its
    /// memory is gone or its log is damaged (D56).
    pub(crate) fn view_min(self, promised: View, damaged: bool) -> View {
        let forgotten = [planted!(self, RecoveryAsPrinted), planted!(self, RecoverInAnyView)].contains(&true);
        if forgotten | (damaged & planted!(self, RepairInAnyView)) { View::ZERO } else { promised }
    }

    /// Only a replica in normal status answers a recovering one (D51c).
    pub(crate) fn answers_recovery_between_views(self) -> bool {
        planted!(self, AnswersWhileNotNormal)
    }

    /// A question is repeated until it is answered (D64).
    pub(crate) fn repeats_recovery(self) -> bool {
        !planted!(self, RecoveryAsksOnce)
    }
}

/// Checkpoints (PROTOCOL 1.4 case C, 1.7).
impl Rules {
    /// A checkpoint is taken after the same ops on every replica: multiples of the interval (D67). `me` matters to the
    /// planted bug only.
    pub(crate) fn barrier_after(self, op: Op, interval: u64, me: u64) -> Op {
        let next = (op.0 / interval + 1).saturating_mul(interval);
        Op(if planted!(self, CheckpointAnywhere) { next.saturating_add(me) } else { next })
    }

    /// The log is cut behind a checkpoint that is durable, not behind one that was merely taken (D66).
    pub(crate) fn cuts_before_durable(self) -> bool {
        planted!(self, CutBeforeDurable)
    }

    /// A checkpoint alone is not the log of a view, and raises no `log_view` (D32).
    pub(crate) fn checkpoint_is_enough(self) -> bool {
        planted!(self, CheckpointSetsLogView)
    }

    /// Parts are joined only if they are of one checkpoint (D65).
    pub(crate) fn is_part_of(self, named: Head, wanted: Head) -> bool {
        named == wanted || planted!(self, PartsMixed)
    }

    /// Parts that name another digest or length than those before them are of another checkpoint (D65).
    pub(crate) fn is_part_of_same(self, same: bool) -> bool {
        same || planted!(self, PartsMixed)
    }

    /// A checkpoint is verified as a whole before it is installed (D65).
    pub(crate) fn is_sound(self, computed: Hash, announced: Hash) -> bool {
        let trusting = [planted!(self, DigestUnverified), planted!(self, PartsMixed)].contains(&true);
        computed == announced || trusting
    }

    /// The client table comes with the service's state (D74).
    pub(crate) fn restores_table(self) -> bool {
        !planted!(self, CheckpointWithoutTable)
    }

    /// Whoever installs a checkpoint has its service become it (D69).
    pub(crate) fn restores_service(self) -> bool {
        !planted!(self, InstallWithoutRestore)
    }
}

/// Primary hand-over: a view change that an operator asks for (VRR §4.2 knows failures only).
impl Rules {
    /// A primary gives way to another when that one has all of its log and everybody who was taken is answered.
    pub(crate) fn hands_over(self, ready: bool) -> bool {
        ready || planted!(self, HandOverEarly)
    }

    /// One that does not get that far in time keeps its job and takes requests again.
    pub(crate) fn gives_up_hand_over(self, overdue: bool) -> bool {
        overdue && !planted!(self, HandOverForever)
    }
}

/// Clients (PROTOCOL 1.2, DESIGN §10).
impl Rules {
    /// A new primary knows the requests in flight from its log (D70).
    pub(crate) fn rebuilds_in_flight(self) -> bool {
        !planted!(self, NoInFlightRebuild)
    }

    /// A request in flight is not taken again (D76).
    pub(crate) fn knows_in_flight(self) -> bool {
        !planted!(self, NoPipelineDedupe)
    }

    /// Only execution writes the client table (D71).
    pub(crate) fn records_when_taken(self) -> bool {
        planted!(self, TableAtPrepare)
    }

    /// An operation whose number was executed before has no effect when its turn comes again (D70, D76): the second
    /// line of defence, taken down together with the first by the planted bugs, which each would mask.
    pub(crate) fn is_news(self, last: RequestNumber, number: RequestNumber) -> bool {
        let forgetful = [planted!(self, NoInFlightRebuild), planted!(self, NoPipelineDedupe)].contains(&true);
        number > last || forgetful
    }

    /// An answer belongs to the request it names (D75). `named` is that of the executed entry, `newest` the last
    /// one taken.
    pub(crate) fn answered_number(
        self,
        named: RequestNumber,
        newest: impl FnOnce() -> Option<RequestNumber>,
    ) -> RequestNumber {
        if planted!(self, ReplyToNewest) { newest().unwrap_or(named) } else { named }
    }

    /// The session that gives way is the one that executed longest ago, the same on every replica (D77).
    pub(crate) fn eviction_rank(self, reply_op: Op, session: Session, me: u64) -> u64 {
        if planted!(self, EvictByLocalOrder) { session.0 ^ me } else { reply_op.0 }
    }

    /// An operation of a session that is gone has no effect (D77).
    pub(crate) fn executes_without_session(self) -> bool {
        planted!(self, EvictedReregisters)
    }

    /// A session is called gone only by a primary that has executed its Register and saw it give way (D78).
    pub(crate) fn may_call_evicted(self, caught_up: bool) -> bool {
        caught_up || planted!(self, EvictWhenBehind)
    }

    /// A request that may still commit is never called failed (D79).
    pub(crate) fn cancels_on_view_change(self) -> bool {
        planted!(self, CancelOnViewChange)
    }
}
