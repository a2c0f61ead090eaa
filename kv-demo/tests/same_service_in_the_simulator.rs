//! The counter that `vr-tokio/examples/counter.rs` replicates over three processes, in the simulator: the same type, one
//! more line. Owns nothing; it stands here because this crate alone knows both drivers.

#[path = "../../vr-tokio/examples/counter.rs"]
#[allow(dead_code)] // Its `main` is for the processes.
mod counter;

#[test]
fn the_service_of_the_example_holds_under_faults() {
    let report =
        vr_sim::simulate(counter::Counter::default, |rng| vec![b'0' + rng.word().to_le_bytes()[0] % 10]).seeds(0..20);
    assert!(report.passed(), "{:?}", report.failures);
}
