//! All scenarios: the report's Appendix A, partial partitions, and the defects of PROTOCOL §2, a file per section.
//!
//! Owns the list, and which scenario kills which planted bug (`kills`). A name says the defect (`d30` is PROTOCOL D30)
//! or the test of the report (`a04`), then the point. Must not know how a scenario is run.
//!
//! Not told, because the code has nothing that could go wrong so: D45, D60 (lost and foreign disks are not opened); D59
//! (nobody says of an entry that it never had it); D62 (what comes back is compared with the hash that the chain names);
//! D73 (no client asks for its number). D6 needs D42 or D52 to happen first, D36 is the other side of D31, D101 is
//! judged in every run (S2, S16).
//!
//! Interleavings are those of `model/traces*.py`, led to where the gate of DESIGN §10 lets them go: a replica does
//! not leave a view alone, so two that hear each other do. In all of them r0 leads view 0, r1 view 1 and so on.

mod appendix_a;
mod aside;
mod backup_reads;
mod checkpoints;
mod clients;
mod epoch_news;
mod epochs;
mod hand_over;
#[cfg(feature = "mutants")]
pub(crate) mod kills;
mod leases;
mod long_parts;
mod misfits;
mod normal;
mod partitions;
mod reads;
mod recovery;
mod restarts;
mod robustness;
mod sizes;
mod state_transfer;
mod stops;
mod storage;
mod strangers;
mod view_change;
mod view_gate;
mod witnesses;

use crate::scenario::ScenarioInfo;
use std::sync::LazyLock;

/// The chapters, in the order in which to read them.
pub(crate) const CHAPTERS: &[(&str, &[ScenarioInfo])] = &[
    ("the report's Appendix A", appendix_a::SCENARIOS),
    ("partial partitions", partitions::SCENARIOS),
    ("sizes and restarts of whole clusters", sizes::SCENARIOS),
    ("normal operation", normal::SCENARIOS),
    ("view change: safety", view_change::SCENARIOS),
    ("view change: liveness", view_gate::SCENARIOS),
    ("state transfer", state_transfer::SCENARIOS),
    ("checkpoints", checkpoints::SCENARIOS),
    ("long parts of checkpoints", long_parts::SCENARIOS),
    ("checkpoints that are given late", aside::SCENARIOS),
    ("pages and parts that do not fit", misfits::SCENARIOS),
    ("restarts and disks", restarts::SCENARIOS),
    ("recovery", recovery::SCENARIOS),
    ("storage that loses something", storage::SCENARIOS),
    ("full disks and orderly stops", stops::SCENARIOS),
    ("clients", clients::SCENARIOS),
    ("primary hand-over", hand_over::SCENARIOS),
    ("reads without an entry", reads::SCENARIOS),
    ("reads at backups", backup_reads::SCENARIOS),
    ("reads under a lease", leases::SCENARIOS),
    ("reconfiguration", epochs::SCENARIOS),
    ("reconfiguration: who hears of it, and when", epoch_news::SCENARIOS),
    ("witnesses", witnesses::SCENARIOS),
    ("robustness", robustness::SCENARIOS),
    ("what nobody of the group says", strangers::SCENARIOS),
];

static ALL: LazyLock<Vec<ScenarioInfo>> =
    LazyLock::new(|| CHAPTERS.iter().flat_map(|(_, scenarios)| *scenarios).copied().collect());

/// Every scenario, in the order in which to read them.
pub(crate) fn all() -> &'static [ScenarioInfo] {
    &ALL
}
