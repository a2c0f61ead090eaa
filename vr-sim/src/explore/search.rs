//! The search itself: breadth first, so that what it finds is found on a shortest path.
//!
//! Owns states, as rows of numbers, those that were seen, and the way back from each to the first. Which states there are,
//! how many and in which order depends on the bounds alone. Must not know what a replica is.
//!
//! A state is `[decided, budget, replicas…, messages…]`, the messages in order. The budget is what is left: requests
//! that were taken, and crashes.

use super::judge::Broken;
use super::rehearsal::Rehearsal;
use super::seen::Seen;
use super::table::{self, Table, index, small};
use super::{Bounds, Judge};
use std::collections::VecDeque;
use vr_core::fingerprint;

/// Where replicas begin in a state.
const NODES: usize = 2;
/// A move is a replica and an event.
const EVENT_BITS: u32 = 27;
const CRASH_UNIT: u32 = 1 << 8;

pub(super) type State = Box<[u32]>;
/// A replica, and what happens to it.
pub(super) type Move = (usize, u32);

/// How far a search is, and how it ended.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// States that differ.
    pub states: u64,
    /// Moves that were tried.
    pub moves: u64,
    /// How many moves the furthest state is away from the first one.
    pub depth: u32,
    /// States that wait to be gone on from.
    pub waiting: u64,
    /// Moves that led beyond the bounds: into a later view.
    pub beyond: u64,
    /// Replicas that differ, messages that differ, steps of replicas that were taken.
    pub met: [u64; 3],
    /// Everything within the bounds was seen.
    pub complete: bool,
}

/// A search under way.
pub struct Search {
    bounds: Bounds,
    table: Table,
    seen: Seen,
    /// For each state in the order in which they were found: the one it came from, and by which move.
    origins: Vec<(u32, u32)>,
    /// With the number of each.
    waiting: VecDeque<(u32, State)>,
    /// How many states of the present depth wait.
    level: usize,
    tally: Tally,
    broken: Option<(Broken, Vec<Move>)>,
    members: usize,
    /// A buffer that is used again and again.
    moves: Vec<Move>,
}

impl Search {
    /// A search about to begin: sessions are registered, nothing is on its way.
    ///
    /// # Errors
    /// When there is no such cluster, in one line.
    pub fn new(bounds: &Bounds) -> Result<Self, String> {
        let mut first = Rehearsal::new(bounds)?;
        first.register();
        let mut table = Table::new(bounds.clone(), first.requests());
        let members = usize::from(bounds.replicas);
        let nodes = first.nodes().iter().enumerate().map(|(at, node)| table.node(at, node.clone())).collect::<Vec<_>>();
        let budget = u32::from(bounds.crashes) * CRASH_UNIT;
        let state: State = [0, budget].into_iter().chain(nodes).collect();
        let mut search = Self {
            bounds: bounds.clone(),
            table,
            seen: Seen::default(),
            origins: vec![(0, 0)],
            waiting: VecDeque::new(),
            level: 1,
            tally: Tally { states: 1, ..Tally::default() },
            broken: None,
            members,
            moves: Vec::new(),
        };
        search.seen.insert(search.key(&state), 0);
        search.waiting.push_back((0, state));
        Ok(search)
    }

