//! One client: its session, its one outstanding request, its patience.
//!
//! Owns what a client library does: registers, numbers its requests, tries again elsewhere, follows hints, backs
//! off, registers anew when it was evicted or lost its memory. Must not know replicas' states nor what its
//! requests mean. Paper: VRR §4.1 step 1, §4.5; PROTOCOL 1.2.

use bytes::Bytes;
use vr_core::{ClientId, Kind, Predicted, Query, Reject, Rejection, Reply, Request, RequestNumber, Session, Wait};

/// What a client is waiting for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waiting {
    /// For its next idea.
    Idle,
    /// For a session.
    Session,
    /// For the answer to its request.
    Answer,
}

/// How a client asks for an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    /// In its session, by an entry of the log.
    Logged,
    /// As a read of the primary, which needs no session and changes nothing.
    Read,
    /// As a read that a backup may answer, too.
    ReadHere,
}

/// How long a client waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// For an answer, before it tries elsewhere.
    pub timeout: Wait,
    /// After a refusal.
    pub backoff: Wait,
}

/// What a client does next.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Nothing: this was not for it.
    Nothing,
    /// Send what it waits for to its target, and look again after so long.
    Send(Wait),
    /// Look again after so long.
    Sleep(Wait),
    /// It has time for another operation now.
    Free,
}

/// A client.
#[derive(Clone, Debug)]
pub struct Client {
    index: u32,
    salt: u64,
    /// How many lives it had before this one.
    life: u64,
    id: ClientId,
    session: Session,
    number: RequestNumber,
    waiting: Waiting,
    body: Bytes,
    /// How it asked for its outstanding operation.
    asked: Asked,
    /// What it calls are reconfigurations.
    operates: bool,
    /// The replica it believes in, by position.
    target: usize,
    /// The replica it asks this once, whomever it believes in.
    first: Option<usize>,
    /// The replica it tried last when it did not know whom to believe: it goes round.
    tour: usize,
    replicas: usize,
    attempts: u32,
    refused: bool,
    refusals: u32,
    patience: Patience,
    /// Only the newest timer counts.
    pub timer: u32,
    /// How many operations it called so far.
    pub called: u64,
    /// How many more it wants to call.
    pub left: u32,
}

/// The place of a client in the world's table, which its id carries in its lowest bits.
#[must_use]
pub fn index_of(id: ClientId) -> u32 {
    let number = id.0;
    u32::try_from(number & 0xffff).expect("masked to 16 bits")
}

/// The question that a client's message is, if it is no request: an operation in no session.
#[must_use]
pub fn query_of(request: &Request) -> Option<Query> {
    let Request { client, session, number, kind, ref body, .. } = *request;
    let is_read = kind == Kind::Operation && session == Session::ZERO;
    is_read.then(|| Query { client, number, body: body.clone() })
}

impl Client {
    /// A client that has not spoken yet.
    #[must_use]
    pub fn new(index: u32, salt: u64, replicas: usize, patience: Patience, left: u32) -> Self {
        let first = usize::try_from(index).unwrap_or(0) % replicas;
        let mut client = Self {
            index,
            salt,
            life: 0,
            id: ClientId(0),
            session: Session::ZERO,
            number: RequestNumber::ZERO,
            waiting: Waiting::Idle,
            body: Bytes::new(),
            asked: Asked::Logged,
            operates: false,
            target: first,
            first: None,
            tour: first,
            replicas,
            attempts: 0,
            refused: false,
            refusals: 0,
            patience,
            timer: 0,
            called: 0,
            left,
        };
        client.id = client.name();
        client
    }

    fn name(&self) -> ClientId {
        let low = u128::from(self.index & 0xffff) | (u128::from(self.life) << 16);
        ClientId(low | (u128::from(self.salt) << 64))
    }

    /// Who it is in this life.
    #[must_use]
    pub const fn id(&self) -> ClientId {
        self.id
    }

    /// Its session, zero while it has none.
    #[must_use]
    pub const fn session(&self) -> Session {
        self.session
    }

    /// What it waits for.
    #[must_use]
    pub const fn waiting(&self) -> Waiting {
        self.waiting
    }

