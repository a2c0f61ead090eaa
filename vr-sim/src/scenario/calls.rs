//! What clients do in a story: they open sessions, call, wait, try again.
//!
//! Owns [`Call`], which states what must become of a call. A client sends once and is silent, until the story waits
//! for its answer: from then on it tries again by itself, elsewhere too. Must not know any story.

use super::stage::{Role, Scenario, Verdict};
use crate::service::{Key, KvOp};
use bytes::Bytes;
use vr_core::{
    ClientId, Epoch, Kind, Member, Predicted, Reconfiguration, Reject, ReplicaId, Reply, Request, RequestNumber,
    Session, Snapshot, StatusName, Wait,
};

/// No client of the world: whoever changes the group.
const OPERATOR: ClientId = ClientId(u128::MAX);

/// A call that was just made.
pub struct Call<'a> {
    scenario: &'a mut Scenario,
    client: usize,
}

impl Scenario {
    /// These clients open their sessions, one after the other.
    ///
    /// # Errors
    /// When one gets none; or the property that does not hold any more.
    pub fn open(&mut self, clients: &[usize]) -> Verdict {
        for client in clients {
            let primary = self.at(Role::P);
            self.world.register(*client, primary);
            self.expect_answered(*client)?;
        }
        Ok(())
    }

    /// A client asks a replica for its session and does not wait for it.
    pub fn open_at(&mut self, who: Role, client: usize) -> Call<'_> {
        let to = self.at(who);
        self.world.register(client, to);
        self.world.silence(client);
        Call { scenario: self, client }
    }

    /// Sets a value.
    pub fn put(&mut self, client: usize, key: u16, value: &str) -> Call<'_> {
        self.request_at(Role::P, client, &KvOp::Put { key: Key(key), value: value.as_bytes() })
    }

    /// Sets a value, through this replica first.
    pub fn put_at(&mut self, who: Role, client: usize, key: u16, value: &str) -> Call<'_> {
        self.request_at(who, client, &KvOp::Put { key: Key(key), value: value.as_bytes() })
    }

    /// Adds to the end of a value.
    pub fn append(&mut self, client: usize, key: u16, value: &str) -> Call<'_> {
        self.request_at(Role::P, client, &KvOp::Append { key: Key(key), value: value.as_bytes() })
    }

    /// Adds to the end of a value, through this replica first.
    pub fn append_at(&mut self, who: Role, client: usize, key: u16, value: &str) -> Call<'_> {
        self.request_at(who, client, &KvOp::Append { key: Key(key), value: value.as_bytes() })
    }

    /// Removes a value.
    pub fn delete(&mut self, client: usize, key: u16) -> Call<'_> {
        self.request_at(Role::P, client, &KvOp::Delete { key: Key(key) })
    }

    /// Reads a value.
    pub fn get(&mut self, client: usize, key: u16) -> Call<'_> {
        self.request_at(Role::P, client, &KvOp::Get { key: Key(key) })
    }

    /// Reads a value without an entry in the log, of this replica first (PROTOCOL 1.8).
    pub fn read_at(&mut self, who: Role, client: usize, key: u16) -> Call<'_> {
        let to = self.at(who);
        let mut body = Vec::new();
        KvOp::Get { key: Key(key) }.encode(&mut body);
        self.world.read(client, to, body);
        self.world.silence(client);
        Call { scenario: self, client }
    }

    /// Reads a value without an entry in the log, of this replica first, which may answer whether it leads or not.
    pub fn read_here(&mut self, who: Role, client: usize, key: u16) -> Call<'_> {
        let to = self.at(who);
        let mut body = Vec::new();
        KvOp::Get { key: Key(key) }.encode(&mut body);
        self.world.read_here(client, to, body);
        self.world.silence(client);
        Call { scenario: self, client }
    }

    /// Any operation, through this replica first.
    pub fn request_at(&mut self, who: Role, client: usize, op: &KvOp<'_>) -> Call<'_> {
        let to = self.at(who);
        let mut body = Vec::new();
        op.encode(&mut body);
        self.world.request(client, to, body);
        self.world.silence(client);
        Call { scenario: self, client }
    }

    /// A client sends what it waits for once more, to this replica, and is silent.
    pub fn retry(&mut self, client: usize, who: Role) {
        let to = self.at(who);
        self.world.retry(client, to);
        self.world.silence(client);
    }

    /// A request of this client's session arrives at a replica now, whatever the client knows of it.
    pub fn inject(&mut self, who: Role, client: usize, number: u64, op: &KvOp<'_>) {
        let mut body = Vec::new();
        op.encode(&mut body);
        let known = self.world.client(client);
        let (client, session) = (known.id(), known.session());
        let (number, kind) = (RequestNumber(number), Kind::Operation);
        let request = Request { client, session, number, kind, predicted: Predicted::default(), body: body.into() };
        let to = self.at(who);
        self.world.inject_request(to, request);
    }

    /// The operator opens a session.
    ///
    /// # Errors
    /// When there is none; or the property that does not hold any more.
    pub fn open_operator(&mut self) -> Verdict {
        self.ask_as_operator(Role::P, 0, Kind::Register, Bytes::new());
        self.run(Wait::millis(10))?;
        self.operator_s_answer(0).map(drop)
    }

    /// The operator asks a replica for a group of these, at the end of an epoch.
    pub fn reconfigure(&mut self, who: Role, number: u64, epoch: u64, members: &[u16]) {
        let member = |id: &u16| Member { id: ReplicaId(*id), address: Bytes::new() };
        let next = Reconfiguration { epoch: Epoch(epoch), members: members.iter().map(member).collect() };
        self.ask_as_operator(who, number, Kind::Reconfiguration, next.encode());
    }

    fn ask_as_operator(&mut self, who: Role, number: u64, kind: Kind, body: Bytes) {
        let session = self.operator_s_answer(0).map_or(Session::ZERO, |reply| reply.session);
        let (client, number, predicted) = (OPERATOR, RequestNumber(number), Predicted::default());
        let to = self.at(who);
        self.world.inject_request(to, Request { client, session, number, kind, predicted, body });
    }

    /// The last answer to this request of the operator.
    ///
    /// # Errors
    /// When there is none.
    pub fn operator_s_answer(&self, number: u64) -> Verdict<Reply> {
        let is_it = |reply: &&Reply| (reply.client, reply.number) == (OPERATOR, RequestNumber(number));
        let last = self.world.answers().iter().rev().find(is_it);
        last.cloned().map_or_else(|| self.disappoint(format!("an answer to request {number} of the operator")), Ok)
    }

    /// The last refusal a replica gave to the operator.
    #[must_use]
    pub fn operator_s_refusal(&self) -> Option<Reject> {
        self.world.refusals().iter().rev().find(|rejection| rejection.client == OPERATOR).map(|it| it.reason)
    }

    /// These know, sooner or later, that they were replaced.
    ///
    /// # Errors
    /// When they do not within the bound on liveness; or the property that does not hold any more.
    pub fn expect_retired(&mut self, who: &[usize]) -> Verdict {
        let bound = self.world.setup().liveness_bound();
        self.wait_until(bound, &format!("r{who:?} to be retired"), |world| {
            who.iter().all(|at| world.snapshot(*at).is_some_and(|s| s.status == StatusName::Retired))
        })
    }

    /// These are normal members of this epoch, sooner or later.
    ///
    /// # Errors
    /// When they are not within the bound on liveness; or the property that does not hold any more.
    pub fn expect_epoch(&mut self, epoch: u64, members: &[usize]) -> Verdict {
        let bound = self.world.setup().liveness_bound();
        self.wait_until(bound, &format!("r{members:?} to be normal in epoch {epoch}"), |world| {
            members.iter().all(|at| {
                let is_there = |s: &Snapshot| s.epoch == Epoch(epoch) && super::views::is_normal(s);
                world.snapshot(*at).as_ref().is_some_and(is_there)
            })
        })
    }

    /// Every client that waits tries again by itself from now on, the primary first.
    pub fn wake_clients(&mut self) {
        let primary = self.at(Role::P);
        for client in 0..self.clients() {
            if self.world.is_waiting(client) {
                self.world.retry(client, primary);
            }
        }
    }

    /// How many clients there are.
    pub(crate) fn clients(&self) -> usize {
        usize::try_from(self.world.setup().clients).expect("few clients")
    }

    /// A client is answered, sooner or later. Gives the answer.
    ///
    /// # Errors
    /// When it is not within the bound on liveness; or the property that does not hold any more.
    pub fn expect_answered(&mut self, client: usize) -> Verdict<Reply> {
        self.run_while_waiting(client, Wait::millis(20))?;
        if self.world.is_waiting(client) {
            let primary = self.at(Role::P);
            self.world.retry(client, primary);
        }
        let bound = self.world.setup().liveness_bound();
        self.wait_until(bound, &format!("an answer for client {client}"), |world| !world.is_waiting(client))?;
        self.last_answer(client)
    }

    /// A client has no answer yet.
    ///
    /// # Errors
    /// When it has.
    pub fn expect_waiting(&self, client: usize) -> Verdict {
        self.expect(self.world.is_waiting(client), format!("no answer for client {client} yet"))
    }

    fn run_while_waiting(&mut self, client: usize, wait: Wait) -> Verdict {
        let until = self.world.now().after(wait);
        self.world.run_until(until, |world| !world.is_waiting(client));
        self.judge()
    }

    /// The last answer a replica gave to this client.
    ///
    /// # Errors
    /// When there is none.
    pub fn last_answer(&self, client: usize) -> Verdict<Reply> {
        let id = self.world.client(client).id();
        let last = self.world.answers().iter().rev().find(|reply| reply.client == id);
        last.cloned().map_or_else(|| self.disappoint(format!("an answer for client {client}")), Ok)
    }

    /// The last refusal a replica gave to this client in this session.
    #[must_use]
    pub fn last_refusal(&self, client: usize) -> Option<Reject> {
        let id = self.world.client(client).id();
        self.world.refusals().iter().rev().find(|rejection| rejection.client == id).map(|rejection| rejection.reason)
    }

    /// The session of a client.
    #[must_use]
    pub fn session(&self, client: usize) -> Session {
        self.world.client(client).session()
    }
}

