//! The planted bugs and the hunt for them: by the scenario that is aimed at each, and by the swarm.
//!
//! Owns the figures of a hunt: what caught a bug, in which seed, after how many seeds and seconds. A bug that survives
//! is a gap in the checks, so that the hunt fails. Must not know what a bug does: that stands beside the rule it
//! breaks, in vr-core. Exists under the feature `mutants` only. PROTOCOL §3.

use super::args::MutantsArgs;
use super::jobs::{self, News, Plan, Then};
use super::run::{guarded, watched};
use super::screen::{Figure, WIDTH, bad, count, counted, good, lasting, strong, wrapped};
use super::{Exit, failure, guard, screen};
use serde::Serialize;
use std::time::{Duration, Instant};
use vr_core::{Mutant, Rules};
use vr_sim::scenario::{self, Kill, mode_of};
use vr_sim::swarm::Options;

/// Is there such a bug?
///
/// # Errors
/// In one line, when not.
pub(crate) fn known(name: &str) -> Result<(), String> {
    let unknown = || format!("there is no planted bug `{name}`; `vr-sim mutants` lists them");
    Mutant::named(name).map(|_| ()).ok_or_else(unknown)
}

/// A planted bug, and what became of it.
#[derive(Serialize)]
struct Bug {
    name: &'static str,
    defect: &'static str,
    sentence: &'static str,
    /// Why nothing can see it, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    equivalent: Option<&'static str>,
    directed: Vec<Directed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    swarm: Option<Swarm>,
}

/// A scenario that is aimed at it.
#[derive(Serialize)]
struct Directed {
    scenario: &'static str,
    durability: &'static str,
    /// What should not hold.
    expected: &'static str,
    /// What did not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    caught_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<Figure>,
}

/// What the swarm did to it.
#[derive(Serialize)]
struct Swarm {
    caught_by: Option<String>,
    seed: Option<u64>,
    seeds: u64,
    seconds: Figure,
}

/// Carries out `mutants`.
///
/// # Errors
/// Never: nothing of it can be asked for wrongly.
#[allow(clippy::unnecessary_wraps)] // as every verb
pub(crate) fn mutants(args: &MutantsArgs) -> Result<Exit, String> {
    guard::listen();
    let mut exit = Exit::Held;
    let mut bugs = Vec::new();
    for mutant in Mutant::all().take_while(|_| !guard::is_interrupted()) {
        let mut bug = bug(mutant);
        if args.hunt {
            hunt(mutant, &mut bug, args);
            if bug.has_survived() {
                exit = Exit::Vacuous;
            }
        }
        if !args.json {
            screen::say(&bug.text(args.hunt));
        }
        bugs.push(bug);
    }
    if guard::is_interrupted() {
        exit = Exit::Interrupted;
    }
    if args.json {
        screen::say(&serde_json::to_string_pretty(&bugs).expect("plain numbers and strings"));
    } else {
        screen::say(&summary(&bugs, args.hunt));
    }
    Ok(exit)
}

fn bug(mutant: Mutant) -> Bug {
    let aimed = scenario::kills().iter().filter(|kill| kill.mutant == mutant);
    let equivalent = scenario::equivalents().iter().find(|equivalent| equivalent.mutant == mutant);
    Bug {
        name: mutant.name(),
        defect: mutant.defect(),
        sentence: mutant.sentence(),
        equivalent: equivalent.map(|equivalent| equivalent.why),
        directed: aimed.map(directed).collect(),
        swarm: None,
    }
}

fn directed(kill: &Kill) -> Directed {
    Directed {
        scenario: kill.scenario,
        durability: mode_of(kill.durability),
        expected: kill.property,
        caught_by: None,
        seconds: None,
    }
}

fn hunt(mutant: Mutant, bug: &mut Bug, args: &MutantsArgs) {
    let rules = Rules { mutant: Some(mutant) };
    let aimed = scenario::kills().iter().filter(|kill| kill.mutant == mutant);
    for (directed, kill) in bug.directed.iter_mut().zip(aimed) {
        let started = Instant::now();
        let outcome = watched(0, || scenario::run(kill.scenario, kill.durability, rules));
        directed.caught_by = outcome.failure().map(str::to_owned);
        directed.seconds = Some(Figure::seconds(started.elapsed()));
    }
    bug.swarm = Some(swarm(mutant, args));
}

