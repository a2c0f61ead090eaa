//! What shows that a property does not hold: the events that led a checker to say so.
//!
//! Owns which events these are: the step in which it was found, what caused it, and what the replicas concerned did last
//! with the ops concerned. Must not know properties: a checker names replicas and ops. VIEW §5.1 (`viol.ev`).

use vr_core::trace::{LogAct, Node, TraceEvent, What};

/// More events than this show nothing more.
const MOST: usize = 24;

/// The indices of the events that show it, in order; the last one is that in which it was found.
pub(super) fn of(events: &[TraceEvent], nodes: &[Node], ops: &[u64]) -> Vec<u64> {
    let Some(found) = events.last() else { return Vec::new() };
    let mut indices = causes(events, found);
    let mut sought = Sought::new(nodes, ops);
    for event in events.iter().rev() {
        if sought.is_over() || indices.len() >= MOST {
            break;
        }
        if sought.takes(event) {
            indices.push(event.i);
        }
    }
    indices.sort_unstable();
    indices.dedup();
    indices
}

/// An event, the first one of its step, and the message that this one took.
fn causes(events: &[TraceEvent], found: &TraceEvent) -> Vec<u64> {
    let at = |i: u64| events.binary_search_by_key(&i, |event| event.i).ok().map(|at| &events[at]);
    let chain = std::iter::successors(Some(found), |event| event.by.and_then(at));
    chain.take(3).map(|event| event.i).collect()
}

/// What is looked for, from the end: the last change of view of each replica, and the last that each did with each op.
struct Sought {
    views: Vec<Node>,
    slots: Vec<(Node, u64)>,
    executions: Vec<(Node, u64)>,
    commits: Vec<(Node, u64)>,
}

impl Sought {
    fn new(nodes: &[Node], ops: &[u64]) -> Self {
        let pairs = || nodes.iter().flat_map(|node| ops.iter().map(|op| (*node, *op))).take(MOST).collect();
        Self {
            views: nodes.iter().copied().take(MOST).collect(),
            slots: pairs(),
            executions: pairs(),
            commits: pairs(),
        }
    }

    const fn is_over(&self) -> bool {
        self.views.is_empty() && self.slots.is_empty() && self.executions.is_empty() && self.commits.is_empty()
    }

    fn takes(&mut self, event: &TraceEvent) -> bool {
        let Some(node) = event.n else { return false };
        if let What::Set(change) = &event.what {
            (change.view.is_some() || change.status.is_some()) && removed(&mut self.views, |it| *it == node)
        } else if let What::Log(slot) = &event.what {
            match slot.act {
                LogAct::Append | LogAct::Repair | LogAct::Faulty => {
                    removed(&mut self.slots, |(of, op)| *of == node && *op == slot.op)
                }
                LogAct::Truncate => removed(&mut self.slots, |(of, op)| *of == node && *op > slot.op),
            }
        } else if let What::Executed(executed) = &event.what {
            removed(&mut self.executions, |(of, op)| *of == node && *op == executed.op)
        } else if let What::Committed(commit) = &event.what {
            removed(&mut self.commits, |(of, op)| *of == node && *op <= commit.op)
        } else {
            false
        }
    }
}

/// Takes out what is so; was there any?
fn removed<T>(from: &mut Vec<T>, is_so: impl Fn(&T) -> bool) -> bool {
    let before = from.len();
    from.retain(|item| !is_so(item));
    from.len() < before
}

#[cfg(test)]
mod tests {
    use super::*;
    use vr_core::ReplicaId;
    use vr_core::trace::{Committed, Executed, LogSlot, State};

    fn node(id: u16) -> Node {
        Node::Replica(ReplicaId(id))
    }

    fn slot(op: u64, act: LogAct) -> What {
        What::Log(LogSlot { op, view: None, client: None, req: None, ck: None, act, val: None })
    }

    fn executed(op: u64) -> What {
        What::Executed(Executed { op, client: None, req: None, res: None })
    }

    fn of_facts(facts: Vec<(u16, What, Option<u64>)>, nodes: &[Node], ops: &[u64]) -> Vec<u64> {
        let events = facts.into_iter().zip(0..);
        let events: Vec<_> =
            events.map(|((id, what, by), i)| TraceEvent { i, by, ..TraceEvent::at(i, node(id), what) }).collect();
        of(&events, nodes, ops)
    }

    #[test]
    fn it_is_the_step_its_cause_and_what_the_replicas_concerned_did_last_with_the_ops_concerned() {
        let view = What::Set(Box::new(State { view: Some(2), ..State::default() }));
        let facts = vec![
            (0, slot(5, LogAct::Append), None),
            (1, slot(5, LogAct::Append), None),
            (1, slot(4, LogAct::Truncate), None),
            (0, view, None),
            (1, slot(6, LogAct::Append), None),
            (0, executed(5), None),
            (2, executed(5), None),
            (0, What::Committed(Committed { op: 7 }), None),
            (1, executed(9), Some(4)),
            (1, executed(10), Some(8)),
        ];
        assert_eq!(of_facts(facts.clone(), &[node(0), node(1)], &[5]), [0, 2, 3, 4, 5, 7, 8, 9]);
        assert_eq!(of_facts(facts, &[], &[]), [4, 8, 9], "when nobody is concerned, what caused it");
        assert_eq!(of_facts(Vec::new(), &[node(0)], &[1]), Vec::<u64>::new());
    }

    #[test]
    fn it_is_never_more_than_a_person_can_look_at() {
        let facts = (0..200).map(|op| (0, executed(op), None)).collect();
        let ops: Vec<_> = (0..200).collect();
        assert_eq!(of_facts(facts, &[node(0)], &ops).len(), MOST);
    }
}
