//! What may be typed behind `vr-sim check`: the cluster and the bounds of an exhaustive search.
//!
//! Owns the options. Must not know how anything is searched. DESIGN §8.

use clap::{Args, ValueEnum};
use std::path::PathBuf;
use vr_core::Durability;
use vr_sim::explore::{Bounds, Judge};

pub(super) const EXAMPLES: &str = "\
Examples:
  vr-sim check                                  3 replicas, 1 request, 1 view change, 1 crash
  vr-sim check --durability async
  vr-sim check --views 2 --requests 2 --states 50000000
  vr-sim check --mutant st_truncate --views 3 --requests 3

What is found is written as a case file; `vr-sim replay` repeats it.";

/// Options of `check`.
#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// How many replicas: 1 to 7
    #[arg(long, value_name = "N", default_value_t = 3)]
    replicas: u16,
    /// How many clients call, once each
    #[arg(long, value_name = "N", default_value_t = 1)]
    requests: u8,
    /// How many views after the first one
    #[arg(long, value_name = "N", default_value_t = 1)]
    views: u8,
    /// How often power fails
    #[arg(long, value_name = "N", default_value_t = 1)]
    crashes: u8,
    /// When a promise may leave
    #[arg(long, value_enum, value_name = "MODE", default_value = "sync")]
    durability: Promise,
    /// Plant this bug (needs the feature `mutants`)
    #[arg(long, value_name = "NAME")]
    pub(crate) mutant: Option<String>,
    /// Judge by everything that must hold, or only by harm: replicas that disagree, a view led without what was decided
    #[arg(long, value_enum, value_name = "BY", default_value = "all")]
    judge: By,
    /// Stop after so many states
    #[arg(long, visible_alias = "limit", value_name = "N", default_value_t = 20_000_000,
          value_parser = clap::value_parser!(u32).range(1..=200_000_000))]
    states: u32,
    /// Where a violation leaves its case file
    #[arg(long, value_name = "DIR", default_value = "target/vr-failures")]
    pub(crate) out: PathBuf,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

impl CheckArgs {
    /// What is asked for.
    pub(crate) fn bounds(&self) -> Bounds {
        let durability = match self.durability {
            Promise::Sync => Durability::Sync,
            Promise::Async => Durability::Async,
        };
        let judge = match self.judge {
            By::All => Judge::All,
            By::Harm => Judge::Harm,
        };
        let Self { replicas, requests, views, crashes, states, ref mutant, .. } = *self;
        Bounds { replicas, durability, mutant: mutant.clone(), requests, views, crashes, states, judge }
    }
}

/// The durability modes.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Promise {
    /// Nothing is promised before it is on disk.
    Sync,
    /// Memory plus a quorum.
    Async,
}

/// Who judges.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    /// Everything that must hold.
    All,
    /// Harm only.
    Harm,
}
