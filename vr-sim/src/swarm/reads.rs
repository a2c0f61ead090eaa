//! Reads that no log entry pays for: how many clients ask, whom, and what becomes of what replicas say of them.
//!
//! Owns these draws, each from a stream of its own: what earlier draws mean stays. Must not know what a read is. PROTOCOL 1.8.

use super::{add, spoil};
use crate::odds::{Fates, Odds};
use crate::rng::Rng;
use crate::setup::Setup;
use vr_core::MessageKind;

/// Most clients read without an entry in the log, now and then or all the time.
pub(super) fn draw(setup: &mut Setup, rng: &mut Rng) {
    setup.mix.unlogged = rng.pick(&[0, 8, 16, 16]);
    if setup.mix.unlogged > 0 {
        setup.mix.get = rng.pick(&[2, 6, 12]);
        // As many operations are logged as without.
        setup.ops = setup.ops * (10 + u32::try_from(setup.mix.get).unwrap_or(0)) / 10;
        // In half of these some go to any replica.
        setup.mix.anywhere = Rng::fork(setup.seed, "reads at backups").pick(&[0, 0, 8, 16]);
    }
}

/// All reads go anywhere, what backups ask for them is lost, and what they are told comes late; in larger groups parts fall off
/// with a primary that is slow to notice (PROTOCOL D80, D81).
pub(super) fn trouble(seed: u64, setup: &mut Setup, odds: &mut Odds) {
    let rng = &mut Rng::fork(seed, "read indexes");
    if setup.mix.anywhere == 0 || rng.below(2) == 0 {
        return;
    }
    setup.mix.anywhere = 16;
    let (lost, held, unsaid) = (rng.pick(&[0, 300, 600]), rng.pick(&[0, 200, 500]), rng.pick(&[0, 0, 300]));
    spoil(odds, &[MessageKind::GetReadIndex], Fates::per_mille([50, lost, 0, 100, 0]));
    spoil(odds, &[MessageKind::ReadIndex], Fates::per_mille([50, 50, 200, held, 0]));
    if unsaid > 0 {
        // Backups learn late of what is committed.
        spoil(odds, &[MessageKind::Commit], Fates::per_mille([50, unsaid, 0, 0, 0]));
    }
    add(odds, rng, 20, &[(4, 4), (5, 1)]);
    if setup.replicas >= 5 && rng.below(2) == 0 {
        // Long enough for a view without them.
        (setup.view_change, setup.abdicate, odds.longest) = ((4, 8), 40, 31);
        add(odds, rng, 40, &[(8, 16)]);
    }
}
