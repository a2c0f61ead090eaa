//! `vr-sim check`: an exhaustive search, how far it is, and what came of it.
//!
//! Owns the bar, the report and the case file of what was found. Never says just that all is well: how many states, how
//! deep, within which bounds, and whether that was all of them. Must not know how anything is searched. DESIGN §8.

use super::args::CheckArgs;
use super::failure::command;
use super::screen::{Figure, bad, count, counted, faint, good, strong};
use super::{Exit, guard, mutants, screen};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use vr_core::Durability;
use vr_sim::explore::{Bounds, Found, Search, Tally, repeated};

/// Between two looks at the clock.
const STRIDE: u32 = 5_000;
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Carries it out.
///
/// # Errors
/// In one line: when there is no such cluster or planted bug, or what was found cannot be repeated or written.
pub(crate) fn check(args: &CheckArgs) -> Result<Exit, String> {
    let bounds = args.bounds();
    bounds.mutant.as_deref().map_or(Ok(()), mutants::known)?;
    guard::listen();
    let started = Instant::now();
    let (search, interrupted) = guard::watched(|| searched(&bounds, started))??;
    let wall = started.elapsed();
    let found = guard::watched(|| repeated(&search))??;
    let case = found.as_ref().map(|found| written(args, &bounds, found)).transpose()?;
    let told = Told { bounds: &bounds, tally: search.tally(), found: found.as_ref(), case, wall, interrupted };
    screen::say(&if args.json { told.json() } else { told.text() });
    Ok(told.exit())
}

/// The search, gone on with until it ends or somebody wants it to.
fn searched(bounds: &Bounds, started: Instant) -> Result<(Search, bool), String> {
    let mut search = Search::new(bounds)?;
    let bar = io::stderr().is_terminal().then(|| bar(bounds.states));
    let mut shown = started;
    while search.go(STRIDE) {
        if guard::is_interrupted() {
            return Ok((search, true));
        }
        let line = || progress(&search.tally(), started.elapsed());
        if let Some(bar) = &bar {
            bar.set_position(search.tally().states);
            bar.set_message(line());
        } else if shown.elapsed() >= LINE_EVERY {
            shown = Instant::now();
            screen::complain(&line());
        }
    }
    bar.into_iter().for_each(|bar| bar.finish_and_clear());
    Ok((search, false))
}

fn bar(states: u32) -> ProgressBar {
    let style = ProgressStyle::with_template("▕{bar:20}▏ {wide_msg}").expect("a template that was tried");
    let target = ProgressDrawTarget::stderr_with_hz(5);
    ProgressBar::with_draw_target(Some(states.into()), target).with_style(style.progress_chars("█▉▊▋▌▍▎▏  "))
}

fn progress(tally: &Tally, elapsed: Duration) -> String {
    let rate = Figure::rate(Figure::of(tally.states), Figure::seconds(elapsed));
    format!(
        "{}  {rate}/s  depth {}  {} to go on from",
        counted(tally.states, "state"),
        tally.depth,
        count(tally.waiting)
    )
}

fn written(args: &CheckArgs, bounds: &Bounds, found: &Found) -> Result<PathBuf, String> {
    let mutant = bounds.mutant.as_deref().map_or_else(String::new, |name| format!("-{name}"));
    let Bounds { replicas, requests, views, crashes, .. } = bounds;
    let path = args.out.join(format!("check-{replicas}-{requests}-{views}-{crashes}{mutant}.vrcase"));
    let written = std::fs::create_dir_all(&args.out).and_then(|()| std::fs::write(&path, found.case.write()));
    written.map(|()| path.clone()).map_err(|why| format!("{}: {why}", path.display()))
}

/// What is told of it.
struct Told<'a> {
    bounds: &'a Bounds,
    tally: Tally,
    found: Option<&'a Found>,
    case: Option<PathBuf>,
    wall: Duration,
    interrupted: bool,
}

