//! The gate before a view change: when a replica that timed out may leave its view.
//!
//! Owns votes, whom this replica hears, and the view-change timeout with its back-off. It is for liveness
//! alone: whatever it does, views are persisted and nothing is lost. Must not know logs or statuses.
//! Paper: VRR §4.2 step 1, in the form of DESIGN §10.

use crate::config::Config;
use crate::id::{Incarnation, Time, View, Wait, count};
use crate::quorum::{Position, ReplicaSet};
use alloc::vec;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What another member last said about leaving our view.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Vote {
    /// It wants to leave, and hears us.
    counts: bool,
    at: Time,
}

/// Votes, and the patience of this replica.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Gate {
    me: Position,
    /// This replica wants to leave its view.
    want: bool,
    votes: Vec<Option<Vote>>,
    voted: bool,
    heard: Vec<Option<Time>>,
    attempt: u64,
    wait: Wait,
    /// Since when the primary of our view is heard, if patience has not begun anew since.
    since: Option<Time>,
}

impl Gate {
    pub(crate) fn new(me: Position, members: usize) -> Self {
        Self {
            me,
            want: false,
            votes: vec![None; members],
            voted: false,
            heard: vec![None; members],
            attempt: 0,
            wait: Wait::ZERO,
            since: None,
        }
    }

    pub(crate) const fn wants(&self) -> bool {
        self.want
    }

    pub(crate) const fn want(&mut self) {
        self.want = true;
    }

    /// How long to wait for the primary, or for the view change to complete.
    pub(crate) const fn wait(&self) -> Wait {
        self.wait
    }

    /// A message came directly from a member.
    pub(crate) fn hear(&mut self, from: Position, now: Time) {
        self.heard[from.index()] = Some(now);
    }

    /// Whom this replica heard directly of late.
    pub(crate) fn hears(&self, config: &Config, now: Time) -> ReplicaSet {
        let fresh = |at: &Option<Time>| at.is_some_and(|at| now.since(at) <= config.timeouts.vote);
        (0..self.heard.len()).filter(|i| fresh(&self.heard[*i])).filter_map(Position::new).collect()
    }

    /// A vote about our view: it counts only if the voter wants to leave and hears us.
    pub(crate) fn vote(&mut self, from: Position, want: bool, hears: ReplicaSet, now: Time) {
        self.voted = true;
        self.votes[from.index()] = Some(Vote { counts: want && hears.contains(self.me), at: now });
    }

    /// Do enough want to leave? `leaving` is true in a view change, in which nobody is content.
    pub(crate) fn opens(&self, config: &Config, quorum: usize, leaving: bool, now: Time) -> bool {
        if !self.want && !leaving {
            return false;
        }
        let fresh = |at: Time| config.rules.vote_counts(now.since(at) <= config.timeouts.vote);
        let others = self.votes.iter().flatten().filter(|vote| vote.counts && fresh(vote.at)).count();
        others + usize::from(self.want) >= config.rules.votes_needed(quorum)
    }

    /// The primary of our view was heard, or the view started: nobody wants to leave any more. Patience begins anew when the
    /// view has held for as long as the longest patience: one that is torn down before that has failed.
    pub(crate) fn content(&mut self, config: &Config, incarnation: Incarnation, view: View, now: Time) {
        self.started();
        if self.attempt != 0 {
            let longest = config.timeouts.view_change_max.times(config.rules.backoff(u64::MAX));
            let held = now.since(*self.since.get_or_insert(now)) >= longest;
            if !config.rules.is_proven(held) {
                return;
            }
            self.attempt = 0;
            self.draw(config, incarnation, view);
        } else if self.wait == Wait::ZERO {
            self.draw(config, incarnation, view);
        }
    }

    /// The view we lead started: a new game, but a view that holds no quorum is no success yet.
    pub(crate) fn started(&mut self) {
        self.want = false;
        if self.voted {
            self.votes.fill(None);
            self.voted = false;
        }
    }

    /// A view was entered: votes are for nothing, and the wait grows with every rotation of failed views.
    pub(crate) fn entered(&mut self, config: &Config, incarnation: Incarnation, view: View) {
        self.started();
        self.attempt += 1;
        self.since = None;
        self.draw(config, incarnation, view);
    }

    fn draw(&mut self, config: &Config, incarnation: Incarnation, view: View) {
        let rotations = self.attempt.saturating_sub(1) / count(self.votes.len());
        let drawn = config.view_change_wait(incarnation, view, self.attempt);
        self.wait = drawn.times(config.rules.backoff(rotations));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ClusterConfig;
    use crate::id::{ClusterId, ReplicaId};

    fn three() -> (Config, Gate) {
        let config = Config::new(ClusterConfig::of_size(ClusterId(1), 3), ReplicaId(0));
        let me = Position::new(0).expect("small");
        let mut gate = Gate::new(me, 3);
        gate.content(&config, Incarnation(1), View(0), Time(0));
        (config, gate)
    }

    fn everyone() -> ReplicaSet {
        (0..3).filter_map(Position::new).collect()
    }

    #[test]
    fn a_replica_that_hears_its_primary_never_leaves_whatever_others_want() {
        let (config, mut gate) = three();
        for peer in [1, 2] {
            gate.vote(Position::new(peer).expect("small"), true, everyone(), Time(5));
        }
        assert!(!gate.opens(&config, 2, false, Time(5)));
        gate.want();
        assert!(gate.opens(&config, 2, false, Time(5)));
    }

    #[test]
    fn a_vote_counts_only_fresh_and_only_from_who_hears_us() {
        let (config, mut gate) = three();
        let peer = Position::new(1).expect("small");
        gate.want();
        gate.vote(peer, true, ReplicaSet::of(peer), Time(5));
        assert!(!gate.opens(&config, 2, false, Time(5)), "it does not hear us");
        gate.vote(peer, true, everyone(), Time(5));
        assert!(gate.opens(&config, 2, false, Time(5)));
        let later = Time(5).after(config.timeouts.vote).after(Wait(1));
        assert!(!gate.opens(&config, 2, false, later), "it is old");
        gate.vote(peer, false, everyone(), later);
        assert!(!gate.opens(&config, 2, false, later), "it wants no more");
    }

    #[test]
    fn waits_are_jittered_bounded_and_double_with_each_rotation_of_failed_views() {
        let (config, mut gate) = three();
        let (min, max) = (config.timeouts.view_change_min, config.timeouts.view_change_max);
        for attempt in 0..15u64 {
            gate.entered(&config, Incarnation(1), View(attempt + 1));
            let factor = 1 << (attempt / 3).min(3);
            assert!(gate.wait() >= min.times(factor) && gate.wait() <= max.times(factor), "{attempt}");
        }
    }

    #[test]
    fn patience_begins_anew_when_a_view_has_held_and_not_when_it_has_begun() {
        let (config, mut gate) = three();
        let max = config.timeouts.view_change_max;
        (1..=9).for_each(|view| gate.entered(&config, Incarnation(1), View(view)));
        let (grown, began) = (gate.wait(), Time(7));
        let held = began.after(max.times(8));
        for now in [began, Time(held.0 - 1)] {
            gate.content(&config, Incarnation(1), View(9), now);
            assert!(gate.wait() == grown && grown > max);
        }
        let mut torn = gate.clone();
        torn.entered(&config, Incarnation(1), View(10));
        torn.content(&config, Incarnation(1), View(10), held.after(Wait(1)));
        assert!(torn.wait() > max, "the next view has to hold as long, from its own beginning on");
        gate.content(&config, Incarnation(1), View(9), held);
        assert!(gate.wait() <= max);
    }
}
