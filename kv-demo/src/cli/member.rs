//! `kv-demo member`: who is a member of a running cluster, and the order to change it. EXPERIMENTAL.
//!
//! Owns the words, and what is refused before the cluster is asked: what would change nothing, an id that is taken or was, a
//! group of which no majority answers. Must not know the protocol: the cluster judges once more. VRR §7.

mod change;
mod seen;

use self::change::{Change, Outcome, Trouble};
use self::seen::{Node, look};
use super::wire::address_of;
use super::{ENDPOINTS, failed, misused};
use serde_json::json;
use std::process::ExitCode;
use std::time::Duration;

const HOW: &str = "\
EXPERIMENTAL. To add a replica: give it an id that was never used (`member list` says which is next) and a [[node]] in
its own copy of cluster.toml, of which [cluster] stays as it is; then
  kv-demo format --id 5 --config mine.toml --join
  kv-demo serve --id 5 --config mine.toml --join
  kv-demo member add 127.0.0.1:8130
and likewise `member replace 0 127.0.0.1:8130`. A replica that was removed is silent; stop it when the command has
ended. It never comes back under its id.";

/// `member`.
#[derive(clap::Args, Debug)]
#[command(after_help = HOW)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Print the members: where each is, and what it does.
    List(Common),
    /// Add the replica that waits at an address (`serve --join`).
    Add {
        /// Where it serves clients; with its id, if that is to be checked.
        #[arg(value_name = "[ID=]ADDRESS")]
        new: Newcomer,
        #[command(flatten)]
        common: Common,
    },
    /// Remove a member.
    Remove {
        /// Which.
        id: u16,
        #[command(flatten)]
        common: Common,
    },
    /// Put the replica that waits at an address in the place of a member.
    Replace {
        /// Which member goes.
        id: u16,
        /// Where the other one serves clients; with its id, if that is to be checked.
        #[arg(value_name = "[ID=]ADDRESS")]
        new: Newcomer,
        #[command(flatten)]
        common: Common,
    },
}

/// Whom to ask, and how to print the answer.
#[derive(clap::Args, Debug, Clone)]
struct Common {
    /// Addresses of the nodes; one that runs is enough.
    #[arg(long, value_name = "URL,…", value_delimiter = ',', default_value = ENDPOINTS, env = "KV_ENDPOINTS")]
    endpoints: Vec<String>,
    /// How long to wait for the new group to be complete.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=3600))]
    timeout: u16,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// `[ID=]ADDRESS`.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Newcomer {
    id: Option<u16>,
    address: String,
}

impl std::str::FromStr for Newcomer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((id, address)) = text.split_once('=') else {
            return Ok(Self { id: None, address: address_of(text)? });
        };
        let id = id.parse().map_err(|_| format!("{id}: an id is a number"))?;
        Ok(Self { id: Some(id), address: address_of(address)? })
    }
}

/// Runs it. 0: done; 1: it failed, or its outcome is unknown; 2: it was asked for wrongly, and nothing was done.
pub(super) fn run(args: &Args) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(error),
    };
    let (change, common) = match &args.command {
        Command::List(common) => (None, common),
        Command::Add { new, common } => (Some(Change { gone: None, new: Some(new.clone()) }), common),
        Command::Remove { id, common } => (Some(Change { gone: Some(*id), new: None }), common),
        Command::Replace { id, new, common } => (Some(Change { gone: Some(*id), new: Some(new.clone()) }), common),
    };
    let addresses: Result<Vec<_>, _> = common.endpoints.iter().map(|url| address_of(url)).collect();
    let addresses = match addresses {
        Ok(addresses) => addresses,
        Err(why) => return misused(why),
    };
    let Some(change) = change else { return runtime.block_on(list(&addresses, common.json)) };
    match runtime.block_on(change.carry_out(&addresses, Duration::from_secs(common.timeout.into()))) {
        Ok(outcome) => {
            tell(&outcome, common.json);
            ExitCode::SUCCESS
        }
        Err(Trouble::Wrong(why)) => misused(why),
        Err(Trouble::Failed(why)) => failed(why),
    }
}

fn tell(Outcome { node, added, removed }: &Outcome, json: bool) {
    if json {
        println!("{}", json!({"epoch": node.epoch, "members": node.members, "added": added, "removed": removed}));
        return;
    }
    let ids: Vec<_> = node.members.iter().map(|member| member.id.to_string()).collect();
    println!("epoch {}: the members are {}; a majority of them has everything", node.epoch, ids.join(", "));
    if let Some(id) = removed {
        println!("replica {id} is not needed any more: stop it");
    }
}

async fn list(addresses: &[String], json: bool) -> ExitCode {
    let nodes = look(addresses).await;
    let Some(newest) = seen::newest(&nodes) else { return failed("none of the nodes answers") };
    let status = |id: u16| nodes.iter().find(|node| node.id == id && node.epoch == newest.epoch);
    if json {
        let members = newest.members.iter().map(|member| {
            let seen = status(member.id).map(|node| &node.status);
            json!({"id": member.id, "client": member.client, "peer": member.peer, "disk": member.disk, "status": seen})
        });
        let members: Vec<_> = members.collect();
        let Node { epoch, quorum, next_id, .. } = newest;
        let settled = is_settled(&nodes, newest);
        println!(
            "{}",
            json!({"epoch": epoch, "quorum": quorum, "next_id": next_id, "is_settled": settled, "members": members})
        );
        return ExitCode::SUCCESS;
    }
    println!("epoch {}, a majority is {}, the next free id is {}", newest.epoch, newest.quorum, newest.next_id);
    if !is_settled(&nodes, newest) {
        println!("the group is not complete yet: whoever was replaced is needed still");
    }
    for member in &newest.members {
        let shown = |at: &Option<String>| at.clone().unwrap_or_else(|| "-".to_owned());
        let status = status(member.id).map_or("no answer, or not there yet", |node| node.status.as_str());
        println!(
            "replica {:<4} {:<22} peers at {:<22} {status}",
            member.id,
            shown(&member.client),
            shown(&member.peer)
        );
    }
    ExitCode::SUCCESS
}

/// Does anybody know that the group is complete?
fn is_settled(nodes: &[Node], newest: &Node) -> bool {
    nodes.iter().any(|node| node.epoch == newest.epoch && node.is_settled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newcomer_is_an_address_with_or_without_its_id() {
        let parse = |text: &str| text.parse::<Newcomer>();
        let address = "127.0.0.1:8130".to_owned();
        assert_eq!(parse("5=http://127.0.0.1:8130"), Ok(Newcomer { id: Some(5), address: address.clone() }));
        assert_eq!(parse("127.0.0.1:8130"), Ok(Newcomer { id: None, address }));
        assert!(parse("x=127.0.0.1:8130").is_err() && parse("5=").is_err() && parse("5").is_err());
    }
}