impl Told<'_> {
    fn exit(&self) -> Exit {
        match (self.found, self.interrupted) {
            // The laboratory is the judge of last resort: what it does not see, nobody saw.
            (Some(found), _) if found.case.violation.is_none() => Exit::NotReproduced,
            (Some(found), _) if found.seen.property == "panic" => Exit::Panicked,
            (Some(_), _) => Exit::Safety,
            (None, true) => Exit::Interrupted,
            (None, false) => Exit::Held,
        }
    }

    fn words(&self) -> String {
        let Bounds { replicas, requests, views, crashes, durability, ref mutant, judge, .. } = *self.bounds;
        let mode = if durability == Durability::Sync { "sync" } else { "async" };
        let planted = mutant.as_ref().map_or_else(String::new, |name| format!(", planted bug {name}"));
        format!(
            "{}, {mode}, {}, {} after the first, {}, judged by {}{planted}",
            counted(replicas.into(), "replica"),
            counted(requests.into(), "request"),
            counted(views.into(), "view"),
            counted_crashes(crashes.into()),
            judge.word(),
        )
    }

    fn text(&self) -> String {
        let Tally { states, moves, depth, waiting, beyond, met, complete } = &self.tally;
        let wall = Figure::seconds(self.wall);
        let mut lines = vec![
            format!("{}: {}", strong().apply_to("check"), self.words()),
            format!("  {}, depth {depth}, {} tried, in {wall} s", counted(*states, "state"), counted(*moves, "move")),
            format!(
                "  {}",
                faint().apply_to(format!(
                    "of {}, {}, {}; {} led beyond the bounds",
                    counted(met[0], "replica state"),
                    counted(met[1], "message"),
                    counted(met[2], "step"),
                    counted(*beyond, "move"),
                ))
            ),
        ];
        let Some(found) = self.found else {
            lines.push(if *complete {
                good().apply_to("complete: every state within these bounds was seen, and all held in each").to_string()
            } else {
                let left = format!("not complete: all held as far as it went, {} to go on from", count(*waiting));
                bad().apply_to(left).to_string()
            });
            return lines.join("\n");
        };
        lines.push(format!("{} after {}", bad().apply_to(found.seen.property), counted(found.moves.into(), "move")));
        lines.push(format!("  {}", found.seen.message));
        lines.push(match (&found.case.violation, &found.message) {
            (Some(property), message) => {
                format!("  repeated: {property}: {}", message.as_deref().unwrap_or_default())
            }
            (None, _) => "  repeated by hand, nothing was wrong: states were merged that differ".to_owned(),
        });
        if let Some(case) = &self.case {
            lines.push(command(&["replay".to_owned(), case.display().to_string()], self.bounds.mutant.is_some()));
        }
        lines.join("\n")
    }

    fn json(&self) -> String {
        let Bounds { replicas, requests, views, crashes, durability, ref mutant, states, judge } = *self.bounds;
        let Tally { moves, depth, waiting, beyond, met, complete, .. } = self.tally;
        let violations = self.found.iter().map(|found| Violation {
            property: found.seen.property,
            message: &found.seen.message,
            moves: found.moves,
            repeated: found.case.violation.as_deref(),
            case: self.case.as_ref(),
        });
        let object = Json {
            replicas,
            durability: if durability == Durability::Sync { "sync" } else { "async" },
            requests,
            views,
            crashes,
            mutant: mutant.as_deref(),
            judge: judge.word(),
            limit: states,
            states: self.tally.states,
            depth,
            complete,
            moves,
            waiting,
            beyond,
            replica_states: met[0],
            messages: met[1],
            steps: met[2],
            wall_seconds: Figure::seconds(self.wall),
            violations: violations.collect(),
            exit: self.exit().code(),
        };
        serde_json::to_string_pretty(&object).expect("plain numbers and strings")
    }
}

fn counted_crashes(crashes: u64) -> String {
    if crashes == 1 { "1 crash".to_owned() } else { format!("{crashes} crashes") }
}

#[derive(Serialize)]
struct Violation<'a> {
    property: &'a str,
    message: &'a str,
    moves: u32,
    repeated: Option<&'a str>,
    case: Option<&'a PathBuf>,
}

#[derive(Serialize)]
struct Json<'a> {
    replicas: u16,
    durability: &'a str,
    requests: u8,
    views: u8,
    crashes: u8,
    mutant: Option<&'a str>,
    judge: &'a str,
    limit: u32,
    states: u64,
    depth: u32,
    complete: bool,
    moves: u64,
    waiting: u64,
    beyond: u64,
    replica_states: u64,
    messages: u64,
    steps: u64,
    wall_seconds: Figure,
    violations: Vec<Violation<'a>>,
    exit: u8,
}
