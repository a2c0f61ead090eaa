//! The client table: sessions opened through the log, each request executed at most once.
//!
//! Owns who has a session, what it executed last and what the answer was; written by execution only, in op
//! order, so that it is the same on every replica. Must not know about requests that are not executed yet.
//! Paper: VRR §4 Figure 2 (client-table), §4.1, §4.5, as corrected in PROTOCOL 1.2.

use crate::entry::{Entry, Kind};
use crate::id::{ClientId, Hash, Op, RequestNumber, Session, count, index};
use crate::rules::Rules;
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use core::cmp::Ordering;
use core::hash::{BuildHasher, Hasher};
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3Default;

/// Client ids are random already: fold them. Fixed, so that equal histories give equal tables.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Fold;

#[derive(Default)]
pub(crate) struct FoldHasher(u64);

impl BuildHasher for Fold {
    type Hasher = FoldHasher;
    fn build_hasher(&self) -> FoldHasher {
        FoldHasher::default()
    }
}

impl Hasher for FoldHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u128(u128::from(*byte));
        }
    }
    fn write_u128(&mut self, value: u128) {
        const ODD: u128 = 0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835;
        let mixed = (value ^ u128::from(self.0)).wrapping_mul(ODD);
        self.0 = u64::try_from(mixed >> 64).expect("the upper half of 128 bits");
    }
}

/// One client's session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Slot {
    client: ClientId,
    session: Session,
    /// The last request taken: its Execute was issued.
    last: RequestNumber,
    /// The op it was taken at; the session's own op before the first.
    last_op: Op,
    /// The service's last answer: to that request, if `answered`, and to an earlier one until then.
    reply: Bytes,
    answered: bool,
    /// The newest request that is logged or queued at a primary, and its op. Not part of the replicated state.
    flying: (RequestNumber, Op),
}

impl Slot {
    /// The answer to the last request taken, once the service gave it.
    fn answer(&self) -> Option<&Bytes> {
        self.answered.then_some(&self.reply)
    }
}

/// Where a session's slot is: good until the session gives way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct SlotId(u32);

impl SlotId {
    /// No slot at all: only a planted bug executes without a session.
    const NONE: Self = Self(u32::MAX);

    fn index(self) -> usize {
        index(self.0.into())
    }
}

/// What the table says of a request that a client sends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Seen {
    /// Not executed yet. Its session's slot is where to note that it is in flight now.
    New(SlotId),
    /// Not executed yet, but this request or a later one of its client is logged or queued here.
    Flying,
    /// Taken; the service has not answered yet.
    Executing,
    /// Answered before, at this op: here is the first answer again.
    Answered(Op, Bytes),
    /// Older than the last one executed: no effect, no answer.
    Older,
    /// The client has no such session.
    NoSession,
}

/// What is to be done with an entry whose turn has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    /// Call the service; its answer belongs here.
    Execute(SlotId),
    /// A session was opened (again: the same); another one may have given way.
    Registered { session: Session, evicted: Option<(ClientId, Session)> },
    /// Executed before: no effect. The first answer, if it is this very request's and known.
    Duplicate(Option<(Op, Bytes)>),
    /// A reconfiguration: taken, and answered with this.
    Reconfigured(Bytes),
    /// Its session is gone: no effect.
    Evicted,
}

/// The client table.
#[derive(Clone, Debug)]
pub(crate) struct ClientTable {
    index: HashMap<ClientId, SlotId, Fold>,
    /// Where the slot of a session probably is, by its low bits: sessions that were opened together lie side by side.
    likely: Vec<SlotId>,
    /// Each is somebody's: a session that gives way leaves its slot to the one it gave way to.
    slots: Vec<Slot>,
    capacity: usize,
}

impl PartialEq for ClientTable {
    /// Where slots are found follows from the slots.
    fn eq(&self, other: &Self) -> bool {
        (&self.slots, self.capacity) == (&other.slots, other.capacity)
    }
}

impl Eq for ClientTable {}

pub(crate) const NOT_ASKED: &str = "the driver answers only what was executed";

