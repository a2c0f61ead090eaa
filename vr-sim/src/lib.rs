//! Whole Viewstamped Replication clusters under seeded faults, checked and replayed.

pub mod case;
pub mod check;
pub mod client;
pub mod clock;
pub mod decider;
pub mod digest;
pub mod disk;
pub mod fate;
pub mod faults;
pub mod marks;
pub mod net;
pub mod odds;
pub mod queue;
pub mod rng;
pub mod run;
pub mod scenario;
mod scenarios;
pub mod service;
pub mod setup;
pub mod swarm;
pub mod tape;
pub mod workload;
pub mod world;
