//! What came of a sweep: the sums, the rare events, the exit code; as JSON, and as text in `summary`.
//!
//! Owns the fields of `--json` (every number on the screen is among them) and which exit code a sweep earns. "Nothing
//! happened" is never success. Must not know how seeds are run, nor how it looks on a screen. DESIGN §8, 9.15.

use super::Exit;
use super::screen::{self, Figure};
use super::small::Small;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use vr_sim::digest::Digest;
use vr_sim::marks::{Mark, Marks};
use vr_sim::run::{Outcome, Severity};

/// What a sweep counts.
pub(crate) const SEED: &str = "seed";

/// What a failing seed did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Something happened that never may.
    Safety,
    /// Something did not happen that must.
    Liveness,
    /// The code under test panicked.
    Panic,
}

impl Kind {
    /// Of an outcome, if it failed.
    pub(crate) fn of(outcome: &Outcome) -> Option<Self> {
        if outcome.panicked.is_some() {
            return Some(Self::Panic);
        }
        outcome.violation.as_ref().map(|violation| match violation.severity {
            Severity::Safety => Self::Safety,
            Severity::Liveness => Self::Liveness,
        })
    }

    /// The code it earns.
    pub(crate) const fn exit(self) -> Exit {
        match self {
            Self::Safety => Exit::Safety,
            Self::Liveness => Exit::Liveness,
            Self::Panic => Exit::Panicked,
        }
    }

    /// Its word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Safety => "safety",
            Self::Liveness => "liveness",
            Self::Panic => "panic",
        }
    }
}

/// A failing seed, as it is kept.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct Failure {
    pub(crate) seed: u64,
    /// The scenario, where it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scenario: Option<String>,
    pub(crate) kind: Kind,
    pub(crate) property: String,
    pub(crate) message: String,
    /// Where its case was written.
    pub(crate) case: Option<PathBuf>,
    /// Where its trace was written.
    pub(crate) trace: Option<PathBuf>,
    /// Where the page of it was written.
    pub(crate) page: Option<PathBuf>,
    /// What is left of it, where it was shrunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) small: Option<Small>,
    /// The command that replays it.
    pub(crate) replay: String,
}

/// The sums of a sweep, in seed order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    /// What is counted: seeds, or runs of a scenario.
    pub(crate) unit: &'static str,
    pub(crate) seeds: u64,
    pub(crate) failures: Vec<Failure>,
    pub(crate) virtual_ns: u128,
    pub(crate) steps: u64,
    pub(crate) messages: u64,
    pub(crate) acked_ops: u64,
    pub(crate) undecided: u64,
    /// Seeds with histories that the bounded search could not decide.
    pub(crate) undecided_in: Vec<u64>,
    pub(crate) marks: Marks,
    pub(crate) digest: u64,
    /// Seeds in which nothing was committed.
    pub(crate) without_commit: Vec<u64>,
    /// Must rare events have been seen as often as their floors say?
    pub(crate) floors_hold: bool,
    pub(crate) interrupted: bool,
    pub(crate) jobs: u16,
    pub(crate) wall: Duration,
    /// What all threads used of the processor.
    pub(crate) cpu: Duration,
}

impl Report {
    /// Nothing done yet, on so many threads.
    pub(crate) fn new(unit: &'static str, jobs: u16) -> Self {
        Self { unit, jobs, ..Self::default() }
    }

