//! What a driver may do wrong, planted: the bugs that no replica can have, because they happen where it is started.
//!
//! Owns one question for each. Must not know the world that asks. Their names stand with those of the core
//! (`vr_core::Mutant`), so that one hunt is for all of them; without the feature `mutants` every answer is no.

use vr_core::Rules;

/// D60: whose disk is gone is started as if it were new?
pub(crate) fn formats_anew(rules: Rules) -> bool {
    #[cfg(feature = "mutants")]
    let planted = rules.mutant == Some(vr_core::Mutant::FormatsAnew);
    #[cfg(not(feature = "mutants"))]
    let planted = {
        let _ = rules;
        false
    };
    planted
}

/// D85: what was read under a lease is told though its deadline has passed?
pub(crate) fn tells_late(rules: Rules) -> bool {
    #[cfg(feature = "mutants")]
    let planted = rules.mutant == Some(vr_core::Mutant::LeaseCheckedEarly);
    #[cfg(not(feature = "mutants"))]
    let planted = {
        let _ = rules;
        false
    };
    planted
}
