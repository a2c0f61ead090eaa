//! S21: a read reflects everything that anybody had been answered when it came; nobody holds a lease when a later view begins.
//!
//! Owns what was answered so far, and what each question that waits must reflect. Must not know why a replica believes that
//! it may answer. Judges only where the order of happenings is that of one clock. VRR §6.3; PROTOCOL 1.8, §4.

use super::Violation;
use super::shadow::Shadow;
use std::collections::{BTreeMap, VecDeque};
use vr_core::{ClientId, Op, Query, ReplicaId, Reply, RequestNumber, View};

const S21: &str = "S21 fresh read";
const EXCLUSIVE: &str = "S21 lease exclusivity";

/// What a replica handed to its service under a lease: an answer, if it is told in time.
#[derive(Clone, Copy, Debug)]
struct Given {
    /// From the state after this op.
    reached: Op,
    /// In this view, when this one was the latest that had begun.
    view: View,
    newest: View,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Reads {
    /// The last op whose result left some replica for its client.
    told: Op,
    /// By position and name: what was told when the question came. One that came twice is answered for the first.
    asked: BTreeMap<(usize, ClientId, RequestNumber), Op>,
    /// What was handed to services under leases, the oldest first: a question may come twice.
    given: BTreeMap<(usize, ClientId, RequestNumber), VecDeque<Given>>,
    answered: u64,
}

/// A question comes to a replica, where this is judged.
pub(super) fn asked(reads: &mut Option<Reads>, who: usize, query: &Query) {
    reads.iter_mut().for_each(|reads| reads.asked(who, query));
}

/// A replica hands these to its service, which answers them, where this is judged.
pub(super) fn answers(
    reads: &mut Option<Reads>,
    shadow: &Shadow,
    who: usize,
    queries: &[Query],
) -> Result<(), Violation> {
    reads.as_mut().map_or(Ok(()), |reads| reads.reads(shadow, who, queries))
}

/// A replica hands these to its service under a lease: whether they are answers will show.
pub(super) fn gives(reads: &mut Option<Reads>, shadow: &Shadow, who: usize, queries: &[Query]) {
    let mirror = &shadow.replicas[who];
    let given = Given { reached: mirror.executed, view: mirror.memory.view, newest: shadow.lineage.newest() };
    for Query { client, number, .. } in queries {
        if let Some(reads) = reads {
            reads.given.entry((who, *client, *number)).or_default().push_back(given);
        }
    }
}

/// What was read under a lease is told, or not. The moment that counts is that at which it was handed over: it had come before,
/// and the state was read right behind what had been executed.
pub(super) fn read(
    reads: &mut Option<Reads>,
    shadow: &Shadow,
    on: ReplicaId,
    ((client, number), told): ((ClientId, RequestNumber), bool),
) -> Result<(), Violation> {
    let Some((reads, who)) = reads.as_mut().zip(shadow.place(on)) else { return Ok(()) };
    let given = reads.given.get_mut(&(who, client, number)).and_then(VecDeque::pop_front);
    let Some(Given { reached, view, newest }) = given else {
        let message = format!("{on:?} reads for {client:?} what nobody handed to its service for question {number}");
        return Err(Violation::safety(S21, message, &[on], &[]));
    };
    if !told {
        return Ok(());
    }
    reads.reflects((who, on), (client, number), reached)?;
    if newest > view {
        let message = format!(
            "{on:?} answers question {number} of {client:?} under a lease of view {view}, although view {newest} had begun"
        );
        return Err(Violation::safety(EXCLUSIVE, message, &[on], &[]));
    }
    Ok(())
}

impl Reads {
    /// The result of an operation leaves for its client.
    pub(super) fn replied(&mut self, shadow: &Shadow, reply: &Reply) {
        if reply.number != RequestNumber::ZERO && !shadow.ends_epoch(reply.op) {
            self.told = self.told.max(reply.op);
        }
    }

    /// A question comes to a replica.
    pub(super) fn asked(&mut self, who: usize, query: &Query) {
        self.asked.entry((who, query.client, query.number)).or_insert(self.told);
    }

    /// A life ends, and what waited with it.
    pub(super) fn ended(&mut self, who: usize) {
        self.asked.retain(|(at, ..), _| *at != who);
        self.given.retain(|(at, ..), _| *at != who);
    }

    /// A replica hands these to its service, behind every upcall so far.
    pub(super) fn reads(&mut self, shadow: &Shadow, who: usize, queries: &[Query]) -> Result<(), Violation> {
        let (id, reached) = (shadow.id(who), shadow.replicas[who].executed);
        queries.iter().try_for_each(|query| self.reflects((who, id), (query.client, query.number), reached))
    }

