//! Scenarios: small stories with named roles and named faults, in which one rule decides the outcome.
//!
//! Owns what a scenario is ([`ScenarioInfo`]), the list of all, and how one is run: in a world that a person moves
//! ([`Scenario`]), with all checkers on, and at its end, unless the story says otherwise, everything healed and at rest.
//! Must not know what any of them tells: that stands in `scenarios/`, a file per section of PROTOCOL §2. DESIGN §8.
//!
//! ```
//! use vr_core::{Durability, Rules};
//! let outcome = vr_sim::scenario::run("a04-simple-view-change", Durability::Sync, Rules::default());
//! assert!(outcome.passed(), "{:?}", outcome.violation);
//! ```

mod calls;
mod faults;
mod looks;
mod stage;
mod views;

pub use calls::Call;
pub(crate) use stage::{Outsider, Shape};
pub use stage::{Role, Scenario, Verdict};

use crate::run::Outcome;
use crate::scenarios;
use crate::setup::Setup;
use crate::tape::Tape;
use std::panic::{AssertUnwindSafe, catch_unwind};
use vr_core::{Durability, Rules};

#[cfg(feature = "mutants")]
pub use crate::scenarios::kills::{Equivalent, Kill, OutOfReach};

/// The property named by a failure when the scenario itself expected something else, most often in time.
pub const EXPECTATION: &str = "expectation";

/// Both modes.
pub const BOTH: &[Durability] = &[Durability::Sync, Durability::Async];
/// Only where promises wait for the disk.
pub const SYNC: &[Durability] = &[Durability::Sync];
/// Only where memory is what counts.
pub const ASYNC: &[Durability] = &[Durability::Async];

/// A scenario.
#[derive(Clone, Copy, Debug)]
pub struct ScenarioInfo {
    /// Its name on the command line: the defect of PROTOCOL §2 or the test of the report's Appendix A, then the point.
    pub name: &'static str,
    /// What happens and what must come of it, in a sentence or two.
    pub story: &'static str,
    /// The faults it needs.
    pub faults: &'static str,
    /// The properties at stake, as in the table of `check/mod.rs`.
    pub properties: &'static str,
    /// How many replicas.
    pub replicas: u16,
    /// The modes in which it makes sense.
    pub modes: &'static [Durability],
    /// What else is special about its cluster.
    pub tune: fn(&mut Setup),
    /// The story.
    pub play: fn(&mut Scenario) -> Verdict,
}

/// Nothing is special about it.
pub const fn plain(_: &mut Setup) {}

impl ScenarioInfo {
    /// The command that runs it again.
    #[must_use]
    pub fn command(&self, durability: Durability, rules: Rules) -> String {
        let (features, bug) = match mutant_of(rules) {
            Some(name) => (" --features mutants", format!(" --mutant {name}")),
            None => ("", String::new()),
        };
        let name = self.name;
        let mode = mode_of(durability);
        format!("cargo run --release -p vr-sim{features} -- run --scenario {name} --durability {mode}{bug}")
    }

    /// Does it make sense in this mode?
    #[must_use]
    pub fn supports(&self, durability: Durability) -> bool {
        self.modes.contains(&durability)
    }
}

/// The word for a mode on the command line.
#[must_use]
pub const fn mode_of(durability: Durability) -> &'static str {
    match durability {
        Durability::Sync => "sync",
        Durability::Async => "async",
    }
}

/// Every scenario, in the order in which to read them.
#[must_use]
pub fn all() -> &'static [ScenarioInfo] {
    scenarios::all()
}

/// The same by chapter, each with its title.
#[must_use]
pub fn chapters() -> &'static [(&'static str, &'static [ScenarioInfo])] {
    scenarios::CHAPTERS
}

/// The scenario of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static ScenarioInfo> {
    all().iter().find(|info| info.name == name)
}

/// Which scenario kills which planted bug, and under which property.
#[cfg(feature = "mutants")]
#[must_use]
pub fn kills() -> &'static [Kill] {
    scenarios::kills::kills()
}

/// The planted bugs that nothing can see, and why.
#[cfg(feature = "mutants")]
#[must_use]
pub fn equivalents() -> &'static [Equivalent] {
    scenarios::kills::EQUIVALENTS
}

/// The planted bugs that the swarm cannot find, and why.
#[cfg(feature = "mutants")]
#[must_use]
pub fn out_of_reach() -> &'static [OutOfReach] {
    scenarios::kills::OUT_OF_REACH
}

/// Runs a scenario in one mode. A failure's message ends with the command that runs it again.
///
/// # Panics
/// When there is no scenario of this name, or it makes no sense in this mode: see [`named`] and
/// [`ScenarioInfo::supports`].
#[must_use]
pub fn run(name: &str, durability: Durability, rules: Rules) -> Outcome {
    play(find(name, durability), durability, rules, false).0
}

/// [`run`], and the tape of everything that happened.
///
/// # Panics
/// As [`run`].
#[must_use]
pub fn trace(name: &str, durability: Durability, rules: Rules) -> (Outcome, Tape) {
    play(find(name, durability), durability, rules, true)
}

fn find(name: &str, durability: Durability) -> &'static ScenarioInfo {
    let info = named(name).unwrap_or_else(|| panic!("there is no scenario `{name}`"));
    let mode = mode_of(durability);
    assert!(info.supports(durability), "scenario `{name}` makes no sense with durability {mode}");
    info
}

fn play(info: &ScenarioInfo, durability: Durability, rules: Rules, recording: bool) -> (Outcome, Tape) {
    let mut setup = Setup::plain(info.replicas, durability);
    setup.clients = 4;
    setup.mutant = mutant_of(rules).map(str::to_owned);
    (info.tune)(&mut setup);
    let mut scenario = match recording {
        true => Scenario::recorded(setup, info.command(durability, rules)),
        false => Scenario::new(setup),
    };
    let verdict = catch_unwind(AssertUnwindSafe(|| (info.play)(&mut scenario).and_then(|()| scenario.conclude())));
    let (violation, panicked) = match verdict {
        Ok(Ok(())) => (None, None),
        Ok(Err(violation)) => (Some(violation), None),
        Err(payload) => {
            let text = payload.downcast_ref::<String>().cloned();
            let text = text.or_else(|| payload.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            (None, Some(text.unwrap_or_else(|| "something that is no text".to_owned())))
        }
    };
    let again = |what: String| format!("{}: {what}: {}", info.name, info.command(durability, rules));
    let mut outcome = crate::run::outcome(&scenario.world, scenario.world.setup().seed, panicked.map(again));
    outcome.violation = violation.map(|mut violation| {
        violation.message = again(violation.message);
        violation
    });
    let mut tape = scenario.world.take_tape().unwrap_or_default();
    tape.end(scenario.world.now(), outcome.panicked.is_some());
    (outcome, tape)
}

#[cfg(feature = "mutants")]
fn mutant_of(rules: Rules) -> Option<&'static str> {
    rules.mutant.map(vr_core::Mutant::name)
}

#[cfg(not(feature = "mutants"))]
const fn mutant_of(_: Rules) -> Option<&'static str> {
    None
}
