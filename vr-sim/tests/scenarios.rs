//! Every scenario passes in every mode in which it makes sense, a test per chapter; and runs alike each time.

use vr_core::trace::{TraceEvent, What};
use vr_core::{Durability, Rules};
use vr_sim::marks::DIRECTED;
use vr_sim::scenario::{self, ScenarioInfo, mode_of};

/// Runs what is told in a chapter; all failures at once, each ending with the command that runs it again.
fn passes(chapter: &str, is_meant: fn(&ScenarioInfo, Durability) -> bool) {
    let (_, scenarios) = scenario::chapters().iter().find(|(title, _)| *title == chapter).expect("a chapter");
    let mut failures = Vec::new();
    for info in *scenarios {
        for durability in info.modes.iter().filter(|durability| is_meant(info, **durability)) {
            let outcome = scenario::run(info.name, *durability, Rules::default());
            let what = outcome.violation.map(|violation| format!("{}: {}", violation.property, violation.message));
            failures.extend(what.or(outcome.panicked.map(|what| format!("panic: {what}"))));
        }
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

macro_rules! chapters {
    ($($test:ident $title:literal,)*) => {
        const TESTED: &[&str] = &[$($title),*];
        $(#[test] fn $test() { passes($title, |info, _| info.name != "a11-performance"); })*
    };
}

chapters! {
    appendix_a_holds "the report's Appendix A",
    partial_partitions_hold "partial partitions",
    sizes_and_restarts_hold "sizes and restarts of whole clusters",
    normal_operation_holds "normal operation",
    view_change_is_safe "view change: safety",
    view_change_is_live "view change: liveness",
    state_transfer_holds "state transfer",
    checkpoints_hold "checkpoints",
    long_parts_of_checkpoints_hold "long parts of checkpoints",
    checkpoints_that_are_given_late_hold "checkpoints that are given late",
    pages_and_parts_that_do_not_fit_do_no_harm "pages and parts that do not fit",
    restarts_and_disks_hold "restarts and disks",
    recovery_holds "recovery",
    storage_that_loses_something_holds "storage that loses something",
    full_disks_and_orderly_stops_hold "full disks and orderly stops",
    clients_hold "clients",
    hand_over_holds "primary hand-over",
    reads_hold "reads without an entry",
    reads_at_backups_hold "reads at backups",
    reads_under_a_lease_hold "reads under a lease",
    reconfiguration_holds "reconfiguration",
    news_of_a_reconfiguration_holds "reconfiguration: who hears of it, and when",
    witnesses_hold "witnesses",
    robustness_holds "robustness",
    what_nobody_of_the_group_says_does_no_harm "what nobody of the group says",
}

#[test]
fn appendix_a_11_holds_with_a_hundred_thousand_on_disk() {
    let is_meant = |info: &ScenarioInfo, mode| info.name == "a11-performance" && mode == Durability::Sync;
    passes("the report's Appendix A", is_meant);
}

#[test]
fn appendix_a_11_holds_with_a_hundred_thousand_in_memory() {
    let is_meant = |info: &ScenarioInfo, mode| info.name == "a11-performance" && mode == Durability::Async;
    passes("the report's Appendix A", is_meant);
}

#[test]
fn every_chapter_is_tested() {
    let titles: Vec<&str> = scenario::chapters().iter().map(|(title, _)| *title).collect();
    assert_eq!(titles, TESTED);
}

#[test]
fn every_scenario_has_a_name_of_its_own_and_says_what_it_is_about() {
    let mut names: Vec<&str> = scenario::all().iter().map(|info| info.name).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    for info in scenario::all() {
        let is_plain = info.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        assert!(is_plain && !info.modes.is_empty(), "{}", info.name);
        assert!(info.story.len() > 40 && info.story.ends_with('.'), "{}", info.name);
        assert!(!info.faults.is_empty() && !info.properties.is_empty(), "{}", info.name);
    }
}

#[test]
fn the_tests_of_the_report_are_there_with_five_replicas_in_both_modes() {
    let appendix: Vec<&ScenarioInfo> = scenario::all().iter().filter(|info| info.name.starts_with('a')).collect();
    let numbers: Vec<String> = (1..=11).map(|number| format!("a{number:02}-")).collect();
    assert_eq!(appendix.len(), numbers.len());
    for (info, number) in appendix.iter().zip(numbers) {
        assert!(info.name.starts_with(&number) && info.replicas == 5 && info.modes.len() == 2, "{}", info.name);
    }
}

#[test]
fn what_only_a_scenario_makes_the_core_state_is_stated_in_it() {
    for (occurrence, name) in DIRECTED {
        let info = scenario::named(name).unwrap_or_else(|| panic!("there is no scenario `{name}`"));
        for mode in info.modes {
            let stated = scenario::run(name, *mode, Rules::default()).marks.occurrences;
            let seen = stated.table().any(|(stated, seen)| stated == *occurrence && seen > 0);
            assert!(seen, "{occurrence} in {name} {}", mode_of(*mode));
        }
    }
}

#[test]
fn the_same_scenario_runs_alike_each_time() {
    for info in scenario::all().iter().filter(|info| info.name != "a11-performance") {
        for durability in info.modes {
            let digests = [(); 2].map(|()| scenario::run(info.name, *durability, Rules::default()).digest);
            assert_eq!(digests[0], digests[1], "{} {}", info.name, mode_of(*durability));
        }
    }
}

#[test]
fn a_scenario_can_be_traced_and_its_trace_names_its_command() {
    let info = scenario::named("d26-deaf-primary").expect("there is one");
    let (outcome, tape) = scenario::trace(info.name, info.modes[0], Rules::default());
    assert!(outcome.passed());
    assert!(tape.write().contains(&info.command(info.modes[0], Rules::default())));
    assert!(tape.events.len() > 50);
    let begins = |event: &TraceEvent| matches!(event.what, What::Snap(_));
    let told: Vec<_> = tape.events.iter().filter(|event| begins(event)).map(|event| event.n).collect();
    assert_eq!(told.len(), usize::from(info.replicas), "and begins with the state of each replica: {told:?}");
}
