//! Shrinking on several threads: what is found is the same however many there are.
//!
//! Owns the threads. Beside the library: in it a run has one, and whoever shrinks brings more. Must not know what is left out.

#![cfg(feature = "mutants")]

use std::thread;
use vr_sim::case::Case;
use vr_sim::run::run_seed;
use vr_sim::shrink::{Crew, shrink};
use vr_sim::swarm::Options;

fn failing() -> Case {
    let options = Options { mutant: Some("select_by_op".into()), ..Options::default() };
    let found = (0..20_000).map(|seed| run_seed(&options, seed)).find(|outcome| !outcome.passed());
    *found.expect("the swarm finds it").case.expect("a failure has its case")
}

/// What is left after so many rounds.
fn shrunk(case: &Case, crew: Crew<'_>) -> Case {
    let mut rounds = 0;
    let shrunk = shrink(case, crew, &mut |_| {
        rounds += 1;
        rounds < 60
    });
    shrunk.expect("it fails").case
}

#[test]
fn how_many_help_changes_nothing_about_what_is_found() {
    let case = failing();
    let together = |work: &(dyn Fn() + Sync)| {
        thread::scope(|scope| {
            (0..3).for_each(|_| drop(scope.spawn(work)));
        });
    };
    let small = shrunk(&case, &|work| work());
    assert!(small.decisions.len() < case.decisions.len());
    assert_eq!(small, shrunk(&case, &together));
}
