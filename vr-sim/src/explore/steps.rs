//! The states of a search for somebody else's engine: where it begins, which moves there are, where each leads.
//!
//! Owns nothing but the way in: whoever goes through these states decides in which order, and which it has seen. Must not
//! know that engine. `vr-sim/benches/engines` compares one with [`Search`].

use super::search::{Move, Search, State};
use super::{Bounds, Broken};

/// A state, and its name: two states are one if their names are.
#[derive(Clone, Debug)]
pub struct Place {
    state: State,
    /// 128 bits, with the symmetry of the search taken out.
    pub name: u128,
}

/// A move from a state: a replica, and what happens to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Way(Move);

/// The states within some bounds.
pub struct Steps(Search);

impl Steps {
    /// About to begin. `remembers`: a step of a replica is taken once, as [`Search`] does it, not at each move.
    ///
    /// # Errors
    /// When there is no such cluster, in one line.
    pub fn new(bounds: &Bounds, remembers: bool) -> Result<Self, String> {
        let mut search = Search::new(bounds)?;
        if !remembers {
            search.forget_steps();
        }
        Ok(Self(search))
    }

    /// Where everything begins.
    ///
    /// # Panics
    /// Never: nobody goes on from it here.
    #[must_use]
    pub fn first(&self) -> Place {
        let state = self.0.first().expect("a search that has not gone on");
        Place { name: self.0.key(&state), state }
    }

    /// The moves from a place.
    pub fn ways(&self, place: &Place, ways: &mut Vec<Way>) {
        let mut moves = Vec::new();
        self.0.moves(&place.state, &mut moves);
        ways.extend(moves.into_iter().map(Way));
    }

    /// Where a move leads, unless to the same state or beyond the bounds.
    ///
    /// # Errors
    /// What does not hold in the move, or behind it.
    pub fn after(&mut self, place: &Place, way: Way) -> Result<Option<Place>, Broken> {
        let Some(state) = self.0.take(&place.state, way.0)? else { return Ok(None) };
        self.0.is_held(&state)?;
        Ok(Some(Place { name: self.0.key(&state), state }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeSet, VecDeque};

    #[test]
    fn another_engine_finds_as_many_states_whether_steps_are_remembered_or_not() {
        let bounds = Bounds { views: 0, ..Bounds::default() };
        let mut search = Search::new(&bounds).unwrap();
        while search.go(1000) {}
        for remembers in [true, false] {
            let mut steps = Steps::new(&bounds, remembers).unwrap();
            let first = steps.first();
            let (mut seen, mut waiting) = (BTreeSet::from([first.name]), VecDeque::from([first]));
            while let Some(place) = waiting.pop_front() {
                let mut ways = Vec::new();
                steps.ways(&place, &mut ways);
                for way in ways {
                    if let Some(next) = steps.after(&place, way).unwrap()
                        && seen.insert(next.name)
                    {
                        waiting.push_back(next);
                    }
                }
            }
            assert_eq!(u64::try_from(seen.len()), Ok(search.tally().states));
        }
    }
}