    /// Does this state reflect what had been told when the question came?
    fn reflects(
        &mut self,
        (who, id): (usize, ReplicaId),
        (client, number): (ClientId, RequestNumber),
        reached: Op,
    ) -> Result<(), Violation> {
        let Some(told) = self.asked.get(&(who, client, number)) else {
            let message = format!("{id:?} answers question {number} of {client:?}, which nobody asked it");
            return Err(Violation::safety(S21, message, &[id], &[]));
        };
        if *told > reached {
            let message = format!(
                "{id:?} answers question {number} of {client:?} from the state after op {reached}, although op {told} \
                 had been answered before it was asked"
            );
            return Err(Violation::safety(S21, message, &[id], &[*told]));
        }
        self.answered += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::stage::{Stage, broken};
    use crate::check::{Happening, Setting};
    use bytes::Bytes;
    use vr_core::{Action, ClusterConfig, ClusterId, Durability, Input, Time};

    fn query(number: u64) -> Query {
        Query { client: ClientId(7), number: RequestNumber(number), body: Bytes::new() }
    }

    #[test]
    fn a_read_that_nobody_asked_for_is_caught_and_one_of_an_untouched_group_is_not() {
        let mut stage = Stage::new(3, Durability::Sync);
        let asks = |number| Input::Query(query(number));
        assert_eq!(broken(stage.step(0, asks(1), &[])), "nothing");
        assert_eq!(broken(stage.step(0, Input::Tick, &[Action::Read(vec![query(1)])])), "nothing");
        assert_eq!(broken(stage.step(0, Input::Tick, &[Action::Read(vec![query(2)])])), S21);
    }

    #[test]
    fn a_read_under_a_lease_is_judged_when_it_is_told() {
        let mut stage = Stage::new(3, Durability::Sync);
        let told = |number| Happening::ReadUnderLease {
            on: Stage::id(0),
            told: true,
            asked: (ClientId(7), RequestNumber(number)),
        };
        let given = |number| Action::ReadBefore { deadline: Time(9), queries: vec![query(number)] };
        assert_eq!(broken(stage.step(0, Input::Query(query(1)), &[given(1)])), "nothing");
        assert_eq!(broken(stage.observe(&told(1))), "nothing");
        assert_eq!(broken(stage.step(0, Input::Tick, &[given(2)])), "nothing", "it may be too late");
        assert_eq!(broken(stage.clone().observe(&told(2))), S21, "nobody asked");
        assert_eq!(broken(stage.observe(&told(3))), S21, "nobody gave it");
        let late = Happening::ReadUnderLease { told: false, on: Stage::id(0), asked: (ClientId(7), RequestNumber(2)) };
        assert_eq!(broken(stage.observe(&late)), "nothing");
    }

    #[test]
    fn an_answer_under_a_lease_given_when_a_later_view_had_begun_is_caught() {
        let shadow = Shadow::new(&Setting { cluster: ClusterConfig::of_size(ClusterId(1), 3), spares: 0 });
        let mut reads = Some(Reads::default());
        let on = ReplicaId(0);
        for (newest, expected) in [(View(0), "nothing"), (View(1), EXCLUSIVE)] {
            asked(&mut reads, 0, &query(1));
            let given = Given { reached: Op(0), view: View(0), newest };
            if let Some(reads) = &mut reads {
                reads.given.entry((0, ClientId(7), RequestNumber(1))).or_default().push_back(given);
            }
            assert_eq!(broken(read(&mut reads, &shadow, on, ((ClientId(7), RequestNumber(1)), true))), expected);
        }
    }

    #[test]
    fn a_read_that_misses_what_was_answered_before_it_came_is_caught() {
        let shadow = Shadow::new(&Setting { cluster: ClusterConfig::of_size(ClusterId(1), 3), spares: 0 });
        let mut reads = Reads::default();
        let reply = |op| Reply {
            client: ClientId(1),
            session: vr_core::Session(1),
            number: RequestNumber(1),
            op: Op(op),
            view: View(0),
            result: Bytes::new(),
            duplicate: false,
        };
        reads.asked(0, &query(1));
        reads.replied(&shadow, &reply(2));
        reads.asked(0, &query(2));
        assert_eq!(broken(reads.reads(&shadow, 0, &[query(1)])), "nothing", "it came before");
        assert_eq!(broken(reads.reads(&shadow, 0, &[query(2)])), S21);
        reads.ended(0);
        assert_eq!(broken(reads.reads(&shadow, 0, &[query(1)])), S21, "it came to another life");
    }
}
