//! All scenarios: the report's Appendix A, partial partitions, and the defects of PROTOCOL §2, a file per section.
//!
//! Owns the list, and which scenario kills which planted bug (`kills`). A name says the defect (`d30` is PROTOCOL D30)
//! or the test of the report (`a04`), then the point. Must not know how a scenario is run.
//!
//! Interleavings are those of `model/traces*.py`, led to where the gate of DESIGN §10 lets them go: a replica does
//! not leave a view alone, so two that hear each other do. In all of them r0 leads view 0, r1 view 1 and so on.

mod appendix_a;
mod clients;
#[cfg(feature = "mutants")]
pub(crate) mod kills;
mod normal;
mod partitions;
mod recovery;
mod restarts;
mod sizes;
mod state_transfer;
mod view_change;
mod view_gate;

use crate::scenario::ScenarioInfo;
use std::sync::LazyLock;

static ALL: LazyLock<Vec<ScenarioInfo>> = LazyLock::new(|| {
    let chapters = [
        appendix_a::SCENARIOS,
        partitions::SCENARIOS,
        sizes::SCENARIOS,
        normal::SCENARIOS,
        view_change::SCENARIOS,
        view_gate::SCENARIOS,
        state_transfer::SCENARIOS,
        restarts::SCENARIOS,
        recovery::SCENARIOS,
        clients::SCENARIOS,
    ];
    chapters.concat()
});

/// Every scenario, in the order in which to read them.
pub(crate) fn all() -> &'static [ScenarioInfo] {
    &ALL
}
