//! Throws: other runs of nearly the same cluster, by chance, for one that fails in the same way after fewer decisions.
//!
//! Owns what is thrown. What a decision is about has other names once an early one is left out, so that a long run is not cut
//! down part by part; but what made the seed fail, its cluster and how often what goes wrong in it, makes others fail too, and
//! goes on doing so with less of it. Must not know decisions. DESIGN 9.13.

use super::{Candidate, HUGE, ROUND, Shrinker, moves};
use crate::case::Case;
use crate::decider::Decider;
use crate::odds::Odds;
use crate::rng::{Chance, Rng};
use crate::setup::Setup;
use crate::swarm::{Options, draw};

/// So many throws without luck are enough, and with hundreds of decisions, where there is no other hope.
const THROWS: usize = 250;
const PATIENT_THROWS: usize = 2_000;

/// How often what goes wrong in the seed that a case comes from. Of a case from elsewhere they are as good as any.
pub(super) fn odds_of(case: &Case) -> Odds {
    draw(case.seed, &options_of(&case.setup)).1
}

fn options_of(setup: &Setup) -> Options {
    let (reconfigured, witnesses) = (u32::from(setup.plan.is_some()), !setup.witnesses.is_empty());
    Options { mutant: setup.mutant.clone(), reconfigured, witnesses, ..Options::default() }
}

impl Shrinker<'_> {
    /// Until there was no luck for long.
    pub(super) fn throw_again(&mut self) {
        let mut missed = 0;
        while self.is_large() && missed < self.patience() && !self.is_told_to_end {
            let mut rng = Rng::fork(self.best.case.seed ^ self.rounds, "throw");
            let throws: Vec<_> = (0..ROUND).map(|nth| self.throw(nth, &mut rng)).collect();
            let of = |(setup, odds): &(Setup, Odds)| Candidate {
                setup: setup.clone(),
                decider: Decider::seeded(rng.wide(), odds.clone()),
            };
            let candidates: Vec<_> = throws.iter().map(of).collect();
            if let Some(at) = self.take_first(&candidates) {
                (self.odds, missed) = (throws[at].1.clone(), 0);
            } else {
                missed += ROUND;
            }
        }
    }

    fn patience(&self) -> usize {
        if self.best.case.decisions.len() > HUGE { PATIENT_THROWS } else { THROWS }
    }

    /// A cluster and how often what goes wrong in it: as before, with less of it, or (a few in a round) with something else.
    fn throw(&self, nth: usize, rng: &mut Rng) -> (Setup, Odds) {
        let Self { best, odds, .. } = self;
        let mut setup = best.case.setup.clone();
        match nth {
            0 => return (setup, draw(rng.wide(), &options_of(&best.case.setup)).1),
            1..=4 => return (draw(rng.wide(), &options_of(&setup)).0, odds.clone()),
            _ => {}
        }
        let (is_simpler, is_thinner) = (nth % 2 == 1, nth / 2 % 2 == 1);
        for simpler in moves::SETUP.into_iter().filter(|_| is_simpler) {
            if rng.happens(Chance::of(1, 8)) {
                setup = simpler(&setup, best.at).filter(|setup| setup.validate().is_ok()).unwrap_or(setup);
            }
        }
        let keep = if is_thinner { rng.pick(&[15, 14, 12, 8]) } else { 16 };
        (setup, odds.thinned(Chance::of(keep, 16), rng))
    }
}
