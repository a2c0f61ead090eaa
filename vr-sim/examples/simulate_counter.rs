//! A state machine of your own in the simulator: a bank of two accounts, and money that must not appear or vanish.
//!
//! Run it with `cargo run --release -p vr-sim --example simulate_counter`.

use bytes::Bytes;
use vr_core::{Context, Service};

/// Two accounts; an operation moves up to its first byte from one to the other.
#[derive(Clone)]
struct Bank {
    accounts: [u64; 2],
    transfers: u64,
}

impl Bank {
    const TOTAL: u64 = 1000;

    fn new() -> Self {
        Self { accounts: [Self::TOTAL / 2; 2], transfers: 0 }
    }
}

impl Service for Bank {
    fn execute(&mut self, context: &Context, body: &[u8]) -> Bytes {
        let Some(amount) = body.first().copied().map(u64::from) else { return Bytes::from_static(b"?") };
        // Who gives depends on the seed that the primary predicted: the same on every replica.
        let (giver, taker) = if context.seed.is_multiple_of(2) { (0, 1) } else { (1, 0) };
        let amount = amount.min(self.accounts[giver]);
        self.accounts[giver] -= amount;
        self.accounts[taker] += amount;
        self.transfers += 1;
        self.read(&[])
    }

    fn read(&self, _: &[u8]) -> Bytes {
        let [a, b] = self.accounts;
        format!("{a} {b}").into()
    }

    fn checkpoint(&self) -> Bytes {
        let [a, b] = self.accounts;
        [a, b, self.transfers].map(u64::to_le_bytes).concat().into()
    }

    fn restore(&mut self, checkpoint: &[u8]) {
        let mut numbers = checkpoint.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("8 bytes")));
        let mut next = || numbers.next().expect("three numbers");
        *self = Self { accounts: [next(), next()], transfers: next() };
    }
}

fn main() {
    let no_money_is_lost = |bank: &Bank| {
        let total: u64 = bank.accounts.iter().sum();
        if total == Bank::TOTAL { Ok(()) } else { Err(format!("there are {total}, not {}", Bank::TOTAL)) }
    };
    let simulation = vr_sim::simulate(Bank::new, |rng| vec![rng.word().to_le_bytes()[0]]).check(no_money_is_lost);
    let report = simulation.seeds(0..200);
    for failure in &report.failures {
        println!("seed {}: {:?}", failure.seed, failure.violation);
    }
    let marks = report.marks;
    println!(
        "{} clusters, {} transfers acknowledged, {} view changes, {} crashes: {}",
        report.runs,
        marks.acked_ops,
        marks.view_changes,
        marks.crashes,
        if report.passed() { "no money was lost" } else { "BROKEN" },
    );
    std::process::exit(i32::from(!report.passed()));
}
