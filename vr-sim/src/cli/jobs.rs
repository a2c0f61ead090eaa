//! Many seeds at once: threads that pull seeds from a counter, and their results put back in order.
//!
//! Owns the threads. How many there are changes no result: results are handed on in seed order, and a sweep that ends
//! at the first failure ends at the lowest failing seed, whichever was found first. Must not know what a run is.

use super::args::Shard;
use super::guard;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How often whoever watches is told how far it is, at most.
const BEAT: Duration = Duration::from_millis(200);

/// Which seeds, for how long, on how many threads.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The seeds.
    pub(crate) seeds: Range<u64>,
    /// The part of them that is ours.
    pub(crate) shard: Shard,
    /// No seed is started after this moment.
    pub(crate) until: Option<Instant>,
    /// The threads.
    pub(crate) jobs: u16,
}

impl Plan {
    /// How many seeds there are at most.
    pub(crate) const fn len(&self) -> u64 {
        let all = self.seeds.end - self.seeds.start;
        let (before, of) = (self.shard.part - 1, self.shard.of);
        if all <= before { 0 } else { (all - before).div_ceil(of) }
    }

    /// The seed at a place of the plan.
    fn seed(&self, place: u64) -> Option<u64> {
        (place < self.len()).then(|| self.seeds.start + (self.shard.part - 1) + place * self.shard.of)
    }
}

/// As many threads as were asked for, or as there are cores.
pub(crate) fn threads(asked: Option<u16>) -> u16 {
    let cores = || thread::available_parallelism().map_or(1, NonZeroUsize::get);
    asked.unwrap_or_else(|| u16::try_from(cores()).unwrap_or(1024))
}

/// After a result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Then {
    /// The next one.
    GoOn,
    /// This was the last one that counts.
    Stop,
}

/// What a sweep tells whoever watches.
pub(crate) enum News<T> {
    /// A seed is done; seeds come in order.
    Done(u64, T),
    /// Time passes.
    Beat,
}

struct Counter<'a> {
    plan: &'a Plan,
    next: AtomicU64,
    closed: AtomicBool,
}

impl Counter<'_> {
    /// The next seed and its place, unless it is over.
    fn pull(&self) -> Option<(u64, u64)> {
        let late = self.plan.until.is_some_and(|until| Instant::now() >= until);
        if late || self.closed.load(Ordering::Relaxed) || guard::is_interrupted() {
            return None;
        }
        let place = self.next.fetch_add(1, Ordering::Relaxed);
        self.plan.seed(place).map(|seed| (place, seed))
    }
}

/// Runs the plan. `ends` tells, on its own thread, whether a result would end the sweep, so that no seeds are started
/// in vain; `watch` sees all results in seed order until it says stop.
pub(crate) fn sweep<T: Send>(
    plan: &Plan,
    run: &(dyn Fn(u64) -> T + Sync),
    ends: &(dyn Fn(&T) -> bool + Sync),
    watch: &mut dyn FnMut(News<T>) -> Then,
) {
    let counter = Counter { plan, next: AtomicU64::new(0), closed: AtomicBool::new(false) };
    let (sender, results) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..u64::from(plan.jobs).min(plan.len()) {
            let (sender, counter) = (sender.clone(), &counter);
            scope.spawn(move || {
                while let Some((place, seed)) = counter.pull() {
                    let result = run(seed);
                    if ends(&result) {
                        counter.closed.store(true, Ordering::Relaxed);
                    }
                    if sender.send((place, seed, result)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        collect(&results, &counter, watch);
    });
}

/// Hands results on in order. Every place below one that arrived was pulled before it, so that no gap stays.
fn collect<T>(results: &mpsc::Receiver<(u64, u64, T)>, counter: &Counter<'_>, watch: &mut dyn FnMut(News<T>) -> Then) {
    let mut early = BTreeMap::new();
    let mut place = 0;
    loop {
        match results.recv_timeout(BEAT) {
            Ok((at, seed, result)) => drop(early.insert(at, (seed, result))),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        while let Some((seed, result)) = early.remove(&place) {
            place += 1;
            if watch(News::Done(seed, result)) == Then::Stop {
                counter.closed.store(true, Ordering::Relaxed);
                return;
            }
        }
        watch(News::Beat);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(seeds: Range<u64>, part: u64, of: u64, jobs: u16) -> Plan {
        Plan { seeds, shard: Shard { part, of }, until: None, jobs }
    }

    fn swept(plan: &Plan, failing: &[u64]) -> Vec<u64> {
        let mut seen = Vec::new();
        // Low seeds are slow, so that results arrive out of order.
        let run = |seed: u64| {
            thread::sleep(Duration::from_millis(if seed.is_multiple_of(4) { 5 } else { 0 }));
            failing.contains(&seed)
        };
        sweep(plan, &run, &|failed| *failed, &mut |news| match news {
            News::Done(seed, failed) => {
                seen.push(seed);
                if failed { Then::Stop } else { Then::GoOn }
            }
            News::Beat => Then::GoOn,
        });
        seen
    }

    #[test]
    fn results_come_in_seed_order_whatever_the_number_of_threads() {
        for jobs in [1, 2, 7] {
            assert_eq!(swept(&plan(10..40, 1, 1, jobs), &[]), (10..40).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_lowest_failing_seed_ends_a_sweep_whichever_was_found_first() {
        for jobs in [1, 2, 7] {
            assert_eq!(swept(&plan(0..1000, 1, 1, jobs), &[8, 9, 13]), (0..=8).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_shards_of_a_range_are_the_range() {
        let mut all: Vec<_> = (1..=3).flat_map(|part| swept(&plan(5..16, part, 3, 2), &[])).collect();
        all.sort_unstable();
        assert_eq!(all, (5..16).collect::<Vec<_>>());
        let lengths = [1, 2, 3].map(|part| plan(5..16, part, 3, 1).len());
        assert_eq!(lengths, [4, 4, 3]);
        assert_eq!(plan(0..1, 2, 2, 1).len(), 0);
        assert_eq!(plan(0..u64::MAX, 1, 1, 1).len(), u64::MAX);
    }

    #[test]
    fn when_the_time_is_up_no_seed_is_started() {
        let late = Plan { until: Some(Instant::now()), ..plan(0..100, 1, 1, 2) };
        assert!(swept(&late, &[]).is_empty());
    }
}
