//! The shrinker: a failing run, made as small as it can be while the same property still breaks.
//!
//! Owns what is left out, in which order, and when it is small enough: whole kinds of decisions, replicas, clients, operations,
//! oddities of the cluster, by chance where there is much, then single decisions by delta debugging, then their values. Every
//! attempt re-executes the real core. Must not know a clock: whoever calls says when to end. DESIGN 9.13; PROTOCOL §3.

mod moves;
mod throws;

use crate::case::Case;
use crate::decider::{Decider, Decision};
use crate::odds::Odds;
use crate::rng::{Chance, Rng};
use crate::run::{catch_within, outcome, recorded, world_of};
use crate::setup::Setup;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// More decisions than this are too many to be read.
const LARGE: usize = 15;
/// With more than this there is no use in looking at each.
const HUGE: usize = 100;
/// So many thinnings without luck are enough.
const THINNINGS: usize = 40;
/// So many candidates are run at once, on as many threads as there are.
const ROUND: usize = 16;
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

/// Who runs candidates: carries out the same work on as many threads as it likes, and comes back when all have ended.
pub type Crew<'a> = &'a dyn Fn(&(dyn Fn() + Sync));

/// Shrinks a case with the help of `crew`, whose size changes no result; `go_on` is asked before every round of executions, and
/// told how far it is.
///
/// # Errors
/// In one line: the case does not fail, or not as it says, or it is a person's session, which has a script instead of decisions.
pub fn shrink(case: &Case, crew: Crew<'_>, go_on: &mut dyn FnMut(&Progress) -> bool) -> Result<Shrunk, String> {
    if case.is_session() {
        return Err("a session of the lab is not shrunk: its script is what somebody did, command by command".into());
    }
    let first = Candidate::of(case, &case.decisions).attempt(case.seed, None, case.decisions.len());
    let mut first = first.ok_or("this case does not fail: there is nothing to shrink")?;
    if let Some(recorded) =
        case.violation.as_deref().filter(|recorded| Some(*recorded) != first.case.violation.as_deref())
    {
        let now = first.case.violation.as_deref().unwrap_or_default();
        return Err(format!("this case fails by {now} now, not by {recorded} as it says"));
    }
    first.case.seed = case.seed;
    let progress = Progress { runs: 1, ..Progress::default() };
    let odds = throws::odds_of(&first.case);
    let mut shrinker =
        Shrinker { best: first.clone(), odds: odds.clone(), rounds: 0, progress, crew, go_on, is_told_to_end: false };
    shrinker.note();
    while shrinker.pass() && !shrinker.is_told_to_end {}
    let mut best = shrinker.best.clone();
    // What is still large gets other chances from the beginning: where shrinking ends depends on where it passes.
    for _ in 1..STARTS {
        if best.case.decisions.len() <= LARGE || shrinker.is_told_to_end {
            break;
        }
        (shrinker.best, shrinker.odds) = (first.clone(), odds.clone());
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

/// A run that may be smaller and fail in the same way.
struct Candidate {
    setup: Setup,
    decider: Decider,
}

impl Candidate {
    fn of(case: &Case, decisions: &[Decision]) -> Self {
        Self { setup: case.setup.clone(), decider: Decider::recorded(decisions) }
    }

    /// Runs it, for as long as it takes at most so many decisions. What it consulted is what is kept of its decisions: the
    /// others came after the failure, or were about what never happened. `None` when nothing fails, or another property.
    fn attempt(&self, seed: u64, property: Option<&str>, most: usize) -> Option<Failing> {
        self.setup.validate().ok()?;
        let mut world = world_of(&self.setup, self.decider.clone().recording());
        let (has_ended, panicked) = catch_within(&mut world, most);
        if !has_ended {
            return None;
        }
        let found = outcome(&world, seed, panicked);
        let failure = found.failure()?;
        if property.is_some_and(|property| property != failure) {
            return None;
        }
        let mut case = Case::new(seed, self.setup.clone(), world.decisions().to_vec(), found.digest);
        case.violation = Some(failure.to_owned());
        Some(Failing { case, steps: found.steps, at: found.virtual_ns })
    }

    fn beats(&self, best: &Failing) -> Option<Failing> {
        let Case { seed, violation, decisions, .. } = &best.case;
        self.attempt(*seed, violation.as_deref(), decisions.len()).filter(|found| is_smaller(found, best))
    }
}

struct Shrinker<'a> {
    best: Failing,
    /// What may go wrong in a throw.
    odds: Odds,
    /// So many rounds have begun: chance is another in each, and the same however many threads there are.
    rounds: u64,
    progress: Progress,
    crew: Crew<'a>,
    go_on: &'a mut dyn FnMut(&Progress) -> bool,
    is_told_to_end: bool,
}

impl Shrinker<'_> {
    fn note(&mut self) {
        self.progress.decisions = count(self.best.case.decisions.len());
        self.progress.replicas = self.best.case.setup.replicas.into();
        self.progress.steps = self.best.steps;
    }

    /// Is any of these candidates better? The first one that is, is the best from now on.
    fn take_first(&mut self, candidates: &[Candidate]) -> Option<usize> {
        self.is_told_to_end |= !(self.go_on)(&self.progress);
        self.rounds += 1;
        if self.is_told_to_end {
            return None;
        }
        let (next, runs) = (AtomicUsize::new(0), AtomicU64::new(0));
        let found: Mutex<Option<(usize, Failing)>> = Mutex::new(None);
        let is_before =
            |at: usize| found.lock().expect("nobody panics here").as_ref().is_none_or(|(first, _)| at < *first);
        (self.crew)(&|| {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(candidate) = candidates.get(at).filter(|_| is_before(at)) else { return };
                runs.fetch_add(1, Ordering::Relaxed);
                if let Some(better) = candidate.beats(&self.best).filter(|_| is_before(at)) {
                    *found.lock().expect("nobody panics here") = Some((at, better));
                }
            }
        });
        self.progress.runs += runs.into_inner();
        let (at, better) = found.into_inner().expect("nobody panicked")?;
        self.best = better;
        self.progress.accepted += 1;
        self.note();
        Some(at)
    }

    fn take(&mut self, decisions: &[Decision]) -> bool {
        self.take_first(&[Candidate::of(&self.best.case, decisions)]).is_some()
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

    /// All decisions of one kind.
    fn leave_out_kinds(&mut self) {
        let mut kinds: Vec<_> = self.best.case.decisions.iter().map(|decision| decision.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        for kind in kinds {
            let left: Vec<_> = self.best.case.decisions.iter().filter(|d| d.kind != kind).copied().collect();
            if left.len() < self.best.case.decisions.len() && !left.is_empty() {
                self.take(&left);
            }
        }
    }

    /// Fewer replicas, clients, operations; nothing odd about the cluster; an end right after the failure.
    fn simplify_setup(&mut self) {
        for simpler in moves::SETUP {
            while let Some(setup) = simpler(&self.best.case.setup, self.best.at) {
                let decider = Decider::recorded(&self.best.case.decisions);
                if self.take_first(&[Candidate { setup, decider }]).is_none() {
                    break;
                }
            }
        }
    }

    /// A random half of the decisions, then three quarters, then most of them.
    fn thin_out(&mut self) {
        for keep in [4, 6, 7] {
            let mut missed = 0;
            while self.is_large() && missed < THINNINGS && !self.is_told_to_end {
                let mut rng = Rng::fork(self.best.case.seed ^ self.rounds, "thin");
                let case = &self.best.case;
                let thinned: Vec<_> = (0..ROUND)
                    .map(|_| {
                        case.decisions.iter().filter(|_| rng.happens(Chance::of(keep, 8))).copied().collect::<Vec<_>>()
                    })
                    .map(|decisions| Candidate::of(case, &decisions))
                    .collect();
                missed = if self.take_first(&thinned).is_some() { 0 } else { missed + ROUND };
            }
        }
    }

    fn is_large(&self) -> bool {
        self.best.case.decisions.len() > LARGE
    }

    /// Zeller's ddmin over decisions: ever smaller parts are left out, as long as it fails.
    fn delta_debug(&mut self) {
        let mut part = self.best.case.decisions.len();
        while part > self.too_small() && !self.is_told_to_end {
            let mut from = 0;
            while from < self.best.case.decisions.len() && !self.is_told_to_end {
                let Case { decisions, .. } = &self.best.case;
                let starts: Vec<_> = (from..decisions.len()).step_by(part).take(ROUND).collect();
                let without =
                    |from: usize| [&decisions[..from], &decisions[decisions.len().min(from + part)..]].concat();
                let parts: Vec<_> = starts.iter().map(|from| Candidate::of(&self.best.case, &without(*from))).collect();
                // After a success the same place holds others; a run that consulted fewer may have moved them: that is fine.
                from = self.take_first(&parts).map_or(from + part * starts.len(), |at| starts[at]);
            }
            part /= 2;
        }
    }

    /// Parts of so many are not left out one by one: of hundreds nearly each takes part in what happens, until a throw is lucky.
    fn too_small(&self) -> usize {
        let decisions = self.best.case.decisions.len();
        if decisions > HUGE { decisions / 32 } else { 0 }
    }

    /// Each decision that is left, as plain as it can be.
    fn simplify_values(&mut self) {
        let mut at = 0;
        while at < self.best.case.decisions.len() && self.best.case.decisions.len() <= HUGE && !self.is_told_to_end {
            let Case { decisions, .. } = &self.best.case;
            let Decision { kind, value, .. } = decisions[at];
            let plainer = moves::plainer(kind, value).into_iter().map(|value| {
                let mut decisions = decisions.clone();
                decisions[at].value = value;
                Candidate::of(&self.best.case, &decisions)
            });
            let plainer: Vec<_> = plainer.collect();
            self.take_first(&plainer);
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
