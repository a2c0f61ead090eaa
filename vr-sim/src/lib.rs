//! Whole Viewstamped Replication clusters under seeded faults, checked and replayed.

pub mod check;
pub mod digest;
pub mod service;
