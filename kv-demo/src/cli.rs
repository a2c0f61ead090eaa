//! The command line of `kv-demo`. One file a command.
//!
//! Owns the list of commands and their help. Exit codes: 0 done, 1 it failed, 2 it was asked for wrongly. Must not know
//! what a command does.

mod cluster;
mod format;
mod serve;

use clap::{Parser, Subcommand};
use std::fmt::Display;
use std::process::ExitCode;

const LEARN: &str = "\
A first cluster, and a first value:
  kv-demo cluster
  curl -L -X PUT http://127.0.0.1:8080/object/greeting -d '{\"value\": \"hello\"}'
  curl -L http://127.0.0.1:8090/object/greeting

Kill any of its processes, ask again, start it again: what was acknowledged is there.";

#[derive(Parser)]
#[command(name = "kv-demo", version, about = "A replicated key-value store", after_help = LEARN)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a whole cluster on this machine, one process a replica.
    Cluster(cluster::Args),
    /// Run one replica.
    Serve(serve::Args),
    /// Make the empty log of one replica: once in its life, before it is served first.
    Format(format::Args),
}

/// Runs what the command line asks for.
#[must_use]
pub fn main() -> ExitCode {
    match Args::parse().command {
        Command::Cluster(args) => cluster::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Format(args) => format::run(&args),
    }
}

/// It failed: one line that says why.
fn failed(why: impl Display) -> ExitCode {
    eprintln!("kv-demo: {why}");
    ExitCode::from(1)
}

/// It was asked for wrongly: one line that says how.
fn misused(why: impl Display) -> ExitCode {
    eprintln!("kv-demo: {why}");
    ExitCode::from(2)
}
