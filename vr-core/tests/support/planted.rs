//! The bug that clusters of a test are made with: none, unless a test plants one to see a check fail.
//!
//! Owns that choice, per thread, so that tests do not meet. Without the feature `mutants` there is nothing to plant.

#[cfg(feature = "mutants")]
mod planting {
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use vr_core::{Config, Mutant};

    thread_local! { static BUG: Cell<Option<Mutant>> = const { Cell::new(None) }; }

    /// Every replica gets the bug of this thread; `VR_MUTANT=name` gives one to a whole run of the tests.
    pub(crate) fn plant(config: &mut Config) {
        let named = || Mutant::named(&std::env::var("VR_MUTANT").ok()?);
        config.rules.mutant = BUG.get().or_else(named);
    }

    /// Does the check fail when the bug is there?
    pub(crate) fn is_caught(bug: Mutant, check: fn()) -> bool {
        BUG.set(Some(bug));
        let outcome = catch_unwind(AssertUnwindSafe(check));
        BUG.set(None);
        outcome.is_err()
    }
}

#[cfg(not(feature = "mutants"))]
mod planting {
    /// Nothing to plant.
    pub(crate) const fn plant(_: &mut vr_core::Config) {}
}

pub(crate) use planting::*;
