//! The planted bugs and the hunt for them: by the scenario that is aimed at each, and by the swarm.
//!
//! Owns the figures of a hunt: what caught a bug, in which seed, after how many seeds and seconds. A bug that survives
//! is a gap in the checks, so that the hunt fails. Must not know what a bug does: that stands beside the rule it
//! breaks, in vr-core. Exists under the feature `mutants` only. PROTOCOL §3.

mod swarm;

use self::swarm::Swarm;
use super::args::MutantsArgs;
use super::run::watched;
use super::screen::{Figure, WIDTH, bad, count, counted, good, lasting, strong, wrapped};
use super::{Exit, failure, guard, screen};
use serde::Serialize;
use std::time::{Duration, Instant};
use vr_core::{Mutant, Rules};
use vr_sim::scenario::{self, Kill, mode_of};

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
    /// Why the swarm cannot find it, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    out_of_reach: Option<&'static str>,
    /// What caught it: `swarm`, else `scenario`.
    #[serde(skip_serializing_if = "Option::is_none")]
    layer: Option<&'static str>,
    /// What did not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    property: Option<String>,
    directed: Vec<Directed>,
    #[serde(flatten)]
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

/// All of them, and what a hunt was.
#[derive(Serialize)]
struct Hunt {
    planted: u64,
    /// So many the swarm found, by the median over its first seeds.
    swarm_found: u64,
    budget_seconds: Figure,
    bases: u8,
    mutants: Vec<Bug>,
}

/// Carries out `mutants`.
///
/// # Errors
/// In one line, when there is no bug of such a name, or a file cannot be written.
pub(crate) fn mutants(args: &MutantsArgs) -> Result<Exit, String> {
    args.only.iter().try_for_each(|name| known(name))?;
    guard::listen();
    let mut exit = Exit::Held;
    let mut bugs = Vec::new();
    let asked = |mutant: &Mutant| args.only.is_empty() || args.only.iter().any(|name| name == mutant.name());
    for mutant in Mutant::all().filter(asked).take_while(|_| !guard::is_interrupted()) {
        let mut bug = bug(mutant);
        if args.hunt {
            hunt(mutant, &mut bug, args)?;
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
    let text = (!args.json).then(|| summary(&bugs, args.hunt));
    let number = |of: usize| u64::try_from(of).expect("an address has at most 64 bits");
    let all = Hunt {
        planted: number(bugs.len()),
        swarm_found: number(bugs.iter().filter(|bug| bug.is_found()).count()),
        budget_seconds: Figure::seconds(args.budget),
        bases: args.bases,
        mutants: bugs,
    };
    screen::say(&text.unwrap_or_else(|| serde_json::to_string_pretty(&all).expect("plain numbers and strings")));
    Ok(exit)
}

fn bug(mutant: Mutant) -> Bug {
    let aimed = scenario::kills().iter().filter(|kill| kill.mutant == mutant);
    let equivalent = scenario::equivalents().iter().find(|equivalent| equivalent.mutant == mutant);
    let out_of_reach = scenario::out_of_reach().iter().find(|out_of_reach| out_of_reach.mutant == mutant);
    Bug {
        name: mutant.name(),
        defect: mutant.defect(),
        sentence: mutant.sentence(),
        equivalent: equivalent.map(|equivalent| equivalent.why),
        out_of_reach: out_of_reach.map(|out_of_reach| out_of_reach.why),
        layer: None,
        property: None,
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

fn hunt(mutant: Mutant, bug: &mut Bug, args: &MutantsArgs) -> Result<(), String> {
    let rules = Rules { mutant: Some(mutant) };
    let aimed = scenario::kills().iter().filter(|kill| kill.mutant == mutant);
    for (directed, kill) in bug.directed.iter_mut().zip(aimed) {
        let started = Instant::now();
        let outcome = watched(0, || scenario::run(kill.scenario, kill.durability, rules));
        directed.caught_by = outcome.failure().map(str::to_owned);
        directed.seconds = Some(Figure::seconds(started.elapsed()));
    }
    let swarm = if bug.equivalent.is_none() { Some(swarm::hunt(mutant, args)?) } else { None };
    bug.layer = match &swarm {
        Some(swarm) if swarm.is_found() => Some("swarm"),
        _ if bug.directed.iter().any(Directed::is_caught) => Some("scenario"),
        _ => None,
    };
    bug.property = swarm.as_ref().and_then(|swarm| swarm.property.clone());
    bug.property = bug.property.take().or_else(|| bug.directed.first().and_then(|one| one.caught_by.clone()));
    bug.swarm = swarm;
    Ok(())
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

impl Bug {
    /// A bug must be caught by a scenario that is aimed at it, and by each of them under the right property.
    fn has_survived(&self) -> bool {
        let aimed_well = !self.directed.is_empty() && self.directed.iter().all(Directed::is_caught);
        self.equivalent.is_none() && !aimed_well
    }

    fn is_found(&self) -> bool {
        self.swarm.as_ref().is_some_and(Swarm::is_found)
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
        let reasons = [("nothing can see it:", self.equivalent), ("no seed shows it:", self.out_of_reach)];
        for (what, why) in reasons.into_iter().filter_map(|(what, why)| Some((what, why?))) {
            let words: Vec<_> = what.split(' ').chain(why.split_whitespace()).map(str::to_owned).collect();
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
pub(super) fn said(seconds: Figure) -> String {
    lasting(Duration::try_from_secs_f64(seconds.0).unwrap_or_default())
}

fn summary(bugs: &[Bug], hunted: bool) -> String {
    let number = |of: usize| u64::try_from(of).expect("an address has at most 64 bits");
    let planted = counted(number(bugs.len()), "planted bug");
    if !hunted {
        return format!("{planted}; `vr-sim mutants --hunt` hunts them");
    }
    let swarmed = bugs.iter().filter(|bug| bug.is_found()).count();
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
