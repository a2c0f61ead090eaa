//! How often the core stated each of the things that it may state, and which scenario shows what the swarm hardly does.
//!
//! Owns the counters and the table of scenarios. What there is to state, and its names, are the core's
//! ([`vr_core::Occurrence`]). Must not know who counts. DESIGN 9.15.

use vr_core::{Action, Occurrence};

const KINDS: usize = Occurrence::NAMES.len();

/// What honest replicas on a bad network never state, and the directed scenario in which one is lied to and states it.
pub const DIRECTED: &[(&str, &str)] = &[
    ("ignored_wrong_cluster", "other-voices"),
    ("ignored_wrong_epoch", "other-voices"),
    ("ignored_not_a_member", "other-voices"),
    ("ignored_malformed", "messages-without-sense"),
    ("refused_too_large", "requests-without-sense"),
    ("refused_malformed", "requests-without-sense"),
    // The swarm draws reconfigurations only when it is asked to.
    ("epoch_ends", "epoch-three-to-five"),
    ("epoch_began", "epoch-three-to-five"),
    ("learned_epoch", "epoch-three-to-five"),
    ("epoch_settled", "epoch-three-to-five"),
    ("retired", "epoch-five-to-three"),
    ("refused_reconfiguration", "epoch-that-cannot-be"),
    ("halted_contradicts_executed", "d19-contradiction"),
    ("halted_contradicts_log", "log-of-a-liar"),
    ("halted_committed_beyond_log", "commit-beyond-the-log"),
];

/// How often each was stated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Occurrences([u64; KINDS]);

impl Default for Occurrences {
    fn default() -> Self {
        Self([0; KINDS])
    }
}

impl Occurrences {
    /// Counts what an action states, if it states something.
    pub fn count(&mut self, action: &Action) {
        if let Some(occurrence) = Occurrence::of(action) {
            self.0[occurrence.place()] += 1;
        }
    }

    /// Adds what another run saw.
    pub const fn merge(&mut self, other: &Self) {
        let mut place = 0;
        while place < KINDS {
            self.0[place] += other.0[place];
            place += 1;
        }
    }

    /// Every name, and how often it was stated.
    pub fn table(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Occurrence::NAMES.iter().copied().zip(self.0)
    }

    /// What was never stated.
    pub fn never(&self) -> impl Iterator<Item = &'static str> {
        self.table().filter(|(_, seen)| *seen == 0).map(|(name, _)| name)
    }
}
