//! What may be typed: the verbs, their options, and how their values are read.
//!
//! Owns the words of the command line and their limits; what it refuses, it refuses in one line. Must not know what
//! any verb does. DESIGN §8.

mod bench;
mod check;
mod lab;
mod replay;

pub(crate) use bench::BenchArgs;
pub(crate) use check::CheckArgs;
pub(crate) use lab::LabArgs;
pub(crate) use replay::{Export, ReplayArgs};

use clap::builder::TypedValueParser;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;
use vr_core::Durability;
use vr_sim::fuzz::Target;
use vr_sim::swarm::{FaultSet, Options, RECONFIGURED};

const ABOUT: &str = "\
Whole Viewstamped Replication clusters under seeded faults, checked and replayed.

One seed is one cluster: its size, its timeouts, its clients and everything that breaks are drawn from it, the
real protocol code runs in it, and every property is checked at every step. The same seed does the same on
every machine.";

const EXAMPLES: &str = "\
Examples:
  vr-sim                                   1,000 seeds, all cores, all faults
  vr-sim run --seeds 5000..6000 --jobs 1   these seeds, one at a time
  vr-sim run --for 10m --keep-going        as many as fit in ten minutes, whatever fails
  vr-sim run --replicas 3 --durability async --faults net,crash
  vr-sim run --shard 2/8 --json            the second eighth, as one JSON object
  vr-sim run --seeds 5000 --reconfigure 1  groups change meanwhile, in all of the clusters
  vr-sim run --scenario a04-simple-view-change
  vr-sim replay 123 --text                 what happened in seed 123, one line per event
  vr-sim replay target/vr-failures/seed-123.vrcase
  vr-sim replay 123 --html 123.html        the same as a page, for a browser
  vr-sim lab --do 'crash r0; run 2s'       a cluster in your hands: lab --help
  vr-sim doctor                            is it deterministic on this machine?";

const CODES: &str = "\
Exit codes:
  0  all held                      5  the core panicked
  1  safety violated               6  not deterministic
  2  usage, or unreadable case     7  a replay did not reproduce
  3  liveness violated             130  interrupted: the summary covers what was done
  4  nothing ran, a floor of rare events was missed, or 10,000 seeds or more
     did not show one that no scenario shows

A failing seed leaves its case file, its trace and a page to look at it under --out, and the last
line of its message is the command that replays it. Every number on the screen is in --json too. NO_COLOR is
respected.";

/// The command line.
#[derive(Parser, Debug)]
#[command(name = "vr-sim", version, about = ABOUT, after_help = format!("{EXAMPLES}\n\n{CODES}"))]
#[command(args_conflicts_with_subcommands = true, disable_help_flag = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,
    /// Print help
    #[arg(short, long, global = true, action = ArgAction::HelpShort)]
    help: Option<bool>,
    /// Without a verb, `run` is meant.
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
    /// Run many seeds, or one scenario (the default)
    #[command(after_help = CODES)]
    Run(RunArgs),
    /// Run one seed or one case file again, and look at it
    #[command(after_help = format!("{}\n\n{CODES}", replay::EXAMPLES))]
    Replay(ReplayArgs),
    /// Drive a cluster by hand, with a script
    #[command(after_help = format!("{}\n\n{CODES}", lab::LESSON))]
    Lab(LabArgs),
    /// Make a case file of an input that a fuzzer found
    Case(CaseArgs),
    /// Make a failing seed or case as small as it can be
    Shrink(super::shrink::ShrinkArgs),
    /// List the directed scenarios
    Scenarios(ListArgs),
    /// List the planted bugs, or hunt them
    Mutants(MutantsArgs),
    /// Search every way a small cluster can go, within bounds
    #[command(after_help = format!("{}\n\n{CODES}", check::EXAMPLES))]
    Check(CheckArgs),
    /// Run the same seeds in two processes and compare
    Doctor(DoctorArgs),
    /// Repeat and judge what production nodes recorded
    #[command(after_help = CODES)]
    CheckRecording(CheckRecordingArgs),
    /// Measure: what a core-second holds, or how long a fault keeps clients waiting
    #[command(after_help = format!("{}\n\n{CODES}", bench::what()))]
    Bench(BenchArgs),
    /// One line per seed: its digest. What `doctor` asks its other process for.
    #[command(hide = true)]
    Digests(DigestsArgs),
}

