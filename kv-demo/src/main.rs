//! The program `kv-demo`: a replicated key-value store on `vr-tokio`, its servers and its client in one binary.
//!
//! Owns nothing but the start: see [`kv_demo::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    kv_demo::cli::main()
}
