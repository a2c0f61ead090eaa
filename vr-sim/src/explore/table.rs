//! Everything that a search met, by number: replicas, messages, what was decided, and what comes of every step.
//!
//! Owns the numbers: two replicas, or two messages, with one fingerprint have one, and the first that was met stands for all.
//! A step depends on the replica and on what it is given alone, so that it is taken once. Must not know which states are
//! reached.

use super::Bounds;
use super::judge::{Broken, Decided, Judge};
use super::leave::{Stage, is_vote, leave};
use super::node::{Done, Event, Fact, Node, Standing};
use super::seen::Seen;
use super::spent::{forgets, is_spent};
use vr_core::{Body, Durability, Hash, Message, Request, fingerprint};

/// No more ways to rename members are tried.
const RENAMINGS_MAX: usize = 24;
/// Spreads small numbers over 128 bits.
const ODD: u128 = 0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835;

/// What may be done to a replica, as a number: first these, then requests, then leaving its view, then messages.
pub(super) const START: u32 = 0;
pub(super) const SYNC: u32 = 1;
pub(super) const BEAT: u32 = 2;
pub(super) const CRASH: u32 = 3;
pub(super) const REQUESTS: u32 = 4;
/// With the helpers as bits.
pub(super) const LEAVE: u32 = 16;
pub(super) const MESSAGES: u32 = 256;

/// A replica, with what the search asks of it at every turn.
pub(super) struct Kept {
    node: Node,
    /// One for each renaming.
    pub(super) names: Box<[u128]>,
    log: Box<[Hash]>,
    is_amnesiac: bool,
    pub(super) is_up: bool,
    pub(super) leads: bool,
    pub(super) syncs: bool,
    pub(super) may_vote: bool,
    pub(super) standing: Standing,
}

/// A message on its way to somebody.
pub(super) struct Letter {
    pub(super) to: u32,
    message: Message,
    pub(super) names: Box<[u128]>,
}

/// What came of a step.
pub(super) struct Step {
    /// Who is another one now, by position and number.
    pub(super) nodes: Box<[(usize, u32)]>,
    pub(super) letters: Box<[u32]>,
    facts: Box<[(usize, Fact)]>,
    broken: Option<Broken>,
    /// Another view than the bounds allow is entered.
    pub(super) is_beyond: bool,
}

pub(super) struct Table {
    bounds: Bounds,
    quorum: usize,
    /// Each gives every member the place it is called by.
    renamings: Vec<Vec<u8>>,
    requests: Vec<Request>,
    pub(super) nodes: Vec<Kept>,
    pub(super) letters: Vec<Letter>,
    steps: Vec<Step>,
    /// With the name of each.
    decided: Vec<(Decided, u128)>,
    by_node: Seen,
    by_letter: Seen,
    by_step: Seen,
    /// Is a step taken once?
    pub(super) remembers: bool,
}

impl Table {
    pub(super) fn new(bounds: Bounds, requests: Vec<Request>) -> Self {
        let members = usize::from(bounds.replicas);
        Self {
            quorum: vr_core::quorum(members),
            renamings: renamings(members, usize::from(bounds.views) + 1),
            bounds,
            requests,
            nodes: Vec::new(),
            letters: Vec::new(),
            steps: Vec::new(),
            decided: vec![(Decided::default(), 0)],
            by_node: Seen::default(),
            by_letter: Seen::default(),
            by_step: Seen::default(),
            remembers: true,
        }
    }

    pub(super) fn renamings(&self) -> &[Vec<u8>] {
        &self.renamings
    }

    // ---- numbers

    pub(super) fn node(&mut self, at: usize, node: Node) -> u32 {
        // The same replica at two places is two: whoever leads the next view is not said in it.
        let place = |places: &[u8]| u128::from(places[at]).wrapping_mul(ODD);
        let name = |places: &Vec<u8>| node.fingerprint(places) ^ place(places);
        let names: Box<[u128]> = self.renamings.iter().map(name).collect();
        let next = small(self.nodes.len());
        if !self.by_node.insert(names[0], next) {
            return self.by_node.get(names[0]).unwrap_or(next);
        }
        self.nodes.push(Kept {
            names,
            log: node.log().into(),
            is_amnesiac: node.is_amnesiac(),
            is_up: node.is_up(),
            leads: node.leads(),
            syncs: node.is_up() && node.next_write().is_some(),
            may_vote: node.may_vote(),
            standing: node.standing(),
            node,
        });
        next
    }

    fn letter(&mut self, to: usize, message: Message) -> u32 {
        let names: Box<[u128]> = self.renamings.iter().map(|places| name_of(to, &message, places)).collect();
        let next = small(self.letters.len());
        if !self.by_letter.insert(names[0], next) {
            return self.by_letter.get(names[0]).unwrap_or(next);
        }
        self.letters.push(Letter { to: small(to), message, names });
        next
    }

    // ---- steps

