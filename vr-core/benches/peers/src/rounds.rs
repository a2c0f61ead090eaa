//! Taking turns: contenders are sampled one after another, round after round, so that whatever else the machine does
//! falls on all of them; and the medians and intervals that come of it.

use crate::contender::{Case, Contender};
use std::time::Duration;

/// How much to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Samples of every contender in every case.
    pub(crate) rounds: usize,
    /// A sample repeats whole runs until this much has been on the clock.
    pub(crate) sample: Duration,
}

/// Ops through one fresh cluster. Nobody trims its log, so this bounds memory for all alike.
pub(crate) const OPS_PER_RUN: u32 = 20_000;

/// A middle and the interval around it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    pub(crate) fn of(samples: &[f64]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let upper = sorted[sorted.len() / 2];
        let lower = sorted[(sorted.len() - 1) / 2];
        Self { median: f64::midpoint(lower, upper), min: sorted[0], max: sorted[sorted.len() - 1] }
    }
}

/// One row: ops/s of every contender, in the contenders' order, and how many times as fast the first is as each other.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) case: Case,
    pub(crate) speeds: Vec<Spread>,
    pub(crate) ratios: Vec<Spread>,
}

/// Measures one case.
pub(crate) fn measure(contenders: &[&dyn Contender], case: Case, effort: Effort) -> Row {
    let mut samples = vec![Vec::with_capacity(effort.rounds); contenders.len()];
    for contender in contenders {
        // Grows the heap to what this case needs.
        sample(*contender, case, Duration::ZERO);
    }
    for round in 0..effort.rounds {
        for turn in 0..contenders.len() {
            // Everyone goes first in turn.
            let index = (round + turn) % contenders.len();
            samples[index].push(sample(contenders[index], case, effort.sample));
        }
    }
    let speeds = samples.iter().map(|of_one| Spread::of(of_one)).collect();
    // Ratios are taken within a round: its two samples shared the same weather.
    let ratio = |other: &Vec<f64>| {
        let ratios: Vec<f64> = samples[0].iter().zip(other).map(|(first, other)| first / other).collect();
        Spread::of(&ratios)
    };
    let ratios = samples.iter().skip(1).map(ratio).collect();
    Row { case, speeds, ratios }
}

/// Ops/s over as many fresh clusters as it takes to fill `target`.
fn sample(contender: &dyn Contender, case: Case, target: Duration) -> f64 {
    let ops = usize::try_from(OPS_PER_RUN).expect("usize holds a u32");
    let (mut runs, mut clock) = (0.0, Duration::ZERO);
    loop {
        clock += contender.run(case, ops);
        runs += 1.0;
        if clock >= target {
            return runs * f64::from(OPS_PER_RUN) / clock.as_secs_f64();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn the_median_of_an_even_number_of_samples_is_between_the_middle_two() {
        let spread = Spread::of(&[4.0, 1.0, 3.0, 2.0]);
        assert_eq!((spread.median, spread.min, spread.max), (2.5, 1.0, 4.0));
        assert_eq!(Spread::of(&[9.0, 7.0, 8.0]).median, 8.0);
    }
}
