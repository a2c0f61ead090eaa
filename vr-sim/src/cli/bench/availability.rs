//! `vr-sim bench --availability`: how long each fault keeps clients waiting, over many seeds.
//!
//! Owns the order of the measurements, their table and their JSON. Must not know what a fault is, nor what "unavailable"
//! means: that is `vr_sim::bench::availability`. DESIGN §8.

use super::super::args::{BenchArgs, Shard};
use super::super::jobs::{self, News, Plan, Then};
use super::super::progress::{Goal, Progress};
use super::super::screen::{self, Figure, bad, count, counted, faint, strong};
use super::super::stopwatch::Stopwatch;
use super::super::{Exit, guard};
use serde::Serialize;
use std::fs;
use std::path::Path;
use std::time::Duration;
use vr_core::Durability;
use vr_sim::bench::availability::{Cluster, Measured, Ordeal, Spread, digest};

const SIZES: [u16; 2] = [3, 5];

/// One fault, one size.
struct Series {
    ordeal: Ordeal,
    replicas: u16,
    all: Vec<Measured>,
    /// The seed of the longest.
    worst: Option<u64>,
}

impl Series {
    fn add(&mut self, seed: u64, one: Measured) {
        let longest = self.all.iter().map(|it| it.unavailable).max();
        if longest.is_none_or(|longest| one.unavailable > longest) {
            self.worst = Some(seed);
        }
        self.all.push(one);
    }
}

/// A line of the table.
#[derive(Serialize)]
struct Row {
    fault: &'static str,
    replicas: u16,
    seeds: u64,
    p50_ms: u64,
    p90_ms: u64,
    p99_ms: u64,
    max_ms: u64,
    /// Nobody was answered any more, in so many.
    never: u64,
    /// The seed of the longest.
    worst_seed: Option<u64>,
}

#[derive(Serialize)]
struct Json {
    availability: Vec<Row>,
    durability: &'static str,
    heartbeat_ms: u64,
    digest: String,
    failures: u64,
    seconds: Figure,
    interrupted: bool,
}

/// Carries it out.
///
/// # Errors
/// In one line, when there are no seeds, or the directory for the longest cannot be written to.
pub(super) fn bench(args: &BenchArgs) -> Result<Exit, String> {
    let plan = Plan {
        seeds: args.seeds.clone(),
        shard: Shard { part: 1, of: 1 },
        until: None,
        jobs: jobs::threads(args.jobs),
    };
    if plan.len() == 0 {
        return Err("no seeds".into());
    }
    let watch = Stopwatch::start();
    let mut progress = Progress::new(Goal::Seeds(plan.len()));
    let mut series: Vec<_> =
        rows().map(|(ordeal, replicas)| Series { ordeal, replicas, all: vec![], worst: None }).collect();
    let (mut done, mut failures, mut told) = (0, 0, None);
    jobs::sweep(&plan, &|seed| guard::watched(|| measure(args, seed)), &|_| false, &mut |news| {
        if let News::Done(seed, result) = news {
            done += 1;
            match result {
                Ok(all) => {
                    failures += all.iter().map(|one| u64::from(one.failed)).sum::<u64>();
                    series.iter_mut().zip(all).for_each(|(series, one)| series.add(seed, one));
                }
                Err(why) => {
                    failures += 1;
                    told = told.take().or_else(|| Some(format!("seed {seed}: {why}")));
                }
            }
        }
        progress.tell(done, |elapsed| line(done, plan.len(), elapsed));
        Then::GoOn
    });
    progress.end();
    if let Some(folder) = &args.worst {
        keep(args, &series, folder)?;
    }
    let json = Json {
        digest: format!("{:016x}", digest(series.iter().flat_map(|series| &series.all))),
        availability: series.iter().map(row).collect(),
        durability: args.durability.word(),
        heartbeat_ms: args.heartbeat().0 / 1_000_000,
        failures,
        seconds: Figure::seconds(watch.wall()),
        interrupted: guard::is_interrupted(),
    };
    screen::say(&if args.json { json.json() } else { json.text(told.as_deref()) });
    Ok(json.exit())
}