    /// One more seed is done. Its digest is bound to its seed and added, so that the digests of the shards of a range
    /// add up (modulo 2⁶⁴) to the digest of the range.
    pub(crate) fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.virtual_ns += u128::from(outcome.virtual_ns);
        self.steps += outcome.steps;
        self.messages += outcome.messages;
        self.acked_ops += outcome.acked_ops;
        self.undecided += outcome.undecided;
        if outcome.undecided > 0 {
            self.undecided_in.push(outcome.seed);
        }
        self.marks.merge(&outcome.marks);
        let mut digest = Digest::of(outcome.seed);
        digest.add(outcome.digest);
        self.digest = self.digest.wrapping_add(digest.value());
        // A group that more befell than its mode tolerates is excused: it says so and waits.
        if outcome.passed() && outcome.marks.commits == 0 && outcome.marks.stuck_groups == 0 {
            self.without_commit.push(outcome.seed);
        }
    }

    /// How many seeds failed.
    pub(crate) fn failed(&self) -> u64 {
        u64::try_from(self.failures.len()).expect("an address has at most 64 bits")
    }

    pub(crate) fn failed_by(&self, kind: Kind) -> u64 {
        let those = self.failures.iter().filter(|failure| failure.kind == kind).count();
        u64::try_from(those).expect("an address has at most 64 bits")
    }

    /// How much time passed in the worlds.
    pub(crate) fn virtual_seconds(&self) -> Figure {
        Figure::seconds(virtual_time(self.virtual_ns))
    }

    pub(crate) fn missed_floors(&self) -> Vec<Mark> {
        if self.floors_hold { self.marks.missed_floors(self.seeds) } else { Vec::new() }
    }

    /// What so many seeds should have shown.
    pub(crate) fn unseen(&self) -> Vec<&'static str> {
        if self.floors_hold { self.marks.unseen(self.seeds) } else { Vec::new() }
    }

    /// What the sweep earned: a failure counts more than an interruption, and both more than a floor.
    pub(crate) fn exit(&self) -> Exit {
        let worst = [Kind::Safety, Kind::Panic, Kind::Liveness].into_iter().find(|kind| self.failed_by(*kind) > 0);
        match worst {
            Some(kind) => kind.exit(),
            None if self.interrupted => Exit::Interrupted,
            None if self.is_vacuous() => Exit::Vacuous,
            None => Exit::Held,
        }
    }

    fn is_vacuous(&self) -> bool {
        let idle = self.seeds == 0 || !self.without_commit.is_empty();
        idle || self.undecided_over() || !self.missed_floors().is_empty() || !self.unseen().is_empty()
    }

    /// The ceiling of undecided histories is none (DESIGN 9.15).
    pub(crate) const fn undecided_over(&self) -> bool {
        self.undecided > 0
    }

    /// A seed that proves less than it should, if one does.
    pub(crate) fn doubtful(&self) -> Option<u64> {
        self.without_commit.iter().chain(&self.undecided_in).next().copied()
    }

    /// How often each property was violated.
    pub(crate) fn by_property(&self) -> BTreeMap<&str, u64> {
        let mut counts = BTreeMap::new();
        for failure in &self.failures {
            *counts.entry(failure.property.as_str()).or_default() += 1;
        }
        counts
    }

    /// As one JSON object.
    pub(crate) fn json(&self) -> String {
        let object = Json {
            seeds: self.seeds,
            passed: self.seeds - self.failed(),
            failed: self.failed(),
            safety_violations: self.failed_by(Kind::Safety),
            liveness_violations: self.failed_by(Kind::Liveness),
            panics: self.failed_by(Kind::Panic),
            virtual_seconds: self.virtual_seconds(),
            steps: self.steps,
            messages: self.messages,
            acked_ops: self.acked_ops,
            undecided: self.undecided,
            undecided_in: &self.undecided_in,
            wall_seconds: Figure::seconds(self.wall),
            cpu_seconds: Figure::seconds(self.cpu),
            seeds_per_wall_s: Figure::rate(Figure::of(self.seeds), Figure::seconds(self.wall)),
            virtual_s_per_wall_s: Figure::rate(self.virtual_seconds(), Figure::seconds(self.wall)),
            steps_per_core_s: Figure::rate(Figure::of(self.steps), Figure::seconds(self.cpu)),
            jobs: self.jobs,
            marks: Table(self.marks.table()),
            occurrences: self.marks.occurrences.table().collect(),
            never_seen: self.marks.never_seen(),
            only_in_scenarios: self.marks.directed_only().collect(),
            floors_missed: self.missed_floors().into_iter().map(|mark| self.missed(mark)).collect(),
            without_commit: &self.without_commit,
            violated: self.by_property(),
            digest: hex(self.digest),
            interrupted: self.interrupted,
            exit: self.exit().code(),
            failures: &self.failures,
        };
        serde_json::to_string_pretty(&object).expect("plain numbers and strings")
    }

    pub(crate) fn missed(&self, mark: Mark) -> Missed {
        let needed = u128::from(mark.floor) * u128::from(self.seeds) / 1000;
        Missed { mark: mark.name, seen: mark.seen, needed: u64::try_from(needed).unwrap_or(u64::MAX) }
    }
}