/// So many sessions are found without hashing.
const LIKELY: usize = 4096;

impl ClientTable {
    pub(crate) fn new(capacity: usize) -> Self {
        let likely = vec![SlotId::NONE; LIKELY.min(capacity.next_power_of_two())];
        Self { index: HashMap::with_hasher(Fold), likely, slots: Vec::new(), capacity }
    }

    /// Notes where the session of a slot is.
    fn place(&mut self, client: ClientId, session: Session, id: SlotId) -> Option<SlotId> {
        let at = self.likely_at(session);
        self.likely[at] = id;
        self.index.insert(client, id)
    }

    #[inline]
    fn likely_at(&self, session: Session) -> usize {
        index(session.0) & (self.likely.len() - 1)
    }

    /// The slot of a client's session, if that is the session it has.
    #[inline(always)] // at each op, on each replica
    fn find(&self, client: ClientId, session: Session) -> Option<SlotId> {
        let likely = self.likely[self.likely_at(session)];
        let is_it = |slot: &Slot| slot.client == client && slot.session == session;
        if self.slots.get(likely.index()).is_some_and(is_it) {
            return Some(likely);
        }
        self.index.get(&client).copied().filter(|id| is_it(&self.slots[id.index()]))
    }

    fn slot(&self, client: ClientId) -> Option<&Slot> {
        self.index.get(&client).map(|id| &self.slots[id.index()])
    }

    fn slot_mut(&mut self, client: ClientId) -> Option<&mut Slot> {
        self.index.get(&client).map(|id| &mut self.slots[id.index()])
    }

    /// The session a client has.
    pub(crate) fn session(&self, client: ClientId) -> Option<Session> {
        self.slot(client).map(|slot| slot.session)
    }

    /// What is known of a client's request. `issued`: entries up to here have had their turn.
    pub(crate) fn seen(&self, client: ClientId, session: Session, number: RequestNumber, issued: Op) -> Seen {
        let Some(id) = self.find(client, session) else { return Seen::NoSession };
        let slot = &self.slots[id.index()];
        match (number.cmp(&slot.last), slot.answer()) {
            (Ordering::Less, _) => Seen::Older,
            (Ordering::Equal, Some(reply)) => Seen::Answered(slot.last_op, reply.clone()),
            (Ordering::Equal, None) => Seen::Executing,
            (Ordering::Greater, _) if slot.flying.1 > issued && slot.flying.0 >= number => Seen::Flying,
            (Ordering::Greater, _) => Seen::New(id),
        }
    }

    /// A primary logged or queued a request, which has or will have this op. False when the client has no session
    /// yet to note it with.
    pub(crate) fn flies(&mut self, client: ClientId, number: RequestNumber, op: Op) -> bool {
        let slot = self.slot_mut(client);
        slot.map(|slot| slot.flying = (number, op)).is_some()
    }

    /// [`ClientTable::flies`], for a slot that was just found.
    pub(crate) fn flies_at(&mut self, id: SlotId, number: RequestNumber, op: Op) {
        self.slots[id.index()].flying = (number, op);
    }

    /// Whoever becomes primary knows of no request in flight but those in its log.
    pub(crate) fn ground(&mut self) {
        for slot in &mut self.slots {
            slot.flying = (RequestNumber::ZERO, Op::ZERO);
        }
    }

    /// The last request taken of a client.
    pub(crate) fn last(&self, client: ClientId) -> Option<RequestNumber> {
        self.slot(client).map(|slot| slot.last)
    }

    /// Takes the entries at the beginning of a run that the service is to execute, in op order: where the answer of
    /// each belongs goes to `slots`. How many there were.
    #[inline]
    pub(crate) fn take_run(&mut self, rules: Rules, run: &[Entry], slots: &mut VecDeque<Option<SlotId>>) -> usize {
        slots.reserve(run.len());
        for (at, entry) in run.iter().enumerate() {
            let slot = self.take_operation(rules, entry);
            if slot.is_none() {
                return at;
            }
            slots.push_back(slot);
        }
        run.len()
    }

