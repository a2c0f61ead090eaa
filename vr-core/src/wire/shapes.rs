//! How each type is laid out in a payload, and what must be true of it beyond its layout.
//!
//! Owns one `Shape` per type: fields in the order of their declaration, variants by their number, so that the
//! layout is bincode's of the serde types. Must not know frames or checksums. Paper: the messages of VRR §4 and
//! §5; DESIGN 9.18 (limits per list).

use super::{COUNTER_MAX, Shape, Sink, Source, WireError, put_number};
use crate::action::Write;
use crate::checkpoint::Checkpoint;
use crate::entry::{Entries, Entry, Kind, Predicted, Query, Request};
use crate::event::{Event, Input};
use crate::group::{Group, Member};
use crate::id::{
    Beat, ClientId, Epoch, FetchId, Hash, Incarnation, Instance, Nonce, Op, ReplicaId, RequestNumber, Seq, Session,
    Time, View, WriteId, count,
};
use crate::log::{Head, continues};
use crate::message::{
    Body, CheckpointDurable, CheckpointPart, DoViewChange, Envelope, GetState, Header, MAX_ANCHORS, Message, NewState,
    Recovery, RecoveryResponse, StartView, Tail,
};
use crate::quorum::{Position, ReplicaSet};
use crate::state::State;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;

/// The fewest bytes an entry takes: eleven fields of one byte each.
const ENTRY_BYTES_MIN: usize = 11;
/// The fewest bytes a request takes: seven fields of one byte each.
const REQUEST_BYTES_MIN: usize = 7;
/// The fewest bytes a member takes: its id, and the length of its address.
const MEMBER_BYTES_MIN: usize = 2;
/// The fewest bytes a position takes.
const HEAD_BYTES_MIN: usize = 2;

impl Shape for u64 {
    fn put(&self, to: &mut impl Sink) {
        put_number(*self, to);
    }
    fn get(from: &mut Source<'_>) -> Result<Self, WireError> {
        from.number()
    }
}

impl Shape for bool {
    fn put(&self, to: &mut impl Sink) {
        to.put(&[u8::from(*self)]);
    }
    fn get(from: &mut Source<'_>) -> Result<Self, WireError> {
        match from.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(WireError::Variant { of: "bool" }),
        }
    }
}

impl Shape for Bytes {
    fn put(&self, to: &mut impl Sink) {
        put_number(count(self.len()), to);
        to.put(self);
    }
    fn get(from: &mut Source<'_>) -> Result<Self, WireError> {
        from.bytes()
    }
}

impl Shape for State {
    fn put(&self, to: &mut impl Sink) {
        put_number(self.len(), to);
        self.pieces().for_each(|piece| to.share(piece));
    }
    fn get(from: &mut Source<'_>) -> Result<Self, WireError> {
        from.bytes().map(Self::from)
    }
}

impl<T: Shape> Shape for Box<T> {
    fn put(&self, to: &mut impl Sink) {
        T::put(self, to);
    }
    fn get(from: &mut Source<'_>) -> Result<Self, WireError> {
        T::get(from).map(Self::new)
    }
}

impl<T: Shape> Shape for Option<T> {
    fn put(&self, to: &mut impl Sink) {
        self.is_some().put(to);
        if let Some(value) = self {
            value.put(to);
        }
    }
    fn get(from: &mut Source<'_>) -> Result<Self, WireError> {
        bool::get(from)?.then(|| T::get(from)).transpose()
    }
}

/// Names and numbers that are what somebody chose: any value goes.
macro_rules! plain {
    ($($name:ident = $read:ident),* $(,)?) => {
        $(impl Shape for $name {
            fn put(&self, to: &mut impl Sink) {
                put_number({ self.0 }, to);
            }
            fn get(from: &mut Source<'_>) -> Result<Self, WireError> {
                from.$read().map(Self)
            }
        })*
    };
}

plain! {
    Session = number, RequestNumber = number, Time = number,
    Instance = wide_number, ClientId = wide_number, Hash = wide_number,
}

