//! `kv-demo hand-over`: the primary gives way to another replica, before maintenance.
//!
//! Owns the finding of the primary and the waiting for the next one. Must not know the protocol.

use super::wire::{address_of, once};
use super::{ENDPOINTS, failed, misused};
use serde::Deserialize;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use vr_tokio::View;

/// `hand-over`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// To which replica; otherwise to whoever is furthest.
    #[arg(long, value_name = "ID")]
    to: Option<u16>,
    /// Addresses of the nodes.
    #[arg(long, value_name = "URL,…", value_delimiter = ',', default_value = ENDPOINTS, env = "KV_ENDPOINTS")]
    endpoints: Vec<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// How long the other one may take to lead.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the nodes are asked whether one of them leads.
const EVERY: Duration = Duration::from_millis(20);

/// What is looked at in a node's `/status`.
#[derive(Debug, Deserialize)]
struct Status {
    id: u16,
    status: String,
    view: u64,
}

/// What a primary says that was asked to give way.
#[derive(Debug, Deserialize)]
struct Said {
    view: Option<u64>,
    reason: Option<String>,
}

/// Who gave way to whom.
#[derive(Debug, serde::Serialize)]
struct Outcome {
    from: u16,
    to: u16,
    view: u64,
}

/// Runs it. 0: another replica leads; 1: not so.
pub(super) fn run(args: &Args) -> ExitCode {
    let addresses: Result<Vec<_>, _> = args.endpoints.iter().map(|url| address_of(url)).collect();
    let addresses = match addresses {
        Ok(addresses) => addresses,
        Err(why) => return misused(why),
    };
    let outcome = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(hand_over(&addresses, args.to)),
        Err(error) => return failed(error),
    };
    match outcome {
        Ok(outcome) if args.json => println!("{}", serde_json::to_string(&outcome).unwrap_or_default()),
        Ok(Outcome { from, to, view }) => {
            println!("replica {from} gave way to replica {to}, which leads view {}", View(view));
        }
        Err(why) => return failed(why),
    }
    ExitCode::SUCCESS
}

async fn hand_over(addresses: &[String], to: Option<u16>) -> Result<Outcome, String> {
    let (address, Status { id, .. }) = primary_of(addresses, 0).await.ok_or("none of the nodes leads")?;
    let path = to.map_or_else(|| "/vr/v1/primary".to_owned(), |to| format!("/vr/v1/primary?to={to}"));
    let (_, body) = once(address, "PUT", &path, b"").await?;
    let said: Said = serde_json::from_slice(&body).map_err(|_| format!("{address} does not know how to give way"))?;
    let Some(view) = said.view else {
        let why = said.reason.unwrap_or_else(|| "it does not say why".to_owned());
        return Err(format!("replica {id} does not give way: {why}"));
    };
    let patience = Instant::now() + PATIENCE;
    while Instant::now() < patience {
        if let Some((_, next)) = primary_of(addresses, view).await {
            return Ok(Outcome { from: id, to: next.id, view: next.view });
        }
        sleep(EVERY).await;
    }
    Err(format!("replica {id} gave way, but none of the nodes leads view {}", View(view)))
}

/// The node that leads the latest view, of `from` at least.
async fn primary_of(addresses: &[String], from: u64) -> Option<(&String, Status)> {
    let mut newest: Option<(&String, Status)> = None;
    for address in addresses {
        let Ok((_, body)) = once(address, "GET", "/status", b"").await else { continue };
        let Ok(status) = serde_json::from_slice::<Status>(&body) else { continue };
        let leads = status.status == "Primary" && status.view >= from;
        if leads && newest.as_ref().is_none_or(|(_, other)| other.view < status.view) {
            newest = Some((address, status));
        }
    }
    newest
}