    /// [`ClientTable::take_run`] of one entry.
    #[inline(always)] // at each op that is alone, on each replica
    pub(crate) fn take_one(&mut self, rules: Rules, entry: &Entry, slots: &mut VecDeque<Option<SlotId>>) -> usize {
        let slot = self.take_operation(rules, entry);
        if slot.is_some() {
            slots.push_back(slot);
        }
        usize::from(slot.is_some())
    }

    /// Takes an operation that its client's session has not seen yet.
    #[inline(always)] // see `find`
    fn take_operation(&mut self, rules: Rules, entry: &Entry) -> Option<SlotId> {
        let id = self.find(entry.client(), entry.session()).filter(|_| entry.kind() == Kind::Operation)?;
        let slot = &mut self.slots[id.index()];
        if !rules.is_news(slot.last, entry.number()) {
            return None;
        }
        (slot.last, slot.last_op, slot.answered) = (entry.number(), entry.op(), false);
        Some(id)
    }

    /// Takes a reconfiguration that its client's session has not seen yet: no service is asked, the answer is the number of
    /// the epoch that begins with it.
    fn take_reconfiguration(&mut self, rules: Rules, entry: &Entry) -> Option<Bytes> {
        let id = self.find(entry.client(), entry.session()).filter(|_| entry.kind() == Kind::Reconfiguration)?;
        let slot = &mut self.slots[id.index()];
        if !rules.is_news(slot.last, entry.number()) {
            return None;
        }
        let reply = Bytes::copy_from_slice(&entry.epoch().next().0.to_le_bytes());
        (slot.last, slot.last_op, slot.answered, slot.reply) = (entry.number(), entry.op(), true, reply.clone());
        Some(reply)
    }

    /// Takes an entry whose turn has come, in op order. `me` matters to a planted bug only.
    pub(crate) fn take(&mut self, rules: Rules, me: u64, entry: &Entry) -> Turn {
        if entry.kind() == Kind::Register {
            return self.register(rules, me, entry);
        }
        if let Some(id) = self.take_operation(rules, entry) {
            return Turn::Execute(id);
        }
        if let Some(reply) = self.take_reconfiguration(rules, entry) {
            return Turn::Reconfigured(reply);
        }
        match self.slot(entry.client()) {
            None if rules.executes_without_session() => Turn::Execute(SlotId::NONE),
            Some(slot) if slot.session == entry.session() => {
                let first = slot.answer().filter(|_| slot.last == entry.number());
                Turn::Duplicate(first.map(|reply| (slot.last_op, reply.clone())))
            }
            Some(_) | None => Turn::Evicted,
        }
    }

    fn register(&mut self, rules: Rules, me: u64, entry: &Entry) -> Turn {
        let client = entry.client();
        if let Some(session) = self.session(client) {
            return Turn::Registered { session, evicted: None };
        }
        let (session, last_op) = (Session(entry.op().0), entry.op());
        let (last, flying) = (RequestNumber::ZERO, (RequestNumber::ZERO, Op::ZERO));
        let slot = Slot { client, session, last, last_op, reply: Bytes::new(), answered: true, flying };
        let (mut at, mut evicted) = (self.slots.len(), None);
        if at >= self.capacity {
            let rank = |(_, slot): &(usize, &Slot)| (rules.eviction_rank(slot.last_op, slot.session, me), slot.client);
            if let Some((oldest, slot)) = self.slots.iter().enumerate().min_by_key(rank) {
                (at, evicted) = (oldest, Some((slot.client, slot.session)));
                self.index.remove(&slot.client);
            }
        }
        match self.slots.get_mut(at) {
            Some(given_up) => *given_up = slot,
            None => self.slots.push(slot),
        }
        self.place(client, session, SlotId(u32::try_from(at).expect("the capacity has 32 bits")));
        Turn::Registered { session, evicted }
    }

    /// The service answered what was taken at `op`.
    #[inline]
    pub(crate) fn answered(&mut self, id: SlotId, op: Op, reply: Bytes) {
        // Nobody else takes its op: a slot that gave way to another client's session was last taken at another one.
        if let Some(slot) = self.slots.get_mut(id.index()).filter(|slot| slot.last_op == op) {
            (slot.reply, slot.answered) = (reply, true);
        }
    }

