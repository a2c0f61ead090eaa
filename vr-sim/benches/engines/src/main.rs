//! The exhaustive search of vr-sim and that of stateright, breadth first, on one thread, over the very same states.
//!
//! Owns the three columns: vr-sim's own; stateright asking for each next state, with vr-sim's memory of steps behind it; and
//! stateright with every step of a replica taken when it is asked for, as a model written for it would. Must not know what
//! a state is.
//!
//! `cargo run --release` here; `cargo run --release -- 1` for one crash (a million states) instead of none.

use stateright::{Checker, Model, Property};
use std::hash::{Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use vr_sim::explore::{Bounds, Place, Search, Steps, Way};

/// The states of a search, as stateright wants them.
struct Cluster(Mutex<Steps>);

/// A state; equal by name.
#[derive(Clone, Debug)]
struct State {
    place: Place,
    /// Something does not hold here.
    broken: bool,
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        (self.place.name, self.broken) == (other.place.name, other.broken)
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.place.name.hash(hasher);
    }
}

impl Cluster {
    fn steps(&self) -> MutexGuard<'_, Steps> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Model for Cluster {
    type State = State;
    type Action = Way;

    fn init_states(&self) -> Vec<State> {
        vec![State { place: self.steps().first(), broken: false }]
    }

    fn actions(&self, state: &State, ways: &mut Vec<Way>) {
        self.steps().ways(&state.place, ways);
    }

    fn next_state(&self, state: &State, way: Way) -> Option<State> {
        match self.steps().after(&state.place, way) {
            Ok(place) => place.map(|place| State { place, broken: false }),
            Err(_) => Some(State { place: state.place.clone(), broken: true }),
        }
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("nothing is broken", |_, state: &State| !state.broken)]
    }
}

fn ours(bounds: &Bounds) -> Result<u64, String> {
    let mut search = Search::new(bounds)?;
    while search.go(10_000) {}
    let tally = search.tally();
    assert!(tally.complete, "nothing is planted: all of it is seen");
    Ok(tally.states)
}

fn theirs(bounds: &Bounds, remembers: bool) -> Result<u64, String> {
    let steps = Steps::new(bounds, remembers)?;
    let checker = Cluster(Mutex::new(steps)).checker().threads(1).spawn_bfs().join();
    checker.assert_properties();
    u64::try_from(checker.unique_state_count()).map_err(|error| error.to_string())
}

fn main() -> Result<(), String> {
    let crashes = std::env::args().nth(1).map_or(Ok(0), |text| text.parse()).map_err(|_| "how many crashes?")?;
    let bounds = Bounds { crashes, ..Bounds::default() };
    println!("3 replicas, 1 request, 1 view change, crashes: {crashes}; one thread each");
    println!("{:<44} {:>10} {:>10} {:>12}", "", "states", "seconds", "states/s");
    let columns: [(&str, &dyn Fn() -> Result<u64, String>); 3] = [
        ("vr-sim check", &|| ours(&bounds)),
        ("stateright, steps remembered by vr-sim", &|| theirs(&bounds, true)),
        ("stateright, every step taken when asked for", &|| theirs(&bounds, false)),
    ];
    for (name, run) in columns {
        let began = Instant::now();
        let states = run()?;
        let seconds = began.elapsed().as_secs_f64();
        #[allow(clippy::as_conversions)] // a rate for people
        let rate = states as f64 / seconds;
        println!("{name:<44} {states:>10} {seconds:>10.2} {rate:>12.0}");
    }
    Ok(())
}
