//! `kv-demo found`: a new cluster from the log of one member of a lost one.
//!
//! Owns the words: what it does may lose what was acknowledged, so it does nothing before it is told that this is
//! accepted. Must not know the log. PROTOCOL §6; DESIGN §6.

use super::{failed, misused};
use crate::store::Store;
use std::path::PathBuf;
use std::process::ExitCode;
use vr_tokio::found;
use vr_tokio::{NodeConfig, ReplicaId};

const WHEN: &str = "\
For a cluster in the mode \"async\" whose replicas all crashed at once: started again, each of them waits for the others'
memory, and none has it. Compare the logs of all members first (kv-demo log DIR): take the one with the latest log_view,
and of those the longest. What only other members had is lost, acknowledged or not.

The new configuration needs a cluster id of its own and empty directories; client_capacity stays as it was.";

#[derive(clap::Args)]
#[command(after_help = WHEN)]
pub(super) struct Args {
    /// The configuration of the lost cluster.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// The member of it whose log is taken.
    #[arg(long)]
    id: u16,
    /// The configuration of the new cluster.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// What only other members of the lost cluster had may be lost.
    #[arg(long)]
    accept_loss: bool,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let from = match NodeConfig::load(&args.from, ReplicaId(args.id)) {
        Ok(from) => from,
        Err(error) => return misused(error),
    };
    let to = match super::cluster::read(&args.config) {
        Ok(to) => to,
        Err(why) => return misused(why),
    };
    if !args.accept_loss {
        return misused(format!(
            "a new cluster from the log of replica {} in {} loses what only other members had: compare their logs, then \
             say --accept-loss",
            args.id,
            from.dir.display()
        ));
    }
    match found(&from, &to, Store::default()) {
        Ok(founded) => {
            println!("{founded}.");
            println!("Start its members: kv-demo serve --id N --config {}", args.config.display());
            ExitCode::SUCCESS
        }
        Err(error) => failed(error),
    }
}
