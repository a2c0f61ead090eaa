//! What may be typed behind `vr-sim bench`, and what it means by "unavailable".
//!
//! Owns the options and the definition. Must not know how anything is measured. DESIGN §8.

use super::{Mode, seeds};
use clap::Args;
use std::ops::Range;
use std::path::PathBuf;
use vr_core::Wait;
use vr_sim::bench::availability::{CLIENTS, GIVEN_UP, Ordeal, THINK_MS, WATCHED};

/// What `--availability` measures.
pub(super) fn what() -> String {
    let faults: Vec<_> = Ordeal::ALL.iter().map(|it| format!("  {:<16} {}", it.name(), it.sentence())).collect();
    format!(
        "\
--availability: each seed is a cluster of 3 and one of 5 replicas with the timeouts of vr-core's defaults;
latencies (0.1 to 2 ms, each link up to twice as much) and disks (0.1 to 5 ms a sync) are drawn. {CLIENTS} clients
always have an operation under way or think for up to {THINK_MS} ms. After 10 to 30 heartbeats one fault strikes:

{}

Unavailable is the longest stretch of virtual time in which no client is answered, from one answer to the next,
of all that end after the fault and before the first answer that comes {WATCHED} heartbeats after it is over (after it
began, if it lasts); nothing is taken off it. Links between clients and replicas are whole all the time: every
request may reach a majority. Where nobody is answered until {GIVEN_UP} heartbeats after the fault, that counts under
`never`, and with the time until then. Milliseconds are rounded up, percentiles are by nearest rank. The same
seeds give the same figures and the same digest everywhere.",
        faults.join("\n")
    )
}

/// Options of `bench`.
#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    /// How long faults keep clients waiting, in virtual time
    #[arg(long)]
    pub(crate) availability: bool,
    /// How many seeds, or which, of each fault and size: 10000, or 5000..6000
    #[arg(long, value_name = "N|A..B", value_parser = seeds, default_value = "1000", requires = "availability")]
    pub(crate) seeds: Range<u64>,
    /// How many seeds run at once; changes no result [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), requires = "availability")]
    pub(crate) jobs: Option<u16>,
    /// When a promise may leave
    #[arg(long, value_name = "MODE", default_value = "sync", requires = "availability")]
    pub(crate) durability: Mode,
    /// The heartbeat, which all timeouts follow from
    #[arg(long, value_name = "MS", default_value_t = 50, requires = "availability",
          value_parser = clap::value_parser!(u64).range(1..=10_000))]
    heartbeat_ms: u64,
    /// Leave the case of the longest wait for each fault and size in this directory, for `replay`
    #[arg(long, value_name = "DIR", requires = "availability")]
    pub(crate) worst: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

impl BenchArgs {
    /// The heartbeat.
    pub(crate) const fn heartbeat(&self) -> Wait {
        Wait::millis(self.heartbeat_ms)
    }
}
