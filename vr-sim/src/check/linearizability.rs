//! What clients saw could have happened one call at a time: S15, by the search of Wing and Gong with Lowe's memory.
//!
//! Owns the service's specification, the clients' history and the search: per key, depth first over which call took
//! effect next, never twice from the same configuration (calls that took effect, state). A call that was never answered
//! may have taken effect at any time after it was made, or never. The search is bounded in configurations, never in time.
//! Must not know replicas: what they say about the order of effects serves as a hint which order to try first, and a
//! wrong hint costs time, not truth. PROTOCOL §4 S15; DESIGN 9.15.

use super::Violation;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use vr_core::{ClientId, Op, RequestNumber, Session};

const S15: &str = "S15 linearizability";
/// A search gives up after this many words of memory for exhausted configurations.
const BUDGET: usize = 1 << 22;

/// The sequential specification of the replicated service, for S15. Operations on different keys must be
/// independent of each other; whoever cannot say so gives all the same key.
pub trait Model: Send + Sync {
    /// What an operation is about.
    fn key(&self, body: &[u8]) -> Vec<u8>;
    /// What an operation makes of the state of its key, and what it answers. A key nobody touched is in the state
    /// of no bytes at all.
    fn step(&self, state: &[u8], body: &[u8]) -> (Vec<u8>, Vec<u8>);
}

type Name = (ClientId, Session, RequestNumber);

/// A call, from invocation to return; moments count happenings.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) name: Name,
    pub(super) body: Vec<u8>,
    pub(super) invoked: u64,
    /// When, and what came back.
    pub(super) returned: Option<(u64, Vec<u8>)>,
    /// At which op it is said to have taken effect.
    pub(super) hint: Option<Op>,
}

#[derive(Clone)]
pub(super) struct Linearizability {
    model: Option<Arc<dyn Model>>,
    calls: Vec<Call>,
    names: BTreeMap<Name, usize>,
    moment: u64,
    undecided: u64,
}

impl fmt::Debug for Linearizability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Linearizability").field("calls", &self.calls).field("undecided", &self.undecided).finish()
    }
}

impl Linearizability {
    pub(super) const fn new(model: Option<Arc<dyn Model>>) -> Self {
        Self { model, calls: Vec::new(), names: BTreeMap::new(), moment: 0, undecided: 0 }
    }

    /// A client calls. Registrations are not calls of the service.
    pub(super) fn invoked(&mut self, name: Name, body: &[u8]) {
        if name.2 == RequestNumber::ZERO || self.names.contains_key(&name) {
            return;
        }
        self.moment += 1;
        self.names.insert(name, self.calls.len());
        self.calls.push(Call { name, body: body.to_vec(), invoked: self.moment, returned: None, hint: None });
    }

    /// A client has its answer. Only the first one counts. False when it had not called.
    pub(super) fn answered(&mut self, name: Name, op: Op, result: &[u8]) -> bool {
        if name.2 == RequestNumber::ZERO {
            return true;
        }
        let Some(call) = self.names.get(&name).and_then(|place| self.calls.get_mut(*place)) else { return false };
        if call.returned.is_none() {
            self.moment += 1;
            call.returned = Some((self.moment, result.to_vec()));
            call.hint = Some(op);
        }
        true
    }

    /// How many keys were given up.
    pub(super) const fn undecided(&self) -> u64 {
        self.undecided
    }

    /// Judges the whole history. `effects` says which requests took effect, and where.
    pub(super) fn judge(&mut self, effects: impl Iterator<Item = (Name, Op)>) -> Result<(), Violation> {
        let Some(model) = &self.model else { return Ok(()) };
        if self.calls.iter().any(|call| call.returned.is_none()) {
            for (name, op) in effects {
                if let Some(place) = self.names.get(&name) {
                    self.calls[*place].hint = Some(op);
                }
            }
        }
        let mut keys: BTreeMap<Vec<u8>, Vec<usize>> = BTreeMap::new();
        for (place, call) in self.calls.iter().enumerate() {
            keys.entry(model.key(&call.body)).or_default().push(place);
        }
        for (key, places) in keys {
            let calls: Vec<&Call> = places.iter().map(|place| &self.calls[*place]).collect();
            match search(&**model, &calls, BUDGET) {
                Outcome::Linearizable => {}
                Outcome::Undecided => self.undecided += 1,
                Outcome::Stuck(place) => return Err(contradiction(&key, &calls, calls[place])),
            }
        }
        Ok(())
    }
}

#[cold]
fn contradiction(key: &[u8], calls: &[&Call], call: &Call) -> Violation {
    let (client, session, number) = call.name;
    let result = call.returned.as_ref().map_or(&b""[..], |(_, result)| result);
    let message = format!(
        "request {number} of {client:?} in session {session} (\"{}\") was answered \"{}\", which no order of the {} \
         calls on key \"{}\" explains",
        call.body.escape_ascii(),
        result.escape_ascii(),
        calls.len(),
        key.escape_ascii(),
    );
    let ops: Vec<Op> = call.hint.into_iter().collect();
    Violation::safety(S15, message, &[], &ops)
}

