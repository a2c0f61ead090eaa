//! How far the clocks of the nodes are apart, as far as their messages tell.
//!
//! Owns the estimate: the shortest time that messages seem to take, either way. Must not know what is done with it. It
//! corrects only what cannot be: where every message seems to arrive after it was sent, clocks are taken as they are.
//! VIEW §5.2 ("Clocks").

use std::collections::{BTreeMap, VecDeque};

/// Clocks drift: what was the shortest time is forgotten by so many parts.
const DRIFT: i64 = 10_000;

/// The clocks of nodes, which are numbered.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    /// From the first to the second: the shortest time, and when that was, on the receiver's clock.
    least: BTreeMap<(usize, usize), (i64, u64)>,
    /// How far each is ahead of the first.
    ahead: Vec<i64>,
}

impl Clocks {
    /// A message left `from` and arrived at `to`, each on its own clock, in nanoseconds.
    pub(super) fn saw(&mut self, from: usize, sent: u64, to: usize, received: u64) {
        let took = signed(received).saturating_sub(signed(sent));
        let (least, at) = self.least.entry((from, to)).or_insert((took, received));
        let forgotten = signed(received.saturating_sub(*at)) / DRIFT;
        if took <= least.saturating_add(forgotten) {
            (*least, *at) = (took, received);
        }
    }

    /// What is known of a node's clock does not hold any more.
    pub(super) fn forget(&mut self, node: usize) {
        self.least.retain(|(from, to), _| *from != node && *to != node);
    }

    /// Works out how far each of so many clocks is ahead of the first that it can be compared with.
    pub(super) fn settle(&mut self, nodes: usize) {
        let mut ahead = vec![None; nodes];
        let mut next = VecDeque::new();
        for first in 0..nodes {
            if ahead[first].is_none() {
                ahead[first] = Some(0);
                next.push_back(first);
            }
            while let Some(from) = next.pop_front() {
                for to in 0..nodes {
                    let Some(more) = self.between(from, to) else { continue };
                    if ahead[to].is_none() {
                        ahead[to] = ahead[from].map(|ahead: i64| ahead.saturating_add(more));
                        next.push_back(to);
                    }
                }
            }
        }
        self.ahead = ahead.into_iter().map(Option::unwrap_or_default).collect();
    }

    /// A moment of a node's clock, on the common one.
    pub(super) fn common(&self, node: usize, at: u64) -> u64 {
        let ahead = self.ahead.get(node).copied().unwrap_or(0);
        u64::try_from(signed(at).saturating_sub(ahead)).unwrap_or(0)
    }

    /// How far the clock of `to` is ahead of that of `from`; nothing when they never talked.
    fn between(&self, from: usize, to: usize) -> Option<i64> {
        let (there, back) = (self.least.get(&(from, to)), self.least.get(&(to, from)));
        match (there.map(|least| least.0), back.map(|least| least.0)) {
            (None, None) => None,
            (Some(there), None) => Some(there.min(0)),
            (None, Some(back)) => Some(0 - back.min(0)),
            (Some(there), Some(back)) if there >= 0 && back >= 0 => Some(0),
            (Some(there), Some(back)) => Some(there.saturating_sub(back) / 2),
        }
    }
}

fn signed(ns: u64) -> i64 {
    i64::try_from(ns).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_agree_well_enough_are_left_alone() {
        let mut clocks = Clocks::default();
        clocks.saw(0, 100, 1, 130);
        clocks.saw(1, 200, 0, 290);
        clocks.settle(2);
        assert_eq!((clocks.common(0, 500), clocks.common(1, 500)), (500, 500));
    }

    #[test]
    fn a_clock_that_is_ahead_is_set_back_by_what_messages_say_in_both_directions() {
        let mut clocks = Clocks::default();
        // The second is 1000 ahead; messages take 10 there and back.
        clocks.saw(0, 100, 1, 1110);
        clocks.saw(1, 1200, 0, 210);
        // The third talks with the second only, and is 400 ahead of it.
        clocks.saw(1, 2000, 2, 2410);
        clocks.saw(2, 2500, 1, 2110);
        clocks.settle(4);
        assert_eq!([0, 1, 2, 3].map(|node| clocks.common(node, 5000)), [5000, 4000, 3600, 5000]);
        clocks.forget(1);
        clocks.settle(4);
        assert_eq!(clocks.common(1, 5000), 5000);
    }

    #[test]
    fn a_shorter_time_is_forgotten_as_clocks_drift() {
        let mut clocks = Clocks::default();
        clocks.saw(0, 1_000_000, 1, 500_000);
        clocks.saw(0, 100_000_000_000, 1, 100_000_000_000 + 9_000_000);
        clocks.settle(2);
        assert_eq!(clocks.common(1, 500_000), 500_000, "100 s at 100 ppm are 10 ms");
    }
}
