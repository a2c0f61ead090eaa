//! What may be typed behind `vr-sim lab`: the cluster, or the case to fork, and what to do to it.
//!
//! Owns the options and the lesson that `--help` is. Must not know what a command does. DESIGN §8; VIEW §3.6.

use clap::{Args, ValueEnum};
use std::path::PathBuf;
use vr_core::Durability;
use vr_sim::lab::LabSetup;

pub(super) const LESSON: &str = "\
Commands, one a line or several with `;` between them (# begins a comment line):
  register c0 r0                    client 0 asks replica 0 for a session
  request c0 r0 put x 1             it calls: put KEY VALUE, get KEY, delete KEY
  retry c0 r1                       it sends once more what it waits for
  crash-client c0
  crash r0, restart r0              power fails; it starts from its disk
  pause r0, resume r0, stop r0      it stands still; goes on; stops in good order
  cut r0 r1, heal r0 r1             one direction of one link
  partition r0,r1|r2, isolate r0, heal
  hold on, hold off                 all messages between replicas wait in a hand
  deliver M r1, drop M r1, duplicate M r1, delay M r1 20ms
                                    one message, by its name in the trace (r0.1.7), held or
                                    travelling, on its way to r1
  deliver-all, drop-all             everything that is held
  sync r0 2                         its writes through the second of this life are durable
  timer r1, clock r0 50ms           its timer rings now; its clock jumps
  slow-disk r0 10, fail-sync r0, fill r0, room r0
  step 3, run 20ms                  so many things happen; so much time passes
  note TEXT                         a caption

The same cluster and the same commands give the same trace, on every machine. Nothing happens by
itself but what replicas do, and what clients do who wait for an answer.

Examples:
  vr-sim lab --do 'register c0 r0; run 20ms; request c0 r0 put x 1; run 20ms' --text
  vr-sim lab --replicas 5 --do 'crash r0; run 2s' --trace crash.vrt.jsonl --out crash.vrcase
  vr-sim replay crash.vrcase
  vr-sim lab --fork crash.vrcase --at 60 --do 'restart r0; run 1s'
  vr-sim lab --fork 123 --at 812 --do 'drop r0.1.97 r2; run 500ms' --text";

/// Options of `lab`.
#[derive(Args, Debug)]
pub(crate) struct LabArgs {
    /// How many replicas, 1 to 64
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
    replicas: u16,
    /// When a promise may leave: after the disk, or with memory and a quorum
    #[arg(long, value_name = "MODE", default_value = "sync")]
    durability: Promise,
    /// Names what is arbitrary: ids, jitter, which link is faster
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How many clients
    #[arg(long, value_name = "N", default_value_t = 2)]
    clients: u32,
    /// Plant this bug (needs the feature `mutants`)
    #[arg(long, value_name = "NAME")]
    pub(crate) mutant: Option<String>,
    /// Begin in the middle of a run instead: of a case file, or of a seed
    #[arg(long, value_name = "CASE", conflicts_with_all = ["replicas", "durability", "seed", "clients", "mutant"])]
    pub(crate) fork: Option<String>,
    /// Through this event of its trace; a saved session may be gone on with at its end
    #[arg(long, value_name = "EVENT", requires = "fork")]
    pub(crate) at: Option<u64>,
    /// What to do
    #[arg(long = "do", value_name = "COMMANDS", conflicts_with = "script")]
    pub(crate) commands: Option<String>,
    /// What to do, from this file; - is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) script: Option<PathBuf>,
    /// Write the trace (vrtrace/1, JSON lines) to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Print one line per event
    #[arg(long)]
    pub(crate) text: bool,
    /// Write the session as a case file, for `replay`
    #[arg(long, value_name = "CASE")]
    pub(crate) out: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long, conflicts_with = "text")]
    pub(crate) json: bool,
}

impl LabArgs {
    /// The cluster that is asked for.
    pub(crate) fn setup(&self) -> LabSetup {
        let durability = match self.durability {
            Promise::Sync => Durability::Sync,
            Promise::Async => Durability::Async,
        };
        let Self { replicas, seed, clients, ref mutant, .. } = *self;
        LabSetup { replicas, durability, seed, clients, mutant: mutant.clone() }
    }
}

/// The durability modes.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Promise {
    /// Nothing is promised before it is on disk.
    Sync,
    /// Memory plus a quorum.
    Async,
}