    /// The number of what comes of it: looked up, or found out. `nodes`: all replicas, of which only those matter that
    /// take part.
    pub(super) fn step(&mut self, nodes: &[u32], at: usize, event: u32) -> u32 {
        let helpers = helpers_of(event);
        if !self.remembers {
            let step = self.take(nodes, at, event, &helpers);
            self.steps = vec![step];
            return 0;
        }
        let mut key = u128::from(nodes[at]) << 32 | u128::from(event);
        for helper in &helpers {
            key = key.wrapping_mul(ODD).rotate_left(41) ^ u128::from(nodes[*helper]);
        }
        let key = key.wrapping_mul(ODD);
        let key = key ^ (key >> 64);
        self.by_step.get(key).unwrap_or_else(|| {
            let step = self.take(nodes, at, event, &helpers);
            self.steps.push(step);
            let number = small(self.steps.len() - 1);
            self.by_step.insert(key, number);
            number
        })
    }

    fn take(&mut self, nodes: &[u32], at: usize, event: u32, helpers: &[usize]) -> Step {
        let with = std::iter::once(at).chain(helpers.iter().copied());
        let node = |at: usize| (at, self.nodes[index(nodes[at])].node.clone());
        let mut scene = Scene { nodes: with.map(node).collect(), done: Vec::new() };
        if helpers.is_empty() && !is_leave(event) {
            let event = self.event(event);
            let _ = scene.act(at, event);
        } else {
            let view = scene.node(at).view();
            leave(&mut scene, at, helpers);
            if scene.node(at).view() == view && scene.is_harmless() {
                // It did not come to it: then nobody need have wanted anything.
                return Step {
                    nodes: Box::new([]),
                    letters: Box::new([]),
                    facts: Box::new([]),
                    broken: None,
                    is_beyond: false,
                };
            }
        }
        self.sum_up(scene)
    }

    fn sum_up(&mut self, scene: Scene) -> Step {
        let Scene { nodes, done } = scene;
        let is_beyond = nodes.iter().any(|(_, node)| node.view() > self.bounds.last());
        let all = self.bounds.judge == Judge::All;
        let broken = done.iter().find_map(|(_, done)| done.fault.clone().filter(|_| all).or_else(|| done.harm.clone()));
        let (mut letters, mut facts) = (Vec::new(), Vec::new());
        if broken.is_some() {
            // A replica that panicked has no state to speak of.
            return Step { nodes: Box::new([]), letters: Box::new([]), facts: Box::new([]), broken, is_beyond: false };
        }
        for (at, done) in done {
            let lasting = done.sent.into_iter().filter(|(_, message)| !is_idle(message));
            letters.extend(lasting.map(|(to, message)| self.letter(to, message)));
            facts.extend(done.facts.into_iter().map(|fact| (at, fact)));
        }
        letters.sort_unstable();
        letters.dedup();
        let nodes = nodes.into_iter().map(|(at, node)| (at, self.node(at, node))).collect();
        Step { nodes, letters: letters.into(), facts: facts.into(), broken, is_beyond }
    }

    pub(super) fn event(&self, event: u32) -> Event {
        match event {
            START => Event::Start,
            SYNC => Event::Sync,
            BEAT => Event::Beat,
            CRASH..REQUESTS => Event::Crash,
            REQUESTS..LEAVE => Event::Ask(self.requests[index(event - REQUESTS)].clone()),
            LEAVE..MESSAGES => Event::Patience,
            MESSAGES.. => Event::Deliver(self.letters[index(event - MESSAGES)].message.clone()),
        }
    }

    // ---- judging

    /// What is decided after a step, or what does not hold in it.
    pub(super) fn judge(&mut self, step: u32, decided: u32) -> Result<u32, Broken> {
        let Step { facts, broken, .. } = &self.steps[index(step)];
        if let Some(broken) = broken {
            return Err(broken.clone());
        }
        let mut number = decided;
        for (at, fact) in facts {
            if let Some(after) = self.decided[index(number)].0.after(*at, fact)? {
                let known = self.decided.iter().position(|(known, _)| *known == after);
                number = small(known.unwrap_or(self.decided.len()));
                if known.is_none() {
                    let name = fingerprint(&after.0, &[], vr_core::Writes::default());
                    self.decided.push((after, name));
                }
            }
        }
        Ok(number)
    }

    pub(super) fn taken(&self, step: u32) -> &Step {
        &self.steps[index(step)]
    }

    /// Is what was decided held by enough of these replicas?
    pub(super) fn is_held(&self, nodes: &[u32], decided: u32) -> Result<(), Broken> {
        let (decided, _) = &self.decided[index(decided)];
        let Some((last, _)) = decided.0.last() else { return Ok(()) };
        if self.bounds.judge == Judge::Harm {
            return Ok(());
        }
        let at = decided.0.len() - 1;
        let holds = |node: &&u32| {
            let kept = &self.nodes[index(**node)];
            (self.bounds.durability == Durability::Async && kept.is_amnesiac) || kept.log.get(at) == Some(last)
        };
        decided.is_held(nodes.iter().filter(holds).count(), self.quorum)
    }

