//! Committed operations per second through in-memory replicas, one thread, completions answered at once.
//!
//! `cargo bench -p vr-core`. Times are reported, never asserted. Peers are measured in `benches/peers`.

#[allow(dead_code)] // the tests use more of it
#[path = "../tests/support/loopback.rs"]
mod loopback;

use bytes::Bytes;
use loopback::{Clients, Loopback};
use std::time::Instant;
use vr_core::Durability;

const ROUNDS: usize = 7;

fn once(members: u16, payload: usize, outstanding: u64, ops: u64) -> f64 {
    let mut cluster = Loopback::new(members, Durability::Sync);
    let mut clients = Clients::new(&mut cluster, outstanding, Bytes::from(vec![7u8; payload]));
    let (mut done, started) = (0u64, Instant::now());
    while done < ops {
        done += clients.round(&mut cluster);
    }
    #[allow(clippy::as_conversions)] // a rate for people
    let rate = done as f64 / started.elapsed().as_secs_f64();
    rate
}

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        println!("{} op/s", once(3, 64, 16, 1_000));
        return;
    }
    let mut arguments = std::env::args().skip_while(|argument| argument != "--only").skip(1);
    if let Some(outstanding) = arguments.next().and_then(|n| n.parse().ok()) {
        // One run, for a profiler.
        let ops = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
        println!("{:.0} op/s", once(3, 64, outstanding, ops));
        return;
    }
    println!("{:>8} {:>8} {:>12} {:>14} {:>24}", "replicas", "payload", "outstanding", "median op/s", "min .. max");
    for members in [3, 5] {
        for payload in [64, 256] {
            for outstanding in [1, 64, 256] {
                let mut rates: Vec<f64> = (0..ROUNDS).map(|_| once(members, payload, outstanding, 200_000)).collect();
                rates.sort_by(f64::total_cmp);
                let (low, median, high) = (rates[0], rates[ROUNDS / 2], rates[ROUNDS - 1]);
                println!("{members:>8} {payload:>8} {outstanding:>12} {median:>14.0} {low:>11.0} .. {high:.0}");
            }
        }
    }
}
