//! Any bytes, as a history of a log and its disk, or as what comes over a connection: nothing may break.
//!
//! Owns what the bytes of a fuzzer mean, and what is expected. Must not know a fuzzer: ordinary tests call it too, with
//! the inputs that are kept in `fuzz/seeds`. Nothing that a node runs is in here. DESIGN 9.19.

pub mod author;
mod http;
pub mod memory;
mod script;
mod wal;

pub use self::http::http;
pub use self::wal::{entry_by_entry, never_silently_less, wal};
