//! Your own state machine in the simulator.
//!
//! Owns the entry point for embedders: a constructor, what clients ask for, and perhaps what must be true of the
//! state. Everything else is as in a swarm run: same faults, same checkers. Must not know what the service does.

use crate::case::Case;
use crate::check::Model;
use crate::decider::Decider;
use crate::digest::{Digest, joined};
use crate::marks::Marks;
use crate::rng::Rng;
use crate::run::{Outcome, Severity, Violation, catch, outcome};
use crate::service::Observed;
use crate::setup::Setup;
use crate::swarm::{Options, draw};
use crate::workload::App;
use crate::world::World;
use bytes::Bytes;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use vr_core::{Context, Hash, MESSAGE_OVERHEAD_BYTES, Service};

type Make<S> = Rc<dyn Fn() -> S>;
type Bodies = Rc<dyn Fn(&mut Rng) -> Vec<u8>>;
type Check<S> = Rc<dyn Fn(&S) -> Result<(), String>>;

/// Runs of one service, about to begin.
pub struct Simulation<S> {
    make: Make<S>,
    bodies: Bodies,
    check: Check<S>,
    model: Option<Arc<dyn Model>>,
    options: Options,
    largest_body: u32,
}

/// What came of them.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How many runs there were.
    pub runs: u64,
    /// The runs in which something did not hold, each with its case.
    pub failures: Vec<Outcome>,
    /// The rare events seen.
    pub marks: Marks,
}

impl Report {
    /// Did everything hold in every run?
    #[must_use]
    pub const fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

/// Simulates the service that `make` gives, in clusters whose clients ask for what `bodies` gives.
///
/// Each seed is one cluster: its size, its limits, its faults and what clients do are all drawn from it. The checkers
/// see whether every replica executes the same operations in the same order, exactly once, and has the same state
/// after each of them, which the service shows by its checkpoint.
///
/// ```
/// use bytes::Bytes;
/// use vr_core::{Context, Service};
///
/// #[derive(Clone, Default)]
/// struct Counter(u64);
///
/// impl Service for Counter {
///     fn execute(&mut self, _: &Context, body: &[u8]) -> Bytes {
///         self.0 = self.0.wrapping_mul(3).wrapping_add(u64::from(body[0]));
///         self.read(&[])
///     }
///     fn read(&self, _: &[u8]) -> Bytes {
///         Bytes::copy_from_slice(&self.0.to_le_bytes())
///     }
///     fn checkpoint(&self) -> Bytes {
///         self.read(&[])
///     }
///     fn restore(&mut self, checkpoint: &[u8]) {
///         self.0 = u64::from_le_bytes(checkpoint.try_into().expect("8 bytes"));
///     }
/// }
///
/// let report = vr_sim::simulate(Counter::default, |rng| vec![rng.word().to_le_bytes()[0] % 2]).seeds(0..10);
/// assert!(report.passed(), "{:?}", report.failures);
/// ```
#[must_use]
pub fn simulate<S: Service + Clone>(
    make: impl Fn() -> S + 'static,
    bodies: impl Fn(&mut Rng) -> Vec<u8> + 'static,
) -> Simulation<S> {
    Simulation {
        make: Rc::new(make),
        bodies: Rc::new(bodies),
        check: Rc::new(|_| Ok(())),
        model: None,
        options: Options::default(),
        largest_body: 4096,
    }
}

impl<S: Service + Clone> Simulation<S> {
    /// Something that must be true of every replica's state at the end of each run.
    #[must_use]
    pub fn check(mut self, check: impl Fn(&S) -> Result<(), String> + 'static) -> Self {
        self.check = Rc::new(check);
        self
    }

    /// The sequential specification: clients' histories are checked for linearizability against it.
    #[must_use]
    pub fn model(mut self, model: Arc<dyn Model>) -> Self {
        self.model = Some(model);
        self
    }

    /// What is fixed: cluster size, durability, kinds of faults. The rest is drawn.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// The longest body of an operation, in bytes; 4,096 unless said otherwise.
    #[must_use]
    pub const fn largest_body(mut self, bytes: u32) -> Self {
        self.largest_body = bytes;
        self
    }

    /// Runs these seeds.
    ///
    /// # Panics
    /// When the options are impossible: see [`Options::validate`].
    #[must_use]
    pub fn seeds(&self, seeds: Range<u64>) -> Report {
        let mut report = Report::default();
        for seed in seeds {
            let (mut setup, odds) = draw(seed, &self.options);
            setup.max_request_bytes = self.largest_body;
            setup.max_message_bytes = setup.max_message_bytes.max(self.largest_body + MESSAGE_OVERHEAD_BYTES);
            let mut outcome = self.run(&setup, Decider::seeded(seed, odds.clone()), seed).0;
            if !outcome.passed() {
                let (again, decisions) = self.run(&setup, Decider::seeded(seed, odds).recording(), seed);
                let mut case = Case::new(seed, setup, decisions, again.digest);
                case.violation = outcome.failure().map(str::to_owned);
                outcome.case = Some(Box::new(case));
                report.failures.push(outcome.clone());
            }
            report.runs += 1;
            report.marks.merge(&outcome.marks);
        }
        report
    }

