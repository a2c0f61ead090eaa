//! Every planted bug is killed by its scenario, under the checker that should catch it; and that scenario passes without.

#![cfg(feature = "mutants")]

use vr_core::{Mutant, Rules};
use vr_sim::run::Outcome;
use vr_sim::scenario::{self, Kill, mode_of};

fn run(kill: &Kill, mutant: Option<Mutant>) -> Outcome {
    scenario::run(kill.scenario, kill.durability, Rules { mutant })
}

fn describe(outcome: &Outcome) -> String {
    let violation = outcome.violation.as_ref().map(|v| format!("{}: {}", v.property, v.message));
    violation.or_else(|| outcome.panicked.clone()).unwrap_or_else(|| "it passes".to_owned())
}

#[test]
fn every_planted_bug_has_its_scenario_or_a_reason_why_it_can_have_none() {
    for mutant in Mutant::all() {
        let killed = scenario::kills().iter().any(|kill| kill.mutant == mutant);
        let equivalent = scenario::equivalents().iter().any(|equivalent| equivalent.mutant == mutant);
        assert!(killed != equivalent, "{}: in the table {killed}, called equivalent {equivalent}", mutant.name());
    }
}

#[test]
fn every_planted_bug_is_killed_under_the_property_that_should_catch_it() {
    let mut survivors = Vec::new();
    for kill in scenario::kills() {
        let outcome = run(kill, Some(kill.mutant));
        if outcome.failure() != Some(kill.property) {
            let Kill { mutant, scenario, durability, property } = kill;
            let (name, mode, what) = (mutant.name(), mode_of(*durability), describe(&outcome));
            survivors.push(format!("{name} in {scenario} ({mode}) should fail by {property}, but {what}"));
        }
    }
    assert!(survivors.is_empty(), "{}:\n{}", survivors.len(), survivors.join("\n"));
}

#[test]
fn a_scenario_that_kills_passes_without_the_bug() {
    for kill in scenario::kills() {
        let outcome = run(kill, None);
        assert!(outcome.passed(), "{}: {}", kill.scenario, describe(&outcome));
    }
}

#[test]
fn what_is_called_equivalent_is_seen_by_no_scenario() {
    for equivalent in scenario::equivalents() {
        for info in scenario::all().iter().filter(|info| info.name != "a11-performance") {
            for durability in info.modes {
                let outcome = scenario::run(info.name, *durability, Rules { mutant: Some(equivalent.mutant) });
                assert!(outcome.passed(), "{} is seen: {}", equivalent.mutant.name(), describe(&outcome));
            }
        }
    }
}

#[test]
fn a_failure_ends_with_the_command_that_shows_it_again() {
    let kill = scenario::kills().first().expect("a table");
    let outcome = run(kill, Some(kill.mutant));
    let message = outcome.violation.expect("it is killed").message;
    let command = format!("-- run --scenario {} --durability {}", kill.scenario, mode_of(kill.durability));
    assert!(message.contains(&command) && message.ends_with(&format!("--mutant {}", kill.mutant.name())), "{message}");
}
