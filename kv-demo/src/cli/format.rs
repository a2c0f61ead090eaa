//! `kv-demo format`: makes the empty log of one replica.
//!
//! Owns the words. A replica whose disk is lost is not made new by formatting: its promises are gone. Must not know
//! the files. PROTOCOL D60.

use super::{failed, misused};
use std::path::PathBuf;
use std::process::ExitCode;
use vr_tokio::{Node, NodeConfig, ReplicaId};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Which replica.
    #[arg(long)]
    id: u16,
    /// The configuration of the cluster.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// EXPERIMENTAL: it is none of the first members, and waits until `member add` adds it; for the rest of its life.
    #[arg(long)]
    join: bool,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let load = if args.join { NodeConfig::load_newcomer } else { NodeConfig::load };
    let config = match load(&args.config, ReplicaId(args.id)) {
        Ok(config) => config,
        Err(error) => return misused(error),
    };
    match Node::format(&config) {
        Ok(instance) => {
            println!("replica {} has an empty log in {}, instance {instance}", args.id, config.dir.display());
            ExitCode::SUCCESS
        }
        Err(error) => failed(error),
    }
}
