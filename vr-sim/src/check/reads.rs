//! A read reflects everything that anybody had been answered when it came: S21.
//!
//! Owns what was answered so far, and what each question that waits must reflect. Must not know why a replica believes that
//! it may answer. Judges only where the order of happenings is that of one clock. VRR §6.3; PROTOCOL 1.8, §4.

use super::Violation;
use super::shadow::Shadow;
use std::collections::BTreeMap;
use vr_core::{ClientId, Op, Query, Reply, RequestNumber};

const S21: &str = "S21 fresh read";

#[derive(Clone, Debug, Default)]
pub(super) struct Reads {
    /// The last op whose result left some replica for its client.
    told: Op,
    /// By position and name: what was told when the question came. One that came twice is answered for the first.
    asked: BTreeMap<(usize, ClientId, RequestNumber), Op>,
    answered: u64,
}

/// A question comes to a replica, where this is judged.
pub(super) fn asked(reads: &mut Option<Reads>, who: usize, query: &Query) {
    reads.iter_mut().for_each(|reads| reads.asked(who, query));
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
    }

    /// A replica hands these to its service, behind every upcall so far.
    pub(super) fn reads(&mut self, shadow: &Shadow, who: usize, queries: &[Query]) -> Result<(), Violation> {
        let (id, reached) = (shadow.id(who), shadow.replicas[who].executed);
        for Query { client, number, .. } in queries {
            let Some(told) = self.asked.get(&(who, *client, *number)) else {
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
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Setting;
    use crate::check::stage::{Stage, broken};
    use bytes::Bytes;
    use vr_core::{Action, ClusterConfig, ClusterId, Durability, Input};

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
    fn a_read_that_misses_what_was_answered_before_it_came_is_caught() {
        let shadow = Shadow::new(&Setting { cluster: ClusterConfig::of_size(ClusterId(1), 3), spares: 0 });
        let mut reads = Reads::default();
        let reply = |op| Reply {
            client: ClientId(1),
            session: vr_core::Session(1),
            number: RequestNumber(1),
            op: Op(op),
            view: vr_core::View(0),
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
