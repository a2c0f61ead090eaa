//! The shrinker: a failing run, made as small as it can be while the same property still breaks.
//!
//! Owns what is left out, in which order, and when it is small enough: whole kinds of decisions, replicas, clients, operations,
//! oddities of the cluster, by chance where there is much, then single decisions by delta debugging, then their values. Every
//! attempt re-executes the real core. Must not know a clock: whoever calls says when to end. DESIGN 9.13; PROTOCOL §3.

mod moves;

use crate::case::Case;
use crate::decider::{Decider, Decision};
use crate::rng::{Chance, Rng};
use crate::run::{catch, outcome, recorded, world_of};
use crate::setup::Setup;
use crate::swarm::{Options, draw};
use std::fmt::Write;

/// More decisions than this are too many to be read.
const LARGE: usize = 15;
/// So many throws without luck are enough, and so many thinnings.
const THROWS: u32 = 250;
const THINNINGS: u32 = 40;
/// From the beginning so often.
const STARTS: u32 = 24;

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// The run was executed so often.
    pub runs: u64,
    /// So many of them were smaller and failed in the same way.
    pub accepted: u64,
    /// The decisions of the smallest one so far.
    pub decisions: u64,
    /// Its replicas.
    pub replicas: u64,
    /// Its steps.
    pub steps: u64,
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shrunk {
    /// The smallest run that still fails in the same way.
    pub case: Case,
    /// How much was tried.
    pub progress: Progress,
    /// Nothing of all that can be left out can be left out any more. False when it was told to end before.
    pub is_done: bool,
}

/// Shrinks a case; `go_on` is asked before every execution, and told how far it is.
///
/// # Errors
/// In one line: the case does not fail, or not as it says, or it is a person's session, which has a script instead of decisions.
pub fn shrink(case: &Case, go_on: &mut dyn FnMut(&Progress) -> bool) -> Result<Shrunk, String> {
    if case.is_session() {
        return Err("a session of the lab is not shrunk: its script is what somebody did, command by command".into());
    }
    let mut first = attempt(case, None).ok_or("this case does not fail: there is nothing to shrink")?;
    if let Some(recorded) =
        case.violation.as_deref().filter(|recorded| Some(*recorded) != first.case.violation.as_deref())
    {
        let now = first.case.violation.as_deref().unwrap_or_default();
        return Err(format!("this case fails by {now} now, not by {recorded} as it says"));
    }
    first.case.seed = case.seed;
    let progress = Progress { runs: 1, ..Progress::default() };
    let mut shrinker = Shrinker { best: first.clone(), progress, go_on, is_told_to_end: false };
    shrinker.note();
    while shrinker.pass() && !shrinker.is_told_to_end {}
    let mut best = shrinker.best.clone();
    // What is still large gets other chances from the beginning: where shrinking ends depends on where it passes.
    for _ in 1..STARTS {
        if best.case.decisions.len() <= LARGE || shrinker.is_told_to_end {
            break;
        }
        shrinker.best = first.clone();
        while shrinker.pass() && !shrinker.is_told_to_end {}
        if is_smaller(&shrinker.best, &best) {
            best = shrinker.best.clone();
        }
    }
    shrinker.best = best;
    shrinker.note();
    let Shrinker { best, progress, is_told_to_end, .. } = shrinker;
    let Case { seed, setup, decisions, .. } = &best.case;
    let case = *recorded(setup, Decider::recorded(decisions), *seed).case.expect("recording gives a case");
    Ok(Shrunk { case, progress, is_done: !is_told_to_end })
}

/// A run that failed.
#[derive(Clone)]
struct Failing {
    case: Case,
    steps: u64,
    /// When it failed, in virtual nanoseconds.
    at: u64,
}

