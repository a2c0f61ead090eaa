//! The replicated key-value store that will run on `vr-tokio`.
//!
//! There is nothing here yet: the protocol core and its simulator come first. Until then this program says
//! so in one line and exits with 2, so that no script mistakes it for a store.

use std::process::ExitCode;

fn main() -> ExitCode {
    eprintln!("kv-demo: not built yet; today `cargo run --release -p vr-sim` runs the protocol under faults");
    ExitCode::from(2)
}
