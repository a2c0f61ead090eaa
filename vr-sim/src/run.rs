//! One run from beginning to end: a seed or a case goes in, an outcome comes out.
//!
//! Owns the shape of an outcome, catching panics, and recording decisions once something failed. Must not know the
//! command line. DESIGN 9.13, §8.

use crate::case::Case;
use crate::decider::Decider;
use crate::marks::Marks;
use crate::odds::Odds;
use crate::setup::Setup;
use crate::swarm::{Options, draw};
use crate::tape::Tape;
use crate::trail::{Sample, Tracker};
use crate::workload::{App, KvClients};
use crate::world::World;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use crate::check::{Severity, Violation};

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The property that did not hold, if one did not.
    pub violation: Option<Violation>,
    /// What the run panicked with, if it did.
    pub panicked: Option<String>,
    /// The hash of everything that happened.
    pub digest: u64,
    /// Steps of replicas.
    pub steps: u64,
    /// Messages delivered between replicas.
    pub messages: u64,
    /// How much time passed in the world.
    pub virtual_ns: u64,
    /// Operations acknowledged to clients.
    pub acked_ops: u64,
    /// Histories whose linearizability could not be decided within the bound.
    pub undecided: u64,
    /// The rare events seen.
    pub marks: Marks,
    /// The run as a case, with every decision, if something failed or it was asked for.
    pub case: Option<Box<Case>>,
}

impl Outcome {
    /// Did everything hold?
    #[must_use]
    pub const fn passed(&self) -> bool {
        self.violation.is_none() && self.panicked.is_none()
    }

    /// The name of what failed: the property, or `panic`.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        match (&self.violation, &self.panicked) {
            (_, Some(_)) => Some("panic"),
            (Some(violation), None) => Some(violation.property),
            (None, None) => None,
        }
    }
}

/// Runs a seed of the swarm. A failure comes with its case.
///
/// # Panics
/// When the options are impossible: see [`Options::validate`].
#[must_use]
pub fn run_seed(options: &Options, seed: u64) -> Outcome {
    let (setup, odds) = draw(seed, options);
    run_drawn(&setup, &odds, seed)
}

/// Runs what was drawn for a seed, perhaps changed since. A failure comes with its case.
///
/// # Panics
/// When the setup is impossible.
#[must_use]
pub fn run_drawn(setup: &Setup, odds: &Odds, seed: u64) -> Outcome {
    let mut outcome = run(setup, Decider::seeded(seed, odds.clone()), seed);
    if !outcome.passed() {
        outcome.case = record_drawn(setup, odds, seed).case;
    }
    outcome
}

/// Runs a seed of the swarm and gives its case, whatever came of it.
///
/// # Panics
/// When the options are impossible: see [`Options::validate`].
#[must_use]
pub fn record_seed(options: &Options, seed: u64) -> Outcome {
    let (setup, odds) = draw(seed, options);
    record_drawn(&setup, &odds, seed)
}

fn record_drawn(setup: &Setup, odds: &Odds, seed: u64) -> Outcome {
    recorded(setup, Decider::seeded(seed, odds.clone()), seed)
}

/// Runs and gives the case, with its trail.
pub(crate) fn recorded(setup: &Setup, decider: Decider, seed: u64) -> Outcome {
    let mut world = world_of(setup, decider.recording());
    let mut tracker = Tracker::default();
    let panicked = caught(|| {
        while world.step_event() {
            tracker.pass(|| Sample { steps: world.steps(), digest: world.digest() });
        }
    });
    let mut outcome = outcome(&world, seed, panicked);
    let mut case = Case::new(seed, setup.clone(), world.decisions().to_vec(), outcome.digest);
    case.violation = outcome.failure().map(str::to_owned);
    case.trail = Some(tracker.into_trail());
    outcome.case = Some(Box::new(case));
    outcome
}

/// Runs a case again, from its decisions alone.
///
/// # Panics
/// When its setup is impossible; [`Case::read`] refuses such a one.
#[must_use]
pub fn run_case(case: &Case) -> Outcome {
    run(&case.setup, Decider::recorded(&case.decisions), case.seed)
}

/// Runs a case again and gives the tape of everything that happened. `repro` is the command that repeats it.
///
/// # Panics
/// When its setup is impossible; [`Case::read`] refuses such a one.
#[must_use]
pub fn trace_case(case: &Case, repro: Option<String>) -> (Outcome, Tape) {
    let mut world = world_of(&case.setup, Decider::recorded(&case.decisions));
    let mut tape = Tape::default();
    tape.begin(&case.setup, repro);
    world.record(tape);
    let panicked = catch(&mut world);
    let mut tape = world.take_tape().unwrap_or_default();
    tape.end(world.now(), panicked.is_some());
    (outcome(&world, case.seed, panicked), tape)
}

