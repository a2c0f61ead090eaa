//! The command line of `kv-demo`. One file a command.
//!
//! Owns the list of commands and their help. Exit codes: 0 done, 1 it failed, 2 it was asked for wrongly, 3 the
//! key is not as it was expected to be. Must not know what a command does.

mod bench;
mod cluster;
mod format;
mod found;
mod hand_over;
mod keys;
mod log;
mod member;
mod serve;
mod status;
mod view;
mod wire;

use clap::{Parser, Subcommand};
use std::fmt::Display;
use std::process::ExitCode;

const LEARN: &str = "\
A first cluster, and a first value:
  kv-demo cluster
  curl -L -X PUT http://127.0.0.1:8080/object/greeting -d '{\"value\": \"hello\"}'
  curl -L http://127.0.0.1:8090/object/greeting

Kill any of its processes, ask again, start it again: what was acknowledged is there.";

/// Where `cluster` serves, unless told otherwise.
const ENDPOINTS: &str =
    "http://127.0.0.1:8080,http://127.0.0.1:8090,http://127.0.0.1:8100,http://127.0.0.1:8110,http://127.0.0.1:8120";

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
    /// Found a new cluster from the log of one member of a lost one, when all of an async cluster crashed at once.
    Found(found::Args),
    /// Write a value.
    Put(keys::PutArgs),
    /// Print a value. Exit code 3: there is no such key.
    Get(keys::GetArgs),
    /// Remove a key. Exit code 3: there is no such key.
    Delete(keys::KeyArgs),
    /// Write a value if the key is as expected. Exit code 3: it is not.
    Cas(keys::CasArgs),
    /// Print the keys that begin with a prefix, in order, and their values.
    List(keys::ListArgs),
    /// Show every node: its view, its role, how far it has come.
    Status(status::Args),
    /// Have the primary give way to another replica, before maintenance: nobody waits for a timeout.
    HandOver(hand_over::Args),
    /// EXPERIMENTAL: show the members of a running cluster, add some, remove some.
    Member(member::Args),
    /// Print a replica's log and verify it, a damaged one too. Changes nothing.
    Log(log::Args),
    /// Show a running cluster, a trace, or a simulated cluster to drive by hand: a page for a browser.
    View(view::Args),
    /// Measure: how many operations a second, how long each takes.
    Bench(bench::Args),
}

/// Runs what the command line asks for.
#[must_use]
pub fn main() -> ExitCode {
    match Args::parse().command {
        Command::Cluster(args) => cluster::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Format(args) => format::run(&args),
        Command::Found(args) => found::run(&args),
        Command::Put(args) => keys::put(&args),
        Command::Get(args) => keys::get(&args),
        Command::Delete(args) => keys::delete(&args),
        Command::Cas(args) => keys::cas(&args),
        Command::List(args) => keys::list(&args),
        Command::Status(args) => status::run(&args),
        Command::HandOver(args) => hand_over::run(&args),
        Command::Member(args) => member::run(&args),
        Command::Log(args) => log::run(&args),
        Command::View(args) => view::run(&args),
        Command::Bench(args) => bench::run(&args),
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