/// What `check-recording` reads.
#[derive(Args, Debug)]
pub(crate) struct CheckRecordingArgs {
    /// Recordings of one cluster, of as many nodes and lives as there are; a directory stands for those in it
    #[arg(required = true, value_name = "FILES")]
    pub(crate) files: Vec<PathBuf>,
    /// Write what an observer would have seen as a trace
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Write it as a page for a browser
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// What clients of a key-value store saw, a JSON object a line: body, invoked, and unless unanswered returned and
    /// result; bodies and results as `vr_sim::history::KeyValue` writes them, in hexadecimal digits
    #[arg(long, value_name = "FILE")]
    pub(crate) history: Option<PathBuf>,
    /// One JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `case` reads and writes.
#[derive(Args, Debug)]
pub(crate) struct CaseArgs {
    /// The fuzz target that the input is for: events or schedule
    #[arg(value_name = "TARGET", value_parser = target)]
    pub(crate) target: Target,
    /// The input, as the fuzzer left it
    #[arg(value_name = "INPUT")]
    pub(crate) input: PathBuf,
    /// Where the case file goes
    #[arg(short, long, value_name = "FILE", default_value = "fuzzed.vrcase")]
    pub(crate) output: PathBuf,
}

/// Options of `run`.
#[derive(Args, Debug, Clone)]
pub(crate) struct RunArgs {
    /// How many seeds, or which: 1000, or 5000..6000
    #[arg(long, value_name = "N|A..B", value_parser = seeds, default_value = "1000", conflicts_with = "for_time")]
    pub(crate) seeds: Range<u64>,
    /// Start seeds for so long: 90s, 10m, 2h
    #[arg(long = "for", id = "for_time", value_name = "TIME", value_parser = duration)]
    pub(crate) for_time: Option<Duration>,
    #[command(flatten)]
    pub(crate) jobs: JobsArg,
    /// Only the Kth of N equal parts of the seeds: 1/4 … 4/4
    #[arg(long, value_name = "K/N", value_parser = shard, default_value = "1/1")]
    pub(crate) shard: Shard,
    /// Run this scenario instead of seeds
    #[arg(long, value_name = "NAME", conflicts_with_all = ["seeds", "for_time", "shard", "replicas", "faults"])]
    pub(crate) scenario: Option<String>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// Go on after a failure, to the last seed
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// Leave the first failing seed as it is; otherwise it is shrunk too, for at most 30 s
    #[arg(long)]
    pub(crate) no_shrink: bool,
    /// Where failures leave their case files, traces and pages
    #[arg(long, value_name = "DIR", default_value = "target/vr-failures")]
    pub(crate) out: PathBuf,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// How many threads.
#[derive(Args, Debug, Clone, Copy)]
pub(crate) struct JobsArg {
    /// How many seeds run at once; changes no result [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: Option<u16>,
}

/// What is fixed of a cluster; the rest is drawn.
#[derive(Args, Debug, Clone)]
pub(crate) struct ClusterArgs {
    /// How many replicas, 1 to 64 [default: drawn]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) replicas: Option<u16>,
    /// When a promise may leave: after the disk, or with memory and a quorum
    #[arg(long, value_name = "MODE", default_value = "swarm")]
    pub(crate) durability: Mode,
    /// What may break: some of net,part,oneway,crash,pause,disk,clock, or none, or swarm
    #[arg(long, value_name = "LIST", value_parser = FaultSet::parse, default_value = "swarm")]
    pub(crate) faults: FaultSet,
    /// Plant this bug (needs the feature `mutants`)
    #[arg(long, value_name = "NAME")]
    pub(crate) mutant: Option<String>,
    /// In one of N clusters an operator adds, removes and replaces members under the faults; 0: in none
    #[arg(long, value_name = "N", default_value_t = RECONFIGURED)]
    pub(crate) reconfigure: u32,
    /// All clusters that can bear it have witnesses, which log and vote and hold no state, not just one of eight
    #[arg(long)]
    pub(crate) witnesses: bool,
    /// In all clusters that can bear it the primary answers reads under a lease, not just in one of six
    #[arg(long)]
    pub(crate) leases: bool,
}

impl ClusterArgs {
    /// For the simulator.
    ///
    /// # Errors
    /// In one line, when no run can be made of them.
    pub(crate) fn options(&self) -> Result<Options, String> {
        if let Some(name) = &self.mutant {
            super::mutants::known(name)?;
        }
        let options = Options {
            replicas: self.replicas,
            durability: self.durability.fixed(),
            faults: self.faults,
            mutant: self.mutant.clone(),
            reconfigured: self.reconfigure,
            witnesses: self.witnesses,
            leases: self.leases,
        };
        options.validate()?;
        Ok(options)
    }

