//! Bugs that were found, as the runs that showed them: every case of this folder is replayed, and holds today.
//!
//! Owns `tests/regressions/*.vrcase`, which `README.md` beside them tells the story of, and the tests that
//! `vr-sim shrink --emit-test` wrote, a `mod` below for each. Must not know what the bugs were. A case that a later change
//! of the simulator leads elsewhere still has to hold; that it went another way is no failure. DESIGN §8.

use std::fs;
use std::path::{Path, PathBuf};
use vr_sim::case::Case;
use vr_sim::lab::Session;
use vr_sim::run::run_case;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/regressions")
}

/// The files with this ending, without it, in order.
fn names(ending: &str) -> Vec<String> {
    let listing = fs::read_dir(folder()).expect("a folder").map(|item| item.expect("a name").file_name());
    let mut names: Vec<_> = listing.filter_map(|name| Some(name.to_str()?.strip_suffix(ending)?.to_owned())).collect();
    names.sort();
    names
}

fn read(file: &str) -> String {
    fs::read_to_string(folder().join(file)).unwrap_or_else(|why| panic!("{file}: {why}"))
}

/// What does not hold in it, in a line.
fn failure(case: &Case, name: &str) -> Option<String> {
    if !case.is_session() {
        let outcome = run_case(case);
        return outcome.violation.map(|it| format!("{}: {}", it.property, it.message)).or(outcome.panicked);
    }
    match Session::of_case(case, name, None) {
        Ok(session) => session.failure().map(str::to_owned),
        Err(why) => Some(why),
    }
}

#[test]
fn every_run_that_once_broke_a_property_holds_today() {
    let names = names(".vrcase");
    assert!(!names.is_empty(), "cases are kept here");
    let mut broken = Vec::new();
    for name in names {
        let case = Case::read(&read(&format!("{name}.vrcase"))).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert!(case.violation.is_some(), "{name}: a case here says what it broke");
        assert_eq!(case.setup.mutant, None, "{name}: planted bugs have a folder of their own");
        broken.extend(failure(&case, &name).map(|what| format!("{name}: {what}")));
    }
    assert!(broken.is_empty(), "{} of them are back:\n{}", broken.len(), broken.join("\n"));
}

#[test]
fn every_case_has_its_story_and_every_emitted_test_is_run() {
    let (stories, modules) = (read("README.md"), read("main.rs"));
    for name in names(".vrcase") {
        assert!(stories.contains(&format!("| `{name}` |")), "{name}.vrcase: README.md does not tell of it");
    }
    for name in names(".rs").iter().filter(|name| *name != "main") {
        assert!(modules.contains(&format!("\nmod {name};")), "{name}.rs: main.rs does not name it");
    }
}
