//! tmp
use vr_sim::bench::{Work, calm, swarm};
fn main() {
    let mut w = Work::default();
    let t = std::time::Instant::now();
    let only = std::env::args().nth(1);
    if only.as_deref() != Some("swarm") {
        for _ in 0..std::env::args().nth(2).map_or(10, |n| n.parse().unwrap()) {
            w.add(calm(std::env::args().nth(3).map_or(1000, |n| n.parse().unwrap())));
        }
    }
    let ns = u64::try_from(t.elapsed().as_nanos()).unwrap();
    println!(
        "calm {w:?} virtual s/core-s {} steps/s {} acked/vs {:.1}",
        Work::per_core_second(w.virtual_ns, ns) / 1_000_000_000,
        Work::per_core_second(w.steps, ns),
        w.acked_ops as f64 / (w.virtual_ns as f64 / 1e9)
    );
    let t = std::time::Instant::now();
    let w = if only.as_deref() == Some("calm") { Work::default() } else { swarm(0..8000) };
    let ns = u64::try_from(t.elapsed().as_nanos()).unwrap();
    println!(
        "swarm {w:?} steps/s {} msgs/s {}",
        Work::per_core_second(w.steps, ns),
        Work::per_core_second(w.messages, ns)
    );
}