/// The world of a setup, at its beginning.
///
/// # Panics
/// When the setup is impossible.
#[must_use]
pub fn world_of(setup: &Setup, decider: Decider) -> World<KvClients> {
    let clients = KvClients::new(setup.seed, setup.mix);
    World::new(setup.clone(), clients, decider).expect("a setup that was validated")
}

fn run(setup: &Setup, decider: Decider, seed: u64) -> Outcome {
    let mut world = world_of(setup, decider);
    let panicked = catch(&mut world);
    outcome(&world, seed, panicked)
}

/// Runs a world to its end; what it panicked with, if it did.
pub(crate) fn catch<A: App>(world: &mut World<A>) -> Option<String> {
    caught(|| world.run())
}

/// The same for as long as it has taken no more decisions than this; true when it ended by itself.
pub(crate) fn catch_within<A: App>(world: &mut World<A>, decisions: usize) -> (bool, Option<String>) {
    let panicked = caught(|| while world.decisions().len() <= decisions && world.step_event() {});
    (world.decisions().len() <= decisions, panicked)
}

fn caught(run: impl FnOnce()) -> Option<String> {
    let result = catch_unwind(AssertUnwindSafe(run));
    result.err().map(|payload| what_panicked(&*payload))
}

/// What a panic said.
pub(crate) fn what_panicked(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().cloned();
    let text = text.or_else(|| payload.downcast_ref::<&str>().map(|s| (*s).to_owned()));
    text.unwrap_or_else(|| "something that is no text".to_owned())
}

pub(crate) fn outcome<A: App>(world: &World<A>, seed: u64, panicked: Option<String>) -> Outcome {
    Outcome {
        seed,
        violation: world.violation().cloned(),
        panicked,
        digest: world.digest(),
        steps: world.steps(),
        messages: world.messages(),
        virtual_ns: world.now().0,
        acked_ops: world.acked(),
        undecided: world.undecided(),
        marks: *world.marks(),
        case: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_is_the_same_run() {
        for seed in 0..20 {
            let (one, two) = (run_seed(&Options::default(), seed), run_seed(&Options::default(), seed));
            assert_eq!((one.digest, one.steps, one.marks), (two.digest, two.steps, two.marks));
        }
    }

    #[test]
    fn the_decisions_alone_give_the_same_run_as_the_seed_they_came_from() {
        for seed in 0..40 {
            let outcome = record_seed(&Options::default(), seed);
            let text = outcome.case.as_ref().unwrap().write();
            let again = run_case(&Case::read(&text).unwrap());
            assert_eq!((outcome.digest, outcome.steps), (again.digest, again.steps), "seed {seed}");
            assert_eq!(outcome.digest, run_seed(&Options::default(), seed).digest, "recording changes nothing");
        }
    }

    #[test]
    fn a_run_forks_anywhere_and_each_branch_goes_on_by_itself() {
        let (setup, odds) = draw(5, &Options::default());
        let mut world = world_of(&setup, Decider::seeded(5, odds));
        (0..500).for_each(|_| assert!(world.step_event()));
        let mut fork = world.clone();
        let mut other = world.clone();
        other.crash_now(0);
        world.run();
        fork.run();
        other.run();
        assert_eq!(world.digest(), fork.digest());
        assert_ne!(world.digest(), other.digest());
    }

    #[test]
    fn without_faults_nothing_fails_and_no_view_changes() {
        let options = Options { faults: crate::swarm::FaultSet::NONE, ..Options::default() };
        for seed in 0..50 {
            let outcome = run_seed(&options, seed);
            assert!(outcome.passed(), "seed {seed}: {:?}", outcome.violation);
            assert!(outcome.acked_ops > 0);
            let marks = outcome.marks;
            // Who was replaced may be shut down for good.
            let crashes = marks.crashes - marks.members_dismissed;
            assert_eq!((crashes, marks.messages_lost, marks.long_holds), (0, 0, 0));
        }
    }

    #[test]
    fn large_clusters_run_too() {
        let options = Options { replicas: Some(31), ..Options::default() };
        let outcome = run_seed(&options, 1);
        assert!(outcome.passed(), "{:?}", outcome.violation);
        assert!(outcome.acked_ops > 0);
    }
}
