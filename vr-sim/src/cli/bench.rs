//! `vr-sim bench`: how much of a world a core-second holds.
//!
//! Owns the clock around the worlds of `vr_sim::bench`, and how the figures are shown: medians of rounds in which the
//! two worlds alternate, with the lowest and the highest. Figures are reported, never judged. Must not know what is
//! simulated. DESIGN §8, 9.21.

mod availability;

use super::args::BenchArgs;
use super::screen::{Figure, bad, count, faint, strong};
use super::stopwatch::Stopwatch;
use super::{Exit, guard, screen};
use serde::Serialize;
use std::ops::Range;
use std::time::Duration;
use vr_sim::bench::{Work, calm, swarm};

/// An odd number, so that there is a median.
const ROUNDS: u32 = 5;
/// Of each world in each round.
const ROUND: Duration = Duration::from_secs(1);
const SEEDS_AT_ONCE: u64 = 50;
const VIRTUAL_SECONDS_AT_ONCE: u32 = 500;

/// One world, for a round.
struct Round {
    work: Work,
    cpu: Duration,
}

impl Round {
    fn run(mut next: impl FnMut() -> Work) -> Self {
        let watch = Stopwatch::start();
        let mut work = Work::default();
        while watch.wall() < ROUND && !guard::is_interrupted() {
            work.add(next());
        }
        Self { work, cpu: watch.cpu(1) }
    }

    fn per_core_second(&self, number: u64) -> Figure {
        Figure::rate(Figure::of(number), Figure::seconds(self.cpu))
    }

    fn virtual_seconds(&self) -> Figure {
        Figure::seconds(Duration::from_nanos(self.work.virtual_ns))
    }
}

/// Several measurements of one thing.
#[derive(Clone, Copy, Serialize)]
struct Spread {
    lowest: Figure,
    median: Figure,
    highest: Figure,
}

impl Spread {
    fn of(rounds: &[Round], figure: impl Fn(&Round) -> Figure) -> Self {
        let mut figures: Vec<_> = rounds.iter().map(figure).collect();
        figures.sort_by(|one, other| one.0.total_cmp(&other.0));
        let at = |place: usize| figures.get(place).copied().unwrap_or_default();
        Self { lowest: at(0), median: at(figures.len() / 2), highest: at(figures.len().saturating_sub(1)) }
    }

    fn text(&self, what: &str) -> String {
        let Self { lowest, median, highest } = self;
        let spread = faint().apply_to(format!("{lowest} to {highest}"));
        format!("  {:>12} {what:<36} {spread}", median.to_string())
    }
}

/// The figures: medians, and in `spread` all there is to know of each.
#[derive(Serialize)]
struct Json {
    virtual_s_per_core_s: Figure,
    steps_per_core_s: Figure,
    messages_per_core_s: Figure,
    acked_ops_per_virtual_s: Figure,
    rounds: u32,
    failures: u64,
    assertions: bool,
    interrupted: bool,
    spread: Spreads,
}

#[derive(Serialize)]
struct Spreads {
    steps_per_core_s: Spread,
    messages_per_core_s: Spread,
    virtual_s_per_core_s: Spread,
    acked_ops_per_virtual_s: Spread,
}

/// Carries it out.
///
/// # Errors
/// In one line, when there are no seeds, or a directory cannot be written to.
pub(crate) fn bench(args: &BenchArgs) -> Result<Exit, String> {
    guard::listen();
    if args.availability { availability::bench(args) } else { Ok(rates(args)) }
}

/// What a core-second holds.
fn rates(args: &BenchArgs) -> Exit {
    if !args.json {
        screen::say(&format!("one core, {ROUNDS} rounds: the median, and from the lowest to the highest"));
    }
    let (mut swarms, mut calms) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut seeds: Range<u64> = 0..SEEDS_AT_ONCE;
        swarms.push(Round::run(|| {
            let work = swarm(seeds.clone());
            seeds = seeds.end..seeds.end + SEEDS_AT_ONCE;
            work
        }));
        calms.push(Round::run(|| calm(VIRTUAL_SECONDS_AT_ONCE)));
    }
    let steps = Spread::of(&swarms, |round| round.per_core_second(round.work.steps));
    let messages = Spread::of(&swarms, |round| round.per_core_second(round.work.messages));
    let virtual_s = Spread::of(&calms, |round| Figure::rate(round.virtual_seconds(), Figure::seconds(round.cpu)));
    let acked = Spread::of(&calms, |round| Figure::rate(Figure::of(round.work.acked_ops), round.virtual_seconds()));
    let json = Json {
        virtual_s_per_core_s: virtual_s.median,
        steps_per_core_s: steps.median,
        messages_per_core_s: messages.median,
        acked_ops_per_virtual_s: acked.median,
        rounds: ROUNDS,
        failures: swarms.iter().chain(&calms).map(|round| round.work.failures).sum(),
        assertions: cfg!(debug_assertions),
        interrupted: guard::is_interrupted(),
        spread: Spreads {
            steps_per_core_s: steps,
            messages_per_core_s: messages,
            virtual_s_per_core_s: virtual_s,
            acked_ops_per_virtual_s: acked,
        },
    };
    screen::say(&if args.json { json.json() } else { json.text() });
    json.exit()
}

impl Json {
    const fn exit(&self) -> Exit {
        match (self.failures, self.interrupted) {
            (0, false) => Exit::Held,
            (0, true) => Exit::Interrupted,
            (_, _) => Exit::Safety,
        }
    }

    fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain numbers and strings")
    }

    fn text(&self) -> String {
        let Spreads { steps_per_core_s, messages_per_core_s, virtual_s_per_core_s, acked_ops_per_virtual_s } =
            &self.spread;
        let mut lines = vec![
            strong().apply_to("swarm: clusters of all sizes, all faults, all checkers").to_string(),
            steps_per_core_s.text("steps per core-second"),
            messages_per_core_s.text("messages per core-second"),
            strong().apply_to("calm: 3 replicas, heartbeats of 50 ms, no faults, all checkers").to_string(),
            virtual_s_per_core_s.text("virtual seconds per core-second"),
            acked_ops_per_virtual_s.text("acknowledged ops per virtual second"),
        ];
        if self.assertions {
            lines.push(
                "this build has its assertions on: `cargo run --release -p vr-sim -- bench` is the one that counts"
                    .into(),
            );
        }
        if self.interrupted {
            lines.push(bad().apply_to("interrupted: these figures are of what was done until then").to_string());
        }
        if self.failures > 0 {
            let told = format!("in {} runs a property did not hold: `vr-sim run` tells which", count(self.failures));
            lines.push(bad().apply_to(told).to_string());
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_lies_between_the_lowest_and_the_highest() {
        let round = |steps| Round { work: Work { steps, ..Work::default() }, cpu: Duration::from_secs(2) };
        let rounds = [90, 10, 40].map(round);
        let Spread { lowest, median, highest } = Spread::of(&rounds, |round| round.per_core_second(round.work.steps));
        assert_eq!((lowest.0, median.0, highest.0), (5.0, 20.0, 45.0));
        assert_eq!(Spread::of(&[], Round::virtual_seconds).median, Figure(0.0));
    }
}
