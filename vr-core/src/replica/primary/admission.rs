//! Admission at the primary: is a request new and welcome, and is it in flight from now on?
//!
//! Owns the answer, and the notes of requests in flight of clients that are only registering. Must not know how a
//! request becomes an entry. Paper: VRR §4.1 steps 1 and 2; PROTOCOL 1.2.

use super::super::common::{Common, Out};
use super::Primary;
use crate::action::{Action, Note, Reject};
use crate::clients::{ClientTable, Fold, Seen, SlotId};
use crate::entry::{Entry, Kind, Request};
use crate::group::{BadGroup, Reconfiguration};
use crate::id::{ClientId, Op, RequestNumber, count};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use bytes::Bytes;
use hashbrown::HashMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The newest request in flight of each client, with its op.
type Newest = HashMap<ClientId, (RequestNumber, Op), Fold>;

/// The newest requests in flight of clients whose `Register` is in flight itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Registering {
    newest: Newest,
    /// The largest op of any: when its turn has come nobody is looked up any more.
    through: Op,
}

impl Registering {
    fn of(newest: Newest) -> Self {
        let through = newest.values().map(|(_, op)| *op).max().unwrap_or_default();
        Self { newest, through }
    }

    pub(super) fn len(&self) -> usize {
        self.newest.len()
    }

    fn insert(&mut self, client: ClientId, number: RequestNumber, op: Op) {
        self.newest.insert(client, (number, op));
        self.through = self.through.max(op);
    }

    /// Is this request, or a later one of its client, among them, and not issued yet?
    fn has(&self, client: ClientId, number: RequestNumber, issued: Op) -> bool {
        let flying = |(newest, op): &(RequestNumber, Op)| *op > issued && *newest >= number;
        self.through > issued && self.newest.get(&client).is_some_and(flying)
    }

    /// Forgets those whose turn has come.
    pub(super) fn forget(&mut self, issued: Op) {
        self.newest.retain(|_, (_, op)| *op > issued);
        *self = Self::of(core::mem::take(&mut self.newest));
    }
}

impl Serialize for Registering {
    /// Equal maps are written equally, whatever came into them first.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.newest.iter().collect::<BTreeMap<_, _>>().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Registering {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Newest::deserialize(deserializer).map(Self::of)
    }
}

impl Primary {
    /// VRR §4.1 step 2.
    #[inline(never)] // its registers and its stack are for it alone
    pub(in super::super) fn on_request(&mut self, common: &mut Common, out: &mut Out, request: Request) {
        let closed = self.is_closed(common);
        if self.takes(common, out, &request, self.queue.len(), closed) {
            if self.queue.is_empty() && self.has_room(common) {
                let entries = Self::chain(&mut self.predicted, common, 1, core::iter::once(request));
                self.prepare(common, out, entries);
            } else {
                self.queue.push_back(request);
            }
        }
        self.flush(common, out);
    }

    /// The same for all that came at once: they share a batch.
    pub(in super::super) fn on_requests(&mut self, common: &mut Common, out: &mut Out, mut requests: Vec<Request>) {
        if requests.iter().any(|request| request.kind == Kind::Reconfiguration) {
            // What comes behind it is judged behind it.
            return requests.into_iter().for_each(|request| self.on_request(common, out, request));
        }
        let (mut ahead, closed) = (self.queue.len(), self.is_closed(common));
        requests.retain(|request| {
            let taken = self.takes(common, out, request, ahead, closed);
            ahead += usize::from(taken);
            taken
        });
        if self.queue.is_empty() {
            self.queue = requests.into();
        } else {
            self.queue.extend(requests);
        }
        self.flush(common, out);
    }

    /// Is the request taken, behind so many others? It is in flight then; otherwise it is answered, if it has to be.
    fn takes(&mut self, common: &mut Common, out: &mut Out, request: &Request, ahead: usize, closed: bool) -> bool {
        let slot = match self.admit(common, out, request, ahead, closed) {
            Ok(slot) => slot,
            Err(reason) => {
                if let Some(reason) = reason {
                    common.reject(out, request, reason);
                }
                return false;
            }
        };
        let op = common.log.op().plus(count(ahead) + 1);
        match slot {
            Some(slot) => common.clients.flies_at(slot, request.number, op),
            None => self.fly(&mut common.clients, request.client, request.number, op),
        }
        if common.rules.records_when_taken() {
            common.clients.record_early(request.client, request.number);
        }
        true
    }

    /// Is the request new and welcome? With the slot of its session, if that was looked at. `Err(None)`: it needs no
    /// answer from here.
    fn admit(
        &self,
        common: &Common,
        out: &mut Out,
        request: &Request,
        ahead: usize,
        closed: bool,
    ) -> Result<Option<SlotId>, Option<Reject>> {
        if self.abdicated {
            return Err(Some(common.not_primary(false)));
        }
        let register = request.kind == Kind::Register;
        if register != (request.number == RequestNumber::ZERO) || (register && !request.body.is_empty()) {
            return Err(Some(Reject::Malformed));
        }
        if count(request.body.len()) > u64::from(common.config.cluster.max_request_bytes) {
            return Err(Some(Reject::TooLarge));
        }
        if !common.may_append() {
            return Err(Some(Reject::NoSpace));
        }
        if common.rules.judges_group_first() {
            Self::admit_group(common, request, closed)?;
        }
        let admitted = if register {
            self.admit_register(common, out, request).map(|()| None)
        } else {
            self.admit_operation(common, out, request)
        };
        let admitted = admitted.and_then(|slot| Self::admit_group(common, request, closed).map(|()| slot));
        if admitted.is_ok() && count(ahead) >= u64::from(common.config.batching.queue_entries) {
            return Err(Some(Reject::Busy));
        }
        admitted
    }