/// Sixteen digits.
pub(crate) fn hex(digest: u64) -> String {
    format!("{digest:016x}")
}

/// Nanoseconds as a duration.
pub(crate) fn virtual_time(ns: u128) -> Duration {
    let nanos = u32::try_from(ns % 1_000_000_000).expect("a remainder below 10⁹");
    Duration::new(u64::try_from(ns / 1_000_000_000).unwrap_or(u64::MAX), nanos)
}

/// Prints a report.
pub(crate) fn print(report: &Report, json: bool) {
    screen::say(&if json { report.json() } else { report.text() });
}

#[derive(Serialize)]
struct Json<'a> {
    seeds: u64,
    passed: u64,
    failed: u64,
    safety_violations: u64,
    liveness_violations: u64,
    panics: u64,
    virtual_seconds: Figure,
    steps: u64,
    messages: u64,
    acked_ops: u64,
    undecided: u64,
    undecided_in: &'a [u64],
    wall_seconds: Figure,
    cpu_seconds: Figure,
    seeds_per_wall_s: Figure,
    virtual_s_per_wall_s: Figure,
    steps_per_core_s: Figure,
    jobs: u16,
    marks: Table,
    occurrences: BTreeMap<&'static str, u64>,
    never_seen: Vec<&'static str>,
    only_in_scenarios: BTreeMap<&'static str, &'static str>,
    floors_missed: Vec<Missed>,
    without_commit: &'a [u64],
    violated: BTreeMap<&'a str, u64>,
    digest: String,
    interrupted: bool,
    exit: u8,
    failures: &'a [Failure],
}

#[derive(Serialize)]
pub(crate) struct Missed {
    pub(crate) mark: &'static str,
    pub(crate) seen: u64,
    pub(crate) needed: u64,
}

/// Marks as an object, in their order.
struct Table(Vec<Mark>);

impl Serialize for Table {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|mark| (mark.name, mark.seen)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(failed: &[Kind]) -> Report {
        let failure = |kind: &Kind| Failure {
            seed: 1,
            scenario: None,
            kind: *kind,
            property: "S1 agreement".into(),
            message: "r1 and r2 differ".into(),
            case: None,
            trace: None,
            page: None,
            small: None,
            replay: "cargo run".into(),
        };
        let failures = failed.iter().map(failure).collect();
        Report { seeds: 9, failures, floors_hold: true, ..Report::new(SEED, 2) }
    }

    #[test]
    fn each_kind_of_failure_earns_its_code_and_the_worst_one_counts() {
        let code = |failed: &[Kind]| report(failed).exit().code();
        assert_eq!([code(&[]), code(&[Kind::Safety]), code(&[Kind::Liveness]), code(&[Kind::Panic])], [0, 1, 3, 5]);
        assert_eq!(code(&[Kind::Liveness, Kind::Panic]), 5);
        assert_eq!(code(&[Kind::Panic, Kind::Liveness, Kind::Safety]), 1);
        let interrupted = |failed: &[Kind]| Report { interrupted: true, ..report(failed) }.exit().code();
        assert_eq!((interrupted(&[]), interrupted(&[Kind::Liveness])), (130, 3));
    }

    #[test]
    fn a_sweep_that_saw_nothing_is_no_success() {
        let code = |report: Report| report.exit().code();
        assert_eq!(code(Report { seeds: 0, ..report(&[]) }), 4);
        assert_eq!(code(Report { without_commit: vec![3], ..report(&[]) }), 4);
        assert_eq!(code(Report { undecided: 1, ..report(&[]) }), 4);
        let many = Report { seeds: 1000, ..report(&[]) };
        let demanded = !many.marks.missed_floors(1000).is_empty();
        assert_eq!(code(many.clone()), if demanded { 4 } else { 0 });
        assert_eq!(code(Report { floors_hold: false, ..many }), 0, "floors are for the whole swarm");
    }

    #[test]
    fn the_verdict_is_the_last_line_and_counts_what_failed() {
        console::set_colors_enabled(false);
        let told = report(&[Kind::Safety, Kind::Liveness]).text();
        assert_eq!(told.lines().last(), Some("7 seeds held, 2 failed: 1 safety, 1 liveness"));
        assert_eq!(report(&[]).text().lines().last(), Some("9 seeds: all held"));
    }
}
