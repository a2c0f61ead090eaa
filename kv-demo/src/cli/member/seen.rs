//! What nodes say of their group: asked for at every address, and of every member that is found on the way.
//!
//! Owns the asking and whose word counts: that of the latest epoch. Must not know what is to be changed.

use super::super::wire::once;
use serde::{Deserialize, Serialize};

/// Where it is asked for.
pub(super) const ROUTE: &str = "/vr/v1/members";

/// What a node says: of itself, and of the group of its epoch.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Node {
    /// Where it was asked.
    #[serde(skip)]
    pub(super) address: String,
    pub(super) id: u16,
    pub(super) disk: String,
    pub(super) config: String,
    pub(super) client: Option<String>,
    pub(super) peer: Option<String>,
    pub(super) status: String,
    pub(super) view: u64,
    pub(super) wants_view_change: bool,
    pub(super) epoch: u64,
    pub(super) members: Vec<Member>,
    pub(super) quorum: usize,
    pub(super) next_id: u16,
    pub(super) is_settled: bool,
}

/// One member, as a node knows it.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
pub(super) struct Member {
    pub(super) id: u16,
    pub(super) client: Option<String>,
    pub(super) peer: Option<String>,
    pub(super) disk: Option<String>,
}

impl Node {
    pub(super) fn leads(&self) -> bool {
        self.status == "Primary"
    }

    /// Does it take part in the epoch, and hear its primary?
    pub(super) fn works(&self) -> bool {
        ["Primary", "Backup"].contains(&&*self.status) && !self.wants_view_change
    }

    pub(super) fn has(&self, id: u16) -> bool {
        self.members.iter().any(|member| member.id == id)
    }
}

/// What the node at this address says.
pub(super) async fn ask(address: &str) -> Result<Node, String> {
    let (status, body) = once(address, "GET", ROUTE, b"").await?;
    let node = serde_json::from_slice::<Node>(&body);
    let node = node.map_err(|_| format!("{address}: it answers {status}, and knows of no members"))?;
    Ok(Node { address: address.to_owned(), ..node })
}

/// All that answer: at these addresses, and where the members are that are found there.
pub(super) async fn look(addresses: &[String]) -> Vec<Node> {
    let mut nodes = ask_all(addresses).await;
    let known = |nodes: &[Node], address: &String| {
        nodes.iter().any(|node| node.address == *address || node.client.as_ref() == Some(address))
    };
    let members = newest(&nodes).map(|node| node.members.clone()).unwrap_or_default();
    let more = members.into_iter().filter_map(|member| member.client);
    let more: Vec<_> = more.filter(|at| !addresses.contains(at) && !known(&nodes, at)).collect();
    nodes.extend(ask_all(&more).await);
    nodes
}

async fn ask_all(addresses: &[String]) -> Vec<Node> {
    let asked: Vec<_> = addresses.iter().cloned().map(|at| tokio::spawn(async move { ask(&at).await })).collect();
    let mut nodes = Vec::new();
    for answer in asked {
        nodes.extend(answer.await.ok().and_then(Result::ok));
    }
    nodes
}

/// Whose group is the latest: the primary's, if it is there.
pub(super) fn newest(nodes: &[Node]) -> Option<&Node> {
    nodes.iter().max_by_key(|node| (node.epoch, node.leads(), node.view, node.has(node.id)))
}
