//! The swarm hunts one planted bug: seeds until one fails that holds without the bug, and what is left of it when it
//! is shrunk.
//!
//! Owns from which seeds it starts and what counts: the median over several first seeds, so that luck does not. Must
//! not know which bug it hunts. PROTOCOL §3.

use super::said;
use crate::cli::args::{MutantsArgs, Shard};
use crate::cli::jobs::{self, News, Plan, Then};
use crate::cli::run::guarded;
use crate::cli::screen::{Figure, counted, good};
use crate::cli::shrink;
use serde::Serialize;
use std::fs;
use std::ops::Range;
use std::time::Instant;
use vr_core::Mutant;
use vr_sim::run::Outcome;
use vr_sim::swarm::Options;

/// First seeds lie so far from each other.
const APART: u64 = 1 << 40;

/// What the swarm did to a bug.
#[derive(Serialize)]
pub(super) struct Swarm {
    /// What did not hold; as all that follows, of the median hunt.
    #[serde(skip)]
    pub(super) property: Option<String>,
    /// The seed that found it.
    swarm_seed: Option<u64>,
    /// After so many seeds.
    swarm_seeds: u64,
    swarm_seconds: Figure,
    /// From so many of the first seeds it was found.
    swarm_found_from: u8,
    /// What is left of it when it is shrunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    shrunk_decisions: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shrunk_seconds: Option<Figure>,
}

/// One hunt.
struct Found {
    outcome: Option<Outcome>,
    seeds: u64,
    seconds: Figure,
}

/// Hunts a bug from every first seed, and shrinks what the median hunt found.
///
/// # Errors
/// In one line, when the small case cannot be written.
pub(super) fn hunt(mutant: Mutant, args: &MutantsArgs) -> Result<Swarm, String> {
    let ranges = args.seeds.clone().map_or_else(
        || (0..u64::from(args.bases)).map(|base| base * APART..(base + 1) * APART).collect(),
        |seeds| vec![seeds],
    );
    let mut hunts: Vec<Found> = ranges.into_iter().map(|seeds| from(mutant, seeds, args)).collect();
    let found_from = hunts.iter().filter(|found| found.outcome.is_some()).count();
    // Those that found nothing took the longest of all.
    hunts.sort_by(|a, b| (a.outcome.is_none().cmp(&b.outcome.is_none())).then(a.seconds.0.total_cmp(&b.seconds.0)));
    let Found { outcome, seeds, seconds } = hunts.swap_remove(hunts.len() / 2);
    let mut swarm = Swarm {
        property: outcome.as_ref().and_then(Outcome::failure).map(str::to_owned),
        swarm_seed: outcome.as_ref().map(|outcome| outcome.seed),
        swarm_seeds: seeds,
        swarm_seconds: seconds,
        swarm_found_from: u8::try_from(found_from).unwrap_or(u8::MAX),
        shrunk_decisions: None,
        shrunk_seconds: None,
    };
    let Some(case) = outcome.and_then(|outcome| outcome.case) else { return Ok(swarm) };
    let began = Instant::now();
    let Ok(shrunk) = shrink::within(&case, args.budget) else { return Ok(swarm) };
    swarm.shrunk_decisions = Some(shrink::decisions(&shrunk.case));
    swarm.shrunk_seconds = Some(Figure::seconds(began.elapsed()));
    if let Some(directory) = &args.cases {
        let path = directory.join(format!("{}.vrcase", mutant.name()));
        let written = fs::create_dir_all(directory).and_then(|()| fs::write(&path, shrunk.case.write()));
        written.map_err(|why| format!("{}: {why}", path.display()))?;
    }
    Ok(swarm)
}

/// Seeds, until one of them fails that holds when no bug is planted.
fn from(mutant: Mutant, seeds: Range<u64>, args: &MutantsArgs) -> Found {
    let sound = Options { witnesses: args.witnesses, leases: args.leases, ..Options::default() };
    let planted = Options { mutant: Some(mutant.name().to_owned()), ..sound.clone() };
    let caught = |seed: u64| {
        let outcome = guarded(&planted, seed);
        (!outcome.passed() && guarded(&sound, seed).passed()).then_some(outcome)
    };
    let started = Instant::now();
    let until = started.checked_add(args.budget);
    let plan = Plan { seeds, shard: Shard { part: 1, of: 1 }, until, jobs: jobs::threads(args.jobs.jobs) };
    let mut found = Found { outcome: None, seeds: 0, seconds: Figure::default() };
    jobs::sweep(&plan, &caught, &Option::is_some, &mut |news| {
        let News::Done(_, outcome) = news else { return Then::GoOn };
        found.seeds += 1;
        found.outcome = outcome;
        if found.outcome.is_some() { Then::Stop } else { Then::GoOn }
    });
    found.seconds = Figure::seconds(started.elapsed());
    found
}

impl Swarm {
    /// Did the median hunt find it?
    pub(super) const fn is_found(&self) -> bool {
        self.swarm_seed.is_some()
    }

    /// In a line.
    pub(super) fn text(&self) -> String {
        let effort = format!("{} and {}", counted(self.swarm_seeds, "seed"), said(self.swarm_seconds));
        let (Some(property), Some(seed)) = (&self.property, self.swarm_seed) else {
            return format!("  swarm     not seen in {effort}");
        };
        let shrunk =
            self.shrunk_decisions.map_or_else(String::new, |many| format!("; shrunk to {}", counted(many, "decision")));
        format!("  swarm     {} in seed {seed}, after {effort}{shrunk}", good().apply_to(property))
    }
}