    /// Is everything drawn? Then floors of rare events can be asked for.
    pub(crate) fn is_swarm(&self) -> bool {
        let Self { replicas, durability, faults, mutant, reconfigure, witnesses, leases } = self;
        let is_fixed = replicas.is_some() || mutant.is_some() || *witnesses || *leases || *reconfigure != RECONFIGURED;
        !is_fixed && *durability == Mode::Swarm && *faults == FaultSet::SWARM
    }

    /// What was fixed, as options of another command line.
    pub(crate) fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        let mut add = |name: &str, value: String| words.extend([format!("--{name}"), value]);
        if let Some(replicas) = self.replicas {
            add("replicas", replicas.to_string());
        }
        if self.durability != Mode::Swarm {
            add("durability", self.durability.word().into());
        }
        if self.faults != FaultSet::SWARM {
            add("faults", faults_word(self.faults));
        }
        if let Some(mutant) = &self.mutant {
            add("mutant", mutant.clone());
        }
        if self.reconfigure != RECONFIGURED {
            add("reconfigure", self.reconfigure.to_string());
        }
        if self.witnesses {
            words.push("--witnesses".into());
        }
        if self.leases {
            words.push("--leases".into());
        }
        words
    }
}

/// As [`FaultSet::parse`] reads it.
fn faults_word(faults: FaultSet) -> String {
    let FaultSet { net, part, oneway, crash, pause, disk, clock } = faults;
    let switches = [
        (net, "net"),
        (part, "part"),
        (oneway, "oneway"),
        (crash, "crash"),
        (pause, "pause"),
        (disk, "disk"),
        (clock, "clock"),
    ];
    let words: Vec<_> = switches.into_iter().filter(|(is_on, _)| *is_on).map(|(_, word)| word).collect();
    if words.is_empty() { "none".into() } else { words.join(",") }
}

/// The durability modes, and the choice between them.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    /// Nothing is promised before it is on disk.
    Sync,
    /// Memory plus a quorum.
    Async,
    /// Each seed draws one.
    Swarm,
}

impl Mode {
    /// The mode, unless it is drawn.
    pub(crate) const fn fixed(self) -> Option<Durability> {
        match self {
            Self::Sync => Some(Durability::Sync),
            Self::Async => Some(Durability::Async),
            Self::Swarm => None,
        }
    }

    /// Its word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Async => "async",
            Self::Swarm => "swarm",
        }
    }
}

/// Options of a list.
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Print JSON instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `mutants`.
#[derive(Args, Debug)]
pub(crate) struct MutantsArgs {
    /// Only these, by name
    #[arg(value_name = "NAME")]
    pub(crate) only: Vec<String>,
    /// Hunt each of them: what catches it, after how many seeds and seconds
    #[arg(long)]
    pub(crate) hunt: bool,
    /// The swarm hunts each of them for so long, and as long again may be spent on shrinking what it found
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "60s", requires = "hunt")]
    pub(crate) budget: Duration,
    /// The swarm hunts each of them in these seeds only: 1000, or 5000..6000 [default: as many as the budget lasts for]
    #[arg(long, value_name = "N|A..B", value_parser = seeds, requires = "hunt")]
    pub(crate) seeds: Option<Range<u64>>,
    /// From so many different first seeds; what counts is the median
    #[arg(long, value_name = "N", default_value_t = 1, requires = "hunt", conflicts_with = "seeds", value_parser = bases())]
    pub(crate) bases: u8,
    /// The swarm's clusters have witnesses
    #[arg(long, requires = "hunt")]
    pub(crate) witnesses: bool,
    /// The swarm's clusters have leases
    #[arg(long, requires = "hunt")]
    pub(crate) leases: bool,
    /// Write the shrunk case of each bug that the swarm found into this directory
    #[arg(long, value_name = "DIR", requires = "hunt")]
    pub(crate) cases: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) jobs: JobsArg,
    /// Print JSON instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

