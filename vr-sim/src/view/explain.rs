//! Why a property does not hold: the causal past of a violation, told in at most thirty sentences.
//!
//! Owns what of that past is worth telling: what the checker points at, what befell the ops and replicas concerned,
//! changes of view, crashes and cuts, and the messages that carry a log. Must not know properties, nor where
//! sentences go.

use super::names::Names;
use super::words::moment;
use serde::Serialize;
use std::collections::BTreeSet;
use vr_core::trace::{LogAct, Node, TraceEvent, Violated, What};

/// No story is longer.
pub const SENTENCES_MAX: usize = 30;

/// The messages that carry a log, or ask for one.
const LOGS: &[&str] = &["DoViewChange", "StartView", "RecoveryResponse", "NewState", "Recovery"];

/// A sentence of the story.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Sentence {
    /// The event.
    pub i: u64,
    /// When, in nanoseconds.
    pub t: u64,
    /// What happened.
    pub text: String,
}

/// The story of the first violation of a trace; `None` when all held. Its last sentence is the violation itself.
#[must_use]
pub fn explain(events: &[TraceEvent]) -> Option<Vec<Sentence>> {
    let at = events.iter().position(|event| matches!(event.what, What::Violated(_)))?;
    let What::Violated(violation) = &events[at].what else { return None };
    let mut names = Names::default();
    for event in &events[..=at] {
        names.meet(event);
    }
    let told = |event: &TraceEvent| {
        // One sentence a direction would be a page.
        let What::Partitioned(cut) = &event.what else { return names.plain(&event.to_string()) };
        format!("net cuts links: partition {}", cut.id)
    };
    let mut heard = BTreeSet::new();
    let mut story = Vec::new();
    let past = past(&events[..at], violation);
    // What the checker points at first, then what befell the ops, then the newest of what else is worth it; nothing
    // twice.
    let pointed = past.iter().filter(|event| violation.ev.contains(&event.i));
    let about = past.iter().filter(|event| is_about(event, &violation.ops));
    let others = past.iter().filter(|event| is_worth_it(event, violation));
    for event in pointed.chain(about.take(SENTENCES_MAX / 2)).chain(others) {
        let text = told(event);
        if story.len() + 1 < SENTENCES_MAX && heard.insert(text.clone()) {
            story.push(Sentence { i: event.i, t: event.t, text });
        }
    }
    story.sort_by_key(|sentence| sentence.i);
    story.push(Sentence { i: events[at].i, t: events[at].t, text: told(&events[at]) });
    Some(story)
}

/// The story as lines: number, seconds, sentence.
#[must_use]
pub fn text(story: &[Sentence]) -> String {
    let line = |(place, sentence): (usize, &Sentence)| {
        format!("{:>3}. {:>11}  {}\n", place + 1, moment(sentence.t), sentence.text)
    };
    story.iter().enumerate().map(line).collect()
}

/// What could have caused it, newest first: from a node that is reached, everything that it did before; and whatever an
/// event was caused by.
fn past<'a>(before: &'a [TraceEvent], violation: &Violated) -> Vec<&'a TraceEvent> {
    let mut nodes: BTreeSet<Node> = violation.nodes.iter().copied().collect();
    let mut needed: BTreeSet<u64> = violation.ev.iter().copied().collect();
    let is_all = nodes.is_empty() && needed.is_empty();
    let mut past = Vec::new();
    for event in before.iter().rev() {
        let is_reached = event.n.is_some_and(|node| nodes.contains(&node));
        // What the network and people did concerns everybody.
        let is_weather = matches!(event.n, Some(Node::Net | Node::Sim)) || matches!(event.what, What::Do(_));
        if !(is_all || is_reached || is_weather || needed.remove(&event.i)) {
            continue;
        }
        if !is_weather {
            nodes.extend(event.n);
        }
        needed.extend(event.by);
        past.push(event);
    }
    past
}

/// Did it happen to one of these ops?
#[allow(clippy::wildcard_enum_match_arm)] // few of the kinds matter here; a new one does not by itself
fn is_about(event: &TraceEvent, ops: &[u64]) -> bool {
    let op = match &event.what {
        What::Log(slot) if slot.act == LogAct::Truncate => return ops.iter().any(|op| *op > slot.op),
        What::Log(slot) => Some(slot.op),
        What::Committed(commit) => Some(commit.op),
        What::Executed(executed) => Some(executed.op),
        What::Sent(sent) if matches!(sent.ty.as_ref(), "Prepare" | "PrepareOk") => sent.op,
        _ => None,
    };
    op.is_some_and(|op| ops.contains(&op))
}

/// Does it decide who leads, who is there, or what others take for the log?
#[allow(clippy::wildcard_enum_match_arm)] // few of the kinds matter here; a new one does not by itself
fn is_worth_it(event: &TraceEvent, violation: &Violated) -> bool {
    match &event.what {
        What::Crashed(_) | What::Partitioned(_) | What::Healed(_) | What::Do(_) | What::Gap(_) => true,
        // The first start of a node is no news.
        What::Restarted(_) => event.t > 0,
        What::Set(state) => state.view.is_some() || state.lnv.is_some(),
        What::Note(note) => note.what.is_some(),
        What::Sent(sent) => LOGS.contains(&sent.ty.as_ref()),
        _ => is_about(event, &violation.ops),
    }
}

#[cfg(test)]
mod tests;
