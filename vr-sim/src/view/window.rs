//! The newest events of a long trace, beginning with the state of every node at that point.
//!
//! Owns what must be said first so that a reader who missed the beginning is not misled: who the members are, their
//! state, the newest entries of their logs, who is down, what is cut. Indices stay those of the whole trace. Must not
//! know who reads it. VIEW §5.1 (`snap`: "start of a window").

use super::reduce::{Cluster, Member, members_of};
use std::borrow::Cow;
use std::collections::BTreeMap;
use vr_core::trace::{Crashed, LogAct, LogSlot, Node, Partitioned, Snap, TraceEvent, What};

/// So many events fit into a page.
pub const EVENTS_MAX: usize = 200_000;

/// So many of the newest entries of a log are said first.
const ENTRIES_MAX: usize = 64;

/// Some events, and how many there were before them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Window<'a> {
    /// The events.
    pub events: Cow<'a, [TraceEvent]>,
    /// So many are not among them.
    pub left_out: u64,
}

/// The newest `most` events of a trace, and what must be said before them; all of it when it is no longer than that, or
/// too short to leave room for it.
#[must_use]
pub fn newest(events: &[TraceEvent], most: usize) -> Window<'_> {
    let whole = Window { events: Cow::Borrowed(events), left_out: 0 };
    let Some(first) = events.len().checked_sub(most).filter(|first| *first > 0) else { return whole };
    let Some(opening) = opening(&events[..first], &events[first]) else { return whole };
    let from = events[first].i;
    let kept = events[first..].iter().cloned().map(|mut event| {
        event.by = event.by.filter(|by| *by >= from);
        if let What::Violated(broken) = &mut event.what {
            broken.ev.retain(|i| *i >= from);
        }
        event
    });
    let left_out = count(first);
    Window { events: opening.into_iter().chain(kept).collect(), left_out }
}

/// What is said before `next`; nothing when there are not enough indices below it.
fn opening(before: &[TraceEvent], next: &TraceEvent) -> Option<Vec<TraceEvent>> {
    let mut cluster = Cluster::new(&members_of(before)?);
    let mut logs = Logs::default();
    for event in before {
        cluster.apply(event);
        logs.apply(event);
    }
    let meta = TraceEvent { t: next.t, ..before.first()?.clone() };
    let states = cluster.members.iter().filter(|member| member.heard.is_some()).flat_map(|member| {
        let snap = What::Snap(Snap { state: Box::new(member.state.clone()) });
        let slots = logs.newest(member).map(What::Log);
        let crash = (!member.up).then_some(What::Crashed(Crashed { lost: None, wiped: None, inc: None }));
        let facts: Vec<_> = std::iter::once(snap).chain(slots).chain(crash).collect();
        facts.into_iter().map(|what| TraceEvent::at(next.t, member.node, what))
    });
    let cuts = cluster.cuts.iter().flat_map(|(id, links)| links.iter().map(|link| (*id, *link)));
    let cuts = cuts.map(|(id, (from, to))| {
        let groups = vec![vec![from], vec![to]];
        TraceEvent::at(next.t, Node::Net, What::Partitioned(Partitioned { id, groups, oneway: Some(true) }))
    });
    let mut opening: Vec<_> = std::iter::once(meta).chain(states).chain(cuts).collect();
    let from = next.i.checked_sub(count(opening.len()))?;
    for (event, i) in opening.iter_mut().zip(from..) {
        event.i = i;
    }
    Some(opening)
}

/// The logs of all nodes.
#[derive(Default)]
struct Logs(BTreeMap<Node, BTreeMap<u64, LogSlot>>);

impl Logs {
    fn apply(&mut self, event: &TraceEvent) {
        let Some(node) = event.n else { return };
        if let What::Log(slot) = &event.what {
            if slot.act == LogAct::Truncate {
                self.truncate(node, slot.op);
            } else {
                self.0.entry(node).or_default().insert(slot.op, slot.clone());
            }
        } else if let What::Snap(snap) = &event.what
            && let Some(op) = snap.state.op
        {
            self.truncate(node, op);
        }
    }

    fn truncate(&mut self, node: Node, keep: u64) {
        let log = self.0.entry(node).or_default();
        drop(log.split_off(&keep.saturating_add(1)));
    }

    fn newest(&self, of: &Member) -> impl Iterator<Item = LogSlot> {
        let log = self.0.get(&of.node).into_iter().flatten();
        let mut newest: Vec<_> = log.rev().take(ENTRIES_MAX).map(|(_, slot)| slot.clone()).collect();
        newest.reverse();
        newest.into_iter()
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).expect("an address has at most 64 bits")
}