impl Call<'_> {
    /// Whether and how it is answered will show.
    pub const fn unwatched(self) {}

    /// It is answered, sooner or later. Gives the answer.
    ///
    /// # Errors
    /// When it is not; or the property that does not hold any more.
    pub fn expect_answered(self) -> Verdict<Reply> {
        self.scenario.expect_answered(self.client)
    }

    /// It is answered within this time, without trying again.
    ///
    /// # Errors
    /// When it is not; or the property that does not hold any more.
    pub fn expect_answered_within(self, wait: Wait) -> Verdict<Reply> {
        let client = self.client;
        let what = format!("an answer for client {client}");
        self.scenario.wait_until(wait, &what, |world| !world.is_waiting(client))?;
        self.scenario.last_answer(client)
    }

    /// It has no answer after 20 ms, ample for any round of messages.
    ///
    /// # Errors
    /// When it has; or the property that does not hold any more.
    pub fn expect_pending(self) -> Verdict {
        self.expect_pending_for(Wait::millis(20))
    }

    /// It has no answer after this time.
    ///
    /// # Errors
    /// When it has; or the property that does not hold any more.
    pub fn expect_pending_for(self, wait: Wait) -> Verdict {
        let Self { scenario, client } = self;
        scenario.run_while_waiting(client, wait)?;
        scenario.expect_waiting(client)
    }

    /// It is refused.
    ///
    /// # Errors
    /// When it is not within 20 ms; or the property that does not hold any more.
    pub fn expect_refused(self) -> Verdict<Reject> {
        let Self { scenario, client } = self;
        let before = scenario.world.refusals().len();
        let id = scenario.world.client(client).id();
        scenario.wait_until(Wait::millis(20), &format!("a refusal for client {client}"), |world| {
            world.refusals()[before..].iter().any(|rejection| rejection.client == id)
        })?;
        let news = &scenario.world.refusals()[before..];
        let refusal = news.iter().find(|rejection| rejection.client == id).map(|rejection| rejection.reason);
        refusal.map_or_else(|| scenario.disappoint(format!("a refusal for client {client}")), Ok)
    }
}