    /// May anything come of it if this replica hears it now? That somebody else entered the view it is in tells a primary
    /// whom to welcome, and others nothing.
    pub(super) fn is_heard(&self, letter: u32, node: u32) -> bool {
        let (message, kept) = (&self.letters[index(letter)].message, &self.nodes[index(node)]);
        let is_vote = matches!(message.body, Body::StartViewChange { .. });
        !is_vote || kept.leads || message.header.view != kept.standing.view
    }

    /// Is this message for nothing, where these replicas stand?
    pub(super) fn is_spent(&self, letter: u32, nodes: &[u32], crashes: bool) -> bool {
        let Letter { to, message, .. } = &self.letters[index(letter)];
        let standing = |at: usize| &self.nodes[index(nodes[at])].standing;
        let from = standing(usize::from(message.header.from.0));
        forgets(self.bounds.mutant.as_deref()) && is_spent(message, from, standing(index(*to)), crashes)
    }

    /// How much was met: replicas, messages, steps.
    pub(super) fn sizes(&self) -> [usize; 3] {
        [self.nodes.len(), self.letters.len(), self.steps.len()]
    }

    /// A name for what was decided.
    pub(super) fn name_of_decided(&self, decided: u32) -> u128 {
        self.decided[index(decided)].1
    }
}

/// Replicas in a conversation.
struct Scene {
    nodes: Vec<(usize, Node)>,
    done: Vec<(usize, Done)>,
}

impl Scene {
    fn is_harmless(&self) -> bool {
        self.done.iter().all(|(_, done)| done.harm.is_none() && done.fault.is_none())
    }
}

impl Stage for Scene {
    fn node(&self, at: usize) -> &Node {
        &self.nodes.iter().find(|(other, _)| *other == at).expect("it takes part").1
    }

    fn act(&mut self, at: usize, event: Event) -> Vec<(usize, Message)> {
        let node = self.nodes.iter_mut().find(|(other, _)| *other == at);
        let done = node.map(|(_, node)| node.take(event)).unwrap_or_default();
        let sent = done.sent.clone();
        self.done.push((at, done));
        sent
    }
}

const fn is_leave(event: u32) -> bool {
    LEAVE <= event && event < MESSAGES
}

/// Whose votes an event needs.
pub(super) fn helpers_of(event: u32) -> Vec<usize> {
    let bits = if is_leave(event) { event - LEAVE } else { 0 };
    (0..usize::from(super::REPLICAS_MAX)).filter(|at| bits & (1 << at) != 0).collect()
}

/// Does nothing follow from it but patience, or within the conversation it belongs to?
fn is_idle(message: &Message) -> bool {
    matches!(message.body, Body::CommitOk { .. }) || is_vote(message)
}

/// The name of a message on its way: the same for two that say the same. Who says that it entered a view says nothing by
/// whom it heard of late.
pub(super) fn name_of(to: usize, message: &Message, places: &[u8]) -> u128 {
    let place = places[to];
    if matches!(message.body, Body::StartViewChange { .. }) {
        let what = (place, &message.header, is_vote(message));
        return fingerprint(&what, places, vr_core::Writes::default());
    }
    fingerprint(&(place, message), places, vr_core::Writes::default())
}

/// All ways to call members by each other's names that leave those as they are who lead one of the first views.
fn renamings(members: usize, views: usize) -> Vec<Vec<u8>> {
    let identity: Vec<u8> = (0..members).map(|at| u8::try_from(at).unwrap_or(u8::MAX)).collect();
    let mut all = vec![identity];
    for at in views.min(members)..members {
        let before = all.clone();
        for other in views..at {
            all.extend(before.iter().map(|places| {
                let mut places = places.clone();
                places.swap(other, at);
                places
            }));
        }
        if all.len() > RENAMINGS_MAX {
            return before;
        }
    }
    all
}

pub(super) fn index(number: u32) -> usize {
    usize::try_from(number).expect("32 bits fit an address")
}

pub(super) fn small(index: usize) -> u32 {
    u32::try_from(index).expect("the bound on states is below 2³²")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_interchanged_unless_they_lead_a_view_within_the_bounds() {
        assert_eq!(renamings(3, 3), [[0, 1, 2]]);
        assert_eq!(renamings(3, 2), [[0, 1, 2]]);
        assert_eq!(renamings(4, 2), [[0, 1, 2, 3], [0, 1, 3, 2]]);
        let mut six = renamings(5, 2);
        assert!(six.iter().all(|places| places[..2] == [0, 1]));
        six.sort_unstable();
        six.dedup();
        assert_eq!(six.len(), 6);
        assert_eq!(renamings(7, 2).len(), 24, "as many as there is time for");
    }
}
