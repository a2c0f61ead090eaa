//! A table of deadlines: which timer fires when.
//!
//! Owns the moments, nothing else: what a timer means is said by whoever arms it. Paper: VRR §4.2 ("a timer"),
//! and the report's separate view-change timer.

use crate::id::Time;
use serde::{Deserialize, Serialize};

/// What can fall due.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// The beat H: the primary's heartbeat, and the repetition of votes and questions by everyone else.
    Heartbeat,
    /// T_vc: nothing was heard of the primary, or the view change did not complete.
    ViewChange,
    /// A page of state transfer was not answered.
    Fetch,
    /// Prepares were not acknowledged; at a backup, a question for a read index was not answered.
    Retransmit,
    /// Members of a new group did not say that they have what its epoch begins with, or it did not come here.
    Epoch,
    /// Witnesses may not have heard which checkpoint is durable here.
    Checkpoint,
}

const TIMERS: [Timer; 6] =
    [Timer::Heartbeat, Timer::ViewChange, Timer::Fetch, Timer::Retransmit, Timer::Epoch, Timer::Checkpoint];

/// When each timer is due.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Timers {
    due: [Option<Time>; 6],
}

impl Timer {
    const fn slot(self) -> usize {
        match self {
            Self::Heartbeat => 0,
            Self::ViewChange => 1,
            Self::Fetch => 2,
            Self::Retransmit => 3,
            Self::Epoch => 4,
            Self::Checkpoint => 5,
        }
    }
}

impl Timers {
    pub(crate) const fn arm(&mut self, timer: Timer, at: Time) {
        self.due[timer.slot()] = Some(at);
    }

    pub(crate) const fn cancel(&mut self, timer: Timer) {
        self.due[timer.slot()] = None;
    }

    pub(crate) const fn is_armed(&self, timer: Timer) -> bool {
        self.due[timer.slot()].is_some()
    }

    /// The earliest deadline.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.due.iter().flatten().min().copied()
    }

    /// Takes one timer that is due at `now`, in a fixed order.
    pub(crate) fn take_due(&mut self, now: Time) -> Option<Timer> {
        let timer = TIMERS.into_iter().find(|t| self.due[t.slot()].is_some_and(|due| due <= now))?;
        self.cancel(timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_fires_once_and_not_before_its_deadline() {
        let mut timers = Timers::default();
        timers.arm(Timer::Fetch, Time(5));
        timers.arm(Timer::ViewChange, Time(3));
        assert_eq!(timers.next_deadline(), Some(Time(3)));
        assert_eq!(timers.take_due(Time(2)), None);
        assert_eq!(timers.take_due(Time(9)), Some(Timer::ViewChange));
        assert_eq!(timers.take_due(Time(9)), Some(Timer::Fetch));
        assert_eq!(timers.take_due(Time(9)), None);
    }

    #[test]
    fn a_timer_is_armed_until_it_fires_or_is_cancelled() {
        let mut timers = Timers::default();
        assert!(!timers.is_armed(Timer::Retransmit));
        timers.arm(Timer::Retransmit, Time(5));
        assert!(timers.is_armed(Timer::Retransmit) && !timers.is_armed(Timer::Fetch));
        timers.cancel(Timer::Retransmit);
        assert!(!timers.is_armed(Timer::Retransmit));
        timers.arm(Timer::Retransmit, Time(5));
        assert_eq!(timers.take_due(Time(5)), Some(Timer::Retransmit));
        assert!(!timers.is_armed(Timer::Retransmit));
    }
}
