//! How a replica comes to leave its view: enough of the others want it too, and they hear each other.
//!
//! Owns that conversation, step by step with the real gate, as one move of the search. Must not know what becomes of the
//! rest of what is said. DESIGN §10 "The gate": whatever it does, nothing is lost; so what is between its steps is not
//! looked at. What a vote leads to is looked at: whoever leaves a view lets the others know.

use super::node::{Event, Node};
use vr_core::{Body, Message};

/// A primary that nobody answers abdicates after ten beats.
const BEATS_MAX: u32 = 64;

/// Where it takes place.
pub(super) trait Stage {
    /// A replica.
    fn node(&self, at: usize) -> &Node;
    /// Something happens to one: what it says, and to whom.
    fn act(&mut self, at: usize, event: Event) -> Vec<(usize, Message)>;
}

/// `who` leaves its view, with the votes of all of `helpers`.
pub(super) fn leave(stage: &mut impl Stage, who: usize, helpers: &[usize]) {
    let view = stage.node(who).view();
    let wish = wishes(stage, who);
    for helper in helpers {
        let _ = wishes(stage, *helper);
        let Some(heard) = vote_for(&wish, *helper) else { return };
        let _ = stage.act(*helper, Event::Deliver(heard));
        let said = stage.act(*helper, Event::Beat);
        let Some(vote) = vote_for(&said, who) else { return };
        if stage.node(who).view() == view {
            let _ = stage.act(who, Event::Deliver(vote));
        }
    }
}

/// Waits until it wants another view; what it says then.
fn wishes(stage: &mut impl Stage, at: usize) -> Vec<(usize, Message)> {
    if !stage.node(at).leads() {
        return stage.act(at, Event::Patience);
    }
    let mut said = stage.act(at, Event::Beat);
    for _ in 0..BEATS_MAX {
        if is_vote_among(&said) {
            break;
        }
        said = stage.act(at, Event::Beat);
    }
    said
}

fn is_vote_among(said: &[(usize, Message)]) -> bool {
    said.iter().any(|(_, message)| is_vote(message))
}

/// Does somebody who wants another view say so?
pub(super) fn is_vote(message: &Message) -> bool {
    matches!(message.body, Body::StartViewChange { want: true, .. })
}

fn vote_for(said: &[(usize, Message)], whom: usize) -> Option<Message> {
    said.iter().rev().find(|(to, message)| *to == whom && is_vote(message)).map(|(_, message)| message.clone())
}