    /// Runs a case again, which this service failed before.
    ///
    /// # Panics
    /// When its setup is impossible; [`Case::read`] refuses such a one.
    #[must_use]
    pub fn replay(&self, case: &Case) -> Outcome {
        self.run(&case.setup, Decider::recorded(&case.decisions), case.seed).0
    }

    fn run(&self, setup: &Setup, decider: Decider, seed: u64) -> (Outcome, Vec<crate::decider::Decision>) {
        let app = Yours {
            make: Rc::clone(&self.make),
            bodies: Rc::clone(&self.bodies),
            model: self.model.clone(),
            seed: setup.seed,
        };
        let mut world = World::new(setup.clone(), app, decider).expect("validated options");
        let panicked = catch(&mut world);
        let mut outcome = outcome(&world, seed, panicked);
        if outcome.passed() {
            outcome.violation = self.judge(&world);
        }
        (outcome, world.decisions().to_vec())
    }

    fn judge(&self, world: &World<Yours<S>>) -> Option<Violation> {
        (0..world.members()).find_map(|at| {
            let service = world.service(at)?;
            let message = (self.check)(&service.0).err()?;
            let (severity, replicas) = (Severity::Safety, vec![world.config(at).me]);
            Some(Violation { property: "the service's own check", severity, message, replicas, ops: Vec::new() })
        })
    }
}

/// An embedder's application.
struct Yours<S> {
    make: Make<S>,
    bodies: Bodies,
    model: Option<Arc<dyn Model>>,
    seed: u64,
}

impl<S> Clone for Yours<S> {
    fn clone(&self) -> Self {
        let Self { make, bodies, model, seed } = self;
        Self { make: Rc::clone(make), bodies: Rc::clone(bodies), model: model.clone(), seed: *seed }
    }
}

impl<S: Service + Clone> App for Yours<S> {
    type Service = Plain<S>;

    fn service(&self) -> Plain<S> {
        Plain((self.make)())
    }

    fn body(&mut self, client: u32, serial: u64, out: &mut Vec<u8>) {
        let mut name = Digest::of(self.seed);
        name.add(u64::from(client));
        name.add(serial);
        let mut rng = Rng::fork(name.value(), "body");
        out.extend_from_slice(&(self.bodies)(&mut rng));
    }

    fn answered(&mut self, _: u32, _: &[u8], _: &[u8]) {}

    fn model(&self) -> Option<Arc<dyn Model>> {
        self.model.clone()
    }
}

/// An embedder's service, whose state is known by its checkpoint.
#[derive(Clone)]
struct Plain<S>(S);

impl<S: Service> Service for Plain<S> {
    fn execute(&mut self, context: &Context, body: &[u8]) -> Bytes {
        self.0.execute(context, body)
    }
    fn read(&self, query: &[u8]) -> Bytes {
        self.0.read(query)
    }
    fn checkpoint(&self) -> Bytes {
        self.0.checkpoint()
    }
    fn restore(&mut self, checkpoint: &[u8]) {
        self.0.restore(checkpoint);
    }
}

impl<S: Service + Clone> Observed for Plain<S> {
    fn state(&self) -> Hash {
        let checkpoint = self.0.checkpoint();
        let (mut one, mut two) = (Digest::of(1), Digest::of(2));
        one.add_bytes(&checkpoint);
        two.add_bytes(&checkpoint);
        Hash(joined(one.value(), two.value()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Keeps what no state machine may: how often anybody called any replica.
    #[derive(Clone)]
    struct Impure(Rc<Cell<u64>>, u64);

    impl Service for Impure {
        fn execute(&mut self, _: &Context, _: &[u8]) -> Bytes {
            self.0.set(self.0.get() + 1);
            self.1 = self.0.get();
            Bytes::new()
        }
        fn read(&self, _: &[u8]) -> Bytes {
            Bytes::new()
        }
        fn checkpoint(&self) -> Bytes {
            Bytes::copy_from_slice(&self.1.to_le_bytes())
        }
        fn restore(&mut self, _: &[u8]) {}
    }

    #[test]
    fn a_service_that_is_not_deterministic_is_caught() {
        let options = Options { replicas: Some(3), ..Options::default() };
        let calls = Rc::new(Cell::new(0));
        let report = simulate(move || Impure(Rc::clone(&calls), 0), |_| vec![1]).options(options).seeds(0..3);
        assert_eq!(report.failures.len(), 3);
        assert!(report.failures.iter().all(|outcome| outcome.case.is_some()));
    }

    #[test]
    fn a_check_of_the_embedder_is_asked_of_every_replica_that_is_up() {
        let no = |_: &crate::service::Kv| Err("never".to_owned());
        let report = simulate(crate::service::Kv::new, |_| vec![0, 0, 0]).check(no).seeds(0..2);
        assert_eq!(report.failures.len(), 2);
        assert_eq!(report.failures[0].failure(), Some("the service's own check"));
        assert_eq!(report.runs, 2);
    }
}