/// A call that no replica knows of: what was asked, when, when it returned with what.
pub(crate) type Plain<'a> = (&'a [u8], u64, Option<(u64, &'a [u8])>);

/// Judges calls key by key. What is wrong: the key, and the place of the call that no order explains; none when the
/// search was given up.
pub(crate) fn plain(model: &dyn Model, calls: &[Plain<'_>]) -> Result<(), (Vec<u8>, Option<usize>)> {
    // At equal moments calls begin before they end: whoever could overlap, does.
    let mut moments: Vec<(u64, bool)> = calls.iter().map(|(_, invoked, _)| (*invoked, false)).collect();
    moments.extend(calls.iter().filter_map(|(_, _, returned)| returned.map(|(at, _)| (at, true))));
    moments.sort_unstable();
    moments.dedup();
    let rank = |moment: (u64, bool)| super::count(moments.partition_point(|other| *other < moment));
    let mut keys: BTreeMap<Vec<u8>, Vec<(usize, Call)>> = BTreeMap::new();
    for (place, (body, invoked, returned)) in calls.iter().enumerate() {
        let name = (ClientId(0), Session::ZERO, RequestNumber(super::count(place)));
        let returned = returned.map(|(at, result)| (rank((at, true)), result.to_vec()));
        let call = Call { name, body: body.to_vec(), invoked: rank((*invoked, false)), returned, hint: None };
        keys.entry(model.key(body)).or_default().push((place, call));
    }
    for (key, calls) in keys {
        let of_key: Vec<&Call> = calls.iter().map(|(_, call)| call).collect();
        match search(model, &of_key, BUDGET) {
            Outcome::Linearizable => {}
            Outcome::Undecided => return Err((key, None)),
            Outcome::Stuck(at) => return Err((key, Some(calls[at].0))),
        }
    }
    Ok(())
}

/// What a search found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    Linearizable,
    /// The call that no order explains, in the order that came furthest.
    Stuck(usize),
    /// The search was given up.
    Undecided,
}

/// The calls in flight at the front of what is left of a history: a list of invocations and returns in order,
/// from which a call is lifted when it takes effect, and put back when that led nowhere.
struct Timeline {
    /// Node 0 is the end; then, per call, its invocation and its return (not linked in if there is none).
    next: Vec<usize>,
    prev: Vec<usize>,
}

const END: usize = 0;

const fn invocation(call: usize) -> usize {
    1 + 2 * call
}

const fn is_return(node: usize) -> bool {
    node != END && node.is_multiple_of(2)
}

const fn call_of(node: usize) -> usize {
    (node - 1) / 2
}

impl Timeline {
    fn of(calls: &[&Call]) -> Self {
        let mut order: Vec<(u64, usize)> = Vec::with_capacity(2 * calls.len());
        for (place, call) in calls.iter().enumerate() {
            order.push((call.invoked, invocation(place)));
            if let Some((returned, _)) = &call.returned {
                order.push((*returned, invocation(place) + 1));
            }
        }
        order.sort_unstable();
        let mut this = Self { next: vec![END; 2 * calls.len() + 1], prev: vec![END; 2 * calls.len() + 1] };
        for (_, node) in order {
            let last = this.prev[END];
            (this.next[last], this.prev[node], this.next[node], this.prev[END]) = (node, last, END, node);
        }
        this
    }

    fn unlink(&mut self, node: usize) {
        let (before, after) = (self.prev[node], self.next[node]);
        self.next[before] = after;
        self.prev[after] = before;
    }

    /// The exact inverse of [`Timeline::unlink`], if done in the inverse order.
    fn relink(&mut self, node: usize) {
        let (before, after) = (self.prev[node], self.next[node]);
        self.next[before] = node;
        self.prev[after] = node;
    }

    fn lift(&mut self, call: usize, answered: bool) {
        self.unlink(invocation(call));
        if answered {
            self.unlink(invocation(call) + 1);
        }
    }

    fn put_back(&mut self, call: usize, answered: bool) {
        if answered {
            self.relink(invocation(call) + 1);
        }
        self.relink(invocation(call));
    }

    /// The first return that is left, and the calls made before it: one of these takes effect next.
    fn front(&self, candidates: &mut Vec<usize>) -> Option<usize> {
        let mut node = self.next[END];
        while node != END && !is_return(node) {
            candidates.push(call_of(node));
            node = self.next[node];
        }
        is_return(node).then(|| call_of(node))
    }
}

/// One step of the search: the call that took effect, the state after it, and what else could follow.
struct Frame {
    call: Option<usize>,
    state: Vec<u8>,
    /// The latest hint of the calls that took effect so far.
    reached: Option<Op>,
    /// Where its candidates begin in the common stack.
    first: usize,
    /// The next one to try.
    next: usize,
}

struct Search<'a> {
    model: &'a dyn Model,
    calls: &'a [&'a Call],
    timeline: Timeline,
    frames: Vec<Frame>,
    candidates: Vec<usize>,
    /// Which calls took effect.
    effective: Vec<u64>,
    /// Configurations from which nothing leads to the end.
    exhausted: BTreeSet<(Vec<u64>, Vec<u8>)>,
    left: usize,
    furthest: (usize, usize),
    budget: usize,
}

