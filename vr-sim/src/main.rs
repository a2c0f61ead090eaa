//! The program `vr-sim`: reads the command line, does what a verb says, and turns what came of it into an exit code.
//!
//! Owns nothing else; the verbs are in `cli/`, the simulator in the library. Here and in `cli/` alone there are
//! clocks, threads and floats. DESIGN §8.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