    /// The number of its outstanding request, 0 for a registration.
    #[must_use]
    pub const fn outstanding(&self) -> Option<RequestNumber> {
        match self.waiting {
            Waiting::Idle => None,
            Waiting::Session => Some(RequestNumber::ZERO),
            Waiting::Answer => Some(self.number),
        }
    }

    /// The body of its outstanding request.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// The replica it would ask, by position.
    #[must_use]
    pub fn target(&self) -> usize {
        self.first.unwrap_or(self.target)
    }

    /// Whom to ask from now on.
    pub const fn aim(&mut self, target: usize) {
        (self.target, self.first) = (target % self.replicas, None);
    }

    /// Whom to ask next, before whoever it believes in.
    pub const fn try_first(&mut self, replica: usize) {
        self.first = Some(replica);
    }

    /// May a backup answer what it waits for?
    #[must_use]
    pub fn is_answered_anywhere(&self) -> bool {
        self.waiting == Waiting::Answer && self.asked == Asked::ReadHere
    }

    /// How often it sent what it waits for.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The request it waits for.
    #[must_use]
    pub fn request(&self) -> Request {
        let (kind, number, session, body) = match self.waiting {
            Waiting::Idle | Waiting::Session => (Kind::Register, RequestNumber::ZERO, Session::ZERO, Bytes::new()),
            Waiting::Answer => (self.kind(), self.number, self.asks_in(), self.body.clone()),
        };
        Request { client: self.id, session, number, kind, predicted: Predicted::default(), body }
    }

    /// The same, an operator: what it calls are reconfigurations, as many as there is reason for.
    #[must_use]
    pub const fn operating(mut self) -> Self {
        (self.operates, self.left) = (true, u32::MAX);
        self
    }

    const fn kind(&self) -> Kind {
        if self.operates { Kind::Reconfiguration } else { Kind::Operation }
    }

    /// Waits no longer for the answer to its request, which it does not need any more.
    pub fn give_up(&mut self) {
        self.waiting = Waiting::Idle;
        self.left = self.left.saturating_sub(1);
    }

    /// Asks for a session.
    pub fn register(&mut self) -> Next {
        self.waiting = Waiting::Session;
        self.send_first()
    }

    /// The session that its outstanding operation names: a read names none.
    fn asks_in(&self) -> Session {
        if self.asked == Asked::Logged { self.session } else { Session::ZERO }
    }

    /// Calls an operation, in its session, or as a read, which needs none.
    pub fn call(&mut self, body: Bytes, asked: Asked) -> Next {
        self.asked = asked;
        self.waiting = Waiting::Answer;
        self.number = self.number.next();
        self.body = body;
        self.called += 1;
        self.send_first()
    }

    fn send_first(&mut self) -> Next {
        (self.attempts, self.refusals) = (0, 0);
        self.send()
    }

    fn send(&mut self) -> Next {
        self.attempts += 1;
        self.refused = false;
        Next::Send(self.patience.timeout)
    }

    /// Its newest timer fired.
    pub fn on_timer(&mut self) -> Next {
        if self.waiting == Waiting::Idle {
            return Next::Free;
        }
        if !self.refused {
            self.try_elsewhere();
        }
        self.send()
    }

    const fn try_elsewhere(&mut self) {
        if self.first.take().is_some() {
            return;
        }
        self.tour = (self.tour + 1) % self.replicas;
        if self.tour == self.target {
            self.tour = (self.tour + 1) % self.replicas;
        }
        self.target = self.tour;
    }

    /// An answer arrived.
    pub fn on_reply(&mut self, reply: &Reply) -> Next {
        if reply.client != self.id || self.outstanding() != Some(reply.number) {
            return Next::Nothing;
        }
        match self.waiting {
            Waiting::Idle => Next::Nothing,
            Waiting::Session => {
                self.session = reply.session;
                self.waiting = Waiting::Idle;
                Next::Free
            }
            Waiting::Answer if reply.session == self.asks_in() => {
                self.waiting = Waiting::Idle;
                self.left = self.left.saturating_sub(1);
                Next::Free
            }
            Waiting::Answer => Next::Nothing,
        }
    }

