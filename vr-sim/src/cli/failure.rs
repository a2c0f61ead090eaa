//! A failing seed: what broke in words, what is kept of it, and the command that replays it.
//!
//! Owns the files under `--out` and the message, whose last line is always a command. Must not know how it was found.
//! DESIGN §8.

use super::report::{Failure, Kind, virtual_time};
use super::screen::{Figure, bad, counted, faint, strong};
use super::small::Small;
use super::trace;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use vr_core::Durability;
use vr_sim::run::Outcome;
use vr_sim::setup::Setup;
pub(crate) use vr_sim::shell::command;
use vr_sim::tape::Tape;

const REPLAY_IT: &str = "\n  replay it:\n";

/// Where a failure came from, so that it can be found again.
#[derive(Clone, Copy)]
pub(crate) struct Origin<'a> {
    /// Where files go.
    pub(crate) out: &'a Path,
    /// The name of the files, without an ending.
    pub(crate) name: &'a str,
    /// The scenario, where it was one.
    pub(crate) scenario: Option<&'a str>,
    /// What would run it again without a file, after the program's name.
    pub(crate) again: &'a [String],
    /// Was a bug planted?
    pub(crate) planted: bool,
    /// Makes its trace, which repeats the given command; `None` when none is to be written.
    pub(crate) trace: Option<&'a dyn Fn(&str) -> Tape>,
}

/// Keeps a failing run: its files are written, and the message says where.
pub(crate) fn keep(outcome: &Outcome, kind: Kind, origin: &Origin<'_>) -> (Failure, String) {
    let mut problem = None;
    let mut written = |ending: &str, text: &str| {
        let path = origin.out.join(format!("{}.{ending}", origin.name));
        let result = fs::create_dir_all(origin.out).and_then(|()| fs::write(&path, text));
        problem = problem.take().or(result.as_ref().err().map(|why| format!("{}: {why}", path.display())));
        result.is_ok().then_some(path)
    };
    let case = outcome.case.as_ref().and_then(|case| written("vrcase", &case.write()));
    let words = match &case {
        Some(path) => vec!["replay".to_owned(), path.display().to_string()],
        None => origin.again.to_vec(),
    };
    let replay = command(&words, origin.planted);
    let tape = origin.trace.map(|trace| trace(&replay));
    let trace = tape.as_ref().and_then(|tape| written("vrt.jsonl", &tape.write()));
    let page = tape.as_ref().and_then(|tape| written("html", &trace::page(tape, origin.name)));
    let failure = Failure {
        seed: outcome.seed,
        scenario: origin.scenario.map(str::to_owned),
        kind,
        property: outcome.failure().unwrap_or_default().to_owned(),
        message: message(outcome),
        case,
        trace,
        page,
        small: None,
        replay,
    };
    let text = text(&failure, outcome, problem.as_deref());
    (failure, text)
}

/// The same text, with what became of the failure when it was shrunk; the command stays its end.
pub(crate) fn with_small(text: &str, small: &Small) -> String {
    let told = small.text();
    match text.rfind(REPLAY_IT) {
        Some(at) => format!("{}\n{told}{}", &text[..at], &text[at..]),
        None => format!("{text}\n{told}"),
    }
}

fn message(outcome: &Outcome) -> String {
    let panicked = outcome.panicked.as_ref().map(|what| format!("the code under test panicked: {what}"));
    let violated = || outcome.violation.as_ref().map(|violation| violation.message.clone());
    panicked.or_else(violated).unwrap_or_default()
}

fn text(failure: &Failure, outcome: &Outcome, problem: Option<&str>) -> String {
    let whose = failure.scenario.as_ref().map_or_else(|| format!("seed {}", failure.seed), Clone::clone);
    let property = strong().apply_to(&failure.property);
    let mut text = match failure.kind {
        Kind::Panic => bad().apply_to(format!("{whose} panicked")).to_string(),
        Kind::Safety | Kind::Liveness => {
            format!("{} {property} ({})", bad().apply_to(format!("{whose} violated")), failure.kind.word())
        }
    };
    for line in failure.message.lines() {
        let _ = write!(text, "\n  {line}");
    }
    if let Some(violation) = &outcome.violation {
        let who = violation.replicas.iter().map(|replica| format!("r{}", replica.0));
        let ops = violation.ops.iter().map(|op| format!("op {}", op.0));
        let concerned: Vec<_> = who.chain(ops).collect();
        if !concerned.is_empty() {
            let _ = write!(text, "\n  concerned: {}", concerned.join(", "));
        }
    }
    let _ = write!(
        text,
        "\n  after {} and {}, at {} virtual seconds",
        counted(outcome.steps, "step"),
        counted(outcome.messages, "message"),
        Figure::seconds(virtual_time(outcome.virtual_ns.into())),
    );
    if let Some(case) = &outcome.case {
        let decisions = u64::try_from(case.decisions.len()).unwrap_or(u64::MAX);
        let _ = write!(text, "\n  {}; {}", cluster(&case.setup), counted(decisions, "decision"));
    }
    for (word, path) in [("trace", &failure.trace), ("page ", &failure.page)] {
        if let Some(path) = path {
            let _ = write!(text, "\n  {} {}", faint().apply_to(word), path.display());
        }
    }
    if let Some(problem) = problem {
        let _ = write!(text, "\n  {} {problem}", bad().apply_to("not everything could be kept:"));
    }
    let _ = write!(text, "{REPLAY_IT}{}", failure.replay);
    text
}

/// The cluster of a run in one line.
pub(crate) fn cluster(setup: &Setup) -> String {
    let mode = match setup.durability {
        Durability::Sync => "sync",
        Durability::Async => "async",
    };
    let planted = setup.mutant.as_ref().map_or_else(String::new, |name| format!(", planted bug {name}"));
    let replicas = counted(u64::from(setup.replicas), "replica");
    format!("{replicas}, {mode}, {}{planted}", counted(u64::from(setup.clients), "client"))
}
