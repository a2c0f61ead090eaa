//! Who waits for which answer at this node: requests that were taken and are not answered yet.
//!
//! Owns the table of requests that were taken and are not answered. An entry goes when its answer comes, when its
//! asker has given up, or when this replica can not answer any more. Must not know why a request is refused.

use super::{Answer, Question};
use crate::handle::RequestError;
use std::collections::HashMap;
use tokio::sync::oneshot;
use vr_core::{ClientId, Rejection, Reply, Request, RequestNumber, Session, Time};

#[derive(Debug)]
struct Waiter {
    session: Session,
    asked: Time,
    answer: oneshot::Sender<Answer>,
}

/// One request may be asked for several times: all of its askers get the answer.
#[derive(Debug)]
enum Waiters {
    One(Waiter),
    Many(Vec<Waiter>),
}

#[derive(Debug, Default)]
pub(super) struct Waiting {
    table: HashMap<(ClientId, RequestNumber), Waiters>,
    /// When it has grown to this, those who have given up are looked for.
    sweep_at: usize,
}

const SWEEP_MIN: usize = 1024;

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Somebody waits.
    pub(super) fn add(&mut self, question: Question, asked: Time) -> Request {
        if self.table.len() >= self.sweep_at.max(SWEEP_MIN) {
            self.sweep();
        }
        let Question { request, answer } = question;
        let waiter = Waiter { session: request.session, asked, answer };
        let waiters = match self.table.remove(&(request.client, request.number)) {
            None => Waiters::One(waiter),
            Some(Waiters::One(first)) => Waiters::Many(vec![first, waiter]),
            Some(Waiters::Many(mut all)) => {
                all.retain(|waiter| !waiter.answer.is_closed());
                all.push(waiter);
                Waiters::Many(all)
            }
        };
        self.table.insert((request.client, request.number), waiters);
        request
    }

    /// The answer came. Gives when it was first asked for.
    pub(super) fn reply(&mut self, reply: Reply) -> Option<Time> {
        let is_register = reply.number == RequestNumber::ZERO;
        let (key, session) = ((reply.client, reply.number), reply.session);
        self.answer(key, |waiter| is_register || waiter.session == session, Ok(reply))
    }

    /// It was refused.
    pub(super) fn reject(&mut self, rejection: &Rejection) {
        let Rejection { client, session, number, reason } = *rejection;
        self.answer((client, number), |waiter| waiter.session == session, Err(RequestError::from(reason)));
    }

    fn answer(
        &mut self,
        key: (ClientId, RequestNumber),
        is_meant: impl Fn(&Waiter) -> bool,
        answer: Answer,
    ) -> Option<Time> {
        match self.table.remove(&key)? {
            Waiters::One(waiter) if is_meant(&waiter) => {
                let _ = waiter.answer.send(answer);
                Some(waiter.asked)
            }
            others @ Waiters::One(_) => {
                self.table.insert(key, others);
                None
            }
            Waiters::Many(all) => {
                let (meant, others): (Vec<_>, Vec<_>) = all.into_iter().partition(is_meant);
                let asked = meant.iter().map(|waiter| waiter.asked).min();
                meant.into_iter().for_each(|waiter| drop(waiter.answer.send(answer.clone())));
                if !others.is_empty() {
                    self.table.insert(key, Waiters::Many(others));
                }
                asked
            }
        }
    }

    /// Nobody who waits gets an answer from here any more.
    pub(super) fn fail_all(&mut self, error: &RequestError) {
        for (_, waiters) in self.table.drain() {
            match waiters {
                Waiters::One(waiter) => drop(waiter.answer.send(Err(error.clone()))),
                Waiters::Many(all) => all.into_iter().for_each(|w| drop(w.answer.send(Err(error.clone())))),
            }
        }
    }

    fn sweep(&mut self) {
        self.table.retain(|_, waiters| match waiters {
            Waiters::One(waiter) => !waiter.answer.is_closed(),
            Waiters::Many(all) => {
                all.retain(|waiter| !waiter.answer.is_closed());
                !all.is_empty()
            }
        });
        self.sweep_at = self.table.len() * 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use vr_core::{Kind, Op, Predicted, Reject, View};

    fn question(session: u64, number: u64) -> (Question, oneshot::Receiver<Answer>) {
        let (answer, answered) = oneshot::channel();
        let (client, session, number) = (ClientId(7), Session(session), RequestNumber(number));
        let kind = if number.0 == 0 { Kind::Register } else { Kind::Operation };
        let request = Request { client, session, number, kind, predicted: Predicted::default(), body: Bytes::new() };
        (Question { request, answer }, answered)
    }

    fn reply(session: u64, number: u64) -> Reply {
        let (client, session, number) = (ClientId(7), Session(session), RequestNumber(number));
        Reply { client, session, number, op: Op(9), view: View(0), result: Bytes::new(), duplicate: false }
    }

    #[test]
    fn all_who_ask_for_a_request_get_its_answer_and_those_of_another_session_do_not() {
        let mut waiting = Waiting::default();
        let (first, mut one) = question(3, 1);
        let (again, mut two) = question(3, 1);
        let (stale, mut other) = question(2, 1);
        for question in [first, again, stale] {
            waiting.add(question, Time::ZERO);
        }
        waiting.reply(reply(3, 1));
        assert!(one.try_recv().expect("answered").is_ok() && two.try_recv().expect("answered").is_ok());
        assert!(other.try_recv().is_err(), "it waits still");
        let (client, number) = (ClientId(7), RequestNumber(1));
        waiting.reject(&Rejection { client, session: Session(2), number, reason: Reject::Evicted });
        assert_eq!(other.try_recv(), Ok(Err(RequestError::Evicted)));
        assert_eq!(waiting.len(), 0);
    }

    #[test]
    fn a_register_is_answered_with_the_session_it_opened() {
        let mut waiting = Waiting::default();
        let (register, mut answered) = question(0, 0);
        waiting.add(register, Time::ZERO);
        waiting.reply(reply(12, 0));
        assert_eq!(answered.try_recv().expect("answered").expect("a reply").session, Session(12));
    }

    #[test]
    fn those_who_gave_up_are_forgotten() {
        let mut waiting = Waiting::default();
        for number in 1..=5000 {
            waiting.add(question(1, number).0, Time::ZERO);
        }
        assert!(waiting.len() <= SWEEP_MIN, "{} are kept", waiting.len());
    }
}
