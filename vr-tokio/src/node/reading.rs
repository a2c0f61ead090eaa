//! Who waits for the answer to a read at this node: questions that the replica has and has neither answered nor refused.
//!
//! Owns the numbers by which the replica knows them. What waits is bounded by the inbox. Must not know when a read may be
//! answered. VRR §6.3; PROTOCOL 1.8.

use super::Asker;
use crate::handle::RequestError;
use crate::upcalls::Look;
use bytes::Bytes;
use std::collections::HashMap;
use tokio::sync::oneshot;
use vr_core::{ClientId, Query, Rejection, RequestNumber, Time};

/// What this node calls itself when it asks its replica. No client may: its refusals would be taken for those of reads.
pub(super) const READER: ClientId = ClientId(u128::MAX);

#[derive(Debug, Default)]
pub(super) struct Reading {
    newest: RequestNumber,
    table: HashMap<RequestNumber, oneshot::Sender<Result<Bytes, RequestError>>>,
}

impl Reading {
    /// Somebody waits.
    pub(super) fn add(&mut self, asker: Asker) -> Query {
        self.newest = self.newest.next();
        self.table.insert(self.newest, asker.answer);
        Query { client: READER, number: self.newest, body: asker.query }
    }

    /// The service may answer these; under a lease, before that moment. Those who have given up are passed over.
    pub(super) fn looks(&mut self, queries: Vec<Query>, before: Option<Time>) -> Vec<Look> {
        let look = |query: Query| {
            let answer = self.table.remove(&query.number).filter(|answer| !answer.is_closed())?;
            Some(Look { query: query.body, answer, before })
        };
        queries.into_iter().filter_map(look).collect()
    }

    /// It was refused. False when it is no question of ours.
    pub(super) fn reject(&mut self, rejection: &Rejection) -> bool {
        let answer = Some(rejection.number).filter(|_| rejection.client == READER);
        let Some(answer) = answer.and_then(|number| self.table.remove(&number)) else { return false };
        let _ = answer.send(Err(RequestError::from(rejection.reason)));
        true
    }

    /// Nobody can be answered any more.
    pub(super) fn fail_all(&mut self, error: &RequestError) {
        for (_, answer) in self.table.drain() {
            let _ = answer.send(Err(error.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vr_core::{Reject, Session};

    fn asker(query: &'static [u8]) -> (Asker, oneshot::Receiver<Result<Bytes, RequestError>>) {
        let (answer, answered) = oneshot::channel();
        (Asker { query: Bytes::from_static(query), here: false, answer }, answered)
    }

    #[test]
    fn a_question_is_answered_or_refused_once_and_those_who_gave_up_are_passed_over() {
        let mut reading = Reading::default();
        let ((one, mut first), (other, second), (third, mut last)) = (asker(b"1"), asker(b"2"), asker(b"3"));
        let queries: Vec<_> = [one, other, third].into_iter().map(|asker| reading.add(asker)).collect();
        drop(second);
        let number = queries[2].number;
        let refused = Rejection { client: READER, session: Session::ZERO, number, reason: Reject::Busy };
        let foreign = Rejection { client: ClientId(7), ..refused.clone() };
        assert!(!reading.reject(&foreign) && reading.reject(&refused) && !reading.reject(&refused));
        assert_eq!(last.try_recv(), Ok(Err(RequestError::Busy)));
        let looks = reading.looks(queries, None);
        assert_eq!(looks.iter().map(|look| look.query.clone()).collect::<Vec<_>>(), ["1"]);
        for Look { query, answer, .. } in looks {
            assert!(answer.send(Ok(query)).is_ok());
        }
        assert_eq!(first.try_recv(), Ok(Ok(Bytes::from_static(b"1"))));
    }
}