/// Runs a candidate. What it consulted is what is kept of its decisions: the others came after the failure, or were about what
/// never happened. `None` when nothing fails, or something else than `property`.
fn attempt(candidate: &Case, property: Option<&str>) -> Option<Failing> {
    candidate.setup.validate().ok()?;
    run(&candidate.setup, Decider::recorded(&candidate.decisions), candidate.seed, property)
}

fn run(setup: &Setup, decider: Decider, seed: u64, property: Option<&str>) -> Option<Failing> {
    let mut world = world_of(setup, decider.recording());
    let panicked = catch(&mut world);
    let found = outcome(&world, seed, panicked);
    let failure = found.failure()?;
    if property.is_some_and(|property| property != failure) {
        return None;
    }
    let mut case = Case::new(seed, setup.clone(), world.decisions().to_vec(), found.digest);
    case.violation = Some(failure.to_owned());
    Some(Failing { case, steps: found.steps, at: found.virtual_ns })
}

struct Shrinker<'a> {
    best: Failing,
    progress: Progress,
    go_on: &'a mut dyn FnMut(&Progress) -> bool,
    is_told_to_end: bool,
}

impl Shrinker<'_> {
    fn note(&mut self) {
        self.progress.decisions = count(self.best.case.decisions.len());
        self.progress.replicas = self.best.case.setup.replicas.into();
        self.progress.steps = self.best.steps;
    }

    /// May there be one more run?
    fn goes_on(&mut self) -> bool {
        self.is_told_to_end |= !(self.go_on)(&self.progress);
        self.progress.runs += u64::from(!self.is_told_to_end);
        !self.is_told_to_end
    }

    /// Is this candidate as good? Then it is the best one from now on.
    fn take(&mut self, candidate: &Case) -> bool {
        if self.is_told_to_end || !self.goes_on() {
            return false;
        }
        let found = attempt(candidate, self.best.case.violation.as_deref());
        self.adopt(found)
    }

    fn adopt(&mut self, found: Option<Failing>) -> bool {
        let Some(found) = found.filter(|found| is_smaller(found, &self.best)) else { return false };
        self.best = found;
        self.progress.accepted += 1;
        self.note();
        true
    }

    fn take_decisions(&mut self, decisions: Vec<Decision>) -> bool {
        let candidate = Case { decisions, ..self.best.case.clone() };
        self.take(&candidate)
    }

    /// Everything once; did anything become smaller?
    fn pass(&mut self) -> bool {
        let before = self.progress.accepted;
        self.leave_out_kinds();
        self.simplify_setup();
        self.throw_again();
        self.thin_out();
        self.delta_debug();
        self.simplify_values();
        self.progress.accepted > before
    }

    /// All decisions of one kind, then all but those of one kind.
    fn leave_out_kinds(&mut self) {
        let mut kinds: Vec<_> = self.best.case.decisions.iter().map(|decision| decision.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        if kinds.len() < 2 {
            return;
        }
        for kind in kinds {
            let left: Vec<_> = self.best.case.decisions.iter().filter(|d| d.kind != kind).copied().collect();
            if left.len() < self.best.case.decisions.len() {
                self.take_decisions(left);
            }
        }
    }

    /// Fewer replicas, clients, operations; nothing odd about the cluster; an end right after the failure.
    fn simplify_setup(&mut self) {
        for simpler in moves::SETUP {
            while let Some(setup) = simpler(&self.best.case.setup, self.best.at) {
                let candidate = Case { setup, ..self.best.case.clone() };
                if !self.take(&candidate) {
                    break;
                }
            }
        }
    }

    /// The same cluster with other chance, for as long as that finds the same failure after fewer decisions: what a decision is
    /// about has other names once an early one is left out, so that a long run is not cut down part by part.
    fn throw_again(&mut self) {
        let options = Options { mutant: self.best.case.setup.mutant.clone(), ..Options::default() };
        let mut missed = 0;
        while self.is_large() && missed < THROWS && self.goes_on() {
            let throw = Rng::fork(self.best.case.seed ^ self.progress.runs, "throw").wide();
            let decider = Decider::seeded(throw, draw(throw, &options).1);
            let found = run(&self.best.case.setup, decider, self.best.case.seed, self.best.case.violation.as_deref());
            missed = if self.adopt(found) { 0 } else { missed + 1 };
        }
    }

    /// A random half of the decisions, then three quarters, then most of them.
    fn thin_out(&mut self) {
        let mut rng = Rng::fork(self.best.case.seed ^ self.progress.runs, "thin");
        for keep in [4, 6, 7] {
            let mut missed = 0;
            while self.is_large() && missed < THINNINGS && !self.is_told_to_end {
                let kept = self.best.case.decisions.iter().filter(|_| rng.happens(Chance::of(keep, 8)));
                let kept = kept.copied().collect();
                missed = if self.take_decisions(kept) { 0 } else { missed + 1 };
            }
        }
    }

    fn is_large(&self) -> bool {
        self.best.case.decisions.len() > LARGE
    }

    /// Zeller's ddmin over decisions: ever smaller parts are left out, as long as it fails.
    fn delta_debug(&mut self) {
        let mut part = self.best.case.decisions.len();
        while part > 0 && !self.is_told_to_end {
            let mut from = 0;
            while from < self.best.case.decisions.len() && !self.is_told_to_end {
                let mut left = self.best.case.decisions.clone();
                left.drain(from..left.len().min(from + part));
                // After a success the same place holds others; a run that consulted fewer may have moved them: that is fine.
                if !self.take_decisions(left) {
                    from += part;
                }
            }
            part /= 2;
        }
    }

    /// Each decision that is left, as plain as it can be.
    fn simplify_values(&mut self) {
        let mut at = 0;
        while at < self.best.case.decisions.len() && !self.is_told_to_end {
            let decision = self.best.case.decisions[at];
            for value in moves::plainer(decision.kind, decision.value) {
                let mut decisions = self.best.case.decisions.clone();
                decisions[at].value = value;
                if self.take_decisions(decisions) {
                    break;
                }
            }
            at += 1;
        }
    }
}

