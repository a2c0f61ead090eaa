//! What something costs: the same load with it and without, in alternation, pair by pair.
//!
//! Owns the order of the runs and the figures: the median over the pairs, and an interval around it that assumes nothing
//! about how they are spread. Must not know how load is made, nor what it is that costs.

use serde_json::json;
use std::fmt::Write;
use std::time::Duration;
use tokio::time::sleep;

/// Between two runs against two clusters: what one of them still writes is not the other's.
const PAUSE: Duration = Duration::from_millis(500);

/// What the two kinds of runs are called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Words {
    without: &'static str,
    with: &'static str,
}

impl Words {
    pub(super) const WATCHED: Self = Self { without: "unwatched", with: "watched" };
    const RECORDED: Self = Self { without: "unrecorded", with: "recorded" };
}

/// The figures.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Cost {
    words: Words,
    pairs: usize,
    /// Operations a second, the median of the runs …
    without_ops_per_s: f64,
    with_ops_per_s: f64,
    /// … and how many percent were lost, the median of the pairs.
    cost_percent: f64,
    /// With at least this probability …
    confidence_percent: f64,
    /// … the median of all pairs that could be measured is in here.
    from_percent: f64,
    to_percent: f64,
}

/// Measures `pairs` pairs against two clusters; `run` makes one run against the one that records, or against the other.
pub(super) async fn recorded(
    pairs: u16,
    mut run: impl AsyncFnMut(bool) -> f64,
    say: impl Fn(&str),
) -> Result<Cost, String> {
    let one = async |records: bool| {
        sleep(PAUSE).await;
        Ok(run(records).await)
    };
    pairs_of(pairs, Words::RECORDED, one, say).await
}

/// Measures `pairs` pairs; `run` makes one run with it or without and gives its operations a second.
pub(super) async fn pairs_of(
    pairs: u16,
    words: Words,
    mut run: impl AsyncFnMut(bool) -> Result<f64, String>,
    say: impl Fn(&str),
) -> Result<Cost, String> {
    let mut measured = Vec::new();
    for pair in 0..pairs {
        let mut rates = [0.0; 2];
        // What goes first takes turns: whatever drifts helps neither.
        for turn in 0..2 {
            let is_with = (u32::from(pair) + turn) % 2 == 1;
            rates[usize::from(is_with)] = run(is_with).await?;
        }
        let [without, with] = rates;
        if without <= 0.0 || with <= 0.0 {
            return Err("nothing was answered".to_owned());
        }
        say(&format!("pair {}: {without:.0} {}, {with:.0} {}", pair + 1, words.without, words.with));
        measured.push((without, with));
    }
    Ok(Cost::of(words, &measured))
}

impl Cost {
    fn of(words: Words, pairs: &[(f64, f64)]) -> Self {
        let sorted = |values: &mut dyn Iterator<Item = f64>| {
            let mut values: Vec<_> = values.collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let costs = sorted(&mut pairs.iter().map(|(without, with)| (1.0 - with / without) * 100.0));
        let (skipped, confidence) = interval(costs.len());
        let round = |value: f64| (value * 100.0).round() / 100.0;
        Self {
            words,
            pairs: pairs.len(),
            without_ops_per_s: median(&sorted(&mut pairs.iter().map(|pair| pair.0))).round(),
            with_ops_per_s: median(&sorted(&mut pairs.iter().map(|pair| pair.1))).round(),
            cost_percent: round(median(&costs)),
            confidence_percent: (confidence * 1000.0).floor() / 10.0,
            from_percent: round(costs.get(skipped).copied().unwrap_or(0.0)),
            to_percent: round(costs.iter().rev().nth(skipped).copied().unwrap_or(0.0)),
        }
    }

    pub(super) fn json(&self) -> String {
        let mut object = json!({
            "pairs": self.pairs,
            "cost_percent": self.cost_percent,
            "confidence_percent": self.confidence_percent,
            "from_percent": self.from_percent,
            "to_percent": self.to_percent,
        });
        object[format!("{}_ops_per_s", self.words.without)] = self.without_ops_per_s.into();
        object[format!("{}_ops_per_s", self.words.with)] = self.with_ops_per_s.into();
        object.to_string()
    }

    pub(super) fn table(&self) -> String {
        let Self { words: Words { without, with }, pairs, without_ops_per_s, with_ops_per_s, cost_percent, .. } = self;
        let Self { confidence_percent, from_percent, to_percent, .. } = self;
        let mut out = String::new();
        let _ = writeln!(out, "{without:<12} {without_ops_per_s:>12.0} ops/s, the median of {pairs} runs");
        let _ = writeln!(out, "{with:<12} {with_ops_per_s:>12.0} ops/s");
        let interval = format!("{from_percent:.1} to {to_percent:.1} % with {confidence_percent:.1} % confidence");
        let _ = writeln!(out, "cost         {cost_percent:>12.1} %, the median of the pairs; {interval}");
        out
    }
}

fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match (sorted.get(middle), middle.checked_sub(1).and_then(|before| sorted.get(before))) {
        (Some(upper), Some(lower)) if sorted.len().is_multiple_of(2) => f64::midpoint(*upper, *lower),
        (Some(middle), _) => *middle,
        (None, _) => 0.0,
    }
}

/// How many of so many measurements may be left out at each end, so that the median lies between the rest with a
/// probability of 95 % or as much as there is; and that probability. Each is above it or below it like a coin.
fn interval(count: usize) -> (usize, f64) {
    let half = |tosses: usize| (0..tosses).fold(1.0, |chance, _| chance / 2.0);
    let (mut skipped, mut ways, mut outside) = (0, half(count), half(count));
    let mut confidence = 1.0 - 2.0 * outside;
    for next in 1..count.div_ceil(2) {
        let (left, taken) = (count - next + 1, next);
        let ratio = |number: usize| u32::try_from(number).map_or(f64::MAX, f64::from);
        ways *= ratio(left) / ratio(taken);
        outside += ways;
        if 1.0 - 2.0 * outside < 0.95 {
            break;
        }
        (skipped, confidence) = (next, 1.0 - 2.0 * outside);
    }
    (skipped, confidence.max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_around_a_median_is_that_of_the_sign_test() {
        for (count, skipped, percent) in [(5, 0, 93.7), (6, 0, 96.8), (10, 1, 97.8), (20, 5, 95.8)] {
            let (found, confidence) = interval(count);
            assert_eq!((found, (confidence * 1000.0).floor() / 10.0), (skipped, percent), "{count}");
        }
        assert_eq!((interval(0), interval(1)), ((0, 0.0), (0, 0.0)));
    }

    #[test]
    fn the_cost_is_the_median_of_the_pairs() {
        let cost = Cost::of(Words::RECORDED, &[(100.0, 90.0), (1000.0, 990.0), (50.0, 50.0)]);
        assert_eq!((cost.cost_percent, cost.from_percent, cost.to_percent), (1.0, 0.0, 10.0));
        assert_eq!((cost.without_ops_per_s, cost.with_ops_per_s), (100.0, 90.0));
        assert!(cost.table().contains("1.0 %") && cost.json().contains("\"pairs\":3"));
        assert!(cost.json().contains("\"unrecorded_ops_per_s\":100.0") && cost.table().contains("recorded "));
    }
}
