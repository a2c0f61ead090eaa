//! One change of the group: looked at, ordered, waited for.
//!
//! Owns what is refused at once and when a change is done. Must not print. VRR §7.

use super::super::wire::once;
use super::Newcomer;
use super::seen::{Member, Node, ROUTE, ask, look, newest};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often the nodes are looked at.
const EVERY: Duration = Duration::from_millis(50);

/// Who goes, and who comes in its place, or at the end.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) gone: Option<u16>,
    pub(super) new: Option<Newcomer>,
}

/// Why nothing was changed, or not to the end.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It was asked for wrongly: nothing was done.
    Wrong(String),
    /// It failed.
    Failed(String),
}

fn wrong(why: impl Into<String>) -> Trouble {
    Trouble::Wrong(why.into())
}

fn failed(why: impl Into<String>) -> Trouble {
    Trouble::Failed(why.into())
}

/// What became of the group.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) node: Node,
    pub(super) added: Option<u16>,
    pub(super) removed: Option<u16>,
}

/// What a node says that does not do what it was asked for.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    error: String,
    reason: String,
}

impl Change {
    /// Has it done, and waits until the new group is complete.
    pub(super) async fn carry_out(&self, addresses: &[String], patience: Duration) -> Result<Outcome, Trouble> {
        let deadline = Instant::now() + patience;
        let nodes = look(addresses).await;
        let now = newest(&nodes).ok_or_else(|| failed("none of the nodes answers"))?.clone();
        let newcomer = match &self.new {
            Some(new) => Some(new.meet(&now).await?),
            None => None,
        };
        let next = self.next(&now, newcomer.as_ref())?;
        reach(&now, &next, newcomer.as_ref()).await?;
        self.order(addresses, &now, &next, deadline).await?;
        let added = newcomer.map(|node| node.id);
        let node = complete(addresses, &next, now.epoch, deadline).await?;
        Ok(Outcome { node, added, removed: self.gone })
    }

    /// The members of the next group.
    fn next(&self, now: &Node, newcomer: Option<&Node>) -> Result<Vec<Member>, Trouble> {
        if let Some(id) = self.gone.filter(|id| !now.has(*id)) {
            return Err(wrong(format!("replica {id} is no member: {}", ids_of(&now.members))));
        }
        let new = newcomer.map(|node| Member {
            id: node.id,
            client: node.client.clone(),
            peer: node.peer.clone(),
            disk: Some(node.disk.clone()),
        });
        let mut next = now.members.clone();
        match self.gone.and_then(|id| next.iter().position(|member| member.id == id)) {
            Some(at) => drop(next.splice(at..=at, new)),
            None => next.extend(new),
        }
        if next.is_empty() {
            return Err(wrong("the last member cannot be removed"));
        }
        Ok(next)
    }

    /// Asks whoever leads until it is done, or somebody says that it will not be.
    async fn order(&self, addresses: &[String], now: &Node, next: &[Member], deadline: Instant) -> Result<(), Trouble> {
        let asked = |member: &Member| {
            let is_new = !now.has(member.id);
            if is_new { json!(member) } else { json!({"id": member.id}) }
        };
        let body = json!({"epoch": now.epoch, "members": next.iter().map(asked).collect::<Vec<_>>()}).to_string();
        let mut last = "none of the nodes leads".to_owned();
        loop {
            let nodes = look(addresses).await;
            let is_later = |node: &&Node| node.epoch > now.epoch;
            if let Some(later) = nodes.iter().find(is_later) {
                // Perhaps an earlier try, of which the answer was lost.
                return if ids(&later.members).eq(ids(next)) {
                    Ok(())
                } else if later.epoch == now.epoch + 1 {
                    Err(failed("another reconfiguration came first: nothing was done"))
                } else {
                    Err(failed("others changed the group meanwhile: `member list` says what became of it"))
                };
            }
            // One that was deposed and does not know it leads an earlier view.
            let leads = nodes.iter().filter(|node| node.leads() && node.epoch == now.epoch);
            if let Some(primary) = leads.max_by_key(|node| node.view) {
                match once(&primary.address, "PUT", ROUTE, body.as_bytes()).await {
                    Ok((200, _)) => return Ok(()),
                    Ok((404 | 405, _)) => return Err(failed(elsewhere(primary))),
                    Ok((status, said)) => last = judge(status, &said)?,
                    Err(why) => last = why,
                }
            }
            if Instant::now() >= deadline {
                return Err(failed(format!("it is not known whether the group will change: {last}")));
            }
            sleep(EVERY).await;
        }
    }
}

/// A refusal for good, or what to try again for.
fn judge(status: u16, said: &[u8]) -> Result<String, Trouble> {
    let refusal: Refusal = serde_json::from_slice(said).unwrap_or_default();
    let is_passing = status != 409 || ["not_primary", "wrong_epoch"].contains(&refusal.error.as_str());
    if is_passing { Ok(refusal.reason) } else { Err(failed(format!("the cluster refuses: {}", refusal.reason))) }
}

