//! The newest events of a long trace, beginning with the state of every node at that point.
//!
//! Owns what must be said first so that a reader who missed the beginning is not misled: who the members are, their
//! state, the newest entries of their logs, who is down, what is cut. Indices stay those of the whole trace. Must not
//! know who reads it. VIEW §5.1 (`snap`: "start of a window").

use super::reduce::{Cluster, members_of};
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
    let mut past = Past::of(&members_of(before)?);
    before.iter().for_each(|event| past.apply(event));
    past.opening(before.first()?, next)
}

/// Events that are not kept, as what must be known of them: the state of every node, the newest entries of its log.
#[derive(Clone, Debug)]
pub struct Past {
    cluster: Cluster,
    logs: BTreeMap<Node, BTreeMap<u64, LogSlot>>,
}

impl Past {
    /// Nothing has happened to these members.
    #[must_use]
    pub fn of(members: &[Node]) -> Self {
        Self { cluster: Cluster::new(members), logs: BTreeMap::new() }
    }

    /// One more event is not kept.
    pub fn apply(&mut self, event: &TraceEvent) {
        self.cluster.apply(event);
        let Some(node) = event.n else { return };
        if let What::Log(slot) = &event.what {
            if slot.act == LogAct::Truncate {
                self.truncate(node, slot.op);
                return;
            }
            let log = self.logs.entry(node).or_default();
            log.insert(slot.op, slot.clone());
            while log.len() > ENTRIES_MAX {
                log.pop_first();
            }
        } else if let What::Snap(snap) = &event.what
            && let Some(op) = snap.state.op
        {
            self.truncate(node, op);
        }
    }

    fn truncate(&mut self, node: Node, keep: u64) {
        let log = self.logs.entry(node).or_default();
        drop(log.split_off(&keep.saturating_add(1)));
    }

    /// What a reader must know who begins with the event `next` of the trace with this header. Its indices are those
    /// before `next`; nothing when there are not so many.
    #[must_use]
    pub fn opening(&self, header: &TraceEvent, next: &TraceEvent) -> Option<Vec<TraceEvent>> {
        let cluster = &self.cluster;
        let meta = TraceEvent { t: next.t, ..header.clone() };
        let states = cluster.members.iter().filter(|member| member.heard.is_some()).flat_map(|member| {
            let snap = What::Snap(Snap { state: Box::new(member.state.clone()) });
            let slots = self.logs.get(&member.node).into_iter().flatten().map(|(_, slot)| What::Log(slot.clone()));
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
}

fn count(n: usize) -> u64 {
    u64::try_from(n).expect("an address has at most 64 bits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{record_seed, trace_case};
    use crate::swarm::Options;

    #[test]
    fn a_reader_of_the_newest_events_knows_what_a_reader_of_all_knows() {
        for seed in [3, 7, 12] {
            let case = record_seed(&Options::default(), seed).case.expect("recorded");
            let events = trace_case(&case, None).1.events;
            let most = events.len() / 3;
            let window = newest(&events, most);
            let (all, some) =
                (Cluster::after(&events).expect("members"), Cluster::after(&window.events).expect("members"));
            assert_eq!(window.left_out, count(events.len() - most));
            let first = &window.events[0];
            assert!(matches!(first.what, What::Meta(_)));
            assert!(window.events.windows(2).all(|pair| pair[0].i + 1 == pair[1].i), "no index is missing");
            for (whole, part) in all.members.iter().zip(&some.members) {
                assert_eq!((&whole.state, whole.up), (&part.state, part.up), "seed {seed}");
            }
            let links = |cluster: &Cluster| cluster.cuts.values().map(Vec::len).sum::<usize>();
            assert_eq!(links(&all), links(&some), "seed {seed}");
        }
    }
}
