//! What it costs a cluster to be watched: the same load with the view and without, in alternation, pair by pair.
//!
//! Owns the order of the runs and the figures: the median over the pairs, and an interval around it that assumes nothing
//! about how they are spread. The view is a process of its own, with one browser's worth of reading. Must not know how
//! load is made, nor what the view does.

use serde::Serialize;
use std::fmt::Write;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Longer than nodes go on telling events when their last reader has left.
const PAUSE: Duration = Duration::from_millis(2_500);

/// The view, with a reader, until it is dropped.
struct Watched {
    _view: Child,
    reader: JoinHandle<()>,
}

impl Watched {
    async fn start(nodes: &[String]) -> Result<Self, String> {
        let said = |error: std::io::Error| format!("the view: {error}");
        let me = std::env::current_exe().map_err(said)?;
        let mut view = Command::new(me);
        view.args(["view", "--nodes", &nodes.join(",")]).kill_on_drop(true);
        let mut view = view.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().map_err(said)?;
        let mut url = String::new();
        let stdout = view.stdout.take().ok_or("the view says nothing")?;
        BufReader::new(stdout).read_line(&mut url).await.map_err(said)?;
        let address = super::super::wire::address_of(url.trim())?;
        let mut tcp = TcpStream::connect(&address).await.map_err(said)?;
        let ask = format!("GET /api/v1/events HTTP/1.1\r\nhost: {address}\r\n\r\n");
        tcp.write_all(ask.as_bytes()).await.map_err(said)?;
        let reader = tokio::task::spawn_local(async move {
            let mut piece = vec![0; 64 << 10];
            while tcp.read(&mut piece).await.is_ok_and(|count| count > 0) {}
        });
        Ok(Self { _view: view, reader })
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// The figures.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(super) struct Cost {
    pairs: usize,
    /// Operations a second, the median of the runs …
    unwatched_ops_per_s: f64,
    watched_ops_per_s: f64,
    /// … and how many percent were lost, the median of the pairs.
    cost_percent: f64,
    /// With at least this probability …
    confidence_percent: f64,
    /// … the median of all pairs that could be measured is in here.
    from_percent: f64,
    to_percent: f64,
}

/// Measures `pairs` pairs; `run` makes one run and gives its operations a second.
pub(super) async fn cost(
    pairs: u16,
    nodes: &[String],
    mut run: impl AsyncFnMut() -> f64,
    say: impl Fn(&str),
) -> Result<Cost, String> {
    let mut measured = Vec::new();
    for pair in 0..pairs {
        let mut rates = [0.0; 2];
        // What goes first takes turns: whatever drifts helps neither.
        for turn in 0..2 {
            let is_watched = (u32::from(pair) + turn) % 2 == 1;
            let watched = if is_watched { Some(Watched::start(nodes).await?) } else { None };
            sleep(PAUSE).await;
            rates[usize::from(is_watched)] = run().await;
            drop(watched);
        }
        let [without, with] = rates;
        if without <= 0.0 || with <= 0.0 {
            return Err("nothing was answered".to_owned());
        }
        say(&format!("pair {}: {without:.0} unwatched, {with:.0} watched", pair + 1));
        measured.push((without, with));
    }
    Ok(Cost::of(&measured))
}

impl Cost {
    fn of(pairs: &[(f64, f64)]) -> Self {
        let sorted = |values: &mut dyn Iterator<Item = f64>| {
            let mut values: Vec<_> = values.collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let costs = sorted(&mut pairs.iter().map(|(without, with)| (1.0 - with / without) * 100.0));
        let (skipped, confidence) = interval(costs.len());
        let round = |value: f64| (value * 100.0).round() / 100.0;
        Self {
            pairs: pairs.len(),
            unwatched_ops_per_s: median(&sorted(&mut pairs.iter().map(|pair| pair.0))).round(),
            watched_ops_per_s: median(&sorted(&mut pairs.iter().map(|pair| pair.1))).round(),
            cost_percent: round(median(&costs)),
            confidence_percent: (confidence * 1000.0).floor() / 10.0,
            from_percent: round(costs.get(skipped).copied().unwrap_or(0.0)),
            to_percent: round(costs.iter().rev().nth(skipped).copied().unwrap_or(0.0)),
        }
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(super) fn table(&self) -> String {
        let Self { pairs, unwatched_ops_per_s, watched_ops_per_s, cost_percent, .. } = self;
        let Self { confidence_percent, from_percent, to_percent, .. } = self;
        let mut out = String::new();
        let _ = writeln!(out, "unwatched    {unwatched_ops_per_s:>12.0} ops/s, the median of {pairs} runs");
        let _ = writeln!(out, "watched      {watched_ops_per_s:>12.0} ops/s");
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
        let cost = Cost::of(&[(100.0, 90.0), (1000.0, 990.0), (50.0, 50.0)]);
        assert_eq!((cost.cost_percent, cost.from_percent, cost.to_percent), (1.0, 0.0, 10.0));
        assert_eq!((cost.unwatched_ops_per_s, cost.watched_ops_per_s), (100.0, 90.0));
        assert!(cost.table().contains("1.0 %") && cost.json().contains("\"pairs\":3"));
    }
}