/// Seeds, until one of them fails that holds when no bug is planted.
fn swarm(mutant: Mutant, args: &MutantsArgs) -> Swarm {
    let planted = Options { mutant: Some(mutant.name().to_owned()), ..Options::default() };
    let caught = |seed: u64| {
        let outcome = guarded(&planted, seed);
        let caught_by = outcome.failure().map(str::to_owned);
        caught_by.filter(|_| guarded(&Options::default(), seed).passed())
    };
    let shard = super::args::Shard { part: 1, of: 1 };
    let plan = Plan { seeds: args.seeds.clone(), shard, until: None, jobs: jobs::threads(args.jobs.jobs) };
    let started = Instant::now();
    let mut swarm = Swarm { caught_by: None, seed: None, seeds: 0, seconds: Figure::default() };
    jobs::sweep(&plan, &caught, &Option::is_some, &mut |news| {
        let News::Done(seed, caught_by) = news else { return Then::GoOn };
        swarm.seeds += 1;
        swarm.seed = caught_by.is_some().then_some(seed);
        swarm.caught_by = caught_by;
        if swarm.seed.is_some() { Then::Stop } else { Then::GoOn }
    });
    swarm.seconds = Figure::seconds(started.elapsed());
    swarm
}

impl Directed {
    fn is_caught(&self) -> bool {
        self.caught_by.as_deref() == Some(self.expected)
    }

    fn text(&self, hunted: bool) -> String {
        let aimed = format!("  directed  {}, {}", self.scenario, self.durability);
        match (&self.caught_by, self.seconds) {
            (Some(_), Some(seconds)) if self.is_caught() => {
                format!("{aimed}: {} in {}", good().apply_to(self.expected), said(seconds))
            }
            (Some(caught), Some(seconds)) => {
                let told = format!("{caught}, not {}", self.expected);
                format!("{aimed}: {} in {}", bad().apply_to(told), said(seconds))
            }
            (None, _) if hunted => format!("{aimed}: {}", bad().apply_to("survived")),
            _ => format!("{aimed}: {}", self.expected),
        }
    }
}

impl Swarm {
    fn text(&self) -> String {
        let effort = format!("{} and {}", counted(self.seeds, "seed"), said(self.seconds));
        match (&self.caught_by, self.seed) {
            (Some(property), Some(seed)) => {
                format!("  swarm     {} in seed {seed}, after {effort}", good().apply_to(property))
            }
            _ => format!("  swarm     not seen in {effort}"),
        }
    }
}

impl Bug {
    /// A bug must be caught by a scenario that is aimed at it, and by each of them under the right property.
    fn has_survived(&self) -> bool {
        let aimed_well = !self.directed.is_empty() && self.directed.iter().all(Directed::is_caught);
        self.equivalent.is_none() && !aimed_well
    }

    /// Runs what is aimed at it, or what should be.
    fn command(&self) -> String {
        let planted = ["--mutant", self.name];
        let aimed = self.directed.iter().find(|directed| !directed.is_caught());
        let words = aimed.map_or(vec!["run"], |directed| {
            vec!["run", "--scenario", directed.scenario, "--durability", directed.durability]
        });
        let words: Vec<_> = words.into_iter().chain(planted).map(str::to_owned).collect();
        failure::command(&words, true)
    }

    fn text(&self, hunted: bool) -> String {
        let mut lines = vec![format!("{} ({}): {}", strong().apply_to(self.name), self.defect, self.sentence)];
        if let Some(why) = self.equivalent {
            let words: Vec<_> =
                "nothing can see it:".split(' ').chain(why.split_whitespace()).map(str::to_owned).collect();
            lines.push(wrapped(&words, "", 2, WIDTH));
        }
        lines.extend(self.directed.iter().map(|directed| directed.text(hunted)));
        if self.directed.is_empty() && self.equivalent.is_none() {
            lines.push(format!("  {}", bad().apply_to("no scenario is aimed at it")));
        }
        lines.extend(self.swarm.as_ref().map(Swarm::text));
        lines.join("\n")
    }
}

/// Seconds, as a person says them.
fn said(seconds: Figure) -> String {
    lasting(Duration::try_from_secs_f64(seconds.0).unwrap_or_default())
}

fn summary(bugs: &[Bug], hunted: bool) -> String {
    let number = |of: usize| u64::try_from(of).expect("an address has at most 64 bits");
    let planted = counted(number(bugs.len()), "planted bug");
    if !hunted {
        return format!("{planted}; `vr-sim mutants --hunt` hunts them");
    }
    let swarmed = bugs.iter().filter(|bug| bug.swarm.as_ref().is_some_and(|swarm| swarm.seed.is_some())).count();
    let told = format!("{planted}, {} of them seen by the swarm", count(number(swarmed)));
    let survivors: Vec<_> = bugs.iter().filter(|bug| bug.has_survived()).collect();
    let Some(first) = survivors.first() else {
        return good().apply_to(format!("{told}: each was caught by the scenario aimed at it")).to_string();
    };
    let names: Vec<_> = survivors.iter().map(|bug| bug.name.to_owned()).collect();
    let lines = [
        format!("{told}; {}", bad().apply_to("survived what is aimed at them, if anything is:")),
        wrapped(&names, ",", 2, WIDTH),
        "look at the first of them:".to_owned(),
        first.command(),
    ];
    lines.join("\n")
}