    /// [`ClientTable::answered`] for the ops from `first` on, as many as there are slots.
    ///
    /// # Panics
    /// When one of them was not for the service.
    #[inline]
    pub(crate) fn answered_run(
        &mut self,
        slots: &[Option<SlotId>],
        mut first: Op,
        replies: impl Iterator<Item = Bytes>,
    ) {
        for (slot, reply) in slots.iter().zip(replies) {
            self.answered(slot.expect(NOT_ASKED), first, reply);
            first = first.next();
        }
    }

    /// Notes a request before it is executed. Only a planted bug does (PROTOCOL D71).
    pub(crate) fn record_early(&mut self, client: ClientId, number: RequestNumber) {
        if let Some(slot) = self.slot_mut(client) {
            slot.last = number;
            slot.answered = false;
        }
    }

    /// The hash of the whole table, of the bytes of [`ClientTable::encode`]: equal on all replicas that executed the
    /// same ops.
    pub(crate) fn digest(&self) -> Hash {
        let mut hash = Xxh3Default::new();
        self.spell(|bytes| hash.update(bytes));
        Hash(hash.digest128())
    }

    /// The whole table as bytes, for a checkpoint (PROTOCOL D74). Per session, in the order of clients, little-endian:
    /// client 16, session 8, last request 8, its op 8, length of its answer 8 (2⁶⁴ − 1: not yet), its answer.
    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = Vec::new();
        self.spell(|piece| bytes.extend_from_slice(piece));
        Bytes::from(bytes)
    }

    /// The table that these bytes are of, if they are of one.
    pub(crate) fn decode(mut bytes: Bytes, capacity: usize) -> Option<Self> {
        let mut table = Self::new(capacity);
        while !bytes.is_empty() {
            let fixed = bytes.first_chunk::<48>()?;
            let number = |at: usize| fixed[at..].first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
            let client = ClientId(fixed.first_chunk().map(|bytes| u128::from_le_bytes(*bytes))?);
            let (session, last) = (Session(number(16)?), RequestNumber(number(24)?));
            let (last_op, length) = (Op(number(32)?), number(40)?);
            let mut rest = bytes.split_off(48);
            let answered = length != u64::MAX;
            let length = if answered { usize::try_from(length).ok()? } else { 0 };
            if length > rest.len() {
                return None;
            }
            let reply = rest.split_to(length);
            bytes = rest;
            let id = SlotId(u32::try_from(table.slots.len()).ok()?);
            let flying = (RequestNumber::ZERO, Op::ZERO);
            table.slots.push(Slot { client, session, last, last_op, reply, answered, flying });
            if table.slots.len() > capacity || table.place(client, session, id).is_some() {
                return None;
            }
        }
        Some(table)
    }

    fn spell(&self, mut put: impl FnMut(&[u8])) {
        let mut slots: Vec<&Slot> = self.slots.iter().collect();
        slots.sort_unstable_by_key(|slot| slot.client);
        for slot in slots {
            put(&slot.client.0.to_le_bytes());
            for number in [slot.session.0, slot.last.0, slot.last_op.0] {
                put(&number.to_le_bytes());
            }
            let reply = slot.answer().map(|reply| &reply[..]);
            put(&count(reply.map_or(usize::MAX, <[u8]>::len)).to_le_bytes());
            put(reply.unwrap_or_default());
        }
    }
}

impl Serialize for ClientTable {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (count(self.capacity), &self.slots).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ClientTable {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (capacity, slots) = <(u64, Vec<Slot>)>::deserialize(deserializer)?;
        let capacity = usize::try_from(capacity).map_err(serde::de::Error::custom)?;
        let mut table = Self { slots, ..Self::new(capacity) };
        for id in (0u32..).map(SlotId).take(table.slots.len()) {
            let Slot { client, session, .. } = table.slots[id.index()];
            table.place(client, session, id);
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests;
