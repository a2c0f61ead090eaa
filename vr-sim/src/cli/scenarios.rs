//! `vr-sim scenarios`, and `vr-sim run --scenario`: the directed scenarios, listed and run.
//!
//! Owns the listing and what is said of a run. Must not know what happens in a scenario. DESIGN §8.

use super::args::{ListArgs, RunArgs};
use super::failure::{self, Origin};
use super::report::{Kind, Report};
use super::run::{conclude, watched};
use super::screen::{WIDTH, bad, counted, faint, good, strong, wrapped};
use super::stopwatch::Stopwatch;
use super::{Exit, guard, screen};
use serde::Serialize;
use vr_core::{Durability, Rules};
use vr_sim::scenario::{self, ScenarioInfo, mode_of};
use vr_sim::setup;

#[derive(Serialize)]
struct Json {
    name: &'static str,
    story: &'static str,
    faults: &'static str,
    properties: &'static str,
    replicas: u16,
    durability: Vec<&'static str>,
}

/// Carries out `scenarios`.
#[allow(clippy::unnecessary_wraps)] // as every verb
pub(crate) fn list(args: &ListArgs) -> Result<Exit, String> {
    let all = scenario::all();
    if args.json {
        let objects: Vec<_> = all.iter().map(json).collect();
        screen::say(&serde_json::to_string_pretty(&objects).expect("plain strings"));
    } else {
        all.iter().for_each(|info| screen::say(&text(info)));
        let number = u64::try_from(all.len()).expect("an address has at most 64 bits");
        screen::say(&format!("{}; `vr-sim run --scenario NAME` runs one", counted(number, "scenario")));
    }
    Ok(Exit::Held)
}

fn json(info: &ScenarioInfo) -> Json {
    let ScenarioInfo { name, story, faults, properties, replicas, modes, .. } = *info;
    let durability = modes.iter().map(|mode| mode_of(*mode)).collect();
    Json { name, story, faults, properties, replicas, durability }
}

fn text(info: &ScenarioInfo) -> String {
    let modes: Vec<_> = info.modes.iter().map(|mode| mode_of(*mode)).collect();
    let cluster = format!("{}, {}", counted(u64::from(info.replicas), "replica"), modes.join(" and "));
    let paragraph = |text: &str| wrapped(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>(), "", 2, WIDTH);
    let stakes = paragraph(&format!("faults: {}. At stake: {}.", info.faults, info.properties));
    format!(
        "{}  {}\n{}\n{}\n",
        strong().apply_to(info.name),
        faint().apply_to(cluster),
        paragraph(info.story),
        faint().apply_to(stakes)
    )
}

/// Carries out `run --scenario`: in every mode in which it makes sense, unless one is named.
///
/// # Errors
/// In one line, when there is no such scenario, or it makes no sense in that mode.
pub(crate) fn run(name: &str, args: &RunArgs) -> Result<Exit, String> {
    let unknown = || format!("there is no scenario `{name}`{}; `vr-sim scenarios` lists them", nearest(name));
    let info = scenario::named(name).ok_or_else(unknown)?;
    let modes: Vec<_> = match args.cluster.durability.fixed() {
        None => info.modes.to_vec(),
        Some(mode) if info.supports(mode) => vec![mode],
        Some(mode) => return Err(format!("scenario `{name}` makes no sense with durability {}", mode_of(mode))),
    };
    let rules = setup::rules(args.cluster.mutant.as_deref())?;
    guard::listen();
    let watch = Stopwatch::start();
    let mut report = Report::new("run", 1);
    let mut last = String::new();
    if !args.json {
        screen::say(text(info).trim_end());
    }
    for mode in modes {
        if guard::is_interrupted() || !(last.is_empty() || args.keep_going) {
            break;
        }
        if let Some(failure) = one(info, mode, rules, args, &mut report) {
            if args.keep_going && !args.json {
                screen::say(&failure);
            }
            last = failure;
        }
    }
    report.without_commit.clear(); // a story may end before anything is committed
    report.interrupted = guard::is_interrupted();
    (report.wall, report.cpu) = (watch.wall(), watch.cpu(1));
    Ok(conclude(&report, &last, args))
}

/// Runs it in one mode; what is to be said when it failed.
fn one(info: &ScenarioInfo, mode: Durability, rules: Rules, args: &RunArgs, report: &mut Report) -> Option<String> {
    let mut outcome = watched(0, || scenario::run(info.name, mode, rules));
    report.add(&outcome);
    let kind = Kind::of(&outcome);
    if !args.json {
        let (style, word) = if kind.is_none() { (good(), "held") } else { (bad(), "failed") };
        screen::say(&format!("  {:<5}  {}", mode_of(mode), style.apply_to(word)));
    }
    let kind = kind?;
    // The message of a scenario ends with the command, for those who see nothing else; here that is said behind it.
    let command = format!(": {}", info.command(mode, rules));
    if let Some(violation) = &mut outcome.violation {
        violation.message = violation.message.replace(&command, "");
    }
    let words = ["run", "--scenario", info.name, "--durability", mode_of(mode)].map(str::to_owned).to_vec();
    let planted = args.cluster.mutant.iter().flat_map(|name| ["--mutant".to_owned(), name.clone()]);
    let traced = |_: &str| guard::watched(|| scenario::trace(info.name, mode, rules).1).unwrap_or_default();
    let origin = Origin {
        out: &args.out,
        name: &format!("{}-{}", info.name, mode_of(mode)),
        scenario: Some(info.name),
        again: &words.into_iter().chain(planted).collect::<Vec<_>>(),
        planted: args.cluster.mutant.is_some(),
        trace: Some(&traced),
    };
    let (failure, text) = failure::keep(&outcome, kind, &origin);
    report.failures.push(failure);
    Some(text)
}

/// A name that begins alike, as a hint.
fn nearest(name: &str) -> String {
    let start = name.split('-').next().unwrap_or_default();
    let alike = scenario::all().iter().find(|info| info.name.split('-').next() == Some(start));
    alike.map_or_else(String::new, |info| format!(", but there is `{}`", info.name))
}