fn bases() -> impl TypedValueParser<Value = u8> {
    clap::value_parser!(u8).range(1..=15)
}

/// Options of `doctor`.
#[derive(Args, Debug)]
pub(crate) struct DoctorArgs {
    /// How many seeds, or which
    #[arg(long, value_name = "N|A..B", value_parser = seeds, default_value = "100")]
    pub(crate) seeds: Range<u64>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `digests`.
#[derive(Args, Debug)]
pub(crate) struct DigestsArgs {
    /// Which seeds
    #[arg(long, value_parser = seeds)]
    pub(crate) seeds: Range<u64>,
    #[command(flatten)]
    pub(crate) jobs: JobsArg,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// One of several equal parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shard {
    /// Which, from 1.
    pub(crate) part: u64,
    /// Of how many.
    pub(crate) of: u64,
}

fn target(text: &str) -> Result<Target, String> {
    Target::named(text).ok_or_else(|| format!("`{text}` is none of events, schedule"))
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is no number from 0 to {}", u64::MAX))
}

/// `1000` is the seeds from 0 to 999; `5000..6000` those from 5000 to 5999.
fn seeds(text: &str) -> Result<Range<u64>, String> {
    let Some((first, end)) = text.split_once("..") else { return Ok(0..number(text)?) };
    let (first, end) = (number(first)?, number(end)?);
    if first > end {
        return Err(format!("{first} is behind {end}; a range runs upwards, its end not included"));
    }
    Ok(first..end)
}

fn shard(text: &str) -> Result<Shard, String> {
    let parts = text.split_once('/').ok_or("a shard is K/N, such as 1/4")?;
    let (part, of) = (number(parts.0)?, number(parts.1)?);
    if part == 0 || part > of {
        return Err("K of K/N lies between 1 and N".into());
    }
    Ok(Shard { part, of })
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (count, unit) = text.split_at(digits);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err("a time is a whole number and s, m or h, such as 90s".into()),
    };
    number(count)?.checked_mul(seconds).map(Duration::from_secs).ok_or_else(|| "that is longer than time".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_was_fixed_can_be_typed_again() {
        let words = ["--replicas", "5", "--durability", "async", "--faults", "net,clock", "--mutant", "x"];
        let cli = Cli::try_parse_from([&["vr-sim"], &words[..]].concat()).expect("options of run");
        assert_eq!(cli.run.cluster.words(), words);
        assert!(!cli.run.cluster.is_swarm());
        let none = Cli::try_parse_from(["vr-sim", "--faults", "none"]).expect("options of run");
        assert_eq!(none.run.cluster.words(), ["--faults", "none"]);
        let plain = Cli::try_parse_from(["vr-sim"]).expect("no options");
        assert!(plain.run.cluster.words().is_empty() && plain.run.cluster.is_swarm());
    }

    #[test]
    fn without_a_verb_run_is_meant() {
        let cli = Cli::try_parse_from(["vr-sim", "--seeds", "7"]).expect("options of run");
        assert!(cli.verb.is_none());
        assert_eq!(cli.run.seeds, 0..7);
    }

    #[test]
    fn seeds_are_a_number_or_a_range_that_runs_upwards() {
        assert_eq!(seeds("10"), Ok(0..10));
        assert_eq!(seeds("5..9"), Ok(5..9));
        assert_eq!(seeds("5..5"), Ok(5..5));
        for bad in ["", "x", "-1", "9..5", "1..", "..1", "1..2..3", "18446744073709551616"] {
            assert!(seeds(bad).is_err(), "`{bad}` was taken for seeds");
        }
    }

    #[test]
    fn a_shard_lies_within_its_number() {
        assert_eq!(shard("2/3"), Ok(Shard { part: 2, of: 3 }));
        for bad in ["", "1", "0/3", "4/3", "1/0", "a/b", "1/2/3"] {
            assert!(shard(bad).is_err(), "`{bad}` was taken for a shard");
        }
    }

    #[test]
    fn a_time_has_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        for bad in ["", "s", "10", "1.5s", "-1s", "1d", "18446744073709551615h"] {
            assert!(duration(bad).is_err(), "`{bad}` was taken for a time");
        }
    }
}
