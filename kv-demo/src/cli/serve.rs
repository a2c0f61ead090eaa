//! `kv-demo serve`: runs one replica until it is told to stop.
//!
//! Owns the runtime, the signals and where logs go. Must not know the protocol.

use super::{failed, misused};
use crate::server::StoreNode;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use vr_tokio::{NodeConfig, ReplicaId, StopReason};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Which replica.
    #[arg(long)]
    id: u16,
    /// The configuration of the cluster: one file for all replicas.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// EXPERIMENTAL: it is none of the first members, and waits until `member add` adds it; for the rest of its life.
    #[arg(long)]
    join: bool,
    /// What is logged, to standard error: error, warn, info, debug, trace, or a filter as of tracing's `EnvFilter`.
    #[arg(long, default_value = "info", env = "KV_LOG", value_name = "FILTER")]
    log: String,
    /// How many threads serve the network. The disk and the store have one each beside them; more than one pays
    /// only where there are more cores than replicas.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,
    /// Log as JSON, one object a line.
    #[arg(long)]
    log_json: bool,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let Ok(filter) = EnvFilter::try_new(&args.log) else {
        return misused(format!("--log {}: no filter of log lines", args.log));
    };
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if args.log_json {
        logs.json().init();
    } else {
        logs.with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()).init();
    }
    let load = if args.join { NodeConfig::load_newcomer } else { NodeConfig::load };
    let config = match load(&args.config, ReplicaId(args.id)) {
        Ok(config) => config,
        Err(error) => return misused(error),
    };
    let mut runtime = match args.threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    match runtime.worker_threads(args.threads.into()).enable_all().build() {
        Ok(runtime) => runtime.block_on(serve(config)),
        Err(error) => failed(error),
    }
}

async fn serve(config: NodeConfig) -> ExitCode {
    let (id, client, peer) = (config.id, config.client, config.peer);
    let node = match StoreNode::start(config).await {
        Ok(node) => node,
        Err(error) => return failed(error),
    };
    tracing::info!(%id, %client, %peer, "serving");
    let handle = node.handle();
    tokio::spawn(async move {
        told_to_stop().await;
        tracing::info!("told to stop: giving way if it leads, then stopping in an orderly way");
        handle.leave().await;
    });
    let reason = node.stopped().await;
    if reason == StopReason::Stopped { ExitCode::SUCCESS } else { failed(reason) }
}

/// Ctrl-C or SIGTERM.
async fn told_to_stop() {
    let (interrupt, terminate) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    match (interrupt, terminate) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        // Without signals there is nothing to wait for.
        _ => std::future::pending().await,
    }
}
