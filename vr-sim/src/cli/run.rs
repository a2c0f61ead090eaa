//! `vr-sim run`: many seeds, or one scenario; stops at the first failure unless told to go on.
//!
//! Owns the order of what is said: progress while it runs, failures as they are found, the report, and a command last.
//! Must not know how a run is run. DESIGN §8.

use super::args::RunArgs;
use super::failure::{self, Origin};
use super::jobs::{self, News, Plan, Then};
use super::progress::{Goal, Progress};
use super::report::{self, Kind, Report};
use super::small::small;
use super::stopwatch::Stopwatch;
use super::{Exit, guard, scenarios, screen, trace};
use std::time::Instant;
use vr_sim::case::Case;
use vr_sim::run::{Outcome, run_seed};
use vr_sim::swarm::Options;
use vr_sim::tape::Tape;

/// With `--keep-going` so many failures are told in full and leave a trace; the others leave their case.
const TOLD_IN_FULL: usize = 10;

/// Carries it out.
///
/// # Errors
/// In one line, when it asks for what cannot be; nothing was run then.
pub(crate) fn run(args: &RunArgs) -> Result<Exit, String> {
    let options = args.cluster.options()?;
    match &args.scenario {
        Some(name) => scenarios::run(name, args),
        None => Ok(seeds(args, &options)),
    }
}

fn seeds(args: &RunArgs, options: &Options) -> Exit {
    guard::listen();
    let (watch, now) = (Stopwatch::start(), Instant::now());
    let seeds = if args.for_time.is_some() { 0..u64::MAX } else { args.seeds.clone() };
    let until = args.for_time.and_then(|time| now.checked_add(time));
    let plan = Plan { seeds, shard: args.shard, until, jobs: jobs::threads(args.jobs.jobs) };
    let mut report = Report { floors_hold: args.cluster.is_swarm(), ..Report::new(report::SEED, plan.jobs) };
    let mut progress = Progress::new(args.for_time.map_or(Goal::Seeds(plan.len()), Goal::Time));
    let (mut last, mut first) = (String::new(), None);
    let ends = |outcome: &Outcome| !args.keep_going && !outcome.passed();
    jobs::sweep(&plan, &|seed| guarded(options, seed), &ends, &mut |news| {
        if let News::Done(seed, outcome) = news {
            report.add(&outcome);
            if let Some(kind) = Kind::of(&outcome) {
                last = keep(args, &mut report, &outcome, kind, seed);
                first = first.take().or(outcome.case);
                if !args.keep_going {
                    return Then::Stop;
                }
                if !args.json {
                    let gap = if report.failures.len() <= TOLD_IN_FULL { "\n" } else { "" };
                    progress.say(&format!("{last}{gap}"));
                }
            }
        }
        progress.show(&report);
        Then::GoOn
    });
    progress.end();
    report.interrupted = guard::is_interrupted();
    (report.wall, report.cpu) = (watch.wall(), watch.cpu(plan.jobs));
    if let Some(case) = first.filter(|_| !args.no_shrink && !report.interrupted) {
        shrink_first(&case, &mut report, &mut last, args);
    }
    conclude(&report, &last, args)
}

/// What can be left out of the first failure without its property holding again.
fn shrink_first(case: &Case, report: &mut Report, last: &mut String, args: &RunArgs) {
    let Some(failure) = report.failures.first_mut() else { return };
    failure.small = small(case, &args.out, &format!("seed-{}", failure.seed));
    if let (Some(small), false) = (&failure.small, args.keep_going) {
        *last = failure::with_small(last, small);
    }
}

/// One seed. A panic that the run did not catch itself is one that the simulator made: told all the same.
pub(crate) fn guarded(options: &Options, seed: u64) -> Outcome {
    watched(seed, || run_seed(options, seed))
}

/// A run whose panics are told with their place.
pub(crate) fn watched(seed: u64, run: impl FnOnce() -> Outcome) -> Outcome {
    let mut outcome = guard::watched(run).unwrap_or_else(|what| lost(seed, what));
    if outcome.panicked.is_some() {
        // The same with its place in the source.
        outcome.panicked = guard::last_panic().or(outcome.panicked);
    }
    outcome
}

/// What is left of a run that was lost in a panic.
fn lost(seed: u64, what: String) -> Outcome {
    Outcome {
        seed,
        violation: None,
        panicked: Some(what),
        digest: 0,
        steps: 0,
        messages: 0,
        virtual_ns: 0,
        acked_ops: 0,
        undecided: 0,
        marks: vr_sim::marks::Marks::default(),
        case: None,
    }
}

/// Keeps a failing seed, and says what is to be said of it.
fn keep(args: &RunArgs, report: &mut Report, outcome: &Outcome, kind: Kind, seed: u64) -> String {
    let in_full = report.failures.len() < TOLD_IN_FULL;
    let again = [vec!["replay".to_owned(), seed.to_string()], args.cluster.words()].concat();
    let case = outcome.case.as_ref().filter(|_| in_full);
    let traced = case.map(|case| move |repro: &str| trace::of_case(case, repro));
    let origin = Origin {
        out: &args.out,
        name: &format!("seed-{seed}"),
        scenario: None,
        again: &again,
        planted: args.cluster.mutant.is_some(),
        trace: traced.as_ref().map(|traced| -> &dyn Fn(&str) -> Tape { traced }),
    };
    let (failure, text) = failure::keep(outcome, kind, &origin);
    let text = if in_full { text } else { format!("seed {seed} violated {}: {}", failure.property, failure.replay) };
    report.failures.push(failure);
    text
}

/// The report, and behind it what is to be done about a failure: the last line is a command.
pub(crate) fn conclude(report: &Report, last: &str, args: &RunArgs) -> Exit {
    report::print(report, args.json);
    if !args.json && !last.is_empty() {
        let told = if args.keep_going { report.failures.first().map(first_again) } else { None };
        screen::say(&format!("\n{}", told.as_deref().unwrap_or(last)));
    }
    let is_plain = !args.json && last.is_empty() && args.scenario.is_none();
    if let Some(seed) = report.doubtful().filter(|_| is_plain) {
        screen::say(&format!("look at the first:\n{}", again(args, seed)));
    }
    report.exit()
}

/// The command that runs this seed again.
fn again(args: &RunArgs, seed: u64) -> String {
    let words = [vec!["replay".to_owned(), seed.to_string()], args.cluster.words()].concat();
    failure::command(&words, args.cluster.mutant.is_some())
}

fn first_again(first: &report::Failure) -> String {
    let small = first.small.as_ref().map_or_else(String::new, |small| format!("{}\n", small.text()));
    format!("{small}the first of them again:\n{}", first.replay)
}