    /// Does this refusal concern what it waits for?
    #[must_use]
    pub fn is_concerned(&self, rejection: &Rejection) -> bool {
        let same_session = self.waiting == Waiting::Session || rejection.session == self.asks_in();
        rejection.client == self.id && self.outstanding() == Some(rejection.number) && same_session
    }

    /// A refusal that concerns it arrived, other than that its session is gone. `primary` is the hint's position.
    pub fn on_refusal(&mut self, reason: Reject, primary: Option<usize>) -> Next {
        if self.refused {
            return Next::Nothing;
        }
        self.refused = true;
        self.refusals += 1;
        if reason != Reject::Busy {
            self.first = None;
        }
        match primary {
            // Hints of replicas that believe in each other lead nowhere: now and then it looks for itself.
            Some(hint) if !self.refusals.is_multiple_of(4) => self.target = hint,
            None if reason == Reject::Busy && !self.refusals.is_multiple_of(3) => {}
            Some(_) | None => self.try_elsewhere(),
        }
        Next::Sleep(self.patience.backoff.times(u64::from(self.refusals.min(4))))
    }

    /// Forgets everything, as after a crash or an eviction: another client from now on.
    pub fn begin_anew(&mut self) {
        if self.waiting == Waiting::Answer {
            self.left = self.left.saturating_sub(1);
        }
        self.life += 1;
        self.id = self.name();
        (self.session, self.number) = (Session::ZERO, RequestNumber::ZERO);
        self.waiting = Waiting::Idle;
        (self.refused, self.first) = (false, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vr_core::{Op, View};

    fn client() -> Client {
        let patience = Patience { timeout: Wait(100), backoff: Wait(10) };
        Client::new(1, 9, 3, patience, 2)
    }

    fn reply(client: &Client, session: u64, number: u64) -> Reply {
        Reply {
            client: client.id(),
            session: Session(session),
            number: RequestNumber(number),
            op: Op(1),
            view: View(0),
            result: Bytes::new(),
            duplicate: false,
        }
    }

    #[test]
    fn a_client_registers_then_calls_one_operation_after_the_other() {
        let mut c = client();
        assert_eq!(c.register(), Next::Send(Wait(100)));
        assert_eq!(c.request().kind, Kind::Register);
        assert_eq!(c.on_reply(&reply(&c, 5, 0)), Next::Free);
        assert_eq!(c.call(Bytes::from_static(b"x"), Asked::Logged), Next::Send(Wait(100)));
        assert_eq!((c.request().session, c.request().number), (Session(5), RequestNumber(1)));
        assert_eq!(c.on_reply(&reply(&c, 4, 1)), Next::Nothing, "of another session");
        assert_eq!(c.on_reply(&reply(&c, 5, 1)), Next::Free);
        assert_eq!(c.on_reply(&reply(&c, 5, 1)), Next::Nothing, "a late duplicate");
        assert_eq!(c.left, 1);
    }

    #[test]
    fn a_client_that_hears_nothing_tries_elsewhere_and_one_that_is_sent_away_follows_the_hint() {
        let mut c = client();
        let _ = c.register();
        assert_eq!(c.target(), 1);
        assert_eq!(c.on_timer(), Next::Send(Wait(100)));
        assert_eq!(c.target(), 2);
        let away = Reject::NotPrimary { primary: None, view: View(0) };
        assert_eq!(c.on_refusal(away, Some(0)), Next::Sleep(Wait(10)));
        assert_eq!(c.on_refusal(away, Some(1)), Next::Nothing, "one refusal per attempt");
        assert_eq!(c.on_timer(), Next::Send(Wait(100)));
        assert_eq!((c.target(), c.attempts()), (0, 3));
        assert_eq!(c.on_refusal(Reject::Busy, None), Next::Sleep(Wait(20)));
        assert_eq!(c.target(), 0);
    }

    #[test]
    fn a_client_that_begins_anew_is_another_client() {
        let mut c = client();
        let old = c.id();
        let _ = c.register();
        let _ = c.on_reply(&reply(&c, 5, 0));
        let _ = c.call(Bytes::new(), Asked::Logged);
        c.begin_anew();
        assert_ne!(c.id(), old);
        assert_eq!((index_of(c.id()), index_of(old)), (1, 1));
        assert_eq!((c.session(), c.outstanding(), c.left), (Session::ZERO, None, 1));
    }
}