/// Fewer decisions, or as many and a smaller or shorter run.
fn is_smaller(found: &Failing, best: &Failing) -> bool {
    let size = |failing: &Failing| {
        let Failing { case, steps, .. } = failing;
        let setup = &case.setup;
        let values: u64 = case.decisions.iter().map(|decision| u64::from(moves::weight(decision))).sum();
        let odd = moves::oddities(setup);
        (count(case.decisions.len()), setup.replicas, setup.clients, setup.ops, odd, values, *steps)
    };
    size(found) < size(best)
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// A case as a Rust test that compiles, fails as long as the bug is there, and needs no file beside it.
///
/// # Panics
/// Never: writing to a text cannot fail.
#[must_use]
pub fn as_test(case: &Case) -> String {
    let property = case.violation.as_deref().unwrap_or("everything");
    let name: String =
        property.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    let planted = case.setup.mutant.as_deref();
    let mut text = format!("//! {property} in a run shrunk from seed {}: it must hold.\n\n", case.seed);
    if let Some(mutant) = planted {
        writeln!(text, "#![cfg(feature = \"mutants\")] // the planted bug `{mutant}` is what breaks it\n")
            .expect("a text");
    }
    write!(
        text,
        "use vr_sim::case::Case;\nuse vr_sim::run::run_case;\n\n#[test]\nfn {name}_holds_in_what_seed_{}_shrank_to() {{\n    \
         let case = Case::read(CASE).expect(\"a case of this format\");\n    let outcome = run_case(&case);\n    \
         let what = outcome.violation.map(|violation| violation.message).or(outcome.panicked);\n    \
         assert_eq!(what, None, \"{property}\");\n}}\n\nconst CASE: &str = r##\"{}\"##;\n",
        case.seed,
        case.write()
    )
    .expect("a text");
    text
}

#[cfg(test)]
mod tests;
