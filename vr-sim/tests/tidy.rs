//! The house rules that a program can check (CONTRIBUTING.md, "Twelve habits"), over every Rust file of the house.
//!
//! Each test is one rule and lists all its offenders at once. The rules live in `tidy/`, each beside a test
//! that it catches what it should and nothing else; the tables to edit are in `tidy/layers.rs`.

#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/page.rs"]
mod page;
#[path = "tidy/size.rs"]
mod size;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/words.rs"]
mod words;

use source::{CRATES, Offence, Source, every_source, page_sources, root};
use std::fs;

/// Fails with every offender, one a line, as `path:line: what`.
fn hold(check: fn(&Source) -> Vec<Offence>) {
    hold_for(every_source(), check);
}

fn hold_for(sources: Vec<Source>, check: fn(&Source) -> Vec<Offence>) {
    let described = |source: Source| {
        let offences = check(&source);
        offences.into_iter().map(move |offence| format!("{}:{}: {}", source.path, offence.line, offence.what))
    };
    none(&sources.into_iter().flat_map(described).collect::<Vec<_>>());
}

fn none(offenders: &[String]) {
    assert!(offenders.is_empty(), "{} against the house rules:\n  {}\n", offenders.len(), offenders.join("\n  "));
}

#[test]
fn every_file_opens_with_what_it_owns() {
    hold(size::opening);
}

#[test]
fn no_file_is_longer_than_its_reader_can_hold() {
    hold(size::file_length);
}

#[test]
fn no_function_is_longer_than_a_screen() {
    hold(size::function_length);
}

#[test]
fn no_line_is_wider_than_a_screen() {
    hold(size::line_length);
}

#[test]
fn every_test_is_named_by_its_sentence() {
    hold(size::names_of_tests);
}

#[test]
fn the_sources_of_the_page_are_as_tidy() {
    assert!(page_sources().len() > 3);
    hold_for(page_sources(), page::opening);
    hold_for(page_sources(), page::file_length);
    hold_for(page_sources(), page::line_length);
}

#[test]
fn the_protocol_is_compiled_in_one_way_only() {
    hold(words::conditional_compilation);
}

#[test]
fn the_core_has_no_standard_library() {
    hold(words::purity);
}

#[test]
fn one_file_names_bincode() {
    hold(words::pinned_codec);
}

#[test]
fn nothing_in_a_run_differs_between_machines() {
    hold(words::determinism);
}

#[test]
fn every_note_for_later_says_why_it_waits() {
    hold(words::notes_for_later);
}

#[test]
fn every_file_of_the_core_has_its_layer() {
    hold(layers::unlisted);
    none(&layers::gone(&every_source()));
}

#[test]
fn arrows_inside_the_core_point_down() {
    hold(layers::core_arrows);
}

#[test]
fn checkers_know_the_core_and_not_the_simulator() {
    hold(layers::checker_arrows);
}

#[test]
fn arrows_between_crates_point_down() {
    let manifest = |name: &str| fs::read_to_string(root().join(name).join("Cargo.toml")).expect("every crate has one");
    none(&CRATES.iter().flat_map(|name| layers::crate_arrows(name, &manifest(name))).collect::<Vec<_>>());
}

/// The reporting itself: a rule that finds something must fail, and name every offender.
#[test]
#[should_panic(expected = "2 against the house rules:\n  a:1: b\n  c:2: d\n")]
fn offenders_are_reported_all_at_once() {
    none(&["a:1: b".to_owned(), "c:2: d".to_owned()]);
}
