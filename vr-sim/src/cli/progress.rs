//! How far a sweep is, for whoever waits: a bar on a terminal, a line every ten seconds elsewhere.
//!
//! Owns what is shown while seeds run, on stderr, at most five times a second. Must not know anything that the report
//! does not know.

use super::report::Report;
use super::screen::{self, Figure, count, counted};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

const LINE_EVERY: Duration = Duration::from_secs(10);
const DRAWS_PER_SECOND: u8 = 5;
/// Of those who were never seen, so many are named.
const NAMED: usize = 4;

/// How far it will go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// So many seeds.
    Seeds(u64),
    /// So long.
    Time(Duration),
}

/// Shows how far it is.
pub(crate) struct Progress {
    goal: Goal,
    started: Instant,
    shown: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Nothing done yet.
    pub(crate) fn new(goal: Goal) -> Self {
        let now = Instant::now();
        let bar = io::stderr().is_terminal().then(|| bar(goal));
        Self { goal, started: now, shown: now, bar }
    }

    /// This much is done.
    pub(crate) fn show(&mut self, report: &Report) {
        let goal = self.goal;
        self.tell(report.seeds, |elapsed| line(goal, report, elapsed));
    }

    /// So many seeds are done; the line is made when it is time for one, of how long it took so far.
    pub(crate) fn tell(&mut self, seeds: u64, line: impl FnOnce(Duration) -> String) {
        let (now, every) = match self.bar {
            Some(_) => (Instant::now(), Duration::from_secs(1) / u32::from(DRAWS_PER_SECOND)),
            None => (Instant::now(), LINE_EVERY),
        };
        if now.duration_since(self.shown) < every {
            return;
        }
        self.shown = now;
        let elapsed = now.duration_since(self.started);
        let line = line(elapsed);
        match &self.bar {
            Some(bar) => {
                bar.set_position(match self.goal {
                    Goal::Seeds(_) => seeds,
                    Goal::Time(whole) => millis(elapsed.min(whole)),
                });
                bar.set_message(line);
            }
            None => screen::complain(&line),
        }
    }

    /// Says something that stays, above the bar.
    pub(crate) fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| screen::say(text)),
            None => screen::say(text),
        }
    }

    /// Nothing more will happen: the bar goes.
    pub(crate) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn line(goal: Goal, report: &Report, elapsed: Duration) -> String {
    let done = match goal {
        Goal::Seeds(all) => format!("{}/{} seeds", count(report.seeds), count(all)),
        Goal::Time(whole) => {
            format!("{}/{} s, {}", elapsed.as_secs(), whole.as_secs(), counted(report.seeds, "seed"))
        }
    };
    let wall = Figure::seconds(elapsed);
    let rate = Figure::rate(Figure::of(report.seeds), wall);
    let times = Figure::rate(report.virtual_seconds(), wall);
    let failures = counted(report.failed(), "failure");
    let never = report.marks.never_seen();
    let named = never.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    let more = never.len().saturating_sub(NAMED);
    let never = match (never.is_empty(), more) {
        (true, _) => String::new(),
        (false, 0) => format!("  never yet: {named}"),
        (false, more) => format!("  never yet: {named} and {more} more"),
    };
    format!("{done}  {rate}/s  ×{times} real time  {failures}{never}")
}

fn bar(goal: Goal) -> ProgressBar {
    let length = match goal {
        Goal::Seeds(all) => all,
        Goal::Time(whole) => millis(whole),
    };
    let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND);
    let style = ProgressStyle::with_template("▕{bar:20}▏ {wide_msg}").expect("a template that was tried");
    ProgressBar::with_draw_target(Some(length), target).with_style(style.progress_chars("█▉▊▋▌▍▎▏  "))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