/// Numbers that replicas count up from zero.
macro_rules! counters {
    ($($name:ident),* $(,)?) => {
        $(impl Shape for $name {
            fn put(&self, to: &mut impl Sink) {
                put_number(self.0, to);
            }
            fn get(from: &mut Source<'_>) -> Result<Self, WireError> {
                let number = from.number()?;
                if number > COUNTER_MAX { Err(WireError::Counter) } else { Ok(Self(number)) }
            }
        })*
    };
}

counters!(View, Op, Epoch, Incarnation, Seq, Beat, FetchId, WriteId);

impl Shape for ReplicaId {
    fn put(&self, to: &mut impl Sink) {
        put_number(self.0, to);
    }
    fn get(from: &mut Source<'_>) -> Result<Self, WireError> {
        u16::try_from(from.number()?).map(Self).map_err(|_| WireError::Number)
    }
}

impl Shape for ReplicaSet {
    fn put(&self, to: &mut impl Sink) {
        put_number(self.iter().fold(0u64, |bits, position| bits | 1 << position.index()), to);
    }
    fn get(from: &mut Source<'_>) -> Result<Self, WireError> {
        let bits = from.number()?;
        Ok((0..64).filter(|position| bits >> position & 1 == 1).filter_map(Position::new).collect())
    }
}

impl Shape for Message {
    fn put(&self, to: &mut impl Sink) {
        Envelope::put(self, to);
    }
    fn get(from: &mut Source<'_>) -> Result<Self, WireError> {
        Envelope::get(from).map(|envelope| Self::new(envelope.header, envelope.body))
    }
}

/// A struct: its fields, in the order of their declaration.
macro_rules! fields {
    ($($name:ident { $($field:ident),* $(,)? })*) => {
        $(impl Shape for $name {
            fn put(&self, to: &mut impl Sink) {
                let Self { $($field),* } = self;
                $($field.put(to);)*
            }
            fn get(from: &mut Source<'_>) -> Result<Self, WireError> {
                Ok(Self { $($field: Shape::get(from)?),* })
            }
        })*
    };
}

fields! {
    Nonce { incarnation, counter }
    Head { op, hash }
    Predicted { wall_ns, seed }
    Request { client, session, number, kind, predicted, body }
    Header { config, epoch, view, from, instance, incarnation, seq }
    Envelope { header, body }
    DoViewChange { log_view, commit, tail }
    StartView { view_start, commit, tail }
    GetState { id, have, want }
    NewState { id, commit, tail }
    Recovery { nonce, view_min, have }
    RecoveryResponse { nonce, log }
    CheckpointDurable { head, held }
    CheckpointPart { head, digest, length, offset, bytes }
    Event { at, input }
    Query { client, number, body }
    Member { id, address }
}

/// An enum: the number of the variant, then its fields. `where` looks at what was read.
macro_rules! variants {
    ($($name:ident {
        $($tag:literal => $variant:ident $({ $($field:ident),* })? $(($inner:ident))? $(where $check:expr)?),* $(,)?
    })*) => {
        $(impl Shape for $name {
            fn put(&self, to: &mut impl Sink) {
                match self {
                    $(Self::$variant $({ $($field),* })? $(($inner))? => {
                        let tag: u64 = $tag;
                        put_number(tag, to);
                        $($($field.put(to);)*)?
                        $($inner.put(to);)?
                    })*
                }
            }
            fn get(from: &mut Source<'_>) -> Result<Self, WireError> {
                match from.number()? {
                    $($tag => {
                        $($(let $field = Shape::get(from)?;)*)?
                        $(let $inner = Shape::get(from)?;)?
                        $($check?;)?
                        Ok(Self::$variant $({ $($field),* })? $(($inner))?)
                    })*
                    _ => Err(WireError::Variant { of: stringify!($name) }),
                }
            }
        })*
    };
}

