//! Traces: what an observer saw of a run, as a file of JSON lines (vrtrace/1), as a page and as lines.
//!
//! Owns the recording of a run for the command line, and where it is cut off. Must not know the events themselves:
//! those are `vr_core::trace`'s. VIEW §5.1.

use super::guard;
use vr_sim::case::Case;
use vr_sim::decider::Decider;
use vr_sim::run::world_of;
use vr_sim::tape::{Tape, lines};
use vr_sim::view::page::{self, Page, Source};
use vr_sim::view::window::{EVENTS_MAX, Window, newest};
use vr_sim::workload::KvClients;
use vr_sim::world::World;

/// The trace of a case, run again. `repro` is the command that repeats it.
pub(crate) fn of_case(case: &Case, repro: &str) -> Tape {
    let mut world = world_of(&case.setup, Decider::recorded(&case.decisions));
    begin(&mut world, repro);
    let panicked = guard::watched(|| world.run()).is_err();
    end(&mut world, panicked, None)
}

/// From now on the world is recorded.
pub(crate) fn begin(world: &mut World<KvClients>, repro: &str) {
    let mut tape = Tape::default();
    tape.begin(world.setup(), Some(repro.to_owned()));
    world.record(tape);
}

/// Are so many events on its tape?
pub(crate) fn is_full(world: &mut World<KvClients>, most: u64) -> bool {
    let Some(tape) = world.take_tape() else { return false };
    let is_full = events(&tape) >= most;
    world.record(tape);
    is_full
}

/// What was recorded: all of it with a trailer, or the first so many events. One without a trailer was cut off.
pub(crate) fn end(world: &mut World<KvClients>, panicked: bool, most: Option<u64>) -> Tape {
    let mut tape = world.take_tape().unwrap_or_default();
    match most.filter(|most| events(&tape) >= *most) {
        Some(most) => tape.events.truncate(usize::try_from(most).unwrap_or(usize::MAX)),
        None => tape.end(world.now(), panicked),
    }
    tape
}

/// The page of it: of its newest events, when there are more than a page holds.
pub(crate) fn page(tape: &Tape, name: &str) -> String {
    let Window { events, left_out } = newest(&tape.events, EVENTS_MAX);
    page::html(&Page { source: Source::File, name, trace: &lines(&events), left_out })
}

/// How many events are on it.
pub(crate) fn events(tape: &Tape) -> u64 {
    u64::try_from(tape.events.len()).expect("an address has at most 64 bits")
}