    /// Behind a reconfiguration nothing more is taken in its epoch: a question to log and queue, not a flag, so that it has
    /// the answer that they have after every view change (VRR §7.1.1; PROTOCOL D88, D96, D104).
    #[inline(always)] // see `Entry::new`
    fn is_closed(&self, common: &Common) -> bool {
        let queued = self.queue.back().is_some_and(|last| last.kind == Kind::Reconfiguration);
        let logged = || {
            let last = common.log.last().filter(|last| last.kind() == Kind::Reconfiguration);
            last.is_some_and(|last| common.group.after(last, common.config.cluster.least_members()).is_some())
        };
        common.rules.is_closed(queued, logged)
    }

    /// Is there room for it in its epoch, and if it is to end it, is the next group a sound one?
    #[inline]
    fn admit_group(common: &Common, request: &Request, closed: bool) -> Result<(), Option<Reject>> {
        if request.kind != Kind::Reconfiguration {
            return if closed { Err(Some(Reject::Busy)) } else { Ok(()) };
        }
        let (group, least) = (&common.group, common.config.cluster.least_members());
        let next = Reconfiguration::decode(request.body.clone()).ok_or(BadGroup::Unreadable);
        let ends_later = next.as_ref().is_ok_and(|next| next.epoch > group.epoch());
        match next.and_then(|next| group.admits(&next, least)) {
            Ok(()) if !closed => Ok(()),
            Err(why) if common.rules.refuses_group_for_good(ends_later) => Err(Some(Reject::Reconfiguration(why))),
            // Behind another one, which may yet come to nothing, it may have taken effect elsewhere as well.
            Ok(()) | Err(_) => Err(Some(Reject::Busy)),
        }
    }

    fn admit_register(&self, common: &Common, out: &mut Out, request: &Request) -> Result<(), Option<Reject>> {
        let Request { client, number, .. } = *request;
        if let Some(session) = common.clients.session(client) {
            common.reply(out, (client, session, number), (Op(session.0), Bytes::new()), true);
            return Err(duplicate(out, client, number));
        }
        if self.is_flying(common, client, number) {
            return Err(duplicate(out, client, number));
        }
        Ok(())
    }

    /// Notes a request that is logged or queued and not executed.
    fn fly(&mut self, clients: &mut ClientTable, client: ClientId, number: RequestNumber, op: Op) {
        if number == RequestNumber::ZERO || !clients.flies(client, number, op) {
            self.registering.insert(client, number, op);
        }
    }

    /// Notes an entry that an earlier primary logged. The session that its client has here may give way before a
    /// `Register` in this very log opens the one it is of; what is noted with the old one goes with it.
    pub(super) fn fly_again(&mut self, clients: &mut ClientTable, entry: &Entry) {
        let (client, number, op) = (entry.client(), entry.number(), entry.op());
        if self.registering.newest.contains_key(&client) {
            self.registering.insert(client, number, op);
        }
        self.fly(clients, client, number, op);
    }

    /// Is this request, or a later one, of a client that is only registering in flight?
    fn is_flying(&self, common: &Common, client: ClientId, number: RequestNumber) -> bool {
        common.rules.knows_in_flight() && self.registering.has(client, number, common.execution.issued())
    }

    fn admit_operation(
        &self,
        common: &Common,
        out: &mut Out,
        request: &Request,
    ) -> Result<Option<SlotId>, Option<Reject>> {
        let Request { client, session, number, .. } = *request;
        match common.clients.seen(client, session, number, common.execution.issued()) {
            Seen::New(_) if self.is_flying(common, client, number) => Err(duplicate(out, client, number)),
            Seen::New(slot) => Ok(Some(slot)),
            Seen::Flying if !common.rules.knows_in_flight() => Ok(None),
            Seen::Flying | Seen::Executing | Seen::Older => Err(duplicate(out, client, number)),
            Seen::Answered(op, reply) => {
                common.reply(out, (client, session, number), (op, reply), true);
                Err(duplicate(out, client, number))
            }
            Seen::NoSession if common.rules.executes_without_session() => Ok(None),
            Seen::NoSession => {
                // A session is the op of its Register: whoever executed past it and does not know it, saw it go.
                // Whoever did not, may be behind, or deposed without knowing.
                let caught_up = session.0 <= common.execution.executed().0;
                Err(Some(if common.rules.may_call_evicted(caught_up) { Reject::Evicted } else { Reject::Busy }))
            }
        }
    }
}

fn duplicate(out: &mut Out, client: ClientId, number: RequestNumber) -> Option<Reject> {
    out.push(Action::Note(Note::DuplicateRequest { client, number }));
    None
}

#[cfg(test)]
mod tests;