variants! {
    Kind {
        0 => Register,
        1 => Operation,
        2 => Reconfiguration,
    }
    Body {
        0 => Prepare { entries, commit, beat } where not_empty(&entries),
        1 => PrepareOk { head, beat },
        2 => Commit { commit, head, beat },
        3 => CommitOk { beat },
        4 => StartViewChange { want, hears },
        5 => DoViewChange(report),
        6 => StartView(start),
        7 => GetState(question),
        8 => NewState(page),
        9 => Recovery(question),
        10 => RecoveryResponse(answer),
        11 => GetCheckpoint { head, offset },
        12 => CheckpointPart(part),
        13 => GetEntries { through },
        14 => Entries(entries) where not_empty(&entries),
        15 => StartEpoch(group),
        16 => EpochStarted { epoch },
        17 => NewEpoch(group),
        18 => CheckEpoch,
        19 => GetReadIndex { id },
        20 => ReadIndex { id, op },
        21 => CheckpointDurable(news),
    }
    Write {
        0 => Incarnation(incarnation),
        1 => View(view),
        2 => Append(entries),
        3 => Replace { keep, entries, view } where after(&entries, keep),
        4 => Clean,
        5 => Checkpoint(checkpoint),
        6 => Cut { through },
        7 => Install { checkpoint, entries, view } where on(&entries, &checkpoint),
        8 => Repair { keep, entries } where after(&entries, keep),
    }
    Input {
        0 => Tick,
        1 => Request(request),
        2 => Message(message),
        3 => Persisted(id),
        4 => WriteFailed,
        5 => Executed { op, reply },
        6 => Space(has),
        7 => Stop,
        8 => CheckpointTaken { op, state },
        9 => Restored { op },
        10 => Requests(requests),
        11 => ExecutedRun { first, replies },
        12 => Query(query),
        13 => HandOver { to },
        14 => CheckpointBegun { op },
        15 => CheckpointGiven(checkpoint),
        16 => QueryHere(query),
        17 => QueryLate(query),
    }
}

pub(super) use {fields, plain, variants};

fn not_empty(entries: &Entries) -> Result<(), WireError> {
    if entries.is_empty() { Err(WireError::NoEntries) } else { Ok(()) }
}

fn after(entries: &Entries, op: Op) -> Result<(), WireError> {
    let follows = entries.first().is_none_or(|first| first.op() == op.next());
    if follows { Ok(()) } else { Err(WireError::NotAfterBase) }
}

fn on(entries: &Entries, checkpoint: &impl AsRef<Checkpoint>) -> Result<(), WireError> {
    if continues(entries, checkpoint.as_ref().head()) { Ok(()) } else { Err(WireError::NotAfterBase) }
}

/// Stands where the length of a state would: it is left out, and what follows is how long it is.
const LEFT_OUT: u64 = u64::MAX;

/// With its digest: what was torn or mixed up after the frame was sealed, or before, is refused. In a recording the state may be
/// left out; then there is nothing to compare the digest with.
impl Shape for Checkpoint {
    fn put(&self, to: &mut impl Sink) {
        self.head().put(to);
        self.predicted().put(to);
        self.table().put(to);
        if self.state().is_left_out() {
            put_number(LEFT_OUT, to);
        }
        self.state().put(to);
        self.digest().put(to);
    }
    fn get(from: &mut Source<'_>) -> Result<Self, WireError> {
        let (head, predicted) = (Head::get(from)?, Predicted::get(from)?);
        let table = Bytes::get(from)?;
        if from.is_recorded && from.clone().number() == Ok(LEFT_OUT) {
            from.number()?;
            let state = State::left_out(from.number()?);
            if !state.is_left_out() {
                return Err(WireError::Number);
            }
            return Ok(Self::named(head, predicted, table, state, Hash::get(from)?));
        }
        let checkpoint = Self::new(head, predicted, table, State::get(from)?);
        if Hash::get(from)? == checkpoint.digest() { Ok(checkpoint) } else { Err(WireError::WrongDigest) }
    }
}

impl Shape for Group {
    fn put(&self, to: &mut impl Sink) {
        self.epoch().put(to);
        put_number(count(self.members().len()), to);
        self.members().iter().for_each(|member| member.put(to));
        self.next_id().put(to);
        self.base().put(to);
    }
    fn get(from: &mut Source<'_>) -> Result<Self, WireError> {
        let (epoch, members) = (Shape::get(from)?, list(from, "members", MEMBER_BYTES_MIN)?);
        Self::of(epoch, members, ReplicaId::get(from)?, Head::get(from)?).ok_or(WireError::NoGroup)
    }
}

