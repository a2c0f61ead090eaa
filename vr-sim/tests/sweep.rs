//! A few seeds of the swarm, all checkers on, in a test: what mutation testing asks after the scenarios.
//!
//! Owns which seeds. Must not know what a checker looks for. `VR_SWEEP_SEEDS` says how many (default: 40); all faults,
//! both modes, as drawn. A longer sweep is `cargo sim run`.

use vr_sim::run::run_seed;
use vr_sim::swarm::Options;

const SEEDS: u64 = 40;

fn seeds() -> u64 {
    std::env::var("VR_SWEEP_SEEDS").map_or(SEEDS, |many| many.parse().expect("VR_SWEEP_SEEDS is a number"))
}

#[test]
fn the_first_seeds_of_the_swarm_break_no_property() {
    let options = Options::default();
    for seed in 0..seeds() {
        let outcome = run_seed(&options, seed);
        assert_eq!(outcome.failure(), None, "seed {seed}");
    }
}
