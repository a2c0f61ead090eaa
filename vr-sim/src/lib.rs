//! Whole Viewstamped Replication clusters under seeded faults, checked and replayed.

pub mod check;