    /// What is searched.
    #[must_use]
    pub const fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// How far it is.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let (waiting, met) = (wide(self.waiting.len()), self.table.sizes().map(wide));
        let complete = self.waiting.is_empty() && self.broken.is_none();
        Tally { waiting, met, complete, ..self.tally.clone() }
    }

    /// What does not hold, and the moves that lead there.
    pub(super) const fn broken(&self) -> Option<&(Broken, Vec<Move>)> {
        self.broken.as_ref()
    }

    /// What does not hold.
    #[must_use]
    pub fn violation(&self) -> Option<&Broken> {
        self.broken.as_ref().map(|(broken, _)| broken)
    }

    /// Goes on from so many states; false when there is nothing to go on from, nor a reason to.
    pub fn go(&mut self, states: u32) -> bool {
        for _ in 0..states {
            let full = self.seen.len() >= index(self.bounds.states);
            if self.broken.is_some() || full {
                return false;
            }
            let Some((number, state)) = self.waiting.pop_front() else { return false };
            self.level -= 1;
            self.from(number, &state);
            if self.level == 0 && !self.waiting.is_empty() {
                self.level = self.waiting.len();
                self.tally.depth += 1;
            }
        }
        true
    }

    /// Every move from a state.
    fn from(&mut self, number: u32, state: &State) {
        let mut moves = std::mem::take(&mut self.moves);
        self.moves(state, &mut moves);
        for way in moves.drain(..) {
            self.try_move(number, state, way);
        }
        self.moves = moves;
    }

    /// The moves from a state, each a replica and an event.
    pub(super) fn moves(&self, state: &State, moves: &mut Vec<Move>) {
        let budget = state[1];
        for at in 0..self.members {
            let node = state[NODES + at];
            let kept = &self.table.nodes[index(node)];
            let (is_up, leads, taken) = (kept.is_up, kept.leads, budget % CRASH_UNIT);
            let plain = [
                (table::START, !is_up),
                (table::SYNC, kept.syncs),
                (table::BEAT, leads && kept.standing.commit == kept.standing.op),
                (table::CRASH, is_up && budget >= CRASH_UNIT),
            ];
            let leaves = kept.may_vote && !leads && kept.standing.view < self.bounds.last();
            moves.extend(plain.into_iter().filter(|(_, may)| *may).map(|(event, _)| (at, event)));
            if leaves {
                moves.extend(self.helpers(state, at).into_iter().map(|helpers| (at, table::LEAVE + helpers)));
            }
            let requests = if leads { (taken + 1).min(u32::from(self.bounds.requests)) } else { 0 };
            moves.extend((0..requests).map(|request| (at, table::REQUESTS + request)));
            for letter in state[NODES + self.members..].iter().filter(|_| is_up) {
                if self.table.letters[index(*letter)].to == small(at) && self.table.is_heard(*letter, node) {
                    moves.push((at, table::MESSAGES + letter));
                }
            }
        }
    }

    /// All sets of replicas, as bits, with whose votes this one can leave its view.
    fn helpers(&self, state: &State, at: usize) -> Vec<u32> {
        let kept = |at: usize| &self.table.nodes[index(state[NODES + at])];
        let able = |other: &usize| {
            *other != at && kept(*other).may_vote && kept(*other).standing.view == kept(at).standing.view
        };
        let needed = small(vr_core::quorum(self.members)) - 1;
        let all: Vec<usize> = (0..self.members).filter(able).collect();
        let backups: Vec<usize> = all.iter().copied().filter(|other| !kept(*other).leads).collect();
        // A primary abdicates where the others are too few.
        let able = if small(backups.len()) < needed { all } else { backups };
        let able: u32 = able.into_iter().map(|other| 1 << other).sum();
        (0..1 << self.members).filter(|set: &u32| set & !able == 0 && set.count_ones() == needed).collect()
    }

    fn try_move(&mut self, number: u32, state: &State, way: Move) {
        if self.broken.is_some() {
            return;
        }
        let after = match self.take(state, way) {
            Ok(Some(after)) => after,
            Ok(None) => return,
            Err(broken) => return self.broke(broken, number, way),
        };
        let key = self.key(&after);
        let next = small(self.origins.len());
        if !self.seen.insert(key, next) {
            return;
        }
        let (at, event) = way;
        self.origins.push((number, small(at) << EVENT_BITS | event));
        self.tally.states += 1;
        if let Err(broken) = self.is_held(&after) {
            return self.broke(broken, number, way);
        }
        self.waiting.push_back((next, after));
    }

    /// The state that a move leads to, unless it is the same one or beyond the bounds; or what does not hold in the move.
    pub(super) fn take(&mut self, state: &State, (at, event): Move) -> Result<Option<State>, Broken> {
        self.tally.moves += 1;
        let step = self.table.step(&state[NODES..NODES + self.members], at, event);
        let decided = self.table.judge(step, state[0])?;
        let taken = self.table.taken(step);
        let is_same = |(at, node): &(usize, u32)| state[NODES + at] == *node;
        if taken.nodes.iter().all(is_same) && taken.letters.iter().all(|letter| has(state, self.members, *letter)) {
            return Ok(None);
        }
        if taken.is_beyond {
            self.tally.beyond += 1;
            return Ok(None);
        }
        Ok(Some(self.after(state, event, step, decided)))
    }

    /// Is what was decided still held by enough?
    pub(super) fn is_held(&self, state: &State) -> Result<(), Broken> {
        self.table.is_held(&state[NODES..NODES + self.members], state[0])
    }

    fn after(&self, state: &State, event: u32, step: u32, decided: u32) -> State {
        let taken = self.table.taken(step);
        let mut budget = state[1];
        if event == table::CRASH {
            budget -= CRASH_UNIT;
        }
        if event == table::REQUESTS + budget % CRASH_UNIT {
            budget += 1;
        }
        let mut news: Vec<u32> = taken.letters.iter().copied().filter(|it| !has(state, self.members, *it)).collect();
        news.sort_unstable();
        news.dedup();
        let mut after = Vec::with_capacity(state.len() + news.len());
        after.extend_from_slice(state);
        (after[0], after[1]) = (decided, budget);
        taken.nodes.iter().for_each(|(at, node)| after[NODES + at] = *node);
        after.extend(news);
        after[NODES + self.members..].sort_unstable();
        let (nodes, crashes) = (after[NODES..NODES + self.members].to_vec(), budget >= CRASH_UNIT);
        let mut place = 0;
        after.retain(|letter| {
            place += 1;
            place <= NODES + self.members || !self.table.is_spent(*letter, &nodes, crashes)
        });
        after.into()
    }

    /// The least of a state's names under all renamings.
    pub(super) fn key(&self, state: &[u32]) -> u128 {
        let (nodes, letters) = state[NODES..].split_at(self.members);
        let decided = self.table.name_of_decided(state[0]);
        let named = |at: usize| {
            let node = |sum: u128, node: &u32| sum.wrapping_add(self.table.nodes[index(*node)].names[at]);
            let letter = |sum: u128, letter: &u32| sum.wrapping_add(self.table.letters[index(*letter)].names[at]);
            let sum = nodes.iter().fold(0, node);
            (sum, letters.iter().fold(0, letter))
        };
        let (nodes, letters) = (0..self.table.renamings().len()).map(named).min().unwrap_or_default();
        fingerprint(&(nodes, letters, decided, state[1]), &[], vr_core::Writes::default())
    }

    #[cold]
    fn broke(&mut self, broken: Broken, from: u32, last: Move) {
        let mut moves = vec![last];
        let mut at = from;
        while at != 0 {
            let (before, by) = self.origins[index(at)];
            moves.push((index(by >> EVENT_BITS), by & ((1 << EVENT_BITS) - 1)));
            at = before;
        }
        moves.reverse();
        self.tally.depth = self.tally.depth.max(small(moves.len()));
        self.broken = Some((broken, moves));
    }

    pub(super) const fn table(&self) -> &Table {
        &self.table
    }

    /// Every step of a replica is taken anew from now on.
    pub(super) const fn forget_steps(&mut self) {
        self.table.remembers = false;
    }

    /// The state that it began with.
    pub(super) fn first(&self) -> Option<State> {
        self.waiting.front().map(|(_, state)| state.clone())
    }

    /// Who judges.
    #[must_use]
    pub const fn judge(&self) -> Judge {
        self.bounds.judge
    }
}

fn has(state: &State, members: usize, letter: u32) -> bool {
    state[NODES + members..].binary_search(&letter).is_ok()
}
