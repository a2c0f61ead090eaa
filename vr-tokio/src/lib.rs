//! The actions of `vr-core` on real HTTP and real disks: a replica that an embedder starts with its own service.
//!
//! Under construction: the rooms below are being filled, one after the other. The adapter decides nothing about the
//! protocol; it carries out actions and reports completions.

pub mod client;
mod config;
pub mod disk;
mod events;
mod found;
mod handle;
mod metrics;
mod node;
mod ops;
pub mod tls;
pub mod transport;
mod upcalls;
pub mod wal;

pub use vr_core;
