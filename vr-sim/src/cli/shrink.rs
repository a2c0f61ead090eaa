//! `vr-sim shrink`: a failing case, made small; and the same for the first failure of a run.
//!
//! Owns the budget of time and what is told of it. Must not know what is left out. DESIGN §8.

use super::args::{ClusterArgs, duration};
use super::screen::{self, counted, faint, strong};
use super::{Exit, failure, guard, replay};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::io::{self, IsTerminal};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};
use vr_sim::case::Case;
use vr_sim::run::record_seed;
use vr_sim::shrink::{Progress, Shrunk, as_test, shrink};

/// So many decisions are told in words.
const TOLD: usize = 30;

/// Options of `shrink`.
#[derive(Args, Debug)]
pub(crate) struct ShrinkArgs {
    /// A failing seed, or a case file
    #[arg(value_name = "CASE")]
    pub(crate) case: String,
    /// Try for so long
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "60s")]
    pub(crate) budget: Duration,
    /// Where the small case goes [default: beside the case, as NAME.min.vrcase]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Write it as a Rust test too, which fails as long as the bug is there
    #[arg(long, value_name = "FILE")]
    pub(crate) emit_test: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// Carries it out.
///
/// # Errors
/// In one line, when there is nothing to shrink or a file cannot be written.
pub(crate) fn run(args: &ShrinkArgs) -> Result<Exit, String> {
    guard::listen();
    let case = subject(args)?;
    let began = Instant::now();
    let shrunk = within(&case, args.budget)?;
    let output = args.output.clone().unwrap_or_else(|| beside(args));
    write(&output, &shrunk.case.write())?;
    if let Some(path) = &args.emit_test {
        write(path, &as_test(&shrunk.case))?;
    }
    let words = ["replay".to_owned(), output.display().to_string()];
    let told = Told {
        before: &case,
        shrunk: &shrunk,
        output: &output,
        emit_test: args.emit_test.as_deref(),
        wall: began.elapsed(),
    };
    let again = failure::command(&words, shrunk.case.setup.mutant.is_some());
    screen::say(&if args.json { told.json(&again) } else { told.text(&again) });
    Ok(Exit::Held)
}

/// The case of a seed, or of a file.
fn subject(args: &ShrinkArgs) -> Result<Case, String> {
    if let Ok(seed) = args.case.parse::<u64>() {
        let options = args.cluster.options()?;
        let outcome = guard::watched(|| record_seed(&options, seed))?;
        return outcome.case.map(|case| *case).ok_or_else(|| format!("seed {seed} left no case"));
    }
    let case = replay::case_of(&args.case)?;
    match args.cluster.words().first() {
        Some(option) => Err(format!("{}: a case file brings its own cluster; {option} is for seeds", args.case)),
        None => Ok(case),
    }
}

/// Shrinks within a budget of time, with a bar on a terminal.
///
/// # Errors
/// When there is nothing to shrink.
pub(crate) fn within(case: &Case, budget: Duration) -> Result<Shrunk, String> {
    let (began, bar) = (Instant::now(), bar(budget));
    let result = guard::watched(|| {
        shrink(case, &together, &mut |progress| {
            let elapsed = began.elapsed();
            if let Some(bar) = &bar {
                bar.set_position(millis(elapsed));
                bar.set_message(line(progress));
            }
            elapsed < budget && !guard::is_interrupted()
        })
    });
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    result?
}

/// The same work on every core.
fn together(work: &(dyn Fn() + Sync)) {
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZeroUsize::get) {
            scope.spawn(|| guard::watched(work));
        }
    });
}

fn line(progress: &Progress) -> String {
    let Progress { runs, decisions, replicas, steps, .. } = *progress;
    let [runs, decisions] = [counted(runs, "run"), counted(decisions, "decision")];
    format!("{runs}: {decisions}, {}, {}", counted(replicas, "replica"), counted(steps, "step"))
}

fn bar(budget: Duration) -> Option<ProgressBar> {
    io::stderr().is_terminal().then(|| {
        let style = ProgressStyle::with_template("shrinking ▕{bar:20}▏ {wide_msg}").expect("a template that was tried");
        let target = ProgressDrawTarget::stderr_with_hz(5);
        ProgressBar::with_draw_target(Some(millis(budget)), target).with_style(style.progress_chars("█▉▊▋▌▍▎▏  "))
    })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn beside(args: &ShrinkArgs) -> PathBuf {
    if args.case.parse::<u64>().is_ok() {
        return PathBuf::from(format!("seed-{}.min.vrcase", args.case));
    }
    Path::new(&args.case).with_extension("min.vrcase")
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|why| format!("{}: {why}", path.display()))
}

struct Told<'a> {
    before: &'a Case,
    shrunk: &'a Shrunk,
    output: &'a Path,
    emit_test: Option<&'a Path>,
    wall: Duration,
}

impl Told<'_> {
    fn text(&self, again: &str) -> String {
        let Shrunk { case, progress, is_done } = self.shrunk;
        let property = case.violation.as_deref().unwrap_or_default();
        let was = counted(decisions(self.before), "decision");
        let is = counted(decisions(case), "decision");
        let mut lines = vec![
            format!("{} still breaks: {was}, now {is}", strong().apply_to(property)),
            format!("  {}; {}", failure::cluster(&case.setup), line(progress)),
        ];
        if !is_done {
            lines.push(format!(
                "  {}",
                faint().apply_to("the time was up before everything was tried: --budget gives more")
            ));
        }
        lines.extend(case.decisions.iter().take(TOLD).map(|decision| format!("    {decision}")));
        lines.push(format!("  {} {}", faint().apply_to("case"), self.output.display()));
        lines.extend(self.emit_test.map(|path| format!("  {} {}", faint().apply_to("test"), path.display())));
        lines.push(format!("replay it:\n{again}"));
        lines.join("\n")
    }

    fn json(&self, again: &str) -> String {
        #[derive(Serialize)]
        struct Json<'a> {
            property: Option<&'a str>,
            decisions_before: u64,
            decisions: u64,
            replicas: u16,
            clients: u32,
            steps: u64,
            runs: u64,
            done: bool,
            seconds: f64,
            case: &'a Path,
            test: Option<&'a Path>,
            replay: &'a str,
        }
        let Shrunk { case, progress, is_done } = self.shrunk;
        let object = Json {
            property: case.violation.as_deref(),
            decisions_before: decisions(self.before),
            decisions: decisions(case),
            replicas: case.setup.replicas,
            clients: case.setup.clients,
            steps: progress.steps,
            runs: progress.runs,
            done: *is_done,
            seconds: self.wall.as_secs_f64(),
            case: self.output,
            test: self.emit_test,
            replay: again,
        };
        serde_json::to_string_pretty(&object).expect("plain numbers and strings")
    }
}

/// How many decisions depart from the default schedule.
pub(crate) fn decisions(case: &Case) -> u64 {
    u64::try_from(case.decisions.len()).unwrap_or(u64::MAX)
}