impl Shape for Entry {
    fn put(&self, to: &mut impl Sink) {
        self.epoch().put(to);
        self.view().put(to);
        self.op().put(to);
        self.parent().put(to);
        self.client().put(to);
        self.session().put(to);
        self.number().put(to);
        self.kind().put(to);
        self.predicted().put(to);
        self.body().put(to);
    }
    fn get(from: &mut Source<'_>) -> Result<Self, WireError> {
        let (epoch, view, op) = (Epoch::get(from)?, View::get(from)?, Op::get(from)?);
        if op == Op::ZERO {
            return Err(WireError::EntryAtZero);
        }
        Ok(Self::new(epoch, view, op, Hash::get(from)?, Request::get(from)?))
    }
}

impl Shape for Entries {
    fn put(&self, to: &mut impl Sink) {
        put_number(count(self.len()), to);
        self.iter().for_each(|entry| entry.put(to));
    }
    fn get(from: &mut Source<'_>) -> Result<Self, WireError> {
        let length = from.list_length("entries", ENTRY_BYTES_MIN)?;
        // An entry takes more room in memory than on the wire: reserve for those that surely come.
        let room = 2 * from.rest.len() / size_of::<Entry>();
        let mut entries = Vec::with_capacity(length.min(room.max(1)));
        for _ in 0..length {
            entries.push(Entry::get(from)?);
        }
        Self::new(entries).map_err(|_| WireError::BrokenChain)
    }
}

/// A list of whatever is checked one by one: `least` bytes each at least. Reserves for those that surely come.
fn list<T: Shape>(from: &mut Source<'_>, what: &'static str, least: usize) -> Result<Vec<T>, WireError> {
    let length = from.list_length(what, least)?;
    let mut items = Vec::with_capacity(length.min((from.rest.len() / size_of::<T>()).max(1)));
    for _ in 0..length {
        items.push(T::get(from)?);
    }
    Ok(items)
}

impl Shape for Vec<Request> {
    fn put(&self, to: &mut impl Sink) {
        put_number(count(self.len()), to);
        self.iter().for_each(|request| request.put(to));
    }
    fn get(from: &mut Source<'_>) -> Result<Self, WireError> {
        list(from, "requests", REQUEST_BYTES_MIN)
    }
}

impl Shape for Vec<Bytes> {
    fn put(&self, to: &mut impl Sink) {
        put_number(count(self.len()), to);
        self.iter().for_each(|reply| reply.put(to));
    }
    fn get(from: &mut Source<'_>) -> Result<Self, WireError> {
        list(from, "replies", 1)
    }
}

/// The positions in a question for state. Their order is a habit of the asker, not a promise: who answers looks at
/// all of them.
impl Shape for Vec<Head> {
    fn put(&self, to: &mut impl Sink) {
        put_number(count(self.len()), to);
        self.iter().for_each(|head| head.put(to));
    }
    fn get(from: &mut Source<'_>) -> Result<Self, WireError> {
        let length = from.list_length("anchors", HEAD_BYTES_MIN)?;
        if length > MAX_ANCHORS {
            return Err(WireError::TooMany { what: "anchors", claimed: count(length), limit: MAX_ANCHORS });
        }
        let mut anchors = Self::with_capacity(length);
        for _ in 0..length {
            anchors.push(Head::get(from)?);
        }
        Ok(anchors)
    }
}

impl Shape for Tail {
    fn put(&self, to: &mut impl Sink) {
        let Self { base, entries, head } = self;
        base.put(to);
        entries.put(to);
        head.put(to);
    }
    fn get(from: &mut Source<'_>) -> Result<Self, WireError> {
        let (base, entries, head) = (Head::get(from)?, Entries::get(from)?, Head::get(from)?);
        if !continues(&entries, base) {
            return Err(WireError::NotAfterBase);
        }
        let leads =
            entries.last().is_none_or(|last| last.op() < head.op || (last.op(), last.hash()) == (head.op, head.hash));
        if leads { Ok(Self { base, entries, head }) } else { Err(WireError::NotTowardsHead) }
    }
}