fn rows() -> impl Iterator<Item = (Ordeal, u16)> {
    Ordeal::ALL.into_iter().flat_map(|ordeal| SIZES.map(|replicas| (ordeal, replicas)))
}

/// All that is measured of a seed, in the order of the rows.
fn measure(args: &BenchArgs, seed: u64) -> Vec<Measured> {
    rows().map(|(ordeal, replicas)| cluster(args, replicas, seed).measure(ordeal, seed)).collect()
}

/// Where the mode is drawn, every other seed is asynchronous.
fn cluster(args: &BenchArgs, replicas: u16, seed: u64) -> Cluster {
    let drawn = if seed.is_multiple_of(2) { Durability::Sync } else { Durability::Async };
    Cluster { replicas, durability: args.durability.fixed().unwrap_or(drawn), heartbeat: args.heartbeat() }
}

fn row(series: &Series) -> Row {
    let Spread { p50_ms, p90_ms, p99_ms, max_ms, never } = Spread::of(&series.all);
    let seeds = u64::try_from(series.all.len()).unwrap_or(u64::MAX);
    let (fault, replicas, worst_seed) = (series.ordeal.name(), series.replicas, series.worst);
    Row { fault, replicas, seeds, p50_ms, p90_ms, p99_ms, max_ms, never, worst_seed }
}

/// The cases of the longest waits.
fn keep(args: &BenchArgs, all: &[Series], folder: &Path) -> Result<(), String> {
    let failed = |path: &Path, why: std::io::Error| format!("{}: {why}", path.display());
    fs::create_dir_all(folder).map_err(|why| failed(folder, why))?;
    for Series { ordeal, replicas, worst, .. } in all {
        let Some(seed) = *worst else { continue };
        let path = folder.join(format!("{}-{replicas}.vrcase", ordeal.name().replace(' ', "-")));
        let case = cluster(args, *replicas, seed).case(*ordeal, seed);
        fs::write(&path, case.write()).map_err(|why| failed(&path, why))?;
    }
    Ok(())
}

fn line(done: u64, all: u64, elapsed: Duration) -> String {
    let rate = Figure::rate(Figure::of(done), Figure::seconds(elapsed));
    format!("{}/{} seeds of each fault  {rate}/s", count(done), count(all))
}

impl Json {
    const fn exit(&self) -> Exit {
        match (self.failures, self.interrupted) {
            (0, false) => Exit::Held,
            (0, true) => Exit::Interrupted,
            (_, _) => Exit::Safety,
        }
    }

    fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain numbers and strings")
    }

    fn text(&self, told: Option<&str>) -> String {
        let seeds = self.availability.first().map_or(0, |row| row.seeds);
        let head = format!(
            "unavailable, in virtual ms: {} each, heartbeats of {} ms, {}",
            counted(seeds, "seed"),
            self.heartbeat_ms,
            self.durability
        );
        let columns = format!(
            "  {:<16} {:>8} {:>8} {:>8} {:>8} {:>8} {:>6}",
            "fault", "replicas", "p50", "p90", "p99", "max", "never"
        );
        let mut lines = vec![strong().apply_to(head).to_string(), columns];
        for Row { fault, replicas, p50_ms, p90_ms, p99_ms, max_ms, never, worst_seed, .. } in &self.availability {
            let worst = worst_seed.map_or_else(String::new, |seed| format!("  max: seed {seed}"));
            let [p50, p90, p99, max, never] = [p50_ms, p90_ms, p99_ms, max_ms, never].map(|figure| count(*figure));
            let figures = format!("  {fault:<16} {replicas:>8} {p50:>8} {p90:>8} {p99:>8} {max:>8} {never:>6}");
            lines.push(format!("{figures}{}", faint().apply_to(worst)));
        }
        lines.push(format!("  digest {}", self.digest));
        if self.interrupted {
            lines.push(bad().apply_to("interrupted: these figures are of what was done until then").to_string());
        }
        if self.failures > 0 {
            let text = format!("in {} runs a property did not hold", count(self.failures));
            lines.push(bad().apply_to(text).to_string());
        }
        lines.extend(told.map(str::to_owned));
        lines.join("\n")
    }
}