/// Is there an order of the calls on one key that explains all answers?
pub(super) fn search(model: &dyn Model, calls: &[&Call], budget: usize) -> Outcome {
    let mut search = Search {
        model,
        calls,
        timeline: Timeline::of(calls),
        frames: Vec::new(),
        candidates: Vec::new(),
        effective: vec![0; calls.len().div_ceil(64)],
        exhausted: BTreeSet::new(),
        left: calls.iter().filter(|call| call.returned.is_some()).count(),
        furthest: (0, 0),
        budget,
    };
    search.run()
}

impl Search<'_> {
    fn run(&mut self) -> Outcome {
        if self.left == 0 {
            return Outcome::Linearizable;
        }
        self.descend(None, Vec::new());
        while let Some(frame) = self.frames.last_mut() {
            if let Some(call) = self.candidates.get(frame.next).copied() {
                frame.next += 1;
                if self.try_call(call) && self.left == 0 {
                    return Outcome::Linearizable;
                }
            } else if !self.retreat() {
                return Outcome::Undecided;
            }
        }
        Outcome::Stuck(self.furthest.1)
    }

    /// Lets a call take effect next, if its answer allows it and this was not tried before.
    fn try_call(&mut self, call: usize) -> bool {
        let of = self.calls[call];
        let Some(state) = self.frames.last().map(|frame| &frame.state) else { return false };
        let (after, result) = self.model.step(state, &of.body);
        match &of.returned {
            Some((_, answer)) if *answer != result => return false,
            None if after == *state => return false, // whether it happened makes no difference to anybody
            Some(_) | None => {}
        }
        self.effective[call / 64] ^= 1 << (call % 64);
        let configuration = (std::mem::take(&mut self.effective), after);
        let tried = !self.exhausted.is_empty() && self.exhausted.contains(&configuration);
        let (effective, after) = configuration;
        self.effective = effective;
        if tried {
            self.effective[call / 64] ^= 1 << (call % 64);
            return false;
        }
        self.timeline.lift(call, of.returned.is_some());
        self.left -= usize::from(of.returned.is_some());
        self.descend(Some(call), after);
        true
    }

    /// Changes this call nothing, and was it answered what it would be now? Then it is tried first. Another order is not
    /// ruled out: later it may change something and be answered the same.
    fn is_free(&self, call: usize, state: &[u8]) -> bool {
        let Call { body, returned, .. } = self.calls[call];
        returned.as_ref().is_some_and(|(_, answer)| {
            let (after, result) = self.model.step(state, body);
            after == state && result == *answer
        })
    }

    fn descend(&mut self, call: Option<usize>, state: Vec<u8>) {
        let first = self.candidates.len();
        let stuck_at = self.timeline.front(&mut self.candidates);
        let calls = self.calls;
        // A call that changes nothing may take effect long before its turn: the others have not had theirs by then.
        let (before, changes) = self.frames.last().map_or((None, true), |frame| (frame.reached, frame.state != state));
        let reached = before.max(call.filter(|_| changes).and_then(|call| calls[call].hint));
        // A hint that lies behind is that of a call which changed nothing when its turn came: to be tried last, like
        // one that is not said to have taken effect at all.
        let key = |call: &usize| (calls[*call].hint <= reached, calls[*call].hint, calls[*call].invoked);
        let mut next = self.candidates.split_off(first);
        next.sort_by_cached_key(|call| (!self.is_free(*call, &state), key(call)));
        self.candidates.append(&mut next);
        self.frames.push(Frame { call, state, reached, first, next: first });
        if let Some(stuck_at) = stuck_at.filter(|_| self.frames.len() > self.furthest.0) {
            self.furthest = (self.frames.len(), stuck_at);
        }
    }

    /// Nothing led on from here. False when the memory for such places is used up.
    fn retreat(&mut self) -> bool {
        let Some(frame) = self.frames.pop() else { return true };
        self.candidates.truncate(frame.first);
        let cost = self.effective.len() + frame.state.len() / 8 + 8;
        let Some(left) = self.budget.checked_sub(cost) else { return false };
        self.budget = left;
        if let Some(call) = frame.call {
            self.exhausted.insert((self.effective.clone(), frame.state));
            let answered = self.calls[call].returned.is_some();
            self.effective[call / 64] ^= 1 << (call % 64);
            self.timeline.put_back(call, answered);
            self.left += usize::from(answered);
        }
        true
    }
}

#[cfg(test)]
mod tests;
