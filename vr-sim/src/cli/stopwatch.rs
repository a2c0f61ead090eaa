//! How long something took: on the wall, and of the processor over all threads.
//!
//! Owns the only reading of clocks besides deadlines. Must not know what is measured.

use std::fs;
use std::time::{Duration, Instant};

/// Linux counts the time of processes in hundredths of a second, whatever its own clock does (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// Runs from its start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch {
    started: Instant,
    used: Option<Duration>,
}

impl Stopwatch {
    /// Now.
    pub(crate) fn start() -> Self {
        Self { started: Instant::now(), used: used() }
    }

    /// On the wall.
    pub(crate) fn wall(&self) -> Duration {
        self.started.elapsed()
    }

    /// Of the processor, by all threads; where the system does not say, as if `jobs` of them had never waited.
    pub(crate) fn cpu(&self, jobs: u16) -> Duration {
        let passed = used().zip(self.used).map(|(now, then)| now.saturating_sub(then));
        passed.unwrap_or_else(|| self.wall() * u32::from(jobs))
    }
}

/// What this process used so far, in user and system mode.
fn used() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    ticks(&stat).map(|ticks| TICK * ticks)
}

/// The 14th and 15th fields; the second is a name in parentheses that may hold anything.
fn ticks(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let (user, system) = (fields.next()?.parse::<u32>().ok()?, fields.next()?.parse::<u32>().ok()?);
    user.checked_add(system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found_behind_any_name() {
        let stat = "7 (a) b (c) R 1 7 7 0 -1 4194304 100 0 0 0 250 17 0 0 20 0 1 0 5 6 7";
        assert_eq!(ticks(stat), Some(267));
        assert_eq!(ticks("nothing"), None);
    }
}