fn elsewhere(primary: &Node) -> String {
    format!("{} does not serve operators: give the address at which replica {} does", primary.address, primary.id)
}

impl Newcomer {
    /// The node that waits there, if it may be added.
    async fn meet(&self, now: &Node) -> Result<Node, Trouble> {
        let Self { id, address } = self;
        let node = ask(address).await.map_err(|why| failed(format!("{why}: start it first, with serve --join")))?;
        let there = node.id;
        if let Some(id) = id.filter(|id| *id != there) {
            return Err(wrong(format!("replica {there} is at {address}, not {id}")));
        }
        if node.config != now.config {
            return Err(wrong(format!(
                "the node at {address} is of another cluster, or of another [cluster] in its file"
            )));
        }
        if now.has(there) {
            return Err(wrong(format!("replica {there} is a member already")));
        }
        if there < now.next_id {
            return Err(wrong(format!(
                "id {there} was used before, and never comes back: format the node at {address} anew, with id {}",
                now.next_id
            )));
        }
        Ok(node)
    }
}

/// Refuses a group of which no majority answers.
async fn reach(now: &Node, next: &[Member], newcomer: Option<&Node>) -> Result<(), Trouble> {
    let mut there = Vec::new();
    for member in next {
        let is_new = newcomer.is_some_and(|node| node.id == member.id);
        let answers = match &member.client {
            Some(_) if is_new => true,
            Some(address) => ask(address).await.is_ok_and(|node| {
                let is_it = node.id == member.id && node.config == now.config;
                is_it && node.epoch == now.epoch && node.works()
            }),
            None => false,
        };
        there.extend(answers.then_some(member.id));
    }
    let majority = next.len() / 2 + 1;
    if there.len() >= majority {
        return Ok(());
    }
    let silent: Vec<_> = ids(next).filter(|id| !there.contains(id)).map(|id| id.to_string()).collect();
    Err(failed(format!(
        "no majority of the new group can be reached: of {} members {} must take part and hear their primary, and replicas {} \
         do not; nothing was done",
        next.len(),
        majority,
        silent.join(", ")
    )))
}

/// Waits until the group is complete and somebody leads it.
async fn complete(addresses: &[String], next: &[Member], before: u64, deadline: Instant) -> Result<Node, Trouble> {
    let mut all = addresses.to_vec();
    all.extend(next.iter().filter_map(|member| member.client.clone()).filter(|at| !addresses.contains(at)));
    loop {
        let nodes = look(&all).await;
        let later = |node: &&Node| node.epoch > before;
        let settled = nodes.iter().filter(later).any(|node| node.is_settled);
        if let Some(primary) = nodes.iter().filter(later).find(|node| node.leads() && settled) {
            return Ok(primary.clone());
        }
        if Instant::now() >= deadline {
            return Err(failed("the group has changed, and is not complete yet: `member list` says when it is"));
        }
        sleep(EVERY).await;
    }
}

fn ids(members: &[Member]) -> impl Iterator<Item = u16> + '_ {
    members.iter().map(|member| member.id)
}

fn ids_of(members: &[Member]) -> String {
    let all: Vec<_> = ids(members).map(|id| id.to_string()).collect();
    format!("the members are {}", all.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: u16) -> Member {
        Member { id, client: None, peer: None, disk: None }
    }

    fn node(id: u16, members: &[u16]) -> Node {
        Node {
            address: String::new(),
            id,
            disk: "d".to_owned(),
            config: String::new(),
            client: None,
            peer: None,
            status: "Primary".to_owned(),
            view: 0,
            wants_view_change: false,
            epoch: 0,
            members: members.iter().map(|id| member(*id)).collect(),
            quorum: 0,
            next_id: 0,
            is_settled: true,
        }
    }

    #[test]
    fn who_comes_takes_the_place_of_who_goes_or_the_last_one() {
        let now = node(0, &[0, 1, 2]);
        let next = |gone, new: Option<u16>| {
            let newcomer = new.map(|id| node(id, &[]));
            let change = Change { gone, new: None };
            change.next(&now, newcomer.as_ref()).map(|next| ids(&next).collect::<Vec<_>>()).ok()
        };
        assert_eq!(next(None, Some(3)), Some(vec![0, 1, 2, 3]));
        assert_eq!(next(Some(1), Some(3)), Some(vec![0, 3, 2]));
        assert_eq!(next(Some(0), None), Some(vec![1, 2]));
        assert_eq!(next(Some(7), None), None);
        let alone = Change { gone: Some(0), new: None }.next(&node(0, &[0]), None);
        assert!(matches!(alone, Err(Trouble::Wrong(_))), "{alone:?}");
    }

    #[test]
    fn what_will_never_be_is_not_tried_again() {
        let said = |error: &str| json!({"error": error, "reason": "r"}).to_string().into_bytes();
        assert!(judge(409, &said("not_primary")).is_ok() && judge(503, &said("busy")).is_ok());
        assert!(judge(409, &said("used_before")).is_err() && judge(409, &said("exposed")).is_err());
    }
}
